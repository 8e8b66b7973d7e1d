// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A slab of two blocks, each with words of its own. Lists, owner and home are the slab's; who frees sees one block only, and
// who asks whether the slab is empty reads one word after the other. Two threads free, one of them perhaps when nobody else
// is at work. In the first variant a closer takes the slab from an idle lane meanwhile. ADOPT: the slab is on the shelf with one
// free slot; X adopts it when it can, frees an object and hands its lane back. REUSE: X adopts it, empties it, uses it in a second
// epoch and leaves it full on that one's shelf, while who freed first is still about to move it in the first.
//
// Bound: one slab, 2 blocks of 2 slots, 3 threads; 4 frees, 3 in ADOPT, 8 in REUSE.
// States: 84,858; ADOPT 177,941; REUSE 31,904.
// Store buffers, announcing and looking are left out: see claims.pml and close.pml.
// Shown: the slab is taken back once, when it is empty in both blocks; when all is quiet it is on the full list only without
// a free slot, and nowhere when it is empty; lists are changed under their shelf's lock and fit the slab's own word on where it
// is; what is listed as having free slots has some.
//
// Variants: (none) ADOPT REUSE
//
// MUTANT_FULL_BLOCK_TAKES_SLAB: assertion live_object_taken
// MUTANT_ONLY_LAST_FREE_LOOKS: assertion free_slots_out_of_reach
// MUTANT_ONLY_FIRST_FREE_LOOKS: assertion not_taken_back
// MUTANT_NO_LOOK_AFTER_PUTTING_DOWN: assertion not_taken_back
// MUTANT_ONE_BLOCK_LOOKED_AT: assertion live_object_taken
// MUTANT_OWNER_BEFORE_LAST_BLOCK: assertion not_taken_back
// MUTANT_NO_ELECTION: assertion on_no_shelf
// MUTANT_RELIST_ANYWHERE (ADOPT): assertion not_listed
// MUTANT_HOME_BEFORE_LIST (REUSE): assertion not_listed

#if !defined(ADOPT) && !defined(REUSE)
#define LANE_HAS_IT
#endif
#define FULL 3
// What comes of an election.
#define LOST 0
#define WON 1
#define LET_GO 2
mtype = { unused, cached, held, shelved_partial, shelved_full };
mtype = { opened, closing, drained };

// The words of the slab and its blocks.
byte shared_word[2];
byte local_word[2];            // slots of the blocks, all of them live
#define NONE 0                 /* null: on a shelf */
#define LANE 1                 /* in the first epoch */
#define SECOND_LANE 2
#define RECLAIMING 3
#define NOWHERE 4
byte owner = NONE;
byte home = 0;                 // a shelf's number + 1
mtype where = held;

// Shelves: 0 is the first epoch's, 1 the second one's.
bool lock[2];
mtype state[2];
byte lanes[2];
byte slabs[2];
mtype list[2];                 // on which list of the shelf the slab is: unused, shelved_partial or shelved_full

// What nobody in the program knows.
byte live[2];
byte released[2];
byte at_work = 0;              // threads that are changing something
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
// Step shared_fill.  Code: modules/slab/descriptor.cppm shared_fill
inline shared_fill()
{
    d_step { any = shared_word[0] != 0; all = shared_word[0] == FULL };
#ifndef MUTANT_ONE_BLOCK_LOOKED_AT
    d_step { any = any || shared_word[1] != 0; all = all && shared_word[1] == FULL }
#else
    skip
#endif
}

inline claim_block(k)
{
    freed = shared_word[k];
    if
    :: freed != 0 ->
        d_step { assert((local_word[k] & freed) == 0); local_word[k] = local_word[k] | freed };
        shared_word[k] = shared_word[k] & (FULL - freed)
    :: else
    fi;
    d_step { any = any || local_word[k] != 0; all = all && local_word[k] == FULL; freed = 0 }
}

// Step claim_slab.  Code: modules/tls_cache/core.cppm claim_slab
inline claim_slab()
{
    d_step { any = false; all = true };
    claim_block(0);
    claim_block(1)
}

// Step mark_empty.  Code: modules/slab/slab_cache.cppm mark_empty
inline recycle()
{
    d_step {
        assert(where != cached);                   // taken_back_twice
        assert(live[0] == 0 && live[1] == 0);      // live_object_taken
        owner = NOWHERE
    };
    d_step { local_word[0] = FULL; shared_word[0] = 0 };
    d_step { local_word[1] = FULL; shared_word[1] = 0 };
    home = 0;
    where = cached
}

// Step settle.  Code: modules/tls_cache/shelf.cpp shelf::settle
inline settle(s)
{
    d_step {
        if
        :: state[s] == closing && lanes[s] == 0 && slabs[s] == 0 ->
            state[s] = drained;
            assert(list[s] == unused);
            released[s]++
        :: else
        fi
    }
}

// Step elect.  Code: modules/tls_cache/shelf.cpp elect
inline elect()
{
    do
    :: true ->
#ifdef MUTANT_NO_ELECTION
        election = WON;
        break
#else
        d_step {
            if
            :: owner == NONE -> owner = RECLAIMING; election = WON
            :: else -> election = LOST
            fi
        };
        if
        :: election == LOST -> break
        :: else
        fi;
        shared_fill();
        if
        :: all -> break
        :: else
        fi;
        owner = NONE;
        shared_fill();
        if
        :: !all -> election = LET_GO; break
        :: else
        fi
#endif
    od;
    skip
}

// First on which list it is, then of which shelf. That list and that shelf together, and only they, say that it is ours to
// move: it comes to be on our lists under the lock that we have.
// Step relist.  Code: modules/tls_cache/shelf.cpp relist
inline relist()
{
    at = home;
    if
    :: at != 0 ->
        acquire(at - 1);
#ifdef MUTANT_HOME_BEFORE_LIST
        ours = home == at;
        shared_fill();
        ours = ours && any && where == shelved_full;
#elif defined(MUTANT_RELIST_ANYWHERE)
        shared_fill();
        ours = any;
#else
        ours = where == shelved_full;
        ours = ours && home == at;
        shared_fill();
        ours = ours && any;
#endif
        if
        :: ours -> move(at - 1, shelved_full, shelved_partial)
        :: else
        fi;
        release(at - 1)
    :: else
    fi
}

// Step shelved_slab_changed.  Code: modules/tls_cache/shelf.cpp shelved_slab_changed
inline shelved_slab_changed()
{
#ifdef MUTANT_FULL_BLOCK_TAKES_SLAB
    all = before != 0;
#else
    shared_fill();
#endif
    if
    :: !all -> relist()
    :: else ->
#ifdef MUTANT_FULL_BLOCK_TAKES_SLAB
        d_step { election = (owner == NONE -> WON : LOST); owner = (owner == NONE -> RECLAIMING : owner) };
#else
        elect();
#endif
        if
        :: election == LET_GO -> relist()
        :: election == LOST
        :: election == WON ->
            at = home;
            assert(at != 0);               // on_no_shelf
            acquire(at - 1);
            move(at - 1, where, unused);
            recycle();
            settle(at - 1);
            release(at - 1)
        fi
    fi
}

// Step free_remote.  Code: modules/tls_cache/shelf.cpp free_remote
inline free_remote(k, slot)
{
    assert((shared_word[k] & slot) == 0);
    assert((local_word[k] & slot) == 0);
    assert(owner != NOWHERE);
    d_step {
        before = shared_word[k];
        shared_word[k] = before | slot;
        at_work++;
        live[k] = live[k] & (FULL - slot)
    };
    if
    // With two slots every free is the first into its block or the last.
#ifdef MUTANT_ONLY_LAST_FREE_LOOKS
    :: before == 0
#elif defined(MUTANT_ONLY_FIRST_FREE_LOOKS)
    :: before != 0
#endif
    :: else ->
        own = owner;
        if
        :: own == NONE -> shelved_slab_changed()
        :: else        // a lane: it is told that there is something to find, see words.pml
        fi
    fi;
    d_step { at_work--; own = 0; before = 0; at = 0; election = 0; any = false; all = false; ours = false }
}

// Step put_down.  Code: modules/tls_cache/shelf.cpp shelf::put_down
inline put_down(s)
{
    claim_slab();
    if
    :: all -> recycle()
    :: else ->
        home = s + 1;
        d_step { assert(list[s] == unused); list[s] = shelved_partial; where = shelved_partial; slabs[s]++ };
        shared_word[0] = shared_word[0] | local_word[0];
        local_word[0] = 0;
#ifdef MUTANT_OWNER_BEFORE_LAST_BLOCK
        owner = NONE;
        shared_fill();
        shared_word[1] = shared_word[1] | local_word[1];
        local_word[1] = 0;
#else
        shared_word[1] = shared_word[1] | local_word[1];
        local_word[1] = 0;
        owner = NONE;
#ifndef MUTANT_NO_LOOK_AFTER_PUTTING_DOWN
        shared_fill();
#endif
#endif
        election = LOST;
        if
        :: all -> elect()
        :: else
        fi;
        if
        :: election == WON -> move(s, shelved_partial, unused); recycle()
        :: election != WON && !any -> move(s, shelved_partial, shelved_full)
        :: else
        fi
    fi;
    d_step { election = 0; any = false; all = false }
}

// Step hand_back.  Code: modules/tls_cache/shelf.cpp shelf::hand_back
inline hand_back(s, l)
{
    acquire(s);
    if
    :: owner == l -> put_down(s)
    :: else
    fi;
    lanes[s]--;
    settle(s);
    release(s)
}

// Step adopt.  Code: modules/tls_cache/shelf.cpp shelf::adopt
inline adopt(s, l)
{
    acquire(s);
    do
    :: list[s] == shelved_partial ->
        d_step { claimed = (owner == NONE); if :: claimed -> owner = l :: else fi };
        if
        :: claimed ->
            claim_slab();
            assert(any);                       // listed_without_free_slot
            d_step { list[s] = unused; slabs[s]--; where = held };
            break
        :: else -> move(s, shelved_partial, shelved_full)   // somebody is taking it back, or about to let go of it
        fi
    :: else -> break
    od;
    skip;
    d_step { lock[s] = false; at_work--; claimed = false; any = false; all = false }
}

// By the lane's own thread: into the lane if it holds the slab, else as another thread's.
inline free_own(k, slot)
{
    if
    :: owner == LANE -> d_step { local_word[k] = local_word[k] | slot; live[k] = live[k] & (FULL - slot) }
    :: else -> free_remote(k, slot)
    fi
}

#define VARIABLES \
    byte freed = 0; byte election = 0; byte at = 0; byte before = 0; byte own = 0; \
    bool any = false; bool all = false; bool ours = false; bool claimed = false

proctype freer(byte k; byte slot)
{
    VARIABLES;
    free_remote(k, slot);
    done++
}

// Looks at the slab at a moment when nobody is at work, perhaps, and frees the last object of the first block.
proctype last_freer()
{
    VARIABLES;
    if
    :: true
    :: d_step {
        at_work == 0 && owner == NONE ->
        assert(where == shelved_partial || (shared_word[0] | shared_word[1]) == 0)  // free_slots_out_of_reach
    }
    fi;
    free_remote(0, 2);
    done++
}

#ifdef LANE_HAS_IT
// Closes the first epoch, whose lane's thread is idle.
proctype C()
{
    VARIABLES;
    acquire(0);
    state[0] = closing;
    put_down(0);
    lanes[0]--;
    settle(0);
    release(0);
    done++
}

// Frees in both blocks.
proctype other()
{
    VARIABLES;
    free_remote(0, 1);
    free_remote(1, 1);
    free_remote(1, 2);
    done++
}
#endif

#ifdef ADOPT
proctype X()
{
    VARIABLES;
    do
    :: list[0] == shelved_partial && owner != LANE -> adopt(0, LANE)
    :: true -> break
    od;
    free_own(1, 2);
    hand_back(0, LANE);
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
    list[0] == shelved_partial || others_done;
    adopt(0, LANE);
    free_own(0, 2);
    others_done;
    if
    :: owner == LANE -> claim_slab()
    :: else
    fi;
    if
    :: all ->
        recycle();
        // Its next slab, in the second epoch, of which it uses every slot.
        // Step hold.  Code: modules/tls_cache/lane.cpp lane::hold
        where = held;
        owner = SECOND_LANE;
        d_step { local_word[0] = 0; local_word[1] = 0; live[0] = FULL; live[1] = FULL };
        hand_back(1, SECOND_LANE);
        hand_back(0, LANE);
        free_remote(0, 1);
        free_remote(1, 1);
        free_remote(1, 2);
        free_remote(0, 2)
    :: else ->
        hand_back(1, SECOND_LANE);
        hand_back(0, LANE)
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
        lanes[0] = 1;
#ifdef LANE_HAS_IT
        owner = LANE;
#else
        home = 1;
        where = shelved_full;
        list[0] = shelved_full;
        slabs[0] = 1;
#endif
#ifndef LANE_HAS_IT
        state[0] = closing;
#endif
#ifdef ADOPT
        live[1] = 2;
        shared_word[1] = 1;
        where = shelved_partial;
        list[0] = shelved_partial;
#endif
#ifdef REUSE
        lanes[1] = 1;
#endif
    };
#ifdef LANE_HAS_IT
    atomic { run other(); run last_freer(); run C() };
    done == 3;
#elif defined(ADOPT)
    atomic { run freer(0, 1); run X(); run last_freer() };
    done == 3;
#else
    atomic { run freer(0, 1); run other(); run X() };
    done == 3;
#endif
    assert(live[0] == 0 && live[1] == 0);
    assert(where == cached && owner == NOWHERE);                                  // not_taken_back
    assert(local_word[0] == FULL && local_word[1] == FULL && shared_word[0] == 0 && shared_word[1] == 0);
    assert(state[0] == drained && released[0] == 1);
#ifdef REUSE
    assert(state[1] == drained && released[1] == 1);
#endif
}
