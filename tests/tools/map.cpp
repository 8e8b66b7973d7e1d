// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The grid of a heap's pages: every page is in a cell of its kind, whatever the scale, and names cannot break a picture.
#define BOOST_TEST_MODULE map
#include <boost/test/unit_test.hpp>

#include "tool.hpp"
#include "tslab/page_grid.hpp"
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <vector>

using namespace tslab::tool;

namespace {

tslab::heap_map sample()
{
    using enum tslab::page_use;
    return {.name = "<heap>\x1b",
            .page_size = 4096,
            .label_names = {"unlabeled", "a & b"},
            .runs = {{.first_page = 0, .pages = 3, .use = free_purged},
                     {.first_page = 3,
                      .pages = 2,
                      .use = slab,
                      .class_index = 1,
                      .era = 5,
                      .label_id = 1,
                      .slots = 42,
                      .live = 42},
                     {.first_page = 5, .pages = 1, .use = cached},
                     {.first_page = 6, .pages = 4, .use = large, .class_index = 24, .era = 5, .slots = 1, .live = 1},
                     {.first_page = 10,
                      .pages = 2,
                      .use = slab,
                      .class_index = 2,
                      .era = 6,
                      .label_id = 9,
                      .slots = 32,
                      .live = 1}}};
}

std::string letters(page_grid const& g)
{
    std::string all;
    for (std::uint8_t const c : g.cells)
        all += g.kinds[c].letter;
    return all;
}

}

BOOST_AUTO_TEST_CASE(a_cell_is_a_page_while_there_is_room)
{
    BOOST_TEST(letters(grid_of(sample(), map_by::use, 8, 8)) == "...sscLLLLss");
    BOOST_TEST(letters(grid_of(sample(), map_by::fill, 8, 8)) == "...99cLLLL00");
    BOOST_TEST(grid_of(sample(), map_by::use, 8, 8).rows() == 2U);
}

BOOST_AUTO_TEST_CASE(labels_without_a_name_and_classes_have_kinds)
{
    page_grid const by_label = grid_of(sample(), map_by::label, 8, 8);
    BOOST_TEST(by_label.kinds.size() == 5U);
    page_grid const by_class = grid_of(sample(), map_by::size_class, 8, 8);
    BOOST_TEST(by_class.kinds[1].name == "class 96");
}

BOOST_AUTO_TEST_CASE(the_legend_has_the_most_pages_first_and_the_free_ones_last)
{
    auto const names = [](page_grid const& g) {
        std::vector<std::string> all;
        all.reserve(g.kinds.size());
        for (cell_kind const& k : g.kinds)
            all.push_back(k.name);
        return all;
    };
    std::vector<std::string> const by_label{"unlabeled", "a & b", "label 9", "cached", "free, given back"};
    BOOST_TEST(names(grid_of(sample(), map_by::label, 8, 8)) == by_label, boost::test_tools::per_element());
    std::vector<std::string> const by_fill{"large", "90 to 100 % live", "0 to 10 % live", "cached", "free, given back"};
    BOOST_TEST(names(grid_of(sample(), map_by::fill, 8, 8)) == by_fill, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(pages_whose_epoch_is_not_known_have_a_name_of_their_own)
{
    tslab::heap_map map = sample();
    map.runs[1].era = 0;
    page_grid const g = grid_of(map, map_by::label, 8, 8);
    auto const found = std::ranges::find(g.kinds, "unattributed", &cell_kind::name);
    BOOST_REQUIRE((found != g.kinds.end()));
    BOOST_TEST(found->pages == 2U);
    BOOST_TEST(std::ranges::count(g.kinds, "a & b", &cell_kind::name) == 0);
}

BOOST_AUTO_TEST_CASE(pages_that_were_given_back_do_not_fill_the_picture)
{
    tslab::heap_map map = sample();
    map.runs.push_back({.first_page = 12, .pages = 988, .use = tslab::page_use::free_purged});
    page_grid const g = grid_of(map, map_by::use, 8, 8);
    BOOST_TEST(g.pages == 1'000U);
    BOOST_TEST(g.pages_per_cell == 1U);
    BOOST_TEST(letters(g) == ".sscLLLLss.");
    BOOST_TEST(g.kinds.back().pages == 991U);
    BOOST_TEST(g.not_drawn == 989U);
    BOOST_TEST(not_drawn_text(map, g) == ", 3.9 MiB given back are not drawn");
    BOOST_TEST(not_drawn_text(sample(), grid_of(sample(), map_by::use, 8, 8)) == "");
}

BOOST_AUTO_TEST_CASE(a_large_heap_is_scaled_and_no_page_is_lost)
{
    tslab::heap_map big = sample();
    big.runs.push_back({.first_page = 12, .pages = 1'000'000, .use = tslab::page_use::free_resident});
    page_grid const g = grid_of(big, map_by::use, 16, 16);
    BOOST_TEST(g.cells.size() <= 256U);
    BOOST_TEST(g.pages == 1'000'012U);
    std::uint64_t pages = 0;
    for (cell_kind const& k : g.kinds)
        pages += k.pages;
    BOOST_TEST(pages == g.pages);
    BOOST_TEST(grid_of({}, map_by::label, 16, 16).cells.empty());
}

BOOST_AUTO_TEST_CASE(a_fill_that_is_not_known_is_not_drawn_as_empty)
{
    tslab::heap_map map = sample();
    map.live_known = false;
    BOOST_TEST(letters(grid_of(map, map_by::fill, 8, 8)) == "...??cLLLL??");
}

BOOST_AUTO_TEST_CASE(names_cannot_break_the_svg)
{
    std::string const svg = svg_of(sample(), grid_of(sample(), map_by::label, 8, 8));
    BOOST_TEST(svg.starts_with("<svg "));
    BOOST_TEST(svg.find("a &amp; b") != std::string::npos);
    BOOST_TEST(svg.find("&lt;heap&gt;\\x1b") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_png_is_written_or_refused)
{
    support::file const f{""};
    write_png(f.path(), grid_of(sample(), map_by::label, 8, 8));
    std::string begin(8, '\0');
    std::ifstream{f.path(), std::ios::binary}.read(begin.data(), 8);
    BOOST_TEST(begin == "\x89PNG\r\n\x1a\n");
    BOOST_CHECK_THROW(write_png("/nowhere/at/all.png", grid_of(sample(), map_by::label, 8, 8)), failure);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_left_where_it_is)
{
    page_grid const grid = grid_of(sample(), map_by::label, 8, 8);
    support::file const place{""};
    std::string const full = place.path() + ".full";   // never /dev/full itself: a fault would remove it
    std::string const link = place.path() + ".link";
    dev_t const always_full = makedev(1, 7);
    if (::mknod(full.c_str(), S_IFCHR | 0600, always_full) != 0) {
        BOOST_REQUIRE(errno == EPERM);
        BOOST_TEST_MESSAGE("only root can make a device");
        return;
    }
    std::filesystem::create_symlink(full, link);
    for (std::string const& path : {full, link}) {
        BOOST_CHECK_THROW(write_png(path, grid), failure);
        BOOST_TEST(std::filesystem::is_symlink(link));
        BOOST_TEST(std::filesystem::is_character_file(full));
    }
    std::filesystem::remove(link);
    std::filesystem::remove(full);
}
