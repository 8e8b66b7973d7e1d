// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap's pages as a grid of cells, each of one kind: what `tslab map` draws as text, SVG and PNG.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// What the colour of a cell shows.
enum class map_by : std::uint8_t { label, fill, size_class, use };

struct colour {
    std::uint8_t red = 0;
    std::uint8_t green = 0;
    std::uint8_t blue = 0;
};

/// One kind of cell. `name` is harmless to print.
struct cell_kind {
    std::string name{};
    char letter = '?';
    colour tint{};
    std::uint64_t pages = 0;   ///< of this kind in the whole heap
};

struct page_grid {
    std::size_t columns = 0;
    std::uint64_t pages_per_cell = 1;
    std::uint64_t pages = 0;             ///< of the heap
    std::uint64_t not_drawn = 0;         ///< of those, given back and without a cell: see without_long_gaps
    std::vector<cell_kind> kinds{};      ///< those that occur: the most pages first, free ones last
    std::vector<std::uint8_t> cells{};   ///< row by row; the kind most of a cell's pages are of

    [[nodiscard]] std::size_t rows() const noexcept
    {
        return columns != 0 ? (cells.size() + columns - 1) / columns : 0;
    }
};

/// The map with its runs of given-back pages shortened, if they are more than a third of all pages: then they are a fifth. A heap
/// that was larger once would be a picture of pages that have no memory.
[[nodiscard]] tslab::heap_map without_long_gaps(tslab::heap_map map);

/// At most `columns` times `rows` cells; a cell stands for as many pages as that takes.
[[nodiscard]] page_grid grid_of(tslab::heap_map const& whole, map_by by, std::size_t columns, std::size_t rows);

/// ", 3.2 MiB given back are not drawn", or nothing.
[[nodiscard]] std::string not_drawn_text(tslab::heap_map const& map, page_grid const& grid);
/// What a picture of the map is called, harmless.
[[nodiscard]] std::string title_of(tslab::heap_map const& map);

/// Self-contained, with a legend.
[[nodiscard]] std::string svg_of(tslab::heap_map const& map, page_grid const& grid);

/// Throws failure when the file cannot be written.
void write_png(std::string const& path, page_grid const& grid);

}
