// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/exposition.hpp"
#include <cstdint>
#include <string_view>

namespace tslab::tool {

namespace {

std::string escaped(std::string_view value)
{
    std::string out;
    for (char const c : value) {
        if (c == '\\' || c == '"')
            out += '\\';
        out += c;
    }
    return out;
}

void family(std::string& out, std::vector<snapshot> const& all, std::string_view name, std::string_view type,
            std::uint64_t global_stats::* field)
{
    (out += "# TYPE ").append(name).append(" ").append(type) += '\n';
    for (snapshot const& s : all)
        out.append(name) += "{heap=\"" + escaped(printable(s.name)) + "\",pid=\"" + std::to_string(s.pid) + "\"} " +
                            std::to_string(s.global.*field) + '\n';
}

}

std::string exposition(std::vector<snapshot> const& snapshots)
{
    std::string out;
    family(out, snapshots, "tslab_live_bytes", "gauge", &global_stats::live_bytes);
    family(out, snapshots, "tslab_committed_bytes", "gauge", &global_stats::committed_bytes);
    family(out, snapshots, "tslab_rss_bytes", "gauge", &global_stats::rss_bytes);
    family(out, snapshots, "tslab_allocations_total", "counter", &global_stats::allocations);
    family(out, snapshots, "tslab_slow_path_hits_total", "counter", &global_stats::slow_path_hits);
    return out;
}

}
