// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/exposition.hpp"
#include "tslab/textfile.hpp"
#include <iterator>
#include <memory>
#include <ostream>
#include <sys/types.h>
#include <utility>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct export_options {
    target from{};
    bool all = false;
    std::string directory{};
};

/// The heaps of every process of this user. One that ends meanwhile is passed over in silence, one that cannot be read
/// with a line on standard error: the others are still worth having.
std::vector<snapshot> read_all(invocation const& i)
{
    std::vector<snapshot> heaps;
    for (pid_t const pid : processes_with_heaps()) {
        try {
            std::vector<snapshot> of_one = observer{pid}.read();
            heaps.insert(heaps.end(), std::move_iterator{of_one.begin()}, std::move_iterator{of_one.end()});
        } catch (observe_error const& e) {
            if (e.fault() != observe_fault::no_process && e.fault() != observe_fault::no_heap)
                i.err << "tslab: process " << pid << " is left out: " << e.what() << '\n';
        }
    }
    return heaps;
}

void export_prometheus(export_options const& o, invocation const& i)
{
    bool const one = o.from.standard_input || !o.from.what.empty();
    if (one && o.all)
        throw failure{outcome::usage, "--all excludes a target and --stdin"};
    std::string const text =
        o.all ? exposition(read_all(i), pid_label::always) : exposition(o.from.open(i)->read(true));
    if (!o.directory.empty()) {
        replace_file(o.directory, "tslab.prom", text);
        return;
    }
    i.out << text;
}

}

void add_export(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "export", "The figures for another program", "tslab export prometheus request_server");
    command.needs_subcommand();
    command_line const prometheus =
        add_command(command.app(), "prometheus", "Metrics in the text format of Prometheus",
                    "tslab export prometheus --all --textfile /var/lib/prometheus/node-exporter");
    auto const o = std::make_shared<export_options>();
    o->from.add_to(prometheus);
    prometheus.add_flag("--all", o->all, "every process of this user that has a heap");
    prometheus
        .add_option("--textfile", o->directory,
                    "replace DIR/tslab.prom, for node_exporter's textfile collector, instead of printing")
        .type_name("DIR");
    prometheus.callback([o, &i] { export_prometheus(*o, i); });
}

}
