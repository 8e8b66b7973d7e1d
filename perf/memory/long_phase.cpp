// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
#include "background.hpp"
#include "measures.hpp"
#include "process.hpp"
#include "resident.hpp"

#include <chrono>
#include <cstring>
#include <memory_resource>
#include <optional>
#include <random>
#include <thread>
#include <vector>

import tslab;

namespace probe {
namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t mebibyte = std::size_t{1} << 20;

struct object {
    void* at = nullptr;
    std::size_t size = 0;
};

/// Objects that make up `bytes`, in the order in which they are allocated.
std::vector<object> draw_objects(std::string const& kind, std::size_t bytes)
{
    std::mt19937_64 random{1};
    std::vector<object> all;
    for (std::size_t sum = 0; sum < bytes;) {
        std::size_t size = 1024;
        if (kind == "mixed")
            size = std::size_t{16} << random() % 13;   // 16 bytes to 64 KiB
        else if (kind == "large")
            size = mebibyte / 4 << random() % 5;   // to 4 MiB: none has a size class
        all.push_back({.size = size});
        sum += size;
    }
    return all;
}

/// Memory of the program's one phase.
class phase {
public:
    phase(tslab::allocator& heap, bool raw) : heap_{heap}
    {
        if (!raw)
            resource_.emplace(heap, tslab::resource_options{.label = "program"});
    }

    void* take(std::size_t size) { return resource_ ? resource_->allocate(size) : heap_.malloc(size); }
    void give(void* p, std::size_t size)
    {
        if (resource_)
            resource_->deallocate(p, size);
        else
            heap_.free(p);
    }

private:
    tslab::allocator& heap_;
    std::optional<tslab::epoch_resource> resource_;
};

/// A little every millisecond: 32 objects of 16 to 512 bytes.
void work_lightly(phase& memory, std::chrono::duration<double> time)
{
    auto const end = steady::now() + time;
    while (steady::now() < end) {
        void* all[32];
        for (std::size_t i = 0; i < 32; ++i)
            all[i] = std::memset(memory.take(16 * (i + 1)), 1, 16 * (i + 1));
        for (std::size_t i = 0; i < 32; ++i)
            memory.give(all[i], 16 * (i + 1));
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
}

/// What the caches may hold by their own statement: the heap's, by its figures, and one thread's, 64 KiB of each class.
std::uint64_t stated_caches(tslab::snapshot const& s)
{
    std::uint64_t sum = 0;
    for (tslab::class_stats const& c : s.classes) {
        sum += c.cache_capacity * c.pages_per_slab * s.page_size;
        sum += c.object_size != 0 ? std::uint64_t{64} << 10 : 0;
    }
    return sum;
}

}

void measure_long_phase(settings const& s, report& r)
{
    std::vector<object> objects = draw_objects(s.objects, s.mib * mebibyte);
    tslab::allocator_options options{.name = "long phase"};
    if (s.background && !ask_for_background_purge(options))
        throw unavailable{"this library has no allocator_options::background_purge"};
    std::uint64_t const base = bench::resident_bytes();
    // Neither ends: a tenth lives on, and the phase is open.
    tslab::allocator& heap = *new tslab::allocator{options};
    phase& memory = *new phase{heap, s.raw};
    for (object& o : objects) {
        o.at = memory.take(o.size);
        if (o.at == nullptr)
            throw std::runtime_error{"out of memory"};
        std::memset(o.at, 1, o.size);
    }
    std::uint64_t const peak = bench::resident_bytes();
    for (std::size_t i = objects.size() / 10; i < objects.size(); ++i)
        memory.give(objects[i].at, objects[i].size);
    std::uint64_t const at_once = bench::resident_bytes();
    std::chrono::duration<double> const time{s.seconds};
    if (s.background)
        std::this_thread::sleep_for(time);
    else
        work_lightly(memory, time);
    std::uint64_t const held = bench::resident_bytes();
    tslab::snapshot const now = heap.snapshot({.residency = false});
    heap.trim();
    std::uint64_t const trimmed = bench::resident_bytes();
    r.number("peak", static_cast<double>(peak - base));
    r.number("freed", static_cast<double>(at_once - base));
    r.number("held", static_cast<double>(held - base));
    r.number("trimmed", static_cast<double>(trimmed - base));
    r.number("live", static_cast<double>(now.global.live_bytes));
    r.number("caches", static_cast<double>(stated_caches(now)));
}

}
