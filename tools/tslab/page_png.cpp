// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/output.hpp"
#include "tslab/page_grid.hpp"
#include <png.h>

namespace tslab::tool {

void write_png(std::string const& path, page_grid const& grid)
{
    constexpr std::size_t cell = 4;
    std::size_t const width = grid.columns * cell;
    std::vector<std::uint8_t> pixels(width * grid.rows() * cell * 3, 0xff);
    for (std::size_t n = 0; n < grid.cells.size(); ++n) {
        colour const c = grid.kinds[grid.cells[n]].tint;
        for (std::size_t y = 0; y < cell; ++y) {
            std::uint8_t* at = &pixels[((n / grid.columns * cell + y) * width + n % grid.columns * cell) * 3];
            for (std::size_t x = 0; x < cell; ++x) {
                *at++ = c.red;
                *at++ = c.green;
                *at++ = c.blue;
            }
        }
    }
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width);
    image.height = static_cast<png_uint_32>(grid.rows() * cell);
    image.format = PNG_FORMAT_RGB;
    // In memory first: png_image_write_to_file removes what `path` names when it cannot be written, be it a device or a link.
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    std::string file(size, '\0');
    if (png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr) == 0)
        throw failure{outcome::usage, "cannot write " + escaped(path) + ": " + image.message};
    file.resize(size);
    write_file(path, file);
}

}
