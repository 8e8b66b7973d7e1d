// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Saved snapshots for tests of the commands, and what the tests look for in answers.
#pragma once
#include <boost/json.hpp>

#include "filled_snapshot.hpp"
#include "tool.hpp"
#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace saved {

/// Nothing wrong, some memory in one label.
inline tslab::snapshot quiet()
{
    tslab::allocator heap{{.name = "quiet"}};
    tslab::epoch_scope const scope{heap, "orders"};
    for (int i = 0; i < 100; ++i)
        (void)scope.resource()->allocate(64);
    tslab::snapshot s = heap.snapshot();
    s.instance = 1;   // whatever other cases called their heaps
    scope.resource()->release();
    return s;
}

inline tslab::snapshot with_leak()
{
    tslab::snapshot s = quiet();
    for (tslab::epoch_stats& e : s.epochs)
        if (e.refcount != 0) {
            e.label = "bad\x1b[2J\nlabel";
            e.age_seconds = e.entered_seconds = 1000;
        }
    return s;
}

inline bool is_harmless(std::string const& text)
{
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f); });
}

inline std::vector<boost::json::object> objects(std::string const& lines)
{
    std::vector<boost::json::object> all;
    std::istringstream in{lines};
    for (std::string line; std::getline(in, line);)
        all.push_back(boost::json::parse(line).as_object());
    return all;
}

inline bool contains(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

}
