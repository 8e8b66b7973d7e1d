// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The main function of every test program; written out, so that Boost.Test's header can be a precompiled one.
// A program has several source files, and CTest runs it once for each: the cases of a file that stand in no suite of its own
// form a suite with the file's name, so --run_test=close runs close.cpp.
#include <boost/test/tree/traverse.hpp>
#include <boost/test/tree/visitor.hpp>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace ut = boost::unit_test;

/// Collects the test cases directly below the suite it starts at.
struct top_level_cases final : ut::test_tree_visitor {
    void visit(ut::test_case const& one) override { found.push_back(one.p_id); }

    bool test_suite_start(ut::test_suite const& suite) override
    {
        return suite.p_id == ut::framework::master_test_suite().p_id;
    }

    std::vector<ut::test_unit_id> found;
};

/// "close" of "tests/epoch/close.cpp".
std::string name_of_file(ut::const_string path)
{
    std::string_view name{path.begin(), path.size()};
    name.remove_prefix(name.rfind('/') + 1);
    return std::string{name.substr(0, name.find('.'))};
}

void form_suites_of_files()
{
    ut::test_suite& all = ut::framework::master_test_suite();
    top_level_cases cases;
    ut::traverse_test_tree(all, cases, true);
    std::map<std::string, ut::test_suite*> suites;
    for (ut::test_unit_id const id : cases.found) {
        auto& one = ut::framework::get<ut::test_case>(id);
        ut::const_string const file = one.p_file_name;
        ut::test_suite*& suite = suites[name_of_file(file)];
        if (suite == nullptr) {
            suite = new ut::test_suite{name_of_file(file), file, 0};   // Boost.Test deletes it
            all.add(suite);
        }
        all.remove(id);
        suite->add(&one);
    }
}

bool prepare()
{
    ut::framework::master_test_suite().p_name.value = program_invocation_short_name;
    form_suites_of_files();
    return true;
}

}

int main(int argc, char** argv) { return ut::unit_test_main(prepare, argc, argv); }
