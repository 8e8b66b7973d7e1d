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
#include <optional>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
module tslab.slab;

namespace tslab {

namespace {

constexpr group_places real_places{"/proc/self/cgroup", {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}};
constinit group_places const* places_in_use = &real_places;

using text_buffer = std::array<char, 4096>;

std::optional<std::string_view> read_from_start(int fd, text_buffer& to) noexcept
{
    auto const got = ::pread(fd, to.data(), to.size(), 0);
    if (got < 0)
        return std::nullopt;
    return std::string_view{to.data(), static_cast<std::size_t>(got)};
}

int open_file(int directory, char const* name, int flags) noexcept
{
    return granted(os_call::watch_group) ? above_streams(::openat(directory, name, flags | O_CLOEXEC)) : -1;
}

/// Calls `use(line)` for each line.
template <class F> void for_each_line(std::string_view text, F use) noexcept
{
    while (!text.empty()) {
        std::size_t const end = std::min(text.find('\n'), text.size());
        use(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

/// The number in a file of one value; nothing for "max".
std::optional<std::uint64_t> number_in(int file) noexcept
{
    text_buffer buffer;
    auto const text = read_from_start(file, buffer);
    std::uint64_t n = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), n).ec != std::errc{})
        return std::nullopt;
    return n;
}

/// Bytes of inactive file pages, by memory.stat: the kernel reclaims those before it lets a task wait.
std::uint64_t idle_file_bytes(int stat) noexcept
{
    text_buffer buffer;
    auto const text = read_from_start(stat, buffer);
    std::uint64_t bytes = 0;
    if (text)
        for_each_line(*text, [&](std::string_view line) {
            constexpr std::string_view name = "inactive_file ";
            if (line.starts_with(name))
                std::from_chars(line.data() + name.size(), line.data() + line.size(), bytes);
        });
    return bytes;
}

/// The path of the process's group below the root of the tree, which begins with a slash.
std::optional<std::string_view> own_path(text_buffer& buffer) noexcept
{
    int const fd = open_file(AT_FDCWD, places_in_use->own, O_RDONLY);
    auto const text = read_from_start(fd, buffer);
    if (fd >= 0)
        ::close(fd);
    std::optional<std::string_view> path;
    if (text)
        for_each_line(*text, [&](std::string_view line) {
            constexpr std::string_view version_2 = "0::/";
            if (line.starts_with(version_2))
                path = line.substr(version_2.size() - 1);
        });
    if (path && path->find("..") != std::string_view::npos)   // it is outside of this process's view
        return std::nullopt;
    return path;
}

/// Sets a trigger for when tasks of the group have waited for memory for 150 ms within 2 s, the shortest window that
/// the kernel grants without privileges.
int open_stall_trigger(int directory) noexcept
{
    constexpr std::string_view trigger{"some 150000 2000000\0", 20};
    int const fd = open_file(directory, "memory.pressure", O_RDWR | O_NONBLOCK | O_NOFOLLOW);
    if (fd >= 0 && ::write(fd, trigger.data(), trigger.size()) < 0) {
        ::close(fd);
        return -1;
    }
    return fd;
}

}

void set_group_places(group_places const* places) noexcept
{
    places_in_use = places != nullptr ? places : &real_places;
}

bool memory_group::open() noexcept
{
    close();
    text_buffer buffer;
    auto const path = own_path(buffer);
    if (!path)
        return false;
    for (char const* const root : places_in_use->roots) {
        std::array<char, 4352> name{};
        int const length =
            std::snprintf(name.data(), name.size(), "%s%.*s", root, static_cast<int>(path->size()), path->data());
        if (length < 0 || static_cast<std::size_t>(length) >= name.size())
            continue;
        int const directory = open_file(AT_FDCWD, name.data(), O_PATH | O_DIRECTORY);
        if (directory < 0)
            continue;
        events_ = open_file(directory, "memory.events", O_RDONLY);
        text_buffer text;
        bool const found = read_from_start(events_, text).has_value();
        if (found) {
            current_ = open_file(directory, "memory.current", O_RDONLY);
            high_ = open_file(directory, "memory.high", O_RDONLY);
            max_ = open_file(directory, "memory.max", O_RDONLY);
            stat_ = open_file(directory, "memory.stat", O_RDONLY);
            stalls_ = open_stall_trigger(directory);
        }
        ::close(directory);
        if (found)
            return true;
        close();
    }
    return false;
}

void memory_group::close() noexcept
{
    for (int* const fd : {&events_, &current_, &high_, &max_, &stat_, &stalls_})
        if (int const open = std::exchange(*fd, -1); open >= 0)
            ::close(open);
}

std::optional<bool> memory_group::is_near_limit() noexcept
{
    text_buffer text;
    if (!read_from_start(events_, text))
        return std::nullopt;
    auto const used = number_in(current_);
    if (!used)
        return false;
    for (int const file : {high_, max_}) {
        auto const limit = number_in(file);
        if (!limit || *used < *limit - *limit / 16)
            continue;
        std::uint64_t const wanted = *used - std::min(*used, idle_file_bytes(stat_));
        if (wanted >= *limit - *limit / 16)
            return true;
    }
    return false;
}

}
