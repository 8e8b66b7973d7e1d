// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a label and as a heap's name, in everything that prints them: nothing a terminal obeys comes out, JSON and HTML are
// read back as what went in, and metrics are lines of the format's grammar.
#include "tslab/escape.hpp"
#include "tslab/exposition.hpp"
#include <boost/json.hpp>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../support/synthetic.hpp"
import tslab;

namespace {

namespace tool = tslab::tool;

void must(bool so, char const* what)
{
    if (!so) [[unlikely]] {
        std::fprintf(stderr, "escaping: %s\n", what);
        std::abort();
    }
}

bool harmless(std::string_view text, bool with_newlines = false)
{
    for (char const c : text)
        if ((static_cast<unsigned char>(c) < 0x20 && !(with_newlines && c == '\n')) || c == 0x7f)
            return false;
    return true;
}

/// Undoes xml_escaped; aborts at what may not stand in a text.
std::string text_of_xml(std::string_view xml)
{
    std::string out;
    while (!xml.empty()) {
        must(xml.front() != '<' && xml.front() != '>' && xml.front() != '"' && xml.front() != '\'',
             "markup comes through");
        bool known = xml.front() != '&';
        for (auto const& [entity, c] : {std::pair<std::string_view, char>{"&amp;", '&'},
                                        {"&lt;", '<'},
                                        {"&gt;", '>'},
                                        {"&quot;", '"'},
                                        {"&#39;", '\''}})
            if (!known && xml.starts_with(entity)) {
                out += c;
                xml.remove_prefix(entity.size());
                known = true;
                break;
            } else if (known) {
                out += xml.front();
                xml.remove_prefix(1);
                break;
            }
        must(known, "an ampersand comes through");
    }
    return out;
}

/// A line of metrics: a name, labels in quotes with three escapes, a number. Calls visit(label, value).
template <class F> void read_sample(std::string_view line, F visit)
{
    auto const word = [&line] {
        std::size_t n = 0;
        while (n < line.size() &&
               (std::isalnum(static_cast<unsigned char>(line[n])) != 0 || line[n] == '_' || line[n] == ':'))
            ++n;
        must(n != 0, "a name is missing");
        std::string_view const name = line.substr(0, n);
        line.remove_prefix(n);
        return name;
    };
    auto const expect = [&line](char c) {
        must(!line.empty() && line.front() == c, "a line is not of the grammar");
        line.remove_prefix(1);
    };
    word();
    if (!line.empty() && line.front() == '{') {
        do {
            line.remove_prefix(1);
            if (!line.empty() && line.front() == '}')
                break;
            std::string_view const label = word();
            expect('=');
            expect('"');
            std::string value;
            while (!line.empty() && line.front() != '"') {
                if (line.front() == '\\') {
                    must(line.size() > 1 && (line[1] == '\\' || line[1] == '"' || line[1] == 'n'), "no such escape");
                    value += line[1] == 'n' ? '\n' : line[1];
                    line.remove_prefix(2);
                } else {
                    value += line.front();
                    line.remove_prefix(1);
                }
            }
            expect('"');
            visit(label, value);
        } while (!line.empty() && line.front() == ',');
        expect('}');
    }
    expect(' ');
    must(!line.empty() && line.find_first_not_of("0123456789.eE+-NaIinf ") == std::string_view::npos, "no number");
}

bool is_utf8(std::string const& text)
{
    boost::system::error_code error;
    std::string quoted = "\"";
    for (char const c : text)
        quoted += static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' ? 'x' : c;
    boost::json::parse(quoted + '"', error);
    return !error;
}

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size == 0)
        return 0;
    // What is written of whole snapshots takes a thousand times as long as the rest: the first byte says when.
    unsigned const which = data[0] % 16;
    std::string const text{reinterpret_cast<char const*>(data + 1), size - 1};
    bool const utf8 = is_utf8(text);

    std::string const shown = tool::escaped(text);
    must(harmless(shown) && harmless(tslab::printable(text)), "a control character reaches the terminal");
    must(is_utf8(shown) && is_utf8(tslab::printable(text)), "what is shown is no UTF-8");
    must(tool::escaped(shown) == shown, "what is harmless is changed");
    must(text_of_xml(tool::xml_escaped(text)) == shown, "XML is read as something else");

    tslab::json_writer j;
    j.value(text);
    boost::json::value const parsed = boost::json::parse(j.text());
    must(!utf8 || parsed.as_string() == text, "JSON is read as something else");

    if (which > 2)
        return 0;
    tslab::snapshot s = support::synthetic_heap();
    s.name = text;
    tslab::label_stats label;
    label.label_id = 1;
    label.name = text;
    s.labels.insert(s.labels.begin() + 1, label);
    s.epochs.at(0).label = text;
    s.epochs.at(0).label_id = 1;
    s.epochs.at(0).opened_at = {text, 1, text};
    if (which == 0) {
        std::string const json = tslab::to_json(s);
        tslab::snapshot const again = tslab::from_json(json);
        must(!utf8 || (again.name == text && again.epochs.at(0).label == text), "a snapshot is read as another one");
        must(tslab::to_json(again) == json, "a snapshot that was read is written as another one");
    } else if (which == 1) {
        must(harmless(tslab::to_text(tslab::diagnose(s)), true), "a diagnosis has a control character");
        for (tslab::leak const& l : tslab::find_leaks(s, 0))
            must(harmless(l.sentence()), "a sentence has a control character");
    } else {
        std::string const metrics = tool::exposition({s});
        std::string_view rest = metrics;
        while (!rest.empty()) {
            std::size_t const n = rest.find('\n');
            must(n != std::string_view::npos, "the last line does not end");
            std::string_view const line = rest.substr(0, n);
            rest.remove_prefix(n + 1);
            if (!line.empty() && line.front() != '#')
                read_sample(line, [](std::string_view, std::string const& value) {
                    must(harmless(value) && is_utf8(value),
                         "a label of a metric has a control character or is no UTF-8");
                });
        }
    }
    return 0;
}
