// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "resident.hpp"

#include <charconv>
#include <cstddef>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

namespace bench {
namespace {

class proc_text {
public:
    explicit proc_text(char const* path)
    {
        int const file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return;
        while (length_ < sizeof text_) {
            ssize_t const got = read(file, text_ + length_, sizeof text_ - length_);
            if (got <= 0)
                break;
            length_ += static_cast<std::size_t>(got);
        }
        close(file);
    }

    /// The bytes of a line "Name:   123 kB".
    [[nodiscard]] std::uint64_t bytes(std::string_view name) const
    {
        std::string_view const text{text_, length_};
        std::size_t at = text.find(name);
        if (at == text.npos)
            return 0;
        at = text.find_first_not_of(" \t", at + name.size());
        std::uint64_t kilobytes = 0;
        if (at != text.npos)
            std::from_chars(text.data() + at, text.data() + text.size(), kilobytes);
        return kilobytes * 1024;
    }

private:
    char text_[8192];
    std::size_t length_ = 0;
};

}

std::uint64_t resident_bytes()
{
    proc_text const rollup{"/proc/self/smaps_rollup"};
    return rollup.bytes("\nPss_Anon:") + rollup.bytes("\nPss_Shmem:");
}

std::uint64_t huge_bytes() { return proc_text{"/proc/self/smaps_rollup"}.bytes("\nAnonHugePages:"); }

std::uint64_t resident_peak()
{
    proc_text const status{"/proc/self/status"};
    std::uint64_t const peak = status.bytes("\nVmHWM:");
    std::uint64_t const files = status.bytes("\nRssFile:");
    return peak > files ? peak - files : 0;
}

void forget_peak()
{
    int const file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    static_cast<void>(!write(file, "5", 1));   // without it the peak is that of the whole process
    close(file);
}

}
