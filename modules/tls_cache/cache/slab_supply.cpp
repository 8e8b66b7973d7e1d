// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The supply of empty slabs: the thread's own cache, the heap's, free pages. Also counts and checks the live objects of
// slabs that are recycled with them.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

void heap_state::give_large(slab_meta& s, std::uint32_t pages, lock_site const& site) noexcept
{
    if constexpr (with_checks) {
        slab_meta* out = nullptr;
        if (checks_.uses_canaries() && pages == memory_checks::guarded_pages && checks_.quarantine(s, out)) {
            if (out != nullptr)
                slabs_.pages().give(*out, memory_checks::guarded_pages, true, site);
            return;
        }
    }
    slabs_.pages().give(s, pages, true, site);
}

void heap_state::check_live(slab_meta& s, unsigned bin) noexcept
{
    if constexpr (!with_checks)
        return;
    if (!checks_.on())
        return;
    for_each_subslab(s, bin, [&](slab_meta& subslab) {
        std::uint64_t live = bins[bin].full_mask & ~(subslab.remote_free.load(std::memory_order_relaxed) |
                                                     subslab.local_free.load(std::memory_order_relaxed));
        for (; live != 0; live &= live - 1) {
            auto const slot = static_cast<std::size_t>(std::countr_zero(live));
            checked_slot const of{subslab.base + slot * bins[bin].size, bins[bin].size};
            request was{};
            if (!checks_.uses_canaries())
                free_twin(of.begin);
            else if (std::optional<misuse> const wrong = checks_.verify(of, nullptr, was)) {
                misused({.kind = *wrong, .address = of.begin, .size_class = of.bytes});
                memory_checks::clear(of.begin, of.bytes, 1);   // reported once
            }
        }
    });
}

void heap_state::check_live_large(slab_meta& s) noexcept
{
    if constexpr (!with_checks)
        return;
    if (!checks_.on())
        return;
    checked_slot const of = whole(s);
    if (!checks_.uses_canaries()) {
        free_twin(of.begin);
        return;
    }
    request was{};
    void* const guarded = checks_.guarded_at(of.begin);
    if (std::optional<misuse> const wrong = checks_.verify(of, guarded, was))
        misused({.kind = *wrong, .address = guarded != nullptr ? guarded : of.begin});
}

void heap_state::reset_slab(slab_meta& s, unsigned bin) noexcept
{
    mark_empty(s, bin, [&](slab_meta const& subslab, std::uint64_t twice) { freed_twice(subslab, bin, twice); });
    slab_cache::retire_from_handles(s, bin);
}

// Modelled: tests/models/close.pml, step recycle
// Modelled: tests/models/survivors.pml, step recycle
void heap_state::recycle(slab_meta& s, thread_record* me) noexcept
{
    unsigned const bin = s.bin();
    unsigned const c = class_of_bin(bin);
    thread_cache const* const owner = cache_owning(s);
    auto* const home = owner != nullptr ? owner->attached_.load(std::memory_order_relaxed)
                                        : static_cast<epoch_slabs*>(s.home.load(std::memory_order_relaxed));
    bool const counted = home != nullptr && home->count.on() && (owner == nullptr || owner->counted_);
    reset_slab(s, bin);
    if (me == nullptr || !retains_slabs()) [[unlikely]] {
        recycle_to_heap(s, bin, me, home);
    } else {
        s.where.store(residence::cached, std::memory_order_relaxed);
        me->retained.push(s, c);
        if (me->retained.pages() <= thread_cache_pages_ ||
            retain_less(*me, home != nullptr ? home->site(me, c) : lock_site{})) [[likely]]
            me->classes[c][class_event::recycled].add();
    }
    if (counted) [[unlikely]]   // the slab has left the epoch
        home->give_counted(bins[bin].pages);
}

/// Recycles the slab of a thread that retains none: to the heap's cache or, if that is full, to the free pages.
[[gnu::noinline]] void heap_state::recycle_to_heap(slab_meta& s, unsigned bin, thread_record* me,
                                                   epoch_slabs const* home) noexcept
{
    unsigned const c = class_of_bin(bin);
    bool const cached = slabs_.put(s, home != nullptr ? home->site(me, c) : lock_site{});
    counts_of(me, c)[cached ? class_event::recycled : class_event::overflowed].add();
}

/// The thread retains more than it may: of each class, the older half goes to the heap's cache, and what does not fit
/// there becomes free pages. True if all of it fit.
[[gnu::cold, gnu::noinline]] bool heap_state::retain_less(thread_record& me, lock_site const& site) noexcept
{
    bool all_fit = true;
    for (unsigned c = 0; c < class_count; ++c) {
        std::uint32_t const n = me.retained.count(c) - me.retained.count(c) / 2;
        if (n == 0)
            continue;
        std::uint32_t const cached = slabs_.put_chain(me.retained.take_oldest(c, n), site);
        me.classes[c][class_event::overflowed].add(n - cached);
        all_fit = all_fit && cached == n;
    }
    return all_fit;
}

// Modelled: tests/models/close.pml, step take_slab
// Modelled: tests/models/retained.pml, step take_slab
slab_meta* heap_state::take_slab(unsigned bin, thread_record& me, class_counters& counts,
                                 std::uint32_t label_id) noexcept
{
    ++me.slabs_taken;
    unsigned const c = class_of_bin(bin);
    slab_meta* s = me.retained.first(c);
    if (s != nullptr && s->bin() == bin) [[likely]] {
        static_cast<void>(me.retained.pop(c));
        counts[class_event::cache_hit].add();
        // The slab was one of this bin before, so late frees are in its own words.
        if (has_subslabs(bin) || s->remote_free.load(std::memory_order_relaxed) != 0) [[unlikely]]
            report_late_frees(*s);
    } else {
        s = take_slab_rare(bin, me, counts, me.site(c, label_id));
        if (s == nullptr)
            return nullptr;
        report_late_frees(*s);
    }
    s->was.store(static_cast<std::uint8_t>(bin + 1), std::memory_order_relaxed);
    return s;
}

namespace {

/// Takes further empty slabs of a bin ahead, into the thread's cache: an eighth of the slabs that it has cut of the
/// class, if that is 64 pages at least; 1 MiB and `most` pages at most; only while that takes no resident page. Threads
/// that take slabs one by one at the same time get neighbouring descriptors, and a processor that prefetches the next
/// line takes it from the other processor's cache.
[[gnu::noinline]] void take_ahead(heap_state& heap, unsigned bin, thread_record& me, class_counters& counts,
                                  lock_site const& site, std::uint32_t most) noexcept
{
    constexpr std::uint32_t least_ahead = 64;   // pages: their descriptors fill a page; fewer gain nothing
    constexpr std::uint32_t most_ahead = 256;
    if (bin >= class_count)
        return;
    std::uint32_t const pages = class_shapes[bin].pages;
    std::uint64_t const eighth = counts[class_event::new_slab].value() / 8;
    if (eighth * pages < least_ahead)
        return;
    auto const n = static_cast<std::uint32_t>(std::min<std::uint64_t>(eighth, std::min(most, most_ahead) / pages));
    for (std::uint32_t k = 1; k < n && heap.pages().free_resident_pages() == 0; ++k) {
        slab_meta* const s = heap.slabs().take(bin, counts, site, true);
        if (s == nullptr)
            return;
        heap.report_late_frees(*s);
        s->was.store(static_cast<std::uint8_t>(bin + 1), std::memory_order_relaxed);
        s->where.store(residence::cached, std::memory_order_relaxed);
        me.retained.push(*s, bin);
    }
}

}

/// Takes a slab from the heap's cache, with some more for the thread's, or from free pages.
[[gnu::noinline]] slab_meta* heap_state::take_slab_rare(unsigned bin, thread_record& me, class_counters& counts,
                                                        lock_site const& site) noexcept
{
    unsigned const c = class_of_bin(bin);
    me.expect_wait();
    if (me.retained.first(c) == nullptr) {
        std::uint32_t taken = 0;
        slab_meta* const chain =
            slabs_.take_cached(c, thread_record::batch_pages / class_shapes[c].pages / 2 + 1, taken, site);
        me.retained.fill(c, chain, taken);
    }
    if (slab_meta* const s = me.retained.first(c); s != nullptr && slabs_.turn_into(*s, bin)) {
        static_cast<void>(me.retained.pop(c));
        counts[class_event::cache_hit].add();
        return s;
    }
    if (slab_meta* const s = recut_retained(bin, me)) {
        counts[class_event::cache_hit].add();
        return s;
    }
    if (slab_meta* const s = slabs_.take(bin, counts, site)) {
        std::uint32_t const kept = me.retained.pages();
        if (first_record()->next_of_heap != nullptr && retains_slabs() && kept < thread_cache_pages_)
            take_ahead(*this, bin, me, counts, site, thread_cache_pages_ - kept);
        return s;
    }
    empty_caches(&me);
    slab_meta* s = slabs_.take(bin, counts, site, true);
    if (s == nullptr && make_room(&me))
        s = slabs_.take(bin, counts, site, true);
    return s;
}

/// Re-cuts a slab that the thread retains of another class, the one of which it has most. It is resident and needs no
/// lock. Without this a thread would retain its peak of each class, although it never needed them all at once.
slab_meta* heap_state::recut_retained(unsigned bin, thread_record& me) noexcept
{
    if (bin >= class_count || me.retained.pages() < bins[bin].pages)
        return nullptr;
    std::uint32_t most = 0;
    unsigned from = 0;
    for (unsigned c = 0; c < class_count; ++c)
        if (class_shapes[c].pages == bins[bin].pages && me.retained.count(c) > most) {
            most = me.retained.count(c);
            from = c;
        }
    if (most == 0)
        return nullptr;
    slab_meta* const s = me.retained.first(from);
    if (has_subslabs(bin) && !pages().commit_subslabs(page_heap::index_of(*s)))
        return nullptr;
    static_cast<void>(me.retained.pop(from));
    slabs_.recut(*s, bin);
    return s;
}

void heap_state::purge_if_due(reclaim_result& done, bool asked) noexcept
{
    if (!slabs_.is_purge_due(asked)) [[likely]]
        return;
    done.begin_purge(pages().free_resident_pages());
    done.purged += slabs_.purge_if_due(asked);
}

std::uint64_t heap_state::retire_live(slab_meta& s, unsigned bin) noexcept
{
    check_live(s, bin);
    if (bin < class_count)
        return live_slots(s, bin);
    std::uint64_t const live = bins[bin].full_mask & ~(s.local_free.load(std::memory_order_relaxed) |
                                                       s.remote_free.load(std::memory_order_relaxed));
    for (std::uint64_t left = live; left != 0; left &= left - 1)
        retire_generation(s, static_cast<unsigned>(std::countr_zero(left)));
    return static_cast<std::uint64_t>(std::popcount(live));
}

std::uint64_t heap_state::retire_large(slab_meta& s) noexcept
{
    check_live_large(s);
    retire_generation(s, 0);
    return 1;
}

/// Makes the handle of a slot that is released live stale.
void heap_state::retire_generation(slab_meta const& s, unsigned slot) noexcept
{
    std::uint32_t const page = page_heap::index_of(s);
    if (!page_heap::has_generations(page))
        return;
    auto& generation = page_heap::generation(page, slot);
    std::uint32_t const now = generation.load(std::memory_order_relaxed);
    generation.store((now + 1) & ~1U, std::memory_order_relaxed);   // even: no handle is live
}

void heap_state::freed_twice(slab_meta const& subslab, unsigned bin, std::uint64_t slots) noexcept
{
    thread_record* const me = known_record();   // makes none: that takes the registry's lock, which precedes an epoch's
    for (slots &= bins[bin].full_mask; slots != 0; slots &= slots - 1) {
        counts_of(me, class_of_bin(bin))[class_event::repair_twice].add();
        misused({.kind = misuse::double_free,
                 .address = subslab.base + static_cast<std::size_t>(std::countr_zero(slots)) * bins[bin].size,
                 .size_class = bins[bin].size});
    }
}

void heap_state::report_late_frees(slab_meta& s) noexcept
{
    unsigned const bin = s.last_bin();
    auto const look = [&](slab_meta& subslab) {
        if (subslab.remote_free.load(std::memory_order_relaxed) == 0) [[likely]]
            return;
        std::uint64_t const late = subslab.remote_free.exchange(0, std::memory_order_acquire);
        if (bin < bin_count)
            freed_twice(subslab, bin, late);
    };
    look(s);
    if (bin >= bin_count || !has_subslabs(bin))
        return;
    slab_meta* subslab = page_heap::subslabs_at(page_heap::index_of(s));
    for (unsigned k = bins[bin].subslabs; k-- > 0; subslab += subslab_stride(bin))
        look(*subslab);
}

}
