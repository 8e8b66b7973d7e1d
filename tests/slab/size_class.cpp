// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The table of size classes: every size and alignment gets the smallest class that serves it, and no other.
#define BOOST_TEST_MODULE size_class
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

import tslab.slab;

using tslab::bins;
using tslab::class_count;
using tslab::class_sizes;
using tslab::page_bytes;

namespace {

/// The smallest class of the first `classes` that serves a request, found the plain way.
unsigned expected_class(std::size_t bytes, std::size_t alignment, unsigned classes = class_count)
{
    unsigned best = tslab::large_class;
    for (unsigned c = 0; c < classes; ++c)
        if (class_sizes[c] >= bytes && tslab::class_alignment(c) >= alignment &&
            (best == tslab::large_class || class_sizes[c] < class_sizes[best]))
            best = c;
    return best;
}

}

BOOST_AUTO_TEST_CASE(every_class_has_its_index_its_size_and_its_slabs)
{
    // The first eight are fixed for ever; the others are where they were appended.
    constexpr std::array<unsigned, 38> sizes{64,    96,    128,   192,   256,  384,  512,  768,  16,    32,
                                             48,    1024,  1536,  2048,  3072, 4096, 6144, 8192, 12288, 16384,
                                             24576, 32768, 49152, 65536, 80,   112,  160,  224,  320,   448,
                                             640,   896,   1280,  1792,  2560, 3584, 5120, 7168};
    BOOST_REQUIRE(class_count == sizes.size());
    for (unsigned c = 0; c < class_count; ++c) {
        auto const& b = bins[c];
        BOOST_TEST(class_sizes[c] == sizes[c]);
        BOOST_TEST(b.size == sizes[c]);
        BOOST_TEST(b.pages == tslab::class_shapes[c].pages);
        BOOST_TEST(b.slab_bytes() == b.pages * page_bytes);
        BOOST_TEST(b.slab_slots() == b.slots * b.subslabs);
        BOOST_TEST(b.slab_slots() >= (b.size <= 4096 ? 16u : b.size <= 8192 ? 8u : 4u));
        // No more than a sixteenth of a slab is in no slot.
        BOOST_TEST((b.slab_bytes() - std::uint64_t{b.slab_slots()} * b.size) * 16 <= b.slab_bytes());
    }
    constexpr std::array<unsigned, 4> one_page{64, 42, 32, 21};
    for (unsigned c = 0; c < one_page.size(); ++c)
        BOOST_TEST(bins[c].slab_slots() == one_page[c]);
    BOOST_TEST(bins[8].slab_slots() == 256u);
    BOOST_TEST(bins[9].slab_slots() == 128u);
    BOOST_TEST(bins[10].slab_slots() == 84u);
    BOOST_TEST(tslab::max_class_size == 65'536u);
    BOOST_TEST(tslab::large_class == 38u);
    BOOST_TEST(tslab::max_handle_size == class_sizes[tslab::handle_class_count - 1]);
    BOOST_TEST(tslab::bin_count == class_count + tslab::handle_class_count);
}

BOOST_AUTO_TEST_CASE(a_full_mask_has_one_bit_for_each_slot_that_fits_a_subslab)
{
    for (auto const& bin : bins) {
        std::uint64_t const subslab = std::uint64_t{bin.offset_mask} + 1;
        BOOST_TEST(std::has_single_bit(subslab));
        BOOST_TEST(subslab * bin.subslabs == bin.slab_bytes());
        BOOST_TEST(std::popcount(bin.full_mask) == int(bin.slots));
        BOOST_TEST(std::bit_width(bin.full_mask) == int(bin.slots));
        BOOST_TEST((bin.full_mask ^ bin.absent_mask) == ~std::uint64_t{0});
        BOOST_TEST(std::uint64_t{bin.slots} * bin.size <= subslab);
        BOOST_TEST((std::uint64_t{bin.slots} + 1) * bin.size > subslab);   // nothing that would fit is left out
    }
}

BOOST_AUTO_TEST_CASE(a_handle_bin_has_the_geometry_of_its_pointer_bin)
{
    for (unsigned c = 0; c < class_count; ++c)
        BOOST_TEST(tslab::class_of_bin(c) == c);
    for (unsigned c = 0; c < tslab::handle_class_count; ++c) {
        unsigned const bin = c + class_count;
        BOOST_TEST(tslab::class_of_bin(bin) == c);
        BOOST_TEST(bins[bin].size == bins[c].size);
        BOOST_TEST(bins[bin].full_mask == bins[c].full_mask);
        BOOST_TEST(bins[bin].pages == bins[c].pages);
        BOOST_TEST(bins[bin].subslabs == 1);   // a handle names the slot within the slab
        BOOST_TEST(!tslab::has_subslabs(bin));
    }
    for (std::size_t n = 0; n <= tslab::max_handle_size; ++n)
        BOOST_TEST(tslab::handle_bin_of(n) == class_count + expected_class(n, 1, tslab::handle_class_count));
}

BOOST_AUTO_TEST_CASE(only_the_first_byte_of_each_slot_is_where_a_slot_begins)
{
    for (auto const& bin : bins)
        for (std::uint64_t offset = 0; offset <= bin.offset_mask; ++offset) {
            auto const at = tslab::slot_at(offset, bin);
            bool const begins = offset % bin.size == 0;
            if (at.exact != begins || (begins && at.slot != offset / bin.size))
                BOOST_ERROR("offset " << offset << " size " << bin.size);
        }
}

BOOST_AUTO_TEST_CASE(every_slot_of_a_class_has_its_alignment_and_no_more)
{
    constexpr std::array<unsigned, 38> alignments{
        64,   32,   128,  64,   256,  128, 512, 256, 16, 32, 16, 1024, 512, 2048, 1024, 4096, 2048, 4096, 4096,
        4096, 4096, 4096, 4096, 4096, 16,  16,  32,  32, 64, 64, 128,  128, 256,  256,  512,  512,  1024, 1024};
    for (unsigned c = 0; c < class_count; ++c) {
        auto const& bin = bins[c];
        BOOST_TEST(tslab::class_alignment(c) == alignments[c]);
        for (unsigned subslab = 0; subslab < bin.subslabs; ++subslab)
            for (unsigned slot = 0; slot < bin.slots; ++slot)
                BOOST_TEST((subslab * (std::uint64_t{bin.offset_mask} + 1) + std::uint64_t{slot} * bin.size) %
                               alignments[c] ==
                           0u);
        BOOST_TEST((alignments[c] == page_bytes || bin.size % (2 * alignments[c]) != 0));
    }
    BOOST_TEST(tslab::fast_alignment == 16u);
}

BOOST_AUTO_TEST_CASE(class_of_finds_the_smallest_class_for_every_size)
{
    for (std::size_t n = 0; n <= tslab::max_class_size; ++n) {
        unsigned const expected = expected_class(n, 1);
        if (tslab::class_of(n) != expected || tslab::code_of(n) != expected * tslab::bin_code_step)
            BOOST_ERROR("size " << n << ": " << tslab::class_of(n) << " instead of " << expected);
    }
    BOOST_TEST(tslab::code_of(tslab::max_class_size + 1) == tslab::no_code);
    BOOST_TEST(tslab::code_of(SIZE_MAX) == tslab::no_code);
}

BOOST_AUTO_TEST_CASE(class_of_honours_every_alignment_from_1_to_4096)
{
    for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2)
        for (std::size_t n = 0; n <= tslab::max_class_size; ++n)
            if (tslab::class_of(n, alignment) != expected_class(n, alignment))
                BOOST_ERROR("size " << n << " alignment " << alignment << ": " << tslab::class_of(n, alignment));
}

BOOST_AUTO_TEST_CASE(little_is_lost_between_two_classes)
{
    std::array<std::uint32_t, class_count> sorted = class_sizes;
    std::ranges::sort(sorted);
    for (std::size_t i = 1; i < sorted.size(); ++i) {
        std::uint32_t const below = sorted[i - 1];
        std::uint32_t const gap = sorted[i] - below;
        // Four classes to a doubling. Below that 16 bytes more is the least that keeps fast_alignment; above, whole pages that
        // an object does not reach are not touched.
        if (below < 64)
            BOOST_TEST(gap == 16u);
        else if (below < 8192)
            BOOST_TEST(gap * 4 <= below);
        else
            BOOST_TEST((gap % page_bytes == 0u && gap * 2 <= below));
    }
}

BOOST_AUTO_TEST_CASE(what_no_class_serves_is_large)
{
    for (std::size_t n : {std::size_t{65'537}, std::size_t{100'000}, std::size_t{PTRDIFF_MAX}, SIZE_MAX})
        BOOST_TEST(tslab::class_of(n, 1) == tslab::large_class);
    for (std::size_t alignment = 8192; alignment != 0; alignment *= 2)
        BOOST_TEST(tslab::class_of(1, alignment) == tslab::large_class);
}
