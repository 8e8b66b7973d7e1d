// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/label_stacks.hpp"
#include "tslab/style.hpp"
#include <memory>
#include <ostream>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct leaks_options {
    target from{};
    std::string older_than = "5m";
    bool json = false;
};

std::string entry_place(source_entry const& at)
{
    std::string text = escaped(at.file);
    if (!at.file.empty() && at.line != 0)
        text += ":" + std::to_string(at.line);
    if (!at.function.empty())
        text += (text.empty() ? "in " : " in ") + escaped(at.function);
    return text;
}

std::string json_of(snapshot const& s, leak const& l, label_stacks& stacks)
{
    json_writer j;
    j.open('{').member("heap", s.name).member("epoch_id", l.epoch).member("epoch_era", l.era).member("label", l.label);
    j.member("lifecycle", name_of(l.lifecycle)).member("age_sec", l.age_seconds);
    j.member("entered_sec", l.entered_seconds).member("closing_sec", l.closing_seconds);
    j.member("refcount", l.refcount)
        .member("unlisted_holders", l.unlisted_holders)
        .member("domain_enters", l.enters)
        .member("domain_exits", l.exits);
    j.member("missing_exits", l.missing_exits).member("live_objects", l.live_objects);
    j.member("live_known", l.live_known).member("live_bytes", l.live_bytes).member("held_bytes", l.held_bytes);
    j.key("entered_at").open('{').member("file", l.entered_at.file).member("line", l.entered_at.line);
    j.member("function", l.entered_at.function).close('}').member("sentence", l.sentence());
    if (stacks.sampled(s))
        put_stacks(j.key("label_stacks"), stacks.of(s, l.label_id));
    j.close('}');
    return j.text();
}

void print_leak(invocation& i, snapshot const& s, leak const& l, label_stacks& stacks)
{
    i.out << "  " << painted(i.color, paint::red, label_or_none(l.label)) << '\n';
    if (l.refcount != 0)
        i.out << "    inside    refcount " << grouped(l.refcount) << ", " << grouped(l.missing_exits)
              << (l.missing_exits == 1 ? " exit" : " exits") << " missing for " << duration_text(l.inside_seconds())
              << '\n';
    else
        i.out << "    inside    no domain, closed for " << duration_text(l.closing_seconds) << '\n';
    i.out << "    holds     " << bytes_text(l.held_bytes);
    if (s.live_known)
        i.out << ", " << bytes_text(l.live_bytes) << " live in " << grouped(l.live_objects) << " objects";
    i.out << '\n';
    if (std::string const place = entry_place(l.entered_at); !place.empty())
        i.out << "    entered   " << place << '\n';
    if (stacks.sampled(s))
        print_stacks(i.out, i.color, stacks.of(s, l.label_id));
    i.out << "    epoch     " << l.epoch << ", era " << l.era << ", " << name_of(l.lifecycle) << ", open for "
          << duration_text(l.age_seconds) << '\n';
}

/// Says what the heap had no memory to remember.
void print_unknown(invocation& i, global_stats const& g)
{
    if (g.unlisted_holders != 0)
        i.out << "  of " << grouped(g.unlisted_holders) << (g.unlisted_holders == 1 ? " domain" : " domains")
              << " inside place and time are not known: there was no memory to note them\n";
    if (g.places_missing != 0)
        i.out << "  " << grouped(g.places_missing) << (g.places_missing == 1 ? " time" : " times")
              << " a source place was not kept: there was no memory for it\n";
    if (g.unpublished_chunks != 0)
        i.out << "  " << unpublished_text(g.unpublished_chunks) << ": there may be more leaks\n";
}

void print_leaks(leaks_options const& o, invocation& i)
{
    double const seconds = seconds_of("--older-than", o.older_than);
    auto const from = o.from.open(i);
    std::vector<snapshot> const heaps = from->read(false);
    label_stacks stacks{*from, heaps};
    for (snapshot const& s : heaps) {
        std::vector<leak> const found = find_leaks(s, seconds);
        if (!found.empty())
            i.result = outcome::findings;
        if (o.json) {
            for (leak const& l : found)
                i.out << json_of(s, l, stacks) << '\n';
            continue;
        }
        i.out << painted(i.color, paint::bold, heap_text(s)) << ": ";
        if (found.empty())
            i.out << "no leaks older than " << duration_text(seconds);
        else
            i.out << found.size() << (found.size() == 1 ? " leak" : " leaks");
        if (std::size_t const younger = find_leaks(s, 0).size() - found.size(); younger != 0)
            i.out << "; " << younger << " younger than " << duration_text(seconds) << " (--older-than 0s shows them)";
        i.out << '\n';
        if (!from->live())
            i.out << "  ages are up to " << clock_text(s.timestamp_ns)
                  << ", when this was taken or the process last gave a sign of life\n";
        for (leak const& l : found)
            print_leak(i, s, l, stacks);
        print_unknown(i, s.global);
    }
    if (!o.json)
        for (std::string const& note : stacks.notes())
            i.out << painted(i.color, paint::dim, "note: ") << note << '\n';
}

}

void add_leaks(CLI::App& app, invocation& i)
{
    command_line const command = add_command(
        app, "leaks",
        "Epochs that were entered and not left, and objects that outlive their closed epoch; exits 1 if any",
        "tslab leaks 1234 --older-than 30s");
    command.explain(
        "The list goes by age alone. tslab doctor judges by what is held too, and tells what to do; with the same "
        "--older-than both show the same epochs. Where the process samples its allocations (tslab profile), the stacks "
        "that allocated what lives of a leak's label are shown with it.");
    auto const o = std::make_shared<leaks_options>();
    o->from.add_to(command);
    command.add_option("--older-than", o->older_than, "leave out what is younger")
        .type_name("DURATION")
        .shows_default();
    command.add_flag("--json", o->json, "one object a line");
    command.callback([o, &i] { print_leaks(*o, i); });
}

}
