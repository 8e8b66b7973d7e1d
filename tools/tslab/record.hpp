// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Recording a target, without a command line.
#pragma once
#include "tslab/source.hpp"
#include <chrono>
#include <cstdint>
#include <string>

namespace tslab::tool {

struct record_limits {
    std::chrono::milliseconds interval{1'000};
    std::chrono::milliseconds duration{60'000};
    std::uint64_t count = 0;   ///< 0: by duration
};

struct recorded {
    std::uint64_t samples = 0;
    std::string end{};   ///< why it ended
};

/// Writes a recording of `from` to `path`, until a limit is reached, SIGINT or SIGTERM comes, or the target is gone; that
/// one, too, is an end like any other. Throws what `from` throws when not even the first sample can be had, and failure
/// when the file cannot be written, which then keeps what is whole.
recorded record(source& from, std::string const& path, record_limits const& o);

}
