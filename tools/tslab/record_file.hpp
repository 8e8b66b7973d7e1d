// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The file of a recording: JSON, one value a line. First {"format":"tslab-recording","version":1,"target":…,
// "interval_ms":…}, then {"snapshots":[…]}, each of them schema 1, and now and then {"maps":[…]} or
// {"maps":null,"reason":…}. What breaks off in the middle of a line has lost that line only.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

inline constexpr std::uint64_t recording_version = 1;

struct recording_header {
    std::string target{};
    std::chrono::milliseconds interval{};
};

/// Writes whole lines or nothing.
class recording_writer {
public:
    /// Creates or empties `path`. Throws failure{usage} when it cannot.
    recording_writer(std::string const& path, recording_header const& header);
    ~recording_writer();
    recording_writer(recording_writer const&) = delete;
    recording_writer& operator=(recording_writer const&) = delete;

    /// These throw failure{usage} when the line cannot be written; the file then ends with the line before.
    void add(std::vector<snapshot> const& sample);
    void add_maps(std::string_view maps_json);
    /// Waits until the disk has it. Throws as above.
    void finish();

private:
    void line(std::string text);

    std::string path_;
    int file_ = -1;
    std::int64_t whole_ = 0;   ///< bytes of whole lines
};

/// Reads a recording line by line; memory is needed for one line only.
class recording_reader {
public:
    /// Reads the header. Throws failure: no_target when `in` is no recording, other_version when it is of a later version.
    recording_reader(std::istream& in, std::string const& name);

    /// The next sample that is whole; nothing at the end. Maps in between are remembered.
    [[nodiscard]] std::optional<std::vector<snapshot>> next();

    [[nodiscard]] recording_header const& header() const noexcept { return header_; }
    /// The last line about maps, as JSON; empty when there was none.
    [[nodiscard]] std::string const& maps() const noexcept { return maps_; }
    /// Lines that are not whole, or not what a recording contains.
    [[nodiscard]] std::size_t cut() const noexcept { return cut_; }

private:
    std::istream& in_;
    recording_header header_{};
    std::string maps_{};
    std::size_t cut_ = 0;
};

}
