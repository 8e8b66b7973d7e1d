// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What other threads may do between this library's fork handlers. There, fork handlers of other libraries run, which
// may allocate, and which may wait for a lock whose holder allocates, so neither the forking thread nor any other may be
// blocked for ever; and yet no thread may be changing lists at the moment of the fork. So the locks are not held but
// reserved, and threads pass one at a time while they hold a lock that fork() itself takes after the last handler.
//
//   gate       event, by                                           to         made safe by
//   open       first prepare handler, which reserved the registry  preparing  the registry's lock: one thread at a time,
//                                                                             which looks at the gate again under it
//   preparing  the same: no list is being changed, and every       closed     a thread that was in a section has left it;
//              lock is reserved                                               a pass of others waits for this
//   closed     a thread has waited `patience`                      lifted     compare-exchange
//   lifted     another thread forks                                lifted     phase and number of forks are one word: the
//                                                                             number is raised if it is not 0
//   closed,    the last parent handler, within a pass              open       passes exclude each other; every
//   lifted                                                                    reservation is released before
//   any        the child, before its thread changes a list         open       the child has one thread
//
//   preparing, closed: the forking thread passes at once, other threads wait. lifted: every thread passes at once.
//
// The model is tests/models/fork.pml.
#pragma once

export namespace tslab {

/// The gate of this copy of the library. All functions are thread safe.
class fork_gate {
public:
    /// Whether no fork is under way. A hint, unless the caller is in a pass.
    [[nodiscard]] static inline bool is_open() noexcept { return state.load(std::memory_order_relaxed) == open_state; }

    /// Returns false if no fork is under way. Otherwise waits until the calling thread may change what the fork
    /// protects, and returns true: it is in a pass, which it ends by leave(). Passes nest; those of different threads
    /// exclude each other and the moment of the fork. Waits until the fork is prepared, then for what is left of
    /// `patience`, then for other passes and for other holders of the C library's list of streams. In a forked child
    /// whose handler has not run yet: runs it, and returns false.
    [[nodiscard]] static bool enter() noexcept;
    static void leave() noexcept;

    // For the registry.

    /// Joins a fork that is under way; false if there is none that can be joined: then the caller closes the gate, or
    /// waits.
    [[nodiscard]] static bool join() noexcept;
    /// From open to preparing; false if the gate is not open.
    [[nodiscard]] static bool close() noexcept;
    /// From preparing to closed: from now on other threads may pass, and join.
    static void prepared() noexcept;
    /// Ends one fork in the parent; true if it was the last: then the caller opens the gate, in a pass.
    [[nodiscard]] static bool end() noexcept;
    static void open() noexcept;
    /// For a thread that wants to fork and finds the gate closed by another: waits until that may have changed.
    static void wait_a_turn() noexcept;
    /// In the child: no pass, no fork, open.
    static void reset_in_child() noexcept;
    /// Called in a child whose thread needs memory before the child's handler of this library has run.
    static inline constinit void (*settle_child)() noexcept = nullptr;

    /// How long threads wait at a closed gate. An ordinary fork is over by then.
    static constexpr std::uint64_t patience_ns = 5'000'000;

    static inline constinit atomic<std::uint32_t> state{0};

private:
    // `state`: the phase, and above it the number of forks under way. 0: open.
    static constexpr std::uint32_t open_state = 0;
    static constexpr std::uint32_t preparing = 1;
    static constexpr std::uint32_t closed = 2;
    static constexpr std::uint32_t lifted = 3;
    static constexpr std::uint32_t phases = 3;
    static constexpr std::uint32_t one_fork = 4;
};

}
