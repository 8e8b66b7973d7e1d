// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the soak counts itself, and whether what it sees of its heap can be. Include it last: it imports tslab.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
import tslab.internal;

namespace soak {

struct settings {
    double seconds = 5;
    double interval = 60;
    std::uint64_t seed = 0;
    unsigned threads = 4;
    std::string csv{};
};

/// What the program counts itself.
struct tally {
    std::atomic<std::uint64_t> allocated{0}, freed{0}, live_bytes{0}, requests{0}, threads{0}, snapshots{0}, leaked{0};
    std::atomic<std::uint64_t> foreign{0}, handles{0}, impossible{0}, misused{0}, refused{0};
};
inline tally counted;

/// One look at a busy heap after the other. A figure is true of some moment while the snapshot was taken: what is live may have
/// been allocated after allocations were counted, but not after the next look.
class looks {
public:
    /// Whether these figures can come after those of the last call.
    bool possible(tslab::global_stats const& g)
    {
        bool const fine =
            g.allocations >= allocations_ && live_ <= g.allocations + in_between && g.frees <= g.allocations;
        allocations_ = g.allocations;
        live_ = g.live_objects;
        return fine;
    }

private:
    static constexpr std::uint64_t in_between = 1000;   // threads that have an object and have not counted it
    std::uint64_t allocations_ = 0;
    std::uint64_t live_ = 0;
};

inline void note_report(tslab::misuse_report const& r)
{
    if (r.kind == tslab::misuse::leak) {
        counted.leaked.fetch_add(r.objects, std::memory_order_relaxed);
        return;
    }
    counted.misused.fetch_add(1);
    std::array<char, 512> line{};
    std::fwrite(line.data(), 1, tslab::format(r, line.data(), line.size()), stderr);
}

}
