// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Nothing that comes from data commands a terminal, and JSON stays JSON whatever is in it.
#define BOOST_TEST_MODULE escape
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "tslab/escape.hpp"
#include <algorithm>
#include <random>
#include <string>
import tslab;

using tslab::tool::escaped;

BOOST_AUTO_TEST_CASE(harmless_text_stays_as_it_is)
{
    BOOST_TEST(escaped("") == "");
    BOOST_TEST(escaped("GET /orders") == "GET /orders");
    BOOST_TEST(escaped("Grüße, 日本, 🙂") == "Grüße, 日本, 🙂");
}

BOOST_AUTO_TEST_CASE(control_characters_become_numbers)
{
    BOOST_TEST(escaped("a\x1b[2J\nb\x7f") == "a\\x1b[2J\\x0ab\\x7f");
    BOOST_TEST(escaped(std::string{"\0x", 2}) == "\\x00x");
    BOOST_TEST(escaped("\xc2\x9b") == "\\xc2\\x9b");              // CSI in C1
    BOOST_TEST(escaped("\xe2\x80\xae!") == "\\xe2\\x80\\xae!");   // right-to-left override
}

BOOST_AUTO_TEST_CASE(what_is_no_utf8_becomes_numbers)
{
    BOOST_TEST(escaped("\xff\xc3(") == "\\xff\\xc3(");
    BOOST_TEST(escaped("cut\xe2\x82") == "cut\\xe2\\x82");
    BOOST_TEST(escaped("\xc0\xaf") == "\\xc0\\xaf");
    BOOST_TEST(escaped("\xed\xa0\x80") == "\\xed\\xa0\\x80");
}

BOOST_AUTO_TEST_CASE(random_bytes_never_command_a_terminal_or_break_json)
{
    std::mt19937 random{1};
    for (int round = 0; round < 2000; ++round) {
        std::string bytes(random() % 40, '\0');
        for (char& c : bytes)
            c = static_cast<char>(random());
        std::string const safe = escaped(bytes);
        BOOST_TEST(std::none_of(safe.begin(), safe.end(),
                                [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
        BOOST_TEST(escaped(safe) == safe);
        tslab::json_writer j;
        j.open('{').member(bytes, bytes).close('}');
        boost::system::error_code error;
        (void)boost::json::parse(j.text(), error);
        BOOST_TEST(!error.failed(), j.text());
    }
}

BOOST_AUTO_TEST_CASE(json_separates_members_values_and_brackets)
{
    tslab::json_writer j;
    j.open('{').member("a", 1).member("b", true).key("c").open('[').value("x\"\n").value(2.5).close(']');
    j.key("d").open('{').close('}').member("e", -7).close('}');
    BOOST_TEST(j.text() == R"({"a":1,"b":true,"c":["x\"\u000a",2.5],"d":{},"e":-7})");
}

BOOST_AUTO_TEST_CASE(columns_are_characters_and_xml_is_escaped)
{
    BOOST_TEST(tslab::tool::columns_of("Grüße") == 5U);
    BOOST_TEST(tslab::tool::xml_escaped("<a & \"b\">\x1b") == "&lt;a &amp; &quot;b&quot;&gt;\\x1b");
}
