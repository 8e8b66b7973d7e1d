// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Many phases with one survivor each hold little more than what lives, however their epochs end.
#define BOOST_TEST_MODULE survivors_of_phases
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "survivors.hpp"

using namespace std::chrono_literals;
using survivors::eager;
using survivors::purges;
using tslab::reclaim_policy;

namespace {

std::uint64_t rss()
{
    std::ifstream in{"/proc/self/smaps_rollup"};
    for (std::string word; in >> word;)
        if (word == "Rss:") {
            std::uint64_t kib = 0;
            in >> kib;
            return kib * 1024;
        }
    return 0;
}

enum class ends_by : std::uint8_t { close, exit, decay, trim };

struct held_bytes {
    std::uint64_t live = 0, slabs = 0, rss = 0;
};

/// Phases that each fill some slabs and leave one object; the sizes take turns.
held_bytes leave_survivors(std::vector<std::size_t> const& sizes, unsigned phases, ends_by how, reclaim_policy policy)
{
    tslab::allocator heap{{.name = "phases",
                           .epoch_count = 256,
                           .reclaim = policy,
                           .decay = how == ends_by::decay ? 1ms : 1h,
                           .publish = false}};
    std::vector<void*> survivors, all;
    survivors.reserve(phases);
    all.reserve(4096);
    std::uint64_t const before = rss();
    held_bytes held;
    for (unsigned i = 0; i < phases; ++i) {
        tslab::epoch_domain phase{heap};
        phase.enter();
        std::size_t const size = sizes[i % sizes.size()];
        for (std::size_t n = 0; n < tslab::bins[tslab::class_of(size)].slots; ++n) {
            all.push_back(heap.malloc(size, phase.epoch()));
            std::fill_n(static_cast<std::byte*>(all.back()), size, std::byte{1});
        }
        std::swap(all[i % all.size()], all.back());
        survivors.push_back(all.back());
        all.pop_back();
        held.live += size;
        for (void* const p : all)
            heap.free(p);
        all.clear();
        if (how == ends_by::close)
            phase.force_close();
        phase.exit();
    }
    if (how == ends_by::trim)
        heap.trim();
    auto const in_slabs = [&heap] {
        std::uint64_t bytes = 0;
        for (tslab::class_stats const& c : heap.snapshot().classes)
            bytes += *c.resident_bytes;
        return bytes;
    };
    // Ordinary work continues, and time passes.
    for (int i = 0; how == ends_by::decay && i < 500 && in_slabs() > 2 * held.live + (512U << 10); ++i) {
        std::this_thread::sleep_for(2ms);
        tslab::epoch_domain phase{heap};
        phase.enter();
        heap.free(heap.malloc(64, phase.epoch()));
        phase.exit();
    }
    held.slabs = in_slabs();
    held.rss = rss() - before;
    for (void* const p : survivors)
        heap.free(p);
    return held;
}

}

BOOST_AUTO_TEST_CASE(a_hundred_phases_with_one_survivor_each_hold_little_more_than_lives)
{
    if (tslab::allocator heap{eager()}; !purges(heap))
        return;
    struct row {
        char const* name;
        std::vector<std::size_t> sizes;
    };
    for (row const& of : {row{"2 KiB", {2048}}, row{"4 KiB", {4096}}, row{"16 KiB", {16384}}, row{"64 KiB", {65536}},
                          row{"mixed", {2048, 4096, 16384, 65536, 256, 768, 3072, 12288, 49152}}}) {
        auto const print = [&of](char const* how, held_bytes const& h) {
            std::printf(
                "100 survivors of %-6s %-28s live %7.0f KiB, in their slabs %7.0f KiB (%5.2f), grown by %7.0f KiB\n",
                of.name, how, static_cast<double>(h.live) / 1024, static_cast<double>(h.slabs) / 1024,
                static_cast<double>(h.slabs) / static_cast<double>(h.live), static_cast<double>(h.rss) / 1024);
        };
        print("never given back", leave_survivors(of.sizes, 100, ends_by::exit, reclaim_policy::never));
        struct way {
            ends_by how;
            reclaim_policy policy;
            char const* name;
        };
        for (auto const& [how, policy, name] : {way{ends_by::exit, reclaim_policy::eager, "the last exit, eager"},
                                                way{ends_by::decay, reclaim_policy::cached, "some time after it"},
                                                way{ends_by::close, reclaim_policy::cached, "close"},
                                                way{ends_by::trim, reclaim_policy::never, "trim"}}) {
            held_bytes const h = leave_survivors(of.sizes, 100, how, policy);
            print(name, h);
            BOOST_TEST(h.slabs <= 2 * h.live + (512U << 10));
#if !defined(TSLAB_SANITIZED)   // a sanitizer's own memory is resident as well
            BOOST_TEST(h.rss <= 2 * h.live + (2U << 20));
#endif
        }
    }
}
