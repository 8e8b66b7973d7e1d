// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Ring slots that are used again. Main advances: it claims a free slot, opens the next era in it and closes the epoch before. S
// opens an epoch of its own beside it and closes it, so that two slots may have the same era. U allocates in the epoch that
// was current when it looked, then again by the same name or a new one, and frees what it got as late as it likes; its lanes go
// from epoch to epoch, and its table says which lane it had in a slot last. D closes an epoch by a name it learnt long ago.
//
// Bound: 2 slots, 4 threads, 2 lanes; 3 advances, 1 scope, 2 allocations, 1 late close. Eras do not wrap (64 bits).
// States: 5,761,707.
// The store buffer is left out: see claims.pml. A slab is told by the number of its objects: see words.pml and close.pml.
// Shown: an allocation is made in the epoch that was named or refused; a close by an old name closes nothing else; an
// era is never given twice in a slot; a slot is released once for each epoch, and holds nothing then.
//
// Variants: (none)
//
// MUTANT_ATTACH_WITHOUT_LOOK: assertion not_the_named_epoch
// MUTANT_ATTACH_COMPARES_STATE_ONLY: assertion not_the_named_epoch
// MUTANT_CLOSE_WITHOUT_ERA: assertion another_one_closed
// MUTANT_ERA_OF_HEAP_ONLY: assertion era_given_twice
// MUTANT_RELEASED_WITH_OBJECTS: assertion released_too_early
// MUTANT_DRAINED_AGAIN: assertion released_twice

#define SLOTS 2
#define NO 9
#define CLOSED 99
mtype = { idle, opened, closing, drained };

bool lock[SLOTS];
byte era[SLOTS];
mtype state[SLOTS];
bool free_slot[SLOTS];
byte slabs[SLOTS];             // on the shelf, each with one object
byte eras = 0;
byte current_slot = NO;
byte current_era = 0;

// U's record and lanes.
bool activity = false;
bool wanted_back = false;
byte table[SLOTS];
byte key[2];
byte attached[2];
byte lane_slot[2];
byte held[2];                  // objects in the lane's slab
bool returned[2];
bool spare[2];

// What nobody in the program knows.
byte last_era[SLOTS];
byte lane_era[2];
bool out[SLOTS];               // the slot is in somebody's hands, not in the set of free ones
byte finished = 0;
bool main_done = false;

inline acquire(s) { atomic { !lock[s]; lock[s] = true } }

// Step slot_set.  Code: modules/tls_cache/slot_set.cppm claim
inline claim(s)
{
    atomic {
        if
        :: free_slot[0] -> s = 0
        :: free_slot[1] -> s = 1
        :: else -> s = NO
        fi;
        if
        :: s != NO -> free_slot[s] = false; out[s] = true
        :: else
        fi
    }
}

inline has_lanes(s, result) { result = attached[0] == s || attached[1] == s }

// Step settle.  Code: modules/tls_cache/shelf.cpp shelf::settle
inline settle(s)
{
    atomic {
        has_lanes(s, lanes);
        is_drained = false;
        if
#ifdef MUTANT_DRAINED_AGAIN
        :: (state[s] == closing || state[s] == drained) && !lanes && slabs[s] == 0 -> state[s] = drained; is_drained = true
#elif defined(MUTANT_RELEASED_WITH_OBJECTS)
        :: state[s] == closing && !lanes -> state[s] = drained; is_drained = true
#else
        :: state[s] == closing && !lanes && slabs[s] == 0 -> state[s] = drained; is_drained = true
#endif
        :: else
        fi;
        lanes = false
    }
}

// Step slot_drained.  Code: modules/tls_cache/core.cpp heap_core::slot_drained
inline unlock_settled(s)
{
    lock[s] = false;
    if
    :: is_drained ->
        atomic {
            assert(out[s]);           // released_twice
            assert(slabs[s] == 0);    // released_too_early
            out[s] = false;
            free_slot[s] = true;
            is_drained = false
        }
    :: else
    fi
}

// Under the slot's lock.
// Step begin_epoch.  Code: modules/epoch/epochs.cpp allocator::begin_epoch
inline begin_epoch(s, now)
{
#ifdef MUTANT_ERA_OF_HEAP_ONLY
    now = eras + 1;
#else
    now = (eras > era[s] -> eras : era[s]) + 1;
#endif
    era[s] = 0;
    state[s] = opened;
    atomic {
        assert(now > last_era[s]);    // era_given_twice
        last_era[s] = now;
        era[s] = now
    }
}

inline revoke_lane(l, s)
{
    if
    :: attached[l] == s -> key[l] = CLOSED; wanted_back = true
    :: else
    fi
}

// Step begin_closing.  Code: modules/tls_cache/shelf.cpp shelf::begin_closing
inline begin_closing(s)
{
    if
    :: state[s] == opened -> state[s] = closing
    :: else
    fi;
    revoke_lane(0, s);
    revoke_lane(1, s)
}

// Step hand_back.  Code: modules/tls_cache/shelf.cpp shelf::hand_back
inline hand_back(l)
{
    d_step {
        key[l] = CLOSED;
        slabs[attached[l]] = slabs[attached[l]] + held[l];
        held[l] = 0;
        attached[l] = NO
    };
    returned[l] = true
}

// Step hand_back_lane.  Code: modules/tls_cache/core.cpp heap_core::hand_back_lane
inline hand_back_lane(l)
{
    home = attached[l];
    if
    :: home != NO ->
        acquire(home);
        if
        :: attached[l] == home && key[l] == CLOSED -> hand_back(l); settle(home)
        :: else
        fi;
        unlock_settled(home)
    :: else
    fi;
    home = 0
}

// Step take_over_returned.  Code: modules/tls_cache/core.cpp heap_core::take_over_returned
inline take_over(l)
{
    if
    :: returned[l] ->
        d_step {
            returned[l] = false;
            if
            :: table[lane_slot[l]] == l -> table[lane_slot[l]] = NO
            :: else
            fi;
            spare[l] = true
        }
    :: else
    fi
}

// Step attach.  Code: modules/tls_cache/shelf.cpp shelf::attach; modules/tls_cache/shelf.cpp shelf::link
inline attach(l, s, e)
{
    acquire(s);
    if
#ifdef MUTANT_ATTACH_WITHOUT_LOOK
    :: true ->
#elif defined(MUTANT_ATTACH_COMPARES_STATE_ONLY)
    :: state[s] == opened ->
#else
    :: era[s] == e && state[s] == opened ->
#endif
        d_step { attached[l] = s; lane_slot[l] = s; lane_era[l] = era[s]; key[l] = e };
        lock[s] = false;
        table[s] = l
    :: else ->
        lock[s] = false;
        spare[l] = true;
        l = NO
    fi
}

// Step attach_lane.  Code: modules/tls_cache/core.cpp heap_core::attach_lane; modules/tls_cache/core.cpp heap_core::take_lane
inline attach_lane(l, s, e)
{
    if
    :: table[s] != NO -> l = table[s]; hand_back_lane(l)
    :: else
    fi;
    l = NO;
    take_over(0);
    take_over(1);
    if
    :: era[s] != e
    :: era[s] == e && state[s] != opened
    :: era[s] == e && state[s] == opened ->
        if
        :: spare[0] -> l = 0; spare[0] = false
        :: spare[1] -> l = 1; spare[1] = false
        :: else
        fi;
        if
        :: l != NO -> attach(l, s, e)
        :: else
        fi
    fi
}

// Step lane_for.  Code: modules/tls_cache/core.cppm lane_for
inline allocate(s, e, got)
{
    activity = true;
    l = table[s];
    if
    :: l != NO && key[l] == e
    :: else -> attach_lane(l, s, e)
    fi;
    got = false;
    if
    :: l != NO ->
        atomic {
            assert(lane_slot[l] == s && lane_era[l] == e && attached[l] == s);  // not_the_named_epoch
            held[l]++;
            got = true
        }
    :: else
    fi;
    l = 0;
    leave()
}

// Step hand_back_wanted.  Code: modules/tls_cache/core.cpp thread_record::hand_back_wanted
inline leave()
{
    activity = false;
    if
    :: wanted_back ->
        wanted_back = false;
        if
        :: key[0] == CLOSED -> hand_back_lane(0)
        :: else
        fi;
        if
        :: key[1] == CLOSED -> hand_back_lane(1)
        :: else
        fi
    :: else
    fi
}

// The last touch of an object: into the lane if that still holds it, else from the shelf.
inline free_object(s, e)
{
    activity = true;
    if
    :: held[0] > 0 && key[0] != CLOSED && lane_slot[0] == s && lane_era[0] == e -> held[0]--
    :: held[1] > 0 && key[1] != CLOSED && lane_slot[1] == s && lane_era[1] == e -> held[1]--
    :: else ->
        // The lane is closed and still attached: the object goes with it when it is handed back, so wait for that here.
        if
        :: attached[0] == s && key[0] == CLOSED && held[0] > 0 -> hand_back_lane(0)
        :: attached[1] == s && key[1] == CLOSED && held[1] > 0 -> hand_back_lane(1)
        :: else
        fi;
        acquire(s);
        atomic { assert(slabs[s] > 0); slabs[s]-- };
        settle(s);
        unlock_settled(s)
    fi;
    leave()
}

#define COMMON bool lanes = false; bool is_drained = false; byte home = 0; byte l = 0

proctype U()
{
    COMMON;
    byte s1; byte e1; byte s2; byte e2;
    bool got1 = false;
    bool got2 = false;
    atomic { s1 = current_slot; e1 = current_era };   // one word in the code
    allocate(s1, e1, got1);
    if
    :: s2 = s1; e2 = e1
    :: atomic { s2 = current_slot; e2 = current_era }
    fi;
    allocate(s2, e2, got2);
    if
    :: got1 -> free_object(s1, e1)
    :: else
    fi;
    if
    :: got2 -> free_object(s2, e2)
    :: else
    fi;
    finished++
}

// Step advance.  Code: modules/epoch/epochs.cpp allocator::advance_locked
inline advance()
{
    claim(s);
    if
    :: s != NO ->
        acquire(s);
        begin_epoch(s, now);
        lock[s] = false;
        eras = now;
        atomic { before = current_slot; current_slot = s; current_era = now };
        if
        :: before != NO ->
            acquire(before);
            begin_closing(before);
            settle(before);
            unlock_settled(before)
        :: else
        fi
    :: else
    fi
}

proctype main()
{
    COMMON;
    byte s; byte now; byte before;
    advance();
    atomic { run U(); run D(current_slot, current_era); run S() };
    advance();
    advance();
    main_done = true;
    finished++
}

// Step open_epoch.  Code: modules/epoch/epochs.cpp allocator::open_epoch; modules/epoch/epochs.cpp allocator::leave_epoch
proctype S()
{
    COMMON;
    byte s; byte now;
    claim(s);
    if
    :: s != NO ->
        acquire(s);
        begin_epoch(s, now);
        lock[s] = false;
        acquire(s);
        begin_closing(s);
        settle(s);
        unlock_settled(s)
    :: else
    fi;
    finished++
}

inline take_if_idle(l, s)
{
    if
    :: attached[l] == s && !activity && key[l] == CLOSED -> hand_back(l)
    :: else
    fi
}

// Step take_back.  Code: modules/tls_cache/shelf.cpp shelf::take_back; modules/epoch/epochs.cpp allocator::take_back
proctype D(byte s; byte e)
{
    COMMON;
    main_done || current_slot != s || current_era != e;   // of the current epoch close advances first
    acquire(s);
    if
#ifdef MUTANT_CLOSE_WITHOUT_ERA
    :: state[s] != drained && (current_slot != s || current_era != e) ->
#else
    :: era[s] == e && state[s] != drained && (current_slot != s || current_era != e) ->
#endif
        atomic { assert(last_era[s] == e); state[s] = closing };   // another_one_closed
        revoke_lane(0, s);
        revoke_lane(1, s);
        take_if_idle(0, s);
        take_if_idle(1, s);
        settle(s)
    :: else
    fi;
    unlock_settled(s);
    finished++
}

init
{
    d_step {
        free_slot[0] = true;
        free_slot[1] = true;
        state[0] = idle;
        state[1] = idle;
        table[0] = NO;
        table[1] = NO;
        key[0] = CLOSED;
        key[1] = CLOSED;
        attached[0] = NO;
        attached[1] = NO;
        spare[0] = true;
        spare[1] = true
    };
    run main();
    finished == 4;
    // Every epoch but the current one has drained.
    assert(state[1 - current_slot] != closing || attached[0] == 1 - current_slot || attached[1] == 1 - current_slot);
    assert(slabs[0] == 0 && slabs[1] == 0)
}
