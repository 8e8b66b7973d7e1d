// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A synthetic program that runs steadily, its phases overlapping; and the same with one thread that stops.
#include "pattern.hpp"

#include <chrono>
#include <thread>

namespace bench {
namespace {

constexpr std::size_t usual_size = 128;

/// 50 objects a step, freed eight steps later; a new phase every 16 steps. A turn is a phase.
class steady_worker final : public worker {
public:
    steady_worker(setting const& s, std::string_view, place& memory, unsigned)
        : memory_{memory}, size_{s.size_or(usual_size)}
    {
    }

    std::uint64_t turn() override
    {
        std::pmr::memory_resource* const now = opaque(memory_.open(slot_));
        for (std::size_t step = 0; step < steps; ++step) {
            batch& oldest = batches_[at_];
            at_ = (at_ + 1) % lag;
            oldest.free(size_);
            if (step == lag && before_ != nullptr)
                memory_.close(1 - slot_);   // nothing of the phase before is live any more
            oldest.fill(*now, size_);
        }
        before_ = now;
        slot_ = 1 - slot_;
        return steps * per_step;
    }

    void drain() override
    {
        for (batch& b : batches_)
            b.free(size_);
        if (before_ != nullptr)
            memory_.close(1 - slot_);
        before_ = nullptr;
    }

private:
    static constexpr std::size_t per_step = 50;
    static constexpr std::size_t lag = 8;
    static constexpr std::size_t steps = 16;

    struct batch {
        std::pmr::memory_resource* from = nullptr;   // null: empty
        void* objects[per_step] = {};

        void fill(std::pmr::memory_resource& resource, std::size_t size)
        {
            for (void*& p : objects) {
                p = resource.allocate(size);
                touch(p, size);
            }
            from = &resource;
        }
        void free(std::size_t size)
        {
            if (from != nullptr)
                for (void* const p : objects)
                    from->deallocate(p, size);
            from = nullptr;
        }
    };

    place& memory_;
    std::size_t size_;
    batch batches_[lag];
    std::size_t at_ = 0;
    unsigned slot_ = 0;
    std::pmr::memory_resource* before_ = nullptr;
};

/// One thread fills a phase and stops; it holds all of it while the others run steadily.
class straggler_worker final : public worker {
public:
    straggler_worker(setting const& s, std::string_view, place& memory, unsigned)
        : memory_{memory}, size_{s.size_or(usual_size)}
    {
        resource_ = opaque(memory_.open(0));
        for (void*& p : objects_) {
            p = resource_->allocate(size_);
            touch(p, size_);
        }
    }

    std::uint64_t turn() override
    {
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
        return 0;
    }

    void drain() override
    {
        for (void* const p : objects_)
            resource_->deallocate(p, size_);
        memory_.close(0);
    }

private:
    place& memory_;
    std::size_t size_;
    std::pmr::memory_resource* resource_;
    void* objects_[800];
};

class straggler final : public workload {
public:
    explicit straggler(setting const& s) : setting_{s} {}

    std::unique_ptr<worker> join(unsigned thread, place& memory) override
    {
        if (thread == 0)
            return std::make_unique<straggler_worker>(setting_, "", memory, thread);
        return std::make_unique<steady_worker>(setting_, "", memory, thread);
    }

private:
    setting setting_;
};

std::unique_ptr<workload> make_straggler(setting const& s, std::string_view) { return std::make_unique<straggler>(s); }

constexpr pattern patterns[] = {
    {.name = "steady",
     .about = "50 objects a step, freed eight steps later, a new phase every 16 steps",
     .make = make_alike<steady_worker>,
     .phases = true,
     .memory = true},
    {.name = "straggler",
     .about = "one thread stops with 800 objects live, the others run as steady",
     .make = make_straggler,
     .phases = true,
     .memory = true,
     .least_threads = 2,
     .idle = 1},
};

}

std::span<pattern const> steady_patterns() { return patterns; }

}
