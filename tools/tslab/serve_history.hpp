// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The last minutes of a target, as frames: what the page asks for. Bounded in number and in bytes; the oldest go first.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace tslab::tool {

struct history_limits {
    std::size_t frames = 720;
    std::size_t bytes = std::size_t{64} << 20;
};

class history {
public:
    explicit history(history_limits const& limits = {}) : limits_{limits} {}

    /// `frame` is JSON; the newest frame stays however large it is.
    void add(std::uint64_t seq, std::string frame);
    /// The frames after `seq`, as a JSON array.
    [[nodiscard]] std::string since(std::uint64_t seq) const;
    [[nodiscard]] std::size_t size() const noexcept { return frames_.size(); }

private:
    struct entry {
        std::uint64_t seq;
        std::string text;
    };
    history_limits limits_;
    std::deque<entry> frames_;
    std::size_t bytes_ = 0;
};

}
