// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What is said of memory that a resource leaves behind: every way to leave it is found, counted, and reported with its source.
#define BOOST_TEST_MODULE leak
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::stats_of;
using tslab::epoch_resource;
using tslab::misuse;
using tslab::resource_options;

namespace {

/// Makes a resource, lets `use` leave something behind in it, and says what was reported at its end.
support::seen leave_behind(tslab::allocator& heap, resource_options const& o,
                           std::function<void(epoch_resource&, std::vector<void*>&)> const& use)
{
    recorder const seen;
    std::vector<void*> left;
    {
        epoch_resource r{heap, o};
        use(r, left);
    }
    BOOST_TEST(seen.count(misuse::leak) == 1u);
    BOOST_TEST(seen.count() == 1u);
    for (void* p : left)
        heap.free(p);   // memory left behind stays valid until it is freed
    BOOST_TEST(seen.count() == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    return seen.last();
}

}

BOOST_AUTO_TEST_CASE(a_leak_names_heap_label_objects_bytes_file_and_line)
{
    recorder const seen;
    tslab::allocator heap{{.name = "orders"}};
    std::vector<void*> left;
    {
        std::uint32_t const line = __LINE__ + 1;
        epoch_resource r{heap, {.label = "GET /orders"}};
        for (int i = 0; i < 5; ++i)
            left.push_back(r.allocate(100));
        left.push_back(r.allocate(3000));
        left.push_back(r.allocate(10));
        left.push_back(r.allocate(100'000));
        BOOST_TEST(line != 0u);
        left.push_back(reinterpret_cast<void*>(std::uintptr_t{line}));
    }
    auto const line = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(left.back()));
    left.pop_back();
    auto const r = seen.last();
    BOOST_TEST(seen.count() == 1u);
    BOOST_TEST((r.kind == misuse::leak));
    BOOST_TEST(r.heap == "orders");
    BOOST_TEST(r.label == "GET /orders");
    BOOST_TEST(r.objects == 8u);
    BOOST_TEST(r.bytes == 5u * 112 + 3072 + 16 + 100'000);
    BOOST_TEST(r.file == __FILE__);
    BOOST_TEST(r.line == line);
    BOOST_TEST(!r.fatal);
    BOOST_TEST(heap.snapshot().global.leaked_objects == 8u);
    BOOST_TEST(heap.snapshot().global.misuses == 1u);
    BOOST_TEST(heap.state().misuses(misuse::leak) == 1u);
    for (void* p : left)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(nothing_is_reported_when_everything_was_given_back)
{
    recorder const seen;
    tslab::allocator heap;
    for (bool share : {false, true})
        for (bool close : {false, true})
            for (bool release : {false, true}) {
                epoch_resource r{heap, {.share_epoch = share, .auto_close = close}};
                void* const p = r.allocate(100);
                void* const q = r.allocate(70'000);
                if (release) {
                    r.release();
                } else {
                    r.deallocate(p, 100);
                    on_other_thread([&] { heap.free(q); });
                }
            }
    void* const others = heap.malloc(64);   // memory of others in a shared epoch is no leak of the resource
    {
        epoch_resource r{heap, {.share_epoch = true}};
    }
    heap.free(others);
    BOOST_TEST(seen.count() == 0u);
    BOOST_TEST(heap.snapshot().global.leaked_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_leak_of_another_threads_allocation_is_found)
{
    tslab::allocator heap;
    for (bool close : {true, false}) {
        auto const r = leave_behind(heap, {.label = "threads", .auto_close = close}, [](epoch_resource& x, auto& left) {
            on_other_thread([&] {
                left.push_back(x.allocate(50));
                left.push_back(x.allocate(30));
            });
            left.push_back(x.allocate(50));
            left.push_back(x.allocate(5000));
        });
        BOOST_TEST(r.objects == 4u);
        BOOST_TEST(r.bytes == 64u + 64 + 32 + 5120);
        BOOST_TEST(r.label == "threads");
    }
}

BOOST_AUTO_TEST_CASE(a_leak_of_an_idle_threads_allocation_is_found)
{
    tslab::allocator heap;
    support::worker idle;
    for (bool close : {true, false}) {
        auto const r = leave_behind(heap, {.auto_close = close}, [&](epoch_resource& x, auto& left) {
            idle([&] { left.push_back(x.allocate(50)); });
        });
        BOOST_TEST(r.objects == 1u);
        BOOST_TEST(r.bytes == 64u);
    }
}

BOOST_AUTO_TEST_CASE(a_large_leak_is_found_whatever_the_options)
{
    tslab::allocator heap;
    for (bool share : {false, true})
        for (bool close : {false, true}) {
            auto const r = leave_behind(heap, {.share_epoch = share, .auto_close = close},
                                        [](epoch_resource& x, auto& left) { left.push_back(x.allocate(70'000)); });
            BOOST_TEST(r.objects == 1u);
            BOOST_TEST(r.bytes == 70'000u);
        }
}

BOOST_AUTO_TEST_CASE(a_leak_of_a_sharing_resource_is_its_own_only)
{
    tslab::allocator heap;
    void* const others = heap.malloc(64);
    recorder const seen;
    std::vector<void*> left;
    {
        epoch_resource r{heap, {.label = "sharing", .share_epoch = true}};
        left.push_back(r.allocate(64));
        left.push_back(r.allocate(200));
    }
    BOOST_TEST(seen.count(misuse::leak) == 1u);
    BOOST_TEST(seen.last().objects == 2u);
    BOOST_TEST(seen.last().bytes == 64u + 224);
    for (void* p : left)
        heap.free(p);
    heap.free(others);
}

BOOST_AUTO_TEST_CASE(a_leak_of_a_sharing_resource_is_found_after_a_trim_or_an_advance)
{
    tslab::allocator heap;
    auto r = leave_behind(heap, {.share_epoch = true}, [&](epoch_resource& x, auto& left) {
        left.push_back(x.allocate(50));
        heap.trim(x.epoch());
    });
    BOOST_TEST(r.objects == 1u);
    r = leave_behind(heap, {.share_epoch = true}, [&](epoch_resource& x, auto& left) {
        left.push_back(x.allocate(50));
        void* const q = x.allocate(50);
        heap.advance();
        x.deallocate(q, 50);
    });
    BOOST_TEST(r.objects == 1u);
}

BOOST_AUTO_TEST_CASE(a_leak_is_found_after_the_epoch_was_closed_underneath)
{
    tslab::allocator heap;
    auto const r = leave_behind(heap, {.label = "closed"}, [&](epoch_resource& x, auto& left) {
        left.push_back(x.allocate(50));
        left.push_back(x.allocate(70'000));
        heap.close(x.epoch());
    });
    BOOST_TEST(r.objects == 2u);
    BOOST_TEST(r.label == "closed");
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);   // drained by the last free
}

BOOST_AUTO_TEST_CASE(a_leak_by_handle_is_found)
{
    tslab::allocator heap;
    auto const r = leave_behind(heap, {}, [&](epoch_resource& x, auto& left) {
        tslab::handle h;
        left.push_back(heap.allocate(100, x.epoch(), h));
    });
    BOOST_TEST(r.objects == 1u);
    BOOST_TEST(r.bytes == 128u);
}
