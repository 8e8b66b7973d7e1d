// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a heap is compared with: the objects that should be live, by address, each with what should be in it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

namespace property {

/// `Tag`: whatever a test knows of an object beside its size and contents.
template <class Tag> class interval_map {
public:
    struct interval {
        std::size_t bytes = 0;
        std::size_t alignment = 1;
        unsigned char fill = 0;
        Tag tag{};
    };
    using map = std::map<unsigned char*, interval>;
    using iterator = typename map::iterator;

    /// Takes note of an object and fills it. Returns what is wrong with it; null when nothing is.
    [[nodiscard]] char const* add(void* p, interval const& one)
    {
        auto* const begin = static_cast<unsigned char*>(p);
        if (p == nullptr)
            return "null";
        if (reinterpret_cast<std::uintptr_t>(p) % one.alignment != 0)
            return "not aligned";
        auto const after = live_.lower_bound(begin);
        if (after != live_.end() && begin + occupied(one) > after->first)
            return "overlaps the next object";
        if (after != live_.begin()) {
            auto const before = std::prev(after);
            if (before->first + occupied(before->second) > begin)
                return "overlaps the object before";
        }
        std::memset(begin, one.fill, one.bytes);
        live_.emplace(begin, one);
        return nullptr;
    }
    /// Whether an object's contents are what they should be. Of large ones some bytes are looked at.
    [[nodiscard]] static bool intact(typename map::value_type const& one)
    {
        auto const& [p, i] = one;
        bool good = i.bytes == 0 || p[i.bytes - 1] == i.fill;
        for (std::size_t b = 0; b < i.bytes; b += i.bytes > 5000 ? 61 : 1)
            good = good && p[b] == i.fill;
        return good;
    }
    [[nodiscard]] map& live() noexcept { return live_; }
    [[nodiscard]] map const& live() const noexcept { return live_; }

private:
    [[nodiscard]] static std::size_t occupied(interval const& one) { return std::max<std::size_t>(one.bytes, 1); }

    map live_;
};

}
