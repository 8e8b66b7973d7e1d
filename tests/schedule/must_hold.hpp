// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A scenario as a test case. Include it after every other header but scenarios'.
#pragma once
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "scheduler.hpp"

namespace schedule {

/// Explores, says how far, and fails with what is wrong and how to see it again.
inline void must_hold(factory const& make, std::uint64_t runs)
{
    auto const begin = std::chrono::steady_clock::now();
    findings const found = explore(make, runs);
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%s: %llu runs, %llu of them different, %.0f steps each, %.2f s, %.0f runs/s\n",
                boost::unit_test::framework::current_test_case().p_name.get().c_str(),
                static_cast<unsigned long long>(found.runs), static_cast<unsigned long long>(found.different),
                static_cast<double>(found.steps) / static_cast<double>(found.runs), seconds,
                static_cast<double>(found.runs) / seconds);
    std::fflush(stdout);
    BOOST_TEST(!found.failed, found.problem);
    if (found.deadlock) {   // its threads hold locks that the next case would wait for
        std::fprintf(stderr, "%s\n", found.problem.c_str());
        std::_Exit(1);
    }
}

}
