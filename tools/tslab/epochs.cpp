// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/figures.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include <algorithm>
#include <memory>
#include <ostream>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct epochs_options {
    target from{};
    bool all = false;
    bool json = false;
};

paint color_of(lifecycle l) noexcept
{
    return l == lifecycle::active ? paint::green : l == lifecycle::closing ? paint::yellow : paint::dim;
}

void print_table(invocation& i, snapshot const& s, std::vector<epoch_stats const*> const& some)
{
    using side = table::side;
    table t{{{"epoch"},
             {"era"},
             {"state", side::left},
             {"label", side::left},
             {"age"},
             {"closed for"},
             {"inside"},
             {"objects"},
             {"live"},
             {"held"},
             {"reclaimable"}}};
    for (epoch_stats const* const e : some)
        t.add({{std::to_string(e->index)},
               {std::to_string(e->era)},
               {std::string{name_of(e->lifecycle)}, color_of(e->lifecycle)},
               {label_or_none(e->label)},
               {duration_text(e->age_seconds)},
               {e->closing_seconds > 0 ? duration_text(e->closing_seconds) : "-"},
               {grouped(e->refcount)},
               {live_text(s, grouped(e->live_objects))},
               {live_text(s, bytes_text(e->live_bytes))},
               {bytes_text((e->slab_pages + e->large_pages) * s.page_size)},
               {live_text(s, bytes_text(e->empty_slab_pages * s.page_size))}});
    i.out << painted(i.color, paint::bold, heap_text(s)) << ": " << some.size() << " of " << s.epoch_count
          << " epochs\n";
    if (!t.empty())
        t.print(i.out, i.color, "  ");
}

void print_epochs(epochs_options const& o, invocation& i)
{
    std::vector<snapshot> const heaps = o.from.open(i)->read(true);
    for (snapshot const& s : heaps) {
        std::vector<epoch_stats const*> some;
        for (epoch_stats const& e : s.epochs)
            if (o.all || e.lifecycle == lifecycle::active || e.lifecycle == lifecycle::closing)
                some.push_back(&e);
        auto const pages = [](epoch_stats const* e) { return e->slab_pages + e->large_pages; };
        std::ranges::sort(some, [&](epoch_stats const* a, epoch_stats const* b) {
            return pages(a) != pages(b) ? pages(a) > pages(b) : a->index < b->index;
        });
        if (!o.json) {
            print_table(i, s, some);
            continue;
        }
        for (epoch_stats const* const e : some) {
            json_writer j;
            j.open('{').member("heap", s.name);
            add_figures(j, *e, s.page_size);
            i.out << j.close('}').text() << '\n';
        }
    }
    if (!o.json)
        i.out << unpublished_note(heaps);
}

}

void add_epochs(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "epochs", "Epochs that are open or closing, the most memory first", "tslab epochs 1234 --all");
    auto const o = std::make_shared<epochs_options>();
    o->from.add_to(command);
    command.add_flag("--all", o->all, "drained and idle ones too");
    command.add_flag("--json", o->json, "one object a line");
    command.callback([o, &i] { print_epochs(*o, i); });
}

}
