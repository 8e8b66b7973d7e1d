// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Counts a close: an explicit one, or one by the end of a domain or resource.
#pragma once

namespace tslab {

/// Counts what the phase of a closed epoch cost. A thread without a record has no row for it.
inline void note_phase(heap_state& state, thread_record* me, reclaim_result const& done) noexcept
{
    if (me != nullptr)
        me->note_phase(done.cost_label, done.cost, done.place);
    else
        state.count(nullptr, heap_event::cost_dropped);
}

/// Counts a close; `nanoseconds`: its duration, 0 if it was not timed.
inline void count_close(heap_state& state, thread_record* me, reclaim_result const& done,
                        std::uint64_t nanoseconds = 0) noexcept
{
    state.count(me, heap_event::epoch_close, done.closed ? 1 : 0);
    if (done.closed)
        note_phase(state, me, done);
    state.count(me, heap_event::close_deferred, done.deferred);
    if (me == nullptr)
        return;
    me->count_reclaimed(done);
    done.for_each_class([&](unsigned c) {
        me->classes[c][class_event::close_call].add();
        if (nanoseconds != 0)
            me->classes[c][class_event::close_nanoseconds].add(nanoseconds);
    });
}

}
