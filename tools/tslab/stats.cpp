// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/summary.hpp"
#include <memory>
#include <ostream>
import tslab;

namespace tslab::tool {

namespace {

struct stats_options {
    target from{};
    bool json = false;
};

void print_stats(stats_options const& o, invocation& i)
{
    auto const from = o.from.open(i);
    bool first = true;
    for (snapshot const& s : from->read(true)) {
        if (o.json) {
            i.out << to_json(s) << '\n';
            continue;
        }
        if (!first)
            i.out << '\n';
        first = false;
        print_summary(i.out, i.color, from->name(), s);
    }
}

}

void add_stats(CLI::App& app, invocation& i)
{
    command_line const command = add_command(app, "stats", "Summary of every heap: memory, speed, epochs, labels",
                                             "tslab stats 1234 --json > before.json");
    auto const o = std::make_shared<stats_options>();
    o->from.add_to(command);
    command.add_flag("--json", o->json, "the snapshots, one line a heap (docs/stats-reference.md)");
    command.callback([o, &i] { print_stats(*o, i); });
}

}
