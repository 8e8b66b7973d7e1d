// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a thread cache has for each bin: a fast part that allocations and frees touch, and a slow part for refills.
#pragma once

export namespace tslab {

/// Result of returning a slot to a thread cache. `left`: done, and the caller's operation has ended with it.
enum class cache_free : std::uint8_t { done, not_mine, already_free, left };

class thread_cache;

/// Fast-path state of one bin. Its address is the `owner` of the slabs and subslabs that the cache owns in this bin, so
/// one comparison tells a free both the owner and the bin.
struct fast_bin {
    slab_meta* current = &no_slab;   ///< the subslab to allocate from
    stepping_counter allocations;
    std::uint32_t size = 0;                ///< bytes of a slot
    atomic<std::uint32_t> freed_into{0};   ///< set by a remote free: the first into a subslab, or its last
    thread_cache* self = nullptr;
};
static_assert(sizeof(fast_bin) <= bin_code_step);

/// The thread cache that owns a slab; null if none does. Thread safe; the answer may be outdated at return unless the
/// caller owns the cache.
[[nodiscard]] inline thread_cache* cache_owning(slab_meta const& s) noexcept
{
    owner_ref const owner = s.owner.load(std::memory_order_seq_cst);   // seq_cst: see free_remote
    return owner.is_cache_bin() ? owner.bin<fast_bin const>().self : nullptr;
}

/// Slow-path state of one bin. Every slab that the cache owns in the bin is on the list `owned`. Slabs with free slots
/// in `local_free`, other than the one to allocate from, are also on the stack `partial`. So the first free into a full
/// slab, and the refill from it, touch no other slab's descriptor: with many slabs, those are not in the processor's
/// cache.
struct slow_bin {
    slab_list owned;
    slab_meta* partial = nullptr;      ///< stack, linked by next_partial
    std::uint32_t partial_count = 0;   ///< slabs on the stack
    std::uint32_t empty = 0;           ///< empty slabs on the stack
    counter flushed_allocations;       ///< allocations that were published for earlier epochs
    slab_meta* parked = nullptr;       ///< subslab set aside by request_sample: owned, not on the stack
    acquire_gate gate;
    std::uint32_t to_scan = 0;               ///< owned slabs still to be scanned for remote frees
    std::uint32_t to_period = 0;             ///< allocations from the last chosen step until note_work, and a timed one
    std::uint32_t to_profile = no_profile;   ///< likewise until the one before the next that the heap profile samples

    static constexpr std::uint32_t no_profile = ~std::uint32_t{0};

    inline void push_partial(slab_meta& s) noexcept
    {
        s.partial = true;
        set_next_partial(s, partial);
        partial = &s;
        ++partial_count;
    }
    /// Requires: the stack is not empty.
    inline slab_meta& pop_partial() noexcept
    {
        slab_meta& s = *partial;
        partial = next_partial(s);
        s.partial = false;
        --partial_count;
        return s;
    }
};

/// Bins whose slabs a detached cache may retain on its fast path: small slabs of one subslab, freed by pointer.
inline constexpr bin_set retainable_bins = [] {
    bin_set set = 0;
    for (unsigned bin = 0; bin < class_count; ++bin)
        if (!has_subslabs(bin) && bins[bin].pages <= thread_record::batch_pages / 2)
            set |= only_bin(bin);
    return set;
}();

}
