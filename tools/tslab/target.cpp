// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"

namespace tslab::tool {

void target::add_to(command_line const& command)
{
    command.add_option(
        "target", what,
        "pid, process name, saved snapshot or statistics file; not needed where only one process has a heap");
    command.add_flag("--stdin", standard_input, "read snapshots from standard input");
    command.add_option("--heap", heap, "only the heap of this name").type_name("NAME");
}

std::unique_ptr<source> target::open(invocation const& i) const
{
    if (standard_input && !what.empty())
        throw failure{outcome::usage, "a target and --stdin exclude each other"};
    std::unique_ptr<source> from = standard_input ? open_saved("standard input", i.in)
                                   : what.empty() ? open_only_process()
                                                  : open_source(what);
    return heap.empty() ? std::move(from) : only_heap(std::move(from), heap);
}

}
