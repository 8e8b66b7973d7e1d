// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include <memory>
#include <ostream>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct pins_options {
    target from{};
    bool json = false;
};

std::string json_of(snapshot const& s, pin const& p)
{
    json_writer j;
    j.open('{').member("heap", s.name).member("epoch_id", p.epoch).member("epoch_era", p.era).member("label", p.label);
    j.member("closing_sec", p.closing_seconds).member("held_bytes", p.held_bytes);
    j.member("live_objects", p.live_objects).member("live_bytes", p.live_bytes).member("live_ratio", p.live_ratio);
    j.key("classes").open('[');
    for (pin_share const& c : p.classes) {
        j.open('{').member("class_index", c.class_index).member("object_size", c.object_size).member("slabs", c.slabs);
        j.member("held_bytes", c.held_bytes).member("live_objects", c.live_objects);
        j.member("live_bytes", c.live_bytes).close('}');
    }
    return j.close(']').close('}').text();
}

void print_pins(pins_options const& o, invocation& i)
{
    for (snapshot const& s : o.from.open(i)->read(false)) {
        std::vector<pin> const found = find_pins(s);
        if (o.json) {
            for (pin const& p : found)
                i.out << json_of(s, p) << '\n';
            continue;
        }
        i.out << painted(i.color, paint::bold, heap_text(s)) << ": ";
        if (found.empty())
            i.out << "no closed epoch holds pages\n";
        else
            i.out << found.size() << (found.size() == 1 ? " closed epoch holds" : " closed epochs hold") << " pages\n";
        using side = table::side;
        table t{{{"epoch"},
                 {"label", side::left},
                 {"closed for"},
                 {"objects"},
                 {"live"},
                 {"held"},
                 {"in use"},
                 {"mostly in", side::left}}};
        for (pin const& p : found) {
            std::string const most = p.classes.empty() ? "-"
                                     : p.classes[0].object_size == 0
                                         ? "large allocations"
                                         : "class " + std::to_string(p.classes[0].object_size);
            t.add({{std::to_string(p.epoch)},
                   {label_or_none(p.label)},
                   {duration_text(p.closing_seconds)},
                   {grouped(p.live_objects)},
                   {bytes_text(p.live_bytes)},
                   {bytes_text(p.held_bytes)},
                   {percent_text(p.live_ratio), p.live_ratio < 0.25 ? paint::yellow : paint::none},
                   {most}});
        }
        if (!t.empty())
            t.print(i.out, i.color, "  ");
    }
}

}

void add_pins(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "pins", "Closed epochs whose pages a few objects keep", "tslab pins 1234");
    auto const o = std::make_shared<pins_options>();
    o->from.add_to(command);
    command.add_flag("--json", o->json, "one object a line");
    command.callback([o, &i] { print_pins(*o, i); });
}

}
