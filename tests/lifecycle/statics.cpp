// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Static objects end in the reverse of the order in which they began. A container that ends first leaves nothing to say; a
// resource that ends under it is reported, with what it loses, before it is touched again.
#define BOOST_TEST_MODULE lifecycle_statics
#include "death.hpp"
#include "places.hpp"
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

death::outcome of_program(char const* program)
{
    return death::of([program](death::notes&) {
        ::execl(program, program, static_cast<char*>(nullptr));
        ::_exit(127);
    });
}

}

BOOST_AUTO_TEST_CASE(a_container_that_ends_before_its_resource_is_silent)
{
    death::outcome const end = of_program(places::resource_first);
    BOOST_TEST(end.text == "");
    BOOST_TEST(end.end == "exit 0");
}

BOOST_AUTO_TEST_CASE(a_resource_made_on_demand_outlives_the_container_whatever_the_link_order)
{
    death::outcome const end = of_program(places::on_demand);
    BOOST_TEST(end.text == "");
    BOOST_TEST(end.end == "exit 0");
}

// What the container does to a resource that is gone is its own fault, and undefined; but the cause is reported before it.
BOOST_AUTO_TEST_CASE(a_resource_that_ends_under_its_container_is_reported_first)
{
    death::outcome const end = of_program(places::container_first);
    std::string_view const text = end.text;
    BOOST_TEST_CONTEXT("it said: " << text)
    {
        BOOST_TEST(text.starts_with("tslab: leak: resource ended with 1000 live objects, 32000 bytes, made at "));
        BOOST_TEST((text.find("resource.cpp:11 (heap \"static\", epoch \"static\")\n"
                              "tslab: heap destroyed with 1000 live objects, 32000 bytes (heap \"static\")\n") !=
                    std::string_view::npos));
    }
}
