// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The heap profile of a heap: which stacks allocated what is sampled. Samples are points of a Poisson process over the
// bytes that are allocated, so an object of s bytes is one with the probability 1 - exp(-s / interval), and each sample
// counts for 1 / (1 - exp(-s / interval)) objects. A thread cache draws, for each bin, how many allocations are ahead of
// the next sample: processes of several classes together are one of all bytes. A thread that samples walks its stack first, and
// takes locks afterwards.
#pragma once

export namespace tslab {

/// The stack of a sampled allocation.
struct captured_stack {
    std::uint32_t depth = 0;
    bool cut = false;   ///< it is deeper
    std::array<std::uint64_t, profile_page::most_depth> addresses;
};

/// Finds the calling thread's stack, the caller's own address first. Takes no lock of tslab's. By unwind tables it calls the
/// C++ runtime, which may allocate, or wait for a lock of the dynamic loader.
void walk_stack(captured_stack& to, stack_walk how) noexcept;

/// An entry of the table, in memory that no other process writes; it is never removed.
struct profiled_site {
    std::uint64_t hash;
    profiled_site* next;                 ///< of the same bucket
    std::atomic<std::uint64_t>* entry;   ///< its words in a profile_page
};

/// The sampled objects of a slab that holds only such. It lies beside the slab, belongs to it until the slab is recycled,
/// and is never unmapped.
struct sampled_slots {
    static constexpr std::uint32_t count = 64;   ///< of a slab with subslabs the first one serves

    std::array<std::atomic<profiled_site*>, count> of{};   ///< by slot; of a live object its entry
    void const* cache = nullptr;   ///< of an exclusive thread cache: its objects alone; guarded by the epoch's lock
    std::uint32_t index = 0;
    sampled_slots* next_free = nullptr;
};

class heap_profiler {
public:
    static constexpr std::uint32_t most_stacks = 8192;   ///< entries of a heap's table
    static constexpr std::uint32_t most_pages = 128;     ///< profile pages of a heap
    static constexpr std::uint32_t most_mappings = 512;

    struct options {
        std::uint64_t interval;   ///< mean of the bytes between two samples; 0: off
        stack_walk walk;
        std::uint64_t seed;   ///< 0: by chance
    };
    heap_profiler(arena& meta, segment_part& in, heap_stats_page& stats, options const& o) noexcept;
    heap_profiler(heap_profiler const&) = delete;
    heap_profiler& operator=(heap_profiler const&) = delete;
    ~heap_profiler() = default;

    [[nodiscard]] inline bool on() const noexcept { return options_.interval != 0; }
    [[nodiscard]] inline std::uint64_t interval() const noexcept { return options_.interval; }

    /// Where a thread's distances begin. Thread safe.
    [[nodiscard]] std::uint64_t next_seed() noexcept;
    /// Bytes until the next sample, exponentially distributed. For the thread that has the seed.
    [[nodiscard]] double draw(std::uint64_t& seed) const noexcept;
    /// How many allocations of `bytes` it takes until one is sampled, itself included; at most `no_sample`, which stands for
    /// never. Likewise.
    [[nodiscard]] std::uint32_t draw_objects(std::uint64_t& seed, std::uint64_t bytes) const noexcept;
    static constexpr std::uint32_t no_sample = ~std::uint32_t{0};

    /// Finds the stack of the calling thread, and its entry in the table, for memory of `bin` (bin_count: a large
    /// allocation) under a label. Returns null if the table has no place, which is counted, or if the walk itself allocates.
    /// Requires: no lock of the heap is held. A new entry takes a lock.
    [[nodiscard]] profiled_site* find_site(thread_record& me, unsigned bin, std::uint32_t label) noexcept;
    /// The entry with that hash; null if there is none. Takes no lock. Thread safe.
    [[nodiscard]] profiled_site* find(std::uint64_t hash) const noexcept;
    /// Counts a sampled object of `bytes` that was allocated. Thread safe.
    void note_sample(profiled_site const& at, std::uint64_t bytes) noexcept;
    /// Counts a sampled object of `bytes` that was freed or given back. Thread safe.
    void note_free(profiled_site const& at, std::uint64_t bytes) const noexcept;

    /// The record of the sampled objects of a slab; null if its number is out of range. Thread safe.
    [[nodiscard]] inline sampled_slots* slots_of(slab_meta const& s) const noexcept
    {
        std::uint32_t const index = sampled_index(s);
        unsigned const row = ring_rows::row_of(index);
        if (row >= ring_rows::most)
            return nullptr;
        // acquire: pairs with take_slots
        sampled_slots* const first = rows_[row].load(std::memory_order_acquire);
        return first != nullptr ? first + (index - ring_rows::begin_of(row)) : nullptr;
    }
    /// An unused record; null if there is no memory for one. Takes a lock. Thread safe.
    [[nodiscard]] sampled_slots* take_slots() noexcept;
    /// Thread safe; takes a lock.
    void give_slots(sampled_slots& s) noexcept;

    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    static constexpr std::uint32_t bucket_count = 1024;
    static constexpr std::uint32_t seen_bits = 4096;   // of the stacks that found no place
    struct tables {
        std::array<std::atomic<profiled_site*>, bucket_count> buckets{};
        std::array<std::atomic<std::uint64_t>, seen_bits / 64> dropped{};
    };

    [[nodiscard]] tables* get_tables() noexcept;
    [[nodiscard]] profiled_site* add(tables& in, std::uint64_t hash, captured_stack const& stack, unsigned bin,
                                     std::uint32_t label) noexcept;
    [[nodiscard]] bool make_room(std::uint32_t words) noexcept __attribute__((requires_capability(lock_)));
    void note_mappings(thread_record& me, captured_stack const& stack) noexcept;
    [[nodiscard]] bool is_mapped(std::uint64_t address) const noexcept __attribute__((requires_capability(lock_)));
    void add_mapping(published_mapping const& m) noexcept __attribute__((requires_capability(lock_)));
    struct mapping_visitor;

    arena& meta_;
    segment_part& in_;
    heap_stats_page& stats_;
    options const options_;
    atomic<std::uint64_t> seeds_{0};
    std::atomic<tables*> tables_{nullptr};
    mutex lock_;
    std::uint32_t count_ __attribute__((guarded_by(lock_))) = 0;   // of entries
    std::uint32_t pages_ __attribute__((guarded_by(lock_))) = 0;
    bool full_ __attribute__((guarded_by(lock_))) = false;
    profile_page* page_ __attribute__((guarded_by(lock_))) = nullptr;   // the newest
    std::uint32_t page_used_ __attribute__((guarded_by(lock_))) = 0;
    profile_mapping_page* mappings_ __attribute__((guarded_by(lock_))) = nullptr;   // likewise
    std::uint32_t mappings_used_ __attribute__((guarded_by(lock_))) = 0;
    std::uint32_t mapping_count_ __attribute__((guarded_by(lock_))) = 0;
    // Of the mappings, what is_mapped compares: private, since it is relied on.
    struct range {
        std::uint64_t begin;
        std::uint64_t end;
    };
    range* ranges_ __attribute__((guarded_by(lock_))) = nullptr;
    std::uint64_t loads_ __attribute__((guarded_by(lock_))) =
        0;   // of the dynamic loader, when mappings were noted last
    std::array<std::atomic<sampled_slots*>, ring_rows::most> rows_{};
    std::uint32_t slots_made_ __attribute__((guarded_by(lock_))) = 0;
    sampled_slots* free_slots_ __attribute__((guarded_by(lock_))) = nullptr;
};

}
