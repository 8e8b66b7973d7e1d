// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A cache that retains its empty slab from one epoch to the next. Thread T allocates and frees in epoch A and then in
// epoch B; its one cache passes to B, and with it the slab, if the slab is empty when T flushes the cache. C closes
// both epochs at any time and flushes a cache that T is not using, without retaining anything. T flushes what its
// detached caches retain when it trims, and when it ends. Another thread frees the object that T has in A from the
// start. TWICE: so does T.
//
// Bound: one cache, one slab, 2 slots, 3 threads; T with 3 operations and its end; 2 closes; 1 free, 2 in TWICE.
// States: 364,771; TWICE 1,160,550.
// Store buffers are left out: see claims.pml. What a lock alone protects is one step: see close.pml. A closer does not
// wait.
// Shown: a retained slab has no object of the epoch before; a slab has one holder, also while a cache is flushed and
// its thread flushes its detached caches; the number of caches that retain slabs is right; a close leaves nothing with
// an idle thread; a slot freed twice is reported once, also while the slab is retained, unless it was allocated in
// between, and is not allocated while it is in both words.
//
// Variants: (none) TWICE
//
// MUTANT_RETAINED_WITH_OBJECT: assertion retained_with_object
// MUTANT_DETACHED_FIRST: assertion taken_by_two
// MUTANT_FLUSHED_AT_WORK: assertion taken_by_two
// MUTANT_CLOSER_RETAINS: assertion wrongly_counted
// MUTANT_NOT_COUNTED_WHEN_REFUSED: assertion wrongly_counted
// MUTANT_REMOTE_FREE_NOT_LOOKED_AT (TWICE): assertion handed_out_in_both_words
// MUTANT_LATE_FREE_NOT_LOOKED_FOR (TWICE): assertion not_reported_once

#define FULL 3
#define OPERATIONS 3
#define NO 2
#define CLOSED 2
mtype = { opened, closing, drained };
mtype = { cached, owned, orphaned };

// The slab. Slot 1 is live.
mtype where = owned;
byte local_free_word = 2;
byte remote_word = 0;

bool lock[2];
mtype state[2];
byte slabs[2];

// T's thread cache and its record.
byte attached = 0;   // to an epoch, or to none
byte key = 0;
bool has_slab = true;
bool detached = false;   // the cache is detached
byte retaining = 0;
bool activity = false;
bool flush_requested = false;

// State of the model only.
byte live = 1;                 // slots with an object
bool in_hands = false;   // its holder is changing the slab as a whole
byte reports = 0;
byte freed_once = 0;           // frees of slot 1's first object
bool again = false;   // slot 1 was allocated since
byte done = 0;

#define COUNT(m) ((m & 1) + ((m >> 1) & 1))
inline acquire(s) { atomic { !lock[s]; lock[s] = true } }

inline try_drain(s)
{
    d_step {
        if
        :: state[s] == closing && attached != s && slabs[s] == 0 -> state[s] = drained
        :: else
        fi
    }
}

// Step mark_empty.  Code: modules/slab/pages/slab_cache.hpp mark_empty
inline mark_empty()
{
    d_step {
        assert(!in_hands && where != cached);      // taken_by_two
        in_hands = true
    };
    freed = remote_word;
    d_step {
        assert(live == 0 || (live == 1 && freed_once > 1));
#ifndef MUTANT_LATE_FREE_NOT_LOOKED_FOR
        reports = reports + COUNT((local_free_word & freed));
#endif
        local_free_word = FULL;
        remote_word = remote_word & (FULL - freed);
        freed = 0;
        where = cached;
        in_hands = false
    }
}

// Step claim_freed.  Code: modules/slab/descriptor.hpp claim_freed
inline claim()
{
    freed = remote_word;
    d_step {
        reports = reports + COUNT((local_free_word & freed));
        local_free_word = local_free_word | freed;
        remote_word = remote_word & (FULL - freed);
        freed = 0
    }
}

// Step is_retained_whole.  Code: modules/tls_cache/cache/thread_cache.hpp is_retained_whole; modules/tls_cache/cache/thread_cache.hpp thread_cache::can_retain
#ifdef MUTANT_RETAINED_WITH_OBJECT
#define EMPTY (remote_word == 0)
#else
#define EMPTY (local_free_word == FULL && remote_word == 0)
#endif

// Step flush_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_cache
inline flush_cache(s, retain)
{
    key = CLOSED;
#ifdef MUTANT_DETACHED_FIRST
    attached = NO;
#endif
    if
    :: has_slab && retain && EMPTY ->
        d_step {
            assert(live == 0 || freed_once > 1);   // retained_with_object
            retaining++
        }
    :: has_slab && !(retain && EMPTY) ->
        claim();
        if
        :: local_free_word == FULL -> mark_empty()
        :: else ->
            d_step {
                assert(!in_hands && where == owned);    // taken_by_two
                remote_word = remote_word | local_free_word;
                local_free_word = 0;
                where = orphaned;
                slabs[s]++
            };
            if
            :: remote_word == FULL -> slabs[s]--; mark_empty()
            :: else
            fi
        fi;
        has_slab = false
    :: else
    fi;
    d_step { attached = NO; detached = true }
}

// Step flush_revoked_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp heap_state::flush_revoked_cache
inline flush_revoked_cache(only_revoked)
{
    home = attached;
    if
    :: home != NO ->
        acquire(home);
        if
        :: attached == home && (!only_revoked || key == CLOSED) -> flush_cache(home, true); try_drain(home)
        :: else
        fi;
        lock[home] = false
    :: else
    fi;
    home = 0
}

// Step leave.  Code: modules/tls_cache/thread/thread_record.hpp leave; modules/tls_cache/thread/thread_record.hpp thread_record::flush_requested_caches
inline leave()
{
    activity = false;
    if
    :: flush_requested ->
        flush_requested = false;
        if
        :: key == CLOSED -> flush_revoked_cache(true)
        :: else
        fi
    :: else
    fi;
    d_step { assert(retaining == (detached && has_slab)) }    // wrongly_counted
}

// Step flush_retained.  Code: modules/tls_cache/cache/retained.cpp thread_cache::flush_retained; modules/tls_cache/cache/retained.cpp heap_state::flush_retained
inline flush()
{
    if
#ifdef MUTANT_FLUSHED_AT_WORK
    :: has_slab ->
#else
    :: attached == NO && has_slab ->
#endif
        mark_empty();
        d_step { has_slab = false; retaining = 0 }
    :: else
    fi
}

// Step take_cache.  Code: modules/tls_cache/cache/scope.hpp heap_state::take_cache; modules/tls_cache/thread/thread_record.cpp heap_state::put_cache_back
inline attach_cache(e)
{
    if
    :: attached != NO -> flush_revoked_cache(true)
    :: else
    fi;
    if
    :: detached ->
        d_step { detached = false; retaining = 0 };
        acquire(e);
        if
        :: state[e] == opened -> d_step { attached = e; key = e }
        :: else ->
            d_step {
                detached = true;
#ifndef MUTANT_NOT_COUNTED_WHEN_REFUSED
                retaining = (has_slab -> 1 : 0)
#else
                skip
#endif
            }
        fi;
        lock[e] = false
    :: else
    fi
}

// Step allocate_from.  Code: modules/tls_cache/cache/thread_cache.hpp allocate_from
inline allocate_from()
{
    atomic { own = local_free_word; both = own & remote_word };
#ifndef MUTANT_REMOTE_FREE_NOT_LOOKED_AT
    freed = remote_word;
#endif
    if
    :: own != 0 && (freed & own) == 0 ->
        d_step {
            assert(both == 0);                         // handed_out_in_both_words
            slot = (own & 1 -> 1 : 2);
            again = again || slot == 1;
            local_free_word = own & (own - 1);
            live = live | slot
        }
    :: else
    fi;
    d_step { freed = 0; own = 0; both = 0 }
}

// Step put_back.  Code: modules/tls_cache/cache/thread_cache.hpp put_back
inline put_back(s)
{
    own = local_free_word;
    freed = remote_word;
    if
    :: ((own | freed) & s) != 0 -> reports++
    :: else -> d_step { local_free_word = own | s; live = live & (FULL - s) }
    fi;
    d_step { own = 0; freed = 0 }
}

// Step take_slab.  Code: modules/tls_cache/cache/slab_supply.cpp heap_state::take_slab; modules/tls_cache/cache/slab_supply.cpp heap_state::report_late_frees
inline take_slab()
{
    if
    :: !has_slab && where == cached ->
        d_step {
            assert(!in_hands);                         // taken_by_two
            reports = reports + COUNT(remote_word);
            remote_word = 0;
            where = owned;
            has_slab = true
        }
    :: else
    fi
}

// Step free_remote.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp free_remote
inline free_remote(s)
{
    freed = remote_word;
    if
    :: (freed & s) != 0 -> reports++
    :: else ->
        own = local_free_word;
        if
        :: (own & s) != 0 || where == cached -> reports++
        :: else ->
            d_step {
                own = remote_word;
                remote_word = own | s;
                live = live & (FULL - s);
                last = where == orphaned && remote_word == FULL && own != FULL
            };
            if
            :: (own & s) != 0 -> reports++
            :: (own & s) == 0 && last ->
                home = (slabs[0] != 0 -> 0 : 1);
                acquire(home);
                if
                :: where == orphaned && remote_word == FULL && slabs[home] != 0 -> slabs[home]--; mark_empty(); try_drain(home)
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
    :: else -> attach_cache(e)
    fi;
    if
    :: key == e ->
        take_slab();
        do
        :: has_slab ->
            allocate_from();
            if
            :: slot == 0 && remote_word != 0 -> claim()
            :: else -> break
            fi
        :: else -> break
        od
    :: else
    fi;
    leave()
}

// Step free_slot.  Code: modules/tls_cache/heap/heap_state.hpp free_slot
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
    :: flush_revoked_cache(false); flush()
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

// Step reclaim_idle_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_idle_caches
inline close(s)
{
    acquire(s);
    state[s] = closing;
    if
    :: attached == s ->
        d_step { key = CLOSED; flush_requested = true };
        if
#ifdef MUTANT_CLOSER_RETAINS
        :: !activity -> flush_cache(s, true)
#else
        :: !activity -> flush_cache(s, false)
#endif
        :: else
        fi
    :: else
    fi;
    try_drain(s);
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
    :: has_slab -> mark_empty()
    :: else
    fi;
    reports = reports + COUNT(remote_word);
    assert(reports <= freed_once - 1);
    assert(again || reports == freed_once - 1)           // not_reported_once
}
