// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the default handler prints of reports that come again and again: the first of each kind and place, then the 10th,
// the 100th and so on, with exact numbers. A handler of the program's own gets every one.
#define BOOST_TEST_MODULE death_many_reports
#include "death.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <source_location>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>
import tslab.internal;

namespace {

using death::must;

void leak(tslab::allocator& heap, std::string_view label, std::source_location const& at)
{
    void* p = nullptr;
    {
        tslab::epoch_resource r{heap, {.label = label}, at};
        p = r.allocate(100);
    }
    heap.free(p);   // late, so that the epoch drains
}

std::vector<std::string> lines_of(std::string const& text)
{
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = text.find('\n', at);
        lines.push_back(text.substr(at, end - at));
        at = end == std::string::npos ? text.size() : end + 1;
    }
    return lines;
}

std::string first_line(std::source_location const& at, std::string const& label)
{
    return "tslab: leak: resource ended with 1 live objects, " +
           std::to_string(tslab::class_sizes[tslab::class_of(100)]) + " bytes, made at " + at.file_name() + ":" +
           std::to_string(at.line()) + " (heap \"service\", epoch \"" + label + "\")";
}

std::string of_number(std::string const& line, std::size_t n)
{
    return n == 1 ? line : line + "; number " + std::to_string(n) + " of this kind and place";
}

}

BOOST_AUTO_TEST_CASE(two_thousand_leaking_requests_print_four_lines)
{
    auto const at = std::source_location::current();
    death::outcome const end = death::of([at](death::notes&) {
        tslab::allocator heap{{.name = "service", .publish = false}};
        for (int i = 0; i < 2000; ++i)
            leak(heap, "request", at);
        must(heap.snapshot().global.leaked_objects == 2000, "a leak is not counted");
        static_cast<void>(new tslab::allocator{{.name = "other", .publish = false}});
        ::_exit(0);
    });
    BOOST_TEST(end.end == "exit 0");
    std::vector<std::string> expected;
    for (std::size_t const n : {1U, 10U, 100U, 1000U})
        expected.push_back(of_number(first_line(at, "request"), n));
    BOOST_TEST(lines_of(end.text) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(each_place_and_each_kind_has_its_own_number)
{
    auto const one = std::source_location::current();
    auto const other = std::source_location::current();
    death::outcome const end = death::of([one, other](death::notes&) {
        tslab::allocator heap{{.name = "service", .publish = false}};
        for (int i = 0; i < 10; ++i) {
            leak(heap, "a", one);
            leak(heap, "b", other);
            tslab::report({.kind = tslab::misuse::heap_open, .fatal = false, .heap = "x", .objects = 1});
            tslab::report({.kind = tslab::misuse::heap_open, .fatal = false, .heap = "y", .objects = 1});
        }
        ::_exit(0);
    });
    std::map<std::string, int> lines;
    for (std::string const& line : lines_of(end.text))
        ++lines[line];
    std::string const open = "tslab: heap destroyed with 1 open scopes or resources (heap \"";
    BOOST_TEST(lines.size() == 8U);
    for (std::string const& line : {first_line(one, "a"), first_line(other, "b"), open + "x\")", open + "y\")"}) {
        BOOST_TEST(lines[line] == 1);
        BOOST_TEST(lines[of_number(line, 10)] == 1);
    }
}

// More places than there are entries: memory stays bounded, and what is not told apart is still counted.
BOOST_AUTO_TEST_CASE(places_beyond_the_table_are_counted_together)
{
    death::outcome const end = death::of([](death::notes&) {
        for (std::uint32_t line = 1; line <= tslab::most_report_places + 150; ++line)
            tslab::report({.kind = tslab::misuse::leak, .fatal = false, .heap = "h", .file = "f.cpp", .line = line});
    });
    BOOST_TEST(end.end == "exit 0");
    std::vector<std::string> const lines = lines_of(end.text);
    BOOST_REQUIRE(lines.size() == tslab::most_report_places + 3);
    for (std::size_t i = 0; i < 3; ++i) {
        std::string const& line = lines[tslab::most_report_places + i];
        std::size_t const n = i == 0 ? 1 : i == 1 ? 10 : 100;
        BOOST_TEST(line.ends_with("; number " + std::to_string(n) + " of this kind at places beyond the first 256"));
    }
}

BOOST_AUTO_TEST_CASE(numbers_are_exact_beside_other_threads_and_go_on_in_a_child)
{
    death::outcome const end = death::of([](death::notes&) {
        auto const say = [](int times) {
            for (int i = 0; i < times; ++i)
                tslab::report({.kind = tslab::misuse::leak, .fatal = false, .heap = "h", .file = "f.cpp", .line = 7});
        };
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] { say(2000); });
        for (std::thread& t : threads)
            t.join();
        say(1999);
        if (::fork() == 0) {
            say(1);
            ::_exit(0);
        }
        ::wait(nullptr);
        say(1);
    });
    std::map<std::string, int> lines;
    for (std::string const& line : lines_of(end.text))
        ++lines[line.substr(std::min(line.find(';'), line.size()))];
    BOOST_TEST(lines.size() == 5U);
    for (std::size_t const n : {10U, 100U, 1000U})
        BOOST_TEST(lines["; number " + std::to_string(n) + " of this kind and place"] == 1);
    BOOST_TEST(lines["; number 10000 of this kind and place"] == 2);   // the child's own, and the parent's
}

BOOST_AUTO_TEST_CASE(a_handler_gets_every_report)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        static std::size_t calls = 0;
        tslab::set_error_handler([](tslab::misuse_report const&) { ++calls; });
        for (int i = 0; i < 2000; ++i)
            tslab::report({.kind = tslab::misuse::leak, .fatal = false, .heap = "h", .file = "f.cpp", .line = 7});
        must(calls == 2000, "the handler did not get every report");
    });
}

// However often the same misuse was reported before, one that aborts is printed.
BOOST_AUTO_TEST_CASE(a_report_that_aborts_is_always_printed)
{
    TSLAB_ABORTS("tslab: heap destroyed with 1 open scopes or resources (heap \"h\")\n"
                 "tslab: heap destroyed with 1 open scopes or resources (heap \"h\")",
                 [](death::notes&) {
                     for (bool const fatal : {false, false, true})
                         tslab::report({.kind = tslab::misuse::heap_open, .fatal = fatal, .heap = "h", .objects = 1});
                 });
}

BOOST_AUTO_TEST_CASE(a_truncated_line_ends_with_a_whole_character_and_its_number)
{
    death::outcome const end = death::of([](death::notes&) {
        std::string name;
        while (name.size() < 1000)
            name += "\u540c";
        for (int i = 0; i < 10; ++i)
            tslab::report({.kind = tslab::misuse::heap_open, .fatal = false, .heap = name, .objects = 1});
    });
    std::vector<std::string> const lines = lines_of(end.text);
    BOOST_REQUIRE(lines.size() == 2U);
    for (std::string const& line : lines) {
        std::string_view const names = std::string_view{line}.substr(0, std::min(line.find(';'), line.size()));
        BOOST_TEST(tslab::fitting_prefix(std::string{names} + "x", names.size()) == names);
        BOOST_TEST(names.ends_with("\u540c"));
        BOOST_TEST(line.size() < 512U);
    }
    BOOST_TEST(lines[1].ends_with("; number 10 of this kind and place"));
}
