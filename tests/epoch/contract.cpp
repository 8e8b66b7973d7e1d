// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The contract, rule by rule: for each of the seventeen rules at least one case that fails if the rule is broken. The
// units' own tests are more detailed; these state what a user may rely on.
#define BOOST_TEST_MODULE contract
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <barrier>
#include <cstring>
#include <limits>
#include <map>
#include <memory_resource>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_map>

#include "os_hook.hpp"
#include "recorder.hpp"

#include <boost/container/pmr/vector.hpp>
import tslab.boost;

using support::on_other_thread;
using support::recorder;
using support::scaled;
using support::stats_of;
using tslab::misuse;

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
    BOOST_CHECK_THROW((void)r.allocate(100), tslab::epoch_closed);
    BOOST_CHECK_THROW((void)r.allocate(100'000), tslab::epoch_closed);
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
    BOOST_TEST(s.global.epoch_close_total_ns == r.nanoseconds);
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

BOOST_AUTO_TEST_CASE(rule_05_several_epochs_are_active_at_once_each_with_pages_of_its_own)
{
    tslab::allocator heap;
    tslab::epoch_resource a{heap, {.label = "a"}};
    tslab::epoch_resource b{heap, {.label = "b"}};
    tslab::epoch_scope c{heap, "c"};
    tslab::epoch_resource shared{heap, {.share_epoch = true}};
    BOOST_TEST((shared.epoch() == heap.current_epoch()));
    std::map<std::uintptr_t, int> owner;
    std::vector<void*> pa, pb, pc, ps;
    auto const take = [&](int who, auto& r, auto& list) {
        for (int i = 0; i < 200; ++i) {
            list.push_back(r.allocate(100));
            auto const [at, fresh] = owner.emplace(page_of(list.back()), who);
            BOOST_TEST(at->second == who);
        }
    };
    for (int round = 0; round < 3; ++round) {
        take(1, a, pa);
        take(2, b, pb);
        take(3, *c.resource(), pc);
        take(4, shared, ps);
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.active_epochs == 4u);
    for (auto e : {a.epoch(), b.epoch(), c.epoch(), heap.current_epoch()}) {
        BOOST_TEST(heap.is_active(e));
        BOOST_TEST(stats_of(s, e).live_objects == 600u);
    }
    heap.close(b.epoch());   // one closes, the others go on
    BOOST_CHECK_THROW((void)b.allocate(1), tslab::epoch_closed);
    pa.push_back(a.allocate(100));
    pc.push_back(c.resource()->allocate(100));
    a.release();
    b.release();
    c.resource()->release();
    shared.release();
}

BOOST_AUTO_TEST_CASE(rule_06_an_immortal_epoch_does_not_ratchet_the_resident_set_up)
{
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    tslab::epoch_id const e = heap.current_epoch();
    support::worker other;
    void* const immortal = heap.malloc(64, e);
    std::vector<void*> all(3000);
    for (int wave = 0; wave < 3; ++wave) {
        auto const fill = [&](std::size_t from) {
            for (std::size_t i = from; i < all.size(); i += 2)
                all[i] = std::memset(heap.malloc(512, e), 3, 512);
        };
        fill(0);
        other([&] { fill(1); });
        for (void* p : all)
            heap.free(p);
        tslab::close_report const r = heap.trim(e);
        BOOST_TEST(r.found);
        BOOST_TEST(!r.closed);
        BOOST_TEST(heap.is_active(e));
        BOOST_TEST(stats_of(heap, e).slabs == 1u);
        BOOST_TEST(stats_of(heap, e).empty_slabs == 0u);
        for (void* p : all)
            BOOST_TEST(tslab::resident_bytes(p, 1) == (page_of(p) == page_of(immortal) ? tslab::page_bytes : 0));
    }
    void* const again = heap.malloc(64, e);
    BOOST_TEST(again != nullptr);
    heap.free(again);
    heap.free(immortal);
}

BOOST_AUTO_TEST_CASE(rule_07_domains_nest_beyond_32_re_enter_and_move_the_refcount_only_at_the_ends)
{
    tslab::allocator heap;
    tslab::epoch_domain a{heap, {.label = "a"}};
    tslab::epoch_domain b{heap, {.label = "b"}};
    BOOST_TEST(tslab::epoch_domain::current() == nullptr);
    constexpr int depth = 100;
    for (int i = 0; i < depth; ++i) {
        tslab::epoch_domain& d = i % 3 == 0 ? b : a;
        d.enter();
        BOOST_TEST(tslab::epoch_domain::current() == &d);
        BOOST_TEST(stats_of(heap, a.epoch()).refcount == (i >= 1 ? 1u : 0u));
        BOOST_TEST(stats_of(heap, b.epoch()).refcount == 1u);
    }
    BOOST_TEST(stats_of(heap, a.epoch()).enters == 66u);
    for (int i = depth; i-- > 0;) {
        tslab::epoch_domain& d = i % 3 == 0 ? b : a;
        BOOST_TEST(tslab::epoch_domain::current() == &d);
        d.exit();
        BOOST_TEST(stats_of(heap, a.epoch()).refcount == (i > 1 ? 1u : 0u));
        BOOST_TEST(stats_of(heap, b.epoch()).refcount == (i > 0 ? 1u : 0u));
    }
    BOOST_TEST(tslab::epoch_domain::current() == nullptr);
}

BOOST_AUTO_TEST_CASE(rule_07_every_misuse_of_a_domain_is_reported_and_changes_nothing)
{
    recorder seen;
    tslab::allocator heap{{.name = "orders"}};
    tslab::epoch_domain outer{heap, {.label = "outer"}};
    tslab::epoch_domain inner{heap, {.label = "inner"}};
    outer.exit();
    BOOST_TEST((seen.last().kind == misuse::not_entered));
    BOOST_TEST(seen.last().label == "outer");
    outer.enter();
    inner.enter();
    outer.exit();
    BOOST_TEST((seen.last().kind == misuse::scope_order));
    BOOST_TEST(seen.last().label == "outer");
    BOOST_TEST(seen.last().other == "inner");
    on_other_thread([&] {
        inner.exit();
        outer.enter();
    });
    BOOST_TEST(seen.count(misuse::wrong_thread) == 2u);
    BOOST_TEST(outer.depth() == 1u);
    BOOST_TEST(inner.depth() == 1u);
    BOOST_TEST(stats_of(heap, outer.epoch()).refcount == 1u);
    BOOST_TEST(tslab::epoch_domain::current() == &inner);
    inner.exit();
    outer.exit();
    BOOST_TEST(seen.count() == 4u);
    tslab::epoch_id e{};
    {
        tslab::epoch_domain gone{heap, {.label = "gone"}};
        gone.enter();
        gone.enter();
        e = gone.epoch();
    }
    BOOST_TEST((seen.last().kind == misuse::destroyed_entered));
    BOOST_TEST(seen.last().label == "gone");
    BOOST_TEST(seen.last().heap == "orders");
    BOOST_TEST(tslab::epoch_domain::current() == nullptr);
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 5u);
}

BOOST_AUTO_TEST_CASE(rule_08_the_last_exit_closes_the_epoch_if_nobody_else_holds_it)
{
    tslab::allocator heap;
    tslab::epoch_domain d{heap, {.label = "phase"}};
    tslab::epoch_domain other{heap, d.epoch()};
    other.enter();
    d.enter();
    d.enter();
    d.exit();
    BOOST_TEST(heap.is_active(d.epoch()));
    d.exit();
    BOOST_TEST(heap.is_active(d.epoch()));   // `other` is inside
    other.exit();
    BOOST_TEST(!heap.is_active(d.epoch()));
    BOOST_TEST((stats_of(heap, d.epoch()).lifecycle == tslab::lifecycle::drained));

    tslab::epoch_domain stays{heap, {.auto_close = false}};
    stays.enter();
    stays.exit();
    BOOST_TEST(heap.is_active(stays.epoch()));
    heap.close(stays.epoch());
}

BOOST_AUTO_TEST_CASE(rule_08_a_domain_of_an_era_that_is_gone_touches_nothing_of_the_new_one)
{
    recorder const seen;
    tslab::allocator heap{{.epoch_count = 2}};
    tslab::epoch_id const old = heap.current_epoch();
    tslab::epoch_domain stale{heap, old};
    heap.advance();
    heap.close(old);
    tslab::epoch_resource innocent{heap, {.label = "innocent"}};
    BOOST_REQUIRE(innocent.epoch().index == old.index);
    BOOST_REQUIRE(innocent.epoch().era != old.era);
    stale.enter();
    stale.exit();
    BOOST_TEST(heap.is_active(innocent.epoch()));
    auto const s = stats_of(heap, innocent.epoch());
    BOOST_TEST(s.refcount == 1u);
    BOOST_TEST(s.enters == 1u);
    BOOST_TEST(s.exits == 0u);
    BOOST_CHECK_NO_THROW(innocent.deallocate(innocent.allocate(10), 10));
}

BOOST_AUTO_TEST_CASE(rule_09_a_scope_left_by_an_exception_leaves_the_epoch_as_a_normal_exit_does)
{
    auto const figures = [](bool by_exception) {
        tslab::allocator heap;
        tslab::epoch_id e{};
        tslab::epoch_resource session{heap, {.label = "session"}};
        auto const work = [&] {
            tslab::epoch_scope outer{heap, "request"};
            e = outer.epoch();
            tslab::epoch_scope again{session};
            std::pmr::vector<std::pmr::string> rows{outer.resource()};
            for (int i = 0; i < 100; ++i)
                rows.emplace_back("a string that is too long for the small buffer");
            if (by_exception)
                throw std::runtime_error{"out"};
        };
        try {
            work();
        } catch (std::runtime_error const&) {
        }
        BOOST_TEST(tslab::epoch_domain::current() == nullptr);
        auto const s = heap.snapshot();
        auto const one = stats_of(s, e);
        auto const two = stats_of(s, session.epoch());
        return std::vector<std::uint64_t>{one.refcount,
                                          one.enters,
                                          one.exits,
                                          one.live_objects,
                                          one.slabs,
                                          std::uint64_t(one.lifecycle),
                                          two.refcount,
                                          two.enters,
                                          two.exits,
                                          s.global.live_objects,
                                          s.global.domain_enters,
                                          s.global.domain_exits,
                                          s.global.epoch_closes,
                                          s.global.epoch_drains,
                                          s.global.leaked_objects};
    };
    auto const normal = figures(false);
    auto const thrown = figures(true);
    BOOST_TEST(normal == thrown, boost::test_tools::per_element());
    BOOST_TEST(thrown[0] == 0u);
    BOOST_TEST(thrown[5] == std::uint64_t(tslab::lifecycle::drained));
    BOOST_TEST(thrown[6] == 1u);
}

BOOST_AUTO_TEST_CASE(rule_10_a_resource_that_is_never_destroyed_shows_label_age_refcount_bytes_and_source)
{
    tslab::allocator heap;
    alignas(tslab::epoch_resource) std::byte storage[sizeof(tslab::epoch_resource)];
    std::uint32_t const line = __LINE__ + 1;
    auto* const forgotten = new (storage) tslab::epoch_resource{heap, {.label = "session cache"}};
    tslab::epoch_id const e = forgotten->epoch();
    for (int i = 0; i < 10; ++i)
        (void)forgotten->allocate(100);
    std::this_thread::sleep_for(std::chrono::milliseconds{30});
    heap.close(e);
    auto const s = stats_of(heap, e);
    BOOST_TEST(s.label == "session cache");
    BOOST_TEST(s.refcount == 1u);
    BOOST_TEST(s.live_objects == 10u);
    BOOST_TEST(s.live_bytes == 1120u);
    BOOST_TEST(s.age_seconds >= 0.02);
    BOOST_TEST(s.age_seconds < 60.0);
    BOOST_TEST(s.opened_at.file.ends_with("contract.cpp"));
    BOOST_TEST(s.opened_at.line == line);
    BOOST_TEST(s.opened_at.function != "");
    BOOST_TEST((s.lifecycle == tslab::lifecycle::closing));   // it stays
    forgotten->release();
    forgotten->~epoch_resource();
}

BOOST_AUTO_TEST_CASE(rule_10_a_resource_that_ends_with_live_objects_is_reported_with_label_and_source)
{
    recorder seen;
    tslab::allocator heap{{.name = "orders"}};
    void* p = nullptr;
    void* q = nullptr;
    std::uint32_t const line = __LINE__ + 2;
    {
        tslab::epoch_resource r{heap, {.label = "leaky"}};
        p = r.allocate(100);
        q = r.allocate(70'000);
        r.deallocate(r.allocate(7), 7);
    }
    BOOST_REQUIRE(seen.count() == 1u);
    auto const report = seen.last();
    BOOST_TEST((report.kind == misuse::leak));
    BOOST_TEST(!report.fatal);
    BOOST_TEST(report.label == "leaky");
    BOOST_TEST(report.heap == "orders");
    BOOST_TEST(report.objects == 2u);
    BOOST_TEST(report.bytes == 70'112u);
    BOOST_TEST(report.file.ends_with("contract.cpp"));
    BOOST_TEST(report.line == line);
    BOOST_TEST(heap.snapshot().global.leaked_objects == 2u);
    std::memset(p, 1, 100);   // still valid
    std::memset(q, 1, 70'000);
    heap.free(p);
    heap.free(q);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
}

BOOST_AUTO_TEST_CASE(rule_11_every_size_and_alignment_is_served_or_refused_with_bad_alloc)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap};
    std::pmr::memory_resource& m = r;
    for (std::size_t alignment = 1; alignment <= 65'536; alignment *= 2) {
        std::set<void*> distinct;
        std::vector<std::pair<void*, std::size_t>> all;
        for (std::size_t n : {0u, 1u, 63u, 64u, 65u, 96u, 97u, 383u, 768u, 769u, 4095u, 4096u, 4097u, 16u, 17u, 65'536u,
                              65'537u, 70'000u}) {
            void* const p = m.allocate(n, alignment);
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(p) % alignment == 0u);
            BOOST_TEST(distinct.insert(p).second);
            std::memset(p, 0x5a, n);
            all.emplace_back(p, n);
        }
        for (auto [p, n] : all)
            m.deallocate(p, n, alignment);
        for (std::size_t n :
             {std::size_t{PTRDIFF_MAX}, std::size_t{PTRDIFF_MAX} + 1, SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 4})
            BOOST_CHECK_THROW((void)m.allocate(n, alignment), std::bad_alloc);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    tslab::epoch_resource other{heap};
    BOOST_TEST(m.is_equal(r));
    BOOST_TEST(!m.is_equal(other));
    BOOST_TEST(!m.is_equal(*std::pmr::new_delete_resource()));
}

BOOST_AUTO_TEST_CASE(rule_11_large_sizes_are_accounted_to_the_epoch_and_given_back_with_it)
{
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    std::vector<void*> all;
    tslab::epoch_id e{};
    {
        tslab::epoch_resource r{heap, {.label = "large"}};
        e = r.epoch();
        for (std::size_t n : {65'537u, 100'000u, 1'000'000u})
            all.push_back(std::memset(r.allocate(n), 1, n));
        auto const s = heap.snapshot();
        BOOST_TEST(stats_of(s, e).large_pages == 17u + 25 + 245);
        BOOST_TEST(stats_of(s, e).live_bytes == 65'537u + 100'000 + 1'000'000);
        BOOST_TEST(stats_of(s, e).live_objects == 3u);
        BOOST_TEST(s.global.large_pages == 287u);
        BOOST_TEST(r.release() == 3u);
        BOOST_TEST(heap.snapshot().global.large_pages == 0u);
    }
    heap.trim();
    for (void* p : all)
        BOOST_TEST(tslab::resident_bytes(p, 1) == 0u);
}

BOOST_AUTO_TEST_CASE(rule_12_construction_of_a_resource_enters_its_domain_and_destruction_exits)
{
    tslab::allocator heap;
    tslab::epoch_id e{};
    {
        tslab::epoch_resource r{heap, {.label = "bound"}};
        e = r.epoch();
        BOOST_TEST((r.domain().epoch() == e));
        BOOST_TEST(r.domain().entered());
        BOOST_TEST(stats_of(heap, e).refcount == 1u);
        BOOST_TEST(stats_of(heap, e).enters == 1u);
        {
            tslab::epoch_scope again{r};
            BOOST_TEST(tslab::epoch_domain::current() == &r.domain());
            BOOST_TEST(stats_of(heap, e).refcount == 1u);
            BOOST_TEST(stats_of(heap, e).enters == 2u);
        }
        BOOST_TEST(heap.is_active(e));
    }
    auto const s = stats_of(heap, e);
    BOOST_TEST(s.refcount == 0u);
    BOOST_TEST(s.exits == 2u);
    BOOST_TEST(!heap.is_active(e));
}

BOOST_AUTO_TEST_CASE(rule_13_release_gives_everything_back_at_once_and_the_resource_goes_on)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap, {.label = "arena"}};
    for (int round = 0; round < 5; ++round) {
        for (std::size_t i = 0; i < 1000; ++i)
            std::memset(r.allocate(1 + i * i % 70'000), 1, 1 + i * i % 70'000);
        r.deallocate(r.allocate(8), 8);
        on_other_thread([&] { (void)r.allocate(300); });
        BOOST_TEST(r.release() == 1001u);
        auto const s = heap.snapshot();
        BOOST_TEST(s.global.live_objects == 0u);
        BOOST_TEST(s.global.slabs_in_use == 0u);
        BOOST_TEST(s.global.large_pages == 0u);
        BOOST_TEST(s.global.released_objects == 1001u * (static_cast<unsigned>(round) + 1));
        BOOST_TEST(r.release() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(rule_13_a_count_only_resource_counts_frees_and_gives_back_at_release)
{
    tslab::allocator heap;
    {
        tslab::epoch_resource r{heap, {.deallocate = tslab::deallocate_policy::count_only}};
        std::set<void*> seen;
        for (int i = 0; i < 1000; ++i) {
            void* const p = r.allocate(64);
            BOOST_TEST(seen.insert(p).second);   // nothing is reused before the release
            r.deallocate(p, 64);
        }
        on_other_thread([&] { r.deallocate(r.allocate(64), 64); });
        BOOST_TEST(heap.snapshot().global.counted_frees == 1001u);
        BOOST_TEST(heap.snapshot().global.live_objects == 1001u);
        BOOST_TEST(r.release() == 1001u);
        (void)r.allocate(64);
    }
    auto const s = heap.snapshot();   // its end releases too, and that is no leak
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.leaked_objects == 0u);
    BOOST_TEST(s.global.released_objects == 1002u);
    BOOST_TEST(s.global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(rule_14_boost_containers_use_the_same_resource)
{
    tslab::allocator heap;
    tslab::epoch_scope scope{heap, "boost"};
    tslab::boost_resource adapter{scope.resource()};
    {
        boost::container::pmr::vector<int> numbers{&adapter};
        for (int i = 0; i < 1000; ++i)
            numbers.push_back(i);
        BOOST_TEST(stats_of(heap, scope.epoch()).live_bytes >= 4000u);
        for (int i = 0; i < 1000; ++i)
            BOOST_TEST(numbers[static_cast<std::size_t>(i)] == i);
    }
    BOOST_TEST(stats_of(heap, scope.epoch()).live_objects == 0u);
    BOOST_TEST(stats_of(heap, scope.epoch()).allocations > 0u);
}

BOOST_AUTO_TEST_CASE(rule_15_misuse_of_pointers_is_refused_counted_by_kind_and_reported)
{
    recorder seen;
    tslab::allocator heap{{.name = "mine"}};
    tslab::allocator other{{.name = "theirs"}};
    tslab::epoch_resource r{heap, {.label = "resource"}};
    auto* const p = static_cast<char*>(heap.malloc(100));
    auto* const large = static_cast<char*>(heap.malloc(100'000));
    void* const foreign = other.malloc(100);
    int local = 0;
    heap.set_label(heap.current_epoch(), "current");

    auto const expect = [&](misuse kind, void const* address) {
        BOOST_REQUIRE(seen.count() == 1u);
        BOOST_TEST((seen.last().kind == kind));
        BOOST_TEST(seen.last().address == address);
        BOOST_TEST(seen.last().heap == "mine");
        seen.clear();
    };
    heap.free(p + 1);
    expect(misuse::interior_pointer, p + 1);
    heap.free(p + 64);
    expect(misuse::interior_pointer, p + 64);
    heap.free(large + 16);
    expect(misuse::interior_pointer, large + 16);
    heap.free(large + 8192);
    expect(misuse::interior_pointer, large + 8192);
    heap.free(&local);
    expect(misuse::foreign_pointer, &local);
    heap.free(reinterpret_cast<void*>(std::uintptr_t{0x10}));
    expect(misuse::foreign_pointer, reinterpret_cast<void*>(std::uintptr_t{0x10}));
    heap.free(foreign);
    BOOST_TEST(seen.last().other == "theirs");
    expect(misuse::wrong_heap, foreign);
    r.deallocate(p, 100);
    BOOST_TEST(seen.last().other == "resource");
    BOOST_TEST(seen.last().label == "current");
    expect(misuse::wrong_resource, p);
    void* const q = r.allocate(100);
    r.deallocate(q, 300);
    BOOST_TEST(seen.last().given == 300u);
    BOOST_TEST(seen.last().size_class == 112u);
    expect(misuse::wrong_size, q);
    r.deallocate(static_cast<char*>(q) + 8, 100);
    expect(misuse::interior_pointer, static_cast<char*>(q) + 8);
    r.deallocate(q, 100);
    r.deallocate(q, 100);
    expect(misuse::double_free, q);
    heap.free(large);
    heap.free(large);
    expect(misuse::double_free, large);
    heap.free(p);
    heap.free(p);
    expect(misuse::double_free, p);
    heap.free(nullptr);
    BOOST_TEST(seen.count() == 0u);

    BOOST_TEST(heap.snapshot().global.misuses == 13u);
    BOOST_TEST(heap.state().misuses(misuse::interior_pointer) == 5u);
    BOOST_TEST(heap.state().misuses(misuse::double_free) == 3u);
    BOOST_TEST(heap.state().misuses(misuse::foreign_pointer) == 2u);
    BOOST_TEST(heap.state().misuses(misuse::wrong_heap) == 1u);
    BOOST_TEST(heap.state().misuses(misuse::wrong_size) == 1u);
    BOOST_TEST(heap.state().misuses(misuse::wrong_resource) == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(other.snapshot().global.live_objects == 1u);
    other.free(foreign);
}

BOOST_AUTO_TEST_CASE(rule_15_misuse_of_handles_is_a_result_and_never_a_crash)
{
    recorder const seen;
    tslab::allocator heap;
    tslab::allocator other;
    tslab::handle h, theirs;
    BOOST_REQUIRE(heap.allocate(128, heap.current_epoch(), h) != nullptr);
    BOOST_REQUIRE(other.allocate(128, other.current_epoch(), theirs) != nullptr);
    BOOST_TEST((heap.free(theirs) == tslab::free_result::foreign));
    BOOST_TEST((heap.free(tslab::handle{}) == tslab::free_result::foreign));
    BOOST_TEST((heap.free(tslab::handle{h.bits() ^ 1}) == tslab::free_result::corrupt));   // an even generation is none
    BOOST_TEST((heap.free(tslab::handle{h.bits() | std::uint64_t{0x3ffffff} << 30}) == tslab::free_result::corrupt));
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    BOOST_TEST((heap.free(h) == tslab::free_result::already_free));
    tslab::handle again;
    std::vector<tslab::handle> all;
    for (int i = 0; i < 64; ++i) {   // until the slot has been handed out again
        (void)heap.allocate(128, heap.current_epoch(), again);
        all.push_back(again);
    }
    BOOST_TEST((heap.free(h) == tslab::free_result::stale));
    for (auto one : all)
        BOOST_TEST((heap.free(one) == tslab::free_result::ok));
    BOOST_TEST(heap.snapshot().global.refused_handles == 6u);
    BOOST_TEST(seen.count() == 0u);
    BOOST_TEST((other.free(theirs) == tslab::free_result::ok));
}

BOOST_AUTO_TEST_CASE(rule_16_any_thread_frees_what_any_other_allocated_also_after_that_one_ended)
{
    tslab::allocator heap;
    std::vector<void*> all;
    tslab::epoch_id const e = heap.current_epoch();
    for (int t = 0; t < 20; ++t)
        on_other_thread([&] {
            for (std::size_t i = 0; i < 50; ++i)
                all.push_back(
                    heap.malloc(1 + i * i * 30, e));   // of every class; the thread ends with claims outstanding
        });
    BOOST_TEST(stats_of(heap, e).live_objects == 1000u);
    heap.close(e);
    for (void* p : all)
        heap.free(p);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(s.global.closing_epochs == 0u);
}

BOOST_AUTO_TEST_CASE(rule_16_fork_leaves_parent_and_child_consistent)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    support::worker idle;   // holds slabs and exists only in the parent
    std::vector<void*> theirs;
    idle([&] {
        for (int i = 0; i < 100; ++i)
            theirs.push_back(heap.malloc(100, e));
    });
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        int wrong = 0;
        for (void* p : theirs)
            heap.free(p);
        heap.free(heap.malloc(100, e));
        tslab::close_report const r = heap.close(e);
        wrong |= r.drained && r.deferred_claims == 0 ? 0 : 1;
        wrong |= heap.snapshot().global.slabs_in_use == 0 ? 0 : 2;
        wrong |= heap.malloc(10) != nullptr ? 0 : 4;
        ::_exit(wrong);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 0);
    BOOST_TEST(stats_of(heap, e).live_objects == 100u);   // the child's frees were its own
    for (void* p : theirs)
        heap.free(p);
    BOOST_TEST(heap.close(e).drained);
}

BOOST_AUTO_TEST_CASE(rule_16_running_out_of_memory_is_refused_with_nothing_lost_and_a_failing_madvise_is_counted)
{
    support::os_hook hook;
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager, .reserve_bytes = std::size_t{16} << 20}};
    tslab::epoch_resource r{heap, {.label = "greedy"}};
    for (int round = 0; round < 2; ++round) {
        std::vector<void*> all;
        BOOST_CHECK_THROW(for (;;) all.push_back(r.allocate(768)), std::bad_alloc);
        BOOST_TEST(all.size() == 4096u / tslab::bins[7].pages * tslab::bins[7].slots);   // all of the 16 MiB
        BOOST_CHECK_THROW((void)r.allocate(5000), std::bad_alloc);
        auto const s = heap.snapshot();
        BOOST_TEST(s.global.out_of_memory == 2u * (static_cast<unsigned>(round) + 1));
        BOOST_TEST(s.global.live_objects == all.size());
        BOOST_TEST(s.global.slow_path_epoch_closed == 0u);
        for (void* p : all)
            r.deallocate(p, 768);
        hook.fail_purge = true;
        tslab::close_report const t = heap.trim(r.epoch());
        BOOST_TEST(t.madvise_failures >= 1u);
        BOOST_TEST(t.madvise_bytes == 0u);
        hook.fail_purge = false;
        BOOST_TEST(heap.snapshot().global.madvise_failures == t.madvise_failures * (static_cast<unsigned>(round) + 1));
    }
    BOOST_TEST(heap.trim().madvise_bytes == std::uint64_t{16} << 20);
}

BOOST_AUTO_TEST_CASE(rule_17_counters_are_exact_once_threads_are_quiet)
{
    tslab::allocator heap{{.epoch_count = 64}};
    constexpr unsigned threads = 4;
    std::array<std::atomic<std::uint64_t>, tslab::class_count + 1> allocated{};
    std::atomic<std::uint64_t> freed{0}, live_bytes{0}, refused{0}, scopes{0};
    tslab::epoch_id const closed = heap.current_epoch();
    heap.advance();
    std::vector<std::thread> all;
    std::barrier start{threads};
    std::mutex lock;
    std::vector<std::pair<void*, std::size_t>> left;
    for (unsigned t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            std::mt19937 random{t};
            std::vector<std::pair<void*, std::size_t>> mine;
            start.arrive_and_wait();
            for (std::size_t i = 0; i < scaled(20'000); ++i) {
                std::size_t const n = random() % 50 != 0  ? random() % 769
                                      : random() % 4 != 0 ? 769 + random() % 9000
                                                          : random() % 130'000;
                if (random() % 64 == 0) {
                    refused += heap.malloc(n, closed) == nullptr;
                } else if (random() % 128 == 0) {
                    tslab::epoch_scope s{heap, "scope"};
                    ++scopes;
                    void* const p = s.resource()->allocate(n);
                    ++allocated[tslab::class_of(n, 1)];
                    ++freed;
                    s.resource()->deallocate(p, n);
                } else if (random() % 2 == 0 || mine.empty()) {
                    mine.emplace_back(heap.malloc(n), n);
                    ++allocated[tslab::class_of(n, 1)];
                } else {
                    std::swap(mine[random() % mine.size()], mine.back());
                    if (random() % 4 == 0) {
                        std::lock_guard const guard{lock};
                        left.push_back(mine.back());
                    } else {
                        heap.free(mine.back().first);
                        ++freed;
                    }
                    mine.pop_back();
                }
            }
            std::lock_guard const guard{lock};
            left.insert(left.end(), mine.begin(), mine.end());
        });
    for (auto& t : all)
        t.join();
    auto const s = heap.snapshot();
    std::uint64_t total = 0;
    for (unsigned c = 0; c <= tslab::class_count; ++c) {
        BOOST_TEST(s.classes[c].allocations == allocated[c].load());
        total += allocated[c];
    }
    for (auto [p, n] : left)
        live_bytes += n > tslab::max_class_size ? n : tslab::class_sizes[tslab::class_of(n, 1)];
    BOOST_TEST(s.global.allocations == total);
    BOOST_TEST(s.global.frees == freed.load());
    BOOST_TEST(s.global.live_objects == total - freed);
    BOOST_TEST(s.global.live_objects == left.size());
    BOOST_TEST(s.global.live_bytes == live_bytes.load());
    BOOST_TEST(s.global.slow_path_epoch_closed == refused.load());
    BOOST_TEST(s.global.domain_enters == scopes.load());
    BOOST_TEST(s.global.domain_exits == scopes.load());
    BOOST_TEST(s.global.epoch_opens == scopes + 2);
    std::uint64_t by_epoch = 0, slabs = 0, pages = 0;
    for (auto const& e : s.epochs) {
        by_epoch += e.live_objects;
        slabs += e.slabs;
        pages += e.slab_pages;
    }
    BOOST_TEST(by_epoch == left.size());
    BOOST_TEST(slabs == s.global.slabs_in_use);
    BOOST_TEST(pages == s.global.slab_pages);
    std::uint64_t idle = s.global.free_resident_pages + s.global.free_purged_pages;
    for (auto const& c : s.classes)
        idle += c.cached_slabs * c.pages_per_slab;
    BOOST_TEST(pages + idle + s.global.large_pages == heap.state().pages().used_pages());
    for (auto [p, n] : left)
        heap.free(p);
    BOOST_TEST(heap.snapshot().global.frees == total);
}

BOOST_AUTO_TEST_CASE(rule_17_a_threads_figures_are_its_own)
{
    tslab::allocator heap;
    on_other_thread([&] {
        for (int i = 0; i < 1000; ++i)
            heap.free(heap.malloc(10));
    });
    on_other_thread([&] {
        heap.free(heap.malloc(10));
        auto const s = heap.snapshot();
        for (auto const& t : s.threads)
            if (t.thread_id == tslab::this_thread.id)
                BOOST_TEST(t.allocations == 1u);
    });
}
