// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A tslab resource as std::pmr's default one from the start of a program to its end: what docs/default-resource.md says, in a process of
// its own each.
#define BOOST_TEST_MODULE lifecycle_default_resource
#include "death.hpp"
#include "places.hpp"
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

death::outcome of_way(char const* way, char const* statistics = nullptr)
{
    return death::of([=](death::notes&) {
        if (statistics != nullptr)
            ::setenv("TSLAB_STATS_FILE", statistics, 1);
        ::execl(places::default_resource, places::default_resource, way, static_cast<char*>(nullptr));
        ::_exit(127);
    });
}

void ends_in_peace(char const* way)
{
    death::outcome const end = of_way(way);
    BOOST_TEST(end.text == "main returns\n");   // no report, before or after
    BOOST_TEST(end.end == "exit 0");
}

}

BOOST_AUTO_TEST_CASE(a_default_resource_that_never_ends_outlives_static_objects) { ends_in_peace("for-ever"); }

BOOST_AUTO_TEST_CASE(threads_may_go_on_at_exit_if_it_never_ends)
{
    for (int i = 0; i < 5; ++i)
        ends_in_peace("threads-at-exit");
}

BOOST_AUTO_TEST_CASE(a_default_resource_that_is_reset_before_it_ends_leaves_nothing) { ends_in_peace("reset-in-time"); }

BOOST_AUTO_TEST_CASE(the_detector_of_escapes_goes_before_it) { ends_in_peace("with-the-detector"); }

BOOST_AUTO_TEST_CASE(a_default_resource_that_ends_under_a_static_object_is_reported_when_it_ends)
{
    death::outcome const end = of_way("ends-with-main");
    std::string_view const text = end.text;
    BOOST_TEST_CONTEXT("it said: " << text)
    {
        BOOST_TEST(text.starts_with("tslab: leak: resource ended with 2 live objects, "));
        BOOST_TEST((text.find("main.cpp:") != std::string_view::npos));
        BOOST_TEST((text.find("(heap \"default\", epoch \"default resource\")\n") != std::string_view::npos));
    }
    BOOST_TEST(end.end == "exit 0");
}

BOOST_AUTO_TEST_CASE(a_heap_that_never_ends_leaves_its_statistics_file)
{
    std::string const name = std::filesystem::temp_directory_path() / ("tslab-default-" + std::to_string(::getpid()));
    BOOST_TEST(of_way("for-ever", name.c_str()).end == "exit 0");
    BOOST_TEST(std::filesystem::exists(name));
    std::filesystem::remove(name);
}
