// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Any text as a snapshot: it is refused, or read; and what was read is written and read again as it is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
import tslab;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    try {
        tslab::snapshot const s = tslab::from_json({reinterpret_cast<char const*>(data), size});
        std::string const text = tslab::to_json(s);
        if (tslab::to_json(tslab::from_json(text)) != text)
            std::abort();
        static_cast<void>(tslab::diagnose(s));
        static_cast<void>(tslab::find_leaks(s, 0));
        static_cast<void>(tslab::find_pins(s));
    } catch (tslab::snapshot_error const&) {
    }
    return 0;
}
