// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Frees that the inline path does not carry out, and what is said of pointers that are not to be freed.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

#include "slot_of.hpp"

namespace tslab {

namespace {

std::size_t slot_bytes(slab_meta const& s) noexcept
{
    unsigned const bin = s.bin();
    return bin < bin_count ? bins[bin].size : 0;
}

misuse_report wrong_alignment(std::size_t alignment) noexcept
{
    return {.kind = misuse::wrong_alignment, .given = alignment};
}

/// What is wrong with a free of a slot of class `c` as `bytes` at `alignment`; empty if nothing is.
std::optional<misuse_report> mismatch_of_class(unsigned c, std::size_t bytes, std::size_t alignment) noexcept
{
    if (!std::has_single_bit(alignment))
        return wrong_alignment(alignment);   // no allocation has such an alignment
    if (class_of(bytes, alignment) == c)
        return std::nullopt;
    if (class_of(bytes, fast_alignment) == c)
        return wrong_alignment(alignment);   // more than the slots of this class have
    // A size that needs this class only at a larger alignment: which of the two is wrong cannot be said.
    std::size_t fitting = std::max(alignment, fast_alignment);
    while (fitting <= page_bytes && class_of(bytes, fitting) != c)
        fitting *= 2;
    return misuse_report{
        .kind = misuse::wrong_size, .given = bytes, .fitting_alignment = fitting <= page_bytes ? fitting : 0};
}

/// The same for a large allocation of `size` bytes.
std::optional<misuse_report> mismatch_of_large(std::size_t size, std::size_t bytes, std::size_t alignment) noexcept
{
    if (bytes != size)
        return misuse_report{.kind = misuse::wrong_size, .given = bytes};
    if (!std::has_single_bit(alignment) || class_of(bytes, alignment) != large_class)
        return wrong_alignment(alignment);
    return std::nullopt;
}

}

void allocator::free_located(slab_meta& s, unsigned bin, unsigned slot, void* p) noexcept
{
    slab_meta& subslab = *page_heap::map().entry(bin).subslab_of(reinterpret_cast<std::uintptr_t>(p));
    thread_record* const me = state_.record();
    std::optional<heap_state::pinned_units> pins;   // for a thread without a record
    if (me == nullptr)
        pins.emplace(state_);
    else if (!me->enter())   // before any change: the free can be repeated later
        return state_.misused({.kind = misuse::reentry, .address = p});
    // The slab may have been recycled since it was found: then all its objects had been freed.
    bool const still = state_.slab_at(p) == &s && s.bin() == bin;
    bool const live = still && (bin < class_count || retire_generation(s, slot));
    bool const freed = live && state_.free_slot(subslab, bin, slot, me);
    if (me != nullptr)
        me->leave();
    if (!freed)
        misused(misuse::double_free, p, &s);
}

/// Whether the calling thread is in an operation of this heap already: then a signal handler or a test's hook
/// interrupted it.
bool allocator::inside_operation() noexcept
{
    thread_record const* const me = state_.record();
    return me != nullptr && me->activity.load(std::memory_order_relaxed) != 0;
}

void allocator::free_rare(void* p) noexcept
{
    if (p == nullptr)
        return;
    slab_meta* const s = state_.slab_at(p);
    std::uint8_t const tag = s != nullptr ? s->tag.load(std::memory_order_relaxed) : tag_none;
    if (tag == tag_none)
        return report_unknown(p, s);
    if (tag == tag_large) {
        if (p != s->base)
            return misused(misuse::interior_pointer, p, s);
        if (inside_operation())
            return state_.misused({.kind = misuse::reentry, .address = p});
        thread_record* const me = state_.record();
        bool freed = false;
        {
            heap_state::pinned_units const pins{state_};
            if (state_.slab_at(p) == s) {   // else it was freed since it was found
                std::uint32_t const page = state_.pages().index_of(*s);
                if (state_.pages().has_generations(page))
                    static_cast<void>(retire_generation(*s, 0));   // a handle may name it
                freed = free_large(*s, me);
            }
        }
        if (!freed)
            misused(misuse::double_free, p, nullptr);
        else if (me != nullptr)
            state_.decay_sometimes(*me);   // after the pins, which keep units from being returned
        return;
    }
    if (tag > bin_count)   // re-cut since it was found: all its objects had been freed
        return report_unknown(p, s);
    unsigned const slot = slot_of(p, tag - 1U);
    if (slot == max_slots)
        return misused(misuse::interior_pointer, p, s);
    free_located(*s, tag - 1U, slot, p);
}

bool allocator::free_in(epoch_id e, unsigned c, void* p) noexcept
{
    slot_position const at = slot_at(reinterpret_cast<std::uintptr_t>(p), bins[c]);
    thread_record* const me = state_.record();
    if (!at.exact || at.slot >= bins[c].slots || me == nullptr || !me->enter()) [[unlikely]]
        return false;
    slab_meta* const s = state_.slab_at(p);
    bool const here = s != nullptr && s->bin() == c && home_of(*s) == &state_.epoch_slabs_at(e.index);
    bool const freed =
        here &&
        state_.free_slot(*page_heap::map().entry(c).subslab_of(reinterpret_cast<std::uintptr_t>(p)), c, at.slot, me);
    me->leave();
    if (!here)
        return false;
    if (!freed) [[unlikely]]
        misused(misuse::double_free, p, s);
    return true;
}

void allocator::deallocate_checked(void* p, std::size_t bytes, std::size_t alignment, epoch_id e) noexcept
{
    slab_meta* const s = state_.slab_at(p);
    std::uint8_t const tag = s != nullptr ? s->tag.load(std::memory_order_relaxed) : tag_none;
    if (tag == tag_none)
        return p != nullptr ? report_unknown(p, s) : void();
    bool const is_large = tag == tag_large;
    if (!is_large && tag > bin_count)   // as in free_rare
        return report_unknown(p, s);
    unsigned const slot = is_large ? (p == s->base ? 0 : max_slots) : slot_of(p, tag - 1U);
    if (slot == max_slots)
        return misused(misuse::interior_pointer, p, s);
    std::optional<misuse_report> const wrong = is_large
                                                   ? mismatch_of_large(large_allocation{*s}.bytes(), bytes, alignment)
                                                   : mismatch_of_class(class_of_bin(tag - 1U), bytes, alignment);
    if (wrong) {
        misuse_report r = *wrong;
        r.address = p;
        return misused(r, s);
    }
    epoch_slabs const* const home = home_of(*s);
    if (home != nullptr && home != &state_.epoch_slabs_at(e.index))
        return misused(misuse::wrong_resource, p, s, 0, label_of(e).view());
    if (is_large)
        free_rare(p);
    else
        free_located(*s, tag - 1U, slot, p);
}

slab_meta* allocator::large_head(slab_meta* s) noexcept
{
    std::uint32_t const index = state_.pages().index_of(*s);
    for (std::uint32_t i = index; i-- > 0;) {
        if (i % unit_pages == unit_pages - 1 && !state_.pages().owns(i))
            return nullptr;
        slab_meta& candidate = state_.pages().at(i);
        std::uint8_t const tag = candidate.tag.load(std::memory_order_relaxed);
        if (tag == tag_none)
            continue;
        bool const covers = tag == tag_large && index - i < large_allocation{candidate}.pages();
        return covers ? &candidate : nullptr;
    }
    return nullptr;
}

/// Reports a pointer that is in no slab and begins no large allocation.
void allocator::report_unknown(void const* p, slab_meta const* s) noexcept
{
    if (s == nullptr) {
        std::string other;
        if (heap_state::owner_of(p, &state_, other))
            return misused(misuse::wrong_heap, p, nullptr, 0, other);
        // The unit was this heap's and has been returned: all objects in it had been freed.
        bool const was_ours = state_.pages().reserved_once(p);
        return misused(was_ours ? misuse::double_free : misuse::foreign_pointer, p, nullptr);
    }
    if (slab_meta const* const head = large_head(const_cast<slab_meta*>(s)))
        return misused(misuse::interior_pointer, p, head);
    // The page was in use once and has been recycled since: all objects in it had been freed.
    bool const used = state_.pages().was_used(state_.pages().index_of(*s));
    misused(used ? misuse::double_free : misuse::foreign_pointer, p, nullptr);
}

void allocator::misused(misuse_report r, slab_meta const* s) noexcept
{
    shared_text::copy label;
    if (s != nullptr) {
        r.size_class = slot_bytes(*s);
        if (epoch_slabs const* const home = home_of(*s)) {
            label = home->stats.label.read();
            r.epoch_label = label.view();
        }
    }
    state_.misused(r);
}

}
