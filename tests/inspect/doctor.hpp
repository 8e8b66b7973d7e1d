// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the doctor share: snapshots of one synthetic heap at two times, and single findings. Include it last: it
// imports tslab.
#pragma once
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "synthetic.hpp"

namespace doctor {

using support::synthetic_heap;
using tslab::snapshot;

/// The severity of the first finding of a code, "none" without one.
inline std::string severity_of(std::vector<tslab::finding> const& findings, std::string_view code)
{
    for (tslab::finding const& f : findings)
        if (f.code == code)
            return std::string{tslab::severity_name(f.severity)};
    return "none";
}

inline std::string severity_of(snapshot const& s, std::string_view code)
{
    return severity_of(tslab::diagnose(s), code);
}

/// The one finding of a snapshot in which nothing else is wrong.
inline tslab::finding only(snapshot const& s, snapshot const* before = nullptr)
{
    auto findings = tslab::diagnose(s, before);
    BOOST_REQUIRE_MESSAGE(findings.size() == 1u, tslab::to_text(findings));
    return findings[0];
}

/// The same; checks its code, severity and evidence.
inline tslab::finding only(snapshot const& s, std::string_view code, std::string_view severity,
                           std::string_view evidence)
{
    tslab::finding f = only(s);
    BOOST_TEST(f.code == code);
    BOOST_TEST(tslab::severity_name(f.severity) == severity);
    BOOST_TEST(f.evidence == evidence);
    return f;
}

/// Gives a figure of `s` one value after the other, and checks the severity of the first finding of `code` for each.
template <class Figure>
void check_steps(snapshot const& s, Figure& figure, std::string_view code,
                 std::initializer_list<std::pair<std::type_identity_t<Figure>, std::string_view>> steps)
{
    for (auto const& [value, expected] : steps) {
        figure = value;
        BOOST_TEST_CONTEXT(code << " at " << value) { BOOST_TEST(severity_of(s, code) == expected); }
    }
}

inline double figure_of(tslab::finding const& f, std::string_view name)
{
    for (tslab::figure const& one : f.figures)
        if (one.name == name)
            return one.value;
    BOOST_FAIL("no figure " << name << " in " << f.code);
    return 0;
}

/// The same heap ten seconds earlier, with nothing counted yet.
inline snapshot before(snapshot const& now, double seconds = 10)
{
    snapshot b = synthetic_heap();
    b.timestamp_ns = now.timestamp_ns - static_cast<std::uint64_t>(seconds * 1e9);
    return b;
}

/// The same heap so much earlier, with everything as it is.
inline snapshot same_before(snapshot const& now, double seconds = 10)
{
    snapshot b = now;
    b.timestamp_ns -= static_cast<std::uint64_t>(seconds * 1e9);
    return b;
}

inline tslab::label_stats label(std::uint32_t id, std::string name)
{
    tslab::label_stats l;
    l.label_id = id;
    l.name = std::move(name);
    return l;
}

inline tslab::timing_stats timing(std::uint64_t samples, std::uint64_t wall_ns, std::uint64_t cpu_ns)
{
    tslab::timing_stats t;
    t.samples = samples;
    t.wall_ns_sum = wall_ns;
    t.cpu_ns_sum = cpu_ns;
    t.wait_ns_sum = wall_ns - cpu_ns;
    return t;
}

}

#define CHECK_CODE(s, code, expected) BOOST_TEST(doctor::severity_of(s, code) == expected)
