// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A slab of two subslabs, each with words of its own. Lists, owner and home are the slab's; a freer sees one subslab
// only, and a thread that asks whether the slab is empty reads one word after the other. Two threads free, one of them
// perhaps when no other thread is at work. In the first variant a closer takes the slab from an idle cache meanwhile.
// ACQUIRE: the slab is on the epoch's list with one free slot; X acquires it when it can, frees an object and flushes
// its cache. REUSE: X acquires it, empties it, uses it in a second epoch and leaves it full on that epoch's list, while
// the thread with the first free still has to move it in the first.
//
// Bound: one slab, 2 subslabs of 2 slots, 3 threads; 4 frees, 3 in ACQUIRE, 8 in REUSE.
// States: 84,858; ACQUIRE 177,941; REUSE 31,904.
// Store buffers and announcements are left out: see claims.pml and close.pml.
// Shown: the slab is recycled once, when both subslabs are empty; when all is quiet it is on the full list only without
// a free slot, and on no list when it is empty; lists are changed under their epoch's lock and agree with the slab's
// `where`; a slab on the partial list has free slots.
//
// Variants: (none) ACQUIRE REUSE
//
// MUTANT_FULL_SUBSLAB_TAKES_SLAB: assertion live_object_reclaimed
// MUTANT_ONLY_LAST_FREE_LOOKS: assertion free_slots_out_of_reach
// MUTANT_ONLY_FIRST_FREE_LOOKS: assertion not_reclaimed
// MUTANT_NO_LOOK_AFTER_ORPHANING: assertion not_reclaimed
// MUTANT_ONE_SUBSLAB_LOOKED_AT: assertion live_object_reclaimed
// MUTANT_OWNER_BEFORE_LAST_SUBSLAB: assertion not_reclaimed
// MUTANT_NO_CLAIM: assertion on_no_list
// MUTANT_RELIST_ANYWHERE (ACQUIRE): assertion not_listed
// MUTANT_HOME_BEFORE_LIST (REUSE): assertion not_listed

#if !defined(ACQUIRE) && !defined(REUSE)
#define CACHE_OWNS_SLAB
#endif
#define FULL 3
// Results of a claim.
#define LOST 0
#define WON 1
#define YIELDED 2
mtype = { unused, cached, owned, orphan_partial, orphan_full };
mtype = { opened, closing, drained };

// The words of the slab and its subslabs.
byte remote_word[2];
byte local_free_word[2];            // slots of the subslabs, all of them live
#define NONE 0                 /* null: on an epoch's list */
#define CACHE 1                 /* in the first epoch */
#define SECOND_CACHE 2
#define RECLAIMING 3
#define NOWHERE 4
byte owner = NONE;
byte home = 0;   // an epoch's number + 1
mtype where = owned;

// Epochs' slabs: 0 is the first epoch's, 1 the second one's.
bool lock[2];
mtype state[2];
byte caches[2];
byte slabs[2];
mtype list[2];   // list of the epoch that the slab is on: unused, orphan_partial or orphan_full

// State of the model only.
byte live[2];
byte released[2];
byte at_work = 0;   // threads that are changing the slab
byte done = 0;

inline acquire(s) { atomic { !lock[s]; lock[s] = true; at_work++ } }
inline release(s) { d_step { lock[s] = false; at_work-- } }

// Under the lock, so that it may be one step.
inline move(s, from, to)
{
    d_step {
        assert(lock[s]);
        assert(list[s] == from);       // not_listed
        list[s] = to;
        if
        :: to == unused -> slabs[s]--
        :: else -> where = to
        fi
    }
}

// One word after the other.
// Step remote_fill.  Code: modules/slab/descriptor.hpp remote_fill
inline remote_fill()
{
    d_step { any = remote_word[0] != 0; all = remote_word[0] == FULL };
#ifndef MUTANT_ONE_SUBSLAB_LOOKED_AT
    d_step { any = any || remote_word[1] != 0; all = all && remote_word[1] == FULL }
#else
    skip
#endif
}

inline claim_subslab(k)
{
    freed = remote_word[k];
    if
    :: freed != 0 ->
        d_step { assert((local_free_word[k] & freed) == 0); local_free_word[k] = local_free_word[k] | freed };
        remote_word[k] = remote_word[k] & (FULL - freed)
    :: else
    fi;
    d_step { any = any || local_free_word[k] != 0; all = all && local_free_word[k] == FULL; freed = 0 }
}

// Step claim_slab.  Code: modules/tls_cache/heap/heap_state.hpp claim_slab
inline claim_slab()
{
    d_step { any = false; all = true };
    claim_subslab(0);
    claim_subslab(1)
}

// Step mark_empty.  Code: modules/slab/pages/slab_cache.hpp mark_empty
inline recycle()
{
    d_step {
        assert(where != cached);                   // recycled_twice
        assert(live[0] == 0 && live[1] == 0);      // live_object_reclaimed
        owner = NOWHERE
    };
    d_step { local_free_word[0] = FULL; remote_word[0] = 0 };
    d_step { local_free_word[1] = FULL; remote_word[1] = 0 };
    home = 0;
    where = cached
}

// Step try_drain.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::try_drain
inline try_drain(s)
{
    d_step {
        if
        :: state[s] == closing && caches[s] == 0 && slabs[s] == 0 ->
            state[s] = drained;
            assert(list[s] == unused);
            released[s]++
        :: else
        fi
    }
}

// Step claim_for_reclaim.  Code: modules/tls_cache/epoch_slabs/orphans.hpp claim_for_reclaim
inline claim_for_reclaim()
{
    do
    :: true ->
#ifdef MUTANT_NO_CLAIM
        reclaim_claim = WON;
        break
#else
        d_step {
            if
            :: owner == NONE -> owner = RECLAIMING; reclaim_claim = WON
            :: else -> reclaim_claim = LOST
            fi
        };
        if
        :: reclaim_claim == LOST -> break
        :: else
        fi;
        remote_fill();
        if
        :: all -> break
        :: else
        fi;
        owner = NONE;
        remote_fill();
        if
        :: !all -> reclaim_claim = YIELDED; break
        :: else
        fi
#endif
    od;
    skip
}

// First `where` is read, then `home`. Only both together say that the slab is on this epoch's full list: it comes to a
// list of this epoch only under the lock that is held.
// Step relist.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp relist
inline relist()
{
    at = home;
    if
    :: at != 0 ->
        acquire(at - 1);
#ifdef MUTANT_HOME_BEFORE_LIST
        ours = home == at;
        remote_fill();
        ours = ours && any && where == orphan_full;
#elif defined(MUTANT_RELIST_ANYWHERE)
        remote_fill();
        ours = any;
#else
        ours = where == orphan_full;
        ours = ours && home == at;
        remote_fill();
        ours = ours && any;
#endif
        if
        :: ours -> move(at - 1, orphan_full, orphan_partial)
        :: else
        fi;
        release(at - 1)
    :: else
    fi
}

// Step orphan_changed.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp orphan_changed
inline orphan_changed()
{
#ifdef MUTANT_FULL_SUBSLAB_TAKES_SLAB
    all = before != 0;
#else
    remote_fill();
#endif
    if
    :: !all -> relist()
    :: else ->
#ifdef MUTANT_FULL_SUBSLAB_TAKES_SLAB
        d_step { reclaim_claim = (owner == NONE -> WON : LOST); owner = (owner == NONE -> RECLAIMING : owner) };
#else
        claim_for_reclaim();
#endif
        if
        :: reclaim_claim == YIELDED -> relist()
        :: reclaim_claim == LOST
        :: reclaim_claim == WON ->
            at = home;
            assert(at != 0);               // on_no_list
            acquire(at - 1);
            move(at - 1, where, unused);
            recycle();
            try_drain(at - 1);
            release(at - 1)
        fi
    fi
}

// Step free_remote.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp free_remote
inline free_remote(k, slot)
{
    assert((remote_word[k] & slot) == 0);
    assert((local_free_word[k] & slot) == 0);
    assert(owner != NOWHERE);
    d_step {
        before = remote_word[k];
        remote_word[k] = before | slot;
        at_work++;
        live[k] = live[k] & (FULL - slot)
    };
    if
    // With two slots every free is the first into its subslab or the last.
#ifdef MUTANT_ONLY_LAST_FREE_LOOKS
    :: before == 0
#elif defined(MUTANT_ONLY_FIRST_FREE_LOOKS)
    :: before != 0
#endif
    :: else ->
        own = owner;
        if
        :: own == NONE -> orphan_changed()
        :: else   // a thread cache: freed_into is set, see words.pml
        fi
    fi;
    d_step { at_work--; own = 0; before = 0; at = 0; reclaim_claim = 0; any = false; all = false; ours = false }
}

// Step orphan_slab.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::orphan_slab
inline orphan_slab(s)
{
    claim_slab();
    if
    :: all -> recycle()
    :: else ->
        home = s + 1;
        d_step { assert(list[s] == unused); list[s] = orphan_partial; where = orphan_partial; slabs[s]++ };
        remote_word[0] = remote_word[0] | local_free_word[0];
        local_free_word[0] = 0;
#ifdef MUTANT_OWNER_BEFORE_LAST_SUBSLAB
        owner = NONE;
        remote_fill();
        remote_word[1] = remote_word[1] | local_free_word[1];
        local_free_word[1] = 0;
#else
        remote_word[1] = remote_word[1] | local_free_word[1];
        local_free_word[1] = 0;
        owner = NONE;
#ifndef MUTANT_NO_LOOK_AFTER_ORPHANING
        remote_fill();
#endif
#endif
        reclaim_claim = LOST;
        if
        :: all -> claim_for_reclaim()
        :: else
        fi;
        if
        :: reclaim_claim == WON -> move(s, orphan_partial, unused); recycle()
        :: reclaim_claim != WON && !any -> move(s, orphan_partial, orphan_full)
        :: else
        fi
    fi;
    d_step { reclaim_claim = 0; any = false; all = false }
}

// Step flush_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_cache
inline flush_cache(s, l)
{
    acquire(s);
    if
    :: owner == l -> orphan_slab(s)
    :: else
    fi;
    caches[s]--;
    try_drain(s);
    release(s)
}

// Step acquire_partial.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::acquire_partial
inline acquire_partial(s, l)
{
    acquire(s);
    do
    :: list[s] == orphan_partial ->
        d_step { claimed = (owner == NONE); if :: claimed -> owner = l :: else fi };
        if
        :: claimed ->
            claim_slab();
            assert(any);                       // listed_without_free_slot
            d_step { list[s] = unused; slabs[s]--; where = owned };
            break
        :: else -> move(s, orphan_partial, orphan_full)   // another thread recycles it, or is about to release it
        fi
    :: else -> break
    od;
    skip;
    d_step { lock[s] = false; at_work--; claimed = false; any = false; all = false }
}

// A free by the cache's own thread: into the cache if that owns the slab, else a remote free.
inline free_own(k, slot)
{
    if
    :: owner == CACHE -> d_step { local_free_word[k] = local_free_word[k] | slot; live[k] = live[k] & (FULL - slot) }
    :: else -> free_remote(k, slot)
    fi
}

#define VARIABLES \
    byte freed = 0; byte reclaim_claim = 0; byte at = 0; byte before = 0; byte own = 0; \
    bool any = false; bool all = false; bool ours = false; bool claimed = false

proctype freer(byte k; byte slot)
{
    VARIABLES;
    free_remote(k, slot);
    done++
}

// Checks the slab, perhaps while no thread is at work, and frees the last object of the first subslab.
proctype last_freer()
{
    VARIABLES;
    if
    :: true
    :: d_step {
        at_work == 0 && owner == NONE ->
        assert(where == orphan_partial || (remote_word[0] | remote_word[1]) == 0)  // free_slots_out_of_reach
    }
    fi;
    free_remote(0, 2);
    done++
}

#ifdef CACHE_OWNS_SLAB
// Closes the first epoch, whose cache's thread is idle.
proctype C()
{
    VARIABLES;
    acquire(0);
    state[0] = closing;
    orphan_slab(0);
    caches[0]--;
    try_drain(0);
    release(0);
    done++
}

// Frees in both subslabs.
proctype other()
{
    VARIABLES;
    free_remote(0, 1);
    free_remote(1, 1);
    free_remote(1, 2);
    done++
}
#endif

#ifdef ACQUIRE
proctype X()
{
    VARIABLES;
    do
    :: list[0] == orphan_partial && owner != CACHE -> acquire_partial(0, CACHE)
    :: true -> break
    od;
    free_own(1, 2);
    flush_cache(0, CACHE);
    done++
}
#endif

#ifdef REUSE
bool others_done = false;

proctype other()
{
    VARIABLES;
    free_remote(1, 1);
    free_remote(1, 2);
    others_done = true;
    done++
}

proctype X()
{
    VARIABLES;
    list[0] == orphan_partial || others_done;
    acquire_partial(0, CACHE);
    free_own(0, 2);
    others_done;
    if
    :: owner == CACHE -> claim_slab()
    :: else
    fi;
    if
    :: all ->
        recycle();
        // Its next slab, in the second epoch, of which it uses every slot.
        // Step take_ownership.  Code: modules/tls_cache/cache/owned_slabs.cpp thread_cache::take_ownership
        where = owned;
        owner = SECOND_CACHE;
        d_step { local_free_word[0] = 0; local_free_word[1] = 0; live[0] = FULL; live[1] = FULL };
        flush_cache(1, SECOND_CACHE);
        flush_cache(0, CACHE);
        free_remote(0, 1);
        free_remote(1, 1);
        free_remote(1, 2);
        free_remote(0, 2)
    :: else ->
        flush_cache(1, SECOND_CACHE);
        flush_cache(0, CACHE)
    fi;
    done++
}
#endif

init
{
    d_step {
        live[0] = FULL;
        live[1] = FULL;
        list[0] = unused;
        list[1] = unused;
        state[0] = opened;
        state[1] = closing;
        caches[0] = 1;
#ifdef CACHE_OWNS_SLAB
        owner = CACHE;
#else
        home = 1;
        where = orphan_full;
        list[0] = orphan_full;
        slabs[0] = 1;
#endif
#ifndef CACHE_OWNS_SLAB
        state[0] = closing;
#endif
#ifdef ACQUIRE
        live[1] = 2;
        remote_word[1] = 1;
        where = orphan_partial;
        list[0] = orphan_partial;
#endif
#ifdef REUSE
        caches[1] = 1;
#endif
    };
#ifdef CACHE_OWNS_SLAB
    atomic { run other(); run last_freer(); run C() };
    done == 3;
#elif defined(ACQUIRE)
    atomic { run freer(0, 1); run X(); run last_freer() };
    done == 3;
#else
    atomic { run freer(0, 1); run other(); run X() };
    done == 3;
#endif
    assert(live[0] == 0 && live[1] == 0);
    assert(where == cached && owner == NOWHERE);                                  // not_reclaimed
    assert(local_free_word[0] == FULL && local_free_word[1] == FULL && remote_word[0] == 0 && remote_word[1] == 0);
    assert(state[0] == drained && released[0] == 1);
#ifdef REUSE
    assert(state[1] == drained && released[1] == 1);
#endif
}
