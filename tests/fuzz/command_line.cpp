// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as command lines, a word a line: those of tslab and of stats_dump are parsed, with every check that belongs to it, and
// nothing is carried out. Commands that read a snapshot from standard input are run on the rest of the bytes. What is said of
// a bad line has no control characters, and the exit code is one of those documented.
#define main stats_dump_main
#include "../../tools/stats_dump/main.cpp"
#undef main
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

void must(bool so)
{
    if (!so)
        std::abort();
}

bool harmless(std::string_view text)
{
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); });
}

using arguments = std::vector<char const*>;

struct parsed {};

/// Parses, and does nothing with it.
template <class Add> void parse(char const* name, arguments const& words, Add add)
{
    std::ostringstream out;
    std::ostringstream err;
    std::istringstream in;
    invocation i{out, err, in};
    CLI::App app{"fuzzed", name};
    add(app, i);
    app.parse_complete_callback([] { throw parsed{}; });   // runs before what the commands do
    try {
        app.parse(static_cast<int>(words.size()), words.data());
    } catch (parsed const&) {
    } catch (CLI::CallForHelp const&) {
        must(!app.help().empty());
    } catch (CLI::CallForVersion const&) {
    } catch (CLI::ParseError const& e) {
        must(harmless(escaped(e.what())) && harmless(tslab::printable(e.what())));
    } catch (failure const& e) {
        must(e.code() == outcome::usage);
    }
}

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view rest{reinterpret_cast<char const*>(data), size};
    std::vector<std::string> lines;
    while (!rest.empty() && lines.size() < 12) {
        std::string_view const line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        if (line == "--")   // what follows is standard input
            break;
        lines.emplace_back(line.substr(0, line.find('\0')));
    }
    arguments words{"program"};
    for (std::string const& line : lines)
        words.push_back(line.c_str());

    parse("stats_dump", words, [](CLI::App& app, invocation&) {
        static options o;
        o = {};
        add_options(app, o);
    });
    parse("tslab", words, [](CLI::App& app, invocation& i) {
        for (auto* const add :
             {add_completion, add_diff, add_doctor, add_epochs, add_labels, add_leaks, add_man, add_map, add_pins,
              add_ps, add_stats, add_export, add_serve, add_record, add_report, add_top, add_watch, add_waterfall})
            add(app, i);
        app.fallthrough();
        app.require_subcommand(1);
    });

    // Only what looks at nothing but standard input: no other word than options.
    static constexpr std::array<std::string_view, 7> readers{"stats",     "leaks",  "pins", "epochs",
                                                             "waterfall", "doctor", "man"};
    bool const reads = !lines.empty() && std::find(readers.begin(), readers.end(), lines[0]) != readers.end();
    bool const from_stdin =
        std::find(lines.begin(), lines.end(), "--stdin") != lines.end() || (reads && lines[0] == "man");
    bool const plain = std::all_of(lines.begin() + (lines.empty() ? 0 : 1), lines.end(),
                                   [](std::string const& word) { return word.starts_with("--"); });
    if (reads && from_stdin && plain) {
        std::ostringstream out;
        std::ostringstream err;
        std::istringstream in{std::string{rest}};
        invocation i{out, err, in};
        int const code = run(static_cast<int>(words.size()), words.data(), i);
        must(code >= 0 && code <= 4);
        must(harmless(err.str()));
    }
    return 0;
}
