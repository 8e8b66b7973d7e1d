// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Bad arguments of the C interface: null, and storage that was not begun, has ended, or was copied. Every function that takes a
// pointer reports it, once, by its own name, has no effect, and returns null, 0 or false.
#define BOOST_TEST_MODULE c_arguments
#include "death.hpp"
#include "recorder.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <tslab/tslab.h>
#include <vector>

namespace {

using support::recorder;
using tslab::misuse;

struct call {
    char const* name;
    bool (*returns_nothing)(tslab_heap*);   // calls it; the heap is for those that need one beside the bad argument
};

#define TSLAB_NOTHING(function, ...)                                                                                   \
    call                                                                                                               \
    {                                                                                                                  \
        #function, [](tslab_heap* heap) -> bool {                                                                      \
            (void)heap;                                                                                                \
            return !(function(__VA_ARGS__));                                                                           \
        }                                                                                                              \
    }
#define TSLAB_INVALID_FROM(function, ...)                                                                              \
    call                                                                                                               \
    {                                                                                                                  \
        #function, [](tslab_heap*) -> bool { return function(__VA_ARGS__) == TSLAB_INVALID; }                          \
    }
#define TSLAB_VOID(function, ...)                                                                                      \
    call                                                                                                               \
    {                                                                                                                  \
        #function, [](tslab_heap* heap) -> bool {                                                                      \
            (void)heap;                                                                                                \
            function(__VA_ARGS__);                                                                                     \
            return true;                                                                                               \
        }                                                                                                              \
    }
#define TSLAB_NO_EPOCH(function, ...)                                                                                  \
    call                                                                                                               \
    {                                                                                                                  \
        #function, [](tslab_heap*) -> bool { return function(__VA_ARGS__).era == 0; }                                  \
    }

tslab_domain a_domain;
tslab_resource a_resource;
tslab_scope a_scope;
tslab_hold a_hold;
tslab_epoch an_epoch;
char buffer[8];
constexpr tslab_epoch no_epoch{};

std::vector<call> const calls_with_null{
    TSLAB_VOID(tslab_heap_options_init, nullptr),
    TSLAB_VOID(tslab_heap_set_front, nullptr, nullptr),
    TSLAB_NOTHING(tslab_heap_front, nullptr),
    TSLAB_NOTHING(tslab_heap_epoch_count, nullptr),
    TSLAB_NOTHING(*tslab_heap_name, nullptr),
    TSLAB_NO_EPOCH(tslab_epoch_current, nullptr),
    TSLAB_NO_EPOCH(tslab_epoch_advance, nullptr),
    TSLAB_NOTHING(tslab_epoch_open, nullptr, "x", &an_epoch),
    TSLAB_NOTHING(tslab_epoch_open, heap, "x", nullptr),
    TSLAB_NOTHING(tslab_epoch_refcount, nullptr, no_epoch),
    TSLAB_NOTHING(tslab_epoch_hold, nullptr, no_epoch, &a_hold, nullptr),
    TSLAB_NOTHING(tslab_epoch_hold, heap, no_epoch, nullptr, nullptr),
    TSLAB_VOID(tslab_epoch_release, nullptr, &a_hold, true),
    TSLAB_VOID(tslab_epoch_release, heap, nullptr, true),
    TSLAB_VOID(tslab_size_class_of, 8, true, nullptr, 0),
    TSLAB_VOID(tslab_domain_set_context, nullptr, buffer),
    TSLAB_NOTHING(tslab_epoch_close, nullptr, no_epoch, nullptr, 0),
    TSLAB_NOTHING(tslab_epoch_trim, nullptr, no_epoch, nullptr, 0),
    TSLAB_VOID(tslab_heap_trim, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_epoch_set_label, nullptr, no_epoch, "x"),
    TSLAB_INVALID_FROM(tslab_epoch_set_limit, nullptr, no_epoch, 8),
    TSLAB_INVALID_FROM(tslab_set_limit, nullptr, "x", 8),
    TSLAB_NOTHING(tslab_epoch_is_active, nullptr, no_epoch),
    TSLAB_NOTHING(tslab_malloc, nullptr, 8),
    TSLAB_NOTHING(tslab_malloc_in, nullptr, 8, no_epoch),
    TSLAB_NOTHING(tslab_aligned_malloc_in, nullptr, 8, 8, no_epoch, nullptr),
    TSLAB_VOID(tslab_free, nullptr, buffer),
    TSLAB_NOTHING(tslab_allocate, nullptr, 8, no_epoch, nullptr),
    TSLAB_NOTHING(tslab_allocate, heap, 8, tslab_epoch_current(heap), nullptr),
    TSLAB_NOTHING(tslab_domain_begin, nullptr, heap, nullptr, 0, nullptr),
    TSLAB_NOTHING(tslab_domain_begin, &a_domain, nullptr, nullptr, 0, nullptr),
    TSLAB_NOTHING(tslab_domain_wrap, nullptr, heap, no_epoch, nullptr, 0),
    TSLAB_NOTHING(tslab_domain_wrap, &a_domain, nullptr, no_epoch, nullptr, 0),
    TSLAB_VOID(tslab_domain_end, nullptr),
    TSLAB_NOTHING(tslab_domain_enter, nullptr, nullptr),
    TSLAB_VOID(tslab_domain_exit, nullptr),
    TSLAB_NOTHING(tslab_domain_force_close, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_domain_heap, nullptr),
    TSLAB_NO_EPOCH(tslab_domain_epoch, nullptr),
    TSLAB_NOTHING(tslab_domain_depth, nullptr),
    TSLAB_NOTHING(tslab_domain_closes_epoch, nullptr),
    TSLAB_NOTHING(tslab_domain_shares_epoch, nullptr),
    TSLAB_NOTHING(tslab_resource_begin, nullptr, heap, nullptr, 0, nullptr),
    TSLAB_NOTHING(tslab_resource_begin, &a_resource, nullptr, nullptr, 0, nullptr),
    TSLAB_VOID(tslab_resource_end, nullptr),
    TSLAB_NOTHING(tslab_resource_allocate, nullptr, 8, 8),
    TSLAB_VOID(tslab_resource_deallocate, nullptr, buffer, 8, 8),
    TSLAB_NOTHING(tslab_resource_release, nullptr),
    TSLAB_NOTHING(tslab_resource_pmr, nullptr),
    TSLAB_NOTHING(tslab_resource_domain, nullptr),
    TSLAB_NOTHING(tslab_resource_heap, nullptr),
    TSLAB_NO_EPOCH(tslab_resource_epoch, nullptr),
    TSLAB_NOTHING(tslab_resource_push, nullptr),
    TSLAB_NOTHING(tslab_resource_pop, nullptr, true),
    TSLAB_NOTHING(tslab_scope_begin, nullptr, heap, "x", nullptr),
    TSLAB_NOTHING(tslab_scope_begin, &a_scope, nullptr, "x", nullptr),
    TSLAB_NOTHING(tslab_scope_begin_in, nullptr, &a_resource, nullptr),
    TSLAB_NOTHING(tslab_scope_begin_in, &a_scope, nullptr, nullptr),
    TSLAB_VOID(tslab_scope_end, nullptr),
    TSLAB_NOTHING(tslab_scope_resource, nullptr),
    TSLAB_NOTHING(tslab_snapshot_take, nullptr, false),
    TSLAB_NOTHING(tslab_snapshot_about, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_global, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_last_close, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_waterfall, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_classes, nullptr),
    TSLAB_NOTHING(tslab_snapshot_class, nullptr, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_epochs, nullptr),
    TSLAB_NOTHING(tslab_snapshot_epoch, nullptr, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_labels, nullptr),
    TSLAB_NOTHING(tslab_snapshot_label, nullptr, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_threads, nullptr),
    TSLAB_NOTHING(tslab_snapshot_thread, nullptr, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_misuses, nullptr, TSLAB_MISUSE_LEAK),
    TSLAB_NOTHING(tslab_snapshot_json, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_write_json, nullptr, nullptr, nullptr),
    TSLAB_NOTHING(tslab_snapshot_epoch_classes, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_epoch_class, nullptr, 0, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_class_label, nullptr, 0, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_class_lock_timing, nullptr, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_lock_timing, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_lock_histograms, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_label_last_close, nullptr, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_sampling, nullptr, nullptr, 0),
    TSLAB_NOTHING(tslab_snapshot_thread_sampling, nullptr, 0, nullptr, 0),
    TSLAB_NOTHING(tslab_histogram_quantile, nullptr, 0.5),
    TSLAB_VOID(tslab_this_thread_sampling, nullptr, 0),
    TSLAB_NOTHING(tslab_find_leaks, nullptr, 0, nullptr, nullptr),
    TSLAB_NOTHING(tslab_heap_stats, nullptr, nullptr, 0),
    TSLAB_VOID(tslab_heap_set_sampling, nullptr, true),
    TSLAB_NOTHING(tslab_heap_sampling, nullptr),
    TSLAB_NOTHING(tslab_format_report, nullptr, buffer, sizeof buffer),
};

struct heap_of_c {
    tslab_heap* c = tslab_heap_create(nullptr, nullptr);
    heap_of_c() { BOOST_REQUIRE(c != nullptr); }
    ~heap_of_c() { tslab_heap_destroy(c); }
    heap_of_c(heap_of_c const&) = delete;
    heap_of_c& operator=(heap_of_c const&) = delete;
};

/// The one bad argument that was reported; its text. Empty if there was none, or something else too.
std::string reported(recorder& seen)
{
    std::string const text = seen.count() == 1 && seen.count(misuse::bad_argument) == 1 ? seen.last().other : "";
    seen.clear();
    return text;
}

}

BOOST_AUTO_TEST_CASE(null_is_reported_by_every_function_that_needs_an_object)
{
    heap_of_c const heap;
    recorder seen;
    for (call const& one : calls_with_null) {
        BOOST_TEST_CONTEXT(one.name)
        {
            BOOST_TEST(one.returns_nothing(heap.c));
            std::string const name = one.name[0] == '*' ? one.name + 1 : one.name;
            BOOST_TEST(reported(seen).substr(0, name.size()) == name);
        }
    }
}

BOOST_AUTO_TEST_CASE(null_for_a_handles_heap_is_reported_and_the_handle_is_foreign)
{
    recorder seen;
    BOOST_TEST(tslab_free_handle(nullptr, 77) == TSLAB_FREE_FOREIGN);
    BOOST_TEST(reported(seen) == "tslab_free_handle: the heap is null");
}

BOOST_AUTO_TEST_CASE(null_buffers_and_functions_are_reported)
{
    heap_of_c const heap;
    recorder seen;
    tslab_snapshot* const s = tslab_snapshot_take(heap.c, false);
    BOOST_TEST(tslab_snapshot_json(s, nullptr, 10) == 0U);
    BOOST_TEST(reported(seen) == "tslab_snapshot_json: the buffer is null");
    BOOST_TEST(!tslab_snapshot_write_json(s, nullptr, nullptr));
    BOOST_TEST(reported(seen) == "tslab_snapshot_write_json: the function is null");
    tslab_misuse_report const r{};
    BOOST_TEST(tslab_format_report(&r, nullptr, 10) == 0U);
    BOOST_TEST(reported(seen) == "tslab_format_report: the buffer is null");
    tslab_snapshot_free(s);
}

BOOST_AUTO_TEST_CASE(a_heap_that_is_known_counts_the_bad_argument)
{
    heap_of_c const heap;
    recorder const seen;
    BOOST_TEST(tslab_allocate(heap.c, 8, tslab_epoch_current(heap.c), nullptr) == nullptr);
    BOOST_TEST(seen.last().heap == "tslab");
    tslab_snapshot* const s = tslab_snapshot_take(heap.c, false);
    BOOST_TEST(tslab_snapshot_misuses(s, TSLAB_MISUSE_BAD_ARGUMENT) == 1U);
    tslab_snapshot_free(s);
}

BOOST_AUTO_TEST_CASE(storage_that_ended_is_reported)
{
    heap_of_c const heap;
    recorder seen;
    tslab_domain d;
    tslab_domain_begin(&d, heap.c, nullptr, 0, nullptr);
    tslab_domain_end(&d);
    BOOST_TEST(reported(seen).empty());
    tslab_domain_end(&d);
    BOOST_TEST(reported(seen) == "tslab_domain_end: the domain was not begun, or has ended");
    BOOST_TEST(!tslab_domain_enter(&d, nullptr));
    BOOST_TEST(reported(seen) == "tslab_domain_enter: the domain is null or has ended");

    tslab_resource r;
    tslab_resource_begin(&r, heap.c, nullptr, 0, nullptr);
    tslab_resource_end(&r);
    tslab_resource_end(&r);
    BOOST_TEST(reported(seen) == "tslab_resource_end: the resource is null, was not begun, or has ended");
    BOOST_TEST(tslab_resource_allocate(&r, 8, 8) == nullptr);
    BOOST_TEST(reported(seen) == "tslab_resource_allocate: the resource is null, was not begun, or has ended");

    tslab_scope s;
    tslab_scope_begin(&s, heap.c, "x", nullptr);
    tslab_scope_end(&s);
    tslab_scope_end(&s);
    BOOST_TEST(reported(seen) == "tslab_scope_end: the scope is null, was not begun, or has ended");
}

BOOST_AUTO_TEST_CASE(a_context_is_for_domains_that_the_caller_is_inside)
{
    heap_of_c const heap;
    recorder seen;
    tslab_domain d;
    tslab_domain_begin(&d, heap.c, nullptr, 0, nullptr);
    tslab_domain_set_context(&d, &d);
    char const* const line = "tslab_domain_set_context: the domain is not entered, or is not the caller's";
    BOOST_TEST(reported(seen) == line);
    tslab_domain_enter(&d, nullptr);
    BOOST_TEST(tslab_domain_current_context() == nullptr);
    tslab_domain_set_context(&d, &d);
    BOOST_TEST(tslab_domain_current_context() == &d);
    tslab_domain_exit(&d);
    BOOST_TEST(reported(seen).empty());
    tslab_domain_end(&d);
    tslab_domain_set_context(&d, &d);
    BOOST_TEST(reported(seen) == "tslab_domain_set_context: the domain is null or has ended");
}

BOOST_AUTO_TEST_CASE(a_hold_is_released_once_and_in_its_own_heap)
{
    heap_of_c const heap;
    heap_of_c const other;
    recorder seen;
    tslab_epoch const e = tslab_epoch_current(heap.c);
    tslab_hold hold;
    BOOST_TEST(tslab_epoch_hold(heap.c, e, &hold, nullptr));
    tslab_hold wrong = hold;
    tslab_epoch_release(other.c, &wrong, false);
    BOOST_TEST(reported(seen) == "tslab_epoch_release: the hold is of another heap");
    BOOST_TEST(tslab_epoch_refcount(heap.c, e) == 1U);
    tslab_epoch_release(heap.c, &hold, false);
    tslab_epoch_release(heap.c, &hold, false);
    BOOST_TEST(tslab_epoch_refcount(heap.c, e) == 0U);
    BOOST_TEST(reported(seen).empty());
}

BOOST_AUTO_TEST_CASE(storage_that_was_copied_is_reported_and_the_original_goes_on)
{
    heap_of_c const heap;
    recorder seen;
    tslab_scope s;
    tslab_scope_begin(&s, heap.c, "x", nullptr);
    tslab_scope copy;
    std::memcpy(&copy, &s, sizeof s);
    BOOST_TEST(tslab_scope_resource(&copy) == nullptr);
    BOOST_TEST(reported(seen) == "tslab_scope_resource: the scope is null, was not begun, or has ended");
    BOOST_TEST(tslab_resource_allocate(&copy.own, 8, 8) == nullptr);
    BOOST_TEST(reported(seen) == "tslab_resource_allocate: the resource is null, was not begun, or has ended");
    tslab_scope_end(&s);
    BOOST_TEST(reported(seen).empty());
}

BOOST_AUTO_TEST_CASE(options_of_a_newer_header_are_refused)
{
    heap_of_c const heap;
    recorder seen;
    struct {
        tslab_resource_options known{};
        std::uint64_t unknown = 1;
    } newer;
    tslab_resource r;
    BOOST_TEST(tslab_resource_begin(&r, heap.c, &newer.known, sizeof newer, nullptr) == nullptr);
    BOOST_TEST(reported(seen) == "tslab_resource_begin: more options than the library knows");
    tslab_scope s;
    BOOST_TEST(tslab_scope_begin_with(&s, heap.c, &newer.known, sizeof newer, nullptr) == nullptr);
    BOOST_TEST(reported(seen) == "tslab_resource_begin: more options than the library knows");
    tslab_domain d;
    BOOST_TEST(tslab_domain_begin(&d, heap.c, reinterpret_cast<tslab_domain_options*>(&newer), sizeof newer + 64,
                                  nullptr) == nullptr);
    BOOST_TEST(reported(seen).substr(0, 18) == "tslab_domain_begin");
    tslab_failure why;
    struct {
        tslab_heap_options known{};
        std::uint64_t unknown = 1;
    } newer_heap;
    tslab_heap_options_init(&newer_heap.known);
    BOOST_TEST(tslab_heap_create_abi(TSLAB_ABI, "9.8.7", &newer_heap.known, sizeof newer_heap, &why) == nullptr);
    BOOST_TEST(why.status == TSLAB_ABI_MISMATCH);
    BOOST_TEST(std::string{why.text} ==
               "headers of tslab 9.8.7 have more options than the library, tslab " TSLAB_VERSION ", knows");
}

BOOST_AUTO_TEST_CASE(options_of_an_older_header_get_the_defaults_of_what_they_lack)
{
    tslab_heap_options o;
    tslab_heap_options_init(&o);
    o.name = "old";
    tslab_heap* const heap =
        tslab_heap_create_abi(TSLAB_ABI, "0.0.1", &o, offsetof(tslab_heap_options, epoch_count), nullptr);
    BOOST_REQUIRE(heap != nullptr);
    BOOST_TEST(std::string{tslab_heap_name(heap)} == "old");
    BOOST_TEST(tslab_heap_epoch_count(heap) == 256U);
    tslab_heap_destroy(heap);
}

BOOST_AUTO_TEST_CASE(another_abi_is_refused_at_the_first_call_with_both_versions_named)
{
    TSLAB_SURVIVES(
        "tslab: the program was compiled with headers of tslab 7.6.5, ABI 42, but the library is tslab " TSLAB_VERSION
        ", ABI 0",
        [](death::notes&) {
            tslab_failure why;
            death::must(tslab_heap_create_abi(42, "7.6.5", nullptr, 0, &why) == nullptr, "no heap");
            death::must(why.status == TSLAB_ABI_MISMATCH, "its status");
            death::must(std::string{why.text} == "the program was compiled with headers of tslab 7.6.5, ABI 42, but "
                                                 "the library is tslab " TSLAB_VERSION ", ABI 0",
                        "its text");
            death::must(tslab_heap_create_abi(42, nullptr, nullptr, 0, nullptr) == nullptr, "printed once");
            death::must(tslab_set_error_handler_abi(43, "7.6.5", nullptr) == nullptr, "no handler");
        });
}

BOOST_AUTO_TEST_CASE(the_default_handler_prints_a_bad_argument_and_aborts)
{
    TSLAB_ABORTS("tslab: bad argument: tslab_malloc: the heap is null",
                 [](death::notes&) { static_cast<void>(tslab_malloc(nullptr, 8)); });
    TSLAB_ABORTS("tslab: bad argument: tslab_scope_end: the scope is null, was not begun, or has ended",
                 [](death::notes&) {
                     tslab_scope s{};
                     tslab_scope_end(&s);
                 });
}
