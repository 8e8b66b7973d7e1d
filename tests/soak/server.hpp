// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A server's day: requests under labels on workers, objects that outlive their request and are freed much later by another thread,
// short threads, epochs that advance, snapshots from inside. At every interval the workers stop for a moment, and the figures must be
// exactly those the program counted itself. Include it last: it imports tslab.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "crossing.hpp"
#include "stress.hpp"
#include "tally.hpp"

namespace soak {

using clock_type = std::chrono::steady_clock;
using stress::below;
using stress::object;
using stress::random_source;

inline constexpr double mib = 1 << 20;

/// Objects that outlive their request, each until its time has come.
class late_objects {
public:
    void hold(object const& o, clock_type::time_point until)
    {
        std::lock_guard const guard{lock_};
        held_.push_back({until, o});
    }
    [[nodiscard]] std::optional<object> due(clock_type::time_point now)
    {
        std::lock_guard const guard{lock_};
        if (held_.empty() || held_.front().until > now)
            return {};
        object const o = held_.front().what;
        held_.pop_front();
        return o;
    }
    [[nodiscard]] std::size_t size()
    {
        std::lock_guard const guard{lock_};
        return held_.size();
    }

private:
    struct entry {
        clock_type::time_point until;
        object what;
    };
    std::mutex lock_;
    std::deque<entry> held_;   // nearly in the order of their times, which is enough
};

inline std::size_t size_of_object(random_source& r)
{
    std::size_t const k = below(r, 1000);
    if (k < 2)
        return 65'537 + below(r, 100'000);
    if (k < 30)
        return 1'025 + below(r, 16'000);
    return 1 + below(r, k < 500 ? 64 : 1024);
}

class server {
public:
    explicit server(settings const& s) : given_{s} {}

    void run_worker(unsigned number)
    {
        random_source r{given_.seed + number};
        while (!stop_.load(std::memory_order_relaxed)) {
            crossing_.pass();
            if (below(r, 10) == 0)
                raw_request(r);
            else
                scoped_request(r, 1);
            counted.requests.fetch_add(1, std::memory_order_relaxed);
            while (std::optional<object> const o = late_.due(clock_type::now()))
                free(*o);
            if (below(r, 4) == 0)   // a server has time between requests
                std::this_thread::sleep_for(std::chrono::microseconds(below(r, 1500)));
        }
        crossing_.leave();
    }
    void run_churn()
    {
        random_source r{given_.seed + 1000};
        while (!stop_.load(std::memory_order_relaxed)) {
            crossing_.pass();
            std::thread{[this, seed = r()] {
                random_source own{seed};
                scoped_request(own, 1);
                raw_request(own);
            }}.join();
            counted.threads.fetch_add(1, std::memory_order_relaxed);
            std::this_thread::sleep_for(std::chrono::milliseconds(below(r, 10)));
        }
        crossing_.leave();
    }
    /// Phases of the raw calls: each gets an epoch, and the one before last is closed.
    void run_phases()
    {
        random_source r{given_.seed + 2000};
        std::array<tslab::epoch_id, 2> past{heap_.current_epoch(), heap_.current_epoch()};
        for (std::uint64_t i = 0; !stop_.load(std::memory_order_relaxed); ++i) {
            crossing_.pass();
            if (i % 20 == 0) {
                tslab::epoch_id const now = heap_.current_epoch();
                heap_.advance();
                heap_.close(past[0]);
                past = {past[1], now};
            }
            if (i % 500 == 0)
                heap_.trim();
            std::this_thread::sleep_for(std::chrono::milliseconds(5 + below(r, 10)));
        }
        crossing_.leave();
    }
    void run_snapshots()
    {
        looks all;
        while (!stop_.load(std::memory_order_relaxed)) {
            tslab::snapshot const s = heap_.snapshot({.residency = counted.snapshots.load() % 10 == 0});
            if (!all.possible(s.global) || s.epochs.size() > s.epoch_count)
                counted.impossible.fetch_add(1);
            counted.snapshots.fetch_add(1);
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }

    /// Runs for the time given. What was wrong; empty if nothing.
    std::string run()
    {
        begin_ = clock_type::now();
        std::FILE* const csv = given_.csv.empty() ? nullptr : std::fopen(given_.csv.c_str(), "w");
        if (!given_.csv.empty() && csv == nullptr)
            return "cannot write " + given_.csv;
        if (csv != nullptr)
            std::fputs(
                "seconds,requests,allocations,frees,live_objects,live_bytes,committed_bytes,metadata_bytes,rss_bytes,"
                "epochs_alive,threads_made,leaked_objects,snapshots,epochs_closed,madvise_bytes\n",
                csv);
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < given_.threads + 2; ++i)
            crossing_.join();
        for (unsigned i = 0; i < given_.threads; ++i)
            threads.emplace_back([this, i] { run_worker(i); });
        threads.emplace_back([this] { run_churn(); });
        threads.emplace_back([this] { run_phases(); });
        threads.emplace_back([this] { run_snapshots(); });
        std::string wrong;
        auto const end = begin_ + std::chrono::duration<double>(given_.seconds);
        for (auto next = begin_; wrong.empty() && clock_type::now() < end;) {
            next = std::min(
                next + std::chrono::duration_cast<clock_type::duration>(std::chrono::duration<double>(given_.interval)),
                std::chrono::time_point_cast<clock_type::duration>(end));
            std::this_thread::sleep_until(next);
            crossing_.close();
            wrong = look(csv);
            crossing_.open();
        }
        stop_.store(true);
        for (std::thread& t : threads)
            t.join();
        while (std::optional<object> const o = late_.due(clock_type::time_point::max()))
            free(*o);
        if (wrong.empty()) {
            stress::close_everything(heap_);
            wrong = stress::wrong_with(heap_);
        }
        if (csv != nullptr)
            std::fclose(csv);
        return wrong;
    }

    void print_summary(std::uint64_t observations) const
    {
        tslab::global_stats const g = heap_.snapshot().global;
        std::printf(
            "%.0f s, seed %llu, %u workers: %llu requests, %llu short threads, %llu allocations, %llu epochs closed, "
            "%llu objects that outlived their request, %llu snapshots, %llu observations from outside, %u checks; "
            "at most %.1f MiB live, %.1f MiB resident; at the end %llu objects, %llu slabs in use, %.1f MiB resident\n",
            std::chrono::duration<double>(clock_type::now() - begin_).count(), ull(given_.seed), given_.threads,
            ull(counted.requests), ull(counted.threads), ull(g.allocations), ull(g.epoch_closes), ull(counted.leaked),
            ull(counted.snapshots), ull(observations), checks_, static_cast<double>(most_live_) / mib,
            static_cast<double>(most_rss_) / mib, ull(g.live_objects), ull(g.slabs_in_use),
            static_cast<double>(g.rss_bytes) / mib);
    }

private:
    static unsigned long long ull(std::uint64_t n) { return n; }

    bool take(void* p, std::size_t size, random_source& r, object& o)
    {
        if (p == nullptr) {
            counted.refused.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        o = {static_cast<std::byte*>(p), size, r()};
        o.fill();
        counted.allocated.fetch_add(1, std::memory_order_relaxed);
        counted.live_bytes.fetch_add(size, std::memory_order_relaxed);
        return true;
    }
    void check(object const& o)
    {
        if (!o.intact())
            counted.foreign.fetch_add(1);
        counted.freed.fetch_add(1, std::memory_order_relaxed);
        counted.live_bytes.fetch_sub(o.size, std::memory_order_relaxed);
    }
    void free(object const& o)
    {
        check(o);
        heap_.free(o.p);
    }
    void keep(object const& o, random_source& r)
    {
        late_.hold(o, clock_type::now() + std::chrono::milliseconds(200 + below(r, 8000)));
    }

    void scoped_request(random_source& r, int depth)
    {
        static constexpr std::array<char const*, 6> routes{"GET /",  "GET /item", "POST /order",
                                                           "search", "login",     "report"};
        bool const leaves_some = below(r, 500) == 0;
        std::vector<object> mine;
        object o;
        tslab::epoch_scope const scope{heap_, routes[below(r, routes.size())]};
        for (std::size_t i = 0, n = 5 + below(r, 150); i < n; ++i) {
            std::size_t const size = size_of_object(r);
            if (take(scope.resource()->allocate(size), size, r, o))
                mine.push_back(o);
            if (!mine.empty() && below(r, 3) == 0) {
                std::swap(mine[below(r, mine.size())], mine.back());
                check(mine.back());
                scope.resource()->deallocate(mine.back().p, mine.back().size);
                mine.pop_back();
            }
        }
        if (depth > 0 && below(r, 5) == 0)
            scoped_request(r, depth - 1);
        for (object const& each : mine) {
            if (leaves_some && below(r, 10) == 0) {
                keep(each, r);
                continue;
            }
            check(each);
            scope.resource()->deallocate(each.p, each.size);
        }
    }
    void raw_request(random_source& r)
    {
        object o;
        std::size_t const size = size_of_object(r);
        if (take(heap_.malloc(size), size, r, o)) {
            if (below(r, 3) == 0)
                keep(o, r);
            else
                free(o);
        }
        tslab::handle h;
        if (void* const p = heap_.allocate(200, heap_.current_epoch(), h); take(p, 200, r, o)) {
            check(o);
            if (heap_.free(h) != tslab::free_result::ok || heap_.free(h) == tslab::free_result::ok)
                counted.handles.fetch_add(1);
        }
    }

    /// Everybody waits: every figure is what was counted.
    std::string look(std::FILE* csv)
    {
        tslab::snapshot const s = heap_.snapshot();
        tslab::global_stats const& g = s.global;
        std::string out;
        auto const expect = [&out](char const* what, std::uint64_t is, std::uint64_t should) {
            if (is != should)
                out += std::string{what} + " is " + std::to_string(is) + ", not " + std::to_string(should) + "; ";
        };
        auto const at_most = [&out](char const* what, std::uint64_t is, std::uint64_t most) {
            if (is > most)
                out += std::string{what} + " is " + std::to_string(is) + ", more than " + std::to_string(most) + "; ";
        };
        std::uint64_t const live = counted.allocated - counted.freed;
        ++checks_;
        expect("allocations", g.allocations, counted.allocated);
        expect("frees", g.frees, counted.freed);
        expect("live_objects", g.live_objects, live);
        expect("objects held", late_.size(), live);
        expect("domain_exits", g.domain_exits, g.domain_enters);
        expect("leaked_objects", g.leaked_objects, counted.leaked);
        expect("objects with foreign contents", counted.foreign, 0);
        expect("handles that were not freed exactly once", counted.handles, 0);
        expect("snapshots that cannot be", counted.impossible, 0);
        expect("misuses", counted.misused, 0);
        std::uint64_t of_epochs = 0;
        std::uint64_t of_classes = 0;
        for (tslab::epoch_stats const& e : s.epochs)
            of_epochs += e.live_objects;
        for (tslab::class_stats const& c : s.classes)
            of_classes += c.live_objects;
        expect("live_objects of all epochs", of_epochs, live);
        expect("live_objects of all classes", of_classes, live);
        at_most("bytes asked for", counted.live_bytes, g.live_bytes);
        // What caches and threads may keep is bounded; a survivor keeps its slab, and there are few survivors.
        std::uint64_t const kept = std::uint64_t{48} << 20;
        at_most("committed_bytes", g.committed_bytes, (g.slab_pages + g.large_pages) * s.page_size + kept);
        if (!sanitized)
            at_most("rss_bytes", g.rss_bytes, 8 * g.live_bytes + (std::uint64_t{128} << 20));
        at_most("epochs alive", g.active_epochs + g.closing_epochs, s.epoch_count);
        most_live_ = std::max(most_live_, g.live_bytes);
        most_rss_ = std::max(most_rss_, g.rss_bytes);
        if (csv != nullptr) {
            std::fprintf(csv, "%.3f", std::chrono::duration<double>(clock_type::now() - begin_).count());
            for (std::uint64_t const n :
                 {counted.requests.load(), g.allocations, g.frees, g.live_objects, g.live_bytes, g.committed_bytes,
                  g.metadata_bytes, g.rss_bytes, g.active_epochs + g.closing_epochs, counted.threads.load(),
                  g.leaked_objects, counted.snapshots.load(), g.epoch_closes, g.madvise_bytes})
                std::fprintf(csv, ",%llu", ull(n));
            std::fputc('\n', csv);
            std::fflush(csv);
        }
        return out;
    }

#if defined(TSLAB_SANITIZED)
    static constexpr bool sanitized = true;
#else
    static constexpr bool sanitized = false;
#endif

    settings given_;
    tslab::allocator heap_{{.name = "soak", .epoch_count = 1024}};
    crossing crossing_;
    late_objects late_;
    std::atomic<bool> stop_{false};
    clock_type::time_point begin_ = clock_type::now();
    std::uint64_t most_live_ = 0;
    std::uint64_t most_rss_ = 0;
    unsigned checks_ = 0;
};

}
