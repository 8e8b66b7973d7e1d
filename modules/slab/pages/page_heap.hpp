// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The pages of one heap: the units of the process's window that it owns, and two sets of free pages, resident ones and
// purged ones. It takes address space as needed, in growing steps, and can return whole units. Pages are named by their
// number in the window.
#pragma once

export namespace tslab {

/// Result of purging pages.
struct purge_result {
    std::uint64_t calls = 0;         ///< madvise calls, one for each run of neighbouring pages
    std::uint64_t bytes = 0;         ///< bytes of the calls that succeeded
    std::uint64_t failures = 0;      ///< calls that failed: their pages stay resident and usable
    std::uint64_t asked = 0;         ///< bytes of all calls, if residency can be measured; else 0
    std::uint64_t gone = 0;          ///< of those, no longer resident right afterwards
    std::uint64_t nanoseconds = 0;   ///< time of the calls, those that measure residency included

    inline purge_result& operator+=(purge_result const& more) noexcept
    {
        calls += more.calls;
        bytes += more.bytes;
        failures += more.failures;
        asked += more.asked;
        gone += more.gone;
        nanoseconds += more.nanoseconds;
        return *this;
    }
};

/// The published figures of the pages. Written under the heap's lock or by shared counters; any thread may read them.
struct page_figures {
    struct class_purges {
        counter calls, bytes, failures;
    };
    std::array<class_purges, class_count + 1> purges{};
    atomic<std::uint64_t> free_resident{0};
    atomic<std::uint64_t> free_purged{0};
    atomic<std::uint64_t> unwanted{0};   ///< of the resident ones, those that no thread took since the last decay
    atomic<std::uint64_t> madvise_calls{0};
    atomic<std::uint64_t> madvise_bytes{0};
    atomic<std::uint64_t> madvise_failures{0};
    atomic<std::uint64_t> madvise_asked{0};   ///< this and the next: see purge_result
    atomic<std::uint64_t> madvise_gone{0};
    atomic<std::uint64_t> purge_ns{0};         ///< time spent on purges, and on returning units
    atomic<std::uint64_t> unmap_failures{0};   ///< runs of units that the system refused to unmap
    atomic<std::uint64_t> metadata_bytes{0};   ///< see page_heap::metadata_bytes
    atomic<std::uint32_t> first_run{0};        ///< the lowest unit of the heap's first run + 1; 0: none
    atomic<std::uint32_t> units{0};            ///< how many
};

class page_heap {
public:
    /// `reserve_bytes`: the most it may take of the window, 16 MiB at least; 0: no limit. Throws std::bad_alloc if no
    /// window can be had. `huge_pages`: asks the kernel for huge pages, and takes whole ones. `published`: where its
    /// figures are published; must live as long as the page heap.
    explicit page_heap(std::size_t reserve_bytes, bool huge_pages = false, page_figures* published = nullptr);
    ~page_heap();
    page_heap(page_heap const&) = delete;
    page_heap& operator=(page_heap const&) = delete;

    /// The descriptor of the page of this heap that `p` lies in; null if it lies in none. Thread safe.
    [[nodiscard]] inline slab_meta* find(void const* p) const noexcept
    {
        address_map const& m = map();
        std::size_t const offset = m.offset_of(p);
        if (!m.covers(p) || process_window.owner_of_unit(static_cast<std::uint32_t>(offset >> unit_shift)) != mark_)
            [[unlikely]]
            return nullptr;
        return process_window.slabs() + (offset >> page_shift);
    }
    /// The window, of all heaps.
    [[nodiscard]] static inline address_map const& map() noexcept { return process_window.map(); }
    [[nodiscard]] static inline std::uint32_t index_of(slab_meta const& s) noexcept
    {
        return static_cast<std::uint32_t>(&s - process_window.slabs());
    }
    [[nodiscard]] static inline slab_meta& at(std::uint32_t index) noexcept { return process_window.slabs()[index]; }
    /// The descriptors of the subslabs of page `index`.
    [[nodiscard]] static inline slab_meta* subslabs_at(std::uint32_t index) noexcept
    {
        return process_window.subslabs() + std::size_t{index} * max_subslabs;
    }
    /// The slab that a further page of a slab belongs to, as its tag says; `s` itself for every other page.
    [[nodiscard]] static inline slab_meta* first_page_of(slab_meta* s) noexcept
    {
        std::uint8_t const tag = s->tag.load(std::memory_order_relaxed);
        if (tag < tag_inside || tag >= tag_inside + bin_count) [[likely]]
            return s;
        std::uint32_t const pages = bins[tag - tag_inside].pages;
        return process_window.slabs() + (index_of(*s) & ~(pages - 1));
    }

    /// Whether `p` lies in a unit of this heap, used or not. Thread safe.
    [[nodiscard]] inline bool reserves(void const* p) const noexcept { return process_window.owner_of(p) == mark_; }
    /// Whether it lies in a unit that was this heap's and has had no owner since. Thread safe.
    [[nodiscard]] inline bool reserved_once(void const* p) const noexcept
    {
        return process_window.owner_of(p) == (mark_ | 1U);
    }
    /// Whether a page is one of this heap's. Thread safe, for any number.
    [[nodiscard]] inline bool owns(std::uint32_t page) const noexcept
    {
        return process_window.owner_of(address_of(page)) == mark_;
    }
    /// Whether a page of this heap was ever taken: a hint, read without a lock.
    [[nodiscard]] inline bool was_used(std::uint32_t page) const noexcept
    {
        std::uint64_t const fresh = fresh_.load(std::memory_order_relaxed);
        return page - static_cast<std::uint32_t>(fresh >> 32) >= static_cast<std::uint32_t>(fresh);
    }
    /// The address of a page.
    [[nodiscard]] static inline std::byte* address_of(std::uint32_t page) noexcept
    {
        return reinterpret_cast<std::byte*>(map().base() + (std::size_t{page} << page_shift));
    }

    /// `pages` neighbouring free pages at a multiple of `alignment` (bytes, a power of two, at least a page), resident
    /// ones first; null if there is no memory. The descriptor of the first has its base set and is otherwise unchanged.
    /// `handle_slots`: if not 0, the first page serves so many slots by handle (see serves_handles). Thread safe.
    /// Complexity: linear in the free pages that do not serve handles, if one is asked for that does.
    [[nodiscard]] slab_meta* take(std::uint32_t pages, std::size_t alignment, lock_site const& site = {},
                                  std::uint32_t handle_slots = 0) noexcept;

    /// Returns pages to the free set; they count as resident until a purge. `large`: they were a large allocation;
    /// their descriptors may still have the tags of earlier slabs. Thread safe.
    void give(slab_meta& first, std::uint32_t pages, bool large = false, lock_site const& site = {}) noexcept;

    /// The same for pages that are not resident: purge_of_slab gave them to the kernel. Thread safe.
    void give_purged(slab_meta& first, std::uint32_t pages, lock_site const& site = {}) noexcept;

    /// Purges pages of a slab of class `c` in one call, and adds the result to `done`; false if the kernel refuses. No
    /// other thread may use the pages meanwhile. Thread safe.
    bool purge_of_slab(std::byte* begin, std::uint32_t pages, unsigned c, purge_result& done) noexcept;

    /// Returns a chain of slabs of `pages` pages each, linked by `next`, under one lock. Thread safe.
    void give_chain(slab_meta* first, std::uint32_t pages, lock_site const& site) noexcept;

    /// Purges free resident pages, neighbours in one call: at most `most` of them, those with the highest addresses,
    /// since the lowest are allocated first. Thread safe; the calls are made without the lock, while the pages are in
    /// neither set. Residency is measured after each.
    purge_result purge(std::uint64_t most = ~std::uint64_t{0}) noexcept;
    /// Adds to the time that is published as spent on purges. Thread safe.
    inline void note_purge_time(std::uint64_t ns) noexcept
    {
        published_->purge_ns.fetch_add(ns, std::memory_order_relaxed);
    }

    /// The watchers of unwanted_pages; each has a period of its own.
    enum class watcher : std::uint8_t { of_time, of_work, count_ };
    /// The fewest free resident pages since this watcher's last call. Begins a new period. Thread safe.
    [[nodiscard]] std::uint32_t unwanted_pages(watcher who) noexcept;
    /// Purges of pages that were slabs of class `c` last, or a large allocation: a call counts for the class of its
    /// first page, bytes for the class of each page.
    [[nodiscard]] purge_result purged_of(unsigned c) const noexcept;

    // Units go back to the window in two steps, since a thread that found a slab before its last object was freed may
    // still read its descriptor: they are withdrawn from this heap's sets, and released to other heaps once no thread
    // is in an operation.

    static constexpr std::uint32_t slack_pages = 4096;   ///< free and not resident, that a heap keeps: 16 MiB
    using unit_batch = std::array<unit_run, 32>;

    /// Withdraws units all of whose pages are free and not resident, while more than `keep` such pages remain; returns
    /// how many runs. Each must be restored or released. Thread safe.
    [[nodiscard]] std::size_t withdraw(unit_batch& to, std::uint32_t keep = slack_pages) noexcept;
    /// Puts withdrawn units back. Thread safe.
    void restore(unit_batch const& runs, std::size_t n) noexcept;
    /// Returns withdrawn units to the window, for any heap. Precondition: no thread is in an operation that began
    /// before they were withdrawn.
    void release(unit_batch const& runs, std::size_t n) noexcept;

    /// Calls `visit(run)` for every run of units, in address order. Other threads may take and give pages meanwhile,
    /// but not release units.
    template <class F> inline void for_each_run(F visit) const
    {
        // Bounded, since the list may change while it is read.
        units_.for_each(unit_count_.load(std::memory_order_relaxed) + most_new_runs, visit);
    }

    /// For a free resident page `i`: the class of the slab that it was last, or large_class if it was part of a large
    /// allocation; class_count + 1 for any other page. For statistics, without a lock.
    [[nodiscard]] unsigned free_resident_class(std::uint32_t i) const noexcept;
    /// Bytes of descriptors, generations and page sets of this heap's pages that are resident.
    [[nodiscard]] std::uint64_t resident_metadata_bytes() const noexcept;

    /// The generation of a slot that is allocated by handle. The page's generations must be committed.
    [[nodiscard]] static inline atomic<std::uint32_t>& generation(std::uint32_t page, std::uint32_t slot) noexcept
    {
        return process_window.generations()[std::size_t{page} * max_slots + slot];
    }
    /// Whether a slot has no generation left, so that no handle can name a further use of it. The page's generations
    /// must be committed.
    [[nodiscard]] static inline bool is_used_up(std::uint32_t page, std::uint32_t slot) noexcept
    {
        return generation(page, slot).load(std::memory_order_relaxed) >= handle_fields::last_generation;
    }
    /// Whether a slab of `slots` slots that begins at `page` may serve handles: at least half of its slots are not used
    /// up. A few more allocations may follow in a slab that is in use. Thread safe. Complexity: linear in the slots,
    /// once the first slot is used up, the one that is handed out first.
    [[nodiscard]] static bool serves_handles(std::uint32_t page, std::uint32_t slots) noexcept;
    /// Makes the generations of `page` usable; false if there is no memory, or no handle can name the page. Thread
    /// safe.
    [[nodiscard]] bool commit_generations(std::uint32_t page) noexcept;
    /// The same for the descriptors of its subslabs.
    [[nodiscard]] bool commit_subslabs(std::uint32_t page) noexcept;
    [[nodiscard]] static inline bool has_generations(std::uint32_t page) noexcept
    {
        return page / unit_pages < process_window.generation_units();
    }

    /// Pages that were ever taken and still belong to the heap.
    [[nodiscard]] inline std::uint32_t used_pages() const noexcept
    {
        return unit_count_.load(std::memory_order_relaxed) * unit_pages -
               static_cast<std::uint32_t>(fresh_.load(std::memory_order_relaxed));
    }
    /// The words, by unit, of the sets of free pages that are resident, and that were large allocations.
    [[nodiscard]] static inline void const* resident_words() noexcept { return process_window.words(0); }
    [[nodiscard]] static inline void const* large_words() noexcept { return process_window.words(2); }
    [[nodiscard]] inline std::uint32_t max_pages() const noexcept { return max_pages_; }
    [[nodiscard]] inline std::uint64_t free_resident_pages() const noexcept
    {
        return free_resident_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] inline std::uint64_t free_purged_pages() const noexcept
    {
        return free_purged_.load(std::memory_order_relaxed);
    }
    /// Bytes of descriptors and page sets of this heap's pages, without those of subslabs and generations.
    [[nodiscard]] std::uint64_t metadata_bytes() const noexcept;
    [[nodiscard]] inline purge_result purged() const noexcept
    {
        return {published_->madvise_calls.load(std::memory_order_relaxed),
                published_->madvise_bytes.load(std::memory_order_relaxed),
                published_->madvise_failures.load(std::memory_order_relaxed)};
    }
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    static constexpr std::uint32_t most_new_runs = 64;
    static constexpr std::uint32_t no_page = ~std::uint32_t{0};   // names none

    [[nodiscard]] page_run next_run(page_set const& set, std::uint32_t from, std::uint32_t longest) const noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool grow(std::uint32_t pages, std::uint32_t step) noexcept
        __attribute__((requires_capability(lock_)));
    /// What `take` is asked for, in pages.
    struct wanted {
        std::uint32_t pages;
        std::uint32_t step;
        std::uint32_t handle_slots;
    };
    [[nodiscard]] static std::uint32_t place_in(page_run run, wanted const& w) noexcept;
    [[nodiscard]] std::uint32_t find_free(wanted const& w) const noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] std::uint32_t find_mixed(wanted const& w) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] std::uint32_t take_fresh(wanted const& w) noexcept __attribute__((requires_capability(lock_)));
    void retire_fresh() noexcept __attribute__((requires_capability(lock_)));
    void publish_sizes() noexcept __attribute__((requires_capability(lock_)));
    void note_fewest() noexcept __attribute__((requires_capability(lock_)));
    void publish_purge(purge_result const& done) noexcept;
    void give_to_window(unit_run r) noexcept;
    void note_units(std::uint32_t more, std::uint32_t fewer) noexcept __attribute__((requires_capability(lock_)));
    void set_fresh(page_run r) noexcept __attribute__((requires_capability(lock_)))
    {
        fresh_.store(std::uint64_t{r.first} << 32 | r.count, std::memory_order_relaxed);
    }
    [[nodiscard]] page_run fresh() const noexcept
    {
        std::uint64_t const word = fresh_.load(std::memory_order_relaxed);
        return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word)};
    }
    void count_purged(page_run run, bool dropped) noexcept;
    [[nodiscard]] static unsigned class_of_page(std::uint32_t i) noexcept;
    [[nodiscard]] unsigned class_of_free_page(std::uint32_t i) const noexcept;

    std::uint64_t const mark_;   // the owner that the window records for its units

    alignas(64) mutex lock_;
    page_set resident_ __attribute__((guarded_by(lock_)));    // free and resident
    page_set purged_ __attribute__((guarded_by(lock_)));      // free and purged
    page_set was_large_ __attribute__((guarded_by(lock_)));   // of the free ones: from a large allocation
    // Withdrawn units may be restored, so they count towards the limit until they are released.
    std::uint32_t withdrawn_ __attribute__((guarded_by(lock_))) = 0;
    std::array<std::uint32_t, static_cast<std::size_t>(watcher::count_)> fewest_
        __attribute__((guarded_by(lock_))){};   // see unwanted_pages
    page_figures own_figures_;
    page_figures* const published_;
    // Changed under the lock; the published figures are copies.
    atomic<std::uint64_t> free_resident_{0};   // pages
    atomic<std::uint64_t> free_purged_{0};
    atomic<std::uint32_t> first_run_{0};
    unit_list units_;
    atomic<std::uint32_t> unit_count_{0};
    atomic<std::uint64_t> fresh_{0};   // pages never taken, at the end of the newest mapping: the first, and how many

    std::uint32_t max_pages_ = 0;
    std::uint32_t const least_units_;   // the fewest units that are mapped at once
    bool const huge_pages_;
};

}
