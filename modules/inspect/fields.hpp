// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The fields of the records of a snapshot with their descriptions, from which JSON, the ranking by a key and the metrics
// are made. The fields are the lines of stats/figures.def. Names are those of schema 1.
#pragma once

export namespace tslab {

/// How a figure behaves over time, and over the records that it is summed over.
enum class field_kind : std::uint8_t {
    identity,   ///< what the record is about; never summed
    counter,    ///< only grows while the heap lives
    gauge,      ///< goes up and down
    derived     ///< computed from other fields of the same record; not read back
};

/// What figures.def says of a figure. The texts live as long as the program.
struct field_info {
    std::string_view name;   ///< in JSON
    field_kind kind = field_kind::gauge;
    std::string_view unit{};   ///< "bytes", "ns", "0 to 1"; empty if there is none
    std::string_view help{};   ///< one line
    bool estimate = false;     ///< derived, and may be wrong in a way that docs/stats-reference.md names
};

/// part / whole; 0 if whole is 0.
[[nodiscard]] constexpr double ratio(std::uint64_t part, std::uint64_t whole) noexcept
{
    return whole != 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

/// The percentage of the bytes passed to madvise that were not resident afterwards; nothing if none were passed.
[[nodiscard]] constexpr std::optional<double> cooperation_pct(std::uint64_t asked, std::uint64_t gone) noexcept
{
    if (asked == 0)
        return std::nullopt;
    return 100.0 * ratio(gone, asked);
}

// describe_fields(s, visit) calls visit(field_info, field) for every field of the record `s` that has a plain value: an
// unsigned or signed integer, a double, a bool, a string, an optional integer, or a histogram. `s` may be const.
// In the order of the JSON.

#define TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_DESCRIBE(member, name, kind, unit, help) visit(field_info{#name, field_kind::kind, unit, help}, s.member);
#define TSLAB_FIGURE(type, member, name, kind, unit, help) TSLAB_DESCRIBE(member, name, kind, unit, help)
#define TSLAB_COUNTED(member, event, name, unit, help) TSLAB_DESCRIBE(member, name, counter, unit, help)
#define TSLAB_SUMMED(member, name, unit, help, sum) TSLAB_DESCRIBE(member, name, counter, unit, help)
#define TSLAB_CLASS_SUM(member, of_class, name, kind, unit, help) TSLAB_DESCRIBE(member, name, kind, unit, help)
#define TSLAB_PART(path, name, kind, unit, help) TSLAB_DESCRIBE(path, name, kind, unit, help)

/// Calls `visit(field_info, member)` for each figure of the record in the order of the table of figures; for a record that is not
/// const the member can be assigned. Overloads for each record of a snapshot.
template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, snapshot>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_SNAPSHOT
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, global_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_HEAP
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, class_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_CLASS
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, contention_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_CONTENTION
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, lock_timing_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_LOCK_TIMES
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, lock_histogram_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_LOCK_HISTOGRAMS
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, class_share>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_SHARE
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, epoch_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_EPOCH
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, label_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_LABEL
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, phase_cost_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_PHASE_COST
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, sampling_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_SAMPLING
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, thread_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_THREAD
#include "../stats/figures.def"
    describe_fields(s.sampling, visit);
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, close_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_CLOSE
#include "../stats/figures.def"
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, waterfall_stats>
constexpr void describe_fields(S& s, Visit&& visit)
{
#define TSLAB_OF_WATERFALL
#include "../stats/figures.def"
}

/// The same for the times of every lock of a heap, which have names of their own: those of a class are
/// describe_fields(lock_timing_stats).
template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, lock_timing_stats>
constexpr void describe_heap_lock_times(S& s, Visit&& visit)
{
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_HEAP_LOCK_TIMES
#include "../stats/figures.def"
}
#undef TSLAB_DESCRIBE

// describe_derived(s, page_size, visit) calls visit(field_info, value) for every figure that is computed from the record
// `s` of a snapshot with pages of `page_size` bytes: an integer, a double, or an optional one.

#define TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_DERIVED(name, unit, help, value) visit(field_info{#name, field_kind::derived, unit, help}, value);
#define TSLAB_ESTIMATE(name, unit, help, value) visit(field_info{#name, field_kind::derived, unit, help, true}, value);

/// Calls `visit(field_info, value)` for each figure that can be computed from others of the record. `page_size`: of the snapshot, in
/// bytes. Overloads for each record that has such figures.
template <class Visit>
constexpr void describe_derived(global_stats const& s, std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_HEAP
#include "../stats/figures.def"
}

template <class Visit>
constexpr void describe_derived(class_stats const& s, std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_CLASS
#include "../stats/figures.def"
}

template <class Visit>
constexpr void describe_derived(lock_timing_stats const& s, [[maybe_unused]] std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_LOCK_TIMES
#include "../stats/figures.def"
}

template <class Visit>
constexpr void describe_derived(lock_histogram_stats const& s, [[maybe_unused]] std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_LOCK_HISTOGRAMS
#include "../stats/figures.def"
}

template <class Visit>
constexpr void describe_derived(epoch_stats const& s, std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_EPOCH
#include "../stats/figures.def"
}

template <class Visit>
constexpr void describe_derived(phase_cost_stats const& s, [[maybe_unused]] std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_PHASE_COST
#include "../stats/figures.def"
}

template <class Visit>
constexpr void describe_derived(sampling_stats const& s, [[maybe_unused]] std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_SAMPLING
#include "../stats/figures.def"
}

template <class Visit>
constexpr void describe_derived(thread_stats const& s, std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_THREAD
#include "../stats/figures.def"
    describe_derived(s.sampling, page_size, std::forward<Visit>(visit));
}

template <class Visit>
constexpr void describe_derived(close_stats const& s, [[maybe_unused]] std::uint64_t page_size, Visit&& visit)
{
#define TSLAB_OF_CLOSE
#include "../stats/figures.def"
}

/// The same for the times of every lock of a heap.
template <class Visit> constexpr void describe_derived_heap_lock_times(lock_timing_stats const& s, Visit&& visit)
{
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_HEAP_LOCK_TIMES
#include "../stats/figures.def"
}

/// A visitor for the concepts below; never called.
struct field_visitor {
    template <class T> void operator()(field_info const&, T&&) const;
};

/// Calls visit(name, kind, field) for what describe_fields describes.
template <class S, class Visit>
    requires requires(S& s, field_visitor v) { describe_fields(s, v); }
constexpr void for_each_field(S& s, Visit&& visit)
{
    describe_fields(s, [&](field_info const& f, auto& field) { visit(f.name, f.kind, field); });
}

/// Calls visit(name, kind, value) for what describe_derived describes.
template <class S, class Visit>
    requires requires(S const& s, field_visitor v) { describe_derived(s, 0, v); }
constexpr void for_each_derived(S const& s, std::uint64_t page_size, Visit&& visit)
{
    describe_derived(s, page_size, [&](field_info const& f, auto value) { visit(f.name, f.kind, value); });
}

}
