// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The pages between live objects. One slab of three slots, each on a page of its own, on the shelf of an epoch; purger P gives the
// kernel the pages of free slots while the slab stays where it is. First variant: the epoch is closed, and two threads free the two
// objects that live there. ADOPT: the epoch is open; one of the two objects is freed by another thread, the other one stays; X
// adopts the slab, allocates, frees, hands it back and purges in its turn. DROP: D gives back all that the epoch holds, and Y
// uses the slab again at once.
//
// Bound: one slab, 3 slots, 3 threads, each with one free, one allocation and one free, or one purge.
// The system call is one step for all pages; which slots are free was read before it.
// Shown: no page goes under an object; what is noted of pages that went is true whenever it counts; the slab is taken back exactly
// once, by whoever finds it empty, and the epoch drains; a slab with free slots is left where it can be adopted.
//
// Variants: (none) ADOPT DROP
//
// MUTANT_PURGES_WITHOUT_OWNING (ADOPT): assertion purged_under_object
// MUTANT_ENDS_WITHOUT_LOOK: assertion not_taken_back
// MUTANT_NOT_RELISTED (ADOPT): assertion left_on_full_list
// MUTANT_NOTES_WHAT_CAME_MEANWHILE: assertion noted_but_resident
// MUTANT_ADOPTED_WITH_ITS_NOTE (ADOPT): assertion noted_but_resident
// MUTANT_DROPS_WHAT_IS_PURGED (DROP): assertion not_taken_back
// MUTANT_NO_SETTLE_AFTER_PURGE: assertion not_drained

#define FULL 7
#define LOST 0
#define WON 1
#define LET_GO 2
mtype = { unused, cached, held, shelved_partial, shelved_full };
mtype = { opened, closing, drained };

// The words of the slab.
byte shared_word = 4;
byte local_word = 0;
#define NONE 0
#define LANE_X 2
#define RECLAIMING 3
#define NOWHERE 4
#define LANE_Y 5
byte owner = NONE;
mtype where = shelved_partial;
byte noted = 0;                // slots whose pages are said to have gone

// The shelf.
bool lock = false;
mtype state;
byte slabs = 1;
mtype list = shelved_partial;  // which of its lists the slab is on

// What nobody in the program knows.
byte live = 3;                 // slots with an object
byte gone = 0;                 // pages that are not resident
byte released = 0;
byte done = 0;

inline acquire() { atomic { !lock; lock = true } }
inline touch(slot) { gone = gone & (FULL - slot) }

// Step recycle.  Code: modules/tls_cache/core.cpp heap_core::recycle
inline recycle()
{
    d_step {
        assert(where != cached);   // taken_back_twice
        assert(live == 0);         // live_object_taken
        owner = NOWHERE
    };
    local_word = FULL;
    shared_word = 0;
    where = cached
}

// Step give_pages.  Code: modules/slab/slab_cache.cpp slab_cache::give_pages
inline give_pages()
{
    assert((noted & (FULL - gone)) == 0)   // noted_but_resident
}

inline remove_from(which)
{
    assert(lock);
    assert(list == which);         // not_listed
    list = unused
}

// Step settle.  Code: modules/tls_cache/shelf.cpp shelf::settle
inline settle()
{
    d_step {
        if
        :: state == closing && slabs == 0 -> state = drained; released++
        :: else
        fi
    }
}

// Step elect.  Code: modules/tls_cache/shelf.cpp elect
inline elect(result)
{
    do
    :: true ->
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
        if
        :: shared_word == FULL -> break
        :: else
        fi;
        owner = NONE;
        if
        :: shared_word != FULL -> result = LET_GO; break
        :: else
        fi
    od;
    skip
}

// Step relist.  Code: modules/tls_cache/shelf.cpp relist
inline relist()
{
    acquire();
    if
    :: where == shelved_full && shared_word != 0 ->
        d_step { remove_from(shelved_full); where = shelved_partial; list = shelved_partial }
    :: else
    fi;
    lock = false
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
        :: election == LOST
        :: election == WON ->
            acquire();
            d_step { remove_from(where); slabs-- };
            recycle();
            settle();
            lock = false;
            give_pages()
        fi
    fi
}

// Step free_remote.  Code: modules/tls_cache/shelf.cpp free_remote
inline free_remote(slot)
{
    d_step {
        assert((gone & slot) == 0);       // purged_under_object
        before = shared_word;
        shared_word = shared_word | slot;
        live = live & (FULL - slot)
    };
    if
    :: before != 0 && (before | slot) != FULL
    :: else ->
        own = owner;
        if
        :: own == NONE -> shelved_slab_changed()
        :: else
        fi
    fi;
    own = 0; before = 0; election = 0
}

// Under the lock; who has the slab already takes it back, or has it adopted.
// Step claim_for_purge.  Code: modules/tls_cache/shelf.cpp shelf::claim_for_purge
inline claim_for_purge()
{
    claimed = false;
    if
    :: list == shelved_partial && owner == NONE && (shared_word & (FULL - noted)) != 0 ->
#ifdef MUTANT_PURGES_WITHOUT_OWNING
        claimed = true
#else
        d_step {
            if
            :: owner == NONE -> owner = RECLAIMING; claimed = true
            :: else
            fi
        }
#endif
    :: else
    fi
}

// Step end_purge.  Code: modules/tls_cache/shelf.cpp shelf::end_purge_of
inline end_purge()
{
#ifndef MUTANT_PURGES_WITHOUT_OWNING
    owner = NONE;
#endif
#ifndef MUTANT_ENDS_WITHOUT_LOOK
    if
    :: shared_word == FULL ->
        elect(election);
        if
        :: election == WON ->
            d_step { remove_from(where); slabs-- };
            recycle();
            give_pages()
        :: else
        fi
    :: else ->
#ifndef MUTANT_NOT_RELISTED
        if
        :: shared_word != 0 && where == shelved_full ->
            d_step { remove_from(shelved_full); where = shelved_partial; list = shelved_partial }
        :: else
        fi
#else
        skip
#endif
    fi;
    election = 0;
#endif
#ifndef MUTANT_NO_SETTLE_AFTER_PURGE
    settle()
#else
    skip
#endif
}

// Step purge_unused.  Code: modules/slab/slab_cache.cpp slab_cache::purge_unused; modules/tls_cache/shelf.cpp shelf::purge_unused
inline purge_unused()
{
    acquire();
    claim_for_purge();
    lock = false;
    if
    :: claimed ->
        free = shared_word;
        d_step {
            assert((live & free) == 0);    // purged_under_object
            gone = gone | free
        };
#ifdef MUTANT_NOTES_WHAT_CAME_MEANWHILE
        noted = noted | shared_word;
#else
        noted = noted | free;
#endif
        acquire();
        end_purge();
        lock = false
    :: else
    fi;
    free = 0; claimed = false
}

// Step adopt.  Code: modules/tls_cache/shelf.cpp shelf::adopt; modules/tls_cache/shelf.cpp shelf::repair_adoption
inline adopt()
{
    acquire();
    if
    :: list == shelved_partial ->
        d_step { claimed = (owner == NONE); if :: claimed -> owner = LANE_X :: else fi };
        if
        :: claimed ->
            d_step { local_word = shared_word; shared_word = 0 };
#ifndef MUTANT_ADOPTED_WITH_ITS_NOTE
            noted = 0;
#endif
            d_step { remove_from(shelved_partial); slabs--; where = held }
        :: else ->
            d_step { remove_from(shelved_partial); where = shelved_full; list = shelved_full }
        fi
    :: else
    fi;
    lock = false
}

// Step put_down.  Code: modules/tls_cache/shelf.cpp shelf::put_down
inline put_down()
{
    acquire();
    d_step { local_word = local_word | shared_word; shared_word = 0 };
    d_step { list = shelved_partial; where = shelved_partial; slabs++ };
    d_step { shared_word = shared_word | local_word };
    local_word = 0;
    owner = NONE;
    assert(shared_word != FULL);           // an object stays
    lock = false
}

#define VARIABLES byte free = 0; byte before = 0; byte own = 0; byte election = 0; byte slot = 0; bool claimed = false

proctype freer(byte bit_to_free)
{
    VARIABLES;
    free_remote(bit_to_free);
    done++
}

proctype P()
{
    VARIABLES;
    purge_unused();
    done++
}

#ifdef ADOPT
proctype X()
{
    VARIABLES;
    adopt();
    if
    :: claimed ->
        claimed = false;
        slot = (local_word & 1 -> 1 : 4);
        d_step {
            assert((live & slot) == 0);
            local_word = local_word & (FULL - slot);
            live = live | slot;
            touch(slot)
        };
        d_step {
            assert((gone & slot) == 0);    // purged_under_object
            local_word = local_word | slot;
            live = live & (FULL - slot)
        };
        put_down();
        purge_unused()
    :: else
    fi;
    done++
}
#endif

#ifdef DROP
// Step drop_all.  Code: modules/tls_cache/shelf.cpp shelf::drop_all
proctype D()
{
    VARIABLES;
    acquire();
    live = 0;
#ifndef MUTANT_DROPS_WHAT_IS_PURGED
    if
    :: list != unused && owner == RECLAIMING -> shared_word = FULL
    :: list != unused && owner != RECLAIMING ->
        d_step { remove_from(where); slabs-- };
        recycle()
    :: else
    fi;
#else
    d_step { remove_from(where); slabs-- };
    recycle();
#endif
    lock = false;
    done++
}

proctype Y()
{
    VARIABLES;
    where == cached;
    d_step { where = held; noted = 0; owner = LANE_Y; local_word = 3; live = 4; touch(4) };
    d_step {
        assert((gone & 4) == 0);           // purged_under_object
        local_word = FULL;
        live = 0;
        owner = NOWHERE;
        where = cached
    };
    done++
}
#endif

#define THREADS 3

init
{
    d_step {
#if defined(ADOPT) || defined(DROP)
        state = opened
#else
        state = closing
#endif
    };
    atomic {
#ifdef DROP
        run D();
        run Y();
        run P()
#else
        run freer(1);
        run P();
#ifdef ADOPT
        run X()
#else
        run freer(2)
#endif
#endif
    };
    done == THREADS;
#ifdef ADOPT
    assert(live == 2 && owner == NONE && local_word == 0 && shared_word == 5);
    assert(where == shelved_partial && list == shelved_partial && slabs == 1);    // left_on_full_list
    assert((noted & (FULL - gone)) == 0);                                         // noted_but_resident
#else
    assert(live == 0);
    assert(where == cached && owner == NOWHERE && local_word == FULL && shared_word == 0 && slabs == 0);   // not_taken_back
#ifndef DROP
    assert(state == drained && released == 1);                                   // not_drained
#endif
#endif
}
