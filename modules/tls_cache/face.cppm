// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Faces: what is told of a heap, its threads, its lanes and its epochs, where other processes may read it (see segment).
// Counters live here and nowhere else; of what the heap relies on, here is a copy that it never reads.
module;
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
export module tslab.tls_cache:face;

import tslab.stats;
import tslab.slab;

export namespace tslab {

/// The row of counters by class for what is done for an epoch as a whole.
inline constexpr unsigned no_class = large_class + 1;

/// What is put right on the way, in the order the statistics name the reasons: a slab listed with free slots that had none, one
/// on a list that somebody was taking back, a slot in both words.
inline constexpr std::array repair_reasons{class_event::adopt_mismatch, class_event::adopt_lost,
                                           class_event::repair_twice};

/// In which order a thread looks through the slabs of a class that no lane holds. In sequence the warmest comes first; when
/// too many of its claims are spoiled by others, it begins further on, at a place of its own, until that has calmed down.
/// Decided at the end of each window of slow-path allocations, without a clock, and not again for some windows after a
/// change. The thread's own; statistics read `rotated`.
class scan_order {
public:
    static constexpr std::uint32_t window = 64;         ///< slow-path allocations
    static constexpr std::uint32_t dwell = 4;           ///< windows after a change in which nothing changes
    static constexpr std::uint32_t rotate_above = 30;   ///< spoiled claims per 100 allocations of a window
    static constexpr std::uint32_t straighten_below = 10;

    inline void note_spoiled() noexcept { ++spoiled_; }
    /// Notes a slow-path allocation; `counts` gets the checks and changes.
    inline void note_allocation(class_counters& counts) noexcept
    {
        if (++allocations_ < window) [[likely]]
            return;
        check(counts);
    }
    /// For the record's next thread.
    inline void restart() noexcept
    {
        allocations_ = spoiled_ = quiet_ = 0;
        rotated_.store(0, std::memory_order_relaxed);
    }
    [[nodiscard]] inline bool rotated() const noexcept { return rotated_.load(std::memory_order_relaxed) != 0; }

private:
    void check(class_counters& counts) noexcept
    {
        std::uint32_t const per_hundred = spoiled_ * 100 / allocations_;
        allocations_ = 0;
        spoiled_ = 0;
        counts[class_event::scan_check].add();
        if (quiet_ != 0) {
            --quiet_;
        } else if (rotated() ? per_hundred < straighten_below : per_hundred > rotate_above) {
            rotated_.store(rotated() ? 0 : 1, std::memory_order_relaxed);
            quiet_ = dwell;
            counts[class_event::scan_switch].add();
        }
    }

    std::uint32_t allocations_ = 0;
    std::uint32_t spoiled_ = 0;
    std::uint32_t quiet_ = 0;
    atomic<std::uint8_t> rotated_{0};   // other processes may have written it
};

/// Up to 31 bytes of text that one thread at a time writes and any thread reads, whole words at a time.
class shared_text {
public:
    static constexpr std::size_t capacity = 31;

    /// What can be kept of a text: up to its first NUL, `capacity` bytes at most.
    [[nodiscard]] static constexpr std::string_view fitting(std::string_view text) noexcept
    {
        return text.substr(0, text.find('\0')).substr(0, capacity);
    }

    using packed = std::array<std::uint64_t, 4>;
    /// What can be kept of a text, as words: equal texts give equal words.
    [[nodiscard]] static inline packed pack(std::string_view text) noexcept
    {
        packed words{};
        if (text.empty())   // it may have no address
            return words;
        if (text.size() > capacity || std::memchr(text.data(), 0, text.size()) != nullptr) [[unlikely]]
            text = fitting(text);
        std::memcpy(words.data(), text.data(), text.size());
        return words;
    }

    /// Keeps what fits.
    inline void assign(std::string_view text) noexcept { assign(pack(text)); }
    inline void assign(packed const& words) noexcept
    {
        for (std::size_t i = 0; i < words.size(); ++i)
            words_[i].store(words[i], std::memory_order_relaxed);
    }
    [[nodiscard]] inline bool is(packed const& words) const noexcept
    {
        std::uint64_t difference = 0;
        for (std::size_t i = 0; i < words.size(); ++i)
            difference |= words_[i].load(std::memory_order_relaxed) ^ words[i];
        return difference == 0;
    }
    struct copy {
        std::array<char, 32> bytes{};
        [[nodiscard]] inline std::string_view view() const noexcept
        {
            return {bytes.data(), std::strlen(bytes.data())};
        }
    };
    [[nodiscard]] inline copy read() const noexcept
    {
        copy out;
        for (std::size_t i = 0; i < words_.size(); ++i) {
            std::uint64_t const word = words_[i].load(std::memory_order_relaxed);
            std::memcpy(out.bytes.data() + i * sizeof(word), &word, sizeof(word));
        }
        out.bytes.back() = '\0';
        return out;
    }

private:
    std::array<atomic<std::uint64_t>, 4> words_{};
};
static_assert(sizeof(shared_text::packed) > shared_text::capacity);

/// What is told of a lane. Figures of its bins are as they were when it last took the slow way.
struct lane_face {
    atomic<lane_face*> next{nullptr};   ///< of the same thread, older
    atomic<std::uint64_t> lane{0};      ///< its address
    atomic<std::uint64_t> era{0};       ///< of the epoch it works for; 0 while it is not at work
    atomic<std::uint32_t> slot{0};
    counter counted_frees;
    std::array<counter, bin_count> allocations;
    std::array<atomic<std::uint32_t>, bin_count> held{};   ///< slabs
};

/// What a thread counted of one class, or of epochs as a whole, under a few neighbouring labels. Made when there is something to count:
/// most threads see few labels.
struct label_rows {
    static constexpr std::uint32_t labels = 4;
    static constexpr std::uint32_t groups = label_buckets / labels;

    std::array<contention_counters, labels> of;
};
static_assert(label_buckets % label_rows::labels == 0);

/// What a thread counted of one class, or of epochs as a whole. Made when there is something to count.
struct class_face {
    class_counters events;
    std::array<atomic<label_rows*>, label_rows::groups> contention{};   ///< null where nothing was counted
    lock_times waits;
};

/// What sampling found. Made when there is a sample.
struct timing_face {
    timing_counters allocations;
    timing_counters repairs;
    timing_counters allocations_before;   ///< as thread_face::allocations_before
    timing_counters repairs_before;
};

/// What is told of a thread's record, and counted by it.
struct alignas(64) thread_face {
    static constexpr unsigned rows = no_class + 1;   ///< the last but one: large allocations

    atomic<thread_face*> next{nullptr};        ///< of the same heap, older
    atomic<lane_face*> lanes{nullptr};         ///< newest first
    atomic<std::uint8_t> alive{1};             ///< a thread has the record
    atomic<std::uint32_t> retained_pages{0};   ///< of empty slabs that it keeps

    heap_counters counts;
    std::array<atomic<class_face*>, rows> classes{};   ///< null where nothing was counted
    atomic<timing_face*> times{nullptr};               ///< likewise
    std::array<scan_order, class_count> scans{};

    std::array<counter, label_buckets> escapes;   ///< allocations from the default resource inside a scope, by label
    std::array<counter, label_buckets> escaped_bytes;

    atomic<std::uint64_t> thread_id{0};
    // What the counters stood at when the present thread got the record: the threads before are not this one's.
    atomic<std::uint64_t> allocations_before{0};
    atomic<std::uint64_t> slow_paths_before{0};
    std::array<atomic<std::uint64_t>, repair_reasons.size()> repairs_before{};
};

/// How often something happened to a thread in all classes; `row(c)` is what it counted of class c, or null.
template <class Row> [[nodiscard]] std::uint64_t sum_of_classes(class_event e, Row row) noexcept
{
    std::uint64_t n = 0;
    for (unsigned c = 0; c <= large_class; ++c)
        if (class_face const* const of_class = row(c))
            n += of_class->events[e].value();
    return n;
}

/// A domain that is still inside.
struct told_entry {
    atomic<std::uint32_t> place{0};   ///< where it came in: see place_directory
    atomic<std::uint64_t> entered_ns{0};
    atomic<std::uint64_t> order{0};   ///< 0: none; else the n-th enter, the smallest is the oldest
};

/// What is told of a ring slot. Written under its shelf's lock; fields belong to the era that is read before and after them.
struct alignas(64) epoch_face {
    static constexpr std::uint32_t tracked_entries = 4;

    atomic<epoch_face*> next{nullptr};   ///< of the same heap, of the ring slot before
    atomic<std::uint32_t> index{0};      ///< of the ring slot
    atomic<std::uint64_t> era{0};        ///< this and the next three: copies
    atomic<lifecycle> state{lifecycle::idle};
    atomic<std::uint32_t> holds{0};
    atomic<std::uint32_t> label_id{0};
    shared_text label;
    atomic<std::uint64_t> opened_ns{0};
    atomic<std::uint64_t> closing_ns{0};   ///< when it was first seen CLOSING and not drained; 0: not yet
    counter allocations;                   ///< of lanes no longer attached, and large ones
    counter enters;
    counter exits;
    std::array<told_entry, tracked_entries> entries;
    atomic<std::uint64_t> rss_before_close{0};
    atomic<std::uint64_t> rss_after_close{0};
    atomic<std::uint64_t> closed_madvise_bytes{0};
    atomic<std::uint64_t> closed_asked_bytes{0};
    atomic<std::uint64_t> closed_gone_bytes{0};
    std::array<atomic<std::uint32_t>, bin_count> listed{};   ///< slabs no lane holds
    atomic<std::uint64_t> large_pages{0};
    atomic<std::uint64_t> large_count{0};
};

/// A place in the program at which domains are entered. Texts that are too long lose their beginning.
struct told_place {
    std::uint32_t line = 0;
    std::array<char, 220> file{};   ///< ends with a NUL, as the next one
    std::array<char, 288> function{};
};

/// The places by number. A number is given once, found again by the address of the file's name and the line.
struct place_directory {
    static constexpr std::uint32_t capacity = 512;
    static constexpr std::uint32_t unknown = capacity;

    std::array<atomic<std::uint64_t>, capacity> keys{};
    std::array<atomic<told_place*>, capacity> places{};
};

/// The last close that the program asked for.
struct last_close_face {
    atomic<std::uint32_t> version{0};   ///< odd while it changes
    atomic<std::uint64_t> timestamp_ns{0};
    atomic<std::uint64_t> index{0};
    atomic<std::uint64_t> era{0};
    shared_text label;
    std::array<atomic<std::uint64_t>, 10> figures{};   ///< in the order of close_stats

    /// One thread at a time.
    void tell(std::uint64_t when, std::uint32_t slot, std::uint64_t of_era, std::string_view name,
              std::array<std::uint64_t, 10> const& of) noexcept
    {
        std::uint32_t const before = version.load(std::memory_order_relaxed);
        version.store(before + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);   // whoever sees a new figure sees the odd version
        timestamp_ns.store(when, std::memory_order_relaxed);
        index.store(slot, std::memory_order_relaxed);
        era.store(of_era, std::memory_order_relaxed);
        label.assign(name);
        for (std::size_t i = 0; i < of.size(); ++i)
            figures[i].store(of[i], std::memory_order_relaxed);
        version.store(before + 2, std::memory_order_release);
    }
};

/// The records of ring slots lie in rows, each twice as long as the one before, so that a heap with few has few.
struct shelf_table {
    static constexpr std::uint32_t first = 8;   ///< slots of the first two rows
    static constexpr unsigned most = 14;        ///< rows, for 65,536 slots

    [[nodiscard]] static constexpr unsigned row_of(std::uint32_t slot) noexcept
    {
        return static_cast<unsigned>(std::bit_width(slot / first));
    }
    [[nodiscard]] static constexpr std::uint32_t begin_of(unsigned row) noexcept
    {
        return row == 0 ? 0 : first << (row - 1);
    }
    /// Slots of a row.
    [[nodiscard]] static constexpr std::uint32_t size_of(unsigned row) noexcept
    {
        return row == 0 ? first : begin_of(row);
    }
};
static_assert(shelf_table::begin_of(shelf_table::most - 1) + shelf_table::size_of(shelf_table::most - 1) == 65'536);

/// Whether the heap's unwanted memory goes in the background, too.
enum class background_state : std::uint8_t {
    off,       ///< not asked for
    on,        ///< the thread is there
    failed,    ///< it could not be had; tried again while the heap is used
    pending,   ///< in a forked child, until the heap is used
    count_
};
/// Whether it goes when the control group is short of memory.
enum class pressure_state : std::uint8_t { off, watching, unavailable, count_ };

/// What made free pages go to the kernel. Closes, trims and want of memory are not among these.
enum class purge_cause : std::uint8_t {
    time,         ///< nobody wanted them for an interval, as a thread at work found
    work,         ///< nobody wanted them while much was allocated
    background,   ///< nobody wanted them for an interval, as the background thread found
    pressure,     ///< the control group is short of memory
    count_
};

/// What is told of a heap as a whole, and where the rest is.
struct alignas(64) heap_face {
    atomic<std::uint64_t> number{0};               ///< of the heap in its process, from 1; 0 until all is there
    atomic<segment_chunk*> first_chunk{nullptr};   ///< of those that the heap has
    std::array<char, 64> name{};                   ///< ends with a NUL
    std::uint32_t epoch_count = 0;
    std::uint32_t slab_cache = 0;   ///< pages kept a class
    std::uint8_t reclaim = 0;
    atomic<std::uint8_t> sampling{0};
    atomic<background_state> background{background_state::off};
    atomic<pressure_state> pressure{pressure_state::off};
    std::uint64_t decay_ns = 0;
    std::uint64_t thread_cache_bytes = 0;
    std::array<counter, static_cast<std::size_t>(purge_cause::count_)>
        purge_passes{};                 ///< that gave pages to the kernel
    atomic<std::uint64_t> current{0};   ///< ring index in 16 bits, era above
    atomic<std::uint64_t> arena_bytes{0};
    atomic<std::uint64_t> segment_bytes{0};

    page_figures pages;
    std::array<atomic<std::uint32_t>, class_count> cached{};   ///< slabs
    std::array<counter, misuse_count> misuses{};
    std::array<class_counters, class_count + 1> strays{};   ///< of threads without a record
    heap_counters stray_events{};
    last_close_face last_close;

    atomic<std::uint32_t> labels_used{0};
    std::array<shared_text, label_buckets - 2> labels{};
    counter labels_in_overflow;
    counter labels_cut;

    atomic<thread_face*> threads{nullptr};      ///< newest first
    atomic<epoch_face*> epochs{nullptr};        ///< of the ring slots that were opened, the last one first
    atomic<std::uint32_t> prepared_epochs{0};   ///< how many those are
    atomic<place_directory*> places{nullptr};   ///< made with the first domain

    // For whoever may read the process's memory as well: where what cannot be told here is.
    std::uint64_t descriptors = 0;   ///< of pages, by their numbers
    std::uint64_t blocks = 0;        ///< descriptors of blocks
    std::uint64_t generations = 0;
    std::uint64_t first_page = 0;   ///< where page 0 would begin
    std::uint64_t unit_links = 0;   ///< by which runs of the heap's units are linked: see page_figures::first_run
    std::uint64_t max_units = 0;
    atomic<std::uint64_t> arena{0};                                   ///< the piece made last
    std::array<atomic<std::uint64_t>, shelf_table::most> shelves{};   ///< see shelf_table
    std::uint64_t shelf_bytes = 0;
    std::uint64_t reclaiming_mark = 0;   ///< what `owner` says when it names no lane
    std::uint64_t nowhere_mark = 0;
    std::uint64_t free_resident_words = 0;   ///< page_set of free pages with memory behind them
    std::uint64_t free_large_words = 0;      ///< of those that were large allocations
};

/// Where a heap is found. What a reader sees of a heap was all of that heap if it finds the number here afterwards, too: numbers are given
/// once, and a heap's records are used for others only after the number is gone from here.
struct heap_root {
    atomic<std::uint64_t> number{0};   ///< 0: none
    atomic<heap_face*> face{nullptr};
};

/// The first record of a segment, and the ones that follow it when there are more heaps.
struct heap_directory {
    static constexpr std::size_t capacity = 128;

    atomic<heap_directory*> next{nullptr};
    std::array<heap_root, capacity> heaps{};
};

/// Of the records above and of what is read beside them: two builds with the same number understand each other.
[[nodiscard]] std::uint64_t layout_number() noexcept;

}
