// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The background purge thread, one a process, for the heaps that request it. It decays them while no thread uses them,
// and purges them at once when the control group is short of memory. It has no record in any heap. All public functions
// are thread safe.
//   thread    event, by                                      under              to
//   none      the first heap that asks                       lock_              running
//   running   the last such heap ends, which joins it        lock_, then none   none
//   running   a fork, in the child                           both locks         none
//   none      a heap in the child comes to its decay         lock_              running
//
// Two locks: `pass_lock_` is held while the thread works on one heap or on the group's files; `lock_` guards the list
// of heaps and the thread's state, for a few instructions at a time. The thread chooses a heap with both held. So a
// heap that leaves the list and then takes `pass_lock_` once is not worked on afterwards, and a fork that reserves both
// finds consistent lists.
// Order: registry, pass_lock_, lock_; and pass_lock_ before every lock of a heap.
#pragma once

namespace tslab {

class purge_thread {
public:
    /// Adds `h`; starts the thread if it does not run. If that fails, the heap's stats page says so. Waits for a pass.
    void add(heap_state& h) noexcept;
    /// Removes `h`, if it was added. Waits for a pass that works on it, and for the end of the thread if `h` was the
    /// last heap. The caller holds no lock.
    void remove(heap_state& h) noexcept;
    /// Starts the thread if there are heaps and it does not run, as in a forked child. Thread safe; the caller holds no
    /// lock of a heap.
    inline void ensure_started() noexcept
    {
        if (!running_.load(std::memory_order_relaxed)) [[unlikely]]
            start_again();
    }

    /// Calls `visit` for both locks, in order. For the registry, around a fork.
    template <class F> inline void for_each_lock(F visit) noexcept __attribute__((no_thread_safety_analysis))
    {
        visit(pass_lock_);
        visit(lock_);
    }
    /// In a forked child, whose thread has made the locks free: the purge thread exists only in the parent.
    void after_fork_in_child() noexcept __attribute__((no_thread_safety_analysis));

private:
    /// The state of one round over all heaps.
    struct round {
        std::uint64_t now = 0;       ///< now_ns_coarse
        bool pressed = false;        ///< the control group is short of memory
        bool keeps = false;          ///< some heap has memory that could be purged
        std::uint64_t due = never;   ///< when the next round begins
    };
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    void start() noexcept __attribute__((requires_capability(lock_)));
    void start_again() noexcept;
    [[nodiscard]] bool create_thread() noexcept __attribute__((requires_capability(lock_)));
    void publish_state(background_state state) noexcept __attribute__((requires_capability(lock_)));
    static void* entry(void* generation) noexcept;
    void run(std::uint32_t generation) noexcept;
    [[nodiscard]] bool begin_round(std::uint32_t generation) noexcept;
    [[nodiscard]] bool work_on_next(round& r, std::uint32_t generation) noexcept;
    void open_group() noexcept __attribute__((requires_capability(pass_lock_)));
    [[nodiscard]] memory_group::descriptors watch() noexcept;
    [[nodiscard]] bool is_near_limit() noexcept;
    void close_group() noexcept __attribute__((requires_capability(pass_lock_)));

    mutex pass_lock_;
    memory_group group_ __attribute__((guarded_by(pass_lock_)));
    bool group_tried_ __attribute__((guarded_by(pass_lock_))) = false;

    mutex lock_;
    heap_state* heaps_ __attribute__((guarded_by(lock_))) = nullptr;   // newest first
    heap_state* next_ __attribute__((guarded_by(lock_))) = nullptr;    // the next heap of this round
    std::uint32_t watching_ __attribute__((guarded_by(lock_))) = 0;   // heaps that request a watch on the control group
    std::uint32_t generation_ __attribute__((guarded_by(lock_))) = 0;   // of the thread; a thread of an older one ends
    pthread_t thread_ __attribute__((guarded_by(lock_))){};
    int wake_ __attribute__((guarded_by(lock_))) = -1;   // eventfd
    atomic<bool> running_{false};                        // written under the lock
};

/// The purge thread's object. Never destroyed, as the registry.
purge_thread& background() noexcept;

}
