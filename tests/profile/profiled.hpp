// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the heap profile share: sums over the stacks of one label and size. Include it last: it imports tslab.
#pragma once
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "recorder.hpp"

namespace profiled {

inline constexpr std::uint64_t any_size = ~std::uint64_t{0};

/// The sums of all stacks of a label with slots of that size.
inline tslab::profiled_stack sum_of(tslab::heap_profile const& p, std::string_view label,
                                    std::uint64_t slot_bytes = any_size)
{
    tslab::profiled_stack all{.label = std::string{label}, .slot_bytes = slot_bytes};
    for (tslab::profiled_stack const& s : p.stacks)
        if (s.label == label && (slot_bytes == any_size || s.slot_bytes == slot_bytes)) {
            all.live_objects += s.live_objects;
            all.live_bytes += s.live_bytes;
            all.allocated_objects += s.allocated_objects;
            all.allocated_bytes += s.allocated_bytes;
            all.live_samples += s.live_samples;
            all.samples += s.samples;
        }
    return all;
}

/// While it lives, the distances of heaps made by this thread repeat themselves.
class seeded {
public:
    explicit seeded(std::uint64_t seed)
    {
        BOOST_TEST_MESSAGE("TSLAB_PROFILE_SEED=" << seed);
        ::setenv("TSLAB_PROFILE_SEED", std::to_string(seed).c_str(), 1);
    }
    ~seeded() { ::unsetenv("TSLAB_PROFILE_SEED"); }
    seeded(seeded const&) = delete;
    seeded& operator=(seeded const&) = delete;
};

/// Whether an estimate is within `part` of the truth.
inline void check_near(double estimate, double truth, double part, char const* what)
{
    BOOST_TEST_INFO(what << ": estimated " << estimate << ", true " << truth);
    BOOST_TEST(std::abs(estimate - truth) <= part * truth);
}

}
