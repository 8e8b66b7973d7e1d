// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Costs of phases as another process sees them, in a good segment and in ones that somebody wrote over.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "observed.hpp"

using observed::contents;
using observed::process;
using observed::temporary;
using observed::write;

namespace {

void run_phases(tslab::allocator& heap)
{
    for (int i = 0; i < 30; ++i) {
        tslab::epoch_scope scope{heap, "kind " + std::to_string(i % 20)};
        for (std::size_t n = 0; n < static_cast<std::size_t>(i) * 10; ++n)
            scope.resource()->deallocate(scope.resource()->allocate(1 + n), 1 + n);
    }
    std::thread{[&heap] {
        tslab::epoch_scope scope{heap, "kind 3"};
        scope.resource()->deallocate(scope.resource()->allocate(500'000), 500'000);
    }}.join();
}

}

BOOST_AUTO_TEST_CASE(costs_seen_from_outside_are_the_process_s_own)
{
    for (bool const stopped : {false, true}) {
        process other{[](auto say) {
            tslab::allocator heap{{.name = "costs", .cost_labels = 4}};
            run_phases(heap);
            say(tslab::to_json(heap.snapshot()));
            for (;;)
                ::pause();
        }};
        tslab::snapshot own = tslab::from_json(other.line());
        if (stopped)
            other.stop();
        tslab::snapshot seen = tslab::observer{other.pid()}.read().at(0);
        BOOST_TEST(own.phase_costs.size() == 19u);   // 14 names, 4 further ones, other
        BOOST_TEST(own.global.cost_labels_in_overflow == 2u);
        for (auto* const s : {&own, &seen}) {
            auto const large = std::ranges::find(s->phase_costs, "kind 3", &tslab::phase_cost_stats::label);
            BOOST_REQUIRE((large != s->phase_costs.end()));
            BOOST_TEST(large->bytes_max >= 500'000u);
            BOOST_TEST(large->largest_at.file.ends_with("observer_costs.cpp"));
            BOOST_TEST(large->largest_at.function.find("run_phases") != std::string::npos);
        }
        std::uint64_t const apart =
            std::max(own.phase_costs[1].largest_timestamp_ns, seen.phase_costs[1].largest_timestamp_ns) -
            std::min(own.phase_costs[1].largest_timestamp_ns, seen.phase_costs[1].largest_timestamp_ns);
        BOOST_TEST(apart < 1'000'000'000u);
        observed::forget_moment(own);
        observed::forget_moment(seen);
        BOOST_TEST((own.phase_costs == seen.phase_costs));
        BOOST_TEST(own.global.cost_labels_in_overflow == seen.global.cost_labels_in_overflow);
    }
}

BOOST_AUTO_TEST_CASE(hostile_costs_in_a_file_end_in_a_snapshot_or_an_error)
{
    std::string const path = temporary("-costs");
    std::vector<char> good;
    std::uint64_t phases = 0;
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    {
        tslab::allocator heap{{.name = "hostile", .epoch_count = 8, .cost_labels = 4}};
        run_phases(heap);
        good = contents(path);
        for (tslab::phase_cost_stats const& c : heap.snapshot().phase_costs)
            phases += c.phases;
    }
    ::unsetenv("TSLAB_STATS_FILE");
    std::string const copy = path + ".copy";
    auto const look = [&copy](std::vector<char> const& bytes) {
        write(copy, bytes);
        std::uint64_t n = 0;
        try {
            tslab::observer o{copy};
            for (tslab::snapshot const& s : o.read()) {
                for (tslab::phase_cost_stats const& c : s.phase_costs) {
                    n += c.phases;
                    BOOST_TEST(c.label_id < tslab::label_buckets);
                    BOOST_TEST(!c.label.empty());
                }
                static_cast<void>(tslab::from_json(tslab::to_json(s)));
                static_cast<void>(tslab::diagnose(s));
            }
        } catch (tslab::observe_error const&) {
        }
        return n;
    };
    BOOST_TEST(look(good) == phases);

    // Each value that stands for something else: every pointer of the file is set to each of some others, so lists of rows
    // and of names become cyclic, run into each other and leave the file; then numbers become as large as they can be.
    std::vector<std::size_t> words;
    std::vector<std::uint64_t> values;
    for (std::size_t at = 0; at + 8 <= good.size(); at += 8) {
        std::uint64_t v = 0;
        std::memcpy(&v, good.data() + at, 8);
        if (v != 0)
            words.push_back(at);
        if (v >> 40U != 0 && v >> 48U == 0)
            values.push_back(v);
    }
    BOOST_REQUIRE(values.size() > 20u);
    std::mt19937_64 random{3};
    std::size_t const rounds = support::scaled(1500);
    for (std::size_t round = 0; round < rounds; ++round) {
        std::vector<char> bytes = good;
        for (std::size_t changes = 1 + random() % 30; changes > 0; --changes) {
            std::uint64_t const v =
                random() % 3 == 0 ? ~std::uint64_t{0} >> random() % 64 : values[random() % values.size()];
            std::memcpy(bytes.data() + words[random() % words.size()], &v, 8);
        }
        static_cast<void>(look(bytes));
    }
    ::unlink(copy.c_str());
}
