// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// epoch_resource as a std::pmr::memory_resource, to the letter, and its misuse.
#define BOOST_TEST_MODULE epoch_resource
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory_resource>
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

BOOST_AUTO_TEST_CASE(null_is_ignored_on_every_thread)
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
    BOOST_TEST(seen.last().given == 256u);
    expect(misuse::wrong_alignment);
    a.deallocate(p, 100, 96);   // no alignment
    BOOST_TEST(seen.last().given == 96u);
    expect(misuse::wrong_alignment);
    a.deallocate(p, 100, 8192);   // that would be a large allocation
    expect(misuse::wrong_alignment);
    a.deallocate(large, 100'000, 3 * 64);
    expect(misuse::wrong_alignment);
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
    BOOST_TEST(heap.snapshot().global.misuses == 15u);
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
