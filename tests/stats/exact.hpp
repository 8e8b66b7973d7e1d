// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the scripts of exact.cpp share: places in the JSON of a heap and the values that must be there, and a note of every place
// that was not 0. Include it last: it imports tslab.
#pragma once
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "recorder.hpp"

namespace exact {

namespace json = boost::json;

inline std::set<std::string> moved;        // every place that was not 0 in some script
inline std::set<std::string> all_places;   // every place with a number

/// "classes[].slow_path_hits": the place of a number without the index it was found at.
inline void note_numbers(std::string const& at, json::value const& v)
{
    if (auto const* const o = v.if_object()) {
        for (auto const& [key, one] : *o)
            note_numbers(at.empty() ? std::string{key} : at + "." + std::string{key}, one);
    } else if (auto const* const a = v.if_array()) {
        for (json::value const& one : *a)
            note_numbers(at + "[]", one);
    } else if (v.is_number()) {
        all_places.insert(at);
        if (v.to_number<double>() != 0)
            moved.insert(at);
    }
}

/// The JSON of a snapshot of the heap.
inline json::value json_of(tslab::allocator const& heap)
{
    json::value v = json::parse(tslab::to_json(heap.snapshot()));
    note_numbers("", v);
    return v;
}

/// The number at a place.
inline std::int64_t number_at(json::value const& v, char const* place)
{
    return v.at_pointer(place).to_number<std::int64_t>();
}

/// The entry of one epoch; null if the epoch is not listed.
inline json::value const* epoch_in(json::value const& v, tslab::epoch_id e)
{
    for (json::value const& one : v.at("epochs").as_array())
        if (one.at("epoch_id").to_number<std::uint64_t>() == e.index &&
            one.at("epoch_era").to_number<std::uint64_t>() == e.era)
            return &one;
    return nullptr;
}

inline constexpr std::int64_t some = std::numeric_limits<std::int64_t>::min();   // any value above 0

struct expectation {
    template <std::integral Value>
    expectation(std::string at, Value expected) : place{std::move(at)}, value{static_cast<std::int64_t>(expected)}
    {
    }
    std::string place;   // JSON pointer
    std::int64_t value;
};

inline void check(json::value const& v, std::vector<expectation> const& table)
{
    for (expectation const& e : table) {
        boost::system::error_code none;
        json::value const* const found = v.find_pointer(e.place, none);
        BOOST_TEST_REQUIRE((found != nullptr && found->is_number()), e.place << " is not there");
        if (e.value == some)
            BOOST_TEST(found->to_number<double>() > 0, e.place << " is " << json::serialize(*found) << ", not above 0");
        else
            BOOST_TEST(found->to_number<double>() == static_cast<double>(e.value),
                       e.place << " is " << json::serialize(*found) << ", not " << e.value);
    }
}

inline tslab::slab_meta& slab_of(tslab::allocator& heap, void const* p) { return *heap.state().slab_at(p); }

inline constexpr std::size_t in_slab = tslab::bins[7].slots;   // objects of 768 bytes
inline constexpr std::int64_t page = 4096;
inline constexpr std::int64_t slab_pages = tslab::bins[7].pages;

/// Objects of 768 bytes, unless `bytes` says otherwise.
inline std::vector<void*> fill(tslab::allocator& heap, std::size_t n, tslab::epoch_id e, std::size_t bytes = 768)
{
    std::vector<void*> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(heap.malloc(bytes, e));
    return all;
}

inline void free_all(tslab::allocator& heap, std::vector<void*> const& all)
{
    for (void* const p : all)
        heap.free(p);
}

/// Frees the first object of each slab, or all others.
inline void free_first_of_slabs(tslab::allocator& heap, std::vector<void*> const& all)
{
    for (std::size_t i = 0; i < all.size(); i += in_slab)
        heap.free(all[i]);
}
inline void free_all_but_first_of_slabs(tslab::allocator& heap, std::vector<void*> const& all)
{
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i % in_slab != 0)
            heap.free(all[i]);
}

}
