// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The one thing all heaps of the process share: the list of heaps, the hooks at thread exit and at fork, and the
// membarrier registration. Its lock is the outermost; it is taken when heaps and threads come and go, and by fork.
module;
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
export module tslab.tls_cache:registry;

import tslab.stats;
import tslab.slab;
import :face;
import :thread;
import :core;

namespace tslab {

class thread_registry {
public:
    /// False, and nothing is done, when the hooks at thread exit and at fork cannot be had.
    [[nodiscard]] bool add(heap_core& h) noexcept;
    /// Forgets a heap and unlinks its records from the threads that have them.
    void remove(heap_core& h) noexcept;

    /// A record of `h` for the calling thread; null when there is no memory for it, or for the hook at the thread's end.
    [[nodiscard]] thread_record* adopt_record(heap_core& h) noexcept;

    /// Calls use(record) with the calling thread's record of the heap with that number, if that heap still lives.
    template <class F> void with_record(std::uint64_t heap_number, F use) noexcept
    {
        lock_guard const guard{lock_};   // the heap does not end meanwhile
        for (thread_record* r = own_records(); r != nullptr; r = r->next_of_thread)
            if (r->heap.number() == heap_number)
                return use(*r);
    }

    /// What the hook at thread exit does: hands back every claim of the calling thread.
    void thread_ends() noexcept;

    /// The name is empty when there is no memory for it.
    [[nodiscard]] bool name_of_owner(void const* p, heap_core const* except, std::string& name) noexcept;

    void before_fork() noexcept __attribute__((no_thread_safety_analysis));
    void after_fork(bool in_child) noexcept __attribute__((no_thread_safety_analysis));

private:
    void list_for_readers(heap_core& h) noexcept __attribute__((requires_capability(lock_)));
    void unlist_for_readers(heap_core& h) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] heap_directory* directory(std::size_t n) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool install_hooks() noexcept __attribute__((requires_capability(lock_)));
    /// The calling thread's, made if it has none; null when there is no memory.
    [[nodiscard]] record_list* own_list() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] static inline thread_record* own_records() noexcept
    {
        return this_thread.records != nullptr ? this_thread.records->first : nullptr;
    }
    /// Hands back every claim of the list's records, and the list.
    void end_records(record_list& list) noexcept __attribute__((requires_capability(lock_)));
    /// Does for threads that ended after their hook what the hook does: looks at some of the lists, others each time.
    void end_for_the_dead() noexcept __attribute__((requires_capability(lock_)));

    mutex lock_;
    heap_core* heaps_ __attribute__((guarded_by(lock_))) = nullptr;
    record_list* free_lists_ __attribute__((guarded_by(lock_))) = nullptr;
    record_list* all_lists_ __attribute__((guarded_by(lock_))) = nullptr;   // none is ever freed
    record_list* asked_next_ __attribute__((guarded_by(lock_))) = nullptr;
    bool hooks_installed_ __attribute__((guarded_by(lock_))) = false;
    // Of the heaps that readers find: the directories in the segment, and which places of them are taken.
    static constexpr std::size_t most_directories = segment::most_chunks / heap_directory::capacity;
    segment_part told_ __attribute__((guarded_by(lock_)));
    std::array<heap_directory*, most_directories> directories_ __attribute__((guarded_by(lock_))){};
    std::array<std::uint64_t, segment::most_chunks / 64> listed_ __attribute__((guarded_by(lock_))){};
    std::size_t listed_count_ __attribute__((guarded_by(lock_))) = 0;
};

/// Never destroyed: a thread may end after the static objects of the program have.
thread_registry& registry() noexcept;

}
