// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A lane: one thread's claims on the slabs of one epoch. It hands out and takes back slots with plain loads and stores
// of a block's local word. Only the thread its key admits may call its operations; a closer revokes by the key.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
export module tslab.tls_cache:lane;

import tslab.stats;
import tslab.slab;
import :face;
import :thread;
import :shelf;

export namespace tslab {

/// What came of a free into a lane.
enum class lane_free : std::uint8_t { done, not_mine, already_free };

/// What a lane has of one bin, as far as the common way needs it. Its address is what `owner` says of the slabs and blocks
/// it holds, so that one comparison tells a free whose slab it is and of which class. Lanes stay where they are for as long
/// as their heap lives.
class lane;

struct lane_bin {
    slab* current = &no_slab;   ///< the block that is handed out from
    stepping_counter allocations;
    std::uint32_t size = 0;                ///< bytes of a slot
    atomic<std::uint32_t> freed_into{0};   ///< set by a thread that was the first to free into one of its blocks
    lane* self = nullptr;
};
static_assert(sizeof(lane_bin) <= bin_code_step);

/// The lane that holds a slab; null when none does. Thread safe, and true of the moment.
[[nodiscard]] inline lane* holder_of(slab const& s) noexcept
{
    void const* const owner = s.owner.load(std::memory_order_seq_cst);   // seq_cst: see free_remote
    return is_lane(owner) ? static_cast<lane_bin const*>(owner)->self : nullptr;
}

/// Whether slabs that no lane holds are worth taking over. One with a single free slot costs a lock and serves one
/// allocation; where they are all like that, the lane takes empty slabs instead, for a while. Decided by windows of
/// allocations, without a clock. The lane's own.
class adoption_gate {
public:
    static constexpr std::uint64_t window = 256;     ///< allocations
    static constexpr std::uint64_t pause = 8192;     ///< allocations without adoption
    static constexpr std::uint64_t least_hits = 2;   ///< of 100 allocations, those that needed no refill

    /// Notes a refill that could adopt, after `allocations` of the lane's bin; false when it should not.
    [[nodiscard]] inline bool open(std::uint64_t allocations) noexcept
    {
        if (allocations < closed_until_)
            return false;
        ++refills_;
        std::uint64_t const n = allocations - begin_;
        if (n < window)
            return true;
        bool const rare = (n - std::min(n, refills_)) * 100 < n * least_hits;
        begin_ = allocations;
        refills_ = 0;
        if (rare)
            closed_until_ = begin_ = allocations + pause;
        return !rare;
    }

private:
    std::uint64_t begin_ = 0;
    std::uint64_t refills_ = 0;
    std::uint64_t closed_until_ = 0;
};

/// The rest of it. Every slab the lane has of the bin is on one list for as long as it has it; those that have free slots in
/// `local`, and are not handed out from, are on a stack as well. So the first free into a full slab, and taking it up again,
/// touch no other slab's descriptor: where many slabs are held, those are far from the processor.
struct lane_shelf {
    slab_list held;
    slab* ready = nullptr;           ///< linked by next_of_ready
    std::uint32_t ready_count = 0;   ///< of them
    std::uint32_t empty = 0;         ///< of those, the empty ones
    counter settled;                 ///< of the allocations, what earlier epochs have been told
    slab* parked = nullptr;          ///< what arm put aside: held, not among the ready ones, and not given away
    adoption_gate gate;
    std::uint32_t to_scan = 0;   ///< held slabs to be looked through for what others freed

    inline void push_ready(slab& s) noexcept
    {
        s.ready = true;
        set_next_of_ready(s, ready);
        ready = &s;
        ++ready_count;
    }
    /// Precondition: there is one.
    inline slab& pop_ready() noexcept
    {
        slab& s = *ready;
        ready = next_of_ready(s);
        s.ready = false;
        --ready_count;
        return s;
    }
};

/// Bins of slabs so small that a lane may keep them, of one block, and handed out by pointer.
inline constexpr bin_set keepable_bins = [] {
    bin_set set = 0;
    for (unsigned bin = 0; bin < class_count; ++bin)
        if (!has_blocks(bin) && bins[bin].pages <= thread_record::warm_pages / 2)
            set |= only_bin(bin);
    return set;
}();

class alignas(64) lane {
public:
    constexpr lane() noexcept = default;
    inline lane(thread_record& home, lane_face& told) noexcept : record_{&home}, told_{&told}
    {
        for (unsigned bin = 0; bin < bin_count; ++bin) {
            bins_[bin].bin.size = bins[bin].size;
            bins_[bin].bin.self = this;
        }
    }
    lane(lane const&) = delete;
    lane& operator=(lane const&) = delete;

    /// Who may use the lane: a thread's key for the lane of a resource, an era for a thread's lane in an epoch,
    /// `closed_key` for nobody.
    [[nodiscard]] inline std::uint64_t key() const noexcept { return key_.load(std::memory_order_relaxed); }

    /// A free slot of the current block; null when it has none, or when one of them was freed by two threads at once.
    [[nodiscard]] inline void* allocate(unsigned bin) noexcept { return allocate_from(bins_[bin].bin); }
    /// The same for the bin of a code.
    [[nodiscard, gnu::always_inline]] inline void* allocate_at(std::size_t code) noexcept
    {
        return allocate_from(bin_at(code));
    }

    /// Puts `slot` of block `s` back if this lane holds it as one of `bin`.
    [[nodiscard]] inline lane_free deallocate(slab& s, unsigned bin, unsigned slot) noexcept
    {
        return deallocate_to(bins_[bin].bin, s, bins[bin], slot);
    }
    /// Puts `p` back if it is a live slot, of the bin of that code, of a block this lane holds. `map`: the heap's; any pointer
    /// may come.
    [[nodiscard, gnu::always_inline]] inline bool deallocate_at(std::size_t code, address_map const& map,
                                                                void* p) noexcept
    {
        // Three addresses, computed once: else the compiler folds their parts into every access, and runs out of registers.
        address_map::bin_entry const& e = in_register(map.entry_at(code));
        lane_bin& b = in_register(bin_at(code));
        auto const address = reinterpret_cast<std::uintptr_t>(p);
        if (!e.covers(address)) [[unlikely]]
            return false;
        slab& s = in_register(*e.block_of(address));
        std::uint32_t const slot = e.slot_of(address);
        // Who holds the block says that it is one of this bin, and of this heap.
        return s.owner.load(std::memory_order_relaxed) == &b && e.begins_at(slot, address) &&
               put_back(b, s, e, slot) == lane_free::done;
    }

    /// The slow way to a slot: times the allocation if it is one to be sampled; collects what others freed, takes the next
    /// slab with free slots, adopts one that nobody holds, or gets an empty one. Null when out of memory. `me`: the calling
    /// thread's record.
    [[nodiscard]] void* refill(unsigned bin, thread_record& me) noexcept;

    /// Gives back everything the lane handed out, live or not, and stays attached; returns how many objects were live. `told`:
    /// the counter of the epoch's allocations, whose lock the caller holds.
    std::uint64_t drop(thread_record& me, counter& told) noexcept;

    /// What lives in the slabs this lane holds. Call it as the lane's thread, or when nobody uses it.
    [[nodiscard]] live_count live() const noexcept;

    [[nodiscard]] inline stepping_counter const& allocations(unsigned bin) const noexcept
    {
        return bins_[bin].bin.allocations;
    }
    /// What it handed out for the epoch it is attached to. For a reader that comes while it is handed back: never too few
    /// by more than that.
    [[nodiscard]] inline std::uint64_t allocations_of_era() const noexcept
    {
        std::uint64_t n = 0;
        for (unsigned bin = 0; bin < bin_count; ++bin) {
            std::uint64_t const settled = shelves_[bin].settled.value();   // the smaller one first
            std::uint64_t const all = bins_[bin].bin.allocations.value();
            n += all > settled ? all - settled : 0;
        }
        return n;
    }
    /// Whether it handed out nothing of a bin for the epoch it is attached to: what it holds is what it kept.
    [[nodiscard]] inline bool unused_in_era(unsigned bin) const noexcept
    {
        return shelves_[bin].settled.value() == bins_[bin].bin.allocations.value();
    }
    /// The shelf of the epoch it works for; null when it is not at work.
    [[nodiscard]] inline shelf* attached() const noexcept { return attached_.load(std::memory_order_relaxed); }
    [[nodiscard]] inline std::uint32_t slot() const noexcept { return slot_.load(std::memory_order_relaxed); }
    [[nodiscard]] inline std::uint64_t era() const noexcept { return era_.load(std::memory_order_relaxed); }
    [[nodiscard]] inline thread_record* record() const noexcept { return record_; }
    /// Whether the lane may claim slots of slabs in which others' objects live. A lane whose resource shares its epoch
    /// may not: it must be able to give back all it handed out and nothing else.
    inline void set_exclusive(bool exclusive) noexcept { exclusive_ = exclusive; }

    /// Counted frees of a count-only resource on this lane's thread.
    counter counted_frees;

private:
    friend struct shelf;
    friend struct thread_record;
    friend class heap_core;

    /// After every 1,024th allocation of a bin. Where sampling is on, the current slab is put aside, so that the next
    /// allocation takes the slow way, where it is timed. preserve_most: a call that may come must not cost the common way
    /// the saving of registers.
    [[gnu::cold, gnu::noinline, clang::preserve_most]] void arm(lane_bin& b) noexcept;
    [[nodiscard]] void* sampled(unsigned bin, thread_record& me) noexcept;
    [[nodiscard]] void* find_slot(unsigned bin, thread_record& me) noexcept;
    void restock(slab& block, lane_bin& b, std::uint64_t after) noexcept;
    void restock_rare(slab& block, unsigned bin, std::uint64_t after) noexcept;
    [[nodiscard]] slab* open_block(slab& s, unsigned bin, class_counters& counts) noexcept;
    [[nodiscard]] slab* next_block(unsigned bin, thread_record& me, class_counters& counts) noexcept;
    [[nodiscard]] slab* next_ready(unsigned bin, class_counters& counts) noexcept;
    [[nodiscard]] slab* scan_held(unsigned bin, class_counters& counts) noexcept;
    void hold(slab& s, unsigned bin) noexcept;
    [[nodiscard]] std::uint64_t rewind(slab& s, unsigned bin) noexcept;
    /// Whether all that it has of a bin is empty, and little enough to be kept for its next epoch.
    [[nodiscard]] bool can_keep(unsigned bin) const noexcept;
    /// The common case of that, without a look at every slab: blocks are one a slab, and those in use would not be counted
    /// as empty.
    // Modelled: tests/models/kept.pml, step is_kept_as_it_is
    [[nodiscard]] inline bool is_kept_as_it_is(unsigned bin) const noexcept
    {
        lane_shelf const& b = shelves_[bin];
        slab const& s = *bins_[bin].bin.current;   // no_slab has no free slot
        return b.empty + 1 == b.held.size() && has_bin(keepable_bins, bin) &&
               s.local.load(std::memory_order_relaxed) == bins[bin].full_mask &&
               s.shared.load(std::memory_order_relaxed) == 0;
    }
    template <class F> void give_empty(unsigned bin, std::uint32_t keep, F give) noexcept;
    void recycle_empty(unsigned bin, thread_record& to) noexcept;
    /// Calls `visit(slab, bin)` for every slab it holds; a visitor that recycles them must `forget_slabs` afterwards.
    template <class F> void for_each_slab(F visit) noexcept;
    template <class F> void for_each_slab_of(unsigned bin, F visit) noexcept;
    void forget_slabs(unsigned bin) noexcept;
    void forget_slabs() noexcept;
    /// Gives what it keeps to the heap's cache. Call it as the lane's thread, while it is not at work.
    void forget_kept() noexcept;
    /// Gives the empty slabs it knows of to the heap's cache, at work or not. Call it as the lane's thread, which holds the
    /// lock of the shelf if it is attached.
    void shed_empty() noexcept;
    /// What was handed out of a bin since this was last asked.
    [[nodiscard]] inline std::uint64_t settle_allocations(unsigned bin) noexcept
    {
        counter& settled = shelves_[bin].settled;
        std::uint64_t const unsettled = bins_[bin].bin.allocations.value() - settled.value();
        settled.add(unsettled);
        told_->allocations[bin].raise(settled.value());
        return unsettled;
    }
    inline void tell_held(unsigned bin) noexcept
    {
        told_->held[bin].store(shelves_[bin].held.size(), std::memory_order_relaxed);
    }
    [[nodiscard, gnu::always_inline]] inline lane_bin& bin_at(std::size_t code) noexcept
    {
        static_assert(sizeof(bins_[0]) == bin_code_step);
        return *reinterpret_cast<lane_bin*>(reinterpret_cast<std::byte*>(bins_.data()) + code);
    }
    [[nodiscard]] inline unsigned index_of(lane_bin const& b) const noexcept
    {
        return static_cast<unsigned>(reinterpret_cast<padded_bin const*>(&b) - bins_.data());
    }

    // Modelled: tests/models/claims.pml, step plain_words
    // Modelled: tests/models/close.pml, step allocate_from
    // Modelled: tests/models/kept.pml, step allocate_from
    // Modelled: tests/models/words.pml, step allocate_from
    [[nodiscard, gnu::always_inline]] inline void* allocate_from(lane_bin& b) noexcept
    {
        slab& s = *b.current;
        // relaxed: this thread is the word's only writer; statistics may read it.
        std::uint64_t const word = s.local.load(std::memory_order_relaxed);
        // No free slot, or one that is in both words: two frees raced, and refill finds out before it is handed out twice.
        if (word == 0 || (s.shared.load(std::memory_order_relaxed) & word) != 0) [[unlikely]]
            return nullptr;
        s.local.store(word & (word - 1), std::memory_order_relaxed);
        __builtin_assume(s.base != nullptr);   // a held slab has its page; saves the caller's test for null
        std::byte* const p = s.base + std::size_t{static_cast<unsigned>(std::countr_zero(word))} * b.size;
        if (b.allocations.add()) [[unlikely]]
            arm(b);
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

    /// `masks`: of the bin, wherever they are at hand.
    template <class Masks>
    [[nodiscard, gnu::always_inline]] inline lane_free deallocate_to(lane_bin& b, slab& s, Masks const& masks,
                                                                     unsigned slot) noexcept
    {
        // relaxed: only this lane's thread ever writes this bin there.
        return s.owner.load(std::memory_order_relaxed) == &b ? put_back(b, s, masks, slot) : lane_free::not_mine;
    }

    // Modelled: tests/models/kept.pml, step put_back
    // Modelled: tests/models/words.pml, step put_back
    template <class Masks>
    [[nodiscard, gnu::always_inline]] inline lane_free put_back(lane_bin& b, slab& s, Masks const& masks,
                                                                unsigned slot) noexcept
    {
        std::uint64_t const before = s.local.load(std::memory_order_relaxed);
        // Not allocated: free already, or no slot at all where the block's tail is too short for one.
        if (((masks.absent_mask | before | s.shared.load(std::memory_order_relaxed)) >> slot & 1U) != 0) [[unlikely]]
            return lane_free::already_free;
        std::uint64_t const after = before | std::uint64_t{1} << (slot & 63U);
        s.local.store(after, std::memory_order_relaxed);
        if (before == 0 || after == masks.full_mask) [[unlikely]]
            if (&s != b.current)
                restock(s, b, after);
        return lane_free::done;
    }

    struct alignas(bin_code_step) padded_bin {
        lane_bin bin;
    };

    std::array<padded_bin, bin_count> bins_{};   // first, so that a code is the distance from the lane
    atomic<std::uint64_t> key_{closed_key};
    bin_set used_bins_ = 0;             // that may hold slabs, or have something to settle
    bin_set armed_bins_ = 0;            // whose next allocation is to be timed
    thread_record* record_ = nullptr;   // whose it is; set once
    lane_face* told_ = nullptr;         // what is told of it; set once
    bool exclusive_ = false;
    std::array<lane_shelf, bin_count> shelves_{};

    // Guarded by the lock of the shelf it is attached to; the pointer itself says which.
    atomic<shelf*> attached_{nullptr};
    atomic<std::uint64_t> era_{0};       // of the epoch it works or last worked for
    atomic<std::uint32_t> slot_{0};      // likewise
    atomic<lane*>* binding_ = nullptr;   // a resource's pointer to this lane, reset when claims are taken
    lane* next_ = nullptr;
    lane* prev_ = nullptr;

    std::uint64_t used_ns_ = 0;        // about when it was last handed back, keeping something; its thread's
    lane* next_of_record_ = nullptr;   // set once, before the lane is published
    lane* next_spare_ = nullptr;
};

static_assert(alignof(lane) == 64);

template <class F> inline void lane::for_each_slab(F visit) noexcept
{
    for (bin_set used = used_bins_; used != 0; used &= used - 1)
        for_each_slab_of(static_cast<unsigned>(std::countr_zero(used)), visit);
}

template <class F> inline void lane::for_each_slab_of(unsigned bin, F visit) noexcept
{
    for (slab* s = shelves_[bin].held.front(); s != nullptr;) {
        slab* const next = s->next;   // the visitor may recycle s
        visit(*s, bin);
        s = next;
    }
}

/// The shelf of the epoch a slab or large allocation belongs to; null when to none. Thread safe, and true of the moment.
[[nodiscard]] inline shelf* home_of(slab const& s) noexcept
{
    lane const* const l = holder_of(s);
    return l != nullptr ? l->attached() : static_cast<shelf*>(s.home.load(std::memory_order_relaxed));
}

/// The lane of whoever has none: its key admits nobody.
inline constinit lane no_lane{};

}
