// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/escape.hpp"
#include "tslab/page_grid.hpp"
#include <algorithm>
#include <string_view>
import tslab;

namespace tslab::tool {

namespace {

constexpr std::size_t cell = 8;
constexpr std::size_t line_height = 20;
constexpr std::size_t margin = 16;

std::string rect(std::size_t x, std::size_t y, std::size_t width, std::size_t height, colour c)
{
    constexpr std::string_view hex = "0123456789abcdef";
    std::string fill = "#";
    for (std::uint8_t const part : {c.red, c.green, c.blue}) {
        fill += hex[part >> 4];
        fill += hex[part & 0xf];
    }
    return "<rect x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" width=\"" + std::to_string(width) +
           "\" height=\"" + std::to_string(height) + "\" fill=\"" + fill + "\"/>\n";
}

std::string words(std::size_t x, std::size_t y, std::string const& text)
{
    return "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\">" + xml_escaped(text) + "</text>\n";
}

}

std::string svg_of(heap_map const& map, page_grid const& grid)
{
    std::size_t const top = margin + line_height;
    std::size_t const legend = top + grid.rows() * cell + line_height;
    std::size_t const width = std::max<std::size_t>(grid.columns * cell, 480) + 2 * margin;
    std::size_t const height = legend + (grid.kinds.size() + 1) * line_height;
    std::string svg = R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" + std::to_string(width) + "\" height=\"" +
                      std::to_string(height) + "\" font-family=\"sans-serif\" font-size=\"13\">\n";
    svg += "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    svg += words(margin, margin + 8,
                 title_of(map) + ": " + bytes_text(grid.pages * map.page_size) + ", a square is " +
                     bytes_text(grid.pages_per_cell * map.page_size) + not_drawn_text(map, grid));
    for (std::size_t begin = 0; begin < grid.cells.size();) {   // neighbours of one kind are one rectangle
        std::size_t const row_end = std::min((begin / grid.columns + 1) * grid.columns, grid.cells.size());
        std::size_t end = begin + 1;
        while (end < row_end && grid.cells[end] == grid.cells[begin])
            ++end;
        svg += rect(margin + begin % grid.columns * cell, top + begin / grid.columns * cell, (end - begin) * cell, cell,
                    grid.kinds[grid.cells[begin]].tint);
        begin = end;
    }
    for (std::size_t k = 0; k < grid.kinds.size(); ++k) {
        svg += rect(margin, legend + k * line_height, 12, 12, grid.kinds[k].tint);
        svg += words(margin + 20, legend + k * line_height + 11,
                     grid.kinds[k].name + ": " + bytes_text(grid.kinds[k].pages * map.page_size));
    }
    return svg + "</svg>\n";
}

}
