// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Objects that one thread allocates and another frees.
#include "pattern.hpp"

#include <array>
#include <atomic>
#include <thread>

namespace bench {
namespace {

struct item {
    void* at = nullptr;
    std::pmr::memory_resource* from = nullptr;
    std::size_t size = 0;

    void free() const { from->deallocate(at, size); }
};

/// A bounded ring with one writer and one reader.
class ring {
public:
    bool put(item const& i)
    {
        std::size_t const at = written_.load(std::memory_order_relaxed);
        if (at - read_.load(std::memory_order_acquire) == slots_.size())   // the reader is done with the slot
            return false;
        slots_[at % slots_.size()] = i;
        written_.store(at + 1, std::memory_order_release);   // publishes the item and what it points to
        return true;
    }
    bool get(item& i)
    {
        std::size_t const at = read_.load(std::memory_order_relaxed);
        if (at == written_.load(std::memory_order_acquire))
            return false;
        i = slots_[at % slots_.size()];
        read_.store(at + 1, std::memory_order_release);   // the slot may be written again
        return true;
    }
    [[nodiscard]] bool full() const
    {
        return written_.load(std::memory_order_relaxed) - read_.load(std::memory_order_acquire) == slots_.size();
    }

private:
    alignas(64) std::atomic<std::size_t> written_{0};
    alignas(64) std::atomic<std::size_t> read_{0};
    std::array<item, 1024> slots_;
};

constexpr unsigned batch = 256;

class producer final : public worker {
public:
    producer(setting const& s, place& memory, ring& to, unsigned thread) : resource_{opaque(memory.lasting())}, to_{to}
    {
        random_source random = random_for(s, thread);
        for (std::size_t& size : sizes_)
            size = s.size_or(16 + random() % 240);
    }

    std::uint64_t turn() override
    {
        for (unsigned i = 0; i < batch; ++i) {
            if (to_.full()) {
                std::this_thread::yield();
                return 0;
            }
            std::size_t const size = sizes_[next_++ % sizes_.size()];
            void* const p = resource_->allocate(size);
            touch(p, size);
            to_.put({p, resource_, size});
        }
        return 0;   // the consumer counts
    }

private:
    std::pmr::memory_resource* resource_;
    ring& to_;
    std::array<std::size_t, 1024> sizes_;
    std::size_t next_ = 0;
};

class consumer final : public worker {
public:
    explicit consumer(ring& from) : from_{from} {}

    std::uint64_t turn() override
    {
        item i;
        unsigned got = 0;
        for (; got < batch && from_.get(i); ++got)
            i.free();
        if (got == 0)
            std::this_thread::yield();
        return got;
    }

    void drain() override
    {
        for (item i; from_.get(i);)
            i.free();
    }

private:
    ring& from_;
};

/// Thread 2k allocates, thread 2k + 1 frees.
class producer_consumer final : public workload {
public:
    explicit producer_consumer(setting const& s) : setting_{s}, rings_(s.threads / 2) {}

    std::unique_ptr<worker> join(unsigned thread, place& memory) override
    {
        ring& shared = rings_[thread / 2];
        if (thread % 2 == 0)
            return std::make_unique<producer>(setting_, memory, shared, thread);
        return std::make_unique<consumer>(shared);
    }

private:
    setting setting_;
    std::vector<ring> rings_;
};

/// Every thread allocates for the next one and frees what the one before allocated.
class cross_worker final : public worker {
public:
    cross_worker(setting const& s, place& memory, ring& to, ring& from, unsigned thread)
        : out_{s, memory, to, thread}, in_{from}
    {
    }

    std::uint64_t turn() override
    {
        out_.turn();
        return in_.turn();
    }
    void drain() override { in_.drain(); }

private:
    producer out_;
    consumer in_;
};

class cross_thread_free final : public workload {
public:
    explicit cross_thread_free(setting const& s) : setting_{s}, rings_(s.threads) {}

    std::unique_ptr<worker> join(unsigned thread, place& memory) override
    {
        ring& before = rings_[(thread + setting_.threads - 1) % setting_.threads];
        return std::make_unique<cross_worker>(setting_, memory, rings_[thread], before, thread);
    }

private:
    setting setting_;
    std::vector<ring> rings_;
};

template <class Workload>
std::unique_ptr<workload> make(setting const& s, std::string_view)
{
    return std::make_unique<Workload>(s);
}

constexpr pattern patterns[] = {
    {.name = "producer_consumer",
     .about = "pairs of threads: one allocates, the other frees",
     .make = make<producer_consumer>,
     .crossing = true,
     .least_threads = 2,
     .pairs = true},
    {.name = "cross_thread_free",
     .about = "each thread frees what its neighbour allocated",
     .make = make<cross_thread_free>,
     .crossing = true,
     .least_threads = 2},
};

}

std::span<pattern const> crossing_patterns() { return patterns; }

}
