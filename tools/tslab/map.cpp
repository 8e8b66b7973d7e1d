// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/output.hpp"
#include "tslab/page_grid.hpp"
#include "tslab/style.hpp"
#include "tslab/terminal.hpp"
#include <algorithm>
#include <memory>
#include <ostream>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct map_options {
    target from{};
    std::string by = "label";
    std::string svg{};
    std::string png{};
    bool json = false;

    [[nodiscard]] map_by kind() const noexcept
    {
        return by == "fill"    ? map_by::fill
               : by == "class" ? map_by::size_class
               : by == "use"   ? map_by::use
                               : map_by::label;
    }
};

std::string_view name_of_use(page_use use) noexcept
{
    switch (use) {
    case page_use::free_purged: return "free_purged";
    case page_use::free_resident: return "free_resident";
    case page_use::cached: return "cached";
    case page_use::slab: return "slab";
    case page_use::large: return "large";
    }
    return "";
}

std::string json_of(heap_map const& map)
{
    json_writer j;
    j.open('{').member("heap", map.name).member("instance", map.instance);
    j.member("page_size", map.page_size).member("live_known", map.live_known);
    j.key("label_names").open('[');
    for (std::string const& name : map.label_names)
        j.value(name);
    j.close(']').key("runs").open('[');
    for (map_run const& run : map.runs) {
        j.open('{').member("first_page", run.first_page).member("pages", run.pages).member("use", name_of_use(run.use));
        if (run.use != page_use::free_purged && run.use != page_use::free_resident)
            j.member("class_index", run.class_index).member("slots", run.slots);
        if (run.use == page_use::slab || run.use == page_use::large)
            j.member("epoch_id", run.epoch)
                .member("epoch_era", run.era)
                .member("label_id", run.label_id)
                .member("live", run.live);
        j.close('}');
    }
    return j.close(']').close('}').text();
}

/// The number of a colour in the terminal's cube, or in its ramp of greys.
unsigned terminal_colour(colour c) noexcept
{
    auto const step = [](std::uint8_t part) { return part < 48 ? 0U : part < 115 ? 1U : (part - 35U) / 40U; };
    if (c.red == c.green && c.green == c.blue && c.red < 95)
        return 232 + (c.red > 8 ? (c.red - 8U) / 10U : 0);
    return 16 + 36 * step(c.red) + 6 * step(c.green) + step(c.blue);
}

void draw_letters(std::ostream& out, page_grid const& g)
{
    for (std::size_t n = 0; n < g.cells.size(); ++n) {
        out << g.kinds[g.cells[n]].letter;
        if ((n + 1) % g.columns == 0 || n + 1 == g.cells.size())
            out << '\n';
    }
}

/// Two rows of cells a line: the upper half block in the colour of the upper cell, on the colour of the lower one.
void draw_blocks(std::ostream& out, page_grid const& g)
{
    for (std::size_t row = 0; row < g.rows(); row += 2) {
        for (std::size_t c = 0; c < g.columns && row * g.columns + c < g.cells.size(); ++c) {
            std::size_t const upper = row * g.columns + c;
            std::size_t const lower = upper + g.columns;
            out << "\x1b[38;5;" << terminal_colour(g.kinds[g.cells[upper]].tint) << 'm';
            if (lower < g.cells.size())
                out << "\x1b[48;5;" << terminal_colour(g.kinds[g.cells[lower]].tint) << 'm';
            else
                out << "\x1b[49m";
            out << "▀";
        }
        out << "\x1b[0m\n";
    }
}

void draw(invocation& i, heap_map const& map, map_by by)
{
    terminal_size const size = i.terminal ? size_of_terminal() : terminal_size{};
    std::size_t const rows = std::max(size.rows, 12U) - 4;
    page_grid const g = grid_of(map, by, std::clamp(size.columns, 16U, 256U), i.color ? 2 * rows : rows);
    i.out << painted(i.color, paint::bold, title_of(map)) << ": ";
    if (g.cells.empty()) {
        i.out << "no pages, or none that can be read\n";
        return;
    }
    i.out << bytes_text(g.pages * map.page_size) << ", a cell is " << bytes_text(g.pages_per_cell * map.page_size)
          << not_drawn_text(map, g) << '\n';
    i.color ? draw_blocks(i.out, g) : draw_letters(i.out, g);
    for (cell_kind const& k : g.kinds) {
        if (i.color)
            i.out << "  \x1b[48;5;" << terminal_colour(k.tint) << "m  \x1b[0m ";
        else
            i.out << "  " << k.letter << "  ";
        i.out << k.name << ": " << bytes_text(k.pages * map.page_size) << '\n';
    }
}

void show_maps(map_options const& o, invocation& i)
{
    constexpr std::size_t columns = 128;
    constexpr std::size_t rows = 512;
    auto const from = o.from.open(i);
    std::vector<heap_map> const maps = from->maps();
    if (std::ranges::none_of(maps, [](heap_map const& map) { return map.live_known || !map.runs.empty(); }))
        throw failure{outcome::no_target,
                      from->name() + " has no map that can be read: it is made of the process's memory" +
                          (from->live() ? ", which may not be looked into" : ", and this is a file")};
    bool const pictures = !o.svg.empty() || !o.png.empty();
    if (pictures && maps.size() != 1)
        throw failure{outcome::usage, "a picture shows one heap; choose one of several with --heap"};
    for (heap_map const& map : maps) {
        if (pictures && !o.svg.empty())
            write_file(o.svg, svg_of(map, grid_of(map, o.kind(), columns, rows)));
        if (pictures && !o.png.empty())
            write_png(o.png, grid_of(map, o.kind(), columns, rows));
        if (o.json)
            i.out << json_of(map) << '\n';
        else if (!pictures)
            draw(i, map, o.kind());
    }
}

}

void add_map(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "map", "The heap page by page; coloured, or in letters where there is no colour",
                    "tslab map 1234 --by fill --svg heap.svg");
    auto const o = std::make_shared<map_options>();
    o->from.add_to(command);
    command.add_option("--by", o->by, "what the colours distinguish: label, fill, class, use")
        .takes_one_of({"label", "fill", "class", "use"})
        .type_name("WHAT")
        .shows_default();
    command.add_option("--svg", o->svg, "write a picture with a legend instead").type_name("FILE");
    command.add_option("--png", o->png, "write a picture without a legend instead").type_name("FILE");
    command.add_flag("--json", o->json, "the runs of pages, one object a heap");
    command.callback([o, &i] { show_maps(*o, i); });
}

}
