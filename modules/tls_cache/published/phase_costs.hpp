// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What phases cost, by label: the rows of one thread, which counts the phases that it ends. A phase is an epoch up to the
// moment from which it serves no more allocations.
#pragma once

export namespace tslab {

/// A thread's costs of one label. The pointers are private; the counters are in the published row. Only for its thread,
/// in a fork-exclusion section; `row` and `group` are thread safe.
class label_costs {
public:
    /// Counts a phase. `place`: where it was entered. Returns false, and counts nothing, if there is no memory for a bucket.
    /// Constant time; a phase without allocations touches two lines of counters.
    [[nodiscard, gnu::always_inline]] inline bool note(thread_record& me, phase_cost const& c,
                                                       std::uint32_t place) noexcept
    {
        std::uint64_t const ns = of(c, cost::wall_ns);
        counter* const bucket = bucket_for(me, cost::wall_ns, ns);
        if (bucket == nullptr) [[unlikely]]
            return false;
        cost_row& r = *row_;
        if (std::uint64_t const objects = of(c, cost::objects); objects == 0)
            r.empty.add();
        else if (!note_used(me, place, objects, of(c, cost::bytes), of(c, cost::peak))) [[unlikely]]
            return false;
        r.phases.add();
        r[cost::wall_ns].note(ns);
        bucket->add();
        return true;
    }
    [[nodiscard]] inline cost_row const& row() const noexcept { return *row_; }
    /// A group of buckets; null if nothing was counted in it.
    [[nodiscard]] inline cost_buckets const* group(cost c, std::size_t g) const noexcept
    {
        return groups_[static_cast<std::size_t>(c)][g].load(std::memory_order_acquire);   // pairs with make_bucket
    }

private:
    friend struct thread_record;

    /// The bucket of an amount; null if its group was not made.
    [[nodiscard, gnu::always_inline]] inline counter* find_bucket(cost c, std::uint64_t amount) const noexcept
    {
        std::size_t const b = quarter_histogram::bucket_of(amount);
        cost_buckets* const there =
            groups_[static_cast<std::size_t>(c)][b / cost_buckets::size].load(std::memory_order_relaxed);
        return there != nullptr ? &there->counts[b % cost_buckets::size] : nullptr;
    }
    /// The same; makes the group, and returns null if there is no memory.
    [[nodiscard, gnu::always_inline]] inline counter* bucket_for(thread_record& me, cost c,
                                                                 std::uint64_t amount) noexcept
    {
        counter* const there = find_bucket(c, amount);
        if (there == nullptr) [[unlikely]]
            return make_bucket(me, c, quarter_histogram::bucket_of(amount));
        return there;
    }
    // By value: so a cost is in registers from the epoch to the counters.
    [[nodiscard, gnu::noinline]] bool note_used(thread_record& me, std::uint32_t place, std::uint64_t objects,
                                                std::uint64_t bytes, std::uint64_t peak) noexcept;
    // preserve_most: these rare calls must not make their callers save registers.
    [[gnu::cold, clang::preserve_most, gnu::visibility("hidden")]] void note_largest(std::uint64_t bytes,
                                                                                     std::uint32_t place) noexcept;
    [[nodiscard, gnu::cold, clang::preserve_most, gnu::visibility("hidden")]] counter*
    make_bucket(thread_record& me, cost c, std::size_t bucket) noexcept;

    cost_row* row_ = nullptr;   // set before the object is published
    std::array<std::array<std::atomic<cost_buckets*>, cost_buckets::groups>, cost_count> groups_{};
};

/// A thread's costs by number of label. Made when the first phase of a label ends.
struct cost_table {
    static constexpr std::uint32_t group_size = 64;
    using row_group = std::array<std::atomic<label_costs*>, group_size>;

    std::array<std::atomic<label_costs*>, label_buckets> of_bucket{};
    std::array<std::atomic<row_group*>, most_further_labels / group_size> further{};
    label_costs* spare = nullptr;   ///< made for a label whose row found no memory

    /// Null if there is none yet. Only for the thread.
    [[nodiscard]] inline label_costs* find(std::uint32_t label) const noexcept
    {
        if (label < label_buckets) [[likely]]
            return of_bucket[label].load(std::memory_order_relaxed);
        row_group const* const of = further[(label - label_buckets) / group_size].load(std::memory_order_relaxed);
        return of != nullptr ? (*of)[(label - label_buckets) % group_size].load(std::memory_order_relaxed) : nullptr;
    }
    /// Calls `visit(costs)` for each label. Thread safe.
    template <class F> void for_each(F visit) const
    {
        auto const all = [&visit](auto const& rows) {
            for (auto const& one : rows)
                if (label_costs const* const there = one.load(std::memory_order_acquire))   // pairs with make_costs
                    visit(*there);
        };
        all(of_bucket);
        for (auto const& group : further)
            if (row_group const* const there = group.load(std::memory_order_acquire))
                all(*there);
    }
};

}
