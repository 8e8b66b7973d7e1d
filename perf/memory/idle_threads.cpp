// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
#include "measures.hpp"
#include "process.hpp"
#include "resident.hpp"

#include <algorithm>
#include <barrier>
#include <cstring>
#include <memory_resource>
#include <thread>
#include <vector>

import tslab;

namespace probe {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

/// How many objects of a class a thread takes for its share of `bytes`.
std::size_t objects_of(std::size_t bytes, std::size_t size)
{
    return std::max<std::size_t>(bytes / std::size(tslab::class_sizes) / size, 1);
}

/// Objects of every class, all alive together, then all freed.
template <class Take, class Give>
void use_every_class(pointer_table const& table, std::size_t bytes, Take take, Give give)
{
    std::size_t next = 0;
    for (std::size_t const size : tslab::class_sizes)
        for (std::size_t i = 0; i < objects_of(bytes, size); ++i) {
            void* const p = take(size);
            table[next++] = p;
            if (p != nullptr)
                std::memset(p, 1, size);
        }
    next = 0;
    for (std::size_t const size : tslab::class_sizes)
        for (std::size_t i = 0; i < objects_of(bytes, size); ++i)
            if (void* const p = table[next++]; p != nullptr)
                give(p, size);
}

std::size_t count_objects(std::size_t bytes)
{
    std::size_t sum = 0;
    for (std::size_t const size : tslab::class_sizes)
        sum += objects_of(bytes, size);
    return sum;
}

/// In a scope, and once more in the current epoch.
void one_task(tslab::allocator& heap, std::size_t bytes)
{
    pointer_table const table{count_objects(bytes)};
    {
        tslab::epoch_scope scope{heap, "task"};
        use_every_class(
            table, bytes, [&](std::size_t n) { return scope.resource()->allocate(n); },
            [&](void* p, std::size_t n) { scope.resource()->deallocate(p, n); });
    }
    use_every_class(
        table, bytes, [&](std::size_t n) { return heap.malloc(n); }, [&](void* p, std::size_t) { heap.free(p); });
}

/// Resident pages in which nothing lives.
double kept(tslab::snapshot const& s)
{
    if (!s.waterfall)
        return 0;
    return static_cast<double>(s.waterfall->cached_bytes + s.waterfall->free_bytes + s.waterfall->empty_slot_bytes);
}

}

void measure_idle_threads(settings const& s, report& r)
{
    tslab::allocator heap{{.name = "idle threads"}};
    std::barrier step{static_cast<std::ptrdiff_t>(s.threads) + 1};
    std::vector<std::jthread> pool;
    for (unsigned t = 0; t < s.threads; ++t)
        pool.emplace_back([&] {
            heap.free(heap.malloc(64));   // the thread's records are made, and its stack is touched
            step.arrive_and_wait();
            step.arrive_and_wait();
            one_task(heap, s.mib * mebibyte);
            step.arrive_and_wait();
            step.arrive_and_wait();   // idle
        });
    step.arrive_and_wait();
    heap.trim();
    std::uint64_t const base = bench::resident_bytes();
    step.arrive_and_wait();
    step.arrive_and_wait();
    std::uint64_t const used = bench::resident_bytes();
    heap.close(heap.current_epoch());
    heap.trim();
    std::uint64_t const after = bench::resident_bytes();
    tslab::snapshot const now = heap.snapshot();
    step.arrive_and_wait();
    r.number("used", static_cast<double>(used) - static_cast<double>(base));
    r.number("held", static_cast<double>(after) - static_cast<double>(base));
    r.number("kept", kept(now));
    r.number("cached_slabs", static_cast<double>(now.global.slabs_cached));
}

void measure_bounded(settings const& s, report& r)
{
    std::size_t const bound = s.mib * mebibyte;
    std::size_t const wanted = bound / 4 * 3;
    tslab::allocator heap{{.name = "bounded", .reserve_bytes = bound}};
    std::barrier step{2};
    std::jthread const user{[&] {
        one_task(heap, bound / 2);
        step.arrive_and_wait();
        step.arrive_and_wait();   // idle
    }};
    step.arrive_and_wait();
    std::size_t served = 0;
    std::vector<void*> all;
    while (served < wanted) {
        void* const p = heap.malloc(s.size);
        if (p == nullptr)
            break;
        all.push_back(p);
        served += s.size;
    }
    for (void* const p : all)
        heap.free(p);
    step.arrive_and_wait();
    r.number("served", static_cast<double>(served));
    r.number("wanted", static_cast<double>(wanted));
}

}
