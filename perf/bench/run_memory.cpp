// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// How much stays resident: before, at the peak, after the drain, and whether it grows from phase to phase.
#include "crew.hpp"
#include "resident.hpp"
#include "run.hpp"
#include "watched_place.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>

namespace bench {
namespace {

/// What is live of all threads together. A warm-up learns the peak; from then on what is resident is looked
/// at when about as much is live again, but not all the time. The look with most live counts.
class meter {
public:
    void add(std::uint64_t bytes)
    {
        std::uint64_t const live = live_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
        if (learning_.load(std::memory_order_relaxed)) {
            std::uint64_t most = most_.load(std::memory_order_relaxed);
            while (live > most && !most_.compare_exchange_weak(most, live, std::memory_order_relaxed)) {
            }
        } else if (live >= most_.load(std::memory_order_relaxed) / 100 * per_cent_) {
            look(live);
        }
    }
    void subtract(std::uint64_t bytes) { live_.fetch_sub(bytes, std::memory_order_relaxed); }
    /// Peaks of many threads seldom fall together.
    void stop_learning(unsigned threads)
    {
        per_cent_ = threads == 1 ? 90 : 60;
        learning_.store(false, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t live() const { return seen_; }
    [[nodiscard]] std::uint64_t resident() const { return resident_; }

private:
    using steady = std::chrono::steady_clock;

    void look(std::uint64_t live)
    {
        std::unique_lock const guard{lock_, std::try_to_lock};
        if (!guard || live <= seen_ || steady::now() < next_)
            return;
        resident_ = resident_bytes();
        seen_ = live;
        next_ = steady::now() + std::chrono::milliseconds{1};
    }

    std::atomic<std::uint64_t> live_{0};
    std::atomic<std::uint64_t> most_{0};
    std::atomic<bool> learning_{true};
    std::mutex lock_;
    steady::time_point next_{};
    unsigned per_cent_ = 90;
    std::uint64_t seen_ = 0;
    std::uint64_t resident_ = 0;
};

meter* metered = nullptr;   // of the run

class metered_resource final : public std::pmr::memory_resource {
public:
    std::pmr::memory_resource* upstream = nullptr;

    /// A phase ends. What was not freed one by one is gone now, if it `drops` all.
    void end(bool drops)
    {
        if (drops)
            metered->subtract(held_.exchange(0, std::memory_order_relaxed));
    }

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        void* const p = upstream->allocate(bytes, alignment);
        held_.fetch_add(bytes, std::memory_order_relaxed);
        metered->add(bytes);
        return p;
    }

    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        upstream->deallocate(p, bytes, alignment);
        held_.fetch_sub(bytes, std::memory_order_relaxed);
        metered->subtract(bytes);
    }

    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override
    {
        return this == &other;
    }

    std::atomic<std::uint64_t> held_{0};
};

}

memory_use measure_memory(contender& c, pattern const& what, setting s, std::uint64_t phases)
{
    meter all;
    metered = &all;
    s.make_place = [&c] {
        return std::make_unique<watched_place<metered_resource>>(c.make_place(stack_of_this_thread()));
    };
    memory_use use{};
    std::uint64_t const each_thread = std::max<std::uint64_t>(phases / s.threads, 4);
    use.phases = each_thread * s.threads;
    crew threads{what, s};
    auto const turns = [&threads](std::uint64_t count) {
        threads.each([count](unsigned, worker& w) {
            for (std::uint64_t i = 0; i < count; ++i)
                w.turn();
        });
        return resident_bytes();
    };
    forget_peak();
    use.base = resident_bytes();
    use.early = turns(each_thread / 2);
    all.stop_learning(s.threads);
    use.late = turns(each_thread);
    use.huge = huge_bytes();
    use.live = all.live();
    use.at_live = all.resident();
    use.peak = std::max({resident_peak(), use.at_live, use.early, use.late});
    threads.each([](unsigned, worker& w) { w.drain(); });
    use.drained = resident_bytes();
    if (c.trim())
        use.trimmed = resident_bytes();
    return use;
}

}
