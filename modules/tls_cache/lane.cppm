// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A lane: one thread's claims on the slabs of one epoch. It hands out and takes back slots with plain loads and stores
// of the slab's local word. Only the thread its key admits may call its operations; a closer revokes by the key.
module;
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
export module tslab.tls_cache:lane;

import tslab.stats;
import tslab.slab;
import :thread;
import :shelf;

export namespace tslab {

/// What came of a free into a lane.
enum class lane_free : std::uint8_t { done, not_mine, already_free };

class alignas(64) lane {
public:
    constexpr lane() noexcept { current_.fill(&no_slab); }
    inline explicit lane(thread_record& home) noexcept : record_{&home} { current_.fill(&no_slab); }
    lane(lane const&) = delete;
    lane& operator=(lane const&) = delete;

    /// Who may use the lane: a thread's number for the lane of a resource, an era for a thread's lane in an epoch,
    /// `closed_key` for nobody.
    [[nodiscard]] inline std::uint64_t key() const noexcept { return key_.load(std::memory_order_relaxed); }

    /// A free slot of the current slab; null when it has none, or when one of them was freed by two threads at once.
    [[nodiscard]] inline void* allocate(unsigned bin) noexcept
    {
        slab& s = *current_[bin];
        // relaxed: this thread is the word's only writer; statistics may read it.
        std::uint64_t const word = s.local.load(std::memory_order_relaxed);
        // No free slot, or one that is in both words: two frees raced, and refill finds out before it is handed out twice.
        if (word == 0 || (s.shared.load(std::memory_order_relaxed) & word) != 0) [[unlikely]]
            return nullptr;
        s.local.store(word & (word - 1), std::memory_order_relaxed);
        __builtin_assume(s.base != nullptr);   // a held slab has its page; saves the caller's test for null
        std::byte* const p = s.base + static_cast<std::size_t>(std::countr_zero(word)) * bins[bin].size;
        if (allocations_[bin].add()) [[unlikely]]
            arm(bin);
        return p;
    }

    /// Puts `slot` of `s` back if this lane holds the slab.
    [[nodiscard]] inline lane_free deallocate(slab& s, unsigned bin, unsigned slot) noexcept
    {
        // relaxed: only this lane's thread ever writes this lane there.
        if (s.owner.load(std::memory_order_relaxed) != this) [[unlikely]]
            return lane_free::not_mine;
        std::uint64_t const bit = std::uint64_t{1} << slot;
        std::uint64_t const before = s.local.load(std::memory_order_relaxed);
        // Not allocated: free already, or no slot at all where the page's tail is too short for one.
        if ((bins[bin].full_mask & ~(before | s.shared.load(std::memory_order_relaxed)) & bit) == 0) [[unlikely]]
            return lane_free::already_free;
        std::uint64_t const after = before | bit;
        s.local.store(after, std::memory_order_relaxed);
        if (&s != current_[bin] && (before == 0 || after == bins[bin].full_mask)) [[unlikely]]
            restock(s, bin, before, after);
        return lane_free::done;
    }

    /// The slow way to a slot: times the allocation if it is one to be sampled; collects what others freed, takes the next
    /// slab with free slots, adopts one that nobody holds, or gets an empty one. Null when out of memory. `me`: the calling
    /// thread's record.
    [[nodiscard]] void* refill(unsigned bin, thread_record& me) noexcept;

    /// Gives back everything the lane handed out, live or not, and stays attached; returns how many objects were live.
    std::uint64_t drop(thread_record& me) noexcept;

    /// Live objects in the slabs this lane holds, and their bytes. Call it as the lane's thread, or when nobody uses it.
    void count_live(std::uint64_t& objects, std::uint64_t& bytes) const noexcept;

    [[nodiscard]] inline stepping_counter const& allocations(unsigned bin) const noexcept { return allocations_[bin]; }
    /// What it handed out for the epoch it is attached to. For a reader that comes while it is handed back: never too few
    /// by more than that.
    [[nodiscard]] inline std::uint64_t allocations_of_era() const noexcept
    {
        std::uint64_t n = 0;
        for (unsigned bin = 0; bin < bin_count; ++bin) {
            std::uint64_t const settled = settled_[bin].value();   // the smaller one first
            std::uint64_t const all = allocations_[bin].value();
            n += all > settled ? all - settled : 0;
        }
        return n;
    }
    [[nodiscard]] inline std::uint32_t slot() const noexcept { return slot_.load(std::memory_order_relaxed); }
    [[nodiscard]] inline std::uint64_t era() const noexcept { return era_.load(std::memory_order_relaxed); }
    [[nodiscard]] inline thread_record* record() const noexcept { return record_; }
    /// Whether the lane may claim slots of slabs in which others' objects live. A lane whose resource shares its epoch
    /// may not: it must be able to give back all it handed out and nothing else.
    inline void set_exclusive(bool exclusive) noexcept { exclusive_ = exclusive; }
    [[nodiscard]] inline bool exclusive() const noexcept { return exclusive_; }

    /// Counted frees of a count-only resource on this lane's thread.
    counter counted_frees;

private:
    friend struct shelf;
    friend struct thread_record;
    friend class heap_core;

    /// After every 1,024th allocation of a bin. Where sampling is on, the current slab is put aside, so that the next
    /// allocation takes the slow way, where it is timed. preserve_most: a call that may come must not cost the common way
    /// the saving of registers.
    [[gnu::cold, gnu::noinline, clang::preserve_most]] void arm(unsigned bin) noexcept;
    [[nodiscard]] void* sampled(unsigned bin, thread_record& me) noexcept;
    [[nodiscard]] void* find_slot(unsigned bin, thread_record& me) noexcept;
    void restock(slab& s, unsigned bin, std::uint64_t before, std::uint64_t after) noexcept;
    [[nodiscard]] bool collect(slab& s, unsigned bin, class_counters& counts) noexcept;
    [[nodiscard]] slab* next_slab(unsigned bin, thread_record& me, class_counters& counts) noexcept;
    template <class F> void for_each_slab(F visit) noexcept;

    std::atomic<std::uint64_t> key_{closed_key};
    std::array<slab*, bin_count> current_{};
    std::array<stepping_counter, bin_count> allocations_{};

    thread_record* record_ = nullptr;            // whose it is; set once
    std::array<slab_list, bin_count> ready_{};   // held, with free slots in local
    std::array<slab_list, bin_count> full_{};    // held, none in local; others may have freed some
    std::array<counter, bin_count> settled_{};   // of allocations_, what earlier epochs have been told
    std::uint32_t used_bins_ = 0;
    std::uint32_t armed_bins_ = 0;   // whose next allocation is to be timed
    // What arm put aside: on a list, and not given away when it becomes empty.
    std::array<slab*, bin_count> parked_{};
    bool exclusive_ = false;

    // Guarded by the lock of the shelf it is attached to; the pointer itself says which.
    std::atomic<shelf*> attached_{nullptr};
    std::atomic<std::uint64_t> era_{0};       // of the epoch it works or last worked for
    std::atomic<std::uint32_t> slot_{0};      // likewise
    std::atomic<lane*>* binding_ = nullptr;   // a resource's pointer to this lane, reset when claims are taken
    lane* next_ = nullptr;
    lane* prev_ = nullptr;

    lane* next_of_record_ = nullptr;   // set once, before the lane is published
    lane* next_spare_ = nullptr;
};

static_assert(alignof(lane) == 64);

/// The lane of whoever has none: its key admits nobody.
inline constinit lane no_lane{};

}
