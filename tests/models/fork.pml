// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The fork gate, beside a library whose fork handler takes a mutex. Thread F forks: tslab's prepare handler closes the
// gate, waits for sections and reserves a lock; the library's prepare handler, which was registered earlier, takes the
// library's mutex and allocates; fork() takes the C library's lock of its streams and copies the process; in the parent
// the handlers run the other way round. Thread H holds the library's mutex while it allocates. Thread W allocates without
// the library. A thread that has waited long enough at the closed gate lifts it: time is any moment.
//
// Stores are seen at once here; that a section's announcement and the gate's closing see each other is reach.pml's.
//
// Bound: 2 operations of H, 2 of W, 1 of F in its handler; 1 fork. An operation is a section, with the heap's lock in it.
// States: 17,412; LATE_HANDLER 3,704.
// Shown: at the moment of the fork no thread is in a section or holds the lock, so the child finds consistent lists; the
// fork ends, and so does every thread; the lock is free afterwards.
//
// Variants: (none) LATE_HANDLER
//
// MUTANT_LOCK_IS_HELD: invalid end state
// MUTANT_GATE_IS_NOT_LIFTED: invalid end state
// MUTANT_FORKER_WAITS: invalid end state
// MUTANT_PASS_WITHOUT_THE_LIST: assertion forked_in_section
// MUTANT_DOES_NOT_WAIT: assertion forked_in_section
// MUTANT_OPENED_OUTSIDE_OF_A_PASS: assertion left_reserved

#define OPEN 0
#define CLOSED 1
#define LIFTED 2
#define FREE 0
#define HELD 1
#define RESERVED 2

byte gate = OPEN;
byte lock = FREE;        // the heap's
bool list = false;       // the C library's lock of its streams
bool library = false;    // the other library's mutex
byte activity[3];        // by thread: in a section
byte ended = 0;
bool inside[3];          // state of the model only: the thread relies on being in its section

#define F 0
#define H 1
#define W 2

// Step enter.  Code: modules/slab/fork_gate.cpp fork_gate::enter
inline enter(me)
{
    do
    :: gate == OPEN -> pass[me] = false; break
#ifdef MUTANT_FORKER_WAITS
    :: atomic { gate == LIFTED && !list -> list = true };
#elif defined(MUTANT_PASS_WITHOUT_THE_LIST)
    :: gate == LIFTED || (gate == CLOSED && me == F) -> pass[me] = true; break
#else
    :: atomic { (gate == LIFTED || (gate == CLOSED && me == F)) && !list -> list = true };
#endif
#ifndef MUTANT_PASS_WITHOUT_THE_LIST
        if
        :: gate != OPEN -> pass[me] = true; break
        :: gate == OPEN -> list = false
        fi
#endif
#ifndef MUTANT_GATE_IS_NOT_LIFTED
    :: atomic { gate == CLOSED && me != F -> gate = LIFTED }
#endif
    od
}

// Step leave.  Code: modules/slab/fork_gate.cpp fork_gate::leave
inline leave(me)
{
#ifndef MUTANT_PASS_WITHOUT_THE_LIST
    list = false;
#endif
    pass[me] = false
}

bool pass[3];

// Step wait_outside.  Code: modules/tls_cache/fork.cpp fork_exclusion::wait_outside
inline section(me)
{
    activity[me] = 1;
    do
    :: gate != OPEN && !pass[me] -> activity[me] = 0; enter(me); activity[me] = 1
    :: gate == OPEN || pass[me] -> break
    od
}

// Step locking.  Code: modules/slab/mutex.cpp mutex::wait; modules/slab/mutex.cpp mutex::unlock_rare
inline operation(me)
{
    section(me);
    inside[me] = true;
    if
    :: atomic { lock == FREE -> lock = HELD };
        lock = FREE
#ifdef MUTANT_DOES_NOT_WAIT
    :: lock == RESERVED && !pass[me]   // the section is enough
#endif
#ifndef MUTANT_LOCK_IS_HELD
    :: atomic { lock == RESERVED && pass[me] -> lock = HELD };
        // Back to what it was, in the same pass.
#ifdef MUTANT_PASS_WITHOUT_THE_LIST
        lock = FREE
#else
        if
        :: gate != OPEN -> lock = RESERVED
        :: gate == OPEN -> lock = FREE
        fi
#endif
#endif
    fi;
    inside[me] = false;
    activity[me] = 0;
    if
    :: pass[me] -> leave(me)
    :: !pass[me]
    fi
}

proctype forker()
{
#ifdef LATE_HANDLER
    // Registered later: it runs before tslab's, and holds its mutex while tslab prepares.
    atomic { !library -> library = true };
    operation(F);
#endif
    // Step before_fork.  Code: modules/tls_cache/fork.cpp thread_registry::before_fork
    gate = CLOSED;
#ifndef MUTANT_DOES_NOT_WAIT
    activity[H] == 0;
    activity[W] == 0;
#endif
    atomic { lock == FREE -> lock = RESERVED };
#ifndef LATE_HANDLER
    atomic { !library -> library = true };
    operation(F);
#endif
    atomic { !list -> list = true };
    assert(!inside[H] && !inside[W] && lock != HELD);   // forked_in_section
    list = false;
#ifndef LATE_HANDLER
    operation(F);
    library = false;
#endif
    // Step after_fork_in_parent.  Code: modules/tls_cache/fork.cpp thread_registry::after_fork_in_parent
#ifdef MUTANT_OPENED_OUTSIDE_OF_A_PASS
    if
    :: lock == RESERVED -> lock = FREE
    :: lock != RESERVED
    fi;
    gate = OPEN;
#else
    enter(F);
    if
    :: lock == RESERVED -> lock = FREE
    :: lock != RESERVED
    fi;
    gate = OPEN;
    leave(F);
#endif
#ifdef LATE_HANDLER
    library = false;
#endif
    ended++
}

proctype holder()
{
    atomic { !library -> library = true };
    operation(H);
    operation(H);
    library = false;
    ended++
}

proctype worker()
{
    operation(W);
    operation(W);
    ended++
}

init
{
    atomic { run forker(); run holder(); run worker() };
    ended == 3;
    assert(lock == FREE)   // left_reserved
}
