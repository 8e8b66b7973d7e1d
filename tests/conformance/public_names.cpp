// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Names that no other test takes from `import tslab;` alone.
#include <boost/test/unit_test.hpp>
#include <cstdint>

import tslab;

BOOST_AUTO_TEST_SUITE(public_names)

BOOST_AUTO_TEST_CASE(the_coarse_clock_is_the_fine_one_and_lags_by_ticks)
{
    std::uint64_t const before = tslab::now_ns();
    std::uint64_t const coarse = tslab::now_ns_coarse();
    std::uint64_t const after = tslab::now_ns();
    BOOST_TEST(coarse <= after);
    BOOST_TEST(coarse + 1'000'000'000U >= before);
}

BOOST_AUTO_TEST_SUITE_END()
