// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// epoch_resource as a std::pmr::memory_resource, to the letter; its lifetime, its options, and its misuse.
#define BOOST_TEST_MODULE epoch_resource
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::scaled;
using support::stats_of;
using tslab::deallocate_policy;
using tslab::epoch_resource;
using tslab::misuse;

BOOST_AUTO_TEST_CASE(serves_every_size_at_every_alignment_up_to_64_kib)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    std::pmr::memory_resource& m = r;
    for (std::size_t alignment = 1; alignment <= 65'536; alignment *= 2)
        for (std::size_t n = 0; n <= 2000; n += n < 800 ? 1 : 123) {
            void* const p = m.allocate(n, alignment);
            BOOST_REQUIRE(p != nullptr);
            BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
            std::memset(p, 0xab, n);
            m.deallocate(p, n, alignment);
        }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(absurd_requests_are_bad_alloc_before_any_arithmetic)
{
    support::os_hook hook;
    tslab::allocator heap;
    epoch_resource r{heap};
    std::pmr::memory_resource& m = r;
    auto const commits = hook.commits.load();
    for (std::size_t n : {std::size_t{PTRDIFF_MAX} - 1, std::size_t{PTRDIFF_MAX}, std::size_t{PTRDIFF_MAX} + 1,
                          SIZE_MAX - 4096, SIZE_MAX - 1, SIZE_MAX})
        for (std::size_t alignment : {1u, 8u, 64u, 4096u, 65'536u})
            BOOST_CHECK_THROW((void)m.allocate(n, alignment), std::bad_alloc);
    for (std::size_t alignment = std::size_t{1} << 40; alignment != 0; alignment *= 2)
        BOOST_CHECK_THROW((void)m.allocate(8, alignment), std::bad_alloc);
    BOOST_TEST(hook.commits == commits);
    bool as_closed = false;
    try {
        (void)m.allocate(SIZE_MAX, 8);
    } catch (tslab::epoch_closed const&) {
        as_closed = true;
    } catch (std::bad_alloc const&) {
    }
    BOOST_TEST(!as_closed);
    void* const p = m.allocate(8, 8);   // nothing was lost
    m.deallocate(p, 8, 8);
}

BOOST_AUTO_TEST_CASE(size_zero_is_a_pointer_of_its_own)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    std::set<void*> all;
    for (int i = 0; i < 100; ++i)
        BOOST_TEST(all.insert(r.allocate(0, 1)).second);
    BOOST_TEST(heap.snapshot().global.live_objects == 100u);
    for (void* p : all)
        r.deallocate(p, 0, 1);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(is_equal_to_itself_only)
{
    tslab::allocator heap;
    epoch_resource a{heap}, b{heap, {.share_epoch = true}}, c{heap, {.share_epoch = true}};
    BOOST_TEST((a == a));
    BOOST_TEST((a != b));
    BOOST_TEST((b != c));   // although they share an epoch
    BOOST_TEST(a.is_equal(static_cast<std::pmr::memory_resource&>(a)));
    BOOST_TEST(!a.is_equal(*std::pmr::get_default_resource()));
    BOOST_TEST(!std::pmr::get_default_resource()->is_equal(a));
}

BOOST_AUTO_TEST_CASE(every_container_of_the_standard_library_works_with_it)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "containers"}};
    {
        std::pmr::vector<int> v{&r};
        std::pmr::string s{&r};
        std::pmr::map<int, std::pmr::string> m{&r};
        std::pmr::unordered_map<std::pmr::string, int> u{&r};
        std::pmr::deque<long> d{&r};
        std::pmr::list<std::pmr::vector<int>> l{&r};
        std::mt19937 random{1};
        for (int i = 0; i < 5000; ++i) {
            v.push_back(i);
            s += static_cast<char>('a' + i % 26);
            m.emplace(i, std::pmr::string(static_cast<std::size_t>(i % 90), 'm'));
            u.emplace(std::to_string(i) + " a key that does not fit into the string itself", i);
            d.push_back(i);
            if (i % 3 == 0)
                d.pop_front();
            if (i % 50 == 0)
                l.emplace_back(static_cast<std::size_t>(i % 400), i);
        }
        for (int i = 0; i < 5000; i += 7) {
            m.erase(i);
            u.erase(std::pmr::string{std::to_string(i) + " a key that does not fit into the string itself"});
        }
        for (int i = 0; i < 5000; ++i) {
            BOOST_REQUIRE(v[static_cast<std::size_t>(i)] == i);
            BOOST_REQUIRE(s[static_cast<std::size_t>(i)] == 'a' + i % 26);
            BOOST_REQUIRE(m.contains(i) == (i % 7 != 0));
            if (i % 7 != 0)
                BOOST_REQUIRE(m.at(i).size() == static_cast<std::size_t>(i % 90));
        }
        BOOST_TEST(u.size() == m.size());
        for (auto const& one : l)
            BOOST_REQUIRE(std::count(one.begin(), one.end(), one.empty() ? 0 : one[0]) == std::ptrdiff_t(one.size()));
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects > 5000u);
    }
    BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(works_beneath_the_pool_resources_and_as_the_default)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    {
        std::pmr::unsynchronized_pool_resource pool{&r};
        std::pmr::monotonic_buffer_resource monotonic{&r};
        std::pmr::vector<std::pmr::string> a{&pool};
        std::pmr::vector<std::pmr::string> b{&monotonic};
        auto* const before = std::pmr::set_default_resource(&r);
        std::pmr::vector<std::pmr::string> c;
        std::pmr::set_default_resource(before);
        for (auto* v : {&a, &b, &c})
            for (int i = 0; i < 1000; ++i)
                v->emplace_back("a string that is too long for the small buffer of a string");
    }
    BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(other_threads_allocate_and_free_through_it)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "shared by threads"}};
    std::vector<std::thread> threads;
    std::vector<std::vector<std::pair<unsigned char*, std::size_t>>> all(4);
    for (std::size_t t = 0; t < all.size(); ++t)
        threads.emplace_back([&, t] {
            for (std::size_t i = 0; i < 2000; ++i) {
                std::size_t const n = 1 + i * 13 % 1500;
                auto* const p = static_cast<unsigned char*>(r.allocate(n));
                std::memset(p, static_cast<int>(t), n);
                all[t].emplace_back(p, n);
                if (i % 3 == 0) {
                    r.deallocate(all[t].back().first, n);
                    all[t].pop_back();
                }
            }
        });
    for (int i = 0; i < 2000; ++i)
        r.deallocate(r.allocate(64), 64);
    for (auto& t : threads)
        t.join();
    BOOST_TEST(stats_of(heap, r.epoch()).allocations == 10'000u);
    std::atomic<std::uint64_t> wrong{0};
    threads.clear();
    for (std::size_t t = 0; t < all.size(); ++t)
        threads.emplace_back([&, t] {
            for (auto [p, n] : all[(t + 1) % all.size()]) {
                wrong += static_cast<std::size_t>(std::count(p, p + n, (t + 1) % all.size())) != n;
                r.deallocate(p, n);
            }
        });
    for (auto& t : threads)
        t.join();
    BOOST_TEST(wrong == 0u);
    BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(release_gives_back_slabs_large_ones_and_what_other_threads_took)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    for (int round = 0; round < 3; ++round) {
        for (std::size_t n = 0; n < 1500; ++n)
            std::memset(r.allocate(n), 1, n);
        support::worker other;
        other([&] {
            for (int i = 0; i < 100; ++i)
                (void)r.allocate(200);
        });
        BOOST_TEST(r.release() == 1600u);   // the other thread is idle and alive
        BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
        BOOST_TEST(heap.snapshot().global.large_pages == 0u);
        other([&] { r.deallocate(r.allocate(200), 200); });
    }
    BOOST_TEST(heap.snapshot().global.released_objects == 4800u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(a_free_after_release_is_reported_and_harms_nobody)
{
    recorder seen;
    tslab::allocator heap;
    epoch_resource r{heap};
    void* const p = r.allocate(64);
    void* const tiny = r.allocate(9);
    void* const many_pages = r.allocate(10'000);
    void* const large = r.allocate(100'000);
    r.release();
    r.deallocate(p, 64);
    r.deallocate(tiny, 9);
    r.deallocate(many_pages, 10'000);
    r.deallocate(large, 100'000);
    BOOST_TEST(seen.count(misuse::double_free) == 4u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    for (std::size_t const n : {64u, 9u, 10'000u, 100'000u})
        r.deallocate(r.allocate(n), n);
    BOOST_TEST(seen.count() == 4u);
}

BOOST_AUTO_TEST_CASE(count_only_never_frees_and_never_reports)
{
    recorder const seen;
    tslab::allocator heap;
    {
        epoch_resource r{heap, {.deallocate = deallocate_policy::count_only}};
        void* const p = r.allocate(64);
        for (int i = 0; i < 10; ++i)
            r.deallocate(p, 64);
        void* const large = r.allocate(50'000);
        r.deallocate(large, 50'000);
        std::memset(large, 1, 50'000);   // it is still there
        BOOST_TEST(heap.snapshot().global.counted_frees == 11u);
        BOOST_TEST(heap.snapshot().global.live_objects == 2u);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.large_pages == 0u);
    BOOST_TEST(heap.snapshot().global.counted_frees == 11u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(what_a_resource_left_behind_is_not_the_next_ones_at_the_same_address)
{
    recorder const seen;
    tslab::allocator heap;
    std::optional<epoch_resource> r;
    r.emplace(heap, tslab::resource_options{.share_epoch = true});
    void* const left = r->allocate(100'000);
    r.reset();
    BOOST_TEST(seen.count(misuse::leak) == 1u);
    r.emplace(heap, tslab::resource_options{.share_epoch = true});
    BOOST_TEST(r->release() == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    r.reset();
    BOOST_TEST(seen.count() == 1u);
    heap.free(left);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_that_shares_its_epoch_gives_back_only_its_own)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    std::vector<void*> others;
    for (std::size_t i = 0; i < 100; ++i)
        others.push_back(std::memset(heap.malloc(1 + i * 20), 7, 1 + i * 20));
    {
        epoch_resource r{heap, {.share_epoch = true}};
        BOOST_TEST((r.epoch() == e));
        BOOST_TEST(stats_of(heap, e).refcount == 1u);
        for (std::size_t i = 0; i < 500; ++i)
            std::memset(r.allocate(1 + i * 5), 9, 1 + i * 5);
        BOOST_TEST(r.release() == 500u);
        r.deallocate(r.allocate(50), 50);
    }
    BOOST_TEST(heap.is_active(e));
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 100u);
    for (std::size_t i = 0; i < others.size(); ++i) {
        auto const* const p = static_cast<unsigned char const*>(others[i]);
        BOOST_TEST(std::count(p, p + 1 + i * 20, 7) == std::ptrdiff_t(1 + i * 20));
        heap.free(others[i]);
    }
}

BOOST_AUTO_TEST_CASE(a_sharing_resource_releases_also_what_it_took_before_a_trim_or_an_advance)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.share_epoch = true}};
    (void)r.allocate(50);
    heap.trim(r.epoch());
    (void)r.allocate(50);
    heap.trim(r.epoch());
    BOOST_TEST(r.release() == 2u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);

    (void)r.allocate(50);
    void* const q = r.allocate(50);
    heap.advance();
    r.deallocate(q, 50);
    BOOST_TEST(r.release() == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_sharing_resource_is_refused_once_its_epoch_is_advanced_away)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.share_epoch = true}};
    void* const p = r.allocate(10);
    heap.advance();
    BOOST_CHECK_THROW((void)r.allocate(10), tslab::epoch_closed);
    r.deallocate(p, 10);
    BOOST_TEST(heap.snapshot().global.slow_path_epoch_closed == 1u);
}

BOOST_AUTO_TEST_CASE(epoch_closed_is_thrown_on_the_way_of_every_size_and_thread_and_counted)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    void* const p = r.allocate(100);
    heap.close(r.epoch());
    std::uint64_t refused = 0;
    for (std::size_t n : {0u, 100u, 768u, 769u, 100'000u})
        for (std::size_t alignment : {1u, 512u, 8192u}) {
            BOOST_CHECK_THROW((void)r.allocate(n, alignment), tslab::epoch_closed);
            on_other_thread([&] { BOOST_CHECK_THROW((void)r.allocate(n, alignment), tslab::epoch_closed); });
            refused += 2;
        }
    BOOST_TEST(heap.snapshot().global.slow_path_epoch_closed == refused);
    BOOST_TEST(std::string{tslab::epoch_closed{}.what()} == "tslab: allocation in a closed epoch");
    r.deallocate(p, 100);
    std::pmr::vector<int> v{&r};
    BOOST_CHECK_THROW(v.push_back(1), std::bad_alloc);
}

BOOST_AUTO_TEST_CASE(a_resource_whose_epoch_stays_open_by_option)
{
    tslab::allocator heap;
    tslab::epoch_id e{};
    {
        epoch_resource r{heap, {.label = "stays", .auto_close = false}};
        e = r.epoch();
    }
    BOOST_TEST(heap.is_active(e));
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    void* const p = heap.malloc(10, e);
    BOOST_TEST(p != nullptr);
    heap.free(p);
    BOOST_TEST(heap.close(e).drained);
}

BOOST_AUTO_TEST_CASE(a_domain_of_its_epoch_keeps_the_epoch_open_after_the_resource)
{
    tslab::allocator heap;
    std::optional<epoch_resource> r;
    r.emplace(heap);
    tslab::epoch_domain d{heap, r->epoch()};
    d.enter();
    r.reset();
    BOOST_TEST(heap.is_active(d.epoch()));
    d.exit();
    BOOST_TEST(!heap.is_active(d.epoch()));
}

BOOST_AUTO_TEST_CASE(resources_may_end_in_any_order_and_on_any_thread)
{
    tslab::allocator heap;
    std::mt19937 random{99};
    std::vector<std::unique_ptr<epoch_resource>> all;
    for (int i = 0; i < 100; ++i) {
        all.push_back(std::make_unique<epoch_resource>(heap));
        all.back()->deallocate(all.back()->allocate(64), 64);
    }
    std::shuffle(all.begin(), all.end(), random);
    support::worker other;
    while (!all.empty()) {
        if (random() % 2 == 0)
            other([&] { all.pop_back(); });
        else
            all.pop_back();
    }
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_outlives_the_thread_that_made_it)
{
    tslab::allocator heap;
    std::unique_ptr<epoch_resource> r;
    void* p = nullptr;
    on_other_thread([&] {
        r = std::make_unique<epoch_resource>(heap, tslab::resource_options{.label = "orphan"});
        p = r->allocate(100);
    });
    r->deallocate(p, 100);
    void* const q = r->allocate(200);
    on_other_thread([&] { r->deallocate(q, 200); });
    BOOST_TEST(r->release() == 0u);
    auto const e = r->epoch();
    r.reset();
    BOOST_TEST(!heap.is_active(e));
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(ten_thousand_resources_are_alive_at_once)
{
    std::size_t const n = scaled(10'000);
    tslab::allocator heap{{.epoch_count = 16'384}};
    std::vector<std::unique_ptr<epoch_resource>> all;
    std::vector<void*> objects;
    for (std::size_t i = 0; i < n; ++i) {
        all.push_back(std::make_unique<epoch_resource>(heap, tslab::resource_options{.label = "one of many"}));
        objects.push_back(std::memset(all.back()->allocate(100), static_cast<int>(i & 0xff), 100));
    }
    BOOST_TEST(heap.snapshot().global.active_epochs == n + 1);
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
    for (std::size_t i = 0; i < n; ++i) {
        auto const* const p = static_cast<unsigned char const*>(objects[i]);
        BOOST_REQUIRE(std::count(p, p + 100, i & 0xff) == 100);
        all[i]->deallocate(objects[i], 100);
        all[i].reset();
    }
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(release_does_not_count_what_another_thread_has_freed)
{
    tslab::allocator heap;
    for (bool const share : {false, true}) {
        epoch_resource r{heap, {.share_epoch = share}};
        for (std::size_t const bytes : {8u, 64u, 300u, 768u, 100'000u}) {
            std::vector<void*> all;
            for (int i = 0; i < 40; ++i)
                all.push_back(r.allocate(bytes));
            on_other_thread([&] {
                for (std::size_t i = 0; i < all.size(); i += 4)
                    r.deallocate(all[i], bytes);
            });
            BOOST_TEST(r.release() == 30u);
            BOOST_TEST(heap.snapshot().global.live_objects == 0u);
        }
    }
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_that_only_counts_frees_gives_back_what_it_has_of_a_shared_epoch)
{
    recorder const reports;
    tslab::allocator heap;
    void* const other = heap.malloc(64);
    {
        epoch_resource r{heap, {.share_epoch = true, .deallocate = deallocate_policy::count_only}};
        for (std::size_t const bytes : {8u, 64u, 300u, 768u, 100'000u})
            std::memset(r.allocate(bytes), 1, bytes);
        r.deallocate(r.allocate(64), 64);
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 7u);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    BOOST_TEST(heap.snapshot().global.leaked_objects == 0u);
    heap.free(other);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(reports.count() == 0u);
}

BOOST_AUTO_TEST_CASE(null_is_ignored_whoever_deallocates_it)
{
    recorder seen;
    tslab::allocator heap;
    for (auto const policy : {tslab::deallocate_policy::carry_out, tslab::deallocate_policy::count_only}) {
        epoch_resource r{heap, {.label = "null", .deallocate = policy}};
        auto const all_sizes = [&] {
            for (std::size_t const bytes : {0u, 1u, 16u, 32u, 48u, 64u, 768u, 4096u, 65'536u, 100'000u})
                r.deallocate(nullptr, bytes);
        };
        all_sizes();
        on_other_thread(all_sizes);
        r.deallocate(r.allocate(16), 16);   // now there are slabs
        on_other_thread([&] { r.deallocate(r.allocate(16), 16); });
        all_sizes();
        on_other_thread(all_sizes);
    }
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(misuse_of_a_deallocation_is_reported_and_not_carried_out)
{
    recorder seen;
    tslab::allocator heap{{.name = "heap"}};
    epoch_resource a{heap, {.label = "a"}}, b{heap, {.label = "b"}};
    auto* const p = static_cast<char*>(a.allocate(100));
    auto* const large = static_cast<char*>(a.allocate(100'000));
    auto const expect = [&](misuse kind) {
        BOOST_REQUIRE(seen.count() == 1u);
        BOOST_TEST((seen.last().kind == kind));
        seen.clear();
        BOOST_TEST(heap.snapshot().global.live_objects == 2u);
    };
    a.deallocate(p, 300);
    expect(misuse::wrong_size);
    a.deallocate(p, 100, 256);   // the class for that alignment is another
    expect(misuse::wrong_size);
    a.deallocate(p, 100'000);
    expect(misuse::wrong_size);
    a.deallocate(large, 100'001);
    expect(misuse::wrong_size);
    a.deallocate(large, 100);
    expect(misuse::wrong_size);
    a.deallocate(p + 32, 100);
    expect(misuse::interior_pointer);
    a.deallocate(large + 4096, 100'000);
    expect(misuse::interior_pointer);
    b.deallocate(p, 100);
    expect(misuse::wrong_resource);
    b.deallocate(large, 100'000);
    expect(misuse::wrong_resource);
    on_other_thread([&] { b.deallocate(p, 100); });
    expect(misuse::wrong_resource);
    int local = 0;
    a.deallocate(&local, sizeof local);
    expect(misuse::foreign_pointer);
    on_other_thread([&] { a.deallocate(p + 1, 100); });
    expect(misuse::interior_pointer);
    BOOST_TEST(heap.snapshot().global.misuses == 12u);
    a.deallocate(p, 112);   // another size of the same class is served
    a.deallocate(large, 100'000);
    BOOST_TEST(seen.count() == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(out_of_memory_is_bad_alloc_and_passes)
{
    support::os_hook hook;
    tslab::allocator heap{{.reserve_bytes = std::size_t{16} << 20}};
    epoch_resource r{heap};
    std::vector<void*> all;
    try {
        for (;;)
            all.push_back(r.allocate(512));
    } catch (tslab::epoch_closed const&) {
        BOOST_ERROR("closed?");
    } catch (std::bad_alloc const&) {
    }
    BOOST_TEST(all.size() == 4096u * 8);
    for (int i = 0; i < 8; ++i) {   // a page's worth
        r.deallocate(all.back(), 512);
        all.pop_back();
    }
    all.push_back(r.allocate(512));
    BOOST_TEST(r.release() == all.size());
    heap.trim();   // cached slabs lie in between
    r.deallocate(r.allocate(std::size_t{16} << 20), std::size_t{16} << 20);
}
