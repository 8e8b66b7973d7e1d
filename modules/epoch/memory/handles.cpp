// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Handles: allocation and free by 64 bits that name a slot and its generation.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

namespace {

/// The number that is added to a slot's generation in its handles. It differs for each slot, so that a handle whose page
/// or slot bits were changed does not fit the slot that it then names. It is the same for all heaps: so the handles of a
/// slot differ whichever heaps had its page. It is even, since parity says whether the slot is allocated, and handles leave
/// it out.
/// The finalizer of MurmurHash3 (A. Appleby, public domain), which spreads neighbouring slots over all bits.
std::uint32_t generation_salt(std::uint32_t page, std::uint32_t slot) noexcept
{
    std::uint32_t h = page * max_slots + slot;
    h = (h ^ h >> 16) * 0x85ebca6bU;
    h = (h ^ h >> 13) * 0xc2b2ae35U;
    return (h ^ h >> 16) & ~1U;
}

}

/// Makes the handle of a slot that is freed by pointer stale. Returns false if the slot is not allocated.
bool allocator::retire_generation(slab_meta const& s, unsigned slot) noexcept
{
    auto& generation = page_heap::generation(page_heap::index_of(s), slot);
    std::uint32_t now = generation.load(std::memory_order_relaxed);
    // relaxed: the number only decides which thread frees the slot; the free that follows publishes the slot.
    return (now & 1U) != 0 && generation.compare_exchange_strong(now, now + 1, std::memory_order_relaxed);
}

void* allocator::allocate(std::size_t bytes, epoch_id e, handle& h) noexcept
{
    refusal why{};
    h = {};
    bool const checked = with_checks && state_.checks().on() &&
                         bytes <= static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    std::size_t const room = checked ? state_.checks().padded(bytes) : bytes;
    bool const large = room > max_handle_size;
    unsigned const bin = large ? bin_count : handle_bin_of(room);
    unsigned const c = large ? large_class : class_of_bin(bin);
    void* const p = large ? allocate_large(room, page_bytes, e, nullptr, why, true) : allocate_slot<true>(bin, e, why);
    if (p == nullptr)
        return nullptr;
    slab_meta const& s = *state_.slab_at(p);
    std::uint32_t const page = page_heap::index_of(s);
    unsigned const slot = large ? 0 : slot_at(reinterpret_cast<std::uintptr_t>(p), bins[bin]).slot;
    if (!state_.pages().commit_generations(page)) {   // slabs have theirs since they were taken
        free_plain(p);
        state_.counts_of(state_.record(), c)[class_event::out_of_memory].add();
        return nullptr;
    }
    auto& generation = page_heap::generation(page, slot);
    std::uint32_t const now = generation.load(std::memory_order_relaxed);
    std::uint32_t const next = (now & 1U) != 0 ? now + 2 : now + 1;   // odd while allocated
    generation.store(next, std::memory_order_relaxed);
    if (next == handle_fields::last_generation)
        state_.count(state_.record(), heap_event::handle_slot_retired);
    void* const object = checked ? arm(p, {bytes, fast_alignment}) : p;
    if (checked && object == nullptr) {
        free_plain(p);   // this makes the generation even again
        state_.counts_of(state_.record(), c)[class_event::out_of_memory].add();
        return nullptr;
    }
    h = handle_fields{next + generation_salt(page, slot), slot, page, heap_tag(state_.number())}.pack();
    return object;
}

free_result allocator::free(handle h) noexcept
{
    handle_fields const f = handle_fields::unpack(h);
    auto const refuse = [&](free_result r) {
        state_.count(state_.record(), heap_event::stale_handle);
        return r;
    };
    if (f.heap != heap_tag(state_.number()))
        return refuse(free_result::foreign);
    std::uint32_t const issued = (f.generation - generation_salt(f.page, f.slot)) & handle_fields::generation_mask;
    if (!page_heap::has_generations(f.page))
        return refuse(free_result::corrupt);
    auto& generation = page_heap::generation(f.page, f.slot);
    std::uint32_t now = generation.load(std::memory_order_relaxed);
    if (issued > now)   // generations only go up
        return refuse(free_result::corrupt);
    std::uint32_t const age = now - issued;
    if (age == 0 && !state_.pages().owns(f.page))   // the page of a live handle stays its heap's: it is of another heap
        return refuse(free_result::foreign);        // whose number has the same low bits
    if (age == 0 && inside_operation())             // before any change: the free can be repeated later
        return refuse(free_result::corrupt);
    // relaxed: as in retire_generation.
    if (age == 0 && generation.compare_exchange_strong(now, now + 1, std::memory_order_relaxed)) {
        resolved const at = resolve_named(f.page, f.slot);
        if constexpr (with_checks)
            if (state_.checks().on())
                disarm_named(at);
        thread_record* const me = state_.record();
        std::optional<heap_state::pinned_units> pins;   // for a thread without a record
        if (me == nullptr)
            pins.emplace(state_);
        if (at.is == resolved::what::large)
            return free_large(*at.page, me) ? free_result::ok : refuse(free_result::already_free);
        if (at.is != resolved::what::slot || (me != nullptr && !me->enter()))
            return refuse(free_result::corrupt);
        bool const freed = state_.free_slot(*at.subslab, at.bin, at.slot, me);
        if (me != nullptr)
            me->leave();
        return freed ? free_result::ok : refuse(free_result::already_free);
    }
    return refuse(age <= 1 ? free_result::already_free : free_result::stale);   // 0: another thread freed it just now
}

}
