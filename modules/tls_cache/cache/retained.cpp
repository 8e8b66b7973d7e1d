// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The empty slabs that threads retain, and how other threads reach and flush them.
module;
#include <atomic>
#include <cstdint>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

// Modelled: tests/models/retained.pml, step flush_retained
// Modelled: tests/models/reach.pml, step flush_retained
void heap_state::flush_retained(thread_record& r) noexcept
{
    for (thread_cache* l = r.all_caches.load(std::memory_order_acquire); l != nullptr; l = l->next_of_record_)
        if (l->attached_.load(std::memory_order_acquire) == nullptr)   // acquire: its detacher is done with it
            l->flush_retained();
    r.retaining.store(0, std::memory_order_relaxed);
    flush_classes(r, 0);
}

void heap_state::flush_surplus(thread_record& me) noexcept { flush_classes(me, thread_record::batch_pages); }

void heap_state::flush_classes(thread_record& r, std::uint32_t stay_pages) noexcept
{
    for (unsigned c = 0; c < class_count; ++c) {   // each was counted when it became empty
        std::uint32_t const stay = stay_pages / class_shapes[c].pages;
        if (r.retained.count(c) > stay)
            slabs_.put_chain(r.retained.take_oldest(c, r.retained.count(c) - stay), {});
    }
}

// A thread changes what it retains in fork exclusion only. A section announces itself in `activity`, passes the light
// half of the asymmetric barrier, and reads `reached`; a thread that reaches for it sets `reached`, passes the heavy
// half, and reads `activity`. One of them sees the other: the owner waits, or it is left alone.
//
//   thread        event, under                                   to            made safe by
//   open          another thread reaches it, reach_lock_         announced     `reached` set, then the heavy barrier
//   announced     the thread is in no section                    taken         `activity` read with acquire
//   announced     the thread is in a section                     open          it was seen busy: nothing is touched
//   taken         its caches are empty, reach_lock_              open          `reached` cleared with release
//   announced, taken: the thread's next section leaves at once, and waits for reach_lock_
// Modelled: tests/models/reach.pml, step reach_threads
void heap_state::reach_threads(thread_record const* me, std::uint64_t unless_since) noexcept
{
    lock_guard const guard{reach_lock_};
    bool any = false;
    for (thread_record* r = first_record(); r != nullptr; r = r->next_of_heap) {
        // Hints: slabs that a thread retains from now on need not be flushed by this call.
        bool const keeps = r->retained.pages() != 0 || r->retaining.load(std::memory_order_relaxed) != 0;
        if (r == me || !keeps || r->decayed_ns.load(std::memory_order_relaxed) >= unless_since)
            continue;
        r->reached.store(true, std::memory_order_relaxed);
        any = true;
    }
    if (!any)
        return;
    heavy_barrier();
    constexpr int patience = 64;
    for (thread_record* r = first_record(); r != nullptr; r = r->next_of_heap) {
        if (!r->reached.load(std::memory_order_relaxed))
            continue;
        auto const is_busy = [r] {
            // acquire: pairs with ~fork_exclusion. What the thread did in its last section is visible.
            return !r->vanished.load(std::memory_order_relaxed) &&
                   (r->activity.load(std::memory_order_acquire) & thread_record::changing_lists) != 0;
        };
        bool busy = is_busy();
        for (int n = 0; busy && n < patience; ++n) {
            spin_pause();
            busy = is_busy();
        }
        if (!busy)
            flush_retained(*r);
        r->reached.store(false, std::memory_order_release);   // release: the thread sees the emptied lists
    }
}

void heap_state::wait_until_not_reached() noexcept
{
    reach_lock_.lock();
    reach_lock_.unlock();
}

/// Flushes what other threads retain, and their own caches in open and closing epochs, to the heap's caches; `me` is
/// left alone.
void heap_state::revoke_thread_caches(thread_record* me) noexcept
{
    reach_threads(me);
    for (std::uint32_t i = 0; i < prepared_slots(); ++i) {
        epoch_slabs& s = epoch_slabs_at(i);
        if (s.state.load(std::memory_order_relaxed) == lifecycle::active ||
            s.state.load(std::memory_order_relaxed) == lifecycle::closing)
            s.reclaim_from_others(me);
    }
    reach_threads(me);   // a thread that flushed its own caches retained their empty slabs
}

void heap_state::empty_caches(thread_record* me) noexcept
{
    revoke_thread_caches(me);
    if (me != nullptr) {
        flush_retained(*me);
        for (thread_cache* l = me->all_caches.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_) {
            epoch_slabs* const home = l->attached();
            if (home == nullptr)
                continue;
            lock_guard const guard{home->lock, home->site(me, no_class)};
            if (l->attached() == home && l->record() == me)   // else a serial resource of another thread's use
                l->flush_empty();
        }
    }
    slabs_.empty();
    if constexpr (with_checks)
        while (slab_meta* const s = checks_.quarantined())
            pages().give(*s, memory_checks::guarded_pages, true);
}

}
