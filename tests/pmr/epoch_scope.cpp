// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// epoch_scope: the example that the documentation begins with, nearly word for word, and what a guard must do besides.
#define BOOST_TEST_MODULE epoch_scope
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::stats_of;
using tslab::misuse;

namespace example {

struct request {
    int rows;
};
struct order {
    int number;
    char text[100];
};
using id = int;
struct user {
    std::string name;
};

tslab::allocator heap{{.name = "orders", .epoch_count = 64, .reclaim = tslab::reclaim_policy::cached}};

void handle(request const& rq)
{
    tslab::epoch_scope scope{heap, "GET /orders"};
    std::pmr::vector<order> rows{scope.resource()};
    for (int i = 0; i < rq.rows; ++i)
        rows.push_back({i, {}});
    BOOST_TEST(stats_of(heap, scope.epoch()).label == "GET /orders");
    BOOST_TEST(stats_of(heap, scope.epoch()).live_objects == 1u);
    BOOST_TEST(stats_of(heap, scope.epoch()).opened_at.function.find("handle") != std::string::npos);
}

}

BOOST_AUTO_TEST_CASE(the_documented_example_works)
{
    using namespace example;
    for (int i = 1; i < 100; ++i)
        handle({i});
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);

    tslab::epoch_resource session{heap, {.label = "session"}};
    {
        std::pmr::unordered_map<id, user> users{&session};
        for (int i = 0; i < 100; ++i)
            users.emplace(i, user{"somebody"});
        {
            tslab::epoch_scope again{session};
        }
        BOOST_TEST(heap.is_active(session.epoch()));
        BOOST_TEST(users.at(7).name == "somebody");
    }
    (void)session.allocate(100);
    session.release();
    BOOST_TEST(stats_of(heap, session.epoch()).live_objects == 0u);

    tslab::epoch_id e = heap.current_epoch();
    heap.advance();
    tslab::close_report report = heap.close(e);
    BOOST_TEST((report.epoch == e));
    e = heap.current_epoch();

    tslab::handle h;
    void* p = heap.allocate(128, e, h);
    BOOST_TEST(p != nullptr);
    tslab::free_result r = heap.free(h);
    BOOST_TEST((r == tslab::free_result::ok));
    void* q = heap.malloc(120, e);
    heap.free(q);

    tslab::epoch_domain d{heap, e, {.auto_close = false}};
    d.enter();
    BOOST_TEST(tslab::epoch_domain::current() == &d);
    d.exit();
    d.force_close();
    BOOST_TEST(!heap.is_active(e));

    tslab::snapshot s = heap.snapshot();
    BOOST_TEST(s.name == "orders");
}

BOOST_AUTO_TEST_CASE(the_scopes_memory_is_gone_with_the_scope)
{
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    void* where = nullptr;
    {
        tslab::epoch_scope s{heap, "phase"};
        std::pmr::vector<char> v(700, 'x', s.resource());
        where = v.data();
        BOOST_TEST(tslab::resident_bytes(where, 1) == tslab::page_bytes);
    }
    BOOST_TEST(tslab::resident_bytes(where, 1) == 0u);
}

BOOST_AUTO_TEST_CASE(scopes_nest_and_each_is_current_in_turn)
{
    tslab::allocator heap;
    tslab::epoch_scope a{heap, "a"};
    BOOST_TEST(tslab::epoch_domain::current() == &a.domain());
    {
        tslab::epoch_scope b{heap, "b"};
        BOOST_TEST(tslab::epoch_domain::current() == &b.domain());
        {
            tslab::epoch_scope c{*a.resource()};
            BOOST_TEST(tslab::epoch_domain::current() == &a.domain());
            BOOST_TEST(c.resource() == a.resource());
            BOOST_TEST((c.epoch() == a.epoch()));
            BOOST_TEST(stats_of(heap, a.epoch()).refcount == 1u);
            BOOST_TEST(a.domain().depth() == 2u);
        }
        BOOST_TEST(tslab::epoch_domain::current() == &b.domain());
    }
    BOOST_TEST(tslab::epoch_domain::current() == &a.domain());
    BOOST_TEST(heap.is_active(a.epoch()));
    BOOST_TEST(heap.snapshot().global.domain_enters == 3u);
    BOOST_TEST(heap.snapshot().global.domain_exits == 2u);
}

BOOST_AUTO_TEST_CASE(a_scope_takes_every_option_of_a_resource)
{
    tslab::allocator heap;
    {
        tslab::epoch_scope s{heap, {.label = "shared", .share_epoch = true}};
        BOOST_TEST((s.epoch() == heap.current_epoch()));
        tslab::epoch_scope c{heap, {.deallocate = tslab::deallocate_policy::count_only}};
        c.resource()->deallocate(c.resource()->allocate(10), 10);
        BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    }
    BOOST_TEST(heap.snapshot().global.counted_frees == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    tslab::epoch_id e{};
    {
        tslab::epoch_scope s{heap, {.auto_close = false}};
        e = s.epoch();
    }
    BOOST_TEST(heap.is_active(e));
    heap.close(e);
}

BOOST_AUTO_TEST_CASE(an_exception_leaves_every_scope_on_its_way)
{
    tslab::allocator heap;
    auto const deep = [&](auto const& self, int depth) -> void {
        tslab::epoch_scope s{heap, "deep"};
        std::pmr::string text(200, 'x', s.resource());
        if (depth == 0)
            throw std::runtime_error{"from the bottom"};
        self(self, depth - 1);
    };
    BOOST_CHECK_THROW(deep(deep, 50), std::runtime_error);
    BOOST_TEST(tslab::epoch_domain::current() == nullptr);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.active_epochs == 1u);
    BOOST_TEST(s.global.closing_epochs == 0u);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.domain_enters == 51u);
    BOOST_TEST(s.global.domain_exits == 51u);
    BOOST_TEST(s.global.leaked_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_scope_left_out_of_order_is_reported_and_put_right)
{
    recorder seen;
    tslab::allocator heap;
    auto a = std::make_unique<tslab::epoch_scope>(heap, "a");
    auto b = std::make_unique<tslab::epoch_scope>(heap, "b");
    auto const ea = a->epoch();
    a.reset();
    BOOST_TEST(seen.count() == 1u);
    BOOST_TEST((seen.last().kind == misuse::scope_order));
    BOOST_TEST(seen.last().label == "a");
    BOOST_TEST(seen.last().other == "b");
    BOOST_TEST(!heap.is_active(ea));
    BOOST_TEST(tslab::epoch_domain::current() == &b->domain());
    b.reset();
    BOOST_TEST(tslab::epoch_domain::current() == nullptr);
    BOOST_TEST(seen.count() == 1u);
}

BOOST_AUTO_TEST_CASE(re_entering_on_another_thread_is_reported_and_changes_nothing)
{
    recorder seen;
    tslab::allocator heap;
    tslab::epoch_resource r{heap, {.label = "mine"}};
    on_other_thread([&] {
        tslab::epoch_scope wrong{r};
        BOOST_TEST(tslab::epoch_domain::current() == nullptr);
    });
    BOOST_TEST(seen.count(misuse::wrong_thread) == seen.count());
    BOOST_TEST(seen.count() >= 1u);
    BOOST_TEST(r.domain().depth() == 1u);
    BOOST_TEST(stats_of(heap, r.epoch()).refcount == 1u);
    BOOST_TEST(stats_of(heap, r.epoch()).enters == 1u);
}

BOOST_AUTO_TEST_CASE(a_scope_that_ends_on_another_thread_is_not_found_on_its_own)
{
    recorder seen;
    tslab::allocator heap;
    tslab::epoch_scope outer{heap, "outer"};
    auto gone = std::make_unique<tslab::epoch_scope>(heap, "gone");
    {
        tslab::epoch_scope inner{heap, "inner"};
        on_other_thread([&] { gone.reset(); });
        BOOST_TEST(seen.count(misuse::wrong_thread) == 1u);
        BOOST_TEST(tslab::epoch_domain::current() == &inner.domain());
    }
    BOOST_TEST(tslab::epoch_domain::current() == &outer.domain());
    tslab::epoch_scope next{heap, "next"};
    BOOST_TEST(tslab::epoch_domain::current() == &next.domain());
    auto last = std::make_unique<tslab::epoch_scope>(heap, "last");
    on_other_thread([&] { last.reset(); });
    BOOST_TEST(seen.count(misuse::wrong_thread) == 2u);
    BOOST_TEST(tslab::epoch_domain::current() == &next.domain());
    BOOST_TEST(seen.count() == 2u);   // and the others end in order
}

BOOST_AUTO_TEST_CASE(scopes_that_end_elsewhere_take_no_room)
{
    recorder seen;
    tslab::allocator heap;
    constexpr std::size_t many = 1000;
    tslab::epoch_scope outer{heap};
    std::uint32_t largest = 0;
    for (std::size_t i = 0; i < many; ++i) {
        auto gone = std::make_unique<tslab::epoch_scope>(heap, "gone");
        std::optional<tslab::epoch_scope> above{std::in_place, heap, "above"};
        on_other_thread([&] { gone.reset(); });
        above.reset();   // the one that is gone is the last one then
        largest = std::max(largest, tslab::this_thread.more->scope_capacity);
        BOOST_TEST_REQUIRE(tslab::epoch_domain::current() == &outer.domain());
    }
    BOOST_TEST(largest <= 64u);
    BOOST_TEST(seen.count() == many);
}

BOOST_AUTO_TEST_CASE(a_resource_that_ends_while_entered_again_is_reported)
{
    recorder seen;
    tslab::allocator heap;
    std::optional<tslab::epoch_resource> r;
    r.emplace(heap, tslab::resource_options{.label = "entered"});
    auto const e = r->epoch();
    r->domain().enter();
    r.reset();
    BOOST_TEST(seen.count(misuse::destroyed_entered) == 1u);
    BOOST_TEST(seen.last().label == "entered");
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    BOOST_TEST(!heap.is_active(e));
    BOOST_TEST(tslab::epoch_domain::current() == nullptr);   // and not a domain that is gone
}
