// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The command line. Every value in `options` has been checked: ranges hold, no flag is unknown, and
// flags that contradict each other were refused.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace request_server {

/// A mistake of the caller's that shows only when the options are used, such as an unreadable file:
/// `what()` is one line, and the program ends with exit code 2.
struct usage_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct options {
    unsigned seconds = 10;
    unsigned threads = 2;
    unsigned clients = 0;   ///< 0 means as many as there are threads
    unsigned forget = 3;
    std::uint16_t port = 0;   ///< 0 lets the system choose a free one
    std::string data_file;    ///< empty means the ISO files of Debian's iso-codes package
    bool serve = false;
};

/// Either options to run with, or nothing and the exit code to end with: 0 after --help, 2 after
/// one line about the mistake on stderr.
struct parsed_options {
    std::optional<options> chosen;
    int exit_code = 0;
};

parsed_options parse_options(int argc, char const* const* argv);

}
