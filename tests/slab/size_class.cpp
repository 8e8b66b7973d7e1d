// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The table of size classes: every size and alignment gets the smallest class that serves it, and no other.
#define BOOST_TEST_MODULE size_class
#include <boost/test/unit_test.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

import tslab.slab;

BOOST_AUTO_TEST_CASE(the_first_eight_classes_are_fixed)
{
    constexpr std::array<unsigned, 8> sizes{64, 96, 128, 192, 256, 384, 512, 768};
    constexpr std::array<unsigned, 8> slots{64, 42, 32, 21, 16, 10, 8, 5};
    BOOST_REQUIRE(tslab::class_count >= 8u);
    for (unsigned c = 0; c < 8; ++c) {
        BOOST_TEST(tslab::class_sizes[c] == sizes[c]);
        BOOST_TEST(tslab::bins[c].size == sizes[c]);
        BOOST_TEST(tslab::bins[c].slots == slots[c]);
    }
    BOOST_TEST(tslab::max_class_size == 768u);
    BOOST_TEST(tslab::bin_count == 2 * tslab::class_count);
}

BOOST_AUTO_TEST_CASE(a_full_mask_has_one_bit_for_each_slot_that_fits_a_page)
{
    for (unsigned b = 0; b < tslab::bin_count; ++b) {
        auto const& bin = tslab::bins[b];
        BOOST_TEST(std::popcount(bin.full_mask) == int(bin.slots));
        BOOST_TEST(std::bit_width(bin.full_mask) == int(bin.slots));
        BOOST_TEST(bin.slots * bin.size <= tslab::page_bytes);
        BOOST_TEST((bin.slots == tslab::max_slots || (bin.slots + 1) * bin.size > tslab::page_bytes));
    }
}

BOOST_AUTO_TEST_CASE(a_handle_bin_has_the_geometry_of_its_pointer_bin)
{
    for (unsigned c = 0; c < tslab::class_count; ++c) {
        BOOST_TEST(tslab::class_of_bin(c) == c);
        BOOST_TEST(tslab::class_of_bin(c + tslab::class_count) == c);
        BOOST_TEST(tslab::bins[c + tslab::class_count].size == tslab::bins[c].size);
        BOOST_TEST(tslab::bins[c + tslab::class_count].full_mask == tslab::bins[c].full_mask);
    }
}

BOOST_AUTO_TEST_CASE(the_reciprocal_divides_every_offset_in_a_page)
{
    for (auto const& bin : tslab::bins)
        for (std::uint64_t offset = 0; offset < tslab::page_bytes; ++offset)
            if ((offset * bin.reciprocal) >> 32 != offset / bin.size)
                BOOST_ERROR("offset " << offset << " size " << bin.size);
}

BOOST_AUTO_TEST_CASE(every_slot_of_a_class_has_its_alignment_and_no_more)
{
    constexpr std::array<unsigned, 8> alignments{64, 32, 128, 64, 256, 128, 512, 256};
    for (unsigned c = 0; c < 8; ++c) {
        BOOST_TEST(tslab::class_alignment(c) == alignments[c]);
        for (unsigned slot = 0; slot < tslab::bins[c].slots; ++slot)
            BOOST_TEST(slot * tslab::bins[c].size % alignments[c] == 0u);
        BOOST_TEST(tslab::bins[c].size % (2 * alignments[c]) != 0u);
    }
    BOOST_TEST(tslab::common_alignment == 32u);
}

BOOST_AUTO_TEST_CASE(class_of_finds_the_smallest_class_for_every_size)
{
    for (std::size_t n = 0; n <= tslab::max_class_size; ++n) {
        unsigned expected = 0;
        while (tslab::class_sizes[expected] < n)
            ++expected;
        if (tslab::class_of(n) != expected)
            BOOST_ERROR("size " << n << ": " << tslab::class_of(n) << " instead of " << expected);
    }
}

BOOST_AUTO_TEST_CASE(class_of_honours_every_alignment_from_1_to_4096)
{
    for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2)
        for (std::size_t n = 0; n <= tslab::max_class_size; ++n) {
            unsigned expected = 0;
            while (expected < 8 && (tslab::class_sizes[expected] < n || tslab::class_alignment(expected) < alignment))
                ++expected;
            if (tslab::class_of(n, alignment) != (expected < 8 ? expected : tslab::large_class))
                BOOST_ERROR("size " << n << " alignment " << alignment << ": " << tslab::class_of(n, alignment));
        }
}

BOOST_AUTO_TEST_CASE(what_no_class_serves_is_large)
{
    for (std::size_t n : {std::size_t{769}, std::size_t{4096}, std::size_t{PTRDIFF_MAX}, SIZE_MAX})
        BOOST_TEST(tslab::class_of(n, 1) == tslab::large_class);
    for (std::size_t alignment = 1024; alignment != 0; alignment *= 2)
        BOOST_TEST(tslab::class_of(1, alignment) == tslab::large_class);
}
