// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a recording, and as a saved snapshot of one heap or several.
#include "tslab/command.hpp"
#include "tslab/record_file.hpp"
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
import tslab;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace tslab::tool;
    std::string_view const text{reinterpret_cast<char const*>(data), size};
    try {
        std::istringstream in{std::string{text}};
        recording_reader reader{in, "fuzzed"};
        while (reader.next()) {
        }
    } catch (failure const&) {
    }
    try {
        static_cast<void>(snapshots_of(text));
    } catch (failure const&) {
    } catch (tslab::snapshot_error const&) {
    }
    return 0;
}
