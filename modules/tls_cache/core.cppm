// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What all threads of one heap share: the slabs, the shelves of the epoch ring, the records of its threads.
// Above it the allocator adds epochs and domains; below it nothing knows of threads.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
export module tslab.tls_cache:core;

import tslab.stats;
import tslab.slab;
import :slot_set;
import :face;
import :thread;
import :shelf;
import :lane;

export namespace tslab {

class heap_core {
public:
    struct options {
        std::string_view name;
        std::uint32_t slots;
        reclaim_policy policy;
        std::uint32_t slab_cache;
        std::size_t reserve_bytes;
        bool huge_pages;
        bool publish;   ///< other processes may read what is told of it: see segment
        std::uint64_t decay_ns;
        std::uint64_t thread_cache_bytes;
        bool background_purge = false;
        bool purge_on_pressure = false;
        check_mode checks = check_mode::off;
        std::optional<std::uint32_t> guard_sampling{};
    };
    /// `shelf_bytes`: the size of the record that begins with each slot's shelf; the memory is zeroed, the epoch layer
    /// makes a record in it before a slot's first use. Throws std::bad_alloc.
    heap_core(options const& o, std::size_t shelf_bytes);
    ~heap_core();
    heap_core(heap_core const&) = delete;
    heap_core& operator=(heap_core const&) = delete;

    /// The calling thread's record; null when there is no memory for one.
    [[nodiscard]] inline thread_record* record() noexcept
    {
        auto const& recent = this_thread.recent[number_ % thread_state::recent_count];
        if (recent.number == number_) [[likely]]
            return recent.record;
        return find_or_make_record();
    }

    /// The same if the thread has one; takes no lock.
    [[nodiscard]] thread_record* known_record() const noexcept;

    /// A lane of the calling thread, not attached; null when there is no memory. `me` is its record.
    [[nodiscard]] lane* take_lane(thread_record& me) noexcept;
    /// Returns a detached lane to its thread. Thread safe.
    static void return_lane(lane& l) noexcept;
    /// The same for a lane that was bound to a resource; `me`, which may be null, is the calling thread's record.
    static void return_bound_lane(lane& l, thread_record* me) noexcept;
    /// Undoes take_lane.
    static void put_lane_back(lane& l, thread_record& me) noexcept;

    /// The calling thread's lane for (slot, era), attached if need be; null when that epoch is not ACTIVE or there is no
    /// memory, which `closed` tells. The caller is between enter and leave of `me`.
    // Modelled: tests/models/claims.pml, step lane_for
    // Modelled: tests/models/era.pml, step lane_for
    [[nodiscard]] inline lane* lane_for(thread_record& me, std::uint32_t slot, std::uint64_t era, bool& closed) noexcept
    {
        lane* const l = me.lanes[slot].load(std::memory_order_relaxed);
        if (l != nullptr && l->key() == era) [[likely]]
            return l;
        return attach_lane(me, slot, era, closed);
    }

    /// Frees `slot` of `block`, whoever holds the slab; false when it is free already. `me` may be null; if it is not, the
    /// caller is between enter and leave.
    // Modelled: tests/models/claims.pml, step free_slot
    // Modelled: tests/models/close.pml, step free_slot
    // Modelled: tests/models/exclusive.pml, step free_slot
    // Modelled: tests/models/kept.pml, step free_slot
    [[nodiscard]] inline bool free_slot(slab& block, unsigned bin, unsigned slot, thread_record* me) noexcept
    {
        if (lane* const l = holder_of(slab_of(block, bin)); l != nullptr && l->record() == me && l->key() != closed_key)
            [[likely]] {
            lane_free const r = l->deallocate(block, bin, slot);
            if (r != lane_free::not_mine)
                return r == lane_free::done;
        }
        return free_remote(*this, block, bin, slot, me);
    }

    /// Puts an empty slab where the next one is taken from: the thread's own few, or the heap's cache.
    /// The caller holds every slot.
    void recycle(slab& s, thread_record* me) noexcept;
    /// Makes a slab that nobody has an object in nobody's, and reports slots freed twice.
    void let_go(slab& s, unsigned bin) noexcept;
    /// The caller's counters of a class; shared ones, then not exact, for a thread that could get no record.
    [[nodiscard]] inline class_counters& counts_of(thread_record* me, unsigned c) noexcept
    {
        return me != nullptr ? me->classes[c] : face_.strays[c];
    }
    /// Counts what happened to the heap: among the caller's own counters, or among shared ones for a thread that could get no
    /// record.
    inline void count(thread_record* me, heap_event e, std::uint64_t n = 1) noexcept
    {
        if (n == 0)
            return;
        if (me != nullptr) [[likely]]
            me->counts[e].add(n);
        else
            face_.stray_events[e].add_shared(n);
    }
    /// An empty slab; null when out of memory.
    [[nodiscard]] slab* take_slab(unsigned bin, thread_record& me, class_counters& counts,
                                  std::uint32_t label_id) noexcept;
    /// Puts every empty slab among the free pages that a cache, a thread or a lane keeps, as far as no thread is using it at this
    /// moment: memory has run out. The caller holds no lock and is in a restructuring section of `me`, which may be null.
    void empty_caches(thread_record* me) noexcept;

    /// Looks whether it is time to decay: to put those empty slabs among the free pages, and to give those free pages to the
    /// kernel, that nobody wanted for `decay_ns`. Called on slow paths; asks for the time at every fourth call. The caller holds no lock.
    inline void decay_sometimes(thread_record& me) noexcept
    {
        if ((++me.slow_paths & 3U) == 0)
            decay_if_due(me, now_ns_coarse());
    }
    /// The same, where the time is known.
    inline void decay_if_due(thread_record& me, std::uint64_t now) noexcept
    {
        me.clock_ns = now;
        if (is_due(now, me.decayed_ns.load(std::memory_order_relaxed))) [[unlikely]]
            decay(me, now);
    }
    /// Whether an interval has passed since `last`. `now` may be the earlier of the two: it is when a scope began, or when a thread
    /// that was held up looked at the clock.
    [[nodiscard]] inline bool is_due(std::uint64_t now, std::uint64_t last) const noexcept
    {
        return now > last && now - last >= decay_ns_;
    }
    /// Notes that a lane has handed out stepping_counter::period objects. So free pages go that nobody wanted while half a million
    /// objects were allocated and no slab was taken for one, however short that time was.
    void note_work(thread_record& me) noexcept;
    /// Gives unwanted free pages to the kernel and flushes what idle threads keep. `now`: of now_ns_coarse.
    /// `me`: the calling thread's record, or null. Effects on the thread's own caches: none. Thread safe.
    void decay_heap(thread_record* me, std::uint64_t now) noexcept;
    /// Puts every empty slab among the free pages, as empty_caches does, and gives those to the kernel: the control group is short of
    /// memory. For a thread without a record; the caller holds no lock.
    void purge_at_once() noexcept;
    /// Whether there is something that could go: a hint. Thread safe.
    [[nodiscard]] bool keeps_anything() const noexcept;
    /// When decay_heap is to be called next; `keeps`: see keeps_anything.
    [[nodiscard]] std::uint64_t next_decay_ns(std::uint64_t now, bool keeps) const noexcept;
    /// Ends what is done for the heap in the background. Call it before anything of the heap ends; idempotent.
    void leave_background() noexcept;
    /// No thread comes to the heap by the registry any more: neither one that ends nor one that looks after those that did. Called by
    /// the allocator before it looks at what is left, and by the destructor for a heap that has not come as far.
    void leave_registry() noexcept;

    /// Takes what other threads keep, empty slabs and those of lanes not in use, into the heap's caches. Leaves out threads that
    /// are changing their lists at this moment. `unless_since`: leaves out those, too, that have looked at their own caches since then.
    /// The caller holds no lock. Thread safe.
    void reach_threads(thread_record const* me, std::uint64_t unless_since = ~std::uint64_t{0}) noexcept;
    /// For a thread that finds itself reached: waits until it is no longer.
    void wait_until_not_reached() noexcept;

    /// Takes the pages of a large allocation back that is on no list any more.
    void give_large(slab& s, std::uint32_t pages, lock_site const& site) noexcept;
    [[nodiscard]] inline memory_checks& checks() noexcept { return checks_; }
    /// Where a large allocation's memory is.
    [[nodiscard]] static inline checked_slot whole(slab const& s) noexcept
    {
        return {s.base, std::size_t{s.pages.load(std::memory_order_relaxed)} << page_shift};
    }
    /// Checks the objects of a slab, or a large one, that are live and will be freed by nobody, and frees those that are
    /// malloc's. Nothing where checks are off.
    void check_live(slab& s, unsigned bin) noexcept;
    void check_live_large(slab& s) noexcept;

    /// Counts the objects of a slab that are about to be given back live, and makes their handles stale.
    std::uint64_t retire_live(slab& s, unsigned bin) noexcept;
    /// The same for a large allocation: 1.
    std::uint64_t retire_large(slab& s) noexcept;

    /// What a drained epoch's last event must do once the shelf is unlocked. `give_back`: as the policy says.
    void slot_drained(shelf& s, thread_record* me, bool give_back = true) noexcept;

    /// Gives the kernel the pages that no live object touches, of an epoch that was closed by the end of a scope or whose claims came
    /// back late: at once, where the policy says so; else decay_heap does it. See shelf::purge_unused.
    void purge_survivors(shelf& s, std::uint64_t era, thread_record* me) noexcept;
    /// The same for all epochs that were closed `decay_ns` ago or earlier.
    void purge_closed(thread_record* me, std::uint64_t now) noexcept;

    /// Puts what a thread keeps into the heap's caches: its empty slabs and what its lanes keep that are not in use. Call it as that
    /// thread, or as one that reached it.
    void flush_retained(thread_record& r) noexcept;
    /// The same for the empty slabs of each class that are more than a lane may keep. Call it as that thread.
    void flush_surplus(thread_record& me) noexcept;

    /// Moves what others freed in a block from `shared` to `local`, which the caller owns; returns the free slots.
    std::uint64_t claim(slab& block, unsigned bin) noexcept
    {
        claimed const got = claim_freed(block);
        if (got.twice != 0) [[unlikely]]
            freed_twice(block, bin, got.twice);
        return got.free;
    }
    /// The same for all blocks of a slab; returns which of its slots are free.
    // Modelled: tests/models/blocks.pml, step claim_slab
    fill claim_slab(slab& s, unsigned bin) noexcept
    {
        return fill_of(s, bin, [&](slab& block) { return claim(block, bin); });
    }
    /// Reports slots that two threads freed at the same time: neither could see it, but their bits could be seen later.
    void freed_twice(slab const& block, unsigned bin, std::uint64_t slots) noexcept;
    /// The same for a page in the caller's hands that is no slab now: the bits are of what it was before.
    void report_late_frees(slab& s) noexcept;
    /// Reports misuse of an address or epoch of this heap, and counts it.
    void misused(misuse_report r) noexcept;
    [[nodiscard]] inline std::uint64_t misuses(misuse kind) const noexcept
    {
        return face_.misuses[static_cast<std::size_t>(kind)].value();
    }

    /// How many empty slabs of class `c` a lane keeps; none where pages go back at once.
    [[nodiscard]] inline std::uint32_t warm_limit(unsigned c) const noexcept { return warm_limit_[c]; }
    [[nodiscard]] inline bool keeps_slabs() const noexcept { return warm_limit_[0] != 0; }

    /// Whether one allocation in 1,024, and every repair, is timed.
    [[nodiscard]] inline bool sampling() const noexcept { return sampling_.load(std::memory_order_relaxed); }
    inline void set_sampling(bool on) noexcept
    {
        sampling_.store(on, std::memory_order_relaxed);
        face_.sampling.store(on ? 1 : 0, std::memory_order_relaxed);
    }
    /// Guards what only statistics and explicit closes know. Taken last; no allocation or free takes it.
    [[nodiscard]] inline mutex& history_lock() const noexcept { return history_lock_; }

    [[nodiscard]] inline shelf& shelf_at(std::uint32_t slot) const noexcept
    {
        unsigned const row = shelf_table::row_of(slot);
        // acquire: pairs with make_row.
        return *reinterpret_cast<shelf*>(shelves_[row].load(std::memory_order_acquire) +
                                         (slot - shelf_table::begin_of(row)) * shelf_bytes_);
    }
    /// The ring slot of a shelf, by its address: the record itself need not be looked at. `slots()` for an address that is none.
    [[nodiscard]] std::uint32_t slot_of(shelf const& s) const noexcept;
    /// Makes memory for the record of `slot`; false when there is none. One thread at a time.
    [[nodiscard]] bool make_row(std::uint32_t slot) noexcept;
    [[nodiscard]] inline std::uint32_t slots() const noexcept { return slots_; }
    /// Slots below this number have a record; the others are zeroed memory.
    [[nodiscard]] inline std::uint32_t prepared_slots() const noexcept
    {
        return prepared_slots_.load(std::memory_order_acquire);   // pairs with set_prepared_slots
    }
    inline void set_prepared_slots(std::uint32_t n) noexcept
    {
        prepared_slots_.store(n, std::memory_order_release);
        face_.prepared_epochs.store(n, std::memory_order_release);
    }
    [[nodiscard]] inline std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] inline std::string const& name() const noexcept { return name_; }
    [[nodiscard]] inline slab_cache& slabs() noexcept { return slabs_; }
    [[nodiscard]] inline page_heap& pages() noexcept { return slabs_.pages(); }
    [[nodiscard]] inline page_heap const& pages() const noexcept { return slabs_.pages(); }
    /// What is told of the heap, and where: see segment.
    [[nodiscard]] inline heap_face& face() const noexcept { return face_; }
    [[nodiscard]] inline segment_part& told() noexcept { return told_; }
    [[nodiscard]] inline segment_part const& told() const noexcept { return told_; }
    /// A T where other processes may read it; elsewhere when there is no room, and null when there is no memory at all.
    template <class T> [[nodiscard]] T* make_face() noexcept
    {
        T* const made = told_.make<T>();
        face_.segment_bytes.store(told_.committed_bytes(), std::memory_order_relaxed);
        return made;
    }
    /// The number of a place in the directory of those that are told; place_directory::unknown when it is full.
    [[nodiscard]] inline std::uint32_t place_of(std::source_location const& at) noexcept
    {
        std::uint64_t const key =
            (reinterpret_cast<std::uintptr_t>(at.file_name()) + at.line()) * 0x9e3779b97f4a7c15U | 1U;
        auto const i = static_cast<std::uint32_t>(key >> 55);
        static_assert(place_directory::capacity == 512);
        place_directory const* const places = places_.load(std::memory_order_acquire);   // pairs with find_place
        return places != nullptr && places->keys[i].load(std::memory_order_relaxed) == key ? i : find_place(at, key);
    }
    [[nodiscard]] inline arena const& meta() const noexcept { return meta_; }
    [[nodiscard]] inline slot_set& free_slots() noexcept { return free_slots_; }
    /// The newest record; the others follow by next_of_heap. Records are never removed. Thread safe.
    [[nodiscard]] inline thread_record* first_record() const noexcept
    {
        return records_.load(std::memory_order_acquire);   // pairs with the publication of a new record
    }
    /// The lanes of a record, newest first. Thread safe.
    template <class F> inline void for_each_lane(thread_record const& r, F visit) const
    {
        for (lane* l = r.all_lanes.load(std::memory_order_acquire); l != nullptr; l = l->next_of_record_)
            visit(*l);
    }
    /// The heap whose reserved range `p` lies in; null when none. The name is copied into `name`. Thread safe.
    static bool owner_of(void const* p, heap_core const* except, std::string& name);

    /// While one lives, units that the heap has do not go: for who looks at pages without announcing an operation.
    class pinned_units {
    public:
        inline explicit pinned_units(heap_core const& h) noexcept : pins_{h.pins_}
        {
            pins_.fetch_add(1, std::memory_order_seq_cst);   // before the first look: see give_back_units
        }
        inline ~pinned_units() { pins_.fetch_sub(1, std::memory_order_release); }
        pinned_units(pinned_units const&) = delete;
        pinned_units& operator=(pinned_units const&) = delete;

    private:
        atomic<std::uint32_t>& pins_;
    };
    /// Gives address space that is free back, but for `keep` pages, if no thread but the caller is in an operation; false when
    /// nothing went. `me`: the caller's record, which may be null. The caller holds no lock.
    bool give_back_units(thread_record* me, std::uint32_t keep = page_heap::slack_pages) noexcept;
    /// Gives all of it back, so that it can be had anew in one piece: no run of free pages is long enough. False when nothing went.
    [[nodiscard]] bool make_room(thread_record* me) noexcept;

    /// The descriptor of the slab or large allocation that the page of `p` is part of, as far as descriptors tell: of a large
    /// one only the first page does. Null when `p` is in no page of this heap. Thread safe.
    [[nodiscard]] inline slab* slab_at(void const* p) const noexcept
    {
        slab* const s = pages().find(p);
        return s != nullptr ? page_heap::first_page_of(s) : nullptr;
    }

    /// Visits every lock of the heap that is not the epoch layer's, for statistics.
    template <class F> inline void for_each_lock(F visit) const
    {
        for (std::uint32_t i = 0; i < prepared_slots(); ++i)
            visit(shelf_at(i).lock);
        for (unsigned c = 0; c < class_count; ++c)
            visit(slabs_.lock_for_counts(c));
        visit(pages().lock_for_counts());
        visit(meta_.lock_for_counts());
        visit(told_.lock_for_counts());
    }
    /// Takes or gives back all locks of the heap, for a fork. Called by the registry.
    void lock_for_fork() noexcept __attribute__((no_thread_safety_analysis));
    void unlock_after_fork(bool in_child) noexcept __attribute__((no_thread_safety_analysis));

private:
    friend class purge_thread;
    friend class thread_registry;
    friend struct thread_record;
    friend class class_rows;

    [[nodiscard]] thread_record* find_or_make_record() noexcept;
    [[nodiscard]] slab* take_slab_rare(unsigned bin, thread_record& me, class_counters& counts,
                                       lock_site const& site) noexcept;
    [[nodiscard]] slab* recut_retained(unsigned bin, thread_record& me) noexcept;
    void retire_generation(slab const& s, unsigned slot) noexcept;
    void decay(thread_record& me, std::uint64_t now) noexcept;
    [[nodiscard]] bool retain_less(thread_record& me, lock_site const& site) noexcept;
    void flush_classes(thread_record& r, std::uint32_t stay_pages) noexcept;
    void purge_unwanted(purge_cause cause, std::uint64_t most) noexcept;
    void revoke_thread_caches(thread_record* me) noexcept;
    void recycle_unkept(slab& s, unsigned bin, thread_record* me, shelf const* home) noexcept;
    [[nodiscard]] lane* attach_lane(thread_record& me, std::uint32_t slot, std::uint64_t era, bool& closed) noexcept;
    void take_over_returned(thread_record& me) noexcept;
    static void hand_back_lane(lane& l, thread_record& me, bool only_wanted) noexcept;
    void thread_ends(thread_record& r) noexcept;
    [[nodiscard]] static heap_face& make_heap_face(segment_part& in);
    [[nodiscard]] thread_record* make_record() noexcept;
    [[nodiscard, gnu::cold]] std::uint32_t find_place(std::source_location const& at, std::uint64_t key) noexcept;
    void tell_arena() noexcept;

    std::uint64_t number_;
    memory_checks checks_;
    segment_part told_;
    heap_face& face_;
    heap_root* root_ = nullptr;   // where readers find it; guarded by the registry's lock
    std::size_t root_index_ = 0;
    std::atomic<place_directory*> places_{nullptr};
    slab_cache slabs_;
    arena meta_;
    std::array<atomic<std::byte*>, shelf_table::most> shelves_{};
    std::size_t shelf_bytes_;
    std::uint32_t slots_;
    slot_set free_slots_;
    atomic<std::uint32_t> prepared_slots_{0};
    atomic<thread_record*> records_{nullptr};
    std::array<std::uint32_t, class_count> warm_limit_;   // slabs each lane keeps
    static constexpr std::uint64_t never = ~std::uint64_t{0};
    std::uint64_t const decay_ns_;             // never, where nothing decays
    std::uint32_t const thread_cache_pages_;   // of empty slabs that a thread keeps at most
    mutex reach_lock_;                         // taken before shelves' locks; see reach_threads
    atomic<std::uint64_t> decayed_ns_{0};      // when the heap last decayed
    atomic<std::uint64_t> work_{0};            // periods of allocations, see note_work
    atomic<bool> sampling_{false};
    mutable atomic<std::uint32_t> pins_{0};   // see pinned_units
    mutable mutex history_lock_;
    std::string name_;
    bool registered_ = false;
    heap_core* next_heap_ = nullptr;     // guarded by the registry's lock
    heap_core** heap_link_ = nullptr;    // likewise: what points to it
    heap_core* next_purged_ = nullptr;   // this and the next: guarded by the lock of the thread that purges
    bool in_background_ = false;
    bool const asks_background_;
    bool const purges_on_pressure_;
};

}
