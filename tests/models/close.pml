// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Close against allocate and free. One slab of three slots, in an epoch that closer C closes at any time. Two threads free the
// two objects that live in the slab from the start; a free may be as late as it likes. In the first variant thread T's lane
// holds the slab; T announces itself, looks at the lane's key, allocates the last slot and frees it. In the others the slab is
// on the epoch's shelf. ADOPT: X allocates in the epoch, adopts the slab and frees its object. REUSE: X takes the slab once it
// was taken back, uses it in a second epoch that is closed and leaves it on that one's shelf with an object in it, which is
// freed then, while frees of the slab's first life are still on their way. MOVE: X adopts the slab; if all of it is free by then, X
// gives it back without a lock, fills it in the second epoch, leaves it on that one's shelf and frees what is in it.
//
// Bound: one slab, 3 slots, 4 threads, each with one free, or one allocation and one free; one close; a closer looks twice at a
// thread that is busy. A lane that goes back to its own thread keeps nothing (in the code it may keep an empty slab).
// States: 2,313,414; ADOPT 2,753,840; REUSE 85,882; MOVE 1,363,741.
// The store buffer is left out here: that announcing and looking keep their order is shown by claims.pml.
// Shown: a slot has one holder; a slab is taken back only when empty, and by exactly one who was elected; who was not elected
// changes nothing of it; lists are changed under their shelf's lock only and fit the slab's own word on where it is; when all
// is quiet the slab is in the cache, and the epoch has drained exactly once.
//
// Variants: (none) ADOPT REUSE MOVE
//
// MUTANT_NO_ANNOUNCEMENT: assertion taken_while_in_use
// MUTANT_NO_SECOND_LOOK_AT_KEY: assertion not_taken_back
// MUTANT_NO_LOOK_AFTER_PUTTING_DOWN: assertion not_taken_back
// MUTANT_OWNER_BEFORE_SLOTS: assertion not_taken_back
// MUTANT_NO_ELECTION: assertion on_no_shelf
// MUTANT_LOSER_TOUCHES: assertion on_no_shelf
// MUTANT_ELECTED_TRUSTS_OLD_LOOK (REUSE): assertion live_object_taken
// MUTANT_LET_GO_WITHOUT_LOOK (REUSE): assertion not_taken_back
// MUTANT_LET_GO_AFTER_ONE_LOOK (REUSE): assertion not_taken_back
// MUTANT_RELIST_UNCHECKED (ADOPT): assertion not_listed
// MUTANT_HOME_BEFORE_LIST (MOVE): assertion not_listed
// MUTANT_OWNER_LOOKED_AT_FIRST: assertion not_taken_back
// MUTANT_DRAINED_WITH_LANES: assertion drained_too_early
// MUTANT_NO_SETTLE_AFTER_LAST_FREE: assertion not_drained

#if !defined(ADOPT) && !defined(REUSE) && !defined(MOVE)
#define T_HAS_IT
#endif
#define FULL 7
#define PATIENCE 1
// What comes of an election.
#define LOST 0
#define WON 1
#define LET_GO 2
mtype = { unused, cached, held, shelved_partial, shelved_full };
mtype = { opened, closing, drained };

// The words of the slab.
byte shared_word = 0;
byte local_word = 4;                // slots 0 and 1 live
#define NONE 0                 /* null: on a shelf */
#define LANE_T 1
#define LANE_X 2
#define RECLAIMING 3
#define NOWHERE 4
byte owner = LANE_T;
byte home = 0;                 // a shelf's number + 1
mtype where = held;

// Shelves: 0 is the one that is closed, 1 that of the second epoch.
bool lock[2];
mtype state[2];
byte lanes[2];
byte slabs[2];
mtype list[2];                 // on which list of the shelf the slab is: unused, shelved_partial or shelved_full

// Lanes and their threads, T's and X's.
bool open[3];
bool attached[3];
bool of_first_epoch[3];
bool has_slab[3];
bool activity[3];
bool wanted_back[3];

// What nobody in the program knows.
byte live = 3;                 // slots with an object
bool using[3];
byte released[2];
byte done = 0;

inline acquire(s) { atomic { !lock[s]; lock[s] = true } }

// Step recycle.  Code: modules/tls_cache/core.cpp heap_core::recycle; modules/slab/slab_cache.cppm mark_empty
inline recycle()
{
    d_step {
        assert(where != cached);   // taken_back_twice
        assert(live == 0);         // live_object_taken
        owner = NOWHERE
    };
    local_word = FULL;
    freed = shared_word;
    shared_word = shared_word & (FULL - freed);
    home = 0;
    where = cached
}

inline remove_from(s, which)
{
    assert(lock[s]);
    assert(list[s] == which);      // not_listed
    list[s] = unused
}

// Step settle.  Code: modules/tls_cache/shelf.cpp shelf::settle
inline settle(s)
{
    d_step {
        if
#ifdef MUTANT_DRAINED_WITH_LANES
        :: state[s] == closing && slabs[s] == 0 ->
#else
        :: state[s] == closing && lanes[s] == 0 && slabs[s] == 0 ->
#endif
            state[s] = drained;
            is_drained = true
        :: else
        fi
    }
}

// Step slot_drained.  Code: modules/tls_cache/core.cpp heap_core::slot_drained
inline slot_drained(s)
{
    d_step {
        assert(released[s] == 0);
        assert(lanes[s] == 0 && list[s] == unused);  // drained_too_early
        released[s]++;
        is_drained = false
    }
}

// Step claim.  Code: modules/slab/descriptor.cppm claim_freed
inline claim_slab(result)
{
    mine = local_word;
    freed = shared_word;
    if
    :: freed != 0 ->
        assert((mine & freed) == 0);  // falsely_reported: nobody frees twice here
        local_word = mine | freed;
        shared_word = shared_word & (FULL - freed)
    :: else
    fi;
    result = mine | freed
}

// Step elect.  Code: modules/tls_cache/shelf.cpp elect
inline elect(result)
{
    do
    :: true ->
#ifdef MUTANT_NO_ELECTION
        result = WON;
        break
#else
        d_step {
            if
            :: owner == NONE -> owner = RECLAIMING; result = WON
            :: else -> result = LOST
            fi
        };
        if
        :: result == LOST -> break
        :: else
        fi;
#ifdef MUTANT_ELECTED_TRUSTS_OLD_LOOK
        break;
#endif
        if
        :: shared_word == FULL -> break
        :: else
        fi;
        owner = NONE;
#ifdef MUTANT_LET_GO_WITHOUT_LOOK
        result = LOST;
        break;
#elif defined(MUTANT_LET_GO_AFTER_ONE_LOOK)
        result = LET_GO;
        break;
#endif
        if
        :: shared_word != FULL -> result = LET_GO; break
        :: else
        fi
#endif
    od;
    skip
}

// Step relist.  Code: modules/tls_cache/shelf.cpp relist
inline relist()
{
    at = home;
    if
    :: at != 0 ->
        acquire(at - 1);
#ifdef MUTANT_HOME_BEFORE_LIST
        is_home = (home == at);
        on_list = (where == shelved_full);
#else
        on_list = (where == shelved_full);
        is_home = (home == at);
#endif
        if
#ifdef MUTANT_RELIST_UNCHECKED
        :: true ->
#else
        :: on_list && is_home && shared_word != 0 ->
#endif
            d_step { remove_from(at - 1, shelved_full); where = shelved_partial; list[at - 1] = shelved_partial }
        :: else
        fi;
        d_step { lock[at - 1] = false; on_list = false; is_home = false }
    :: else
    fi
}

// Step shelved_slab_changed.  Code: modules/tls_cache/shelf.cpp shelved_slab_changed
inline shelved_slab_changed()
{
    if
    :: shared_word != FULL -> relist()
    :: else ->
        elect(election);
        if
        :: election == LET_GO -> relist()
#ifndef MUTANT_LOSER_TOUCHES
        :: election == LOST
        :: election == WON ->
#else
        :: election != LET_GO ->
#endif
            at = home;
            assert(at != 0);               // on_no_shelf
            acquire(at - 1);
            d_step { remove_from(at - 1, where); slabs[at - 1]-- };
            recycle();
#ifndef MUTANT_NO_SETTLE_AFTER_LAST_FREE
            settle(at - 1);
#endif
            lock[at - 1] = false;
            if
            :: is_drained -> slot_drained(at - 1)
            :: else
            fi
        fi
    fi
}

// Step free_remote.  Code: modules/tls_cache/shelf.cpp free_remote
inline free_remote(slot)
{
    assert((shared_word & slot) == 0);   // falsely_reported
    assert((local_word & slot) == 0);
    assert(owner != NOWHERE);
#ifdef MUTANT_OWNER_LOOKED_AT_FIRST
    own = owner;
#endif
    d_step { before = shared_word; shared_word = shared_word | slot; live = live & (FULL - slot) };
    if
    :: before != 0 && (before | slot) != FULL
    :: else ->
#ifndef MUTANT_OWNER_LOOKED_AT_FIRST
        own = owner;
#endif
        if
        :: own == NONE -> shelved_slab_changed()
        :: else   // a lane: it is told that there is something to find, see words.pml
        fi
    fi;
    own = 0; before = 0; at = 0; election = 0; freed = 0
}

// Step put_down.  Code: modules/tls_cache/shelf.cpp shelf::put_down
inline put_down(s)
{
    claim_slab(got);
    if
    :: got == FULL -> recycle()
    :: else ->
        home = s + 1;
        d_step { assert(list[s] == unused); list[s] = shelved_partial; where = shelved_partial; slabs[s]++ };
#ifdef MUTANT_OWNER_BEFORE_SLOTS
        owner = NONE;
        got = shared_word;
#endif
        mine = local_word;
        shared_word = shared_word | mine;
        local_word = 0;
#ifndef MUTANT_OWNER_BEFORE_SLOTS
        owner = NONE;
#ifdef MUTANT_NO_LOOK_AFTER_PUTTING_DOWN
        got = mine;
#else
        got = shared_word;
#endif
#endif
        election = LOST;
        if
        :: got == FULL -> elect(election)
        :: else
        fi;
        if
        :: election == WON ->
            d_step { remove_from(s, shelved_partial); slabs[s]-- };
            recycle()
        :: election != WON && got == 0 ->
            d_step { remove_from(s, shelved_partial); where = shelved_full; list[s] = shelved_full }
        :: else
        fi
    fi;
    election = 0; got = 0; mine = 0; freed = 0
}

// Step hand_back.  Code: modules/tls_cache/shelf.cpp shelf::hand_back
inline hand_back(l, s)
{
    d_step { assert(attached[l] && lock[s]); assert(!using[l]); open[l] = false };  // taken_while_in_use
    if
    :: has_slab[l] -> put_down(s); has_slab[l] = false
    :: else
    fi;
    d_step { lanes[s]--; attached[l] = false }
}

// Step hand_back_lane.  Code: modules/tls_cache/core.cpp heap_core::hand_back_lane
inline hand_back_lane(l, s, only_wanted)
{
    if
    :: attached[l] ->
        acquire(s);
        if
        :: attached[l] && (!only_wanted || !open[l]) ->
            hand_back(l, s);
            settle(s)
        :: else
        fi;
        lock[s] = false;
        if
        :: is_drained -> slot_drained(s)
        :: else
        fi
    :: else
    fi
}

// Announce, then look.
// Step enter.  Code: modules/tls_cache/thread.cppm enter; modules/tls_cache/core.cppm lane_for
inline enter_and_look(l)
{
#ifndef MUTANT_NO_ANNOUNCEMENT
    activity[l] = true;
#endif
#ifdef MUTANT_NO_SECOND_LOOK_AT_KEY
    trusted = seen_open
#else
    d_step { trusted = open[l]; using[l] = trusted }
#endif
}

// Step leave.  Code: modules/tls_cache/thread.cppm leave; modules/tls_cache/core.cpp thread_record::hand_back_wanted
inline leave(l, s)
{
    d_step { using[l] = false; activity[l] = false };
    if
    :: wanted_back[l] ->
        wanted_back[l] = false;
        if
        :: !open[l] -> hand_back_lane(l, s, true)
        :: else
        fi
    :: else
    fi
}

// Step allocate_from.  Code: modules/tls_cache/lane.cppm allocate_from
inline allocate_from(l, slot)
{
    mine = local_word;
    if
    :: mine != 0 && (shared_word & mine) == 0 ->
        slot = (mine & 1 -> 1 : (mine & 2 -> 2 : 4));
        d_step {
            assert(owner == l);             // not_ours
            assert((live & slot) == 0);      // handed_out_twice
            local_word = mine & (FULL - slot);
            live = live | slot
        }
    :: else
    fi;
    mine = 0
}

// Step adopt.  Code: modules/tls_cache/shelf.cpp shelf::adopt; modules/tls_cache/shelf.cpp shelf::repair_adoption
inline adopt(l, s)
{
    acquire(s);
    do
    :: list[s] == shelved_partial ->
        d_step { claimed = (owner == NONE); if :: claimed -> owner = l :: else fi };
        got = 0;
        if
        :: claimed -> claim_slab(got)
        :: else
        fi;
        if
        :: got != 0 ->
            d_step { remove_from(s, shelved_partial); slabs[s]--; where = held; has_slab[l] = true };
            break
        :: else ->
            // What is listed as having free slots has some: they go under the lock only. So the look that repair_adoption
            // takes when it has claimed a slab without any is never needed, and no mutant without it can be refuted.
            assert(!claimed);          // listed_without_free_slot
            d_step { remove_from(s, shelved_partial); where = shelved_full; list[s] = shelved_full };
            if
            :: claimed ->
                owner = NONE;
                if
                :: shared_word != 0 ->
                    d_step { remove_from(s, shelved_full); where = shelved_partial; list[s] = shelved_partial }
                :: else
                fi
            :: else
            fi
        fi
    :: else -> break
    od;
    skip;
    d_step { lock[s] = false; got = 0; mine = 0; freed = 0; claimed = false }
}

// A free of an object of T's or X's own: into the lane if it still holds the slab, else as another thread's.
// Step free_slot.  Code: modules/tls_cache/core.cppm free_slot; modules/tls_cache/lane.cppm put_back
inline free_own(l, s, slot)
{
    enter_and_look(l);
    if
    :: trusted && owner == l ->
        mine = local_word;
        assert(((mine | shared_word) & slot) == 0);  // falsely_reported
        d_step { assert(owner == l); local_word = mine | slot; live = live & (FULL - slot); mine = 0 }  // not_ours
    :: else -> free_remote(slot)
    fi;
    leave(l, s)
}

#define VARIABLES \
    byte mine = 0; byte freed = 0; byte got = 0; byte election = 0; byte at = 0; byte before = 0; byte own = 0; \
    byte slot = 0; bool trusted = false; bool is_drained = false; bool claimed = false; bool seen_open = true; \
    bool on_list = false; bool is_home = false

#ifdef T_HAS_IT
// Step allocate_slot.  Code: modules/epoch/allocator.cppm allocate_slot
proctype T()
{
    VARIABLES;
    enter_and_look(LANE_T);
    if
    :: trusted -> allocate_from(LANE_T, slot)
    :: else -> hand_back_lane(LANE_T, 0, true)
    fi;
    leave(LANE_T, 0);
    if
    :: slot != 0 -> free_own(LANE_T, 0, slot)
    :: else
    fi;
    done++
}
#endif

proctype freer(byte bit_to_free)
{
    VARIABLES;
    free_remote(bit_to_free);
    done++
}

// Step sweep.  Code: modules/tls_cache/shelf.cpp shelf::sweep
inline sweep(s)
{
    if
    :: list[s] == shelved_partial && shared_word == FULL ->
        elect(election);
        if
        :: election == WON ->
            d_step { remove_from(s, shelved_partial); slabs[s]-- };
            recycle()
        :: else
        fi;
        election = 0
    :: else
    fi
}

// Step revoke_lanes.  Code: modules/tls_cache/shelf.cpp shelf::revoke_lanes
inline revoke(l)
{
    if
    :: attached[l] && of_first_epoch[l] -> open[l] = false; wanted_back[l] = true
    :: else
    fi
}

inline take_if_idle(l, s)
{
    if
    :: attached[l] && of_first_epoch[l] ->
        if
        :: activity[l] -> busy = true
        :: else -> hand_back(l, s)
        fi
    :: else
    fi
}

// Step take_idle_lanes.  Code: modules/tls_cache/shelf.cpp shelf::take_idle_lanes
inline take_idle_lanes()
{
    busy = false;
    take_if_idle(LANE_T, 0);
    take_if_idle(LANE_X, 0)
}

// Step take_back_locked.  Code: modules/tls_cache/shelf.cpp shelf::take_back_locked; modules/tls_cache/shelf.cpp shelf::take_back
proctype C()
{
    VARIABLES;
    bool busy = false;
    byte tries = 0;
    acquire(0);
    state[0] = closing;
    sweep(0);
    revoke(LANE_T);
    revoke(LANE_X);
    take_idle_lanes();
    do
    :: busy && tries < PATIENCE ->
        tries++;
        lock[0] = false;
        acquire(0);
        take_idle_lanes()
    :: else -> break
    od;
    skip;
    settle(0);
    lock[0] = false;
    if
    :: is_drained -> slot_drained(0)
    :: else
    fi;
    done++
}

#ifdef ADOPT
// Step next_block.  Code: modules/tls_cache/lane.cpp lane::next_block
proctype X()
{
    VARIABLES;
    enter_and_look(LANE_X);
    if
    :: trusted ->
        adopt(LANE_X, 0);
        if
        :: has_slab[LANE_X] -> allocate_from(LANE_X, slot)
        :: else
        fi
    :: else -> hand_back_lane(LANE_X, 0, true)
    fi;
    leave(LANE_X, 0);
    if
    :: slot != 0 -> free_own(LANE_X, 0, slot)
    :: else
    fi;
    done++
}
#endif

#ifdef REUSE
// Step take_slab.  Code: modules/tls_cache/core.cpp heap_core::take_slab; modules/tls_cache/lane.cpp lane::hold
proctype X()
{
    VARIABLES;
    where == cached;
    where = held;
    owner = LANE_X;
    has_slab[LANE_X] = true;
    enter_and_look(LANE_X);
    allocate_from(LANE_X, slot);
    leave(LANE_X, 1);
    // X's thread ends with an object alive; somebody frees that later.
    hand_back_lane(LANE_X, 1, false);
    free_remote(slot);
    done++
}
#endif

#ifdef MOVE
proctype X()
{
    VARIABLES;
    bool moved = false;
    enter_and_look(LANE_X);
    if
    :: trusted -> adopt(LANE_X, 0)
    :: else -> hand_back_lane(LANE_X, 0, true)
    fi;
    if
    :: has_slab[LANE_X] ->
        claim_slab(got);
        if
        :: got == FULL ->
            has_slab[LANE_X] = false;
            recycle();
            where = held;
            d_step { owner = LANE_X; local_word = 0; live = FULL };
            acquire(1);
            put_down(1);
            lock[1] = false;
            moved = true
        :: else
        fi;
        d_step { got = 0; mine = 0; freed = 0 }
    :: else
    fi;
    leave(LANE_X, 0);
    if
    :: moved -> free_remote(1); free_remote(2); free_remote(4)
    :: else
    fi;
    done++
}
#endif

#define THREADS 4

init
{
    d_step {
        list[0] = unused;
        list[1] = unused;
        state[0] = opened;
        state[1] = closing;
#ifdef T_HAS_IT
        lanes[0] = 1;
        open[LANE_T] = true;
        attached[LANE_T] = true;
        of_first_epoch[LANE_T] = true;
        has_slab[LANE_T] = true;
#else
        owner = NONE;
        home = 1;
        where = shelved_partial;
        list[0] = shelved_partial;
        slabs[0] = 1;
        local_word = 0;
        shared_word = 4;
        open[LANE_X] = true;
#endif
#if defined(ADOPT) || defined(MOVE)
        attached[LANE_X] = true;
        of_first_epoch[LANE_X] = true;
        lanes[0] = 1;
#endif
#ifdef REUSE
        attached[LANE_X] = true;
        lanes[1] = 1;
#endif
    };
    atomic {
        run freer(1);
        run freer(2);
        run C();
#ifdef T_HAS_IT
        run T()
#else
        run X()
#endif
    };
    done == THREADS;
    assert(live == 0);
    assert(where == cached && owner == NOWHERE && local_word == FULL && shared_word == 0);  // not_taken_back
    assert(state[0] == drained && released[0] == 1);                             // not_drained
#ifdef REUSE
    assert(state[1] == drained && released[1] == 1);
#endif
}
