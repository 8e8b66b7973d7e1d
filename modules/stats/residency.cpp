// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <vector>
module tslab.stats;

namespace tslab {

namespace {

std::uint64_t rss_bytes_in(char const* statm) noexcept
{
    // Opened each time: an open descriptor would still name the parent after a fork.
    int const fd = ::open(statm, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    std::array<char, 128> text{};
    auto const got = ::read(fd, text.data(), text.size());
    ::close(fd);
    if (got <= 0)
        return 0;
    char const* const end = text.data() + got;
    char const* const second =
        std::find(static_cast<char const*>(text.data()), end, ' ');   // "size resident shared ...", in pages
    std::uint64_t pages = 0;
    if (second == end || std::from_chars(second + 1, end, pages).ec != std::errc{})
        return 0;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}

std::uint64_t read_rss_bytes() noexcept { return rss_bytes_in("/proc/self/statm"); }

std::uint64_t read_rss_bytes_of(std::int64_t pid) noexcept
{
    std::array<char, 48> path{};
    std::snprintf(path.data(), path.size(), "/proc/%lld/statm", static_cast<long long>(pid));
    return rss_bytes_in(path.data());
}

std::string read_thread_name(std::int64_t pid, std::uint32_t tid)
{
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%lld/task/%u/comm", static_cast<long long>(pid), tid);
    int const fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return {};
    std::array<char, 32> text{};   // of a name there are 15 bytes at most, and a newline
    auto const got = ::read(fd, text.data(), text.size());
    ::close(fd);
    if (got <= 0)
        return {};
    std::string_view const line{text.data(), static_cast<std::size_t>(got)};
    return std::string{without_cut_character(line.substr(0, line.find('\n')))};
}

bool residency_known() noexcept
{
    // Asked of a page that is certainly mapped; the answer holds for all.
    static bool const known = [] {
        auto const page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        unsigned char flag = 0;
        return ::mincore(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(&flag) & ~(page - 1)), page, &flag) ==
               0;
    }();
    return known;
}

std::uint64_t resident_bytes(void const* begin, std::size_t bytes) noexcept
{
    auto const page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    auto at = reinterpret_cast<std::uintptr_t>(begin) & ~(page - 1);
    auto const end = reinterpret_cast<std::uintptr_t>(begin) + bytes;
    std::array<unsigned char, 512> flags{};   // of 2 MiB: clearing more would cost a small range more than the call
    std::uint64_t resident = 0;
    while (at < end) {
        auto const pages = std::min<std::uintptr_t>((end - at + page - 1) / page, flags.size());
        if (::mincore(reinterpret_cast<void*>(at), pages * page, flags.data()) != 0)
            return resident * page;
        resident +=
            static_cast<std::uint64_t>(std::count_if(flags.begin(), flags.begin() + static_cast<std::ptrdiff_t>(pages),
                                                     [](unsigned char f) { return (f & 1U) != 0; }));
        at += pages * page;
    }
    return resident * page;
}

std::vector<unsigned char> resident_pages(void const* begin, std::size_t bytes)
{
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> flags((bytes + page - 1) / page);
    if (!flags.empty() && ::mincore(const_cast<void*>(begin), bytes, flags.data()) != 0)
        std::ranges::fill(flags, static_cast<unsigned char>(0));
    for (unsigned char& f : flags)
        f &= 1U;
    return flags;
}

}
