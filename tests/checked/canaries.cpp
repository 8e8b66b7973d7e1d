// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a heap with canaries notices, that no other does: each fault once, by its kind, at its address; and nothing else.
#include "recorder.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>
import tslab.internal;

namespace {

using tslab::misuse;

/// A heap without guard pages, and what it reports.
struct checked_heap {
    explicit checked_heap(std::uint32_t guard_sampling = 0)
        : heap{{.name = "checked", .checks = tslab::check_mode::canaries, .guard_sampling = guard_sampling}}
    {
    }
    support::recorder seen;
    tslab::allocator heap;
};

std::byte* bytes_of(void* p) { return static_cast<std::byte*>(p); }

/// Sizes at and around the ends of classes, as they are with and without the eight bytes that a check takes.
std::vector<std::size_t> sizes()
{
    std::vector<std::size_t> all{0, 1, 7, 8, 9};
    for (std::size_t const c : {16U, 32U, 48U, 64U, 96U, 128U, 768U, 1024U, 4096U, 8192U, 32768U, 65536U, 100000U})
        for (std::size_t const d : {0U, 1U, 7U, 8U, 9U})
            all.push_back(c - d);
    return all;
}

}

BOOST_AUTO_TEST_CASE(every_size_is_usable_to_its_last_byte_and_reports_nothing)
{
    checked_heap h;
    for (int round = 0; round < 3; ++round) {
        tslab::epoch_resource r{h.heap, {.label = "sizes"}};
        for (std::size_t const n : sizes())
            for (std::size_t const alignment : {1U, 8U, 16U, 64U, 256U, 4096U, 16384U}) {
                void* const p = r.allocate(n, alignment);
                BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
                std::memset(p, 0x55, n);
                void* const q = h.heap.malloc(n);
                std::memset(q, 0xff, n);
                tslab::handle name;
                void* const named = h.heap.allocate(n, h.heap.current_epoch(), name);
                std::memset(named, 0, n);
                r.deallocate(p, n, alignment);
                h.heap.free(q);
                BOOST_REQUIRE((h.heap.free(name) == tslab::free_result::ok));
            }
    }
    BOOST_TEST(h.heap.malloc(SIZE_MAX) == nullptr);
    BOOST_TEST(h.heap.malloc(SIZE_MAX - 8) == nullptr);
    BOOST_TEST(h.seen.count() == 0U);
}

BOOST_AUTO_TEST_CASE(one_byte_past_the_end_is_found_when_the_object_is_freed)
{
    for (std::size_t const n : sizes()) {
        checked_heap h;
        tslab::epoch_resource r{h.heap, {.label = "o"}};
        void* const p = r.allocate(n);
        bytes_of(p)[n] ^= std::byte{1};
        r.deallocate(p, n);
        BOOST_REQUIRE_MESSAGE(h.seen.count(misuse::overflow) == 1U, n << " bytes");
        BOOST_TEST(h.seen.last().address == p);
        bytes_of(p)[n] ^= std::byte{1};   // as it was: then it can be freed
        r.deallocate(p, n);
        BOOST_TEST(h.seen.count() == 1U);

        tslab::handle name;
        void* const named = h.heap.allocate(n, h.heap.current_epoch(), name);
        bytes_of(named)[n] ^= std::byte{1};
        BOOST_TEST((h.heap.free(name) == tslab::free_result::ok));
        BOOST_TEST(h.seen.count(misuse::overflow) == 2U);
    }
}

BOOST_AUTO_TEST_CASE(every_byte_of_the_slack_and_the_word_is_watched)
{
    checked_heap h;
    void* const p = h.heap.malloc(33);   // in 48: seven bytes of slack, and the word
    for (std::size_t i = 33; i < 48; ++i) {
        bytes_of(p)[i] ^= std::byte{0x10};
        h.heap.free(p);
        BOOST_TEST(h.seen.count(misuse::overflow) == i - 32);
        bytes_of(p)[i] ^= std::byte{0x10};
    }
    h.heap.free(p);
    BOOST_TEST(h.seen.count() == 15U);
}

BOOST_AUTO_TEST_CASE(a_write_after_the_free_is_found_when_the_slot_is_used_again)
{
    for (std::size_t const n : {std::size_t{16}, std::size_t{56}, std::size_t{760}, std::size_t{4000}})
        for (std::size_t const at : {std::size_t{0}, n / 2, n - 1, n, n + 7}) {
            checked_heap h;
            std::set<void*> before;
            void* const p = h.heap.malloc(n);
            h.heap.free(p);
            bytes_of(p)[at] ^= std::byte{0x80};
            for (int i = 0; i < 65 && before.insert(h.heap.malloc(n)).second; ++i)
                if (before.contains(p))
                    break;
            BOOST_REQUIRE(before.contains(p));
            BOOST_REQUIRE_MESSAGE(h.seen.count(misuse::write_after_free) == 1U, n << " bytes, at " << at);
            BOOST_TEST(h.seen.last().address == p);
            BOOST_TEST(h.seen.count() == 1U);
            for (void* const q : before)
                h.heap.free(q);
        }
}

BOOST_AUTO_TEST_CASE(the_exact_size_and_alignment_count)
{
    checked_heap h;
    tslab::epoch_resource r{h.heap, {.label = "sizes"}};
    void* const p = r.allocate(40, 8);
    r.deallocate(p, 39, 8);   // the same class
    BOOST_TEST(h.seen.count(misuse::wrong_size) == 1U);
    BOOST_TEST(h.seen.last().given == 39U);
    r.deallocate(p, 40, 16);
    BOOST_TEST(h.seen.count(misuse::wrong_alignment) == 1U);
    BOOST_TEST(h.seen.last().given == 16U);
    r.deallocate(p, 40, 8);
    void* const large = r.allocate(200'000, 64);
    r.deallocate(large, 200'001, 64);
    BOOST_TEST(h.seen.count(misuse::wrong_size) == 2U);
    r.deallocate(large, 200'000, 64);
    BOOST_TEST(h.seen.count() == 3U);
    BOOST_TEST(h.heap.snapshot().global.live_objects == 0U);
}

BOOST_AUTO_TEST_CASE(what_every_build_reports_is_reported_here_as_well)
{
    checked_heap h;
    tslab::epoch_resource r{h.heap, {.label = "a"}};
    tslab::epoch_resource other{h.heap, {.label = "b"}};
    void* const p = r.allocate(100);
    other.deallocate(p, 100);
    BOOST_TEST(h.seen.count(misuse::wrong_resource) == 1U);
    r.deallocate(bytes_of(p) + 8, 100);
    BOOST_TEST(h.seen.count(misuse::interior_pointer) == 1U);
    r.deallocate(p, 100);
    r.deallocate(p, 100);
    h.heap.free(p);
    BOOST_TEST(h.seen.count(misuse::double_free) == 2U);
    int on_stack = 0;
    h.heap.free(&on_stack);
    BOOST_TEST(h.seen.count(misuse::foreign_pointer) == 1U);
    BOOST_TEST(h.seen.count() == 5U);
}

BOOST_AUTO_TEST_CASE(release_looks_at_what_it_gives_back)
{
    checked_heap h;
    tslab::epoch_resource r{h.heap, {.label = "phase"}};
    std::vector<std::byte*> objects;
    for (std::size_t const n : {24U, 24U, 500U, 30'000U, 120'000U})
        objects.push_back(bytes_of(r.allocate(n)));
    objects[1][24] ^= std::byte{1};
    objects[4][120'000] ^= std::byte{1};
    BOOST_TEST(r.release() == 5U);
    BOOST_TEST(h.seen.count(misuse::overflow) == 2U);
    for (int i = 0; i < 200; ++i)   // what was given back live is no write after a free
        std::memset(r.allocate(24), i, 24);
    BOOST_TEST(h.seen.count() == 2U);
    r.release();
}

BOOST_AUTO_TEST_CASE(what_a_heap_leaves_behind_is_looked_at)
{
    support::recorder const seen;
    {
        tslab::allocator heap{{.checks = tslab::check_mode::canaries, .guard_sampling = 0}};
        for (std::size_t const n : {24U, 30'000U, 120'000U}) {
            static_cast<void>(heap.malloc(n));
            bytes_of(heap.malloc(n))[n] ^= std::byte{1};
        }
    }
    BOOST_TEST(seen.count(misuse::overflow) == 3U);
    BOOST_TEST(seen.count(misuse::heap_live) == 1U);
    BOOST_TEST(seen.count() == 4U);
}

BOOST_AUTO_TEST_CASE(frees_on_other_threads_are_checked_too)
{
    checked_heap h;
    void* const good = h.heap.malloc(50);
    void* const bad = h.heap.malloc(50);
    bytes_of(bad)[51] ^= std::byte{1};
    std::thread{[&] {
        h.heap.free(good);
        h.heap.free(bad);
    }}.join();
    BOOST_TEST(h.seen.count(misuse::overflow) == 1U);
    bytes_of(bad)[51] ^= std::byte{1};
    h.heap.free(bad);
    BOOST_TEST(h.seen.count() == 1U);
}

BOOST_AUTO_TEST_CASE(a_count_only_resource_checks_what_it_counts)
{
    checked_heap h;
    tslab::epoch_resource r{h.heap, {.label = "count", .deallocate = tslab::deallocate_policy::count_only}};
    void* const p = r.allocate(24);
    r.deallocate(p, 25);
    BOOST_TEST(h.seen.count(misuse::wrong_size) == 1U);
    bytes_of(p)[24] ^= std::byte{1};
    r.deallocate(p, 24);
    BOOST_TEST(h.seen.count(misuse::overflow) == 1U);
    bytes_of(p)[24] ^= std::byte{1};
    r.deallocate(p, 24);
    BOOST_TEST(h.seen.count() == 2U);
}

BOOST_AUTO_TEST_CASE(guarded_objects_are_counted_and_given_back_as_others_are)
{
    checked_heap h{1};
    {
        tslab::epoch_resource r{h.heap, {.label = "guarded"}};
        for (int round = 0; round < 300; ++round)   // more than are kept out of reach
            for (std::size_t const n : {std::size_t{1}, std::size_t{64}, std::size_t{1000}, std::size_t{3000}}) {
                void* const p = r.allocate(n, 8);
                BOOST_REQUIRE((reinterpret_cast<std::uintptr_t>(p) + (n + 7) / 8 * 8) % tslab::page_bytes == 0);
                std::memset(p, round, n);
                r.deallocate(p, n, 8);
            }
        BOOST_TEST(h.heap.snapshot().global.live_objects == 0U);
        void* const p = r.allocate(61, 8);   // ends 3 bytes before the guard
        bytes_of(p)[61] = std::byte{1};
        r.deallocate(p, 61, 8);
        BOOST_TEST(h.seen.count(misuse::overflow) == 1U);
        bytes_of(p)[61] = std::byte{0xca};
        bytes_of(p)[-1] = std::byte{1};
        r.deallocate(p, 61, 8);
        BOOST_TEST(h.seen.count(misuse::overflow) == 2U);
        bytes_of(p)[-1] = std::byte{0xca};
        r.deallocate(p, 60, 8);
        BOOST_TEST(h.seen.count(misuse::wrong_size) == 1U);
        tslab::epoch_resource other{h.heap, {.label = "other"}};
        other.deallocate(p, 61, 8);
        BOOST_TEST(h.seen.count(misuse::wrong_resource) == 1U);
        r.deallocate(p, 61, 8);
        BOOST_TEST(h.seen.count() == 4U);
        (void)r.allocate(100);
        BOOST_TEST(r.release() == 1U);
        void* const loose = h.heap.malloc(100);
        h.heap.free(bytes_of(loose) + 16);   // inside
        BOOST_TEST(h.seen.count(misuse::interior_pointer) == 1U);
        h.heap.free(loose);
    }
    BOOST_TEST(h.seen.count() == 5U);
    for (auto const& e : h.heap.snapshot().epochs)
        BOOST_TEST(e.live_objects == 0U);
}

BOOST_AUTO_TEST_CASE(one_in_so_many_is_guarded)
{
    checked_heap h{50};
    tslab::epoch_resource r{h.heap, {.label = "sampled"}};
    std::size_t guarded = 0;
    constexpr std::size_t n = 20'000;
    for (std::size_t i = 0; i < n; ++i) {
        void* const p = r.allocate(64, 64);
        guarded += (reinterpret_cast<std::uintptr_t>(p) + 64) % tslab::page_bytes == 0 &&
                   h.heap.state().slab_at(p)->tag.load() == tslab::tag_large;
        r.deallocate(p, 64, 64);
    }
    BOOST_TEST(guarded > n / 50 / 2);
    BOOST_TEST(guarded < n / 50 * 2);
    BOOST_TEST(h.seen.count() == 0U);
}

BOOST_AUTO_TEST_CASE(containers_work)
{
    for (std::uint32_t const sampling : {0U, 1U, 7U}) {
        checked_heap h{sampling};
        tslab::epoch_resource r{h.heap, {.label = "containers"}};
        std::pmr::vector<std::pmr::string> words{&r};
        for (int i = 0; i < 2000; ++i)
            words.emplace_back(std::string(static_cast<std::size_t>(i % 300), 'x'));
        std::pmr::set<std::pmr::string> sorted{words.begin(), words.end(), &r};
        BOOST_TEST(sorted.size() == 300U);
        words.clear();
        words.shrink_to_fit();
        BOOST_TEST(h.seen.count() == 0U);
    }
}
