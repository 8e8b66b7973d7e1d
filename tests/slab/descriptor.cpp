// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Descriptors: what an owner says, and the views of a descriptor in its four roles.
#define BOOST_TEST_MODULE descriptor
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

import tslab.internal;

using tslab::owner_ref;
using tslab::slab_meta;

namespace {

struct alignas(tslab::bin_code_step) some_bin {
    int number = 0;
};

}

BOOST_AUTO_TEST_CASE(an_owner_is_one_thing_only)
{
    some_bin bin{7};
    std::uint64_t resource = 0;
    std::vector<owner_ref> const all{owner_ref::none(), owner_ref::nowhere(), owner_ref::reclaiming(),
                                     owner_ref::of_bin(&bin), owner_ref::of_resource(&resource)};
    for (std::size_t i = 0; i < all.size(); ++i) {
        BOOST_TEST(all[i].is_none() == (i == 0));
        BOOST_TEST(all[i].is_nowhere() == (i == 1));
        BOOST_TEST(all[i].is_reclaiming() == (i == 2));
        BOOST_TEST(all[i].is_cache_bin() == (i == 3));
        for (std::size_t k = 0; k < all.size(); ++k)
            BOOST_TEST((all[i] == all[k]) == (i == k));
    }
    BOOST_TEST(&all[3].bin<some_bin>() == &bin);
    BOOST_TEST(all[3].bin<some_bin>().number == 7);
    BOOST_TEST(all[3].bin_address() == reinterpret_cast<std::uintptr_t>(&bin));
    BOOST_TEST(owner_ref::of_resource(nullptr).is_nowhere());
    BOOST_TEST(owner_ref{}.is_none());   // what zeroed memory says
}

BOOST_AUTO_TEST_CASE(a_resource_at_the_address_of_a_bin_is_not_taken_for_it)
{
    some_bin bin;
    owner_ref const resource = owner_ref::of_resource(&bin);
    BOOST_TEST(!resource.is_cache_bin());
    BOOST_TEST((resource != owner_ref::of_bin(&bin)));
}

BOOST_AUTO_TEST_CASE(a_large_allocation_knows_its_size_its_pages_and_its_resource)
{
    slab_meta s;
    std::uint64_t resource = 0;
    std::uint64_t other = 0;
    tslab::large_allocation::make(s, 1'000'001, 245, &resource);
    tslab::large_allocation const a{s};
    BOOST_TEST(a.bytes() == 1'000'001u);
    BOOST_TEST(a.pages() == 245u);
    BOOST_TEST(a.is_of(&resource));
    BOOST_TEST(!a.is_of(&other));
    tslab::large_allocation::make(s, 5, 1, nullptr);
    BOOST_TEST(a.bytes() == 5u);
    BOOST_TEST(!a.is_of(&resource));
}

BOOST_AUTO_TEST_CASE(the_stack_of_partial_slabs_links_in_both_directions_of_addresses)
{
    std::array<slab_meta, 3> slabs;
    tslab::set_next_partial(slabs[1], &slabs[2]);
    tslab::set_next_partial(slabs[2], &slabs[0]);
    tslab::set_next_partial(slabs[0], nullptr);
    BOOST_TEST(tslab::next_partial(slabs[1]) == &slabs[2]);
    BOOST_TEST(tslab::next_partial(slabs[2]) == &slabs[0]);
    BOOST_TEST(tslab::next_partial(slabs[0]) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_subslab_leads_to_its_slab_and_begins_empty)
{
    constexpr unsigned bin = 8;
    static_assert(tslab::has_subslabs(bin));
    slab_meta slab;
    slab_meta subslab;
    subslab.owner.store(owner_ref::none());
    std::byte memory{};
    tslab::make_subslab(subslab, slab, bin, &memory);
    BOOST_TEST(&tslab::slab_of(subslab, bin) == &slab);
    BOOST_TEST(&tslab::slab_of(slab, 0) == &slab);   // a slab of one subslab is that
    BOOST_TEST(subslab.base == &memory);
    BOOST_TEST(subslab.local_free.load() == tslab::bins[bin].full_mask);
    BOOST_TEST(subslab.owner.load().is_nowhere());
}

BOOST_AUTO_TEST_CASE(purged_slots_are_noted_beside_the_words)
{
    std::array<slab_meta, 2> pages;
    pages[0].local_free.store(3);
    BOOST_TEST(tslab::purged_slots(pages[0]) == 0u);
    tslab::set_purged_slots(pages[0], 0xf0);
    BOOST_TEST(tslab::purged_slots(pages[0]) == 0xf0u);
    BOOST_TEST(pages[0].local_free.load() == 3u);
    tslab::set_purged_slots(pages[0], 0);
    BOOST_TEST(tslab::purged_slots(pages[0]) == 0u);
}

BOOST_AUTO_TEST_CASE(a_list_removes_from_its_middle_and_its_ends)
{
    std::array<slab_meta, 3> slabs;
    tslab::slab_list list;
    for (slab_meta& s : slabs)
        list.push(s);
    list.remove(slabs[1]);
    BOOST_TEST(list.front() == &slabs[2]);
    BOOST_TEST(list.back() == &slabs[0]);
    list.remove(slabs[0]);
    BOOST_TEST(list.back() == &slabs[2]);
    BOOST_TEST(list.pop() == &slabs[2]);
    BOOST_TEST(list.pop() == nullptr);
    BOOST_TEST(list.size() == 0u);
}
