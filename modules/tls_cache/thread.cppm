// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread as tslab sees it: a number of its own that is never reused, and one record for each heap it has used.
// Records are never unmapped while their heap lives; when a thread ends, its record waits for the next thread.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <pthread.h>
#include <utility>
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
export module tslab.tls_cache:thread;

import tslab.stats;
import tslab.slab;
import :face;

export namespace tslab {

class lane;
class heap_core;
struct thread_record;

/// A domain the thread has entered. What statistics ask of it is kept by value: a domain that ended on another thread, which was
/// reported, is still on the list.
struct entered_scope {
    void* domain;
    std::uint64_t heap_number;
    std::uint32_t label_id;   ///< that its epoch had when it was entered
};

/// What a thread holds for as long as it lives. A robust mutex (POSIX): when a thread ends that holds one, the kernel tells who asks
/// next, whether or not any destructor was called.
class lifeline {
public:
    lifeline() noexcept { reset(); }
    lifeline(lifeline const&) = delete;
    lifeline& operator=(lifeline const&) = delete;

    /// Held by nobody, whatever was before: also in a forked child, where those who held it are not.
    void reset() noexcept;
    void take() noexcept { ::pthread_mutex_lock(&held_); }
    void let_go() noexcept { ::pthread_mutex_unlock(&held_); }
    /// Whether who took it ended without letting go. Then it is the caller's, to let go of. Thread safe.
    [[nodiscard]] bool was_left() noexcept;

private:
    pthread_mutex_t held_;
};

/// A thread's records by the numbers of their heaps: open addressing, at most half full. Only the thread reads it, without a lock; it
/// changes under the registry's lock. An entry stays when its heap ends, and names a record that is gone: but a heap's number is never
/// given again and nobody asks for that of a heap that ended, so the entry is never found. A rebuild, which only the records of
/// living heaps survive, drops it.
/// A signal handler may interrupt `find` and rebuild the table: what is replaced stays mapped until the thread ends, and
/// a number is looked at again once its record was read.
class record_table {
public:
    record_table() noexcept = default;
    record_table(record_table const&) = delete;
    record_table& operator=(record_table const&) = delete;

    /// The record of the heap `number`; null when it is not here.
    [[nodiscard]] inline thread_record* find(std::uint64_t number) const noexcept
    {
        std::uintptr_t const word = now_.load(std::memory_order_relaxed);
        auto const* const places = reinterpret_cast<place const*>(word & ~bits_mask);
        unsigned const bits = static_cast<unsigned>(word & bits_mask);
        std::size_t const last = (std::size_t{1} << bits) - 1;
        for (std::size_t i = first_place(number, bits);; i = (i + 1) & last) {
            std::uint64_t const there = places[i].number.load(std::memory_order_relaxed);
            if (there == number) {
                thread_record* const r = places[i].record.load(std::memory_order_relaxed);
                std::atomic_signal_fence(std::memory_order_seq_cst);
                return places[i].number.load(std::memory_order_relaxed) == number ? r : nullptr;
            }
            if (there == 0)
                return nullptr;
        }
    }
    /// Adds the first record of the list that begins with `first`, which holds every record of the thread.
    void add_first(thread_record& first) noexcept;
    /// Whether it has every record of the list: not when there was no memory for it.
    [[nodiscard]] inline bool complete() const noexcept { return complete_; }
    /// Empties it and gives its memory back.
    void clear() noexcept;

private:
    struct place {
        std::atomic<std::uint64_t> number{0};   // 0: empty
        std::atomic<thread_record*> record{nullptr};
    };
    static constexpr unsigned first_bits = 3;    // of the places that need no further memory
    static constexpr unsigned mapped_bits = 8;   // of the fewest that do: a page
    static constexpr std::uintptr_t bits_mask = 63;

    [[nodiscard]] static inline std::size_t first_place(std::uint64_t number, unsigned bits) noexcept
    {
        return static_cast<std::size_t>(number * 0x9e3779b97f4a7c15U >> (64 - bits));
    }
    [[nodiscard]] inline unsigned bits() const noexcept
    {
        return static_cast<unsigned>(now_.load(std::memory_order_relaxed) & bits_mask);
    }
    [[nodiscard]] inline place* places() const noexcept
    {
        return reinterpret_cast<place*>(now_.load(std::memory_order_relaxed) & ~bits_mask);
    }
    void put(std::uint64_t number, thread_record& r) noexcept;
    [[nodiscard]] bool grow(unsigned bits) noexcept;

    alignas(64) std::array<place, std::size_t{1} << first_bits> few_{};
    // Where the places are, and in its low bits how many: one word, so that both change at once.
    std::atomic<std::uintptr_t> now_{reinterpret_cast<std::uintptr_t>(few_.data()) | first_bits};
    std::size_t used_ = 0;   // places, those of heaps that ended among them
    bool complete_ = true;
    std::array<place*, 24> mapped_{};   // by bits less mapped_bits; those before the present one are still mapped
};

/// One thread's records, in all heaps. Not in the thread's own storage, which may go without notice: in a forked child, and
/// when tslab is used after the last destructor that the C library calls at a thread's end.
struct record_list {
    thread_record* first = nullptr;
    record_table by_heap;
    entered_scope* scopes = nullptr;   ///< the thread's, to be freed in its place
    lifeline life;
    record_list* next_free = nullptr;
    record_list* next_of_all = nullptr;
};

/// What a thread knows of itself. Trivial, so that reaching it is one load; emptied by a hook at thread exit.
struct thread_state {
    struct recent_heap {
        std::uint64_t number;
        thread_record* record;
    };
    static constexpr std::size_t recent_count = 4;

    std::uint64_t key;                              ///< what its resources' lanes say; 0 until it first uses tslab
    std::uint64_t id;                               ///< likewise
    std::array<recent_heap, recent_count> recent;   ///< by heap number: the last heap used in that place
    record_list* records;                           ///< null until it has one; guarded by the registry's lock
    entered_scope* scopes;                          ///< the domains entered, innermost last
    std::uint32_t scope_count;
    std::uint32_t scope_capacity;
    bool hooked;
};

inline constinit thread_local thread_state this_thread{};

/// No thread's number, no epoch's era: what a lane's key says when the lane is not to be used.
inline constexpr std::uint64_t closed_key = ~std::uint64_t{0};

/// Distinguishes a thread's key from every era: another thread may look at a lane that has just gone from a resource to an
/// epoch, and must not take the era for its number. Eras have 48 bits (see allocator::current_epoch).
inline constexpr std::uint64_t thread_key = std::uint64_t{1} << 63;

/// Counts an allocation from the default resource for the innermost scope the calling thread is in; nothing outside of all.
void count_escape(std::size_t bytes) noexcept;

/// Gives the calling thread its number, if it has none, and arranges for the hook at its end.
void register_this_thread() noexcept;

/// True once the kernel's membarrier serves this process: then the threads' side of the protocol needs no fence.
inline constinit atomic<bool> barrier_by_kernel{false};

/// The threads' half of an asymmetric barrier: orders an earlier store before a later load as far as a thread that calls
/// `heavy_barrier` in between can see.
// Modelled: tests/models/claims.pml, step light_barrier
inline void light_barrier(atomic<std::uint32_t>& word) noexcept
{
    if (schedule::barrier())
        return;
    if (barrier_by_kernel.load(std::memory_order_relaxed)) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);   // the compiler keeps the order, membarrier does the rest
        return;
    }
#if __has_feature(thread_sanitizer)
    word.fetch_add(0, std::memory_order_seq_cst);   // the sanitizer does not see fences
#else
    static_cast<void>(word);
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// The closer's half: every running thread of the process passes a full barrier before it returns.
void heavy_barrier() noexcept;

/// What a close, or taking claims back, did.
struct take_back_result {
    std::array<std::uint32_t, class_count> scanned_of{};    ///< slabs looked at, by class
    std::array<std::uint32_t, class_count> recycled_of{};   ///< slabs taken back
    bin_set classes = 0;                                    ///< a bit for each class of which one was looked at
    std::uint64_t deferred = 0;   ///< lanes left to their owner: in use, or interrupted in an operation
    bool closing = false;         ///< known beforehand: it is part of a close that is not timed
    bool found = false;           ///< the epoch was there
    bool closed = false;          ///< this call turned it from ACTIVE to CLOSING
    bool drained = false;         ///< this call found it closed and holding nothing any more

    inline void note(unsigned c, std::uint32_t scanned, std::uint32_t recycled) noexcept
    {
        if (scanned != 0)
            classes |= only_bin(c);
        scanned_of[c] += scanned;
        recycled_of[c] += recycled;
    }
    /// Calls `visit(c)` for every class of which a slab was looked at.
    template <class F> inline void for_each_class(F visit) const
    {
        for (bin_set left = classes; left != 0; left &= left - 1)
            visit(static_cast<unsigned>(std::countr_zero(left)));
    }
    [[nodiscard]] inline std::uint64_t scanned() const noexcept { return sum(scanned_of); }
    [[nodiscard]] inline std::uint64_t recycled() const noexcept { return sum(recycled_of); }

private:
    [[nodiscard]] inline std::uint64_t sum(std::array<std::uint32_t, class_count> const& of) const noexcept
    {
        std::uint64_t n = 0;
        for_each_class([&](unsigned c) { n += of[c]; });
        return n;
    }
};

/// The empty slabs that a thread keeps for itself, by class, the one emptied last first. They are out of every other thread's
/// reach but one's that reaches the thread (see heap_core::reach_threads).
class empty_slab_cache {
public:
    /// `told`: where the pages of all of them are told.
    inline explicit empty_slab_cache(atomic<std::uint32_t>& told) noexcept : told_{told} {}

    inline void push(slab& s, unsigned c) noexcept
    {
        s.next = first_[c];
        first_[c] = &s;
        ++count_[c];
        add_pages(class_shapes[c].pages);
    }
    /// The one that `pop` would take; null when there is none.
    [[nodiscard]] inline slab* first(unsigned c) const noexcept { return first_[c]; }
    /// Precondition: there is one.
    inline slab& pop(unsigned c) noexcept
    {
        slab& s = *first_[c];
        first_[c] = s.next;
        --count_[c];
        fewest_[c] = std::min(fewest_[c], count_[c]);
        add_pages(-class_shapes[c].pages);
        return s;
    }
    /// Adds a chain of `n` slabs. Precondition: there is none of the class.
    inline void fill(unsigned c, slab* chain, std::uint32_t n) noexcept
    {
        first_[c] = chain;
        count_[c] = n;
        add_pages(n * class_shapes[c].pages);
    }
    /// Takes the `n` that have been there longest out, as a chain; null for none. Precondition: there are as many.
    /// Complexity: linear in the slabs that stay.
    [[nodiscard]] inline slab* take_oldest(unsigned c, std::uint32_t n) noexcept
    {
        if (n == 0)
            return nullptr;
        slab** link = &first_[c];
        for (std::uint32_t stay = count_[c] - n; stay > 0; --stay)
            link = &(*link)->next;
        slab* const oldest = *link;
        *link = nullptr;
        count_[c] -= n;
        fewest_[c] = std::min(fewest_[c], count_[c]);
        add_pages(-(n * class_shapes[c].pages));
        return oldest;
    }
    [[nodiscard]] inline std::uint32_t count(unsigned c) const noexcept { return count_[c]; }
    /// The fewest there were of the class since this was last asked.
    [[nodiscard]] inline std::uint32_t unwanted(unsigned c) noexcept { return std::exchange(fewest_[c], count_[c]); }
    /// Pages of all of them. Any thread may ask.
    [[nodiscard]] inline std::uint32_t pages() const noexcept { return pages_.load(std::memory_order_relaxed); }

private:
    inline void add_pages(std::uint32_t n) noexcept
    {
        std::uint32_t const now = pages_.load(std::memory_order_relaxed) + n;
        pages_.store(now, std::memory_order_relaxed);
        told_.store(now, std::memory_order_relaxed);
    }

    std::array<slab*, class_count> first_{};   // linked by next
    std::array<std::uint32_t, class_count> count_{};
    std::array<std::uint32_t, class_count> fewest_{};
    atomic<std::uint32_t> pages_{0};
    atomic<std::uint32_t>& told_;
};

/// What a thread counted in a heap, by class: a row is made when there is something to count in it. Without memory for a row its events are
/// counted among those of threads without a record, and locks at themselves only.
class class_rows {
public:
    explicit class_rows(thread_record& of) noexcept : of_{of} {}

    /// For the thread itself.
    [[nodiscard]] inline class_counters& operator[](unsigned c) noexcept
    {
        if (class_face* const row = rows_[c].load(std::memory_order_relaxed)) [[likely]]
            return row->events;
        return make_events(c);
    }
    /// The same for all of a row; null when there is no memory.
    [[nodiscard]] inline class_face* get(unsigned row) noexcept
    {
        class_face* const there = rows_[row].load(std::memory_order_relaxed);
        return there != nullptr ? there : make(row);
    }
    /// Where what is done for class `row` under a label is counted, for the thread itself.
    [[nodiscard]] inline lock_site site(unsigned row, std::uint32_t label) noexcept
    {
        class_face* const of_row = get(row);
        if (of_row == nullptr)
            return {};
        label_rows* group = labels_[row][label / label_rows::labels].load(std::memory_order_relaxed);
        if (group == nullptr) [[unlikely]]
            group = make_labels(*of_row, row, label / label_rows::labels);
        return {group != nullptr ? &group->of[label % label_rows::labels] : nullptr, &of_row->waits};
    }
    /// What is there, or null. Thread safe.
    [[nodiscard]] inline class_face const* row(unsigned row) const noexcept
    {
        return rows_[row].load(std::memory_order_acquire);
    }
    /// The same of its labels' `group`.
    [[nodiscard]] inline label_rows const* labels(unsigned row, std::uint32_t group) const noexcept
    {
        return labels_[row][group].load(std::memory_order_acquire);
    }

private:
    [[nodiscard]] class_counters& make_events(unsigned c) noexcept;
    [[nodiscard]] class_face* make(unsigned row) noexcept;
    [[nodiscard, gnu::cold]] label_rows* make_labels(class_face& of_row, unsigned row, std::uint32_t group) noexcept;

    thread_record& of_;
    std::array<std::atomic<class_face*>, thread_face::rows> rows_{};
    std::array<std::array<std::atomic<label_rows*>, label_rows::groups>, thread_face::rows> labels_{};
};

/// One thread's part of one heap.
struct alignas(64) thread_record {
    static constexpr std::uint32_t inside = 1;          ///< in an operation
    static constexpr std::uint32_t restructuring = 2;   ///< changing lists: a fork waits for the end of it
    static constexpr std::uint32_t warm_pages = 16;     ///< of empty slabs per class, what is moved or left at once
    static constexpr std::uint32_t spare_pages = 4;     ///< the same, what a lane holds: no other class can use it
    static constexpr std::uint32_t keeping_limit = 4;   ///< lanes not at work that keep slabs

    thread_record(heap_core& h, atomic<lane*>* table, thread_face& f) noexcept
        : heap{h}, face{f}, lanes{table}, retained{f.retained_pages}, classes{*this}, counts{f.counts}, scans{f.scans}
    {
    }

    /// Announces an operation that relies on claims no one may take meanwhile. False when the thread is in one already:
    /// then it was interrupted in it (a signal handler), and must not go on.
    // Modelled: tests/models/chunks.pml, step enter
    // Modelled: tests/models/claims.pml, step enter
    // Modelled: tests/models/close.pml, step enter
    [[nodiscard]] inline bool enter() noexcept
    {
        if (activity.load(std::memory_order_relaxed) != 0) [[unlikely]]
            return false;
        activity.store(inside, std::memory_order_relaxed);
        light_barrier(activity);   // announce, then look
        return true;
    }

    /// Ends it, and hands back claims that a closer asked for in between.
    // Modelled: tests/models/claims.pml, step leave
    // Modelled: tests/models/close.pml, step leave
    // Modelled: tests/models/exclusive.pml, step leave
    // Modelled: tests/models/kept.pml, step leave
    inline void leave() noexcept
    {
        // release: a closer that sees 0 sees all this operation did.
        activity.store(0, std::memory_order_release);
        light_barrier(activity);
        if (wanted_back.load(std::memory_order_relaxed)) [[unlikely]]
            hand_back_wanted();
    }

    void hand_back_wanted() noexcept;
    [[nodiscard]] timing_face* get_times() noexcept;

    /// Counts slabs that were looked at and taken back because their epoch is closed.
    void count_taken_back(take_back_result const& done) noexcept;

    /// Where what is done for class `row` (no_class: for no class) of an epoch with that label is counted.
    [[nodiscard]] inline lock_site site(unsigned row, std::uint32_t label_id) noexcept
    {
        return classes.site(row, label_id);
    }
    /// Notes a sampled allocation or repair.
    void note_allocation(stopwatch::reading const& r) noexcept;
    void note_repair(stopwatch::reading const& r) noexcept;

    /// Everything ever handed out by threads with this record. Thread safe.
    [[nodiscard]] std::uint64_t allocations() const noexcept;
    /// How often something happened in all classes, likewise.
    [[nodiscard]] inline std::uint64_t sum(class_event e) const noexcept
    {
        return sum_of_classes(e, [this](unsigned c) { return classes.row(c); });
    }

    atomic<std::uint32_t> activity{0};
    atomic<bool> wanted_back{false};   ///< a closer found the thread busy
    atomic<bool> in_use{true};
    atomic<bool> vanished{false};   ///< in a forked child: a thread that did not come along
    heap_core& heap;
    thread_face& face;                  ///< what is told of it
    atomic<lane*>* const lanes;         ///< by ring index: the lane for the epoch in that slot; written by the thread
    lane* spare = nullptr;              ///< lanes not in use, the last one used first; the thread's own
    atomic<std::uint32_t> keeping{0};   ///< lanes not in use that keep slabs; written as `retained` is
    atomic<lane*> returned{nullptr};    ///< lanes that came back, by whichever thread; taken over by the thread
    atomic<lane*> all_lanes{nullptr};   ///< every lane ever made here; only grows
    std::uint32_t slot_hint = 0;        ///< ring slot this thread used last
    std::uint32_t slot_start = 0;       ///< the first it looked at; set once
    /// Its owner touches these, and what lanes keep that are not in use, in restructuring sections only.
    empty_slab_cache retained;
    atomic<bool> reached{false};            ///< a thread is about to take what this one keeps: see reach_threads
    std::uint32_t slow_paths = 0;           ///< counts up to the next look at the clock
    std::uint64_t slabs_taken = 0;          ///< by this thread, for allocations
    std::uint64_t slabs_taken_before = 0;   ///< when a lane's period of allocations ended last, see note_work
    std::uint64_t clock_ns = 0;             ///< now_ns_coarse when it was last asked for
    atomic<std::uint64_t> decayed_ns{0};    ///< when this thread last looked for what it keeps and did not want

    class_rows classes;
    // Of its face, as they are used most.
    heap_counters& counts;
    std::array<scan_order, class_count>& scans;
    std::atomic<timing_face*> times{nullptr};   ///< null until there is a sample

    record_list* list = nullptr;                ///< of the thread it belongs to; guarded by the registry's lock
    thread_record* next_of_thread = nullptr;    ///< likewise
    thread_record** link_of_thread = nullptr;   ///< likewise: what points to it in the thread's list
    thread_record* next_of_heap = nullptr;      ///< set once, before the record is published
};

/// Marks the calling thread as changing lists, for as long as it lives. A fork waits until no thread is, and a thread
/// that finds a fork under way waits for its end before it starts. So does one that finds itself reached by another thread, which
/// takes what it keeps (see heap_core::reach_threads). Precondition: the thread holds no lock of the heap.
class restructuring_section {
public:
    // Modelled: tests/models/reach.pml, step announce
    inline explicit restructuring_section(thread_record* me) noexcept
        : me_{me}, before_{me != nullptr ? me->activity.load(std::memory_order_relaxed) : 0}
    {
        if (me_ == nullptr || (before_ & thread_record::restructuring) != 0)
            return;
        me_->activity.store(before_ | thread_record::restructuring, std::memory_order_relaxed);
        light_barrier(me_->activity);   // announce, then look
        // acquire: what a thread that reached this one did is seen.
        if (fork_under_way.load(std::memory_order_relaxed) || me_->reached.load(std::memory_order_acquire)) [[unlikely]]
            wait_outside();
    }
    inline ~restructuring_section()
    {
        if (me_ != nullptr)
            me_->activity.store(before_, std::memory_order_release);   // as in leave()
    }
    restructuring_section(restructuring_section const&) = delete;
    restructuring_section& operator=(restructuring_section const&) = delete;

    static inline constinit atomic<bool> fork_under_way{false};

private:
    void wait_outside() noexcept;

    thread_record* me_;
    std::uint32_t before_;
};

}
