// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Misuse by way of the C interface: the lines that C++ gets, and handlers in C beside handlers in C++.
#define BOOST_TEST_MODULE c_misuse
#include "death.hpp"
#include "recorder.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <tslab/tslab.h>

namespace {

using support::recorder;
using tslab::misuse;

tslab_heap* heap_named(char const* name)
{
    tslab_heap_options o;
    tslab_heap_options_init(&o);
    o.name = name;
    return tslab_heap_create(&o, nullptr);
}

tslab_domain* labelled_domain(tslab_domain& d, tslab_heap* heap, char const* label)
{
    tslab_domain_options const o{.label = label, .keep_open = false};
    return tslab_domain_begin(&d, heap, &o, sizeof o, nullptr);
}

tslab_resource* labelled_resource(tslab_resource& r, tslab_heap* heap, char const* label)
{
    tslab_resource_options const o{.label = label,
                                   .share_epoch = false,
                                   .count_only = false,
                                   .keep_open = false,
                                   .serial = false,
                                   .limit = nullptr};
    return tslab_resource_begin(&r, heap, &o, sizeof o, nullptr);
}

}

BOOST_AUTO_TEST_CASE(the_outer_scope_ended_before_the_inner)
{
    TSLAB_ABORTS(
        "tslab: scope left out of order: \"inner\" was entered later and is open (heap \"h\", epoch \"outer\")",
        [](death::notes&) {
            tslab_heap* const heap = heap_named("h");
            tslab_scope outer, inner;
            tslab_scope_begin(&outer, heap, "outer", nullptr);
            tslab_scope_begin(&inner, heap, "inner", nullptr);
            tslab_scope_end(&outer);
        });
}

BOOST_AUTO_TEST_CASE(a_domain_left_out_of_order_twice_and_never_entered)
{
    TSLAB_ABORTS("tslab: scope left out of order: \"b\" was entered later and is open (heap \"h\", epoch \"a\")",
                 [](death::notes&) {
                     tslab_heap* const heap = heap_named("h");
                     tslab_domain a, b;
                     labelled_domain(a, heap, "a");
                     labelled_domain(b, heap, "b");
                     tslab_domain_enter(&a, nullptr);
                     tslab_domain_enter(&b, nullptr);
                     tslab_domain_exit(&a);
                 });
    TSLAB_ABORTS("tslab: domain left that was not entered (heap \"h\", epoch \"d\")", [](death::notes&) {
        tslab_domain d;
        labelled_domain(d, heap_named("h"), "d");
        tslab_domain_enter(&d, nullptr);
        tslab_domain_exit(&d);
        tslab_domain_exit(&d);
    });
}

BOOST_AUTO_TEST_CASE(domains_and_scopes_on_another_thread)
{
    char const* const line = "tslab: domain used on a thread that did not create it (heap \"h\", epoch \"d\")";
    TSLAB_ABORTS(line, [](death::notes&) {
        tslab_domain d;
        labelled_domain(d, heap_named("h"), "d");
        std::thread{[&] { tslab_domain_enter(&d, nullptr); }}.join();
    });
    TSLAB_ABORTS(line, [](death::notes&) {
        tslab_domain d;
        labelled_domain(d, heap_named("h"), "d");
        tslab_domain_enter(&d, nullptr);
        std::thread{[&] { tslab_domain_exit(&d); }}.join();
    });
    TSLAB_ABORTS(line, [](death::notes&) {
        tslab_scope s;
        tslab_scope_begin(&s, heap_named("h"), "d", nullptr);
        std::thread{[&] { tslab_scope_end(&s); }}.join();
    });
    TSLAB_ABORTS(line, [](death::notes&) {
        tslab_resource r;
        labelled_resource(r, heap_named("h"), "d");
        std::thread{[&] {
            tslab_scope s;
            tslab_scope_begin_in(&s, &r, nullptr);
        }}.join();
    });
    TSLAB_ABORTS(line, [](death::notes&) {
        tslab_resource r;
        labelled_resource(r, heap_named("h"), "d");
        std::thread{[&] { tslab_resource_push(&r); }}.join();
    });
    TSLAB_ABORTS(line, [](death::notes&) {
        tslab_resource r;
        labelled_resource(r, heap_named("h"), "d");
        tslab_resource_push(&r);
        std::thread{[&] { tslab_resource_pop(&r, false); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(an_exit_of_what_a_scope_has_entered_is_one_too_many)
{
    recorder const seen;
    tslab_heap* const heap = heap_named("h");
    tslab_resource r;
    labelled_resource(r, heap, "r");
    tslab_domain* const domain = tslab_resource_domain(&r);
    tslab_scope again;
    tslab_scope_begin_in(&again, &r, nullptr);
    tslab_domain_exit(domain);   // the scope's enter: its end finds that
    BOOST_TEST(seen.count() == 0U);
    tslab_scope_end(&again);
    BOOST_TEST(seen.count(misuse::not_entered) == 1U);
    BOOST_TEST(tslab_domain_depth(domain) == 1U);
    BOOST_TEST(tslab_epoch_is_active(heap, tslab_resource_epoch(&r)));
    tslab_resource_end(&r);
    tslab_heap_destroy(heap);
    BOOST_TEST(seen.count() == 1U);   // the refcount is 0, so the heap has no open scope
}

BOOST_AUTO_TEST_CASE(a_scope_that_ends_on_another_thread_is_in_nobody_s_way)
{
    recorder const seen;
    tslab_heap* const heap = heap_named("h");
    tslab_scope outer;
    tslab_scope gone;
    tslab_scope_begin(&outer, heap, "outer", nullptr);
    tslab_scope_begin(&gone, heap, "gone", nullptr);
    std::thread{[&] { tslab_scope_end(&gone); }}.join();
    std::memset(&gone, 0xee, sizeof gone);
    BOOST_TEST(seen.count(misuse::wrong_thread) == 1U);
    tslab_scope_end(&outer);
    BOOST_TEST(seen.count() == 1U);   // no wrong order: nothing is open inside it
    tslab_heap_destroy(heap);
    BOOST_TEST(seen.count() == 1U);
}

BOOST_AUTO_TEST_CASE(a_domain_and_a_resource_ended_while_entered)
{
    TSLAB_ABORTS("tslab: domain destroyed while entered (heap \"h\", epoch \"d\")", [](death::notes&) {
        tslab_domain d;
        labelled_domain(d, heap_named("h"), "d");
        tslab_domain_enter(&d, nullptr);
        tslab_domain_end(&d);
    });
    TSLAB_ABORTS("tslab: domain destroyed while entered (heap \"h\", epoch \"r\")", [](death::notes&) {
        tslab_resource r;
        labelled_resource(r, heap_named("h"), "r");
        tslab_scope again;
        tslab_scope_begin_in(&again, &r, nullptr);
        tslab_resource_end(&r);
    });
}

BOOST_AUTO_TEST_CASE(pointers_freed_twice_foreign_inside_and_in_the_wrong_heap)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\", class 64)", [](death::notes& note) {
        tslab_heap* const heap = heap_named("h");
        void* const p = tslab_malloc(heap, 64);
        note(p);
        static_cast<void>(tslab_malloc(heap, 64));
        tslab_free(heap, p);
        tslab_free(heap, p);
    });
    TSLAB_ABORTS("tslab: free of foreign pointer {0} (heap \"h\")", [](death::notes& note) {
        int local = 0;
        note(&local);
        tslab_free(heap_named("h"), &local);
    });
    TSLAB_ABORTS("tslab: free of interior pointer {0} (heap \"h\", class 64)", [](death::notes& note) {
        tslab_heap* const heap = heap_named("h");
        char* const p = static_cast<char*>(tslab_malloc(heap, 64)) + 8;
        note(p);
        tslab_free(heap, p);
    });
    TSLAB_ABORTS("tslab: free of {0} in the wrong heap: it belongs to heap \"a\" (heap \"b\")", [](death::notes& note) {
        void* const p = tslab_malloc(heap_named("a"), 64);
        note(p);
        tslab_free(heap_named("b"), p);
    });
    TSLAB_ABORTS("tslab: free of {0} with the wrong size 128 (heap \"h\", epoch \"r\", class 64)",
                 [](death::notes& note) {
                     tslab_resource r;
                     labelled_resource(r, heap_named("h"), "r");
                     void* const p = tslab_resource_allocate(&r, 64, 8);
                     note(p);
                     tslab_resource_deallocate(&r, p, 128, 8);
                 });
}

BOOST_AUTO_TEST_CASE(ends_with_live_objects_and_open_scopes)
{
    recorder seen;
    tslab_heap* const heap = heap_named("h");
    tslab_resource r;
    tslab_place const at{"orders.c", "serve", 77, 0};
    tslab_resource_begin(&r, heap, nullptr, 0, &at);
    BOOST_TEST(tslab_resource_allocate(&r, 64, 8) != nullptr);
    tslab_resource_end(&r);
    BOOST_TEST(seen.count() == 1U);
    BOOST_TEST(seen.count(misuse::leak) == 1U);
    BOOST_TEST(seen.last().file == "orders.c");
    BOOST_TEST(seen.last().line == 77U);
    seen.clear();
    tslab_domain open;
    labelled_domain(open, heap, "open");
    tslab_domain_enter(&open, nullptr);
    tslab_heap_destroy(heap);
    BOOST_TEST(seen.count(misuse::heap_live) == 1U);
    BOOST_TEST(seen.count(misuse::heap_open) == 1U);
    tslab::epoch_domain::current()->forget();
}

namespace {

tslab_misuse_report got{};
std::string got_heap, got_label;
int calls = 0;

void c_handler(tslab_misuse_report const* r)
{
    ++calls;
    got = *r;
    got_heap = std::string{r->heap};
    got_label = std::string{r->epoch_label};
}
void other_c_handler(tslab_misuse_report const*) { calls += 100; }
void cpp_handler(tslab::misuse_report const&) { calls += 10'000; }

void misuse_it(tslab_heap* heap, void* freed)
{
    calls = 0;
    tslab_free(heap, freed);
}

}

BOOST_AUTO_TEST_CASE(a_handler_in_c_gets_every_field)
{
    tslab_heap* const heap = heap_named("a heap");
    tslab_epoch_set_label(heap, tslab_epoch_current(heap), "a label");
    void* const p = tslab_malloc(heap, 100);
    tslab_free(heap, p);
    tslab_error_handler const before = tslab_set_error_handler(&c_handler);
    misuse_it(heap, p);
    tslab_set_error_handler(before);
    BOOST_TEST(calls == 1);
    BOOST_TEST(got.size == sizeof got);
    BOOST_TEST(got.kind == TSLAB_MISUSE_DOUBLE_FREE);
    BOOST_TEST(got.fatal);
    BOOST_TEST(got.address == p);
    BOOST_TEST(got.size_class == 112U);
    BOOST_TEST(got_heap == "a heap");
    tslab_heap_destroy(heap);
}

BOOST_AUTO_TEST_CASE(handlers_of_both_languages_take_turns)
{
    tslab_heap* const heap = heap_named("h");
    void* const p = tslab_malloc(heap, 64);
    tslab_free(heap, p);
    tslab::error_handler const first = tslab::set_error_handler(&cpp_handler);
    tslab_error_handler const of_cpp = tslab_set_error_handler(&c_handler);   // stands for cpp_handler
    BOOST_TEST((of_cpp != nullptr));
    misuse_it(heap, p);
    BOOST_TEST(calls == 1);
    BOOST_TEST((tslab_set_error_handler(&other_c_handler) == &c_handler));
    misuse_it(heap, p);
    BOOST_TEST(calls == 100);
    BOOST_TEST((tslab_set_error_handler(of_cpp) == &other_c_handler));
    misuse_it(heap, p);
    BOOST_TEST(calls == 10'000);
    BOOST_TEST((tslab_set_error_handler(nullptr) != nullptr));
    BOOST_TEST((tslab_set_error_handler(nullptr) == nullptr));   // the default
    tslab::set_error_handler(first);
    tslab_heap_destroy(heap);
}
