// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Snapshots of <tslab/tslab.hpp>: the structures of C with the members that C++ names otherwise, and JSON.
#pragma once
#include <memory>
#include <string>
#include <tslab/cpp/allocator.hpp>
#include <tslab/cpp/report.hpp>
#include <utility>
#include <vector>

/// Compares the texts.
TSLAB_LOCAL inline bool operator==(tslab_text a, std::string_view b) noexcept
{
    return static_cast<std::string_view>(a) == b;
}
TSLAB_LOCAL inline bool operator!=(tslab_text a, std::string_view b) noexcept { return !(a == b); }

namespace tslab {
namespace v0 {

enum class epoch_state : std::uint8_t { active, closing };
enum class lifecycle : std::uint8_t { idle, active, closing, drained };

struct snapshot_options {
    bool residency = true;   ///< ask the kernel which pages are resident, and for the names of threads
};

struct source_entry {
    std::string_view file{};
    std::uint32_t line = 0;
    std::string_view function{};
};

using global_stats = tslab_global_stats;
using class_stats = tslab_class_stats;
using label_stats = tslab_label_stats;
using thread_stats = tslab_thread_stats;
using close_stats = tslab_close_stats;
using contention_stats = tslab_contention_stats;
using waterfall_stats = tslab_waterfall_stats;

struct epoch_stats : tslab_epoch_stats {
    epoch_state state = epoch_state::active;
    v0::lifecycle lifecycle = v0::lifecycle::idle;
    source_entry opened_at{};   ///< the place of the oldest enter without an exit

    TSLAB_LOCAL explicit epoch_stats(tslab_epoch_stats const& c) noexcept
        : tslab_epoch_stats(c),
          state{static_cast<epoch_state>(c.state)},
          lifecycle{static_cast<v0::lifecycle>(c.lifecycle)},
          opened_at{c.file, c.line, c.function}
    {
    }
};

/// One heap at one moment. Its copies share the texts. docs/stats-reference.md has every figure; those that are not members here are in
/// to_json.
class snapshot {
public:
    static constexpr std::uint32_t schema_version = 1;

    std::string name{};
    std::uint64_t instance = 0;
    std::uint64_t timestamp_ns = 0;
    std::uint64_t monotonic_ns = 0;
    std::int64_t pid = 0;
    std::uint32_t page_size = 0;
    std::uint32_t epoch_count = 0;
    std::uint32_t current_epoch = 0;
    std::uint64_t current_era = 0;
    std::string reclaim{};
    std::uint64_t decay_ms = 0;
    bool sampling = false;
    global_stats global{};
    std::vector<class_stats> classes{};   ///< by class index; the last one is everything above the classes
    std::vector<epoch_stats> epochs{};    ///< every ring slot that was ever opened
    std::vector<thread_stats> threads{};
    std::vector<label_stats> labels{};   ///< by number
    close_stats last_close{};
    std::optional<waterfall_stats> waterfall{};   ///< absent without residency

    /// Throws std::bad_alloc.
    TSLAB_LOCAL explicit snapshot(allocator const& heap, snapshot_options const& o)
    {
        tslab_snapshot* const taken = tslab_snapshot_take(heap.c(), o.residency);
        if (taken == nullptr)
            TSLAB_THROW(std::bad_alloc{});
        c_.reset(taken, &tslab_snapshot_free);
        tslab_snapshot_info about{};
        tslab_snapshot_about(taken, &about, sizeof about);
        name = std::string{about.name};
        instance = about.instance;
        timestamp_ns = about.timestamp_ns;
        monotonic_ns = about.monotonic_ns;
        pid = about.pid;
        page_size = about.page_size;
        epoch_count = about.epoch_count;
        current_epoch = about.current.index;
        current_era = about.current.era;
        reclaim = std::string{about.reclaim};
        decay_ms = about.decay_ms;
        sampling = about.sampling;
        tslab_snapshot_global(taken, &global, sizeof global);
        tslab_snapshot_last_close(taken, &last_close, sizeof last_close);
        if (waterfall_stats w{}; tslab_snapshot_waterfall(taken, &w, sizeof w))
            waterfall = w;
        for (class_stats one{}; tslab_snapshot_class(taken, classes.size(), &one, sizeof one);)
            classes.push_back(one);
        for (tslab_epoch_stats one{}; tslab_snapshot_epoch(taken, epochs.size(), &one, sizeof one);)
            epochs.emplace_back(one);
        for (thread_stats one{}; tslab_snapshot_thread(taken, threads.size(), &one, sizeof one);)
            threads.push_back(one);
        for (label_stats one{}; tslab_snapshot_label(taken, labels.size(), &one, sizeof one);)
            labels.push_back(one);
    }

    /// The number of misuses of one kind.
    [[nodiscard]] TSLAB_LOCAL std::uint64_t misuses(misuse kind) const noexcept
    {
        return tslab_snapshot_misuses(c_.get(), static_cast<tslab_misuse>(kind));
    }
    /// The snapshot for the C interface.
    [[nodiscard]] TSLAB_LOCAL tslab_snapshot const* c() const noexcept { return c_.get(); }

private:
    std::shared_ptr<tslab_snapshot> c_;
};

/// The snapshot as JSON, schema 1, in one line. Throws std::bad_alloc.
[[nodiscard]] TSLAB_LOCAL inline std::string to_json(snapshot const& s)
{
    std::string text(tslab_snapshot_json(s.c(), nullptr, 0), '\0');
    // A snapshot does not change, and neither does its text.
    if (text.empty() || tslab_snapshot_json(s.c(), &text[0], text.size() + 1) != text.size())
        TSLAB_THROW(std::bad_alloc{});
    return text;
}

/// A leak candidate: see tslab_leak.
struct leak {
    std::uint32_t epoch = 0;
    std::uint64_t era = 0;
    std::string label;
    v0::lifecycle lifecycle = v0::lifecycle::active;
    double age_seconds = 0;
    double closing_seconds = 0;
    double entered_seconds = 0;
    std::uint32_t refcount = 0;
    std::uint64_t missing_exits = 0;
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;
    std::uint64_t held_bytes = 0;
    struct {
        std::string file;
        std::uint32_t line = 0;
        std::string function;
    } entered_at;

    [[nodiscard]] TSLAB_LOCAL std::string const& sentence() const noexcept { return sentence_; }

    TSLAB_LOCAL explicit leak(tslab_leak const& c)
        : epoch{c.epoch.index},
          era{c.epoch.era},
          label{c.label},
          lifecycle{static_cast<v0::lifecycle>(c.lifecycle)},
          age_seconds{c.age_seconds},
          closing_seconds{c.closing_seconds},
          entered_seconds{c.entered_seconds},
          refcount{c.refcount},
          missing_exits{c.missing_exits},
          live_objects{c.live_objects},
          live_bytes{c.live_bytes},
          held_bytes{c.held_bytes},
          sentence_{c.sentence}
    {
        entered_at.file = std::string{c.file};
        entered_at.line = c.line;
        entered_at.function = std::string{c.function};
    }

private:
    std::string sentence_;
};

/// Leak candidates, the most bytes held first: see tslab_find_leaks. Throws std::bad_alloc.
[[nodiscard]] TSLAB_LOCAL inline std::vector<leak> find_leaks(snapshot const& s, double older_than_seconds)
{
    struct list {
        std::vector<leak> all;
        bool complete = true;
    } found;
    auto const add = [](tslab_leak const* one, void* to) {
        auto& l = *static_cast<list*>(to);
#if defined(__cpp_exceptions)
        try {
            l.all.emplace_back(*one);
        } catch (...) {   // it must not pass through the library
            l.complete = false;
        }
#else
        l.all.emplace_back(*one);
#endif
    };
    if (tslab_find_leaks(s.c(), older_than_seconds, add, &found) < 0 || !found.complete)
        TSLAB_THROW(std::bad_alloc{});
    return std::move(found.all);
}

TSLAB_LOCAL inline snapshot allocator::snapshot(snapshot_options const& o) const { return v0::snapshot{*this, o}; }
TSLAB_LOCAL inline snapshot allocator::snapshot() const { return v0::snapshot{*this, snapshot_options{}}; }
TSLAB_LOCAL inline std::vector<leak> allocator::leaks(std::chrono::duration<double> older_than) const
{
    snapshot_options o;
    o.residency = false;
    return find_leaks(v0::snapshot{*this, o}, older_than.count());
}

}
}
