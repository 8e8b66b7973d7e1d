// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Snapshots made by hand, for what only reads them. Include it last: it imports tslab.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

import tslab.internal;

namespace support {

inline constexpr std::uint64_t kib = 1024;
inline constexpr std::uint64_t mib = 1024 * kib;

/// A heap just made: every class, the labels `unlabeled` and `other`, and the current epoch in slot 0.
inline tslab::snapshot synthetic_heap()
{
    tslab::snapshot s;
    s.name = "synthetic";
    s.timestamp_ns = 1'700'000'000'000'000'000;
    s.pid = 4711;
    s.page_size = 4096;
    s.epoch_count = 256;
    s.current_era = 1;
    s.reclaim = "cached";
    for (unsigned c = 0; c <= tslab::class_count; ++c) {
        tslab::class_stats one;
        one.class_index = c;
        one.object_size = c < tslab::class_count ? tslab::class_sizes[c] : 0;
        one.objects_per_slab = c < tslab::class_count ? tslab::bins[c].slab_slots() : 0;
        one.pages_per_slab = c < tslab::class_count ? tslab::bins[c].pages : 0;
        one.cache_capacity = c < tslab::class_count ? std::max(32U / tslab::bins[c].pages, 1U) : 0;
        s.classes.push_back(one);
    }
    s.labels.resize(2);
    s.labels[0].name = "unlabeled";
    s.labels[1].label_id = tslab::label_buckets - 1;
    s.labels[1].name = "other";
    tslab::epoch_stats current;
    current.era = 1;
    current.lifecycle = tslab::lifecycle::active;
    current.age_seconds = 1e6;
    s.epochs.push_back(current);
    s.global.active_epochs = 1;
    s.global.epoch_opens = 1;
    s.global.rss_bytes = 10 * mib;
    s.global.metadata_bytes = 100 * kib;
    return s;
}

/// Adds an epoch with the next slot and era.
inline tslab::epoch_stats& add_epoch(tslab::snapshot& s, tslab::lifecycle life, std::string label)
{
    tslab::epoch_stats e;
    e.index = static_cast<std::uint32_t>(s.epochs.size());
    e.era = e.index + 100;
    e.lifecycle = life;
    e.state = life == tslab::lifecycle::active ? tslab::epoch_state::active : tslab::epoch_state::closing;
    e.label = std::move(label);
    if (life == tslab::lifecycle::active)
        ++s.global.active_epochs;
    if (life == tslab::lifecycle::closing)
        ++s.global.closing_epochs;
    s.epochs.push_back(std::move(e));
    return s.epochs.back();
}

/// Gives an epoch as many slabs of one page.
inline void set_slabs(tslab::epoch_stats& e, std::uint64_t pages) { e.slabs = e.slab_pages = pages; }

/// An epoch that a domain entered and did not leave.
inline tslab::epoch_stats& add_held(tslab::snapshot& s, std::string label, double age_seconds, std::uint64_t pages = 0)
{
    tslab::epoch_stats& e = add_epoch(s, tslab::lifecycle::active, std::move(label));
    e.age_seconds = age_seconds;
    e.refcount = 1;
    e.enters = 1;
    set_slabs(e, pages);
    return e;
}

/// A closed epoch with no domain inside.
inline tslab::epoch_stats& add_closed(tslab::snapshot& s, std::string label, double closing_seconds,
                                      std::uint64_t pages, std::uint64_t live_objects, std::uint64_t live_bytes)
{
    tslab::epoch_stats& e = add_epoch(s, tslab::lifecycle::closing, std::move(label));
    e.closing_seconds = closing_seconds;
    e.age_seconds = closing_seconds + 5;
    set_slabs(e, pages);
    e.live_objects = live_objects;
    e.live_bytes = live_bytes;
    return e;
}

}
