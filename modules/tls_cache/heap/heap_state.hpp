// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The shared state of one heap: its slab supply, its epochs' slabs by ring slot, the records of its threads, its stats
// page. The allocator builds epochs and domains on it. Its functions are thread safe unless a docstring names a thread;
// the caller holds no lock of the heap unless it says so.
#pragma once

export namespace tslab {

class heap_state {
public:
    using options = heap_options;
    /// `ring_record_bytes`: size of a ring slot's record, which begins with its epoch_slabs. The memory of records is
    /// zeroed; the epoch layer constructs a record before the slot's first use. Throws std::bad_alloc if memory, or a
    /// hook at thread exit or fork, cannot be had.
    heap_state(options const& o, std::size_t ring_record_bytes);
    ~heap_state();
    heap_state(heap_state const&) = delete;
    heap_state& operator=(heap_state const&) = delete;

    /// The calling thread's record, made at its first call; null if there is no memory for one. Constant time after the
    /// first call; the first call takes the registry's lock.
    [[nodiscard]] inline thread_record* record() noexcept
    {
        auto const& recent = this_thread.more->recent[number_ % thread_details::recent_count];
        if (recent.number == number_) [[likely]]
            return recent.record;
        return find_or_make_record();
    }

    /// The calling thread's record, or null if it has none. Takes no lock.
    [[nodiscard]] thread_record* known_record() const noexcept;

    /// A detached cache of the calling thread, whose record is `me`; null if there is no memory. It may retain empty
    /// slabs.
    [[nodiscard]] inline thread_cache* take_cache(thread_record& me) noexcept;
    /// Returns a detached cache to its thread's record. Thread safe; lock-free.
    static void return_cache(thread_cache& l) noexcept;
    /// Returns a detached cache that a resource was bound to. `me`: the calling thread's record, or null. Thread safe.
    static inline void return_bound_cache(thread_cache& l, thread_record* me) noexcept;
    /// Undoes take_cache. Only for the cache's thread.
    static void put_cache_back(thread_cache& l, thread_record& me) noexcept;

    /// The calling thread's own cache for the epoch (slot, era), attached if it was not. Returns null if that epoch is
    /// not ACTIVE (`closed` is set then) or there is no memory. Requires: the caller is between enter and leave of its
    /// record `me`. Constant time, unless it attaches.
    // Modelled: tests/models/claims.pml, step cache_for
    // Modelled: tests/models/era.pml, step cache_for
    [[nodiscard]] inline thread_cache* cache_for(thread_record& me, std::uint32_t slot, std::uint64_t era,
                                                 bool& closed) noexcept
    {
        thread_cache* const l = me.caches[slot].load(std::memory_order_relaxed);
        if (l != nullptr && l->key() == era) [[likely]]
            return l;
        return attach_cache(me, slot, era, closed);
    }

    /// Frees `slot` of `subslab`, whether or not a thread cache owns it; returns false if the slot is free already.
    /// `me`: the calling thread's record, or null; if it is not null, the caller is between enter and leave.
    // Modelled: tests/models/claims.pml, step free_slot
    // Modelled: tests/models/close.pml, step free_slot
    // Modelled: tests/models/exclusive.pml, step free_slot
    // Modelled: tests/models/retained.pml, step free_slot; tests/models/serial.pml, step free_slot
    [[nodiscard]] inline bool free_slot(slab_meta& subslab, unsigned bin, unsigned slot, thread_record* me) noexcept
    {
        if (thread_cache* const l = cache_owning(slab_of(subslab, bin));
            l != nullptr && l->admits_frees_of(me) && l->key() != closed_key) [[likely]] {
            cache_free const r = l->deallocate(subslab, bin, slot);
            if (r != cache_free::not_mine)
                return r == cache_free::done;
        }
        return free_remote(*this, subslab, bin, slot, me);
    }

    /// Puts an empty slab into the calling thread's cache of empty slabs, or, if `me` is null or threads retain none,
    /// into the heap's. Requires: the caller holds every slot, and is in a fork-exclusion section of `me`.
    void recycle(slab_meta& s, thread_record* me) noexcept;
    /// Clears ownership of an empty slab, and reports slots that were freed twice. The caller holds every slot.
    void reset_slab(slab_meta& s, unsigned bin) noexcept;
    /// The counters of a class for the calling thread; for a thread without a record, shared counters, which are not
    /// exact.
    [[nodiscard]] inline class_counters& counts_of(thread_record* me, unsigned c) noexcept
    {
        return me != nullptr ? me->classes[c] : stats_.strays[c];
    }
    /// Counts `n` events of the heap: in the record `me`, or, if it is null, in shared counters.
    inline void count(thread_record* me, heap_event e, std::uint64_t n = 1) noexcept
    {
        if (n == 0)
            return;
        if (me != nullptr) [[likely]]
            me->counts[e].add(n);
        else
            stats_.stray_events[e].add_shared(n);
    }
    /// Takes an empty slab for `bin`: from the calling thread's cache of empty slabs, the heap's, or free pages. When
    /// memory runs out, it flushes all caches and tries again. Returns null if out of memory. Requires: a
    /// fork-exclusion section of `me`; no lock held.
    [[nodiscard]] slab_meta* take_slab(unsigned bin, thread_record& me, class_counters& counts,
                                       std::uint32_t label_id) noexcept;
    /// Flushes every empty slab to the free pages: those of thread caches, of threads and of the heap, except those of
    /// threads that are using them at this moment. Called when memory has run out. Requires: a fork-exclusion section
    /// of `me`, which may be null; no lock held. Passes heavy barriers.
    void empty_caches(thread_record* me) noexcept;

    /// Decays if an interval has passed: empty slabs unused for `decay_ns` go to the free pages, and free pages unused as long
    /// go to the kernel. Called on slow paths; reads the clock at every fourth call. Only for the record's thread, without a lock.
    inline void decay_sometimes(thread_record& me) noexcept
    {
        if ((++me.slow_paths & 3U) == 0)
            decay_if_due(me, now_ns_coarse());
    }
    /// The same for a caller that knows the time, `now` of now_ns_coarse.
    [[gnu::always_inline]] inline void decay_if_due(thread_record& me, std::uint64_t now) noexcept
    {
        if (now == me.stats.clock_ns.load(std::memory_order_relaxed)) [[likely]]
            return;   // the clock has not been read anew since the last call: nothing more is due
        me.clock_ns = now;
        me.stats.clock_ns.store(now, std::memory_order_relaxed);
        if (is_due(now, me.decayed_ns.load(std::memory_order_relaxed))) [[unlikely]]
            decay(me, now);
    }
    /// Whether a decay interval has passed since `last`. `now` may be earlier than `last`: a scope's begin, or the
    /// clock as a preempted thread read it.
    [[nodiscard]] inline bool is_due(std::uint64_t now, std::uint64_t last) const noexcept
    {
        return now > last && now - last >= decay_ns_;
    }
    /// Counts stepping_counter::period allocations of a thread cache. When half a million objects were allocated
    /// without a slab being taken, the free pages unused during the second half go to the kernel, however short that
    /// time was. Only for the record's thread.
    void note_work(thread_record& me) noexcept;
    /// Decays the heap, once an interval: gives unused free pages to the kernel and flushes what idle threads retain. `now`: of
    /// now_ns_coarse. `me`: the calling thread's record, or null. Does not change the calling thread's own caches. Thread safe.
    void decay_heap(thread_record* me, std::uint64_t now) noexcept;
    /// Flushes every empty slab to the free pages, as empty_caches does, and gives the free pages to the kernel: the
    /// control group is short of memory. For a thread without a record, which holds no lock.
    void purge_at_once() noexcept;
    /// Whether the heap has empty slabs or free resident pages: a hint. Thread safe.
    [[nodiscard]] bool keeps_anything() const noexcept;
    /// When decay_heap is due next, on now_ns_coarse's clock. `keeps`: the result of keeps_anything.
    [[nodiscard]] std::uint64_t next_decay_ns(std::uint64_t now, bool keeps) const noexcept;
    /// Removes the heap from the purge thread, and waits for a pass that works on it. Call it before any part of the
    /// heap is destroyed. Idempotent.
    void leave_background() noexcept;
    /// Removes the heap from the registry: afterwards no thread reaches it from there, neither one that ends nor one
    /// that reaps ended threads. The allocator calls it before it examines what is left; the destructor calls it for a
    /// heap that was not completed. Idempotent.
    void leave_registry() noexcept;

    /// Flushes what other threads retain, empty slabs and the slabs of detached caches, to the heap's caches. Skips the
    /// thread of `me`, threads that are changing lists at this moment, and threads that decayed at `unless_since` or
    /// later. The caller holds no lock. Thread safe. Complexity: linear in the threads; one heavy
    /// barrier if any thread retains something.
    void reach_threads(thread_record const* me, std::uint64_t unless_since = ~std::uint64_t{0}) noexcept;
    /// Waits until no thread takes this thread's retained slabs. For a thread whose record says `reached`.
    void wait_until_not_reached() noexcept;

    /// Counts a large allocation as freed for the heap profile, if that has sampled it. The caller has taken it off its list.
    inline void note_large_freed(slab_meta& s) noexcept;
    /// Frees the pages of a large allocation that is on no list any more.
    void give_large(slab_meta& s, std::uint32_t pages, lock_site const& site) noexcept;
    [[nodiscard]] inline memory_checks& checks() noexcept { return checks_; }
    /// The memory of a large allocation.
    [[nodiscard]] static inline checked_slot whole(slab_meta const& s) noexcept
    {
        return {s.base, std::size_t{large_allocation{s}.pages()} << page_shift};
    }
    /// Checks the live objects of a slab, or a large one, that will not be freed one by one, and frees those that are
    /// malloc's. No effect if checks are off.
    void check_live(slab_meta& s, unsigned bin) noexcept;
    void check_live_large(slab_meta& s) noexcept;

    /// Returns the number of live objects of a slab that is about to be recycled with them; checks them and makes their
    /// handles stale.
    std::uint64_t retire_live(slab_meta& s, unsigned bin) noexcept;
    /// The same for a large allocation: 1.
    std::uint64_t retire_large(slab_meta& s) noexcept;

    /// Releases the ring slot of an epoch that has drained. Called after the epoch's lock is released, by the thread
    /// whose try_drain returned true. `give_back`: purge pages and return address space as the policy says, and add that
    /// to `done`.
    void slot_drained(epoch_slabs& s, thread_record* me, reclaim_result& done, bool give_back = true) noexcept;
    /// Purges free pages if that is due after a close (see slab_cache::is_purge_due), and adds that to `done`.
    void purge_if_due(reclaim_result& done, bool asked) noexcept;
    /// Counts bytes that were purged for an epoch with that label.
    inline void count_purged(std::uint32_t label_id, purge_result const& purged) noexcept
    {
        if (purged.asked == 0) [[likely]]
            return;
        stats_.madvise_asked[label_id].add_shared(purged.asked);
        stats_.madvise_gone[label_id].add_shared(purged.gone);
    }

    /// Gives the kernel the pages that no live object touches, of an epoch that was closed by a scope's end or whose
    /// caches were flushed late. Done at once if the policy says so; otherwise decay_heap does it later. See
    /// epoch_slabs::purge_unused.
    void purge_survivors(epoch_slabs& s, std::uint64_t era, thread_record* me, reclaim_result& done) noexcept;
    /// The same for all epochs that were closed `decay_ns` ago or earlier, whatever the policy.
    void purge_closed(thread_record* me, std::uint64_t now) noexcept;

    /// Flushes what a thread retains to the heap's caches: its empty slabs and those of its detached caches. Only for
    /// that thread in a fork-exclusion section, or a thread that has reached it.
    void flush_retained(thread_record& r) noexcept;
    /// Flushes the empty slabs of each class above thread_record::batch_pages. Only for the record's thread.
    void flush_surplus(thread_record& me) noexcept;

    /// Moves remotely freed slots of a subslab from `remote_free` to `local_free`; returns the free slots. The caller
    /// owns the subslab.
    std::uint64_t claim(slab_meta& subslab, unsigned bin) noexcept
    {
        claimed const got = claim_freed(subslab);
        if (got.twice != 0) [[unlikely]]
            freed_twice(subslab, bin, got.twice);
        return got.free;
    }
    /// The same for all subslabs of a slab; returns whether any, and whether all, of its slots are free.
    // Modelled: tests/models/subslabs.pml, step claim_slab
    fill claim_slab(slab_meta& s, unsigned bin) noexcept
    {
        return fill_of(s, bin, [&](slab_meta& subslab) { return claim(subslab, bin); });
    }
    /// Reports slots that two threads freed at the same time. Neither thread could detect it; the bits show it
    /// afterwards.
    void freed_twice(slab_meta const& subslab, unsigned bin, std::uint64_t slots) noexcept;
    /// Reports frees that came after a slab was recycled, by the bits of its last bin. The caller owns the page, no slab now.
    void report_late_frees(slab_meta& s) noexcept;
    /// Counts misuse of an address or epoch of this heap and passes it to the error handler, with the source place of that number.
    void misused(misuse_report r, std::uint32_t place = source_places::unknown) noexcept;
    [[nodiscard]] inline std::uint64_t misuses(misuse kind) const noexcept
    {
        return stats_.misuses[static_cast<std::size_t>(kind)].value();
    }

    /// Pages of empty slabs of all classes that a thread cache may hold, 0 where pages go back at once, and that a thread retains.
    [[nodiscard]] inline std::uint32_t cache_pages() const noexcept { return cache_pages_; }
    [[nodiscard]] inline std::uint32_t thread_cache_pages() const noexcept { return thread_cache_pages_; }
    /// Empty slabs of class `c` that a thread cache may hold even above cache_pages(); 0 likewise.
    [[nodiscard]] inline std::uint32_t empty_limit(unsigned c) const noexcept { return empty_limit_[c]; }
    [[nodiscard]] inline bool retains_slabs() const noexcept { return empty_limit_[0] != 0; }

    /// One allocation of a bin, and one free off the fast path, in this number is timed, and every repair of a list; 0: none.
    [[nodiscard]] inline std::uint32_t sample_one_in() const noexcept
    {
        return sample_one_in_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] inline bool sampling() const noexcept { return sample_one_in() != 0; }
    /// At most stepping_counter::period; other numbers than that and 0 are for tests. A bin's present distance remains.
    inline void set_sampling(std::uint32_t one_in) noexcept
    {
        sample_one_in_.store(one_in, std::memory_order_relaxed);
        stats_.sampling.store(one_in != 0 ? 1 : 0, std::memory_order_relaxed);
    }
    /// Guards state that only statistics and timed closes use. Taken last; no allocation or free takes it.
    [[nodiscard]] inline mutex& history_lock() const noexcept { return history_lock_; }
    /// Closes by label; null before the first of them. Written under history_lock.
    [[nodiscard]] inline atomic<close_page*>& closes() noexcept { return closes_; }
    [[nodiscard]] inline close_page const* closes() const noexcept { return closes_.load(std::memory_order_acquire); }

    /// The slabs of the epoch in ring slot `slot`. Requires: slot < prepared_slots().
    [[nodiscard]] inline epoch_slabs& epoch_slabs_at(std::uint32_t slot) const noexcept
    {
        unsigned const row = ring_rows::row_of(slot);
        // acquire: pairs with make_row.
        return *reinterpret_cast<epoch_slabs*>(ring_rows_[row].load(std::memory_order_acquire) +
                                               (slot - ring_rows::begin_of(row)) * ring_record_bytes_);
    }
    /// The ring slot of `s`, computed from its address without reading the record; `slots()` if the address is not that
    /// of a record.
    [[nodiscard]] std::uint32_t slot_of(epoch_slabs const& s) const noexcept;
    /// Makes memory for the record of `slot`; returns false if there is none. One thread at a time.
    [[nodiscard]] bool make_row(std::uint32_t slot) noexcept;
    [[nodiscard]] inline std::uint32_t slots() const noexcept { return slots_; }
    /// Ring slots below this number have a record; the memory of others is zeroed or not there.
    [[nodiscard]] inline std::uint32_t prepared_slots() const noexcept
    {
        return prepared_slots_.load(std::memory_order_acquire);   // pairs with set_prepared_slots
    }
    inline void set_prepared_slots(std::uint32_t n) noexcept
    {
        prepared_slots_.store(n, std::memory_order_release);
        stats_.prepared_epochs.store(n, std::memory_order_release);
    }
    [[nodiscard]] inline std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] inline std::string const& name() const noexcept { return name_; }
    [[nodiscard]] inline slab_cache& slabs() noexcept { return slabs_; }
    [[nodiscard]] inline page_heap& pages() noexcept { return slabs_.pages(); }
    [[nodiscard]] inline page_heap const& pages() const noexcept { return slabs_.pages(); }
    /// The heap's stats page, and its part of the segment.
    [[nodiscard]] inline heap_stats_page& stats() const noexcept { return stats_; }
    [[nodiscard]] inline segment_part& published() noexcept { return published_; }
    [[nodiscard]] inline segment_part const& published() const noexcept { return published_; }
    /// Makes a stats page in the segment, or in private memory when that has no room; null if there is no memory.
    template <class T> [[nodiscard]] T* make_stats_page() noexcept { return with_segment_bytes(published_.make<T>()); }
    /// The same for a close: null also if another thread, which may be interrupted, keeps the memory locked.
    template <class T> [[nodiscard]] T* make_stats_page_briefly() noexcept
    {
        return with_segment_bytes(published_.make_briefly<T>());
    }
    template <class T> [[nodiscard]] T* make_private_briefly() noexcept
    {
        T* const made = meta_.make_briefly<T>();
        publish_arena();
        return made;
    }
    /// Memory for a record that lives as long as the heap; null if there is none.
    template <class T> [[nodiscard]] T* make_private() noexcept
    {
        T* const made = meta_.make<T>();
        publish_arena();
        return made;
    }
    /// The source places that entered domains of the heap.
    [[nodiscard]] inline source_places& places() noexcept { return places_; }
    [[nodiscard]] inline source_places const& places() const noexcept { return places_; }
    [[nodiscard]] inline heap_profiler& profiler() noexcept { return profiler_; }
    [[nodiscard]] inline arena const& meta() const noexcept { return meta_; }
    [[nodiscard]] inline slot_set& free_slots() noexcept { return free_slots_; }
    [[nodiscard]] inline heap_limits& limits() noexcept { return limits_; }
    /// The newest record; the others follow by next_of_heap. Records are never removed. Thread safe.
    [[nodiscard]] inline thread_record* first_record() const noexcept
    {
        return records_.load(std::memory_order_acquire);   // pairs with the publication of a new record
    }
    /// Calls `visit` for every cache of a record, newest first. Thread safe.
    template <class F> inline void for_each_cache(thread_record const& r, F visit) const
    {
        for (thread_cache* l = r.all_caches.load(std::memory_order_acquire); l != nullptr; l = l->next_of_record_)
            visit(*l);
    }
    /// Whether `p` lies in the address range of a heap other than `except`; copies that heap's name into `name`. Takes
    /// the registry's lock. Thread safe.
    static bool owner_of(void const* p, heap_state const* except, std::string& name);

    /// While an object of this class lives, the heap returns no units to the window. For threads that read descriptors
    /// without announcing an operation. Thread safe.
    class pinned_units {
    public:
        inline explicit pinned_units(heap_state const& h) noexcept : pins_{h.pins_}
        {
            pins_.fetch_add(1, std::memory_order_seq_cst);   // before the first descriptor is read: see give_back_units
        }
        inline ~pinned_units() { pins_.fetch_sub(1, std::memory_order_release); }
        pinned_units(pinned_units const&) = delete;
        pinned_units& operator=(pinned_units const&) = delete;

    private:
        atomic<std::uint32_t>& pins_;
    };
    /// Returns free units to the window, except for `keep` pages, if no other thread is in an operation; returns false
    /// if nothing was returned. `me`: the calling thread's record, or null. `done`: if not null, the time it took is
    /// added to it. The caller holds no lock.
    bool give_back_units(thread_record* me, std::uint32_t keep = page_heap::slack_pages,
                         purge_result* done = nullptr) noexcept;
    /// The same with the slack, which costs a comparison where the heap has not more than that.
    inline void give_back_units_if_many(thread_record* me) noexcept;
    /// Returns all free units to the window, so that a longer run of pages can be taken from there. Returns false if
    /// nothing was returned.
    [[nodiscard]] bool make_room(thread_record* me) noexcept;

    /// The descriptor of the slab that the page of `p` is part of, or of the large allocation whose first page it is.
    /// Null if `p` is in no page of this heap. Constant time. Thread safe: see give_back_units for how long the
    /// descriptor stays this heap's.
    [[nodiscard]] inline slab_meta* slab_at(void const* p) const noexcept
    {
        slab_meta* const s = pages().find(p);
        return s != nullptr ? page_heap::first_page_of(s) : nullptr;
    }

    /// Calls `visit` for every lock of the heap, in the order of locking. Only for the registry, around a fork.
    template <class F> void for_each_lock_in_fork(F visit) noexcept;   // in fork.cpp
    /// Makes a fork reserve locks of the layer above, too. Call it before any other thread knows the heap.
    void reserve_in_fork(std::array<mutex*, 3> const& locks) noexcept;

private:
    friend class purge_thread;
    friend class thread_registry;
    friend struct thread_record;
    friend class class_rows;

    [[nodiscard]] thread_record* find_or_make_record() noexcept;
    [[nodiscard, gnu::noinline]] thread_cache* take_further_cache(thread_record& me) noexcept;
    [[nodiscard]] slab_meta* take_slab_rare(unsigned bin, thread_record& me, class_counters& counts,
                                            lock_site const& site) noexcept;
    [[nodiscard]] slab_meta* recut_retained(unsigned bin, thread_record& me) noexcept;
    void retire_generation(slab_meta const& s, unsigned slot) noexcept;
    void decay(thread_record& me, std::uint64_t now) noexcept;
    [[nodiscard]] bool retain_less(thread_record& me, lock_site const& site) noexcept;
    void flush_classes(thread_record& r, std::uint32_t stay_pages) noexcept;
    void purge_unwanted(purge_cause cause, std::uint64_t most) noexcept;
    [[nodiscard]] bool give_back(thread_record* me, page_heap::unit_batch const& runs, std::size_t n) noexcept;
    void revoke_thread_caches(thread_record* me) noexcept;
    void recycle_to_heap(slab_meta& s, unsigned bin, thread_record* me, epoch_slabs const* home) noexcept;
    [[nodiscard]] thread_cache* attach_cache(thread_record& me, std::uint32_t slot, std::uint64_t era,
                                             bool& closed) noexcept;
    void take_over_returned(thread_record& me) noexcept;
    static void flush_revoked_cache(thread_cache& l, thread_record& me, bool only_revoked) noexcept;
    void thread_ends(thread_record& r) noexcept;
    [[nodiscard]] static heap_stats_page& make_heap_stats_page(segment_part& in);
    [[nodiscard]] thread_record* make_record() noexcept;
    void publish_arena() noexcept;
    template <class T> [[nodiscard]] T* with_segment_bytes(T* made) noexcept
    {
        stats_.segment_bytes.store(published_.committed_bytes(), std::memory_order_relaxed);
        return made;
    }

    // First the members that every operation reads: they stay in the processor's cache.
    std::uint64_t number_;
    std::uint32_t slots_;
    memory_checks checks_;
    segment_part published_;
    heap_stats_page& stats_;
    heap_root* root_ = nullptr;   // the heap's directory entry; guarded by the registry's lock
    std::size_t root_index_ = 0;
    slab_cache slabs_;
    arena meta_;
    source_places places_{meta_, published_, stats_};
    heap_profiler profiler_;
    std::array<atomic<std::byte*>, ring_rows::most> ring_rows_{};
    std::size_t ring_record_bytes_;
    slot_set free_slots_;
    atomic<std::uint32_t> prepared_slots_{0};
    atomic<thread_record*> records_{nullptr};
    std::array<std::uint32_t, class_count> empty_limit_;   // see empty_limit()
    std::uint32_t cache_pages_;                            // see cache_pages()
    static constexpr std::uint64_t never = ~std::uint64_t{0};
    std::uint64_t const decay_ns_;             // `never` if nothing decays
    std::uint32_t const thread_cache_pages_;   // the most pages of empty slabs that a thread retains
    mutex reach_lock_;                         // taken before epochs' locks; see reach_threads
    atomic<std::uint64_t> decayed_ns_{0};      // when the heap last decayed
    atomic<std::uint64_t> work_{0};            // periods of allocations: see note_work
    atomic<std::uint32_t> sample_one_in_{0};
    mutable atomic<std::uint32_t> pins_{0};   // see pinned_units
    mutable mutex history_lock_;
    atomic<close_page*> closes_{nullptr};
    std::array<mutex*, 3> upper_locks_{};   // see reserve_in_fork; guarded by the registry's lock
    std::string name_;
    bool registered_ = false;
    heap_state* next_heap_ = nullptr;     // guarded by the registry's lock
    heap_state** heap_link_ = nullptr;    // likewise: the pointer to this heap in the registry's list
    heap_state* next_purged_ = nullptr;   // this and the next: guarded by purge_thread's lock_
    bool in_background_ = false;
    bool const asks_background_;
    heap_limits limits_;
    bool const purges_on_pressure_;
};

}
