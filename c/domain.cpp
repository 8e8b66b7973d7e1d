// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Domains in the storage of a caller.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <memory_resource>
#include <new>
#include <source_location>
#include <string_view>
#include <tslab/tslab.h>
import tslab.epoch;
import tslab.pmr;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;
#include "internal.hpp"
#include "storage.hpp"

using namespace tslab::c;

namespace {

void* mark_of(tslab_domain* d) noexcept { return &d->opaque[std::size(d->opaque) - 1]; }

/// The caller's pointer, and while the domain is entered the next one with such a pointer that this thread is inside, lie between the
/// domain and the mark.
constexpr std::size_t context_word = std::size(tslab_domain{}.opaque) - 3;
constexpr std::size_t next_word = context_word + 1;
static_assert(sizeof(tslab::epoch_domain) <= context_word * sizeof(void*));

/// The domains with a pointer of the caller's that the calling thread is inside, the last one entered first.
constinit thread_local tslab_domain* entered_with_context = nullptr;

/// Removes `d`, if it is there.
void unlist_entered(tslab_domain const* d) noexcept
{
    tslab_domain* before = nullptr;
    for (tslab_domain* at = entered_with_context; at != nullptr;
         before = at, at = static_cast<tslab_domain*>(at->opaque[next_word])) {
        if (at != d)
            continue;
        if (before == nullptr)
            entered_with_context = static_cast<tslab_domain*>(at->opaque[next_word]);
        else
            before->opaque[next_word] = at->opaque[next_word];
        return;
    }
}

/// Whether `d` is no domain: null, or storage that has ended, whose first word, the heap of the domain, is null. Reported.
bool is_no_domain(tslab_domain const* d, char const* what) noexcept
{
    return is_null(d, what) || is_null(d->opaque[0], what);
}

/// Looks at the arguments with which a domain begins, and prepares the storage. Returns false if one is bad.
bool prepare(tslab_domain* d, tslab_heap* heap, tslab_domain_options const* o, std::size_t size,
             tslab::domain_options& wanted, char const* what) noexcept
{
    if (is_null(heap, what) || is_null(d, what, &of(heap)))
        return false;
    tslab_domain_options given{};
    if (!copy_in(given, o, size)) {
        bad_argument(what, &of(heap));
        return false;
    }
    wanted = {.label = text_of(given.label), .auto_close = !given.keep_open};
    std::memset(d, 0, sizeof *d);
    set_begun(mark_of(d));
    return true;
}

}

tslab_domain* tslab_domain_begin(tslab_domain* d, tslab_heap* heap, tslab_domain_options const* o, std::size_t size,
                                 tslab_place const* at) noexcept
{
    tslab::domain_options wanted;
    if (!prepare(d, heap, o, size, wanted, "tslab_domain_begin: the storage, the heap or the options"))
        return nullptr;
    location_record record;
    return storage_of(new (d) tslab::epoch_domain{of(heap), wanted, location_of(at, record)});
}

tslab_domain* tslab_domain_wrap(tslab_domain* d, tslab_heap* heap, tslab_epoch e, tslab_domain_options const* o,
                                std::size_t size) noexcept
{
    tslab::domain_options wanted;
    if (!prepare(d, heap, o, size, wanted, "tslab_domain_wrap: the storage, the heap or the options"))
        return nullptr;
    return storage_of(new (d) tslab::epoch_domain{of(heap), of(e), wanted});
}

void tslab_domain_end(tslab_domain* d) noexcept
{
    if (is_null(d, "tslab_domain_end: the domain is null"))
        return;
    if (!is_begun(mark_of(d)))
        return bad_argument("tslab_domain_end: the domain was not begun, or has ended");
    unlist_entered(d);
    std::destroy_at(&of(d));
    std::memset(d, 0, sizeof *d);
}

bool tslab_domain_enter(tslab_domain* d, tslab_place const* at) noexcept
{
    if (is_no_domain(d, "tslab_domain_enter: the domain is null or has ended"))
        return false;
    location_record record;
    try {
        of(d).enter(location_of(at, record));
        return true;
    } catch (std::bad_alloc const&) {
        return false;
    }
}

void tslab_domain_exit(tslab_domain* d) noexcept
{
    if (is_no_domain(d, "tslab_domain_exit: the domain is null or has ended"))
        return;
    of(d).exit();
    if (of(d).depth() == 0)
        unlist_entered(d);
}

void tslab_domain_set_context(tslab_domain* d, void* context) noexcept
{
    if (is_no_domain(d, "tslab_domain_set_context: the domain is null or has ended"))
        return;
    if (of(d).depth() == 0 || !of(d).on_own_thread() || !is_begun(mark_of(d)))
        return bad_argument("tslab_domain_set_context: the domain is not entered, or is not the caller's",
                            &of(d).heap());
    unlist_entered(d);
    d->opaque[context_word] = context;
    d->opaque[next_word] = entered_with_context;
    entered_with_context = d;
}

void* tslab_domain_current_context() noexcept
{
    tslab_domain const* const current = tslab_domain_current();
    for (tslab_domain const* at = entered_with_context; at != nullptr;
         at = static_cast<tslab_domain*>(at->opaque[next_word]))
        if (at == current)
            return at->opaque[context_word];
    return nullptr;
}

bool tslab_epoch_hold(tslab_heap* heap, tslab_epoch e, tslab_hold* hold, tslab_place const* at) noexcept
{
    if (is_null(heap, "tslab_epoch_hold: the heap is null") ||
        is_null(hold, "tslab_epoch_hold: the storage is null", &of(heap)))
        return false;
    *hold = {};
    location_record record;
    tslab::epoch_holder* holder = nullptr;
    if (!of(heap).enter_epoch(of(e), true, location_of(at, record), holder))
        return false;
    hold->epoch = e;
    hold->opaque[0] = heap;
    hold->opaque[1] = holder;   // null if its place found no memory
    return true;
}

void tslab_epoch_release(tslab_heap* heap, tslab_hold* hold, bool close) noexcept
{
    if (is_null(heap, "tslab_epoch_release: the heap is null") ||
        is_null(hold, "tslab_epoch_release: the hold is null", &of(heap)))
        return;
    tslab_hold const ended = *hold;
    *hold = {};
    if (ended.opaque[0] == nullptr)
        return;
    if (ended.opaque[0] != heap)
        return bad_argument("tslab_epoch_release: the hold is of another heap", &of(heap));
    of(heap).exit_domain(of(ended.epoch), static_cast<tslab::epoch_holder*>(ended.opaque[1]), true, close);
}

bool tslab_domain_force_close(tslab_domain* d, tslab_close_report* report, std::size_t size) noexcept
{
    return !is_no_domain(d, "tslab_domain_force_close: the domain is null or has ended") &&
           tslab_epoch_close(handle_of(of(d).heap()), of(of(d).epoch()), report, size);
}

tslab_domain* tslab_domain_current() noexcept { return storage_of(tslab::epoch_domain::current()); }

tslab_heap* tslab_domain_heap(tslab_domain const* d) noexcept
{
    return is_no_domain(d, "tslab_domain_heap: the domain is null or has ended") ? nullptr : handle_of(of(d).heap());
}

tslab_epoch tslab_domain_epoch(tslab_domain const* d) noexcept
{
    return is_no_domain(d, "tslab_domain_epoch: the domain is null or has ended") ? tslab_epoch{} : of(of(d).epoch());
}

std::uint32_t tslab_domain_depth(tslab_domain const* d) noexcept
{
    return is_no_domain(d, "tslab_domain_depth: the domain is null or has ended") ? 0 : of(d).depth();
}

bool tslab_domain_closes_epoch(tslab_domain const* d) noexcept
{
    return !is_no_domain(d, "tslab_domain_closes_epoch: the domain is null or has ended") && of(d).closes_epoch();
}

bool tslab_domain_shares_epoch(tslab_domain const* d) noexcept
{
    return !is_no_domain(d, "tslab_domain_shares_epoch: the domain is null or has ended") && of(d).shares_epoch();
}
