// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "crew.hpp"
#include "run.hpp"
#include "ticks.hpp"
#include "watched_place.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <mutex>
#include <sched.h>

namespace bench {
namespace {

using steady = std::chrono::steady_clock;

struct part {
    steady::time_point start;
    steady::time_point end;
    std::uint64_t operations = 0;
};

part work_for(worker& w, std::chrono::nanoseconds time)
{
    part p{.start = steady::now(), .end = {}};
    do {
        p.operations += w.turn();
        p.end = steady::now();
    } while (p.end - p.start < time);
    return p;
}

std::chrono::nanoseconds as_time(double seconds)
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>{seconds});
}

/// Those this process may use.
unsigned usable_cores()
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

/// Processor time of all threads.
double process_ns()
{
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

struct recorder {
    histogram allocate;
    histogram deallocate;
    std::uint64_t tick_cost = 0;
};

thread_local recorder* recording = nullptr;   // null: not yet, or no longer

/// Times each call; what it finds belongs to the thread that calls.
class timed_resource final : public std::pmr::memory_resource {
public:
    std::pmr::memory_resource* upstream = nullptr;
    void end(bool) {}

private:
    static void note(histogram& in, std::uint64_t took, std::uint64_t cost) { in.add(took > cost ? took - cost : 0); }

    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        std::uint64_t const start = tick_begin();
        void* const p = upstream->allocate(bytes, alignment);
        std::uint64_t const end = tick_end();
        if (recorder* const r = recording)
            note(r->allocate, end - start, r->tick_cost);
        return p;
    }

    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        std::uint64_t const start = tick_begin();
        upstream->deallocate(p, bytes, alignment);
        std::uint64_t const end = tick_end();
        if (recorder* const r = recording)
            note(r->deallocate, end - start, r->tick_cost);
    }

    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override
    {
        return this == &other;
    }
};

/// The recorder that threads of a pattern write to, one after the other: they copy theirs into it when they end.
class recorded_place final : public place {
public:
    recorded_place(std::unique_ptr<place> inner, recorder& to, std::mutex& lock)
        : inner_{std::move(inner)}, to_{to}, lock_{lock}
    {
        if (recording == nullptr) {
            mine_ = std::make_unique<recorder>();
            mine_->tick_cost = to.tick_cost;
            recording = mine_.get();
        }
    }
    ~recorded_place() override
    {
        if (mine_ == nullptr)
            return;
        recording = nullptr;
        std::scoped_lock const guard{lock_};
        to_.allocate.add(mine_->allocate);
        to_.deallocate.add(mine_->deallocate);
    }

    std::pmr::memory_resource* lasting() override { return inner_.lasting(); }
    std::pmr::memory_resource* shared() override { return inner_.shared(); }
    std::pmr::memory_resource* common() override { return inner_.common(); }
    std::pmr::memory_resource* enter(bool winds_out) override { return inner_.enter(winds_out); }
    void leave() override { inner_.leave(); }
    [[nodiscard]] bool drops_at_once() const override { return inner_.drops_at_once(); }
    std::pmr::memory_resource* open(unsigned slot) override { return inner_.open(slot); }
    void close(unsigned slot) override { inner_.close(slot); }

private:
    watched_place<timed_resource> inner_;
    std::unique_ptr<recorder> mine_;
    recorder& to_;
    std::mutex& lock_;
};

/// A quarter of the time before what counts.
void warm_up(crew& threads, double seconds)
{
    threads.each([&](unsigned, worker& w) { work_for(w, as_time(seconds / 4)); });
}

}

throughput measure_throughput(contender& c, pattern const& what, setting s, double seconds)
{
    s.make_place = [&c] { return c.make_place(stack_of_this_thread()); };
    crew threads{what, s};
    warm_up(threads, seconds);
    own_figures const before = c.figures();
    std::vector<part> parts(s.threads);
    double const cpu_before = process_ns();
    threads.each([&](unsigned thread, worker& w) { parts[thread] = work_for(w, as_time(seconds)); });
    double const cpu_after = process_ns();
    own_figures const after = c.figures();
    threads.each([](unsigned, worker& w) { w.drain(); });

    throughput result{};
    auto const start = std::ranges::min(parts, {}, &part::start).start;
    auto const end = std::ranges::max(parts, {}, &part::end).end;
    for (part const& p : parts)
        result.operations += p.operations;
    result.wall_ns = std::chrono::duration<double, std::nano>{end - start}.count();
    result.cores = std::min(s.threads - what.idle, usable_cores());
    result.ns_per_op =
        result.wall_ns * result.cores / static_cast<double>(std::max<std::uint64_t>(result.operations, 1));
    result.cpu_ns = cpu_after - cpu_before;
    result.own = {.known = after.known,
                  .cas_attempts = after.cas_attempts - before.cas_attempts,
                  .cas_retries = after.cas_retries - before.cas_retries,
                  .free_retries = after.free_retries - before.free_retries,
                  .lost_races = after.lost_races - before.lost_races,
                  .locks_free = after.locks_free - before.locks_free,
                  .locks_contended = after.locks_contended - before.locks_contended,
                  .allocations = after.allocations - before.allocations,
                  .epoch_closes = after.epoch_closes - before.epoch_closes,
                  .madvise_calls = after.madvise_calls - before.madvise_calls};
    return result;
}

latencies measure_latencies(contender& c, pattern const& what, setting s, double seconds)
{
    auto sum = std::make_unique<recorder>();
    std::mutex lock;
    latencies result{.ticks_per_ns = ticks_per_ns(), .tick_cost = tick_cost(), .tick_step = tick_step()};
    sum->tick_cost = result.tick_cost;
    s.make_place = [&] { return std::make_unique<recorded_place>(c.make_place(stack_of_this_thread()), *sum, lock); };
    {
        crew threads{what, s};
        warm_up(threads, seconds);
        // What came so far is forgotten: setting up, and the first touch of everything.
        threads.each([](unsigned, worker&) {
            recording->allocate = {};
            recording->deallocate = {};
        });
        sum->allocate = {};
        sum->deallocate = {};
        threads.each([&](unsigned, worker& w) { work_for(w, as_time(seconds)); });
        threads.each([](unsigned, worker& w) {
            recorder* const r = std::exchange(recording, nullptr);
            w.drain();
            recording = r;
        });
    }
    result.allocate = sum->allocate;
    result.deallocate = sum->deallocate;
    return result;
}

}
