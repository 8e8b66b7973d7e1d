// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The cache of a serial resource, whose users promise that their uses do not overlap. Threads A and B use the resource in
// turn: each use finds its own key in the cache, or takes the cache over under the epoch's lock first. A made the
// resource, so the cache is on the list of A's record. Beside its uses each of them trims the epoch, frees an object on
// the shared path (heap.free, which is no use of the resource), and ends. C closes the epoch, F frees an object late, and
// the last one of A and B ends the resource.
//
// Bound: one cache; 1 slab of 2 slots; 4 threads: A and B with 2 operations each, one close, one late free.
// States: 678,359.
// Left out: store buffers, since the promise orders the uses and the lock all else; a cache whose resource shares its
// epoch, see exclusive.pml; slabs that other caches acquire from the epoch, see close.pml.
// Shown: no thread flushes the cache while a use relies on it; no store is lost; no use that begins after the close is
// served, and no cache is opened after it; the epoch drains exactly once, when the cache is gone and the last object is
// freed.
//
// Variants: (none)
//
// MUTANT_USES_OVERLAP: assertion in_use
// MUTANT_TAKEN_WITHOUT_LOCK: assertion served_after_close
// MUTANT_RECORD_KEPT: assertion in_use
// MUTANT_TAKEN_WHILE_IDLE: assertion in_use
// MUTANT_FLUSHED_AT_ITS_THREADS_END: assertion in_use
// MUTANT_SHARED_PATH_ADMITTED: assertion not_drained
// MUTANT_REVOKED_KEY_REPLACED: assertion opened_after_close
// MUTANT_ATTACHED_WITHOUT_LOOK: assertion opened_after_close
// MUTANT_KEY_LEFT_OPEN: assertion opened_after_close
// MUTANT_ENDED_WITHOUT_FLUSH: assertion not_drained

#define SLOTS 2
#define OPERATIONS 2
#define A_THREAD 1
#define B_THREAD 2
#define NO_THREAD 0
mtype = { opened, closing, drained };
// Where the slab is.
mtype = { cached, owned, orphaned };

// The epoch's slabs.
bool lock = false;
mtype state = opened;
bool attached = true;
byte slabs = 0;

// The thread cache: `key` is the number of a thread, or NO_THREAD if it is revoked; `record` is that of the thread that
// used it last.
byte key = A_THREAD;
byte record = A_THREAD;
bool bound = true;

// The slab: how many slots are in each word.
mtype where = owned;
byte local_free_word = SLOTS - 1;
byte remote_word = 0;

// State of the model only.
byte live = 1;          // the first object is F's to free
bool f_begun = false;
bool f_done = false;
byte user = NO_THREAD;  // the thread whose use relies on the cache at this moment
bool in_turn = false;   // the users' promise: whether a use is under way
byte left_users = 2;
bool close_done = false;
byte drains = 0;
byte done = 0;

inline acquire() { atomic { !lock; lock = true } }

// Step try_drain.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::try_drain
inline try_drain()
{
    d_step {
        if
        :: state == closing && !attached && slabs == 0 -> state = drained; drains++
        :: else
        fi
    }
}

inline recycle()
{
    d_step {
        assert(live == 0);                     // live_object_reclaimed
        local_free_word = SLOTS;
        remote_word = 0;
        where = cached
    }
}

// Step flush_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::flush_cache
inline flush_cache(me)
{
    d_step {
        assert(user == NO_THREAD || user == me);   // in_use
        key = NO_THREAD;
        bound = false
    };
    if
    :: where == owned ->
        // A remote free may come between the two.
        d_step { local_free_word = local_free_word + remote_word; remote_word = 0 };
        if
        :: local_free_word == SLOTS -> recycle()
        :: else ->
            // A last free that races with this is in close.pml.
            d_step { remote_word = remote_word + local_free_word; local_free_word = 0; where = orphaned; slabs++ };
            if
            :: remote_word == SLOTS -> slabs--; recycle()
            :: else
            fi
        fi
    :: else
    fi;
    d_step { attached = false; record = A_THREAD }
}

inline open_key(me)
{
    assert(state == opened || !close_done);    // opened_after_close
    key = me
}

// Step take_over.  Code: modules/tls_cache/epoch_slabs/epoch_slabs.cpp epoch_slabs::take_over
inline take_over(me)
{
#ifdef MUTANT_TAKEN_WITHOUT_LOCK
    if
    :: bound ->
        if
        :: key != NO_THREAD -> key = me
        :: else
        fi;
        record = me
    :: else
    fi
#else
    acquire();
    d_step {
        if
        :: bound ->
#ifndef MUTANT_RECORD_KEPT
            record = me;
#endif
            if
#ifdef MUTANT_REVOKED_KEY_REPLACED
            :: true ->
#else
            :: key != NO_THREAD ->
#endif
                open_key(me)
            :: else
            fi
        :: else
        fi
    };
    lock = false
#endif
}

// The cache is flushed by its owner, or attached again: here it is always the same one.
// Step usable_cache.  Code: pmr/epoch_resource.cpp epoch_resource::usable_cache
inline usable_cache(me)
{
    acquire();
    if
    :: bound -> flush_cache(me); try_drain()
    :: else
    fi;
    lock = false;
    acquire();
    d_step {
        if
#ifdef MUTANT_ATTACHED_WITHOUT_LOOK
        :: !attached ->
#else
        :: !attached && state == opened ->
#endif
            assert(state == opened);           // opened_after_close
            attached = true;
            bound = true;
            record = me;
            key = me
        :: else
        fi
    };
    lock = false
}

// A load and a store of the cache's word, which no other thread may change in between.
inline plain(by)
{
    word = local_free_word;
    d_step { local_free_word = word + by; live = live - by; word = 0 }
}

inline free_remote(of_f)
{
    d_step { remote_word++; live--; f_done = f_done || of_f; last = where == orphaned && remote_word == SLOTS };
    if
    :: last ->
        acquire();
        if
        :: where == orphaned && remote_word == SLOTS -> slabs--; recycle(); try_drain()
        :: else
        fi;
        lock = false;
        last = false
    :: else
    fi
}

inline begin_use()
{
#ifdef MUTANT_USES_OVERLAP
    in_turn = true
#else
    atomic { !in_turn; in_turn = true }
#endif
}

inline allocate_by_resource(me)
{
    begin_use();
    late = close_done;
    if
    :: key == me
    :: else ->
        take_over(me);
        if
        :: key == me
        :: else -> usable_cache(me)
        fi
    fi;
    d_step {
        if
        :: key == me -> user = me
        :: else
        fi
    };
    if
    :: user == me ->
        assert(!late);                         // served_after_close
        if
        :: where == owned && local_free_word > 0 -> plain(-1)
        :: where == cached -> d_step { where = owned; local_free_word = SLOTS - 1; live = 1 }
        :: else
        fi
    :: else
    fi;
    d_step { user = NO_THREAD; late = false; in_turn = false }
}

// Objects that are not F's.
#define SPARE (live > (f_done -> 0 : 1))

// Into the cache, open or not, once it is taken over.
// Step deallocate_unvisited.  Code: pmr/epoch_resource.cpp epoch_resource::deallocate_unvisited
inline free_by_resource(me)
{
    begin_use();
    if
    :: SPARE ->
        if
        :: key == me
        :: else ->
            take_over(me);
            if
            :: bound && key == NO_THREAD ->
                acquire();
                if
                :: bound -> flush_cache(me); try_drain()
                :: else
                fi;
                lock = false
            :: else
            fi
        fi;
        d_step {
            if
            :: bound && where == owned -> user = me
            :: else
            fi
        };
        if
        :: user == me -> plain(1)
        :: else -> free_remote(false)
        fi
    :: else
    fi;
    d_step { user = NO_THREAD; in_turn = false }
}

// heap.free on a thread whose record the cache may name: no use of the resource. The model gives it F's object.
// Step free_slot.  Code: modules/tls_cache/heap/heap_state.hpp free_slot
inline free_by_heap(me)
{
    if
    :: atomic { !f_begun -> f_begun = true };
#ifdef MUTANT_SHARED_PATH_ADMITTED
        if
        :: where == owned && record == me && key == me -> plain(1); f_done = true
        :: else -> free_remote(true)
        fi
#else
        free_remote(true)
#endif
    :: else
    fi
}

// A cache that a resource is bound to is left to its owner, the thread that used it last.
// Step reclaim_idle_caches.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_idle_caches; modules/tls_cache/epoch_slabs/reclaim.cpp epoch_slabs::reclaim_locked
inline reclaim_epoch(me, close)
{
    acquire();
    if
    :: close && state == opened -> state = closing
    :: else
    fi;
    if
    :: attached ->
#ifndef MUTANT_KEY_LEFT_OPEN
        key = NO_THREAD;
#endif
        if
#ifdef MUTANT_TAKEN_WHILE_IDLE
        :: true ->
#else
        :: record == me ->
#endif
            flush_cache(me)
        :: else
        fi
    :: else
    fi;
    try_drain();
    lock = false
}

// The end of A's thread flushes the caches of its record.
// Step flush_revoked_cache.  Code: modules/tls_cache/epoch_slabs/reclaim.cpp heap_state::flush_revoked_cache
inline thread_ends(me)
{
    acquire();
    if
#ifdef MUTANT_FLUSHED_AT_ITS_THREADS_END
    :: attached -> flush_cache(me); try_drain()
#else
    :: attached && record == me -> flush_cache(me); try_drain()
#endif
    :: else
    fi;
    lock = false
}

// On whichever thread: no use overlaps it.
// Step flush_ended.  Code: modules/epoch/leave.cpp allocator::flush_ended
inline resource_ends(me)
{
    begin_use();
    acquire();
#ifndef MUTANT_ENDED_WITHOUT_FLUSH
    if
    :: bound -> flush_cache(me)
    :: else
    fi;
#endif
    try_drain();
    lock = false;
    in_turn = false
}

#define VARIABLES byte word = 0; bool late = false; bool last = false

proctype U(byte me)
{
    VARIABLES;
    byte left = OPERATIONS;
    bool last_user = false;
    do
    :: left > 0 ->
        left--;
        if
        :: allocate_by_resource(me)
        :: free_by_resource(me)
        :: free_by_heap(me)
        :: reclaim_epoch(me, false)
        fi
    :: true -> break
    od;
    left = 0;
    // The last user ends the resource, and frees what is left.
    d_step { left_users--; last_user = left_users == 0 };
    if
    :: last_user -> resource_ends(me)
    :: !last_user && me == A_THREAD -> thread_ends(me)
    :: !last_user && me != A_THREAD
    fi;
    if
    :: last_user ->
        do
        :: live > (f_done -> 0 : 1) -> free_remote(false)
        :: else -> break
        od
    :: else
    fi;
    done++
}

proctype F()
{
    VARIABLES;
    free_by_heap(NO_THREAD);
    done++
}

proctype C()
{
    VARIABLES;
    reclaim_epoch(NO_THREAD, true);
    d_step { close_done = true; done++ }
}

init
{
    atomic { run U(A_THREAD); run U(B_THREAD); run F(); run C() };
    done == 4;
    assert(live == 0);
    assert(state == drained && drains == 1);             // not_drained
    assert(where == cached && local_free_word == SLOTS && remote_word == 0)   // lost_store
}
