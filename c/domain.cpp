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
    if (!is_no_domain(d, "tslab_domain_exit: the domain is null or has ended"))
        of(d).exit();
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
