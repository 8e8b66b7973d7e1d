// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Slabs of which only some objects stay, and a watch over the pages that are purged. Include it last: it imports tslab.
#pragma once
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "stress.hpp"

namespace survivors {

using tslab::page_bytes;
using tslab::reclaim_policy;

/// Calls `f(geometry, class)` for every class whose slabs have several pages.
template <class F> void for_each_class(F f)
{
    for (unsigned c = 0; c < tslab::class_count; ++c)
        if (tslab::bins[c].pages > 1)
            BOOST_TEST_CONTEXT("class " << tslab::class_sizes[c]) { f(tslab::bins[c], c); }
}

/// With checks on, no page is purged: the contents of free slots are checked.
inline bool purges(tslab::allocator& heap) { return !tslab::with_checks || !heap.state().checks().on(); }

/// A filled slab of one class; objects in address order.
struct filled_slab {
    tslab::bin_geometry const& b;
    std::vector<stress::object> objects;
    std::byte* base = nullptr;

    filled_slab(tslab::allocator& heap, tslab::bin_geometry const& of, tslab::epoch_id e) : b{of}
    {
        for (unsigned i = 0; i < b.slots; ++i) {
            objects.push_back({static_cast<std::byte*>(heap.malloc(b.size, e)), b.size, i + 1});
            std::fill_n(objects.back().p, b.size, std::byte{0xa5});
            objects.back().fill();
        }
        std::ranges::sort(objects, {}, &stress::object::p);
        base = objects.front().p;
        BOOST_REQUIRE(objects.back().p == base + std::size_t{b.slots - 1U} * b.size);
    }
    /// Frees all but the slots in `stay`.
    void free_but(tslab::allocator& heap, std::set<unsigned> const& stay)
    {
        for (unsigned i = 0; i < objects.size(); ++i)
            if (objects[i].p != nullptr && !stay.contains(i)) {
                heap.free(objects[i].p);
                objects[i].p = nullptr;
            }
    }
    [[nodiscard]] std::vector<unsigned char> resident() const { return tslab::resident_pages(base, b.slab_bytes()); }
    /// The pages that live objects touch.
    [[nodiscard]] std::vector<unsigned char> touched() const
    {
        std::vector<unsigned char> pages(b.pages, 0);
        for (unsigned i = 0; i < objects.size(); ++i)
            if (objects[i].p != nullptr)
                for (std::size_t at = i * std::size_t{b.size} / page_bytes;
                     at <= ((i + 1) * std::size_t{b.size} - 1) / page_bytes; ++at)
                    pages[at] = 1;
        return pages;
    }
    [[nodiscard]] bool intact() const
    {
        return std::ranges::all_of(objects, [](auto const& o) { return o.p == nullptr || o.intact(); });
    }
};

/// Those of the given slots that a slab of the class has.
inline std::set<unsigned> slots_of(tslab::bin_geometry const& b, std::set<unsigned> const& wanted)
{
    std::set<unsigned> there;
    std::ranges::copy_if(wanted, std::inserter(there, there.end()), [&b](unsigned slot) { return slot < b.slots; });
    return there;
}

inline std::size_t count(std::vector<unsigned char> const& pages)
{
    return static_cast<std::size_t>(std::ranges::count(pages, 1));
}

/// Records the pages that are purged, and makes the kernel refuse one call and all later ones for the same pages.
class purge_watch {
public:
    purge_watch()
    {
        pages.clear();
        calls = refused = 0;
        relent();
        real_ = &tslab::os();
        calls_ = *real_;
        calls_.purge = purge;
        tslab::set_os_calls(&calls_);
    }
    ~purge_watch() { tslab::set_os_calls(real_); }
    purge_watch(purge_watch const&) = delete;
    purge_watch& operator=(purge_watch const&) = delete;

    static inline std::map<std::uintptr_t, unsigned> pages;   ///< how often each was purged
    static inline std::uint64_t calls, refuse_at;
    static inline std::uint64_t refused;   ///< calls, so far
    /// Refuses no further call.
    static void relent()
    {
        refuse_at = ~std::uint64_t{0};
        stays_begin = stays_end = 0;
    }

    /// How often the pages of a slab were purged: the least and the most.
    [[nodiscard]] static std::pair<unsigned, unsigned> times(filled_slab const& s)
    {
        std::pair<unsigned, unsigned> n{~0U, 0U};
        for (std::uint32_t i = 0; i < s.b.pages; ++i) {
            unsigned const k = pages[reinterpret_cast<std::uintptr_t>(s.base) + i * page_bytes];
            n = {std::min(n.first, k), std::max(n.second, k)};
        }
        return n;
    }

private:
    static bool purge(void* begin, std::size_t bytes) noexcept
    {
        auto const first = reinterpret_cast<std::uintptr_t>(begin);
        if (calls++ == refuse_at) {
            stays_begin = first;
            stays_end = first + bytes;
        }
        if (first < stays_end && first + bytes > stays_begin) {
            ++refused;
            return false;
        }
        for (std::size_t at = 0; at < bytes; at += page_bytes)
            ++pages[reinterpret_cast<std::uintptr_t>(begin) + at];
        return real_->purge(begin, bytes);
    }

    static inline std::uintptr_t stays_begin, stays_end;   ///< the refused range, refused again later
    static inline tslab::os_calls const* real_ = nullptr;
    static inline tslab::os_calls calls_{};
};

inline tslab::allocator_options eager()
{
    return {.name = "survivors", .reclaim = reclaim_policy::eager, .publish = false};
}

}
