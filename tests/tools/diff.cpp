// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab diff over saved snapshots: what it prints, and what it ends with.
#define BOOST_TEST_MODULE diff
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "saved.hpp"
#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace json = boost::json;
using namespace saved;
using support::answer;
using support::file;
using support::tool;
using tslab::snapshot;
using tslab::to_json;

BOOST_AUTO_TEST_CASE(diff_fails_on_a_regression_only_when_told_to)
{
    snapshot a = quiet();
    a.global.allocations = 100'000;
    a.global.slow_path_hits = 1'000;
    auto const code = [&](std::function<void(snapshot&)> const& change, std::vector<std::string> more = {}) {
        snapshot b = a;
        change(b);
        file const before{to_json(a)}, after{to_json(b)};
        std::vector<std::string> words{"diff", before.path(), after.path(), "--fail-on", "regression"};
        words.insert(words.end(), more.begin(), more.end());
        answer const failing = tool(words);
        words[4] = "never";
        BOOST_TEST(tool(words).code == 0);
        BOOST_TEST(contains(failing.out, failing.code == 1 ? "WORSE" : "no regression"));
        return failing.code;
    };
    BOOST_TEST(code([](snapshot&) {}) == 0);
    BOOST_TEST(code([](snapshot& b) { b.global.slow_path_hits = 1'090; }) == 0);
    BOOST_TEST(code([](snapshot& b) { b.global.slow_path_hits = 1'110; }) == 1);
    BOOST_TEST(code([](snapshot& b) { b.global.slow_path_hits = 1'110; }, {"--max-slow-path-growth", "20%"}) == 0);
    BOOST_TEST(code([](snapshot& b) { b.global.slow_path_hits = 1'110; }, {"--min-allocations", "200000"}) == 0);
    BOOST_TEST(code([](snapshot& b) { b.global.madvise_failures = 1; }) == 1);
    BOOST_TEST(code([](snapshot& b) { b.global.madvise_failures = 1; }, {"--max-madvise-failures", "1"}) == 0);
    BOOST_TEST(code([](snapshot& b) { b.global.leaked_objects = 1; }) == 1);
    BOOST_TEST(code([](snapshot& b) { b.global.live_bytes *= 3; }) == 0);
    BOOST_TEST(code([](snapshot& b) { b.global.live_bytes *= 3; }, {"--max-live-growth", "50%"}) == 1);
    BOOST_TEST(code([](snapshot& b) { b.global.rss_bytes *= 3; }, {"--max-rss-growth", "50"}) == 1);
    BOOST_TEST(tool({"diff", "/nowhere", "/nowhere"}).code == 3);
    BOOST_TEST(tool({"diff", "/nowhere"}).code == 2);
}

BOOST_AUTO_TEST_CASE(diff_of_one_run_judges_what_happened_in_between)
{
    snapshot a = quiet();
    a.global.allocations = 10'000;
    a.global.slow_path_hits = 1'000;
    snapshot b = a;                        // 10 % before; 20 % since, although 11.7 % in all
    b.timestamp_ns -= 3'600'000'000'000;   // the clock was set back meanwhile
    b.monotonic_ns += 1'000'000'000;
    b.global.allocations += 2'000;
    b.global.slow_path_hits += 400;
    file const before{to_json(a)}, after{to_json(b)};
    answer const d = tool({"diff", before.path(), after.path(), "--json", "--fail-on", "regression"});
    BOOST_TEST(d.code == 1);
    auto const first = objects(d.out).at(0);
    BOOST_TEST(first.at("same_run").as_bool());
    BOOST_TEST(first.at("changes").at(0).at("name").as_string() == "slow_path_rate");
    BOOST_TEST(first.at("changes").at(0).at("after").to_number<double>() == 0.2);
}

BOOST_AUTO_TEST_CASE(diff_says_what_only_one_side_has)
{
    snapshot a = quiet();
    a.classes[1].allocations = a.classes[2].allocations = 1;
    snapshot b = a;
    auto const diff = [&](char const* fail_on, std::string const& before, std::string const& after) {
        file const one{before}, two{after};
        return tool({"diff", one.path(), two.path(), "--json", "--fail-on", fail_on});
    };
    auto const codes = [&](std::string const& before, std::string const& after) {
        return std::vector<int>{diff("never", before, after).code, diff("regression", before, after).code,
                                diff("gone", before, after).code, diff("change", before, after).code};
    };
    using list = std::vector<std::string>;
    auto const names = [&](char const* key, std::string const& before, std::string const& after) {
        list all;
        for (json::object const& heap : objects(diff("never", before, after).out))
            for (json::value const& one : heap.at(key).as_array())
                all.push_back(std::string{one.at("kind").as_string()} + ": " + std::string{one.at("name").as_string()});
        return all;
    };
    auto const check = [&](list const& expected) {
        std::string const before = to_json(a), after = to_json(b);
        BOOST_TEST(names("gone", before, after) == expected, boost::test_tools::per_element());
        BOOST_TEST(names("new", before, after).empty());
        BOOST_TEST((codes(before, after) == std::vector<int>{0, 0, 1, 1}));
        BOOST_TEST(names("new", after, before) == expected, boost::test_tools::per_element());
        BOOST_TEST(names("gone", after, before).empty());
        BOOST_TEST((codes(after, before) == std::vector<int>{0, 0, 0, 1}));
        file const one{before}, two{after};
        BOOST_TEST(contains(tool({"diff", one.path(), two.path()}).out, "gone " + expected[0]));
        BOOST_TEST(contains(tool({"diff", two.path(), one.path()}).out, "new " + expected[0]));
    };
    BOOST_TEST((codes(to_json(a), to_json(a)) == std::vector<int>{0, 0, 0, 0}));
    std::string const size = std::to_string(a.classes[1].object_size) + " bytes";
    b.classes[1].allocations = 0;
    check({"class: " + size});
    b = a;
    std::erase_if(b.labels, [](auto const& l) { return l.name == "orders"; });
    check({"label: orders"});
    b = a;
    for (tslab::epoch_stats& e : b.epochs)
        if (e.label == "orders")
            e.lifecycle = tslab::lifecycle::drained;
    check({"epoch: open, label orders"});   // two runs: by the label
    b = a;
    b.live_known = false;
    b.global.live_bytes = 0;
    check({"figure: live objects"});
    b = a;
    // One run: each epoch by itself.
    b.monotonic_ns += 1;
    tslab::epoch_stats& orders = *std::ranges::find(b.epochs, std::string{"orders"}, &tslab::epoch_stats::label);
    std::string const named = std::to_string(orders.index) + ", era " + std::to_string(orders.era) + ", label orders";
    orders.era += 1;
    BOOST_TEST(names("gone", to_json(a), to_json(b)) == list{"epoch: " + named}, boost::test_tools::per_element());
    BOOST_TEST(names("new", to_json(a), to_json(b)).size() == 1U);
    // Heaps.
    b = a;
    b.name = "second";
    std::string const both = to_json(a) + "\n" + to_json(b) + "\n";
    BOOST_TEST(names("gone", both, to_json(a)) == list{"heap: second"}, boost::test_tools::per_element());
    BOOST_TEST((codes(both, to_json(a)) == std::vector<int>{0, 0, 1, 1}));
    BOOST_TEST(names("new", to_json(a), both) == list{"heap: second"}, boost::test_tools::per_element());
    BOOST_TEST((codes(to_json(a), both) == std::vector<int>{0, 0, 0, 1}));
    file const one{to_json(a)}, renamed{to_json(b)};
    BOOST_TEST(contains(tool({"diff", one.path(), renamed.path()}).out, "compared with heap \"quiet\""));
}
