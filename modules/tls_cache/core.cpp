// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;
import :purge_thread;
import :registry;

namespace tslab {

namespace {
constinit atomic<std::uint64_t> heap_numbers{0};
}

std::uint64_t layout_number() noexcept
{
    std::uint64_t h = 0;
    for (std::size_t const size : std::initializer_list<std::size_t>{
             sizeof(heap_face), sizeof(thread_face), sizeof(class_face), sizeof(label_rows), sizeof(timing_face),
             sizeof(lane_face), sizeof(epoch_face), sizeof(told_place), sizeof(heap_directory), segment_chunk::bytes,
             sizeof(slab), sizeof(lane), std::size_t{bin_count}, std::size_t{class_count}, max_blocks, misuse_count,
             class_event_count, heap_event_count, contention_event_count})
        h = (h ^ size) * 0x100000001b3;   // FNV-1a's prime
    return h;
}

heap_face& heap_core::make_heap_face(segment_part& in)
{
    heap_face* const face = in.make<heap_face>();
    if (face == nullptr)
        throw std::bad_alloc{};
    return *face;
}

heap_core::heap_core(options const& o, std::size_t shelf_bytes)
    : number_{heap_numbers.fetch_add(1, std::memory_order_relaxed) + 1},
      checks_{o.checks, o.guard_sampling},
      told_{o.publish, layout_number()},
      face_{make_heap_face(told_)},
      slabs_{o.policy, o.slab_cache, o.reserve_bytes, o.huge_pages, &face_.pages, face_.cached.data()},
      shelf_bytes_{shelf_bytes},
      slots_{o.slots},
      decay_ns_{o.policy == reclaim_policy::cached && o.decay_ns != 0 ? o.decay_ns : never},
      thread_cache_pages_{static_cast<std::uint32_t>(
          std::min<std::uint64_t>(o.thread_cache_bytes >> page_shift, std::uint32_t{1} << 31))},
      decayed_ns_{now_ns_coarse()},
      name_{o.name},
      asks_background_{o.background_purge &&
                       o.policy == reclaim_policy::cached},   // under the others nothing waits to go
      purges_on_pressure_{asks_background_ && o.purge_on_pressure}
{
    slabs_.set_clears_slots(checks_.uses_canaries());
    slabs_.set_without_delay(o.decay_ns == 0);
    for (unsigned c = 0; c < class_count; ++c)
        warm_limit_[c] = std::min(std::max(thread_record::spare_pages / class_shapes[c].pages, 1U), slabs_.capacity(c));
    auto* const words = meta_.make_array<slot_set::word>(slot_set::words_for(o.slots));
    if (words == nullptr)
        throw std::bad_alloc{};
    free_slots_.attach(words, o.slots);
    face_.first_chunk.store(told_.first_told(), std::memory_order_relaxed);
    std::string_view const fitting = o.name.substr(0, face_.name.size() - 1);
    std::copy(fitting.begin(), fitting.end(), face_.name.begin());
    face_.epoch_count = o.slots;
    face_.slab_cache = o.policy == reclaim_policy::eager ? 0 : o.slab_cache;
    face_.reclaim = static_cast<std::uint8_t>(o.policy);
    face_.decay_ns = o.decay_ns;
    face_.thread_cache_bytes = o.thread_cache_bytes;
    address_window const& w = process_window;
    face_.descriptors = reinterpret_cast<std::uintptr_t>(w.slabs());
    face_.blocks = reinterpret_cast<std::uintptr_t>(w.blocks());
    face_.generations = reinterpret_cast<std::uintptr_t>(w.generations());
    face_.first_page = w.map().base();
    face_.unit_links = reinterpret_cast<std::uintptr_t>(process_window.links());
    face_.max_units = w.max_units();
    face_.shelf_bytes = shelf_bytes;
    face_.reclaiming_mark = reinterpret_cast<std::uintptr_t>(&reclaiming);
    face_.nowhere_mark = reinterpret_cast<std::uintptr_t>(&nowhere);
    face_.free_resident_words = reinterpret_cast<std::uintptr_t>(slabs_.pages().resident_words());
    face_.free_large_words = reinterpret_cast<std::uintptr_t>(slabs_.pages().large_words());
    tell_arena();
    if (!registry().add(*this))
        throw std::bad_alloc{};
    registered_ = true;
    if (asks_background_)
        background().add(*this);
}

std::uint32_t heap_core::find_place(std::source_location const& at, std::uint64_t key) noexcept
{
    place_directory* directory = places_.load(std::memory_order_acquire);   // as below
    if (directory == nullptr) {
        auto* const made = told_.published() ? told_.make<place_directory>() : nullptr;
        if (made == nullptr || !told_.tells(made))
            return place_directory::unknown;   // nobody outside sees the number
        if (places_.compare_exchange_strong(directory, made, std::memory_order_acq_rel)) {   // release: it is empty
            directory = made;
            face_.places.store(made, std::memory_order_release);
        }
    }
    place_directory& told = *directory;
    constexpr std::uint32_t probes = 16;
    for (std::uint32_t n = 0; n < probes; ++n) {
        auto const i = static_cast<std::uint32_t>((key >> 55) + n) % place_directory::capacity;
        std::uint64_t there = 0;
        if (!told.keys[i].compare_exchange_strong(there, key, std::memory_order_relaxed)) {
            if (there == key)
                return i;
            continue;
        }
        auto* const place = told_.make<told_place>();
        tell_arena();
        if (place == nullptr)
            return i;
        std::string_view file = at.file_name();
        if (file.size() >= place->file.size())
            file.remove_prefix(file.size() - place->file.size() + 1);
        std::string_view const function = std::string_view{at.function_name()}.substr(0, place->function.size() - 1);
        place->line = at.line();
        std::copy(file.begin(), file.end(), place->file.begin());
        std::copy(function.begin(), function.end(), place->function.begin());
        told.places[i].store(place, std::memory_order_release);   // whoever sees it sees the texts
        return i;
    }
    return place_directory::unknown;
}

void heap_core::tell_arena() noexcept
{
    face_.arena_bytes.store(meta_.committed_bytes(), std::memory_order_relaxed);
    face_.arena.store(reinterpret_cast<std::uintptr_t>(meta_.pieces()), std::memory_order_relaxed);
    face_.segment_bytes.store(told_.committed_bytes(), std::memory_order_relaxed);
}

heap_core::~heap_core()
{
    leave_background();
    leave_registry();
}

void heap_core::leave_registry() noexcept
{
    if (std::exchange(registered_, false))
        registry().remove(*this);
}

void heap_core::leave_background() noexcept
{
    if (asks_background_)
        background().remove(*this);
}

bool heap_core::make_row(std::uint32_t slot) noexcept
{
    unsigned const row = shelf_table::row_of(slot);
    if (shelves_[row].load(std::memory_order_relaxed) != nullptr)
        return true;
    std::uint32_t const begin = shelf_table::begin_of(row);
    std::uint32_t const end = std::min(begin + shelf_table::size_of(row), slots_);
    auto* const made = static_cast<std::byte*>(meta_.allocate((end - begin) * shelf_bytes_, alignof(shelf)));
    if (made == nullptr)
        return false;
    tell_arena();
    face_.shelves[row].store(reinterpret_cast<std::uintptr_t>(made), std::memory_order_relaxed);
    shelves_[row].store(made, std::memory_order_release);   // who sees the row may look into it
    return true;
}

std::uint32_t heap_core::slot_of(shelf const& s) const noexcept
{
    auto const at = reinterpret_cast<std::uintptr_t>(&s);
    for (unsigned row = 0; row < shelf_table::most; ++row) {
        auto const begin = reinterpret_cast<std::uintptr_t>(shelves_[row].load(std::memory_order_relaxed));
        if (begin != 0 && at - begin < shelf_table::size_of(row) * shelf_bytes_)
            return shelf_table::begin_of(row) + static_cast<std::uint32_t>((at - begin) / shelf_bytes_);
    }
    return slots_;
}

// Modelled: tests/models/chunks.pml, step give_back_units
bool heap_core::give_back_units(thread_record* me, std::uint32_t keep) noexcept
{
    if (keep != 0 && pages().free_purged_pages() <= keep + keep / 2)
        return false;
    restructuring_section const section{me};   // a fork waits: the units are in nobody's hands in between
    page_heap::unit_batch runs{};
    std::size_t const n = pages().withdraw(runs, keep);
    if (n == 0)
        return false;
    // A thread that was the first to free into a slab may still want to know what became of it, when others have emptied it,
    // it has been taken back, and its pages are here. From here on a thread that is not inside finds no slab in them.
    heavy_barrier();
    bool inside = pins_.load(std::memory_order_seq_cst) != 0;
    for (thread_record* r = first_record(); r != nullptr && !inside; r = r->next_of_heap)
        // acquire: who is outside has done with the descriptors before they are another heap's.
        inside =
            r != me && !r->vanished.load(std::memory_order_relaxed) && r->activity.load(std::memory_order_acquire) != 0;
    if (inside) {
        pages().restore(runs, n);   // the next time, then
        return false;
    }
    for (std::size_t i = 0; i < n; ++i)
        for (std::uint32_t page = runs[i].first * unit_pages; page < (runs[i].first + runs[i].count) * unit_pages;
             ++page)
            report_late_frees(page_heap::at(page));   // nobody will take it here, and find them
    pages().release(runs, n);
    return true;
}

bool heap_core::make_room(thread_record* me) noexcept
{
    pages().purge();
    bool any = false;
    while (give_back_units(me, 0))
        any = true;
    return any;
}

// Modelled: tests/models/kept.pml, step take_lane
lane* heap_core::take_lane(thread_record& me) noexcept
{
    if (me.spare == nullptr)
        take_over_returned(me);
    if (lane* const l = me.spare) {
        me.spare = l->next_spare_;
        if (l->used_bins_ != 0)
            me.keeping.store(me.keeping.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
        return l;
    }
    void* const place = meta_.allocate(sizeof(lane), alignof(lane));   // the face last: as in make_record
    auto* const face = place != nullptr ? make_face<lane_face>() : nullptr;
    if (face == nullptr)
        return nullptr;
    auto* const l = ::new (place) lane(me, *face);
    tell_arena();
    face->lane.store(reinterpret_cast<std::uintptr_t>(l), std::memory_order_relaxed);
    if (told_.tells(face)) {
        face->next.store(me.face.lanes.load(std::memory_order_relaxed), std::memory_order_relaxed);
        me.face.lanes.store(face, std::memory_order_release);   // the same for readers outside
    }
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

void heap_core::return_bound_lane(lane& l, thread_record* me) noexcept
{
    if (me != l.record_)
        return return_lane(l);
    l.exclusive_ = false;
    l.next_spare_ = me->spare;
    me->spare = &l;
}

void heap_core::put_lane_back(lane& l, thread_record& me) noexcept
{
    if (l.used_bins_ != 0)
        me.keeping.store(me.keeping.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return_bound_lane(l, &me);
}

// Modelled: tests/models/era.pml, step take_over_returned
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

// Modelled: tests/models/era.pml, step attach_lane
[[gnu::noinline]] lane* heap_core::attach_lane(thread_record& me, std::uint32_t slot, std::uint64_t era,
                                               bool& closed) noexcept
{
    restructuring_section const section{&me};
    if (lane* const old = me.lanes[slot].load(std::memory_order_relaxed))
        hand_back_lane(*old, me, true);   // of an epoch that was closed meanwhile
    take_over_returned(me);
    if (slot >= prepared_slots()) {   // no such epoch ever was
        closed = true;
        return nullptr;
    }
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
        put_lane_back(*l, me);
        closed = true;
        return nullptr;
    }
    me.lanes[slot].store(l, std::memory_order_relaxed);
    return l;
}

/// Hands back the claims of a lane that no resource is bound to, whichever shelf it is attached to.
// Modelled: tests/models/claims.pml, step hand_back_lane
// Modelled: tests/models/close.pml, step hand_back_lane
// Modelled: tests/models/era.pml, step hand_back_lane
// Modelled: tests/models/exclusive.pml, step hand_back_lane
// Modelled: tests/models/kept.pml, step hand_back_lane
void heap_core::hand_back_lane(lane& l, thread_record& me, bool only_wanted) noexcept
{
    shelf* const home = l.attached_.load(std::memory_order_relaxed);
    if (home == nullptr)
        return;
    take_back_result done;
    bool survivors = false;
    std::uint64_t era = 0;
    {
        lock_guard const guard{home->lock, home->site(&me, no_class)};
        bool const still = l.attached_.load(std::memory_order_relaxed) == home;
        if (!still || (only_wanted && (l.key() != closed_key || l.binding_ != nullptr)))
            return;
        home->hand_back(l, &me, done);
        if (home->state.load(std::memory_order_relaxed) == lifecycle::closing) {
            me.count_taken_back(done);
            survivors = home->may_have_unused_pages();
            era = home->era.load(std::memory_order_relaxed);
        }
        done.drained = home->settle();
    }
    return_lane(l);
    if (done.drained) {
        home->heap->slot_drained(*home, &me);
    } else if (survivors) {
        home->heap->purge_survivors(*home, era, &me);
    }
}

void thread_record::count_taken_back(take_back_result const& done) noexcept
{
    if (done.classes == 0)
        return;
    counts[heap_event::close_scanned].add(done.scanned());
    counts[heap_event::close_recycled].add(done.recycled());
    done.for_each_class([&](unsigned c) {
        classes[c][class_event::close_scanned].add(done.scanned_of[c]);
        classes[c][class_event::close_recycled].add(done.recycled_of[c]);
    });
}

// Modelled: tests/models/era.pml, step hand_back_wanted
[[gnu::noinline]] void thread_record::hand_back_wanted() noexcept
{
    // An exchange, not a store: one that waits in the store buffer could wipe out what another closer asks for, whose closed
    // keys the loads below, and those of the next operation, would still see open. acquire: pairs with revoke_lanes.
    // Modelled: tests/models/claims.pml, step hand_back_wanted
    wanted_back.exchange(false, std::memory_order_acq_rel);
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

// Modelled: tests/models/claims.pml, step thread_ends
void heap_core::thread_ends(thread_record& r) noexcept
{
    restructuring_section const section{&r};
    for (lane* l = r.all_lanes.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
        hand_back_lane(*l, r, false);
    take_over_returned(r);
    flush_retained(r);
}

// Modelled: tests/models/kept.pml, step forget_kept
// Modelled: tests/models/reach.pml, step flush_retained
void heap_core::flush_retained(thread_record& r) noexcept
{
    for (lane* l = r.all_lanes.load(std::memory_order_acquire); l != nullptr; l = l->next_of_record_)
        if (l->attached_.load(std::memory_order_acquire) == nullptr)   // whoever handed it back is done with it
            l->forget_kept();
    r.keeping.store(0, std::memory_order_relaxed);
    flush_classes(r, 0);
}

void heap_core::flush_surplus(thread_record& me) noexcept { flush_classes(me, thread_record::warm_pages); }

void heap_core::flush_classes(thread_record& r, std::uint32_t stay_pages) noexcept
{
    for (unsigned c = 0; c < class_count; ++c) {   // each of them was counted when it became empty
        std::uint32_t const stay = stay_pages / class_shapes[c].pages;
        if (r.retained.count(c) > stay)
            slabs_.put_chain(r.retained.take_oldest(c, r.retained.count(c) - stay), {});
    }
}

// What a thread keeps, it touches in restructuring sections. So a section announces itself in `activity`, passes the light half of
// an asymmetric barrier, and looks at `reached`; who reaches the thread sets `reached`, passes the heavy half, and looks at
// `activity`. One of them sees the other: the thread waits, or is left alone.
//
//   thread        event, under                                   to            made safe by
//   open          another thread reaches it, reach_lock_         announced     `reached` set, then the heavy barrier
//   announced     the thread is in no section                    taken         `activity` read with acquire
//   announced     the thread is in a section                     open          it was seen busy: nothing is touched
//   taken         its caches are empty, reach_lock_              open          `reached` cleared with release
//   announced, taken: the thread's next section leaves at once, and waits for reach_lock_
// Modelled: tests/models/reach.pml, step reach_threads
void heap_core::reach_threads(thread_record const* me, std::uint64_t unless_since) noexcept
{
    lock_guard const guard{reach_lock_};
    bool any = false;
    for (thread_record* r = first_record(); r != nullptr; r = r->next_of_heap) {
        // Hints: what a thread comes to keep from now on is of the time after this call.
        bool const keeps = r->retained.pages() != 0 || r->keeping.load(std::memory_order_relaxed) != 0;
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
            // acquire: what the thread did in its last section is seen.
            return !r->vanished.load(std::memory_order_relaxed) &&
                   (r->activity.load(std::memory_order_acquire) & thread_record::restructuring) != 0;
        };
        bool busy = is_busy();
        for (int n = 0; busy && n < patience; ++n) {
            spin_pause();
            busy = is_busy();
        }
        if (!busy)
            flush_retained(*r);
        r->reached.store(false, std::memory_order_release);   // the thread sees its empty lists
    }
}

void heap_core::wait_until_not_reached() noexcept
{
    reach_lock_.lock();
    reach_lock_.unlock();
}

/// Takes what threads keep, and what their own lanes have in epochs that are open, into the heap's caches; `me` is left alone.
void heap_core::revoke_thread_caches(thread_record* me) noexcept
{
    reach_threads(me);
    for (std::uint32_t i = 0; i < prepared_slots(); ++i) {
        shelf& s = shelf_at(i);
        if (s.state.load(std::memory_order_relaxed) == lifecycle::active ||
            s.state.load(std::memory_order_relaxed) == lifecycle::closing)
            if (s.take_back_of_others(me))
                slot_drained(s, me, false);
    }
    reach_threads(me);   // a thread that handed its lanes back itself keeps what was empty
}

/// What the calling thread did not want since it last looked goes to the heap's caches; then it is the heap's turn, if no other
/// thread has seen to that.
[[gnu::cold, gnu::noinline]] void heap_core::decay(thread_record& me, std::uint64_t now) noexcept
{
    std::uint64_t const before = me.decayed_ns.load(std::memory_order_relaxed);
    me.decayed_ns.store(now, std::memory_order_relaxed);
    if (!slabs_.decays())
        return;
    {
        restructuring_section const section{&me};
        for (unsigned c = 0; c < class_count; ++c)
            if (std::uint32_t const n = me.retained.unwanted(c); n != 0)
                slabs_.put_chain(me.retained.take_oldest(c, n), {});
        for (lane* l = me.all_lanes.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
            // acquire, and first: a closer that handed it back is done with it.
            if (l->attached_.load(std::memory_order_acquire) == nullptr && l->used_bins_ != 0 && l->used_ns_ < before) {
                l->forget_kept();
                me.keeping.store(me.keeping.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
            }
    }
    decay_heap(&me, now);
    if (asks_background_)
        background().ensure_started();
}

void heap_core::decay_heap(thread_record* me, std::uint64_t now) noexcept
{
    std::uint64_t last = decayed_ns_.load(std::memory_order_relaxed);
    // One thread an interval. relaxed: nothing but the turn is passed on.
    if (!slabs_.decays() || !is_due(now, last) ||
        !decayed_ns_.compare_exchange_strong(last, now, std::memory_order_relaxed))
        return;
    restructuring_section const section{me};
    purge_closed(me, now);
    slabs_.decay();
    if (now > 2 * decay_ns_)
        reach_threads(me, now - 2 * decay_ns_);
    if (std::uint32_t const unwanted = pages().unwanted_pages(page_heap::watcher::of_time); unwanted != 0)
        purge_unwanted(me != nullptr ? purge_cause::time : purge_cause::background, unwanted);
    give_back_units(me);
}

void heap_core::purge_unwanted(purge_cause cause, std::uint64_t most) noexcept
{
    if (pages().purge(false, most).calls != 0)
        face_.purge_passes[static_cast<std::size_t>(cause)].add_shared();
}

void heap_core::purge_at_once() noexcept
{
    purge_closed(nullptr, never);
    revoke_thread_caches(nullptr);
    slabs_.empty();
    purge_unwanted(purge_cause::pressure, ~std::uint64_t{0});
}

bool heap_core::keeps_anything() const noexcept
{
    if (pages().free_resident_pages() != 0)
        return true;
    for (unsigned c = 0; c < class_count; ++c)
        if (slabs_.cached(c) != 0)
            return true;
    for (thread_record const* r = first_record(); r != nullptr; r = r->next_of_heap)
        if (r->retained.pages() != 0 || r->keeping.load(std::memory_order_relaxed) != 0)
            return true;
    return false;
}

std::uint64_t heap_core::next_decay_ns(std::uint64_t now, bool keeps) const noexcept
{
    if (decay_ns_ == never)
        return never;
    return keeps ? std::max(now, decayed_ns_.load(std::memory_order_relaxed) + decay_ns_) : now + decay_ns_;
}

void heap_core::note_work(thread_record& me) noexcept
{
    decay_if_due(me, now_ns_coarse());
    constexpr std::uint64_t half = 256;           // periods of allocations: a quarter of a million objects
    constexpr std::uint32_t least_pages = 2048;   // 8 MiB: less can wait for its time
    if (me.slabs_taken != me.slabs_taken_before) {
        // A thread that goes through slabs may be about to want what is free, when it has used up what it keeps itself.
        me.slabs_taken_before = me.slabs_taken;
        work_.store(0, std::memory_order_relaxed);
        return;
    }
    std::uint64_t const n = work_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (n % half != 0 || !slabs_.decays()) [[likely]]
        return;
    // The first look begins a period, the second one ends it.
    std::uint32_t const unwanted = pages().unwanted_pages(page_heap::watcher::of_work);
    if (n % (2 * half) != 0 || unwanted < least_pages)
        return;
    restructuring_section const section{&me};
    purge_unwanted(purge_cause::work, unwanted);
    give_back_units(&me);
}

void heap_core::empty_caches(thread_record* me) noexcept
{
    revoke_thread_caches(me);
    if (me != nullptr) {
        flush_retained(*me);
        for (lane* l = me->all_lanes.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_) {
            shelf* const home = l->attached();
            if (home == nullptr)
                continue;
            lock_guard const guard{home->lock, home->site(me, no_class)};
            if (l->attached() == home)
                l->shed_empty();
        }
    }
    slabs_.empty();
    if constexpr (with_checks)
        while (slab* const s = checks_.quarantined())
            pages().give(*s, memory_checks::guarded_pages, true);
}

void heap_core::give_large(slab& s, std::uint32_t count, lock_site const& site) noexcept
{
    if constexpr (with_checks) {
        slab* out = nullptr;
        if (checks_.uses_canaries() && count == memory_checks::guarded_pages && checks_.quarantine(s, out)) {
            if (out != nullptr)
                pages().give(*out, memory_checks::guarded_pages, true, site);
            return;
        }
    }
    pages().give(s, count, true, site);
}

void heap_core::check_live(slab& s, unsigned bin) noexcept
{
    if constexpr (!with_checks)
        return;
    if (!checks_.on())
        return;
    for_each_block(s, bin, [&](slab& block) {
        std::uint64_t live = bins[bin].full_mask & ~(block.shared.load(std::memory_order_relaxed) |
                                                     block.local.load(std::memory_order_relaxed));
        for (; live != 0; live &= live - 1) {
            auto const slot = static_cast<std::size_t>(std::countr_zero(live));
            checked_slot const of{block.base + slot * bins[bin].size, bins[bin].size};
            request was{};
            if (!checks_.uses_canaries())
                free_twin(of.begin);
            else if (std::optional<misuse> const wrong = checks_.verify(of, nullptr, was)) {
                misused({.kind = *wrong, .address = of.begin, .size_class = of.bytes});
                memory_checks::clear(of.begin, of.bytes, 1);   // said once
            }
        }
    });
}

void heap_core::check_live_large(slab& s) noexcept
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

void heap_core::let_go(slab& s, unsigned bin) noexcept
{
    mark_empty(s, bin, [&](slab const& block, std::uint64_t twice) { freed_twice(block, bin, twice); });
}

// Modelled: tests/models/close.pml, step recycle
// Modelled: tests/models/survivors.pml, step recycle
void heap_core::recycle(slab& s, thread_record* me) noexcept
{
    unsigned const bin = s.bin();
    unsigned const c = class_of_bin(bin);
    shelf const* const home = home_of(s);
    let_go(s, bin);
    if (me == nullptr || !keeps_slabs()) [[unlikely]]
        return recycle_unkept(s, bin, me, home);
    s.where.store(residence::cached, std::memory_order_relaxed);
    me->retained.push(s, c);
    if (me->retained.pages() <= thread_cache_pages_ ||
        retain_less(*me, home != nullptr ? home->site(me, c) : lock_site{})) [[likely]]
        me->classes[c][class_event::recycled].add();
}

/// An empty slab of a thread that keeps none goes to the heap's cache, and becomes free pages where that is full.
[[gnu::noinline]] void heap_core::recycle_unkept(slab& s, unsigned bin, thread_record* me, shelf const* home) noexcept
{
    unsigned const c = class_of_bin(bin);
    bool const kept = slabs_.put(s, home != nullptr ? home->site(me, c) : lock_site{});
    counts_of(me, c)[kept ? class_event::recycled : class_event::overflowed].add();
}

/// The thread keeps more than it may: of each class the half that has been there longest goes to the heap's cache, and what that
/// cannot keep becomes free pages. True if that could keep everything.
[[gnu::cold, gnu::noinline]] bool heap_core::retain_less(thread_record& me, lock_site const& site) noexcept
{
    bool all_kept = true;
    for (unsigned c = 0; c < class_count; ++c) {
        std::uint32_t const n = me.retained.count(c) - me.retained.count(c) / 2;
        if (n == 0)
            continue;
        std::uint32_t const kept = slabs_.put_chain(me.retained.take_oldest(c, n), site);
        me.classes[c][class_event::overflowed].add(n - kept);
        all_kept = all_kept && kept == n;
    }
    return all_kept;
}

// Modelled: tests/models/close.pml, step take_slab
// Modelled: tests/models/kept.pml, step take_slab
slab* heap_core::take_slab(unsigned bin, thread_record& me, class_counters& counts, std::uint32_t label_id) noexcept
{
    ++me.slabs_taken;
    unsigned const c = class_of_bin(bin);
    slab* s = me.retained.first(c);
    if (s != nullptr && s->bin() == bin) [[likely]] {
        static_cast<void>(me.retained.pop(c));
        counts[class_event::cache_hit].add();
        // It was this bin's before, so what was freed late is in its own words.
        if (has_blocks(bin) || s->shared.load(std::memory_order_relaxed) != 0) [[unlikely]]
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

/// From the heap's cache, with some more to keep, or from free pages.
[[gnu::noinline]] slab* heap_core::take_slab_rare(unsigned bin, thread_record& me, class_counters& counts,
                                                  lock_site const& site) noexcept
{
    unsigned const c = class_of_bin(bin);
    if (me.retained.first(c) == nullptr) {
        std::uint32_t taken = 0;
        slab* const chain =
            slabs_.take_cached(c, thread_record::warm_pages / class_shapes[c].pages / 2 + 1, taken, site);
        me.retained.fill(c, chain, taken);
    }
    if (slab* const s = me.retained.first(c); s != nullptr && slabs_.turn_into(*s, bin)) {
        static_cast<void>(me.retained.pop(c));
        counts[class_event::cache_hit].add();
        return s;
    }
    if (slab* const s = recut_retained(bin, me)) {
        counts[class_event::cache_hit].add();
        return s;
    }
    if (slab* const s = slabs_.take(bin, counts, site))
        return s;
    empty_caches(&me);
    slab* s = slabs_.take(bin, counts, site, true);
    if (s == nullptr && make_room(&me))
        s = slabs_.take(bin, counts, site, true);
    return s;
}

/// One of the slabs that the thread keeps of other classes, of which it has most, cut anew. It is resident and needs no lock;
/// without this a thread would hold the most that it ever needed of each class, although never at the same time.
slab* heap_core::recut_retained(unsigned bin, thread_record& me) noexcept
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
    slab* const s = me.retained.first(from);
    if (has_blocks(bin) && !pages().commit_blocks(page_heap::index_of(*s)))
        return nullptr;
    static_cast<void>(me.retained.pop(from));
    slabs_.recut(*s, bin);
    return s;
}

std::uint64_t heap_core::retire_live(slab& s, unsigned bin) noexcept
{
    check_live(s, bin);
    if (bin < class_count)
        return live_slots(s, bin);
    std::uint64_t const live =
        bins[bin].full_mask & ~(s.local.load(std::memory_order_relaxed) | s.shared.load(std::memory_order_relaxed));
    for (std::uint64_t left = live; left != 0; left &= left - 1)
        retire_generation(s, static_cast<unsigned>(std::countr_zero(left)));
    return static_cast<std::uint64_t>(std::popcount(live));
}

std::uint64_t heap_core::retire_large(slab& s) noexcept
{
    check_live_large(s);
    retire_generation(s, 0);
    return 1;
}

/// Makes the handle of a slot that is given back live stale.
void heap_core::retire_generation(slab const& s, unsigned slot) noexcept
{
    std::uint32_t const page = pages().index_of(s);
    if (!pages().has_generations(page))
        return;
    auto& generation = pages().generation(page, slot);
    std::uint32_t const now = generation.load(std::memory_order_relaxed);
    generation.store((now + 1) & ~1U, std::memory_order_relaxed);   // even: no handle is live
}

// Modelled: tests/models/close.pml, step slot_drained
// Modelled: tests/models/era.pml, step slot_drained
void heap_core::slot_drained(shelf& s, thread_record* me, bool give_back) noexcept
{
    count(me, heap_event::epoch_drained);
    free_slots_.release(s.index);
    if (give_back) {
        slabs_.settle(false);
        give_back_units(me);
    }
}

void heap_core::purge_survivors(shelf& s, std::uint64_t era, thread_record* me) noexcept
{
    purge_result done;
    if (slabs_.purges_at_once() && s.purge_unused(me, era, false, done))
        slot_drained(s, me);
}

void heap_core::purge_closed(thread_record* me, std::uint64_t now) noexcept
{
    purge_result done;
    for (std::uint32_t i = 0; i < prepared_slots(); ++i) {
        shelf& s = shelf_at(i);
        // Hints: purge_unused looks at the era under the lock.
        std::uint64_t const era = s.era.load(std::memory_order_relaxed);
        std::uint64_t const since = s.face.closing_ns.load(std::memory_order_relaxed);
        if (s.state.load(std::memory_order_relaxed) != lifecycle::closing || since == 0 || since + decay_ns_ > now)
            continue;
        if (s.purge_unused(me, era, false, done))
            slot_drained(s, me, false);
    }
}

void heap_core::freed_twice(slab const& block, unsigned bin, std::uint64_t slots) noexcept
{
    thread_record* const me = known_record();   // a shelf's lock may be held, and the registry's comes before it
    for (slots &= bins[bin].full_mask; slots != 0; slots &= slots - 1) {
        counts_of(me, class_of_bin(bin))[class_event::repair_twice].add();
        misused({.kind = misuse::double_free,
                 .address = block.base + static_cast<std::size_t>(std::countr_zero(slots)) * bins[bin].size,
                 .size_class = bins[bin].size});
    }
}

void heap_core::report_late_frees(slab& s) noexcept
{
    unsigned const bin = s.last_bin();
    auto const look = [&](slab& block) {
        if (block.shared.load(std::memory_order_relaxed) == 0) [[likely]]
            return;
        std::uint64_t const late = block.shared.exchange(0, std::memory_order_acquire);
        if (bin < bin_count)
            freed_twice(block, bin, late);
    };
    look(s);
    if (bin >= bin_count || !has_blocks(bin))
        return;
    slab* block = pages().blocks_at(pages().index_of(s));
    for (unsigned k = bins[bin].blocks; k-- > 0; block += block_stride(bin))
        look(*block);
}

void heap_core::misused(misuse_report r) noexcept
{
    face_.misuses[static_cast<std::size_t>(r.kind)].add_shared();
    r.heap = name_;
    report(r);
}

bool heap_core::owner_of(void const* p, heap_core const* except, std::string& name)
{
    return registry().name_of_owner(p, except, name);
}

}
