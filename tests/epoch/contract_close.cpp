// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The contract of docs/semantics.md, rules 1 to 4: allocation into a closing epoch, advance, close, and what close reports. At
// least one case for each rule fails if the rule is broken. The units' own tests are more detailed; these state what a user may
// rely on.
#define BOOST_TEST_MODULE contract_close
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <memory_resource>
#include <new>
#include <optional>
#include <random>
#include <set>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::scaled;
using support::stats_of;

namespace {

std::uintptr_t page_of(void const* p) { return reinterpret_cast<std::uintptr_t>(p) / tslab::page_bytes; }

}

BOOST_AUTO_TEST_CASE(rule_01_allocation_into_a_closing_epoch_is_refused_and_counted)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    void* const live = heap.malloc(120, e);
    BOOST_REQUIRE(live != nullptr);
    heap.advance();
    BOOST_TEST(!heap.is_active(e));

    auto const before = heap.snapshot();
    BOOST_TEST(heap.malloc(120, e) == nullptr);
    BOOST_TEST(heap.malloc(120, e) == nullptr);
    BOOST_TEST(heap.malloc(5000, e) == nullptr);
    BOOST_TEST(heap.malloc(10, e) == nullptr);
    BOOST_TEST(heap.malloc(70'000, e) == nullptr);
    tslab::handle h{77};
    BOOST_TEST(heap.allocate(700, e, h) == nullptr);
    BOOST_TEST(!h);
    on_other_thread([&] { BOOST_TEST(heap.malloc(64, e) == nullptr); });

    auto const after = heap.snapshot();
    BOOST_TEST(after.global.slow_path_epoch_closed - before.global.slow_path_epoch_closed == 7u);
    BOOST_TEST(after.classes[2].slow_path_epoch_closed == 2u);   // 120 bytes
    for (std::size_t const n : {5000u, 10u, 70'000u})
        BOOST_TEST(after.classes[tslab::class_of(n, 1)].slow_path_epoch_closed == 1u);
    BOOST_TEST(after.classes[7].slow_path_epoch_closed == 1u);
    BOOST_TEST(after.classes[0].slow_path_epoch_closed == 1u);
    BOOST_TEST(after.global.out_of_memory == 0u);
    BOOST_TEST(after.global.allocations == before.global.allocations);
    heap.free(live);
}

BOOST_AUTO_TEST_CASE(rule_01_a_resource_of_a_closed_epoch_throws_epoch_closed_which_is_a_bad_alloc)
{
    static_assert(std::is_base_of_v<std::bad_alloc, tslab::epoch_closed>);
    tslab::allocator heap;
    tslab::epoch_resource r{heap, {.label = "phase"}};
    void* const p = r.allocate(100);
    heap.close(r.epoch());
    auto const names_the_phase = [](tslab::epoch_closed const& e) {
        return std::string_view{e.what()} == "tslab: allocation in the closed epoch \"phase\"";
    };
    BOOST_CHECK_EXCEPTION((void)r.allocate(100), tslab::epoch_closed, names_the_phase);
    BOOST_CHECK_EXCEPTION((void)r.allocate(100'000), tslab::epoch_closed, names_the_phase);
    std::pmr::memory_resource& base = r;
    BOOST_CHECK_THROW((void)base.allocate(8), std::bad_alloc);
    on_other_thread([&] { BOOST_CHECK_THROW((void)r.allocate(100), tslab::epoch_closed); });
    BOOST_TEST(heap.snapshot().global.slow_path_epoch_closed == 4u);
    r.deallocate(p, 100);
}

BOOST_AUTO_TEST_CASE(rule_02_advance_closes_the_current_epoch_and_opens_the_next_slot_without_a_system_call)
{
    support::os_hook hook;
    tslab::allocator heap{{.epoch_count = 8, .reclaim = tslab::reclaim_policy::eager}};
    std::set<std::uint64_t> eras;
    for (int i = 0; i < 100; ++i) {
        tslab::epoch_id const old = heap.current_epoch();
        eras.insert(old.era);
        for (int k = 0; k < 20; ++k)
            heap.free(heap.malloc(static_cast<std::size_t>(k) * 40, old));
        auto const calls = hook.commits + hook.purges + hook.reserves + hook.releases;
        tslab::epoch_id const now = heap.advance();
        BOOST_TEST(hook.commits + hook.purges + hook.reserves + hook.releases == calls);
        BOOST_TEST((now == heap.current_epoch()));
        BOOST_TEST(now.era > old.era);
        BOOST_TEST(heap.is_active(now));
        BOOST_TEST(!heap.is_active(old));
        heap.close(old);
    }
    BOOST_TEST(eras.size() == 100u);
    BOOST_TEST(heap.snapshot().global.epoch_advances == 100u);
}

BOOST_AUTO_TEST_CASE(rule_02_no_allocation_of_the_new_phase_lands_in_a_page_of_an_old_one)
{
    tslab::allocator heap{{.epoch_count = 4}};
    std::set<std::uintptr_t> occupied;   // pages with a live object of an earlier phase
    std::vector<void*> live;
    for (int phase = 0; phase < 12; ++phase) {
        std::vector<void*> mine;
        for (int i = 0; i < 500; ++i) {
            void* const p = heap.malloc(120);
            BOOST_REQUIRE(p != nullptr);
            if (phase < 3)   // later no slot is free, and the new epoch is shared
                BOOST_TEST(!occupied.contains(page_of(p)));
            mine.push_back(p);
        }
        for (std::size_t i = 0; i < mine.size(); ++i)
            if (phase < 3 && i % 10 == 0) {
                occupied.insert(page_of(mine[i]));
                live.push_back(mine[i]);
            } else {
                heap.free(mine[i]);
            }
        tslab::epoch_id const old = heap.current_epoch();
        heap.advance();
        if (phase < 3)
            heap.close(old);
    }
    for (void* p : live)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(rule_02_slots_with_live_objects_are_skipped_and_an_exhausted_ring_shares_and_counts)
{
    tslab::allocator heap{{.epoch_count = 4}};
    std::vector<void*> live;
    std::set<std::uint32_t> used;
    for (int i = 0; i < 3; ++i) {
        used.insert(heap.current_epoch().index);
        live.push_back(heap.malloc(64));
        tslab::epoch_id const old = heap.current_epoch();
        heap.advance();
        heap.close(old);
    }
    tslab::epoch_id const last = heap.current_epoch();
    used.insert(last.index);
    BOOST_TEST(used.size() == 4u);
    live.push_back(heap.malloc(64));
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
    BOOST_TEST((heap.advance() == last));
    BOOST_TEST(heap.is_active(last));
    {
        tslab::epoch_scope shared{heap, "newcomer"};
        BOOST_TEST((shared.epoch() == last));
        BOOST_TEST(shared.domain().shares_epoch());
    }
    BOOST_TEST(heap.is_active(last));   // a scope that shares does not close what it shares
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 2u);
    heap.free(live[1]);   // that slot is free again
    BOOST_TEST((heap.advance() != last));
    for (std::size_t i : {0u, 2u, 3u})
        heap.free(live[i]);
}

BOOST_AUTO_TEST_CASE(rule_03_close_takes_back_every_empty_slab_also_of_idle_threads)
{
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    tslab::epoch_id const e = heap.current_epoch();
    std::array<support::worker, 4> workers;
    std::array<std::vector<void*>, 4> given;
    for (std::size_t w = 0; w < workers.size(); ++w)
        workers[w]([&, w] {
            for (std::size_t i = 0; i < 400; ++i)
                given[w].push_back(heap.malloc(1 + i * 7 % 768, e));
        });
    // Each frees what another one allocated, then all of them idle.
    for (std::size_t w = 0; w < workers.size(); ++w)
        workers[w]([&, w] {
            for (void* p : given[(w + 1) % 4])
                heap.free(p);
        });
    std::uint64_t const slabs = stats_of(heap, e).slabs;
    BOOST_TEST(slabs > 50u);
    BOOST_TEST(stats_of(heap, e).live_objects == 0u);
    heap.advance();
    tslab::close_report const r = heap.close(e);
    BOOST_TEST(r.found);
    BOOST_TEST(r.closed);
    BOOST_TEST(r.drained);
    BOOST_TEST(r.deferred_claims == 0u);
    BOOST_TEST(r.recycled_slabs == slabs);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    for (auto const& v : given)
        for (void* p : v)
            BOOST_TEST(tslab::resident_bytes(p, 1) == 0u);
}

BOOST_AUTO_TEST_CASE(rule_03_live_objects_stay_valid_and_the_last_free_takes_the_slab_back)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    std::vector<std::pair<unsigned char*, std::size_t>> all;
    for (std::size_t i = 0; i < 1000; ++i) {
        std::size_t const n = 1 + i * 31 % 768;
        auto* const p = static_cast<unsigned char*>(heap.malloc(n, e));
        std::memset(p, static_cast<int>(i & 0xff), n);
        all.emplace_back(p, n);
    }
    tslab::close_report const r = heap.close(e);
    BOOST_TEST(r.closed);
    BOOST_TEST(!r.drained);
    std::vector<void*> later;
    for (int i = 0; i < 5000; ++i)
        later.push_back(std::memset(heap.malloc(200), 0xee, 200));
    std::uint64_t slabs = stats_of(heap, e).slabs;
    for (std::size_t i = 0; i < all.size(); ++i) {
        bool good = true;
        for (std::size_t b = 0; b < all[i].second; ++b)
            good = good && all[i].first[b] == (i & 0xff);
        BOOST_TEST(good);
        heap.free(all[i].first);
        if (i % 100 == 0) {
            auto const now = stats_of(heap, e);
            BOOST_TEST(now.empty_slabs == 0u);   // closed: an empty slab is gone at once
            BOOST_TEST(now.slabs <= slabs);
            slabs = now.slabs;
        }
    }
    auto const done = stats_of(heap, e);
    BOOST_TEST(done.slabs == 0u);
    BOOST_TEST((done.lifecycle == tslab::lifecycle::drained));
    BOOST_TEST(heap.snapshot().global.live_objects == later.size());
    for (void* p : later)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(
    rule_03_claims_of_a_live_resource_of_another_thread_are_counted_and_come_back_at_its_next_operation)
{
    tslab::allocator heap;
    support::worker owner;
    std::optional<tslab::epoch_resource> r;
    void* kept = nullptr;
    owner([&] {
        r.emplace(heap, tslab::resource_options{.label = "theirs"});
        kept = r->allocate(64);
        r->deallocate(r->allocate(500), 500);
    });
    tslab::close_report const c = heap.close(r->epoch());
    BOOST_TEST(c.closed);
    BOOST_TEST(c.deferred_claims == 1u);
    BOOST_TEST(!c.drained);
    BOOST_TEST(heap.snapshot().global.epoch_close_deferred == 1u);
    BOOST_TEST(stats_of(heap, r->epoch()).slabs == 2u);
    owner([&] { r->deallocate(kept, 64); });
    BOOST_TEST(stats_of(heap, r->epoch()).slabs == 0u);
    owner([&] { r.reset(); });
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
}

BOOST_AUTO_TEST_CASE(rule_03_close_is_safe_against_concurrent_allocation_free_advance_and_close)
{
    recorder const seen;
    tslab::allocator heap{{.epoch_count = 16}};
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> broken{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random{t};
            std::vector<unsigned char*> mine;
            while (!stop.load(std::memory_order_relaxed)) {
                if (auto* const p = static_cast<unsigned char*>(heap.malloc(16 + random() % 700))) {
                    p[0] = static_cast<unsigned char>(t + 1);
                    p[15] = static_cast<unsigned char>(t + 1);
                    mine.push_back(p);
                }
                if (mine.size() > 300 || random() % 2 == 0) {
                    if (mine.empty())
                        continue;
                    std::swap(mine[random() % mine.size()], mine.back());
                    broken += mine.back()[0] != t + 1 || mine.back()[15] != t + 1;
                    heap.free(mine.back());
                    mine.pop_back();
                }
            }
            for (auto* p : mine)
                heap.free(p);
        });
    for (std::size_t i = 0; i < scaled(3000); ++i) {
        tslab::epoch_id const e = heap.current_epoch();
        if (i % 2 == 0)
            heap.advance();
        heap.close(e);
    }
    stop = true;
    for (auto& t : threads)
        t.join();
    for (auto const& one : heap.snapshot().epochs)
        heap.close({one.index, one.era});
    auto const s = heap.snapshot();
    BOOST_TEST(broken == 0u);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(s.global.closing_epochs == 0u);
    BOOST_TEST(s.global.misuses == 0u);
    BOOST_TEST(s.global.epoch_opens == s.global.epoch_drains + 1);
}

BOOST_AUTO_TEST_CASE(rule_04_close_reports_slabs_nanoseconds_rss_and_madvise)
{
    support::os_hook hook;
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    tslab::epoch_id const e = heap.current_epoch();
    std::vector<void*> all;
    for (int i = 0; i < 4096; ++i)
        all.push_back(std::memset(heap.malloc(768, e), 1, 768));
    std::uint64_t const slabs = stats_of(heap, e).slabs;
    BOOST_TEST(slabs == (4096u + tslab::bins[7].slots - 1) / tslab::bins[7].slots);
    std::size_t const keep = 17;   // one slab stays
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i != keep)
            heap.free(all[i]);
    std::uint64_t const purged_before = hook.purge_bytes;
    std::uint64_t const calls_before = hook.purges;
    tslab::close_report const r = heap.close(e);
    BOOST_TEST((r.epoch == e));
    BOOST_TEST(r.closed);
    BOOST_TEST(!r.drained);
    BOOST_TEST(r.madvise_bytes == hook.purge_bytes - purged_before);
    BOOST_TEST(r.madvise_calls == hook.purges - calls_before);
    BOOST_TEST(r.madvise_failures == 0u);
    // The pages of the remaining slab that its object does not touch.
    auto const at =
        static_cast<std::size_t>(static_cast<std::byte*>(all[keep]) - heap.state().slab_at(all[keep])->base);
    std::size_t const touched = (at + 767) / tslab::page_bytes - at / tslab::page_bytes + 1;
    BOOST_TEST(r.madvise_bytes == slabs * tslab::bins[7].slab_bytes() - touched * tslab::page_bytes);
    BOOST_TEST(r.nanoseconds > 0u);
    BOOST_TEST(r.nanoseconds < 10'000'000'000u);
    BOOST_TEST(r.rss_before > 0u);
    if (!support::sanitized)
        BOOST_TEST(r.rss_before - r.rss_after >= r.madvise_bytes / 2);
    auto const s = heap.snapshot();
    auto const one = stats_of(s, e);
    BOOST_TEST(one.madvise_bytes == r.madvise_bytes);
    BOOST_TEST(one.rss_before_close == r.rss_before);
    BOOST_TEST(one.rss_after_close == r.rss_after);
    BOOST_TEST(s.global.epoch_close_recycled_slabs == r.recycled_slabs);
    BOOST_TEST(s.global.epoch_close_scanned_slabs == r.scanned_slabs);
    BOOST_TEST(s.global.epoch_close_total_ns == r.nanoseconds - r.purge_nanoseconds);
    BOOST_TEST(s.global.epoch_close_purge_ns == r.purge_nanoseconds);
    BOOST_TEST(r.purge_nanoseconds > 0u);
    BOOST_TEST(s.global.madvise_bytes == r.madvise_bytes);
    BOOST_TEST(s.global.madvise_calls == r.madvise_calls);
    heap.free(all[keep]);
}

BOOST_AUTO_TEST_CASE(rule_04_closing_an_empty_current_epoch_is_reported_as_done)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    tslab::close_report const r = heap.close(e);
    BOOST_TEST(r.found);
    BOOST_TEST(r.closed);
    BOOST_TEST(r.drained);
    BOOST_TEST((heap.current_epoch() != e));
    BOOST_TEST(!heap.is_active(e));
}
