// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "owned_slabs.hpp"

namespace tslab {

namespace {

// Owned slabs scanned, oldest first, before a new slab is taken: producers' slots are freed roughly in their order.
constexpr std::uint32_t scan_limit = 4;

}

/// Claims the remote frees of an owned slab; returns a subslab with a slot in `local_free`, null if there is none.
// Modelled: tests/models/words.pml, step open_subslab
slab_meta* thread_cache::open_subslab(slab_meta& s, unsigned bin, class_counters& counts) noexcept
{
    slab_meta* subslab = first_subslab(s, bin);   // not null: the cache owns the slab
    for (unsigned k = bins[bin].subslabs; k-- > 0; subslab += subslab_stride(bin)) {
        if (subslab->remote_free.load(std::memory_order_relaxed) != 0) {
            counts[class_event::collect].add();
            static_cast<void>(record_->heap.claim(*subslab, bin));
        }
        if (subslab->local_free.load(std::memory_order_relaxed) != 0)
            return subslab;
    }
    return nullptr;
}

namespace {

/// Whether at least half of a slab's slots were freed remotely.
bool much_freed(slab_meta const& s, unsigned bin) noexcept
{
    int n = 0;
    for_each_subslab(s, bin, [&](slab_meta const& subslab) {
        n += std::popcount(subslab.remote_free.load(std::memory_order_seq_cst));   // seq_cst: see scan_owned
    });
    return static_cast<std::uint32_t>(n) * 2 >= bins[bin].slab_slots();
}

}

/// Scans owned slabs for remote frees while `freed_into` is set. Returns a subslab with a free slot, or null.
// Modelled: tests/models/words.pml, step scan_owned
slab_meta* thread_cache::scan_owned(unsigned bin, class_counters& counts) noexcept
{
    slow_bin& b = slow_bins_[bin];
    if (auto& freed_into = bins_[bin].bin.freed_into; freed_into.load(std::memory_order_relaxed) != 0) {
        // The flag is cleared before the slabs are read: a later free sets it again. seq_cst: a freer changes
        // `remote_free` and then reads the flag, so one must see the other's change. With a weaker order the slabs
        // could be read before other threads see the flag cleared.
        freed_into.exchange(0, std::memory_order_seq_cst);
        b.to_scan = b.owned.size();
    }
    for (std::uint32_t n = std::min(b.to_scan, scan_limit); n > 0; --n) {
        slab_meta* const s = b.owned.back();
        if (s == nullptr)
            break;
        b.owned.remove(*s);
        b.owned.push(*s);   // the oldest slab moves to the other end: the next call looks at the next one
        --b.to_scan;
        // Skips slabs less than half remotely freed: the cache miss costs more than the slots gain.
        if (is_parked(*s, bin) || !much_freed(*s, bin))
            continue;
        if (slab_meta* const subslab = open_subslab(*s, bin, counts)) {   // it was full: the partial stack is empty
            counts[class_event::full_to_partial].add();
            return subslab;
        }
    }
    return nullptr;
}

/// Takes the slab on top of the partial stack, the one freed into last.
slab_meta* thread_cache::open_partial(unsigned bin, class_counters& counts) noexcept
{
    slow_bin& b = slow_bins_[bin];
    slab_meta& s = b.pop_partial();
    if (has_only_free(s, bin))
        note_empty(bin, 0U - 1);
    return open_subslab(s, bin, counts);
}

/// Returns the next subslab with a free slot in `local_free`; null if out of memory.
// Modelled: tests/models/close.pml, step next_subslab
// Modelled: tests/models/words.pml, step next_subslab
slab_meta* thread_cache::next_subslab(unsigned bin, thread_record& me, class_counters& counts) noexcept
{
    slab_meta*& current = bins_[bin].bin.current;
    if (current != &no_slab) {
        counts[class_event::current_full].add();
        if (slab_meta* const subslab = open_subslab(slab_of(*current, bin), bin, counts))
            return subslab;
        current = &no_slab;
        counts[class_event::partial_to_full].add();
    } else {
        counts[class_event::current_null].add();
        used_bins_ |= only_bin(bin);
    }
    slow_bin& b = slow_bins_[bin];
    if (b.partial != nullptr)
        return open_partial(bin, counts);
    if (b.to_scan != 0 || bins_[bin].bin.freed_into.load(std::memory_order_relaxed) != 0) [[unlikely]]
        if (slab_meta* const subslab = scan_owned(bin, counts))
            return subslab;
    epoch_slabs& home = *attached_.load(std::memory_order_relaxed);
    if (!exclusive_ && has_bin(home.partial_bins.load(std::memory_order_relaxed), bin)) [[unlikely]] {
        if (!b.gate.open(bins_[bin].bin.allocations.value())) {
            counts[class_event::bypassed].add();
        } else if (slab_meta* const s = home.acquire_partial(*this, bin)) {
            s->partial = false;
            b.owned.push(*s);
            note_held(bin, 1);
            return open_subslab(*s, bin, counts);
        }
    }
    if (home.count.on()) [[unlikely]]
        return next_counted(bin, me, counts);
    if (has_recycled_ || room_ != 0) [[unlikely]]
        adjust_room(bin, me);
    slab_meta* const s = me.heap.take_slab(bin, me, counts, home.label_id.load(std::memory_order_relaxed));
    if (s == nullptr) [[unlikely]]
        return nullptr;
    take_ownership(*s, bin);
    return first_subslab(*s, bin);
}

namespace {

/// Whether the thread is changing lists of the heap: then a signal handler has interrupted it there.
inline bool is_interrupted(thread_record const& me) noexcept
{
    return (me.activity.load(std::memory_order_relaxed) & thread_record::changing_lists) != 0;
}

[[gnu::cold, gnu::noinline]] void report_reentry(thread_record& me) noexcept
{
    me.apart.refused = {};
    me.heap.misused({.kind = misuse::reentry});
}

/// Whether no slot of a subslab is free, nor freed by another thread and not claimed yet.
inline bool is_full(slab_meta const& subslab) noexcept
{
    return subslab.local_free.load(std::memory_order_relaxed) == 0 &&
           subslab.remote_free.load(std::memory_order_relaxed) == 0;
}

/// A subslab of a slab that has a free slot in `local_free`; null if none has, or if other threads have freed into one.
slab_meta* subslab_at_hand(slab_meta const& s, unsigned bin, bool& freed_by_others) noexcept
{
    slab_meta* found = nullptr;
    for_each_subslab(s, bin, [&](slab_meta& each) {
        freed_by_others = freed_by_others || each.remote_free.load(std::memory_order_relaxed) != 0;
        if (found == nullptr && each.local_free.load(std::memory_order_relaxed) != 0)
            found = &each;
    });
    return freed_by_others ? nullptr : found;
}

}

/// The common case of refill for slabs of several subslabs: another subslab of the current slab, or of the slab on top of the
/// partial stack, has a free slot, and other threads have freed into neither. In a fork-exclusion section.
[[gnu::noinline]] void* thread_cache::refill_subslabs(unsigned bin, thread_record& me) noexcept
{
    fast_bin& b = bins_[bin].bin;
    slow_bin& of = slow_bins_[bin];
    bool freed_by_others = false;
    slab_meta* next = subslab_at_hand(slab_of(*b.current, bin), bin, freed_by_others);
    bool const stays = next != nullptr;
    if (next == nullptr && !freed_by_others && of.partial != nullptr)
        next = subslab_at_hand(*of.partial, bin, freed_by_others);
    if (next == nullptr)
        return find_slot(bin, me);
    class_counters& counts = me.classes[bin];
    counts[class_event::slow_path].add();
    counts[class_event::current_full].add();
    me.note_slow_path(bin, counts);
    if (!stays) {
        counts[class_event::partial_to_full].add();
        slab_meta const& s = of.pop_partial();
        if (has_only_free(s, bin))
            note_empty(bin, 0U - 1);
    }
    b.current = next;
    return allocate_from(b);
}

[[gnu::noinline]] void* thread_cache::refill(unsigned bin, thread_record& me) noexcept
{
    // A resource's cache announces no operation on its fast path; its lists are first changed here.
    if (is_interrupted(me)) [[unlikely]] {
        report_reentry(me);
        return nullptr;
    }
    if (has_bin(sample_bins_, bin)) [[unlikely]]
        return allocate_sampled(bin, me);
    fork_exclusion const section{&me};   // before anything is looked at: a signal handler may free
    // The common case: the current slab is full, the partial stack has one, and neither has remote frees.
    fast_bin& b = bins_[bin].bin;
    slow_bin& of = slow_bins_[bin];
    slab_meta& last = *b.current;
    slab_meta* const s = of.partial;
    if (has_subslabs(bin) && &last != &no_slab) [[unlikely]]
        return refill_subslabs(bin, me);
    if (s == nullptr || bin >= class_count || &last == &no_slab || !is_full(last) ||
        s->remote_free.load(std::memory_order_relaxed) != 0) [[unlikely]]
        return find_slot(bin, me);
    class_counters& counts = me.classes[class_of_bin(bin)];
    counts[class_event::slow_path].add();
    counts[class_event::current_full].add();
    counts[class_event::partial_to_full].add();
    me.note_slow_path(class_of_bin(bin), counts);
    of.pop_partial();
    if (s->local_free.load(std::memory_order_relaxed) == bins[bin].full_mask)
        note_empty(bin, 0U - 1);
    b.current = s;
    return allocate_from(b);
}

[[clang::preserve_most]] void thread_cache::request_sample(fast_bin& b) noexcept
{
    unsigned const bin = index_of(b);
    slow_bin& of = slow_bins_[bin];
    std::uint32_t const step = std::min(of.to_period, of.to_profile);
    bool const timed = of.to_period == step && record_->heap.sampling();
    bool const profiled = of.to_profile == step;
    if (of.to_period == step) {
        of.to_period = record_->choose_sample();
        record_->heap.note_work(*record_);
    } else {
        of.to_period -= step;
    }
    if (of.to_profile != slow_bin::no_profile)
        of.to_profile = profiled ? slow_bin::no_profile : of.to_profile - step;   // the next is drawn with that sample
    b.allocations.choose(std::min(of.to_period, of.to_profile));
    if (!timed && !profiled)
        return;
    if (timed)
        tick_clock::calibrate();
    fork_exclusion const section{record_};
    if (b.current != &no_slab)
        of.parked = std::exchange(b.current, &no_slab);
    sample_bins_ |= only_bin(bin);
    if (profiled)
        profile_bins_ |= only_bin(bin);
}

void thread_cache::choose_profiled(unsigned bin, std::uint32_t ahead) noexcept
{
    slow_bin& of = slow_bins_[bin];
    of.to_profile = slow_bin::no_profile;
    if (ahead == 1) {
        sample_bins_ |= only_bin(bin);
        profile_bins_ |= only_bin(bin);
    } else if (ahead != heap_profiler::no_sample) {
        of.to_profile = ahead - 1;
    }
    bins_[bin].bin.allocations.choose(std::min(of.to_period, of.to_profile));
}

// Modelled: tests/models/words.pml, step find_slot
inline void* thread_cache::find_slot(unsigned bin, thread_record& me) noexcept
{
    fork_exclusion const section{&me};
    unsigned const c = class_of_bin(bin);
    class_counters& counts = me.classes[c];
    counts[class_event::slow_path].add();
    me.note_slow_path(c, counts);
    me.heap.decay_sometimes(me);
    while (slab_meta* const subslab = next_subslab(bin, me, counts)) {
        bins_[bin].bin.current = subslab;
        publish_owned(bin);
        published_->allocations[bin].raise(bins_[bin].bin.allocations.value());
        if (bin >= class_count)
            skip_used_up(bin);
        if (void* const p = allocate(bin)) [[likely]]
            return p;
    }
    if (!counted_)
        me.apart.refused = {};   // of an earlier allocation
    if (!me.apart.refused)
        counts[class_event::out_of_memory].add();
    return nullptr;
}

/// Makes the slab that `request_sample` set aside current again; an allocation like any other, but timed, or one that the
/// heap profile samples.
[[gnu::cold, gnu::noinline]] void* thread_cache::allocate_sampled(unsigned bin, thread_record& me) noexcept
{
    sample_bins_ &= ~only_bin(bin);
    bool const profiled = has_bin(profile_bins_, bin);
    sample_timer timer;
    if (slab_meta* const s = std::exchange(slow_bins_[bin].parked, nullptr); s != nullptr) {
        fork_exclusion const section{&me};
        bins_[bin].bin.current = s;
    }
    if (profiled) {
        profile_bins_ &= ~only_bin(bin);
        if (void* const p = allocate_profiled(bin, me))
            return p;
    }
    if (bin >= class_count)
        skip_used_up(bin);
    void* p = allocate(bin);
    if (p == nullptr) {
        me.timer = &timer;
        p = find_slot(bin, me);
        me.timer = nullptr;
    }
    if (!profiled)
        me.note_allocation(timer.read());   // a refused one too
    return p;
}

[[gnu::cold, gnu::noinline]] void* thread_cache::choose_and_leave(std::size_t code, void* p) noexcept
{
    request_sample(bin_at(code));
    home().leave_by_kernel();
    asm("" : "+r"(p));   // else the compiler knows what is returned, and the caller keeps `p` on a stack
    return p;
}

/// restock, and the end of the operation that was begun by enter_by_kernel.
[[gnu::noinline]] void thread_cache::restock_and_leave(slab_meta& subslab, fast_bin& of, std::uint64_t after) noexcept
{
    restock(subslab, of, after);
    home().leave_by_kernel();
}

namespace {

/// Bins in which a slab with its first free slot may become the current one at once: of one subslab, freed by pointer.
constexpr bin_set switching_bins = [] {
    bin_set set = 0;
    for (unsigned bin = 0; bin < class_count; ++bin)
        if (!has_subslabs(bin))
            set |= only_bin(bin);
    return set;
}();

}

/// Counts the first free slot in a slab that becomes the current one.
inline void thread_cache::note_switched(unsigned bin) noexcept
{
    class_counters& counts = record_->classes[bin];
    counts[class_event::full_to_partial].add();
    counts[class_event::partial_to_full].add();
}

/// Called after a free that gave a subslab its first free slot, or emptied it, if the cache does not allocate from it.
// The common case: the first free slot of a slab with one subslab; that slab is not empty, since it has more slots.
// If the current slab has no free slot, this one becomes current, without the stack and a refill: its slot is in the
// processor's cache, and where objects are replaced at random each free finds another slab. Not otherwise: to leave a
// slab with free slots costs more than it saves. What others freed in the current slab is claimed first. While the bin's
// next allocation is to be timed or sampled, nothing becomes current before that. No list changes, so this is no
// fork-exclusion section.
// Modelled: tests/models/words.pml, step switch_to
[[gnu::noinline]] void thread_cache::restock(slab_meta& subslab, fast_bin& of, std::uint64_t after) noexcept
{
    unsigned const bin = index_of(of);
    slab_meta const& last = *of.current;
    if (!has_bin(switching_bins & ~sample_bins_, bin) || (after & (after - 1)) != 0 || !is_full(last) ||
        &last == &no_slab || subslab.partial || is_interrupted(*record_))
        return restock_off_current(subslab, bin, after);
    of.current = &subslab;
    note_switched(bin);
}

/// The same where the slab does not become the current one, or has several subslabs.
[[gnu::noinline]] void thread_cache::restock_off_current(slab_meta& subslab, unsigned bin, std::uint64_t after) noexcept
{
    // The slot is free already. Its slab stays off the stack, and is returned when it is empty or the cache is flushed.
    if (is_interrupted(*record_)) [[unlikely]]
        return report_reentry(*record_);
    slow_bin& b = slow_bins_[bin];
    if (has_subslabs(bin) || &subslab == b.parked || after == bins[bin].full_mask) [[unlikely]]
        return restock_rare(subslab, bin, after);
    {
        fork_exclusion const section{record_};
        b.push_partial(subslab);
    }
    record_->classes[class_of_bin(bin)][class_event::full_to_partial].add();
}

/// Whether the slab `s`, of a subslab whose word is `after` now, may become the current one. As restock says, for several subslabs; a
/// slab of one comes here when it is empty, and may not.
bool thread_cache::may_switch_to(slab_meta const& s, unsigned bin, std::uint64_t after) const noexcept
{
    slab_meta* const last = bins_[bin].bin.current;
    if ((after & (after - 1)) != 0 || s.partial || last == &no_slab || has_bin(sample_bins_, bin))
        return false;
    bool full = true;
    for_each_subslab(slab_of(*last, bin), bin, [&full](slab_meta const& each) { full = full && is_full(each); });
    return full;
}

[[gnu::noinline]] void thread_cache::restock_rare(slab_meta& subslab, unsigned bin, std::uint64_t after) noexcept
{
    slab_meta* const current = bins_[bin].bin.current;
    slow_bin& b = slow_bins_[bin];
    slab_meta& s = slab_of(subslab, bin);
    if (is_parked(s, bin) || (current != &no_slab && &s == &slab_of(*current, bin)))
        return;   // the cache allocates from it, or is about to
    if (may_switch_to(s, bin, after)) {
        bins_[bin].bin.current = &subslab;
        return note_switched(bin);
    }
    fork_exclusion const section{record_};
    if (!s.partial) {
        b.push_partial(s);
        record_->classes[class_of_bin(bin)][class_event::full_to_partial].add();
    }
    if (after != bins[bin].full_mask || (has_subslabs(bin) && !has_only_free(s, bin)))
        return;
    note_empty(bin, 1);
    if (has_spare(bin, record_->heap.cache_pages() << room_)) {
        free_sample const sampled{record_};
        recycle_empty(bin, *record_);
    }
}

}
