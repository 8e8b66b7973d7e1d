// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Stats pages: the figures that a heap, its threads, its thread caches and its epochs publish. They are in the segment,
// where other processes may read them (see segment). Counters exist only here; control state that the heap relies on is
// mirrored here, and the mirror is write-only: the heap never reads it.
#pragma once

export namespace tslab {

/// The row of the counters by class for events that concern an epoch as a whole.
inline constexpr unsigned no_class = large_class + 1;

/// The inconsistencies that the slow path repairs, in the order in which the statistics name them: a slab on the
/// partial list without a free slot, a slab on a list that another thread was reclaiming, a slot in both words.
inline constexpr std::array repair_reasons{class_event::adopt_mismatch, class_event::adopt_lost,
                                           class_event::repair_twice};

/// Up to 31 bytes of text, stored as words. One thread at a time writes it and any thread may read it; each word is
/// read whole, so a reader that races a writer may see parts of both texts, and always a terminated one.
class shared_text {
public:
    static constexpr std::size_t capacity = 31;

    /// The part of a text that is stored: up to its first NUL, whole characters of `capacity` bytes at most.
    [[nodiscard]] static constexpr std::string_view fitting(std::string_view text) noexcept
    {
        return fitting_prefix(text.substr(0, text.find('\0')), capacity);
    }

    using packed = std::array<std::uint64_t, 4>;
    /// The stored part of a text as words: equal texts give equal words.
    [[nodiscard]] static inline packed pack(std::string_view text) noexcept
    {
        packed words{};
        if (text.empty())   // an empty view may be null
            return words;
        if (text.size() > capacity || std::memchr(text.data(), 0, text.size()) != nullptr) [[unlikely]]
            text = fitting(text);
        std::memcpy(words.data(), text.data(), text.size());
        return words;
    }
    /// Stores the part of the text that fits.
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

/// Names of labels that have no bucket, with successive numbers: costs alone tell them apart.
using further_label_names = std::array<shared_text, 64>;
struct label_page {
    static constexpr std::uint32_t capacity = std::tuple_size_v<further_label_names>;

    atomic<label_page*> next{nullptr};   ///< made before this one
    std::uint32_t first = 0;             ///< number of the first name
    further_label_names names;
};

/// The stats page of a thread cache. The figures of its bins are those of its last slow path.
struct cache_stats_page {
    atomic<cache_stats_page*> next{nullptr};   ///< the thread's next older cache
    atomic<std::uint64_t> cache{0};            ///< address of the thread cache
    atomic<std::uint64_t> era{0};              ///< of the epoch it is attached to; 0 while detached
    atomic<std::uint32_t> slot{0};
    counter counted_frees;
    std::array<counter, bin_count> allocations;
    std::array<atomic<std::uint32_t>, bin_count> owned{};   ///< slabs owned, by bin
};

/// A thread's contention counters for one class, or for epochs as a whole, under a few neighbouring labels. Made when
/// the first event is counted: most threads see few labels.
struct label_rows {
    static constexpr std::uint32_t labels = 4;
    static constexpr std::uint32_t groups = label_buckets / labels;

    std::array<contention_counters, labels> of;
};
static_assert(label_buckets % label_rows::labels == 0);

/// A thread's counters for one class, or for epochs as a whole. Made when the first event is counted.
struct class_stats_page {
    class_counters events;
    std::array<atomic<label_rows*>, label_rows::groups> contention{};   ///< null where nothing was counted
    lock_times waits;
};

/// A thread's sampled times. Made with the first sample.
struct timing_stats_page {
    timing_counters allocations;
    timing_counters frees;
    timing_counters repairs;
    timing_counters allocations_before;   ///< values when the present thread got the record
    timing_counters frees_before;
    timing_counters repairs_before;
};

/// A thread's contention events, and behind them its attempts to claim slots: allocating, freeing.
inline constexpr std::size_t thread_contention_count = contention_event_count + 2;

/// The stats page of a thread's record, with the thread's counters.
struct alignas(64) thread_stats_page {
    static constexpr unsigned rows = no_class + 1;   ///< classes, then large allocations, then no_class

    atomic<thread_stats_page*> next{nullptr};    ///< the heap's next older record
    atomic<cache_stats_page*> caches{nullptr};   ///< newest first
    atomic<std::uint8_t> alive{1};               ///< 1 while a thread has the record
    atomic<std::uint32_t> retained_pages{0};     ///< of the empty slabs that the thread retains

    heap_counters counts;
    std::array<atomic<class_stats_page*>, rows> classes{};     ///< null where nothing was counted
    atomic<timing_stats_page*> times{nullptr};                 ///< likewise
    atomic<lock_histograms*> locks{nullptr};                   ///< made when a lock is timed first
    atomic<cost_row*> costs{nullptr};                          ///< newest first
    std::array<atomic<std::uint8_t>, class_count> rotated{};   ///< 1 where scan_order is rotated

    std::array<counter, label_buckets> escapes;   ///< allocations from the default resource inside a scope, by label
    std::array<counter, label_buckets> escaped_bytes;

    atomic<std::uint64_t> clock_ns{0};   ///< now_ns_coarse when the thread last looked
    atomic<std::uint64_t> thread_id{0};
    atomic<std::uint64_t> tid{0};   ///< the system's number of the present thread
    // The counters' values when the present thread got the record: events before that belong to earlier threads.
    atomic<std::uint64_t> allocations_before{0};
    atomic<std::uint64_t> slow_paths_before{0};
    std::array<atomic<std::uint64_t>, repair_reasons.size()> repairs_before{};
    std::array<atomic<std::uint64_t>, thread_contention_count> contention_before{};
};

/// The number of events `e` that a thread counted, in all classes. `row(c)` returns the thread's page for class c, or
/// null.
template <class Row> [[nodiscard]] std::uint64_t sum_of_classes(class_event e, Row row) noexcept
{
    std::uint64_t n = 0;
    for (unsigned c = 0; c <= large_class; ++c)
        if (class_stats_page const* const of_class = row(c))
            n += of_class->events[e].value();
    return n;
}

/// A thread's contention in all classes and epochs. `row(c)` as above; `labels(c, group)`: a group of its labels, or null.
template <class Row, class Labels>
[[nodiscard]] std::array<std::uint64_t, thread_contention_count> sum_of_contention(Row row, Labels labels) noexcept
{
    std::array<std::uint64_t, thread_contention_count> n{};
    for (unsigned c = 0; c <= no_class; ++c)
        for (std::uint32_t group = 0; group < label_rows::groups; ++group)
            if (label_rows const* const rows = labels(c, group))
                for (contention_counters const& of_label : rows->of)
                    for (std::size_t e = 0; e < contention_event_count; ++e)
                        n[e] += of_label.events[e].value();
    n[contention_event_count] =
        sum_of_classes(class_event::collect, row) + sum_of_classes(class_event::adopt_attempt, row);
    n[contention_event_count + 1] = sum_of_classes(class_event::remote_free, row);
    return n;
}

/// A domain that has entered an epoch and has not left it. Written under the epoch's lock.
struct published_holder {
    atomic<std::uint32_t> place{0};        ///< source place that entered: see source_places
    atomic<std::uint64_t> entered_ns{0};   ///< CLOCK_MONOTONIC, later for each enter of the epoch; 0: unused

    inline void enter(std::uint32_t number, std::uint64_t now) noexcept
    {
        std::atomic_thread_fence(
            std::memory_order_release);   // a reader of the new place sees that the old time is over
        place.store(number, std::memory_order_relaxed);
        entered_ns.store(now, std::memory_order_release);   // a reader that sees the time sees the place
    }
    inline void leave() noexcept { entered_ns.store(0, std::memory_order_relaxed); }
};

/// Holders of an epoch beyond those that its stats page has room for.
struct holder_page {
    static constexpr std::uint32_t capacity = 28;

    atomic<holder_page*> next{nullptr};   ///< of the same epoch: made before this one
    std::array<published_holder, capacity> holders;
};

/// The stats page of a ring slot. Written under the epoch's lock. A reader may trust the fields if it reads the same
/// era before and after them.
struct alignas(64) epoch_stats_page {
    static constexpr std::uint32_t first_holders = 4;

    // First what the begin and the end of every scope write: one line, and the first holder.
    atomic<epoch_stats_page*> next{nullptr};   ///< of the same heap: the ring slot prepared before this one
    atomic<std::uint64_t> era{0};              ///< this and the next three: mirrors of epoch_slabs
    atomic<std::uint32_t> holds{0};
    atomic<std::uint32_t> label_id{0};
    atomic<lifecycle> state{lifecycle::idle};
    atomic<std::uint32_t> index{0};   ///< of the ring slot
    atomic<std::uint64_t> opened_ns{0};
    counter allocations;   ///< by caches that are detached now, and large ones
    counter enters;
    counter exits;
    std::array<published_holder, first_holders> holders;
    atomic<std::uint64_t> closing_ns{0};   ///< when the epoch was first seen CLOSING and not drained; 0: not yet
    shared_text label;
    atomic<holder_page*> more_holders{nullptr};   ///< newest first
    atomic<std::uint32_t> unlisted_holders{0};    ///< domains inside that have no published_holder a reader can find
    atomic<std::uint64_t> rss_before_close{0};
    atomic<std::uint64_t> rss_after_close{0};
    atomic<std::uint64_t> closed_madvise_bytes{0};
    atomic<std::uint64_t> closed_asked_bytes{0};
    atomic<std::uint64_t> closed_gone_bytes{0};
    std::array<atomic<std::uint32_t>, bin_count> listed{};   ///< slabs that no thread cache owns
    atomic<std::uint64_t> large_pages{0};
    atomic<std::uint64_t> large_count{0};
    atomic<std::uint64_t> limit_bytes{0};   ///< of the phase, and 1 added; 0: it has none
    counter limit_refusals;
};

/// A source location that enters domains. Texts that are too long lose their beginning.
struct published_place {
    std::uint32_t line = 0;
    std::array<char, 220> file{};   ///< this and the next end with a NUL
    std::array<char, 288> function{};
};

/// Source places with successive numbers.
struct place_page {
    static constexpr std::uint32_t capacity = 7;

    atomic<place_page*> next{nullptr};                ///< of the same heap: made before this one
    std::uint32_t first = 0;                          ///< number of the first place
    std::array<published_place, capacity> places{};   ///< complete before a published_holder names one
};

/// A timed close: the last one of the heap, or of a label.
struct last_close_record {
    atomic<std::uint32_t> version{0};   ///< odd while a writer changes the record
    atomic<std::uint64_t> timestamp_ns{0};
    atomic<std::uint64_t> index{0};
    atomic<std::uint64_t> era{0};
    shared_text label;
    static constexpr std::size_t figure_count = 11;
    std::array<atomic<std::uint64_t>, figure_count> figures{};   ///< in the order of close_stats

    /// Writes the record. One thread at a time may call it.
    void publish(std::uint64_t when, std::uint32_t slot, std::uint64_t of_era, std::string_view name,
                 std::array<std::uint64_t, figure_count> const& of) noexcept
    {
        std::uint32_t const before = version.load(std::memory_order_relaxed);
        version.store(before + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);   // a reader that sees a new figure sees the odd version
        timestamp_ns.store(when, std::memory_order_relaxed);
        index.store(slot, std::memory_order_relaxed);
        era.store(of_era, std::memory_order_relaxed);
        label.assign(name);
        for (std::size_t i = 0; i < of.size(); ++i)
            figures[i].store(of[i], std::memory_order_relaxed);
        version.store(before + 2, std::memory_order_release);
    }
};

/// By label, the last close that purged, or that the program asked for. Made when there is one.
struct close_page {
    std::array<last_close_record, label_buckets> of_label{};
};

/// The account of a label, or of the heap: see page_account.
struct account_stats {
    atomic<std::uint64_t> limit_bytes{0};   ///< and 1 added; 0: there is no limit
    counter held;                           ///< pages; modulo 2^64
    counter refused;                        ///< allocations that the limit refused
};

/// State of the background purge of a heap.
enum class background_state : std::uint8_t {
    off,       ///< not requested
    on,        ///< the purge thread runs
    failed,    ///< the thread could not be started; retried while the heap is used
    pending,   ///< in a forked child, until the heap's next decay
    count_
};
/// Whether the heap purges when the control group is short of memory.
enum class pressure_state : std::uint8_t { off, watching, unavailable, count_ };

/// Why free pages were given to the kernel. Closes, trims and failed allocations are not counted here.
enum class purge_cause : std::uint8_t {
    time,         ///< unused for a decay interval; purged by a thread of the heap
    work,         ///< unused while many objects were allocated: see heap_state::note_work
    background,   ///< unused for a decay interval; purged by the background thread
    pressure,     ///< the control group is short of memory
    count_
};

/// The stats page of a heap, and the links to all others of the heap.
struct alignas(64) heap_stats_page {
    atomic<std::uint64_t> number{0};               ///< of the heap in its process, from 1; 0 until the page is complete
    atomic<segment_chunk*> first_chunk{nullptr};   ///< the heap's first chunk of the segment
    std::array<char, 64> name{};                   ///< ends with a NUL
    std::uint64_t instance = 0;                    ///< 1 for the first heap of this name in the process, else `number`
    std::uint32_t epoch_count = 0;
    std::uint32_t slab_cache = 0;   ///< pages cached per class
    std::uint8_t reclaim = 0;
    atomic<std::uint8_t> sampling{0};
    atomic<background_state> background{background_state::off};
    atomic<pressure_state> pressure{pressure_state::off};
    std::uint64_t made_ns = 0;   ///< now_ns_coarse when the heap was made
    std::uint64_t decay_ns = 0;
    std::uint64_t thread_cache_bytes = 0;
    std::array<counter, static_cast<std::size_t>(purge_cause::count_)>
        purge_passes{};                 ///< passes that gave pages to the kernel
    atomic<std::uint64_t> current{0};   ///< ring index in 16 bits, era above
    atomic<std::uint64_t> arena_bytes{0};
    atomic<std::uint64_t> segment_bytes{0};

    page_figures pages;
    std::array<atomic<std::uint32_t>, class_count> cached{};   ///< slabs
    std::array<counter, misuse_count> misuses{};
    std::array<class_counters, class_count + 1> strays{};   ///< counters of threads without a record
    heap_counters stray_events{};
    last_close_record last_close;
    atomic<close_page*> closes{nullptr};

    atomic<std::uint32_t> labels_used{0};
    std::array<shared_text, label_buckets - 2> labels{};
    counter labels_in_overflow;
    counter labels_cut;
    atomic<label_page*> further_labels{nullptr};          ///< newest first
    atomic<std::uint32_t> further_labels_used{0};         ///< names in them
    counter further_labels_missing;                       ///< see label_registry
    std::array<counter, label_buckets> madvise_asked{};   ///< by label: see heap_state::count_purged
    std::array<counter, label_buckets> madvise_gone{};
    std::array<account_stats, label_buckets + 1> accounts{};   ///< of the labels, and the heap's

    atomic<thread_stats_page*> threads{nullptr};   ///< newest first
    atomic<epoch_stats_page*> epochs{nullptr};     ///< of the ring slots with a record, the newest first
    atomic<std::uint32_t> prepared_epochs{0};      ///< their number
    atomic<place_page*> places{nullptr};           ///< newest first; the first is made when a domain is entered
    counter places_missing;   ///< times there was no memory for a source place, or none that readers outside can find

    profile_figures profile;   ///< of the heap profile, and its pages

    // Addresses for readers that can read the process's memory: the structures that the segment does not have.
    std::uint64_t descriptors = 0;   ///< slab descriptors, indexed by page
    std::uint64_t subslabs = 0;      ///< subslab descriptors
    std::uint64_t generations = 0;
    std::uint64_t first_page = 0;   ///< address of page 0 of the window
    std::uint64_t unit_links = 0;   ///< links of the heap's runs of units: see page_figures::first_run
    std::uint64_t max_units = 0;
    atomic<std::uint64_t> arena{0};                                      ///< the arena's newest piece
    std::array<atomic<std::uint64_t>, ring_rows::most> ring_rows_at{};   ///< see ring_rows
    std::uint64_t ring_record_bytes = 0;
    std::uint64_t free_resident_words = 0;   ///< page_set of free pages with memory behind them
    std::uint64_t free_large_words = 0;      ///< those that were large allocations

    /// Publishes how much memory the heap's records take.
    inline void publish_memory(tslab::arena const& meta, segment_part const& in) noexcept
    {
        arena_bytes.store(meta.committed_bytes(), std::memory_order_relaxed);
        arena.store(reinterpret_cast<std::uintptr_t>(meta.pieces()), std::memory_order_relaxed);
        segment_bytes.store(in.committed_bytes(), std::memory_order_relaxed);
    }
};

/// Where readers find a heap. What a reader copied belongs to the heap `number` if it finds the same number here before
/// and after the copy: numbers are never reused, and a heap's stats pages are reused only after its number is cleared
/// here.
struct heap_root {
    atomic<std::uint64_t> number{0};   ///< 0: none
    atomic<heap_stats_page*> stats{nullptr};
};

/// The heaps of a process: the segment's root record, and further ones linked from it when there are more heaps.
struct heap_directory {
    static constexpr std::size_t capacity = 128;

    atomic<heap_directory*> next{nullptr};
    std::array<heap_root, capacity> heaps{};
};

/// A hash of the records above and of the structures read beside them: names, offsets, sizes and types of fields, and enumerators.
/// Two builds with the same number can read each other's segment.
[[nodiscard]] std::uint64_t layout_number() noexcept;

}
