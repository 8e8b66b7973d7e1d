// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The seam to the operating system: every mapping, unmapping and madvise of tslab goes through this table,
// so that a test can make any of them fail. Replace it only while no heap exists.
module;
#include <cstddef>
export module tslab.slab:os;

export namespace tslab {

/// The calls tslab makes for memory. Each may be called from any thread.
struct os_calls {
    /// Address space without memory behind it, page aligned; null on failure.
    void* (*reserve)(std::size_t bytes) noexcept;
    /// Makes a part of a reservation readable, as zeroes and at no cost of memory, until it is committed; false on failure.
    bool (*make_readable)(void* begin, std::size_t bytes) noexcept;
    /// Makes a part of a reservation readable and writable; false on failure.
    bool (*commit)(void* begin, std::size_t bytes) noexcept;
    /// Gives the memory of whole pages back and keeps the address range; the pages read as zero afterwards.
    bool (*purge)(void* begin, std::size_t bytes) noexcept;
    /// Returns a whole reservation.
    void (*release)(void* begin, std::size_t bytes) noexcept;
    /// Makes committed pages fault when they are touched, until they are committed again; false on failure.
    bool (*protect)(void* begin, std::size_t bytes) noexcept;
};

/// The table in use.
[[nodiscard]] os_calls const& os() noexcept;

/// Puts another table in place, for tests; null restores the real one. Returns the one that was in use.
/// Not thread safe: call it while no other thread uses tslab.
os_calls const* set_os_calls(os_calls const* calls) noexcept;

/// The largest reservation worth asking for: twice the physical memory, a quarter of RLIMIT_AS where that is less.
[[nodiscard]] std::size_t default_reservation() noexcept;

/// Asks the kernel to back a reserved range by huge pages where it can. Where it cannot, nothing happens.
void prefer_huge_pages(void* begin, std::size_t bytes) noexcept;

}
