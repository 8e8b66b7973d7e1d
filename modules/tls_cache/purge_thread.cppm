// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The thread that purges in the background, one a process, for the heaps that ask for it: what they do not want goes also when no
// thread of theirs does anything, and at once when the control group is short of memory. It has no record in any heap.
//
//   thread    event, by                                      under              to
//   none      the first heap that asks                       lock_              running
//   running   the last such heap ends, which joins it        lock_, then none   none
//   running   a fork, in the child                           both locks         none
//   none      a heap in the child comes to its decay         lock_              running
//
// Two locks: `pass_lock_` is held while the thread works on one heap or on the group's files; `lock_` guards the list of heaps and
// what is known of the thread, for a few instructions at a time. The thread chooses a heap with both. So a heap that has left the list
// and has then had `pass_lock_` is not worked on any more; and a fork that holds both finds whole lists.
// Order: registry, pass_lock_, lock_; and pass_lock_ before every lock of a heap.
module;
#include <atomic>
#include <cstdint>
#include <pthread.h>
export module tslab.tls_cache:purge_thread;

import tslab.stats;
import tslab.slab;
import :face;
import :core;

namespace tslab {

class purge_thread {
public:
    /// Looks after `h` from now on; starts the thread if need be. Where it cannot be had, the heap's face says so.
    void add(heap_core& h) noexcept;
    /// Forgets `h`, if it was added. Waits for the end of the pass that works on it, and of the thread if nobody else needs it. The
    /// caller holds no lock.
    void remove(heap_core& h) noexcept;
    /// Starts the thread if there are heaps for it and it is not there. Thread safe; the caller holds no lock of a heap.
    inline void ensure_started() noexcept
    {
        if (!running_.load(std::memory_order_relaxed)) [[unlikely]]
            start_again();
    }

    /// Called by the registry, with its lock held and no thread changing lists.
    void before_fork() noexcept __attribute__((no_thread_safety_analysis));
    void after_fork(bool in_child) noexcept __attribute__((no_thread_safety_analysis));

private:
    /// One visit of every heap.
    struct round {
        std::uint64_t now = 0;       ///< now_ns_coarse
        bool pressed = false;        ///< the control group is short of memory
        bool keeps = false;          ///< some heap has something that could go
        std::uint64_t due = never;   ///< when the next visit is
    };
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    void start() noexcept __attribute__((requires_capability(lock_)));
    void start_again() noexcept;
    [[nodiscard]] bool create_thread() noexcept __attribute__((requires_capability(lock_)));
    void tell(background_state state) noexcept __attribute__((requires_capability(lock_)));
    static void* entry(void* generation) noexcept;
    void run(std::uint32_t generation) noexcept;
    [[nodiscard]] bool begin_round(std::uint32_t generation) noexcept;
    [[nodiscard]] bool work_on_next(round& r, std::uint32_t generation) noexcept;
    [[nodiscard]] memory_group::descriptors open_group() noexcept;
    [[nodiscard]] bool is_near_limit() noexcept;
    void close_group() noexcept __attribute__((requires_capability(pass_lock_)));

    mutex pass_lock_;
    memory_group group_ __attribute__((guarded_by(pass_lock_)));
    bool group_tried_ __attribute__((guarded_by(pass_lock_))) = false;

    mutex lock_;
    heap_core* heaps_ __attribute__((guarded_by(lock_))) = nullptr;     // newest first
    heap_core* next_ __attribute__((guarded_by(lock_))) = nullptr;      // the next one of this round
    std::uint32_t watching_ __attribute__((guarded_by(lock_))) = 0;     // heaps that ask for the group to be watched
    std::uint32_t generation_ __attribute__((guarded_by(lock_))) = 0;   // of the thread: an older one ends
    pthread_t thread_ __attribute__((guarded_by(lock_))){};
    int wake_ __attribute__((guarded_by(lock_))) = -1;   // eventfd
    atomic<bool> running_{false};                        // written under the lock
};

/// Never destroyed, as the registry.
purge_thread& background() noexcept;

}
