// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the page is given of a snapshot and of a map.
#include "support/scripted_source.hpp"
#include "tslab/serve_duration.hpp"
#include "tslab/serve_frame.hpp"
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>
import tslab;

using namespace tslab::tool;
namespace json = boost::json;

namespace {

std::vector<tslab::snapshot> one(tslab::snapshot s)
{
    std::vector<tslab::snapshot> v;
    v.push_back(std::move(s));
    return v;
}

json::object heap_of(tslab::snapshot const& s, leak_rule const& rule = {})
{
    return json::parse(frame_json(7, one(s), {}, rule)).at("heaps").at(0).as_object();
}

tslab::snapshot with_epoch(tslab::lifecycle state, std::string label)
{
    tslab::snapshot s = support::sample(1);
    tslab::epoch_stats e;
    e.index = 3;
    e.era = 12;
    e.lifecycle = state;
    e.label = std::move(label);
    e.refcount = 1;
    e.enters = 1;
    e.age_seconds = e.entered_seconds = 400;
    e.slab_pages = 2;
    e.live_objects = 5;
    s.epochs.push_back(e);
    return s;
}

}

BOOST_AUTO_TEST_CASE(a_frame_of_a_real_heap_has_its_figures)
{
    tslab::allocator heap{{.name = "real"}};
    tslab::epoch_scope const scope{heap, "GET /"};
    (void)scope.resource()->allocate(100);
    tslab::snapshot const s = heap.snapshot();
    json::object const h = heap_of(s);
    BOOST_TEST(h.at("name").as_string() == "real");
    BOOST_TEST(h.at("live_bytes").to_number<std::uint64_t>() == s.global.live_bytes);
    BOOST_TEST(h.at("counters").at("total_allocations").to_number<int>() == 1);
    BOOST_TEST(h.at("waterfall").at("rss_bytes").to_number<std::uint64_t>() == s.waterfall->rss_bytes);
    bool found = false;
    for (json::value const& e : h.at("epochs").as_array())
        found = found || (e.at("label").as_string() == "GET /" && e.at("leaked").as_bool() == false);
    BOOST_TEST(found);
    scope.resource()->release();
}

BOOST_AUTO_TEST_CASE(an_epoch_entered_long_ago_is_a_leak_unless_its_label_may_last)
{
    auto const s = with_epoch(tslab::lifecycle::active, "<b>\x1b[31m");
    json::object const h = heap_of(s);
    BOOST_TEST(h.at("epochs").at(0).at("leaked").as_bool());
    BOOST_TEST(h.at("epochs").at(0).at("label").as_string() == "<b>?[31m");
    BOOST_TEST(h.at("epochs").at(0).at("held_bytes").to_number<int>() == 8192);
    BOOST_TEST(h.at("leaks").as_array().size() == 1U);
    BOOST_TEST(!heap_of(s, {.seconds = 401}).at("epochs").at(0).at("leaked").as_bool());
    BOOST_TEST(heap_of(s, {.long_lived = {"<b>\x1b[31m"}}).at("leaks").as_array().empty());
}

BOOST_AUTO_TEST_CASE(slots_that_were_never_opened_are_left_out)
{
    BOOST_TEST(heap_of(with_epoch(tslab::lifecycle::idle, "")).at("epochs").as_array().empty());
}

BOOST_AUTO_TEST_CASE(a_sample_without_residency_has_no_waterfall)
{
    BOOST_TEST(!heap_of(support::sample(1)).contains("waterfall"));
}

BOOST_AUTO_TEST_CASE(a_map_keeps_its_runs)
{
    tslab::heap_map m;
    m.name = "orders";
    m.page_size = 4096;
    m.label_names = {"unlabeled", "a\nb"};
    m.runs.push_back({.pages = 2,
                      .use = tslab::page_use::slab,
                      .class_index = 4,
                      .epoch = 5,
                      .era = 6,
                      .label_id = 1,
                      .slots = 8,
                      .live = 7});
    m.runs.push_back({.first_page = 2, .pages = 1, .use = tslab::page_use::free_purged});
    std::vector<tslab::heap_map> all{m};
    json::value const v = json::parse(maps_json(all));
    BOOST_TEST(json::serialize(v.at(0).at("runs")) == "[[0,2,3,4,5,6,1,8,7],[2,1,0,0,0,0,0,0,0]]");
    BOOST_TEST(v.at(0).at("label_names").at(1).as_string() == "a?b");
    BOOST_TEST(v.at(0).at("cut").to_number<int>() == 0);
}

BOOST_AUTO_TEST_CASE(a_map_of_very_many_runs_is_cut_and_says_so)
{
    std::vector<tslab::heap_map> all(1);
    all[0].runs.resize(200'005);
    json::value const v = json::parse(maps_json(all));
    BOOST_TEST(v.at(0).at("runs").as_array().size() == 200'000U);
    BOOST_TEST(v.at(0).at("cut").to_number<int>() == 5);
}

BOOST_AUTO_TEST_CASE(durations_have_a_unit)
{
    using std::chrono::milliseconds;
    BOOST_TEST((parse_duration("500ms") == milliseconds{500}));
    BOOST_TEST((parse_duration("5s") == milliseconds{5'000}));
    BOOST_TEST((parse_duration("5") == milliseconds{5'000}));
    BOOST_TEST((parse_duration("0.5s") == milliseconds{500}));
    BOOST_TEST((parse_duration("2m") == milliseconds{120'000}));
    BOOST_TEST((parse_duration("1h") == milliseconds{3'600'000}));
    for (char const* const text : {"", "s", "0s", "-1s", "5x", "5 s", "99999999999999999999s", "9000000h"})
        BOOST_TEST_CONTEXT(text) { BOOST_TEST(!parse_duration(text)); }
}
