// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the heap and the process hold, watched from a thread of its own by taking snapshots: the only
// parts of tslab it uses are those that an operator would use. Peaks are those of the samples: what
// came and went between two of them is not seen, and the names say so.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

import tslab;

namespace request_server {

/// The scopes of one label at one moment.
struct label_memory {
    std::uint64_t scopes = 0;
    std::uint64_t live_bytes = 0;
};

using memory_by_label = std::map<std::string, label_memory>;

struct leaked_scope {
    std::string label;
    double age_seconds = 0;
    std::uint32_t refcount = 0;
    std::uint64_t enters = 0;
    std::uint64_t exits = 0;
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;
    std::string entered_at;   ///< file:line
};

struct sampled_peaks {
    memory_by_label by_label;
    std::uint64_t rss_bytes = 0;
    std::uint64_t live_bytes = 0;
};

/// The live memory of a snapshot, by label.
memory_by_label live_by_label(tslab::snapshot const& taken);

/// The scopes that are entered in a snapshot. While requests run these are theirs; once none runs,
/// they are leaks.
std::vector<leaked_scope> entered_scopes(tslab::snapshot const& taken);

class memory_monitor {
public:
    explicit memory_monitor(tslab::allocator& heap);
    ~memory_monitor();

    memory_monitor(memory_monitor const&) = delete;
    memory_monitor& operator=(memory_monitor const&) = delete;

    sampled_peaks peaks() const;

private:
    void watch();
    void add(tslab::snapshot const& taken);

    tslab::allocator& heap_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    sampled_peaks peaks_;
    std::thread thread_;
};

}
