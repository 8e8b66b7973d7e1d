// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reclaiming the caches of another thread: one that runs, one that is interrupted in an operation for ever, one that is
// idle, and one that ends. Thread T has caches of its own in two epochs, A and B; two closers close these at any time.
// In a variant the second cache, R, belongs to a resource that T made; another thread ends the resource while T frees
// objects of it.
//
// T's stores pass through a store buffer (x86: first in, first out; T reads its own), since the protocol has no fence
// between T's store and T's load, and the closer's heavy barrier replaces it. Read-modify-writes and locks flush the
// buffer. Closers need no buffer: the heavy barrier or a lock is between their stores and their loads.
//
// Bound: T does 3 operations, each on a cache that it chooses; a closer reads the activity of a busy thread twice (64
// times in the code); 5 stores in the buffer.
// States: 2,372,441; WITHOUT_MEMBARRIER 1,319,563; WITH_RESOURCE 1,881,606.
// Shown: no thread flushes a cache that T is using; every closed cache is flushed exactly once, at the latest at the
// end of T's operation; no store of T is lost; closers never wait for T unless T holds a lock.
//
// Variants: (none) WITHOUT_MEMBARRIER WITH_RESOURCE
//
// MUTANT_NO_HEAVY_BARRIER: assertion in_use
// MUTANT_BARRIER_BEFORE_REVOKING: assertion in_use
// MUTANT_LOOK_BEFORE_ANNOUNCING: assertion in_use
// MUTANT_ACTIVITY_IGNORED: assertion in_use
// MUTANT_KEY_NOT_LOOKED_AT: assertion in_use
// MUTANT_LEAVE_TOO_EARLY: assertion lost_store
// MUTANT_FLUSH_NOT_REQUESTED: assertion not_flushed
// MUTANT_LEAVE_WITHOUT_LOOK: assertion not_flushed
// MUTANT_REQUEST_CLEARED_BY_STORE: assertion not_flushed
// MUTANT_REQUEST_CLEARED_LAST: assertion not_flushed
// MUTANT_NO_LOOK_UNDER_LOCK: assertion flushed_twice
// MUTANT_RESOURCE_FLUSHED_AT_ONCE (WITH_RESOURCE): assertion in_use

#define CACHES 2
#define OPERATIONS 3
#define PATIENCE 1
#define SLOTS 3
#define IN_BUFFER 5

#define A 0
#ifdef WITH_RESOURCE
#define R 1 /* bound to a resource */
#else
#define B 1
#endif

// What `activity` says.
#define INSIDE 1
#define CHANGING_LISTS 2

// Memory that T writes without a lock: all that T's buffer may hold.
#define ACTIVITY 0
#define FLUSH_REQUESTED 1
#define LOCAL 2 /* and the caches after it: how many slots the cache has to hand out */
byte memory[4];
byte buffered_at[IN_BUFFER];
byte buffered[IN_BUFFER];
byte in_buffer = 0;

bool open[CACHES];     // the cache's key admits T
bool attached[CACHES];
bool bound[CACHES];
bool lock[CACHES];   // of the epoch that the cache is attached to
byte remote_word[CACHES];   // slots freed by fetch_or
byte orphaned[CACHES];   // slots returned to the epoch

// State of the model only.
bool using[CACHES];   // T has seen the key open and is still in its operation
byte live[CACHES];     // objects
byte flushes[CACHES];
byte finished = 0;    // closers
bool t_rests = false; // T is idle or gone
bool t_stopped = false;

hidden byte i;
hidden byte j;

inline apply_first()
{
    memory[buffered_at[0]] = buffered[0];
    in_buffer--;
    i = 0;
    do
    :: i < in_buffer -> buffered_at[i] = buffered_at[i + 1]; buffered[i] = buffered[i + 1]; i++
    :: else -> break
    od;
    buffered_at[in_buffer] = 0;
    buffered[in_buffer] = 0
}

inline empty_buffer()
{
    do
    :: in_buffer > 0 -> apply_first()
    :: else -> break
    od
}

// A plain store and a plain load of T.
inline store(at, value)
{
    d_step {
        in_buffer < IN_BUFFER;
        buffered_at[in_buffer] = at;
        buffered[in_buffer] = value;
        in_buffer++
    }
}

inline look_up(at, result)
{
    result = memory[at];
    j = 0;
    do
    :: j < in_buffer -> if :: buffered_at[j] == at -> result = buffered[j] :: else fi; j++
    :: else -> break
    od
}

inline load(at, result) { d_step { look_up(at, result); j = 0 } }

active proctype the_store_buffer()
{
end:
    do
    :: d_step { in_buffer > 0 -> apply_first(); i = 0 }
    od
}

// Step light_barrier.  Code: modules/tls_cache/thread/this_thread.hpp light_barrier
inline light_barrier()
{
#ifdef WITHOUT_MEMBARRIER
    d_step { empty_buffer(); i = 0 }
#else
    skip   // the compiler keeps the order; the processor may not
#endif
}

// Step heavy_barrier.  Code: modules/tls_cache/thread/thread_registry.cpp heavy_barrier
inline heavy_barrier()
{
#if !defined(WITHOUT_MEMBARRIER) && !defined(MUTANT_NO_HEAVY_BARRIER)
    d_step { empty_buffer(); i = 0 }
#else
    skip   // the closer's own fence: T's buffer is not flushed
#endif
}

inline t_locks(l) { atomic { !lock[l]; lock[l] = true; empty_buffer(); i = 0 } }
inline t_unlocks(l) { d_step { empty_buffer(); i = 0; lock[l] = false } }

// Under the lock, by the first thread that gets it.
// Step flush_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_cache
inline flush_cache(l)
{
    d_step {
        assert(flushes[l] == 0);  // flushed_twice
        assert(!using[l]);            // in_use
        flushes[l]++;
        open[l] = false;
        bound[l] = false;
        attached[l] = false;
        orphaned[l] = orphaned[l] + memory[LOCAL + l] + remote_word[l];
        memory[LOCAL + l] = 0;
        remote_word[l] = 0
    }
}

// Step flush_revoked_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp heap_state::flush_revoked_cache
inline flush_revoked_cache(l, only_revoked)
{
    if
    :: !attached[l]
    :: attached[l] ->
        t_locks(l);
        if
#ifdef MUTANT_NO_LOOK_UNDER_LOCK
        :: true -> flush_cache(l)
#else
        :: attached[l] && (!only_revoked || (!open[l] && !bound[l])) -> flush_cache(l)
        :: else
#endif
        fi;
        t_unlocks(l)
    fi
}

// Step enter.  Code: modules/tls_cache/thread/thread_record.hpp enter
inline enter()
{
    store(ACTIVITY, INSIDE);
    light_barrier()
}

// Step leave.  Code: modules/tls_cache/thread/thread_record.hpp leave
inline leave()
{
#ifndef MUTANT_LEAVE_TOO_EARLY
    store(ACTIVITY, 0);
#endif
    light_barrier();
#ifndef MUTANT_LEAVE_WITHOUT_LOOK
    load(FLUSH_REQUESTED, word);
    if
    :: word -> flush_requested_caches()
    :: else
    fi
#endif
}

// Step flush_requested_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp thread_record::flush_requested_caches
inline flush_requested_caches()
{
#ifdef MUTANT_REQUEST_CLEARED_BY_STORE
    store(FLUSH_REQUESTED, false);
#elif !defined(MUTANT_REQUEST_CLEARED_LAST)
    d_step { empty_buffer(); i = 0; memory[FLUSH_REQUESTED] = false }  // an exchange
#endif
    store(ACTIVITY, CHANGING_LISTS);
    light_barrier();
    n = 0;
    do
    :: n < CACHES ->
        if
        :: !open[n] -> flush_revoked_cache(n, true)
        :: else
        fi;
        n++
    :: else -> break
    od;
#ifdef MUTANT_REQUEST_CLEARED_LAST
    skip;
    d_step { empty_buffer(); i = 0; memory[FLUSH_REQUESTED] = false }
#endif
    store(ACTIVITY, 0)
}

// T's operation on a cache that it may use: a plain load and a plain store of the cache's words.
// Step plain_words.  Code: modules/tls_cache/cache/thread_cache.hpp allocate_from; modules/tls_cache/cache/thread_cache.hpp put_back
inline plain_words(l, by)
{
    load(LOCAL + l, word);
#ifdef MUTANT_LEAVE_TOO_EARLY
    d_step { using[l] = false; live[l] = live[l] - by };
    store(ACTIVITY, 0);
    store(LOCAL + l, word + by)
#else
    store(LOCAL + l, word + by);
    d_step { using[l] = false; live[l] = live[l] - by }
#endif
}

// An allocation from, or a free into, T's own thread cache in an epoch.
// Step cache_for.  Code: modules/tls_cache/heap/heap_state.hpp cache_for; modules/tls_cache/heap/heap_state.hpp heap_state::attach_cache; pmr/visiting.cpp epoch_resource::enter_visited
inline own_cache_operation(l)
{
#ifdef MUTANT_LOOK_BEFORE_ANNOUNCING
    trusted = open[l];
    enter();
    using[l] = trusted;
#else
    enter();
#ifdef MUTANT_KEY_NOT_LOOKED_AT
    d_step { trusted = attached[l]; using[l] = trusted };
#else
    d_step { trusted = open[l]; using[l] = trusted };
#endif
#endif
    if
    :: trusted ->
        load(LOCAL + l, word);
        if
        :: word > 0 -> plain_words(l, -1)
        :: live[l] > 0 -> plain_words(l, 1)
        :: true -> goto stopped  // interrupted, for ever
        fi
    :: !trusted ->
        flush_revoked_cache(l, true);   // attach_cache: its epoch was closed meanwhile; the operation is refused
#ifdef MUTANT_LEAVE_TOO_EARLY
        store(ACTIVITY, 0)
#endif
    fi;
    leave()
}

// heap.free of an object of the resource, on the thread that made the resource and owns its cache.
// Step free_slot.  Code: modules/tls_cache/heap/heap_state.hpp free_slot
inline resource_object_freed()
{
    enter();
    d_step { trusted = open[R] && attached[R]; using[R] = trusted };
    if
    :: trusted && live[R] > 0 -> plain_words(R, 1)
    :: trusted && live[R] == 0 -> using[R] = false
    :: trusted -> goto stopped
    :: !trusted ->
        d_step {  // free_remote
            empty_buffer();
            i = 0;
            if
            :: live[R] > 0 && attached[R] -> live[R]--; remote_word[R]++
            :: live[R] > 0 && !attached[R] -> live[R]--; orphaned[R]++
            :: else
            fi
        }
    fi;
    leave()
}

proctype T()
{
    byte word = 0;
    byte n = 0;
    byte left = OPERATIONS;
    bool trusted = false;

    do
    :: left > 0 ->
        left--;
        if
        :: own_cache_operation(A)
#ifdef WITH_RESOURCE
        :: resource_object_freed()
#else
        :: own_cache_operation(B)
#endif
        fi;
        trusted = false;
        word = 0;
        n = 0
    :: true -> break  // idle from now on
    :: true ->        // it ends
        // Step thread_ends.  Code: modules/tls_cache/thread/thread_record.cpp heap_state::thread_ends
        store(ACTIVITY, CHANGING_LISTS);
        light_barrier();
        n = 0;
        do
        :: n < CACHES -> flush_revoked_cache(n, false); n++
        :: else -> break
        od;
        store(ACTIVITY, 0);
        break
    od;
    t_rests = true;
    goto over;
stopped:
    t_stopped = true;
over:
    skip
}

// Step revoke_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::revoke_caches
inline revoke(l)
{
    open[l] = false;
#ifndef MUTANT_FLUSH_NOT_REQUESTED
    memory[FLUSH_REQUESTED] = true
#else
    skip
#endif
}

// Step reclaim_idle_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_idle_caches
inline reclaim_idle_caches(l)
{
    busy = false;
    if
    :: attached[l] && !bound[l] ->
#ifdef MUTANT_ACTIVITY_IGNORED
        skip;
#else
        busy = (memory[ACTIVITY] & INSIDE) != 0;
#endif
        if
        :: !busy -> flush_cache(l)
        :: else
        fi
    :: else
    fi
}

// The lock is held at entry and at return.
// Step reclaim_locked.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_locked
inline reclaim_locked(l)
{
    if
    :: attached[l] && !bound[l] ->
#ifdef MUTANT_BARRIER_BEFORE_REVOKING
        heavy_barrier();
        revoke(l)
#else
        revoke(l);
        heavy_barrier()
#endif
    :: else
    fi;
    reclaim_idle_caches(l);
    tries = 0;
    do
    :: busy && tries < PATIENCE ->
        tries++;
        lock[l] = false;
        atomic { !lock[l]; lock[l] = true };
        reclaim_idle_caches(l)
    :: else -> break
    od;
    skip
}

// Step reclaim_epoch.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_epoch
proctype closer(byte l)
{
    bool busy = false;
    byte tries = 0;

    atomic { !lock[l]; lock[l] = true };
    reclaim_locked(l);
    d_step { lock[l] = false; finished++ }
}

#ifdef WITH_RESOURCE
// The resource ends on a thread that did not make it.
// Step flush_ended.  Code: modules/epoch/leave.cpp allocator::flush_ended
proctype resource_ends()
{
    bool busy = false;
    byte tries = 0;

    atomic { !lock[R]; lock[R] = true };
    if
    :: attached[R] && bound[R] ->
#ifdef MUTANT_RESOURCE_FLUSHED_AT_ONCE
        flush_cache(R)
#else
        bound[R] = false;   // from here on it is like T's own cache in a closed epoch
        reclaim_locked(R)
#endif
    :: else
    fi;
    d_step { lock[R] = false; finished++ }
}
#endif

init
{
    byte l = 0;
    d_step {
        do
        :: l < CACHES ->
            open[l] = true;
            attached[l] = true;
#ifdef WITH_RESOURCE
            bound[l] = (l == R);
#endif
            memory[LOCAL + l] = SLOTS - 2;
            live[l] = 2;
            l++
        :: else -> break
        od;
        l = 0
    };
#ifdef WITH_RESOURCE
    atomic { run T(); run closer(A); run resource_ends() };
#else
    atomic { run T(); run closer(A); run closer(B) };
#endif

    // Closers get here even if T never continues.
    finished == CACHES && in_buffer == 0 && (t_rests || t_stopped);
    l = 0;
    do
    :: l < CACHES ->
        assert(orphaned[l] + remote_word[l] + memory[LOCAL + l] + live[l] == SLOTS);  // lost_store
        if
        :: t_rests -> assert(flushes[l] == 1 && !attached[l])  // not_flushed
        :: else
        fi;
        l++
    :: else -> break
    od
}
