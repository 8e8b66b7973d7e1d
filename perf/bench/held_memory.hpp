// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Objects that live beside those of a pattern, so that it is measured in a heap of some size.
#pragma once

#include "place.hpp"

#include <cstring>
#include <vector>

namespace bench {

class held_memory {
public:
    /// `bytes` in objects of 1 KiB, written from end to end. Nothing for 0.
    held_memory(contender& c, std::size_t bytes) : objects_(bytes / object_bytes)
    {
        if (objects_.empty())
            return;
        place_ = c.make_place({});
        for (void*& p : objects_)
            p = std::memset(place_->common()->allocate(object_bytes), 1, object_bytes);
    }
    ~held_memory()
    {
        for (void* const p : objects_)
            place_->common()->deallocate(p, object_bytes);
    }
    held_memory(held_memory const&) = delete;
    held_memory& operator=(held_memory const&) = delete;

private:
    static constexpr std::size_t object_bytes = 1024;

    std::unique_ptr<place> place_;
    std::vector<void*> objects_;
};

}
