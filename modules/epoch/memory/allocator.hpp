// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocator: one heap. It opens, advances and closes epochs, allocates memory by pointer and by handle, checks
// every pointer that is freed, and reports its state. Public functions are thread safe unless they say otherwise.
#pragma once

export namespace tslab {

/// One heap. Neither copyable nor movable.
class allocator {
public:
    using options = allocator_options;   ///< so that `allocator heap{{.name = "orders"}}` is short

    static constexpr std::uint32_t least_epochs = 2;       ///< the fewest slots a ring may have
    static constexpr std::uint32_t most_epochs = 65'536;   ///< the most slots a ring may have
    /// A ring slot that has reached this era is not used again: eras have 48 bits, and none is given twice. (Below 2^48 by
    /// more epochs than all threads can open at the same time.)
    static constexpr std::uint64_t last_era = (std::uint64_t{1} << 48) - (std::uint64_t{1} << 20);

    /// Makes a heap with the default options; as below.
    inline allocator() : allocator(options{}) {}
    /// Makes a heap and opens its first epoch. Throws std::invalid_argument for an option out of range, std::bad_alloc
    /// if memory, address space, or a hook at thread exit or fork cannot be had.
    explicit allocator(options const& o);
    /// Reports objects that are still live and scopes or resources that are still open (in strict mode, aborts for
    /// them), then unmaps everything. Requires: no other thread uses the heap. Complexity: linear in the heap's pages.
    ~allocator();
    allocator(allocator const&) = delete;
    allocator& operator=(allocator const&) = delete;

    // Epochs.

    /// The epoch of allocations that name none. It is ACTIVE when read; another thread may advance afterwards.
    /// Lock-free.
    [[nodiscard]] inline epoch_id current_epoch() const noexcept
    {
        std::uint64_t const packed = current_.load(std::memory_order_acquire);   // pairs with the store in advance
        return {static_cast<std::uint32_t>(packed & 0xffff), packed >> 16};
    }

    /// Turns the current epoch CLOSING and opens the next free ring slot as the new current epoch, which is returned.
    /// Slots that are not drained are skipped. If all slots are in use, nothing changes, `ring_exhausted` is counted,
    /// and the current epoch is returned. Complexity: a few stores under short locks; no system call, except that the
    /// first use of a slot may map memory for its record. Does not wait.
    epoch_id advance() noexcept;

    /// Closes `e`. Effects: `e` turns CLOSING; every slab of it that is empty is reclaimed, those in caches of idle
    /// threads included; live objects stay valid. Slabs above the caches' limits go to the kernel at once, and so do
    /// those pages of other slabs of `e` that no live object touches. Closing the current epoch advances first; if no
    /// slot is free for a new epoch, it stays ACTIVE and only its empty slabs are reclaimed. Closing again reclaims
    /// what has become empty since.
    /// Returns a report; caches of threads that are in an operation are counted as deferred in it. Thread safe, also
    /// against allocations, frees, advance and other closes of `e`. Complexity: linear in the slabs of `e` and in the
    /// threads; system calls. Waits a bounded time for threads in operations. Does not throw.
    close_report close(epoch_id e) noexcept;

    /// Reclaims the empty slabs of an epoch, or of all epochs, which stay open, and gives the kernel the pages of other
    /// slabs that no live object touches. The second function also flushes every cache of empty slabs, and purges all
    /// free pages. As close for thread safety and complexity.
    close_report trim(epoch_id e) noexcept;
    close_report trim() noexcept;

    // Limits. Sizes are in bytes and rounded down to whole pages; empty: no limit; 0: nothing may be allocated. What is
    // held above a new limit stays; further allocations that need a slab, or are large, are refused until enough was freed.

    /// Limits what the epoch `e` may hold. Returns false if `e` is gone. Throws std::bad_alloc if there is no memory for the
    /// heap's first limit. Takes the epoch's lock. Thread safe.
    bool set_limit(epoch_id e, std::optional<std::size_t> bytes);
    /// Limits what all phases with this label may hold together, those that are open and those to come. An empty label is
    /// that of all phases without a label. Throws std::length_error if `label` is new and 14 others have a number of
    /// their own; std::bad_alloc as above. Linear in the ring slots used. Thread safe.
    void set_limit(std::string_view label, std::optional<std::size_t> bytes);
    /// As the first one, for the limit at which the handler is called, once a phase.
    bool set_soft_limit(epoch_id e, std::optional<std::size_t> bytes);
    /// The handler of soft limits; null: none, they are only counted. Thread safe.
    void set_soft_limit_handler(soft_limit_handler handler, void* context = nullptr) noexcept;
    /// Throws what a refused allocation of a resource in the epoch `e` is to throw: over_limit, or std::bad_alloc if no limit
    /// refused it. `me`: the calling thread's record, or null.
    [[noreturn, gnu::cold]] static void throw_refused(thread_record* me, epoch_slabs const& e);
    /// Throws epoch_closed with the label of the epoch `e`.
    [[noreturn, gnu::cold]] void throw_closed(epoch_id e) const;
    /// Calls the handler of a soft limit, if the calling thread's last operation crossed one.
    static inline void after_operation(thread_record& me) noexcept
    {
        if (me.has_crossed()) [[unlikely]]
            me.call_soft_limit_handler();
    }

    /// Sets the label of an epoch; labels of more than 31 bytes are cut and counted. Returns false if `e` is gone.
    bool set_label(epoch_id e, std::string_view label) noexcept;
    [[nodiscard]] bool is_active(epoch_id e) const noexcept;
    /// How many domains are inside `e`; 0 if it is gone. Lock-free.
    [[nodiscard]] std::uint32_t refcount(epoch_id e) const noexcept;

    // Memory by pointer. These do not throw.

    /// Allocates `bytes` (0 counts as 1) in epoch `e`, aligned for any fundamental type. Returns null if the epoch is
    /// not ACTIVE or memory is out; the snapshot's counters distinguish the two. Constant time; no atomic
    /// read-modify-write on the fast path. A large allocation for which the heap grows is linear in its pages.
    [[nodiscard]] inline void* malloc(std::size_t bytes, epoch_id e) noexcept
    {
        refusal why{};
        return allocate_bytes(bytes, fast_alignment, e, why);
    }
    /// The same in the current epoch: if another thread advances meanwhile, in the new one. Returns null only if memory
    /// is out. Lock-free as far as epochs go: it tries again only after another thread has advanced.
    [[nodiscard]] inline void* malloc(std::size_t bytes) noexcept
    {
        epoch_id const now = current_epoch();
        refusal why = refusal::retried;
        void* const p = allocate_bytes(bytes, fast_alignment, now, why);
        return p == nullptr && why == refusal::closed ? malloc_again(bytes, now) : p;
    }

    /// Frees memory from malloc, allocate or a resource of this heap, on any thread, also after its epoch closed. Null
    /// is ignored; any other pointer that is no live allocation of this heap is reported to the error handler and
    /// nothing changes. Constant time on the fast path.
    inline void free(void* p) noexcept
    {
        if constexpr (with_checks)
            if (state_.checks().on())
                return free_checked(p);
        free_plain(p);
    }
    /// The same without the checks of a checked build.
    // Modelled: tests/models/chunks.pml, step free_plain
    inline void free_plain(void* p) noexcept
    {
        thread_record* const me = state_.record();
        if (me == nullptr || !me->enter()) [[unlikely]]
            return free_rare(p);
        // From here on the descriptor stays this heap's: see heap_state::give_back_units.
        slab_meta* const s = state_.slab_at(p);
        // acquire is not needed: the thread that passed p on published the slab's bin with it.
        unsigned const bin = s != nullptr ? s->bin() : bin_count;
        if (bin < class_count) [[likely]] {
            slot_position const at = slot_at(reinterpret_cast<std::uintptr_t>(p), bins[bin]);
            if (at.exact && at.slot < bins[bin].slots) [[likely]] {
                slab_meta& subslab = *page_heap::map().entry(bin).subslab_of(reinterpret_cast<std::uintptr_t>(p));
                bool const freed = state_.free_slot(subslab, bin, at.slot, me);
                me->leave();
                if (!freed) [[unlikely]]
                    misused(misuse::double_free, p, s);
                return;
            }
        }
        me->leave();   // no slab, a large allocation, a slab of handles, or not the begin of a slot
        free_rare(p);
    }

    // Memory by handle.

    /// As malloc, and sets `h` to a handle of the allocation; `h` is empty if null is returned. No handle is issued
    /// twice in a process: a slot that has been used 33,554,432 times by handle is used by handle no more (counted as
    /// `retired_handle_slots`). Constant time; one lock for large allocations.
    [[nodiscard]] void* allocate(std::size_t bytes, epoch_id e, handle& h) noexcept;
    /// Frees by handle. A handle may be stale, foreign or damaged: the result says so and it is counted; nothing is
    /// reported and nothing changes. Constant time.
    free_result free(handle h) noexcept;

    // For code that builds on the heap: resources, domains, tools.

    /// Allocates `bytes` at `alignment` (a power of two) in epoch `e`. If it returns null, `why` is set; at the call it
    /// is `none` or `retried`. So for the functions that follow.
    [[nodiscard]] inline void* allocate_bytes(std::size_t bytes, std::size_t alignment, epoch_id e,
                                              refusal& why) noexcept
    {
        if constexpr (with_checks)
            if (state_.checks().on())
                return allocate_checked(bytes, alignment, e, why);
        return allocate_plain(bytes, alignment, e, why);
    }
    /// The same without the checks of a checked build.
    [[nodiscard]] inline void* allocate_plain(std::size_t bytes, std::size_t alignment, epoch_id e,
                                              refusal& why) noexcept
    {
        unsigned const c =
            alignment <= fast_alignment && bytes <= max_class_size ? class_of(bytes) : class_of_rare(bytes, alignment);
        if (c == large_class) [[unlikely]]
            return allocate_large(bytes, alignment, e, nullptr, why);
        return allocate_slot(c, e, why);
    }
    /// Allocates a slot of `bin` from the calling thread's own cache in the epoch. If it returns null, `why` is set.
    /// `ByHandle`: `bin` is one for handles.
    // Modelled: tests/models/close.pml, step allocate_slot
    template <bool ByHandle = false>
    [[nodiscard]] inline void* allocate_slot(unsigned bin, epoch_id e, refusal& why) noexcept
    {
        thread_record* const me = state_.record();
        if (e.index >= state_.slots() || e.era == closed_key || me == nullptr || !me->enter()) [[unlikely]]
            return refuse_early(bin, e, why);
        bool closed = false;
        void* p = nullptr;
        thread_cache* const l = state_.cache_for(*me, e.index, e.era, closed);
        if (l != nullptr) [[likely]] {
            if constexpr (ByHandle)
                l->skip_used_up(bin);
            p = l->allocate(bin);
            if (p == nullptr) [[unlikely]]
                p = l->refill(bin, *me);
        }
        me->leave();
        if (p == nullptr) [[unlikely]]
            why = refused(*me, bin, closed, l != nullptr, why == refusal::retried);
        return p;
    }
    /// Allocates pages for sizes and alignments that no class serves. `owner`: a resource that shares its epoch, else
    /// null. `by_handle`: a handle is to name it. Takes the epoch's and the page heap's lock. If it returns null, `why`
    /// is set.
    [[nodiscard]] void* allocate_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner,
                                       refusal& why, bool by_handle = false) noexcept;
    /// Frees `p`, a slot of class `c` in epoch `e`, on any thread. Returns false, without effect, if `p` is no such
    /// slot or cannot be freed now; deallocate_checked then reports why.
    [[nodiscard]] bool free_in(epoch_id e, unsigned c, void* p) noexcept;
    /// Frees `p`, which was allocated as `bytes` at `alignment` in epoch `e`; checks all of that, and reports what is
    /// wrong.
    void deallocate_checked(void* p, std::size_t bytes, std::size_t alignment, epoch_id e) noexcept;

    // For checked builds: see checked.cpp.

    /// Turns a slot into a checked object of the request `r`; returns the object, null if memory is out.
    [[nodiscard]] void* arm(void* slot, request r) noexcept;
    /// Allocates an object on guarded pages if this allocation is sampled and the pages can be had; else returns null.
    /// `owner`: as for allocate_large.
    [[nodiscard]] inline void* allocate_guarded(request r, epoch_id e, void const* owner) noexcept
    {
        return state_.checks().choose_guarded(r) ? guard(r, e, owner) : nullptr;
    }
    /// What remains to be freed after the checks. Both pointers null: the free was wrong and has been reported.
    struct disarmed {
        void* plain = nullptr;   ///< an unchecked slot to free, as `given`
        request given{};
        void* pages = nullptr;   ///< a large allocation to free
    };
    /// Checks an object that is freed as `given` (null: not known) in the epoch `by` (null: not known), and turns it
    /// into a plain slot. `keep`: it will not be freed.
    [[nodiscard]] disarmed disarm(void* p, request const* given, epoch_id const* by, bool keep) noexcept;

    /// The epoch that a domain is in.
    struct opened {
        epoch_id epoch{};                                     ///< of its own, or shared
        epoch_holder* holder = nullptr;                       ///< of the enter: see epoch_record::note_enter
        std::uint32_t label_id = label_registry::unlabeled;   ///< of the epoch
        bool shared = false;                                  ///< no ring slot was free: this is the current epoch
    };
    /// Opens an epoch with `label` and, if `enter`, enters it for one domain. If no ring slot is free, the result names
    /// the current epoch, shared. `binding`: if not null and the epoch is new, it is set to a cache of the calling
    /// thread in it, if one can be had.
    [[nodiscard]] opened open_epoch(std::string_view label, bool enter, std::source_location const& at,
                                    atomic<thread_cache*>* binding = nullptr) noexcept;
    /// The current epoch, shared, and entered for one domain if `enter`.
    [[nodiscard, gnu::cold]] opened share_current(bool enter, std::source_location const& at) noexcept;
    /// Enters an existing epoch for a domain; `first`: its first enter, which sets `holder`. Returns false if `e` is
    /// gone.
    bool enter_epoch(epoch_id e, bool first, std::source_location const& at, epoch_holder*& holder) noexcept;
    /// Carries out a domain's exit. `last`: the domain's last one; its first enter returned `holder`. `close`: the epoch
    /// closes if no other domain holds it then. No effect if `e` is gone.
    void exit_domain(epoch_id e, epoch_holder* holder, bool last, bool close) noexcept;
    /// What happens to a resource's live objects when it ends.
    enum class leftovers : std::uint8_t {
        leaked,   ///< they stay allocated and are counted
        dropped   ///< they are released
    };
    /// Carries out what end_resource does for most scopes, with `close` and `leaked`: the resource ends on the thread that
    /// made it, and nothing is left in the epoch. What was used of the thread cache stays with it, and the ring slot with
    /// the thread, for its next scope. Returns false, without effect, if anything else is to be done: then call
    /// end_resource. Complexity: one lock, linear in the bins that the cache has used; no system call.
    [[nodiscard]] bool end_alone(epoch_id e, epoch_holder* holder, atomic<thread_cache*>& binding) noexcept;
    /// Ends a resource that has the epoch `e` for itself: flushes the cache that `binding` names, and exits as
    /// exit_domain does. Returns its live objects, none for `dropped`. For the thread that ends the resource, which may
    /// be any.
    live_count end_resource(epoch_id e, epoch_holder* holder, bool close, atomic<thread_cache*>& binding,
                            leftovers what) noexcept;
    /// The same for a resource that shares `e`; its large allocations name `owner`. Requires, for `dropped`:
    /// release_part was called before.
    live_count end_sharing_resource(epoch_id e, epoch_holder* holder, atomic<thread_cache*>& binding, void const* owner,
                                    leftovers what) noexcept;
    /// Flushes the cache of a resource, on the resource's own thread.
    void flush_cache(epoch_id e, atomic<thread_cache*>& binding) noexcept;
    /// Counts a deallocation that a count-only resource did not carry out.
    void count_free() noexcept;
    /// Releases everything in the epoch, live or not, except what other threads are using at this moment; the cache
    /// that `keep` names stays attached. Returns the number of objects that were live.
    std::uint64_t release_epoch(epoch_id e, atomic<thread_cache*>& keep) noexcept;
    /// The same for a resource that shares its epoch: releases what the cache that `keep` names and the resource
    /// `owner` allocated.
    std::uint64_t release_part(epoch_id e, atomic<thread_cache*>& keep, void const* owner) noexcept;

    /// A copy of the epoch's label; empty if `e` is gone.
    [[nodiscard]] shared_text::copy label_of(epoch_id e) const noexcept;
    /// The number of the epoch's label; `unlabeled` if `e` is gone.
    [[nodiscard]] std::uint32_t label_id_of(epoch_id e) const noexcept;
    [[nodiscard]] inline heap_state& state() noexcept { return state_; }
    [[nodiscard]] inline epoch_record& record_of(epoch_id e) const noexcept
    {
        return static_cast<epoch_record&>(state_.epoch_slabs_at(e.index));
    }
    /// The options that the heap was made with, which do not change.
    [[nodiscard]] inline std::string const& name() const noexcept { return state_.name(); }
    [[nodiscard]] inline std::uint32_t epoch_count() const noexcept { return state_.slots(); }
    [[nodiscard]] inline bool strict() const noexcept { return strict_; }
    /// Counts and reports a misuse of this heap: completes `r` with the size class and the label of `s`, the slab or
    /// large allocation that it is about; null if there is none.
    void misused(misuse_report r, slab_meta const* s) noexcept;
    void misused(misuse kind, void const* p, slab_meta const* s, std::size_t given = 0,
                 std::string_view other = {}) noexcept
    {
        misused({.kind = kind, .address = p, .other = other, .given = given}, s);
    }

    // Statistics.

    /// A snapshot of the heap. It takes no lock that an allocation or a free waits for. Counters are exact while no
    /// thread uses the heap. Complexity: linear in the pages ever used and the threads; with residency in `o`, one
    /// mincore call for each run of pages. Throws std::bad_alloc.
    [[nodiscard]] tslab::snapshot snapshot(snapshot_options const& o = {}) const;
    /// Every page ever used, as runs. Locks, complexity and exceptions as for snapshot; makes no system call.
    [[nodiscard]] heap_map map() const;

    /// Epochs that a domain entered at least `older_than` ago and has not left, and closed epochs that objects outlive:
    /// see find_leaks. Returns std::vector<leak>. Throws std::bad_alloc. Requires: the caller imports tslab.inspect,
    /// which the allocator does not need.
    /// Example: `for (auto const& l : heap.leaks(5min)) std::puts(l.sentence().c_str());`
    template <class Snapshot = tslab::snapshot>
    [[nodiscard]] auto leaks(std::chrono::duration<double> older_than) const
    {
        Snapshot const s = snapshot({.residency = false});
        return find_leaks(s, older_than.count());
    }

    /// Switches sampling on or off: of each thread and size, one allocation in 1,024 is timed, of each thread one in
    /// 1,024 of the frees that leave the fast path, and every repair of a list; wall clock and processor time, see
    /// sampling_stats and sample_timer. The distances are carried over from epoch to epoch, and are drawn by chance.
    inline void set_sampling(bool on) noexcept { state_.set_sampling(on ? stepping_counter::period : 0); }
    [[nodiscard]] inline bool sampling() const noexcept { return state_.sampling(); }

    // For the headers over the C interface, whose allocator object has one member, a pointer to the heap.

    /// The object that stands for the heap there: the one that was set, else a part of the heap that looks like one.
    [[nodiscard]] inline void* front() const noexcept { return front_; }
    /// Requires: the heap's maker calls it, before others use the heap; or at its end.
    inline void set_front(void* object) noexcept { front_ = object; }

    /// Frees a large allocation, or any pointer that the fast path does not free; reports a wrong one.
    [[gnu::cold]] void free_rare(void* p) noexcept;

private:
    [[nodiscard]] void* allocate_checked(std::size_t bytes, std::size_t alignment, epoch_id e, refusal& why) noexcept;
    void free_checked(void* p) noexcept;
    [[gnu::cold]] void* guard(request r, epoch_id e, void const* owner) noexcept;
    [[nodiscard]] disarmed disarm_twin(void* p, request const* given, epoch_id const* by, bool keep) noexcept;
    void disarm_named(resolved const& named) noexcept;
    [[nodiscard]] void* take_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner,
                                   thread_record* me, refusal& why, bool by_handle, profiled_site* site) noexcept;
    [[nodiscard]] profiled_site* choose_profiled(thread_record& me, std::size_t bytes, epoch_id e) noexcept;
    void note_close(close_report const& report, shared_text::copy const& label, std::uint32_t label_id,
                    bool explicitly) noexcept;
    void count_timed(thread_record* me, close_report const& report) noexcept;
    [[nodiscard, gnu::cold, gnu::noinline]] std::uint64_t note_timed_end(thread_record* me, epoch_id e,
                                                                         reclaim_result const& done) noexcept;
    [[gnu::cold]] static unsigned class_of_rare(std::size_t bytes, std::size_t alignment) noexcept;
    [[gnu::cold]] void* refuse_early(unsigned bin, epoch_id e, refusal& why) noexcept;
    [[gnu::cold]] refusal refused(thread_record& me, unsigned bin, bool closed, bool had_cache, bool retried) noexcept;
    [[gnu::cold]] void* malloc_again(std::size_t bytes, epoch_id closed) noexcept;
    [[nodiscard]] bool free_resolved_slot(resolved const& at, void* p) noexcept;
    [[nodiscard]] bool free_resolved_large(resolved const& at, void* p) noexcept;
    void free_resolved(resolved const& at, void* p) noexcept;
    [[gnu::cold]] void report_resolved(resolved const& at, void const* p) noexcept;
    [[nodiscard]] bool inside_operation() noexcept;
    [[nodiscard]] bool retire_generation(slab_meta const& s, unsigned slot) noexcept;
    void report_open_scopes() noexcept;
    void account_for_end(slab_meta& s, live_count& live) noexcept;
    void leave_locked(epoch_record& r, thread_record* me, epoch_holder* holder, bool close, bool reclaim,
                      reclaim_result& done) noexcept __attribute__((requires_capability(r.lock)));
    /// What an exit finds under the epoch's lock.
    struct departure {
        reclaim_result done;
        bool closed_before = false;   ///< the epoch was CLOSING: what is reclaimed belongs to that close
    };
    static void begin_end(thread_record* me, departure& under, bool closing) noexcept;
    void note_left(thread_record* me, epoch_id e, departure& under) noexcept;
    template <class F> bool leave_epoch(epoch_id e, thread_record* me, F leave) noexcept;
    static void flush_ended(epoch_record& r, thread_cache& l, thread_record* me, live_count* live,
                            departure& under) noexcept __attribute__((requires_capability(r.lock)));
    epoch_id advance_locked() noexcept __attribute__((requires_capability(advance_lock_)));
    [[nodiscard]] epoch_record* prepare_slot(std::uint32_t index) noexcept;
    [[nodiscard]] epoch_record* claim_slot(std::uint32_t from) noexcept;
    [[nodiscard]] bool make_records(std::uint32_t index) noexcept;
    [[gnu::cold]] void begin_counting(epoch_record& r, std::uint64_t era, thread_cache* own,
                                      thread_record* me) noexcept;
    template <class F> bool with_count(epoch_id e, F change);
    /// The greatest era of the slot, and of current epochs, so far. Another slot may have a greater one.
    [[nodiscard]] inline std::uint64_t last_era_of(epoch_record const& r) const noexcept
    {
        return std::max(eras_.load(std::memory_order_relaxed), r.era.load(std::memory_order_relaxed));
    }
    [[nodiscard]] inline bool has_eras_left(epoch_record const& r) const noexcept { return last_era_of(r) < last_era; }
    template <class F>
    epoch_id begin_epoch(epoch_record& r, std::uint64_t era, std::uint64_t now, std::uint64_t stamp, F fill) noexcept;
    struct looked_up;
    void look_up(std::string_view label, looked_up& to) noexcept;
    /// Whose slot an epoch is opened in: the one that the thread retained, for a resource with the label of the epoch before;
    /// the one that the thread retained, otherwise; another one.
    enum class opening : std::uint8_t { usual, retained, elsewhere };
    [[nodiscard]] static bool has_usual_label(epoch_record const& r, std::string_view label) noexcept;
    template <opening How>
    [[nodiscard]] opened open_in(epoch_record& r, thread_record* me, std::string_view label, bool enter,
                                 std::source_location const& at, atomic<thread_cache*>* binding,
                                 std::uint64_t last = 0) noexcept;
    [[nodiscard]] opened open_retained(epoch_record& r, thread_record& me, std::string_view label, bool enter,
                                       std::source_location const& at, atomic<thread_cache*>* binding) noexcept;
    [[nodiscard]] opened open_elsewhere(thread_record* me, std::string_view label, bool enter,
                                        std::source_location const& at, atomic<thread_cache*>* binding) noexcept;
    /// `closed_before`: the caller has closed the epoch just before.
    close_report reclaim_epoch(epoch_id e, bool closing, bool closed_before) noexcept;

    atomic<std::uint64_t> current_{0};   // ring index in 16 bits, era above; near what else every operation reads
    heap_state state_;
    label_registry labels_;
    mutex advance_lock_;
    atomic<std::uint64_t> eras_{0};
    mutex prepare_lock_;                                 // serializes prepare_slot
    mutable atomic<std::uint64_t> frees_published_{0};   // the largest count that any snapshot returned
    bool strict_;
    void* self_ = this;
    void* front_ = reinterpret_cast<void*>(&self_);
};

}
