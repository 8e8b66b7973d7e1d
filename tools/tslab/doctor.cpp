// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include <algorithm>
#include <chrono>
#include <memory>
#include <ostream>
#include <thread>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct doctor_options {
    target from{};
    std::string window{};
    std::string before{};
    std::string older_than{};
    std::vector<std::string> long_lived{};
    std::string fail_on = "hint";
    bool json = false;

    /// Whether a finding makes the program exit with 1.
    [[nodiscard]] bool fails(finding const& f) const noexcept
    {
        return f.severity >= (fail_on == "critical"  ? severity::critical
                              : fail_on == "warning" ? severity::warning
                                                     : severity::hint);
    }
};

std::string json_of(snapshot const& s, finding const& f)
{
    json_writer j;
    j.open('{').member("heap", s.name).member("code", f.code).member("severity", severity_name(f.severity));
    j.member("subject", f.subject).member("title", f.title).key("figures").open('{');
    for (figure const& one : f.figures)
        j.member(one.name, one.value);
    return j.close('}').member("evidence", f.evidence).member("action", f.action).close('}').text();
}

std::vector<snapshot> earlier(doctor_options const& o, source& from)
{
    if (!o.window.empty() && !o.before.empty())
        throw failure{outcome::usage, "--window and --before exclude each other"};
    if (!o.before.empty())
        return open_source(o.before)->read(false);
    if (o.window.empty())
        return {};
    double const seconds = seconds_of("--window", o.window);
    if (!from.live())
        throw failure{outcome::usage, "--window needs a live process; --before takes an earlier snapshot"};
    std::vector<snapshot> first = from.read(false);
    std::this_thread::sleep_for(std::chrono::duration<double>{std::min(seconds, 1e6)});
    return first;
}

/// Says how many epochs are left out for their age alone.
void print_younger(invocation& i, snapshot const& s, double seconds)
{
    std::size_t const n = find_leaks(s, 0).size() - find_leaks(s, seconds).size();
    if (n != 0)
        i.out << painted(i.color, paint::dim, "note: ") << grouped(n)
              << (n == 1 ? " epoch that is entered and not left, or closed and not empty, is younger than "
                         : " epochs that are entered and not left, or closed and not empty, are younger than ")
              << duration_text(seconds) << " (tslab leaks --older-than 0s shows them)\n";
}

doctor_thresholds limits_of(doctor_options const& o)
{
    doctor_thresholds limits;
    limits.long_lived = o.long_lived;
    if (!o.older_than.empty()) {
        limits.leak_seconds = limits.leak_large_seconds = limits.remains_seconds =
            seconds_of("--older-than", o.older_than);
        limits.remains_bytes.warning = 0;
    }
    return limits;
}

void examine(doctor_options const& o, invocation& i)
{
    doctor_thresholds const limits = limits_of(o);
    auto const from = o.from.open(i);
    std::vector<snapshot> const before = earlier(o, *from);
    std::vector<snapshot> const now = from->read(true);
    if (!o.before.empty()) {
        bool any = false;
        for (std::size_t n = 0; n < now.size(); ++n)
            any = any || same_heap(before, now, n) != nullptr;
        if (!any)
            throw failure{outcome::usage, escaped(o.before) + " has no heap of this process: --before takes an earlier "
                                                              "snapshot of the same one"};
    }
    for (std::size_t n = 0; n < now.size(); ++n) {
        std::vector<finding> const found = diagnose(now[n], same_heap(before, now, n), limits);
        if (std::ranges::any_of(found, [&o](finding const& f) { return o.fails(f); }))
            i.result = outcome::findings;
        if (o.json) {
            for (finding const& f : found)
                i.out << json_of(now[n], f) << '\n';
            continue;
        }
        i.out << painted(i.color, paint::bold, heap_text(now[n])) << '\n' << to_text(found);
        print_younger(i, now[n], limits.leak_seconds);
    }
}

}

void add_doctor(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "doctor",
                    "What is wrong, by which figures, and what to do; exits 1 if anything is, or what --fail-on names",
                    "tslab doctor 1234 --window 10s");
    auto const o = std::make_shared<doctor_options>();
    o->from.add_to(command);
    command.add_option("--window", o->window, "judge what happens from now on for so long, not since the start")
        .type_name("DURATION");
    command.add_option("--before", o->before, "judge what happened since this snapshot of the same process")
        .type_name("FILE");
    command
        .add_option(
            "--older-than", o->older_than,
            "report every epoch that was entered and not left, or closed and still holds objects, so long ago: those "
            "that leaks lists")
        .type_name("DURATION");
    command.add_option("--long-lived", o->long_lived, "a label of phases that are meant to last; may be given again")
        .type_name("LABEL")
        .takes_one_at_a_time();
    command.explain(
        "Of epochs it reports what tslab leaks lists with the same limit of 5 minutes, less closed epochs of one label "
        "that hold under 1 MiB together, and more: labels that hold 50 MiB or more after one minute already. "
        "With --older-than both show the same epochs.");
    command.add_option("--fail-on", o->fail_on, "the least severity that makes it exit with 1: hint, warning, critical")
        .takes_one_of({"hint", "warning", "critical"})
        .type_name("SEVERITY")
        .shows_default();
    command.add_flag("--json", o->json, "one object a line");
    command.callback([o, &i] { examine(*o, i); });
}

}
