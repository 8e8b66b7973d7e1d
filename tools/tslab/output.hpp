// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Standard output as a stream that remembers why writing failed: a full disk is reported, a reader that went away is not.
#pragma once
#include <array>
#include <streambuf>
#include <string>
#include <string_view>

namespace tslab::tool {

/// The whole of a file that a command writes. Throws failure (usage), which names the file and why it cannot be written.
void write_file(std::string const& path, std::string_view text);

class descriptor_output final : public std::streambuf {
public:
    explicit descriptor_output(int fd) : fd_{fd} { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

    /// errno of the first write that failed; 0 while none did. Nothing is written after it.
    [[nodiscard]] int error() const noexcept { return error_; }

protected:
    int_type overflow(int_type c) override;
    int sync() override { return flush_buffer() ? 0 : -1; }

private:
    bool flush_buffer();

    int fd_;
    int error_ = 0;
    std::array<char, 16384> buffer_;
};

}
