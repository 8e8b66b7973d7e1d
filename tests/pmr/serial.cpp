// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Serial resources: one use at a time, on whichever thread. All threads share one cache; an overlap is reported where it is looked for.
#define BOOST_TEST_MODULE pmr_serial
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::stats_of;
using support::worker;
using tslab::epoch_resource;
using tslab::misuse;
using tslab::threading;

namespace {

std::uint64_t slow_paths(tslab::allocator const& heap)
{
    return heap.snapshot({.residency = false}).global.slow_path_hits;
}

std::uint64_t remote_frees(tslab::allocator const& heap)
{
    std::uint64_t n = 0;
    for (tslab::class_stats const& c : heap.snapshot({.residency = false}).classes)
        n += c.remote_frees;
    return n;
}

/// The system, with a call of the test's before memory is mapped, and threads that can be denied a record.
class system_hook {
public:
    system_hook() : real_{&tslab::os()}
    {
        real = real_;
        calls_ = *real_;
        calls_.map_at = [](void* begin, std::size_t bytes) noexcept {
            if (before_map)
                before_map();
            return real->map_at(begin, bytes);
        };
        calls_.grant = [](tslab::os_call which) noexcept {
            return !(which == tslab::os_call::hook_exit && no_records.load()) &&
                   (real->grant == nullptr || real->grant(which));
        };
        tslab::set_os_calls(&calls_);
    }
    ~system_hook()
    {
        tslab::set_os_calls(real_);
        before_map = {};
    }
    system_hook(system_hook const&) = delete;
    system_hook& operator=(system_hook const&) = delete;

    static inline std::function<void()> before_map;
    static inline std::atomic<bool> no_records{false};

private:
    static inline tslab::os_calls const* real = nullptr;
    tslab::os_calls const* real_;
    tslab::os_calls calls_{};
};

}

BOOST_AUTO_TEST_CASE(all_threads_allocate_from_one_cache)
{
    recorder const seen;
    for (bool const shared : {false, true}) {
        tslab::allocator heap;
        auto const slabs_used_by = [&](threading how) {
            epoch_resource r{heap, {.label = "job", .share_epoch = shared, .threading = how}};
            std::vector<void*> all;
            std::array<worker, 4> threads;
            for (worker& w : threads)
                w([&] {
                    for (int i = 0; i < 16; ++i)
                        all.push_back(r.allocate(56));
                });
            BOOST_TEST(std::set<void*>(all.begin(), all.end()).size() == 64u);
            BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 64u);
            std::uint64_t const slabs = stats_of(heap, r.epoch()).slabs;
            for (std::size_t i = 0; i < all.size(); ++i)
                threads[i % threads.size()]([&] { r.deallocate(all[i], 56); });
            BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
            heap.trim();
            return slabs;
        };
        BOOST_TEST(slabs_used_by(threading::any) == 4u);      // one of each thread's
        BOOST_TEST(slabs_used_by(threading::serial) == 1u);   // 64 slots
    }
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_thread_takes_no_slow_path_for_what_another_one_has_fetched)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "job", .threading = threading::serial}};
    r.deallocate(r.allocate(56), 56);
    std::uint64_t const before = slow_paths(heap);
    on_other_thread([&] {
        for (int i = 0; i < 1000; ++i)
            r.deallocate(r.allocate(56), 56);
    });
    BOOST_TEST(slow_paths(heap) == before);
    BOOST_TEST(stats_of(heap, r.epoch()).allocations == 1001u);
}

BOOST_AUTO_TEST_CASE(serves_every_size_and_alignment_on_every_thread)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "job", .threading = threading::serial}};
    std::pmr::memory_resource& m = r;
    std::array<worker, 2> threads;
    std::size_t n = 0;
    for (std::size_t bytes = 1; bytes <= 200'000; bytes += 1 + bytes)
        for (std::size_t alignment : {1u, 64u, 4096u}) {
            void* p = nullptr;
            threads[n % 2]([&] {
                p = m.allocate(bytes, alignment);
                std::memset(p, 0x5a, bytes);
            });
            BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
            threads[++n % 2]([&] { m.deallocate(p, bytes, alignment); });
        }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_close_while_another_thread_uses_it_is_kept_by_every_thread)
{
    recorder const seen;
    tslab::allocator heap;
    auto r = std::make_unique<epoch_resource>(heap, tslab::resource_options{.threading = threading::serial});
    worker a;
    worker b;
    void* p = nullptr;
    void* q = nullptr;
    a([&] { p = r->allocate(56); });
    b([&] { q = r->allocate(56); });
    tslab::close_report const closed = heap.close(r->epoch());
    BOOST_TEST(closed.closed);
    BOOST_TEST(closed.deferred_claims == 1u);   // b's, as the last one that used it
    for (worker* w : {&a, &b})
        (*w)([&] { BOOST_CHECK_THROW(static_cast<void>(r->allocate(56)), tslab::epoch_closed); });
    BOOST_CHECK_THROW(static_cast<void>(r->allocate(56)), tslab::epoch_closed);
    a([&] { r->deallocate(q, 56); });
    b([&] { r->deallocate(p, 56); });
    tslab::epoch_id const e = r->epoch();
    a([&] { r.reset(); });
    BOOST_TEST((stats_of(heap, e).lifecycle == tslab::lifecycle::drained || stats_of(heap, e).era == 0u));
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
}

// The thread that used it last is in no use, so it can return the claims itself; any other cannot.
BOOST_AUTO_TEST_CASE(a_close_by_the_thread_that_used_it_last_leaves_nothing)
{
    tslab::allocator heap;
    for (bool const by_last : {true, false}) {
        epoch_resource r{heap, {.label = "job", .threading = threading::serial}};
        worker last;
        last([&] { r.deallocate(r.allocate(56), 56); });
        tslab::close_report closed;
        auto const close = [&] { closed = heap.close(r.epoch()); };
        if (by_last)
            last(close);
        else
            close();
        BOOST_TEST(closed.deferred_claims == (by_last ? 0u : 1u));
        BOOST_TEST(stats_of(heap, r.epoch()).slabs == (by_last ? 0u : 1u));
    }
}

BOOST_AUTO_TEST_CASE(after_a_trim_the_next_use_on_any_thread_goes_on)
{
    recorder const seen;
    for (bool const shared : {false, true}) {
        tslab::allocator heap;
        epoch_resource r{heap, {.label = "job", .share_epoch = shared, .threading = threading::serial}};
        std::array<worker, 3> threads;
        std::vector<void*> all;
        for (std::size_t i = 0; i < 24; ++i) {
            threads[i % 3]([&] { all.push_back(r.allocate(256)); });
            threads[(i + i / 3) % 3]([&] { heap.trim(r.epoch()); });
            if (i % 4 == 3)
                threads[(i + 1) % 3]([&] {
                    r.deallocate(all.back(), 256);
                    all.pop_back();
                });
        }
        BOOST_TEST(std::set<void*>(all.begin(), all.end()).size() == 18u);
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 18u);
        threads[0]([&] { BOOST_TEST(r.release() == 18u); });
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
    }
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(the_thread_that_made_it_may_end)
{
    recorder const seen;
    tslab::allocator heap;
    std::unique_ptr<epoch_resource> r;
    std::vector<void*> all;
    auto const use = [&] {
        for (int i = 0; i < 100; ++i)
            all.push_back(r->allocate(128));
    };
    on_other_thread([&] {
        r = std::make_unique<epoch_resource>(heap, tslab::resource_options{.threading = threading::serial});
        use();
    });
    worker a;
    a(use);
    // A thread that gets the record of the one that made it uses it, ends, and flushes nothing of a's.
    on_other_thread([&] { heap.free(heap.malloc(64)); });
    on_other_thread(use);
    a(use);
    BOOST_TEST(std::set<void*>(all.begin(), all.end()).size() == 400u);
    for (void* p : all)
        r->deallocate(p, 128);
    BOOST_TEST(stats_of(heap, r->epoch()).allocations == 400u);
    BOOST_TEST(stats_of(heap, r->epoch()).live_objects == 0u);
    on_other_thread([&] { r.reset(); });
    heap.trim();
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_free_by_the_heap_goes_beside_the_cache)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "job", .threading = threading::serial}};
    void* const p = r.allocate(56);
    void* const q = r.allocate(56);
    std::uint64_t const before = remote_frees(heap);
    heap.free(p);   // on the thread that used it last, and that made it: another thread might be using it by now
    BOOST_TEST(remote_frees(heap) == before + 1);
    heap.free(p);
    BOOST_TEST(seen.count(misuse::double_free) == 1u);
    r.deallocate(q, 56);
    on_other_thread([&] { r.deallocate(q, 56); });
    BOOST_TEST(seen.count(misuse::double_free) == 2u);
    on_other_thread([&] { r.deallocate(r.allocate(56), 100); });
    BOOST_TEST(seen.count(misuse::wrong_size) == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    BOOST_TEST(r.release() == 1u);
}

BOOST_AUTO_TEST_CASE(release_and_the_end_find_what_every_thread_took)
{
    for (bool const shared : {false, true})
        for (auto const policy : {tslab::deallocate_policy::carry_out, tslab::deallocate_policy::count_only}) {
            recorder const seen;
            tslab::allocator heap;
            auto r = std::make_unique<epoch_resource>(
                heap, tslab::resource_options{
                          .label = "job", .share_epoch = shared, .deallocate = policy, .threading = threading::serial});
            std::array<worker, 3> threads;
            auto const use_all = [&] {
                for (worker& w : threads)
                    w([&] {
                        for (int i = 0; i < 10; ++i)
                            static_cast<void>(r->allocate(56));
                        r->deallocate(r->allocate(192), 192);
                        static_cast<void>(r->allocate(100'000));
                    });
            };
            std::uint64_t const counted = policy == tslab::deallocate_policy::count_only ? 3 : 0;
            use_all();
            threads[1]([&] { BOOST_TEST(r->release() == 33u + counted); });
            BOOST_TEST(heap.snapshot().global.live_objects == 0u);
            use_all();
            threads[2]([&] { r.reset(); });
            if (counted == 0) {
                BOOST_REQUIRE(seen.count(misuse::leak) == 1u);
                BOOST_TEST(seen.last().objects == 33u);
                BOOST_TEST(heap.snapshot().global.live_objects == 33u);
            } else {
                BOOST_TEST(heap.snapshot().global.live_objects == 0u);
                BOOST_TEST(heap.snapshot().global.counted_frees == 6u);
            }
            BOOST_TEST(seen.count() == (counted == 0 ? 1u : 0u));
        }
}

// As requests that begin on one thread and end on another: their caches go back to the threads that made them.
BOOST_AUTO_TEST_CASE(resources_that_end_elsewhere_leave_their_caches_to_be_used_again)
{
    recorder const seen;
    tslab::allocator heap;
    worker first;
    worker second;
    auto const requests = [&](int n) {
        for (int i = 0; i < n; ++i) {
            std::unique_ptr<epoch_resource> r;
            void* p = nullptr;
            first([&] {
                r = std::make_unique<epoch_resource>(heap, tslab::resource_options{.threading = threading::serial});
                p = r->allocate(300);
            });
            second([&] {
                r->deallocate(p, 300);
                static_cast<void>(r->allocate(56));
                static_cast<void>(r->release());
                r.reset();
            });
        }
    };
    auto const caches = [&] {
        std::size_t n = 0;
        for (tslab::thread_record* t = heap.state().first_record(); t != nullptr; t = t->next_of_heap)
            heap.state().for_each_cache(*t, [&](tslab::thread_cache const& l) {
                ++n;
                BOOST_TEST(l.record() == t);
                BOOST_TEST(!l.is_serial());
            });
        return n;
    };
    requests(4);
    std::size_t const before = caches();
    requests(20);
    BOOST_TEST(caches() == before);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_forked_child_goes_on_with_it)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "job", .threading = threading::serial}};
    worker other;
    void* p = nullptr;
    other([&] { p = r.allocate(56); });
    pid_t const child = ::fork();
    if (child == 0) {
        r.deallocate(p, 56);
        r.deallocate(r.allocate(56), 56);
        bool const closed = heap.close(r.epoch()).closed;
        bool const empty = stats_of(heap, r.epoch()).live_objects == 0;
        ::_exit(closed && empty && heap.snapshot().global.misuses == 0 ? 0 : 1);
    }
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
    r.deallocate(p, 56);
}

BOOST_AUTO_TEST_CASE(without_a_record_a_thread_is_refused_and_its_frees_are_served)
{
    recorder const seen;
    system_hook const os;
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "job", .threading = threading::serial}};
    void* const p = r.allocate(56);
    on_other_thread([&] {
        system_hook::no_records = true;
        BOOST_CHECK_THROW(static_cast<void>(r.allocate(56)), std::bad_alloc);
        r.deallocate(p, 56);
        system_hook::no_records = false;
    });
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    on_other_thread([&] { r.deallocate(r.allocate(56), 56); });
    BOOST_TEST(seen.count() == 0u);
}

namespace {

boost::test_tools::assertion_result overlaps_are_found(boost::unit_test::test_unit_id)
{
    boost::test_tools::assertion_result found{tslab::finds_overlaps};
    found.message() << "a build that finds overlapping uses";
    return found;
}

void use_it(epoch_resource& r)
{
    try {
        r.deallocate(r.allocate(56), 56);
    } catch (std::bad_alloc const&) {
    }
}

}

// Deterministic: the second use begins while the first one waits for memory from the system.
BOOST_AUTO_TEST_CASE(a_use_that_overlaps_another_is_reported_and_refused,
                     *boost::unit_test::precondition(overlaps_are_found))
{
    recorder const seen;
    system_hook const os;
    tslab::allocator heap{{.name = "heap"}};
    epoch_resource r{heap, {.label = "job", .threading = threading::serial}};
    worker other;
    std::uint64_t number = 0;
    other([&] { number = tslab::this_thread_number(); });
    void* const before = r.allocate(56);
    std::size_t refused = 0;
    std::atomic<bool> once{true};
    system_hook::before_map = [&] {
        if (!once.exchange(false))
            return;
        on_other_thread([&] {
            try {
                static_cast<void>(r.allocate(56));
            } catch (std::bad_alloc const&) {
                ++refused;
            }
            r.deallocate(before, 56);
            refused += r.release() == 0 ? 1 : 0;
        });
    };
    other([&] { static_cast<void>(r.allocate(300'000)); });
    BOOST_TEST(!once.load());
    BOOST_TEST(refused == 2u);
    BOOST_TEST(seen.count() == 3u);
    BOOST_TEST(seen.count(misuse::overlapping_use) == 3u);
    BOOST_TEST(seen.last().label == "job");
    BOOST_TEST(seen.last().heap == "heap");
    BOOST_TEST(seen.last().other_thread == number);
    BOOST_TEST(heap.snapshot().global.live_objects == 2u);
    // From inside a use, as a signal handler does, the same thread is no other one.
    once = true;
    system_hook::before_map = [&] {
        if (once.exchange(false))
            use_it(r);
    };
    other([&] { static_cast<void>(r.allocate(4'000'000)); });
    BOOST_TEST(!once.load());
    BOOST_TEST(seen.count(misuse::reentry) == 1u);
    BOOST_TEST(r.release() == 3u);
    BOOST_TEST(seen.count() == 4u);
}
