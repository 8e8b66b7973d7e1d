// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One object at a time, and many that are freed in some order.
#include "pattern.hpp"

#include <algorithm>
#include <numeric>

namespace bench {
namespace {

constexpr std::size_t usual_size = 128;

class pair_worker final : public worker {
public:
    pair_worker(setting const& s, std::string_view, place& memory, unsigned)
        : resource_{opaque(memory.lasting())}, size_{s.size_or(usual_size)}
    {
    }

    std::uint64_t turn() override
    {
        constexpr std::uint64_t count = 1000;
        for (std::uint64_t i = 0; i < count; ++i) {
            void* p = resource_->allocate(size_);
            asm volatile("" : "+r"(p) : : "memory");
            resource_->deallocate(p, size_);
        }
        return count;
    }

private:
    std::pmr::memory_resource* resource_;
    std::size_t size_;
};

/// Allocates N, then frees them in an order: lifo, fifo or random. With `touched` in its name it also writes to them.
class batch_worker final : public worker {
public:
    batch_worker(setting const& s, std::string_view name, place& memory, unsigned thread)
        : resource_{opaque(memory.lasting())},
          size_{s.size_or(usual_size)},
          touched_{name.ends_with("touched")},
          objects_(count_of(name) / (s.tiny ? 10 : 1)),
          order_(objects_.size())
    {
        std::iota(order_.begin(), order_.end(), 0U);
        if (name.starts_with("lifo"))
            std::reverse(order_.begin(), order_.end());
        random_source random = random_for(s, thread);
        if (name.starts_with("random"))
            std::shuffle(order_.begin(), order_.end(), random);
    }

    std::uint64_t turn() override
    {
        for (void*& p : objects_)
            p = resource_->allocate(size_);
        if (touched_)
            for (void* const p : objects_)
                touch(p, size_);
        for (unsigned const at : order_)
            resource_->deallocate(objects_[at], size_);
        return objects_.size();
    }

private:
    static std::size_t count_of(std::string_view name)
    {
        if (name.find("1m") != name.npos)
            return 1'000'000;
        return name.find("100k") != name.npos ? 100'000 : 1000;
    }

    std::pmr::memory_resource* resource_;
    std::size_t size_;
    bool touched_;
    std::vector<void*> objects_;
    std::vector<unsigned> order_;
};

constexpr pattern patterns[] = {
    {.name = "pair", .about = "128 bytes, freed at once", .make = make_alike<pair_worker>},
    {.name = "lifo_1k", .about = "1,000 of 128 bytes, the last one freed first", .make = make_alike<batch_worker>},
    {.name = "fifo_1k", .about = "1,000 of 128 bytes, the first one freed first", .make = make_alike<batch_worker>},
    {.name = "random_1k", .about = "1,000 of 128 bytes, freed in random order", .make = make_alike<batch_worker>},
    {.name = "fifo_100k", .about = "100,000 of 128 bytes, the first one freed first", .make = make_alike<batch_worker>},
    {.name = "fifo_100k_touched", .about = "as fifo_100k, each object written to", .make = make_alike<batch_worker>},
    {.name = "fifo_1m_touched",
     .about = "1,000,000 of 128 bytes, each written to, the first one freed first",
     .make = make_alike<batch_worker>,
     .most_threads = 1},
};

}

std::span<pattern const> batch_patterns() { return patterns; }

}
