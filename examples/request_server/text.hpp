// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Figures as people read them: "12,345", "3.2 MB", "0.41 ms".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace request_server {

std::string with_commas(std::uint64_t number);
std::string as_bytes(std::uint64_t bytes);
std::string as_milliseconds(std::chrono::nanoseconds time);
std::string as_seconds(double seconds);

}
