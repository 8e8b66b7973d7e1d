// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A snapshot as JSON and back, schema 1: docs/stats-reference.md explains every field, docs/schema/ has the schema.
// Fields are only added. A reader ignores unknown fields and uses defaults for missing ones.
#pragma once

export namespace tslab {

/// The text is not a snapshot. what() gives the place and what was expected there: "classes[3].slow_path_hits: expected
/// an unsigned integer".
class snapshot_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// One line of JSON, always valid UTF-8: an invalid byte of a name becomes U+FFFD. A snapshot without such bytes is
/// restored exactly by from_json. Throws std::bad_alloc only.
[[nodiscard]] std::string to_json(snapshot const& s);

/// Reads the output of to_json, or of another writer of schema 1. The text is not trusted: nesting, lists and names are
/// bounded. Requires schema_version 1 and the fields of its first edition; throws snapshot_error, or std::bad_alloc.
[[nodiscard]] snapshot from_json(std::string_view text);

/// The name at the top level of a figure of lock_timing_stats: there it is a total over all locks. Any other name is
/// returned unchanged.
[[nodiscard]] std::string global_timing_name(std::string_view name);

/// The name of the array that has a figure of contention_stats for each label.
[[nodiscard]] std::string by_label(std::string_view name);

/// The name that JSON has for a state: "ACTIVE"; for a lifecycle: "idle".
[[nodiscard]] constexpr std::string_view name_of(epoch_state s) noexcept
{
    return s == epoch_state::active ? "ACTIVE" : "CLOSING";
}

[[nodiscard]] constexpr std::string_view name_of(lifecycle l) noexcept
{
    switch (l) {
    case lifecycle::idle: return "IDLE";
    case lifecycle::active: return "ACTIVE";
    case lifecycle::closing: return "CLOSING";
    case lifecycle::drained: return "DRAINED";
    }
    return "";
}

}
