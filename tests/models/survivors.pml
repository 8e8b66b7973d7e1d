// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The pages between live objects. One slab of three slots, each on a page of its own, on an epoch's list; purger P
// gives the kernel the pages of free slots while the slab stays on its list. First variant: the epoch is closed, and
// two threads free the two objects that live there. ACQUIRE: the epoch is open; another thread frees one of the two
// objects, the other one stays; X acquires the slab, allocates, frees, flushes it and purges in its turn. DROP: D
// releases all that the epoch holds, and Y uses the slab again at once.
//
// Bound: one slab, 3 slots, 3 threads, each with one free, one allocation and one free, or one purge.
// The system call is one step for all pages; the free slots were read before it.
// Shown: no page under an object is purged; the note of purged pages is true whenever it counts; the slab is recycled
// exactly once, by a thread that finds it empty, and the epoch drains; a slab with free slots stays where it can be
// acquired.
//
// Variants: (none) ACQUIRE DROP
//
// MUTANT_PURGES_WITHOUT_OWNING (ACQUIRE): assertion purged_under_object
// MUTANT_ENDS_WITHOUT_LOOK: assertion not_reclaimed
// MUTANT_NOT_RELISTED (ACQUIRE): assertion left_on_full_list
// MUTANT_NOTES_WHAT_CAME_MEANWHILE: assertion noted_but_resident
// MUTANT_ACQUIRED_WITH_ITS_NOTE (ACQUIRE): assertion noted_but_resident
// MUTANT_DROPS_WHAT_IS_PURGED (DROP): assertion not_reclaimed
// MUTANT_NO_TRY_DRAIN_AFTER_PURGE: assertion not_drained

#define FULL 7
#define LOST 0
#define WON 1
#define YIELDED 2
mtype = { unused, cached, owned, orphan_partial, orphan_full };
mtype = { opened, closing, drained };

// The words of the slab.
byte remote_word = 4;
byte local_free_word = 0;
#define NONE 0
#define CACHE_X 2
#define RECLAIMING 3
#define NOWHERE 4
#define CACHE_Y 5
byte owner = NONE;
mtype where = orphan_partial;
byte noted = 0;   // slots whose pages are noted as purged

// The epoch's slabs.
bool lock = false;
mtype state;
byte slabs = 1;
mtype list = orphan_partial;   // the list that the slab is on

// State of the model only.
byte live = 3;                 // slots with an object
byte gone = 0;                 // pages that are not resident
byte released = 0;
byte done = 0;

inline acquire() { atomic { !lock; lock = true } }
inline touch(slot) { gone = gone & (FULL - slot) }

// Step recycle.  Code: modules/tls_cache/cache/slab_supply.cpp heap_state::recycle
inline recycle()
{
    d_step {
        assert(where != cached);   // recycled_twice
        assert(live == 0);         // live_object_reclaimed
        owner = NOWHERE
    };
    local_free_word = FULL;
    remote_word = 0;
    where = cached
}

// Step give_pages.  Code: modules/slab/pages/slab_cache.cpp slab_cache::give_pages
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

// Step try_drain.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::try_drain
inline try_drain()
{
    d_step {
        if
        :: state == closing && slabs == 0 -> state = drained; released++
        :: else
        fi
    }
}

// Step claim_for_reclaim.  Code: modules/tls_cache/epoch_slabs/orphans.hpp claim_for_reclaim
inline claim_for_reclaim(result)
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
        :: remote_word == FULL -> break
        :: else
        fi;
        owner = NONE;
        if
        :: remote_word != FULL -> result = YIELDED; break
        :: else
        fi
    od;
    skip
}

// Step relist.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp relist
inline relist()
{
    acquire();
    if
    :: where == orphan_full && remote_word != 0 ->
        d_step { remove_from(orphan_full); where = orphan_partial; list = orphan_partial }
    :: else
    fi;
    lock = false
}

// Step orphan_changed.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp orphan_changed
inline orphan_changed()
{
    if
    :: remote_word != FULL -> relist()
    :: else ->
        claim_for_reclaim(reclaim_claim);
        if
        :: reclaim_claim == YIELDED -> relist()
        :: reclaim_claim == LOST
        :: reclaim_claim == WON ->
            acquire();
            d_step { remove_from(where); slabs-- };
            recycle();
            try_drain();
            lock = false;
            give_pages()
        fi
    fi
}

// Step free_remote.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp free_remote
inline free_remote(slot)
{
    d_step {
        assert((gone & slot) == 0);       // purged_under_object
        before = remote_word;
        remote_word = remote_word | slot;
        live = live & (FULL - slot)
    };
    if
    :: before != 0 && (before | slot) != FULL
    :: else ->
        own = owner;
        if
        :: own == NONE -> orphan_changed()
        :: else
        fi
    fi;
    own = 0; before = 0; reclaim_claim = 0
}

// Under the lock; a thread that owns the slab already recycles it, or has acquired it.
// Step claim_for_purge.  Code: modules/tls_cache/epoch_slabs/survivors.cpp epoch_slabs::claim_for_purge
inline claim_for_purge()
{
    claimed = false;
    if
    :: list == orphan_partial && owner == NONE && (remote_word & (FULL - noted)) != 0 ->
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

// Step end_purge.  Code: modules/tls_cache/epoch_slabs/survivors.cpp epoch_slabs::end_purge_of
inline end_purge()
{
#ifndef MUTANT_PURGES_WITHOUT_OWNING
    owner = NONE;
#endif
#ifndef MUTANT_ENDS_WITHOUT_LOOK
    if
    :: remote_word == FULL ->
        claim_for_reclaim(reclaim_claim);
        if
        :: reclaim_claim == WON ->
            d_step { remove_from(where); slabs-- };
            recycle();
            give_pages()
        :: else
        fi
    :: else ->
#ifndef MUTANT_NOT_RELISTED
        if
        :: remote_word != 0 && where == orphan_full ->
            d_step { remove_from(orphan_full); where = orphan_partial; list = orphan_partial }
        :: else
        fi
#else
        skip
#endif
    fi;
    reclaim_claim = 0;
#endif
#ifndef MUTANT_NO_TRY_DRAIN_AFTER_PURGE
    try_drain()
#else
    skip
#endif
}

// Step purge_unused.  Code: modules/slab/pages/slab_cache.cpp slab_cache::purge_unused; modules/slab/pages/slab_cache.cpp epoch_slabs::purge_unused
inline purge_unused()
{
    acquire();
    claim_for_purge();
    lock = false;
    if
    :: claimed ->
        free = remote_word;
        d_step {
            assert((live & free) == 0);    // purged_under_object
            gone = gone | free
        };
#ifdef MUTANT_NOTES_WHAT_CAME_MEANWHILE
        noted = noted | remote_word;
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

// Step acquire_partial.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::acquire_partial; modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::repair_partial
inline acquire_partial()
{
    acquire();
    if
    :: list == orphan_partial ->
        d_step { claimed = (owner == NONE); if :: claimed -> owner = CACHE_X :: else fi };
        if
        :: claimed ->
            d_step { local_free_word = remote_word; remote_word = 0 };
#ifndef MUTANT_ACQUIRED_WITH_ITS_NOTE
            noted = 0;
#endif
            d_step { remove_from(orphan_partial); slabs--; where = owned }
        :: else ->
            d_step { remove_from(orphan_partial); where = orphan_full; list = orphan_full }
        fi
    :: else
    fi;
    lock = false
}

// Step orphan_slab.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::orphan_slab
inline orphan_slab()
{
    acquire();
    d_step { local_free_word = local_free_word | remote_word; remote_word = 0 };
    d_step { list = orphan_partial; where = orphan_partial; slabs++ };
    d_step { remote_word = remote_word | local_free_word };
    local_free_word = 0;
    owner = NONE;
    assert(remote_word != FULL);           // an object stays
    lock = false
}

#define VARIABLES byte free = 0; byte before = 0; byte own = 0; byte reclaim_claim = 0; byte slot = 0; bool claimed = false

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

#ifdef ACQUIRE
proctype X()
{
    VARIABLES;
    acquire_partial();
    if
    :: claimed ->
        claimed = false;
        slot = (local_free_word & 1 -> 1 : 4);
        d_step {
            assert((live & slot) == 0);
            local_free_word = local_free_word & (FULL - slot);
            live = live | slot;
            touch(slot)
        };
        d_step {
            assert((gone & slot) == 0);    // purged_under_object
            local_free_word = local_free_word | slot;
            live = live & (FULL - slot)
        };
        orphan_slab();
        purge_unused()
    :: else
    fi;
    done++
}
#endif

#ifdef DROP
// Step drop_all.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::drop_all
proctype D()
{
    VARIABLES;
    acquire();
    live = 0;
#ifndef MUTANT_DROPS_WHAT_IS_PURGED
    if
    :: list != unused && owner == RECLAIMING -> remote_word = FULL
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
    d_step { where = owned; noted = 0; owner = CACHE_Y; local_free_word = 3; live = 4; touch(4) };
    d_step {
        assert((gone & 4) == 0);           // purged_under_object
        local_free_word = FULL;
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
#if defined(ACQUIRE) || defined(DROP)
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
#ifdef ACQUIRE
        run X()
#else
        run freer(2)
#endif
#endif
    };
    done == THREADS;
#ifdef ACQUIRE
    assert(live == 2 && owner == NONE && local_free_word == 0 && remote_word == 5);
    assert(where == orphan_partial && list == orphan_partial && slabs == 1);    // left_on_full_list
    assert((noted & (FULL - gone)) == 0);                                         // noted_but_resident
#else
    assert(live == 0);
    assert(where == cached && owner == NOWHERE && local_free_word == FULL && remote_word == 0 && slabs == 0);   // not_reclaimed
#ifndef DROP
    assert(state == drained && released == 1);                                   // not_drained
#endif
#endif
}
