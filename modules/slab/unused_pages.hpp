// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The pages of a slab that only free slots touch. Sets of slots are words with a bit for each slot, as in a descriptor;
// the tail behind the last slot counts as one more slot that is always free.
#pragma once

export namespace tslab {

/// The bins whose slabs have several pages; each of their slabs is one subslab.
inline constexpr bin_set several_pages_bins = [] {
    bin_set set = 0;
    for (unsigned bin = 0; bin < bin_count; ++bin)
        if (bins[bin].pages > 1)
            set |= only_bin(bin);
    return set;
}();

/// The bit of the tail behind the last slot; 0 if there is none.
[[nodiscard]] constexpr std::uint64_t tail_bit(bin_geometry const& b) noexcept
{
    return b.slots < max_slots && std::uint64_t{b.slots} * b.size < b.slab_bytes() ? std::uint64_t{1} << b.slots : 0;
}

/// The slots that end at or before the beginning of page `page`, which is one of the slab's.
[[nodiscard]] constexpr std::uint64_t slots_before_page(bin_geometry const& b, std::uint32_t page) noexcept
{
    std::uint64_t const n = std::min<std::uint64_t>((std::uint64_t{page} << page_shift) / b.size, b.slots);
    return n == max_slots ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}

/// Calls `visit(run)` for each run of whole pages of the slab that only the slots `free` touch, in address order.
template <class F> inline void for_each_unused_run(bin_geometry const& b, std::uint64_t free, F visit)
{
    for (std::uint64_t left = free; left != 0;) {
        auto const first = static_cast<unsigned>(std::countr_zero(left));
        unsigned const end = first + static_cast<unsigned>(std::countr_one(left >> first));
        left = end >= max_slots ? 0 : left >> end << end;
        std::uint64_t const begin_byte = std::uint64_t{first} * b.size;
        std::uint64_t const end_byte = std::min(std::uint64_t{end} * b.size, b.slab_bytes());
        auto const begin_page = static_cast<std::uint32_t>((begin_byte + page_bytes - 1) >> page_shift);
        auto const end_page = static_cast<std::uint32_t>(end_byte >> page_shift);
        if (begin_page < end_page)
            visit(page_run{begin_page, end_page - begin_page});
    }
}

/// The same without the pages that only the slots `before` touch, all of which are in `free`.
template <class F>
inline void for_each_unused_run(bin_geometry const& b, std::uint64_t free, std::uint64_t before, F visit)
{
    // Between two runs lies at least one slot.
    std::array<page_run, max_slots / 2> known;
    std::size_t n = 0;
    for_each_unused_run(b, before, [&](page_run r) { known[n++] = r; });
    std::size_t i = 0;
    for_each_unused_run(b, free, [&](page_run r) {
        std::uint32_t from = r.first;
        std::uint32_t const end = r.first + r.count;
        for (; i < n && known[i].first < end; ++i) {
            if (known[i].first > from)
                visit(page_run{from, known[i].first - from});
            from = known[i].first + known[i].count;
        }
        if (from < end)
            visit(page_run{from, end - from});
    });
}

/// The free slots of a slab without an owner, and the tail behind the last one.
[[nodiscard]] inline std::uint64_t unused_slots(slab_meta const& s, bin_geometry const& b) noexcept
{
    // acquire: the freeing threads' use of the slots ended before their pages are purged.
    return (s.remote_free.load(std::memory_order_acquire) & b.full_mask) | tail_bit(b);
}

/// Whether a slab of several pages without an owner has pages that only free slots touch and that were not purged.
[[nodiscard]] inline bool has_unused_pages(slab_meta const& s, bin_geometry const& b) noexcept
{
    std::uint64_t const free = unused_slots(s, b);
    std::uint64_t const before = purged_slots(s);
    bool found = false;
    if (free != before)
        for_each_unused_run(b, free, before, [&](page_run) { found = true; });
    return found;
}

}
