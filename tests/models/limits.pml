// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The count of pages: two labels with an account each, and a phase P that begins in the first. T takes a page for P and
// gives it back; U does the same, or takes a second one; Q is the phases of the first label that P is not: it takes a page in
// the first account and gives it back. M moves P to the second label, and back. The word of P has the account and the pages,
// and changes as a whole. L: a limit is set while P holds a page that nobody counted, in a cache of T's.
//
// Bound: 2 accounts of 2 pages, a phase with a limit of 2 (1 in TIGHT), 4 threads, 2 moves, 4 pages.
// States: 198,091; TIGHT 94,649; LATE 716,296.
// Left out: the heap's account, which is changed as a label's is, and never moves.
// Shown: an account is never below what its phases hold; no phase and, but for what was moved or held before, no label holds
// more than its limit; a thread that was refused has changed nothing; at the end every count is 0.
//
// Variants: (none) TIGHT LATE
//
// MUTANT_WORD_FIRST: assertion account_too_low
// MUTANT_GIVE_ACCOUNT_FIRST: assertion account_too_low
// MUTANT_WORD_WITHOUT_ACCOUNT: assertion account_too_low
// MUTANT_MOVE_TAKES_FIRST: assertion account_too_low
// MUTANT_LOOK_THEN_ADD: assertion above_limit
// MUTANT_NOT_UNDONE (TIGHT): assertion not_zero
// MUTANT_UNCOUNTED_GIVEN (LATE): assertion below_zero

#define A 0
#define B 1
#ifdef TIGHT
#define PHASE_LIMIT 1
#else
#define PHASE_LIMIT 2
#endif
#define LABEL_LIMIT 2

// The word of P.
byte account = A;
byte pages = 0;
#ifdef LATE
bool on = false;
#else
bool on = true;
#endif
bool counted = false;   // T's cache: its slabs are in the count

byte held[2];           // the accounts
bool lock = false;      // of P's epoch

// State of the model only.
byte taken = 0;         // pages that P holds and has counted
byte in_q = 0;          // pages of Q
byte moved = 0;         // pages that came into an account by a move, or were forced into it
byte forced = 0;        // pages that P held before it was counted
byte done = 0;

#define SETTLED(a) ((account == a -> pages : 0) + (a == A -> in_q : 0))

// Holds between any two steps.
inline look()
{
    assert(held[A] >= SETTLED(A) && held[B] >= SETTLED(B));    // account_too_low
    assert(pages <= PHASE_LIMIT + forced && held[A] <= LABEL_LIMIT + moved && held[B] <= LABEL_LIMIT + moved)    // above_limit
}

// Step reserve.  Code: modules/tls_cache/epoch_slabs/limits.cpp epoch_slabs::reserve; modules/tls_cache/epoch_slabs/limits.cpp page_account::take
inline reserve(got)
{
    got = false;
    do
    :: pages + 1 > PHASE_LIMIT -> break
    :: else ->
        was = account;
#ifdef MUTANT_WORD_FIRST
        d_step { pages++; taken++; look() };
        d_step { held[was] < LABEL_LIMIT -> held[was]++; got = true };
        break
#else
#ifdef MUTANT_LOOK_THEN_ADD
        if
        :: held[was] >= LABEL_LIMIT -> break
        :: else -> d_step { held[was]++; look() }
        fi;
#else
        ok = false;
        d_step {
            if
            :: held[was] >= LABEL_LIMIT
            :: else -> held[was]++; ok = true
            fi;
            look()
        };
        if
        :: !ok -> break
        :: else
        fi;
#endif
        ok = false;
        d_step {
            if
#ifdef MUTANT_WORD_WITHOUT_ACCOUNT
            :: pages + 1 <= PHASE_LIMIT -> pages++; taken++; ok = true
#else
            :: account == was && pages + 1 <= PHASE_LIMIT -> pages++; taken++; ok = true
#endif
            :: else
            fi;
            look()
        };
        if
        :: ok -> got = true; break
        :: else ->
#ifndef MUTANT_NOT_UNDONE
            d_step { held[was]--; look() }
#else
            skip
#endif
        fi
#endif
    od
}

// Step give_counted.  Code: modules/tls_cache/epoch_slabs/limits.cpp epoch_slabs::give_counted; modules/tls_cache/cache/slab_supply.cpp heap_state::recycle
inline give()
{
#ifdef MUTANT_GIVE_ACCOUNT_FIRST
    d_step { was = account; held[was]--; look() };
    d_step { pages--; taken--; look() }
#else
    d_step { assert(pages > 0); pages--; taken--; was = account; look() };    // below_zero
    d_step { held[was]--; look() }
#endif
}

// Step force.  Code: modules/tls_cache/epoch_slabs/limits.cpp epoch_slabs::force
inline force()
{
    do
    :: true ->
        d_step { was = account; held[was]++; moved++; forced = 1 };
        ok = false;
        d_step {
            if
            :: account == was -> pages++; taken++; ok = true
            :: else
            fi
        };
        if
        :: ok -> break
        :: else -> d_step { held[was]--; moved-- }
        fi
    od
}

proctype T()
{
    byte was; bool ok; bool got;
#ifdef LATE
    // It took a page before P was counted. Then its cache is counted, with the page, or the page leaves it uncounted.
    if
    :: on -> force(); counted = true
    :: true
    fi;
#ifdef MUTANT_UNCOUNTED_GIVEN
    if
    :: on -> give()
    :: else
    fi;
#else
    if
    :: counted -> give()
    :: else
    fi;
#endif
#endif
    if
    :: on ->
        reserve(got);
        if
        :: got -> give()
        :: else
        fi
    :: else
    fi;
    done++
}

proctype U()
{
    byte was; bool ok; bool got;
    (on);
    reserve(got);
    if
    :: got ->
        reserve(got);
        if
        :: got -> give()
        :: else
        fi;
        give()
    :: else
    fi;
    done++
}

proctype Q()
{
    bool ok;
    ok = false;
    d_step {
        if
        :: held[A] < LABEL_LIMIT -> held[A]++; in_q++; ok = true
        :: else
        fi
    };
    if
    :: ok -> d_step { in_q--; look() }; held[A]--
    :: else
    fi;
    done++
}

// Step move_to_account.  Code: modules/tls_cache/epoch_slabs/limits.cpp epoch_slabs::move_to_account; modules/epoch/epochs.cpp allocator::set_label
inline move(to)
{
    do
    :: account == to -> break
    :: else ->
        d_step { n = pages; from = account };
#ifdef MUTANT_MOVE_TAKES_FIRST
        d_step { held[from] = held[from] - n; look() };
        d_step { held[to] = held[to] + n; moved = moved + n };
        d_step {
            if
            :: account == from && pages == n -> account = to; ok = true
            :: else -> ok = false
            fi
        };
        if
        :: ok -> break
        :: else -> d_step { held[to] = held[to] - n; held[from] = held[from] + n }
        fi
#else
        d_step { held[to] = held[to] + n; moved = moved + n; look() };
        d_step {
            if
            :: account == from && pages == n -> account = to; ok = true
            :: else -> ok = false
            fi;
            look()
        };
        if
        :: ok -> d_step { held[from] = held[from] - n; look() }; break
        :: else -> d_step { held[to] = held[to] - n; moved = moved - n; look() }
        fi
#endif
    od
}

// Step begin_counting.  Code: modules/tls_cache/epoch_slabs/limits.cpp epoch_slabs::begin_counting
proctype M()
{
    byte n; byte from; bool ok;
    atomic { !lock; lock = true };
#ifdef LATE
    on = true;
#endif
    move(B);
    lock = false;
    atomic { !lock; lock = true };
    move(A);
    lock = false;
    done++
}

init
{
    atomic { run T(); run U(); run Q(); run M() };
    (done == 4);
    assert(pages == 0 && held[A] == 0 && held[B] == 0 && taken == 0)    // not_zero
}
