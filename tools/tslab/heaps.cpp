// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/heaps.hpp"
#include "tslab/escape.hpp"
#include <utility>
import tslab;

namespace tslab::tool {

std::string unique_name(std::string const& name, std::uint64_t instance)
{
    return instance > 1 ? name + '#' + std::to_string(instance) : name;
}
std::string unique_name(snapshot const& s) { return unique_name(s.name, s.instance); }

bool needs_live(std::string_view field) noexcept
{
    return field.starts_with("live_") || field == "empty_held_bytes" || field == "empty_slabs_count" ||
           field == "empty_partial_count" || field.find("reclaimable") != std::string_view::npos ||
           field == "total_frees";
}

std::string live_text(snapshot const& s, std::string text) { return s.live_known ? std::move(text) : "?"; }

bool may_be_same_heap(snapshot const& a, snapshot const& b) noexcept
{
    return a.name == b.name && a.pid == b.pid && (a.instance == b.instance || a.instance == 0 || b.instance == 0);
}

snapshot const* same_heap(std::vector<snapshot> const& before, std::vector<snapshot> const& now, std::size_t index)
{
    auto const same = [&](snapshot const& s) { return may_be_same_heap(s, now[index]); };
    std::size_t rank = 0;
    for (std::size_t i = 0; i < index; ++i)
        rank += same(now[i]) ? 1 : 0;
    for (snapshot const& s : before)
        if (same(s) && rank-- == 0)
            return &s;
    return nullptr;
}

double seconds_between(snapshot const& before, snapshot const& now) noexcept { return seconds_from_to(before, now); }

std::uint64_t cached_bytes(snapshot const& s) noexcept
{
    std::uint64_t pages = 0;
    for (class_stats const& c : s.classes)
        pages += c.cached_slabs * c.pages_per_slab;
    return pages * s.page_size;
}

std::uint64_t held_bytes(snapshot const& s) noexcept
{
    return (s.global.slab_pages + s.global.large_pages) * s.page_size;
}

std::string heap_text(snapshot const& s)
{
    std::string const name = unique_name(s);
    return name.empty() ? "unnamed heap" : "heap " + in_quotes(name);
}

std::string size_text(class_stats const& c) { return c.object_size != 0 ? std::to_string(c.object_size) : "large"; }

std::string label_or_none(std::string const& label) { return label.empty() ? "unlabeled" : escaped(label); }

std::string unpublished_text(std::uint64_t chunks)
{
    constexpr std::uint64_t chunk_bytes = std::uint64_t{16} << 10;
    return bytes_text(chunks * chunk_bytes) +
           " of the process's statistics found no room where other processes can read them";
}

std::string unpublished_note(std::vector<snapshot> const& heaps)
{
    for (snapshot const& s : heaps)
        if (s.global.unpublished_chunks != 0)   // the same of each heap: it is the process's
            return "note: " + unpublished_text(s.global.unpublished_chunks) + ": figures are too low\n";
    return {};
}

}
