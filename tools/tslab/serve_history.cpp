// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_history.hpp"
#include <utility>

namespace tslab::tool {

void history::add(std::uint64_t seq, std::string frame)
{
    bytes_ += frame.size();
    frames_.push_back({seq, std::move(frame)});
    while (frames_.size() > 1 && (frames_.size() > limits_.frames || bytes_ > limits_.bytes)) {
        bytes_ -= frames_.front().text.size();
        frames_.pop_front();
    }
}

std::string history::since(std::uint64_t seq) const
{
    std::string out = "[";
    for (entry const& e : frames_)
        if (e.seq > seq)
            (out.append(out.size() > 1 ? "," : "")) += e.text;
    return out += "]";
}

}
