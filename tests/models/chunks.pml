// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A unit of the window passes from one heap to another while late frees arrive. Heap A has a slab with two live
// objects, which T[0] and T[1] free; the one that finds the slab empty recycles it, and the other may still have to
// read the slab's words, since its free was the first into the slab. T[2] frees the first object once more, at any
// time. P purges the free page, withdraws its unit and, if no thread is in an operation, returns it to the window,
// mapped or not; the memory of its descriptor is purged or stays. Heap B takes the unit, cuts a slab of its own, frees
// what it allocated there, and ends.
// A thread's announcement may wait in its store buffer until the thread changes a word atomically or P's barrier
// flushes the buffer.
//
// Bound: 1 unit with 1 page, 2 heaps, 3 frees, P tries twice.
// States: 83,949.
// Left out: slots beyond two, thread caches, large allocations and the sets of pages.
// Shown: a thread in an operation of A that saw the unit owned by A touches nothing that is B's; B's slab starts
// without bits of late frees; B finds its own objects; a withdrawn unit is returned or restored; memory is touched only
// while it is mapped.
//
// Variants: (none)
//
// MUTANT_THREADS_NOT_LOOKED_AT: assertion not_ours
// MUTANT_NO_BARRIER: assertion not_ours
// MUTANT_OWNER_NOT_COMPARED: assertion not_ours
// MUTANT_LOOK_BEFORE_ENTER: assertion not_ours
// MUTANT_DESCRIPTOR_NOT_CLEARED: assertion leaks_into_next
// MUTANT_OWNER_WRITTEN_LATE: assertion own_free_refused
// MUTANT_NOT_RESTORED: assertion lost

mtype = { no_heap, of_a, of_b };

// The unit in the window's tables.
mtype owner = of_a;
bool mapped = true;
bool in_store = false;

// The page's descriptor.
bool is_slab = true;
mtype home = of_a;
bool orphaned = true;   // its owner word is null: no cache owns it
byte remote_word = 0;               // bits of free slots

bool page_free = false;        // in A's set of free pages
bool claimed = false;
bool with_b = false;
bool b_lives = true;
bool inside[3];   // what a thread has announced
bool visible[3];   // what other threads see of that
byte reports = 0;
byte done = 0;

// Step enter.  Code: modules/tls_cache/thread/thread_record.hpp thread_record::enter
inline enter() { inside[me] = true }
inline flush(i) { visible[i] = inside[i] }
inline leave() { d_step { inside[me] = false; visible[me] = false } }

// A thread in an operation of A touches nothing of B's.
inline touch() { assert(home != of_b && owner != of_b && b_lives) }   // not_ours

// Step free_plain.  Code: modules/epoch/memory/allocator.hpp allocator::free_plain
proctype T(byte me; byte slot)
{
    bool ours = false;
    byte before = 0;
#ifdef MUTANT_LOOK_BEFORE_ENTER
    ours = owner == of_a && is_slab;
    enter();
#elif defined(MUTANT_OWNER_NOT_COMPARED)
    enter();
    ours = is_slab;
#else
    enter();
    ours = owner == of_a && is_slab;
#endif
    if
    :: ours && (remote_word & slot) == 0 && orphaned ->
        // Step free_remote.  Code: modules/tls_cache/epoch_slabs/remote_free.cpp free_remote
        d_step {
            touch();
            before = remote_word;
            remote_word = remote_word | slot;
            flush(me)
        };
        // The first free into the subslab, or the last: the owner is read.
        if
        :: d_step { remote_word == 3 && is_slab && orphaned -> touch(); orphaned = false; claimed = true };
            // Step discard.  Code: modules/slab/pages/slab_cache.cpp slab_cache::discard
            is_slab = false;
            d_step { remote_word = 0; home = no_heap };
            page_free = true
        :: else -> touch()
        fi
    :: else -> reports++
    fi;
    leave();
    done++
}

proctype P()
{
    bool busy = false;
    byte tries = 0;
    do
    :: tries < 2 && page_free ->
        tries++;
        // Step withdraw.  Code: modules/slab/pages/page_heap.cpp page_heap::withdraw
        page_free = false;
        // Step give_back_units.  Code: modules/tls_cache/heap/heap_state.cpp heap_state::give_back_units
#ifndef MUTANT_NO_BARRIER
        d_step { flush(0); flush(1); flush(2) };
#endif
        busy = visible[0];
        busy = busy || visible[1];
        busy = busy || visible[2];
#ifdef MUTANT_THREADS_NOT_LOOKED_AT
        busy = false;
#endif
        if
        :: busy ->
#ifdef MUTANT_NOT_RESTORED
            skip
#else
            page_free = true
#endif
        :: else ->
            // Step release.  Code: modules/slab/pages/page_heap.cpp page_heap::release
#ifndef MUTANT_DESCRIPTOR_NOT_CLEARED
            d_step { is_slab = false; home = no_heap; orphaned = false; remote_word = 0 };
#endif
            // Step give_units.  Code: modules/slab/pages/window.cpp address_window::give
            owner = no_heap;
            if
            :: mapped = false
            :: skip   // the system refuses: the unit serves the next heap while mapped
            fi;
            // The memory of the descriptor is purged, if the system agrees: zeroes, whose owner word is null.
            if
            :: d_step { is_slab = false; home = no_heap; orphaned = true; remote_word = 0 }
            :: skip
            fi;
            in_store = true;
            break
        fi
    :: tries == 2 || (done == 3 && !page_free) -> break
    od;
    done++
}

proctype B()
{
    bool ours = false;
    if
    :: in_store ->
        // Step take_units.  Code: modules/slab/pages/window.cpp address_window::take
        d_step { in_store = false; with_b = true };
        mapped = true;
#ifndef MUTANT_OWNER_WRITTEN_LATE
        owner = of_b;
#endif
        // Step cut.  Code: modules/slab/pages/slab_cache.cpp slab_cache::cut
        assert(remote_word == 0);                               // leaks_into_next
        assert(mapped);
        d_step { home = of_b; orphaned = true; remote_word = 2; is_slab = true };
        // One object, which a thread of B's frees.
        ours = owner == of_b && is_slab;
        assert(ours && (remote_word & 1) == 0);                 // own_free_refused
        remote_word = 3;
#ifdef MUTANT_OWNER_WRITTEN_LATE
        owner = of_b;
#endif
        // The heap's end.
        d_step { is_slab = false; home = no_heap; orphaned = false; remote_word = 0 };
        owner = no_heap;
        mapped = false;
        b_lives = false;
        d_step { in_store = true; with_b = false }
    :: done == 4 && !in_store   // the unit never came to B
    fi
}

init
{
    atomic { run T(0, 1); run T(1, 2); run T(2, 1); run P(); run B() };
    done == 4;
    assert(page_free || in_store || with_b)   // lost
}
