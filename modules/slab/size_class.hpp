// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The size classes: one constexpr table, from which everything else about a class is computed at compile time.
// Indices 0 to 7 are fixed for ever (the statistics schema counts on them); further classes are appended.
#pragma once

export namespace tslab {

/// The bytes of a page, and their binary logarithm.
inline constexpr std::size_t page_bytes = 4096;
inline constexpr unsigned page_shift = 12;
inline constexpr unsigned max_slots = 64;                                ///< a subslab's state is one 64-bit word
inline constexpr unsigned max_subslabs = 4;                              ///< subslabs of a slab
inline constexpr std::size_t subslab_step = page_bytes / max_subslabs;   ///< the smallest subslab

/// The shape of a class. A slab is `pages` pages at a multiple of as many, cut into slots; a page with more than 64
/// slots has several subslabs, each with words of its own.
struct class_shape {
    std::uint32_t size;       ///< bytes of a slot
    std::uint32_t pages;      ///< a power of two
    std::uint32_t subslabs;   ///< a power of two; more than one only in slabs of one page
};

/// By class index. Sizes above 1,024 are multiples of 256 (see class_of). Four classes to a doubling up to 8,192 bytes;
/// two above, since the unused whole pages of a slot take no memory. A slab has at least 16 slots up to 4,096 bytes, 8
/// up to 8,192, 4 above: the slow path to the next slab costs the same for all classes, and every page of a slab costs
/// a descriptor, touched or not.
inline constexpr std::array<class_shape, 38> class_shapes{{
    {64, 1, 1},     {96, 1, 1},     {128, 1, 1},    {192, 1, 1},   {256, 2, 1},    {384, 4, 1},    {512, 4, 1},
    {768, 4, 1},    {16, 1, 4},     {32, 1, 2},     {48, 1, 2},    {1024, 8, 1},   {1536, 8, 1},   {2048, 8, 1},
    {3072, 16, 1},  {4096, 16, 1},  {6144, 16, 1},  {8192, 16, 1}, {12288, 16, 1}, {16384, 16, 1}, {24576, 32, 1},
    {32768, 32, 1}, {49152, 64, 1}, {65536, 64, 1}, {80, 1, 1},    {112, 1, 1},    {160, 1, 1},    {224, 1, 1},
    {320, 2, 1},    {448, 2, 1},    {640, 4, 1},    {896, 4, 1},   {1280, 8, 1},   {1792, 8, 1},   {2560, 16, 1},
    {3584, 16, 1},  {5120, 16, 1},  {7168, 16, 1},
}};

/// The number of size classes; their indices are below it.
inline constexpr unsigned class_count = static_cast<unsigned>(class_shapes.size());
inline constexpr unsigned large_class = class_count;   ///< the index of everything above the classes, in statistics
inline constexpr std::size_t max_class_size =
    std::ranges::max(class_shapes, {}, [](class_shape const& s) { return s.size; }).size;
/// Handles name slots of the first classes, whose slabs are one page and one subslab; smaller requests use the first of
/// them.
inline constexpr unsigned handle_class_count = 8;
inline constexpr std::size_t max_handle_size = 768;

/// Bytes of a slot, by class index.
inline constexpr std::array<std::uint32_t, class_count> class_sizes = [] {
    std::array<std::uint32_t, class_count> sizes{};
    for (unsigned c = 0; c < class_count; ++c)
        sizes[c] = class_shapes[c].size;
    return sizes;
}();

/// A bin is a kind of slab. First one bin for each class, for slots allocated by pointer; then one for each of the
/// first classes, for slots allocated by handle, whose slabs have generations.
inline constexpr unsigned bin_count = class_count + handle_class_count;

/// A set of bins, or of classes: a bit for each.
using bin_set = std::uint64_t;
[[nodiscard]] constexpr bin_set only_bin(unsigned bin) noexcept { return bin_set{1} << bin; }
[[nodiscard]] constexpr bool has_bin(bin_set set, unsigned bin) noexcept { return (set >> bin & 1U) != 0; }

/// On the fast path a bin is named by its index times this, the offset of its part in a thread cache.
inline constexpr std::uint32_t bin_code_step = 32;

struct alignas(32) bin_geometry {
    std::uint32_t size;          ///< bytes of a slot
    std::uint32_t reciprocal;    ///< ceil(2^33 / size), see slot_at
    std::uint32_t offset_mask;   ///< bytes of a subslab, a power of two, minus one
    std::uint16_t pages;         ///< pages of a slab
    std::uint8_t slots;          ///< slots of a subslab, at most 64
    std::uint8_t subslabs;       ///< subslabs of a slab
    std::uint64_t full_mask;     ///< the word of an empty subslab: every slot free
    std::uint64_t absent_mask;   ///< the other bits

    [[nodiscard]] constexpr std::uint32_t exact_below() const noexcept { return reciprocal / 2; }
    [[nodiscard]] constexpr std::uint32_t slab_slots() const noexcept { return std::uint32_t{slots} * subslabs; }
    [[nodiscard]] constexpr std::uint64_t slab_bytes() const noexcept { return std::uint64_t{pages} * page_bytes; }
};

/// The place of an address in a subslab.
struct slot_position {
    unsigned slot;
    bool exact;   ///< on a slot's first byte (the subslab's tail, too short for a slot, counts as one more slot)
};

/// Quotient, and whether there is a remainder, by one multiplication: D. Lemire, O. Kaser and N. Kurz, "Faster Remainder by
/// Direct Computation" (2019). `of`: what a bin has for that. For an offset of q * size + r, and reciprocal * size = 2^33 + e,
/// the product is q * 2^33 + q * e + r * reciprocal: r is 0 if what is below 2^33 is less than the reciprocal, provided that
/// q * e is (see divides_exactly). The lowest bit is left out of the comparison, which is one of 32 bits then.
template <class Bin>
[[nodiscard, gnu::always_inline]] constexpr slot_position slot_at(std::uintptr_t address, Bin const& of) noexcept
{
    std::uint64_t half = (address & of.offset_mask) * std::uint64_t{of.reciprocal} >> 1U;
    if (!std::is_constant_evaluated())
        asm("" : "+r"(half));   // else the compiler shifts twice, and runs out of registers
    return {static_cast<unsigned>(half >> 32U), static_cast<std::uint32_t>(half) < of.exact_below()};
}
[[nodiscard]] constexpr bool divides_exactly(bin_geometry const& b) noexcept
{
    std::uint64_t const e = std::uint64_t{b.reciprocal} * b.size - (std::uint64_t{1} << 33U);
    return (b.offset_mask / b.size + 1) * e < std::uint64_t{b.exact_below()} * 2;
}

inline constexpr std::array<bin_geometry, bin_count> bins = [] {
    std::array<bin_geometry, bin_count> table{};
    for (unsigned b = 0; b < bin_count; ++b) {
        class_shape const& shape = class_shapes[b < class_count ? b : b - class_count];
        std::uint32_t const subslab = shape.pages * static_cast<std::uint32_t>(page_bytes) / shape.subslabs;
        std::uint32_t const slots = std::min<std::uint32_t>(max_slots, subslab / shape.size);
        table[b] = {.size = shape.size,
                    .reciprocal = static_cast<std::uint32_t>(((std::uint64_t{1} << 33) + shape.size - 1) / shape.size),
                    .offset_mask = subslab - 1,
                    .pages = static_cast<std::uint16_t>(shape.pages),
                    .slots = static_cast<std::uint8_t>(slots),
                    .subslabs = static_cast<std::uint8_t>(shape.subslabs),
                    .full_mask = slots == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << slots) - 1,
                    .absent_mask = slots == 64 ? 0 : ~std::uint64_t{0} << slots};
    }
    return table;
}();
static_assert(std::ranges::all_of(bins, divides_exactly));

[[nodiscard]] constexpr unsigned class_of_bin(unsigned bin) noexcept
{
    return bin < class_count ? bin : bin - class_count;
}

/// Whether slabs of the bin have several subslabs; their descriptors are in a table of their own.
[[nodiscard]] constexpr bool has_subslabs(unsigned bin) noexcept { return bins[bin].subslabs != 1; }

/// The alignment of every slot of a class: the largest power of two that divides its size, at most a page.
[[nodiscard]] constexpr std::size_t class_alignment(unsigned c) noexcept
{
    return std::min(page_bytes, std::size_t{1} << std::countr_zero(class_sizes[c]));
}

/// The alignment of the slots of every class; a request for no more skips the table of alignments.
inline constexpr std::size_t fast_alignment = [] {
    std::size_t least = page_bytes;
    for (unsigned c = 0; c < class_count; ++c)
        least = std::min(least, class_alignment(c));
    return least;
}();

}

namespace tslab {

/// Sizes are looked up in steps of 16 bytes up to 1,024 and of 256 from there on.
inline constexpr std::size_t fine_step = 16;
inline constexpr std::size_t fine_limit = 1024;
inline constexpr std::size_t coarse_step = 256;
inline constexpr std::size_t fine_steps = fine_limit / fine_step + 1;
inline constexpr std::size_t size_steps = fine_steps + (max_class_size - fine_limit) / coarse_step;

[[nodiscard]] constexpr std::size_t step_of(std::size_t bytes) noexcept
{
    return bytes <= fine_limit ? (bytes + fine_step - 1) / fine_step
                               : (bytes + coarse_step - 1) / coarse_step + (fine_steps - 1 - fine_limit / coarse_step);
}
[[nodiscard]] constexpr std::size_t bytes_of_step(std::size_t step) noexcept
{
    return step < fine_steps ? step * fine_step : fine_limit + (step - fine_steps + 1) * coarse_step;
}

/// The class indices by size. The tables below are computed in few steps, since compilers limit constant evaluation to
/// a million.
inline constexpr std::array<std::uint8_t, class_count> classes_by_size = []() consteval {
    std::array<std::uint8_t, class_count> order{};
    for (unsigned c = 0; c < class_count; ++c)
        order[c] = static_cast<std::uint8_t>(c);
    std::ranges::sort(order, {}, [](std::uint8_t c) { return class_sizes[c]; });
    return order;
}();

/// For each of the ascending sizes `bytes(0)`, `bytes(1)` and so on: the smallest of the first `classes` classes whose
/// slots are large enough and aligned to `alignment`; large_class if there is none.
template <std::size_t Steps, class Bytes>
consteval std::array<std::uint8_t, Steps> smallest_classes(Bytes bytes, std::size_t alignment, unsigned classes)
{
    std::array<std::uint8_t, Steps> row{};
    std::size_t s = 0;
    for (unsigned const c : classes_by_size)
        if (c < classes && class_alignment(c) >= alignment)
            for (; s < Steps && bytes(s) <= class_sizes[c]; ++s)
                row[s] = static_cast<std::uint8_t>(c);
    for (; s < Steps; ++s)
        row[s] = static_cast<std::uint8_t>(large_class);
    return row;
}

inline constexpr unsigned alignment_rows = 13;   // 1 to 4096
using class_row = std::array<std::uint8_t, size_steps>;

/// Row a, entry s: the class for the sizes of step s at alignment 2^a.
inline constexpr std::array<class_row, alignment_rows> classes_by_alignment = []() consteval {
    std::array<class_row, alignment_rows> rows{};
    for (unsigned a = 0; a < alignment_rows; ++a)
        rows[a] = smallest_classes<size_steps>(bytes_of_step, std::size_t{1} << a, class_count);
    return rows;
}();

inline constexpr class_row fast_classes = classes_by_alignment[0];

inline constexpr std::array<std::uint16_t, size_steps> fast_codes = []() consteval {
    std::array<std::uint16_t, size_steps> row{};
    for (std::size_t s = 0; s < size_steps; ++s)
        row[s] = static_cast<std::uint16_t>(fast_classes[s] * bin_code_step);
    return row;
}();

inline constexpr std::array handle_classes =
    smallest_classes<max_handle_size / fine_step + 1>(bytes_of_step, 1, handle_class_count);

}

export namespace tslab {

/// The class for `bytes` (0 counts as 1) at no more than `fast_alignment`. Precondition: bytes <= max_class_size.
[[nodiscard, gnu::always_inline]] inline constexpr unsigned class_of(std::size_t bytes) noexcept
{
    return fast_classes[step_of(bytes)];
}

inline constexpr std::size_t no_code = ~std::size_t{0};

/// The same as a code: times bin_code_step; no_code for more than max_class_size.
[[nodiscard, gnu::always_inline]] inline constexpr std::size_t code_of(std::size_t bytes) noexcept
{
    if (bytes > fine_limit) [[unlikely]]
        return bytes <= max_class_size ? fast_codes[step_of(bytes)] : no_code;
    return fast_codes[(bytes + fine_step - 1) / fine_step];
}

/// The class for `bytes` at any power-of-two alignment; large_class if no class serves it.
[[nodiscard]] inline constexpr unsigned class_of(std::size_t bytes, std::size_t alignment) noexcept
{
    if (bytes > max_class_size || alignment > page_bytes)
        return large_class;
    auto const row = static_cast<unsigned>(std::countr_zero(alignment));
    return classes_by_alignment[row][step_of(bytes)];
}

/// The bin for `bytes` allocated by handle. Precondition: bytes <= max_handle_size.
[[nodiscard]] inline constexpr unsigned handle_bin_of(std::size_t bytes) noexcept
{
    return class_count + handle_classes[(bytes + fine_step - 1) / fine_step];
}

static_assert(class_sizes[0] == 64 && class_sizes[7] == 768, "indices 0 to 7 are part of the statistics schema");
static_assert(bins[0].slots == 64 && bins[7].slots >= 5);
static_assert(fast_alignment >= alignof(std::max_align_t));
static_assert(class_sizes[class_of(0)] == 16 && class_sizes[class_of(65)] == 80 && class_of(768) == 7 &&
              class_of(96, 64) == 2);
static_assert(class_sizes[class_of(769)] == 896 && class_sizes[class_of(1025)] == 1280 &&
              class_sizes[class_of(65536)] == 65536 && class_of(65537, 1) == large_class);
static_assert(bin_count <= 64, "a bin_set has a bit for each bin");
static_assert(
    [] {
        for (auto const& b : bins) {
            for (std::uint64_t slot = 0; slot <= b.slots; ++slot)
                if (slot_position const at = slot_at(slot * b.size, b);
                    slot * b.size <= b.offset_mask && (at.slot != slot || !at.exact))
                    return false;
            if (slot_at(1, b).exact || slot_at(b.size - 1, b).exact || slot_at(b.size + 8, b).exact)
                return false;
        }
        return true;
    }(),
    "the reciprocals divide exactly where a slot begins");
static_assert(
    [] {
        for (std::size_t s = 0; s < size_steps; ++s)
            if (step_of(bytes_of_step(s)) != s || class_sizes[fast_classes[s]] < bytes_of_step(s))
                return false;
        return true;
    }(),
    "every size of a step fits its class");
static_assert(std::ranges::all_of(class_shapes, [](class_shape const& s) {
    return std::has_single_bit(s.pages) && std::has_single_bit(s.subslabs) && s.subslabs <= max_subslabs &&
           (s.subslabs == 1 || s.pages == 1);
}));

}
