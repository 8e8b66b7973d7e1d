// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Residency as the kernel reports it: the process's resident set, and which pages of a range are resident. Measured,
// never estimated; each function makes system calls, so no allocation calls one.
#pragma once

export namespace tslab {

/// Whether mincore(2) works: a sandbox may refuse it. Then residency is unknown. Thread safe.
[[nodiscard]] bool residency_known() noexcept;

/// Bytes of this process that are resident, from /proc/self/statm; 0 if it cannot be read. Thread safe.
[[nodiscard]] std::uint64_t read_rss_bytes() noexcept;
/// The same for another process.
[[nodiscard]] std::uint64_t read_rss_bytes_of(std::int64_t pid) noexcept;

/// The name of a living thread, from /proc/<pid>/task/<tid>/comm; empty if it cannot be read. Throws std::bad_alloc.
/// Thread safe.
[[nodiscard]] std::string read_thread_name(std::int64_t pid, std::uint32_t tid);

/// Bytes of [begin, begin + bytes) that are resident, by mincore(2); whole pages, `begin` rounded down to one. 0 if the
/// range is not mapped. Thread safe.
[[nodiscard]] std::uint64_t resident_bytes(void const* begin, std::size_t bytes) noexcept;

/// For each page of [begin, begin + bytes), which begins and ends at pages: 1 if it is resident, 0 if not. Zeros if the
/// range is not mapped. Throws std::bad_alloc. Thread safe.
[[nodiscard]] std::vector<unsigned char> resident_pages(void const* begin, std::size_t bytes);

}
