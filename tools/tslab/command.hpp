// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What every command shares: how it is registered, its options on the command line, how it ends.
#pragma once
#include "tslab/command_line.hpp"
#include "tslab/source.hpp"
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace tslab::tool {

/// What the process ends with.
enum class outcome : std::uint8_t {
    fine = 0,
    findings = 1,       ///< the question was answered, and the answer is bad news
    usage = 2,          ///< the command line was wrong, or something it names cannot be written or listened on
    no_target = 3,      ///< what was to be looked at is not there, or cannot be read
    other_version = 4   ///< its statistics have a format this program does not know
};

/// Why a command cannot go on: one sentence for standard error, and what the process ends with. `list`: lines that follow the
/// sentence, harmless.
class failure : public std::runtime_error {
public:
    failure(outcome code, std::string const& text, std::string list = {})
        : std::runtime_error{text}, code_{code}, list_{std::move(list)}
    {
    }
    [[nodiscard]] outcome code() const noexcept { return code_; }
    [[nodiscard]] std::string const& list() const noexcept { return list_; }

private:
    outcome code_;
    std::string list_;
};

/// What a command works with.
struct invocation {
    std::ostream& out;
    std::ostream& err;
    std::istream& in;
    bool terminal = false;   ///< `out` is one
    bool color = false;      ///< after --color, NO_COLOR and whether `out` is a terminal
    outcome result = outcome::fine;
};

/// What is looked at, as commands take it: PID, NAME or FILE as an argument, or --stdin.
struct target {
    std::string what{};
    std::string heap{};   ///< only the heap of this name; empty: all
    bool standard_input = false;

    void add_to(command_line const& command);
    /// Throws failure, and what reading throws.
    [[nodiscard]] std::unique_ptr<source> open(invocation const& i) const;
};

/// "500ms", "1s", "1.5", "2m", "3h", "1d" in seconds; throws failure (usage) for anything else.
[[nodiscard]] double seconds_of(std::string const& text);
/// The same, and the failure names the option.
[[nodiscard]] double seconds_of(std::string_view option, std::string const& text);

/// Reads the command line, runs the command, writes errors to i.err, and gives what the process is to end with.
/// `count` arguments, the program's name first.
[[nodiscard]] int run(int count, char const* const* arguments, invocation& i);

/// The manual page, in roff, of a program that has options and no commands.
void print_manual_page(CLI::App const& app, std::ostream& out);

/// What an exception means for the process: says it in one line on i.err and gives the outcome. For use in a handler.
[[nodiscard]] outcome report_exception(invocation& i, char const* program);

// Each registers one command. Its callback does the work, sets i.result, and throws failure where it cannot go on.
void add_completion(CLI::App& app, invocation& i);
void add_diff(CLI::App& app, invocation& i);
void add_doctor(CLI::App& app, invocation& i);
void add_epochs(CLI::App& app, invocation& i);
void add_labels(CLI::App& app, invocation& i);
void add_leaks(CLI::App& app, invocation& i);
void add_man(CLI::App& app, invocation& i);
void add_map(CLI::App& app, invocation& i);
void add_pins(CLI::App& app, invocation& i);
void add_profile(CLI::App& app, invocation& i);
void add_ps(CLI::App& app, invocation& i);
void add_stats(CLI::App& app, invocation& i);
void add_export(CLI::App& app, invocation& i);
void add_serve(CLI::App& app, invocation& i);
void add_record(CLI::App& app, invocation& i);
void add_report(CLI::App& app, invocation& i);
void add_top(CLI::App& app, invocation& i);
void add_watch(CLI::App& app, invocation& i);
void add_waterfall(CLI::App& app, invocation& i);

}
