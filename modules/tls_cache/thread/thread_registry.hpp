// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The registry of a process: its heaps, the lists of its threads' records, the hooks at thread exit and at fork, and
// the registration for membarrier. Thread safe. Its lock is the outermost one; it is taken when heaps or threads start
// and end, at a fork, and where a list of scopes grows or changes out of order.
#pragma once

namespace tslab {

class thread_registry {
public:
    /// Adds a heap. Returns false, without effect, if the hooks at thread exit and at fork cannot be installed.
    [[nodiscard]] bool add(heap_state& h) noexcept;
    /// Removes a heap and unlinks its records from the lists of their threads.
    void remove(heap_state& h) noexcept;

    /// Returns a record of `h` for the calling thread: its own, one of an ended thread, or a new one. Null if there is
    /// no memory for it, or for the hook at the thread's end.
    [[nodiscard]] thread_record* adopt_record(heap_state& h) noexcept;

    /// The details of the calling thread, whose hook is installed, in a list of its own; null if there is no memory.
    [[nodiscard]] thread_details* own_details() noexcept;

    /// As the functions of the same names in this_thread.hpp.
    [[nodiscard]] bool grow_scopes(thread_details& mine) noexcept;
    void remove_scope(thread_details& mine, std::uint32_t i) noexcept;
    void forget_domain(void* domain) noexcept;

    /// Calls use(record) with the calling thread's record of the heap with that number, if that heap still lives.
    template <class F> void with_record(std::uint64_t heap_number, F use) noexcept
    {
        lock_guard const guard{lock_};   // the heap does not end meanwhile
        for (thread_record* r = own_records(); r != nullptr; r = r->next_of_thread)
            if (r->heap.number() == heap_number)
                return use(*r);
    }

    /// Calls use(record) with each record of the calling thread; the heaps do not end meanwhile.
    template <class F> void for_each_own_record(F use) noexcept
    {
        lock_guard const guard{lock_};
        for (thread_record const* r = own_records(); r != nullptr; r = r->next_of_thread)
            use(*r);
    }

    /// Calls use() with the registry's lock held.
    template <class F> void with_lock(F use) noexcept
    {
        lock_guard const guard{lock_};
        use();
    }

    /// Runs at thread exit: flushes every cache of the calling thread, and frees its records for later threads.
    void thread_ends() noexcept;

    /// Whether `p` lies in the addresses of a heap other than `except`. `name` is set to that heap's name, or is empty
    /// if there is no memory for it.
    [[nodiscard]] bool name_of_owner(void const* p, heap_state const* except, std::string& name) noexcept;

    /// The handlers around a fork: see fork_gate. After before_fork the calling thread, and by and by every other, may
    /// go on to use the heaps. The child's may be called several times, and does its work once.
    void before_fork() noexcept __attribute__((no_thread_safety_analysis));
    void after_fork_in_parent() noexcept __attribute__((no_thread_safety_analysis));
    void after_fork_in_child() noexcept __attribute__((no_thread_safety_analysis));

private:
    void list_for_readers(heap_state& h) noexcept __attribute__((requires_capability(lock_)));
    void unlist_for_readers(heap_state& h) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] heap_directory* directory(std::size_t n) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool install_hooks() noexcept __attribute__((requires_capability(lock_)));
    /// Whether no heap had this name before. A new name may be taken for a used one if there were thousands of names.
    [[nodiscard]] bool is_new_name(std::string_view name) noexcept __attribute__((requires_capability(lock_)));
    /// The calling thread's list of records, made if it has none; null if there is no memory.
    [[nodiscard]] record_list* own_list() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] static record_list* make_list() noexcept;
    [[nodiscard]] static inline thread_record* own_records() noexcept
    {
        return this_thread.more->list != nullptr ? this_thread.more->list->first : nullptr;
    }
    /// Flushes every cache of the list's records, frees the records and the list for later threads.
    void end_records(record_list& list) noexcept __attribute__((requires_capability(lock_)));
    /// Reaps threads that exited after the TLS destructor ran; looks at 16 lists per call at most, at others in each
    /// call.
    void end_for_the_dead() noexcept __attribute__((requires_capability(lock_)));
    /// Reserves the registry's lock for a fork that is the first one; false while another one is under way, or the lock
    /// is held.
    [[nodiscard]] inline bool reserve_first() noexcept
    {
        if (!fork_gate::is_open() || !lock_.reserve())
            return false;
        if (fork_gate::is_open())
            return true;
        lock_.end_reservation();   // another fork has ended its reservation, and opens the gate in a moment
        return false;
    }
    template <class F> void for_each_lock(F visit) noexcept __attribute__((no_thread_safety_analysis));

    mutex lock_;
    heap_state* heaps_ __attribute__((guarded_by(lock_))) = nullptr;
    record_list* free_lists_ __attribute__((guarded_by(lock_))) = nullptr;
    record_list* all_lists_ __attribute__((guarded_by(lock_))) = nullptr;   // no list is ever freed
    record_list* asked_next_ __attribute__((guarded_by(lock_))) = nullptr;
    bool hooks_installed_ __attribute__((guarded_by(lock_))) = false;
    // A Bloom filter of the names that heaps had: of constant size, however many heaps come and go.
    static constexpr std::size_t name_words = 1024;
    std::array<std::uint64_t, name_words> names_ __attribute__((guarded_by(lock_))){};
    // What readers find heaps by: the directories in the segment, and which entries are in use.
    static constexpr std::size_t most_directories = segment::most_chunks / heap_directory::capacity;
    segment_part published_ __attribute__((guarded_by(lock_)));
    std::array<heap_directory*, most_directories> directories_ __attribute__((guarded_by(lock_))){};
    std::array<std::uint64_t, segment::most_chunks / 64> listed_ __attribute__((guarded_by(lock_))){};
    std::size_t listed_count_ __attribute__((guarded_by(lock_))) = 0;
};

/// Registers the process for the kernel's membarrier, if it has one: see barrier_by_kernel.
void ask_kernel_for_barriers() noexcept;

/// The registry. Never destroyed: a thread may end after the program's static objects.
thread_registry& registry() noexcept;

}
