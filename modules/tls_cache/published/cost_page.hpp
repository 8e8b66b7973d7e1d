// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a thread publishes of the costs of phases, by label: stats pages, see stats_page.hpp. Written by the thread alone.
#pragma once

export namespace tslab {

/// Costs of phases of one label that a thread ended, by size: a part of a histogram. Made when the first one is counted.
struct alignas(64) cost_buckets {
    static constexpr std::size_t size = 16;
    static constexpr std::size_t groups = quarter_histogram::bucket_count / size;

    std::array<counter, size> counts;
};
static_assert(cost_buckets::groups * cost_buckets::size == quarter_histogram::bucket_count);

/// What the phases of one label cost that a thread ended. Made when the first of them ends. What the end of a phase
/// without allocations writes comes first, in one line, but for its bucket.
struct alignas(64) cost_row {
    struct sum_and_max {
        counter sum;
        counter max;

        inline void note(std::uint64_t amount) noexcept
        {
            sum.add(amount);
            max.raise(amount);
        }
    };

    atomic<cost_row*> next{nullptr};    ///< the thread's next older one
    std::uint32_t label = 0;            ///< number of the label: a bucket's, or label_buckets and more for further ones
    atomic<std::uint32_t> version{0};   ///< of the figures of the largest phase: odd while the thread changes them
    counter phases;
    counter empty;   ///< those that allocated nothing; they are in no bucket of objects, bytes or peaks
    std::array<sum_and_max, cost_count> figures;   ///< from the last one of `cost` to the first
    atomic<std::uint64_t> largest_bytes{0};        ///< of the phase that allocated most
    atomic<std::uint64_t> largest_ns{0};           ///< when it ended, now_ns_coarse
    atomic<std::uint32_t> largest_place{0};        ///< the source place that entered it: see source_places
    std::array<std::array<atomic<cost_buckets*>, cost_buckets::groups>, cost_count>
        buckets{};   ///< null: nothing counted; in no segment: counted where readers outside do not see it

    [[nodiscard]] inline sum_and_max& operator[](cost c) noexcept
    {
        return figures[cost_count - 1 - static_cast<std::size_t>(c)];
    }
    [[nodiscard]] inline sum_and_max const& operator[](cost c) const noexcept
    {
        return figures[cost_count - 1 - static_cast<std::size_t>(c)];
    }
};

}
