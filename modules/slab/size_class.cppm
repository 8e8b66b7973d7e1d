// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The size classes: one constexpr table, from which everything else about a class is computed at compile time.
// Indices 0 to 7 are fixed for ever (the statistics schema counts on them); further classes are appended.
module;
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
export module tslab.slab:size_class;

export namespace tslab {

inline constexpr std::size_t page_bytes = 4096;
inline constexpr unsigned page_shift = 12;
inline constexpr unsigned max_slots = 64;   ///< a slab's state is one 64-bit word

/// Bytes of a slot, by class index.
inline constexpr std::array<std::uint16_t, 8> class_sizes{64, 96, 128, 192, 256, 384, 512, 768};

inline constexpr unsigned class_count = static_cast<unsigned>(class_sizes.size());
inline constexpr unsigned large_class = class_count;   ///< the index statistics use for everything above the classes
inline constexpr std::size_t max_class_size = std::ranges::max(class_sizes);

/// Two bins a class: slots handed out by pointer, and slots handed out by handle, whose slabs keep generations.
/// bin = class index for pointers, class index + class_count for handles.
inline constexpr unsigned bin_count = 2 * class_count;

struct bin_geometry {
    std::uint32_t size;         ///< bytes of a slot
    std::uint32_t slots;        ///< slots of a slab, at most 64
    std::uint64_t full_mask;    ///< the word of an empty slab: every slot free
    std::uint64_t reciprocal;   ///< ceil(2^32 / size), see slot_at
};

/// Where in a slab an address lies.
struct slot_position {
    unsigned slot;
    bool exact;   ///< on a slot's first byte (the page's tail, too short for a slot, counts as one more slot)
};

/// Division and remainder by one multiplication, after Granlund and Montgomery, "Division by Invariant Integers using
/// Multiplication" (1994): the product's high half is the quotient, and its low half is below the reciprocal exactly
/// when nothing remains.
[[nodiscard]] constexpr slot_position slot_at(std::uintptr_t address, bin_geometry const& b) noexcept
{
    std::uint64_t const product = (address & (page_bytes - 1)) * b.reciprocal;
    return {static_cast<unsigned>(product >> 32), static_cast<std::uint32_t>(product) < b.reciprocal};
}

inline constexpr std::array<bin_geometry, bin_count> bins = [] {
    std::array<bin_geometry, bin_count> table{};
    for (unsigned b = 0; b < bin_count; ++b) {
        std::uint32_t const size = class_sizes[b % class_count];
        std::uint32_t const slots = std::min<std::uint32_t>(max_slots, page_bytes / size);
        std::uint64_t const mask = slots == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << slots) - 1;
        table[b] = {size, slots, mask, ((std::uint64_t{1} << 32) + size - 1) / size};
    }
    return table;
}();

[[nodiscard]] constexpr unsigned class_of_bin(unsigned bin) noexcept
{
    return bin < class_count ? bin : bin - class_count;
}

/// The alignment every slot of a class has: the largest power of two that divides its size, a page at most.
[[nodiscard]] constexpr std::size_t class_alignment(unsigned c) noexcept
{
    return std::size_t{1} << std::countr_zero(static_cast<unsigned>(class_sizes[c]));
}

/// The alignment that slots of every class have; a request for no more needs no look at the table of alignments.
inline constexpr std::size_t common_alignment = [] {
    std::size_t least = page_bytes;
    for (unsigned c = 0; c < class_count; ++c)
        least = std::min(least, class_alignment(c));
    return least;
}();

}

namespace tslab {

inline constexpr std::size_t granule = [] {
    unsigned g = class_sizes[0];
    for (auto s : class_sizes)
        g = std::gcd(g, static_cast<unsigned>(s));
    return std::size_t{g};
}();

/// The smallest class of at least `bytes` whose slots are aligned to `alignment`; large_class where there is none.
consteval unsigned smallest_class(std::size_t bytes, std::size_t alignment)
{
    unsigned best = large_class;
    for (unsigned c = 0; c < class_count; ++c)
        if (class_sizes[c] >= bytes && class_alignment(c) >= alignment &&
            (best == large_class || class_sizes[c] < class_sizes[best]))
            best = c;
    return best;
}

inline constexpr unsigned alignment_rows = 13;   // 1 to 4096
inline constexpr std::size_t size_steps = max_class_size / granule + 1;
using class_row = std::array<std::uint8_t, size_steps>;

/// Row a, entry s: the class for s granules at alignment 2^a.
inline constexpr std::array<class_row, alignment_rows> classes_by_alignment = []() consteval {
    std::array<class_row, alignment_rows> rows{};
    for (unsigned a = 0; a < alignment_rows; ++a)
        for (std::size_t s = 0; s < size_steps; ++s)
            rows[a][s] = static_cast<std::uint8_t>(smallest_class(s * granule, std::size_t{1} << a));
    return rows;
}();

inline constexpr class_row common_classes = classes_by_alignment[0];

}

export namespace tslab {

/// The class for `bytes` (0 counts as 1) at no more than `common_alignment`. Precondition: bytes <= max_class_size.
[[nodiscard]] inline constexpr unsigned class_of(std::size_t bytes) noexcept
{
    return common_classes[(bytes + granule - 1) / granule];
}

/// The class for `bytes` at any power-of-two alignment; large_class where no class serves it.
[[nodiscard]] inline constexpr unsigned class_of(std::size_t bytes, std::size_t alignment) noexcept
{
    if (bytes > max_class_size || alignment > page_bytes)
        return large_class;
    auto const row = static_cast<unsigned>(std::countr_zero(alignment));
    return classes_by_alignment[row][(bytes + granule - 1) / granule];
}

static_assert(class_sizes[0] == 64 && class_sizes[7] == 768, "indices 0 to 7 are part of the statistics schema");
static_assert(bins[0].slots == 64 && bins[7].slots == 5);
static_assert(common_alignment >= alignof(std::max_align_t));
static_assert(class_of(0) == 0 && class_of(65) == 1 && class_of(768) == 7 && class_of(96, 64) == 2);
static_assert(
    [] {
        for (auto const& b : bins)
            for (std::uint64_t offset = 0; offset < page_bytes; ++offset)
                if (slot_position const at = slot_at(offset, b);
                    at.slot != offset / b.size || at.exact != (offset % b.size == 0))
                    return false;
        return true;
    }(),
    "the reciprocals divide exactly");

}
