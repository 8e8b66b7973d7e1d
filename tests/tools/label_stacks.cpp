// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The stacks of a label, of profiles that were made by hand, of real stacks of this process and a shared library of it.
#define BOOST_TEST_MODULE label_stacks
#include <boost/test/unit_test.hpp>

#include "session_library.hpp"
#include "tool.hpp"
#include "tslab/debug_file.hpp"
#include "tslab/label_stacks.hpp"
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "own_profile.hpp"

using namespace tslab::tool;

namespace {

bool contains(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

/// What was read of a process with two heaps of one name.
class two_heaps final : public source {
public:
    explicit two_heaps(std::vector<tslab::heap_profile> profiles) : profiles_{std::move(profiles)} {}
    std::vector<tslab::snapshot> read(bool) override
    {
        tslab::snapshot first;
        first.name = "shop";
        first.instance = 1;
        first.labels = {label(0, ""), label(1, "login"), label(15, "other")};
        tslab::snapshot second = first;
        second.instance = 7;
        return {first, second};
    }
    std::vector<tslab::heap_map> maps() override { return {}; }
    std::vector<tslab::heap_profile> profiles() override { return profiles_; }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return false; }

private:
    static tslab::label_stats label(std::uint32_t id, std::string text)
    {
        tslab::label_stats l;
        l.label_id = id;
        l.name = std::move(text);
        return l;
    }
    std::string name_ = "two heaps";
    std::vector<tslab::heap_profile> profiles_;
};

}

BOOST_AUTO_TEST_CASE(the_stacks_of_a_label_are_those_of_its_heap_by_what_lives)
{
    support::noting_resource notes;
    notes.label = "login";
    for (std::size_t const bytes : {64U, 128U})   // of two classes on one line: one stack
        shop::sessions::open_session(notes, bytes);
    shop::sessions::open_session(notes, 4096);
    shop::sessions::serve_page(notes, 1024);   // does not live
    notes.label = "other";
    shop::sessions::open_session(notes, 512);
    support::noting_resource off;
    off.profile.interval_bytes = 0;
    two_heaps from{{off.profile, notes.profile}};
    std::vector<tslab::snapshot> const heaps = from.read(false);
    label_stacks stacks{from, heaps};
    BOOST_TEST(!stacks.sampled(heaps[0]));
    BOOST_TEST(stacks.of(heaps[0], 1).empty());
    BOOST_TEST(stacks.sampled(heaps[1]));
    BOOST_TEST(stacks.of(heaps[1], 0).empty());
    BOOST_TEST(stacks.of(heaps[1], 15).size() == 1U);
    BOOST_TEST(stacks.of(heaps[1], 15)[0].amounts.live_bytes == 512);
    std::vector<label_stack> const login = stacks.of(heaps[1], 1);
    BOOST_REQUIRE(login.size() == 2U);
    BOOST_TEST(login[0].amounts.live_bytes == 4096);
    BOOST_TEST(login[1].amounts.live_bytes == 192);
    BOOST_TEST(login[1].amounts.live_samples == 2U);
    std::ostringstream text;
    print_stacks(text, false, login);
    BOOST_TEST(contains(text.str(), "4.2 KiB live of this label, by 3 samples"));
    if (debug_file::available()) {
        BOOST_TEST(contains(login[0].frames[0]->function, "session_cache::remember"));
        BOOST_TEST(contains(text.str(), "shop::sessions::open_session  support/session_library.cpp:"));
    }
}

BOOST_AUTO_TEST_CASE(a_heap_that_came_or_went_between_two_looks_has_no_stacks)
{
    support::noting_resource notes;
    notes.label = "login";
    shop::sessions::open_session(notes, 64);
    two_heaps from{{notes.profile}};
    std::vector<tslab::snapshot> const heaps = from.read(false);
    label_stacks stacks{from, heaps};
    for (tslab::snapshot const& s : heaps)   // nobody knows which of the two it is
        BOOST_TEST(!stacks.sampled(s));
}

BOOST_AUTO_TEST_CASE(a_source_without_profiles_has_no_stacks)
{
    tslab::snapshot s;
    s.name = "shop";
    std::istringstream in{tslab::to_json(s)};
    auto const from = open_saved("saved.json", in);
    std::vector<tslab::snapshot> const heaps = from->read(false);
    label_stacks stacks{*from, heaps};
    BOOST_TEST(!stacks.sampled(heaps[0]));
    BOOST_TEST(stacks.notes().empty());
}
