// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Resources and scopes in the storage of a caller.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
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

/// Whether `r` is no resource; reported.
[[gnu::always_inline]] inline bool is_no_resource(tslab_resource const* r, char const* what) noexcept
{
    if (r != nullptr && is_begun(r)) [[likely]]
        return false;
    bad_argument(what);
    return true;
}

bool is_no_scope(tslab_scope const* s, char const* what) noexcept
{
    if (s != nullptr && is_begun(&s->opaque[0]))
        return false;
    bad_argument(what);
    return true;
}

tslab_resource* resource_of(tslab_scope* s) noexcept { return static_cast<tslab_resource*>(s->opaque[1]); }

/// Begins a scope over `r`, which is current by now.
tslab_resource* begin_over(tslab_scope* s, tslab_resource* r) noexcept
{
    s->opaque[1] = r;
    set_begun(&s->opaque[0]);
    return r;
}

}

tslab_resource* tslab_resource_begin(tslab_resource* r, tslab_heap* heap, tslab_resource_options const* o,
                                     std::size_t size, tslab_place const* at) noexcept
{
    if (is_null(heap, "tslab_resource_begin: the heap is null") ||
        is_null(r, "tslab_resource_begin: the storage is null", &of(heap)))
        return nullptr;
    clear_begun(r);
    tslab_resource_options given{};
    if (!copy_in(given, o, size)) {
        bad_argument("tslab_resource_begin: more options than the library knows", &of(heap));
        return nullptr;
    }
    if (given.share_epoch && given.limit != nullptr) {
        bad_argument("tslab_resource_begin: a resource that shares its epoch has no limit of its own", &of(heap));
        return nullptr;
    }
    location_record record;
    tslab::resource_options const options{
        .label = text_of(given.label),
        .share_epoch = given.share_epoch,
        .deallocate = given.count_only ? tslab::deallocate_policy::count_only : tslab::deallocate_policy::carry_out,
        .auto_close = !given.keep_open,
        .threading = given.serial ? tslab::threading::serial : tslab::threading::any,
        .limit = given.limit != nullptr ? std::optional<std::size_t>{*given.limit} : std::nullopt};
    try {
        new (&r->opaque[1]) tslab::epoch_resource{of(heap), options, location_of(at, record)};
    } catch (std::bad_alloc const&) {
        return nullptr;   // no memory for the heap's first limit
    }
    set_begun(r);
    return r;
}

void tslab_resource_end(tslab_resource* r) noexcept
{
    if (is_no_resource(r, "tslab_resource_end: the resource is null, was not begun, or has ended"))
        return;
    std::destroy_at(&inner(r));
    clear_begun(r);
}

void* tslab_resource_allocate(tslab_resource* r, std::size_t bytes, std::size_t alignment) noexcept
{
    if (is_no_resource(r, "tslab_resource_allocate: the resource is null, was not begun, or has ended"))
        return nullptr;
    try {
        return inner(r).allocate(bytes, alignment);
    } catch (std::bad_alloc const&) {
        return nullptr;
    }
}

void tslab_resource_deallocate(tslab_resource* r, void* pointer, std::size_t bytes, std::size_t alignment) noexcept
{
    if (!is_no_resource(r, "tslab_resource_deallocate: the resource is null, was not begun, or has ended"))
        inner(r).deallocate(pointer, bytes, alignment);
}

std::uint64_t tslab_resource_release(tslab_resource* r) noexcept
{
    return is_no_resource(r, "tslab_resource_release: the resource is null, was not begun, or has ended")
               ? 0
               : inner(r).release();
}

void* tslab_resource_pmr(tslab_resource* r) noexcept
{
    return is_no_resource(r, "tslab_resource_pmr: the resource is null, was not begun, or has ended")
               ? nullptr
               : static_cast<std::pmr::memory_resource*>(&inner(r));
}

tslab_domain* tslab_resource_domain(tslab_resource* r) noexcept
{
    return is_no_resource(r, "tslab_resource_domain: the resource is null, was not begun, or has ended")
               ? nullptr
               : storage_of(&inner(r).domain());
}

tslab_heap* tslab_resource_heap(tslab_resource const* r) noexcept
{
    return is_no_resource(r, "tslab_resource_heap: the resource is null, was not begun, or has ended")
               ? nullptr
               : handle_of(inner(r).heap());
}

tslab_epoch tslab_resource_epoch(tslab_resource const* r) noexcept
{
    return is_no_resource(r, "tslab_resource_epoch: the resource is null, was not begun, or has ended")
               ? tslab_epoch{}
               : of(inner(r).epoch());
}

bool tslab_resource_push(tslab_resource* r) noexcept
{
    if (is_no_resource(r, "tslab_resource_push: the resource is null, was not begun, or has ended"))
        return false;
    tslab::epoch_domain& d = inner(r).domain();
    if (!d.on_own_thread()) {
        d.report_misuse(tslab::misuse::wrong_thread);
        return false;
    }
    try {
        d.push();
        return true;
    } catch (std::bad_alloc const&) {
        return false;
    }
}

bool tslab_resource_pop(tslab_resource* r, bool leave) noexcept
{
    if (is_no_resource(r, "tslab_resource_pop: the resource is null, was not begun, or has ended"))
        return false;
    // As ~epoch_scope. Without `leave` the resource ends next, and its thread must not find it then.
    tslab::epoch_domain& d = inner(r).domain();
    bool const at_home = d.on_own_thread();
    bool const popped = d.pop_at_end();
    if (leave && popped && d.entered())
        d.leave();
    if (!leave && !popped)
        d.forget();
    return at_home;
}

tslab_resource* tslab_scope_begin(tslab_scope* s, tslab_heap* heap, char const* label, tslab_place const* at) noexcept
{
    tslab_resource_options const o{.label = label,
                                   .share_epoch = false,
                                   .count_only = false,
                                   .keep_open = false,
                                   .serial = false,
                                   .limit = nullptr};
    return tslab_scope_begin_with(s, heap, &o, sizeof o, at);
}

tslab_resource* tslab_scope_begin_with(tslab_scope* s, tslab_heap* heap, tslab_resource_options const* o,
                                       std::size_t size, tslab_place const* at) noexcept
{
    if (is_null(s, "tslab_scope_begin: the storage is null"))
        return nullptr;
    s->opaque[0] = nullptr;
    if (is_null(heap, "tslab_scope_begin: the heap is null"))
        return nullptr;
    tslab_resource* const own = tslab_resource_begin(&s->own, heap, o, size, at);
    if (own == nullptr)
        return nullptr;
    if (!tslab_resource_push(own)) {
        tslab_resource_end(own);
        return nullptr;
    }
    return begin_over(s, own);
}

tslab_resource* tslab_scope_begin_in(tslab_scope* s, tslab_resource* r, tslab_place const* at) noexcept
{
    if (is_null(s, "tslab_scope_begin_in: the storage is null"))
        return nullptr;
    s->opaque[0] = nullptr;
    if (is_no_resource(r, "tslab_scope_begin_in: the resource is null, was not begun, or has ended"))
        return nullptr;
    // On another thread enter reports the misuse, and so does the end of the scope, as of a C++ one.
    return tslab_domain_enter(storage_of(&inner(r).domain()), at) ? begin_over(s, r) : nullptr;
}

void tslab_scope_end(tslab_scope* s) noexcept
{
    if (is_no_scope(s, "tslab_scope_end: the scope is null, was not begun, or has ended"))
        return;
    tslab_resource* const r = resource_of(s);
    bool const own = r == &s->own;
    s->opaque[0] = nullptr;
    tslab_resource_pop(r, !own);
    if (own)
        tslab_resource_end(r);
}

tslab_resource* tslab_scope_resource(tslab_scope* s) noexcept
{
    return is_no_scope(s, "tslab_scope_resource: the scope is null, was not begun, or has ended") ? nullptr
                                                                                                  : resource_of(s);
}
