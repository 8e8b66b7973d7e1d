// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstdint>
module tslab.slab;

import tslab.stats;

namespace tslab {

void unit_list::relink(std::uint32_t before, std::uint32_t to) noexcept
{
    // release: a reader that follows the link sees the run it leads to.
    (before != 0 ? links_[before - 1].next : head_).store(to, std::memory_order_release);
}

void unit_list::set(std::uint32_t first, std::uint32_t count, std::uint32_t next) noexcept
{
    links_[first].count.store(count, std::memory_order_relaxed);
    links_[first].next.store(next, std::memory_order_relaxed);
}

void unit_list::insert(unit_run r) noexcept
{
    std::uint32_t before = 0;
    std::uint32_t at = head_.load(std::memory_order_relaxed);
    while (at != 0 && at - 1 < r.first) {
        before = at;
        at = links_[at - 1].next.load(std::memory_order_relaxed);
    }
    unit_run const behind = run_at(at);
    bool const joins_behind = behind.count != 0 && r.first + r.count == behind.first;
    std::uint32_t const next = joins_behind ? links_[behind.first].next.load(std::memory_order_relaxed) : at;
    if (joins_behind)
        r.count += behind.count;
    if (unit_run const ahead = run_at(before); ahead.count != 0 && ahead.first + ahead.count == r.first) {
        // In this order: a reader that sees the next run sees the count. release: and one that sees the count may read
        // the links of those units.
        links_[ahead.first].count.store(ahead.count + r.count, std::memory_order_release);
        links_[ahead.first].next.store(next, std::memory_order_release);
        return;
    }
    set(r.first, r.count, next);
    relink(before, r.first + 1);
}

void unit_list::erase(unit_run r) noexcept
{
    std::uint32_t before = 0;
    std::uint32_t at = head_.load(std::memory_order_relaxed);
    unit_run of = run_at(at);
    while (of.first + of.count <= r.first) {
        before = at;
        at = links_[at - 1].next.load(std::memory_order_relaxed);
        of = run_at(at);
    }
    std::uint32_t next = links_[of.first].next.load(std::memory_order_relaxed);
    if (std::uint32_t const rest = of.first + of.count - (r.first + r.count); rest != 0) {
        set(r.first + r.count, rest, next);
        next = r.first + r.count + 1;
    }
    if (of.first == r.first) {
        relink(before, next);
        return;
    }
    // In this order: a reader that sees the smaller count sees the link to the rest.
    links_[of.first].next.store(next, std::memory_order_release);
    links_[of.first].count.store(r.first - of.first, std::memory_order_release);
}

unit_run unit_list::first_fit(std::uint32_t count, std::uint32_t step) const noexcept
{
    for (std::uint32_t at = head_.load(std::memory_order_relaxed); at != 0;
         at = links_[at - 1].next.load(std::memory_order_relaxed)) {
        unit_run const r = run_at(at);
        std::uint32_t const skip = (step - r.first % step) % step;
        if (r.count >= skip && r.count - skip >= count)
            return {r.first + skip, count};
    }
    return {};
}

}
