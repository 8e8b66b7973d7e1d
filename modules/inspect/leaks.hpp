// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Leaks (epochs with a missing exit) and pins (closed epochs that hold pages), from a snapshot, also from one read from
// a file. Every sentence is one line without control characters.
#pragma once

export namespace tslab {

/// An epoch that should have drained: a domain entered it and did not leave, or it is closed with no domain inside and
/// objects live in it.
struct leak {
    std::uint32_t epoch = 0;   ///< ring slot
    std::uint64_t era = 0;
    std::string label;   ///< as given by the program, control characters included
    std::uint32_t label_id = 0;
    tslab::lifecycle lifecycle = tslab::lifecycle::active;
    double age_seconds = 0;       ///< since the epoch was opened; in one that several share, not since the enter
    double closing_seconds = 0;   ///< since it was closed; 0 while it is ACTIVE
    double entered_seconds = 0;   ///< since the oldest enter without an exit; 0 if that is not known
    std::uint32_t refcount = 0;   ///< domains inside; 0: none
    std::uint32_t unlisted_holders = 0;   ///< of them, those whose place and time found no memory
    std::uint64_t enters = 0;
    std::uint64_t exits = 0;
    std::uint64_t missing_exits = 0;   ///< enters without an exit, at least one for each domain inside
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;
    std::uint64_t held_bytes = 0;   ///< of its slabs and large pages
    source_entry entered_at;        ///< the place of the oldest enter without an exit
    bool live_known = true;         ///< false: live_objects and live_bytes are 0 because they are not known

    /// For how long a domain has been inside: entered_seconds; in a snapshot without that figure, age_seconds.
    [[nodiscard]] double inside_seconds() const noexcept { return entered_seconds > 0 ? entered_seconds : age_seconds; }

    /// A description in one line, without a newline.
    [[nodiscard]] std::string sentence() const;
};

/// The leak candidates of `s`: epochs that a domain entered at least so long ago and has not left (in a snapshot of a
/// version without that time: that are so old), and closed epochs with live objects and no domain inside that were closed
/// at least so long ago. The most bytes held first, then the oldest. A phase that is meant to last that long is a
/// candidate too. Domains whose time is not known (epoch_stats::unlisted_holders) make no candidate.
[[nodiscard]] std::vector<leak> find_leaks(snapshot const& s, double older_than_seconds);

/// The part of one size class in a pin.
struct pin_share {
    std::uint32_t class_index = 0;   ///< of the size class; `large_class` for large allocations
    std::uint32_t object_size = 0;   ///< bytes of a slot; 0 for large allocations
    std::uint64_t slabs = 0;         ///< for large allocations: their pages
    std::uint64_t held_bytes = 0;
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;
};

/// A pin: a closed epoch that still holds pages, and the live objects in them.
struct pin {
    std::uint32_t epoch = 0;   ///< ring slot
    std::uint64_t era = 0;
    std::string label;
    std::uint32_t label_id = 0;
    double closing_seconds = 0;
    std::uint64_t held_bytes = 0;
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;
    double live_ratio = 0;            ///< live_bytes / held_bytes
    std::vector<pin_share> classes;   ///< the most bytes held without use first

    /// The pin in one sentence: which epoch, how long closed, what it holds for which live objects.
    [[nodiscard]] std::string sentence() const;
};

/// Every epoch that is CLOSING and still holds pages. The most bytes held without use first.
[[nodiscard]] std::vector<pin> find_pins(snapshot const& s);

}

namespace tslab {
/// Bytes of the pages an epoch holds.
std::uint64_t held_by(epoch_stats const& e, std::uint64_t page_size) noexcept;
/// The name of a class: "class 64", "large allocations".
std::string class_text(std::uint32_t object_size);
/// "file:line in function", as far as known.
std::string place_text(source_entry const& at);
}
