// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A snapshot in which every field there is has a value of its own. Include it last: it imports tslab.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
import tslab.internal;

namespace support {

/// Sets each field it visits to the next number, or to what makes a value of its type out of it.
class filler {
public:
    template <class T> void operator()(std::string_view, tslab::field_kind, T& field) { set(field); }
    template <class S> void fill(S& s) { for_each_field(s, *this); }
    void fill(tslab::class_stats& c)
    {
        for_each_field(c, *this);
        for (tslab::contention_stats& of_label : c.by_label)
            fill(of_label);
        fill(c.lock_timing.emplace());
    }

private:
    template <class T> void set(T& field)
    {
        if constexpr (std::is_same_v<T, bool>)
            field = true;
        else
            field = static_cast<T>(++last_);
    }
    void set(double& field) { field = static_cast<double>(++last_) / 7; }
    void set(std::string& field) { field = "text " + std::to_string(++last_); }
    template <class T> void set(std::optional<T>& field) { set(field.emplace()); }
    void set(tslab::quarter_histogram& field)
    {
        for (std::uint64_t& bucket : field.buckets)
            set(bucket);
    }
    void set(tslab::log2_histogram& field)
    {
        for (std::uint64_t& bucket : field.buckets)
            set(bucket);
    }

    std::uint64_t last_ = 1000;
};

inline tslab::snapshot filled_snapshot()
{
    using enum tslab::lifecycle;
    filler next;
    tslab::snapshot s;
    next.fill(s);
    next.fill(s.global);
    next.fill(s.global.lock_timing.emplace());
    next.fill(s.global.lock_histograms.emplace());
    s.page_size = 4096;
    s.reclaim = "cached";   // one of three words, as the next ones
    s.background_purge = "pending";
    s.pressure_watch = "unavailable";
    s.classes.resize(tslab::class_count + 1);
    for (unsigned c = 0; c <= tslab::class_count; ++c) {
        next.fill(s.classes[c]);
        s.classes[c].class_index = c;
        s.classes[c].object_size = c < tslab::class_count ? tslab::class_sizes[c] : 0;
        s.classes[c].objects_per_slab = c < tslab::class_count ? tslab::bins[c].slab_slots() : 0;
        s.classes[c].pages_per_slab = c < tslab::class_count ? tslab::bins[c].pages : 0;
    }
    for (tslab::lifecycle const life : {idle, active, closing, drained}) {
        tslab::epoch_stats& e = s.epochs.emplace_back();
        next.fill(e);
        e.label_id = 3;
        std::swap(e.madvise_asked_bytes, e.madvise_gone_bytes);   // no more can go than was asked for
        e.lifecycle = life;
        e.state = life == active ? tslab::epoch_state::active : tslab::epoch_state::closing;
        e.opened_at = {"program.cpp", 17, "int main()"};
        e.classes.resize(2);
        for (tslab::class_share& share : e.classes)
            next.fill(share);
        e.classes[0].class_index = 2;
        e.classes[1].class_index = tslab::class_count;
    }
    s.threads.resize(2);
    for (tslab::thread_stats& t : s.threads)
        next.fill(t);
    s.labels.resize(tslab::label_buckets);
    for (std::uint32_t i = 0; i < tslab::label_buckets; ++i) {
        next.fill(s.labels[i]);
        s.labels[i].label_id = i;
        tslab::close_stats& close = s.labels[i].last_close.emplace();
        next.fill(close);
        std::swap(close.madvise_asked_bytes, close.madvise_gone_bytes);
    }
    s.phase_costs.resize(2);
    for (tslab::phase_cost_stats& c : s.phase_costs) {
        next.fill(c);
        c.largest_at = {"handler.cpp", 23, "void handle()"};
    }
    s.phase_costs[0].label_id = 1;
    s.phase_costs[1].label_id = tslab::label_buckets - 1;
    s.misuses = {{"double_free", 5}, {"leak", 6}};
    next.fill(s.last_close);
    std::swap(s.last_close.madvise_asked_bytes, s.last_close.madvise_gone_bytes);
    next.fill(s.sampled);
    next.fill(s.waterfall.emplace());
    s.waterfall->not_tslab_bytes = -4096;
    return s;
}

}
