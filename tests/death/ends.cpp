// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What is left at the end: a resource with live objects, a heap with live objects or open scopes. Told by default,
// with the place in the program; fatal in strict mode; silent when nothing is left.
#define BOOST_TEST_MODULE death_ends
#include "death.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstring>
#include <optional>
#include <source_location>
#include <string>
#include <thread>
import tslab.internal;

namespace {

using death::must;

std::string leak(std::string const& what, std::source_location const& at, std::string const& label)
{
    return "tslab: leak: resource ended with " + what + ", made at " + at.file_name() + ":" +
           std::to_string(at.line()) + " (heap \"h\", epoch \"" + label + "\")";
}

std::string still_open(std::string const& count, std::string const& made, std::source_location const& at,
                       std::string const& label)
{
    return "tslab: heap destroyed with " + count + " open scopes or resources, " + made + " at " + at.file_name() +
           ":" + std::to_string(at.line()) + " (heap \"h\", epoch \"" + label + "\")";
}

}

BOOST_AUTO_TEST_CASE(a_resource_that_ends_empty_says_nothing)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::allocator heap{{.name = "h", .strict = true}};
        tslab::epoch_resource r{heap, {.label = "r"}};
        r.deallocate(r.allocate(100), 100);
        r.deallocate(r.allocate(100'000), 100'000);
    });
}

// Told, and then everything goes on: the objects keep their contents and may be freed late.
BOOST_AUTO_TEST_CASE(a_leak_is_reported_with_its_place_and_the_memory_stays_valid)
{
    auto const at = std::source_location::current();
    TSLAB_SURVIVES(leak("5 live objects, 75424 bytes", at, "r"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        std::optional<tslab::epoch_resource> r{std::in_place, heap, tslab::resource_options{.label = "r"}, at};
        void* const a = r->allocate(100);
        void* const b = r->allocate(128);
        void* const c = r->allocate(60);
        void* const many_pages = r->allocate(5000);
        void* const large = r->allocate(70'000);
        std::memset(a, 1, 100);
        std::memset(many_pages, 3, 5000);
        std::memset(large, 2, 70'000);
        r.reset();
        must(heap.snapshot().global.leaked_objects == 5, "the leak is not counted");
        must(static_cast<char*>(a)[99] == 1 && static_cast<char*>(many_pages)[4999] == 3 &&
                 static_cast<char*>(large)[69'999] == 2,
             "leaked memory has changed");
        for (void* const p : {a, b, c, many_pages, large})
            heap.free(p);
        must(heap.snapshot().global.live_objects == 0, "the late frees were not carried out");
        must(heap.snapshot().global.closing_epochs == 0, "the epoch has not drained");
    });
}

BOOST_AUTO_TEST_CASE(a_leak_made_on_another_thread_is_seen)
{
    auto const at = std::source_location::current();
    TSLAB_SURVIVES(leak("2 live objects, 1280 bytes", at, "r"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        void* p = nullptr;
        void* q = nullptr;
        {
            tslab::epoch_resource r{heap, {.label = "r"}, at};
            p = r.allocate(768);
            std::thread{[&] { q = r.allocate(512); }}.join();
        }
        heap.free(p);
        heap.free(q);
    });
}

BOOST_AUTO_TEST_CASE(a_leak_of_a_scope)
{
    auto const at = std::source_location::current();
    TSLAB_SURVIVES(leak("1 live objects, 16 bytes", at, "GET /orders"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        void* p = nullptr;
        {
            tslab::epoch_scope const scope{heap, "GET /orders", at};
            p = scope.resource()->allocate(1);
        }
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(a_leak_of_a_resource_that_shares_its_epoch)
{
    auto const at = std::source_location::current();
    TSLAB_SURVIVES(leak("1 live objects, 16 bytes", at, "current"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "current");
        void* const not_its_own = heap.malloc(64);
        void* p = nullptr;
        {
            tslab::epoch_resource r{heap, {.share_epoch = true}, at};
            p = r.allocate(1);
        }
        heap.free(p);
        heap.free(not_its_own);
    });
}

BOOST_AUTO_TEST_CASE(a_leak_aborts_in_strict_mode)
{
    auto const at = std::source_location::current();
    TSLAB_ABORTS(leak("1 live objects, 128 bytes", at, "r"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h", .strict = true}};
        tslab::epoch_resource r{heap, {.label = "r"}, at};
        static_cast<void>(r.allocate(128));
    });
}

BOOST_AUTO_TEST_CASE(a_resource_that_only_counts_does_not_leak)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::allocator heap{{.name = "h", .strict = true}};
        {
            tslab::epoch_resource r{heap, {.label = "r", .deallocate = tslab::deallocate_policy::count_only}};
            for (int i = 0; i < 1000; ++i)
                r.deallocate(r.allocate(100), 100);
            static_cast<void>(r.allocate(100'000));
        }
        must(heap.snapshot().global.live_objects == 0, "objects outlived the resource");
    });
}

BOOST_AUTO_TEST_CASE(a_heap_with_live_objects)
{
    TSLAB_SURVIVES("tslab: heap destroyed with 4 live objects, 112608 bytes (heap \"h\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::handle h;
        static_cast<void>(heap.malloc(128));
        static_cast<void>(heap.allocate(192, heap.current_epoch(), h));
        static_cast<void>(heap.malloc(10'000));
        static_cast<void>(heap.malloc(100'000));
    });
}

BOOST_AUTO_TEST_CASE(a_heap_with_an_open_resource)
{
    auto const at = std::source_location::current();
    TSLAB_SURVIVES(still_open("1", "made", at, "forgotten"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_scope const ended{heap, "ended"};
        static_cast<void>(new tslab::epoch_resource{heap, {.label = "forgotten"}, at});
    });
}

BOOST_AUTO_TEST_CASE(a_heap_with_an_open_resource_and_its_objects)
{
    auto const at = std::source_location::current();
    TSLAB_SURVIVES(still_open("2", "the oldest made", at, "forgotten") +
                       "\ntslab: heap destroyed with 1 live objects, 64 bytes (heap \"h\")",
                   [at](death::notes&) {
                       tslab::allocator heap{{.name = "h"}};
                       auto* const r = new tslab::epoch_resource{heap, {.label = "forgotten"}, at};
                       static_cast<void>(new tslab::epoch_resource{heap, {.label = "forgotten too"}});
                       static_cast<void>(r->allocate(64));
                   });
}

BOOST_AUTO_TEST_CASE(a_strict_heap_with_live_objects_aborts)
{
    TSLAB_ABORTS("tslab: heap destroyed with 1 live objects, 64 bytes (heap \"h\")", [](death::notes&) {
        tslab::allocator heap{{.name = "h", .strict = true}};
        static_cast<void>(heap.malloc(64));
    });
}

BOOST_AUTO_TEST_CASE(a_strict_heap_with_an_open_resource_aborts)
{
    auto const at = std::source_location::current();
    TSLAB_ABORTS(still_open("1", "made", at, "forgotten"), [at](death::notes&) {
        tslab::allocator heap{{.name = "h", .strict = true}};
        static_cast<void>(new tslab::epoch_resource{heap, {.label = "forgotten"}, at});
    });
}
