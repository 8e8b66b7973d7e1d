// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A unit of the window that goes from one heap to another beside late frees. Heap A has a slab with two live objects. T[0] and
// T[1] free them; whoever finds the slab empty takes it back, and the other may still be about to look at it, since it was the first to
// free into it. T[2] frees the first object once more, at any time. P purges the free page, withdraws its unit, and gives it to
// the store if no thread is in an operation, mapped or not; the memory of its descriptor goes, or stays; heap B takes it, cuts a slab of
// its own, frees what it allocated there, and ends.
// A thread's announcement may wait in its store buffer until it changes a word atomically or P's barrier forces it out.
//
// Bound: 1 unit with 1 page, 2 heaps, 3 frees, P tries twice.
// States: 83,949.
// Which slots there are beyond two, lanes, large allocations and the sets of pages are left out.
// Shown: a thread in an operation of A that saw the unit to be A's touches nothing that is B's; B's slab begins without a trace of
// what came late; B finds its own objects; what is withdrawn is given back or restored; memory is touched only while it is mapped.
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

mtype = { nobody, of_a, of_b };

// The unit, as the window tells of it.
mtype owner = of_a;
bool mapped = true;
bool in_store = false;

// The page's descriptor.
bool is_slab = true;
mtype home = of_a;
bool shelved = true;           // its owner word is null: nobody holds it
byte shared = 0;               // bits of free slots

bool page_free = false;        // in A's set of free pages
bool elected = false;
bool with_b = false;
bool b_lives = true;
bool inside[3];                // what a thread has announced,
bool visible[3];               // and what others see of it
byte reports = 0;
byte done = 0;

// Step enter.  Code: modules/tls_cache/thread.cppm thread_record::enter
inline enter() { inside[me] = true }
inline flush(i) { visible[i] = inside[i] }
inline leave() { d_step { inside[me] = false; visible[me] = false } }

// Nothing of B's may be touched by who works for A.
inline touch() { assert(home != of_b && owner != of_b && b_lives) }   // not_ours

// Step free_plain.  Code: modules/epoch/allocator.cppm allocator::free_plain
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
    :: ours && (shared & slot) == 0 && shelved ->
        // Step free_remote.  Code: modules/tls_cache/shelf.cpp free_remote
        d_step {
            touch();
            before = shared;
            shared = shared | slot;
            flush(me)
        };
        // First into it, or last: it is looked at again.
        if
        :: d_step { shared == 3 && is_slab && shelved -> touch(); shelved = false; elected = true };
            // Step discard.  Code: modules/slab/slab_cache.cpp slab_cache::discard
            is_slab = false;
            d_step { shared = 0; home = nobody };
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
        // Step withdraw.  Code: modules/slab/page_heap.cpp page_heap::withdraw
        page_free = false;
        // Step give_back_units.  Code: modules/tls_cache/core.cpp heap_core::give_back_units
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
            // Step release.  Code: modules/slab/page_heap.cpp page_heap::release
#ifndef MUTANT_DESCRIPTOR_NOT_CLEARED
            d_step { is_slab = false; home = nobody; shelved = false; shared = 0 };
#endif
            // Step give_units.  Code: modules/slab/window.cpp address_window::give
            owner = nobody;
            if
            :: mapped = false
            :: skip                // the system refuses: it serves the next heap as it is
            fi;
            // The memory of the descriptor goes, if the system does as it is told: zeroes, whose owner word is null.
            if
            :: d_step { is_slab = false; home = nobody; shelved = true; shared = 0 }
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
        // Step take_units.  Code: modules/slab/window.cpp address_window::take
        d_step { in_store = false; with_b = true };
        mapped = true;
#ifndef MUTANT_OWNER_WRITTEN_LATE
        owner = of_b;
#endif
        // Step cut.  Code: modules/slab/slab_cache.cpp slab_cache::cut
        assert(shared == 0);                               // leaks_into_next
        assert(mapped);
        d_step { home = of_b; shelved = true; shared = 2; is_slab = true };
        // One object, freed by a thread of B's.
        ours = owner == of_b && is_slab;
        assert(ours && (shared & 1) == 0);                 // own_free_refused
        shared = 3;
#ifdef MUTANT_OWNER_WRITTEN_LATE
        owner = of_b;
#endif
        // The heap's end.
        d_step { is_slab = false; home = nobody; shelved = false; shared = 0 };
        owner = nobody;
        mapped = false;
        b_lives = false;
        d_step { in_store = true; with_b = false }
    :: done == 4 && !in_store        // it never came
    fi
}

init
{
    atomic { run T(0, 1); run T(1, 2); run T(2, 1); run P(); run B() };
    done == 4;
    assert(page_free || in_store || with_b)   // lost
}
