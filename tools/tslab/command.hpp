// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What every command shares: how it is registered, what it is told on the command line, how it ends.
#pragma once
#include "tslab/source.hpp"
#include <CLI/CLI.hpp>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <stdexcept>
#include <string>

namespace tslab::tool {

/// What the process ends with.
enum class outcome : std::uint8_t {
    fine = 0,
    findings = 1,       ///< the question was answered, and the answer is bad news
    usage = 2,          ///< the command line was wrong, or something it names cannot be written or listened on
    no_target = 3,      ///< what was to be looked at is not there, or cannot be read
    other_version = 4   ///< its statistics have a format this program does not know
};

/// Why a command cannot go on: one sentence for standard error, and what the process ends with.
class failure : public std::runtime_error {
public:
    failure(outcome code, std::string const& text) : std::runtime_error{text}, code_{code} {}
    [[nodiscard]] outcome code() const noexcept { return code_; }

private:
    outcome code_;
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
    bool standard_input = false;

    void add_to(CLI::App& command);
    /// Throws failure.
    [[nodiscard]] std::unique_ptr<source> open(invocation const& i) const;
};

// Each registers one command. Its callback does the work, sets i.result, and throws failure where it cannot go on.
void add_stats(CLI::App& app, invocation& i);
void add_export(CLI::App& app, invocation& i);
void add_serve(CLI::App& app, invocation& i);
void add_record(CLI::App& app, invocation& i);
void add_report(CLI::App& app, invocation& i);

}
