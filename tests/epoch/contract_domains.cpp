// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The contract of docs/semantics.md, rules 5 to 10: epochs side by side, domains, scopes, and those that never end. At least one
// case for each rule fails if the rule is broken.
#define BOOST_TEST_MODULE contract_domains
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <map>
#include <memory_resource>
#include <stdexcept>
#include <string>

#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::stats_of;
using tslab::misuse;

namespace {

std::uintptr_t page_of(void const* p) { return reinterpret_cast<std::uintptr_t>(p) / tslab::page_bytes; }

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

BOOST_AUTO_TEST_CASE(rule_07_an_exit_of_what_a_scope_or_a_resource_has_entered_is_one_too_many)
{
    recorder const seen;
    tslab::allocator heap;
    auto const refcount_of = [&heap](tslab::epoch_id e) { return stats_of(heap, e).refcount; };
    {
        tslab::epoch_scope const scope{heap, "own"};
        tslab::epoch_id const e = scope.epoch();
        scope.domain().exit();
        BOOST_TEST(seen.count(misuse::not_entered) == 1U);
        BOOST_TEST(refcount_of(e) == 1U);
        BOOST_TEST(heap.is_active(e));
        scope.resource()->deallocate(scope.resource()->allocate(100), 100);
    }
    BOOST_TEST(seen.count() == 1U);
    tslab::epoch_resource r{heap, {.label = "shared"}};
    r.domain().exit();
    BOOST_TEST(seen.count(misuse::not_entered) == 2U);
    {
        tslab::epoch_scope const scope{r};
        BOOST_TEST(r.domain().depth() == 2U);
        r.domain().exit();   // the scope's enter: its end finds that
        BOOST_TEST(r.domain().depth() == 1U);
        r.domain().exit();
        BOOST_TEST(seen.count(misuse::not_entered) == 3U);
    }
    BOOST_TEST(seen.count(misuse::not_entered) == 4U);
    BOOST_TEST(seen.count() == 4U);
    BOOST_TEST(r.domain().depth() == 1U);
    BOOST_TEST(refcount_of(r.epoch()) == 1U);
    BOOST_TEST(tslab::epoch_domain::current() == nullptr);
    r.deallocate(r.allocate(100), 100);
    for (auto const& e : heap.snapshot().epochs)
        BOOST_TEST(e.refcount <= 1U);
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

BOOST_AUTO_TEST_CASE(rule_08_the_last_exit_closes_the_epoch_if_no_other_domain_holds_it)
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
    BOOST_TEST(s.opened_at.file.ends_with("contract_domains.cpp"));
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
    BOOST_TEST(report.file.ends_with("contract_domains.cpp"));
    BOOST_TEST(report.line == line);
    BOOST_TEST(heap.snapshot().global.leaked_objects == 2u);
    std::memset(p, 1, 100);   // still valid
    std::memset(q, 1, 70'000);
    heap.free(p);
    heap.free(q);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
}
