// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Options by the environment: which values are taken, what is said of the others, and that the program's own word comes first.
#include "death.hpp"
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>

#include "recorder.hpp"

using namespace std::chrono_literals;
using death::must;
using tslab::parse_number;
using tslab::variable;

BOOST_AUTO_TEST_CASE(numbers_are_taken_strictly)
{
    tslab::variable_range const range{"X", 5, 300};
    BOOST_TEST(parse_number("5", range).value() == 5U);
    BOOST_TEST(parse_number("300", range).value() == 300U);
    BOOST_TEST(parse_number("007", range).value() == 7U);
    for (std::string_view const wrong :
         {"", "4", "301", "-6", "+6", " 6", "6 ", "6ms", "0x10", "1e2", "99999999999999999999999", "ten"})
        BOOST_TEST(!parse_number(wrong, range), wrong);
}

BOOST_AUTO_TEST_CASE(values_of_the_environment_reach_the_heap)
{
    death::outcome const end = death::of([](death::notes&) {
        ::setenv("TSLAB_DECAY_MS", "250", 1);
        ::setenv("TSLAB_THREAD_CACHE_KIB", "64", 1);
        ::setenv("TSLAB_SLAB_CACHE", "7", 1);
        ::setenv("TSLAB_BACKGROUND_PURGE", "1", 1);
        tslab::allocator heap;
        tslab::snapshot const s = heap.snapshot();
        must(s.decay_ms == 250, "decay");
        must(s.thread_cache_bytes == 64 << 10, "thread cache");
        must(s.classes[0].cache_capacity == 7, "slab cache");
        must(s.background_purge == "on", "background");
    });
    BOOST_TEST(end.text == "");
    BOOST_TEST(end.end == "exit 0");
}

BOOST_AUTO_TEST_CASE(the_program_has_the_first_word)
{
    death::outcome const end = death::of([](death::notes&) {
        ::setenv("TSLAB_DECAY_MS", "250", 1);
        ::setenv("TSLAB_THREAD_CACHE_KIB", "64", 1);
        ::setenv("TSLAB_SLAB_CACHE", "7", 1);
        ::setenv("TSLAB_BACKGROUND_PURGE", "1", 1);
        tslab::allocator heap{
            {.slab_cache = 9, .decay = 5ms, .thread_cache = std::size_t{1} << 20, .background_purge = false}};
        tslab::snapshot const s = heap.snapshot();
        must(s.decay_ms == 5, "decay");
        must(s.thread_cache_bytes == 1 << 20, "thread cache");
        must(s.classes[0].cache_capacity == 9, "slab cache");
        must(s.background_purge == "off", "background");
    });
    BOOST_TEST(end.text == "");
    BOOST_TEST(end.end == "exit 0");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_used_is_said_once_and_ignored)
{
    death::outcome const end = death::of([](death::notes&) {
        ::setenv("TSLAB_DECAY_MS", "1s\x1b[2J", 1);
        ::setenv("TSLAB_SLAB_CACHE", "1048577", 1);
        ::setenv("TSLAB_BACKGROUND_PURGE", "yes", 1);
        for (int i = 0; i < 3; ++i) {
            tslab::allocator heap;
            tslab::snapshot const s = heap.snapshot();
            must(s.decay_ms == 1000, "decay");
            must(s.thread_cache_bytes == 32 << 20, "thread cache");
            must(s.classes[0].cache_capacity == 32, "slab cache");
            must(s.background_purge == "off", "background");
        }
    });
    BOOST_TEST(end.text ==
               "tslab: TSLAB_SLAB_CACHE=\"1048577\" is ignored: a whole number from 0 to 1048576 is expected\n"
               "tslab: TSLAB_DECAY_MS=\"1s?[2J\" is ignored: a whole number from 0 to 86400000 is expected\n"
               "tslab: TSLAB_BACKGROUND_PURGE=\"yes\" is ignored: a whole number from 0 to 1 is expected\n");
    BOOST_TEST(end.end == "exit 0");
}

BOOST_AUTO_TEST_CASE(a_misspelled_variable_is_said_once_and_others_are_nobodys_business)
{
    death::outcome const end = death::of([](death::notes&) {
        ::clearenv();
        ::setenv("TSLAB_DECAY_SECONDS", "1", 1);      // the first word of one
        ::setenv("TSLAB_STAT_FILE", "/nowhere", 1);   // a letter too few
        ::setenv("TSLAB_PROFILE", "1", 1);
        ::setenv("TSLAB_PBULISH", "0", 1);
        for (char const* const silent : {"TSLAB_STRESS_SECONDS", "TSLAB_TEST_SEED", "TSLAB_BUILD_TESTS", "TSLAB_",
                                         "TSLAB", "MY_TSLAB_DECAY_MSS", "TSLAB_DECAY_MS", "TSLAB_DECAY_\x1b[2J"})
            ::setenv(silent, "1", 1);
        ::setenv(("TSLAB_DECAY_" + std::string(1000, 'X')).c_str(), "1", 1);
        tslab::allocator one;
        tslab::allocator another;
    });
    auto const line = [](std::string const& said, std::string const& meant) {
        return "tslab: TSLAB_" + said + " is no variable that tslab reads; did you mean TSLAB_" + meant + "?\n";
    };
    BOOST_TEST(end.text == line("DECAY_SECONDS", "DECAY_MS") + line("STAT_FILE", "STATS_FILE") +
                               line("PROFILE", "PROFILE_SEED") + line("PBULISH", "PUBLISH"));
    BOOST_TEST(end.end == "exit 0");
}

BOOST_AUTO_TEST_CASE(a_statistics_file_that_cannot_be_made_is_said_once_and_everything_else_works)
{
    auto const said_of = [](std::string const& file) {
        death::outcome const end = death::of([&file](death::notes&) {
            ::setenv("TSLAB_STATS_FILE", file.c_str(), 1);
            for (int i = 0; i < 2; ++i) {
                tslab::allocator heap;
                heap.free(heap.malloc(100));
                must(!heap.state().published().is_published(), "not published");
            }
        });
        BOOST_TEST(end.end == "exit 0");
        return end.text;
    };
    std::string const begin = "tslab: TSLAB_STATS_FILE: \"";
    std::string const end = "; no statistics are published\n";
    BOOST_TEST(said_of("/nowhere/at/all") ==
               begin + "/nowhere/at/all\" cannot be made: No such file or directory" + end);
    BOOST_TEST(said_of("/dev/null/file") == begin + "/dev/null/file\" cannot be made: Not a directory" + end);
    BOOST_TEST(said_of("/dev/null") == begin + "/dev/null\" is not a statistics file and is left alone" + end);
    std::string const long_name = "/" + std::string(5000, 'x');
    BOOST_TEST(said_of(long_name) == begin + long_name.substr(0, 255) +
                                         "\" cannot be made: its name is too long, or there is no memory for it" + end);
}

BOOST_AUTO_TEST_CASE(whether_to_publish_is_a_number_too)
{
    death::outcome const end = death::of([](death::notes&) {
        ::setenv("TSLAB_PUBLISH", "no", 1);
        {
            tslab::allocator heap;
            must(heap.state().published().is_published(), "published, since the value is ignored");
        }
        ::setenv("TSLAB_PUBLISH", "0", 1);
        tslab::allocator heap;
        must(!heap.state().published().is_published(), "not published");
    });
    BOOST_TEST(end.text == "tslab: TSLAB_PUBLISH=\"no\" is ignored: a whole number from 0 to 1 is expected\n");
    BOOST_TEST(end.end == "exit 0");
}

BOOST_AUTO_TEST_CASE(words_are_taken_strictly)
{
    death::outcome const end = death::of([](death::notes&) {
        auto const read = [] { return tslab::word_in_environment(variable::checks, {"canaries", "forward", "off"}); };
        ::unsetenv("TSLAB_CHECKS");   // a sanitizer's tests may run with it
        must(!read(), "nothing is set");
        ::setenv("TSLAB_CHECKS", "forward", 1);
        must(read() == 1U, "the second word");
        for (char const* const wrong : {"", "Forward", "forward ", "on", "1"}) {
            ::setenv("TSLAB_CHECKS", wrong, 1);
            must(!read(), wrong);
        }
    });
    BOOST_TEST(end.text == "tslab: TSLAB_CHECKS=\"\" is ignored: canaries, forward or off is expected\n");
    BOOST_TEST(end.end == "exit 0");
}
