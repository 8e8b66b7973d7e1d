// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the host and a plug-in do with a heap of their own, by the header's functions. Each has these functions of its own, and the
// heap. THROUGH_TEMPLATES: also by functions of the standard library that have the header's types as arguments.
#pragma once
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <tslab/tslab.hpp>
#include <utility>
#include <vector>

namespace {

int failures = 0;
#define CHECK(x) ((x) ? (void)0 : (void)(++failures, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #x)))

template <class T> using from = tslab::stl_allocator<T>;

tslab::allocator* heap = nullptr;

tslab::resource_options labelled(char const* label, std::size_t limit)
{
    tslab::resource_options o;
    o.label = label;
    o.limit = limit;
    return o;
}

void begin(char const* name)
{
    tslab::allocator_options o;
    o.name = name;
    o.epoch_count = 64;
    o.sampling = true;
    heap = new tslab::allocator{o};
}

void phase()
{
    tslab::epoch_scope scope{*heap, labelled("phase", 64U << 20)};
    std::pmr::vector<std::pmr::string> texts{scope.resource()};
    for (int i = 0; i < 1000; ++i)
        texts.emplace_back("a text that is too long for the small buffer of any string");
    std::vector<int, from<int>> rows{scope.resource()};
    for (int i = 0; i < 1000; ++i)
        rows.push_back(i);
    tslab::epoch_scope const again{*scope.resource()};
    CHECK(&scope.resource()->heap() == heap && &scope.domain().heap() == heap);
    CHECK(tslab::epoch_domain::current() == &again.domain());
    CHECK(rows.get_allocator().resource() == scope.resource() && rows.get_allocator().epoch() == scope.epoch());
    CHECK(heap->snapshot().global.live_objects == 1002);
}

void epochs()
{
    tslab::epoch_resource session{*heap, labelled("session", 1U << 20)};
    void* const p = session.allocate(100);
    auto const leaks = heap->leaks(std::chrono::seconds{0});
    CHECK(leaks.size() == 1 && leaks[0].label == "session");
    CHECK(tslab::to_json(heap->snapshot()).find("\"session\"") != std::string::npos);
    std::thread{[&] { session.deallocate(p, 100); }}.join();
    static_cast<void>(session.allocate(100));
    CHECK(session.release() == 1);
    tslab::handle h;
    CHECK(heap->allocate(128, heap->current_epoch(), h) != nullptr && heap->free(h) == tslab::free_result::ok);
    tslab::epoch_domain work{*heap, heap->advance()};
    work.enter();
    heap->free(heap->malloc(64));
    work.exit();
    CHECK(!heap->is_active(work.epoch()));
}

#if defined(THROUGH_TEMPLATES)
void templates()
{
    tslab::allocator_options o;
    o.publish = false;
    auto const own = std::make_unique<tslab::allocator>(o);
    std::map<int, int, std::less<>, from<std::pair<int const, int>>> names{from<std::pair<int const, int>>{*own}};
    for (int i = 0; i < 1000; ++i)
        names[i] = i;
    std::optional<tslab::epoch_resource> session;
    session.emplace(*own, labelled("optional", 1U << 20));
    auto const scope = std::make_unique<tslab::epoch_scope>(*session);
    static_cast<void>(scope->resource()->allocate(64));
    CHECK(own->snapshot().global.live_objects == 1001);
    CHECK(session->release() == 1);
}
#else
void templates() {}
#endif

void work()
{
    for (int i = 0; i < 3; ++i) {
        phase();
        epochs();
        std::thread{&phase}.join();
        templates();
    }
    CHECK(heap->snapshot().global.live_objects == 0);
}

/// Throws over_limit, or epoch_closed.
void refuse(bool by_limit)
{
    tslab::epoch_resource r{*heap, labelled("refused", 64U << 10)};
    if (!by_limit)
        heap->close(r.epoch());
    try {
        for (;;)
            static_cast<void>(r.allocate(1000));
    } catch (...) {
        r.release();
        throw;
    }
}

/// Whether both exceptions of `other` are caught by their types here.
void catch_from(void (*other)(bool))
{
    int caught = 0;
    try {
        other(true);
    } catch (tslab::over_limit const& e) {
        caught += e.of() == tslab::over_limit::kind::phase && e.limit() == 64U << 10;
    }
    try {
        other(false);
    } catch (tslab::epoch_closed const&) {
        ++caught;
    }
    CHECK(caught == 2);
}

int reports = 0;
void note(tslab::misuse_report const& r) { reports += r.heap == heap->name() && r.kind == tslab::misuse::double_free; }

void handle_reports()
{
    CHECK(tslab::set_error_handler(&note) == nullptr);   // a handler of another binary is not known here
    CHECK(tslab::set_error_handler(&note) == &note);
}
void misuse()
{
    int const before = reports;
    void* const p = heap->malloc(64);
    heap->free(p);
    heap->free(p);
    CHECK(reports == before + 1);
}

int end()
{
    delete heap;
    return failures;
}

/// What a plug-in has for its host.
struct calls {
    void (*begin)(char const*);
    void (*work)();
    void (*refuse)(bool);
    void (*catch_from)(void (*)(bool));
    void (*handle_reports)();
    void (*misuse)();
    int (*end)();
};

}
