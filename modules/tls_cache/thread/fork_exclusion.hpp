// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Sections in which a thread changes lists of a heap. A fork, and a thread that reaches for another thread's empty
// slabs, wait until the section ends or leave that thread alone. A section that begins while a fork is under way is a
// pass of the fork gate.
#pragma once

export namespace tslab {

/// Marks the calling thread as changing lists for its lifetime. A fork waits until no thread is so marked. While a fork
/// is under way the constructor waits as fork_gate::enter does: on the forking thread not at all, on others a bounded
/// time. It also waits while another thread takes this thread's retained slabs (see heap_state::reach_threads). Sections
/// nest; a null record makes no section. Requires: the thread holds no lock of the heap, or is in a section already.
/// Thread safe.
class fork_exclusion {
public:
    // Modelled: tests/models/reach.pml, step announce
    inline explicit fork_exclusion(thread_record* me) noexcept
        : me_{me}, before_{me != nullptr ? me->activity.load(std::memory_order_relaxed) : 0}
    {
        if (me_ == nullptr || (before_ & thread_record::changing_lists) != 0)
            return;
        me_->activity.store(before_ | thread_record::changing_lists, std::memory_order_relaxed);
        light_barrier(me_->activity);   // the mark is visible before the loads below
        // acquire: pairs with reach_threads. What it did to this thread's lists is visible.
        if (!fork_gate::is_open() || me_->reached.load(std::memory_order_acquire)) [[unlikely]]
            before_ = wait_outside(*me_, before_);
    }
    inline ~fork_exclusion()
    {
        if (me_ == nullptr)
            return;
        if ((before_ & in_pass) != 0) [[unlikely]]
            end_pass(*me_, before_);
        else
            me_->activity.store(before_, std::memory_order_release);   // as in leave()
    }
    /// Whether it began within another one, perhaps in a signal handler.
    [[nodiscard]] inline bool nests() const noexcept { return (before_ & thread_record::changing_lists) != 0; }
    fork_exclusion(fork_exclusion const&) = delete;
    fork_exclusion& operator=(fork_exclusion const&) = delete;

private:
    static constexpr std::uint32_t in_pass = std::uint32_t{1} << 31;   // of before_; never part of an activity
    // Static: so a section has no address, and lives in registers. `before`: before_, whose next value wait_outside returns.
    [[nodiscard]] static std::uint32_t wait_outside(thread_record& me, std::uint32_t before) noexcept;
    static void end_pass(thread_record& me, std::uint32_t before) noexcept;

    thread_record* me_;
    std::uint32_t before_;   // the activity to go back to
};

}
