// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The wire format of protocol buffers, for those who write it: https://protobuf.dev/programming-guides/encoding/.
#pragma once
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tslab::tool {

/// A message, which gets its fields one after the other. The caller knows their numbers and types.
class protobuf_message {
public:
    /// A number that is 0 is left out: readers take it for 0.
    void number(unsigned field, std::uint64_t n)
    {
        if (n != 0)
            given_number(field, n);
    }
    /// Also if it is 0, for readers that ask whether it is there.
    void given_number(unsigned field, std::uint64_t n)
    {
        varint(field << 3U);
        varint(n);
    }
    /// Also if it is 0.
    void real(unsigned field, double d)
    {
        varint(field << 3U | 1U);
        auto rest = std::bit_cast<std::uint64_t>(d);
        for (int byte = 0; byte < 8; ++byte, rest >>= 8)
            bytes_ += static_cast<char>(rest);
    }
    void bytes(unsigned field, std::string_view text)
    {
        varint(field << 3U | 2U);
        varint(text.size());
        bytes_ += text;
    }
    void part(unsigned field, protobuf_message const& m) { bytes(field, m.bytes_); }
    /// A repeated field of numbers.
    void numbers(unsigned field, std::vector<std::uint64_t> const& all)
    {
        protobuf_message packed;
        for (std::uint64_t const n : all)
            packed.varint(n);
        part(field, packed);
    }
    [[nodiscard]] std::string const& text() const noexcept { return bytes_; }

    /// How the types sint32 and sint64 have a number.
    [[nodiscard]] static constexpr std::uint64_t zigzag(std::int64_t n) noexcept
    {
        return static_cast<std::uint64_t>(n) << 1 ^ static_cast<std::uint64_t>(n >> 63);
    }
    /// Adds the message to a stream of messages, each behind its length.
    void add_to(std::string& stream) const
    {
        protobuf_message length;
        length.varint(bytes_.size());
        (stream += length.bytes_) += bytes_;
    }

private:
    void varint(std::uint64_t n)
    {
        for (; n >= 0x80; n >>= 7)
            bytes_ += static_cast<char>(n | 0x80);
        bytes_ += static_cast<char>(n);
    }
    std::string bytes_{};
};

}
