// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What other hardened allocators demand of themselves: pointers that were never written and mappings that were never allocated are refused; thousands
// of double frees are each found, here and across threads; and writes where memory was free, or past an object, hit no
// bookkeeping, since there is none in it.
#define BOOST_TEST_MODULE death_corruption
#include "death.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <sys/mman.h>
#include <thread>
#include <vector>
import tslab.internal;

namespace {

using death::must;

constexpr std::size_t rounds = 1024;
constexpr std::size_t objects = 64;

std::uint64_t double_frees = 0;
std::uint64_t others = 0;

void count(tslab::misuse_report const& r) { ++(r.kind == tslab::misuse::double_free ? double_frees : others); }

std::vector<std::byte*> take(tslab::allocator& heap, std::size_t n, std::size_t size)
{
    std::vector<std::byte*> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(static_cast<std::byte*>(heap.malloc(size)));
    must(std::set<std::byte*>{all.begin(), all.end()}.size() == n, "an object was handed out twice");
    return all;
}

/// Free memory was overwritten by `spoil`: what is allocated next is distinct, whole and counted.
template <class Spoil> auto spoiled(std::size_t size, Spoil spoil)
{
    return [=](death::notes&) {
        tslab::set_error_handler(count);
        tslab::allocator heap{{.name = "h"}};
        for (std::size_t round = 0; round < rounds / 8; ++round) {
            spoil(heap, take(heap, objects, size));
            std::vector<std::byte*> const all = take(heap, 2 * objects, size);
            for (std::byte* const p : all)
                std::memset(p, 0x5a, size);
            for (std::byte* const p : all)
                heap.free(p);
            if (round % 16 == 0)
                heap.close(heap.current_epoch());
        }
        heap.close(heap.current_epoch());
        tslab::global_stats const g = heap.snapshot().global;
        must(g.live_objects == 0 && g.slabs_in_use == 0 && g.misuses == 0 && others + double_frees == 0, "figures");
        must(g.allocations == rounds / 8 * 3 * objects && g.frees == g.allocations, "counts");
    };
}

}

BOOST_AUTO_TEST_CASE(memory_of_mmap_readable_or_not)
{
    for (int const protection : {PROT_READ | PROT_WRITE, PROT_NONE})
        TSLAB_ABORTS("tslab: free of foreign pointer {0} (heap \"h\")", [protection](death::notes& note) {
            tslab::allocator heap{{.name = "h"}};
            void* const p = ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            note(p);
            heap.free(p);
        });
}

// What stands in fresh memory is zero or an old pattern; neither is a pointer of a heap.
BOOST_AUTO_TEST_CASE(a_pointer_read_from_memory_that_was_never_written)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        auto* const p = static_cast<void**>(heap.malloc(256));
        heap.free(*p);   // fresh from the kernel: null
        heap.free(p);
    });
    TSLAB_ABORTS("tslab: free of foreign pointer {0} (heap \"h\")", [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        auto* const p = static_cast<void**>(heap.malloc(256));
        std::memset(p, 0x65, 256);
        note(*p);
        heap.free(*p);
    });
}

BOOST_AUTO_TEST_CASE(a_large_double_free_with_others_in_between)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\")", [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        std::array<void*, 3> p{heap.malloc(256 << 10), heap.malloc(256 << 10), heap.malloc(256 << 10)};
        note(p[0]);
        heap.free(p[0]);
        heap.free(p[1]);
        heap.free(p[0]);
    });
}

BOOST_AUTO_TEST_CASE(rounds_of_double_frees_are_each_found)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::set_error_handler(count);
        tslab::allocator heap{{.name = "h"}};
        for (std::size_t const size : {std::size_t{16}, std::size_t{32}, std::size_t{700}})
            for (std::size_t round = 0; round < rounds; ++round) {
                std::vector<std::byte*> const all = take(heap, objects, size);
                heap.free(all[objects / 2]);
                heap.free(all[objects / 2]);
                for (std::size_t i = 0; i < objects; ++i)
                    if (i != objects / 2)
                        heap.free(all[i]);
                for (std::byte* const p : take(heap, objects, size))
                    heap.free(p);
            }
        must(double_frees == 3 * rounds && others == 0, "each is found, and reported as what it is");
        must(heap.snapshot().global.live_objects == 0, "nothing was lost");
    });
}

BOOST_AUTO_TEST_CASE(rounds_of_double_frees_on_another_thread_are_each_found)
{
    constexpr std::size_t few = 64;
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::set_error_handler(count);
        tslab::allocator heap{{.name = "h"}};
        for (std::size_t round = 0; round < few; ++round) {
            std::vector<std::byte*> const all = take(heap, objects, 32);
            heap.free(all[objects / 2]);
            std::thread{[&] { heap.free(all[objects / 2]); }}.join();
            for (std::size_t i = 0; i < objects; ++i)
                if (i != objects / 2)
                    heap.free(all[i]);
            for (std::byte* const p : take(heap, objects, 32))
                heap.free(p);
        }
        must(double_frees == few && others == 0, "each is found, and reported as what it is");
        must(heap.snapshot().global.live_objects == 0, "nothing was lost");
    });
}

#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
#if !__has_feature(address_sanitizer)   // it may find the writes themselves, which is better

BOOST_AUTO_TEST_CASE(a_write_after_free_corrupts_no_bookkeeping)
{
    TSLAB_SURVIVES("", spoiled(32, [](tslab::allocator& heap, std::vector<std::byte*> const& all) {
                       for (std::byte* const p : all)
                           heap.free(p);
                       std::memset(all[objects / 2], 0xef, 32);
                   }));
}

BOOST_AUTO_TEST_CASE(a_write_after_a_remote_free_corrupts_no_bookkeeping)
{
    TSLAB_SURVIVES("", spoiled(32, [](tslab::allocator& heap, std::vector<std::byte*> const& all) {
                       std::thread{[&] {
                           for (std::byte* const p : all)
                               heap.free(p);
                       }}.join();
                       std::memset(all[objects / 2], 0xef, 32);
                   }));
}

BOOST_AUTO_TEST_CASE(an_overflow_into_a_freed_neighbour_corrupts_no_bookkeeping)
{
    TSLAB_SURVIVES("", spoiled(16, [](tslab::allocator& heap, std::vector<std::byte*> const& all) {
                       for (std::size_t i = 0; i < objects; i += 2)
                           heap.free(all[i]);
                       std::memset(all[1], 0xab, 64);   // three neighbours, live and not
                       for (std::size_t i = 1; i < objects; i += 2)
                           heap.free(all[i]);
                   }));
}

#endif
