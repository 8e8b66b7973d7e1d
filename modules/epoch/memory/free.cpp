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

/// Whether the calling thread is in an operation of this heap already: then a signal handler or a test's hook
/// interrupted it.
bool allocator::inside_operation() noexcept
{
    thread_record const* const me = state_.record();
    return me != nullptr && me->activity.load(std::memory_order_relaxed) != 0;
}

/// Frees the slot that `p` was resolved to, and makes its handle stale. False if it is free already.
bool allocator::free_resolved_slot(resolved const& at, void* p) noexcept
{
    thread_record* const me = state_.record();
    std::optional<heap_state::pinned_units> pins;   // for a thread without a record
    if (me == nullptr)
        pins.emplace(state_);
    else if (!me->enter()) {   // before any change: the free can be repeated later
        state_.misused({.kind = misuse::reentry, .address = p});
        return true;
    }
    // The slab may have been recycled since it was found: then all its objects had been freed.
    bool const still = state_.slab_at(p) == at.page && at.page->bin() == at.bin;
    bool const live = still && (at.bin < class_count || retire_generation(*at.page, at.slot));
    bool const freed = live && state_.free_slot(*at.subslab, at.bin, at.slot, me);
    if (me != nullptr)
        me->leave();
    return freed;
}

/// The same for a large allocation.
bool allocator::free_resolved_large(resolved const& at, void* p) noexcept
{
    if (inside_operation()) {
        state_.misused({.kind = misuse::reentry, .address = p});
        return true;
    }
    thread_record* const me = state_.record();
    bool freed = false;
    {
        heap_state::pinned_units const pins{state_};
        if (state_.slab_at(p) == at.page) {   // else it was freed since it was found
            if (page_heap::has_generations(page_heap::index_of(*at.page)))
                static_cast<void>(retire_generation(*at.page, 0));   // a handle may name it
            freed = free_large(*at.page, me);
        }
    }
    if (freed && me != nullptr)
        state_.decay_sometimes(*me);   // after the pins, which keep units from being returned
    return freed;
}

/// Frees `p`, or reports why it cannot be freed.
void allocator::free_resolved(resolved const& at, void* p) noexcept
{
    switch (at.is) {
    case resolved::what::slot:
        if (!free_resolved_slot(at, p))
            misused(misuse::double_free, p, at.page);
        return;
    case resolved::what::large:
        if (!free_resolved_large(at, p))
            misused(misuse::double_free, p, nullptr);
        return;
    default: return report_resolved(at, p);
    }
}

/// Reports a pointer that is neither a slot nor a large allocation.
void allocator::report_resolved(resolved const& at, void const* p) noexcept
{
    if (at.is == resolved::what::interior)
        return misused(misuse::interior_pointer, p, at.page);
    if (at.is == resolved::what::freed)
        return misused(misuse::double_free, p, nullptr);
    std::string owner;
    if (at.is == resolved::what::of_another_heap && heap_state::owner_of(p, &state_, owner))
        return misused(misuse::wrong_heap, p, nullptr, 0, owner);
    misused(misuse::foreign_pointer, p, nullptr);
}

void allocator::free_rare(void* p) noexcept
{
    if (p != nullptr)
        free_resolved(resolve(state_, p), p);
}

bool allocator::free_in(epoch_id e, unsigned c, void* p) noexcept
{
    thread_record* const me = state_.record();
    if (me == nullptr || !me->enter()) [[unlikely]]
        return false;
    resolved const at = resolve(state_, p);
    bool const here = at.is_slot_in(c, state_.epoch_slabs_at(e.index));
    bool const freed = here && state_.free_slot(*at.subslab, c, at.slot, me);
    me->leave();
    if (here && !freed) [[unlikely]]
        misused(misuse::double_free, p, at.page);
    return here;
}

void allocator::deallocate_checked(void* p, std::size_t bytes, std::size_t alignment, epoch_id e) noexcept
{
    if (p == nullptr)
        return;
    resolved const at = resolve(state_, p);
    if (at.is != resolved::what::slot && at.is != resolved::what::large)
        return report_resolved(at, p);
    std::optional<misuse_report> wrong = at.is == resolved::what::large
                                             ? mismatch_of_large(large_allocation{*at.page}.bytes(), bytes, alignment)
                                             : mismatch_of_class(class_of_bin(at.bin), bytes, alignment);
    if (wrong) {
        wrong->address = p;
        return misused(*wrong, at.page);
    }
    epoch_slabs const* const home = home_of(*at.page);
    if (home == &state_.epoch_slabs_at(e.index))
        return free_resolved(at, p);
    // In no epoch its slab has no object. Not freed all the same: another resource may take the slab, and the slot, meanwhile.
    if (home == nullptr)
        return misused(misuse::double_free, p, at.page);
    misused(misuse::wrong_resource, p, at.page, 0, label_of(e).view());
}

namespace {

/// The large allocation that a page lies in behind the first one; null if there is none.
slab_meta* large_head(page_heap const& pages, slab_meta const& page) noexcept
{
    std::uint32_t const index = page_heap::index_of(page);
    for (std::uint32_t i = index; i-- > 0;) {
        if (i % unit_pages == unit_pages - 1 && !pages.owns(i))
            return nullptr;
        slab_meta& candidate = page_heap::at(i);
        std::uint8_t const tag = candidate.tag.load(std::memory_order_relaxed);
        if (tag == tag_none)
            continue;
        bool const covers = tag == tag_large && index - i < large_allocation{candidate}.pages();
        return covers ? &candidate : nullptr;
    }
    return nullptr;
}

}

resolved resolve_unused(heap_state& heap, void const* p, slab_meta* page) noexcept
{
    page_heap const& pages = heap.pages();
    if (page != nullptr) {
        if (slab_meta* const head = large_head(pages, *page))
            return {.is = resolved::what::interior, .page = head};
        return {.is = pages.was_used(page_heap::index_of(*page)) ? resolved::what::freed : resolved::what::foreign};
    }
    std::uint64_t const owner = process_window.owner_of(p);
    if (owner != 0 && owner % 2 == 0 && !pages.reserves(p))
        return {.is = resolved::what::of_another_heap};
    // A unit that was this heap's and has been returned: all objects in it had been freed.
    return {.is = pages.reserved_once(p) ? resolved::what::freed : resolved::what::foreign};
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
