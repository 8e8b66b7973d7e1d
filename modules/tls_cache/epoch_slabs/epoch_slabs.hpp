// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The slabs of an epoch: what a ring slot holds for its present epoch. That is the slabs that no thread cache owns, the
// large allocations, the attached thread caches, the number of domains inside and the state, all under one lock.
// Fast-path allocations and frees do not take this lock. A slab on a list is recycled only by a thread that has claimed
// it (see orphans.hpp).
#pragma once

export namespace tslab {

/// A number of live objects and the bytes of their slots.
struct live_count {
    std::uint64_t objects = 0;   ///< how many
    std::uint64_t bytes = 0;     ///< of their slots, which may be larger than what was asked for

    /// Adds both.
    live_count& operator+=(live_count const& more) noexcept
    {
        objects += more.objects;
        bytes += more.bytes;
        return *this;
    }
};

/// The live objects of a slab. Exact while no thread allocates from it or frees into it.
[[nodiscard]] inline live_count live_in(slab_meta const& s, unsigned bin) noexcept
{
    std::uint64_t const n = live_slots(s, bin);
    return {n, n * bins[bin].size};
}

/// What an epoch's phase has used, but for what attached caches have not published.
struct phase_use {
    std::uint64_t begun = 0;         ///< tick_clock::stamp
    std::uint64_t bytes = 0;         ///< allocated
    std::uint32_t cache_pages = 0;   ///< the most pages that each detached cache held, added up
    std::uint32_t large_pages = 0;
    std::uint32_t large_peak = 0;   ///< the most of them
};

/// What flush_cache returns of a cache whose resource shares its epoch (an exclusive one).
enum class flush_mode : std::uint8_t {
    detach,   ///< everything: the cache ends its work for the epoch
    reclaim   ///< its empty slabs; it stays attached
};

struct profiled_site;

/// The slabs, large allocations and thread caches of one epoch at a time. The record of a ring slot; it lives as long
/// as the heap.
struct alignas(64) epoch_slabs {
    explicit epoch_slabs(epoch_stats_page& f) noexcept : stats{f} {}

    mutex lock;

    /// The ring slot's stats page. The begin and the end of a scope read the reference once into one of their own: behind
    /// each atomic access, relaxed ones too, the compiler reads memory again.
    epoch_stats_page& stats;

    /// Read after `state`, by names; see is_of.
    atomic<std::uint64_t> era{0};
    atomic<lifecycle> state{lifecycle::idle};
    atomic<std::uint32_t> holds{0};   ///< domains inside: written under the lock, read by any thread
    atomic<std::uint32_t> label_id{0};
    std::uint32_t index = 0;   ///< ring slot; set once
    heap_state* heap = nullptr;
    page_count count;   ///< see limits.cpp

    // Guarded by lock; before the epoch is open, by the claim of the ring slot.
    thread_cache* caches = nullptr;   ///< attached caches, linked by next_ and prev_
    std::uint32_t cache_count = 0;
    std::uint32_t slab_count = 0;           ///< on the lists below
    atomic<std::uint32_t> large_count{0};   // changed under the lock
    std::uint32_t being_purged = 0;         ///< listed slabs that purge_unused has claimed
    std::uint32_t cost_label = 0;           ///< number of the label that costs are counted under
    phase_use use{};
    /// When the epoch was first seen CLOSING and not drained; 0: not yet. Written under the lock.
    atomic<std::uint64_t> closing_ns{0};
    atomic<bin_set> partial_bins{0};                 ///< a hint: bins whose partial list may have slabs
    std::array<std::uint32_t, bin_count> listed{};   ///< slab_count by bin
    std::array<slab_list, bin_count> partial{};
    std::array<slab_list, bin_count> full{};
    slab_list large{};
    slab_list sampled{};   ///< slabs of objects that the heap profile samples; no thread cache acquires them

    /// Whether the slot holds the epoch `of_era`, or any if that is `any_era`, open and not drained. The caller holds
    /// the lock; but a thread opens the slot of its last scope without it (see allocator::open_epoch), and sets the
    /// state first and the era last. So the state is read first: an era that is not 0 is that of the state, or later.
    /// acquire, twice: what was written before the era is visible.
    // Modelled: tests/models/era.pml, step is_of
    [[nodiscard]] inline bool is_of(std::uint64_t of_era, lifecycle& now) const noexcept
        __attribute__((requires_capability(lock)))
    {
        now = state.load(std::memory_order_acquire);
        std::uint64_t const e = era.load(std::memory_order_acquire);
        return (now == lifecycle::active || now == lifecycle::closing) && e != 0 && (e == of_era || of_era == any_era);
    }
    static constexpr std::uint64_t any_era = ~std::uint64_t{0};
    [[nodiscard]] inline bool is_open(std::uint64_t of_era) const noexcept __attribute__((requires_capability(lock)))
    {
        lifecycle now{};
        return is_of(of_era, now);
    }
    [[nodiscard]] inline bool is_active(std::uint64_t of_era) const noexcept __attribute__((requires_capability(lock)))
    {
        lifecycle now{};
        return is_of(of_era, now) && now == lifecycle::active;
    }

    // Control state that is mirrored in the stats page.
    inline void set_era(std::uint64_t e, std::memory_order order) noexcept
    {
        era.store(e, order);
        stats.era.store(e, order);
    }
    inline void set_state(lifecycle s) noexcept
    {
        state.store(s, std::memory_order_relaxed);
        stats.state.store(s, std::memory_order_relaxed);
    }
    inline void set_holds(std::uint32_t n) noexcept __attribute__((requires_capability(lock)))
    {
        holds.store(n, std::memory_order_relaxed);
        stats.holds.store(n, std::memory_order_relaxed);
    }
    inline void set_closing_ns(std::uint64_t ns) noexcept __attribute__((requires_capability(lock)))
    {
        closing_ns.store(ns, std::memory_order_relaxed);
        stats.closing_ns.store(ns, std::memory_order_relaxed);
    }
    inline void set_label_id(std::uint32_t id) noexcept
    {
        label_id.store(id, std::memory_order_relaxed);
        stats.label_id.store(id, std::memory_order_relaxed);
    }

    /// What the phase cost, with `bytes` and `pages` of caches beside those in `use`, up to the moment `now`.
    [[nodiscard, gnu::always_inline]] inline phase_cost cost_with(std::uint64_t bytes, std::uint64_t pages,
                                                                  std::uint64_t now) const noexcept
        __attribute__((requires_capability(lock)))
    {
        bytes += use.bytes;
        pages += std::uint64_t{use.cache_pages} + use.large_peak;
        return {stats.allocations.value(), bytes, std::min(bytes, pages << page_shift),
                tick_clock::ns_between(use.begun, now)};
    }
    /// What the phase cost up to now, attached caches included. Of a cache that another thread is using at this moment, the
    /// allocations under way may be missing. Linear in the attached caches.
    [[nodiscard]] phase_cost cost_so_far() const noexcept __attribute__((requires_capability(lock)));
    /// Called when the epoch turns CLOSING: sets `closed` and the cost in `done`.
    void end_phase(reclaim_result& done) const noexcept __attribute__((requires_capability(lock)));

    /// Where lock waits and lost races for class `row` of this epoch are counted; `me` may be null.
    [[nodiscard]] inline lock_site site(thread_record* me, unsigned row) const noexcept
    {
        return me != nullptr ? me->site(row, label_id.load(std::memory_order_relaxed)) : lock_site{};
    }

    /// Attaches `l` to the epoch `for_era` and opens it for the holders of `key`. Returns false if that epoch is not
    /// ACTIVE here. `binding`: the resource's pointer to the cache, or null. Takes the lock. Thread safe.
    [[nodiscard]] bool attach(thread_cache& l, std::uint64_t for_era, std::uint64_t key,
                              atomic<thread_cache*>* binding) noexcept;

    /// Attaches without the check, for an epoch that has just been opened.
    inline void link(thread_cache& l, std::uint64_t for_era, std::uint64_t key, atomic<thread_cache*>* binding) noexcept
        __attribute__((requires_capability(lock)));

    /// Returns every slot that `l` holds. Effects: empty slabs go to the slab pool, or stay with a cache that its own
    /// thread flushes; the others go to the partial or the full list; counts are published. Mode `reclaim` leaves an
    /// exclusive cache attached and its slabs with live objects with it, since they must stay known as its resource's.
    /// Returns whether `l` was detached: then it must be returned to its record (heap_state::return_cache). Requires:
    /// `l` is revoked, or belongs to the calling thread, whose record is `me` (null: it has none). Complexity: linear
    /// in the slabs of the cache; no system call. Does not throw.
    bool flush_cache(thread_cache& l, thread_record* me, flush_mode mode, reclaim_result& done) noexcept
        __attribute__((requires_capability(lock)));

    /// Ends the cache of a resource that is destroyed on another thread than the cache's own. Returns true if the cache
    /// was flushed: then it must be returned to its record. Returns false if its thread is in an operation: that thread
    /// flushes it when the operation ends. `live`: if not null, the cache's live objects are added to it; the call then
    /// waits some turns of the lock for the thread, and adds nothing for a cache that is left to it. Complexity: linear
    /// in the slabs of the cache; one or two heavy barriers.
    [[nodiscard]] bool end_elsewhere(thread_cache& l, thread_record* me, live_count* live,
                                     reclaim_result& done) noexcept __attribute__((requires_capability(lock)));

    /// Opens an exclusive cache again after it was flushed of its empty slabs. Returns false if the epoch is not
    /// ACTIVE, or the cache not attached to it. Takes the lock. Thread safe.
    [[nodiscard]] bool reopen(thread_cache& l, std::uint64_t key) noexcept;

    /// Passes a serial resource's cache, if one is attached, to the calling thread, whose record is `me`: from here on
    /// that thread is the one that may flush it, and if no closer has revoked it, its key is `key`. Returns the cache,
    /// which may be revoked; null if there is none. `binding`: the resource's pointer to its cache. Requires: the
    /// caller's use of the resource overlaps no other. Takes the lock. Constant time.
    [[nodiscard]] thread_cache* take_over(atomic<thread_cache*> const& binding, thread_record& me,
                                          std::uint64_t key) noexcept;

    /// Acquires a partial slab for `l`: the cache owns it then, with its free slots in `local_free`. Returns null if
    /// there is none. Takes the lock. Thread safe. Complexity: one slab, unless other threads are claiming slabs at the
    /// same time.
    [[nodiscard]] slab_meta* acquire_partial(thread_cache& l, unsigned bin) noexcept;

    /// Reclaims the epoch `for_era`: flushes every attached cache that is not in use, and recycles every empty slab on
    /// the lists. `closing`: the epoch turns CLOSING first, so no later allocation is served. No effect if the slot
    /// holds another era. Takes the lock; enters a fork-exclusion section. Thread safe. Complexity: linear in the slabs
    /// of the epoch; waits a bounded time for threads in operations.
    reclaim_result reclaim_epoch(thread_record* me, std::uint64_t for_era, bool closing) noexcept;
    /// The same with the lock held at entry and at return. It releases the lock in between if it waits for a thread.
    /// The caller holds it by an epoch_lock, whose release drains the epoch.
    void reclaim_locked(thread_record* me, bool closing, reclaim_result& done) noexcept
        __attribute__((requires_capability(lock)));
    /// Flushes other threads' own caches that are not in use; those of `me`, which may be null, and those of resources
    /// stay. Makes no system call but the heavy barrier. Takes the lock. Thread safe.
    void reclaim_from_others(thread_record* me) noexcept;
    /// Turns the epoch CLOSING and revokes its caches; their owners flush them at their next operation. The epoch must
    /// be of the era that the caller means. Sets the cost in `done`. Constant time for each attached cache; no barrier, no
    /// system call.
    void begin_closing(reclaim_result& done) noexcept __attribute__((requires_capability(lock)));
    /// The live large allocations of the resource `owner`. Linear in the large allocations of the epoch.
    [[nodiscard]] live_count live_large_of(void const* owner) const noexcept __attribute__((requires_capability(lock)));
    /// The live objects in the listed slabs, and the large allocations. Linear in both.
    [[nodiscard]] live_count live() const noexcept __attribute__((requires_capability(lock)));

    /// Gives the kernel the pages of listed slabs that no live object touches, and adds the figures to `done.purged`.
    /// System calls are made without the lock. No effect if the slot holds another era. Sets `done.drained` if the epoch
    /// drained meanwhile, and `done.label_id` if there was something to purge. Thread safe.
    void purge_unused(thread_record* me, std::uint64_t for_era, reclaim_result& done) noexcept;
    /// Whether purge_unused may find pages. May be true although there are none; never false if there are some.
    [[nodiscard]] bool may_have_unused_pages() const noexcept __attribute__((requires_capability(lock)))
    {
        return slab_count != 0 && (partial_bins.load(std::memory_order_relaxed) & several_pages_bins) != 0;
    }

    /// Allocates a slot of `bin` for the cache `l`, an object that the heap profile samples, in a slab that no cache owns:
    /// so its free is no fast one. Returns null if there is no memory. Takes the lock; no other lock of the heap is held.
    /// Requires: a fork-exclusion section of `me`, the cache's thread.
    [[nodiscard]] void* allocate_sampled(thread_cache const& l, unsigned bin, thread_record& me,
                                         profiled_site& at) noexcept;
    /// The live sampled objects of the exclusive cache `l`. Linear in the slabs of such.
    [[nodiscard]] live_count live_sampled_of(thread_cache const& l) const noexcept
        __attribute__((requires_capability(lock)));
    /// Recycles the slabs of the sampled objects of the exclusive cache `l`, or of all objects if that is null. Returns the
    /// number of objects that were live.
    std::uint64_t drop_sampled(thread_record* me, thread_cache const* l) noexcept
        __attribute__((requires_capability(lock)));
    /// The cache `l` is exclusive no longer.
    void disown_sampled(thread_cache const& l) const noexcept __attribute__((requires_capability(lock)));

    /// Recycles every listed slab and frees every large allocation, live or not. Returns the number of objects that
    /// were live. A slab that another thread has claimed is marked empty, and that thread recycles it.
    std::uint64_t drop_all(thread_record* me) noexcept __attribute__((requires_capability(lock)));

    /// Adds a large allocation to the epoch `for_era`; returns false if that epoch is not ACTIVE here, or, with `why`, if a
    /// limit refuses it. Takes the lock. Thread safe.
    [[nodiscard]] bool add_large(slab_meta& s, std::uint64_t for_era, thread_record* me, limit_refusal& why) noexcept;

    // Limits: see limits.cpp. Requires, but of begin_counting and admits_large: the epoch is counted.

    /// Reserves pages, of which the caller takes a slab afterwards. Refuses if that would exceed a limit. Lock-free.
    [[nodiscard]] limit_refusal reserve(std::uint64_t pages) noexcept;
    /// Counts pages that the epoch holds already, whatever the limits.
    void force(std::uint64_t pages) noexcept;
    /// Gives back pages that the epoch holds no more.
    void give_counted(std::uint64_t pages) noexcept;
    /// Counts the epoch from now on: what it holds on its lists at once, what its caches hold when their threads next
    /// take a slab, or when they are flushed; that of `own`, a cache of the calling thread or null, at once: its empty slabs go
    /// where they would exceed a limit. No effect else if it is counted. Requires: the heap has a limit_table.
    void begin_counting(thread_cache* own) noexcept __attribute__((requires_capability(lock)));
    /// The same for all caches that the calling thread, whose record is `me`, uses: of its resource, and by raw calls.
    void begin_counting_caches_of(thread_record& me) noexcept __attribute__((requires_capability(lock)));
    /// Ends the count of an epoch that holds nothing but the slabs of `l`, which is detached; null: nothing.
    [[gnu::cold]] void end_counting(thread_cache* l) noexcept;
    /// Moves the count to the account of the epoch's label.
    void move_to_account() noexcept __attribute__((requires_capability(lock)));
    /// Whether a large allocation is within the limits now, after trimming what the phase's threads cache. If not, counts
    /// it as refused in `why`. True as well if the epoch `for_era` is gone. The caller holds no lock.
    [[nodiscard]] bool admits_large(std::uint64_t for_era, std::uint64_t pages, thread_record* me,
                                    limit_refusal& why) noexcept;
    /// Counts a refusal, and passes it to the caller's thread; `me` may be null.
    void note_refused(limit_refusal const& why, thread_record* me) noexcept;
    /// Has the soft limit's handler called at the end of the operation, if the limit has been crossed.
    void look_at_soft_limit(thread_record& me) noexcept;
    /// Sets the limits of the phase, in pages. Requires: the epoch is counted.
    void set_limit(std::uint64_t pages) noexcept __attribute__((requires_capability(lock)));
    void set_soft_limit(std::uint64_t pages) noexcept __attribute__((requires_capability(lock)));
    void mark_to_fail() noexcept __attribute__((requires_capability(lock)))
    {
        count.fails_.store(true, std::memory_order_relaxed);
    }

    /// Turns a CLOSING epoch that holds nothing `drained`. A caller that gets true releases the ring slot after
    /// unlocking; epoch_lock does this.
    [[nodiscard]] bool try_drain() noexcept __attribute__((requires_capability(lock)));
    /// Turns the ACTIVE epoch `of_era` `drained` at once, if a single domain holds it, `l` is its only cache, and nothing
    /// else belongs to it; else changes nothing and returns false. `l` is detached then, with its slabs. The caller is
    /// the thread of `l`, ends the domain, and has the ring slot claimed afterwards. Requires: keep_used() of `l`
    /// returned true. Constant time.
    /// `cost`: set to what the phase cost up to the moment `now`.
    [[nodiscard]] inline bool end_alone(std::uint64_t of_era, thread_cache& l, thread_record& me, std::uint64_t now,
                                        phase_cost& cost) noexcept __attribute__((requires_capability(lock)));

    /// Puts a slab on the partial list of its bin.
    void list_partial(slab_meta& s, unsigned bin) noexcept __attribute__((requires_capability(lock)));
    /// Counts a large allocation that is added (1) or removed (-1).
    void note_large(int by, std::uint32_t pages) noexcept __attribute__((requires_capability(lock)))
    {
        std::uint32_t const count_now = large_count.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(by);
        large_count.store(count_now, std::memory_order_relaxed);
        use.large_pages += by > 0 ? pages : 0U - pages;
        use.large_peak = std::max(use.large_peak, use.large_pages);
        stats.large_pages.store(use.large_pages, std::memory_order_relaxed);
        stats.large_count.store(count_now, std::memory_order_relaxed);
    }
    /// Counts a slab that is removed from the lists.
    void unlist(unsigned bin) noexcept __attribute__((requires_capability(lock)))
    {
        --slab_count;
        stats.listed[bin].store(--listed[bin], std::memory_order_relaxed);
    }

private:
    void give_to(std::uint32_t account, std::uint64_t pages) const noexcept;
    [[nodiscard]] bool phase_refuses(std::uint64_t word, limit_refusal& why) const noexcept;
    /// How often a closer waits for a thread in an operation before it defers the thread's cache. A wait for the lock
    /// takes longer than a pause, far longer with more threads than processors, so it counts for more.
    static constexpr int patience = 64;
    static constexpr int patience_for_lock = patience / 4;
    /// Releases the lock and takes it again, so that a thread that waits for it can proceed. Returns the share of the
    /// patience that this used.
    [[nodiscard]] int wait_for_others() noexcept __attribute__((requires_capability(lock)));
    [[nodiscard]] void* share_sampled(thread_cache const* of, unsigned bin, profiled_site& at) const noexcept
        __attribute__((requires_capability(lock)));
    [[nodiscard]] slab_meta* first_partial_for(unsigned bin, thread_record const& me) const noexcept
        __attribute__((requires_capability(lock)));
    void repair_partial(slab_meta& s, unsigned bin, bool claimed) noexcept __attribute__((requires_capability(lock)));
    void flush_bin(thread_cache& l, unsigned bin, thread_record* me, reclaim_result& done) noexcept
        __attribute__((requires_capability(lock)));
    void note_retained(thread_cache const& l, unsigned bin, thread_record& me, reclaim_result& done) noexcept
        __attribute__((requires_capability(lock)));
    void detach_cache(thread_cache& l, thread_record* me, reclaim_result& done) noexcept
        __attribute__((requires_capability(lock)));
    void flush_empty_slabs(thread_cache& l, thread_record* me, reclaim_result& done) const noexcept
        __attribute__((requires_capability(lock)));
    void orphan_slab(slab_meta& s, unsigned bin, thread_record* me, reclaim_result& done) noexcept
        __attribute__((requires_capability(lock)));
    void sweep(thread_record* me, reclaim_result& done) noexcept __attribute__((requires_capability(lock)));
    /// Position of purge_unused: `next` is the slab of `bin` to continue with, once `begun`.
    struct purge_position {
        unsigned bin = 0;
        slab_meta* next = nullptr;
        bool begun = false;
    };
    [[nodiscard]] std::size_t claim_for_purge(purge_position& at, std::span<slab_meta*> batch) noexcept
        __attribute__((requires_capability(lock)));
    void end_purge(purge_position& at, std::span<slab_meta* const> batch, thread_record* me) noexcept
        __attribute__((requires_capability(lock)));
    void end_purge_of(slab_meta& s, thread_record* me) noexcept __attribute__((requires_capability(lock)));
    /// The caches that a reclaim flushes: all attached ones, or those of other threads that no resource is bound to.
    enum class caches_of : std::uint8_t { all, others };
    void revoke_caches(thread_record* me, bool& others, caches_of whose = caches_of::all) const noexcept
        __attribute__((requires_capability(lock)));
    [[nodiscard]] std::uint64_t reclaim_idle_caches(thread_record* me, bool again, reclaim_result& done,
                                                    caches_of whose = caches_of::all) noexcept
        __attribute__((requires_capability(lock)));
    bool wait_for_busy_caches(thread_record* me, std::uint64_t busy, reclaim_result& done, caches_of whose) noexcept
        __attribute__((requires_capability(lock)));
};

/// Holds an epoch's lock for a scope. If the epoch is CLOSING and holds nothing when the lock is released, it turns
/// `drained`, its ring slot is released, and pages go to the kernel as `then` says.
class [[clang::scoped_lockable]] epoch_lock {
public:
    /// Which pages may go to the kernel after the lock is released.
    enum class then : std::uint8_t {
        keep,              ///< none: no system call is made
        purge,             ///< if the epoch drained, free pages as the policy says
        purge_and_unused   ///< likewise; if it did not drain, its pages that no live object touches
    };

    /// `me`: the calling thread's record, or null. `row`: the class to count the lock at. `done`: if not null, its
    /// `drained` is set to true when this lock's release drained the epoch, and what the release purges is added to it;
    /// the caller counts that. Otherwise the release does.
    inline explicit epoch_lock(epoch_slabs& e, thread_record* me, unsigned row = no_class, then what = then::purge,
                               reclaim_result* done = nullptr) noexcept __attribute__((acquire_capability(e.lock)))
        : tail_{e, me, what, done}, guard_{e.lock, e.site(me, row)}
    {
    }
    inline ~epoch_lock() __attribute__((release_capability(), no_thread_safety_analysis))
    {
        if (held_)
            unlock();
    }
    /// Releases the lock before the scope ends; the ring slot is released and pages are purged at the scope's end.
    /// Requires: not called before.
    inline void unlock() noexcept __attribute__((release_capability(), no_thread_safety_analysis))
    {
        tail_.look();
        guard_.unlock();
        held_ = false;
    }
    epoch_lock(epoch_lock const&) = delete;
    epoch_lock& operator=(epoch_lock const&) = delete;

private:
    /// The part of the release that follows the unlock. Declared before the guard, so destroyed after it.
    class tail {
    public:
        inline tail(epoch_slabs& e, thread_record* me, then what, reclaim_result* done) noexcept
            : epoch_{e}, me_{me}, done_{done}, what_{what}
        {
        }
        inline ~tail()
        {
            if (drained_ || unused_)
                run();
        }
        tail(tail const&) = delete;
        tail& operator=(tail const&) = delete;
        void look() noexcept __attribute__((requires_capability(epoch_.lock)));

    private:
        void run() noexcept;
        void run(reclaim_result& done) noexcept;

        epoch_slabs& epoch_;
        thread_record* me_;
        reclaim_result* done_;
        std::uint64_t era_ = 0;
        then what_;
        bool drained_ = false;
        bool unused_ = false;
    };

    tail tail_;
    lock_guard guard_;
    bool held_ = true;
};

/// Frees a slot of a subslab that no thread cache of the caller owns. Returns false if the slot is free already, or the
/// slab is not in use. `me`: the calling thread's record, or null. Thread safe. Constant time and lock-free, but for
/// the free that makes an orphan partial or empty: it takes the lock of the slab's epoch.
[[nodiscard]] bool free_remote(heap_state& heap, slab_meta& subslab, unsigned bin, unsigned slot,
                               thread_record* me) noexcept;

/// Frees a large allocation. Returns false if it was freed already. Takes the lock of its epoch. Thread safe.
[[nodiscard]] bool free_large(slab_meta& s, thread_record* me) noexcept;

}
