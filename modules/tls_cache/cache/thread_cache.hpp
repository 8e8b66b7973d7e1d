// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread cache: the slabs of one epoch that one thread owns. It allocates and frees slots with plain loads and stores
// of a subslab's `local_free`. Only a thread that its key admits may call its operations; a closer revokes it by
// changing the key (see reclaim.cpp). Caches never move and live as long as their heap.
#pragma once

export namespace tslab {

/// The slabs of one epoch that one thread owns. Functions are for the thread that the key admits, unless they say
/// otherwise.
class alignas(64) thread_cache {
public:
    /// Bytes from the begin of a thread cache that the fast path touches: its bins, and the line behind them.
    static constexpr std::size_t hot_bytes = bin_count * bin_code_step + 64;

    constexpr thread_cache() noexcept = default;
    inline thread_cache(thread_record& home, cache_stats_page& published) noexcept
        : record_{&home}, published_{&published}, freer_{&home}, home_{&home}
    {
        for (unsigned bin = 0; bin < bin_count; ++bin) {
            bins_[bin].bin.size = bins[bin].size;
            bins_[bin].bin.self = this;
            slow_bins_[bin].to_period = home.choose_sample();
            choose_profiled(bin, home.choose_profiled(bins[bin].size));
        }
    }
    thread_cache(thread_cache const&) = delete;
    thread_cache& operator=(thread_cache const&) = delete;
    ~thread_cache() = default;

    /// Who may use the cache: the thread with this key for a resource's cache, users of this era for a thread's own
    /// cache, no thread for `closed_key`. A serial resource's key is that of the thread that used it last.
    [[nodiscard]] inline std::uint64_t key() const noexcept { return key_.load(std::memory_order_relaxed); }

    /// Allocates a slot of the current subslab. Returns null if it has no free slot, or if two threads freed one of its
    /// slots at the same time: refill repairs that. Constant time; no atomic read-modify-write.
    [[nodiscard]] inline void* allocate(unsigned bin) noexcept { return allocate_from(bins_[bin].bin); }
    /// The same for the bin with this code.
    [[nodiscard, gnu::always_inline]] inline void* allocate_at(std::size_t code) noexcept
    {
        return allocate_from(bin_at(code));
    }
    /// The same for an operation that was begun by enter_by_kernel of `home()`. If the bin's next step is to be chosen, sets
    /// `chosen` instead: then the caller ends the operation by choose_and_leave.
    [[nodiscard, gnu::always_inline]] inline void* allocate_visiting(std::size_t code, bool& chosen) noexcept
    {
        return allocate_from(bin_at(code), [&chosen](fast_bin&) { chosen = true; });
    }
    /// Chooses the next step of the bin, and ends the operation. Returns `p`.
    [[nodiscard]] void* choose_and_leave(std::size_t code, void* p) noexcept;

    /// Sees to it that the next allocation of `bin`, a bin for handles, gets no slot that is used up. Call it before
    /// each `allocate` of such a bin. Constant time, unless a slot is used up.
    inline void skip_used_up(unsigned bin) noexcept
    {
        slab_meta const& s = *bins_[bin].bin.current;
        std::uint64_t const word = s.local_free.load(std::memory_order_relaxed);
        if (word != 0 && page_heap::is_used_up(page_heap::index_of(s),
                                               static_cast<std::uint32_t>(std::countr_zero(word)))) [[unlikely]]
            set_used_up_aside(bin);
    }

    /// Frees `slot` of subslab `s` if this cache owns it as one of `bin`. Constant time, unless the slab becomes
    /// partial or empty.
    [[nodiscard]] inline cache_free deallocate(slab_meta& s, unsigned bin, unsigned slot) noexcept
    {
        return deallocate_to(bins_[bin].bin, s, bins[bin], slot);
    }
    /// Frees `p` if it is a live slot of the bin with this code, in a subslab that this cache owns; else returns false
    /// and changes nothing. `p` may be any pointer. `map`: the address map of the heap.
    [[nodiscard, gnu::always_inline]] inline bool deallocate_at(std::size_t code, address_map const& map,
                                                                void* p) noexcept
    {
        return deallocate_at(code, map, p, own_restock) == cache_free::done;
    }
    /// The same for an operation that was begun by enter_by_kernel of `home()`. If the slab becomes partial or empty, the
    /// operation ends with the free, and the result is `left`; else the caller ends it.
    [[nodiscard, gnu::always_inline]] inline cache_free deallocate_visiting(std::size_t code, address_map const& map,
                                                                            void* p) noexcept
    {
        return deallocate_at(code, map, p, [](slab_meta& s, fast_bin& b, std::uint64_t after) {
            b.self->restock_and_leave(s, b, after);
            return cache_free::left;
        });
    }

    /// The slow path of an allocation. It claims remotely freed slots of the current slab, else takes a slab of the
    /// partial stack, else an owned slab with enough remote frees, else acquires one from the epoch, else takes an
    /// empty slab; a sampled allocation is timed. Returns null if out of memory, or if a signal handler interrupted the
    /// thread while it changed lists. `me`: the calling thread's record. The caller holds no lock.
    [[nodiscard]] void* refill(unsigned bin, thread_record& me) noexcept;

    /// Begins the end of the era: each bin publishes its allocations and, if its slabs are empty and may stay, counts
    /// them as scanned and recycled by a close. False at the first bin where that is not so, or if the cache is not open
    /// to the calling thread `me`: then flush_cache does the rest. Linear in the slabs at most. Takes no lock.
    [[nodiscard, gnu::always_inline]] inline bool keep_used(thread_record& me) noexcept;

    /// Frees every slot that the cache allocated, live or not; the cache stays attached, and empty slabs above its
    /// limit are recycled. Returns the number of objects that were live. `of`: the epoch that the cache is attached
    /// to; the caller holds its lock. Linear in the owned slabs.
    std::uint64_t drop(thread_record& me, epoch_slabs& of) noexcept;

    /// The live objects in the owned slabs. Only for the cache's thread, or while no thread uses the cache. Linear in
    /// the owned slabs.
    [[nodiscard]] live_count live() const noexcept;

    [[nodiscard]] inline stepping_counter const& allocations(unsigned bin) const noexcept
    {
        return bins_[bin].bin.allocations;
    }
    /// Allocations since the cache was attached to its epoch. Thread safe. May under-report by at most the allocations
    /// being flushed concurrently.
    [[nodiscard]] inline std::uint64_t allocations_of_era() const noexcept
    {
        std::uint64_t n = 0;
        for (unsigned bin = 0; bin < bin_count; ++bin) {
            std::uint64_t const flushed_allocations =
                slow_bins_[bin].flushed_allocations.value();   // read first: it is the smaller one
            std::uint64_t const all = bins_[bin].bin.allocations.value();
            n += all > flushed_allocations ? all - flushed_allocations : 0;
        }
        return n;
    }
    /// The same for each bin: calls `visit(bin, allocations)`.
    template <class F> inline void for_each_bin_of_era(F visit) const noexcept
    {
        for (unsigned bin = 0; bin < bin_count; ++bin) {
            std::uint64_t const flushed = slow_bins_[bin].flushed_allocations.value();
            std::uint64_t const all = bins_[bin].bin.allocations.value();
            if (all > flushed)
                visit(bin, all - flushed);
        }
    }
    /// True if no slot of this bin was allocated in the current epoch, so every owned slab is carried over. Thread
    /// safe.
    [[nodiscard]] inline bool unused_in_era(unsigned bin) const noexcept
    {
        return slow_bins_[bin].flushed_allocations.value() == bins_[bin].bin.allocations.value();
    }
    /// The slabs of the epoch that the cache is attached to; null while it is detached.
    [[nodiscard]] inline epoch_slabs* attached() const noexcept { return attached_.load(std::memory_order_acquire); }
    [[nodiscard]] inline std::uint32_t slot() const noexcept { return slot_.load(std::memory_order_relaxed); }
    [[nodiscard]] inline std::uint64_t era() const noexcept { return era_.load(std::memory_order_relaxed); }
    /// The record of the cache's thread; of a serial resource's cache, of the thread that used it last: see take_over.
    /// For the cache's thread, or with the lock of the epoch that it is attached to.
    [[nodiscard]] inline thread_record* record() const noexcept { return record_; }
    /// The record that the cache belongs to, whoever uses it.
    [[nodiscard]] inline thread_record& home() const noexcept { return *home_; }
    /// Whether `key()` is `of` now: see is_now.
    [[nodiscard, gnu::always_inline]] inline bool has_key(std::uint64_t of) const noexcept { return is_now(key_, of); }
    /// Whether the thread of `me` may free into the cache on the shared path. Its own thread may. No thread may free so
    /// into a serial resource's cache: such a free is no use of the resource, so another thread may be using it at that
    /// moment. Thread safe.
    [[nodiscard]] inline bool admits_frees_of(thread_record const* me) const noexcept
    {
        return freer_.load(std::memory_order_relaxed) == me;
    }
    /// Makes this the cache of a serial resource, which thread after thread uses, until it is returned to its record.
    /// Requires: it was just attached for that resource and has no slabs in use.
    inline void set_serial() noexcept { freer_.store(this, std::memory_order_relaxed); }
    [[nodiscard]] inline bool is_serial() const noexcept { return freer_.load(std::memory_order_relaxed) == this; }
    /// An exclusive cache, one whose resource shares its epoch, never acquires partial slabs of the epoch: its slabs
    /// hold only its own objects, so its resource can release exactly what it allocated.
    inline void set_exclusive(bool exclusive) noexcept { exclusive_ = exclusive; }
    [[nodiscard]] inline bool is_exclusive() const noexcept { return exclusive_; }

    /// Counts a free through a count-only resource on this cache's thread.
    inline void count_free() noexcept { counted_frees_.add(); }
    [[nodiscard]] inline counter const& counted_frees() const noexcept { return counted_frees_; }

private:
    friend struct epoch_slabs;
    friend struct thread_record;
    friend class heap_state;
    friend std::uint64_t layout_number() noexcept;

    /// Called after the allocation of a bin that was chosen, every 1,024th on average, and before those that the heap
    /// profile samples. If the next one is to be timed or sampled, sets the current slab aside, so that the bin's next
    /// allocation, in whichever epoch, takes the slow path. Chooses the next step. preserve_most: this rare call must not
    /// make the fast path save registers.
    [[gnu::cold, gnu::noinline, clang::preserve_most, gnu::visibility("hidden")]] void
    request_sample(fast_bin& b) noexcept;
    [[gnu::cold, gnu::noinline]] void set_used_up_aside(unsigned bin) noexcept;
    [[nodiscard]] inline bool is_parked(slab_meta const& s, unsigned bin) const noexcept
    {
        slab_meta* const parked = slow_bins_[bin].parked;
        return parked != nullptr && &slab_of(*parked, bin) == &s;
    }
    [[nodiscard]] void* allocate_sampled(unsigned bin, thread_record& me) noexcept;
    /// Makes the bin's allocation that is `ahead` (1: the next one) one that the heap profile samples.
    void choose_profiled(unsigned bin, std::uint32_t ahead) noexcept;
    [[nodiscard]] void* allocate_profiled(unsigned bin, thread_record& me) noexcept;
    [[nodiscard]] void* find_slot(unsigned bin, thread_record& me) noexcept;
    [[nodiscard]] void* refill_subslabs(unsigned bin, thread_record& me) noexcept;
    void restock(slab_meta& subslab, fast_bin& of, std::uint64_t after) noexcept;
    void restock_and_leave(slab_meta& subslab, fast_bin& of, std::uint64_t after) noexcept;
    void restock_off_current(slab_meta& subslab, unsigned bin, std::uint64_t after) noexcept;
    void restock_rare(slab_meta& subslab, unsigned bin, std::uint64_t after) noexcept;
    [[nodiscard]] bool may_switch_to(slab_meta const& s, unsigned bin, std::uint64_t after) const noexcept;
    void note_switched(unsigned bin) noexcept;
    [[nodiscard]] slab_meta* open_subslab(slab_meta& s, unsigned bin, class_counters& counts) noexcept;
    [[nodiscard]] slab_meta* next_subslab(unsigned bin, thread_record& me, class_counters& counts) noexcept;
    // Of a cache in an epoch that is counted: see limits.cpp.
    [[nodiscard]] slab_meta* next_counted(unsigned bin, thread_record& me, class_counters& counts) noexcept;
    [[nodiscard]] slab_meta* find_at_hand(unsigned bin, thread_record& me, class_counters& counts) noexcept;
    void collect_empty() noexcept;
    void begin_counted(epoch_slabs& home, bool whatever) noexcept;
    [[nodiscard]] std::uint64_t owned_pages() const noexcept;
    [[nodiscard]] slab_meta* open_partial(unsigned bin, class_counters& counts) noexcept;
    [[nodiscard]] slab_meta* scan_owned(unsigned bin, class_counters& counts) noexcept;
    void take_ownership(slab_meta& s, unsigned bin) noexcept;
    [[nodiscard]] std::uint64_t rewind(slab_meta& s, unsigned bin) noexcept;
    /// Whether all owned slabs of a bin are empty, and few enough to be retained for the cache's next epoch. Linear in
    /// the owned slabs.
    // preserve_most: as request_sample; it, and the next, must not make keep_used save registers.
    [[nodiscard, clang::preserve_most, gnu::visibility("hidden")]] bool can_retain(unsigned bin) const noexcept;
    /// The common case of can_retain, in constant time. It relies on two facts: the slabs have one subslab each, and a
    /// slab in use is not counted as empty.
    // Modelled: tests/models/retained.pml, step is_retained_whole
    [[nodiscard]] inline bool is_retained_whole(unsigned bin) const noexcept
    {
        slow_bin const& b = slow_bins_[bin];
        return has_bin(retainable_bins, bin) && b.empty + 1 == b.owned.size() && is_current_empty(bin);
    }
    // Whether the slab to allocate from has only free slots. For a bin of retainable_bins.
    [[nodiscard, gnu::always_inline]] inline bool is_current_empty(std::size_t bin) const noexcept
    {
        slab_meta const& s = *bins_[bin].bin.current;   // no_slab has no free slot, so the comparison fails
        return has_value(s.local_free, bins[bin].full_mask) && has_value(s.remote_free, std::uint64_t{0});
    }
    /// Counts `n` more empty slabs on the bin's partial stack; modulo 2^32, so that a decrease can be counted.
    inline void note_empty(unsigned bin, std::uint32_t n) noexcept
    {
        slow_bins_[bin].empty += n;
        empty_pages_ += n * bins[bin].pages;
    }
    /// Counts slabs of `bin` that the cache has acquired; modulo 2^32, so that those that it gives away can be counted.
    inline void note_held(unsigned bin, std::uint32_t slabs) noexcept
    {
        std::uint32_t const now = held_pages_.load(std::memory_order_relaxed) + slabs * bins[bin].pages;
        held_pages_.store(now, std::memory_order_relaxed);
        if (now > peak_pages_.load(std::memory_order_relaxed))
            peak_pages_.store(now, std::memory_order_relaxed);
    }
    [[nodiscard]] bool has_spare(unsigned bin, std::uint32_t beyond) const noexcept;
    template <class F> void give_empty(unsigned bin, std::uint32_t keep, F give) noexcept;
    void recycle_empty(unsigned bin, thread_record& to) noexcept;
    void adjust_room(unsigned bin, thread_record& me) noexcept;
    void give_up_room() noexcept;
    /// Calls `visit(slab, bin)` for every owned slab. A visitor may recycle the slabs; call `forget_slabs` after that.
    template <class F> void for_each_slab(F visit) noexcept;
    template <class F> void for_each_slab_of(unsigned bin, F visit) noexcept;
    void forget_slabs(unsigned bin) noexcept;
    void forget_slabs() noexcept;
    /// Gives every owned slab, all empty, to the heap's cache. Only for the cache's thread, or one that has reached it;
    /// requires that the cache is detached.
    void flush_retained() noexcept;
    /// Gives the empty slabs on the stacks, and empty current slabs, to the heap's cache, attached or not. Only for the
    /// cache's thread; if the cache is attached, the thread holds the epoch's lock.
    void flush_empty() noexcept;
    [[gnu::cold, clang::preserve_most, gnu::visibility("hidden")]] static void
    count_kept(class_counters& counts, thread_record& me, std::uint32_t slabs) noexcept;
    inline void note_kept(thread_record& me) noexcept;
    [[nodiscard, gnu::noinline]] inline bool keep_used_bins(thread_record& me) noexcept;
    /// Amounts that keep_used adds up.
    struct era_sums {
        std::uint64_t objects = 0;
        std::uint64_t bytes = 0;
        std::uint32_t carried = 0;   // pages of slabs that are retained from an earlier scope and were not used
    };
    [[gnu::always_inline]] inline void keep_bin(std::size_t bin, unsigned c, std::uint32_t slabs, thread_record& me,
                                                era_sums& sums) noexcept;
    /// Publishes a bin's allocations and returns those since the last call.
    [[nodiscard]] inline std::uint64_t flush_alloc_count(unsigned bin) noexcept
    {
        counter& flushed_allocations = slow_bins_[bin].flushed_allocations;
        std::uint64_t const unflushed = bins_[bin].bin.allocations.value() - flushed_allocations.value();
        flushed_allocations.add(unflushed);
        published_->allocations[bin].raise(flushed_allocations.value());
        return unflushed;
    }
    inline void publish_owned(unsigned bin) noexcept
    {
        published_->owned[bin].store(slow_bins_[bin].owned.size(), std::memory_order_relaxed);
    }
    [[nodiscard, gnu::always_inline]] inline fast_bin& bin_at(std::size_t code) noexcept
    {
        static_assert(sizeof(bins_[0]) == bin_code_step);
        return *reinterpret_cast<fast_bin*>(reinterpret_cast<std::byte*>(bins_.data()) + code);
    }
    [[nodiscard]] inline unsigned index_of(fast_bin const& b) const noexcept
    {
        return static_cast<unsigned>(reinterpret_cast<padded_bin const*>(&b) - bins_.data());
    }

    // Modelled: tests/models/claims.pml, step plain_words
    // Modelled: tests/models/close.pml, step allocate_from
    // Modelled: tests/models/retained.pml, step allocate_from
    // Modelled: tests/models/words.pml, step allocate_from
    [[nodiscard, gnu::always_inline]] inline void* allocate_from(fast_bin& b) noexcept
    {
        return allocate_from(b, [this](fast_bin& of) { request_sample(of); });
    }
    template <class F>
    [[nodiscard, gnu::always_inline]] inline void* allocate_from(fast_bin& b, F const& chosen) noexcept
    {
        slab_meta& s = *b.current;
        // relaxed: this thread is the word's only writer; statistics may read it.
        std::uint64_t const word = s.local_free.load(std::memory_order_relaxed);
        // No free slot, or one that is in both words: two frees raced, and refill reports that before it is allocated twice.
        if (word == 0 || has_any(s.remote_free, word)) [[unlikely]]
            return nullptr;
        s.local_free.store(word & (word - 1), std::memory_order_relaxed);
        __builtin_assume(s.base != nullptr);   // an owned slab has a base; saves the caller's test for null
        std::byte* const p = s.base + std::size_t{static_cast<unsigned>(std::countr_zero(word))} * b.size;
        if (b.allocations.add()) [[unlikely]]
            chosen(b);
        return p;
    }

    template <class T> [[nodiscard, gnu::always_inline]] static inline T& in_register(T& of) noexcept
    {
        T* address = &of;
#if defined(__x86_64__) && !defined(TSLAB_NO_INLINE_ASSEMBLY)
        asm("" : "+r"(address));
#endif
        return *address;
    }

    [[gnu::always_inline]] static inline cache_free own_restock(slab_meta& s, fast_bin& b, std::uint64_t after) noexcept
    {
        b.self->restock(s, b, after);   // by `self`, so that a free needs no register for the cache
        return cache_free::done;
    }
    template <class F>
    [[nodiscard, gnu::always_inline]] inline cache_free deallocate_at(std::size_t code, address_map const& map, void* p,
                                                                      F const& restocked) noexcept
    {
        // Three addresses, computed once: else the compiler folds their parts into every access, and runs out of registers.
        address_map::bin_entry const& e = in_register(map.entry_at(code));
        fast_bin& b = in_register(bin_at(code));
        auto const address = reinterpret_cast<std::uintptr_t>(p);
        if (!e.covers(address)) [[unlikely]]
            return cache_free::not_mine;
        slab_meta& s = in_register(*e.subslab_of(address));
        // If `owner` is this bin's address, the subslab is of this bin, and of this heap.
        if (!has_value(s.owner, owner_ref::of_bin(&b))) [[unlikely]]
            return cache_free::not_mine;
        // Afterwards: before, the compiler would keep what it compares the remainder with in a register.
        if (slot_position const at = slot_at(address, e); at.exact)
            [[likely]]   // subslabs lie at multiples of their size
            return put_back(b, s, e, at.slot, restocked);
        return cache_free::not_mine;
    }

    /// `masks`: the bin's masks, from wherever the caller has them.
    template <class Masks>
    [[nodiscard, gnu::always_inline]] inline cache_free deallocate_to(fast_bin& b, slab_meta& s, Masks const& masks,
                                                                      unsigned slot) noexcept
    {
        // relaxed: only this cache's thread writes the address of this bin there.
        return s.owner.load(std::memory_order_relaxed) == owner_ref::of_bin(&b)
                   ? put_back(b, s, masks, slot, own_restock)
                   : cache_free::not_mine;
    }

    // Modelled: tests/models/retained.pml, step put_back
    // Modelled: tests/models/words.pml, step put_back
    template <class Masks, class F>
    [[nodiscard, gnu::always_inline]] inline cache_free put_back(fast_bin& b, slab_meta& s, Masks const& masks,
                                                                 unsigned slot, F const& restocked) noexcept
    {
        // The slot is not allocated: it is free already, or the subslab has no such slot (its tail is too short for
        // one).
        std::uint64_t const taken = with_bits(with_bits(masks.absent_mask, s.local_free), s.remote_free);
        if ((taken >> slot & 1U) != 0) [[unlikely]]
            return cache_free::already_free;
        // Read again, since nobody else writes it: the test above needs every register that a free has without a stack.
        std::uint64_t const after = s.local_free.load(std::memory_order_relaxed) | std::uint64_t{1} << (slot & 63U);
        s.local_free.store(after, std::memory_order_relaxed);
        if ((after & (after - 1)) == 0 || after == masks.full_mask) [[unlikely]]   // it was full, or is empty
            if (&s != b.current)
                return restocked(s, b, after);
        return cache_free::done;
    }

    struct alignas(bin_code_step) padded_bin {
        fast_bin bin;
    };

    std::array<padded_bin, bin_count> bins_{};   // first, so that a code is the distance from the cache's address
    atomic<std::uint64_t> key_{closed_key};
    bin_set used_bins_ = 0;      // bins that may own slabs, or have allocations to publish
    bin_set sample_bins_ = 0;    // bins whose next allocation is timed or profiled, in this epoch or a later one
    bin_set profile_bins_ = 0;   // those of them whose next allocation the heap profile samples
    atomic<std::uint32_t> held_pages_{0};     // of the owned slabs; written as the lists are
    atomic<std::uint32_t> peak_pages_{0};     // the most since the cache was attached
    thread_record* record_ = nullptr;         // see record(): `home_`, unless the cache is a serial resource's
    cache_stats_page* published_ = nullptr;   // the cache's stats page; set once
    atomic<void const*> freer_{nullptr};      // `home_`; of a serial resource's cache itself, which is no record
    bool exclusive_ = false;
    bool dropped_ = false;   // released since it was attached: then slabs that look carried over were used before
    bool counted_ = false;   // every owned slab is in the epoch's count; else none is
    std::uint32_t empty_pages_ = 0;   // pages of the empty slabs on all partial stacks
    std::uint8_t room_ = 0;           // it may hold cache_pages() << room_ of them: see has_spare
    bool has_recycled_ = false;       // since it took an empty slab the last time
    std::uint64_t unpublished_ = 0;   // allocations that keep_used has published of the cache, not yet of the epoch
    counter counted_frees_;
    std::array<slow_bin, bin_count> slow_bins_{};

    // Guarded by the lock of the epoch that the cache is attached to; `attached_` says which one.
    atomic<epoch_slabs*> attached_{nullptr};
    atomic<std::uint64_t> era_{0};               // of the epoch it is or was last attached to
    atomic<std::uint32_t> slot_{0};              // likewise
    atomic<thread_cache*>* binding_ = nullptr;   // the resource's pointer to this cache, while that is attached
    std::uint64_t unpublished_bytes_ = 0;        // of the allocations in unpublished_; its thread's
    thread_cache* next_ = nullptr;
    thread_cache* prev_ = nullptr;

    std::uint64_t used_ns_ = 0;                // about when it was last detached with slabs; its thread's
    thread_record* home_ = nullptr;            // the record that the cache belongs to; set once
    thread_cache* next_of_record_ = nullptr;   // set once, before the cache is published
    thread_cache* next_spare_ = nullptr;
};
static_assert(alignof(thread_cache) == 64);

template <class F> inline void thread_cache::for_each_slab(F visit) noexcept
{
    for (bin_set used = used_bins_; used != 0; used &= used - 1)
        for_each_slab_of(static_cast<unsigned>(std::countr_zero(used)), visit);
}

template <class F> inline void thread_cache::for_each_slab_of(unsigned bin, F visit) noexcept
{
    for (slab_meta* s = slow_bins_[bin].owned.front(); s != nullptr;) {
        slab_meta* const next = s->next;   // the visitor may recycle s
        visit(*s, bin);
        s = next;
    }
}

/// The thread cache of a resource without one: its key admits no thread.
inline constinit thread_cache no_cache{};

}
