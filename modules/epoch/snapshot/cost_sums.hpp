// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Adds up the threads' costs of phases by label, for a snapshot. Included by assembly.hpp. What is read may have been written
// by another process, so numbers of labels are checked, and nothing is assumed of the sums.
#pragma once

namespace tslab {

/// The phase of a row that allocated most.
struct largest_phase {
    std::uint64_t bytes = 0;
    std::uint64_t ended_ns = 0;
    std::uint32_t place = source_places::unknown;
};
inline largest_phase read_largest(cost_row const& row) noexcept
{
    for (int patience = 100; patience > 0; --patience) {
        std::uint32_t const version = row.version.load(std::memory_order_acquire);
        largest_phase const p{row.largest_bytes.load(std::memory_order_relaxed),
                              row.largest_ns.load(std::memory_order_relaxed),
                              row.largest_place.load(std::memory_order_relaxed)};
        std::atomic_thread_fence(std::memory_order_acquire);   // the figures are read before the version is read again
        if (version % 2 == 0 && row.version.load(std::memory_order_relaxed) == version)
            return p;
        spin_pause();
    }
    return {};
}

/// Which histograms of a label lack buckets, so that nothing is known of its quantiles, in the order of `cost`.
using histograms_cut = std::array<bool, cost_count>;

/// Adds a thread's row. `group(c, g)`: a group of its buckets, as seen_buckets.
template <class Group>
void add_cost_row(phase_cost_stats& to, histograms_cut& cut, cost_row const& row, Group group)
{
    // The buckets first: what is in them is in the counts of phases and in the sums by then, or a moment later.
    std::uint64_t const empty = row.empty.value();
    struct figure {
        cost what;
        quarter_histogram* buckets;
        std::uint64_t* sum;
        std::uint64_t* max;
    };
    // Peaks before bytes, against the order of note_used: so no peak is read that is above the bytes of its phase.
    for (figure const& f : {figure{cost::objects, &to.objects, &to.objects_sum, &to.objects_max},
                            figure{cost::peak, &to.peak_bytes, &to.peak_bytes_sum, &to.peak_bytes_max},
                            figure{cost::bytes, &to.bytes, &to.bytes_sum, &to.bytes_max},
                            figure{cost::wall_ns, &to.wall_ns, &to.wall_ns_sum, &to.wall_ns_max}}) {
        for (std::size_t g = 0; g < cost_buckets::groups; ++g) {
            seen_buckets const of = group(f.what, g);
            cut[static_cast<std::size_t>(f.what)] |= !of.known;
            for (std::size_t b = 0; of.counts != nullptr && b < cost_buckets::size; ++b)
                f.buckets->buckets[g * cost_buckets::size + b] += of.counts->counts[b].value();
        }
        if (f.what != cost::wall_ns)
            f.buckets->buckets[0] += empty;
        *f.sum += row[f.what].sum.value();
        *f.max = std::max(*f.max, row[f.what].max.value());
    }
    to.phases += row.phases.value();
    to.empty_phases += empty;
}

/// Clears the histograms that lack buckets: quantiles of a part would be wrong, and of none are not known.
inline void drop_cut(phase_cost_stats& of, histograms_cut const& cut) noexcept
{
    std::array<quarter_histogram*, cost_count> const all{&of.objects, &of.bytes, &of.peak_bytes, &of.wall_ns};
    for (std::size_t c = 0; c < cost_count; ++c)
        if (cut[c])
            *all[c] = {};
}

/// The names of labels by the numbers that costs are counted under; empty for an unused one. `names`: those of the buckets.
template <class Heap> std::vector<std::string> cost_label_names(Heap const& heap, std::vector<std::string> names)
{
    std::uint32_t const further =
        std::min(heap.stats().further_labels_used.load(std::memory_order_acquire), most_further_labels);
    names.resize(label_buckets + further);
    heap.for_each_further_names([&](std::uint32_t first, further_label_names const& of) {
        for (std::uint32_t i = 0; i < of.size(); ++i)
            if (std::uint64_t const n = std::uint64_t{first} + i; n < further)
                names[label_buckets + n] = of[i].read().view();
    });
    return names;
}

/// Sets the costs of a snapshot whose times are set. `names`: of the labels that have a bucket.
template <class Heap> void add_costs(Heap const& heap, snapshot& s, std::vector<std::string> names)
{
    constexpr std::uint32_t most = label_buckets + most_further_labels;
    std::vector<std::uint32_t> place_of(most);   // in s.phase_costs, from 1
    std::vector<largest_phase> largest;
    std::vector<histograms_cut> cut;
    std::vector<std::uint32_t> numbers;
    heap.for_each_cost_row([&](cost_row const& row, auto group) {
        std::uint32_t const number = row.label;
        if (number >= most)
            return;
        if (place_of[number] == 0) {
            s.phase_costs.emplace_back();
            largest.emplace_back();
            cut.emplace_back();
            numbers.push_back(number);
            place_of[number] = static_cast<std::uint32_t>(s.phase_costs.size());
        }
        std::size_t const at = place_of[number] - 1;
        add_cost_row(s.phase_costs[at], cut[at], row, group);
        if (largest_phase const one = read_largest(row); one.bytes > largest[at].bytes)
            largest[at] = one;
    });
    names = cost_label_names(heap, std::move(names));   // after the rows: a row has a number that has a name
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        phase_cost_stats& c = s.phase_costs[i];
        drop_cut(c, cut[i]);
        c.label_id = std::min(numbers[i], label_buckets - 1);
        if (numbers[i] < names.size())
            c.label = names[numbers[i]];
        if (largest[i].bytes == 0)
            continue;
        std::uint64_t const age = s.monotonic_ns > largest[i].ended_ns ? s.monotonic_ns - largest[i].ended_ns : 0;
        c.largest_timestamp_ns = s.timestamp_ns > age ? s.timestamp_ns - age : 0;
        c.largest_at = entry_of(heap.place(largest[i].place));
    }
    std::erase_if(s.phase_costs, [](phase_cost_stats const& c) { return c.phases == 0 || c.label.empty(); });
    std::ranges::sort(s.phase_costs, {}, [](phase_cost_stats const& c) { return std::pair{c.label_id, c.label}; });
}

}
