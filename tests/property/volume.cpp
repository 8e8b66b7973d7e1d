// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Long random sequences, for the sake of their volume. Allocations and deallocations of every size and alignment against a
// map of intervals: no overlap, alignment
// honoured, contents kept, live counts exact; and nothing resident once all is drained and closed. Seeded; the seed is
// printed when something is wrong, and may be given as TSLAB_SEED.
#define BOOST_TEST_MODULE property_volume
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <memory_resource>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "interval_map.hpp"
#include "recorder.hpp"

using support::recorder;
using support::scaled;
using support::stats_of;

namespace {

using objects = property::interval_map<std::size_t>;   // by the resource they came from

class model {
public:
    explicit model(std::uint64_t seed) : random{seed} {}

    std::size_t size()
    {
        switch (random() % 16) {
        case 0: return random() % 4;
        case 1: return 700 + random() % 140;   // around the largest class
        case 2: return random() % 20'000;
        case 3: return 4096 * (1 + random() % 20) + random() % 3 - 1;
        case 4: return random() % 4 == 0 ? random() % 300'000 : 64;
        default: return random() % 769;
        }
    }
    std::size_t alignment() { return std::size_t{1} << (random() % 3 == 0 ? random() % 17 : random() % 5); }

    void add(void* p, std::size_t bytes, std::size_t alignment, std::size_t resource)
    {
        char const* const wrong = all.add(p, {bytes, alignment, static_cast<unsigned char>(random()), resource});
        BOOST_REQUIRE_MESSAGE(wrong == nullptr, wrong);
    }
    void check(objects::iterator at) const { BOOST_REQUIRE(objects::intact(*at)); }
    auto pick()
    {
        auto at = live.lower_bound(live.begin()->first + random() % (std::uintptr_t(live.rbegin()->first) -
                                                                     std::uintptr_t(live.begin()->first) + 1));
        return at == live.end() ? live.begin() : at;
    }

    std::mt19937_64 random;
    objects all;
    objects::map& live = all.live();
};

std::uint64_t seed_for(std::uint64_t standard)
{
    char const* const given = std::getenv("TSLAB_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 0) : standard;
}

}

BOOST_AUTO_TEST_CASE(resources_agree_with_an_interval_map)
{
    for (std::uint64_t standard : {1u, 2u, 3u}) {
        std::uint64_t const seed = seed_for(standard);
        BOOST_TEST_CONTEXT("TSLAB_SEED=" << seed)
        {
            recorder const seen;
            tslab::allocator heap{{.epoch_count = 64, .reclaim = tslab::reclaim_policy(seed % 3)}};
            model m{seed};
            std::vector<std::unique_ptr<tslab::epoch_resource>> resources(8);
            std::vector<std::uint64_t> count(8);
            support::worker other;
            for (auto& r : resources)
                r = std::make_unique<tslab::epoch_resource>(heap);
            for (std::size_t step = 0; step < scaled(40'000); ++step) {
                std::size_t const w = m.random() % resources.size();
                bool const elsewhere = m.random() % 50 == 0;
                auto const here_or_there = [&](auto f) {
                    if (elsewhere)
                        other(f);
                    else
                        f();
                };
                if (m.live.size() < 1500 && m.random() % 100 < 52) {
                    std::size_t const n = m.size();
                    std::size_t const alignment = m.alignment();
                    void* p = nullptr;
                    here_or_there([&] { p = resources[w]->allocate(n, alignment); });
                    m.add(p, n, alignment, w);
                    ++count[w];
                } else if (!m.live.empty()) {
                    auto const at = m.pick();
                    m.check(at);
                    auto const p = at->first;
                    auto const i = at->second;
                    here_or_there([&] { resources[i.tag]->deallocate(p, i.bytes, i.alignment); });
                    --count[i.tag];
                    m.live.erase(at);
                }
                if (step % 997 == 0) {
                    BOOST_REQUIRE(resources[w]->release() == count[w]);
                    std::erase_if(m.live, [&](auto const& one) { return one.second.tag == w; });
                    count[w] = 0;
                }
                if (step % 503 == 0)
                    heap.trim(resources[w]->epoch());
                if (step % 2003 == 0)
                    heap.trim();
                if (step % 1000 == 0) {
                    auto const s = heap.snapshot();
                    BOOST_REQUIRE(s.global.live_objects == m.live.size());
                    std::uint64_t bytes = 0;
                    for (auto const& [p, i] : m.live) {
                        unsigned const c = tslab::class_of(i.bytes, i.alignment);
                        bytes += c == tslab::large_class ? i.bytes : tslab::class_sizes[c];
                    }
                    BOOST_REQUIRE(s.global.live_bytes == bytes);
                    for (std::size_t r = 0; r < resources.size(); ++r)
                        BOOST_REQUIRE(stats_of(s, resources[r]->epoch()).live_objects == count[r]);
                }
            }
            for (auto at = m.live.begin(); at != m.live.end(); ++at) {
                m.check(at);
                resources[at->second.tag]->deallocate(at->first, at->second.bytes, at->second.alignment);
            }
            resources.clear();
            BOOST_TEST(heap.snapshot().global.live_objects == 0u);
            BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
            BOOST_TEST(heap.snapshot().global.large_pages == 0u);
            BOOST_TEST(seen.count() == 0u);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_drained_and_closed_is_not_resident_when_eager)
{
    for (std::uint64_t standard : {11u, 12u}) {
        std::uint64_t const seed = seed_for(standard);
        BOOST_TEST_CONTEXT("TSLAB_SEED=" << seed)
        {
            tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
            model m{seed};
            std::uintptr_t low = ~std::uintptr_t{0}, high = 0;
            for (int round = 0; round < 3; ++round) {
                auto const e = heap.current_epoch();
                std::optional<tslab::epoch_resource> r;
                r.emplace(heap);
                for (std::size_t i = 0; i < scaled(3000); ++i) {
                    std::size_t const n = m.size();
                    std::size_t const alignment = m.alignment();
                    bool const raw = alignment <= tslab::fast_alignment && i % 2 == 0;
                    void* const p = raw ? heap.malloc(n, e) : r->allocate(n, alignment);
                    m.add(p, n, alignment, raw ? 1 : 0);
                    low = std::min(low, reinterpret_cast<std::uintptr_t>(p));
                    high = std::max(high, reinterpret_cast<std::uintptr_t>(p) + n);
                }
                for (auto const& [p, i] : m.live)
                    if (i.tag == 1)
                        heap.free(p);
                    else
                        r->deallocate(p, i.bytes, i.alignment);
                m.live.clear();
                r.reset();
                BOOST_TEST(heap.close(e).drained);
                BOOST_TEST(tslab::resident_bytes(reinterpret_cast<void*>(low), high - low) == 0u);
                BOOST_TEST(heap.snapshot().global.free_resident_pages == 0u);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(phases_come_and_go_and_survivors_stay_whole)
{
    std::uint64_t const seed = seed_for(21);
    BOOST_TEST_CONTEXT("TSLAB_SEED=" << seed)
    {
        recorder const seen;
        tslab::allocator heap{{.epoch_count = 16}};
        model m{seed};
        for (std::size_t phase = 0; phase < scaled(300); ++phase) {
            auto const e = heap.current_epoch();
            for (int i = 0; i < 100; ++i) {
                std::size_t const n = m.size();
                if (void* const p = heap.malloc(n, e))
                    m.add(p, n, 1, 0);
            }
            while (!m.live.empty() && m.random() % 105 != 0) {   // a few survive their phase
                auto const at = m.pick();
                m.check(at);
                heap.free(at->first);
                m.live.erase(at);
            }
            if (m.random() % 2 == 0)
                heap.advance();
            heap.close(e);
            BOOST_REQUIRE(heap.snapshot().global.live_objects == m.live.size());
        }
        for (auto at = m.live.begin(); at != m.live.end(); ++at) {
            m.check(at);
            heap.free(at->first);
        }
        heap.close(heap.current_epoch());
        auto const s = heap.snapshot();
        BOOST_TEST(s.global.slabs_in_use == 0u);
        BOOST_TEST(s.global.closing_epochs == 0u);
        BOOST_TEST(s.global.frees == s.global.allocations);
        BOOST_TEST(seen.count() == 0u);
    }
}
