// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread's own state: a number that is never reused, and one record for each heap it has used. A record lives as long
// as its heap; when its thread ends, the heap's next new thread gets it. Also the two halves of the asymmetric barrier.
#pragma once

export namespace tslab {

class thread_cache;
class heap_state;
struct epoch_slabs;
struct thread_record;

/// A domain that the thread has entered. Statistics use the copies, which outlive it.
struct entered_scope {
    atomic<void*> domain{nullptr};   ///< null once it was destroyed on another thread (reported as misuse)
    std::uint64_t heap_number = 0;
    std::uint32_t label_id = 0;   ///< of its epoch at the enter

    inline void set(void* of, std::uint64_t number, std::uint32_t label) noexcept
    {
        domain.store(of, std::memory_order_relaxed);
        heap_number = number;
        label_id = label;
    }
    inline void set(entered_scope const& other) noexcept
    {
        set(other.domain.load(std::memory_order_relaxed), other.heap_number, other.label_id);
    }
};

/// A robust mutex (POSIX) that a thread holds as long as it lives. The kernel marks it when its holder ends, so other
/// threads can detect the end even if no destructor ran.
class lifeline {
public:
    lifeline() noexcept { reset(); }
    lifeline(lifeline const&) = delete;
    lifeline& operator=(lifeline const&) = delete;
    ~lifeline() = default;

    /// Makes the mutex free, whatever its state. In a forked child the threads that held it do not exist.
    void reset() noexcept;
    /// Called by the thread, when it gets its list of records and when it ends.
    void take() noexcept
    {
        // It is free, and nothing waits for it. Tried first, since ThreadSanitizer would see an order between it and the
        // locks that the program holds at this moment, and another one whenever the thread acquires those again.
        if (::pthread_mutex_trylock(&held_) == EBUSY)
            ::pthread_mutex_lock(&held_);
    }
    void release() noexcept { ::pthread_mutex_unlock(&held_); }
    /// True if the holder ended without releasing it; then the caller holds it and must release it. Thread safe.
    [[nodiscard]] bool was_left() noexcept;

private:
    pthread_mutex_t held_;
};

/// A thread's records by heap number: an open-addressing hash table, at most half full. Only its thread reads it,
/// without a lock; it is changed under the registry's lock. When a heap ends its entry stays and names a record that is
/// gone. The entry is never found, since heap numbers are not reused and no call asks for the number of a heap that
/// ended; the next rebuild, which adds only the records of living heaps, drops it.
/// A signal handler may interrupt `find` and rebuild the table. So a replaced array stays mapped until the thread ends,
/// and `find` reads the number again after it has read the record.
class record_table {
public:
    record_table() noexcept = default;
    record_table(record_table const&) = delete;
    record_table& operator=(record_table const&) = delete;
    ~record_table() = default;

    /// The record for the heap `number`; null if the table has none. Only for the table's thread. Complexity: constant
    /// on average.
    [[nodiscard]] inline thread_record* find(std::uint64_t number) const noexcept
    {
        std::uintptr_t const word = now_.load(std::memory_order_relaxed);
        auto const* const places = reinterpret_cast<place const*>(word & ~bits_mask);
        auto const bits = static_cast<unsigned>(word & bits_mask);
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
    /// Adds `first`, the newest record of the list that it begins; the list has every record of the thread. May rebuild
    /// the table from the list. If there is no memory to grow, the table becomes incomplete.
    void add_first(thread_record& first) noexcept;
    /// True if the table has every record of the list; false after it could not grow.
    [[nodiscard]] inline bool complete() const noexcept { return complete_; }
    /// Removes all entries and unmaps the table's memory.
    void clear() noexcept;

private:
    struct place {
        std::atomic<std::uint64_t> number{0};   // 0: no entry
        std::atomic<thread_record*> record{nullptr};
    };
    static constexpr unsigned first_bits = 3;    // of the inline array
    static constexpr unsigned mapped_bits = 8;   // of the smallest mapped array: a page
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
    // The array's address, and its size's logarithm in the low bits: one word, so that both change at once.
    std::atomic<std::uintptr_t> now_{reinterpret_cast<std::uintptr_t>(few_.data()) | first_bits};
    std::size_t used_ = 0;   // entries, those of ended heaps included
    bool complete_ = true;
    std::array<place*, 24> mapped_{};   // by `bits - mapped_bits`; replaced arrays stay mapped
};

struct record_list;

/// What a thread keeps beside its key. It is part of the thread's record_list.
struct alignas(64) thread_details {
    struct recent_heap {
        std::uint64_t number;
        thread_record* record;
    };
    static constexpr std::size_t recent_count = 4;

    std::array<recent_heap, recent_count> recent{};   ///< by heap number modulo recent_count: the last heap used
    record_list* list = nullptr;                      ///< the one it is part of; null in no_details
    entered_scope* scopes = nullptr;                  ///< the domains entered, innermost last; freed with the list
    std::uint32_t scope_count = 0;
    std::uint32_t scope_capacity = 0;   ///< as `scopes`, changed by the thread under the registry's lock
    std::uint32_t tid = 0;              ///< the system's number of the thread

    /// The innermost scope whose domain is still there; null if there is none.
    [[nodiscard]] inline entered_scope const* innermost_scope() const noexcept
    {
        for (std::uint32_t n = scope_count; n != 0; --n)
            if (scopes[n - 1].domain.load(std::memory_order_relaxed) != nullptr) [[likely]]
                return scopes + (n - 1);
        return nullptr;
    }
    /// Removes the innermost scopes whose domains are gone.
    inline void drop_ended_scopes() noexcept
    {
        while (scope_count != 0 && scopes[scope_count - 1].domain.load(std::memory_order_relaxed) == nullptr)
            --scope_count;
    }
};

/// The details of a thread without a list. Never written.
inline constinit thread_details no_details{};

/// One thread's records in all heaps, and its details. It is not in thread-local storage, which can vanish without
/// notice: in a forked child, and when a thread uses tslab after the C library has called its last destructor. And a
/// plug-in that is opened late gets little thread-local storage.
struct record_list {
    thread_details details;
    thread_record* first = nullptr;   ///< guarded by the registry's lock, as the table is where it says so
    record_table by_heap;
    lifeline life;
    record_list* next_free = nullptr;
    record_list* next_of_all = nullptr;
};

/// Bit that distinguishes a thread's key from every era. Another thread may read the key of a cache that has just
/// changed from a resource's to a thread's own, and must not mistake the era for its key. Eras have 48 bits (see
/// allocator::current_epoch).
inline constexpr std::uint64_t thread_key = std::uint64_t{1} << 63;

/// The thread-local part of a thread's state: what the fast path compares, and where the rest is. A trivial type, so
/// that access is one load; the hook at thread exit clears it. Kept small: the loader reserves some 1,600 bytes for the
/// thread-local variables of all plug-ins of a process that are opened late.
struct thread_state {
    std::uint64_t key;      ///< the key of its resources' thread caches; 0 until the thread first uses tslab
    thread_details* more;   ///< &no_details until the thread has a list, which implies the hook at its end
    /// The resource of another thread that this thread used last, by its number (epoch_resource::note_visit), and the
    /// thread's own cache in that resource's epoch. While the resource lives, its heap does, and so does the cache.
    std::uint64_t visited;
    thread_cache* visiting;

    /// The thread's number; 0 until it first uses tslab.
    [[nodiscard]] constexpr std::uint64_t id() const noexcept { return key & ~thread_key; }
    /// Forgets the resource that was used last. A signal handler may interrupt it.
    inline void end_visit() noexcept { visited = no_visit; }
    static constexpr std::uint64_t no_visit = ~std::uint64_t{0};   ///< no resource has this number
};
static_assert(sizeof(thread_state) == 32);

inline constinit thread_local thread_state this_thread{0, &no_details, thread_state::no_visit, nullptr};

/// A cache's key when no thread may use the cache. No thread's key and no era has this value.
inline constexpr std::uint64_t closed_key = ~std::uint64_t{0};

/// Counts an allocation of `bytes` from the default resource, at the innermost scope that the calling thread is in. No
/// effect outside of scopes. Thread safe; takes the registry's lock.
void count_escape(std::size_t bytes) noexcept;

/// What sampling found of the calling thread's operations, in all heaps that live: see sampling_stats. A heap that has ended is no
/// longer in it. Linear in the heaps that the thread has used. Thread safe; takes the registry's lock.
[[nodiscard]] sampling_stats this_thread_sampling() noexcept;

/// Gives the calling thread its number, if it has none, and installs the hook that runs when the thread ends. Returns
/// whether that is installed.
bool register_this_thread() noexcept;
/// The calling thread's details, in a list of its own. Null if there is no memory for it, or no hook at its end. Takes
/// the registry's lock at the first call.
[[nodiscard]] thread_details* own_details() noexcept;
/// Makes room for one more scope in the calling thread's list, which is `mine`. False if there is no memory.
[[nodiscard]] bool grow_scopes(thread_details& mine) noexcept;
/// Removes scope `i` from the calling thread's list, which is `mine`.
void remove_scope(thread_details& mine, std::uint32_t i) noexcept;
/// Removes a domain from the lists of all threads. Thread safe; takes the registry's lock. Complexity: linear in the scopes
/// of all threads.
void forget_domain(void* domain) noexcept;

/// The library's number of the calling thread: `thread_id` of its entries in snapshots. From 1, and never used again. The
/// first call gives the thread its number if it has none. Does not throw. Thread safe.
[[nodiscard]] inline std::uint64_t this_thread_number() noexcept
{
    if (this_thread.key == 0) [[unlikely]]
        register_this_thread();
    return this_thread.id();
}

/// True once the process is registered for membarrier: then light_barrier needs no fence.
inline constinit atomic<bool> barrier_by_kernel{false};

/// The light half of an asymmetric barrier. Orders an earlier store of this thread before a later load with respect to
/// every thread that calls `heavy_barrier`: either that thread sees the store after its barrier, or the load sees what
/// that thread stored before it.
// Modelled: tests/models/claims.pml, step light_barrier
inline void light_barrier(atomic<std::uint32_t>& word) noexcept
{
    if (schedule::barrier())
        return;
    if (barrier_by_kernel.load(std::memory_order_relaxed)) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);   // for the compiler; membarrier orders the processor
        return;
    }
#if __has_feature(thread_sanitizer)
    word.fetch_add(0, std::memory_order_seq_cst);   // the sanitizer does not see fences
#else
    static_cast<void>(word);
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// Whether light_barrier has no fence: then kernel_light_barrier does the same. Does not change while the process has a
/// heap, but in a forked child.
[[nodiscard]] inline bool light_barrier_is_free() noexcept
{
    return schedule::compiled_in || barrier_by_kernel.load(std::memory_order_relaxed);
}
/// light_barrier where light_barrier_is_free(), without the look.
[[gnu::always_inline]] inline void kernel_light_barrier() noexcept
{
    if (!schedule::barrier())
        std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// The heavy half: when it returns, every running thread of the process has passed a full barrier. A system call where
/// the kernel has membarrier. Does not throw; aborts if the kernel keeps refusing the barrier.
void heavy_barrier() noexcept;

}
