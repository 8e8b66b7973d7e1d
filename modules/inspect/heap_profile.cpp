// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The heap profile of a heap of this process.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>
module tslab.inspect;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

#include "observer/read_profile.hpp"

namespace tslab {

heap_profile read_profile_at(void const* stats)
{
    auto const& of = *static_cast<heap_stats_page const*>(stats);
    heap_profile p = read_profile(of, [](auto const* record) { return record; }, segment::most_bytes);
    p.pid = ::getpid();
    std::uint64_t const now = now_ns();
    p.begin_ns = p.time_ns - (now - std::min(now, of.made_ns));
    std::ifstream maps{"/proc/self/maps"};
    add_mappings(p, std::string{std::istreambuf_iterator<char>{maps}, {}});
    return p;
}

}
