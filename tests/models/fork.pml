// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The fork gate, forks of several threads, and locks on which threads sleep while a fork reserves them. A thread that forks
// reserves the registry's lock, closes the gate, waits for sections, reserves the heap's lock, and says that all is
// prepared; or it joins a fork that others may pass already. fork() takes the C library's lock of its streams and copies the
// process; the last thread that ends its fork in the parent ends the reservations and opens the gate. A thread that has
// waited long enough at the closed gate lifts it: time is any moment.
//
// Stores are seen at once here; that a section's announcement and the gate's closing see each other is reach.pml's.
//
// (none)         Beside a library whose fork handlers take a mutex. F forks; the library's prepare handler, which was
//                registered earlier than tslab's, takes the mutex and allocates; its parent handler allocates and releases
//                it. H holds the mutex while it allocates. W allocates without the library.
// LATE_HANDLER   The same; the library's handler was registered later, and runs before tslab's.
// TWO_FORKS      F forks twice, G once, each perhaps with a handler that allocates. E ends a heap.
// FORK_BESIDE    F and G fork once each, W allocates, E ends a heap.
// SLEEPERS       F forks, and three threads end a heap each: up to two sleep on the registry's lock when it is reserved.
//
// Bound: an allocation is a section, with the heap's lock in it. Who ends a heap takes the registry's lock and removes the
// heap from the list; E of TWO_FORKS also allocates under that lock, as a thread does that ends. (none), LATE_HANDLER: 2
// allocations of H, 2 of W, 1 of F in each handler.
// States: 36,607; LATE_HANDLER 9,929; TWO_FORKS 102,718; FORK_BESIDE 165,975; SLEEPERS 122,728.
// Shown: at the copy of every fork no thread is in a section or holds a lock, and every lock is reserved, so the child finds
// consistent lists; no heap leaves the list while a thread that prepares or ends a fork walks it; the gate is not opened
// while a fork is under way; every fork ends, and so does every thread, also one that slept on a lock before the fork; the
// locks are free and the gate is open afterwards.
// Not shown: a fork that goes on when its patience is over; a thread that begins a section while it holds another lock than
// the registry's; a fork from within a handler of another fork; the child. That a thread which neither sleeps nor waits
// makes progress: two could make each other look at the gate for ever.
//
// Variants: (none) LATE_HANDLER TWO_FORKS FORK_BESIDE SLEEPERS
//
// MUTANT_LOCK_IS_HELD: invalid end state
// MUTANT_GATE_IS_NOT_LIFTED: invalid end state
// MUTANT_FORKER_WAITS: invalid end state
// MUTANT_PASS_WITHOUT_THE_LIST (LATE_HANDLER): assertion forked_in_section
// MUTANT_DOES_NOT_WAIT: assertion forked_in_section
// MUTANT_OPENED_OUTSIDE_OF_A_PASS: assertion left_reserved
// MUTANT_SLEEPERS_FORGOTTEN (SLEEPERS): invalid end state
// MUTANT_LIFTED_IN_PREPARATION (SLEEPERS): assertion unlinked_under_a_walk
// MUTANT_PASS_OF_ANY_FORK (TWO_FORKS): assertion unlinked_under_a_walk
// MUTANT_JOIN_IN_TWO_STEPS (TWO_FORKS): assertion forked_unprepared
// MUTANT_JOINS_WHAT_ENDED (TWO_FORKS): assertion opened_under_a_fork
// MUTANT_RESERVED_WITHOUT_SECOND_LOOK (TWO_FORKS): assertion opened_under_a_fork

// The gate's word: a phase, and the number of forks under way above it.
#define OPEN 0
#define PREPARING 1
#define CLOSED 2
#define LIFTED 3
#define ONE_FORK 4
#define phase (gate & 3)
#define forks (gate >> 2)

// A lock's word.
#define FREE 0
#define HELD 1
#define WAITERS 2        // held, and threads may sleep
#define RESERVED 3

#define REGISTRY 0
#define HEAP 1
#define NONE 255

#define F 0
#define G 1
#define H 1
#define W 2
#if defined(FORK_BESIDE) || defined(SLEEPERS)
#define E 3
#define THREADS 4
#else
#define E 2
#define THREADS 3
#endif

byte gate = OPEN;
byte closer = NONE;      // the thread that closed the gate
byte lock[2];
byte asleep[THREADS] = NONE;   // by thread: the lock that it sleeps on
byte list = NONE;        // who holds the C library's lock of its streams, which is recursive
byte passes = 0;         // that thread's
bool library = false;    // the other library's mutex
byte activity[THREADS];  // by thread: in a section
byte ended = 0;
// State of the model only.
byte changing[THREADS];  // the thread relies on no fork copying what it changes
byte walkers = 0;        // threads that walk the list of heaps for a fork

#define mine(me) (closer == me)
#define may_pass(me) (phase == LIFTED || (phase != OPEN && mine(me)))
#define may_join(me) (phase == LIFTED || (phase == CLOSED && mine(me)))
#ifdef MUTANT_PASS_OF_ANY_FORK
#define may_still_pass(me) (phase != OPEN)
#else
#define may_still_pass(me) may_pass(me)
#endif

#define LOCALS \
    bool entered = false;          /* what enter() returned */ \
    bool section_passes = false;   /* the section is in a pass */ \
    bool heap_passes = false;      /* the holder of the heap's lock is in a pass */ \
    bool registry_passes = false;  /* and of the registry's */ \
    byte was = FREE                /* the word of the lock that it released */

// Step leave.  Code: modules/slab/system/fork_gate.cpp fork_gate::leave
inline leave(me)
{
#ifdef MUTANT_PASS_WITHOUT_THE_LIST
    skip
#else
    d_step
    {
        passes--;
        if
        :: passes == 0 -> list = NONE
        :: else
        fi
    }
#endif
}

// Step enter.  Code: modules/slab/system/fork_gate.cpp fork_gate::enter
inline enter(me)
{
    do
    :: phase == OPEN -> entered = false; break
#ifdef MUTANT_FORKER_WAITS
    :: phase == LIFTED ->
#elif defined(MUTANT_PASS_WITHOUT_THE_LIST)
    :: may_pass(me) -> entered = true; break
#else
    :: may_pass(me) ->
#endif
#ifndef MUTANT_PASS_WITHOUT_THE_LIST
        d_step { list == NONE || list == me -> list = me; passes++ };
        // Not just "not open": while the thread waited for the list, its fork may have ended and another one begun.
        if
        :: may_still_pass(me) -> entered = true; break
        :: !may_still_pass(me) -> leave(me)
        fi
#endif
#ifndef MUTANT_GATE_IS_NOT_LIFTED
    :: d_step { phase == CLOSED && !mine(me) -> gate = gate - CLOSED + LIFTED }
#endif
#ifdef MUTANT_LIFTED_IN_PREPARATION
    :: d_step { phase == PREPARING && !mine(me) -> gate = gate - PREPARING + LIFTED }
#endif
    od
}

inline leave_if(me, passing)
{
    if
    :: passing -> passing = false; leave(me)
    :: !passing
    fi
}

// Step wait_outside.  Code: modules/tls_cache/thread/fork.cpp fork_exclusion::wait_outside
inline section(me)
{
    activity[me] = 1;
    do
    :: phase != OPEN && !section_passes -> activity[me] = 0; enter(me); section_passes = entered; activity[me] = 1
    :: phase == OPEN || section_passes -> break
    od;
    entered = false
}

inline end_section(me)
{
    activity[me] = 0;
    leave_if(me, section_passes)
}

// Step locking.  Code: modules/slab/system/mutex.cpp mutex::wait; modules/slab/system/mutex.cpp mutex::unlock_rare
inline acquire(l, me, passing)
{
    if
    :: d_step { lock[l] == FREE -> lock[l] = HELD }
    :: lock[l] != FREE ->
        // "With waiters" from now on, since other threads may sleep already, also if a fork reserved the lock meanwhile.
        do
        :: d_step { lock[l] == FREE -> lock[l] = WAITERS }; break
        :: d_step { lock[l] == HELD -> lock[l] = WAITERS }
        :: d_step { lock[l] == WAITERS -> asleep[me] = l }; asleep[me] == NONE
#ifndef MUTANT_LOCK_IS_HELD
        :: lock[l] == RESERVED && phase != OPEN -> enter(me);
            if
#ifdef MUTANT_SLEEPERS_FORGOTTEN
            :: d_step { entered && lock[l] == RESERVED -> lock[l] = HELD };
#else
            :: d_step { entered && lock[l] == RESERVED -> lock[l] = WAITERS };
#endif
                passing = true; break
            :: entered && lock[l] != RESERVED -> leave(me)
            :: !entered   // the fork begins or ends at this moment
            fi
#endif
        od;
        entered = false
    fi
}

inline wake(l, i) { d_step { asleep[i] == l -> asleep[i] = NONE } }

inline wake_one(l)
{
    if
    :: wake(l, 0)
    :: wake(l, 1)
    :: wake(l, 2)
#if THREADS == 4
    :: wake(l, 3)
    :: asleep[0] != l && asleep[1] != l && asleep[2] != l && asleep[3] != l
#else
    :: asleep[0] != l && asleep[1] != l && asleep[2] != l
#endif
    fi
}

inline wake_all(l)
{
    d_step
    {
        was = 0;
        do
        :: was < THREADS && asleep[was] == l -> asleep[was] = NONE; was++
        :: was < THREADS && asleep[was] != l -> was++
        :: was == THREADS -> break
        od
    }
}

inline release(l, me, passing)
{
    if
    :: passing && phase != OPEN -> d_step { was = lock[l]; lock[l] = RESERVED }   // back to what it was, in the same pass
    :: passing && phase == OPEN -> d_step { was = lock[l]; lock[l] = FREE }
    :: !passing -> d_step { was = lock[l]; lock[l] = FREE }
    fi;
    if
    :: was == WAITERS && passing -> wake_all(l)   // each goes to the gate
    :: was == WAITERS && !passing -> wake_one(l)
    :: was != WAITERS
    fi;
    was = FREE;
    leave_if(me, passing)
}

inline end_reservation(l)
{
    d_step
    {
        if
        :: lock[l] == RESERVED -> lock[l] = FREE
        :: else
        fi
    }
}

inline operation(me)
{
    section(me);
    changing[me]++;
    acquire(HEAP, me, heap_passes);
    release(HEAP, me, heap_passes);
    changing[me]--;
    end_section(me)
}

inline end_heap(me)
{
    acquire(REGISTRY, me, registry_passes);
    changing[me]++;
    assert(walkers == 0);   // unlinked_under_a_walk
#ifdef TWO_FORKS
    operation(me);
#endif
    assert(walkers == 0);   // unlinked_under_a_walk
    changing[me]--;
    release(REGISTRY, me, registry_passes)
}

inline wait_for(i, me)
{
    i == me || activity[i] == 0
}

// Step before_fork.  Code: modules/tls_cache/thread/fork.cpp thread_registry::before_fork; modules/tls_cache/thread/thread_registry.hpp thread_registry::reserve_first; modules/slab/system/fork_gate.cpp fork_gate::join; modules/slab/system/fork_gate.cpp fork_gate::close
inline before_fork(me)
{
    do
    :: phase == OPEN ->
        if
        :: d_step { lock[REGISTRY] == FREE -> lock[REGISTRY] = RESERVED };
#ifdef MUTANT_RESERVED_WITHOUT_SECOND_LOOK
            break
#else
            // A fork that began after the first look may have ended its reservation, and be about to open the gate.
            if
            :: phase == OPEN -> break
            :: phase != OPEN -> end_reservation(REGISTRY)
            fi
#endif
        :: lock[REGISTRY] != FREE
        fi
#ifdef MUTANT_JOIN_IN_TWO_STEPS
    :: may_join(me) ->
        if
        :: d_step { forks != 0 -> gate = gate + ONE_FORK }; joins = true; break
        :: forks == 0
        fi
#elif defined(MUTANT_JOINS_WHAT_ENDED)
    :: d_step { may_join(me) -> gate = gate + ONE_FORK }; joins = true; break
#else
    :: d_step { may_join(me) && forks != 0 -> gate = gate + ONE_FORK }; joins = true; break
#endif
    :: phase != OPEN -> enter(me); leave_if(me, entered)   // a turn: it may lift the gate
    od;
    if
    :: joins -> joins = false
    :: !joins ->
        closer = me;
        gate = PREPARING + ONE_FORK;
        walkers++;
#ifndef MUTANT_DOES_NOT_WAIT
        wait_for(0, me);
        wait_for(1, me);
        wait_for(2, me);
#if THREADS == 4
        wait_for(3, me);
#endif
#endif
        d_step { lock[HEAP] == FREE -> lock[HEAP] = RESERVED };
        walkers--;
        d_step
        {
            if
            :: phase == PREPARING -> gate = gate - PREPARING + CLOSED
            :: else
            fi
        }
    fi
}

// Step after_fork_in_parent.  Code: modules/tls_cache/thread/fork.cpp thread_registry::after_fork_in_parent; modules/slab/system/fork_gate.cpp fork_gate::end; modules/slab/system/fork_gate.cpp fork_gate::open
inline after_fork_in_parent(me)
{
    d_step { gate = gate - ONE_FORK; last = (forks == 0) };
    if
    :: !last
    :: last -> last = false;
#ifndef MUTANT_OPENED_OUTSIDE_OF_A_PASS
        enter(me);
#endif
        walkers++;
        end_reservation(HEAP);
        walkers--;
        end_reservation(REGISTRY);
        closer = NONE;
        d_step
        {
            assert(forks == 0 && phase > PREPARING);   // opened_under_a_fork
            gate = OPEN
        };
        leave_if(me, entered)
    fi
}

// fork() between the last prepare handler and the first of the others.
inline copy(me)
{
    d_step { list == NONE -> list = me };
    assert(changing[0] == 0 && changing[1] == 0 && changing[2] == 0);   // forked_in_section
#if THREADS == 4
    assert(changing[3] == 0);   // forked_in_section
#endif
    assert(lock[REGISTRY] == RESERVED && lock[HEAP] == RESERVED);   // forked_unprepared
    list = NONE
}

inline fork(me)
{
    before_fork(me);
#ifdef TWO_FORKS
    if
    :: operation(me)   // a handler's
    :: skip
    fi;
#endif
    copy(me);
    after_fork_in_parent(me)
}

#if defined(TWO_FORKS) || defined(FORK_BESIDE) || defined(SLEEPERS)

proctype forker(byte me; byte times)
{
    LOCALS;
    bool joins = false;
    bool last = false;
    do
    :: times > 0 -> fork(me); times--
    :: times == 0 -> break
    od;
    ended++
}

proctype ender(byte me)
{
    LOCALS;
    end_heap(me);
    ended++
}

proctype worker(byte me)
{
    LOCALS;
    operation(me);
    ended++
}

#else

proctype forker()
{
    LOCALS;
    bool joins = false;
    bool last = false;
#ifdef LATE_HANDLER
    // Registered later: it runs before tslab's, and holds its mutex while tslab prepares.
    d_step { !library -> library = true };
    operation(F);
    before_fork(F);
#else
    before_fork(F);
    d_step { !library -> library = true };
    operation(F);
#endif
    copy(F);
#ifdef LATE_HANDLER
    after_fork_in_parent(F);
    library = false;
#else
    operation(F);
    library = false;
    after_fork_in_parent(F);
#endif
    ended++
}

proctype holder()
{
    LOCALS;
    d_step { !library -> library = true };
    operation(H);
    operation(H);
    library = false;
    ended++
}

proctype worker()
{
    LOCALS;
    operation(W);
    operation(W);
    ended++
}

#endif

init
{
#if defined(TWO_FORKS)
    atomic { run forker(F, 2); run forker(G, 1); run ender(E) };
#elif defined(FORK_BESIDE)
    atomic { run forker(F, 1); run forker(G, 1); run worker(W); run ender(E) };
#elif defined(SLEEPERS)
    atomic { run forker(F, 1); run ender(1); run ender(2); run ender(3) };
#else
    atomic { run forker(); run holder(); run worker() };
#endif
    ended == THREADS;
    assert(gate == OPEN && lock[REGISTRY] == FREE && lock[HEAP] == FREE)   // left_reserved
}
