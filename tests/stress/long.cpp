// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Everything at once on one heap, for as long as is asked: --threads N --seconds N --seed N --ring N. Without arguments
// it is short. It prints what it did, one line, and fails on any lost object, foreign contents, or unexpected report.
#define BOOST_TEST_MODULE stress_long
#include "stress_roles.hpp"
#include <boost/test/unit_test.hpp>
import tslab.internal;

namespace {

std::uint32_t ring = 64;

}

BOOST_AUTO_TEST_CASE(everything_at_once)
{
    auto const& suite = boost::unit_test::framework::master_test_suite();
    BOOST_REQUIRE(stress::read_arguments(suite.argc, suite.argv, &ring));
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "long", .epoch_count = ring}};
    stress::bench b{heap};
    auto const narrow = [](stress::random_source& r) { return 513 + stress::below(r, 256); };
    std::vector<std::function<void(stress::random_source&)>> const kinds{
        [&b](stress::random_source& r) { stress::interleave(b, r); },
        [&b](stress::random_source& r) { stress::requests(b, r, 2); },
        [&b](stress::random_source& r) { stress::bulk(b, r); },
        [&b, narrow](stress::random_source& r) { stress::interleave(b, r, narrow); },
        [&b](stress::random_source& r) { stress::requests(b, r); },
        [&b](stress::random_source& r) { stress::late_frees(b, r); },
    };
    std::vector<std::function<void(stress::random_source&)>> roles;
    for (unsigned i = 0; i < stress::given().threads; ++i)
        roles.push_back(kinds[i % kinds.size()]);
    // Beside the workers: what ends epochs, watches, and comes and goes.
    roles.emplace_back([&b](stress::random_source& r) { stress::closer(b, r); });
    roles.emplace_back([&b](stress::random_source& r) { stress::trimmer(b, r); });
    roles.emplace_back([&b](stress::random_source& r) { stress::churn(b, r); });
    roles.emplace_back([&b](stress::random_source& r) {
        while (b.going()) {
            static_cast<void>(r());
            static_cast<void>(b.heap.snapshot());
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    });
    b.run(roles);
    b.free_all_late();
    stress::close_everything(heap);
    tslab::global_stats const g = heap.snapshot().global;
    std::printf(
        "threads %u seconds %g seed %llu: allocations %llu frees %llu live %llu slabs %llu refused %llu scopes %llu "
        "leaks %llu closes %llu short threads %llu bad %llu misuses %llu\n",
        stress::given().threads, stress::given().seconds, static_cast<unsigned long long>(stress::given().seed),
        static_cast<unsigned long long>(g.allocations), static_cast<unsigned long long>(g.frees),
        static_cast<unsigned long long>(g.live_objects), static_cast<unsigned long long>(g.slabs_in_use),
        static_cast<unsigned long long>(b.done.refused.load()), static_cast<unsigned long long>(b.done.scopes.load()),
        static_cast<unsigned long long>(stress::report_watch::count(tslab::misuse::leak)),
        static_cast<unsigned long long>(g.epoch_closes), static_cast<unsigned long long>(b.done.threads.load()),
        static_cast<unsigned long long>(b.done.bad.load()),
        static_cast<unsigned long long>(stress::report_watch::unexpected()));
    BOOST_TEST(stress::wrong_with(heap, &b.done) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}
