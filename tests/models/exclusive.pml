// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The cache of a resource that shares its epoch. The resource must be able to release what it allocated and nothing
// else, so a reclaim flushes only its empty slabs; the cache stays attached, and its thread reopens it. Thread T made
// the resource: it allocates and frees through it without announcing itself, or by the shared path, then ends it, or
// passes it to O, which ends it while T frees by the shared path, or T's thread ends. F frees objects of T's meanwhile,
// and M and C reclaim: M trims, C closes.
//
// Bound: one cache; 2 slabs of 2 slots; 5 threads: T with 2 operations on the resource and 1 afterwards, F with 1 free,
// one trim, one close.
// States: 661,497.
// Left out: store buffers, see claims.pml; slabs that other caches acquire from the epoch, see close.pml.
// Shown: no thread flushes the cache while T may be using it, nor a slab that is not empty while the resource lives; no
// allocation that begins after the close is served, and the cache is not reopened after it; no store is lost; the epoch
// drains exactly once, when the cache is gone and the last object is freed.
//
// Variants: (none)
//
// MUTANT_TAKEN_WHILE_BOUND: assertion in_use
// MUTANT_ENDED_AT_ONCE: assertion in_use
// MUTANT_EVERYTHING_FLUSHED: assertion flushed_with_objects
// MUTANT_FLUSHED_WHILE_BOUND: assertion flushed_with_objects
// MUTANT_SLAB_IN_USE_FLUSHED: assertion live_object_reclaimed
// MUTANT_OTHERS_FREES_NOT_CLAIMED: assertion retained_what_is_empty
// MUTANT_REOPENED_WITHOUT_LOOK: assertion opened_after_close
// MUTANT_KEY_LEFT_OPEN: assertion served_after_close
// MUTANT_FLUSH_NOT_REQUESTED_AT_END: assertion not_drained
// MUTANT_END_LEAVES_BINDING: assertion not_drained
// MUTANT_DRAINED_WITH_CACHE: assertion drained_too_early

#define SLOTS 2
#define OPERATIONS 2
mtype = { opened, closing, drained };
// Where a slab is.
mtype = { cached, owned, orphaned };
// Values of the cache's key.
mtype = { no_thread, owner_only };

// The epoch's slabs.
bool lock = false;
mtype state = opened;
bool attached = true;
byte slabs = 0;

// The thread cache, T's record.
mtype key = owner_only;
bool bound = true;
bool exclusive = true;
bool inside = false;
bool flush_requested = false;

// The slabs: how many slots are in each word.
mtype where[2];
byte local_free_word[2];
byte remote_word[2];

// State of the model only.
byte live[2];
bool using = false;   // T relies on the cache at this moment
bool ended = false;            // the resource
bool close_done = false;
bool t_done = false;
byte drains = 0;
byte done = 0;

inline acquire() { atomic { !lock; lock = true } }

// Step try_drain.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::try_drain
inline try_drain()
{
    d_step {
        if
#ifdef MUTANT_DRAINED_WITH_CACHE
        :: state == closing && slabs == 0 ->
#else
        :: state == closing && !attached && slabs == 0 ->
#endif
            assert(!attached && slabs == 0);   // drained_too_early
            state = drained;
            drains++
        :: else
        fi
    }
}

// What the lock or the cache's thread protects is one step; a remote free may come between two of them.
inline recycle(s)
{
    d_step {
        assert(where[s] != cached);
        assert(live[s] == 0);                  // live_object_reclaimed
        local_free_word[s] = SLOTS;
        remote_word[s] = 0;
        where[s] = cached
    }
}

// Step claim_freed.  Code: modules/slab/descriptor.hpp claim_freed
inline claim(s)
{
    freed = remote_word[s];
    d_step { local_free_word[s] = local_free_word[s] + freed; remote_word[s] = remote_word[s] - freed; freed = 0 }
}

inline orphan_slab(s)
{
    if
    :: where[s] == owned ->
        claim(s);
        if
        :: local_free_word[s] == SLOTS -> recycle(s)
        :: else ->
            // A last free that races with this is in close.pml.
            d_step {
                remote_word[s] = remote_word[s] + local_free_word[s];
                local_free_word[s] = 0;
                where[s] = orphaned;
                slabs++
            };
            if
            :: remote_word[s] == SLOTS -> slabs--; recycle(s)
            :: else
            fi
        fi
    :: else
    fi
}

// Step flush_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_cache
inline flush_cache(by_t, t_ends)
{
    d_step {
        assert(by_t || !using);                                      // in_use
        assert(!exclusive || ended || t_ends || live[0] + live[1] == 0);  // flushed_with_objects
        key = no_thread;
        bound = false
    };
    orphan_slab(0);
    orphan_slab(1);
    d_step { exclusive = false; attached = false }
}

inline flush_empty_slab(s)
{
    if
    :: where[s] == owned ->
#ifndef MUTANT_OTHERS_FREES_NOT_CLAIMED
        claim(s);
#endif
        if
#ifdef MUTANT_SLAB_IN_USE_FLUSHED
        :: local_free_word[s] != 0 -> recycle(s)
#else
        :: local_free_word[s] == SLOTS -> recycle(s)
#endif
        :: else
        fi
    :: else
    fi
}

// Step flush_empty_slabs.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_empty_slabs
inline flush_empty_slabs(by_t)
{
    if
#ifndef MUTANT_EVERYTHING_FLUSHED
    :: exclusive ->
        d_step {
            assert(by_t || !using);                                  // in_use
            were_empty[0] = where[0] == owned && live[0] == 0;
            were_empty[1] = where[1] == owned && live[1] == 0;
            key = no_thread
        };
        flush_empty_slab(0);
        flush_empty_slab(1);
        d_step {
            assert(!(were_empty[0] && where[0] == owned) && !(were_empty[1] && where[1] == owned));  // retained_what_is_empty
            were_empty[0] = false;
            were_empty[1] = false
        }
#endif
    :: else -> flush_cache(by_t, false)
    fi
}

// Step flush_revoked_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp heap_state::flush_revoked_cache
inline flush_revoked_cache(only_revoked, t_ends)
{
    if
    :: attached ->
        acquire();
        if
#ifdef MUTANT_FLUSHED_WHILE_BOUND
        :: attached && (!only_revoked || key == no_thread) ->
#else
        :: attached && (!only_revoked || (key == no_thread && !bound)) ->
#endif
            flush_cache(true, t_ends);
            try_drain()
        :: else
        fi;
        lock = false
    :: else
    fi
}

// Step leave.  Code: modules/tls_cache/thread/thread_record.hpp leave; modules/tls_cache/thread/thread_record.hpp thread_record::flush_requested_caches
inline leave()
{
    inside = false;
    if
    :: flush_requested ->
        flush_requested = false;
        if
        :: key == no_thread -> flush_revoked_cache(true, false)
        :: else
        fi
    :: else
    fi
}

// Step reopen.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reopen
inline reopen()
{
    acquire();
    d_step {
        if
#ifdef MUTANT_REOPENED_WITHOUT_LOOK
        :: attached ->
#else
        :: attached && state == opened ->
#endif
            assert(state == opened);           // opened_after_close
            key = owner_only
        :: else
        fi
    };
    lock = false
}

// The resource's own thread makes its cache usable again.
// Step flush_bound_cache.  Code: modules/epoch/leave.cpp allocator::flush_cache
inline flush_bound_cache()
{
    acquire();
    if
    :: bound -> flush_empty_slabs(true); try_drain()
    :: else
    fi;
    lock = false
}

// A load and a store of the cache's word, which no other thread may change in between.
inline plain(s, by)
{
    word = local_free_word[s];
    d_step { local_free_word[s] = word + by; live[s] = live[s] - by; word = 0 }
}

// Step usable_cache.  Code: pmr/epoch_resource.cpp epoch_resource::usable_cache
inline allocate_by_resource()
{
    late = close_done;
    if
    :: key == owner_only
    :: else ->
        flush_bound_cache();
        if
        :: bound -> reopen()
        :: else
        fi
    fi;
    d_step { using = key == owner_only };
    if
    :: using ->
        assert(!late);                         // served_after_close
        if
        :: where[0] == owned && local_free_word[0] > 0 -> plain(0, -1)
        :: where[1] == owned && local_free_word[1] > 0 -> plain(1, -1)
        :: where[0] == cached && !(where[1] == owned && local_free_word[1] > 0) ->
            d_step { where[0] = owned; local_free_word[0] = SLOTS - 1; live[0] = 1 }
        :: where[1] == cached && !(where[0] == owned && local_free_word[0] > 0) ->
            d_step { where[1] = owned; local_free_word[1] = SLOTS - 1; live[1] = 1 }
        :: else
        fi
    :: else
    fi;
    d_step { using = false; late = false }
}

// T never frees F's object.
#define FREE_OF_T(s) (where[s] == owned && live[s] > (s == 0 && !f_done -> 1 : 0))
bool f_done = false;

// Into the cache, open or not: T's own resource may use it as long as it is bound.
// Step deallocate_unvisited.  Code: pmr/epoch_resource.cpp epoch_resource::deallocate_unvisited
inline free_by_resource()
{
    if
    :: key == no_thread && bound -> flush_bound_cache()
    :: else
    fi;
    using = bound;
    if
    :: using && FREE_OF_T(0) -> plain(0, 1)
    :: using && FREE_OF_T(1) -> plain(1, 1)
    :: else
    fi;
    using = false
}

// The last free of a slab on the epoch's list recycles it.
inline free_remote(s)
{
    d_step { remote_word[s]++; live[s]--; last = where[s] == orphaned && remote_word[s] == SLOTS };
    if
    :: last ->
        acquire();
        if
        :: where[s] == orphaned -> slabs--; recycle(s); try_drain()
        :: else
        fi;
        lock = false;
        last = false
    :: else
    fi
}

// heap.free of an object of the resource: the announcement precedes the load of the key.
// Step free_slot.  Code: modules/tls_cache/heap/heap_state.hpp free_slot
inline free_by_heap(s)
{
    inside = true;
    d_step { using = where[s] == owned && attached && key != no_thread };
    if
    :: using -> plain(s, 1)
    :: else -> free_remote(s)
    fi;
    using = false;
    leave()
}

// The thread's own cache is flushed; another thread's becomes one of that thread's own in a closed epoch. Left out: the
// code first waits a while for the other thread to be outside, with the key closed and the cache still bound; what it
// does then is the last branch.
// Step end_elsewhere.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::end_elsewhere
inline resource_ends(by_t)
{
    acquire();
    if
    :: bound && by_t -> ended = true; flush_cache(true, false)
    :: bound && !by_t ->
        ended = true;
        key = no_thread;
#ifndef MUTANT_END_LEAVES_BINDING
        bound = false;
#endif
        exclusive = false;
#ifndef MUTANT_FLUSH_NOT_REQUESTED_AT_END
        flush_requested = true;
#endif
        if
#ifdef MUTANT_ENDED_AT_ONCE
        :: true -> flush_cache(false, false)
#else
        :: inside
        :: else -> flush_cache(false, false)
#endif
        fi
    :: else -> ended = true
    fi;
    try_drain();
    lock = false
}

#define VARIABLES byte word = 0; byte freed = 0; bool late = false; bool last = false; bool were_empty[2]

bool given = false;            // the resource is O's to end

proctype T()
{
    VARIABLES;
    byte left = OPERATIONS;
    do
    :: left > 0 ->
        left--;
        if
        :: allocate_by_resource()
        :: free_by_resource()
        :: live[1] > 0 -> free_by_heap(1)
        fi
    :: true -> break
    od;
    left = 0;
    if
    :: resource_ends(true)
    :: given = true;
        if
        :: live[1] > 0 -> free_by_heap(1)
        :: true
        fi;
        if
        :: skip   // idle from here on
        :: flush_revoked_cache(false, true) // it ends: heap_state::thread_ends
        fi
    fi;
    t_done = true;
    // The threads that get T's objects free them late.
    do
    :: live[1] > 0 -> free_remote(1)
    :: live[0] > (f_done -> 0 : 1) -> free_remote(0)
    :: else -> break
    od;
    done++
}

proctype O()
{
    VARIABLES;
    given || t_done;
    if
    :: given -> resource_ends(false)
    :: else
    fi;
    done++
}

proctype F()
{
    VARIABLES;
    d_step { f_done = true; remote_word[0]++; live[0]--; last = where[0] == orphaned && remote_word[0] == SLOTS };
    if
    :: last ->
        acquire();
        if
        :: where[0] == orphaned -> slabs--; recycle(0); try_drain()
        :: else
        fi;
        lock = false
    :: else
    fi;
    last = false;
    done++
}

// M and C reclaim, C closes. A bound cache is left to its thread, which finds its key closed.
// Step reclaim_idle_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_idle_caches; modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_locked
inline reclaim_epoch(close)
{
    acquire();
    if
    :: close && state == opened -> state = closing
    :: else
    fi;
    if
    :: attached ->
#ifdef MUTANT_KEY_LEFT_OPEN
        if
        :: bound
        :: else -> key = no_thread
        fi;
#else
        key = no_thread;
#endif
        if
        :: !bound -> flush_requested = true
        :: else
        fi;
#ifdef MUTANT_TAKEN_WHILE_BOUND
        if
        :: !inside -> flush_empty_slabs(false)
#else
        if
        :: !bound && !inside -> flush_empty_slabs(false)
#endif
        :: else
        fi
    :: else
    fi;
    try_drain();
    lock = false
}

proctype M()
{
    VARIABLES;
    if
    :: flush_requested = true      // another thread cache of T's, in another epoch
    :: true
    fi;
    reclaim_epoch(false);
    done++
}

proctype C()
{
    VARIABLES;
    reclaim_epoch(true);
    d_step { close_done = true; done++ }
}

init
{
    d_step {
        where[0] = owned;
        where[1] = cached;
        local_free_word[0] = SLOTS - 1;
        local_free_word[1] = SLOTS;
        live[0] = 1
    };
    atomic { run T(); run O(); run F(); run M(); run C() };
    done == 5;
    assert(live[0] == 0 && live[1] == 0);
    assert(state == drained && drains == 1);             // not_drained
    assert(where[0] == cached && where[1] == cached && local_free_word[0] == SLOTS && local_free_word[1] == SLOTS &&
           remote_word[0] == 0 && remote_word[1] == 0)   // lost_store
}
