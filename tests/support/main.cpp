// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The main function of every test program; written out, so that Boost.Test's header can be a precompiled one.
#include <boost/test/unit_test.hpp>
#include <cerrno>

namespace {

bool name_the_suite()
{
    boost::unit_test::framework::master_test_suite().p_name.value = program_invocation_short_name;
    return true;
}

}

int main(int argc, char** argv) { return boost::unit_test::unit_test_main(name_the_suite, argc, argv); }
