// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The two words of a slab. The owner allocates from `local`, frees into it, and collects from `shared` what three other threads
// free there, each a slot of its own. The slab is what the owner hands out from, or among its ready ones, or neither: then
// `freed_into` must tell. Variants: two of the threads free the same slot (TWICE), or the owner frees a slot that another
// thread frees as well (OWNER_TOO).
//
// Bound: one slab, 3 slots, 4 threads, 3 operations of the owner before the others are done and as many as it takes afterwards.
// States: 432,965; TWICE 318,536; OWNER_TOO 141,999.
// Shown: a slot has one holder; no freed slot is lost, and without a close the owner finds them all; a slot freed twice is
// reported exactly once as long as it is not handed out in between, and one that is in both words before an allocation begins
// is not handed out; nobody is accused who freed once.
//
// Variants: (none) TWICE OWNER_TOO
//
// MUTANT_CLAIM_BY_STORE: assertion slot_lost
// MUTANT_FREE_BY_STORE: assertion falsely_reported
// MUTANT_FLAG_CLEARED_AFTERWARDS: assertion slot_lost
// MUTANT_FLAG_BEFORE_FREE: assertion slot_lost
// MUTANT_LOOK_PASSES_EXCHANGE: assertion slot_lost
// MUTANT_LAST_FREE_NOT_TOLD: assertion slot_lost
// MUTANT_NOT_MADE_READY: assertion slot_lost
// MUTANT_BEFORE_NOT_LOOKED_AT (TWICE): assertion not_reported_once
// MUTANT_TWICE_NOT_REPORTED (OWNER_TOO): assertion not_reported_once
// MUTANT_SHARED_NOT_LOOKED_AT (TWICE): assertion handed_out_in_both_words

#define FULL 7
#define OPERATIONS 3
// The slots of which nobody frees an object twice. A second free so late that it comes between an allocation's look and its
// store is a free of the new object, as every free after that: nothing can tell them apart.
#if defined(TWICE) || defined(OWNER_TOO)
#define FREED_ONCE 6
#else
#define FREED_ONCE 7
#endif

byte local_word = 0;
byte shared_word = 0;
bool freed_into = false;
#ifdef MUTANT_LOOK_PASSES_EXCHANGE
bool resetting = false;   // the owner's exchange has read freed_into, and its store is still on its way: no other comes between
#endif

// The owner's own.
bool current = true;    // hands out from the slab
bool ready = false;     // the slab is among those known to have free slots
byte to_scan = 0;

// What nobody in the program knows.
byte live = FULL;
byte mine = 0;          // slots that the owner has handed out to itself
byte reports = 0;
byte handed_out = 0;    // slots handed out since the beginning
byte freers = 0;        // that are done

#define FIRST_OF(m) ((m & 1) -> 1 : ((m & 2) -> 2 : 4))
#define COUNT(m) ((m & 1) + ((m >> 1) & 1) + ((m >> 2) & 1))

// Step claim_freed.  Code: modules/slab/descriptor.cppm claim_freed; modules/tls_cache/core.cppm claim
inline claim_freed()
{
    own = local_word;
    freed = shared_word;
    if
    :: freed != 0 ->
        local_word = own | freed;
#ifdef MUTANT_CLAIM_BY_STORE
        shared_word = 0;
#else
        shared_word = shared_word & (FULL - freed);
#endif
#ifndef MUTANT_TWICE_NOT_REPORTED
        reports = reports + COUNT((own & freed))
#endif
    :: else
    fi
}

// Step open_block.  Code: modules/tls_cache/lane.cpp lane::open_block
inline open_block()
{
    if
    :: shared_word != 0 -> claim_freed()
    :: else
    fi;
    found = local_word != 0
}

// Step scan_held.  Code: modules/tls_cache/lane.cpp lane::scan_held
inline scan_held()
{
    if
    :: freed_into ->
#if defined(MUTANT_LOOK_PASSES_EXCHANGE)
        resetting = true;                        // what an exchange of order acquire may do on ARM
#elif !defined(MUTANT_FLAG_CLEARED_AFTERWARDS)
        freed_into = false;
#endif
        to_scan = 1
    :: else
    fi;
    if
    :: to_scan > 0 ->
        to_scan--;
        freed = shared_word;
#ifdef MUTANT_LOOK_PASSES_EXCHANGE
        atomic { freed_into = freed_into && !resetting; resetting = false };
#endif
        if
        :: COUNT(freed) * 2 >= 3 -> open_block()
        :: else
        fi
    :: else
    fi;
#ifdef MUTANT_FLAG_CLEARED_AFTERWARDS
    freed_into = false
#endif
}

// Step next_block.  Code: modules/tls_cache/lane.cpp lane::next_block; modules/tls_cache/lane.cpp lane::next_ready
inline next_block()
{
    found = false;
    if
    :: current -> open_block(); current = found
    :: else
    fi;
    if
    :: !found && ready -> ready = false; open_block(); current = found
    :: !found && !ready && (to_scan != 0 || freed_into) -> scan_held(); current = found
    :: else
    fi
}

// Step allocate_from.  Code: modules/tls_cache/lane.cppm allocate_from
inline allocate_from()
{
    atomic { own = local_word; in_shared = shared_word };   // what is in both words now is known to be freed twice
#ifdef MUTANT_SHARED_NOT_LOOKED_AT
    freed = 0;
#else
    freed = shared_word;
#endif
    if
    :: own != 0 && (freed & own) == 0 ->
        slot = FIRST_OF(own);
        atomic {
            assert((in_shared & own) == 0);      // handed_out_in_both_words
            assert((live & slot & FREED_ONCE) == 0);  // handed_out_twice
            local_word = own & (own - 1);
            live = live | slot;
            mine = mine | slot;
            handed_out = handed_out | slot
        }
    :: else -> slot = 0
    fi
}

// Step find_slot.  Code: modules/tls_cache/lane.cpp lane::find_slot; modules/tls_cache/lane.cpp lane::refill
inline allocate()
{
    slot = 0;
    if
    :: current -> allocate_from()
    :: else
    fi;
    do
    :: slot == 0 ->
        next_block();
        if
        :: found -> allocate_from()
        :: else -> break                         // another slab serves it
        fi
    :: else -> break
    od;
    own = 0; freed = 0; found = false; in_shared = 0
}

// Step put_back.  Code: modules/tls_cache/lane.cppm put_back; modules/tls_cache/lane.cpp lane::restock
inline put_back(s)
{
    own = local_word;
    freed = shared_word;
    if
    :: ((own | freed) & s) != 0 ->
        atomic { reports++; mine = mine & (FULL - s) }
    :: else ->
        atomic { local_word = own | s; live = live & (FULL - s); mine = mine & (FULL - s) };
#ifndef MUTANT_NOT_MADE_READY
        if
        :: !current && !ready && (own == 0 || (own | s) == FULL) -> ready = true
        :: else
        fi
#endif
    fi;
    own = 0; freed = 0
}

// Step note_freed_into.  Code: modules/tls_cache/shelf.cpp note_freed_into
inline note_freed_into()
{
    if
    :: freed_into                                // said already
#ifdef MUTANT_LOOK_PASSES_EXCHANGE
    :: else -> atomic { !resetting -> freed_into = true }
#else
    :: else -> freed_into = true
#endif
    fi
}

// Step free_remote.  Code: modules/tls_cache/shelf.cpp free_remote
proctype freer(byte s)
{
    byte before;
    if
    :: (shared_word & s) != 0 -> reports++; goto over
    :: else
    fi;
    if
    :: (local_word & s) != 0 -> reports++; goto over
    :: else
    fi;
#ifdef MUTANT_FLAG_BEFORE_FREE
    note_freed_into();
#endif
#ifdef MUTANT_FREE_BY_STORE
    before = shared_word;
    atomic { shared_word = before | s; live = live & (FULL - s); mine = mine & (FULL - s) };
#else
    atomic { before = shared_word; shared_word = before | s; live = live & (FULL - s); mine = mine & (FULL - s) };
#endif
    if
#ifndef MUTANT_BEFORE_NOT_LOOKED_AT
    :: (before & s) != 0 -> reports++; goto over
#endif
    :: else
    fi;
#ifndef MUTANT_FLAG_BEFORE_FREE
    if
#ifdef MUTANT_LAST_FREE_NOT_TOLD
    :: before == 0 -> note_freed_into()
#else
    :: before == 0 || (before | s) == FULL -> note_freed_into()
#endif
    :: else
    fi;
#endif
over:
    atomic { before = 0; freers++ }
}

active proctype owner()
{
    byte own = 0;
    byte freed = 0;
    byte in_shared = 0;
    byte slot = 0;
    byte left = OPERATIONS;
    bool found = false;

#ifdef OWNER_TOO
    atomic { run freer(1); run freer(2); run freer(4) };
#elif defined(TWICE)
    atomic { run freer(1); run freer(1); run freer(2) };
    put_back(4);
#else
    atomic { run freer(1); run freer(2); run freer(4) };
#endif
#ifdef OWNER_TOO
    if
    :: allocate()
    :: true
    fi;
    put_back(1);
#else
    do
    :: left > 0 ->
        left--;
        if
        :: allocate()
        :: mine != 0 -> slot = FIRST_OF(mine); put_back(slot)
        fi
    :: true -> break
    od;
#endif
    left = 0;
    freers == 3;
    do
    :: mine != 0 -> slot = FIRST_OF(mine); put_back(slot)
    :: else -> break
    od;
#if defined(TWICE) || defined(OWNER_TOO)
    // All that is free and not yet found out is in both words. The next claim, here of whoever gives the slab back, reports it.
    skip;
    claim_freed();
    if
    :: (handed_out & 1) == 0 -> assert(reports == 1)   // not_reported_once
    :: else -> assert(reports <= 1)
    fi
#else
    assert(live == 0);
    do
    :: left < 8 && mine != FULL -> left++; allocate()
    :: else -> break
    od;
    assert(mine == FULL);        // slot_lost
    assert(reports == 0)         // falsely_reported
#endif
}
