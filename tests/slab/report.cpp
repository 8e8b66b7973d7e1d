// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The line that the default handler prints, for every kind of misuse, to the byte; and that the handler can be replaced.
#define BOOST_TEST_MODULE report
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "recorder.hpp"

using tslab::misuse;
using tslab::misuse_report;

namespace {

std::string line(misuse_report const& r, std::size_t size = 512)
{
    std::string out(size, '#');
    out.resize(tslab::format(r, out.data(), size));
    return out;
}

void const* const p = reinterpret_cast<void const*>(std::uintptr_t{0xabc040});

}

BOOST_AUTO_TEST_CASE(every_kind_has_its_line)
{
    BOOST_TEST(line({.kind = misuse::double_free, .address = p, .heap = "h", .epoch_label = "e", .size_class = 128}) ==
               "tslab: double free of 0xabc040 (heap \"h\", epoch \"e\", class 128)\n");
    BOOST_TEST(line({.kind = misuse::foreign_pointer, .address = p, .heap = "h"}) ==
               "tslab: free of foreign pointer 0xabc040 (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::interior_pointer, .address = p, .heap = "h", .size_class = 64}) ==
               "tslab: free of interior pointer 0xabc040 (heap \"h\", class 64)\n");
    BOOST_TEST(line({.kind = misuse::wrong_size, .address = p, .heap = "h", .size_class = 128, .given = 300}) ==
               "tslab: free of 0xabc040 with the wrong size 300 (heap \"h\", class 128)\n");
    BOOST_TEST(line({.kind = misuse::wrong_heap, .address = p, .heap = "h", .other = "o"}) ==
               "tslab: free of 0xabc040 in the wrong heap: it belongs to heap \"o\" (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::wrong_resource, .address = p, .heap = "h", .epoch_label = "e", .other = "o"}) ==
               "tslab: free of 0xabc040 through the wrong resource \"o\" (heap \"h\", epoch \"e\")\n");
    BOOST_TEST(line({.kind = misuse::scope_order, .heap = "h", .epoch_label = "e", .other = "o"}) ==
               "tslab: scope left out of order: \"o\" was entered later and is open (heap \"h\", epoch \"e\")\n");
    BOOST_TEST(
        line(
            {.kind = misuse::scope_order, .heap = "h", .epoch_label = "e", .other = "o", .file = "f.cpp", .line = 7}) ==
        "tslab: scope left out of order: \"o\" was entered later and is open, entered at f.cpp:7 (heap \"h\", "
        "epoch \"e\")\n");
    BOOST_TEST(line({.kind = misuse::wrong_thread, .heap = "h", .epoch_label = "e"}) ==
               "tslab: domain used on a thread that did not create it (heap \"h\", epoch \"e\")\n");
    BOOST_TEST(line({.kind = misuse::not_entered, .heap = "h"}) ==
               "tslab: domain left that was not entered (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::destroyed_entered, .heap = "h"}) ==
               "tslab: domain destroyed while entered (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::reentry, .heap = "h"}) ==
               "tslab: call from inside a tslab operation (a signal handler?) (heap \"h\")\n");
    BOOST_TEST(
        line({.kind = misuse::leak,
              .heap = "h",
              .epoch_label = "e",
              .objects = 3,
              .bytes = 400,
              .file = "f.cpp",
              .line = 7}) ==
        "tslab: leak: resource ended with 3 live objects, 400 bytes, made at f.cpp:7 (heap \"h\", epoch \"e\")\n");
    BOOST_TEST(line({.kind = misuse::leak, .heap = "h", .objects = 3, .bytes = 400}) ==
               "tslab: leak: resource ended with 3 live objects, 400 bytes (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::heap_live, .heap = "h", .objects = 3, .bytes = 400}) ==
               "tslab: heap destroyed with 3 live objects, 400 bytes (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::heap_open, .heap = "h", .objects = 2}) ==
               "tslab: heap destroyed with 2 open scopes or resources (heap \"h\")\n");
    BOOST_TEST(
        line({.kind = misuse::heap_open, .heap = "h", .epoch_label = "e", .objects = 2, .file = "f.cpp", .line = 7}) ==
        "tslab: heap destroyed with 2 open scopes or resources, the oldest made at f.cpp:7 (heap \"h\", epoch "
        "\"e\")\n");
    BOOST_TEST(line({.kind = misuse::overflow, .address = p, .heap = "h", .size_class = 64}) ==
               "tslab: write past the end of 0xabc040 (heap \"h\", class 64)\n");
    BOOST_TEST(line({.kind = misuse::write_after_free, .address = p, .heap = "h", .size_class = 64}) ==
               "tslab: write to 0xabc040 after it was freed (heap \"h\", class 64)\n");
    BOOST_TEST(
        line({.kind = misuse::wrong_size,
              .address = p,
              .heap = "h",
              .size_class = 128,
              .given = 64,
              .fitting_alignment = 128}) ==
        "tslab: free of 0xabc040 with the wrong size 64, or without its alignment 128 (heap \"h\", class 128)\n");
    BOOST_TEST(line({.kind = misuse::wrong_alignment, .address = p, .heap = "h", .size_class = 64, .given = 8}) ==
               "tslab: free of 0xabc040 with the wrong alignment 8 (heap \"h\", class 64)\n");
    BOOST_TEST(line({.kind = misuse::bad_argument, .other = "tslab_malloc: the heap is null"}) ==
               "tslab: bad argument: tslab_malloc: the heap is null\n");
    BOOST_TEST(line({.kind = misuse::bad_argument, .heap = "h", .other = "f: null"}) ==
               "tslab: bad argument: f: null (heap \"h\")\n");
    BOOST_TEST(
        line({.kind = misuse::overlapping_use, .heap = "h", .epoch_label = "job", .other_thread = 7}) ==
        "tslab: serial resource used while thread 7 is using it: the uses overlap (heap \"h\", epoch \"job\")\n");
    static_assert(tslab::misuse_count == 19, "a new kind wants its line here");
}

BOOST_AUTO_TEST_CASE(numbers_are_printed_to_their_limits)
{
    std::uint64_t const most = ~std::uint64_t{0};
    BOOST_TEST(line({.kind = misuse::heap_live, .heap = "h", .objects = most, .bytes = 0}) ==
               "tslab: heap destroyed with 18446744073709551615 live objects, 0 bytes (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::foreign_pointer, .address = reinterpret_cast<void*>(most), .heap = "h"}) ==
               "tslab: free of foreign pointer 0xffffffffffffffff (heap \"h\")\n");
    BOOST_TEST(line({.kind = misuse::foreign_pointer, .heap = "h"}) ==
               "tslab: free of foreign pointer 0x0 (heap \"h\")\n");
}

BOOST_AUTO_TEST_CASE(control_characters_in_names_become_question_marks)
{
    BOOST_TEST(line({.kind = misuse::not_entered,
                     .heap = "a\x1b[31m\n\t\x7f"
                             "b\xc3\xa9",
                     .epoch_label = std::string_view{"\0x", 2}}) ==
               "tslab: domain left that was not entered (heap \"a?[31m???b\xc3\xa9\", epoch \"?x\")\n");
}

BOOST_AUTO_TEST_CASE(a_line_that_does_not_fit_is_cut_and_keeps_its_newline)
{
    misuse_report const r{.kind = misuse::not_entered, .heap = "a name of some length"};
    std::string const whole = line(r);
    for (std::size_t size = 1; size <= whole.size() + 2; ++size) {
        std::string out(size + 1, '#');
        std::size_t const n = tslab::format(r, out.data(), size);
        BOOST_REQUIRE(n <= size);
        BOOST_TEST(out[n - 1] == '\n');
        BOOST_TEST(out[size] == '#');   // nothing behind the buffer
        if (size >= whole.size())
            BOOST_TEST(out.substr(0, n) == whole);
        else
            BOOST_TEST(out.substr(0, n - 1) == whole.substr(0, size - 1));
    }
    char untouched = '#';
    BOOST_TEST(tslab::format(r, &untouched, 0) == 0u);
    BOOST_TEST(untouched == '#');
    std::string const long_name(2000, 'x');
    BOOST_TEST(line({.kind = misuse::not_entered, .heap = long_name}).size() == 512u);
}

BOOST_AUTO_TEST_CASE(a_handler_can_be_replaced_and_restored)
{
    static misuse got{};
    static int calls = 0;
    auto const mine = [](misuse_report const& r) {
        got = r.kind;
        ++calls;
    };
    tslab::error_handler const standard = tslab::set_error_handler(mine);
    tslab::report({.kind = misuse::wrong_heap});
    BOOST_TEST((got == misuse::wrong_heap));
    BOOST_TEST(calls == 1);
    BOOST_TEST(tslab::set_error_handler(nullptr) == +mine);
    BOOST_TEST(tslab::set_error_handler(standard) == standard);   // null had put the default one back
    tslab::report({.kind = misuse::leak, .fatal = false, .heap = "the default handler prints this and goes on"});
    BOOST_TEST(calls == 1);
}
