// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/comparison.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/ranking.hpp"
#include "tslab/style.hpp"
#include <charconv>
#include <memory>
#include <ostream>
#include <set>
#include <string_view>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct diff_options {
    std::string a{};
    std::string b{};
    std::string heap{};
    std::string fail_on = "never";
    std::string slow_path_growth = "10%";
    std::string live_growth{};
    std::string rss_growth{};
    limits_of_change limits{};
    bool json = false;
};

/// "10%" and "10" are 0.1.
double fraction_of(std::string const& text)
{
    double percent = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    std::string_view const rest{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    if (error != std::errc{} || !(percent >= 0) || (rest != "%" && !rest.empty()))
        throw failure{outcome::usage, in_quotes(text) + " is no percentage such as 10%"};
    return percent / 100;
}

std::vector<snapshot> snapshots_from(std::string const& what, std::string const& heap)
{
    std::unique_ptr<source> from = open_source(what);
    if (!heap.empty())
        from = only_heap(std::move(from), heap);
    return from->read(true);
}

/// The heap of `all` with the name of `like`, the k-th for the k-th; where each side has a single heap, that one.
snapshot const* counterpart(std::vector<snapshot> const& all, std::vector<snapshot> const& others, std::size_t index)
{
    if (all.size() == 1 && others.size() == 1)
        return all.data();
    std::size_t rank = 0;
    for (std::size_t i = 0; i < index; ++i)
        rank += others[i].name == others[index].name ? 1 : 0;
    for (snapshot const& s : all)
        if (s.name == others[index].name && rank-- == 0)
            return &s;
    return nullptr;
}

void put(json_writer& j, std::string_view key, std::vector<unmatched> const& all)
{
    j.key(key).open('[');
    for (unmatched const& one : all)
        j.open('{').member("kind", one.kind).member("name", one.name).close('}');
    j.close(']');
}

std::string json_of(std::string const& before, std::string const& name, comparison const& c)
{
    json_writer j;
    j.open('{').member("heap", name).member("heap_before", before);
    j.member("same_run", c.same_run).member("regression", c.worse());
    j.key("changes").open('[');
    for (change const& one : c.changes) {
        j.open('{').member("name", one.name).member("before", one.before).member("after", one.after);
        j.member("worse", one.worse).close('}');
    }
    j.close(']');
    put(j, "gone", c.gone);
    put(j, "new", c.added);
    return j.close('}').text();
}

void print_unmatched(invocation& i, std::string_view what, std::vector<unmatched> const& all)
{
    std::string kind;
    for (unmatched const& one : all) {
        if (one.kind == kind)
            i.out << "; " << escaped(one.name);
        else
            i.out << (kind.empty() ? "  " : "\n  ") << what << ' ' << one.kind << ": " << escaped(one.name);
        kind = one.kind;
    }
    if (!all.empty())
        i.out << '\n';
}

std::string growth_text(change const& c)
{
    if (c.before == 0)
        return c.after == 0 ? "" : "new";
    double const growth = c.after / c.before - 1;
    return (growth > 0 ? "+" : "") + percent_text(growth);
}

void print_comparison(invocation& i, snapshot const& before, snapshot const& s, comparison const& c)
{
    i.out << painted(i.color, paint::bold, heap_text(s))
          << (before.name != s.name ? ", compared with " + heap_text(before) : "") << ": "
          << (c.same_run ? "one run, slow paths since the first snapshot" : "two runs") << '\n';
    using side = table::side;
    table t{{{"figure", side::left}, {"before"}, {"after"}, {"change"}, {"", side::left}}};
    for (change const& one : c.changes)
        t.add({{one.name, one.worse ? paint::red : paint::none},
               {figure_text(one.name, one.before)},
               {figure_text(one.name, one.after)},
               {growth_text(one)},
               {one.worse ? "WORSE" : "", paint::red}});
    if (!t.empty())
        t.print(i.out, i.color, "  ");
    else if (c.gone.empty() && c.added.empty())
        i.out << "  nothing changed\n";
    print_unmatched(i, "gone", c.gone);
    print_unmatched(i, "new", c.added);
}

/// Says that one side has no such heap.
void print_heap(invocation& i, snapshot const& s, bool gone, bool json)
{
    comparison c;
    (gone ? c.gone : c.added).push_back({"heap", s.name});
    if (json)
        i.out << json_of(gone ? s.name : "", s.name, c) << '\n';
    else
        i.out << painted(i.color, paint::bold, heap_text(s)) << (gone ? " is gone\n" : " is new\n");
}

void compare_files(diff_options o, invocation& i)
{
    o.limits.slow_path_growth = fraction_of(o.slow_path_growth);
    if (!o.live_growth.empty())
        o.limits.live_growth = fraction_of(o.live_growth);
    if (!o.rss_growth.empty())
        o.limits.rss_growth = fraction_of(o.rss_growth);
    std::vector<snapshot> const a = snapshots_from(o.a, o.heap);
    std::vector<snapshot> const b = snapshots_from(o.b, o.heap);
    bool worse = false;
    bool gone = false;
    bool added = false;
    std::set<snapshot const*> matched;
    for (std::size_t n = 0; n < b.size(); ++n) {
        snapshot const* const before = counterpart(a, b, n);
        if (before == nullptr) {
            added = true;
            print_heap(i, b[n], false, o.json);
            continue;
        }
        matched.insert(before);
        comparison const c = compare(*before, b[n], o.limits);
        worse = worse || c.worse();
        gone = gone || !c.gone.empty();
        added = added || !c.added.empty();
        if (o.json)
            i.out << json_of(before->name, b[n].name, c) << '\n';
        else
            print_comparison(i, *before, b[n], c);
    }
    for (snapshot const& s : a)
        if (!matched.contains(&s)) {
            gone = true;
            print_heap(i, s, true, o.json);
        }
    if (matched.empty())
        throw failure{outcome::no_target, "no heap of " + escaped(o.a) + " is in " + escaped(o.b)};
    if (!o.json)
        i.out << (worse ? "worse\n" : "no regression\n");
    bool const fails = o.fail_on == "regression" ? worse
                       : o.fail_on == "gone"     ? worse || gone
                       : o.fail_on == "change"   ? worse || gone || added
                                                 : false;
    if (fails)
        i.result = outcome::findings;
}

}

void add_diff(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "diff", "What changed from A to B, and whether it is worse",
                    "tslab diff before.json after.json --fail-on regression --max-slow-path-growth 10%");
    command.explain(
        "A and B are whatever other commands take as a target. Worse is: slow paths by allocation grew beyond "
        "the limit, madvise calls failed, more objects leaked, more misuses or failed allocations, and what the "
        "other limits say. When A and B are of one run, A the earlier, B's counters are those since A. Gone or new "
        "are heaps, classes that were allocated from, labels, open epochs (of two runs: labels with open epochs), and "
        "figures that only one side knows, which are not compared.");
    auto const o = std::make_shared<diff_options>();
    command.add_option("a", o->a, "the earlier target").required();
    command.add_option("b", o->b, "the later target").required();
    command.add_option("--heap", o->heap, "only the heap of this name").type_name("NAME");
    command
        .add_option("--fail-on", o->fail_on,
                    "exit 1 on: never, regression; gone: also when something of A is not in B; change: also when "
                    "something is new")
        .takes_one_of({"never", "regression", "gone", "change"})
        .type_name("WHAT")
        .shows_default();
    command.add_option("--max-slow-path-growth", o->slow_path_growth, "by how much the rate may grow")
        .type_name("PERCENT")
        .shows_default();
    add_number<std::uint64_t>(command, "--min-allocations", o->limits.least_allocations, 0,
                              "the rate is judged from so many allocations on, on either side");
    add_number<std::uint64_t>(command, "--max-madvise-failures", o->limits.madvise_failures, 0,
                              "how many madvise calls may fail");
    add_number<std::uint64_t>(command, "--max-leaked-objects", o->limits.leaked_objects, 0,
                              "how many objects more may be live when their resource ends");
    command.add_option("--max-live-growth", o->live_growth, "by how much live bytes may grow").type_name("PERCENT");
    command.add_option("--max-rss-growth", o->rss_growth, "by how much the process may grow").type_name("PERCENT");
    command.add_flag("--json", o->json, "one object a heap");
    command.callback([o, &i] { compare_files(*o, i); });
}

}
