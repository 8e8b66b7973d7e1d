// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The public names, in C++17. Compiled with TSLAB_BY_MODULE it imports the module instead: one text, two ways in. It prints what is
// not so, with its line, and returns 1.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>
#if defined(TSLAB_BY_MODULE)
import tslab;
#else
#include <tslab/tslab.hpp>
#endif

namespace {

int failures = 0;
#define CHECK(x) ((x) ? (void)0 : (void)(++failures, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #x)))

tslab::allocator_options named(std::string_view name)
{
    tslab::allocator_options o;
    o.name = name;
    o.epoch_count = 64;
    o.reclaim = tslab::reclaim_policy::cached;
    return o;
}

tslab::resource_options labelled(std::string_view label)
{
    tslab::resource_options o;
    o.label = label;
    return o;
}

void scopes_and_resources()
{
    tslab::allocator heap{named("orders")};
    CHECK(heap.name() == "orders" && heap.epoch_count() == 64);
    {
        tslab::epoch_scope scope{heap, "GET /orders"};
        std::pmr::vector<int> rows{scope.resource()};
        for (int i = 0; i < 1000; ++i)
            rows.push_back(i);
        CHECK(rows[999] == 999);
        CHECK(&scope.resource()->heap() == &heap && &scope.domain().heap() == &heap);
        CHECK(tslab::epoch_domain::current() == &scope.domain());
        CHECK(heap.snapshot().global.live_objects == 1);
    }
    CHECK(tslab::epoch_domain::current() == nullptr);

    tslab::epoch_resource session{heap, labelled("session")};
    std::pmr::memory_resource* const as_base = &session;
    {
        std::pmr::unordered_map<int, std::pmr::string> users{&session};
        users.emplace(1, "a text that is too long for the small buffer of any string");
        CHECK(users.get_allocator().resource() == as_base);
        tslab::epoch_scope const again{session};
        CHECK(session.domain().depth() == 2 && again.resource() == &session);
        CHECK(tslab::epoch_domain::current() == &session.domain());
    }
    CHECK(*as_base == session);
    tslab::epoch_resource const other{heap, labelled("other")};
    CHECK(!as_base->is_equal(other));
    void* const p = session.allocate(100);
    CHECK(session.release() == 1);
    (void)p;
    std::thread{[&] { session.deallocate(session.allocate(64, 64), 64, 64); }}.join();

    heap.close(session.epoch());
    bool refused = false;
    try {
        static_cast<void>(session.allocate(64));
    } catch (tslab::epoch_closed const& e) {
        refused = std::string_view{e.what()} == "tslab: allocation in the closed epoch \"session\"";
    }
    CHECK(refused);
    bool absurd = false;
    try {
        static_cast<void>(as_base->allocate(~std::size_t{0}));
    } catch (std::bad_alloc const&) {
        absurd = true;
    }
    CHECK(absurd);
    tslab::resource_options serial = labelled("serial");
    serial.threading = tslab::threading::serial;
    {
        tslab::epoch_resource strand{heap, serial};
        void* there = nullptr;
        std::thread{[&] { there = strand.allocate(100); }}.join();   // one use at a time, on whichever thread
        strand.deallocate(there, 100);
    }
    tslab::resource_options count_only = labelled("count only");
    count_only.deallocate = tslab::deallocate_policy::count_only;
    {
        tslab::epoch_scope const s{heap, count_only};
        s.resource()->deallocate(s.resource()->allocate(64), 64);
        CHECK(heap.snapshot().global.counted_frees == 1);
    }
    CHECK(heap.snapshot().global.live_objects == 0);
}

void epochs_memory_handles()
{
    tslab::allocator heap{named("epochs")};
    tslab::epoch_id const e = heap.current_epoch();
    CHECK(heap.is_active(e) && heap.set_label(e, "first"));
    tslab::handle h;
    CHECK(heap.allocate(128, e, h) != nullptr && h);
    tslab::epoch_id const next = heap.advance();
    CHECK(next != e && next == heap.current_epoch() && !heap.is_active(e));
    CHECK(heap.malloc(64, e) == nullptr);
    tslab::close_report const report = heap.close(e);
    CHECK(report.found && report.closed && !report.drained && report.epoch == e && report.scanned_slabs == 1);
    CHECK(heap.free(h) == tslab::free_result::ok);
    CHECK(heap.free(h) == tslab::free_result::already_free);
    CHECK(heap.free(tslab::handle{}) == tslab::free_result::foreign);
    void* const q = heap.malloc(120, next);
    heap.free(q);
    heap.free(heap.malloc(120));
    heap.free(nullptr);
    CHECK(heap.trim().scanned_slabs <= 1 && !heap.trim(e).found);
    heap.set_sampling(true);
    CHECK(heap.sampling());
}

void domains()
{
    tslab::allocator heap{named("domains")};
    tslab::domain_options keep;
    keep.auto_close = false;
    tslab::epoch_domain d{heap, heap.current_epoch(), keep};
    d.enter();
    d.enter();
    CHECK(d.depth() == 2 && d.entered() && tslab::epoch_domain::current() == &d && d.shares_epoch());
    d.exit();
    d.exit();
    CHECK(heap.is_active(d.epoch()) && !d.closes_epoch());
    tslab::domain_options work;
    work.label = "work";
    tslab::epoch_domain own{heap, work};
    own.enter();
    CHECK(&own.heap() == &heap && own.closes_epoch());
    own.exit();
    CHECK(!heap.is_active(own.epoch()));
    CHECK(d.force_close().closed);
}

void statistics()
{
    tslab::allocator heap{named("figures")};
    tslab::epoch_resource r{heap, labelled("forgotten")};
    std::uint32_t const line = __LINE__ - 1;
    void* const p = r.allocate(128);
    tslab::snapshot const s = heap.snapshot();
    CHECK(s.name == "figures" && s.epoch_count == 64 && s.global.live_objects == 1 && s.pid > 0);
    bool found = false;
    for (auto const& e : s.epochs)
        if (e.label == "forgotten")
            found = e.lifecycle == tslab::lifecycle::active && e.state == tslab::epoch_state::active &&
                    e.live_objects == 1 && e.opened_at.line == line && e.refcount == 1;
    CHECK(found);
    std::string const json = tslab::to_json(s);
    CHECK(json.find("\"forgotten\"") != std::string::npos && json.front() == '{' && json.back() == '}');
    auto const leaks = heap.leaks(std::chrono::seconds{0});
    CHECK(leaks.size() == 1 && leaks[0].label == "forgotten" && leaks[0].entered_at.line == line);
    CHECK(leaks[0].sentence().find("forgotten") != std::string::npos);
    CHECK(tslab::find_leaks(s, 3600).empty());
    r.deallocate(p, 128);
    CHECK(tslab::now_ns() != 0 && tslab::now_ns_coarse() != 0 && tslab::read_rss_bytes() != 0);
}

#if __cplusplus >= 202002L
// As the documentation writes it.
void with_designators()
{
    tslab::allocator heap{{.name = "orders", .epoch_count = 64, .reclaim = tslab::reclaim_policy::cached}};
    tslab::epoch_resource session{heap, {.label = "session"}};
    std::pmr::unordered_map<int, std::pmr::string> users{&session};
    users.emplace(1, "one");
    {
        tslab::epoch_scope again{session};
    }
    tslab::epoch_id e = heap.current_epoch();
    tslab::epoch_domain d{heap, e, {.auto_close = false}};
    d.enter();
    d.exit();
    CHECK(d.force_close().closed);
    tslab::snapshot s = heap.snapshot({.residency = false});
    CHECK(s.name == "orders" && !s.waterfall.has_value());
}
#else
void with_designators() {}
#endif

template <class T> using from = tslab::stl_allocator<T>;

void stl_allocators()
{
    tslab::allocator heap{named("stl")};
    std::shared_ptr<int> kept;
    {
        tslab::epoch_scope scope{heap, "phase"};
        std::vector<int, from<int>> rows{scope.resource()};
        for (int i = 0; i < 1000; ++i)
            rows.push_back(i);
        CHECK(rows[999] == 999 && rows.get_allocator().resource() == scope.resource());
        CHECK(rows.get_allocator() == from<long>{scope.resource()} && rows.get_allocator() != from<int>{heap});
        std::map<int, int, std::less<>, from<std::pair<int const, int>>> names{from<int>{heap, scope.epoch()}};
        names[7] = 8;
        CHECK(&names.get_allocator().heap() == &heap && names.get_allocator().epoch() == scope.epoch());
        std::vector<int, from<int>> others{from<int>{heap}};
        others.swap(rows);
        CHECK(others.size() == 1000 && rows.get_allocator() == from<int>{heap});
        kept = std::allocate_shared<int>(from<int>{heap, heap.current_epoch()}, 5);
        struct alignas(256) wide {
            char c[256];
        };
        std::vector<wide, from<wide>> const aligned(3, scope.resource());
        CHECK(reinterpret_cast<std::uintptr_t>(aligned.data()) % 256 == 0);
        CHECK(heap.snapshot().global.live_objects == 4);
    }
    CHECK(*kept == 5);
    bool refused = false;
    try {
        std::vector<int, from<int>> late(10, from<int>{heap, tslab::epoch_id{}});
    } catch (tslab::epoch_closed const&) {
        refused = true;
    }
    CHECK(refused);
    try {
        static_cast<void>(from<int>{heap}.allocate(~std::size_t{0}));
        CHECK(false);
    } catch (std::bad_array_new_length const&) {
    }
    kept.reset();
    CHECK(heap.snapshot().global.live_objects == 0);
}

int reports = 0;
tslab::misuse last{};
void note(tslab::misuse_report const& r)
{
    ++reports;
    last = r.kind;
}

void misuse()
{
    CHECK(tslab::set_error_handler(&note) != &note);
    tslab::allocator heap{named("misused")};
    void* const p = heap.malloc(64);
    heap.free(p);
    heap.free(p);
    CHECK(reports == 1 && last == tslab::misuse::double_free && tslab::name_of(last) == "double_free");
    tslab::epoch_domain d{heap};
    d.exit();
    CHECK(reports == 2 && last == tslab::misuse::not_entered);
    std::thread{[&] { d.enter(); }}.join();
    CHECK(reports == 3 && last == tslab::misuse::wrong_thread);
    CHECK(tslab::set_error_handler(nullptr) == &note);
    bool refused = false;
    try {
        tslab::allocator_options o;
        o.epoch_count = 1;
        tslab::allocator const none{o};
    } catch (std::invalid_argument const&) {
        refused = true;
    }
    CHECK(refused);
}

}

int main()
{
    scopes_and_resources();
    epochs_memory_handles();
    domains();
    statistics();
    with_designators();
    stl_allocators();
    misuse();
    if (failures == 0)
        std::puts("all as it should be");
    return failures != 0 ? 1 : 0;
}
