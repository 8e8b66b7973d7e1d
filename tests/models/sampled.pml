// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A slab of objects that the heap profile samples: no thread cache owns it, so its frees set bits in remote_free, and the one that
// completes the word reclaims it. Two threads S sample an object each, in the slab if it has a free slot, and free it; F frees the
// object that lives in slot 0 at the start.
//
// Bound: one slab of 2 slots, 3 threads, 3 objects.
// States: 26,957.
// Left out: the list's links, lists of other slabs, epochs, releases, whose callers promise that nobody frees meanwhile.
// Shown: a slab is reclaimed only while no object lives in it, and then it is; a slot has one object at a time; a free is counted
// for the stack that allocated its object, and each object is counted once.
//
// Variants: (none)
//
// MUTANT_SHARED_WITHOUT_CLAIM: assertion still_lives
// MUTANT_OWNER_BEFORE_BIT: assertion still_lives
// MUTANT_ENTRY_READ_LATE: assertion wrong_entry
// MUTANT_LAST_DOES_NOT_RECLAIM: assertion not_reclaimed

#define FULL 3

mtype = { none, reclaiming, nowhere };

byte remote_free = 2;        // a set of slots: 1 is free
mtype owner = none;
bool listed = true;
bool lock = false;
byte entry[2];               // of the table, by slot

// State of the model only.
byte object[2];              // the entry that allocated the object in a slot; 0: none lives
byte live[4];                // by entry, as counted
byte done = 0;

inline acquire() { atomic { !lock; lock = true } }

inline recycle()
{
    atomic {
        assert(lock && listed);
        assert(object[0] == 0 && object[1] == 0);      // still_lives
        listed = false;
        owner = nowhere
    }
}

// As orphan_changed and claim_for_reclaim (model survivors).
inline reclaim()
{
    do
    :: remote_free != FULL -> break
    :: else ->
        atomic {
            if
            :: owner == none -> owner = reclaiming; won = true
            :: else -> won = false
            fi
        };
        if
        :: !won -> break
        :: else
        fi;
        if
        :: remote_free == FULL ->
            acquire();
            recycle();
            lock = false;
            won = false;
            break
        :: else
        fi;
        owner = none;
        won = false
    od
}

// Step free_profiled.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp free_profiled
inline free_profiled(slot)
{
#ifndef MUTANT_ENTRY_READ_LATE
    whose = entry[slot];
#endif
    atomic {
        assert((remote_free & (1 << slot)) == 0);
        mine = object[slot];
        object[slot] = 0;
        remote_free = remote_free | (1 << slot);
        last = remote_free == FULL
    };
#ifdef MUTANT_ENTRY_READ_LATE
    whose = entry[slot];
#endif
    d_step {
        assert(whose == mine);                            // wrong_entry
        live[whose]--
    };
#ifndef MUTANT_LAST_DOES_NOT_RECLAIM
    if
    :: last ->
        if
        :: owner == none -> reclaim()
        :: else
        fi
    :: else
    fi;
#endif
    atomic { whose = 0; mine = 0; last = false }
}

// Step share_sampled.  Code: modules/tls_cache/profile/sampled_slabs.cpp epoch_slabs::share_sampled
inline share_sampled(of_whom)
{
    got = 2;
    acquire();
    if
    :: listed && remote_free != 0 ->
#ifdef MUTANT_SHARED_WITHOUT_CLAIM
        won = true;
#else
        atomic {
            if
            :: owner == none -> owner = reclaiming; won = true
            :: else -> won = false
            fi
        };
#endif
        if
        :: won ->
            if
            :: (remote_free & 1) != 0 -> got = 0
            :: else -> got = 1
            fi;
            entry[got] = of_whom;
#ifdef MUTANT_OWNER_BEFORE_BIT
            owner = none;
#endif
            d_step {
                assert(object[got] == 0);
                remote_free = remote_free & ~(1 << got);
                object[got] = of_whom;
                live[of_whom]++
            };
#ifndef MUTANT_OWNER_BEFORE_BIT
#ifndef MUTANT_SHARED_WITHOUT_CLAIM
            owner = none;
#endif
#endif
            won = false
        :: else
        fi
    :: else
    fi;
    lock = false
}

#define VARIABLES byte whose = 0; byte mine = 0; byte got = 2; bool last = false; bool won = false

proctype S(byte number)
{
    VARIABLES;
    share_sampled(number);
    if
    :: got != 2 -> free_profiled(got)
    :: else
    fi;
    done++
}

proctype F()
{
    VARIABLES;
    free_profiled(0);
    done++
}

init
{
    d_step {
        entry[0] = 1;
        object[0] = 1;
        live[1] = 1
    };
    atomic { run F(); run S(2); run S(3) };
    done == 3;
    assert(live[1] == 0 && live[2] == 0 && live[3] == 0);
    assert(!listed && owner == nowhere)                        // not_reclaimed
}
