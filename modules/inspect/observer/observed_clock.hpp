// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the clocks of another process show: a time namespace gives its processes a CLOCK_MONOTONIC of their own. Included
// by observer.cpp alone.
#pragma once
#include "process.hpp"

namespace tslab {

namespace {

/// By how much the CLOCK_MONOTONIC of a process in /proc is ahead of the machine's, in nanoseconds; none if the kernel has
/// no time namespaces, or the process is ending and has none any more.
std::optional<std::int64_t> monotonic_offset_of(std::string const& process)
{
    std::string const text = text_of_file("/proc/" + process + "/timens_offsets");
    std::string_view all{text};
    std::size_t const at = all.find("monotonic");   // then seconds and nanoseconds
    if (at == std::string_view::npos)
        return std::nullopt;
    all.remove_prefix(at + std::string_view{"monotonic"}.size());
    std::array<std::int64_t, 2> parts{};
    for (std::int64_t& part : parts) {
        all.remove_prefix(std::min(all.find_first_not_of(' '), all.size()));
        auto const [end, error] = std::from_chars(all.data(), all.data() + all.size(), part);
        if (error != std::errc{})
            return std::nullopt;
        all.remove_prefix(static_cast<std::size_t>(end - all.data()));
    }
    return parts[0] * 1'000'000'000 + parts[1];
}

/// What to add to this process's CLOCK_MONOTONIC to get that of another; none if the other one is ending.
std::optional<std::int64_t> monotonic_offset_to(pid_t pid)
{
    std::optional<std::int64_t> const mine = monotonic_offset_of("self");
    if (!mine)
        return 0;
    std::optional<std::int64_t> const other = monotonic_offset_of(std::to_string(pid));
    return other ? std::optional{*other - *mine} : std::nullopt;
}

/// The same for the process that has a segment open as a file; none if there is no such process, or that cannot be known.
std::optional<std::int64_t> offset_to_owner(segment_header const& h, int segment)
{
    struct stat mine{};
    boot_id const now = read_boot_id();
    bool const other_boot = h.boot.view() != now.view();
    if (other_boot || h.pid <= 0 || ::fstat(segment, &mine) != 0)
        return std::nullopt;
    auto const owner = static_cast<pid_t>(h.pid);
    process_view const v = look_at(owner);
    bool found = false;
    if (v.lives())
        open_files{owner, v.task}.visit_candidates([&](descriptor const& file) {
            struct stat s{};
            found = found || (::fstat(file.number(), &s) == 0 && s.st_dev == mine.st_dev && s.st_ino == mine.st_ino);
        });
    return found ? monotonic_offset_to(owner) : std::nullopt;
}

}

}
