// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
module tslab.slab;

namespace tslab {

namespace {

void* map_reserve(std::size_t bytes) noexcept
{
    void* const p = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? nullptr : p;
}

bool map_readable(void* begin, std::size_t bytes) noexcept { return ::mprotect(begin, bytes, PROT_READ) == 0; }

bool map_commit(void* begin, std::size_t bytes) noexcept
{
    return ::mprotect(begin, bytes, PROT_READ | PROT_WRITE) == 0;
}

// MADV_DONTNEED and not MADV_FREE: the pages must be gone from the resident set when the call returns.
bool map_purge(void* begin, std::size_t bytes) noexcept { return ::madvise(begin, bytes, MADV_DONTNEED) == 0; }

void map_release(void* begin, std::size_t bytes) noexcept { ::munmap(begin, bytes); }

constinit os_calls const real_calls{map_reserve, map_readable, map_commit, map_purge, map_release};
constinit os_calls const* calls_in_use = &real_calls;

}

os_calls const& os() noexcept { return *calls_in_use; }

bool granted(os_call which) noexcept
{
    if (calls_in_use->grant == nullptr || calls_in_use->grant(which)) [[likely]]
        return true;
    errno = ENOMEM;
    return false;
}

os_calls const* set_os_calls(os_calls const* calls) noexcept
{
    auto const* const before = calls_in_use;
    calls_in_use = calls != nullptr ? calls : &real_calls;
    return before;
}

bool protect_pages(void* begin, std::size_t bytes) noexcept
{
    return granted(os_call::protect) && ::mprotect(begin, bytes, PROT_NONE) == 0;
}

std::size_t default_reservation() noexcept
{
    auto const pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L));
    auto const page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::uint64_t bytes = std::clamp<std::uint64_t>(std::bit_ceil(pages * page * 2), 1ULL << 32, 1ULL << 38);
    rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        bytes = std::min<std::uint64_t>(bytes, std::bit_floor(limit.rlim_cur / 4));
    return static_cast<std::size_t>(bytes);
}

void prefer_huge_pages(void* begin, std::size_t bytes) noexcept { ::madvise(begin, bytes, MADV_HUGEPAGE); }

}
