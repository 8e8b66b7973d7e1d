// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/page_grid.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include <algorithm>
#include <array>
#include <limits>
import tslab;

namespace tslab::tool {

namespace {

// Colours are those of the 6 x 6 x 6 cube that terminals have, so that all three drawings agree.
constexpr colour purged{38, 38, 38};
constexpr colour resident{95, 95, 95};
constexpr colour cached{175, 175, 175};
constexpr std::array<colour, 16> palette{{{95, 135, 215},
                                          {215, 135, 0},
                                          {95, 175, 95},
                                          {215, 95, 95},
                                          {175, 135, 215},
                                          {175, 135, 95},
                                          {255, 135, 215},
                                          {215, 215, 95},
                                          {0, 215, 215},
                                          {0, 95, 175},
                                          {215, 215, 175},
                                          {135, 175, 0},
                                          {255, 95, 0},
                                          {135, 0, 135},
                                          {135, 215, 175},
                                          {135, 95, 95}}};

constexpr colour without_epoch{138, 138, 138};

colour tint(std::size_t n) noexcept { return palette[n % palette.size()]; }

char letter(std::size_t n) noexcept
{
    constexpr std::string_view letters =
        "ABCDEFGHIJKMNOPQRSTUVWXYZabdefghijklmnopqrstuvwxyz";   // L and c have a meaning
    return letters[n % letters.size()];
}

std::string label_of(heap_map const& map, std::uint32_t id)
{
    return id < map.label_names.size() ? label_or_none(map.label_names[id]) : "label " + std::to_string(id);
}

cell_kind kind_of_slab(heap_map const& map, map_run const& run, map_by by)
{
    switch (by) {
    case map_by::label:
        if (run.era == 0)
            return {"unattributed", '?', without_epoch};
        return {label_of(map, run.label_id), letter(run.label_id), tint(run.label_id)};
    case map_by::size_class:
        if (run.use == page_use::large || run.class_index >= class_count)
            return {"large", 'L', tint(15)};
        return {"class " + std::to_string(class_sizes[run.class_index]), letter(run.class_index),
                tint(run.class_index)};
    case map_by::fill: {
        if (run.use == page_use::large)
            return {"large", 'L', tint(15)};
        if (!map.live_known)
            return {"fill not known", '?', tint(0)};
        unsigned const tenth =
            run.slots != 0 ? std::min(9U, static_cast<unsigned>(std::uint64_t{run.live} * 10 / run.slots)) : 0;
        constexpr std::array<std::uint8_t, 6> steps{0, 95, 135, 175, 215, 255};
        auto const red = steps[std::min<std::size_t>(5, (9 - tenth) * 2 / 3)];
        auto const green = steps[std::min<std::size_t>(5, tenth * 2 / 3)];
        return {std::to_string(tenth * 10) + " to " + std::to_string(tenth * 10 + 10) + " % live",
                static_cast<char>('0' + tenth),
                {red, green, 0}};
    }
    case map_by::use: break;
    }
    return run.use == page_use::large ? cell_kind{"large allocation", 'L', tint(1)} : cell_kind{"slab", 's', tint(2)};
}

cell_kind kind_of(heap_map const& map, map_run const& run, map_by by)
{
    switch (run.use) {
    case page_use::free_purged: return {"free, given back", '.', purged};
    case page_use::free_resident: return {"free, not given back", '-', resident};
    case page_use::cached: return {"cached", 'c', cached};
    case page_use::slab:
    case page_use::large: break;
    }
    return kind_of_slab(map, run, by);
}

std::uint8_t index_of(std::vector<cell_kind>& kinds, cell_kind kind)
{
    constexpr std::size_t most = std::numeric_limits<std::uint8_t>::max();
    auto const at = std::ranges::find_if(kinds, [&](cell_kind const& k) { return k.name == kind.name; });
    auto const index = std::min(static_cast<std::size_t>(at - kinds.begin()), most - 1);
    if (index == kinds.size())
        kinds.push_back(std::move(kind));
    return static_cast<std::uint8_t>(index);
}

std::uint64_t pages_of(heap_map const& map, page_use use) noexcept
{
    std::uint64_t pages = 0;
    for (map_run const& run : map.runs)
        pages += run.use == use ? run.pages : 0;
    return pages;
}

/// By pages, the most first, or how full slabs are, full ones first; uses before what is free. The cells follow.
void sort_kinds(page_grid& g, bool by_letter)
{
    std::vector<std::size_t> order(g.kinds.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    auto const rank = [](cell_kind const& k) {
        return k.letter == '.' ? 3 : k.letter == '-' ? 2 : k.letter == 'c' ? 1 : 0;
    };
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
        cell_kind const& x = g.kinds[a];
        cell_kind const& y = g.kinds[b];
        if (rank(x) != rank(y))
            return rank(x) < rank(y);
        return by_letter ? x.letter > y.letter : x.pages > y.pages;
    });
    std::vector<std::uint8_t> place(order.size());
    std::vector<cell_kind> sorted;
    for (std::size_t i = 0; i < order.size(); ++i) {
        place[order[i]] = static_cast<std::uint8_t>(i);
        sorted.push_back(std::move(g.kinds[order[i]]));
    }
    g.kinds = std::move(sorted);
    for (std::uint8_t& c : g.cells)
        c = place[c];
}

}

heap_map without_long_gaps(heap_map map)
{
    std::uint64_t const gone = pages_of(map, page_use::free_purged);
    std::uint64_t all = 0;
    for (map_run const& run : map.runs)
        all += run.pages;
    if (gone * 3 <= all)
        return map;
    std::uint64_t const most = (all - gone) / 4;
    std::uint32_t next = 0;
    for (map_run& run : map.runs) {
        if (run.use == page_use::free_purged)
            run.pages = static_cast<std::uint32_t>(std::max<std::uint64_t>(run.pages * most / gone, 1));
        run.first_page = next;
        next += run.pages;
    }
    return map;
}

page_grid grid_of(heap_map const& whole, map_by by, std::size_t columns, std::size_t rows)
{
    heap_map const map = without_long_gaps(whole);
    page_grid g{.columns = std::max<std::size_t>(columns, 1)};
    for (map_run const& run : map.runs)
        g.pages += run.pages;
    std::uint64_t const most = std::max<std::uint64_t>(g.columns * std::max<std::size_t>(rows, 1), 1);
    g.pages_per_cell = std::max<std::uint64_t>((g.pages + most - 1) / most, 1);

    std::vector<std::uint64_t> in_cell;   // pages of the cell being filled, by kind
    std::uint64_t room = g.pages_per_cell;
    auto const finish_cell = [&] {
        auto const largest = std::ranges::max_element(in_cell);
        g.cells.push_back(static_cast<std::uint8_t>(largest - in_cell.begin()));
        std::ranges::fill(in_cell, std::uint64_t{0});
        room = g.pages_per_cell;
    };
    for (map_run const& run : map.runs) {
        std::uint8_t const kind = index_of(g.kinds, kind_of(map, run, by));
        g.kinds[kind].pages += run.pages;
        in_cell.resize(g.kinds.size());
        for (std::uint64_t left = run.pages; left != 0;) {
            std::uint64_t const some = std::min(left, room);
            in_cell[kind] += some;
            left -= some;
            room -= some;
            if (room == 0)
                finish_cell();
        }
    }
    if (room != g.pages_per_cell)
        finish_cell();
    g.not_drawn = pages_of(whole, page_use::free_purged) - pages_of(map, page_use::free_purged);
    g.pages += g.not_drawn;
    for (cell_kind& k : g.kinds)
        if (k.letter == '.')
            k.pages += g.not_drawn;
    sort_kinds(g, by == map_by::fill);
    return g;
}

std::string not_drawn_text(heap_map const& map, page_grid const& grid)
{
    return grid.not_drawn == 0 ? "" : ", " + bytes_text(grid.not_drawn * map.page_size) + " given back are not drawn";
}

std::string title_of(heap_map const& map)
{
    std::string const name = unique_name(map.name, map.instance);
    return name.empty() ? "unnamed heap" : "heap " + in_quotes(name);
}

}
