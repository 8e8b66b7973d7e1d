// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The commands over saved snapshots: what they print, and what they end with.
#define BOOST_TEST_MODULE commands
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "saved.hpp"
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace json = boost::json;
using namespace saved;
using support::answer;
using support::file;
using support::tool;
using tslab::snapshot;
using tslab::to_json;

BOOST_AUTO_TEST_CASE(stats_passes_a_snapshot_through_as_json)
{
    std::string const text = to_json(support::filled_snapshot());
    answer const a = tool({"stats", "--json", "--stdin"}, text);
    BOOST_TEST(a.code == 0);
    BOOST_TEST(a.out == text + "\n");
    BOOST_TEST(a.err == "");
}

BOOST_AUTO_TEST_CASE(several_snapshots_come_as_lines_or_as_an_array)
{
    snapshot other = quiet();
    other.name = "other";
    std::string const a = to_json(quiet()), b = to_json(other);
    for (std::string const& text : {a + "\n" + b + "\n", "[" + a + "," + b + "]", " [ " + a + "\n,\n" + b + " ] \n"}) {
        BOOST_TEST(objects(tool({"stats", "--json", "--stdin"}, text).out).size() == 2U);
        auto const one = objects(tool({"stats", "--json", "--stdin", "--heap", "other"}, text).out);
        BOOST_REQUIRE(one.size() == 1U);
        BOOST_TEST(one[0].at("name").as_string() == "other");
        BOOST_TEST(tool({"stats", "--stdin", "--heap", "none"}, text).code == 3);
    }
    for (std::string const& text : {"[" + a, "[" + a + "," + b, "[" + a + " " + b + "]", "[" + a + "]]", a + "," + b})
        BOOST_TEST(tool({"stats", "--stdin"}, text).code == 3, text.substr(text.size() - 20));
}

BOOST_AUTO_TEST_CASE(stats_tells_a_person_what_is_there)
{
    answer const a = tool({"stats", "--stdin"}, to_json(quiet()));
    BOOST_TEST(a.code == 0);
    for (char const* const part :
         {"heap \"quiet\" of standard input", "process RSS", "100 objects", "slow paths", "orders"})
        BOOST_TEST(contains(a.out, part), part);
    BOOST_TEST(!contains(a.out, "\x1b"));
    BOOST_TEST(contains(tool({"stats", "--stdin", "--color=always"}, to_json(quiet())).out, "\x1b[1m"));
    BOOST_TEST(contains(tool({"--color", "always", "stats", "--stdin"}, to_json(quiet())).out, "\x1b[1m"));
}

BOOST_AUTO_TEST_CASE(stats_tells_how_long_locks_took_and_what_closes_did)
{
    snapshot s = quiet();
    std::string const untimed = tool({"stats", "--stdin"}, to_json(s)).out;
    BOOST_TEST(!contains(untimed, "lock times"));
    BOOST_TEST(!contains(untimed, "last close by label"));
    s.global.lock_timing = {.samples = 100, .wait_ns = 1, .hold_ns = 1, .wait_ns_max = 900, .hold_ns_max = 40'000'000};
    auto& h = s.global.lock_histograms.emplace();
    h.wait.buckets[5] = 50;    // 16 to 31 ns
    h.wait.buckets[10] = 50;   // 512 to 1,023 ns
    h.hold.buckets[12] = 98;   // 2,048 to 4,095 ns
    h.hold.buckets[26] = 2;
    s.labels[0].last_close = {.label = "",
                              .nanoseconds = 12'345'678,
                              .purge_nanoseconds = 4'200,
                              .rss_before = 10 << 20,
                              .rss_after = 2 << 20,
                              .scanned_slabs = 2'000,
                              .recycled_slabs = 1'999,
                              .madvise_bytes = 8 << 20,
                              .madvise_asked_bytes = 8 << 20,
                              .madvise_gone_bytes = 6 << 20};
    s.labels[0].last_close->timestamp_ns = s.timestamp_ns - 90'000'000'000;
    std::string const text = tool({"stats", "--stdin"}, to_json(s)).out;
    for (char const* const part :
         {"100 timed; waited p50 31 ns, p99 900 ns, longest 900 ns; held p50 4.1 us, p99 40 ms, longest 40 ms",
          "last close by label", "1 min 30 s ago", "12 ms", "4.2 us", "1,999 of 2,000", "8.0 MiB", "75.0 %",
          "-8.0 MiB"})
        BOOST_TEST(contains(text, part), part << " is not in " << text);
}

BOOST_AUTO_TEST_CASE(targets_that_are_none_are_refused)
{
    BOOST_TEST(tool({"stats", "/nowhere/at/all"}).code == 3);
    BOOST_TEST(tool({"stats", "no_such_process_or_file"}).code == 3);
    BOOST_TEST(tool({"stats", "/"}).code == 3);
    BOOST_TEST(tool({"stats", file{""}.path()}).code == 3);
    BOOST_TEST(tool({"stats", "2147483647"}).code == 3);
    BOOST_TEST(tool({"stats", "x", "--stdin"}).code == 2);
    BOOST_TEST(tool({"stats", "--stdin"}).code == 3);
    BOOST_TEST(tool({}).code == 2);
    BOOST_TEST(tool({"nonsense"}).code == 2);
    BOOST_TEST(tool({"stats", "--nonsense"}).code == 2);
}

BOOST_AUTO_TEST_CASE(an_error_is_one_harmless_line)
{
    for (answer const& a : {tool({"stats", "/nowhere\x1b[2J\n"}), tool({"stats", "--non\x1b\nsense"}),
                            tool({"non\x1b\nsense"}), tool({"stats", "a", "b\n"}), tool({"serve", "--port", "\x1b\n"}),
                            tool({"map", "--by", "\n"}), tool({"stats", "--stdin"}, "{\"a\x1b\n")}) {
        BOOST_TEST(a.code != 0);
        BOOST_TEST(a.err.starts_with("tslab: "));
        BOOST_TEST(std::count(a.err.begin(), a.err.end(), '\n') == 1);
        BOOST_TEST(is_harmless(a.err), a.err);
        BOOST_TEST(a.out == "");
    }
}

// Only the answer to an unknown key goes on below the first line: with the keys there are.
BOOST_AUTO_TEST_CASE(an_unknown_key_is_answered_with_the_nearest_and_a_list_that_fits)
{
    for (auto const& [key, near] : {std::pair{"slow_path_hit", "slow_path_hits"},
                                    {"lock_wait_time", "lock_wait_time_ns"},
                                    {"aloctaions", "allocations"}}) {
        answer const a = tool({"top", "--classes", "--by", key, "--stdin"}, to_json(quiet()));
        BOOST_TEST(a.code == 2);
        BOOST_TEST(contains(a.err, std::string{"tslab: there is no key \""} + key + "\"; did you mean " + near +
                                       "? The keys are:\n"),
                   a.err);
        std::istringstream lines{a.err};
        std::size_t n = 0;
        for (std::string line; std::getline(lines, line); ++n)
            BOOST_TEST((n == 0 || (line.starts_with("  ") && line.size() <= 80)), line);
        BOOST_TEST(n > 5U);
    }
    answer const odd = tool({"top", "--by", "\x1b\n", "--stdin"}, to_json(quiet()));
    BOOST_TEST(odd.code == 2);
    BOOST_TEST(is_harmless(odd.err));
    BOOST_TEST(odd.err.starts_with("tslab: there is no key \"\\x1b\\x0a\"; the keys are:\n"), odd.err);
}

BOOST_AUTO_TEST_CASE(an_unknown_word_is_named_with_the_nearest)
{
    for (auto const& [words, said] :
         {std::pair{std::vector<std::string>{"stat", "1198"}, R"(there is no command "stat"; did you mean stats?)"},
          {{"1198"}, R"(there is no command "1198"; see)"},
          {{"help"}, R"(there is no command "help"; did you mean --help?)"},
          {{"--color", "never", "laeks"}, R"(there is no command "laeks"; did you mean leaks?)"},
          {{"export", "promethius"}, R"(there is no command "promethius"; did you mean prometheus?)"},
          {{"export"}, "export needs a command: prometheus"},
          {{}, "it needs a command: ps, stats,"},
          {{"stats", "--jsn"}, R"(stats has no option "--jsn"; did you mean --json?)"},
          {{"stats", "1", "2"}, R"(stats takes no further word, and "2" is one too many)"},
          {{"--colour", "never", "ps"}, R"(there is no option "--colour"; did you mean --color?)"}}) {
        answer const a = tool(words);
        BOOST_TEST(a.code == 2);
        BOOST_TEST(a.err.starts_with("tslab: " + std::string{said}), a.err);
    }
}

BOOST_AUTO_TEST_CASE(a_number_out_of_range_is_said_with_the_range)
{
    for (auto const& [words, said] :
         {std::pair{std::vector<std::string>{"serve", "--port", "70000"},
                    R"(--port is "70000", but takes a number from 0 to 65535)"},
          {{"serve", "--port", "-1"}, R"(--port is "-1", but takes a number from 0 to 65535)"},
          {{"top", "-n", "0"}, R"(--n is "0", but takes a number of 1 or more)"},
          {{"top", "--n", "99999999999999999999"}, R"(--n is "99999999999999999999", but takes a number of 1 or more)"},
          {{"watch", "x", "1", "many"}, R"(--count is "many", but takes a number of 0 or more)"},
          {{"record", "x", "-o", "y", "--count", "0"}, R"(--count is "0", but takes a number of 1 or more)"},
          {{"record", "x", "-o", "y", "--interval", "0s"},
           R"(--interval is "0s", but takes a duration from 10ms to 366d, such as 500ms, 5s, 2m or 1h)"},
          {{"watch", "x", "--interval", "1ms"}, R"(--interval is "1ms", but takes 10ms or more)"},
          {{"diff", "x", "y", "--min-allocations", "1.5"},
           R"(--min-allocations is "1.5", but takes a number of 0 or more)"}}) {
        answer const a = tool(words);
        BOOST_TEST(a.code == 2);
        BOOST_TEST(a.err == "tslab: " + std::string{said} + "\n");
    }
}

BOOST_AUTO_TEST_CASE(a_share_that_is_not_none_does_not_look_like_none)
{
    snapshot s = quiet();
    for (tslab::class_stats& c : s.classes)
        c.allocations = c.slow_path_hits = c.slow_path_cache_miss = c.cache_hits = 0;
    s.classes[2].allocations = 100'000;
    s.classes[2].slow_path_hits = s.classes[2].slow_path_cache_miss = 2;
    std::string const text = tool({"stats", "--stdin"}, to_json(s)).out;
    auto const at = text.find("100,000");
    BOOST_REQUIRE(at != std::string::npos);
    std::string const row = text.substr(at, text.find('\n', at) - at);
    BOOST_TEST(row.ends_with(" <0.1 %     >99.9 %"), row);
}

BOOST_AUTO_TEST_CASE(heaps_of_one_name_are_told_apart)
{
    snapshot first = quiet();
    snapshot second = first;
    first.instance = 1;
    second.instance = 7;
    second.global.live_objects = 4;
    std::string const text = to_json(first) + to_json(second);
    BOOST_TEST(contains(tool({"stats", "--stdin"}, text).out, "heap \"quiet#7\" of"));
    auto const one = objects(tool({"stats", "--json", "--stdin", "--heap", "quiet#7"}, text).out);
    BOOST_REQUIRE(one.size() == 1U);
    BOOST_TEST(one[0].at("live_objects").to_number<int>() == 4);
    BOOST_TEST(objects(tool({"stats", "--json", "--stdin", "--heap", "quiet"}, text).out).size() == 2U);
    BOOST_TEST(contains(tool({"stats", "--stdin", "--heap", "none"}, text).err, "\"quiet\", \"quiet#7\""));
}

BOOST_AUTO_TEST_CASE(another_version_of_the_format_ends_with_4)
{
    json::object tree = json::parse(to_json(quiet())).as_object();
    tree["schema_version"] = 2;
    BOOST_TEST(tool({"stats", "--stdin"}, json::serialize(tree)).code == 4);
}

BOOST_AUTO_TEST_CASE(a_snapshot_cut_short_anywhere_is_refused)
{
    std::string const text = to_json(support::filled_snapshot());
    for (std::size_t size = 0; size < text.size(); size += 997)
        BOOST_TEST(tool({"stats", "--stdin"}, text.substr(0, size)).code == 3, size);
}

BOOST_AUTO_TEST_CASE(every_command_keeps_labels_off_the_terminal)
{
    std::string const text = to_json(with_leak());
    for (char const* const command :
         {"stats", "watch", "top", "epochs", "labels", "leaks", "pins", "waterfall", "doctor"}) {
        answer const a = tool({command, "--stdin"}, text);
        BOOST_TEST(a.code <= 1, command << ": " << a.err);
        BOOST_TEST(is_harmless(a.out), command);
        BOOST_TEST(!a.out.empty(), command);
    }
    BOOST_TEST(contains(tool({"epochs", "--stdin"}, text).out, "bad\\x1b[2J\\x0alabel"));
}

BOOST_AUTO_TEST_CASE(every_command_writes_json_lines)
{
    std::string const text = to_json(with_leak());
    for (char const* const command : {"stats", "watch", "top", "epochs", "leaks", "waterfall", "doctor"})
        BOOST_TEST(!objects(tool({command, "--stdin", "--json"}, text).out).empty(), command);
    BOOST_TEST(tool({"pins", "--stdin", "--json"}, to_json(support::filled_snapshot())).out.starts_with("{"));
}

BOOST_AUTO_TEST_CASE(leaks_says_what_there_was_no_memory_to_note)
{
    snapshot s = quiet();
    BOOST_TEST(!contains(tool({"leaks", "--stdin"}, to_json(s)).out, "no memory"));
    s.global.unlisted_holders = 3;
    s.global.places_missing = 1;
    s.global.unpublished_chunks = 2;
    std::string const out = tool({"leaks", "--stdin"}, to_json(s)).out;
    for (char const* const part :
         {"of 3 domains inside place and time are not known", "1 time a source place was not kept",
          "32.0 KiB of the process's statistics found no room"})
        BOOST_TEST(contains(out, part), out);
}

BOOST_AUTO_TEST_CASE(figures_that_are_too_low_are_said_to_be)
{
    snapshot s = quiet();
    for (char const* const command : {"stats", "labels", "top", "epochs"}) {
        s.global.unpublished_chunks = 0;
        BOOST_TEST(!contains(tool({command, "--stdin"}, to_json(s)).out, "too low"), command);
        s.global.unpublished_chunks = 2;
        std::string const out = tool({command, "--stdin"}, to_json(s)).out;
        BOOST_TEST(contains(out, "32.0 KiB of the process's statistics found no room where other processes can read "
                                 "them: figures are too low\n"),
                   command << ": " << out);
        BOOST_TEST(!contains(tool({command, "--stdin", "--json"}, to_json(s)).out, "too low"), command);
    }
    answer const a = tool({"doctor", "--stdin"}, to_json(s));
    BOOST_TEST(a.code == 1);
    BOOST_TEST(contains(a.out, "statistics_unpublished"), a.out);
}

BOOST_AUTO_TEST_CASE(leaks_and_findings_end_with_1)
{
    BOOST_TEST(tool({"leaks", "--stdin"}, to_json(quiet())).code == 0);
    BOOST_TEST(contains(tool({"leaks", "--stdin"}, to_json(quiet())).out, "1 younger"));
    answer const a = tool({"leaks", "--stdin"}, to_json(with_leak()));
    BOOST_TEST(a.code == 1);
    for (char const* const part : {"refcount 1", "1 exit missing for 16 min", "saved.hpp:", "ages are up to "})
        BOOST_TEST(contains(a.out, part), a.out);
    tslab::snapshot unknown = with_leak();   // as of a process that is gone
    BOOST_TEST(contains(tool({"leaks", "--stdin", "--json"}, to_json(unknown)).out, "live object"));
    unknown.live_known = false;
    std::string const said = tool({"leaks", "--stdin", "--json"}, to_json(unknown)).out;
    BOOST_TEST(contains(said, R"("live_known":false)"), said);
    BOOST_TEST(!contains(said, "live object"), said);
    BOOST_TEST(tool({"leaks", "--stdin", "--older-than", "1h"}, to_json(with_leak())).code == 0);
    BOOST_TEST(tool({"leaks", "--stdin", "--older-than", "soon"}, to_json(with_leak())).code == 2);
    BOOST_TEST(tool({"doctor", "--stdin"}, to_json(quiet())).code == 0);
    BOOST_TEST(tool({"doctor", "--stdin"}, to_json(with_leak())).code == 1);
    BOOST_TEST(tool({"doctor", "--stdin", "--long-lived", "bad\x1b[2J\nlabel"}, to_json(with_leak())).code == 0);
}

BOOST_AUTO_TEST_CASE(leaks_and_doctor_show_the_same_epochs_of_one_age)
{
    snapshot s = quiet();
    auto const add = [&](tslab::lifecycle life, double seconds, std::uint64_t pages) {
        tslab::epoch_stats e;
        e.index = static_cast<std::uint32_t>(s.epochs.size());
        e.era = 1000 + e.index;
        e.lifecycle = life;
        e.label = "of " + std::to_string(e.index);
        e.age_seconds = seconds + 1e5;
        e.slabs = e.slab_pages = pages;
        if (life == tslab::lifecycle::active) {
            e.refcount = 1;
            e.entered_seconds = seconds;
        } else {
            e.closing_seconds = seconds;
            e.live_objects = 1;
            e.live_bytes = 64;
        }
        s.epochs.push_back(e);
    };
    for (double const seconds : {9.0, 11.0, 299.0, 301.0})
        for (std::uint64_t const pages : {std::uint64_t{1}, std::uint64_t{300}, std::uint64_t{20'000}})
            for (auto const life : {tslab::lifecycle::active, tslab::lifecycle::closing})
                add(life, seconds, pages);
    auto const eras = [&](std::vector<std::string> const& words, bool figures) {
        std::set<std::int64_t> all;
        for (json::object const& o : objects(tool(words, to_json(s)).out)) {
            bool const leak =
                !figures || o.at("code").as_string() == "epoch_leak" || o.at("code").as_string() == "epoch_remains";
            if (leak)
                all.insert((figures ? o.at("figures").at("epoch_era") : o.at("epoch_era")).to_number<std::int64_t>());
        }
        return all;
    };
    for (char const* const age : {"0s", "10s", "5m", "1h"}) {
        auto const leaks = eras({"leaks", "--stdin", "--json", "--older-than", age}, false);
        BOOST_TEST((eras({"doctor", "--stdin", "--json", "--older-than", age}, true) == leaks), age);
        BOOST_TEST(leaks.empty() == (std::string_view{age} == "1h"));
    }
    // By default the doctor weighs what is held: --help and docs/tool.md say how.
    auto const leaks = eras({"leaks", "--stdin", "--json"}, false),
               doctor = eras({"doctor", "--stdin", "--json"}, true);
    BOOST_TEST(leaks.size() == 6U);   // as old as five minutes
    // Less the closed one that holds a page, and more: one of 299 s that holds 78 MiB.
    BOOST_TEST(doctor.size() == 6U);
    BOOST_TEST(std::ranges::count_if(doctor, [&](std::int64_t era) { return leaks.contains(era); }) == 5);
    BOOST_TEST(tool({"doctor", "--stdin", "--older-than", "soon"}, to_json(s)).code == 2);
}

BOOST_AUTO_TEST_CASE(top_ranks_by_any_key_and_lists_them)
{
    std::string const text = to_json(support::filled_snapshot());
    auto const by = [&](char const* kind, char const* key) {
        return tool({"top", kind, "--by", key, "--stdin", "--json"}, text);
    };
    for (char const* const key : {"age_sec", "rss_bytes", "refcount", "madvise_bytes", "cooperation_pct"})
        BOOST_TEST(!objects(by("--epochs", key).out).empty(), key);
    for (char const* const key :
         {"slow_path_hits", "madvise_bytes", "slow_path_rate", "bitmap_alloc_cas_retries", "rss_bytes"}) {
        auto const ranking = objects(by("--classes", key).out);
        BOOST_REQUIRE(ranking.size() == 10U);
        for (std::size_t n = 1; n < ranking.size(); ++n)
            BOOST_TEST(ranking[n - 1].at("value").to_number<double>() >= ranking[n].at("value").to_number<double>());
    }
    BOOST_TEST(objects(tool({"top", "--threads", "--stdin", "--json", "--n", "1"}, text).out).size() == 1U);
    std::string const threads = tool({"top", "--threads", "--stdin"}, text).out;
    for (tslab::thread_stats const& t : support::filled_snapshot().threads)
        BOOST_TEST((contains(threads, std::to_string(t.tid)) && contains(threads, t.name)), threads);
    answer const unknown = by("--labels", "nonsense");
    BOOST_TEST(unknown.code == 2);
    BOOST_TEST(contains(unknown.err, "held_bytes"));
    json::object const document = json::parse(text).as_object();
    auto const all_numbers = [&](char const* kind, json::object const& record) {
        for (auto const& [name, value] : record)
            if (value.is_number() || value.is_bool())
                BOOST_TEST(by(kind, std::string{name}.c_str()).code == 0, kind << " " << name);
    };
    all_numbers("--classes", document.at("classes").at(3).as_object());
    all_numbers("--classes", document.at("large").as_object());
    all_numbers("--epochs", document.at("epochs").at(1).as_object());
    all_numbers("--threads", document.at("threads").at(0).as_object());
    all_numbers("--labels", document.at("labels").at(1).as_object());
    BOOST_TEST(tool({"top", "--labels", "--epochs", "--stdin"}, text).code == 2);
    BOOST_TEST(tool({"top", "--stdin", "--window", "1s"}, text).code == 2);
    BOOST_TEST(tool({"top", "--stdin", "--n", "0"}, text).code == 2);
}

BOOST_AUTO_TEST_CASE(watch_of_a_saved_snapshot_has_one_step_without_rates)
{
    answer const a = tool({"watch", "--stdin", "--json", "--interval", "0.5", "--count", "10"}, to_json(quiet()));
    auto const steps = objects(a.out);
    BOOST_REQUIRE(steps.size() == 1U);
    BOOST_TEST(steps[0].at("allocations_per_sec").to_number<double>() == 0);
    BOOST_TEST(steps[0].at("live_objects").to_number<int>() == 100);
    BOOST_TEST(tool({"watch", "--stdin", "--interval", "0.001"}, to_json(quiet())).code == 2);
    file const f{to_json(quiet())};
    BOOST_TEST(tool({"watch", f.path(), "0.5", "10"}).code == 0);
    BOOST_TEST(tool({"watch", f.path(), "0.001"}).code == 2);
}

BOOST_AUTO_TEST_CASE(a_saved_snapshot_has_no_map)
{
    answer const a = tool({"map", "--stdin"}, to_json(quiet()));
    BOOST_TEST(a.code == 3);
    BOOST_TEST(contains(a.err, "no map"));
}

BOOST_AUTO_TEST_CASE(help_of_every_command_has_an_example)
{
    BOOST_TEST(tool({"--version"}).out.starts_with("tslab "));
    for (char const* const command :
         {"ps", "stats", "watch", "top", "epochs", "labels", "leaks", "pins", "waterfall", "doctor", "map", "profile",
          "diff", "export", "serve", "record", "report", "completion", "man"}) {
        answer const a = tool({command, "--help"});
        BOOST_TEST(a.code == 0, command);
        BOOST_TEST(contains(a.out, std::string{"Example: tslab "} + command), command);
        BOOST_TEST(a.out.find("Example:") == a.out.rfind("Example:"), command);
        BOOST_TEST(contains(tool({"man"}).out, "tslab"), command);
    }
    BOOST_TEST(contains(tool({"export", "prometheus", "--help"}).out, "Example: tslab export prometheus"));
    for (char const* const shell : {"bash", "zsh", "fish"})
        BOOST_TEST(contains(tool({"completion", shell}).out, "slow-path-growth"), shell);
    BOOST_TEST(tool({"completion", "csh"}).code == 2);
    BOOST_TEST(contains(tool({"man", "leaks"}).out, ".SS leaks"));
    BOOST_TEST(tool({"man", "nonsense"}).code == 2);
}
