// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab profile: who allocates, by stack, as a table, for pprof, as folded stacks, and as a flame graph.
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/flame.hpp"
#include "tslab/heaps.hpp"
#include "tslab/output.hpp"
#include "tslab/pprof_writer.hpp"
#include "tslab/profile_file.hpp"
#include "tslab/profile_table.hpp"
#include "tslab/style.hpp"
#include "tslab/terminal.hpp"
#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace tslab::tool {

namespace {

struct profile_options {
    target from{};
    std::string by = "function";
    std::string of = "live_bytes";
    std::string label{};
    std::string since{};
    std::string pprof{};
    std::string folded{};
    std::string flame{};
    std::size_t most = 20;
    bool json = false;

    [[nodiscard]] profile_by kind() const noexcept
    {
        return by == "label" ? profile_by::label : by == "class" ? profile_by::size_class : profile_by::function;
    }
    [[nodiscard]] profile_amount const& amount() const
    {
        return *std::ranges::find(profile_amount_kinds, std::string_view{of}, &profile_amount::name);
    }
};

/// The seconds that --since names; nothing if it names a file.
std::optional<double> seconds_before(std::string const& since)
{
    if (since.empty() || since.find('/') != std::string::npos)
        return std::nullopt;
    try {
        return seconds_of(since);
    } catch (failure const&) {
        return std::nullopt;
    }
}

std::vector<heap_profile> earlier_in_file(std::string const& path)
{
    std::ifstream file{path, std::ios::binary};
    if (!file || file.peek() == std::char_traits<char>::eof())
        throw failure{outcome::usage, "--since is " + in_quotes(path) +
                                          ", which is neither a duration such as 10s nor a file that can be read"};
    try {
        return open_saved(path, file)->profiles();
    } catch (failure const& f) {
        throw failure{outcome::usage, std::string{"--since: "} + f.what()};
    }
}

/// The profile in `before` of the heap that `now[index]` is of: heaps of one name keep their order.
heap_profile const* same_heap(std::vector<heap_profile> const& before, std::vector<heap_profile> const& now,
                              std::size_t index)
{
    auto rank = std::count_if(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(index),
                              [&](heap_profile const& p) { return p.heap == now[index].heap; });
    for (heap_profile const& p : before)
        if (p.heap == now[index].heap && rank-- == 0)
            return &p;
    return nullptr;
}

/// `now` without what was there before. A heap that was not there before keeps all.
std::vector<heap_profile> differences(std::vector<heap_profile> const& now, std::vector<heap_profile> const& before)
{
    std::vector<heap_profile> all = now;
    bool found = false;
    for (std::size_t n = 0; n < now.size(); ++n)
        if (heap_profile const* const earlier = same_heap(before, now, n)) {
            all[n] = difference(now[n], *earlier);
            found = true;
        }
    if (!found && !now.empty() && !before.empty())   // says what does not fit
        static_cast<void>(difference(now.front(), before.front()));
    return all;
}

/// Nothing if the wait was interrupted.
std::optional<std::vector<heap_profile>> looked_at(profile_options const& o, source& from)
{
    std::optional<double> const seconds = seconds_before(o.since);
    if (seconds && !from.live())
        throw failure{outcome::usage,
                      "--since " + o.since + " needs a live process: " + from.name() + " does not change"};
    std::optional<std::vector<heap_profile>> before;
    if (!o.since.empty() && !seconds)
        before = earlier_in_file(o.since);
    if (seconds) {
        before = from.profiles();
        demand_samples(*before, from.name());
        interruption const until;
        if (!until.wait(*seconds))
            return std::nullopt;
    }
    std::vector<heap_profile> now = from.profiles();
    demand_samples(now, from.name());
    if (before)
        now = differences(now, *before);
    return now;
}

/// Leaves the stacks of one label, as it is or as it is shown.
void keep_label(std::vector<heap_profile>& all, std::string const& label, std::string const& name)
{
    std::set<std::string> others;
    bool found = false;
    for (heap_profile& p : all)
        std::erase_if(p.stacks, [&](profiled_stack const& s) {
            bool const wanted = s.label == label || label_or_none(s.label) == label;
            if (!wanted)
                others.insert(in_quotes(label_or_none(s.label)));
            found |= wanted;
            return !wanted;
        });
    if (found)
        return;
    std::string list;
    for (std::string const& other : others)
        list += (list.empty() ? ", but of " : ", ") + other;
    throw failure{outcome::no_target, name + " has no sample of label " + in_quotes(label) + list};
}

void write_collapsed(profile_options const& o, invocation& i, std::vector<named_profile> const& named)
{
    std::uint64_t left_out = 0;
    std::string const text = collapsed(named, o.amount().member, left_out);
    if (o.folded == "true")   // the flag alone
        i.out << text;
    else
        write_file(o.folded, text);
    if (left_out != 0)
        i.err << "tslab: left out " << left_out << (left_out == 1 ? " stack" : " stacks") << " of which less is "
              << (o.amount().bytes ? "held" : "there") << " than before\n";
}

void profile(profile_options const& o, invocation& i)
{
    if (!o.flame.empty() && !has_flame_graphs())
        throw failure{outcome::usage, why_no_flame_graphs()};
    if (o.json && o.folded == "true")
        throw failure{outcome::usage,
                      "--json and --collapsed both write to standard output; --collapsed=FILE writes to a file"};
    auto const from = o.from.open(i);
    auto now = looked_at(o, *from);
    if (!now)
        return;
    if (!o.label.empty())
        keep_label(*now, o.label, from->name());
    symbolizer names{mappings_of(*now), from->pid()};
    std::vector<named_profile> named;
    for (heap_profile& p : *now)
        named.push_back(with_names(std::move(p), names));

    if (!o.pprof.empty())
        write_file(o.pprof, pprof_of(named, names, o.of.starts_with("allocated") ? "alloc_space" : "inuse_space"));
    if (!o.flame.empty())
        write_file(o.flame, flame_page(flame_json(named, from->name(), names.notes())));
    if (!o.folded.empty())
        write_collapsed(o, i, named);
    if (o.json)
        for (named_profile const& p : named)
            i.out << json_of(p) << '\n';
    if (o.json || !o.pprof.empty() || !o.flame.empty() || !o.folded.empty())
        return;
    for (named_profile const& p : named)
        print_profile(i.out, i.color, p,
                      {.by = o.kind(), .of = o.amount(), .most = o.most, .difference = !o.since.empty()}, from->name());
    for (std::string const& note : names.notes())
        i.out << painted(i.color, paint::dim, "note: ") << note << '\n';
}

}

void add_profile(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "profile", "Who allocates: functions by the memory that they and their callees hold",
                    "tslab profile 1234 --since 10s --pprof heap.pb.gz");
    auto const o = std::make_shared<profile_options>();
    o->from.add_to(command);
    command.add_option("--by", o->by, "what a row is: function, label, class")
        .takes_one_of({"function", "label", "class"})
        .type_name("WHAT")
        .shows_default();
    command.add_option("--label", o->label, "only what phases of this label allocated; \"unlabeled\": of none")
        .type_name("LABEL");
    command.add_option("--of", o->of, "what is ranked: live_bytes, live_objects, allocated_bytes, allocated_objects")
        .takes_one_of({"live_bytes", "live_objects", "allocated_bytes", "allocated_objects"})
        .type_name("AMOUNT")
        .shows_default();
    add_number<std::size_t>(command, "-n,--n", o->most, 1, "how many rows");
    command
        .add_option("--since", o->since,
                    "only what changes: in a duration from now on (10s), or since a file that --json wrote")
        .type_name("DURATION|FILE");
    command.add_option("--pprof", o->pprof, "write a profile for pprof instead").type_name("FILE");
    command.add_option("--flame", o->flame, "write a page with a flame graph instead").type_name("FILE");
    command.add_flag("--collapsed", o->folded,
                     "folded stacks, a line each, on standard output instead, or with --collapsed=FILE in a file");
    command.add_flag("--json", o->json, "one object a heap, to be looked at again, and for --since");
    command.callback([o, &i] { profile(*o, i); });
}

}
