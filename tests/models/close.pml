// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Close against allocate and free. One slab of three slots, in an epoch that closer C closes at any time. Two threads
// free the two objects that live in the slab from the start; a free may be arbitrarily late. In the first variant
// thread T's cache owns the slab; T announces itself, reads the cache's key, allocates the last slot and frees it. In
// the others the slab is on the epoch's list. ACQUIRE: X allocates in the epoch, acquires the slab, frees its object.
// REUSE: X takes the slab after it was recycled, uses it in a second epoch that is closed, and leaves it on that
// epoch's list with an object in it, which is then freed while frees of the slab's first life are still pending. MOVE:
// X acquires the slab; if all of it is free by then, X recycles it without a lock, fills it in the second epoch, leaves
// it on that epoch's list and frees what is in it.
//
// Bound: one slab, 3 slots, 4 threads, each with one free, or one allocation and one free; one close; a closer reads
// the activity of a busy thread twice. A cache that its own thread flushes retains nothing (in the code it may retain
// an empty slab).
// States: 2,313,414; ACQUIRE 2,753,840; REUSE 85,882; MOVE 1,363,741.
// The store buffer is left out: claims.pml shows that the announcement precedes the load of the key.
// Shown: a slot has one holder; a slab is recycled only when empty, by exactly one thread that has claimed it; a thread
// that lost the claim changes nothing of it; lists are changed under their epoch's lock only and agree with the slab's
// `where`; when all is quiet the slab is in the cache, and the epoch has drained exactly once.
//
// Variants: (none) ACQUIRE REUSE MOVE
//
// MUTANT_NO_ANNOUNCEMENT: assertion taken_while_in_use
// MUTANT_NO_SECOND_LOOK_AT_KEY: assertion not_reclaimed
// MUTANT_NO_LOOK_AFTER_ORPHANING: assertion not_reclaimed
// MUTANT_OWNER_BEFORE_SLOTS: assertion not_reclaimed
// MUTANT_NO_CLAIM: assertion on_no_list
// MUTANT_LOSER_TOUCHES: assertion on_no_list
// MUTANT_CLAIM_TRUSTS_OLD_LOOK (REUSE): assertion live_object_reclaimed
// MUTANT_YIELDS_WITHOUT_LOOK (REUSE): assertion not_reclaimed
// MUTANT_YIELDS_AFTER_ONE_LOOK (REUSE): assertion not_reclaimed
// MUTANT_RELIST_UNCHECKED (ACQUIRE): assertion not_listed
// MUTANT_HOME_BEFORE_LIST (MOVE): assertion not_listed
// MUTANT_OWNER_LOOKED_AT_FIRST: assertion not_reclaimed
// MUTANT_DRAINED_WITH_CACHES: assertion drained_too_early
// MUTANT_NO_TRY_DRAIN_AFTER_LAST_FREE: assertion not_drained

#if !defined(ACQUIRE) && !defined(REUSE) && !defined(MOVE)
#define T_OWNS_SLAB
#endif
#define FULL 7
#define PATIENCE 1
// Results of a claim.
#define LOST 0
#define WON 1
#define YIELDED 2
mtype = { unused, cached, owned, orphan_partial, orphan_full };
mtype = { opened, closing, drained };

// The words of the slab.
byte remote_word = 0;
byte local_free_word = 4;                // slots 0 and 1 live
#define NONE 0                 /* null: on an epoch's list */
#define CACHE_T 1
#define CACHE_X 2
#define RECLAIMING 3
#define NOWHERE 4
byte owner = CACHE_T;
byte home = 0;   // an epoch's number + 1
mtype where = owned;

// Epochs' slabs: 0 for the epoch that is closed, 1 for the second one.
bool lock[2];
mtype state[2];
byte caches[2];
byte slabs[2];
mtype list[2];   // list of the epoch that the slab is on: unused, orphan_partial or orphan_full

// Thread caches and their threads, T's and X's.
bool open[3];
bool attached[3];
bool of_first_epoch[3];
bool has_slab[3];
bool activity[3];
bool flush_requested[3];

// State of the model only.
byte live = 3;                 // slots with an object
bool using[3];
byte released[2];
byte done = 0;

inline acquire(s) { atomic { !lock[s]; lock[s] = true } }

// Step recycle.  Code: modules/tls_cache/cache/slab_supply.cpp heap_state::recycle; modules/tls_cache/cache/slab_supply.cpp mark_empty
inline recycle()
{
    d_step {
        assert(where != cached);   // recycled_twice
        assert(live == 0);         // live_object_reclaimed
        owner = NOWHERE
    };
    local_free_word = FULL;
    freed = remote_word;
    remote_word = remote_word & (FULL - freed);
    home = 0;
    where = cached
}

inline remove_from(s, which)
{
    assert(lock[s]);
    assert(list[s] == which);      // not_listed
    list[s] = unused
}

// Step try_drain.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::try_drain
inline try_drain(s)
{
    d_step {
        if
#ifdef MUTANT_DRAINED_WITH_CACHES
        :: state[s] == closing && slabs[s] == 0 ->
#else
        :: state[s] == closing && caches[s] == 0 && slabs[s] == 0 ->
#endif
            state[s] = drained;
            is_drained = true
        :: else
        fi
    }
}

// Step slot_drained.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp heap_state::slot_drained
inline slot_drained(s)
{
    d_step {
        assert(released[s] == 0);
        assert(caches[s] == 0 && list[s] == unused);  // drained_too_early
        released[s]++;
        is_drained = false
    }
}

// Step claim.  Code: modules/slab/descriptor.hpp claim_freed
inline claim_slab(result)
{
    mine = local_free_word;
    freed = remote_word;
    if
    :: freed != 0 ->
        assert((mine & freed) == 0);  // falsely_reported: no slot is freed twice here
        local_free_word = mine | freed;
        remote_word = remote_word & (FULL - freed)
    :: else
    fi;
    result = mine | freed
}

// Step claim_for_reclaim.  Code: modules/tls_cache/epoch_slabs/orphans.hpp claim_for_reclaim
inline claim_for_reclaim(result)
{
    do
    :: true ->
#ifdef MUTANT_NO_CLAIM
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
#ifdef MUTANT_CLAIM_TRUSTS_OLD_LOOK
        break;
#endif
        if
        :: remote_word == FULL -> break
        :: else
        fi;
        owner = NONE;
#ifdef MUTANT_YIELDS_WITHOUT_LOOK
        result = LOST;
        break;
#elif defined(MUTANT_YIELDS_AFTER_ONE_LOOK)
        result = YIELDED;
        break;
#endif
        if
        :: remote_word != FULL -> result = YIELDED; break
        :: else
        fi
#endif
    od;
    skip
}

// Step relist.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp relist
inline relist()
{
    at = home;
    if
    :: at != 0 ->
        acquire(at - 1);
#ifdef MUTANT_HOME_BEFORE_LIST
        is_home = (home == at);
        on_list = (where == orphan_full);
#else
        on_list = (where == orphan_full);
        is_home = (home == at);
#endif
        if
#ifdef MUTANT_RELIST_UNCHECKED
        :: true ->
#else
        :: on_list && is_home && remote_word != 0 ->
#endif
            d_step { remove_from(at - 1, orphan_full); where = orphan_partial; list[at - 1] = orphan_partial }
        :: else
        fi;
        d_step { lock[at - 1] = false; on_list = false; is_home = false }
    :: else
    fi
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
#ifndef MUTANT_LOSER_TOUCHES
        :: reclaim_claim == LOST
        :: reclaim_claim == WON ->
#else
        :: reclaim_claim != YIELDED ->
#endif
            at = home;
            assert(at != 0);               // on_no_list
            acquire(at - 1);
            d_step { remove_from(at - 1, where); slabs[at - 1]-- };
            recycle();
#ifndef MUTANT_NO_TRY_DRAIN_AFTER_LAST_FREE
            try_drain(at - 1);
#endif
            lock[at - 1] = false;
            if
            :: is_drained -> slot_drained(at - 1)
            :: else
            fi
        fi
    fi
}

// Step free_remote.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp free_remote
inline free_remote(slot)
{
    assert((remote_word & slot) == 0);   // falsely_reported
    assert((local_free_word & slot) == 0);
    assert(owner != NOWHERE);
#ifdef MUTANT_OWNER_LOOKED_AT_FIRST
    own = owner;
#endif
    d_step { before = remote_word; remote_word = remote_word | slot; live = live & (FULL - slot) };
    if
    :: before != 0 && (before | slot) != FULL
    :: else ->
#ifndef MUTANT_OWNER_LOOKED_AT_FIRST
        own = owner;
#endif
        if
        :: own == NONE -> orphan_changed()
        :: else   // a thread cache: freed_into is set, see words.pml
        fi
    fi;
    own = 0; before = 0; at = 0; reclaim_claim = 0; freed = 0
}

// Step orphan_slab.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::orphan_slab
inline orphan_slab(s)
{
    claim_slab(got);
    if
    :: got == FULL -> recycle()
    :: else ->
        home = s + 1;
        d_step { assert(list[s] == unused); list[s] = orphan_partial; where = orphan_partial; slabs[s]++ };
#ifdef MUTANT_OWNER_BEFORE_SLOTS
        owner = NONE;
        got = remote_word;
#endif
        mine = local_free_word;
        remote_word = remote_word | mine;
        local_free_word = 0;
#ifndef MUTANT_OWNER_BEFORE_SLOTS
        owner = NONE;
#ifdef MUTANT_NO_LOOK_AFTER_ORPHANING
        got = mine;
#else
        got = remote_word;
#endif
#endif
        reclaim_claim = LOST;
        if
        :: got == FULL -> claim_for_reclaim(reclaim_claim)
        :: else
        fi;
        if
        :: reclaim_claim == WON ->
            d_step { remove_from(s, orphan_partial); slabs[s]-- };
            recycle()
        :: reclaim_claim != WON && got == 0 ->
            d_step { remove_from(s, orphan_partial); where = orphan_full; list[s] = orphan_full }
        :: else
        fi
    fi;
    reclaim_claim = 0; got = 0; mine = 0; freed = 0
}

// Step flush_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_cache
inline flush_cache(l, s)
{
    d_step { assert(attached[l] && lock[s]); assert(!using[l]); open[l] = false };  // taken_while_in_use
    if
    :: has_slab[l] -> orphan_slab(s); has_slab[l] = false
    :: else
    fi;
    d_step { caches[s]--; attached[l] = false }
}

// Step flush_revoked_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp heap_state::flush_revoked_cache
inline flush_revoked_cache(l, s, only_revoked)
{
    if
    :: attached[l] ->
        acquire(s);
        if
        :: attached[l] && (!only_revoked || !open[l]) ->
            flush_cache(l, s);
            try_drain(s)
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

// The announcement precedes the load of the key.
// Step enter.  Code: modules/tls_cache/thread/thread_record.hpp enter; modules/tls_cache/heap/heap_state.hpp cache_for
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

// Step leave.  Code: modules/tls_cache/thread/thread_record.hpp leave; modules/tls_cache/thread/thread_record.hpp thread_record::flush_requested_caches
inline leave(l, s)
{
    d_step { using[l] = false; activity[l] = false };
    if
    :: flush_requested[l] ->
        flush_requested[l] = false;
        if
        :: !open[l] -> flush_revoked_cache(l, s, true)
        :: else
        fi
    :: else
    fi
}

// Step allocate_from.  Code: modules/tls_cache/cache/thread_cache.hpp allocate_from
inline allocate_from(l, slot)
{
    mine = local_free_word;
    if
    :: mine != 0 && (remote_word & mine) == 0 ->
        slot = (mine & 1 -> 1 : (mine & 2 -> 2 : 4));
        d_step {
            assert(owner == l);             // not_ours
            assert((live & slot) == 0);      // handed_out_twice
            local_free_word = mine & (FULL - slot);
            live = live | slot
        }
    :: else
    fi;
    mine = 0
}

// Step acquire_partial.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::acquire_partial; modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::repair_partial
inline acquire_partial(l, s)
{
    acquire(s);
    do
    :: list[s] == orphan_partial ->
        d_step { claimed = (owner == NONE); if :: claimed -> owner = l :: else fi };
        got = 0;
        if
        :: claimed -> claim_slab(got)
        :: else
        fi;
        if
        :: got != 0 ->
            d_step { remove_from(s, orphan_partial); slabs[s]--; where = owned; has_slab[l] = true };
            break
        :: else ->
            // A slab on the partial list has free slots: they are taken under the lock only. So the second look of
            // repair_partial, after it claimed a slab without any, is never needed, and no mutant without it can be
            // refuted.
            assert(!claimed);          // listed_without_free_slot
            d_step { remove_from(s, orphan_partial); where = orphan_full; list[s] = orphan_full };
            if
            :: claimed ->
                owner = NONE;
                if
                :: remote_word != 0 ->
                    d_step { remove_from(s, orphan_full); where = orphan_partial; list[s] = orphan_partial }
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

// A free of an object of T's or X's own: into its cache if that still owns the slab, else a remote free.
// Step free_slot.  Code: modules/tls_cache/heap/heap_state.hpp free_slot; modules/tls_cache/cache/thread_cache.hpp put_back
inline free_own(l, s, slot)
{
    enter_and_look(l);
    if
    :: trusted && owner == l ->
        mine = local_free_word;
        assert(((mine | remote_word) & slot) == 0);  // falsely_reported
        d_step { assert(owner == l); local_free_word = mine | slot; live = live & (FULL - slot); mine = 0 }  // not_ours
    :: else -> free_remote(slot)
    fi;
    leave(l, s)
}

#define VARIABLES \
    byte mine = 0; byte freed = 0; byte got = 0; byte reclaim_claim = 0; byte at = 0; byte before = 0; byte own = 0; \
    byte slot = 0; bool trusted = false; bool is_drained = false; bool claimed = false; bool seen_open = true; \
    bool on_list = false; bool is_home = false

#ifdef T_OWNS_SLAB
// Step allocate_slot.  Code: modules/epoch/memory/allocator.hpp allocate_slot
proctype T()
{
    VARIABLES;
    enter_and_look(CACHE_T);
    if
    :: trusted -> allocate_from(CACHE_T, slot)
    :: else -> flush_revoked_cache(CACHE_T, 0, true)
    fi;
    leave(CACHE_T, 0);
    if
    :: slot != 0 -> free_own(CACHE_T, 0, slot)
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

// Step sweep.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::sweep
inline sweep(s)
{
    if
    :: list[s] == orphan_partial && remote_word == FULL ->
        claim_for_reclaim(reclaim_claim);
        if
        :: reclaim_claim == WON ->
            d_step { remove_from(s, orphan_partial); slabs[s]-- };
            recycle()
        :: else
        fi;
        reclaim_claim = 0
    :: else
    fi
}

// Step revoke_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::revoke_caches
inline revoke(l)
{
    if
    :: attached[l] && of_first_epoch[l] -> open[l] = false; flush_requested[l] = true
    :: else
    fi
}

inline take_if_idle(l, s)
{
    if
    :: attached[l] && of_first_epoch[l] ->
        if
        :: activity[l] -> busy = true
        :: else -> flush_cache(l, s)
        fi
    :: else
    fi
}

// Step reclaim_idle_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_idle_caches
inline reclaim_idle_caches()
{
    busy = false;
    take_if_idle(CACHE_T, 0);
    take_if_idle(CACHE_X, 0)
}

// Step reclaim_locked.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_locked; modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_epoch
proctype C()
{
    VARIABLES;
    bool busy = false;
    byte tries = 0;
    acquire(0);
    state[0] = closing;
    sweep(0);
    revoke(CACHE_T);
    revoke(CACHE_X);
    reclaim_idle_caches();
    do
    :: busy && tries < PATIENCE ->
        tries++;
        lock[0] = false;
        acquire(0);
        reclaim_idle_caches()
    :: else -> break
    od;
    skip;
    try_drain(0);
    lock[0] = false;
    if
    :: is_drained -> slot_drained(0)
    :: else
    fi;
    done++
}

#ifdef ACQUIRE
// Step next_subslab.  Code: modules/tls_cache/cache/thread_cache.cpp thread_cache::next_subslab
proctype X()
{
    VARIABLES;
    enter_and_look(CACHE_X);
    if
    :: trusted ->
        acquire_partial(CACHE_X, 0);
        if
        :: has_slab[CACHE_X] -> allocate_from(CACHE_X, slot)
        :: else
        fi
    :: else -> flush_revoked_cache(CACHE_X, 0, true)
    fi;
    leave(CACHE_X, 0);
    if
    :: slot != 0 -> free_own(CACHE_X, 0, slot)
    :: else
    fi;
    done++
}
#endif

#ifdef REUSE
// Step take_slab.  Code: modules/tls_cache/cache/slab_supply.cpp heap_state::take_slab; modules/tls_cache/cache/thread_cache.cpp thread_cache::take_ownership
proctype X()
{
    VARIABLES;
    where == cached;
    where = owned;
    owner = CACHE_X;
    has_slab[CACHE_X] = true;
    enter_and_look(CACHE_X);
    allocate_from(CACHE_X, slot);
    leave(CACHE_X, 1);
    // X's thread ends with a live object, which another thread frees later.
    flush_revoked_cache(CACHE_X, 1, false);
    free_remote(slot);
    done++
}
#endif

#ifdef MOVE
proctype X()
{
    VARIABLES;
    bool moved = false;
    enter_and_look(CACHE_X);
    if
    :: trusted -> acquire_partial(CACHE_X, 0)
    :: else -> flush_revoked_cache(CACHE_X, 0, true)
    fi;
    if
    :: has_slab[CACHE_X] ->
        claim_slab(got);
        if
        :: got == FULL ->
            has_slab[CACHE_X] = false;
            recycle();
            where = owned;
            d_step { owner = CACHE_X; local_free_word = 0; live = FULL };
            acquire(1);
            orphan_slab(1);
            lock[1] = false;
            moved = true
        :: else
        fi;
        d_step { got = 0; mine = 0; freed = 0 }
    :: else
    fi;
    leave(CACHE_X, 0);
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
#ifdef T_OWNS_SLAB
        caches[0] = 1;
        open[CACHE_T] = true;
        attached[CACHE_T] = true;
        of_first_epoch[CACHE_T] = true;
        has_slab[CACHE_T] = true;
#else
        owner = NONE;
        home = 1;
        where = orphan_partial;
        list[0] = orphan_partial;
        slabs[0] = 1;
        local_free_word = 0;
        remote_word = 4;
        open[CACHE_X] = true;
#endif
#if defined(ACQUIRE) || defined(MOVE)
        attached[CACHE_X] = true;
        of_first_epoch[CACHE_X] = true;
        caches[0] = 1;
#endif
#ifdef REUSE
        attached[CACHE_X] = true;
        caches[1] = 1;
#endif
    };
    atomic {
        run freer(1);
        run freer(2);
        run C();
#ifdef T_OWNS_SLAB
        run T()
#else
        run X()
#endif
    };
    done == THREADS;
    assert(live == 0);
    assert(where == cached && owner == NOWHERE && local_free_word == FULL && remote_word == 0);  // not_reclaimed
    assert(state[0] == drained && released[0] == 1);                             // not_drained
#ifdef REUSE
    assert(state[1] == drained && released[1] == 1);
#endif
}
