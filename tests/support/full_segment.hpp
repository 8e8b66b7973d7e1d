// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A segment of published statistics without room. Include it last: it imports tslab.
#pragma once
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

import tslab.internal;

namespace support {

/// Takes what is left of a segment, which cannot grow as long as this lives: for heaps there is what they have.
class full_segment {
public:
    full_segment()
    {
        real_ = &tslab::os();
        calls_ = *real_;
        calls_.reserve = [](std::size_t bytes) noexcept -> void* {
            return bytes > extent && bytes < 2 * extent ? nullptr : real_->reserve(bytes);
        };
    }
    ~full_segment() { tslab::set_os_calls(real_); }
    full_segment(full_segment const&) = delete;
    full_segment& operator=(full_segment const&) = delete;

    void fill()
    {
        tslab::set_os_calls(&calls_);
        for (;;) {
            auto part = std::make_unique<tslab::segment_part>(true, tslab::layout_number());
            if (!part->is_published())
                break;
            taken_.push_back(std::move(part));
        }
    }

private:
    static constexpr std::size_t extent = std::size_t{1}
                                          << 20;   // the second is as large, and overlaps the first a bit
    static inline tslab::os_calls const* real_ = nullptr;
    static inline tslab::os_calls calls_{};
    std::vector<std::unique_ptr<tslab::segment_part>> taken_;
};

/// Uses up what a heap has of a full segment.
inline void use_up(tslab::segment_part& part)
{
    while (part.is_published(part.allocate(64, 64))) {
    }
}

}
