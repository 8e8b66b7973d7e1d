// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The window of addresses: units are mapped when they are taken and unmapped when they are given back, mappings of others
// in it are left alone, descriptors can be read for ever, and where no range can be had one is reserved.
#define BOOST_TEST_MODULE window
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using tslab::address_window;
using tslab::unit_bytes;
using tslab::unit_run;

namespace {

constexpr std::uint64_t mine = address_window::owner_mark(7);
constexpr std::uint64_t yours = address_window::owner_mark(8);

std::byte* address_of(std::uint32_t unit)
{
    return reinterpret_cast<std::byte*>(tslab::process_window.map().base() +
                                        (std::uint64_t{unit} << tslab::unit_shift));
}

struct opened {
    support::os_hook hook;
    opened() { BOOST_REQUIRE(tslab::process_window.open()); }
    address_window& window = tslab::process_window;
};

}

BOOST_AUTO_TEST_CASE(runs_are_ordered_joined_and_split)
{
    std::vector<tslab::unit_link> memory(100);
    tslab::unit_link* links = memory.data();
    tslab::atomic<std::uint32_t> head{0};
    tslab::unit_list list{links, head};
    auto const runs_now = [&] {
        std::vector<std::pair<std::uint32_t, std::uint32_t>> all;
        for (std::uint32_t at = list.head(); at != 0; at = list.next_of(at))
            all.emplace_back(list.run_at(at).first, list.run_at(at).count);
        return all;
    };
    using runs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
    list.insert({20, 5});
    list.insert({10, 5});
    list.insert({30, 5});
    BOOST_TEST((runs_now() == runs{{10, 5}, {20, 5}, {30, 5}}));
    list.insert({15, 5});
    BOOST_TEST((runs_now() == runs{{10, 15}, {30, 5}}));
    list.insert({25, 5});
    BOOST_TEST((runs_now() == runs{{10, 25}}));
    list.insert({35, 1});
    list.insert({9, 1});
    BOOST_TEST((runs_now() == runs{{9, 27}}));
    list.erase({20, 2});
    list.erase({9, 1});
    list.erase({35, 1});
    BOOST_TEST((runs_now() == runs{{10, 10}, {22, 13}}));
    BOOST_TEST(list.first_fit(11, 1).first == 22u);
    BOOST_TEST(list.first_fit(8, 8).first == 24u);
    BOOST_TEST(list.first_fit(14, 1).count == 0u);
    list.erase({10, 10});
    list.erase({22, 13});
    BOOST_TEST(list.head() == 0u);
}

BOOST_AUTO_TEST_CASE(a_list_of_runs_is_the_set_of_its_units)
{
    std::vector<tslab::unit_link> memory(300);
    tslab::unit_link* links = memory.data();
    tslab::atomic<std::uint32_t> head{0};
    tslab::unit_list list{links, head};
    std::vector<bool> model(300);
    std::mt19937 random{5};
    for (int step = 0; step < 5000; ++step) {
        std::uint32_t const first = random() % 290;
        std::uint32_t const count = 1 + random() % 10;
        bool const in = model[first];
        if (!std::all_of(model.begin() + first, model.begin() + first + count, [in](bool b) { return b == in; }))
            continue;
        if (in)
            list.erase({first, count});
        else
            list.insert({first, count});
        std::fill(model.begin() + first, model.begin() + first + count, !in);
        std::vector<bool> covered(300);
        std::uint32_t last = 0;
        for (std::uint32_t at = list.head(); at != 0; at = list.next_of(at)) {
            unit_run const r = list.run_at(at);
            BOOST_REQUIRE((last == 0 || r.first > last));   // with a gap: neighbours are joined
            last = r.first + r.count;
            std::fill(covered.begin() + r.first, covered.begin() + last, true);
        }
        BOOST_REQUIRE((covered == model));
    }
}

// A reader has no lock: the list changes between two steps of its walk.
BOOST_AUTO_TEST_CASE(a_walk_meets_no_unit_twice_while_runs_are_split_and_joined)
{
    std::vector<tslab::unit_link> memory(100);
    tslab::unit_link* links = memory.data();
    tslab::atomic<std::uint32_t> head{0};
    tslab::unit_list list{links, head};
    auto const walk = [&](auto change) {
        std::vector<unsigned> times(100, 0);
        bool first = true;
        list.for_each(100, [&](unit_run r) {
            BOOST_REQUIRE(r.first + r.count <= 100u);
            for (std::uint32_t u = r.first; u < r.first + r.count; ++u)
                ++times[u];
            if (std::exchange(first, false))
                change();
        });
        return times;
    };
    auto const expected = [](std::initializer_list<unit_run> runs) {
        std::vector<unsigned> times(100, 0);
        for (unit_run const r : runs)
            std::fill_n(times.begin() + r.first, r.count, 1u);
        return times;
    };
    list.insert({10, 20});
    list.insert({40, 5});
    BOOST_TEST((walk([] {}) == expected({{10, 20}, {40, 5}})));
    // The run that was just visited is split: its rest is another run now.
    BOOST_TEST((walk([&] { list.erase({15, 1}); }) == expected({{10, 20}, {40, 5}})));
    BOOST_TEST((walk([] {}) == expected({{10, 5}, {16, 14}, {40, 5}})));
    // What follows grows downwards, into what was visited already.
    list.erase({10, 5});
    list.erase({24, 6});   // 16 to 23, and 40 to 44
    BOOST_TEST((walk([&] {
                    list.erase({20, 4});
                    list.insert({20, 4});
                    list.erase({16, 2});
                }) == expected({{16, 8}, {40, 5}})));
    // Both are joined while the first one is visited.
    list.insert({30, 5});   // 18 to 23, 30 to 34, 40 to 44
    // What stays in the list all the time is met, and met once.
    std::vector<unsigned> const joined = walk([&] { list.insert({24, 6}); });
    for (std::uint32_t u = 0; u < 100; ++u)
        if (u < 24 || u >= 30)
            BOOST_TEST(joined[u] == expected({{18, 6}, {30, 5}, {40, 5}})[u], "unit " << u);
        else
            BOOST_TEST(joined[u] <= 1u, "unit " << u);
    BOOST_TEST((walk([] {}) == expected({{18, 17}, {40, 5}})));
    list.insert({35, 5});
    BOOST_TEST((walk([] {}) == expected({{18, 27}})));
}

BOOST_FIXTURE_TEST_CASE(units_are_mapped_while_they_are_owned_and_only_then, opened)
{
    unit_run const a = window.take(2, 1, mine);
    unit_run const b = window.take(1, 4, yours);
    BOOST_REQUIRE((a.count == 2 && b.count == 1));
    BOOST_TEST(b.first % 4 == 0u);
    std::memset(address_of(a.first), 1, 2 * unit_bytes);
    BOOST_TEST(tslab::resident_bytes(address_of(a.first), 2 * unit_bytes) == 2 * unit_bytes);
    BOOST_TEST(window.owner_of(address_of(a.first) + 2 * unit_bytes - 1) == mine);
    BOOST_TEST(window.owner_of(address_of(b.first)) == yours);
    window.give(a, mine);
    BOOST_TEST(tslab::resident_bytes(address_of(a.first), 2 * unit_bytes) == 0u);
    BOOST_TEST(window.owner_of(address_of(a.first)) == (mine | 1U));
    // The lowest place first, as zeroed memory, with descriptors that say nothing.
    unit_run const again = window.take(1, 1, yours);
    BOOST_TEST(again.first == a.first);
    BOOST_TEST(std::to_integer<int>(*address_of(again.first)) == 0);
    BOOST_TEST(window.slabs()[again.first * tslab::unit_pages].owner.load().is_nowhere());
    window.give(again, yours);
    window.give(b, yours);
    BOOST_TEST(window.take(window.max_units() + 1, 1, mine).count == 0u);
}

BOOST_FIXTURE_TEST_CASE(other_mappings_in_the_window_are_left_alone, opened)
{
    auto& os = tslab::os();
    unit_run const a = window.take(1, 1, mine);
    std::byte* const theirs = address_of(a.first + 1);
    BOOST_REQUIRE((os.map_at(theirs, 3 * unit_bytes) == tslab::map_result::mapped));
    std::memset(theirs, 0x55, 3 * unit_bytes);
    unit_run const b = window.take(2, 1, mine);
    BOOST_REQUIRE(b.count == 2);
    BOOST_TEST((b.first + 2 <= a.first + 1 || b.first >= a.first + 4));
    std::memset(address_of(b.first), 1, 2 * unit_bytes);
    BOOST_TEST(std::all_of(theirs, theirs + 3 * unit_bytes, [](std::byte x) { return x == std::byte{0x55}; }));
    window.give(a, mine);
    window.give(b, mine);
    // Also where something of the window itself was before.
    BOOST_REQUIRE((os.map_at(address_of(a.first), tslab::page_bytes) == tslab::map_result::mapped));
    unit_run const c = window.take(1, 1, mine);
    BOOST_TEST(c.count == 1u);
    BOOST_TEST(c.first != a.first);
    window.give(c, mine);
    os.release(address_of(a.first), tslab::page_bytes);
    os.release(theirs, 3 * unit_bytes);
}

// Each collision leaves more units out, but never so many that mappings of others here and there use up the window.
BOOST_FIXTURE_TEST_CASE(mappings_of_others_do_not_use_up_the_window, opened)
{
    constexpr std::uint64_t collisions = 320;   // of five requests that are given up, at 64 each
    hook.collisions_left = collisions;
    unsigned given_up = 0;
    unit_run r = window.take(1, 1, mine);
    for (; r.count == 0 && given_up < 10; ++given_up)
        r = window.take(1, 1, mine);
    BOOST_TEST(given_up == 5u);
    BOOST_REQUIRE(r.count == 1u);
    BOOST_TEST(hook.collisions_left == 0u);
    BOOST_TEST(r.first <= collisions * (window.most_jump() + 1));
    BOOST_TEST(r.first < window.max_units() / 8);
    window.give(r, mine);
}

// A process with as many mappings as it may have cannot unmap a part of one.
BOOST_FIXTURE_TEST_CASE(units_that_cannot_be_unmapped_serve_the_next_and_go_when_they_can, opened)
{
    unit_run const a = window.take(3, 1, mine);
    unit_run const b = window.take(1, 1, mine);
    BOOST_REQUIRE((a.count == 3 && b.count == 1));
    std::memset(address_of(a.first), 1, 3 * unit_bytes);
    hook.fail_release = true;
    std::uint64_t const refused = tslab::refused_releases();
    BOOST_TEST(!window.give(a, mine));
    BOOST_TEST(tslab::refused_releases() == refused + 1);
    BOOST_TEST(tslab::resident_bytes(address_of(a.first), 3 * unit_bytes) == 0u);
    BOOST_TEST(window.owner_of(address_of(a.first)) == (mine | 1U));
    // Mapped still: no call is made for them, and they read as zero.
    std::uint64_t const maps = hook.maps;
    unit_run const c = window.take(2, 1, yours);
    BOOST_TEST((c.first == a.first && c.count == 2));
    BOOST_TEST(hook.maps == maps);
    BOOST_TEST(window.owner_of(address_of(c.first)) == yours);
    BOOST_TEST(std::all_of(address_of(c.first), address_of(c.first) + 2 * unit_bytes,
                           [](std::byte x) { return x == std::byte{0}; }));
    BOOST_TEST(window.slabs()[c.first * tslab::unit_pages].owner.load().is_nowhere());
    // Memory that cannot be given back either is cleared at least.
    hook.fail_purge = true;
    std::memset(address_of(c.first), 1, 2 * unit_bytes);
    BOOST_TEST(!window.give(c, yours));
    unit_run const d = window.take(2, 1, mine);
    BOOST_TEST(d.first == a.first);
    BOOST_TEST(std::all_of(address_of(d.first), address_of(d.first) + 2 * unit_bytes,
                           [](std::byte x) { return x == std::byte{0}; }));
    BOOST_TEST(!window.give(d, mine));
    hook.fail_purge = false;
    // The next one that can be unmapped takes those with it.
    hook.fail_release = false;
    std::uint64_t const released = hook.release_bytes;
    BOOST_TEST(window.give(b, mine));
    BOOST_TEST(hook.release_bytes == released + 4 * unit_bytes);
    unit_run const e = window.take(4, 1, mine);
    BOOST_TEST((e.first == a.first && e.count == 4));
    BOOST_TEST(window.give(e, mine));
    BOOST_TEST(hook.release_bytes == released + 8 * unit_bytes);
}

BOOST_FIXTURE_TEST_CASE(descriptors_of_units_without_an_owner_take_no_memory, opened)
{
    unit_run const a = window.take(32, 1, mine);
    unit_run const b = window.take(1, 1, mine);
    BOOST_REQUIRE(window.commit_subslabs(a.first + 31));
    tslab::slab_meta* const first = &window.slabs()[a.first * tslab::unit_pages];
    tslab::slab_meta* const subslabs = window.subslabs_of(a.first * tslab::unit_pages);
    constexpr std::size_t bytes = 32 * address_window::slab_bytes_of_unit;
    constexpr std::size_t of_subslabs = 32 * address_window::subslab_bytes_of_unit;
    for (std::uint32_t i = 0; i < 32 * tslab::unit_pages * tslab::max_subslabs; ++i)
        subslabs[i].owner.store(tslab::owner_ref::nowhere());
    BOOST_TEST(tslab::resident_bytes(first, bytes) == bytes);
    BOOST_TEST(tslab::resident_bytes(subslabs, of_subslabs) == of_subslabs);
    window.give(a, mine);
    BOOST_TEST(tslab::resident_bytes(first, bytes) == 0u);
    BOOST_TEST(tslab::resident_bytes(subslabs, of_subslabs) == 0u);
    BOOST_TEST(tslab::resident_bytes(first + 32 * tslab::unit_pages, tslab::page_bytes) != 0u);   // b's
    BOOST_TEST(first->tag.load() == tslab::tag_none);   // they can be read for ever
    unit_run const again = window.take(32, 1, yours);
    BOOST_TEST(again.first == a.first);
    BOOST_TEST(first->owner.load().is_nowhere());
    window.give(again, yours);
    window.give(b, mine);
}

BOOST_FIXTURE_TEST_CASE(a_system_without_memory_refuses_and_nothing_is_lost, opened)
{
    unit_run const a = window.take(1, 1, mine);
    hook.fail_commit = true;
    BOOST_TEST(window.take(1, 1, mine).count == 0u);
    BOOST_TEST(window.take(1000, 1, mine).count == 0u);   // for the descriptors already
    hook.fail_commit = false;
    unit_run const b = window.take(1, 1, mine);
    BOOST_TEST(b.first == a.first + 1);
    window.give(a, mine);
    window.give(b, mine);
    // A whole table that grows must not end in the middle: each refusal leaves what was there usable.
    for (std::uint64_t n = 0; n < 12; ++n) {
        hook.commits_left = n;
        unit_run const some = window.take(500 + 100 * static_cast<std::uint32_t>(n), 1, mine);
        hook.commits_left = ~std::uint64_t{0};
        if (some.count != 0)
            window.give(some, mine);
        unit_run const one = window.take(1, 1, mine);
        BOOST_REQUIRE(one.count == 1);
        window.give(one, mine);
    }
}

BOOST_AUTO_TEST_CASE(where_no_range_is_free_one_is_reserved_and_halved_until_it_is_granted)
{
    support::os_hook hook;
    hook.taken_below = ~std::uintptr_t{0};
    hook.fail_reserve_above = std::size_t{1} << 30;
    BOOST_REQUIRE(tslab::process_window.open());
    BOOST_TEST(tslab::process_window.reserved());
    BOOST_TEST(hook.reserve_bytes <= std::size_t{1} << 30);
    std::uint32_t const most = tslab::process_window.max_units();
    BOOST_TEST(most >= (std::size_t{256} << 20) / unit_bytes);
    {
        tslab::allocator heap{{.name = "reserved"}};
        void* const p = heap.malloc(std::size_t{100} << 20);
        BOOST_REQUIRE(p != nullptr);
        std::memset(p, 1, std::size_t{100} << 20);
        heap.free(p);
        heap.trim();
        BOOST_TEST(tslab::resident_bytes(p, std::size_t{100} << 20) == 0u);
        BOOST_TEST(heap.malloc((std::size_t{most} + 1) << tslab::unit_shift) == nullptr);
    }
    tslab::process_window.close();
    BOOST_TEST(!tslab::process_window.reserved());
    hook.fail_reserve_above = 4096;
    BOOST_TEST(!tslab::process_window.open());
    BOOST_CHECK_THROW(tslab::page_heap{0}, std::bad_alloc);
    hook.taken_below = 0;
    BOOST_TEST(tslab::process_window.open());   // tried again
    BOOST_TEST(!tslab::process_window.reserved());
}

BOOST_AUTO_TEST_CASE(a_range_whose_beginning_is_taken_is_not_used)
{
    support::os_hook hook;
    hook.taken_below = 0x1000'0000'0000;
    BOOST_REQUIRE(tslab::process_window.open());
    BOOST_TEST((tslab::process_window.map().base() >= 0x1000'0000'0000 || tslab::process_window.reserved()));
}

BOOST_FIXTURE_TEST_CASE(any_pointer_whatsoever_is_looked_up_without_a_fault, opened)
{
    unit_run const a = window.take(1, 1, mine);
    tslab::address_map const& map = window.map();
    std::uintptr_t const base = map.base();
    for (std::uintptr_t const p :
         {std::uintptr_t{0}, std::uintptr_t{1}, base - 1, base, base + unit_bytes, base + (std::uintptr_t{1} << 37),
          base + (std::uintptr_t{1} << 42), ~std::uintptr_t{0}, ~std::uintptr_t{0} >> 1, std::uintptr_t{1} << 63}) {
        auto* const at = reinterpret_cast<void*>(p);
        BOOST_TEST(map.covers(at) == (map.find(at) != nullptr));
        for (unsigned bin = 0; bin < tslab::bin_count; ++bin)
            if (tslab::slab_meta const* const s = map.find_subslab(at, bin))
                BOOST_TEST(s->remote_free.load() == 0u);
        BOOST_TEST(!tslab::empty_map.covers(at));
        BOOST_TEST(tslab::empty_map.find(at) == nullptr);
    }
    window.give(a, mine);
}
