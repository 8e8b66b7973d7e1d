// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Containers of words by their contents, for the tests in which their memory runs out.
#pragma once
#include <algorithm>
#include <memory_resource>
#include <string>
#include <utility>
#include <vector>

namespace container {

using text = std::pmr::string;

/// Longer than what a string keeps in itself.
inline std::string word(int i) { return "a word that is too long for the string itself " + std::to_string(i); }

inline std::string plain(text const& t) { return std::string{t}; }
inline std::string plain(std::pair<text const, text> const& p) { return plain(p.first) + '=' + plain(p.second); }
inline std::string plain(int i) { return std::to_string(i); }
inline std::string plain(char c) { return std::string(1, c); }
template <class T> std::string plain(std::pmr::vector<T> const& v)
{
    std::string all;
    for (auto const& one : v)
        all += plain(one) + ',';
    return all;
}

template <class C> inline constexpr bool hashed = requires(C c) { c.bucket_count(); };

/// What is in a container; of a hashed one in an order of its own.
template <class C> std::vector<std::string> contents(C const& c)
{
    std::vector<std::string> all;
    if constexpr (requires { c.top(); }) {
        C copy{c};   // its memory comes from the default resource
        for (; !copy.empty(); copy.pop())
            all.push_back(plain(copy.top()));
    } else {
        for (auto const& one : c)
            all.push_back(plain(one));
    }
    if constexpr (hashed<C>)
        std::sort(all.begin(), all.end());
    return all;
}

template <class C> C make(std::pmr::memory_resource& r) { return C{std::pmr::polymorphic_allocator<>{&r}}; }

template <class C> void empty(C& c)
{
    if constexpr (requires { c.clear(); })
        c.clear();
    else
        while (!c.empty())
            c.pop();
}

}
