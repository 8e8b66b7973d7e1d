// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/figures.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <string_view>
import tslab;

namespace tslab::tool {

namespace {

struct waterfall_options {
    target from{};
    bool json = false;
};

std::string signed_bytes(std::int64_t bytes)
{
    return bytes < 0 ? "-" + bytes_text(0 - static_cast<std::uint64_t>(bytes))
                     : bytes_text(static_cast<std::uint64_t>(bytes));
}

/// `part` of a bar that stands for `whole`, behind what came before it.
std::string bar(double before, double part, double whole)
{
    constexpr double width = 40;
    auto const at = [&](double bytes) {
        return static_cast<std::size_t>(whole > 0 ? std::round(std::clamp(bytes / whole, 0.0, 1.0) * width) : 0);
    };
    if (part <= 0)
        return {};
    std::string text(at(before), ' ');
    std::size_t const cells = at(before + part) - std::min(at(before), at(before + part));
    for (std::size_t n = 0; n < std::max<std::size_t>(cells, 1); ++n)
        text += "█";
    return text;
}

void print_one(invocation& i, snapshot const& s, waterfall_stats const& w)
{
    i.out << painted(i.color, paint::bold, heap_text(s)) << ": where the resident memory of the process is\n";
    table t{{{"what", table::side::left}, {"bytes"}, {"of RSS"}, {"", table::side::left}}};
    double before = 0;
    auto const whole = static_cast<double>(w.rss_bytes);
    auto const row = [&](std::string_view what, std::int64_t bytes, paint p) {
        auto const part = static_cast<double>(bytes);
        t.add({{std::string{what}},
               {signed_bytes(bytes)},
               {percent_text(whole > 0 ? part / whole : 0)},
               {bar(before, part, whole), p}});
        before += part;
    };
    auto const row_of = [&](std::string_view what, std::uint64_t bytes, paint p) {
        row(what, static_cast<std::int64_t>(bytes), p);
    };
    row_of("live objects", w.live_bytes, paint::green);
    row_of("slack at ends of pages", w.slack_bytes, paint::yellow);
    row_of("free slots of slabs in use", w.empty_slot_bytes, paint::yellow);
    row_of("empty slabs in caches", w.cached_bytes, paint::cyan);
    row_of("free pages not given back", w.free_bytes, paint::cyan);
    row_of("descriptors and records", w.metadata_bytes, paint::none);
    row("the rest of the process", w.not_tslab_bytes, paint::dim);
    before = 0;
    row_of("process RSS", w.rss_bytes, paint::bold);
    t.print(i.out, i.color, "  ");
    i.out << "  in use but not resident: " << bytes_text(w.untouched_bytes) << '\n';
}

void print_waterfall(waterfall_options const& o, invocation& i)
{
    auto const from = o.from.open(i);
    for (snapshot const& s : from->read(true)) {
        if (!s.waterfall)
            throw failure{outcome::no_target, from->name() + " was taken without residency and has no waterfall"};
        if (!o.json) {
            print_one(i, s, *s.waterfall);
            continue;
        }
        json_writer j;
        j.open('{').member("heap", s.name);
        add_figures(j, *s.waterfall, s.page_size);
        i.out << j.close('}').text() << '\n';
    }
}

}

void add_waterfall(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "waterfall", "The resident memory of the process, taken apart", "tslab waterfall 1234");
    auto const o = std::make_shared<waterfall_options>();
    o->from.add_to(command);
    command.add_flag("--json", o->json, "one object a line");
    command.callback([o, &i] { print_waterfall(*o, i); });
}

}
