// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says about memory: the process's resident set, and which pages of a range are resident.
// Read, never guessed; each call is a system call, so none of it lies on the way of an allocation.
#pragma once

export namespace tslab {

/// Whether the kernel answers mincore(2) at all: a sandbox may refuse it. Then nothing is known of residency. Thread safe.
[[nodiscard]] bool residency_known() noexcept;

/// Bytes of this process that are resident, from /proc/self/statm; 0 where it cannot be read. Thread safe.
[[nodiscard]] std::uint64_t read_rss_bytes() noexcept;
/// The same for another process.
[[nodiscard]] std::uint64_t read_rss_bytes_of(std::int64_t pid) noexcept;

/// Bytes of [begin, begin + bytes) that are resident, by mincore(2); whole pages, `begin` rounded down to one.
/// 0 where the range is not mapped. Thread safe.
[[nodiscard]] std::uint64_t resident_bytes(void const* begin, std::size_t bytes) noexcept;

/// For each page of [begin, begin + bytes), which begins and ends at pages: 1 if it is resident, 0 if not. Zeros where the
/// range is not mapped. Throws std::bad_alloc. Thread safe.
[[nodiscard]] std::vector<unsigned char> resident_pages(void const* begin, std::size_t bytes);

}
