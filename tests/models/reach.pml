// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Flushing what an idle thread retains. Thread T retains empty slabs in lists of its own, takes some of them into use
// and puts them back, each time in a section that it announces in `activity`. Two threads reach T: they take all that T
// retains, unless T is in a section. In a variant a third thread forks meanwhile: it waits for T's section, then takes
// the lock under which T is reached.
//
// T's stores pass through a store buffer, as in claims.pml: the section has no fence between the announcement and the
// load of `reached`. The heavy barrier of a thread that reaches T, or forks, flushes the buffer. Locks flush it too.
//
// Bound: 2 slabs, 3 sections of T, each of which may be repeated when T finds itself reached; 2 threads that reach T
// once each and read its activity once (64 times in the code); 1 fork; 4 stores in the buffer.
// States: 31,956; WITHOUT_MEMBARRIER 16,100; WITH_FORK 129,125.
// Shown: a list is changed by one thread at a time; no slab is lost or in two places; T waits only for the end of a
// reach or a fork, and those wait only for the end of a section: no thread waits for ever.
//
// A thread that finds a fork under way may also pass the fork gate: that is fork.pml's.
//
// Variants: (none) WITHOUT_MEMBARRIER WITH_FORK
//
// MUTANT_NO_HEAVY_BARRIER: assertion taken_in_section
// MUTANT_BARRIER_BEFORE_REACHED: assertion taken_in_section
// MUTANT_LOOK_BEFORE_ANNOUNCING: assertion taken_in_section
// MUTANT_ACTIVITY_IGNORED: assertion taken_in_section
// MUTANT_REACHED_NOT_LOOKED_AT: assertion slab_lost
// MUTANT_CLEARED_FIRST: assertion slab_lost
// MUTANT_LEAVE_TOO_EARLY: assertion slab_lost
// MUTANT_FORK_DOES_NOT_WAIT (WITH_FORK): assertion forked_in_section

#define SLABS 2
#define SECTIONS 3
#define IN_BUFFER 4

// Memory that T writes without a lock.
#define ACTIVITY 0
#define RETAINED 1
byte memory[2];
byte buffered_at[IN_BUFFER];
byte buffered[IN_BUFFER];
byte in_buffer = 0;

bool reached = false;
bool reach_lock = false;
bool fork_under_way = false;
byte cached = 0;          // slabs in the heap's cache, under its lock

// State of the model only.
bool in_section = false;   // T relies on its lists being its own
byte in_use = 0;          // slabs that T took
bool t_stopped = false;
byte reaches = 0;         // ended

hidden byte i;
hidden byte j;

inline apply_first()
{
    memory[buffered_at[0]] = buffered[0];
    in_buffer--;
    i = 0;
    do
    :: i < in_buffer -> buffered_at[i] = buffered_at[i + 1]; buffered[i] = buffered[i + 1]; i++
    :: else -> break
    od;
    buffered_at[in_buffer] = 0;
    buffered[in_buffer] = 0
}

inline empty_buffer()
{
    do
    :: in_buffer > 0 -> apply_first()
    :: else -> break
    od
}

inline store(at, value)
{
    d_step {
        in_buffer < IN_BUFFER;
        buffered_at[in_buffer] = at;
        buffered[in_buffer] = value;
        in_buffer++
    }
}

inline look_up(at, result)
{
    result = memory[at];
    j = 0;
    do
    :: j < in_buffer -> if :: buffered_at[j] == at -> result = buffered[j] :: else fi; j++
    :: else -> break
    od
}

inline load(at, result) { d_step { look_up(at, result); j = 0 } }

active proctype the_store_buffer()
{
end:
    do
    :: d_step { in_buffer > 0 -> apply_first(); i = 0 }
    od
}

inline light_barrier()
{
#ifdef WITHOUT_MEMBARRIER
    d_step { empty_buffer(); i = 0 }
#else
    skip   // the compiler keeps the order; the processor may not
#endif
}

inline heavy_barrier()
{
#ifdef MUTANT_NO_HEAVY_BARRIER
    skip
#else
    d_step { empty_buffer(); i = 0 }
#endif
}

// Step announce.  Code: modules/tls_cache/thread/fork_exclusion.hpp fork_exclusion
inline announce()
{
#ifdef MUTANT_LOOK_BEFORE_ANNOUNCING
    seen = reached || fork_under_way;
    store(ACTIVITY, 1);
    light_barrier()
#else
    store(ACTIVITY, 1);
    light_barrier();
    seen = reached || fork_under_way
#endif
#ifdef MUTANT_REACHED_NOT_LOOKED_AT
    ; seen = fork_under_way
#endif
}

// Step wait_outside.  Code: modules/tls_cache/thread/fork.cpp fork_exclusion::wait_outside
inline wait_outside()
{
    store(ACTIVITY, 0);
    !fork_under_way;
    if
    :: reached ->
        // A lock: other threads see T's stores from here on.
        atomic { !reach_lock; empty_buffer(); i = 0; reach_lock = true };
        reach_lock = false
    :: else
    fi
}

proctype T()
{
    byte n = SECTIONS;
    byte retained;
    bool seen;
    do
    :: n > 0 ->
        n--;
        announce();
        do
        :: seen -> wait_outside(); announce()
        :: else -> break
        od;
        in_section = true;
        load(RETAINED, retained);
        if
        :: retained > 0 -> store(RETAINED, retained - 1); in_use++
        :: in_use > 0 -> in_use--;
#ifdef MUTANT_LEAVE_TOO_EARLY
            in_section = false; store(ACTIVITY, 0);
#endif
            store(RETAINED, retained + 1)
        :: retained == 0 && in_use == 0   // from the heap's cache, which has a lock of its own
            -> if
               :: atomic { cached > 0 -> cached--; in_use++ }
               :: cached == 0
               fi
        fi;
        in_section = false;
        store(ACTIVITY, 0)
    :: n == 0 -> break
    od;
    skip;
    d_step { empty_buffer(); i = 0; retained = 0 };
    t_stopped = true
}

// Step flush_retained.  Code: modules/tls_cache/cache/retained.cpp heap_state::flush_retained
inline flush_retained()
{
    assert(!in_section);   // taken_in_section
    taken = memory[RETAINED];
    assert(!in_section);   // taken_in_section
    memory[RETAINED] = 0;
    atomic { cached = cached + taken; taken = 0 }
}

// Step reach_threads.  Code: modules/tls_cache/cache/retained.cpp heap_state::reach_threads
proctype reacher()
{
    byte taken;
    atomic { !reach_lock; reach_lock = true };
#ifdef MUTANT_BARRIER_BEFORE_REACHED
    heavy_barrier();
    reached = true;
#else
    reached = true;
    heavy_barrier();
#endif
    if
#ifdef MUTANT_ACTIVITY_IGNORED
    :: true ->
#else
    :: memory[ACTIVITY] == 0 ->
#endif
#ifdef MUTANT_CLEARED_FIRST
        reached = false;
#endif
        flush_retained()
#ifndef MUTANT_ACTIVITY_IGNORED
    :: else
#endif
    fi;
    reached = false;
    reach_lock = false;
    reaches++
}

#ifdef WITH_FORK
// Step before_fork.  Code: modules/tls_cache/thread/fork.cpp thread_registry::before_fork
proctype forker()
{
    fork_under_way = true;
    heavy_barrier();
#ifndef MUTANT_FORK_DOES_NOT_WAIT
    memory[ACTIVITY] == 0;
#endif
    atomic { !reach_lock; reach_lock = true };
    assert(!in_section);   // forked_in_section
    assert(!reached);      // forked_while_reached
    reach_lock = false;
    fork_under_way = false
}
#endif

init
{
    atomic {
        memory[RETAINED] = SLABS;
        run T();
        run reacher();
        run reacher();
#ifdef WITH_FORK
        run forker()
#endif
    };
    t_stopped && reaches == 2;
    assert(memory[RETAINED] + in_use + cached == SLABS)   // slab_lost
}
