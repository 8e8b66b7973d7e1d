// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Large allocations, and pages with changing uses: a slab of an epoch, a large allocation of a later one, another one
// in the same ring slot or in another. At the start the last object of the slab has been freed: G has claimed the slab
// and recycles it, while L, whose free was the first into it, still has to move it to another list. U and V allocate,
// one after the other if there are no other pages, in the ring slot where the slab was or in a second one; N opens
// epochs in the first, C closes there. TWICE: two threads free what U got, and L is absent. DROP: U's epoch releases
// everything, and one thread frees it afterwards.
//
// Bound: the pages of one allocation, 2 ring slots, 7 threads, 2 allocations, 2 frees (3 in TWICE), 2 epochs in the
// first slot after the slab's (1 in TWICE).
// States: 215,601; TWICE 298,354; DROP 639,621.
// Left out: the owners of large allocations, guards and generations.
// Shown: an allocation is made in the named epoch or refused; lists are changed under their epoch's lock and are
// correct; a thread that comes late to a slab that no longer exists changes nothing; each free in excess is reported;
// every epoch drains exactly once, and empty.
//
// Variants: (none) TWICE DROP
//
// MUTANT_ADD_WITHOUT_LOOK: assertion not_the_named_epoch
// MUTANT_ADD_COMPARES_STATE_ONLY: assertion not_the_named_epoch
// MUTANT_DRAINED_WITH_PAGES: assertion drained_too_early
// MUTANT_NO_TRY_DRAIN_AFTER_FREE: assertion not_drained
// MUTANT_PAGES_GIVEN_FIRST: assertion not_reported_once
// MUTANT_RELIST_LOOKS_AT_HOME_ONLY: assertion no_slab
// MUTANT_TAG_NOT_LOOKED_AT (DROP): assertion not_listed
// MUTANT_HOME_NOT_LOOKED_AT (TWICE): assertion not_listed
// MUTANT_HOME_BEFORE_TAG (DROP): assertion not_listed

#ifdef TWICE
#define LAST_ERA 2
#else
#define LAST_ERA 3
#endif

mtype = { opened, closing, drained };
mtype = { none, slab, large };                 // what the descriptor's tag says
mtype = { unused, cached, orphan_full, is_large };   // where the pages are, and the list they are on

// The descriptor of the first page.
mtype tag = slab;
mtype where = orphan_full;
byte home = 1;   // an epoch's number + 1

// Epochs' slabs.
bool lock[2];
byte era[2];
mtype state[2];
byte pages[2];                 // slabs and large allocations
mtype list[2];

bool pages_free = false;

// State of the model only.
byte allocations = 0;
byte frees = 0;   // frees, and drops
byte reports = 0;
byte drains[2];
bool got = false;              // U has its allocation, or was refused
bool nothing = false;          // it was
byte done = 0;

inline acquire(s) { atomic { !lock[s]; lock[s] = true } }

// Step try_drain.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::try_drain
inline try_drain(s)
{
    d_step {
        if
#ifdef MUTANT_DRAINED_WITH_PAGES
        :: state[s] == closing ->
#else
        :: state[s] == closing && pages[s] == 0 ->
#endif
            assert(list[s] == unused);     // drained_too_early
            state[s] = drained;
            drains[s]++
        :: else
        fi
    }
}

inline unlist(s, from)
{
    d_step {
        assert(lock[s] && list[s] == from);    // not_listed
        list[s] = unused;
        pages[s]--
    }
}

// The first look is the freer's; what is read under the lock decides.
// Step free_large.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp free_large
inline free_large()
{
    at = home;
    if
    :: at == 0 -> reports++
    :: else ->
#ifdef MUTANT_PAGES_GIVEN_FIRST
        pages_free = true;
#endif
        acquire(at - 1);
#ifdef MUTANT_HOME_BEFORE_TAG
        is_it = home == at;
        is_it = is_it && tag == large;
#else
#ifdef MUTANT_TAG_NOT_LOOKED_AT
        is_it = true;
#else
        is_it = tag == large;
#endif
#ifndef MUTANT_HOME_NOT_LOOKED_AT
        is_it = is_it && home == at;
#endif
#endif
        if
        :: is_it ->
            unlist(at - 1, is_large);
            tag = none;
            where = unused;
            home = 0;
#ifndef MUTANT_NO_TRY_DRAIN_AFTER_FREE
            try_drain(at - 1);
#endif
            lock[at - 1] = false;
            d_step { frees++; pages_free = true }
        :: else -> d_step { lock[at - 1] = false; reports++ }
        fi
    fi;
    d_step { at = 0; is_it = false }
}

// Step take_large.  Code: modules/epoch/memory/allocate.cpp allocator::take_large; modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::add_large
inline allocate(s, e)
{
    d_step { pages_free -> pages_free = false };
    acquire(s);
    if
#ifdef MUTANT_ADD_WITHOUT_LOOK
    :: true ->
#elif defined(MUTANT_ADD_COMPARES_STATE_ONLY)
    :: state[s] == opened ->
#else
    :: era[s] == e && state[s] == opened ->
#endif
        home = s + 1;
        where = is_large;
        tag = large;
        d_step {
            assert(era[s] == e && state[s] == opened);        // not_the_named_epoch
            assert(list[0] == unused && list[1] == unused);
            list[s] = is_large;
            pages[s]++;
            allocations++
        };
        served = true;
        lock[s] = false
    :: else ->
        lock[s] = false;
        pages_free = true
    fi
}

// The thread that has claimed the slab. No other thread may recycle it, and nothing in it is live.
proctype G()
{
    acquire(0);
    unlist(0, orphan_full);
    home = 0;
    where = cached;
    try_drain(0);
    lock[0] = false;
    // Step discard.  Code: modules/slab/pages/slab_cache.cpp slab_cache::discard
    tag = none;
    where = unused;
    pages_free = true;
    done++
}

// The thread with the first free has read `home` and waits for the lock.
// Step relist.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp relist
proctype L()
{
    bool ours = false;
    acquire(0);
#ifdef MUTANT_RELIST_LOOKS_AT_HOME_ONLY
    ours = home == 1;
#else
    ours = where == orphan_full;
    ours = ours && home == 1;
#endif
    if
    :: ours -> assert(tag == slab && list[0] == orphan_full)   // no_slab
    :: else   // its bin and its words are read
    fi;
    lock[0] = false;
    done++
}

// Step begin_epoch.  Code: modules/epoch/epochs.cpp allocator::begin_epoch
proctype N()
{
    do
    :: era[0] < LAST_ERA ->
        atomic { state[0] == drained && !lock[0] -> lock[0] = true };
        d_step { era[0]++; state[0] = opened };
        lock[0] = false
    :: else -> break
    od;
    done++
}

// Closes the first slot's epochs.
// Step reclaim_epoch.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_epoch
proctype C()
{
    byte e = 2;
    do
    :: e <= LAST_ERA ->
        atomic { era[0] == e && !lock[0] -> lock[0] = true };
        state[0] = closing;
        try_drain(0);
        lock[0] = false;
        e++
    :: else -> break
    od;
    done++
}

#define VARIABLES byte at = 0; bool is_it = false; bool served = false; byte e = 0

proctype U()
{
    VARIABLES;
    if
    :: state[0] == opened -> e = era[0]; allocate(0, e)
    :: allocate(1, 1)
    fi;
    nothing = !served;
#ifdef DROP
    // Everything at once, under the lock.
    // Step drop_all.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::drop_all
    if
    :: served ->
        at = home;
        acquire(at - 1);
        unlist(at - 1, is_large);
        tag = none;
        where = unused;
        try_drain(at - 1);
        pages_free = true;
        lock[at - 1] = false;
        frees++
    :: else
    fi;
#endif
    d_step { got = true; done++ }
}

proctype V()
{
    VARIABLES;
    got;
    if
    :: state[0] == opened -> e = era[0]; allocate(0, e)
    :: allocate(1, 1)
    fi;
    if
    :: served -> free_large()
    :: else
    fi;
    done++
}

// A free of U's allocation.
proctype freer()
{
    VARIABLES;
    got;
    if
    :: nothing
    :: else -> free_large()
    fi;
    done++
}

init
{
    byte too_many = 0;
    d_step {
        era[0] = 1;
        era[1] = 1;
        state[0] = closing;
        state[1] = opened;
        pages[0] = 1;
        list[0] = orphan_full;
        list[1] = unused
    };
    atomic {
        run G(); run N(); run C(); run U(); run V(); run freer();
#ifdef TWICE
        run freer()
#else
        run L()
#endif
    };
    done == 7;
#if defined(TWICE) || defined(DROP)
    if
    :: nothing
    :: else -> too_many = 1
    fi;
#endif
    assert(reports == too_many);                       // not_reported_once
    assert(frees == allocations && pages[0] == 0 && pages[1] == 0);
    assert(drains[0] == LAST_ERA && state[0] == drained)      // not_drained
}
