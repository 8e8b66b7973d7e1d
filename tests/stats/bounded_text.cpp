// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Texts that are stored in a bounded number of bytes are cut between characters: at every length, for characters of one
// to four bytes; and texts that are not UTF-8 are cut at the bound.
#define BOOST_TEST_MODULE bounded_text
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <pthread.h>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

import tslab.internal;

using tslab::fitting_prefix;
using tslab::fitting_suffix;

namespace {

/// Whether `text` consists of whole characters.
bool is_whole(std::string_view text)
{
    for (std::size_t i = 0; i < text.size();) {
        auto const lead = static_cast<unsigned char>(text[i]);
        std::size_t const bytes = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (bytes == 0 || i + bytes > text.size())
            return false;
        for (std::size_t k = 1; k < bytes; ++k)
            if (!tslab::continues_character(text[i + k]))
                return false;
        i += bytes;
    }
    return true;
}

}

BOOST_AUTO_TEST_CASE(a_cut_is_between_characters_and_as_late_as_it_can_be)
{
    std::string const text = "a\u00e9\u20ac\U0001f600z\u043fё\u540c\U0001f680\u00fcb";
    BOOST_REQUIRE(is_whole(text));
    for (std::size_t most = 0; most <= text.size() + 2; ++most) {
        BOOST_TEST_CONTEXT(most << " bytes")
        {
            std::string_view const begin = fitting_prefix(text, most);
            BOOST_TEST((begin.size() <= most && text.starts_with(begin) && is_whole(begin)));
            std::string_view const end = fitting_suffix(text, most);
            BOOST_TEST((end.size() <= most && text.ends_with(end) && is_whole(end)));
            if (most < text.size()) {   // the next character would not fit
                std::size_t longer = begin.size() + 1;
                while (!is_whole(std::string_view{text}.substr(0, longer)))
                    ++longer;
                BOOST_TEST(longer > most);
                longer = end.size() + 1;
                while (!is_whole(std::string_view{text}.substr(text.size() - longer)))
                    ++longer;
                BOOST_TEST(longer > most);
            } else {
                BOOST_TEST(begin == text);
                BOOST_TEST(end == text);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_characters_are_cut_at_the_bound)
{
    std::string const only_continuations(10, '\x80');
    std::string const stray = "abc\x80\x80xyz";
    for (std::size_t most = 0; most < 8; ++most) {
        BOOST_TEST(fitting_prefix(only_continuations, most).size() == most);
        BOOST_TEST(fitting_suffix(only_continuations, most).size() == most);
        BOOST_TEST(fitting_prefix(stray, most).size() == most);
    }
    BOOST_TEST(fitting_prefix("", 0).empty());
    BOOST_TEST(fitting_suffix("", 0).empty());
    BOOST_TEST(fitting_suffix("\u00e9", 1).empty());
    BOOST_TEST(fitting_prefix("\u00e9", 1).empty());
}

BOOST_AUTO_TEST_CASE(what_others_have_cut_loses_the_broken_character)
{
    std::string const text = "a\u00e9\u20ac\U0001f600z\u540c";
    for (std::size_t bytes = 0; bytes <= text.size(); ++bytes)
        BOOST_TEST(tslab::without_cut_character(std::string_view{text}.substr(0, bytes)) ==
                   fitting_prefix(text, bytes));
    BOOST_TEST(tslab::without_cut_character("\x80\x80") == "\x80\x80");

    std::string name;
    std::thread{[&] {
        ::pthread_setname_np(::pthread_self(),
                             "ab\u540c\u540c\u540c\u540c\xe5");   // 15 bytes, the last one a broken character's
        name = tslab::read_thread_name(::getpid(), static_cast<std::uint32_t>(::gettid()));
    }}.join();
    BOOST_TEST(name == "ab\u540c\u540c\u540c\u540c");
}

BOOST_AUTO_TEST_CASE(labels_and_names_are_cut_between_characters)
{
    tslab::allocator heap{{.name = "names"}};
    for (char const* const character : {"\u00e9", "\u20ac", "\U0001f600"})
        for (std::size_t shift = 0; shift < 4; ++shift) {
            std::string label(shift, 'x');
            while (label.size() <= 40)
                label += character;
            tslab::epoch_scope const scope{heap, label};
            tslab::snapshot const s = heap.snapshot({.residency = false});
            for (tslab::epoch_stats const& e : s.epochs)
                if (e.index == scope.epoch().index) {
                    BOOST_TEST((label.starts_with(e.label) && is_whole(e.label)));
                    BOOST_TEST(e.label.size() + std::string_view{character}.size() > 31);
                }
            for (tslab::label_stats const& l : s.labels)
                BOOST_TEST(is_whole(l.name));
        }
}
