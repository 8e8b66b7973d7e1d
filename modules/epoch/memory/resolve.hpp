// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Resolving a pointer: the lookup with which every free begins, except the inlined one. A free resolves its pointer, checks
// the result against what its caller requires, and frees, or reports what was found instead.
#pragma once

export namespace tslab {

/// What a pointer is to a heap, by the descriptors at the time of the lookup. They may change meanwhile: only the free
/// itself decides, by the words of the slab or under the epoch's lock.
struct resolved {
    enum class what : std::uint8_t {
        slot,              ///< the first byte of a slot of a slab, allocated or not
        large,             ///< the first byte of a large allocation
        interior,          ///< elsewhere in a slab, or in a large allocation
        freed,             ///< in pages that are neither and were used: all objects in them have been freed
        of_another_heap,   ///< in pages of another heap
        foreign            ///< in no page that was ever handed out
    };

    what is = what::foreign;
    std::uint8_t slot = 0;          ///< of a slot: its number in the subslab
    unsigned bin = bin_count;       ///< of a slot, its slab's
    slab_meta* page = nullptr;      ///< of a slot, a large allocation or an interior pointer: slab or large allocation
    slab_meta* subslab = nullptr;   ///< of a slot: the subslab that has its words

    /// Whether the slot is allocated, at the time of this second lookup. Requires: `is` is `slot`.
    [[nodiscard]] inline bool is_live() const noexcept
    {
        return !page->owner.load(std::memory_order_relaxed).is_nowhere() &&
               ((subslab->remote_free.load(std::memory_order_relaxed) |
                 subslab->local_free.load(std::memory_order_relaxed)) >>
                    slot &
                1U) == 0;
    }
    /// Whether it lies in a large allocation, at its beginning or not.
    [[nodiscard]] inline bool in_large() const noexcept
    {
        return is == what::large || (is == what::interior && page->tag.load(std::memory_order_relaxed) == tag_large);
    }
    /// Whether it is a slot of `bin` in the slabs `of`, at the time of the lookup.
    [[nodiscard]] inline bool is_slot_in(unsigned its_bin, epoch_slabs const& of) const noexcept
    {
        return is == what::slot && bin == its_bin && home_of(*page) == &of;
    }
};

/// The same for what a handle names, slot `slot` of page `page`, which is the heap's: a slot, a large allocation, or
/// `freed`. Thread safe. Constant time.
[[nodiscard]] inline resolved resolve_named(std::uint32_t page, std::uint32_t slot) noexcept
{
    slab_meta& s = page_heap::at(page);
    std::uint8_t const tag = s.tag.load(std::memory_order_relaxed);
    if (tag == tag_large)
        return slot == 0 ? resolved{.is = resolved::what::large, .page = &s} : resolved{.is = resolved::what::freed};
    // Slabs of handles have one subslab.
    if (tag <= class_count || tag > bin_count || slot >= bins[tag - 1U].slots)
        return {.is = resolved::what::freed};
    return {.is = resolved::what::slot,
            .slot = static_cast<std::uint8_t>(slot),
            .bin = tag - 1U,
            .page = &s,
            .subslab = &s};
}

/// The rest of `resolve`: `p` is in no slab and begins no large allocation. `page`: its page's descriptor if that is the
/// heap's, else null.
[[nodiscard, gnu::cold]] resolved resolve_unused(heap_state& heap, void const* p, slab_meta* page) noexcept;

/// Returns what `p` is to `heap`. Any pointer is permitted. Takes no lock. Thread safe; a caller that uses the
/// descriptors afterwards is in an operation of the heap, or pins its units (see heap_state::give_back_units). Constant time, but
/// for a pointer into a large allocation behind its first page: linear in the pages before it.
[[nodiscard]] inline resolved resolve(heap_state& heap, void const* p) noexcept
{
    slab_meta* const page = heap.slab_at(p);
    std::uint8_t const tag = page != nullptr ? page->tag.load(std::memory_order_relaxed) : tag_none;
    if (tag == tag_large)
        return {.is = p == page->base ? resolved::what::large : resolved::what::interior, .page = page};
    if (tag == tag_none || tag > bin_count) [[unlikely]]   // above: cut anew since it was found
        return resolve_unused(heap, p, page);
    unsigned const bin = tag - 1U;
    auto const address = reinterpret_cast<std::uintptr_t>(p);
    slot_position const at = slot_at(address, bins[bin]);
    if (!at.exact || at.slot >= bins[bin].slots) [[unlikely]]
        return {.is = resolved::what::interior, .page = page};
    return {.is = resolved::what::slot,
            .slot = static_cast<std::uint8_t>(at.slot),
            .bin = bin,
            .page = page,
            .subslab = page_heap::map().entry(bin).subslab_of(address)};
}

}
