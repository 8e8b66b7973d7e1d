// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The ranking behind `tslab top`: records of one kind, and the figure they are ranked by.
#pragma once
#include "tslab/figures.hpp"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

enum class record_kind : std::uint8_t { labels, epochs, classes, threads, phases };

/// One record of a heap: which one it is, and its figures.
struct ranked {
    std::string heap{};       ///< as it was given
    std::string identity{};   ///< harmless: a label, "64", "12", a number of a thread
    std::string note{};       ///< of an epoch: its label; of a thread: its name in the system; harmless
    std::string tid{};        ///< of a living thread: its number in the system
    std::vector<figure_of> figures{};
    std::optional<double> value{};   ///< of the key; counters: a second, where two readings are compared
    std::string json{};              ///< its figures as members of an object
    bool live_known = true;          ///< false: figures of live objects are not known, and have no value
};

/// The keys a kind can be ranked by, aliases last.
[[nodiscard]] std::vector<std::string_view> keys_of(record_kind kind);

/// The field behind a key: an alias becomes the name it stands for. Throws failure for a key the kind does not have.
[[nodiscard]] std::string_view field_behind(record_kind kind, std::string_view key);

/// Whether the key is a rate over a window rather than a value.
[[nodiscard]] bool grows(record_kind kind, std::string_view key);

/// The records of all heaps that have a value, the largest first. With `before` not empty, counters are ranked by growth a
/// second since then. Epochs: those that are open or closing;
/// of the others, records of value 0 are left out.
[[nodiscard]] std::vector<ranked> rank(record_kind kind, std::string_view key, std::vector<tslab::snapshot> const& now,
                                       std::vector<tslab::snapshot> const& before);

/// The value of a figure for a person, by the unit its name ends in.
[[nodiscard]] std::string figure_text(std::string_view name, std::optional<double> value);

}
