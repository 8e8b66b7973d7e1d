// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Scripts of exact.cpp about what is counted by its kind or reason: refusals, misuse, scopes, resources, labels, escapes. Include it
// last: it imports tslab.
#pragma once
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <vector>

#include "exact.hpp"
#include "full_segment.hpp"
#include "os_hook.hpp"
#include "recorder.hpp"

namespace exact {

namespace json = boost::json;
using support::os_hook;
using support::recorder;
using support::worker;
using tslab::misuse;

inline void refusals_are_counted_by_reason()
{
    recorder seen;
    os_hook os;
    tslab::allocator heap{{.name = "refusals", .epoch_count = 2}};
    tslab::epoch_id const gone = heap.current_epoch();
    heap.advance();
    BOOST_TEST(heap.malloc(96, gone) == nullptr);
    BOOST_TEST(heap.malloc(70'000, gone) == nullptr);
    check(json_of(heap), {{"/classes/1/slow_path_epoch_closed", 1},
                          {"/large/slow_path_epoch_closed", 1},
                          {"/total_slow_epoch_closed", 2},
                          {"/total_epoch_advances", 1}});
    tslab::epoch_id const e = heap.current_epoch();
    BOOST_TEST(heap.malloc(std::size_t{1} << 62, e) == nullptr);
    os_hook::fail_commit = true;
    while (heap.malloc(768, e) != nullptr) {
    }
    json::value v = json_of(heap);
    check(v, {{"/large/out_of_memory", 1}, {"/classes/7/out_of_memory", 1}, {"/total_out_of_memory", 2}});
    os_hook::fail_commit = false;
    tslab::handle h;
    BOOST_TEST(heap.allocate(64, e, h) != nullptr);
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    BOOST_TEST((heap.free(h) == tslab::free_result::already_free));
    int local = 0;
    heap.free(&local);
    check(json_of(heap), {{"/total_refused_handles", 1}, {"/misuses/foreign_pointer", 1}, {"/total_misuses", 1}});
    // As if the slot had been used by handle until one generation is left.
    auto const f = tslab::handle_fields::unpack(h);
    tslab::page_heap::generation(f.page, f.slot) = tslab::handle_fields::last_generation - 1;
    BOOST_TEST(heap.allocate(64, e, h) != nullptr);
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    check(json_of(heap), {{"/total_retired_handle_slots", 1}});
}

// That each misuse is found is for the death tests; here, that each kind has a count of its own.
inline void every_kind_of_misuse_has_its_count()
{
    recorder seen;
    tslab::allocator heap{{.name = "misuses"}};
    for (std::size_t k = 0; k < tslab::misuse_count; ++k) {
        auto const kind = static_cast<misuse>(k);
        for (std::size_t i = 0; i <= k; ++i)
            heap.state().misused({.kind = kind, .fatal = false});
        check(json_of(heap), {{"/misuses/" + std::string{tslab::name_of(kind)}, k + 1}});
    }
    check(json_of(heap), {{"/total_misuses", tslab::misuse_count * (tslab::misuse_count + 1) / 2}});
}

inline void scopes_and_resources_are_counted()
{
    recorder seen;
    tslab::allocator heap{{.name = "scopes", .epoch_count = 4}};
    {
        tslab::epoch_scope const a{heap, "GET /a"};
        tslab::epoch_scope const again{*a.resource()};
        json::value const v = json_of(heap);
        check(*epoch_in(v, a.epoch()),
              {{"/refcount", 1}, {"/domain_enters", 2}, {"/domain_exits", 0}, {"/opened_at/line", some}});
        check(v, {{"/total_domain_enters", 2},
                  {"/labels/1/refcount", 1},
                  {"/labels/1/epochs", 1},
                  {"/labels/1/label_id", 1}});
        BOOST_TEST(v.at_pointer("/label_registry/labels/1").as_string() == "GET /a");
        check(v, {{"/label_registry/count", 3}, {"/label_registry/max_labels", 16}});
    }
    check(json_of(heap), {{"/total_domain_enters", 2}, {"/total_domain_exits", 2}, {"/total_epoch_drains", 1}});
    {
        tslab::epoch_resource keep{heap, {.label = "session"}};
        tslab::epoch_scope const entered{keep};
        tslab::epoch_resource count_only{heap, {.deallocate = tslab::deallocate_policy::count_only}};
        void* const p = count_only.allocate(64);
        count_only.deallocate(p, 64);
        static_cast<void>(count_only.allocate(64));
        check(json_of(heap), {{"/total_counted_frees", 1}});
        BOOST_TEST(count_only.release() == 2u);
        check(json_of(heap), {{"/total_released_objects", 2}});
        static_cast<void>(keep.allocate(64));
        {
            tslab::epoch_scope const third{heap, "third"};   // the ring has four slots
            tslab::epoch_scope const shares{heap, "shares"};
            check(json_of(heap), {{"/total_ring_exhausted", 1}, {"/active_epoch_count", 4}});
        }
        // Another thread may not take the claims of a resource that is in use here.
        worker other;
        other([&] { heap.close(keep.epoch()); });
        check(json_of(heap), {{"/total_epoch_close_deferred", 1}});
    }
    check(json_of(heap), {{"/total_leaked_objects", 1}, {"/misuses/leak", 1}});
    for (int i = 0; i < 14; ++i)
        heap.set_label(heap.current_epoch(), "label " + std::to_string(i));
    heap.set_label(heap.current_epoch(), std::string(40, 'x'));
    json::value const v = json_of(heap);
    check(v, {{"/total_labels_in_overflow", some}, {"/total_labels_cut", 1}});
    heap.trim();
}

inline void limits_are_counted()
{
    constexpr std::size_t mib = std::size_t{1} << 20;
    tslab::allocator heap{{.name = "limits", .epoch_count = 3, .limit = 8 * mib}};
    heap.set_limit("GET /join", 4 * mib);
    tslab::epoch_scope const a{heap, {.label = "GET /join", .limit = 2 * mib, .soft_limit = mib}};
    void* const p = a.resource()->allocate(2 * mib);
    BOOST_TEST(heap.malloc(1, a.epoch()) == nullptr);
    tslab::epoch_scope const b{heap, "GET /join"};
    BOOST_TEST(heap.malloc(3 * mib, b.epoch()) == nullptr);
    BOOST_TEST(heap.malloc(7 * mib, heap.current_epoch()) == nullptr);
    tslab::epoch_scope const shares{heap, {.label = "c", .limit = mib}};
    json::value const v = json_of(heap);
    check(v, {{"/total_limit_refusals", 3},
              {"/total_soft_limits", 1},
              {"/total_unlimited_scopes", 1},
              {"/limit_bytes", 8 * mib},
              {"/limit_held_bytes", 2 * mib},
              {"/labels/1/limit_bytes", 4 * mib},
              {"/labels/1/limit_held_bytes", 2 * mib},
              {"/labels/1/limit_refusals", 1}});
    check(*epoch_in(v, a.epoch()), {{"/limit_bytes", 2 * mib}, {"/limit_refusals", 1}});
    a.resource()->deallocate(p, 2 * mib);
}

inline void statistics_without_room_are_counted()
{
    support::full_segment full;
    tslab::allocator heap{{.name = "narrow", .epoch_count = 4}};
    BOOST_REQUIRE(heap.state().published().is_published());
    tslab::epoch_id const e = heap.current_epoch();
    full.fill();
    support::use_up(heap.state().published());
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    for (unsigned i = 0; i < tslab::epoch_stats_page::first_holders + 3; ++i)
        all.push_back(std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{.share_epoch = true}));
    json::value v = json_of(heap);
    check(v, {{"/unlisted_holders", 3}, {"/total_places_missing", 1}, {"/total_unpublished_chunks", some}});
    BOOST_TEST(epoch_in(v, e)->at("unlisted_holders").to_number<int>() == 3);
    all.clear();
    v = json_of(heap);
    check(v, {{"/unlisted_holders", 0}, {"/total_places_missing", 1}, {"/total_unpublished_chunks", some}});
    BOOST_TEST(epoch_in(v, e)->at("unlisted_holders").to_number<int>() == 0);
}

/// Allocates with `depth` further calls on the stack.
[[gnu::noinline]] inline void* allocate_below(tslab::allocator& heap, int depth)
{
    void* const p = depth == 0 ? heap.malloc(64) : allocate_below(heap, depth - 1);
    asm volatile("" ::: "memory");   // no tail call
    return p;
}

/// The profile's entry for an object that was not allocated, below `depth` calls.
[[gnu::noinline]] inline tslab::profiled_site* allocate_site(tslab::allocator& heap, unsigned bin, int depth)
{
    tslab::profiled_site* const site = depth == 0 ? heap.state().profiler().find_site(*heap.state().record(), bin, 0)
                                                  : allocate_site(heap, bin, depth - 1);
    asm volatile("" ::: "memory");
    return site;
}

inline void the_heap_profile_is_counted()
{
    {
        tslab::allocator heap{{.name = "profiled", .profile_interval = 1}};
        for (int i = 0; i < 10; ++i)
            heap.free(allocate_below(heap, 3));
        heap.free(allocate_below(heap, 100));
        check(json_of(heap), {{"/profile_interval_bytes", 1},
                              {"/total_profile_samples", 11},
                              {"/profile_stacks", 2},
                              {"/total_profile_stacks_cut", 1},
                              {"/total_profile_samples_dropped", 0},
                              {"/total_profile_stacks_dropped", 0}});
    }
    support::full_segment full;
    tslab::allocator heap{{.name = "narrow", .profile_interval = 1}};
    heap.free(heap.malloc(64));   // records of the thread are made
    full.fill();
    support::use_up(heap.state().published());
    std::int64_t const before = number_at(json_of(heap), "/total_profile_samples_dropped");
    tslab::profiled_site* site = nullptr;
    for (int depth = 0; depth < 60; ++depth)
        for (unsigned bin = 0; bin < 38; ++bin)
            site = allocate_site(heap, bin, depth);
    BOOST_TEST(site == nullptr);   // the first page is full by now
    json::value const v = json_of(heap);
    check(v, {{"/total_profile_samples_dropped", some}, {"/total_profile_stacks_dropped", some}});
    BOOST_TEST(number_at(v, "/total_profile_samples_dropped") > before);
}

inline void escapes_are_counted_by_label()
{
    tslab::allocator heap{{.name = "escapes"}};
    BOOST_TEST(!tslab::escape_detection());
    std::pmr::memory_resource* const before = std::pmr::get_default_resource();
    tslab::set_escape_detection(true);
    std::pmr::vector<char> outside(100);   // in no scope
    std::optional<std::pmr::vector<char>> kept;
    {
        tslab::epoch_scope const scope{heap, "GET /escape"};
        std::pmr::vector<char> const held(100, scope.resource());
        kept.emplace(1000);   // forgot the resource
        std::pmr::vector<char> const second(24);
    }
    tslab::set_escape_detection(false);
    BOOST_TEST(std::pmr::get_default_resource() == before);
    {
        tslab::epoch_scope const scope{heap, "GET /escape"};
        std::pmr::vector<char> const unseen(24);
    }
    check(json_of(heap), {{"/total_escapes", 2},
                          {"/total_escaped_bytes", 1024},
                          {"/labels/1/escapes", 2},
                          {"/labels/1/escaped_bytes", 1024}});
    kept.reset();   // goes back through the detector, which is no longer the default
}

}
