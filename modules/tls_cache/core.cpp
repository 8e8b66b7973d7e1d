// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;
import :registry;

namespace tslab {

namespace {
constexpr std::size_t arena_reservation = std::size_t{1} << 30;   // an eighth of the pages where those are few
constinit std::atomic<std::uint64_t> heap_numbers{0};
}

heap_core::heap_core(options const& o, std::size_t shelf_bytes)
    : number_{heap_numbers.fetch_add(1, std::memory_order_relaxed) + 1},
      slabs_{o.policy, o.slab_cache, o.reserve_bytes},
      meta_{std::max(std::min(arena_reservation, (std::size_t{slabs_.pages().max_pages()} << page_shift) / 8),
                     2 * o.slots * shelf_bytes)},
      shelf_bytes_{shelf_bytes},
      slots_{o.slots},
      name_{o.name}
{
    shelves_ = static_cast<std::byte*>(meta_.allocate(o.slots * shelf_bytes, alignof(shelf)));
    auto* const words = meta_.make_array<std::atomic<std::uint64_t>>((o.slots + 63) / 64);
    if (shelves_ == nullptr || words == nullptr)
        throw std::bad_alloc{};
    free_slots_.attach(words, o.slots);
    registry().add(*this);
}

heap_core::~heap_core() { registry().remove(*this); }

lane* heap_core::take_lane(thread_record& me) noexcept
{
    if (me.spare == nullptr)
        take_over_returned(me);
    if (lane* const l = me.spare) {
        me.spare = l->next_spare_;
        return l;
    }
    auto* const l = meta_.make<lane>(me);
    if (l == nullptr)
        return nullptr;
    l->next_of_record_ = me.all_lanes.load(std::memory_order_relaxed);
    me.all_lanes.store(l, std::memory_order_release);   // publishes the lane to readers of statistics
    return l;
}

void heap_core::return_lane(lane& l) noexcept
{
    auto& stack = l.record_->returned;
    lane* head = stack.load(std::memory_order_relaxed);
    do
        l.next_spare_ = head;
    while (!stack.compare_exchange_weak(head, &l, std::memory_order_release, std::memory_order_relaxed));
}

void heap_core::take_over_returned(thread_record& me) noexcept
{
    // acquire: pairs with return_lane. Everything is taken at once, so no lane can come back in between (no ABA).
    lane* l = me.returned.exchange(nullptr, std::memory_order_acquire);
    while (l != nullptr) {
        lane* const next = l->next_spare_;
        if (me.lanes[l->slot()].load(std::memory_order_relaxed) == l)
            me.lanes[l->slot()].store(nullptr, std::memory_order_relaxed);
        l->exclusive_ = false;
        l->next_spare_ = me.spare;
        me.spare = l;
        l = next;
    }
}

[[gnu::noinline]] lane* heap_core::attach_lane(thread_record& me, std::uint32_t slot, std::uint64_t era,
                                               bool& closed) noexcept
{
    restructuring_section const section{&me};
    if (lane* const old = me.lanes[slot].load(std::memory_order_relaxed))
        hand_back_lane(*old, me, true);   // of an epoch that was closed meanwhile
    take_over_returned(me);
    shelf& home = shelf_at(slot);
    if (home.era.load(std::memory_order_relaxed) != era ||
        home.state.load(std::memory_order_relaxed) != lifecycle::active) {
        closed = true;
        return nullptr;
    }
    lane* const l = take_lane(me);
    if (l == nullptr)
        return nullptr;
    if (!home.attach(*l, era, era, nullptr)) {
        return_lane(*l);
        closed = true;
        return nullptr;
    }
    me.lanes[slot].store(l, std::memory_order_relaxed);
    return l;
}

/// Hands back the claims of a lane that no resource is bound to, whichever shelf it is attached to.
void heap_core::hand_back_lane(lane& l, thread_record& me, bool only_wanted) noexcept
{
    shelf* const home = l.attached_.load(std::memory_order_relaxed);
    if (home == nullptr)
        return;
    take_back_result done;
    {
        lock_guard const guard{home->lock, home->site(&me, no_class)};
        bool const still = l.attached_.load(std::memory_order_relaxed) == home;
        if (!still || (only_wanted && (l.key() != closed_key || l.binding_ != nullptr)))
            return;
        home->hand_back(l, &me, done);
        if (home->state.load(std::memory_order_relaxed) == lifecycle::closing)
            me.count_taken_back(done);
        done.drained = home->settle();
    }
    return_lane(l);
    if (done.drained)
        home->heap->slot_drained(*home, &me);
}

void thread_record::count_taken_back(take_back_result const& done) noexcept
{
    for (unsigned c = 0; c < class_count; ++c) {
        if (done.scanned_of[c] == 0)
            continue;
        counts[heap_event::close_scanned].add(done.scanned_of[c]);
        counts[heap_event::close_recycled].add(done.recycled_of[c]);
        classes[c][class_event::close_scanned].add(done.scanned_of[c]);
        classes[c][class_event::close_recycled].add(done.recycled_of[c]);
    }
}

[[gnu::noinline]] void thread_record::hand_back_wanted() noexcept
{
    wanted_back.store(false, std::memory_order_relaxed);
    restructuring_section const section{this};
    for (lane* l = all_lanes.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
        if (l->key() == closed_key)
            heap_core::hand_back_lane(*l, *this, true);
}

std::uint64_t thread_record::allocations() const noexcept
{
    std::uint64_t n = counts[heap_event::large_allocation].value();
    for (lane const* l = all_lanes.load(std::memory_order_acquire); l != nullptr; l = l->next_of_record_)
        for (unsigned bin = 0; bin < bin_count; ++bin)
            n += l->allocations(bin).value();
    return n;
}

std::uint64_t thread_record::slow_paths() const noexcept
{
    std::uint64_t n = 0;
    for (class_counters const& c : classes)
        n += c[class_event::slow_path].value();
    return n;
}

std::uint64_t thread_record::repairs(std::size_t i) const noexcept
{
    std::uint64_t n = 0;
    for (class_counters const& c : classes)
        n += c[repair_reasons[i]].value();
    return n;
}

void heap_core::thread_ends(thread_record& r) noexcept
{
    restructuring_section const section{&r};
    for (lane* l = r.all_lanes.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
        hand_back_lane(*l, r, false);
    take_over_returned(r);
    flush_warm(r);
}

void heap_core::flush_warm(thread_record& me) noexcept
{
    class_counters told_already;   // each of them was counted when it became empty
    for (unsigned c = 0; c < class_count; ++c) {
        while (slab* const s = me.warm[c]) {
            me.warm[c] = s->next;
            slabs_.put(*s, told_already);
        }
        me.warm_count[c] = 0;
    }
}

void heap_core::recycle(slab& s, thread_record* me) noexcept
{
    unsigned const bin = s.bin();
    unsigned const c = class_of_bin(bin);
    auto const* const home = static_cast<shelf const*>(s.home.load(std::memory_order_relaxed));
    if (std::uint64_t const twice = mark_empty(s, bin); twice != 0) [[unlikely]]
        freed_twice(s, bin, twice);
    if (me == nullptr || slabs_.policy() == reclaim_policy::eager ||
        me->warm_count[c] >= std::min(thread_record::warm_limit, slabs_.capacity())) {
        slabs_.put(s, counts_of(me, c), home != nullptr ? home->site(me, c) : lock_site{});
        return;
    }
    s.where.store(residence::cached, std::memory_order_relaxed);
    s.next = me->warm[c];
    me->warm[c] = &s;
    ++me->warm_count[c];
    me->classes[c][class_event::recycled].add();
}

slab* heap_core::take_slab(unsigned bin, thread_record& me, class_counters& counts, lock_site const& site) noexcept
{
    unsigned const c = class_of_bin(bin);
    slab* s = me.warm[c];
    if (s != nullptr && s->bin() == bin) {
        me.warm[c] = s->next;
        --me.warm_count[c];
        counts[class_event::cache_hit].add();
    } else if ((s = slabs_.take(bin, counts, site)) == nullptr) {
        return nullptr;
    }
    report_late_frees(*s);
    s->was.store(s->tag.load(std::memory_order_relaxed), std::memory_order_relaxed);
    return s;
}

std::uint64_t heap_core::retire_live(slab& s, unsigned bin, std::uint64_t free, bool is_large) noexcept
{
    std::uint64_t const live = is_large ? 1 : bins[bin].full_mask & ~free;
    std::uint32_t const page = pages().index_of(s);
    if ((is_large || bin >= class_count) && pages().has_generations(page))
        for (std::uint64_t left = live; left != 0; left &= left - 1) {
            auto& generation = pages().generation(page, static_cast<std::uint32_t>(std::countr_zero(left)));
            std::uint32_t const now = generation.load(std::memory_order_relaxed);
            generation.store((now + 1) & ~1U, std::memory_order_relaxed);   // even: no handle is live
        }
    return static_cast<std::uint64_t>(std::popcount(live));
}

void heap_core::slot_drained(shelf& s, thread_record* me, bool give_back) noexcept
{
    if (me != nullptr)
        me->counts[heap_event::epoch_drained].add();
    free_slots_.release(s.index);
    if (give_back)
        slabs_.settle(false);
}

void heap_core::freed_twice(slab const& s, unsigned bin, std::uint64_t slots) noexcept
{
    for (slots &= bins[bin].full_mask; slots != 0; slots &= slots - 1) {
        counts_of(record(), class_of_bin(bin))[class_event::repair_twice].add();
        misused({.kind = misuse::double_free,
                 .address = s.base + static_cast<std::size_t>(std::countr_zero(slots)) * bins[bin].size,
                 .size_class = bins[bin].size});
    }
}

void heap_core::report_late_frees(slab& s) noexcept
{
    if (s.shared.load(std::memory_order_relaxed) == 0) [[likely]]
        return;
    std::uint64_t const late = s.shared.exchange(0, std::memory_order_acquire);
    std::uint8_t const was = s.was.load(std::memory_order_relaxed);
    if (was != tag_none && was != tag_large)
        freed_twice(s, was - 1U, late);
}

void heap_core::misused(misuse_report r) noexcept
{
    misuses_[static_cast<std::size_t>(r.kind)].add_shared();
    r.heap = name_;
    report(r);
}

bool heap_core::owner_of(void const* p, heap_core const* except, std::string& name)
{
    return registry().name_of_owner(p, except, name);
}

}
