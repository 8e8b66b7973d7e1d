// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the doctor says: the order of findings, a text that a person can read and a terminal can show, and its length.
#define BOOST_TEST_MODULE doctor_text
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "doctor.hpp"

using doctor::same_before;
using support::add_closed;
using support::add_held;
using support::synthetic_heap;
using tslab::snapshot;

BOOST_AUTO_TEST_CASE(the_most_severe_comes_first)
{
    auto s = synthetic_heap();
    s.global.labels_cut = 1;
    s.global.ring_exhausted = 1000;
    s.global.refused_handles = 1000;
    s.global.slow_path_epoch_closed = 1;
    s.global.out_of_memory = 100;
    for (int i = 0; i < 3; ++i)
        add_held(s, std::string(1, static_cast<char>('a' + i)), 400, static_cast<std::uint64_t>(10 + i));
    std::vector<std::string> order;
    for (auto const& f : tslab::diagnose(s))
        order.push_back(f.code + " " + f.subject);
    std::vector<std::string> const expected{
        "out_of_memory heap",     "ring_exhausted heap",    "closed_epoch_allocation heap", "epoch_leak label \"c\"",
        "epoch_leak label \"b\"", "epoch_leak label \"a\"", "refused_handles heap",         "labels_cut heap"};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_text_is_for_a_person)
{
    auto s = synthetic_heap();
    s.global.ring_exhausted = 7;
    s.global.labels_cut = 2;
    BOOST_TEST(tslab::to_text(tslab::diagnose(s)) ==
               "2 findings: 1 warning, 1 hint\n"
               "\n"
               "warning ring_exhausted, heap\n"
               "    No slot of the epoch ring was free.\n"
               "    7 times since the start a scope had to share the current epoch, or advance could not move on. Of "
               "256 slots 1 "
               "are ACTIVE and 0 CLOSING now.\n"
               "    To do: Raise allocator_options::epoch_count above the number of phases open at once, or find out "
               "why epochs do "
               "not end: epoch_leak, epoch_remains and closing_backlog tell.\n"
               "\n"
               "hint labels_cut, heap\n"
               "    Labels are longer than what is kept.\n"
               "    2 times since the start a label was longer than 31 bytes and was cut.\n"
               "    To do: Labels that differ only behind their 31st byte are one label: shorten them.\n");
}

BOOST_AUTO_TEST_CASE(what_is_left_out_of_the_text_is_said)
{
    auto s = synthetic_heap();
    for (int i = 0; i < 12; ++i)
        add_held(s, "label " + std::to_string(i), 400);
    auto const findings = tslab::diagnose(s);
    BOOST_TEST(findings.size() == 12u);
    std::string const text = tslab::to_text(findings);
    BOOST_TEST(text.ends_with("\n7 more of epoch_leak, not shown.\n"));
    BOOST_TEST(text.find("label 4") != std::string::npos);
    BOOST_TEST(text.find("label 5") == std::string::npos);
    BOOST_TEST(tslab::to_text(findings, 12).find("not shown") == std::string::npos);
    BOOST_TEST(tslab::to_text(findings, 0) == "12 findings: 12 warnings\n\n12 more of epoch_leak, not shown.\n");
}

BOOST_AUTO_TEST_CASE(names_from_data_cannot_command_a_terminal)
{
    std::string const hostile = "\x1b]0;title\a\n0 findings\r\x9b\xc2\x9b\u202e";
    auto s = synthetic_heap();
    add_held(s, hostile, 400, 20'000).opened_at = {hostile, 1, hostile};
    add_closed(s, hostile, 400, 20'000, 1, 1);
    s.labels[0].name = hostile;
    s.labels[0].escapes = 1000;
    s.misuses = {{hostile, 5}};
    s.global.misuses = 5;
    auto& c = s.classes[0];
    c.contention = {100'000, 100'000, 100'000, 0};
    c.by_label[0] = c.contention;
    c.bitmap_alloc_attempts = 100'000;
    auto const findings = tslab::diagnose(s);
    BOOST_TEST(findings.size() == 7u);
    for (auto const& f : findings)
        for (std::string const& text : {f.code, f.subject, f.title, f.evidence, f.action}) {
            BOOST_TEST(text == tslab::printable(text));
            BOOST_TEST(text.find('\n') == std::string::npos);
        }
    std::mt19937 random{7};
    for (int round = 0; round < 300; ++round) {   // whatever a file may hold, the doctor comes to an end
        snapshot wild = s;
        auto const number = [&] { return (std::uint64_t{random()} << 32 | random()) >> random() % 64; };
        tslab::for_each_field(wild.global, [&](auto, auto, auto& field) { field = number(); });
        for (auto& one : wild.classes)
            tslab::for_each_field(one, [&](auto, auto, auto& field) {
                if constexpr (std::is_same_v<decltype(field), std::uint64_t&>)
                    field = number();
            });
        for (auto& e : wild.epochs) {
            e.age_seconds = static_cast<double>(random()) - 1e9;
            e.slabs = number();
            e.slab_pages = number();
            e.live_bytes = number();
            e.classes = {{static_cast<std::uint32_t>(random()), number(), number(), number(), number()}};
        }
        wild.page_size = static_cast<std::uint32_t>(random());
        wild.epoch_count = static_cast<std::uint32_t>(random());
        wild.sampled.alloc.samples = number();
        BOOST_TEST(!tslab::to_text(tslab::diagnose(wild)).empty());
        BOOST_TEST(!tslab::to_text(tslab::diagnose(wild, &s)).empty());
    }
}

BOOST_AUTO_TEST_CASE(thousands_of_labels_are_not_slow)
{
    auto s = synthetic_heap();
    for (int i = 0; i < 65'535; ++i)
        add_held(s, "label " + std::to_string(i), 400, 1).madvise_asked_bytes = 4096;
    auto const b = same_before(s);
    BOOST_TEST(tslab::diagnose(s, &b).size() == 65'536u);   // and ring_nearly_full
    BOOST_TEST(tslab::to_text(tslab::diagnose(s, &b)).size() < 10'000u);
}
