// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread's record in one heap: its operations' announcement, its thread caches, its retained slabs, its counters. A
// record lives as long as its heap; when its thread ends, the heap's next new thread gets it.
#pragma once

export namespace tslab {

/// A thread's timed acquisitions of locks by duration, in a heap. In memory that no other process writes.
class thread_lock_times final : public histogram_source {
public:
    thread_lock_times() noexcept : histogram_source{&get} {}
    /// The histograms if they were made, else null. Thread safe.
    [[nodiscard]] lock_histograms const* made() const noexcept { return made_.load(std::memory_order_acquire); }

private:
    friend struct thread_record;
    [[gnu::cold]] static lock_histograms* get(histogram_source& of) noexcept;

    thread_record* of_ = nullptr;
    std::atomic<lock_histograms*> made_{nullptr};
};

/// A thread's counters in a heap, by class. A row is made when its first event is counted. Without memory for a row,
/// events are counted with those of threads without a record, and lock waits only in the locks themselves.
class class_rows {
public:
    /// Rows by label, by class and group of labels, and times. Kept apart from the rows by class: operations that take
    /// no lock do not touch them.
    struct lock_part {
        std::array<std::array<std::atomic<label_rows*>, label_rows::groups>, thread_stats_page::rows> labels{};
        thread_lock_times times{};
    };

    class_rows(thread_record& of, lock_part& locks) noexcept : of_{of}, locks_{locks} {}

    /// The counters of class `c`. Only for the record's thread.
    [[nodiscard]] inline class_counters& operator[](unsigned c) noexcept
    {
        if (class_stats_page* const row = rows_[c].load(std::memory_order_relaxed)) [[likely]]
            return row->events;
        return make_events(c);
    }
    /// The whole row; null if there is no memory for it. Only for the record's thread.
    [[nodiscard]] inline class_stats_page* get(unsigned row) noexcept
    {
        class_stats_page* const there = rows_[row].load(std::memory_order_relaxed);
        return there != nullptr ? there : make(row);
    }
    /// Where lock waits and lost races for class `row` under a label are counted. Only for the record's thread.
    [[nodiscard]] inline lock_site site(unsigned row, std::uint32_t label) noexcept
    {
        class_stats_page* of_row = rows_[row].load(std::memory_order_relaxed);
        if (of_row == nullptr) [[unlikely]] {
            of_row = make(row);
            if (of_row == nullptr)
                return {};
        }
        label_rows* group = locks_.labels[row][label / label_rows::labels].load(std::memory_order_relaxed);
        if (group == nullptr) [[unlikely]]
            group = make_labels(*of_row, row, label / label_rows::labels);
        return {group != nullptr ? &group->of[label % label_rows::labels] : nullptr, &of_row->waits, &locks_.times};
    }
    /// The row if it was made, else null. Thread safe.
    [[nodiscard]] inline class_stats_page const* row(unsigned row) const noexcept
    {
        return rows_[row].load(std::memory_order_acquire);
    }
    /// The row's group of labels if it was made, else null. Thread safe.
    [[nodiscard]] inline label_rows const* labels(unsigned row, std::uint32_t group) const noexcept
    {
        return locks_.labels[row][group].load(std::memory_order_acquire);
    }
    [[nodiscard]] inline thread_lock_times const& times() const noexcept { return locks_.times; }

private:
    // preserve_most: these rare calls must not make their callers save registers. Hidden, as all such functions are: the dynamic
    // linker, when it binds a call through a shared object's table, does not preserve r10.
    [[nodiscard, gnu::cold, clang::preserve_most, gnu::visibility("hidden")]] class_counters&
    make_events(unsigned c) noexcept;
    [[nodiscard, gnu::cold, clang::preserve_most, gnu::visibility("hidden")]] class_stats_page*
    make(unsigned row) noexcept;
    [[nodiscard, gnu::cold, clang::preserve_most, gnu::visibility("hidden")]] label_rows*
    make_labels(class_stats_page& of_row, unsigned row, std::uint32_t group) noexcept;

    thread_record& of_;
    std::array<std::atomic<class_stats_page*>, thread_stats_page::rows> rows_{};
    lock_part& locks_;
};

/// What a thread has for the heap profile.
struct thread_profile {
    std::uint64_t seed = 0;   ///< of the distances between samples
    double to_large = 0;      ///< bytes of large allocations until one is sampled
    bool walking = false;     ///< the thread finds its stack: what that allocates from the heap is not sampled
};

/// A thread's record in one heap.
struct alignas(64) thread_record {
    static constexpr std::uint32_t inside = 1;            ///< the thread is in an operation
    static constexpr std::uint32_t changing_lists = 2;    ///< the thread changes lists: see fork_exclusion
    static constexpr std::uint32_t batch_pages = 16;      ///< empty slabs of a class that are moved, or left, at once
    static constexpr std::uint32_t cache_pages = 16;      ///< of empty slabs of all classes that a cache may hold
    static constexpr std::uint32_t room_limit = 256;      ///< of them that its caches may hold above cache_pages
    static constexpr std::uint32_t spare_pages = 4;       ///< of empty slabs of a class that it may hold above that
    static constexpr std::uint32_t retaining_limit = 4;   ///< detached caches that may retain slabs

    /// The part that an operation which takes no lock does not touch.
    struct cold_part {
        class_rows::lock_part locks{};
        std::array<scan_order, class_count> scans{};
        thread_profile profile{};
        cost_table costs{};
        limit_refusal refused{};          ///< of the last allocation, until it is taken: see take_refusal
        epoch_slabs* soft_of = nullptr;   ///< the handler of this epoch's soft limit is to be called, of this era
        std::uint64_t soft_era = 0;
    };

    thread_record(heap_state& h, atomic<thread_cache*>* table, cold_part& cold, thread_stats_page& f) noexcept
        : heap{h},
          stats{f},
          caches{table},
          retained{f.retained_pages},
          sample_seed{static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(this) >> 6)},
          classes{*this, cold.locks},
          counts{f.counts},
          scans{cold.scans},
          profile{cold.profile},
          costs{cold.costs},
          apart{cold}
    {
        cold.locks.times.of_ = this;
    }

    /// Counts a slow-path allocation of class `c`. For the record's thread.
    inline void note_slow_path(unsigned c, class_counters& of_class) noexcept
    {
        if (scans[c].note_allocation()) [[unlikely]]
            decide_scan_order(c, of_class);
    }
    [[gnu::cold]] void decide_scan_order(unsigned c, class_counters& of_class) noexcept;

    /// Announces an operation: until leave(), no closer flushes a cache that the thread sees open after this. Returns
    /// false if the thread is in an operation already: then a signal handler interrupted it there, and the caller must
    /// not go on. Only for the record's thread.
    // Modelled: tests/models/chunks.pml, step enter
    // Modelled: tests/models/claims.pml, step enter
    // Modelled: tests/models/close.pml, step enter
    [[nodiscard]] inline bool enter() noexcept
    {
        if (activity.load(std::memory_order_relaxed) != 0) [[unlikely]]
            return false;
        activity.store(inside, std::memory_order_relaxed);
        light_barrier(activity);   // the announcement is visible before any key is read
        return true;
    }

    /// Ends the operation, and flushes the thread's revoked caches if a closer asked for that meanwhile.
    // Modelled: tests/models/claims.pml, step leave
    // Modelled: tests/models/close.pml, step leave
    // Modelled: tests/models/exclusive.pml, step leave
    // Modelled: tests/models/retained.pml, step leave
    inline void leave() noexcept
    {
        // release: a closer that reads 0 sees everything this operation did.
        activity.store(0, std::memory_order_release);
        light_barrier(activity);
        if (flush_requested.load(std::memory_order_relaxed)) [[unlikely]]
            flush_requested_caches();
    }

    /// enter() and leave() where light_barrier_is_free().
    // Modelled: tests/models/claims.pml, step enter; tests/models/close.pml, step enter
    [[nodiscard, gnu::always_inline]] inline bool enter_by_kernel() noexcept
    {
        if (!is_now(activity, std::uint32_t{0})) [[unlikely]]
            return false;
        activity.store(inside, std::memory_order_relaxed);
        kernel_light_barrier();
        return true;
    }
    // Modelled: tests/models/claims.pml, step leave; tests/models/close.pml, step leave
    [[gnu::always_inline]] inline void leave_by_kernel() noexcept
    {
        if (!left_by_kernel()) [[unlikely]]
            flush_requested_caches();
    }
    /// The same, but leaves the flush to the caller: false if a closer asked for it.
    [[nodiscard, gnu::always_inline]] inline bool left_by_kernel() noexcept
    {
        activity.store(0, std::memory_order_release);   // as in leave()
        kernel_light_barrier();
        return is_now(flush_requested, false);
    }

    /// Flushes the thread's own caches that a closer has revoked. Takes the locks of their epochs. Only for the
    /// record's thread.
    void flush_requested_caches() noexcept;
    /// Which limit refused the thread's last allocation; none if it was refused otherwise. Resets it. Only for the
    /// record's thread.
    [[nodiscard]] limit_refusal take_refusal() noexcept { return std::exchange(apart.refused, {}); }
    /// Calls the handler of a soft limit that an operation of the thread has crossed. The thread is in no operation.
    [[gnu::cold]] void call_soft_limit_handler() noexcept;
    /// Whether that is to be done.
    [[nodiscard]] bool has_crossed() const noexcept { return apart.soft_of != nullptr; }
    /// The thread's sampled times, made at the first call; null if there is no memory.
    [[nodiscard]] timing_stats_page* get_times() noexcept;

    /// Counts slabs that were scanned and recycled because their epoch is closed.
    void count_reclaimed(reclaim_result const& done) noexcept;

    /// Counts a phase that the thread ended, of the label with that number; `place`: the source place that entered it. In a
    /// fork-exclusion section. A phase for which there is no memory, or which finds it locked by a thread that may be
    /// interrupted, is counted as dropped. Only for the record's thread.
    [[gnu::always_inline]] inline void note_phase(std::uint32_t label, phase_cost const& c,
                                                  std::uint32_t place) noexcept
    {
        if constexpr (!counting)
            return;
        label_costs* of_label = costs.find(label);
        if (of_label == nullptr) [[unlikely]]
            of_label = make_costs(label);
        if (of_label == nullptr || !of_label->note(*this, c, place)) [[unlikely]]
            counts[heap_event::cost_dropped].add();
    }
    [[nodiscard, gnu::cold]] label_costs* make_costs(std::uint32_t label) noexcept;

    /// Takes the ring slot that the thread retains; null if it retains none. Thread safe: it passes the claim to one
    /// caller.
    // Modelled: tests/models/era.pml, step take_retained_slot
    [[nodiscard]] inline epoch_slabs* take_retained_slot() noexcept
    {
        // acquire: pairs with retain_slot. What the slot's last user did to it is visible.
        return retained_slot.load(std::memory_order_relaxed) != nullptr
                   ? retained_slot.exchange(nullptr, std::memory_order_acquire)
                   : nullptr;
    }
    /// Retains a claimed slot whose epoch has drained; returns false if the thread retains one already. Only for the
    /// record's thread, in a section that began within no other one: a signal handler retains nothing in between.
    // Modelled: tests/models/era.pml, step retain_slot
    [[nodiscard]] inline bool retain_slot(epoch_slabs& slot) noexcept
    {
        if (retained_slot.load(std::memory_order_relaxed) != nullptr)
            return false;
        retained_slot.store(&slot, std::memory_order_release);   // release: as slot_set::release
        return true;
    }

    /// now_ns_coarse, as the thread read it at most some hundred microseconds ago: not again before the tick_clock has passed
    /// `clock_period` ticks. `now`: a stamp of that clock. Only for the record's thread.
    [[nodiscard, gnu::always_inline]] inline std::uint64_t read_clock_by(std::uint64_t now) noexcept
    {
        if (now - clock_stamp < clock_period) [[likely]]   // a counter that went back is far away
            return clock_ns;
        clock_ns = now_ns_coarse();
        std::atomic_signal_fence(std::memory_order_seq_cst);   // a handler finds no clock that is older than its stamp
        clock_stamp = now;
        return clock_ns;
    }
    static constexpr std::uint64_t clock_period = std::uint64_t{1} << 18U;   // 0.1 ms at 2.6 GHz

    /// Keeps a detached cache of the record for the next use. Only for the record's thread, which may free into the cache.
    inline void keep_cache(thread_cache& l) noexcept;

    /// Where lock waits and lost races are counted for class `row` (no_class: for no class) of an epoch with that
    /// label.
    [[nodiscard]] inline lock_site site(unsigned row, std::uint32_t label_id) noexcept
    {
        return classes.site(row, label_id);
    }
    /// How many allocations of a bin, or frees off the fast path, are ahead of the next one to be timed: drawn by
    /// chance, from 1 to about twice heap_state::sample_one_in; a fixed number where sampling is off. A constant distance
    /// would always meet the same step of a program that repeats itself. Only for the record's thread.
    [[nodiscard]] std::uint32_t choose_sample() noexcept;
    /// How many allocations of a slot of `bytes` it takes until the heap profile samples one, itself included. Likewise.
    [[nodiscard]] std::uint32_t choose_profiled(std::uint32_t bytes) noexcept;
    /// Called before a lock is taken or the system called within an operation that may be a timed one.
    inline void expect_wait() const noexcept
    {
        if (timer != nullptr) [[unlikely]]
            timer->expect_wait();
    }
    /// Counts a sampled allocation, free or repair.
    void note_allocation(stopwatch::reading const& r) noexcept;
    void note_free(stopwatch::reading const& r) noexcept;
    void note_repair(stopwatch::reading const& r) noexcept;

    /// The allocations of all threads that ever had this record. Thread safe.
    [[nodiscard]] std::uint64_t allocations() const noexcept;
    /// The number of events `e` in all classes, likewise. Thread safe.
    [[nodiscard]] inline std::uint64_t sum(class_event e) const noexcept
    {
        return sum_of_classes(e, [this](unsigned c) { return classes.row(c); });
    }

    /// sum_of_contention of the record, likewise. Thread safe.
    [[nodiscard]] std::array<std::uint64_t, thread_contention_count> contention() const noexcept;

    atomic<std::uint32_t> activity{0};
    atomic<bool> flush_requested{false};   ///< a closer revoked caches of this thread
    atomic<bool> in_use{true};
    atomic<bool> vanished{false};   ///< in a forked child: the thread exists only in the parent
    heap_state& heap;
    thread_stats_page& stats;              ///< the record's stats page
    atomic<thread_cache*>* const caches;   ///< by ring slot: the cache of that slot's epoch; written by the thread
    void* first_cache = nullptr;           ///< memory for the first cache, beside the record; null once used
    thread_cache* spare = nullptr;         ///< detached caches, last used first; the thread's own
    atomic<std::uint32_t> room{0};         ///< pages above cache_pages that its caches may hold: see adjust_room
    atomic<std::uint32_t> retaining{0};    ///< detached caches that retain slabs; written as `retained` is
    atomic<thread_cache*> returned{
        nullptr};   ///< detached caches returned by any thread; the record's thread takes them over
    atomic<thread_cache*> all_caches{nullptr};   ///< every cache of the record; only grows
    /// The ring slot of the thread's last scope, retained for the next one; null: none. The slot is claimed and its epoch
    /// drained. The thread stores it where it finds null; a thread that exchanges it for null has the claim.
    atomic<epoch_slabs*> retained_slot{nullptr};
    std::uint32_t slot_hint = 0;    ///< ring slot that this thread used last
    std::uint32_t slot_start = 0;   ///< ring slot of its first search; set once
    /// The thread changes these, and the slabs of detached caches, in fork exclusion only.
    empty_slab_cache retained;
    atomic<bool> reached{false};            ///< another thread is taking the retained slabs: see reach_threads
    std::uint32_t sample_seed;              ///< of choose_sample
    std::uint32_t frees_to_sample = 1;      ///< frees off the fast path until one is timed
    std::uint32_t large_to_sample = 1;      ///< large allocations until one is timed
    sample_timer* timer = nullptr;          ///< of the timed operation that the thread is in
    std::uint32_t slow_paths = 0;           ///< slow paths; every fourth one reads the clock
    std::uint64_t slabs_taken = 0;          ///< slabs taken for allocations
    std::uint64_t slabs_taken_before = 0;   ///< slabs_taken at the last call of note_work
    std::uint64_t clock_ns = 0;             ///< now_ns_coarse at its last call
    std::uint64_t clock_stamp = 0;          ///< tick_clock when read_clock_by called it last
    atomic<std::uint64_t> decayed_ns{0};    ///< now_ns_coarse when this thread last decayed

    class_rows classes;
    // References into the stats page, since they are used most.
    heap_counters& counts;
    std::array<scan_order, class_count>& scans;       ///< apart from what every operation touches
    thread_profile& profile;                          ///< likewise
    cost_table& costs;                                ///< likewise
    cold_part& apart;                                 ///< likewise
    std::atomic<timing_stats_page*> times{nullptr};   ///< null until the first sample

    record_list* list = nullptr;                ///< the list of the record's thread; guarded by the registry's lock
    thread_record* next_of_thread = nullptr;    ///< likewise
    thread_record** link_of_thread = nullptr;   ///< likewise: the pointer to this record in that list
    thread_record* next_of_heap = nullptr;      ///< set once, before the record is published
};

/// Times a free that has left the fast path, if it is one of the sample: one in 1,024 of each thread while sampling is
/// on. Made first in such a free; its end covers every return. `me`: the calling thread's record, or null.
class free_sample {
public:
    inline explicit free_sample(thread_record* me) noexcept
    {
        if (me != nullptr && --me->frees_to_sample == 0) [[unlikely]]
            begin(*me);
    }
    inline ~free_sample()
    {
        if (of_ != nullptr) [[unlikely]]
            end();
    }
    free_sample(free_sample const&) = delete;
    free_sample& operator=(free_sample const&) = delete;

private:
    [[gnu::cold]] void begin(thread_record& me) noexcept;
    [[gnu::cold]] void end() noexcept;

    thread_record* of_ = nullptr;
    std::optional<sample_timer> timer_;
};

}
