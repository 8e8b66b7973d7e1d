// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <cstddef>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>
module tslab.stats;

namespace tslab {

namespace {
constexpr std::size_t boot_id_length = 36;
}

std::string_view boot_id::view() const noexcept
{
    std::string_view const id{text.data(), boot_id_length};
    auto const fits = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-'; };
    return std::ranges::all_of(id, fits) ? id : std::string_view{};   // the text may be another process's
}

boot_id read_boot_id() noexcept
{
    boot_id id;
    int const file = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return id;
    if (::read(file, id.text.data(), boot_id_length) != static_cast<ssize_t>(boot_id_length))
        id = {};
    ::close(file);
    return id;
}

}
