// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The lane of a resource that shares its epoch. It must be able to give back what it handed out and nothing else, so it gives up
// only its empty slabs when claims are wanted back, stays attached, and is opened again by its thread. Thread T made the
// resource: it allocates and frees by it, announcing nothing, or by the general way, then ends it, or hands it to O, which ends it while T frees by the
// general way, or ends itself. F frees objects of T's meanwhile, and M and C take claims back: M without closing, C closes.
//
// Bound: one lane; 2 slabs of 2 slots; 5 threads: T with 2 operations on the resource and 1 afterwards, F with 1 free, one trim, one
// close.
// States: 661,497.
// Store buffers are left out: see claims.pml. So are slabs that go from the shelf to other lanes: see close.pml.
// Shown: nobody takes the lane while T may be using it, nor what is not empty while the resource lives; no allocation that begins
// after the close is served, and the lane is not opened after it; no store is lost; the epoch drains exactly once, when the
// lane is gone and the last object is freed.
//
// Variants: (none)
//
// MUTANT_TAKEN_WHILE_BOUND: assertion in_use
// MUTANT_ENDED_AT_ONCE: assertion in_use
// MUTANT_EVERYTHING_GIVEN_UP: assertion not_known_any_more
// MUTANT_WANTED_WHILE_BOUND: assertion not_known_any_more
// MUTANT_NOT_EMPTY_GIVEN_UP: assertion live_object_taken
// MUTANT_OTHERS_FREES_NOT_CLAIMED: assertion kept_what_is_empty
// MUTANT_REOPENED_WITHOUT_LOOK: assertion opened_after_close
// MUTANT_KEY_LEFT_OPEN: assertion served_after_close
// MUTANT_NOT_WANTED_AT_END: assertion not_drained
// MUTANT_END_LEAVES_BINDING: assertion not_drained
// MUTANT_DRAINED_WITH_LANE: assertion drained_too_early

#define SLOTS 2
#define OPERATIONS 2
mtype = { opened, closing, drained };
// Where a slab is.
mtype = { cached, held, shelved };
// What the lane's key says.
mtype = { nobody, owner_only };

// The shelf.
bool lock = false;
mtype state = opened;
bool attached = true;
byte slabs = 0;

// The lane, T's record.
mtype key = owner_only;
bool bound = true;
bool exclusive = true;
bool inside = false;
bool wanted_back = false;

// The slabs: how many slots are in each word.
mtype where[2];
byte local_word[2];
byte shared_word[2];

// What nobody in the program knows.
byte live[2];
bool using = false;            // T relies on the lane at this moment
bool ended = false;            // the resource
bool close_done = false;
bool t_done = false;
byte drains = 0;
byte done = 0;

inline acquire() { atomic { !lock; lock = true } }

// Step settle.  Code: modules/tls_cache/shelf.cpp shelf::settle
inline settle()
{
    d_step {
        if
#ifdef MUTANT_DRAINED_WITH_LANE
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

// What is under the lock alone, or the lane's own, is one step; who frees elsewhere comes between two of them.
inline recycle(s)
{
    d_step {
        assert(where[s] != cached);
        assert(live[s] == 0);                  // live_object_taken
        local_word[s] = SLOTS;
        shared_word[s] = 0;
        where[s] = cached
    }
}

// Step claim_freed.  Code: modules/slab/descriptor.cppm claim_freed
inline claim(s)
{
    freed = shared_word[s];
    d_step { local_word[s] = local_word[s] + freed; shared_word[s] = shared_word[s] - freed; freed = 0 }
}

inline put_down(s)
{
    if
    :: where[s] == held ->
        claim(s);
        if
        :: local_word[s] == SLOTS -> recycle(s)
        :: else ->
            // That the last free and this come together is close.pml's.
            d_step {
                shared_word[s] = shared_word[s] + local_word[s];
                local_word[s] = 0;
                where[s] = shelved;
                slabs++
            };
            if
            :: shared_word[s] == SLOTS -> slabs--; recycle(s)
            :: else
            fi
        fi
    :: else
    fi
}

// Step hand_back.  Code: modules/tls_cache/shelf.cpp shelf::hand_back
inline hand_back(by_t, t_ends)
{
    d_step {
        assert(by_t || !using);                                      // in_use
        assert(!exclusive || ended || t_ends || live[0] + live[1] == 0);  // not_known_any_more
        key = nobody;
        bound = false
    };
    put_down(0);
    put_down(1);
    d_step { exclusive = false; attached = false }
}

inline give_up_slab(s)
{
    if
    :: where[s] == held ->
#ifndef MUTANT_OTHERS_FREES_NOT_CLAIMED
        claim(s);
#endif
        if
#ifdef MUTANT_NOT_EMPTY_GIVEN_UP
        :: local_word[s] != 0 -> recycle(s)
#else
        :: local_word[s] == SLOTS -> recycle(s)
#endif
        :: else
        fi
    :: else
    fi
}

// Step give_up.  Code: modules/tls_cache/shelf.cpp shelf::give_up
inline give_up(by_t)
{
    if
#ifndef MUTANT_EVERYTHING_GIVEN_UP
    :: exclusive ->
        d_step {
            assert(by_t || !using);                                  // in_use
            were_empty[0] = where[0] == held && live[0] == 0;
            were_empty[1] = where[1] == held && live[1] == 0;
            key = nobody
        };
        give_up_slab(0);
        give_up_slab(1);
        d_step {
            assert(!(were_empty[0] && where[0] == held) && !(were_empty[1] && where[1] == held));  // kept_what_is_empty
            were_empty[0] = false;
            were_empty[1] = false
        }
#endif
    :: else -> hand_back(by_t, false)
    fi
}

// Step hand_back_lane.  Code: modules/tls_cache/core.cpp heap_core::hand_back_lane
inline hand_back_lane(only_wanted, t_ends)
{
    if
    :: attached ->
        acquire();
        if
#ifdef MUTANT_WANTED_WHILE_BOUND
        :: attached && (!only_wanted || key == nobody) ->
#else
        :: attached && (!only_wanted || (key == nobody && !bound)) ->
#endif
            hand_back(true, t_ends);
            settle()
        :: else
        fi;
        lock = false
    :: else
    fi
}

// Step leave.  Code: modules/tls_cache/thread.cppm leave; modules/tls_cache/core.cpp thread_record::hand_back_wanted
inline leave()
{
    inside = false;
    if
    :: wanted_back ->
        wanted_back = false;
        if
        :: key == nobody -> hand_back_lane(true, false)
        :: else
        fi
    :: else
    fi
}

// Step reopen.  Code: modules/tls_cache/shelf.cpp shelf::reopen
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

// The resource's own way back to its lane.
// Step hand_back_bound.  Code: modules/epoch/epochs.cpp allocator::hand_back
inline hand_back_bound()
{
    acquire();
    if
    :: bound -> give_up(true); settle()
    :: else
    fi;
    lock = false
}

// A load and a store of the lane's word, which nobody may change in between.
inline plain(s, by)
{
    word = local_word[s];
    d_step { local_word[s] = word + by; live[s] = live[s] - by; word = 0 }
}

// Step usable_lane.  Code: pmr/epoch_resource.cpp epoch_resource::usable_lane
inline allocate_by_resource()
{
    late = close_done;
    if
    :: key == owner_only
    :: else ->
        hand_back_bound();
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
        :: where[0] == held && local_word[0] > 0 -> plain(0, -1)
        :: where[1] == held && local_word[1] > 0 -> plain(1, -1)
        :: where[0] == cached && !(where[1] == held && local_word[1] > 0) ->
            d_step { where[0] = held; local_word[0] = SLOTS - 1; live[0] = 1 }
        :: where[1] == cached && !(where[0] == held && local_word[0] > 0) ->
            d_step { where[1] = held; local_word[1] = SLOTS - 1; live[1] = 1 }
        :: else
        fi
    :: else
    fi;
    d_step { using = false; late = false }
}

// The object of F is never freed by T.
#define FREE_OF_T(s) (where[s] == held && live[s] > (s == 0 && !f_done -> 1 : 0))
bool f_done = false;

// Into the lane, open or not: T's own resource may use it as long as it is bound.
// Step deallocate_slow.  Code: pmr/epoch_resource.cpp epoch_resource::deallocate_slow
inline free_by_resource()
{
    if
    :: key == nobody && bound -> hand_back_bound()
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

// The last free of a slab on the shelf takes it back.
inline free_shared(s)
{
    d_step { shared_word[s]++; live[s]--; last = where[s] == shelved && shared_word[s] == SLOTS };
    if
    :: last ->
        acquire();
        if
        :: where[s] == shelved -> slabs--; recycle(s); settle()
        :: else
        fi;
        lock = false;
        last = false
    :: else
    fi
}

// heap.free of an object of the resource: announced, and only then is the key looked at.
// Step free_slot.  Code: modules/tls_cache/core.cppm free_slot
inline free_by_heap(s)
{
    inside = true;
    d_step { using = where[s] == held && attached && key != nobody };
    if
    :: using -> plain(s, 1)
    :: else -> free_shared(s)
    fi;
    using = false;
    leave()
}

// Its own lane is handed back, or another thread's is made like one of its own in a closed epoch. That the code first waits a while for
// the other thread to be outside, with the key closed and the lane still bound, is left out: what it does then is the last branch.
// Step end_elsewhere.  Code: modules/tls_cache/shelf.cpp shelf::end_elsewhere; modules/epoch/epochs.cpp allocator::leave_epoch
inline resource_ends(by_t)
{
    acquire();
    if
    :: bound && by_t -> ended = true; hand_back(true, false)
    :: bound && !by_t ->
        ended = true;
        key = nobody;
#ifndef MUTANT_END_LEAVES_BINDING
        bound = false;
#endif
        exclusive = false;
#ifndef MUTANT_NOT_WANTED_AT_END
        wanted_back = true;
#endif
        if
#ifdef MUTANT_ENDED_AT_ONCE
        :: true -> hand_back(false, false)
#else
        :: inside
        :: else -> hand_back(false, false)
#endif
        fi
    :: else -> ended = true
    fi;
    settle();
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
        :: skip                        // idle from now on
        :: hand_back_lane(false, true) // it ends: heap_core::thread_ends
        fi
    fi;
    t_done = true;
    // Whoever gets them frees T's objects, late.
    do
    :: live[1] > 0 -> free_shared(1)
    :: live[0] > (f_done -> 0 : 1) -> free_shared(0)
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
    d_step { f_done = true; shared_word[0]++; live[0]--; last = where[0] == shelved && shared_word[0] == SLOTS };
    if
    :: last ->
        acquire();
        if
        :: where[0] == shelved -> slabs--; recycle(0); settle()
        :: else
        fi;
        lock = false
    :: else
    fi;
    last = false;
    done++
}

// Claims are taken back: by M, and by C, which closes. A lane that is bound is left to its thread, which finds its key closed.
// Step take_idle_lanes.  Code: modules/tls_cache/shelf.cpp shelf::take_idle_lanes; modules/tls_cache/shelf.cpp shelf::take_back_locked
inline take_back(close)
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
        :: else -> key = nobody
        fi;
#else
        key = nobody;
#endif
        if
        :: !bound -> wanted_back = true
        :: else
        fi;
#ifdef MUTANT_TAKEN_WHILE_BOUND
        if
        :: !inside -> give_up(false)
#else
        if
        :: !bound && !inside -> give_up(false)
#endif
        :: else
        fi
    :: else
    fi;
    settle();
    lock = false
}

proctype M()
{
    VARIABLES;
    if
    :: wanted_back = true      // another lane of T's, in another epoch
    :: true
    fi;
    take_back(false);
    done++
}

proctype C()
{
    VARIABLES;
    take_back(true);
    d_step { close_done = true; done++ }
}

init
{
    d_step {
        where[0] = held;
        where[1] = cached;
        local_word[0] = SLOTS - 1;
        local_word[1] = SLOTS;
        live[0] = 1
    };
    atomic { run T(); run O(); run F(); run M(); run C() };
    done == 5;
    assert(live[0] == 0 && live[1] == 0);
    assert(state == drained && drains == 1);             // not_drained
    assert(where[0] == cached && where[1] == cached && local_word[0] == SLOTS && local_word[1] == SLOTS &&
           shared_word[0] == 0 && shared_word[1] == 0)   // lost_store
}
