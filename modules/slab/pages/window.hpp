// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The address range that all heaps of the process take their pages from. A window is a large aligned range in which
// nothing is mapped until it is needed. The place of a descriptor follows from the page's number alone, so it is
// computed from a pointer. Heaps own units of 64 pages, which they take mapped and return unmapped. Tables grow with
// the highest unit ever used and are never unmapped, so descriptors of pages that are gone can still be read. All heaps
// share one window.
//
// A unit's state, by the heap in `owners`:
//   from        event                         by                     to         made safe by
//   never used  take                          a heap                 owned      the owner is written before the pages are handed out
//   owned       withdrawn, no thread inside   its heap               free       descriptors say "no slab" before the owner is taken off
//   owned       the heap ends                 its heap               free       no thread uses the heap (precondition)
//   free        take                          a heap                 owned      late frees' traces are wiped first
// A unit that the system refuses to unmap is free too, without memory: it stays mapped until it is taken or can be
// unmapped.
#pragma once

export namespace tslab {

inline constexpr std::uint32_t unit_pages = 64;   ///< one word of a page set
inline constexpr unsigned unit_shift = page_shift + 6;
inline constexpr std::size_t unit_bytes = std::size_t{1} << unit_shift;

/// Neighbouring units.
struct unit_run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

/// The link of a run, in its first unit.
struct unit_link {
    atomic<std::uint32_t> count{0};   ///< units of the run
    atomic<std::uint32_t> next{0};    ///< the next run's first unit + 1; 0: none
};

/// Runs of units in the order of their addresses, linked through the units' own links; neighbours are joined. The
/// owner's lock guards it; a reader without the lock may read numbers that are out of date, and must check each.
class unit_list {
public:
    /// `head`: the first run's first unit + 1; 0: none.
    constexpr unit_list(unit_link*& links, atomic<std::uint32_t>& head) noexcept : links_{links}, head_{head} {}

    void insert(unit_run r) noexcept;
    /// `r`: a part of one run.
    void erase(unit_run r) noexcept;
    /// The lowest `count` units in one run that begin at a multiple of `step`; count 0 if there are none.
    [[nodiscard]] unit_run first_fit(std::uint32_t count, std::uint32_t step) const noexcept;
    /// The run that begins at head or next `at`; count 0 for 0.
    [[nodiscard]] inline unit_run run_at(std::uint32_t at) const noexcept
    {
        return at != 0 ? unit_run{at - 1, links_[at - 1].count.load(std::memory_order_acquire)} : unit_run{};
    }
    [[nodiscard]] inline std::uint32_t head() const noexcept { return head_.load(std::memory_order_acquire); }
    [[nodiscard]] inline std::uint32_t next_of(std::uint32_t at) const noexcept
    {
        return links_[at - 1].next.load(std::memory_order_acquire);
    }
    /// Calls `visit(run)` for at most `most` runs, in address order. Works for a reader without the lock, and if
    /// `visit` changes the list: no unit is visited twice, and one that stays in the list is visited.
    template <class F> inline void for_each(std::uint32_t most, F visit) const
    {
        std::uint32_t end = 0;   // of the units visited
        for (std::uint32_t at = head(); at != 0 && most != 0; --most) {
            // A run that is split or joined meanwhile is read again, so that its end and the next run match, or
            // overlap.
            std::uint32_t next = next_of(at);
            unit_run r = run_at(at);
            for (std::uint32_t again = next_of(at); again != next; again = next_of(at)) {
                next = again;
                r = run_at(at);
            }
            if (std::uint32_t const begin = std::max(r.first, end); begin < r.first + r.count) {
                end = r.first + r.count;
                visit(unit_run{begin, end - begin});
            }
            at = next;
        }
    }

private:
    void relink(std::uint32_t before, std::uint32_t to) noexcept;
    void set(std::uint32_t first, std::uint32_t count, std::uint32_t next) noexcept;

    unit_link*& links_;
    atomic<std::uint32_t>& head_;
};

/// From an address to its page's descriptor: a subtraction, a comparison and a shift. Read on every free.
class address_map {
public:
    /// What a free needs of a bin, in one cache line.
    struct alignas(64) bin_entry {
        std::uintptr_t first = 0;          ///< the descriptor of the first page, or of its first subslab
        std::uintptr_t subslab_mask = 0;   ///< the bits of an offset in the window that select its subslab
        std::uint32_t reciprocal = 0;      ///< this, offset_mask and the masks: as in bin_geometry
        std::uint32_t exact = 0;           ///< exact_below()
        std::uint32_t offset_mask = 0;
        std::uint32_t shift =
            0;   ///< a page's descriptor and a page, like a subslab's and the smallest subslab, are in a
                 ///< fixed ratio
        std::uint64_t full_mask = 0;
        std::uint64_t absent_mask = 0;
        std::uintptr_t base = 0;       ///< address of the window
        atomic<std::size_t> high{0};   ///< bytes whose pages, or subslabs, have descriptors that may be read

        /// Whether the page of `p` has a descriptor.
        [[nodiscard, gnu::always_inline]] inline bool covers(std::uintptr_t p) const noexcept
        {
            // relaxed: the pointer's value was passed to this thread with synchronisation.
#if defined(__x86_64__) && !defined(TSLAB_NO_INLINE_ASSEMBLY)
            bool below = false;   // the compiler loads an atomic word into a register before it compares it
            asm("cmpq %2, %1" : "=@ccb"(below) : "r"(p - base), "m"(high));
            return below;
#else
            return p - base < high.load(std::memory_order_relaxed);
#endif
        }
        /// The descriptor of the subslab that `p` lies in if it is a slot of this bin. Precondition: covers(p).
        [[nodiscard, gnu::always_inline]] inline slab_meta* subslab_of(std::uintptr_t p) const noexcept
        {
            return reinterpret_cast<slab_meta*>(first + ((p & subslab_mask) >> shift));
        }
        [[nodiscard, gnu::always_inline]] inline std::uint32_t exact_below() const noexcept { return exact; }
    };
    static_assert(sizeof(bin_entry) == 64);

    /// An empty map: it covers no address.
    constexpr address_map() noexcept = default;

    /// Whether the page of `p` has a descriptor that may be read. Thread safe, as all that follows.
    [[nodiscard]] inline bool covers(void const* p) const noexcept
    {
        return entries_[0].covers(reinterpret_cast<std::uintptr_t>(p));
    }
    /// The descriptor of the page that `p` lies in, of any heap; null if there is none.
    [[nodiscard]] inline slab_meta* find(void const* p) const noexcept
    {
        if (!covers(p)) [[unlikely]]
            return nullptr;
        slab_meta* const s = slabs_ + (offset_of(p) >> page_shift);
        __builtin_assume(s != nullptr);
        return s;
    }
    [[nodiscard]] inline bin_entry const& entry(unsigned bin) const noexcept { return entries_[bin]; }
    /// The same by the bin's code.
    [[nodiscard, gnu::always_inline]] inline bin_entry const& entry_at(std::size_t code) const noexcept
    {
        static_assert(sizeof(bin_entry) == std::size_t{2} * bin_code_step);
        return *reinterpret_cast<bin_entry const*>(reinterpret_cast<std::byte const*>(entries_.data()) + 2 * code);
    }
    /// The descriptor of the subslab that `p` would lie in if it were a slot of `bin`; null if there is none.
    [[nodiscard]] inline slab_meta* find_subslab(void const* p, unsigned bin) const noexcept
    {
        auto const at = reinterpret_cast<std::uintptr_t>(p);
        return entries_[bin].covers(at) ? entries_[bin].subslab_of(at) : nullptr;
    }
    [[nodiscard]] inline std::uintptr_t base() const noexcept { return entries_[0].base; }
    [[nodiscard]] inline std::size_t offset_of(void const* p) const noexcept
    {
        return reinterpret_cast<std::uintptr_t>(p) - entries_[0].base;
    }

private:
    friend class address_window;

    static constexpr std::uint32_t page_ratio = std::countr_zero(page_bytes / sizeof(slab_meta));
    static constexpr std::uint32_t subslab_ratio = std::countr_zero(subslab_step / sizeof(slab_meta));

    void attach(std::uintptr_t base, std::size_t page_space, slab_meta* slabs, slab_meta* subslabs) noexcept;
    void set_high(std::size_t bytes, bool of_subslabs) noexcept;

    std::array<bin_entry, bin_count> entries_{};   // first, so that twice a code is the offset from the map
    slab_meta* slabs_ = nullptr;
    slab_meta* subslabs_ = nullptr;   // max_subslabs for each page, for slabs of several subslabs
};

/// Covers no address: every pointer takes the path of unknown ones.
inline constinit address_map const empty_map{};

class address_window {
public:
    static constexpr std::size_t least_pages_bytes = std::size_t{1} << 38;   ///< of the part for pages: 256 GiB,
    static constexpr std::size_t most_pages_bytes = std::size_t{1} << 42;    ///< 4 TiB: distances fit in 31 bits
    static constexpr std::size_t smallest_reserved = std::size_t{1} << 26;   ///< if all must be reserved: 64 MiB

    constexpr address_window() noexcept = default;
    address_window(address_window const&) = delete;
    address_window& operator=(address_window const&) = delete;
    ~address_window() = default;

    /// Finds the range, at the first call. False if none can be had; the next call tries again. Thread safe.
    [[nodiscard]] bool open() noexcept;
    /// Unmaps everything. For tests, before there is a heap.
    void close() noexcept;

    /// `count` units that begin at a multiple of `step`, mapped, owned by `owner` (see owner_mark); count 0 if memory
    /// or the window is exhausted. Thread safe; the system is called without the lock, except for the tables.
    [[nodiscard]] unit_run take(std::uint32_t count, std::uint32_t step, std::uint64_t owner) noexcept;
    /// Unmaps units that `owner` owns, and purges the memory of their descriptors. Requires: the descriptors say "no
    /// slab", and no thread reads them. False if the system refuses to unmap the units: they serve other heaps all the
    /// same. Thread safe.
    bool give(unit_run r, std::uint64_t owner) noexcept;

    [[nodiscard]] inline address_map const& map() const noexcept { return map_; }
    [[nodiscard]] inline slab_meta* slabs() const noexcept { return map_.slabs_; }
    [[nodiscard]] inline slab_meta* subslabs() const noexcept { return map_.subslabs_; }
    [[nodiscard]] inline std::uint32_t max_units() const noexcept { return max_units_; }
    /// The most units that are skipped at once where the program's other mappings are.
    [[nodiscard]] inline std::uint32_t most_jump() const noexcept { return std::max(max_units_ / 4096, 1U); }
    /// Whether the whole window is reserved, since no unreserved range could be had.
    [[nodiscard]] inline bool reserved() const noexcept { return reserved_; }

    /// The mark of a heap in `owners`: its number times two, plus one for units that it has returned and no heap has
    /// taken since. 0 for a unit that no heap ever owned.
    [[nodiscard]] static constexpr std::uint64_t owner_mark(std::uint64_t heap) noexcept { return heap * 2; }
    [[nodiscard]] inline std::uint64_t owner_of_unit(std::uint32_t unit) const noexcept
    {
        // acquire: a reader that sees the owner sees the descriptors that were prepared for it.
        return owners_[unit].load(std::memory_order_acquire);
    }
    /// The mark of the unit that `p` lies in; 0 outside the window's used part.
    [[nodiscard]] inline std::uint64_t owner_of(void const* p) const noexcept
    {
        return map_.covers(p) ? owner_of_unit(static_cast<std::uint32_t>(map_.offset_of(p) >> unit_shift)) : 0;
    }
    [[nodiscard]] inline unit_link*& links() noexcept { return links_; }
    /// The words of the sets of free pages, one for each unit, and their summaries, one for 64 units.
    [[nodiscard]] inline std::uint64_t* words(unsigned set) const noexcept { return words_[set]; }
    [[nodiscard]] inline std::uint64_t* summary(unsigned set) const noexcept { return summaries_[set]; }

    /// The generations of the slots of all pages. Those of a page must be committed.
    [[nodiscard]] inline atomic<std::uint32_t>* generations() const noexcept { return generations_; }
    [[nodiscard]] inline std::uint32_t generation_units() const noexcept
    {
        return generation_units_.load(std::memory_order_acquire);   // pairs with commit_generations
    }
    /// Commits the generations of every page up to `unit`'s; false if there is no memory. Thread safe.
    [[nodiscard]] bool commit_generations(std::uint32_t unit) noexcept;
    /// Units whose pages may have subslabs.
    [[nodiscard]] inline std::uint32_t subslab_units() const noexcept
    {
        return subslab_units_.load(std::memory_order_acquire);   // pairs with commit_subslabs
    }
    /// The same for the descriptors of subslabs. Thread safe.
    [[nodiscard]] bool commit_subslabs(std::uint32_t unit) noexcept;
    /// The subslab descriptors of page `page`; null if it cannot have any.
    [[nodiscard]] inline slab_meta* subslabs_of(std::uint32_t page) const noexcept
    {
        return page / unit_pages < subslab_units() ? subslabs() + std::size_t{page} * max_subslabs : nullptr;
    }

    /// Bytes of the tables for one unit: descriptors, and the words about it.
    static constexpr std::size_t slab_bytes_of_unit = unit_pages * sizeof(slab_meta);
    static constexpr std::size_t subslab_bytes_of_unit = slab_bytes_of_unit * max_subslabs;
    static constexpr std::size_t generation_bytes_of_unit = std::size_t{unit_pages} * max_slots * sizeof(std::uint32_t);
    static constexpr std::size_t word_bytes_of_unit =
        sizeof(std::uint64_t) + sizeof(unit_link) + 3 * sizeof(std::uint64_t);

    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    /// A table: `step` bytes for each 64 units, mapped from its beginning on.
    struct table {
        std::uintptr_t begin = 0;
        std::size_t step = 0;
        std::size_t mapped = 0;
    };
    enum part : unsigned {
        slabs_part,
        subslabs_part,
        generations_part,
        owners_part,
        links_part,
        words_part,
        summaries_part = words_part + 3
    };
    static constexpr unsigned part_count = summaries_part + 3;

    [[nodiscard]] bool open_at(std::uintptr_t base, std::size_t page_space) noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool open_reserved(std::size_t page_space) noexcept __attribute__((requires_capability(lock_)));
    void lay_out(std::uintptr_t base, std::size_t page_space) noexcept __attribute__((requires_capability(lock_)));
    void unmap_tables() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool cover(std::uint32_t units) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool grow(table& t, std::uint32_t units) const noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool commit(part of, atomic<std::uint32_t>& have, std::uint32_t unit) noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] static std::size_t whole_bytes(std::size_t page_space) noexcept;
    [[nodiscard]] unit_run find_units(std::uint32_t count, std::uint32_t step) noexcept
        __attribute__((requires_capability(lock_)));
    void own(unit_run r, std::uint64_t owner) noexcept;
    void drop_descriptors(unit_run r) const noexcept;
    [[nodiscard]] bool unmap(unit_run r) noexcept;
    void unmap_one_more() noexcept;
    [[nodiscard]] inline void* address_of(std::uint32_t unit) const noexcept
    {
        return reinterpret_cast<void*>(map_.base() + (std::size_t{unit} << unit_shift));
    }

    address_map map_;
    atomic<std::uint64_t>* owners_ = nullptr;
    unit_link* links_ = nullptr;
    std::array<std::uint64_t*, 3> words_{};
    std::array<std::uint64_t*, 3> summaries_{};
    atomic<std::uint32_t>* generations_ = nullptr;
    atomic<std::uint32_t> generation_units_{0};
    atomic<std::uint32_t> subslab_units_{0};
    std::uint32_t max_units_ = 0;
    bool reserved_ = false;

    alignas(64) mutex lock_;
    bool open_ __attribute__((guarded_by(lock_))) = false;
    std::array<table, part_count> tables_ __attribute__((guarded_by(lock_))){};
    std::uint32_t covered_ __attribute__((guarded_by(lock_))) = 0;    // units with descriptors
    std::uint32_t frontier_ __attribute__((guarded_by(lock_))) = 0;   // units from here on were never taken
    atomic<std::uint32_t> free_head_{0};
    unit_list free_ __attribute__((guarded_by(lock_))){links_, free_head_};
    // Free units that are still mapped, since the system refused to unmap them. Their memory reads as zero.
    atomic<std::uint32_t> mapped_head_{0};
    unit_list mapped_ __attribute__((guarded_by(lock_))){links_, mapped_head_};
    void* reservation_ = nullptr;
    std::size_t reservation_bytes_ = 0;
};

/// The window of this process. Never closed: static destructors may free memory until the very end.
inline constinit address_window process_window{};

}
