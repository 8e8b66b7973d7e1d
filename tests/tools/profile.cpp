// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab profile with profiles that were made by hand, of real stacks of this process and a shared library of it.
#define BOOST_TEST_MODULE profile
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "session_library.hpp"
#include "tool.hpp"
#include "tslab/debug_file.hpp"
#include "tslab/flame.hpp"
#include "tslab/named_profile.hpp"
#include "tslab/pprof_writer.hpp"
#include "tslab/profile_file.hpp"
#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "own_profile.hpp"

using namespace tslab::tool;
using support::answer;
using support::file;
using support::tool;

namespace {

bool contains(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

/// 4 KiB that live, of the label "login", and 1 KiB that was given back.
tslab::heap_profile sample()
{
    support::noting_resource notes;
    notes.label = "login";
    shop::sessions::open_session(notes, 4096);
    notes.label = "";
    shop::sessions::serve_page(notes, 1024);
    return std::move(notes.profile);
}

std::string saved(tslab::heap_profile p)
{
    symbolizer none{{}, 0};
    return json_of(with_names(std::move(p), none)) + "\n";
}

answer profile(tslab::heap_profile p, std::vector<std::string> more = {})
{
    file const f{saved(std::move(p))};
    more.insert(more.begin(), {"profile", f.path()});
    return tool(more);
}

/// The row of a table with a word in it.
std::string row(std::string const& text, std::string const& word)
{
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);)
        if (contains(line, word))
            return line;
    return {};
}

tslab::profiled_mapping& library(tslab::heap_profile& p)
{
    return *std::ranges::find_if(p.mappings, [](auto const& m) { return contains(m.file, "session_library"); });
}

bool names_are_known() { return debug_file::available(); }

}

BOOST_AUTO_TEST_CASE(a_leak_in_a_shared_library_is_named_by_function_and_line)
{
    answer const a = profile(sample());
    BOOST_TEST(a.code == 0);
    BOOST_TEST(contains(a.out, "heap \"shop\""));
    BOOST_TEST(contains(a.out, "one sample in about 512.0 KiB, for 1 min 0 s"));
    if (!names_are_known()) {
        BOOST_TEST(contains(a.out, "built without libdw"));
        return;
    }
    // The allocation is inlined from a member function, in an unnamed namespace, and that is who allocates.
    std::string const self = row(a.out, "session_cache::remember");
    BOOST_TEST(contains(self, "4.0 KiB"));
    BOOST_TEST(contains(self, "support/session_library.cpp:"));
    std::string const caller = row(a.out, "shop::sessions::open_session");
    BOOST_TEST(contains(caller, "4.0 KiB"));
    BOOST_TEST(contains(caller, "support/session_library.cpp:" + std::to_string(shop::sessions::line_of_leak)));
}

BOOST_AUTO_TEST_CASE(memory_that_was_given_back_is_allocated_and_not_live)
{
    if (!names_are_known())
        return;
    answer const live = profile(sample(), {"--n", "1"});
    BOOST_TEST(row(live.out, "build_page").empty());
    BOOST_TEST(contains(live.out, "more\n"));
    std::string const line = row(profile(sample(), {"--of", "allocated_bytes"}).out, "build_page");
    BOOST_TEST(contains(line, "3.0 KiB"));
    BOOST_TEST(contains(line, "0 bytes"));
}

BOOST_AUTO_TEST_CASE(rows_may_be_labels_and_classes)
{
    std::string const labels = profile(sample(), {"--by", "label", "--of", "allocated_objects"}).out;
    BOOST_TEST(contains(row(labels, "login"), "3"));
    BOOST_TEST(!row(labels, "unlabeled").empty());
    std::string const classes = profile(sample(), {"--by", "class"}).out;
    BOOST_TEST(contains(row(classes, "4096"), "100.0 %"));
    BOOST_TEST(profile(sample(), {"--by", "colour"}).code == 2);
}

BOOST_AUTO_TEST_CASE(one_label_may_be_looked_at_alone)
{
    for (std::string const label : {"login", "unlabeled"}) {
        answer const a = profile(sample(), {"--label", label, "--by", "label", "--of", "allocated_bytes"});
        BOOST_TEST(a.code == 0);
        BOOST_TEST(row(a.out, "login").empty() == (label != "login"));
        BOOST_TEST(row(a.out, "unlabeled").empty() == (label != "unlabeled"));
    }
    answer const none = profile(sample(), {"--label", "logout"});
    BOOST_TEST(none.code == 3);
    BOOST_TEST(contains(none.err, "no sample of label \"logout\", but of \"login\", \"unlabeled\""));
}

BOOST_AUTO_TEST_CASE(samples_that_found_no_room_are_said_to_be_missing)
{
    tslab::heap_profile p = sample();
    BOOST_TEST(!contains(profile(p).out, "too low"));
    p.unpublished_chunks = 2;
    BOOST_TEST(contains(profile(p).out, "32.0 KiB of the process's statistics found no room where other processes can "
                                        "read them: figures are too low"));
    std::string old = saved(p);   // of a version that did not tell
    std::string const figure = R"("unpublished_chunks":2,)";
    BOOST_REQUIRE(contains(old, figure));
    old.erase(old.find(figure), figure.size());
    answer const a = tool({"profile", "--stdin"}, old);
    BOOST_TEST(a.code == 0, a.err);
    BOOST_TEST(!contains(a.out, "too low"), a.out);
}

BOOST_AUTO_TEST_CASE(folded_stacks_begin_with_the_label_and_end_with_who_allocates)
{
    answer const a = profile(sample(), {"--collapsed"});
    BOOST_TEST(a.code == 0);
    BOOST_TEST(a.out.starts_with("login;"));
    BOOST_TEST(a.out.ends_with(" 4096\n"));
    BOOST_TEST(std::ranges::count(a.out, '\n') == 1);
    if (names_are_known())
        BOOST_TEST(contains(
            a.out,
            ";shop::sessions::open_session;shop::sessions::(anonymous namespace)::session_cache::remember 4096"));
    file const to{""};
    BOOST_TEST(profile(sample(), {"--collapsed=" + to.path()}).out.empty());
    std::ifstream written{to.path()};
    std::string const text{std::istreambuf_iterator<char>{written}, {}};
    BOOST_TEST(text == a.out);
}

BOOST_AUTO_TEST_CASE(json_is_a_target_again_and_has_the_functions_of_each_address)
{
    answer const a = profile(sample(), {"--json"});
    BOOST_TEST(a.code == 0);
    boost::json::object const o = boost::json::parse(a.out).as_object();
    BOOST_TEST(o.at("heap").as_string() == "shop");
    BOOST_TEST(o.at("stacks").as_array().size() == 2U);
    BOOST_TEST(contains(a.out, names_are_known() ? "shop::sessions::open_session" : "session_library"));
    file const again{a.out};
    BOOST_TEST(tool({"profile", again.path(), "--collapsed"}).out == profile(sample(), {"--collapsed"}).out);
    BOOST_TEST(tool({"profile", "--stdin", "--collapsed"}, a.out).code == 0);
    BOOST_TEST(tool({"stats", again.path()}).code == 3);   // it is no snapshot
    BOOST_TEST(contains(tool({"stats", again.path()}).err, "tslab profile shows it"));
}

BOOST_AUTO_TEST_CASE(since_an_earlier_profile_only_the_difference_is_shown)
{
    tslab::heap_profile const before = sample();
    tslab::heap_profile now = before;
    now.time_ns += 10'000'000'000;
    now.stacks[0].live_bytes += 1000;
    now.stacks[0].allocated_bytes += 2000;
    now.stacks.push_back(now.stacks[0]);
    now.stacks.back().label = "search";
    now.stacks.back().live_bytes = 500;
    file const earlier{saved(before)};
    answer const a = profile(now, {"--since", earlier.path(), "--by", "label"});
    BOOST_TEST(a.code == 0);
    BOOST_TEST(contains(a.out, "in 10 s"));
    BOOST_TEST(contains(row(a.out, "login"), "+1000 bytes"));
    BOOST_TEST(contains(row(a.out, "search"), "+500 bytes"));
    BOOST_TEST(row(a.out, "unlabeled").empty());   // nothing of it changed

    tslab::heap_profile fewer = now;
    fewer.stacks[0].live_bytes = 96;
    answer const b = profile(fewer, {"--since", earlier.path(), "--by", "label"});
    BOOST_TEST(contains(row(b.out, "login"), "-3.9 KiB"));
    answer const c = profile(fewer, {"--since", earlier.path(), "--collapsed"});
    BOOST_TEST(c.out.starts_with("search;"));
    BOOST_TEST(contains(c.err, "left out 1 stack"));
}

BOOST_AUTO_TEST_CASE(a_profile_of_another_heap_is_no_earlier_one)
{
    tslab::heap_profile const now = sample();
    tslab::heap_profile other = now;
    other.pid += 1;
    tslab::heap_profile anew = now;
    anew.stacks[0].samples += 1;
    tslab::heap_profile later = anew;
    later.time_ns += 1;
    for (tslab::heap_profile const& wrong : {other, later, anew}) {
        file const f{saved(wrong)};
        answer const a = profile(now, {"--since", f.path()});
        BOOST_TEST(a.code == 2);
        BOOST_TEST(a.out.empty());
        BOOST_TEST(contains(a.err, "the earlier profile"));
    }
    file const f{saved(later)};
    BOOST_TEST(contains(profile(now, {"--since", f.path()}).err, "is the later one"));
    BOOST_TEST(contains(profile(now, {"--since", "/nowhere"}).err, "neither a duration"));
    BOOST_TEST(contains(profile(now, {"--since", "soon"}).err, "neither a duration"));
    BOOST_TEST(contains(profile(now, {"--since", "1s"}).err, "does not change"));
    file const text{"{\"format\":\"tslab-heap-profile\"}"};
    BOOST_TEST(profile(now, {"--since", text.path()}).code == 2);
}

// A dead process's profile is of its last sign of life, which may have been before the last look at it.
BOOST_AUTO_TEST_CASE(an_earlier_profile_may_be_of_a_time_after_the_last_sign_of_life)
{
    tslab::heap_profile const now = sample();
    tslab::heap_profile seen = now;
    seen.time_ns += 1'000'000'000;
    file const f{saved(seen)};
    answer const a = profile(now, {"--since", f.path()});
    BOOST_TEST(a.code == 0, a.err);
    BOOST_TEST(contains(a.out, "0 bytes in 0 objects"), a.out);
}

BOOST_AUTO_TEST_CASE(what_is_no_profile_is_refused)
{
    std::string const whole = saved(sample());
    for (std::size_t size = 0; size < whole.size(); size += 1 + size / 3) {
        file const cut{whole.substr(0, size)};
        answer const a = tool({"profile", cut.path()});
        BOOST_TEST(a.code == 3);
        BOOST_TEST(std::ranges::count(a.err, '\n') == 1);
    }
    for (std::string const text :
         {R"({"format":"tslab-heap-profile"})", R"({"format":"tslab-heap-profile","version":"1"})",
          R"({"format":"tslab-heap-profile-of-another","version":1})", "[]", "{}"})
        BOOST_TEST(tool({"profile", file{text}.path()}).code == 3);
    std::string other = whole;
    other.replace(other.find("\"version\":1"), 11, "\"version\":2");
    BOOST_TEST(tool({"profile", file{other}.path()}).code == 4);
    std::string negative = whole;
    negative.replace(negative.find("\"interval_bytes\":"), 18, "\"interval_bytes\":-");
    BOOST_TEST(tool({"profile", file{negative}.path()}).code == 3);
}

BOOST_AUTO_TEST_CASE(a_heap_that_takes_no_samples_has_no_profile)
{
    tslab::heap_profile off = sample();
    off.interval_bytes = 0;
    off.stacks.clear();
    answer const a = profile(off);
    BOOST_TEST(a.code == 3);
    BOOST_TEST(contains(a.err, "sampling is off"));
}

BOOST_AUTO_TEST_CASE(one_heap_of_several_is_chosen)
{
    tslab::heap_profile second = sample();
    second.heap = "second";
    file const both{saved(sample()) + saved(second)};
    answer const all = tool({"profile", both.path()});
    BOOST_TEST(contains(all.out, "heap \"shop\""));
    BOOST_TEST(contains(all.out, "heap \"second\""));
    answer const one = tool({"profile", both.path(), "--heap", "second"});
    BOOST_TEST(!contains(one.out, "heap \"shop\""));
    BOOST_TEST(tool({"profile", both.path(), "--heap", "third"}).code == 3);
    BOOST_TEST(tool({"profile", both.path(), "--collapsed"}).out.starts_with("second;login;"));
}

BOOST_AUTO_TEST_CASE(addresses_where_nothing_is_mapped_are_shown_as_such)
{
    tslab::heap_profile p = sample();
    p.stacks[0].addresses = {0x1234, 0, UINT64_MAX};
    p.stacks[1].addresses.clear();
    answer const a = profile(p, {"--of", "allocated_bytes"});
    BOOST_TEST(a.code == 0);
    BOOST_TEST(!row(a.out, "0x1234").empty());
    BOOST_TEST(contains(a.out, "note: 3 addresses are where no file is mapped"));
    BOOST_TEST(profile(p, {"--collapsed"}).code == 0);
}

BOOST_AUTO_TEST_CASE(another_file_in_the_place_of_the_executed_one_is_not_used)
{
    tslab::heap_profile p = sample();
    std::string const found = library(p).build_id;
    library(p).build_id = "00112233";
    answer const a = profile(p);
    BOOST_TEST(a.code == 0);
    BOOST_TEST(!contains(a.out, "open_session"));
    if (names_are_known()) {
        BOOST_TEST(
            contains(a.out, "(build id 00112233) was replaced: the file that is there now has the build id " + found));
        BOOST_TEST(!row(a.out, "session_library.so+0x").empty());
    }
}

BOOST_AUTO_TEST_CASE(a_file_that_is_gone_is_named)
{
    tslab::heap_profile p = sample();
    tslab::profiled_mapping& m = library(p);
    m.file = "/nowhere/libgone.so (deleted)";
    answer const deleted = profile(p);
    BOOST_TEST(!row(deleted.out, "libgone.so+0x").empty());
    if (names_are_known())
        BOOST_TEST(contains(deleted.out, "note: /nowhere/libgone.so (build id " + m.build_id + ") was deleted"));
    m.file = "[vdso]";
    BOOST_TEST(contains(profile(p).out, "[vdso] (build id " + m.build_id + ") is no file"));
}

BOOST_AUTO_TEST_CASE(a_file_without_a_build_id_is_used_and_that_is_said)
{
    if (!names_are_known())
        return;
    tslab::heap_profile p = sample();
    library(p).build_id.clear();
    answer const a = profile(p);
    BOOST_TEST(contains(a.out, "open_session"));
    BOOST_TEST(contains(a.out, "has no build id"));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_said)
{
    for (std::string const option : {"--pprof", "--collapsed"})
        for (std::string const path : {"/dev/full", "/nowhere/out"}) {
            answer const a =
                profile(sample(), option == "--pprof" ? std::vector{option, path} : std::vector{option + "=" + path});
            BOOST_TEST(a.code == 2);
            BOOST_TEST(contains(a.err, "cannot write " + path));
        }
    BOOST_TEST(profile(sample(), {"--flame", "/dev/full"}).code == 2);
}

BOOST_AUTO_TEST_CASE(a_flame_graph_is_one_page_or_what_is_missing_is_said)
{
    file const page{""};
    tslab::heap_profile p = sample();
    p.stacks[0].label = "</script><b>";
    answer const a = profile(p, {"--flame", page.path()});
    if (!has_flame_graphs()) {
        BOOST_TEST(a.code == 2);
        BOOST_TEST(contains(a.err, "d3-flame-graph"));
        return;
    }
    BOOST_TEST(a.code == 0);
    BOOST_TEST(a.out.empty());
    std::ifstream written{page.path()};
    std::string const text{std::istreambuf_iterator<char>{written}, {}};
    BOOST_TEST(contains(text, "\"functions\":["));
    BOOST_TEST(!contains(text, "</script><b>"));
    BOOST_TEST(!contains(text, " src=\""));
    BOOST_TEST(!contains(text, "rel=\"stylesheet\""));
    if (names_are_known())
        BOOST_TEST(contains(text, "shop::sessions::open_session"));
}
