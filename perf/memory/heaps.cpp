// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What heaps cost: address space, resident memory, locked memory, descriptors, and time when there are many.
#include "measures.hpp"
#include "process.hpp"
#include "resident.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <vector>

import tslab;

namespace probe {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

using heap_list = std::vector<std::unique_ptr<tslab::allocator>>;

/// Up to `count` heaps with one object each, and with one scope each that has ended; fewer if one more cannot be had.
heap_list make_heaps(std::size_t count, bool scopes = false)
{
    heap_list heaps;
    heaps.reserve(count);
    try {
        while (heaps.size() < count) {
            auto heap = std::make_unique<tslab::allocator>(tslab::allocator_options{.name = "tenant"});
            void* const p = heap->malloc(100);
            if (p == nullptr)
                break;
            std::memset(p, 1, 100);
            if (scopes) {
                tslab::epoch_scope scope{*heap, "request"};
                scope.resource()->deallocate(std::memset(scope.resource()->allocate(100), 1, 100), 100);
            }
            heaps.push_back(std::move(heap));
        }
    } catch (std::bad_alloc const&) {
    }
    return heaps;
}

/// Heaps without an end: their objects live.
void leave(heap_list& heaps)
{
    for (auto& heap : heaps)
        static_cast<void>(heap.release());
}

/// Objects of 1 KiB, touched, into `table`.
void fill(tslab::allocator& heap, pointer_table const& table)
{
    for (void*& p : table.all()) {
        p = heap.malloc(1024);
        if (p == nullptr)
            throw std::runtime_error{"out of memory"};
        std::memset(p, 1, 1024);
    }
}

template <class Use>
double ns_each(heap_list const& heaps, std::size_t n, std::size_t turns, Use use)
{
    double const start = thread_ns();
    for (std::size_t done = 0; done < turns; done += n)
        for (std::size_t i = 0; i < n; ++i)
            use(*heaps[i]);
    std::size_t const all = (turns + n - 1) / n * n;
    return (thread_ns() - start) / static_cast<double>(all);
}

}

void measure_heaps(settings const& s, report& r)
{
    std::uint64_t const space = address_space();
    std::uint64_t const base = bench::resident_bytes();
    heap_list heaps = make_heaps(s.count, s.scopes);
    double const made = static_cast<double>(std::max<std::size_t>(heaps.size(), 1));
    r.number("wanted", static_cast<double>(s.count));
    r.number("made", static_cast<double>(heaps.size()));
    r.number("space_each", static_cast<double>(address_space() - space) / made);
    r.number("resident_each", static_cast<double>(bench::resident_bytes() - base) / made);
    leave(heaps);
}

void measure_reserved(settings const& s, report& r)
{
    pointer_table const table{s.mib * 1024};
    std::uint64_t const space = address_space();
    tslab::allocator heap{{.name = "reserved"}};
    fill(heap, table);
    r.number("live", static_cast<double>(s.mib * mebibyte));
    r.number("above", static_cast<double>(address_space() - space) - static_cast<double>(s.mib * mebibyte));
    for (void* const p : table.all())
        heap.free(p);
}

void measure_limited(settings const& s, report& r)
{
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = s.mib * mebibyte;
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        throw unavailable{std::string{"RLIMIT_AS cannot be set: "} + std::strerror(errno)};
    std::uint64_t const space = address_space();
    heap_list heaps = make_heaps(s.count);
    r.number("wanted", static_cast<double>(s.count));
    r.number("made", static_cast<double>(heaps.size()));
    r.number("space_each", static_cast<double>(address_space() - space) /
                               static_cast<double>(std::max<std::size_t>(heaps.size(), 1)));
    leave(heaps);
}

void measure_locked(settings const& s, report& r)
{
    pointer_table const table{s.mib * 1024};
    auto const lock = [](int flags) {
        if (mlockall(flags) != 0)
            throw unavailable{std::string{"mlockall is not permitted: "} + std::strerror(errno)};
    };
    // Either all that comes is locked, or all that there is once the heap holds what it holds. In both cases the program itself is resident
    // before the heap is made: its code, its libraries, its stack are not what the heap costs.
    lock(s.late ? MCL_CURRENT : MCL_CURRENT | MCL_FUTURE);
    if (s.late && munlockall() != 0)
        throw unavailable{std::string{"munlockall is not permitted: "} + std::strerror(errno)};
    std::uint64_t const base = process_resident();
    double const start = thread_ns();
    tslab::allocator heap{{.name = "locked"}};
    fill(heap, table);
    if (s.late)
        lock(MCL_CURRENT);
    r.number("ms", (thread_ns() - start) / 1e6);
    r.number("live", static_cast<double>(s.mib * mebibyte));
    r.number("held", static_cast<double>(process_resident() - base));
    for (void* const p : table.all())
        heap.free(p);
}

void measure_turns(settings const& s, report& r)
{
    constexpr std::size_t few = 4;
    constexpr int rounds = 7;
    heap_list heaps;
    for (std::size_t i = 0; i < std::max(s.count, few); ++i) {
        heaps.push_back(std::make_unique<tslab::allocator>(
            tslab::allocator_options{.name = "tenant", .epoch_count = 4, .reserve_bytes = 16 * mebibyte}));
        heaps.back()->free(heaps.back()->malloc(64));
    }
    auto const plain = [](tslab::allocator& heap) { heap.free(heap.malloc(64)); };
    auto const scope = [](tslab::allocator& heap) {
        tslab::epoch_scope request{heap, "request"};
        request.resource()->deallocate(request.resource()->allocate(64), 64);
    };
    double best[4] = {1e18, 1e18, 1e18, 1e18};
    for (int round = 0; round < rounds; ++round) {
        std::size_t const turns = 20'000;
        best[0] = std::min(best[0], ns_each(heaps, few, turns, plain));
        best[1] = std::min(best[1], ns_each(heaps, s.count, turns, plain));
        best[2] = std::min(best[2], ns_each(heaps, few, turns, scope));
        best[3] = std::min(best[3], ns_each(heaps, s.count, turns, scope));
    }
    r.number("few_ns", best[0]);
    r.number("many_ns", best[1]);
    r.number("few_scopes_ns", best[2]);
    r.number("many_scopes_ns", best[3]);
    leave(heaps);
}

void measure_descriptors(settings const& s, report& r)
{
    std::uint64_t const before = open_descriptors();
    heap_list heaps = make_heaps(s.count);
    r.number("heaps", static_cast<double>(heaps.size()));
    r.number("more", static_cast<double>(open_descriptors()) - static_cast<double>(before));
    leave(heaps);
}

}
