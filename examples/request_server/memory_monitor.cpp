// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "memory_monitor.hpp"   // imports, so it goes last

namespace request_server {
namespace {

constexpr auto sampling_interval = std::chrono::milliseconds{5};

std::string entered_at(tslab::epoch_stats const& epoch)
{
    if (epoch.opened_at.file.empty())
        return "an unknown place";
    return epoch.opened_at.file + ":" + std::to_string(epoch.opened_at.line);
}

}

memory_by_label live_by_label(tslab::snapshot const& taken)
{
    memory_by_label live;
    for (tslab::epoch_stats const& epoch : taken.epochs) {
        if (epoch.live_bytes == 0 && epoch.refcount == 0)
            continue;
        label_memory& held = live[epoch.label];
        held.scopes += epoch.refcount;
        held.live_bytes += epoch.live_bytes;
    }
    return live;
}

std::vector<leaked_scope> entered_scopes(tslab::snapshot const& taken)
{
    std::vector<leaked_scope> entered;
    for (tslab::epoch_stats const& epoch : taken.epochs) {
        if (epoch.refcount == 0)
            continue;
        entered.push_back({epoch.label, epoch.age_seconds, epoch.refcount, epoch.enters, epoch.exits,
                           epoch.live_objects, epoch.live_bytes, entered_at(epoch)});
    }
    return entered;
}

memory_monitor::memory_monitor(tslab::allocator& heap) : heap_{heap}, thread_{[this] { watch(); }} {}

memory_monitor::~memory_monitor()
{
    {
        std::lock_guard const guard{mutex_};
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

sampled_peaks memory_monitor::peaks() const
{
    std::lock_guard const guard{mutex_};
    return peaks_;
}

void memory_monitor::watch()
{
    std::unique_lock lock{mutex_};
    while (!changed_.wait_for(lock, sampling_interval, [this] { return stopping_; })) {
        lock.unlock();
        tslab::snapshot const taken = heap_.snapshot({.residency = false});
        lock.lock();
        add(taken);
    }
}

void memory_monitor::add(tslab::snapshot const& taken)
{
    for (auto const& [label, live] : live_by_label(taken)) {
        label_memory& peak = peaks_.by_label[label];
        peak.scopes = std::max(peak.scopes, live.scopes);
        peak.live_bytes = std::max(peak.live_bytes, live.live_bytes);
    }
    peaks_.live_bytes = std::max(peaks_.live_bytes, taken.global.live_bytes);
    peaks_.rss_bytes = std::max(peaks_.rss_bytes, taken.global.rss_bytes);
}

}
