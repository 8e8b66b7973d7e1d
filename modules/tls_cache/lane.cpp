// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

namespace {
// Full slabs looked at, oldest first, for slots that other threads freed, before a new slab is taken. A few are enough:
// what producers hand to consumers comes back roughly in order.
constexpr int scan_limit = 4;
}

template <class F> void lane::for_each_slab(F visit) noexcept
{
    for (std::uint32_t used = used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        if (current_[bin] != &no_slab)
            visit(*current_[bin], bin);
        for (slab_list* const list : {&ready_[bin], &full_[bin]})
            for (slab* s = list->front(); s != nullptr;) {
                slab* const next = s->next;   // the visitor may recycle s
                visit(*s, bin);
                s = next;
            }
    }
}

/// Takes over what other threads freed in a slab this lane holds. False when that was nothing.
bool lane::collect(slab& s, unsigned bin, class_counters& counts) noexcept
{
    if (s.shared.load(std::memory_order_relaxed) == 0)
        return false;
    counts[class_event::collect].add();
    static_cast<void>(record_->heap.claim(s, bin));
    return true;
}

/// The next slab with a slot in `local`, no longer on a list; null when out of memory.
slab* lane::next_slab(unsigned bin, thread_record& me, class_counters& counts) noexcept
{
    slab* const last = current_[bin];
    counts[last != &no_slab ? class_event::current_full : class_event::current_null].add();
    if (last != &no_slab) {
        if (collect(*last, bin, counts))
            return last;
        full_[bin].push(*last);
        counts[class_event::partial_to_full].add();
    }
    current_[bin] = &no_slab;
    used_bins_ |= 1U << bin;
    if (slab* const s = ready_[bin].pop())
        return s;
    for (int i = 0; i < scan_limit; ++i) {
        slab* const s = full_[bin].back();
        if (s == nullptr || s == last)
            break;
        full_[bin].remove(*s);
        if (collect(*s, bin, counts)) {
            counts[class_event::full_to_partial].add();
            return s;
        }
        full_[bin].push(*s);
    }
    shelf& home = *attached_.load(std::memory_order_relaxed);
    if (!exclusive_ && (home.partial_bins.load(std::memory_order_relaxed) >> bin & 1U) != 0)
        if (slab* const s = home.adopt(*this, bin))
            return s;
    std::uint32_t const label_id = home.label_id.load(std::memory_order_relaxed);
    slab* const s = me.heap.take_slab(bin, me, counts, me.site(class_of_bin(bin), label_id));
    if (s != nullptr) {
        s->home.store(&home, std::memory_order_relaxed);
        s->where.store(residence::held, std::memory_order_relaxed);
        s->owner.store(this, std::memory_order_relaxed);
    }
    return s;
}

[[gnu::noinline]] void* lane::refill(unsigned bin, thread_record& me) noexcept
{
    if ((armed_bins_ >> bin & 1U) != 0) [[unlikely]]
        return sampled(bin, me);
    return find_slot(bin, me);
}

[[clang::preserve_most]] void lane::arm(unsigned bin) noexcept
{
    allocations_[bin].carry();
    slab* const s = current_[bin];
    if (!record_->heap.sampling())
        return;
    restructuring_section const section{record_};
    (s->local.load(std::memory_order_relaxed) != 0 ? ready_ : full_)[bin].push(*s);
    current_[bin] = &no_slab;
    armed_bins_ |= 1U << bin;
    parked_[bin] = s;
}

void* lane::find_slot(unsigned bin, thread_record& me) noexcept
{
    restructuring_section const section{&me};
    unsigned const c = class_of_bin(bin);
    class_counters& counts = me.classes[c];
    counts[class_event::slow_path].add();
    me.scans[c].note_allocation(counts);
    while (slab* const s = next_slab(bin, me, counts)) {
        current_[bin] = s;
        if (void* const p = allocate(bin)) [[likely]]
            return p;
    }
    counts[class_event::out_of_memory].add();
    return nullptr;
}

/// Takes up the slab that `arm` put aside, and is an allocation like any other, but timed.
[[gnu::cold, gnu::noinline]] void* lane::sampled(unsigned bin, thread_record& me) noexcept
{
    armed_bins_ &= ~(1U << bin);
    stopwatch const watch;
    if (slab* const s = std::exchange(parked_[bin], nullptr); s != nullptr) {
        restructuring_section const section{&me};
        (s->local.load(std::memory_order_relaxed) != 0 ? ready_ : full_)[bin].remove(*s);
        current_[bin] = s;
    }
    void* p = allocate(bin);
    if (p == nullptr)
        p = find_slot(bin, me);
    if (p != nullptr)
        me.alloc_times.note(watch.read());
    return p;
}

/// A free changed which list a slab belongs on: its first free slot, or its last live one.
[[gnu::noinline]] void lane::restock(slab& s, unsigned bin, std::uint64_t before, std::uint64_t after) noexcept
{
    restructuring_section const section{record_};
    if (before == 0) {
        full_[bin].remove(s);
        if (&s != parked_[bin])   // which was not told as full either
            record_->classes[class_of_bin(bin)][class_event::full_to_partial].add();
    } else {
        ready_[bin].remove(s);
    }
    if (after == bins[bin].full_mask && &s != parked_[bin])
        record_->heap.recycle(s, record_);   // every slot is in local, so no other thread has an object in it
    else
        ready_[bin].push(s);
}

std::uint64_t lane::drop(thread_record& me) noexcept
{
    restructuring_section const section{&me};
    std::uint64_t live = 0;
    for_each_slab([&](slab& s, unsigned bin) {
        std::uint64_t const free = me.heap.claim(s, bin);
        live += me.heap.retire_live(s, bin, free);
        me.heap.recycle(s, &me);
    });
    for (std::uint32_t used = used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        current_[bin] = &no_slab;
        ready_[bin] = {};
        full_[bin] = {};
    }
    used_bins_ = 0;
    parked_ = {};
    return live;
}

void lane::count_live(std::uint64_t& objects, std::uint64_t& bytes) const noexcept
{
    const_cast<lane*>(this)->for_each_slab([&](slab const& s, unsigned bin) {
        std::uint64_t const free = s.local.load(std::memory_order_relaxed) | s.shared.load(std::memory_order_relaxed);
        auto const n = static_cast<unsigned>(std::popcount(bins[bin].full_mask & ~free));
        objects += n;
        bytes += std::uint64_t{n} * bins[bin].size;
    });
}

}
