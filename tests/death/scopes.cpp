// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Scopes and domains used out of order, on another thread, once too often, or gone while entered; and a call from
// inside another one, as a signal handler would make it.
#define BOOST_TEST_MODULE death_scopes
#include "death.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
import tslab.internal;

namespace {

tslab::os_calls real_calls;
void (*during_commit)() = nullptr;

bool commit_and_call(void* begin, std::size_t bytes) noexcept
{
    if (auto* const call = during_commit) {
        during_commit = nullptr;
        call();
    }
    return real_calls.commit(begin, bytes);
}
tslab::map_result map_and_call(void* begin, std::size_t bytes) noexcept
{
    if (auto* const call = during_commit) {
        during_commit = nullptr;
        call();
    }
    return real_calls.map_at(begin, bytes);
}

std::string out_of_order(std::string const& inner, std::source_location const& at, std::string const& outer)
{
    return "tslab: scope left out of order: \"" + inner + "\" was entered later and is open, entered at " +
           at.file_name() + ":" + std::to_string(at.line()) + " (heap \"h\", epoch \"" + outer + "\")";
}

tslab::allocator* the_heap = nullptr;
void* the_object = nullptr;

/// Makes a heap with an object, whose next growth happens inside an operation, and runs `call` there.
void interrupt_an_allocation(death::notes& note, void (*call)(), std::size_t bytes = 64)
{
    real_calls = tslab::os();
    static tslab::os_calls const calls{real_calls.reserve, map_and_call, commit_and_call, real_calls.purge,
                                       real_calls.release};
    tslab::set_os_calls(&calls);
    tslab::allocator heap{{.name = "h"}};
    the_heap = &heap;
    the_object = heap.malloc(bytes);
    note(the_object);
    during_commit = call;
    while (during_commit != nullptr)
        static_cast<void>(heap.malloc(768));
}

}

BOOST_AUTO_TEST_CASE(the_outer_scope_destroyed_before_the_inner)
{
    auto const at = std::source_location::current();
    TSLAB_ABORTS(out_of_order("inner", at, "outer"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        auto outer = std::make_unique<tslab::epoch_scope>(heap, "outer");
        auto const inner = std::make_unique<tslab::epoch_scope>(heap, "inner", at);
        outer.reset();
    });
}

BOOST_AUTO_TEST_CASE(an_entered_resource_left_out_of_order)
{
    auto const at = std::source_location::current();
    TSLAB_ABORTS(out_of_order("inner", at, "session"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource session{heap, {.label = "session"}};
        auto again = std::make_unique<tslab::epoch_scope>(session);
        auto const inner = std::make_unique<tslab::epoch_scope>(heap, "inner", at);
        again.reset();
    });
}

BOOST_AUTO_TEST_CASE(a_domain_left_out_of_order)
{
    auto const at = std::source_location::current();
    TSLAB_ABORTS(out_of_order("b", at, "a"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_domain a{heap, {.label = "a"}};
        tslab::epoch_domain b{heap, {.label = "b"}};
        a.enter();
        b.enter(at);
        a.exit();
    });
    // Of another heap the label is said; its source places are numbers of that heap.
    TSLAB_ABORTS("tslab: scope left out of order: \"b\" was entered later and is open (heap \"h\", epoch \"a\")",
                 [](death::notes&) {
                     tslab::allocator heap{{.name = "h"}};
                     tslab::allocator other{{.name = "other"}};
                     tslab::epoch_domain a{heap, {.label = "a"}};
                     tslab::epoch_domain b{other, {.label = "b"}};
                     a.enter();
                     b.enter();
                     a.exit();
                 });
}

BOOST_AUTO_TEST_CASE(nested_scopes_in_order_are_no_misuse)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource session{heap, {.label = "session"}};
        tslab::epoch_scope const outer{heap, "outer"};
        tslab::epoch_scope const again{session};
        try {
            tslab::epoch_scope const inner{heap, "inner"};
            tslab::epoch_scope const once_more{session};
            throw std::runtime_error{"unwinds"};
        } catch (std::runtime_error const&) {
        }
        if (tslab::epoch_domain::current() != &session.domain())
            throw std::logic_error{"the unwinding left the wrong scope current"};
    });
}

BOOST_AUTO_TEST_CASE(a_domain_left_twice)
{
    TSLAB_ABORTS("tslab: domain left that was not entered (heap \"h\", epoch \"d\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_domain d{heap, {.label = "d", .auto_close = false}};
        d.enter();
        d.exit();
        d.exit();
    });
}

BOOST_AUTO_TEST_CASE(a_domain_left_that_was_never_entered)
{
    TSLAB_ABORTS("tslab: domain left that was not entered (heap \"h\", epoch \"d\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_domain d{heap, {.label = "d"}};
        d.exit();
    });
}

BOOST_AUTO_TEST_CASE(a_domain_left_on_another_thread)
{
    TSLAB_ABORTS("tslab: domain used on a thread that did not create it (heap \"h\", epoch \"d\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_domain d{heap, {.label = "d"}};
        d.enter();
        std::thread{[&] { d.exit(); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(a_domain_entered_on_another_thread)
{
    TSLAB_ABORTS("tslab: domain used on a thread that did not create it (heap \"h\", epoch \"d\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_domain d{heap, {.label = "d"}};
        std::thread{[&] { d.enter(); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(a_scope_destroyed_on_another_thread)
{
    TSLAB_ABORTS("tslab: domain used on a thread that did not create it (heap \"h\", epoch \"s\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        auto scope = std::make_unique<tslab::epoch_scope>(heap, "s");
        std::thread{[&] { scope.reset(); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(a_scope_over_a_resource_of_another_thread)
{
    TSLAB_ABORTS("tslab: domain used on a thread that did not create it (heap \"h\", epoch \"s\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "s"}};
        std::thread{[&] { tslab::epoch_scope const again{r}; }}.join();
    });
}

BOOST_AUTO_TEST_CASE(a_domain_destroyed_while_entered)
{
    TSLAB_ABORTS("tslab: domain destroyed while entered (heap \"h\", epoch \"d\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_domain d{heap, {.label = "d"}};
        d.enter();
    });
}

BOOST_AUTO_TEST_CASE(a_resource_destroyed_while_entered_again)
{
    TSLAB_ABORTS("tslab: domain destroyed while entered (heap \"h\", epoch \"r\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        std::optional<tslab::epoch_resource> r{std::in_place, heap, tslab::resource_options{.label = "r"}};
        auto const again = std::make_unique<tslab::epoch_scope>(*r);
        r.reset();
    });
}

BOOST_AUTO_TEST_CASE(an_allocation_from_inside_an_allocation)
{
    TSLAB_ABORTS("tslab: call from inside a tslab operation (a signal handler?) (heap \"h\")", [](death::notes& note) {
        interrupt_an_allocation(note, [] { static_cast<void>(the_heap->malloc(64)); });
    });
}

BOOST_AUTO_TEST_CASE(a_large_allocation_from_inside_an_allocation)
{
    TSLAB_ABORTS("tslab: call from inside a tslab operation (a signal handler?) (heap \"h\")", [](death::notes& note) {
        interrupt_an_allocation(note, [] { static_cast<void>(the_heap->malloc(300'000)); });
    });
}

BOOST_AUTO_TEST_CASE(a_free_of_a_large_allocation_from_inside_an_allocation)
{
    TSLAB_ABORTS("tslab: call from inside a tslab operation (a signal handler?) (heap \"h\")", [](death::notes& note) {
        interrupt_an_allocation(note, [] { the_heap->free(the_object); }, 300'000);
    });
}

BOOST_AUTO_TEST_CASE(a_free_from_inside_an_allocation)
{
    TSLAB_ABORTS("tslab: call from inside a tslab operation (a signal handler?) (heap \"h\")",
                 [](death::notes& note) { interrupt_an_allocation(note, [] { the_heap->free(the_object); }); });
}

// A resource's own thread cache announces nothing on its fast path. In what changes its lists, a second call is found.
namespace {

tslab::epoch_resource* the_resource = nullptr;
std::vector<void*> filled;

/// As interrupt_an_allocation, through a resource whose slabs of 64 bytes are all full.
void interrupt_a_resource(death::notes& note, void (*call)())
{
    real_calls = tslab::os();
    static tslab::os_calls const calls{real_calls.reserve, map_and_call, commit_and_call, real_calls.purge,
                                       real_calls.release};
    tslab::set_os_calls(&calls);
    tslab::allocator heap{{.name = "h"}};
    tslab::epoch_resource r{heap, {.label = "r"}};
    the_resource = &r;
    for (std::size_t i = 0; i < 2 * tslab::bins[tslab::class_of(64)].slots; ++i)
        filled.push_back(r.allocate(64));
    note(filled.front());
    during_commit = call;
    while (during_commit != nullptr)
        static_cast<void>(r.allocate(768));
}

}

BOOST_AUTO_TEST_CASE(an_allocation_of_a_resource_from_inside_its_own_slow_path)
{
    TSLAB_ABORTS("tslab: call from inside a tslab operation (a signal handler?) (heap \"h\")", [](death::notes& note) {
        interrupt_a_resource(note, [] { static_cast<void>(the_resource->allocate(64)); });
    });
}

BOOST_AUTO_TEST_CASE(a_free_of_a_resource_from_inside_its_own_slow_path)
{
    TSLAB_ABORTS("tslab: call from inside a tslab operation (a signal handler?) (heap \"h\")", [](death::notes& note) {
        interrupt_a_resource(note, [] { the_resource->deallocate(filled.front(), 64); });
    });
}

// With a handler that returns, nothing is corrupted: every object is there, and all of it comes back.
BOOST_AUTO_TEST_CASE(a_resource_interrupted_by_itself_goes_on_whole)
{
    TSLAB_SURVIVES("", [](death::notes& note) {
        static int reports = 0;
        tslab::set_error_handler(
            [](tslab::misuse_report const& r) { reports += r.kind == tslab::misuse::reentry ? 1 : 100; });
        interrupt_a_resource(note, [] {
            try {
                static_cast<void>(the_resource->allocate(64));
                reports += 1000;
            } catch (std::bad_alloc const&) {
            }
            the_resource->deallocate(filled.front(), 64);
        });
        if (reports != 202)   // resource and heap ended with the others live, and said so
            throw std::logic_error{"reports: " + std::to_string(reports)};
    });
}
