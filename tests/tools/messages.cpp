// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What is said of a command line that is wrong, or of a target that a command cannot use: one line that names what may stand there.
#include <boost/test/unit_test.hpp>

#include "saved.hpp"
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace saved;
using support::answer;
using support::file;
using support::tool;
using tslab::snapshot;

namespace {

void check_refused(std::vector<std::string> const& words, std::string const& said)
{
    answer const a = tool(words);
    BOOST_TEST(a.code == 2);
    BOOST_TEST(a.out.empty());
    BOOST_TEST(a.err == "tslab: " + said + "\n");
}

}

BOOST_AUTO_TEST_CASE(a_wrong_choice_is_said_with_the_choices)
{
    check_refused({"map", "--by", "colour"}, R"(--by is "colour", but takes label, fill, class or use)");
    check_refused({"map", "--by", "fil"}, R"(--by is "fil", but takes label, fill, class or use; did you mean fill?)");
    check_refused({"completion", "ksh"}, R"(shell is "ksh", but takes bash, zsh or fish; did you mean zsh?)");
    check_refused({"profile", "--of", "objects"},
                  R"(--of is "objects", but takes live_bytes, live_objects, allocated_bytes or allocated_objects)");
    check_refused({"--color", "blue", "ps"}, R"(--color is "blue", but takes auto, always or never)");
    check_refused({"doctor", "--fail-on", "error"}, R"(--fail-on is "error", but takes hint, warning or critical)");
    check_refused({"map", "--by", "\x1b[2J"}, R"(--by is "\x1b[2J", but takes label, fill, class or use)");
    check_refused({"man", "leakz"}, R"(there is no command "leakz"; did you mean leaks?)");
}

BOOST_AUTO_TEST_CASE(a_value_that_is_missing_is_said_with_what_may_stand_there)
{
    std::string const see = "; see tslab --help";
    check_refused({"leaks", "--older-than"}, "--older-than needs a duration such as 500ms, 1s, 2m, 3h or 1d" + see);
    check_refused({"profile", "--since"}, "--since needs a duration such as 500ms, 1s, 2m, 3h or 1d, or a file" + see);
    check_refused({"map", "--by"}, "--by needs one of label, fill, class, use" + see);
    check_refused({"top", "x", "-n"}, "-n needs a number" + see);
    check_refused({"map", "--svg"}, "--svg needs a value, FILE" + see);
    check_refused({"diff", "a.json"}, "diff needs B, the later target" + see);
    check_refused({"diff"}, "diff needs A, the earlier target" + see);
    check_refused({"completion"}, "completion needs SHELL, bash, zsh or fish" + see);
    check_refused({"record", "x"}, "record needs --out, file to write" + see);
}

BOOST_AUTO_TEST_CASE(a_duration_out_of_range_is_said_with_the_range)
{
    check_refused({"serve", "x", "--interval", "1ms"},
                  R"(--interval is "1ms", but takes a duration from 10ms to 366d, such as 500ms, 5s, 2m or 1h)");
    check_refused({"record", "x", "-o", "y", "--interval", "9ms"},
                  R"(--interval is "9ms", but takes a duration from 10ms to 366d, such as 500ms, 5s, 2m or 1h)");
    check_refused({"leaks", "--older-than", "-5s"},
                  R"(--older-than is "-5s", which is no duration such as 500ms, 1s, 2m, 3h or 1d)");
    check_refused({"doctor", "--older-than", "soon"},
                  R"(--older-than is "soon", which is no duration such as 500ms, 1s, 2m, 3h or 1d)");
}

BOOST_AUTO_TEST_CASE(a_file_that_a_command_cannot_use_is_said_for_what_it_is)
{
    file const source{"// a source file\nint main() {}\n"};
    answer const a = tool({"stats", source.path()});
    BOOST_TEST(a.code == 3);
    BOOST_TEST(a.err == "tslab: " + source.path() + " is no statistics file of tslab\n");
    file const recording{R"({"format":"tslab-recording","version":1,"target":"x","interval_ms":1000})"
                         "\n"};
    for (char const* const command : {"stats", "doctor", "map", "profile"}) {
        answer const b = tool({command, recording.path()});
        BOOST_TEST(b.code == 3);
        BOOST_TEST(b.err == "tslab: " + recording.path() + " is a recording and no snapshot; tslab report shows it\n");
    }
}

BOOST_AUTO_TEST_CASE(the_doctor_fails_on_the_severity_that_is_asked_for)
{
    snapshot s = quiet();
    s.global.refused_handles = 1;   // a hint
    for (auto const& [severity, code] : {std::pair{"hint", 1}, {"warning", 0}, {"critical", 0}}) {
        answer const a = tool({"doctor", "--stdin", "--fail-on", severity}, to_json(s));
        BOOST_TEST(a.code == code, severity << ": " << a.out);
        BOOST_TEST(contains(a.out, "hint"), a.out);
        BOOST_TEST(tool({"doctor", "--stdin", "--json", "--fail-on", severity}, to_json(s)).code == code);
    }
    BOOST_TEST(tool({"doctor", "--stdin"}, to_json(s)).code == 1);
    BOOST_TEST(tool({"doctor", "--stdin", "--fail-on", "warning"}, to_json(with_leak())).code == 1);
    BOOST_TEST(tool({"doctor", "--stdin", "--fail-on", "critical"}, to_json(with_leak())).code == 0);
}

BOOST_AUTO_TEST_CASE(the_doctor_mentions_what_is_too_young_to_be_a_leak)
{
    answer const a = tool({"doctor", "--stdin"}, to_json(quiet()));
    BOOST_TEST(a.code == 0);
    BOOST_TEST(contains(a.out, "note: 1 epoch that is entered and not left, or closed and not empty, is younger than "
                               "5 min 0 s (tslab leaks --older-than 0s shows them)"),
               a.out);
    BOOST_TEST(!contains(tool({"doctor", "--stdin", "--older-than", "0s"}, to_json(quiet())).out, "note:"));
    BOOST_TEST(!contains(tool({"doctor", "--stdin"}, to_json(with_leak())).out, "note:"));
    BOOST_TEST(tool({"doctor", "--stdin", "--json"}, to_json(quiet())).out.empty());
}

BOOST_AUTO_TEST_CASE(live_memory_that_is_not_known_is_not_shown_as_none)
{
    snapshot s = quiet();
    s.live_known = false;
    s.global.live_bytes = s.global.live_objects = s.global.frees = 0;
    for (tslab::label_stats& l : s.labels)
        l.live_bytes = l.live_objects = 0;
    for (tslab::epoch_stats& e : s.epochs)
        e.live_bytes = e.live_objects = 0;
    for (tslab::class_stats& c : s.classes)
        c.live_bytes = c.live_objects = 0;
    std::string const json = to_json(s);
    for (char const* const command : {"watch", "top", "epochs"}) {
        answer const a = tool({command, "--stdin"}, json);
        BOOST_TEST(a.code == 0, command);
        BOOST_TEST(contains(a.out, " ?"), command << ": " << a.out);
        BOOST_TEST(!contains(tool({command, "--stdin"}, to_json(quiet())).out, "?"), command);
    }
    BOOST_TEST(objects(tool({"watch", "--stdin", "--json"}, json).out)[0].at("live_known") == false);
    BOOST_TEST(objects(tool({"top", "--stdin", "--json"}, json).out).at(0).at("live_known") == false);
    BOOST_TEST(tool({"top", "--by", "live_bytes", "--stdin"}, json).out ==
               "nothing to rank by live_bytes: it is not known, only what the process published can be read, not its "
               "memory\n");
    BOOST_TEST(contains(tool({"top", "--by", "live_bytes", "--stdin"}, to_json(quiet())).out, "orders"));
}
