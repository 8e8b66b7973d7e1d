// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The pages of one heap: one reserved range of addresses, descriptor i beside page i, and two sets of free pages,
// those still resident and those given back. From pointer to descriptor is a subtraction and a shift.
// Address space is committed in chunks and never moves or goes away while the heap lives.
module;
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
export module tslab.slab:page_heap;

import tslab.stats;
import :size_class;
import :descriptor;
import :mutex;
import :page_set;

export namespace tslab {

/// What handing pages back to the kernel came to.
struct purge_result {
    std::uint64_t calls = 0;      ///< madvise calls, one for each run of neighbouring pages
    std::uint64_t bytes = 0;      ///< bytes of the calls that succeeded
    std::uint64_t failures = 0;   ///< calls that failed: their pages stay resident and usable
    std::uint64_t asked = 0;      ///< bytes of all calls, if it was to be looked what became of them; else 0
    std::uint64_t gone = 0;       ///< of those, no longer resident right afterwards

    inline purge_result& operator+=(purge_result const& more) noexcept
    {
        calls += more.calls;
        bytes += more.bytes;
        failures += more.failures;
        asked += more.asked;
        gone += more.gone;
        return *this;
    }
};

/// A part of the address space that grows.
struct told_range {
    std::uint64_t begin = 0;
    atomic<std::uint64_t> bytes{0};
};

/// What is told of the pages. Written under the heap's lock or by shared counters; any thread may read it.
struct page_figures {
    struct class_purges {
        counter calls, bytes, failures;
    };
    std::array<class_purges, class_count + 1> purges{};
    atomic<std::uint32_t> used_pages{0};
    atomic<std::uint64_t> free_resident{0};
    atomic<std::uint64_t> free_purged{0};
    atomic<std::uint64_t> unwanted{0};   ///< of the resident ones, those that nobody took since a decay last looked
    atomic<std::uint64_t> madvise_calls{0};
    atomic<std::uint64_t> madvise_bytes{0};
    atomic<std::uint64_t> madvise_failures{0};
    atomic<std::uint64_t> metadata_bytes{0};   ///< see page_heap::metadata_bytes
    std::array<told_range, 4> metadata{};      ///< descriptors, blocks, sets, generations
};

/// From an address to its page's descriptor: a subtraction, a comparison and a shift. Read on every free.
class address_map {
public:
    /// The descriptor of the page `p` lies in; null when `p` is in no page that may be touched. Thread safe.
    [[nodiscard]] inline slab* find(void const* p) const noexcept
    {
        std::uintptr_t const offset = reinterpret_cast<std::uintptr_t>(p) - base_;
        // relaxed: a pointer that was handed out was published by whatever handed it over.
        if (offset >= committed_.load(std::memory_order_relaxed)) [[unlikely]]
            return nullptr;
        slab* const s = slabs_ + (offset >> page_shift);
        __builtin_assume(s != nullptr);
        return s;
    }

    /// What a free needs to know of a bin, in one cache line.
    struct alignas(64) bin_entry {
        std::uintptr_t first = 0;        ///< the descriptor of the first page, or of its first block
        std::uintptr_t block_mask = 0;   ///< what of an address in the range tells its block
        std::uint32_t offset_mask = 0;   ///< these as in bin_geometry
        std::uint32_t reciprocal = 0;
        std::uint32_t size = 0;
        std::uint32_t shift = 0;   ///< a page's descriptor and a page, like a block's and the smallest block, are in a
                                   ///< fixed ratio
        std::uint64_t full_mask = 0;
        std::uint64_t absent_mask = 0;

        /// The descriptor of the block that `p` lies in if it is a slot of this bin. For an address outside the range too it
        /// is memory that can be read as a descriptor: whether `p` is a slot of that block is for the caller to see.
        [[nodiscard, gnu::always_inline]] inline slab* block_of(std::uintptr_t p) const noexcept
        {
            return reinterpret_cast<slab*>(first + ((p & block_mask) >> shift));
        }
        /// Which slot of its block `p` would be, if it is the first byte of one.
        [[nodiscard, gnu::always_inline]] inline std::uint32_t slot_of(std::uintptr_t p) const noexcept
        {
            std::uint32_t const offset = static_cast<std::uint32_t>(p) & offset_mask;
            return static_cast<std::uint32_t>(std::uint64_t{offset} * reciprocal >> 32);
        }
    };

    constexpr address_map() noexcept = default;
    /// Knows no address, and says so of each.
    struct of_nothing {};
    explicit address_map(of_nothing) noexcept
    {
        for (bin_entry& e : entries_)
            e.first = reinterpret_cast<std::uintptr_t>(&no_slab);
    }

    /// Whether `p` is in a page that may be touched, and has a descriptor. Thread safe.
    [[nodiscard]] inline bool covers(void const* p) const noexcept
    {
        return reinterpret_cast<std::uintptr_t>(p) - base_ < committed_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] inline bin_entry const& entry(unsigned bin) const noexcept { return entries_[bin]; }
    /// The same by the bin's code.
    [[nodiscard, gnu::always_inline]] inline bin_entry const& entry_at(std::size_t code) const noexcept
    {
        static_assert(sizeof(bin_entry) == 2 * bin_code_step);
        return *reinterpret_cast<bin_entry const*>(reinterpret_cast<std::byte const*>(entries_.data()) + 2 * code);
    }
    /// The descriptor of the block that `p` would lie in if it were a slot of `bin`; null when `p` is in no page that may be
    /// touched. Thread safe.
    [[nodiscard]] inline slab* find_block(void const* p, unsigned bin) const noexcept
    {
        return covers(p) ? entries_[bin].block_of(reinterpret_cast<std::uintptr_t>(p)) : nullptr;
    }

private:
    friend class page_heap;

    static constexpr std::uint32_t page_ratio = std::countr_zero(page_bytes / sizeof(slab));
    static constexpr std::uint32_t block_ratio = std::countr_zero(block_step / sizeof(slab));

    std::array<bin_entry, bin_count> entries_{};   // first, so that twice a code is the distance from the map
    std::uintptr_t base_ = 0;
    atomic<std::size_t> committed_{0};   // bytes of pages that may be touched, descriptors included
    slab* slabs_ = nullptr;
    slab* blocks_ = nullptr;   // max_blocks for each page, for slabs of several blocks
};

/// Knows no address: every pointer goes the way of the unknown ones.
inline address_map const empty_map{address_map::of_nothing{}};

class page_heap {
public:
    /// Reserves up to `reserve_bytes` (0: a default by the machine's memory), less where the system refuses so much.
    /// Throws std::bad_alloc when not even a small range can be had.
    /// `huge_pages`: asks the kernel for huge pages, and makes room in steps of them.
    /// `told`: where its figures go; they must live as long as it does.
    explicit page_heap(std::size_t reserve_bytes, bool huge_pages = false, page_figures* told = nullptr);
    ~page_heap();
    page_heap(page_heap const&) = delete;
    page_heap& operator=(page_heap const&) = delete;

    /// See address_map. Thread safe.
    [[nodiscard]] inline slab* find(void const* p) const noexcept { return map_.find(p); }
    [[nodiscard]] inline address_map const& map() const noexcept { return map_; }
    [[nodiscard]] inline std::uint32_t index_of(slab const& s) const noexcept
    {
        return static_cast<std::uint32_t>(&s - map_.slabs_);
    }
    [[nodiscard]] inline slab& at(std::uint32_t index) const noexcept { return map_.slabs_[index]; }
    /// The descriptors of the blocks that page `index` may have.
    [[nodiscard]] inline slab* blocks_at(std::uint32_t index) const noexcept
    {
        return map_.blocks_ + std::size_t{index} * max_blocks;
    }
    /// The slab that a further page of a slab belongs to, as its tag says; `s` itself for every other page.
    [[nodiscard]] inline slab* first_page_of(slab* s) const noexcept
    {
        std::uint8_t const tag = s->tag.load(std::memory_order_relaxed);
        if (tag < tag_inside || tag >= tag_inside + bin_count) [[likely]]
            return s;
        std::uint32_t const pages = bins[tag - tag_inside].pages;
        return map_.slabs_ + (index_of(*s) & ~(pages - 1));
    }

    /// Whether `p` lies in the reserved range, used or not. Thread safe.
    [[nodiscard]] inline bool reserves(void const* p) const noexcept
    {
        return reinterpret_cast<std::uintptr_t>(p) - map_.base_ < std::size_t{max_pages_} << page_shift;
    }

    /// `pages` neighbouring free pages at a multiple of `alignment` (bytes, a power of two, at least a page), resident
    /// ones first; null when there is no memory. The descriptor of the first has its base set and is otherwise as it was
    /// left. Thread safe.
    [[nodiscard]] slab* take(std::uint32_t pages, std::size_t alignment, lock_site const& site = {}) noexcept;

    /// Takes free pages back; they are counted as resident until a purge. `large`: they were a large allocation, whatever
    /// their descriptors say of earlier times. Thread safe.
    void give(slab& first, std::uint32_t pages, bool large = false, lock_site const& site = {}) noexcept;

    /// The same for pages that are not resident: purge_of_slab gave them to the kernel. Thread safe.
    void give_purged(slab& first, std::uint32_t pages, lock_site const& site = {}) noexcept;

    /// Hands pages of a slab of class `c` to the kernel, in one call, and adds what came of it to `done`; false when it refuses.
    /// The caller keeps everybody else from them. `look`: as of purge. Thread safe.
    bool purge_of_slab(std::byte* begin, std::uint32_t pages, unsigned c, bool look, purge_result& done) noexcept;

    /// Takes a chain of slabs of `pages` pages each back, linked by `next`, under one lock. Thread safe.
    void give_chain(slab* first, std::uint32_t pages, lock_site const& site) noexcept;

    /// Hands free resident pages to the kernel, neighbours in one call: at most `most` of them, those with the highest
    /// addresses, since the lowest are handed out first. Thread safe; the calls are made without the lock, their pages in
    /// nobody's hands meanwhile. `look`: asks the kernel afterwards how much of it really went.
    purge_result purge(bool look = false, std::uint64_t most = ~std::uint64_t{0}) noexcept;

    /// Who asks for the pages that nobody wanted: each has a period of its own, see unwanted_pages.
    enum class watcher : std::uint8_t { of_time, of_work, count_ };
    /// The fewest free resident pages there were since this watcher last asked. Begins a new period. Thread safe.
    [[nodiscard]] std::uint32_t unwanted_pages(watcher who) noexcept;
    /// What was purged of pages that were slabs of class `c` last, or a large allocation: a call counts for the class of
    /// its first page, bytes for each page's own.
    [[nodiscard]] purge_result purged_of(unsigned c) const noexcept;

    /// Where the descriptors of pages and of blocks begin, and the words of the sets of free pages that are
    /// resident and that were large allocations.
    [[nodiscard]] inline slab const* descriptors() const noexcept { return map_.slabs_; }
    [[nodiscard]] inline slab const* block_descriptors() const noexcept { return map_.blocks_; }
    [[nodiscard]] inline void const* resident_words() const noexcept { return resident_words_; }
    [[nodiscard]] inline void const* large_words() const noexcept { return large_words_; }
    /// Where the pages begin.
    [[nodiscard]] inline void const* first_page() const noexcept { return reinterpret_cast<void const*>(map_.base_); }

    /// The class of which page `i` was a slab last, large_class if it was part of a large allocation, if it is free and
    /// resident; class_count + 1 otherwise. For statistics, without a lock.
    [[nodiscard]] unsigned free_resident_class(std::uint32_t i) const noexcept;
    /// Bytes of descriptors, generations and page sets that are resident.
    [[nodiscard]] std::uint64_t resident_metadata_bytes() const noexcept;

    /// The generation of a slot that is handed out by handle. The page's generations must be committed.
    [[nodiscard]] inline atomic<std::uint32_t>& generation(std::uint32_t page, std::uint32_t slot) const noexcept
    {
        return generations_[std::size_t{page} * max_slots + slot];
    }
    /// Makes the generations of `page` usable; false when there is no memory. Thread safe.
    [[nodiscard]] bool commit_generations(std::uint32_t page) noexcept;
    [[nodiscard]] inline bool has_generations(std::uint32_t page) const noexcept
    {
        return page < generation_pages_.load(std::memory_order_acquire);
    }

    [[nodiscard]] inline std::uint32_t used_pages() const noexcept { return next_.load(std::memory_order_acquire); }
    [[nodiscard]] inline std::uint32_t max_pages() const noexcept { return max_pages_; }
    [[nodiscard]] inline std::uint64_t free_resident_pages() const noexcept
    {
        return told_->free_resident.load(std::memory_order_relaxed);
    }
    [[nodiscard]] inline std::uint64_t free_purged_pages() const noexcept
    {
        return told_->free_purged.load(std::memory_order_relaxed);
    }
    /// Bytes of descriptors, generations and page sets that have been made usable.
    [[nodiscard]] std::uint64_t metadata_bytes() const noexcept;
    [[nodiscard]] inline purge_result purged() const noexcept
    {
        return {told_->madvise_calls.load(std::memory_order_relaxed),
                told_->madvise_bytes.load(std::memory_order_relaxed),
                told_->madvise_failures.load(std::memory_order_relaxed)};
    }
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }
    [[nodiscard]] inline mutex const& lock_for_counts() const noexcept { return lock_; }

private:
    [[nodiscard]] bool grow(std::uint32_t pages) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] std::uint32_t find_free(std::uint32_t pages, std::uint32_t step) const noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] std::uint32_t find_mixed(std::uint32_t pages, std::uint32_t step) noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] std::uint32_t take_fresh(std::uint32_t pages, std::uint32_t step) noexcept
        __attribute__((requires_capability(lock_)));
    void publish_sizes() noexcept __attribute__((requires_capability(lock_)));
    void note_fewest() noexcept __attribute__((requires_capability(lock_)));
    void publish_metadata() noexcept;
    void count_purged(page_run run, bool dropped) noexcept;
    [[nodiscard]] unsigned class_of_page(std::uint32_t i) const noexcept;
    [[nodiscard]] unsigned class_of_free_page(std::uint32_t i) const noexcept;

    address_map map_;
    atomic<std::uint32_t>* generations_ = nullptr;

    alignas(64) mutex lock_;
    page_set resident_ __attribute__((guarded_by(lock_)));    // free, memory still behind them
    page_set purged_ __attribute__((guarded_by(lock_)));      // free, given back
    page_set was_large_ __attribute__((guarded_by(lock_)));   // of the free ones: from a large allocation
    std::array<std::uint32_t, static_cast<std::size_t>(watcher::count_)> fewest_
        __attribute__((guarded_by(lock_))){};   // see unwanted_pages
    atomic<std::uint32_t> next_{0};             // first page never taken
    atomic<std::uint32_t> generation_pages_{0};
    page_figures own_figures_;
    page_figures* const told_;

    std::uint32_t max_pages_ = 0;
    std::uint32_t commit_step_;   // pages are made usable in multiples of it
    void* mapping_ = nullptr;
    std::size_t mapping_bytes_ = 0;
    std::size_t sets_bytes_ = 0;
    void const* resident_words_ = nullptr;
    void const* large_words_ = nullptr;
};

}
