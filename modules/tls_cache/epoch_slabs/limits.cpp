// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Limits: the pages that an epoch holds, counted where it takes and leaves them. Fast paths do neither.
//
//   pages                       event                                    by, under          made safe by
//   nowhere -> the epoch's      a cache takes an empty slab              owner              reserved before it is taken (next_counted)
//   nowhere -> the epoch's      a cache is attached with retained slabs  owner, lock        begin_counted, before its first use
//   nowhere -> the epoch's      the heap profile takes a slab            any, then lock     reserved before it is taken (allocate_sampled)
//   nowhere -> the epoch's      a large allocation                       any, lock          add_large
//   cache's <-> a list          an orphan; a slab is acquired            any, lock          no count changes
//   the epoch's -> nowhere      a slab is recycled                       whoever holds it   given back after it has left (recycle)
//   the epoch's -> nowhere      a detached cache retains slabs           owner, lock        detach_cache, end_counting
//   uncounted -> the epoch's    a limit is set while the epoch is open   see begin_counting `counted_` of each cache
//
// A count is three additions: to the heap's account, to its label's account, to the epoch's word. The word names the account,
// and the thread that changes the word knows by that where the pages are. So the word is changed last where pages are reserved, and
// first where they are given back: an account is never below the sum of its epochs. A thread that reserves and finds by the
// last step that the epoch was moved to another account gives back and begins again; a thread that moves the epoch adds to
// the new account before and takes from the old one afterwards. The order of additions does not matter, so no sum drifts.
// Each addition is refused where it would exceed a limit, so no count is ever above its limit, unless what was held
// before there was a limit, or before it was lowered, or under another label, is. A thread may be refused because another one
// has reserved pages that it gives back at once, since a further limit refuses them.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "../cache/owned_slabs.hpp"

namespace tslab {

bool page_account::take(std::uint64_t pages, std::uint64_t& held) noexcept
{
    held = held_.load(std::memory_order_relaxed);
    do {
        std::uint64_t const most = limit_.load(std::memory_order_relaxed);
        if (held > most || pages > most - held) [[unlikely]]
            return false;
        // relaxed: the number guards no other memory.
    } while (!held_.compare_exchange_weak(held, held + pages, std::memory_order_relaxed));
    stats_->held.add_shared(pages);
    return true;
}

void page_account::force(std::uint64_t pages) noexcept
{
    held_.fetch_add(pages, std::memory_order_relaxed);
    stats_->held.add_shared(pages);
}

void page_account::give(std::uint64_t pages) noexcept
{
    held_.fetch_sub(pages, std::memory_order_relaxed);
    stats_->held.add_shared(0 - pages);
}

void page_account::set_limit(std::uint64_t pages) noexcept
{
    limit_.store(pages, std::memory_order_relaxed);
    stats_->limit_bytes.store(pages == no_limit ? 0 : (pages << page_shift) + 1, std::memory_order_relaxed);
}

void epoch_slabs::give_to(std::uint32_t account, std::uint64_t pages) const noexcept
{
    limit_table& accounts = *heap->limits().table();
    if (account != page_count::no_account)
        accounts.labels[account].give(pages);
    if (heap->limits().heap_counts())
        accounts.heap.give(pages);
}

/// Whether the phase's own limit, or the handler of its soft limit, refuses `why.asked` more pages than `word` has.
bool epoch_slabs::phase_refuses(std::uint64_t word, limit_refusal& why) const noexcept
{
    why.held = page_count::pages_of(word);
    why.limit = count.limit_.load(std::memory_order_relaxed);
    why.marked = count.fails_.load(std::memory_order_relaxed);
    if (!why.marked && why.held <= why.limit && why.asked <= why.limit - why.held) [[likely]]
        return false;
    why.of = limit_kind::phase;
    return true;
}

// Modelled: tests/models/limits.pml, step reserve
limit_refusal epoch_slabs::reserve(std::uint64_t pages) noexcept
{
    limit_refusal no{.label_id = label_id.load(std::memory_order_relaxed), .asked = pages};
    limit_table& accounts = *heap->limits().table();
    for (std::uint64_t word = count.word_.load(std::memory_order_relaxed);;) {
        if (phase_refuses(word, no))
            return no;
        std::uint32_t const account = page_count::account_of(word);
        if (account != page_count::no_account && !accounts.labels[account].take(pages, no.held)) [[unlikely]] {
            no.of = limit_kind::label;
            no.label_id = account;
            no.limit = accounts.labels[account].limit();
            return no;
        }
        if (heap->limits().heap_counts() && !accounts.heap.take(pages, no.held)) [[unlikely]] {
            if (account != page_count::no_account)
                accounts.labels[account].give(pages);
            no.of = limit_kind::heap;
            no.limit = accounts.heap.limit();
            return no;
        }
        while (page_count::account_of(word) == account && !phase_refuses(word, no))
            if (count.word_.compare_exchange_weak(word, word + (pages << page_count::pages_at),
                                                  std::memory_order_relaxed))
                return no;
        give_to(account, pages);
        if (no)
            return no;
    }
}

// Modelled: tests/models/limits.pml, step force
void epoch_slabs::force(std::uint64_t pages) noexcept
{
    limit_table& accounts = *heap->limits().table();
    for (std::uint64_t word = count.word_.load(std::memory_order_relaxed);;) {
        std::uint32_t const account = page_count::account_of(word);
        if (account != page_count::no_account)
            accounts.labels[account].force(pages);
        if (heap->limits().heap_counts())
            accounts.heap.force(pages);
        while (page_count::account_of(word) == account)
            if (count.word_.compare_exchange_weak(word, word + (pages << page_count::pages_at),
                                                  std::memory_order_relaxed))
                return;
        give_to(account, pages);
    }
}

// Modelled: tests/models/limits.pml, step give_counted
void epoch_slabs::give_counted(std::uint64_t pages) noexcept
{
    std::uint64_t const word = count.word_.fetch_sub(pages << page_count::pages_at, std::memory_order_relaxed);
    give_to(page_count::account_of(word), pages);
}

// Modelled: tests/models/limits.pml, step begin_counting
void epoch_slabs::begin_counting(thread_cache* own) noexcept
{
    if (!count.on()) {
        std::uint64_t pages = use.large_pages;
        for (unsigned bin = 0; slab_count != 0 && bin < bin_count; ++bin)
            pages += std::uint64_t{listed[bin]} * bins[bin].pages;
        std::uint32_t const account = heap->limits().account_of(label_id.load(std::memory_order_relaxed));
        count.word_.store(page_count::make(account, 0), std::memory_order_relaxed);
        if (pages != 0)
            force(pages);
    }
    if (own == nullptr || own->attached() != this)
        return;
    if (!own->counted_)
        own->begin_counted(*this, false);
    else if (count.pages() > count.limit() || count.pages() >= count.soft_limit())
        own->flush_empty();   // what it retained was counted for the label or the heap, before the phase had this limit
}

void epoch_slabs::begin_counting_caches_of(thread_record& me) noexcept
{
    for (thread_cache* l = me.all_caches.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
        if (l->record() == &me && (l->key() == this_thread.key || l->key() == era.load(std::memory_order_relaxed)))
            begin_counting(l);   // else it is revoked, or lent to another thread's use of a serial resource
}

void epoch_slabs::end_counting(thread_cache* l) noexcept
{
    if (l != nullptr && std::exchange(l->counted_, false))
        if (std::uint64_t const pages = l->owned_pages(); pages != 0)
            give_counted(pages);
    count.word_.store(0, std::memory_order_relaxed);
    count.limit_.store(no_limit, std::memory_order_relaxed);
    count.soft_.store(no_limit, std::memory_order_relaxed);
    count.told_.store(false, std::memory_order_relaxed);
    count.fails_.store(false, std::memory_order_relaxed);
    stats.limit_bytes.store(0, std::memory_order_relaxed);
    stats.limit_refusals.reset();
}

// Modelled: tests/models/limits.pml, step move_to_account
void epoch_slabs::move_to_account() noexcept
{
    limit_table& accounts = *heap->limits().table();
    std::uint32_t const to = heap->limits().account_of(label_id.load(std::memory_order_relaxed));
    for (std::uint64_t word = count.word_.load(std::memory_order_relaxed); page_count::account_of(word) != to;) {
        std::uint32_t const from = page_count::account_of(word);
        std::uint64_t const pages = page_count::pages_of(word);
        if (to != page_count::no_account)
            accounts.labels[to].force(pages);
        bool const moved =
            count.word_.compare_exchange_strong(word, page_count::make(to, pages), std::memory_order_relaxed);
        if (std::uint32_t const off = moved ? from : to; off != page_count::no_account)
            accounts.labels[off].give(pages);
        if (moved)
            return;
    }
}

void epoch_slabs::set_limit(std::uint64_t pages) noexcept
{
    count.limit_.store(pages, std::memory_order_relaxed);
    stats.limit_bytes.store(pages == no_limit ? 0 : (pages << page_shift) + 1, std::memory_order_relaxed);
}

void epoch_slabs::note_refused(limit_refusal const& why, thread_record* me) noexcept
{
    limit_table& accounts = *heap->limits().table();
    heap->count(me, heap_event::limit_refused);
    if (why.of == limit_kind::label)
        accounts.labels[why.label_id].note_refused();
    else if (why.of == limit_kind::heap)
        accounts.heap.note_refused();
    stats.limit_refusals.add_shared();
    if (me != nullptr)
        me->apart.refused = why;
}

bool epoch_slabs::admits_large(std::uint64_t for_era, std::uint64_t pages, thread_record* me,
                               limit_refusal& why) noexcept
{
    auto const look = [&] {
        lock_guard const guard{lock, site(me, large_class)};
        if (!is_active(for_era) || !count.on())
            return true;
        why = reserve(pages);
        if (!why)
            give_counted(pages);   // add_large reserves them when the pages are there
        return !why;
    };
    if (look())
        return true;
    if (me != nullptr)
        for (thread_cache* l = me->all_caches.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_) {
            if (l->attached() != this)
                continue;
            lock_guard const guard{lock, site(me, large_class)};
            if (l->attached() == this && l->record() == me)   // else a serial resource of another thread's use
                l->collect_empty();
        }
    reclaim_from_others(me);
    if (look())
        return true;
    note_refused(why, me);
    return false;
}

std::uint64_t thread_cache::owned_pages() const noexcept
{
    std::uint64_t pages = 0;
    for (bin_set used = used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        pages += std::uint64_t{slow_bins_[bin].owned.size()} * bins[bin].pages;
    }
    return pages;
}

/// Adds the owned slabs to the count of `home`: those that it retained, or took before the epoch was counted. `whatever`: even
/// above a limit. Otherwise, where the slabs would exceed a limit or reach the soft limit, the cache gives the empty ones back first:
/// the handler of a soft limit is called for allocations, not for retained slabs.
void thread_cache::begin_counted(epoch_slabs& home, bool whatever) noexcept
{
    counted_ = true;
    std::uint64_t const pages = owned_pages();
    if (pages == 0 || (!whatever && home.count.pages() + pages < home.count.soft_limit() && !home.reserve(pages)))
        return;
    if (!whatever) {
        counted_ = false;   // flush_empty gives nothing back that was not counted
        flush_empty();
        counted_ = true;
    }
    if (std::uint64_t const rest = owned_pages(); rest != 0)
        home.force(rest);
}

/// Claims what others freed in owned slabs, and flushes every slab without an object. What is left with free slots is on the
/// partial stacks. For the cache's thread in an operation, or with the epoch's lock.
void thread_cache::collect_empty() noexcept
{
    for_each_slab([this](slab_meta& s, unsigned bin) {
        if (is_parked(s, bin))
            return;
        slab_meta* const current = bins_[bin].bin.current;
        bool const was_empty = s.partial && has_only_free(s, bin);
        fill const now = record_->heap.claim_slab(s, bin);
        if (!now.any || (current != &no_slab && &slab_of(*current, bin) == &s))
            return;
        if (!s.partial) {
            slow_bins_[bin].push_partial(s);
            record_->classes[class_of_bin(bin)][class_event::full_to_partial].add();
        }
        if (now.all && !was_empty)
            note_empty(bin, 1);
    });
    flush_empty();
}

/// What the phase has before it is refused: slots that others freed in slabs of this bin, partial slabs of the epoch, and, for
/// another attempt, the pages of slabs without an object. Null if there is no slot.
slab_meta* thread_cache::find_at_hand(unsigned bin, thread_record& me, class_counters& counts) noexcept
{
    epoch_slabs& home = *attached_.load(std::memory_order_relaxed);
    slow_bin& b = slow_bins_[bin];
    auto const acquire = [&]() -> slab_meta* {
        slab_meta* const s = exclusive_ ? nullptr : home.acquire_partial(*this, bin);
        if (s == nullptr)
            return nullptr;
        s->partial = false;
        b.owned.push(*s);
        note_held(bin, 1);
        return open_subslab(*s, bin, counts);
    };
    collect_empty();
    if (b.partial != nullptr)
        return open_partial(bin, counts);
    if (slab_meta* const subslab = acquire())
        return subslab;
    // Other threads' caches cost a barrier. A phase at its limit that tries again and again would spend its time on them.
    std::uint64_t const now = now_ns_coarse();
    if (home.count.futile_ns_.load(std::memory_order_relaxed) == now)
        return nullptr;
    std::uint64_t const before = home.count.pages();
    home.reclaim_from_others(&me);
    if (slab_meta* const subslab = acquire())
        return subslab;
    if (home.count.pages() >= before)
        home.count.futile_ns_.store(now, std::memory_order_relaxed);
    return nullptr;
}

/// The end of next_subslab in an epoch that is counted.
[[gnu::cold, gnu::noinline]] slab_meta* thread_cache::next_counted(unsigned bin, thread_record& me,
                                                                   class_counters& counts) noexcept
{
    epoch_slabs& home = *attached_.load(std::memory_order_relaxed);
    if (!counted_)
        begin_counted(home, false);
    std::uint64_t const pages = bins[bin].pages;
    limit_refusal why = home.reserve(pages);
    if (why) {
        if (!why.marked)
            if (slab_meta* const subslab = find_at_hand(bin, me, counts))
                return subslab;
        why = home.reserve(pages);
        if (why) {
            home.note_refused(why, &me);
            return nullptr;
        }
    }
    if (has_recycled_ || room_ != 0) [[unlikely]]
        adjust_room(bin, me);
    slab_meta* const s = me.heap.take_slab(bin, me, counts, home.label_id.load(std::memory_order_relaxed));
    if (s == nullptr) {
        home.give_counted(pages);
        me.apart.refused = {};
        return nullptr;
    }
    take_ownership(*s, bin);
    home.look_at_soft_limit(me);
    return first_subslab(*s, bin);
}

bool heap_limits::make_table(heap_state& of) noexcept
{
    lock_guard const guard{lock};
    if (table_.load(std::memory_order_relaxed) != nullptr)
        return true;
    auto* const made = of.make_private<limit_table>();
    if (made == nullptr)
        return false;
    for (std::uint32_t i = 0; i < label_buckets; ++i)
        made->labels[i].publish_in(of.stats().accounts[i]);
    made->heap.publish_in(of.stats().accounts[label_buckets]);
    table_.store(made, std::memory_order_release);   // a thread that sees the table sees it complete
    return true;
}

void heap_limits::limit_heap(std::uint64_t pages) noexcept
{
    table()->heap.set_limit(pages);
    counts_heap_.store(true, std::memory_order_relaxed);
    counted_.store(~std::uint32_t{0}, std::memory_order_relaxed);
}

void heap_limits::limit_label(std::uint32_t label_id, std::uint64_t pages) noexcept
{
    table()->labels[label_id].set_limit(pages);
    limited_.fetch_or(std::uint32_t{1} << label_id, std::memory_order_relaxed);
    counted_.fetch_or(std::uint32_t{1} << label_id,
                      std::memory_order_seq_cst);   // before the epochs are read: see set_limit
}

}
