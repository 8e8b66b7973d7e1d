// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A lane that keeps its empty slab from one epoch to the next. Thread T allocates and frees in epoch A and then in epoch B; its one
// lane goes with it, and with the lane the slab, if it is empty when T hands the lane back. C closes both epochs at any time and
// hands back what T is not using, without keeping anything. T forgets what lanes keep that are not at work when it trims, and when
// it ends. Another thread frees the object that T has in A from the start. TWICE: so does T.
//
// Bound: one lane, one slab, 2 slots, 3 threads; T with 3 operations and its end; 2 closes; 1 free, 2 in TWICE.
// States: 364,771; TWICE 1,160,550.
// Store buffers are left out: see claims.pml. What is under a lock alone is one step: see close.pml. A closer does not wait.
// Shown: what is kept has no object of the epoch before; a slab has one holder, also while a lane is handed back and its thread
// looks for what its lanes keep; the number of lanes that keep something is right; a close leaves nothing with a thread that is
// idle; a slot freed twice is reported once, also while the slab is kept, unless it was handed out in between, and is not
// handed out while it is in both words.
//
// Variants: (none) TWICE
//
// MUTANT_KEPT_WITH_OBJECT: assertion kept_with_object
// MUTANT_DETACHED_FIRST: assertion taken_by_two
// MUTANT_FLUSHED_AT_WORK: assertion taken_by_two
// MUTANT_CLOSER_KEEPS: assertion wrongly_counted
// MUTANT_NOT_COUNTED_WHEN_REFUSED: assertion wrongly_counted
// MUTANT_SHARED_NOT_LOOKED_AT (TWICE): assertion handed_out_in_both_words
// MUTANT_LATE_FREE_NOT_LOOKED_FOR (TWICE): assertion not_reported_once

#define FULL 3
#define OPERATIONS 3
#define NO 2
#define CLOSED 2
mtype = { opened, closing, drained };
mtype = { cached, held, shelved };

// The slab. Slot 1 is live.
mtype where = held;
byte local_word = 2;
byte shared_word = 0;

bool lock[2];
mtype state[2];
byte slabs[2];

// T's lane and its record.
byte attached = 0;             // to the shelf of an epoch, or to none
byte key = 0;
bool has_slab = true;
bool spare = false;            // the lane is not at work
byte keeping = 0;
bool activity = false;
bool wanted_back = false;

// What nobody in the program knows.
byte live = 1;                 // slots with an object
bool in_hands = false;         // somebody who holds the slab is changing it as a whole
byte reports = 0;
byte freed_once = 0;           // frees of slot 1's first object
bool again = false;            // slot 1 was handed out since
byte done = 0;

#define COUNT(m) ((m & 1) + ((m >> 1) & 1))
inline acquire(s) { atomic { !lock[s]; lock[s] = true } }

inline settle(s)
{
    d_step {
        if
        :: state[s] == closing && attached != s && slabs[s] == 0 -> state[s] = drained
        :: else
        fi
    }
}

// Step mark_empty.  Code: modules/slab/slab_cache.cppm mark_empty
inline let_go()
{
    d_step {
        assert(!in_hands && where != cached);      // taken_by_two
        in_hands = true
    };
    freed = shared_word;
    d_step {
        assert(live == 0 || (live == 1 && freed_once > 1));
#ifndef MUTANT_LATE_FREE_NOT_LOOKED_FOR
        reports = reports + COUNT((local_word & freed));
#endif
        local_word = FULL;
        shared_word = shared_word & (FULL - freed);
        freed = 0;
        where = cached;
        in_hands = false
    }
}

// Step claim_freed.  Code: modules/slab/descriptor.cppm claim_freed
inline claim()
{
    freed = shared_word;
    d_step {
        reports = reports + COUNT((local_word & freed));
        local_word = local_word | freed;
        shared_word = shared_word & (FULL - freed);
        freed = 0
    }
}

// Step is_kept_as_it_is.  Code: modules/tls_cache/lane.cppm is_kept_as_it_is; modules/tls_cache/lane.cpp lane::can_keep
#ifdef MUTANT_KEPT_WITH_OBJECT
#define EMPTY (shared_word == 0)
#else
#define EMPTY (local_word == FULL && shared_word == 0)
#endif

// Step hand_back.  Code: modules/tls_cache/shelf.cpp shelf::hand_back
inline hand_back(s, keep)
{
    key = CLOSED;
#ifdef MUTANT_DETACHED_FIRST
    attached = NO;
#endif
    if
    :: has_slab && keep && EMPTY ->
        d_step {
            assert(live == 0 || freed_once > 1);   // kept_with_object
            keeping++
        }
    :: has_slab && !(keep && EMPTY) ->
        claim();
        if
        :: local_word == FULL -> let_go()
        :: else ->
            d_step {
                assert(!in_hands && where == held);    // taken_by_two
                shared_word = shared_word | local_word;
                local_word = 0;
                where = shelved;
                slabs[s]++
            };
            if
            :: shared_word == FULL -> slabs[s]--; let_go()
            :: else
            fi
        fi;
        has_slab = false
    :: else
    fi;
    d_step { attached = NO; spare = true }
}

// Step hand_back_lane.  Code: modules/tls_cache/core.cpp heap_core::hand_back_lane
inline hand_back_lane(only_wanted)
{
    home = attached;
    if
    :: home != NO ->
        acquire(home);
        if
        :: attached == home && (!only_wanted || key == CLOSED) -> hand_back(home, true); settle(home)
        :: else
        fi;
        lock[home] = false
    :: else
    fi;
    home = 0
}

// Step leave.  Code: modules/tls_cache/thread.cppm leave; modules/tls_cache/core.cpp thread_record::hand_back_wanted
inline leave()
{
    activity = false;
    if
    :: wanted_back ->
        wanted_back = false;
        if
        :: key == CLOSED -> hand_back_lane(true)
        :: else
        fi
    :: else
    fi;
    d_step { assert(keeping == (spare && has_slab)) }    // wrongly_counted
}

// Step forget_kept.  Code: modules/tls_cache/lane.cpp lane::forget_kept; modules/tls_cache/core.cpp heap_core::flush_retained
inline flush()
{
    if
#ifdef MUTANT_FLUSHED_AT_WORK
    :: has_slab ->
#else
    :: attached == NO && has_slab ->
#endif
        let_go();
        d_step { has_slab = false; keeping = 0 }
    :: else
    fi
}

// Step take_lane.  Code: modules/tls_cache/core.cpp heap_core::take_lane; modules/tls_cache/core.cpp heap_core::put_lane_back
inline attach_lane(e)
{
    if
    :: attached != NO -> hand_back_lane(true)
    :: else
    fi;
    if
    :: spare ->
        d_step { spare = false; keeping = 0 };
        acquire(e);
        if
        :: state[e] == opened -> d_step { attached = e; key = e }
        :: else ->
            d_step {
                spare = true;
#ifndef MUTANT_NOT_COUNTED_WHEN_REFUSED
                keeping = (has_slab -> 1 : 0)
#else
                skip
#endif
            }
        fi;
        lock[e] = false
    :: else
    fi
}

// Step allocate_from.  Code: modules/tls_cache/lane.cppm allocate_from
inline allocate_from()
{
    atomic { own = local_word; both = own & shared_word };
#ifndef MUTANT_SHARED_NOT_LOOKED_AT
    freed = shared_word;
#endif
    if
    :: own != 0 && (freed & own) == 0 ->
        d_step {
            assert(both == 0);                         // handed_out_in_both_words
            slot = (own & 1 -> 1 : 2);
            again = again || slot == 1;
            local_word = own & (own - 1);
            live = live | slot
        }
    :: else
    fi;
    d_step { freed = 0; own = 0; both = 0 }
}

// Step put_back.  Code: modules/tls_cache/lane.cppm put_back
inline put_back(s)
{
    own = local_word;
    freed = shared_word;
    if
    :: ((own | freed) & s) != 0 -> reports++
    :: else -> d_step { local_word = own | s; live = live & (FULL - s) }
    fi;
    d_step { own = 0; freed = 0 }
}

// Step take_slab.  Code: modules/tls_cache/core.cpp heap_core::take_slab; modules/tls_cache/core.cpp heap_core::report_late_frees
inline take_slab()
{
    if
    :: !has_slab && where == cached ->
        d_step {
            assert(!in_hands);                         // taken_by_two
            reports = reports + COUNT(shared_word);
            shared_word = 0;
            where = held;
            has_slab = true
        }
    :: else
    fi
}

// Step free_remote.  Code: modules/tls_cache/shelf.cpp free_remote
inline free_remote(s)
{
    freed = shared_word;
    if
    :: (freed & s) != 0 -> reports++
    :: else ->
        own = local_word;
        if
        :: (own & s) != 0 || where == cached -> reports++
        :: else ->
            d_step {
                own = shared_word;
                shared_word = own | s;
                live = live & (FULL - s);
                last = where == shelved && shared_word == FULL && own != FULL
            };
            if
            :: (own & s) != 0 -> reports++
            :: (own & s) == 0 && last ->
                home = (slabs[0] != 0 -> 0 : 1);
                acquire(home);
                if
                :: where == shelved && shared_word == FULL && slabs[home] != 0 -> slabs[home]--; let_go(); settle(home)
                :: else
                fi;
                lock[home] = false
            :: else
            fi
        fi
    fi;
    d_step { own = 0; freed = 0; last = false; home = 0 }
}

#define VARIABLES byte own = 0; byte freed = 0; byte both = 0; byte slot = 0; byte home = 0; bool last = false

inline allocate(e)
{
    activity = true;
    if
    :: key == e
    :: else -> attach_lane(e)
    fi;
    if
    :: key == e ->
        take_slab();
        do
        :: has_slab ->
            allocate_from();
            if
            :: slot == 0 && shared_word != 0 -> claim()
            :: else -> break
            fi
        :: else -> break
        od
    :: else
    fi;
    leave()
}

// Step free_slot.  Code: modules/tls_cache/core.cppm free_slot
inline free_own(s)
{
    activity = true;
    if
    :: has_slab && attached != NO && key != CLOSED -> put_back(s)
    :: else -> free_remote(s)
    fi;
    leave()
}

// Operations, each an allocation and its free, or a free, or a trim; then T is idle, or ends.
proctype T()
{
    VARIABLES;
    byte left = OPERATIONS;
    byte e = 0;
#ifdef TWICE
    bool mine = true;
#else
    bool mine = false;
#endif
    do
    :: left > 0 ->
        left--;
        if
        :: true ->
            if
            :: true
            :: e = 1
            fi;
            allocate(e)
        :: mine -> mine = false; freed_once++; slot = 1
        :: flush()
        fi;
        if
        :: slot != 0 -> free_own(slot); slot = 0
        :: else
        fi
    :: !mine -> break
    :: mine && left == 0 -> left = 1
    od;
    skip;
    d_step { left = 0; e = 0 };
    if
    :: true
    :: hand_back_lane(false); flush()
    fi;
    done++
}

proctype freer()
{
    VARIABLES;
    freed_once++;
    free_remote(1);
    done++
}

// Step take_idle_lanes.  Code: modules/tls_cache/shelf.cpp shelf::take_idle_lanes
inline close(s)
{
    acquire(s);
    state[s] = closing;
    if
    :: attached == s ->
        d_step { key = CLOSED; wanted_back = true };
        if
#ifdef MUTANT_CLOSER_KEEPS
        :: !activity -> hand_back(s, true)
#else
        :: !activity -> hand_back(s, false)
#endif
        :: else
        fi
    :: else
    fi;
    settle(s);
    lock[s] = false
}

proctype C()
{
    VARIABLES;
    close(0);
    close(1);
    done++
}

init
{
    byte freed = 0;
    d_step { state[0] = opened; state[1] = opened };
    atomic { run T(); run freer(); run C() };
    done == 3;
    assert(attached == NO);
#ifndef TWICE
    assert(live == 0);
#endif
    assert(state[0] == drained && state[1] == drained);
    if
    :: has_slab -> let_go()
    :: else
    fi;
    reports = reports + COUNT(shared_word);
    assert(reports <= freed_once - 1);
    assert(again || reports == freed_once - 1)           // not_reported_once
}
