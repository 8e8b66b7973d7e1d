// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Ring slots that are reused. Main advances: it claims a free slot, opens the next era in it and closes the epoch
// before. S opens an epoch of its own beside it and closes it, so that two slots may have the same era. U allocates in
// the epoch that was current when it looked, then again by the same name or a new one, and frees the objects
// arbitrarily late; its caches pass from epoch to epoch, and its table names the last cache that it had in a slot. D
// closes an epoch by an old name. RETAINED: S has scope after scope; it retains the slot of one for the next, and opens
// it without the lock; main takes the slot from it where no other is free; N uses the names of S's epochs late, and W
// walks over the slots without a name, as a trim does.
//
// Bound: 2 slots, 4 threads, 2 thread caches; 3 advances, 1 scope, 2 allocations, 1 late close. Eras do not wrap (64
// bits). RETAINED: 4 threads, no caches; 2 advances, 2 scopes, 1 late close, 1 walk over both slots.
// States: 4,749,395; RETAINED 341,976.
// The store buffer is left out: see claims.pml. A slab is represented by the number of its objects: see words.pml and
// close.pml.
// Shown: an allocation is made in the named epoch or refused; a close by an old name closes nothing else; an era is
// never given twice in a slot; a slot is released once for each epoch, and holds nothing then; a slot is claimed by one
// thread, and whoever finds an epoch open under the lock finds it complete.
//
// Variants: (none) RETAINED
//
// MUTANT_ATTACH_WITHOUT_LOOK: assertion not_the_named_epoch
// MUTANT_ATTACH_COMPARES_STATE_ONLY: assertion not_the_named_epoch
// MUTANT_CLOSE_WITHOUT_ERA: assertion another_one_closed
// MUTANT_ERA_OF_HEAP_ONLY: assertion era_given_twice
// MUTANT_RELEASED_WITH_OBJECTS: assertion released_too_early
// MUTANT_DRAINED_AGAIN: assertion released_twice
// MUTANT_ADVANCE_CLOSES_WITHOUT_ERA: assertion another_one_closed
// MUTANT_ERA_BEFORE_STATE (RETAINED): assertion another_one_closed
// MUTANT_STATE_ONLY (RETAINED): assertion another_one_closed
// MUTANT_ERA_BEFORE_FIELDS (RETAINED): assertion not_complete
// MUTANT_OLD_ERA_STAYS (RETAINED): assertion another_one_closed
// MUTANT_RETAINED_TAKEN_BY_TWO (RETAINED): assertion claimed_twice
// MUTANT_RETAINED_AND_RELEASED (RETAINED): assertion claimed_twice

#define SLOTS 2
#define NO 9
#define CLOSED 99
#define ANY 98
mtype = { idle, opened, closing, drained };

bool lock[SLOTS];
byte era[SLOTS];
mtype state[SLOTS];
bool free_slot[SLOTS];
byte slabs[SLOTS];             // on the epoch's list, each with one object
byte retained = NO;             // the slot that S retains for its next scope
byte eras = 0;
byte current_slot = NO;
byte current_era = 0;

// U's record and thread caches.
bool activity = false;
bool flush_requested = false;
byte table[SLOTS];
byte key[2];
byte attached[2];
byte cache_slot[2];
byte owned[2];                  // objects in the cache's slab
bool returned[2];
bool spare[2];

// State of the model only.
byte last_era[SLOTS];
byte cache_era[2];
bool out[SLOTS];   // the slot is claimed, not in the set of free ones
bool complete[SLOTS];   // what an epoch begins with is in place
byte name_slot = NO;   // of S's last scope
byte name_era = 0;
byte finished = 0;
bool main_done = false;

inline acquire(s) { atomic { !lock[s]; lock[s] = true } }

// Step slot_set.  Code: modules/tls_cache/heap/slot_set.hpp claim
inline claim(s)
{
    atomic {
        if
        :: free_slot[0] -> s = 0
        :: free_slot[1] -> s = 1
        :: else -> s = NO
        fi;
        if
        :: s != NO ->
            free_slot[s] = false;
            assert(!out[s]);    // claimed_twice
            out[s] = true
        :: else
        fi
    }
}

// Step take_retained_slot.  Code: modules/tls_cache/thread/thread_record.hpp take_retained_slot
inline take_retained(s)
{
#ifdef MUTANT_RETAINED_TAKEN_BY_TWO
    s = retained;
    retained = NO;
#else
    atomic { s = retained; retained = NO };
#endif
    atomic {
        if
        :: s != NO ->
            assert(!out[s]);    // claimed_twice
            out[s] = true
        :: else
        fi
    }
}

// Step claim_slot.  Code: modules/epoch/epochs.cpp allocator::claim_slot
inline claim_slot(s)
{
    claim(s);
#ifdef RETAINED
    if
    :: s == NO -> take_retained(s)
    :: else
    fi
#endif
}

// Under the slot's lock, or not: see open_epoch. `now_open`: the slot holds the epoch of that era, or of any but 0,
// and it is not drained.
// Step is_of.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.hpp is_of
inline is_of(s, e, now_open)
{
#ifdef MUTANT_ERA_BEFORE_STATE
    now_open = era[s] != 0 && (era[s] == e || e == ANY);
    now_open = now_open && (state[s] == opened || state[s] == closing);
#else
    now_open = state[s] == opened || state[s] == closing;
#ifndef MUTANT_STATE_ONLY
    now_open = now_open && era[s] != 0 && (era[s] == e || e == ANY);
#endif
#endif
}

inline has_caches(s, result) { result = attached[0] == s || attached[1] == s }

// Step try_drain.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::try_drain
inline try_drain(s)
{
    atomic {
        has_caches(s, caches);
        is_drained = false;
        if
#ifdef MUTANT_DRAINED_AGAIN
        :: (state[s] == closing || state[s] == drained) && !caches && slabs[s] == 0 -> state[s] = drained; is_drained = true
#elif defined(MUTANT_RELEASED_WITH_OBJECTS)
        :: state[s] == closing && !caches -> state[s] = drained; is_drained = true
#else
        :: state[s] == closing && !caches && slabs[s] == 0 -> state[s] = drained; is_drained = true
#endif
        :: else
        fi;
        caches = false
    }
}

// Step slot_drained.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp heap_state::slot_drained
inline unlock_and_drain(s)
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

// Under the slot's lock, or without it in a slot that the thread retained.
// Step begin_epoch.  Code: modules/epoch/epochs.cpp allocator::begin_epoch
inline begin_epoch(s, now)
{
#ifdef MUTANT_ERA_OF_HEAP_ONLY
    now = eras + 1;
#else
    now = (eras > era[s] -> eras : era[s]) + 1;
#endif
    d_step {
        complete[s] = false;
#ifndef MUTANT_OLD_ERA_STAYS
        era[s] = 0
#endif
    };
    state[s] = opened;
    atomic {
        assert(now > last_era[s]);    // era_given_twice
        last_era[s] = now;
#ifndef MUTANT_ERA_BEFORE_FIELDS
        complete[s] = true;
#endif
        era[s] = now
    };
#ifdef MUTANT_ERA_BEFORE_FIELDS
    complete[s] = true
#endif
}

inline revoke_cache(l, s)
{
    if
    :: attached[l] == s -> key[l] = CLOSED; flush_requested = true
    :: else
    fi
}

// Step begin_closing.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::begin_closing
inline begin_closing(s)
{
    if
    :: state[s] == opened -> state[s] = closing
    :: else
    fi;
    revoke_cache(0, s);
    revoke_cache(1, s)
}

// Step flush_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_cache
inline flush_cache(l)
{
    d_step {
        key[l] = CLOSED;
        slabs[attached[l]] = slabs[attached[l]] + owned[l];
        owned[l] = 0;
        attached[l] = NO
    };
    returned[l] = true
}

// Step flush_revoked_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp heap_state::flush_revoked_cache
inline flush_revoked_cache(l)
{
    home = attached[l];
    if
    :: home != NO ->
        acquire(home);
        if
        :: attached[l] == home && key[l] == CLOSED -> flush_cache(l); try_drain(home)
        :: else
        fi;
        unlock_and_drain(home)
    :: else
    fi;
    home = 0
}

// Step take_over_returned.  Code: modules/tls_cache/thread/thread_record.cpp heap_state::take_over_returned
inline take_over(l)
{
    if
    :: returned[l] ->
        d_step {
            returned[l] = false;
            if
            :: table[cache_slot[l]] == l -> table[cache_slot[l]] = NO
            :: else
            fi;
            spare[l] = true
        }
    :: else
    fi
}

// Step attach.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::attach; modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::link
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
        d_step { attached[l] = s; cache_slot[l] = s; cache_era[l] = era[s]; key[l] = e };
        lock[s] = false;
        table[s] = l
    :: else ->
        lock[s] = false;
        spare[l] = true;
        l = NO
    fi
}

// Step attach_cache.  Code: modules/tls_cache/thread/thread_record.cpp heap_state::attach_cache; modules/tls_cache/thread/thread_record.cpp heap_state::take_cache
inline attach_cache(l, s, e)
{
    if
    :: table[s] != NO -> l = table[s]; flush_revoked_cache(l)
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

// Step cache_for.  Code: modules/tls_cache/heap/heap_state.hpp cache_for
inline allocate(s, e, got)
{
    activity = true;
    l = table[s];
    if
    :: l != NO && key[l] == e
    :: else -> attach_cache(l, s, e)
    fi;
    got = false;
    if
    :: l != NO ->
        atomic {
            assert(cache_slot[l] == s && cache_era[l] == e && attached[l] == s);  // not_the_named_epoch
            owned[l]++;
            got = true
        }
    :: else
    fi;
    l = 0;
    leave()
}

// Step flush_requested_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp thread_record::flush_requested_caches
inline leave()
{
    activity = false;
    if
    :: flush_requested ->
        flush_requested = false;
        if
        :: key[0] == CLOSED -> flush_revoked_cache(0)
        :: else
        fi;
        if
        :: key[1] == CLOSED -> flush_revoked_cache(1)
        :: else
        fi
    :: else
    fi
}

// The free of an object: into its cache if that still owns the slab, else to the epoch's slabs.
inline free_object(s, e)
{
    activity = true;
    if
    :: owned[0] > 0 && key[0] != CLOSED && cache_slot[0] == s && cache_era[0] == e -> owned[0]--
    :: owned[1] > 0 && key[1] != CLOSED && cache_slot[1] == s && cache_era[1] == e -> owned[1]--
    :: else ->
        // The cache is closed and still attached: the object leaves with it when it is flushed, so wait for that here.
        if
        :: attached[0] == s && key[0] == CLOSED && owned[0] > 0 -> flush_revoked_cache(0)
        :: attached[1] == s && key[1] == CLOSED && owned[1] > 0 -> flush_revoked_cache(1)
        :: else
        fi;
        acquire(s);
        atomic { assert(slabs[s] > 0); slabs[s]-- };
        try_drain(s);
        unlock_and_drain(s)
    fi;
    leave()
}

#define COMMON bool caches = false; bool is_drained = false; byte home = 0; byte l = 0

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
    claim_slot(s);
    if
    :: s != NO ->
        acquire(s);
        begin_epoch(s, now);
        lock[s] = false;
        eras = now;
        atomic { before = current_slot; before_era = current_era; current_slot = s; current_era = now };
        if
        :: before != NO ->
            acquire(before);
            if
#ifdef MUTANT_ADVANCE_CLOSES_WITHOUT_ERA
            :: state[before] == opened ->
#else
            :: state[before] == opened && era[before] == before_era ->
#endif
                assert(last_era[before] == before_era);    // another_one_closed
                begin_closing(before)
            :: else
            fi;
            try_drain(before);
            unlock_and_drain(before)
        :: else
        fi
    :: else
    fi
}

proctype main()
{
    COMMON;
    byte s; byte now; byte before; byte before_era;
    advance();
#ifdef RETAINED
    atomic { run S(); run N(); run W() };
#else
    atomic { run U(); run D(current_slot, current_era); run S() };
    advance();
#endif
    advance();
    main_done = true;
    finished++
}

// The end of a scope in which nothing is left: its thread retains the slot, or releases it.
// Step end_alone.  Code: modules/tls_cache/cache/scope.hpp epoch_slabs::end_alone; modules/epoch/leave.cpp allocator::end_alone
// Step retain_slot.  Code: modules/tls_cache/thread/thread_record.hpp retain_slot
inline end_alone(s, now, done)
{
    acquire(s);
    has_caches(s, caches);
    done = era[s] == now && state[s] == opened && !caches && slabs[s] == 0;
    caches = false;
    if
    :: done -> state[s] = drained
    :: else
    fi;
    lock[s] = false;
    if
    :: done ->
        atomic {
            assert(out[s]);    // released_twice
            out[s] = false;
#ifdef MUTANT_RETAINED_AND_RELEASED
            free_slot[s] = true;
#endif
            retained = s
        }
    :: else
    fi
}

// Step open_epoch.  Code: modules/epoch/epochs.cpp allocator::open_epoch; modules/epoch/leave.cpp allocator::exit_domain
proctype S()
{
    COMMON;
    byte s; byte now;
#ifdef RETAINED
    byte scopes = 0;
    bool alone;
    do
    :: scopes < 2 ->
        scopes++;
        take_retained(s);
        if
        :: s != NO -> begin_epoch(s, now)    // without the lock
        :: else ->
            claim(s);
            if
            :: s != NO ->
                acquire(s);
                begin_epoch(s, now);
                lock[s] = false
            :: else
            fi
        fi;
        if
        :: s != NO ->
            atomic { name_slot = s; name_era = now };
            end_alone(s, now, alone);
            if
            :: !alone ->
                acquire(s);
                if
                :: era[s] == now -> begin_closing(s); try_drain(s)
                :: else
                fi;
                unlock_and_drain(s)
            :: else
            fi
        :: else
        fi
    :: else -> break
    od;
#else
    claim(s);
    if
    :: s != NO ->
        acquire(s);
        begin_epoch(s, now);
        lock[s] = false;
        acquire(s);
        begin_closing(s);
        try_drain(s);
        unlock_and_drain(s)
    :: else
    fi;
#endif
    finished++
}

#ifdef RETAINED
// Closes one of S's epochs by its name, at any time later.
proctype N()
{
    COMMON;
    byte s; byte e;
    bool now_open;
    atomic { s = name_slot; e = name_era };
    if
    :: s != NO ->
        acquire(s);
        is_of(s, e, now_open);
        if
        :: now_open ->
            atomic { assert(last_era[s] == e && complete[s]); state[s] = closing }   // another_one_closed
        :: else
        fi;
        try_drain(s);
        unlock_and_drain(s)
    :: else
    fi;
    finished++
}

proctype W()
{
    byte s = 0;
    bool now_open;
    do
    :: s < SLOTS ->
        acquire(s);
        is_of(s, ANY, now_open);
        assert(!now_open || complete[s]);    // not_complete
        lock[s] = false;
        s++
    :: else -> break
    od;
    finished++
}
#endif

inline take_if_idle(l, s)
{
    if
    :: attached[l] == s && !activity && key[l] == CLOSED -> flush_cache(l)
    :: else
    fi
}

// Step reclaim_epoch.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_epoch; modules/tls_cache/epoch_slabs/reclaim.cpp allocator::reclaim_epoch
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
        revoke_cache(0, s);
        revoke_cache(1, s);
        take_if_idle(0, s);
        take_if_idle(1, s);
        try_drain(s)
    :: else
    fi;
    unlock_and_drain(s);
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
