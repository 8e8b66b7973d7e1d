// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What commands that go on need: to be interrupted without being killed, and a screen that is left as it was found.
#pragma once
#include <array>
#include <csignal>
#include <cstddef>
#include <iosfwd>
#include <string_view>

namespace tslab::tool {

struct terminal_size {
    unsigned rows = 24;
    unsigned columns = 80;
};

/// Of the terminal standard output is connected to.
[[nodiscard]] terminal_size size_of_terminal() noexcept;

/// While it lives, SIGINT, SIGTERM and SIGHUP end a wait instead of the process. One at a time.
class interruption {
public:
    interruption();
    ~interruption();
    interruption(interruption const&) = delete;
    interruption& operator=(interruption const&) = delete;

    /// False when a signal came, before or during the wait.
    [[nodiscard]] bool wait(double seconds) const;

    static constexpr std::size_t signal_count = 3;

private:
    sigset_t mask_before_;
    std::array<struct sigaction, signal_count> actions_before_;
};

/// The alternate screen of a terminal, without a cursor, until it is destroyed.
class screen {
public:
    explicit screen(std::ostream& out);
    ~screen();
    screen(screen const&) = delete;
    screen& operator=(screen const&) = delete;

    /// Replaces what is shown by as many of the lines as fit.
    void show(std::string_view lines);

private:
    std::ostream& out_;
};

}
