// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Labels: 14 names have a number of their own, the 15th and later share `other`, long ones are cut and counted.
#define BOOST_TEST_MODULE label
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "recorder.hpp"

using support::stats_of;
using tslab::label_registry;

BOOST_AUTO_TEST_CASE(fourteen_names_get_numbers_and_the_rest_share_other)
{
    label_registry labels;
    BOOST_TEST(labels.number_of("") == label_registry::unlabeled);
    for (unsigned i = 0; i < 14; ++i)
        BOOST_TEST(labels.number_of("name " + std::to_string(i)) == i + 1);
    BOOST_TEST(labels.overflows() == 0u);
    for (unsigned i = 14; i < 20; ++i)
        BOOST_TEST(labels.number_of("name " + std::to_string(i)) == 15u);
    BOOST_TEST(labels.overflows() == 6u);
    for (unsigned i = 0; i < 14; ++i)   // the known ones stay
        BOOST_TEST(labels.number_of("name " + std::to_string(i)) == i + 1);
    BOOST_TEST(labels.overflows() == 6u);
    BOOST_TEST(labels.cut() == 0u);
}

BOOST_AUTO_TEST_CASE(a_number_has_its_name)
{
    label_registry labels;
    (void)labels.number_of("orders");
    BOOST_TEST(std::string{labels.name_of(1).view()} == "orders");
    BOOST_TEST(std::string{labels.name_of(label_registry::unlabeled).view()} == "unlabeled");
    BOOST_TEST(std::string{labels.name_of(label_registry::other).view()} == "other");
    BOOST_TEST(std::string{labels.name_of(99).view()} == "unlabeled");
}

BOOST_AUTO_TEST_CASE(labels_are_told_apart_by_31_bytes_and_cut_ones_are_counted)
{
    label_registry labels;
    std::string const exact(31, 'x');
    BOOST_TEST(labels.number_of(exact) == 1u);
    BOOST_TEST(labels.cut() == 0u);
    BOOST_TEST(labels.number_of(exact + "y") == 1u);
    BOOST_TEST(labels.number_of(exact + "z and more") == 1u);
    BOOST_TEST(labels.cut() == 2u);
    BOOST_TEST(labels.number_of(exact.substr(1)) == 2u);
    BOOST_TEST(std::string{labels.name_of(1).view()} == exact);
}

BOOST_AUTO_TEST_CASE(a_label_ends_at_a_nul_and_keeps_one_number)
{
    label_registry labels;
    std::string const text{"a\0b", 3};
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(labels.number_of(text) == 1u);
    BOOST_TEST(labels.number_of("a") == 1u);
    BOOST_TEST(labels.number_of(std::string_view{"\0x", 2}) == label_registry::unlabeled);
    BOOST_TEST(labels.overflows() == 0u);
}

BOOST_AUTO_TEST_CASE(threads_that_name_at_the_same_time_agree)
{
    label_registry labels;
    std::vector<std::vector<std::uint32_t>> got(4, std::vector<std::uint32_t>(14));
    std::vector<std::thread> threads;
    for (auto& mine : got)
        threads.emplace_back([&] {
            for (unsigned i = 0; i < 14; ++i)
                mine[i] = labels.number_of("name " + std::to_string(i));
        });
    for (auto& t : threads)
        t.join();
    for (auto const& mine : got)
        BOOST_TEST(mine == got[0], boost::test_tools::per_element());
    BOOST_TEST(labels.overflows() == 0u);
}

BOOST_AUTO_TEST_CASE(an_epoch_shows_its_label_and_number)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    BOOST_TEST(stats_of(heap, e).label == "");
    BOOST_TEST(stats_of(heap, e).label_id == 0u);
    BOOST_TEST(heap.set_label(e, "first"));
    BOOST_TEST(stats_of(heap, e).label == "first");
    BOOST_TEST(stats_of(heap, e).label_id == 1u);
    BOOST_TEST(heap.set_label(e, std::string(40, 'l')));
    BOOST_TEST(stats_of(heap, e).label == std::string(31, 'l'));
    BOOST_TEST(stats_of(heap, e).label_id == 2u);
    BOOST_TEST(heap.snapshot().global.labels_cut == 1u);
    for (int i = 0; i < 20; ++i)
        tslab::epoch_scope{heap, "scope " + std::to_string(i)};
    BOOST_TEST(heap.snapshot().global.labels_in_overflow == 8u);
    tslab::epoch_scope s{heap, "scope 19"};
    BOOST_TEST(stats_of(heap, s.epoch()).label == "scope 19");   // the number is shared, the text is not
    BOOST_TEST(stats_of(heap, s.epoch()).label_id == 15u);
}

BOOST_AUTO_TEST_CASE(a_gone_epoch_is_not_labelled)
{
    tslab::allocator heap{{.epoch_count = 2}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.advance();
    heap.close(e);
    heap.close(heap.advance());
    BOOST_TEST(!heap.set_label({e.index, e.era + 1000}, "x"));
    BOOST_TEST(!heap.set_label({5, 1}, "x"));
    BOOST_TEST(!heap.set_label({~0u, 1}, "x"));
    BOOST_TEST(!heap.set_label(e, "x"));
    for (auto const& one : heap.snapshot().epochs)
        BOOST_TEST(one.label == "");
}

// Another process may write into the segment. It spoils figures, and nothing else.
BOOST_AUTO_TEST_CASE(what_is_published_of_labels_is_not_read_back)
{
    tslab::allocator heap{{.cost_labels = 200}};
    auto const phase = [&heap](int i) { tslab::epoch_scope const scope{heap, "label " + std::to_string(i)}; };
    for (int i = 0; i < 20; ++i)
        phase(i);
    tslab::heap_stats_page& published = heap.state().stats();
    published.further_labels.load()->first = 0x0100'0000;
    published.further_labels.store(reinterpret_cast<tslab::label_page*>(std::uintptr_t{8}));
    for (int i = 0; i < 150; ++i)   // more than a page of them
        phase(i);
    std::size_t found = 0;
    for (tslab::phase_cost_stats const& of : heap.snapshot().phase_costs)
        found += of.label.starts_with("label ") ? 1 : 0;
    BOOST_TEST(found == 150U);
}
