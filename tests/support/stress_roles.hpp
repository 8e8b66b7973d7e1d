// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The parts threads play in the stress tests. Each works on a bench until it is told to stop, and leaves no object
// behind but those it gave to the bench's exchange. Include it after every other header: it imports tslab.
#pragma once

#include "stress.hpp"

namespace stress {

/// Mostly small sizes, many of them tiny; now and then one of the larger classes, or a large one.
inline std::size_t mixed_size(random_source& r)
{
    std::size_t const k = below(r, 1000);
    if (k < 1)
        return 65'537 + below(r, 60'000);
    if (k < 4)
        return 769 + below(r, 64'768);
    if (k < 20)
        return 769 + below(r, 4'000);
    if (k < 100)
        return 700 + below(r, 69);
    return 1 + below(r, k < 400 ? 48 : 768);
}

/// Allocates and frees in random order, hands some objects to other threads and frees some of theirs.
inline void interleave(bench& b, random_source& r, std::size_t (*size)(random_source&) = mixed_size)
{
    std::vector<object> mine;
    object o;
    while (b.going()) {
        std::size_t const k = below(r, 100);
        if (k < 50) {
            if (b.allocate(o, size(r), r))
                mine.push_back(o);
        } else if (k < 94 && !mine.empty()) {
            std::swap(mine[below(r, mine.size())], mine.back());
            b.free(mine.back());
            mine.pop_back();
        } else if (k < 97 && !mine.empty()) {
            if (b.late.give(mine.back()))
                mine.pop_back();
        } else if (b.late.take(o, r)) {
            b.free(o);
        }
        while (mine.size() > 2000) {
            b.free(mine.back());
            mine.pop_back();
        }
    }
    for (object const& left : mine)
        b.free(left);
}

/// Allocates many, then frees all of them: first in first out, last in first out, or shuffled.
inline void bulk(bench& b, random_source& r)
{
    std::vector<object> mine;
    object o;
    while (b.going()) {
        std::size_t const n = 1 + below(r, 3000);
        while (mine.size() < n && b.allocate(o, mixed_size(r), r))
            mine.push_back(o);
        switch (below(r, 3)) {
        case 0: std::reverse(mine.begin(), mine.end()); break;
        case 1: std::shuffle(mine.begin(), mine.end(), r); break;
        default: break;
        }
        for (object const& each : mine)
            b.free(each);
        mine.clear();
    }
}

/// Requests: a scope each, most objects freed through it, some late and elsewhere.
inline void requests(bench& b, random_source& r, std::size_t depth = 1)
{
    static constexpr std::array<char const*, 4> routes{"GET /a", "GET /b", "POST /c", "other"};
    std::vector<object> mine;
    object o;
    while (b.going()) {
        tslab::epoch_scope const scope{b.heap, routes[below(r, routes.size())]};
        b.done.scopes.fetch_add(1, std::memory_order_relaxed);
        for (std::size_t i = 0, n = below(r, 200); i < n && b.allocate_from(*scope.resource(), o, mixed_size(r), r);
             ++i)
            mine.push_back(o);
        if (depth > 1 && below(r, 4) == 0) {
            tslab::epoch_scope const inner{b.heap, "inner"};
            for (int i = 0; i < 20 && b.allocate_from(*inner.resource(), o, mixed_size(r), r); ++i)
                b.free_into(*inner.resource(), o);
        }
        bool const leaves_some = below(r, 8) == 0;
        for (object const& each : mine)
            if (!leaves_some || below(r, 4) != 0 || !b.late.give(each))
                b.free_into(*scope.resource(), each);
        mine.clear();
    }
}

/// Frees what others left behind.
inline void late_frees(bench& b, random_source& r)
{
    object o;
    while (b.going()) {
        if (b.late.take(o, r))
            b.free(o);
        else
            std::this_thread::yield();
    }
}

/// Advances and closes, again and again; sometimes closes twice, later, or only takes back what is empty. Where the machine is
/// busy with other things it may come late, and does its least afterwards.
inline void closer(bench& b, random_source& r)
{
    constexpr int least_rounds = 30;
    std::array<tslab::epoch_id, 4> past{};
    for (int round = 0; b.going() || round < least_rounds; ++round) {
        tslab::epoch_id const e = b.heap.current_epoch();
        if (below(r, 2) == 0)
            b.heap.advance();
        if (below(r, 4) != 0)
            b.heap.close(e);
        b.done.closes.fetch_add(1, std::memory_order_relaxed);
        past[below(r, past.size())] = e;
        b.heap.close(past[below(r, past.size())]);
        if (below(r, 4) == 0)
            b.heap.trim(b.heap.current_epoch());
        std::this_thread::sleep_for(std::chrono::microseconds(below(r, 400)));
    }
}

inline void trimmer(bench& b, random_source& r)
{
    while (b.going()) {
        if (below(r, 4) == 0)
            b.heap.trim();
        else
            b.heap.trim(b.heap.current_epoch());
        std::this_thread::sleep_for(std::chrono::microseconds(below(r, 1000)));
    }
}

/// Takes snapshots without a pause. What it can say of a busy heap it checks: no gauge has wrapped below zero.
inline void snapshots(bench& b, random_source&)
{
    while (b.going()) {
        tslab::snapshot const s = b.heap.snapshot();
        std::uint64_t const absurd = std::uint64_t{1} << 40;
        bool bad = s.global.live_objects > absurd || s.global.live_bytes > absurd || s.global.slabs_in_use > absurd;
        for (tslab::epoch_stats const& e : s.epochs)
            bad = bad || e.refcount > 100'000 || e.live_objects > absurd || e.label.size() > 31;
        b.done.bad.fetch_add(bad ? 1 : 0, std::memory_order_relaxed);
    }
}

/// Short threads, each of which leaves objects behind for others to free.
inline void churn(bench& b, random_source& r)
{
    while (b.going()) {
        std::uint64_t const seed = r();
        std::thread{[&b, seed] {
            random_source mine{seed};
            object o;
            for (std::size_t i = 0, n = below(mine, 60); i < n; ++i)
                if (b.allocate(o, mixed_size(mine), mine) && (below(mine, 3) != 0 || !b.late.give(o)))
                    b.free(o);
            if (b.late.take(o, mine))
                b.free(o);
        }}.join();
        b.done.threads.fetch_add(1, std::memory_order_relaxed);
    }
}

}
