// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Domains: entering, leaving, nesting, wrapping an epoch; when they close their epoch; every misuse; and what a leak
// report names.
#define BOOST_TEST_MODULE domain
#include <boost/test/unit_test.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::stats_of;
using tslab::epoch_domain;
using tslab::lifecycle;
using tslab::misuse;

BOOST_AUTO_TEST_CASE(a_domain_opens_an_epoch_of_its_own_and_is_not_inside_yet)
{
    tslab::allocator heap;
    epoch_domain d{heap, {.label = "own"}};
    BOOST_TEST((d.epoch() != heap.current_epoch()));
    BOOST_TEST(heap.is_active(d.epoch()));
    BOOST_TEST(!d.entered());
    BOOST_TEST(d.depth() == 0u);
    BOOST_TEST(&d.heap() == &heap);
    BOOST_TEST(d.closes_epoch());
    BOOST_TEST(!d.shares_epoch());
    auto const s = stats_of(heap, d.epoch());
    BOOST_TEST(s.refcount == 0u);
    BOOST_TEST(s.enters == 0u);
    BOOST_TEST(s.label == "own");
    BOOST_TEST(s.opened_at.file == "");
}

BOOST_AUTO_TEST_CASE(a_domain_that_was_never_entered_closes_its_epoch_at_its_end)
{
    tslab::allocator heap;
    tslab::epoch_id a{}, b{};
    {
        epoch_domain closes{heap};
        epoch_domain leaves_open{heap, {.auto_close = false}};
        a = closes.epoch();
        b = leaves_open.epoch();
    }
    BOOST_TEST(!heap.is_active(a));
    BOOST_TEST(heap.is_active(b));
    heap.close(b);
}

BOOST_AUTO_TEST_CASE(enters_and_exits_are_counted_and_the_refcount_moves_at_the_ends_only)
{
    tslab::allocator heap;
    epoch_domain d{heap, {.auto_close = false}};
    for (int round = 1; round <= 3; ++round) {
        for (int i = 0; i < 5; ++i) {
            d.enter();
            BOOST_TEST(d.depth() == unsigned(i) + 1);
            BOOST_TEST(stats_of(heap, d.epoch()).refcount == 1u);
        }
        for (int i = 5; i-- > 0;) {
            d.exit();
            BOOST_TEST(stats_of(heap, d.epoch()).refcount == (i == 0 ? 0u : 1u));
        }
        auto const s = stats_of(heap, d.epoch());
        BOOST_TEST(s.enters == 5u * unsigned(round));
        BOOST_TEST(s.exits == 5u * unsigned(round));
    }
    BOOST_TEST(heap.snapshot().global.domain_enters == 15u);
    BOOST_TEST(heap.snapshot().global.domain_exits == 15u);
    heap.close(d.epoch());
}

BOOST_AUTO_TEST_CASE(several_domains_hold_one_epoch_and_the_last_closes_it)
{
    tslab::allocator heap;
    epoch_domain first{heap, {.label = "shared"}};
    auto const e = first.epoch();
    support::worker other;
    std::optional<epoch_domain> second;
    other([&] {
        second.emplace(heap, e);
        second->enter();
    });
    first.enter();
    BOOST_TEST(stats_of(heap, e).refcount == 2u);
    first.exit();
    BOOST_TEST(heap.is_active(e));
    BOOST_TEST(stats_of(heap, e).refcount == 1u);
    other([&] { second->exit(); });
    BOOST_TEST(!heap.is_active(e));
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
}

BOOST_AUTO_TEST_CASE(a_domain_without_auto_close_leaves_the_closing_to_others)
{
    tslab::allocator heap;
    epoch_domain d{heap, {.auto_close = false}};
    d.enter();
    d.exit();
    BOOST_TEST(heap.is_active(d.epoch()));
    auto const r = d.force_close();
    BOOST_TEST(r.closed);
    BOOST_TEST(!heap.is_active(d.epoch()));
}

BOOST_AUTO_TEST_CASE(force_close_closes_while_it_is_entered_and_on_any_thread)
{
    tslab::allocator heap;
    epoch_domain d{heap};
    d.enter();
    void* const p = heap.malloc(64, d.epoch());
    on_other_thread([&] {
        auto const r = d.force_close();
        BOOST_TEST(r.closed);
        BOOST_TEST(!r.drained);
    });
    BOOST_TEST(heap.malloc(64, d.epoch()) == nullptr);
    heap.free(p);
    BOOST_TEST((stats_of(heap, d.epoch()).lifecycle == lifecycle::closing));   // it is still inside
    d.exit();
    BOOST_TEST((stats_of(heap, d.epoch()).lifecycle == lifecycle::drained));
}

BOOST_AUTO_TEST_CASE(wrapping_keeps_the_label_unless_given_one)
{
    tslab::allocator heap;
    epoch_domain d{heap, {.label = "one"}};
    epoch_domain keeps{heap, d.epoch()};
    BOOST_TEST(stats_of(heap, d.epoch()).label == "one");
    epoch_domain renames{heap, d.epoch(), {.label = "two"}};
    BOOST_TEST(stats_of(heap, d.epoch()).label == "two");
    BOOST_TEST(renames.shares_epoch());
}

BOOST_AUTO_TEST_CASE(wrapping_the_current_epoch_closes_it_and_another_becomes_current)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    {
        epoch_domain d{heap, e};
        d.enter();
        heap.free(heap.malloc(100));
        d.exit();
    }
    BOOST_TEST((heap.current_epoch() != e));
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
    auto const kept = heap.current_epoch();
    {
        epoch_domain d{heap, kept, {.auto_close = false}};
        d.enter();
        d.exit();
    }
    BOOST_TEST((heap.current_epoch() == kept));
}

BOOST_AUTO_TEST_CASE(the_current_domain_is_the_innermost_of_this_thread)
{
    tslab::allocator heap;
    BOOST_TEST(epoch_domain::current() == nullptr);
    epoch_domain a{heap}, b{heap};
    a.enter();
    BOOST_TEST(epoch_domain::current() == &a);
    on_other_thread([] { BOOST_TEST(epoch_domain::current() == nullptr); });
    b.enter();
    a.enter();
    BOOST_TEST(epoch_domain::current() == &a);
    a.exit();
    BOOST_TEST(epoch_domain::current() == &b);
    b.exit();
    a.exit();
    BOOST_TEST(epoch_domain::current() == nullptr);
}

BOOST_AUTO_TEST_CASE(nests_far_deeper_than_32)
{
    tslab::allocator heap{{.epoch_count = 2048}};
    std::vector<std::unique_ptr<epoch_domain>> all;
    for (int i = 0; i < 1000; ++i) {
        all.push_back(std::make_unique<epoch_domain>(heap));
        all.back()->enter();
        BOOST_REQUIRE(epoch_domain::current() == all.back().get());
    }
    BOOST_TEST(heap.snapshot().global.active_epochs == 1001u);
    while (!all.empty()) {
        BOOST_REQUIRE(epoch_domain::current() == all.back().get());
        all.back()->exit();
        all.pop_back();
    }
    BOOST_TEST(epoch_domain::current() == nullptr);
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);
}

BOOST_AUTO_TEST_CASE(the_source_of_the_oldest_open_entry_is_reported)
{
    tslab::allocator heap;
    epoch_domain d{heap, {.auto_close = false}};
    epoch_domain second{heap, d.epoch(), {.auto_close = false}};
    auto const line = [&] { return stats_of(heap, d.epoch()).opened_at.line; };
    BOOST_TEST(line() == 0u);
    std::uint32_t const first_line = __LINE__ + 1;
    d.enter();
    BOOST_TEST(line() == first_line);
    d.enter();   // a re-entry does not change it
    BOOST_TEST(line() == first_line);
    second.enter();
    BOOST_TEST(line() == first_line);
    second.exit();
    d.exit();
    BOOST_TEST(line() == first_line);
    second.enter();
    BOOST_TEST(line() == first_line);
    second.exit();
    d.exit();
    BOOST_TEST(line() == 0u);

    // The older one leaves first, on a thread of its own, since the scopes of one thread nest.
    support::worker other;
    std::optional<epoch_domain> theirs;
    other([&] {
        theirs.emplace(heap, d.epoch(), epoch_domain::options{.auto_close = false});
        theirs->enter();
    });
    std::uint32_t const theirs_line = line();
    std::uint32_t const mine_line = __LINE__ + 1;
    d.enter();
    BOOST_TEST(line() == theirs_line);
    BOOST_TEST(theirs_line != mine_line);
    other([&] { theirs->exit(); });
    BOOST_TEST(line() == mine_line);
    d.exit();
    heap.close(d.epoch());
}

BOOST_AUTO_TEST_CASE(leaving_by_an_exception_is_leaving)
{
    tslab::allocator heap;
    tslab::epoch_id e{};
    try {
        epoch_domain d{heap};
        e = d.epoch();
        struct guard {
            epoch_domain& d;
            explicit guard(epoch_domain& x) : d{x} { d.enter(); }
            ~guard() { d.exit(); }
        } outer{d}, inner{d};
        heap.free(heap.malloc(10, e));
        throw std::runtime_error{"out"};
    } catch (std::runtime_error const&) {
    }
    BOOST_TEST(epoch_domain::current() == nullptr);
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
    BOOST_TEST(stats_of(heap, e).exits == 2u);
}

BOOST_AUTO_TEST_CASE(misuse_is_reported_and_changes_nothing)
{
    recorder seen;
    tslab::allocator heap;
    epoch_domain a{heap, {.label = "a"}}, b{heap, {.label = "b"}};
    a.exit();
    BOOST_TEST(seen.count(misuse::not_entered) == 1u);
    a.enter();
    b.enter();
    a.exit();
    BOOST_TEST(seen.count(misuse::scope_order) == 1u);
    on_other_thread([&] {
        a.exit();
        a.enter();
        BOOST_TEST(epoch_domain::current() == nullptr);
    });
    BOOST_TEST(seen.count(misuse::wrong_thread) == 2u);
    BOOST_TEST(a.depth() == 1u);
    BOOST_TEST(stats_of(heap, a.epoch()).enters == 1u);
    BOOST_TEST(stats_of(heap, a.epoch()).exits == 0u);
    b.exit();
    a.exit();
    b.exit();
    BOOST_TEST(seen.count(misuse::not_entered) == 2u);
    BOOST_TEST(seen.count() == 5u);
}

BOOST_AUTO_TEST_CASE(a_domain_destroyed_on_another_thread_while_entered_is_not_found_on_its_own)
{
    recorder seen;
    tslab::allocator heap;
    epoch_domain outer{heap, {.label = "outer"}};
    outer.enter();
    auto gone = std::make_unique<epoch_domain>(heap, epoch_domain::options{.label = "gone"});
    gone->enter();
    gone->enter();
    on_other_thread([&] { gone.reset(); });
    BOOST_TEST(seen.count(misuse::destroyed_entered) == 1u);
    BOOST_TEST(epoch_domain::current() == &outer);
    outer.enter();
    BOOST_TEST(epoch_domain::current() == &outer);
    outer.exit();
    outer.exit();
    BOOST_TEST(epoch_domain::current() == nullptr);
    BOOST_TEST(seen.count() == 1u);
}

BOOST_AUTO_TEST_CASE(a_domain_destroyed_while_entered_is_reported_and_left)
{
    recorder seen;
    tslab::allocator heap;
    epoch_domain outer{heap};
    outer.enter();
    tslab::epoch_id e{};
    {
        epoch_domain gone{heap, {.label = "gone"}};
        e = gone.epoch();
        gone.enter();
        gone.enter();
        outer.enter();   // and not even the innermost one
    }
    BOOST_TEST(seen.count(misuse::destroyed_entered) == 1u);
    BOOST_TEST(seen.last().label == "gone");
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
    BOOST_TEST(epoch_domain::current() == &outer);
    outer.exit();
    BOOST_TEST(epoch_domain::current() == &outer);
    outer.exit();
    BOOST_TEST(epoch_domain::current() == nullptr);
    BOOST_TEST(seen.count() == 1u);
}

BOOST_AUTO_TEST_CASE(a_domain_of_a_gone_epoch_holds_nothing)
{
    recorder seen;
    tslab::allocator heap{{.epoch_count = 4}};
    auto const e = heap.current_epoch();
    heap.advance();
    heap.close(e);
    {
        epoch_domain d{heap, e};
        d.enter();
        d.enter();
        BOOST_TEST(epoch_domain::current() == &d);
        d.exit();
        d.exit();
        d.enter();
    }   // destroyed while entered: reported, nothing else
    BOOST_TEST(seen.count() == 1u);
    BOOST_TEST(epoch_domain::current() == nullptr);
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    std::vector<std::uint32_t> slots;
    for (int i = 0; i < 8; ++i) {
        auto const old = heap.current_epoch();
        slots.push_back(heap.advance().index);
        heap.close(old);
    }
    BOOST_TEST(std::count(slots.begin(), slots.end(), e.index) == 2);   // the slot is reused as before
}

BOOST_AUTO_TEST_CASE(a_domain_of_a_gone_epoch_and_a_new_era_in_its_slot_do_not_meet)
{
    recorder const seen;
    tslab::allocator heap{{.epoch_count = 2}};
    auto const e = heap.current_epoch();
    epoch_domain inside{heap, e};
    inside.enter();
    heap.advance();
    heap.close(e);   // held: the slot stays
    epoch_domain late{heap, e};
    inside.exit();   // drained
    tslab::epoch_resource innocent{heap};
    BOOST_REQUIRE(innocent.epoch().index == e.index);
    late.enter();
    BOOST_TEST(stats_of(heap, innocent.epoch()).refcount == 1u);
    BOOST_TEST(!late.force_close().found);
    late.exit();
    BOOST_TEST(heap.is_active(innocent.epoch()));
    BOOST_TEST(stats_of(heap, innocent.epoch()).refcount == 1u);
    BOOST_TEST(stats_of(heap, innocent.epoch()).enters == 1u);
    BOOST_TEST(stats_of(heap, innocent.epoch()).exits == 0u);
}

BOOST_AUTO_TEST_CASE(a_domain_of_an_impossible_epoch_is_harmless)
{
    recorder const seen;
    tslab::allocator heap{{.epoch_count = 2}};
    for (tslab::epoch_id e :
         {tslab::epoch_id{60'000, 5}, tslab::epoch_id{~0u, 1}, tslab::epoch_id{1, 77}, tslab::epoch_id{}}) {
        epoch_domain d{heap, e, {.label = "impossible"}};
        d.enter();
        d.exit();
        d.exit();   // the report asks for the label
        BOOST_TEST(!d.force_close().found);
    }
    BOOST_TEST(seen.count(misuse::not_entered) == 4u);
    BOOST_TEST(heap.is_active(heap.current_epoch()));
    BOOST_TEST(stats_of(heap, heap.current_epoch()).refcount == 0u);
}

BOOST_AUTO_TEST_CASE(a_heap_that_ends_with_open_domains_or_live_objects_reports_both)
{
    recorder seen;
    void* storage = ::operator new(sizeof(tslab::allocator), std::align_val_t{alignof(tslab::allocator)});
    auto* const heap = new (storage) tslab::allocator{{.name = "short-lived"}};
    std::optional<epoch_domain> d;
    d.emplace(*heap, epoch_domain::options{.auto_close = false});
    d->enter();
    (void)heap->malloc(100, d->epoch());
    (void)heap->malloc(70'000);
    heap->~allocator();
    BOOST_TEST(seen.count(misuse::heap_open) == 1u);
    BOOST_TEST(seen.count(misuse::heap_live) == 1u);
    for (auto const& r : seen.all()) {
        BOOST_TEST(r.heap == "short-lived");
        BOOST_TEST(!r.fatal);
        BOOST_TEST(r.objects == (r.kind == misuse::heap_open ? 1u : 2u));
        if (r.kind == misuse::heap_live)
            BOOST_TEST(r.bytes == 70'000u + tslab::class_sizes[tslab::class_of(100)]);
    }
    // The domain must not be used any more: its heap has ended. Its memory ends with this frame.
    new (&d) std::optional<epoch_domain>;
    auto& scopes = tslab::this_thread.more->scope_count;
    scopes = 0;
    ::operator delete(storage, std::align_val_t{alignof(tslab::allocator)});
}
