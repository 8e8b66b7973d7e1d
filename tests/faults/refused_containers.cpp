// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The containers of the standard library on an epoch_resource while the system refuses memory: every container is sound after each
// refused call, no object is lost, and the operation succeeds when it is tried again.
#define BOOST_TEST_MODULE faults_refused_containers
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <list>
#include <memory_resource>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "container.hpp"
#include "faults.hpp"
#include "recorder.hpp"

using container::contents;
using container::empty;
using container::make;
using container::text;

namespace {

/// Lets an operation of many megabytes meet a system that refuses, call by call.
template <class C, class Op> std::uint64_t refuse_each(char const* name, Op op)
{
    faults::seam const seam;
    std::uint64_t met = 0;
    for (bool const from_then_on : {false, true})
        for (std::uint64_t n = 0;; ++n) {
            support::recorder const seen;
            std::uint64_t failed = 0;
            tslab::allocator heap{{.epoch_count = 8,
                                   .reclaim = tslab::reclaim_policy::eager,
                                   .reserve_bytes = std::size_t{64} << 20,
                                   .publish = false}};
            BOOST_TEST_CONTEXT(name << ", call " << n << (from_then_on ? " and all that follow" : ""))
            {
                tslab::epoch_resource r{heap, {.label = name}};
                {
                    C c = make<C>(r);
                    faults::arm(n, from_then_on);
                    try {
                        op(c);
                    } catch (std::bad_alloc const&) {
                    }
                    failed = faults::disarm();
                    auto const now = contents(c);
                    BOOST_TEST(std::all_of(now.begin(), now.end(), [](std::string const& s) {
                        return s.size() >= 20'000 && std::count(s.begin(), s.end(), s.back()) >= 19'990;
                    }));
                    empty(c);
                    op(c);
                    BOOST_TEST(contents(c).size() == 60U);
                }
                BOOST_TEST(heap.snapshot({.residency = false}).global.live_objects == 0U);
                BOOST_TEST(r.release() == 0U);
                BOOST_TEST(seen.count() == 0U);
            }
            if (failed == 0)
                break;
            ++met;
        }
    return met;
}

}

BOOST_AUTO_TEST_CASE(while_the_system_refuses_memory)
{
    std::uint64_t met = 0;
    auto const at_the_back = [](auto& c) {
        for (int i = 0; i < 60; ++i)
            c.emplace_back(std::size_t{20'000}, static_cast<char>('a' + i % 26));
    };
    met += refuse_each<std::pmr::vector<text>>("vector", at_the_back);
    met += refuse_each<std::pmr::deque<text>>("deque", at_the_back);
    met += refuse_each<std::pmr::list<text>>("list", at_the_back);
    met += refuse_each<std::pmr::multiset<text>>("multiset", [](auto& c) {
        for (int i = 0; i < 60; ++i)
            c.emplace(std::size_t{20'000}, static_cast<char>('a' + i % 26));
    });
    std::printf("%llu runs met a failure; %s\n", static_cast<unsigned long long>(met), faults::summary().c_str());
    BOOST_TEST(met > 10U);
}
