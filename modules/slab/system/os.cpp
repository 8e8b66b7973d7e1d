// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
module tslab.slab;

namespace tslab {

namespace {

void* map_reserve(std::size_t bytes) noexcept
{
    void* const p = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? nullptr : p;
}

#if !defined(MAP_FIXED_NOREPLACE)
#define MAP_FIXED_NOREPLACE 0x100000
#endif

// Kernels before 4.17 treat the address as a hint, and ThreadSanitizer and Valgrind may change it: so the result is
// compared.
map_result map_exactly(void* begin, std::size_t bytes) noexcept
{
    void* const p = ::mmap(begin, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == begin)
        return map_result::mapped;
    if (p == MAP_FAILED)
        return errno == ENOMEM || errno == EAGAIN ? map_result::refused : map_result::taken;
    ::munmap(p, bytes);
    return map_result::taken;
}

bool map_commit(void* begin, std::size_t bytes) noexcept
{
    return ::mprotect(begin, bytes, PROT_READ | PROT_WRITE) == 0;
}

// MADV_DONTNEED and not MADV_FREE: the pages must have left the resident set when the call returns.
bool map_purge(void* begin, std::size_t bytes) noexcept { return ::madvise(begin, bytes, MADV_DONTNEED) == 0; }

bool map_release(void* begin, std::size_t bytes) noexcept { return ::munmap(begin, bytes) == 0; }

constinit os_calls const real_calls{map_reserve, map_exactly, map_commit, map_purge, map_release};
constinit os_calls const* calls_in_use = &real_calls;

/// A range of addresses that could not be unmapped.
struct unreleased {
    std::atomic<std::uintptr_t> begin{0};   // 0: none; 1: a thread is changing the entry
    std::size_t bytes = 0;                  // written by the thread that stored the 1
};
constexpr std::uintptr_t in_hand = 1;
constinit std::array<unreleased, most_unreleased> all_unreleased{};
constinit std::atomic<std::uint64_t> refusals{0};

void remember_unreleased(void* begin, std::size_t bytes) noexcept
{
    for (unreleased& u : all_unreleased)
        if (std::uintptr_t none = 0; u.begin.compare_exchange_strong(none, in_hand, std::memory_order_acquire)) {
            u.bytes = bytes;
            u.begin.store(reinterpret_cast<std::uintptr_t>(begin), std::memory_order_release);
            return;
        }
}

}

bool release_one_more() noexcept
{
    for (unreleased& u : all_unreleased) {
        std::uintptr_t begin = u.begin.load(std::memory_order_relaxed);
        // acquire: the size belongs to this address.
        if (begin <= in_hand || !u.begin.compare_exchange_strong(begin, in_hand, std::memory_order_acquire))
            continue;
        bool const done = os().release(reinterpret_cast<void*>(begin), u.bytes);
        u.begin.store(done ? 0 : begin, std::memory_order_release);
        return done;
    }
    return false;
}

void release_for_good(void* begin, std::size_t bytes) noexcept
{
    if (os().release(begin, bytes)) {
        release_one_more();
        return;
    }
    note_refused_release();
    os().purge(begin, bytes);
    remember_unreleased(begin, bytes);
}

std::uint64_t refused_releases() noexcept { return refusals.load(std::memory_order_relaxed); }

void note_refused_release() noexcept { refusals.fetch_add(1, std::memory_order_relaxed); }

os_calls const& os() noexcept { return *calls_in_use; }

bool granted(os_call which) noexcept
{
    if (calls_in_use->grant == nullptr || calls_in_use->grant(which)) [[likely]]
        return true;
    errno = ENOMEM;
    return false;
}

int above_streams(int descriptor) noexcept
{
    if (descriptor < 0)
        return descriptor;
    constexpr int well_above = 100;   // programs that close what they inherited begin below, and select() ends at 1,024
    constexpr int first = STDERR_FILENO + 1;
    int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, well_above);
    if (moved < 0 && descriptor >= first)
        return descriptor;
    if (moved < 0)
        moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, first);
    int const error = errno;
    ::close(descriptor);
    errno = error;
    return moved;
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

std::uint64_t physical_memory() noexcept
{
    auto const pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L));
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t random_number() noexcept
{
    std::uint64_t word = 0;
    if (::getrandom(&word, sizeof(word), GRND_NONBLOCK) != static_cast<ssize_t>(sizeof(word))) {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);   // a weak substitute
        word = (static_cast<std::uint64_t>(now.tv_nsec) ^ reinterpret_cast<std::uintptr_t>(&now)) * 0x9e3779b97f4a7c15U;
        word ^= word >> 32;
    }
    return word;
}

void prefer_huge_pages(void* begin, std::size_t bytes) noexcept { ::madvise(begin, bytes, MADV_HUGEPAGE); }

}
