// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Tables that grow: source places, and domains inside an epoch. And what finds no room in the segment: it is counted, and told only
// inside the process.
#define BOOST_TEST_MODULE observer_room
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <numeric>
#include <random>
#include <source_location>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "full_segment.hpp"
#include "observed.hpp"

using support::full_segment;

namespace {

/// What a std::source_location of libstdc++ points to.
struct place {
    char const* file;
    char const* function;
    unsigned line;
    unsigned column;

    [[nodiscard]] std::source_location where() const { return std::bit_cast<std::source_location>(this); }
};

/// The epoch of a resource in a snapshot.
tslab::epoch_stats of(tslab::snapshot const& s, tslab::epoch_id e)
{
    auto const found = std::find_if(s.epochs.begin(), s.epochs.end(),
                                    [e](auto const& one) { return one.index == e.index && one.era == e.era; });
    BOOST_REQUIRE(found != s.epochs.end());
    return *found;
}

}

BOOST_AUTO_TEST_CASE(every_source_place_is_told_however_many_there_are)
{
    constexpr unsigned n = 1500;
    std::string const file = std::string(300, 'd') + "/file.cpp";
    std::vector<place> places;
    for (unsigned i = 1; i <= n; ++i)
        places.push_back({file.c_str(), "f", i, 1});
    tslab::allocator heap{{.name = "of many places", .epoch_count = 2048}};
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    for (place const& p : places)
        all.push_back(std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{}, p.where()));
    tslab::observer seen{::getpid()};
    auto const heaps = seen.read();
    BOOST_REQUIRE(heaps.size() == 1U);
    tslab::snapshot const inside = heap.snapshot({.residency = false});
    for (unsigned i = 0; i < n; ++i) {
        tslab::epoch_stats const found = of(heaps[0], all[i]->epoch());
        BOOST_REQUIRE(found.entered_seconds > 0);
        BOOST_REQUIRE(found.opened_at.line == i + 1);
        BOOST_REQUIRE(found.opened_at.function == "f");
        BOOST_REQUIRE(file.ends_with(found.opened_at.file));   // a long name loses its beginning
        BOOST_REQUIRE(found.opened_at.file.ends_with("/file.cpp"));
        BOOST_REQUIRE((of(inside, all[i]->epoch()).opened_at == found.opened_at));
    }
    BOOST_TEST(inside.global.places_missing == 0U);
    tslab::epoch_resource const again{heap, {}, places.front().where()};   // its place is there
    auto const later = seen.read();
    BOOST_TEST(std::count_if(later[0].epochs.begin(), later[0].epochs.end(),
                             [](auto const& e) { return e.opened_at.line == 1; }) == 2);
}

BOOST_AUTO_TEST_CASE(places_that_share_addresses_are_told_apart)
{
    std::string const texts = "xorders.cpp";
    std::vector<place> const places{{texts.c_str(), "f", 11, 1},
                                    {texts.c_str() + 1, "f", 10, 1},   // the sum of address and line is the same
                                    {texts.c_str(), "g", 11, 1},
                                    {texts.c_str(), "f", 12, 1}};
    tslab::allocator heap{{.name = "similar places"}};
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    for (int round = 0; round < 2; ++round)
        for (place const& p : places)
            all.push_back(std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{}, p.where()));
    auto const outside = tslab::observer{::getpid()}.read();
    for (std::size_t i = 0; i < all.size(); ++i) {
        place const& p = places[i % places.size()];
        tslab::source_entry const expected{p.file, p.line, p.function};
        BOOST_TEST((of(outside.at(0), all[i]->epoch()).opened_at == expected), i);
        BOOST_TEST((of(heap.snapshot(), all[i]->epoch()).opened_at == expected), i);
    }
}

// As with a library that is unloaded, and another that is loaded at its addresses.
BOOST_AUTO_TEST_CASE(a_place_is_told_by_the_texts_it_had_when_it_entered)
{
    std::string file = "first.cpp";
    std::string function = "one";
    place const p{file.c_str(), function.c_str(), 7, 1};
    tslab::allocator heap{{.name = "reloaded"}};
    tslab::epoch_resource const before{heap, {}, p.where()};
    std::copy_n("other", 5, file.begin());
    tslab::epoch_resource const after{heap, {}, p.where()};
    std::copy_n("two", 3, function.begin());
    tslab::epoch_resource const last{heap, {}, p.where()};
    std::copy_n("first", 5, file.begin());
    std::copy_n("one", 3, function.begin());
    tslab::epoch_resource const again{heap, {}, p.where()};
    file.assign(file.size(), '?');   // nothing reads these texts any more
    function.assign(function.size(), '?');
    tslab::snapshot const outside = tslab::observer{::getpid()}.read().at(0);
    tslab::snapshot const inside = heap.snapshot();
    for (tslab::snapshot const* const s : {&outside, &inside}) {
        BOOST_TEST((of(*s, before.epoch()).opened_at == tslab::source_entry{"first.cpp", 7, "one"}));
        BOOST_TEST((of(*s, after.epoch()).opened_at == tslab::source_entry{"other.cpp", 7, "one"}));
        BOOST_TEST((of(*s, last.epoch()).opened_at == tslab::source_entry{"other.cpp", 7, "two"}));
        BOOST_TEST((of(*s, again.epoch()).opened_at == tslab::source_entry{"first.cpp", 7, "one"}));
    }
}

BOOST_AUTO_TEST_CASE(the_report_of_a_leak_names_a_place_whose_texts_are_gone)
{
    support::recorder misuse;
    tslab::allocator heap{{.name = "unloaded"}};
    std::string file = "plugin.cpp";
    place const p{file.c_str(), "f", 3, 1};
    {
        tslab::epoch_resource leaky{heap, {}, p.where()};
        static_cast<void>(leaky.allocate(64));
        file.assign(file.size(), '?');
    }
    BOOST_REQUIRE(misuse.count() == 1U);
    BOOST_TEST(misuse.last().file == "plugin.cpp");
    BOOST_TEST(misuse.last().line == 3U);
}

BOOST_AUTO_TEST_CASE(the_oldest_of_any_number_of_domains_is_told)
{
    constexpr unsigned n = 500;
    std::vector<place> places;
    for (unsigned i = 1; i <= n; ++i)
        places.push_back({"share.cpp", "f", i, 1});
    tslab::allocator heap{{.name = "shared"}};
    tslab::epoch_id const e = heap.current_epoch();
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    for (place const& p : places)
        all.push_back(
            std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{.share_epoch = true}, p.where()));
    tslab::observer seen{::getpid()};
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937{7});
    for (std::size_t k = 0; k < n; ++k) {
        all[order[k]].reset();
        if (k % 41 != 0 && k + 5 < n)
            continue;
        auto const oldest = std::find_if(all.begin(), all.end(), [](auto const& r) { return r != nullptr; });
        auto const line = oldest != all.end() ? static_cast<std::uint32_t>(oldest - all.begin()) + 1 : 0;
        for (tslab::epoch_stats const& found :
             {of(heap.snapshot({.residency = false}), e), of(seen.read({.residency = false}).at(0), e)}) {
            BOOST_TEST(found.opened_at.line == line);
            BOOST_TEST((found.entered_seconds > 0) == (line != 0));
            BOOST_TEST(found.unlisted_holders == 0U);
            BOOST_TEST(found.refcount == n - k - 1);
        }
    }
}

BOOST_AUTO_TEST_CASE(domains_that_find_no_room_are_counted)
{
    constexpr unsigned n = 100;
    full_segment full;
    tslab::allocator heap{{.name = "narrow", .epoch_count = 4}};
    BOOST_REQUIRE(heap.state().published().is_published());
    tslab::epoch_id const e = heap.current_epoch();
    place const p{"share.cpp", "f", 1, 1};
    tslab::resource_options const sharing{.share_epoch = true};
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    all.push_back(std::make_unique<tslab::epoch_resource>(heap, sharing, p.where()));   // the place has room
    full.fill();
    support::use_up(heap.state().published());
    while (all.size() < n)
        all.push_back(std::make_unique<tslab::epoch_resource>(heap, sharing, p.where()));
    tslab::observer seen{::getpid()};
    constexpr unsigned listed = tslab::epoch_stats_page::first_holders;
    tslab::snapshot const outside = seen.read().at(0);
    BOOST_TEST(of(outside, e).unlisted_holders == n - listed);
    BOOST_TEST(of(outside, e).refcount == n);
    BOOST_TEST(outside.global.unlisted_holders == n - listed);
    BOOST_TEST(outside.global.unpublished_chunks > 0U);
    BOOST_TEST(tslab::find_leaks(outside, 0).size() == 1U);
    all.erase(all.begin(), all.begin() + listed);
    tslab::epoch_stats const left = of(seen.read().at(0), e);
    BOOST_TEST(left.entered_seconds == 0);   // of those inside no time is known
    BOOST_TEST(tslab::find_leaks(seen.read().at(0), 0).size() == 0U);
    BOOST_TEST(of(heap.snapshot(), e).entered_seconds > 0);   // inside it is
    BOOST_TEST(tslab::find_leaks(heap.snapshot(), 0).size() == 1U);
    all.clear();
    BOOST_TEST(of(seen.read().at(0), e).unlisted_holders == 0U);
    all.push_back(std::make_unique<tslab::epoch_resource>(heap, sharing, p.where()));
    BOOST_TEST(of(seen.read().at(0), e).opened_at.file == "share.cpp");   // it finds the room of an earlier one
    BOOST_TEST(of(seen.read().at(0), e).unlisted_holders == 0U);
}

BOOST_AUTO_TEST_CASE(what_finds_no_room_in_the_segment_is_only_told_inside)
{
    constexpr std::size_t threads = 50;
    full_segment full;
    tslab::allocator heap{{.name = "narrow", .epoch_count = 4}};
    BOOST_REQUIRE(heap.state().published().is_published());
    full.fill();
    std::vector<std::thread> all;
    std::atomic<std::size_t> ready{0};
    std::atomic<bool> done{false};
    for (std::size_t i = 0; i < threads; ++i)
        all.emplace_back([&] {
            heap.free(heap.malloc(64));
            ++ready;
            done.wait(false);
        });
    while (ready != threads)
        std::this_thread::yield();
    tslab::snapshot const inside = heap.snapshot();
    auto const outside = tslab::observer{::getpid()}.read();
    done = true;
    done.notify_all();
    for (std::thread& t : all)
        t.join();
    BOOST_TEST(inside.threads.size() == threads + 1);
    BOOST_TEST(inside.global.allocations == threads);
    BOOST_TEST(inside.global.live_objects == 0U);
    BOOST_REQUIRE(outside.size() == 1U);
    BOOST_TEST(outside[0].threads.size() > 1U);
    BOOST_TEST(outside[0].threads.size() < threads);
    BOOST_TEST(outside[0].global.allocations < threads);
    BOOST_TEST(outside[0].global.live_objects == 0U);
}

BOOST_AUTO_TEST_CASE(quantiles_of_phases_whose_counts_find_no_room_are_not_known_outside)
{
    full_segment full;
    tslab::allocator heap{{.name = "narrow", .epoch_count = 4}};
    BOOST_REQUIRE(heap.state().published().is_published());
    auto const phase = [&heap](std::size_t bytes) {
        tslab::epoch_scope scope{heap, "request"};
        scope.resource()->deallocate(scope.resource()->allocate(bytes), bytes);
    };
    auto const costs = [](tslab::snapshot const& s) {
        BOOST_REQUIRE(s.phase_costs.size() == 1U);
        return s.phase_costs[0];
    };
    tslab::observer seen{::getpid()};
    phase(64);
    BOOST_TEST((costs(seen.read().at(0)).bytes == costs(heap.snapshot()).bytes));   // all has room so far
    full.fill();
    support::use_up(heap.state().published());
    phase(500'000);
    tslab::phase_cost_stats const inside = costs(heap.snapshot());
    tslab::phase_cost_stats const outside = costs(seen.read().at(0));
    BOOST_TEST(inside.bytes.total() == 2U);
    BOOST_TEST(outside.bytes.total() == 0U);   // not 1: the median of that one would be 64 bytes
    BOOST_TEST((outside.objects == inside.objects));
    BOOST_TEST(outside.phases == 2U);
    BOOST_TEST(outside.bytes_sum == inside.bytes_sum);
    BOOST_TEST(outside.bytes_max == inside.bytes_max);
    std::string const text = tslab::to_json(seen.read().at(0));
    BOOST_TEST(text.find(R"("bytes_p50":null)") != std::string::npos, text);
    BOOST_TEST(text.find(R"("objects_p50":1)") != std::string::npos, text);
    BOOST_TEST(costs(tslab::from_json(text)).phases == 2U);
    BOOST_TEST(!outside.bytes.known_quantile(0.5, outside.bytes_max, outside.phases).has_value());
    BOOST_TEST(inside.bytes.known_quantile(0.99, inside.bytes_max, inside.phases).value() == inside.bytes_max);
}

BOOST_AUTO_TEST_CASE(an_epoch_is_told_without_its_place_when_that_finds_no_room)
{
    full_segment full;
    tslab::allocator heap{{.name = "narrow", .epoch_count = 4}};
    BOOST_REQUIRE(heap.state().published().is_published());
    static_cast<void>(heap.advance());   // the record of the next epoch has room
    full.fill();
    support::use_up(heap.state().published());
    tslab::epoch_resource const late{heap, {.label = "late"}};
    tslab::observer seen{::getpid()};
    auto const heaps = seen.read();
    BOOST_REQUIRE(heaps.size() == 1U);
    auto const found =
        std::find_if(heaps[0].epochs.begin(), heaps[0].epochs.end(), [](auto const& e) { return e.label == "late"; });
    BOOST_REQUIRE(found != heaps[0].epochs.end());
    BOOST_TEST(found->entered_seconds > 0);
    BOOST_TEST(found->opened_at.line == 0U);
    BOOST_TEST(heaps[0].global.places_missing == 1U);
    for (tslab::epoch_stats const& e : heap.snapshot().epochs)
        BOOST_TEST((e.opened_at.line != 0U) == (e.label == "late"));   // inside it is known
}
