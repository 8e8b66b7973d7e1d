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
    auto const told = [&] {
        std::vector<std::pair<std::uint32_t, std::uint32_t>> all;
        for (std::uint32_t at = list.head(); at != 0; at = list.next_of(at))
            all.emplace_back(list.run_at(at).first, list.run_at(at).count);
        return all;
    };
    using runs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
    list.insert({20, 5});
    list.insert({10, 5});
    list.insert({30, 5});
    BOOST_TEST((told() == runs{{10, 5}, {20, 5}, {30, 5}}));
    list.insert({15, 5});
    BOOST_TEST((told() == runs{{10, 15}, {30, 5}}));
    list.insert({25, 5});
    BOOST_TEST((told() == runs{{10, 25}}));
    list.insert({35, 1});
    list.insert({9, 1});
    BOOST_TEST((told() == runs{{9, 27}}));
    list.erase({20, 2});
    list.erase({9, 1});
    list.erase({35, 1});
    BOOST_TEST((told() == runs{{10, 10}, {22, 13}}));
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
        std::vector<bool> told(300);
        std::uint32_t last = 0;
        for (std::uint32_t at = list.head(); at != 0; at = list.next_of(at)) {
            unit_run const r = list.run_at(at);
            BOOST_REQUIRE((last == 0 || r.first > last));   // with a gap: neighbours are joined
            last = r.first + r.count;
            std::fill(told.begin() + r.first, told.begin() + last, true);
        }
        BOOST_REQUIRE((told == model));
    }
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
    BOOST_TEST((window.slabs()[again.first * tslab::unit_pages].owner.load() == &tslab::nowhere));
    window.give(again, yours);
    window.give(b, yours);
    BOOST_TEST(window.take(window.max_units() + 1, 1, mine).count == 0u);
}

BOOST_FIXTURE_TEST_CASE(what_somebody_else_has_mapped_in_the_window_is_left_alone, opened)
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
            if (tslab::slab const* const s = map.find_block(at, bin))
                BOOST_TEST(s->shared.load() == 0u);
        BOOST_TEST(!tslab::empty_map.covers(at));
        BOOST_TEST(tslab::empty_map.find(at) == nullptr);
    }
    window.give(a, mine);
}
