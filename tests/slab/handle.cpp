// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Handles: every field survives packing, no valid handle is empty, and fields do not touch one another.
#define BOOST_TEST_MODULE handle
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <random>

import tslab.slab;

using tslab::handle_fields;

BOOST_AUTO_TEST_CASE(a_default_handle_names_nothing)
{
    constexpr tslab::handle h;
    BOOST_TEST(!h);
    BOOST_TEST(h.bits() == 0u);
    BOOST_TEST((h == tslab::handle{0}));
    BOOST_TEST((h != tslab::handle{1}));
}

BOOST_AUTO_TEST_CASE(fields_lie_where_the_documentation_says)
{
    BOOST_TEST((handle_fields{1, 0, 0, 0}.pack().bits()) ==
               0u);   // the first use of a slot; its lowest bit is left out
    BOOST_TEST((handle_fields{3, 0, 0, 0}.pack().bits()) == 1u);
    BOOST_TEST((handle_fields{1, 1, 0, 0}.pack().bits()) == std::uint64_t{1} << 25);
    BOOST_TEST((handle_fields{1, 0, 1, 0}.pack().bits()) == std::uint64_t{1} << 31);
    BOOST_TEST((handle_fields{1, 0, 0, 1}.pack().bits()) == std::uint64_t{1} << 57);
    BOOST_TEST((handle_fields{0x3ffffff, 63, 0x3ffffff, 127}.pack().bits()) == ~std::uint64_t{0});
}

BOOST_AUTO_TEST_CASE(every_field_survives_packing)
{
    std::mt19937_64 random{3};
    for (int i = 0; i < 100'000; ++i) {
        std::uint64_t const bits = random();
        auto const f = handle_fields::unpack(tslab::handle{bits});
        BOOST_REQUIRE(f.pack().bits() == bits);
        BOOST_REQUIRE(f.generation <= handle_fields::last_generation);
        BOOST_REQUIRE(f.generation % 2 == 1);   // as of an allocation
        BOOST_REQUIRE(f.slot <= 63u);
        BOOST_REQUIRE(f.page < (1u << 26));
        BOOST_REQUIRE(f.heap <= 127u);
    }
}

BOOST_AUTO_TEST_CASE(a_generation_beyond_its_bits_does_not_spill_into_the_slot)
{
    auto const f = handle_fields::unpack(handle_fields{0x7ff'0001, 5, 6, 7}.pack());
    BOOST_TEST(f.generation == 0x3ff0001u);
    BOOST_TEST(f.slot == 5u);
    BOOST_TEST(f.page == 6u);
    BOOST_TEST(f.heap == 7u);
}

BOOST_AUTO_TEST_CASE(a_heap_tag_is_never_zero_and_fits_its_bits)
{
    for (std::uint64_t n : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{126}, std::uint64_t{127},
                            std::uint64_t{128}, std::uint64_t{254}, ~std::uint64_t{0}}) {
        BOOST_TEST(tslab::heap_tag(n) >= 1u);
        BOOST_TEST(tslab::heap_tag(n) <= 127u);
    }
    for (std::uint64_t n = 0; n < 1000; ++n)
        BOOST_REQUIRE(tslab::heap_tag(n) != tslab::heap_tag(n + 1));   // heaps made one after the other differ
}
