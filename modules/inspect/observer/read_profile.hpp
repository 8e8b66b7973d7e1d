// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading a heap profile from a heap's stats page, of this process or in a copy of a segment. All that is read there is
// untrusted: each length is compared with its page, each list is bounded. Included by observer.cpp and heap_profile.cpp.
#pragma once

namespace tslab {

namespace {

/// A stored text up to its NUL, or its end.
template <std::size_t N> std::string stored_text(std::array<char, N> const& text)
{
    return {text.data(), ::strnlen(text.data(), N)};
}

std::string hexadecimal(std::span<unsigned char const> bytes)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned char const b : bytes) {
        text += digits[b >> 4U];
        text += digits[b & 15U];
    }
    return text;
}

/// The entries of a page. An entry that does not fit its page, or has no class, ends it.
inline void add_stacks(heap_profile& to, profile_page const& page, std::vector<std::string> const& labels)
{
    std::uint64_t const used =
        std::min<std::uint64_t>(page.used.load(std::memory_order_acquire), profile_page::capacity);
    for (std::uint64_t at = 0; used - at >= profile_page::header;) {
        auto const word = [&page, at](std::uint64_t i) { return page.words[at + i].load(std::memory_order_relaxed); };
        std::uint64_t const shape = word(profile_page::shape);
        std::uint64_t const depth = shape & 0xffff;
        std::uint64_t const bin = shape >> 16U & 0xffff;
        std::uint64_t const label = shape >> 32U;
        if (depth > profile_page::most_depth || depth > used - at - profile_page::header || bin > bin_count ||
            label >= labels.size())
            return;
        // The sums of frees first: they are the smaller ones, and stay so while others count.
        std::uint64_t const freed = word(profile_page::freed);
        std::uint64_t const freed_objects = word(profile_page::freed_objects);
        std::uint64_t const freed_bytes = word(profile_page::freed_bytes);
        std::uint64_t const samples = word(profile_page::samples);
        std::uint64_t const objects = word(profile_page::objects);
        std::uint64_t const bytes = word(profile_page::bytes);
        auto const left = [](std::uint64_t all, std::uint64_t gone) {
            return static_cast<double>(all - std::min(all, gone));
        };
        constexpr auto unit = static_cast<double>(profile_page::object_unit);
        if (samples != 0) {
            profiled_stack stack{.label = labels[label],
                                 .slot_bytes = bin < bin_count ? bins[bin].size : 0,
                                 .live_objects = left(objects, freed_objects) / unit,
                                 .live_bytes = left(bytes, freed_bytes),
                                 .allocated_objects = static_cast<double>(objects) / unit,
                                 .allocated_bytes = static_cast<double>(bytes),
                                 .live_samples = samples - std::min(samples, freed),
                                 .samples = samples};
            for (std::uint64_t i = 0; i < depth; ++i)
                stack.addresses.push_back(word(profile_page::header + i));
            to.stacks.push_back(std::move(stack));
        }
        at += profile_page::header + depth;
    }
}

inline void add_published_mappings(heap_profile& to, profile_mapping_page const& page)
{
    std::uint32_t const used = std::min(page.used.load(std::memory_order_acquire), profile_mapping_page::capacity);
    for (published_mapping const& m : std::span{page.of}.first(used))
        if (m.begin < m.end)
            to.mappings.push_back(
                {.begin = m.begin,
                 .end = m.end,
                 .offset = m.offset,
                 .file = stored_text(m.file),
                 .build_id = hexadecimal(std::span{m.id}.first(std::min<std::size_t>(m.id_bytes, m.id.size())))});
}

/// `at(record)`: where a record of the heap is to be read, or null. `bytes`: of all records, which bounds lists.
template <class At> heap_profile read_profile(heap_stats_page const& stats, At at, std::size_t bytes)
{
    profile_figures const& figures = stats.profile;
    heap_profile p{.heap = stored_text(stats.name),
                   .interval_bytes = figures.interval,
                   .time_ns = wall_clock_ns(),
                   .samples_dropped = figures.samples_dropped.value(),
                   .stacks_dropped = figures.stacks_dropped.value(),
                   .stacks_cut = figures.stacks_cut.value()};
    std::vector<std::string> labels{""};
    std::size_t const named =
        std::min<std::size_t>(stats.labels_used.load(std::memory_order_acquire), stats.labels.size());
    for (std::size_t i = 0; i < stats.labels.size(); ++i)
        labels.emplace_back(i < named ? stats.labels[i].read().view() : std::string_view{});
    labels.emplace_back("other");
    std::size_t left = bytes / sizeof(profile_page);   // ends a list that is cyclic
    for (profile_page const* page = at(figures.pages.load(std::memory_order_acquire)); page != nullptr && left-- != 0;
         page = at(page->next.load(std::memory_order_relaxed)))
        add_stacks(p, *page, labels);
    left = bytes / sizeof(profile_mapping_page);
    for (profile_mapping_page const* page = at(figures.mapping_pages.load(std::memory_order_acquire));
         page != nullptr && left-- != 0; page = at(page->next.load(std::memory_order_relaxed)))
        add_published_mappings(p, *page);
    std::ranges::sort(p.mappings, {}, &profiled_mapping::begin);
    return p;
}

/// Adds the files that `maps`, the text of a process's /proc/PID/maps, has as executed and `p` lacks.
inline void add_mappings(heap_profile& p, std::string_view maps)
{
    while (!maps.empty()) {
        std::string_view line = maps.substr(0, maps.find('\n'));
        maps.remove_prefix(std::min(maps.size(), line.size() + 1));
        auto const number = [&line](char behind, std::uint64_t& to) {
            auto const [end, error] = std::from_chars(line.data(), line.data() + line.size(), to, 16);
            if (error != std::errc{} || end == line.data() + line.size() || *end != behind)
                return false;
            line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
            return true;
        };
        profiled_mapping m;
        if (!number('-', m.begin) || !number(' ', m.end) || line.size() < 5 || line[2] != 'x')
            continue;
        line.remove_prefix(5);
        if (!number(' ', m.offset) || m.begin >= m.end)
            continue;
        std::size_t const path = line.find_first_of("/[");   // behind device and inode
        if (path == std::string_view::npos)
            continue;   // no file
        m.file = line.substr(path);
        bool const known = std::ranges::any_of(
            p.mappings, [&m](profiled_mapping const& other) { return other.begin < m.end && m.begin < other.end; });
        if (!known)
            p.mappings.push_back(std::move(m));
    }
    std::ranges::sort(p.mappings, {}, &profiled_mapping::begin);
}

}

}
