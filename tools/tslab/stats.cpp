// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include <memory>
#include <ostream>
import tslab;

namespace tslab::tool {

void add_stats(CLI::App& app, invocation& i)
{
    CLI::App* const command = app.add_subcommand("stats", "The snapshot of every heap");
    auto const from = std::make_shared<target>();
    from->add_to(*command);
    command->callback([from, &i] {
        for (snapshot const& s : from->open(i)->read(true))
            i.out << to_json(s) << '\n';
    });
}

}
