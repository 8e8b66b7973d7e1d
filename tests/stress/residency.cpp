// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says: one million objects of all sizes in an epoch, freed, the epoch closed, and their pages are not
// resident any more, by mincore and not by a counter; and two hundred rounds of it leave the process no bigger.
#define BOOST_TEST_MODULE stress_residency
#include "stress_roles.hpp"
#include <boost/test/unit_test.hpp>
#include <malloc.h>
import tslab.internal;

namespace {

constexpr std::size_t page = 4096;
#if defined(TSLAB_SANITIZED)
constexpr std::size_t million = 100'000;   // the sanitizers' own memory is many times the objects'
constexpr int rounds = 20;
#else
constexpr std::size_t million = 1'000'000;
constexpr int rounds = 200;
#endif

/// Pages that objects lay in, as runs, so that looking costs little.
struct footprint {
    std::vector<std::uintptr_t> pages;

    void add(void const* p, std::size_t bytes)
    {
        for (std::uintptr_t at = reinterpret_cast<std::uintptr_t>(p) / page;
             at <= (reinterpret_cast<std::uintptr_t>(p) + bytes - 1) / page; ++at)
            if (pages.empty() || pages.back() != at)
                pages.push_back(at);
    }
    void finish()
    {
        std::sort(pages.begin(), pages.end());
        pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
    }
    [[nodiscard]] std::size_t resident() const
    {
        std::size_t n = 0;
        for (std::size_t i = 0; i < pages.size();) {
            std::size_t k = i + 1;
            while (k < pages.size() && pages[k] == pages[k - 1] + 1)
                ++k;
            n += tslab::resident_bytes(reinterpret_cast<void const*>(pages[i] * page), (k - i) * page) / page;
            i = k;
        }
        return n;
    }
};

enum class when : std::uint8_t { before_close, after_close };
enum class where : std::uint8_t { same_thread, other_thread };

struct figures {
    std::size_t pages = 0, before = 0, after = 0;
    tslab::close_report report;
};

std::size_t a_size(std::size_t i)
{
    // The small classes in turn, one object of a larger class in five hundred, and now and then a large allocation.
    if (i % 20'000 == 19'999)
        return 70'000 + i % 7000;
    if (i % 500 == 499)
        return tslab::class_sizes[11 + i / 500 % 13];
    return tslab::class_sizes[i % 11];
}

/// A round: `n` objects in an epoch of their own, touched, freed, the epoch closed.
figures one_round(tslab::allocator& heap, std::size_t n, when freed, where by, std::vector<void*>& objects, bool look)
{
    figures f;
    footprint print;
    tslab::epoch_id const e = heap.current_epoch();
    objects.clear();
    for (std::size_t i = 0; i < n; ++i) {
        auto* const p = static_cast<std::byte*>(heap.malloc(a_size(i), e));
        if (p == nullptr)
            throw std::bad_alloc{};
        for (std::size_t k = 0; k < a_size(i); k += 2048)
            p[k] = std::byte{1};
        p[a_size(i) - 1] = std::byte{1};
        objects.push_back(p);
        if (look)
            print.add(p, a_size(i));
    }
    print.finish();
    f.pages = print.pages.size();
    f.before = print.resident();
    auto const free_all = [&] {
        for (void* const p : objects)
            heap.free(p);
    };
    auto const free_where = [&] {
        if (by == where::same_thread)
            free_all();
        else
            std::thread{free_all}.join();
    };
    if (freed == when::before_close)
        free_where();
    f.report = heap.close(e);
    if (freed == when::after_close)
        free_where();
    f.after = print.resident();
    return f;
}

void one_million(when freed, where by)
{
    tslab::allocator heap{{.name = "rss", .reclaim = tslab::reclaim_policy::eager}};
    std::vector<void*> objects;
    objects.reserve(million);
    figures const f = one_round(heap, million, freed, by, objects, true);
    std::printf("%zu objects on %zu pages: %zu resident before, %zu after (%.2f %% gone)\n", million, f.pages, f.before,
                f.after, 100.0 * static_cast<double>(f.before - f.after) / static_cast<double>(f.before));
    BOOST_TEST(f.before == f.pages);
    BOOST_TEST(f.after * 20 <= f.before);
    BOOST_TEST(heap.snapshot().global.live_objects == 0U);
    if (freed == when::before_close) {
        BOOST_TEST(f.report.drained);
        BOOST_TEST(f.report.madvise_bytes >= f.pages * page * 95 / 100);
        BOOST_TEST(f.report.rss_before - f.report.rss_after >= f.report.madvise_bytes * 9 / 10);
    }
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
}

}

BOOST_AUTO_TEST_CASE(freed_then_closed) { one_million(when::before_close, where::same_thread); }

BOOST_AUTO_TEST_CASE(freed_by_another_thread_then_closed) { one_million(when::before_close, where::other_thread); }

BOOST_AUTO_TEST_CASE(closed_then_freed) { one_million(when::after_close, where::same_thread); }

BOOST_AUTO_TEST_CASE(closed_then_freed_by_another_thread) { one_million(when::after_close, where::other_thread); }

// A tenth of a million objects a round unless TSLAB_RSS_OBJECTS says more: two hundred rounds of a million take a minute
// each. The ring is small, so that it has been round once before the tenth round: a slot's record is made at its first use.
BOOST_AUTO_TEST_CASE(two_hundred_rounds_leave_the_process_no_bigger)
{
    char const* const asked = std::getenv("TSLAB_RSS_OBJECTS");
    std::size_t const n = asked != nullptr ? std::stoul(asked) : million / 10;
    std::uint32_t const ring = n >= million ? 256 : 8;
    for (auto const freed : {when::before_close, when::after_close})
        for (auto const by : {where::same_thread, where::other_thread}) {
            tslab::allocator heap{{.name = "rounds", .epoch_count = ring, .reclaim = tslab::reclaim_policy::eager}};
            std::vector<void*> objects;
            objects.reserve(n);
            std::uint64_t at_ten = 0;
            for (int i = 1; i <= rounds; ++i) {
                one_round(heap, n, freed, by, objects, false);
                if (i == 10)
                    at_ten = tslab::read_rss_bytes();
            }
            std::uint64_t const at_end = tslab::read_rss_bytes();
            std::printf("%zu objects a round: resident after 10 rounds %llu, after %d rounds %llu\n", n,
                        static_cast<unsigned long long>(at_ten), rounds, static_cast<unsigned long long>(at_end));
#if !defined(TSLAB_SANITIZED)   // what a sanitizer remembers of each round stays
            BOOST_TEST(at_end <= at_ten + at_ten / 100);
#endif
            BOOST_TEST(heap.state().pages().used_pages() < n / 10 + 1000);   // a few slabs of many pages for each class
            stress::close_everything(heap);
            BOOST_TEST(stress::wrong_with(heap) == "");
        }
}

// With scopes, whose end is no call to close: the pages go all the same.
BOOST_AUTO_TEST_CASE(the_end_of_a_scope_gives_its_pages_back)
{
    tslab::allocator heap{{.name = "scope", .reclaim = tslab::reclaim_policy::eager}};
    footprint print;
    std::size_t before = 0;
    {
        tslab::epoch_scope const scope{heap, "big"};
        std::vector<std::pair<void*, std::size_t>> objects;
        for (std::size_t i = 0; i < million / 4; ++i) {
            objects.emplace_back(scope.resource()->allocate(a_size(i)), a_size(i));
            std::memset(objects.back().first, 1, objects.back().second);
            print.add(objects.back().first, objects.back().second);
        }
        print.finish();
        before = print.resident();
        for (auto const& [p, bytes] : objects)
            scope.resource()->deallocate(p, bytes);
    }
    BOOST_TEST(before == print.pages.size());
    BOOST_TEST(print.resident() * 20 <= before);
}

namespace {

/// Pages that the heap's caches, a thread's warm slots and its thread cache may keep of all classes.
std::size_t most_retained()
{
    std::size_t n = 0;
    for (tslab::class_shape const& c : tslab::class_shapes)
        n += std::max(32U, c.pages) + 3 * std::max(16U, c.pages);
    return n;
}

}

// The other policies: `cached` keeps 32 pages a class, `never` keeps everything until it is asked to trim.
BOOST_AUTO_TEST_CASE(what_the_other_policies_retain)
{
    for (auto const policy : {tslab::reclaim_policy::cached, tslab::reclaim_policy::never}) {
        tslab::allocator heap{{.name = "policy", .reclaim = policy}};
        std::vector<void*> objects;
        footprint print;
        tslab::epoch_id const e = heap.current_epoch();
        for (std::size_t i = 0; i < million / 10; ++i) {
            objects.push_back(heap.malloc(a_size(i), e));
            std::memset(objects.back(), 1, a_size(i));
            print.add(objects.back(), a_size(i));
        }
        print.finish();
        for (void* const p : objects)
            heap.free(p);
        heap.close(e);
        if (policy == tslab::reclaim_policy::cached)
            BOOST_TEST(print.resident() <= most_retained());
        else
            BOOST_TEST(print.resident() == print.pages.size());
        heap.trim();
        BOOST_TEST(print.resident() == 0U);
    }
}
