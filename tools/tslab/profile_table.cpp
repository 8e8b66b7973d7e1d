// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/profile_table.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include <algorithm>
#include <cmath>
#include <ostream>
#include <sstream>
#include <vector>

namespace tslab::tool {

namespace {

constexpr std::size_t longest_name = 90;

std::uint64_t magnitude(double d) noexcept
{
    return static_cast<std::uint64_t>(std::llround(std::min(std::abs(d), 9e18)));
}

/// An estimate; of a difference with its sign.
std::string amount_text(double d, bool bytes, bool difference)
{
    std::string const sign = d < 0 ? "-" : difference && d > 0 ? "+" : "";
    return sign + (bytes ? bytes_text(magnitude(d)) : grouped(magnitude(d)));
}

profile_amounts total_of(named_profile const& p)
{
    profile_amounts all;
    for (profiled_stack const& s : p.profile.stacks)
        all += amounts_of(s);
    return all;
}

std::string objects_text(double n, bool difference)
{
    std::string const text = amount_text(n, false, difference);
    return text + (text == "1" || text == "+1" || text == "-1" ? " object" : " objects");
}

void print_head(std::ostream& out, bool color, heap_profile const& p, profile_amounts const& all, bool difference,
                std::string const& name)
{
    std::string const heap = p.heap.empty() ? "unnamed heap" : "heap " + in_quotes(p.heap);
    out << painted(color, paint::bold, heap) << " of " << name << ", ";
    if (p.interval_bytes == 0)
        out << "sampling is off";
    else
        out << "one sample in about " << bytes_text(p.interval_bytes);
    double const seconds =
        p.begin_ns != 0 && p.time_ns > p.begin_ns ? static_cast<double>(p.time_ns - p.begin_ns) / 1e9 : 0;
    if (seconds > 0)
        out << ", " << (difference ? "in " : "for ") << duration_text(seconds);
    out << "\n  live       " << amount_text(all.live_bytes, true, difference) << " in "
        << objects_text(all.live_objects, difference) << ", by " << samples_text(all.live_samples) << "\n  allocated  "
        << amount_text(all.allocated_bytes, true, difference) << " in "
        << objects_text(all.allocated_objects, difference) << ", by " << samples_text(all.samples) << '\n';
    if (p.samples_dropped != 0 || p.stacks_dropped != 0)
        out << painted(color, paint::yellow, "  left out   ") << samples_text(p.samples_dropped) << ", and "
            << grouped(p.stacks_dropped) << " stacks, for which the tables had no place\n";
    if (p.unpublished_chunks != 0)
        out << painted(color, paint::yellow, "  left out   ") << unpublished_text(p.unpublished_chunks)
            << ": figures are too low\n";
    if (p.stacks_cut != 0)
        out << "  cut        " << samples_text(p.stacks_cut) << " have stacks deeper than what is kept\n";
}

}

std::string function_text(std::string const& name)
{
    std::string text = escaped(with_short_templates(name));
    if (columns_of(text) <= longest_name)
        return text;
    std::size_t cut = longest_name - 3;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80)
        --cut;   // not within a character
    return text.substr(0, cut) + "...";
}

std::string samples_text(std::uint64_t n) { return grouped(n) + (n == 1 ? " sample" : " samples"); }

void print_profile(std::ostream& out, bool color, named_profile const& p, table_options const& o,
                   std::string const& name)
{
    profile_amounts const all = total_of(p);
    print_head(out, color, p.profile, all, o.difference, name);
    bool const live = o.of.name.starts_with("live");
    bool const functions = o.by == profile_by::function;
    auto const value = [&](profile_amounts const& a) { return amount_text(a.*o.of.member, o.of.bytes, o.difference); };
    double const whole = all.*o.of.member;
    auto const share = [&](profile_amounts const& a) {
        double const part = a.*o.of.member;
        return whole > 0 && part >= 0 && part <= whole ? percent_text(part / whole) : std::string{"-"};
    };
    using side = table::side;
    std::vector<table::column> columns{{functions ? "self" : std::string{o.of.name}}, {"of all"}};
    if (functions)
        columns.insert(columns.end(), {{"with callees"}, {"of all"}});
    columns.insert(columns.end(), {{live ? "allocated" : "live"}, {"samples"}});
    columns.push_back({functions                   ? "function"
                       : o.by == profile_by::label ? "label"
                                                   : "class",
                       functions || o.by == profile_by::label ? side::left : side::right});
    table t{std::move(columns)};
    std::vector<profile_row> const rows = rows_of(p, o.by, o.of.member);
    std::size_t const shown = std::min(rows.size(), o.most);
    for (std::size_t n = 0; n < shown; ++n) {
        profile_row const& r = rows[n];
        profile_amounts const& mostly = functions ? r.with_callees : r.self;
        std::vector<table::cell> cells{{value(r.self)}, {share(r.self)}};
        if (functions)
            cells.insert(cells.end(), {{value(r.with_callees)}, {share(r.with_callees)}});
        double const other = live ? mostly.allocated_bytes : mostly.live_bytes;
        cells.push_back({amount_text(other, true, o.difference)});
        cells.push_back({grouped(live ? mostly.live_samples : mostly.samples)});
        cells.push_back({functions ? function_text(r.name) + (r.place.empty() ? "" : "  " + r.place) : r.name});
        t.add(std::move(cells));
    }
    if (t.empty())
        out << "  no samples\n";
    else
        t.print(out, color, "  ");
    if (rows.size() > shown)
        out << "  and " << grouped(rows.size() - shown) << " more\n";
}

std::string profile_text(std::vector<named_profile> const& heaps, symbolizer const& by, profile_amount of,
                         std::string const& name)
{
    std::ostringstream out;
    for (named_profile const& p : heaps)
        print_profile(out, false, p, {.of = of}, name);
    for (std::string const& note : by.notes())
        out << "note: " << note << '\n';
    return out.str();
}

}
