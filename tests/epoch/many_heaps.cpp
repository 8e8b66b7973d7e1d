// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Many heaps in one process: they share one segment and one descriptor, cost what their records cost, leave nothing
// behind when they end, and readers see all of them, also while heaps begin and end and in a forked child.
#define BOOST_TEST_MODULE many_heaps
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"
#include "small_heaps.hpp"

using small_heaps::descriptors;
using small_heaps::small_heap;
using small_heaps::use;

namespace {

using heaps = std::vector<std::unique_ptr<tslab::allocator>>;

int in_child(std::function<bool()> const& good)
{
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        ::alarm(120);
        ::_exit(good() ? 0 : 1);
    }
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

/// Takes the remaining chunks of a segment that cannot grow.
std::vector<std::unique_ptr<tslab::segment_part>> take_the_rest()
{
    std::vector<std::unique_ptr<tslab::segment_part>> all;
    do
        all.push_back(std::make_unique<tslab::segment_part>(true, tslab::layout_number()));
    while (all.back()->is_published());
    return all;
}

}

BOOST_AUTO_TEST_CASE(all_are_seen_through_one_descriptor)
{
    std::size_t const n = support::scaled(2000);
    heaps all;
    std::size_t const before = tslab::read_rss_bytes();
    for (std::size_t i = 0; i < n; ++i) {
        all.push_back(small_heap("tenant " + std::to_string(i % 7)));   // names are no keys
        BOOST_REQUIRE(all.back()->malloc(64) != nullptr);
        BOOST_REQUIRE(all.back()->state().published().is_published());
        BOOST_REQUIRE(all.back()->state().published().committed_bytes() <= 2 * tslab::segment_chunk::bytes);
    }
    BOOST_TEST(descriptors() == 1U);
    BOOST_TEST_MESSAGE((tslab::read_rss_bytes() - before) / n << " bytes resident a heap");
    auto seen = tslab::observer{::getpid()}.read({.residency = false});
    BOOST_REQUIRE(seen.size() == n);
    for (std::size_t i = 0; i < n; ++i) {
        BOOST_REQUIRE(seen[i].name == "tenant " + std::to_string(i % 7));
        BOOST_REQUIRE(seen[i].live_known);
        BOOST_REQUIRE(seen[i].global.live_objects == 1U);
        BOOST_REQUIRE(seen[i].threads.size() == 1U);
    }
    // Some heaps end; the others do not change.
    tslab::set_error_handler([](tslab::misuse_report const&) {});   // an object is left in each
    for (std::size_t i = 0; i < n; i += 3)
        all[i].reset();
    seen = tslab::observer{::getpid()}.read({.residency = false});
    BOOST_TEST(seen.size() == n - (n + 2) / 3);
    for (tslab::snapshot const& s : seen)
        BOOST_REQUIRE(s.global.live_objects == 1U);
    all.clear();
    BOOST_TEST(descriptors() == 0U);
    tslab::set_error_handler(nullptr);
}

BOOST_AUTO_TEST_CASE(the_segment_goes_with_the_last_heap_and_comes_with_the_next)
{
    for (int i = 0; i < 100; ++i) {
        BOOST_REQUIRE(descriptors() == 0U);
        BOOST_REQUIRE(tslab::published_segment().committed_bytes() == 0U);
        heaps all;
        for (int k = 0; k < 3; ++k)
            all.push_back(small_heap("short"));
        BOOST_REQUIRE(tslab::observer{::getpid()}.read({.residency = false}).size() == 3U);
        std::swap(all[0], all[static_cast<std::size_t>(i) % 3]);
    }
    BOOST_TEST(descriptors() == 0U);
}

// A heap that does not publish takes nothing of the segment.
BOOST_AUTO_TEST_CASE(a_private_heap_has_no_part_of_it)
{
    tslab::allocator heap{{.name = "private", .publish = false}};
    BOOST_TEST(descriptors() == 0U);
    BOOST_TEST(tslab::published_segment().committed_bytes() == 0U);
    BOOST_TEST(tslab::private_segment().committed_bytes() != 0U);
    BOOST_TEST(!heap.state().published().is_published());
    BOOST_TEST(heap.snapshot().name == "private");
}

// A reader beside heaps that begin and end: each heap it finds is complete, and the one that stays is always found.
BOOST_AUTO_TEST_CASE(heaps_come_and_go_while_they_are_read)
{
    auto const lasting = small_heap("lasting");
    void* const kept = lasting->malloc(100);
    std::atomic<bool> done{false};
    std::vector<std::thread> all;
    for (int t = 0; t < 2; ++t)
        all.emplace_back([&] {
            while (!done) {
                heaps some;
                for (int i = 0; i < 5; ++i) {
                    some.push_back(small_heap("fleeting"));
                    tslab::epoch_scope const scope{*some.back(), "fleeting scope"};
                    for (std::size_t bytes = 16; bytes < 1000; bytes *= 2)
                        scope.resource()->deallocate(scope.resource()->allocate(bytes), bytes);
                }
            }
        });
    tslab::observer o{::getpid()};
    std::size_t fleeting = 0;
    for (std::size_t i = 0; i < support::scaled(1000); ++i) {
        auto const seen = o.read({.residency = false});
        BOOST_REQUIRE(!seen.empty());
        BOOST_REQUIRE(seen.front().name == "lasting");
        BOOST_REQUIRE(seen.front().global.live_objects == 1U);
        for (tslab::snapshot const& s : seen) {
            BOOST_REQUIRE((s.name == "lasting" || s.name == "fleeting"));
            BOOST_REQUIRE(s.epoch_count == 4U);
            BOOST_REQUIRE(s.global.allocations < 1000U);
            for (tslab::epoch_stats const& e : s.epochs)
                BOOST_REQUIRE((e.label.empty() || e.label == "unlabeled" || e.label == "fleeting scope"));
            fleeting += s.name == "fleeting" ? 1 : 0;
        }
    }
    done = true;
    for (std::thread& t : all)
        t.join();
    BOOST_TEST(fleeting > 0U);
    lasting->free(kept);
}

BOOST_AUTO_TEST_CASE(a_forked_child_has_a_segment_of_its_own)
{
    constexpr std::size_t n = 150;   // more than the first extent holds
    heaps all;
    for (std::size_t i = 0; i < n; ++i) {
        all.push_back(small_heap("heap " + std::to_string(i)));
        BOOST_REQUIRE(all.back()->malloc(64) != nullptr);
    }
    auto const live = [&](std::size_t each) {
        auto const seen = tslab::observer{::getpid()}.read({.residency = false});
        return seen.size() == all.size() && std::all_of(seen.begin(), seen.end(), [&](tslab::snapshot const& s) {
                   return s.live_known && s.pid == ::getpid() && s.global.live_objects == each &&
                          s.global.allocations == each;
               });
    };
    int const status = in_child([&] {
        bool good = descriptors() == 1 && live(1);
        for (auto const& heap : all)
            good = heap->malloc(200) != nullptr && good;
        good = good && live(2);
        tslab::set_error_handler([](tslab::misuse_report const&) {});
        all.resize(10);
        good = good && live(2);
        all.push_back(small_heap("of the child"));
        good = good && all.back()->malloc(1) != nullptr && all.back()->malloc(1) != nullptr && live(2);
        all.clear();
        return good && descriptors() == 0;
    });
    BOOST_TEST(status == 0);
    BOOST_TEST(live(1));
    BOOST_TEST(descriptors() == 1U);
    tslab::set_error_handler([](tslab::misuse_report const&) {});
    all.clear();
    tslab::set_error_handler(nullptr);
}

BOOST_AUTO_TEST_CASE(a_segment_that_cannot_grow)
{
    support::os_hook const system;
    heaps all;
    all.push_back(small_heap("first"));
    support::os_hook::fail_reserve_above = std::size_t{1} << 20;
    auto rest = take_the_rest();
    BOOST_TEST(rest.size() > 10U);
    BOOST_TEST(rest.back()->allocate(100, 8) != nullptr);
    BOOST_TEST(!rest.back()->is_published());
    support::os_hook::fail_reserve_above = ~std::size_t{0};
    all.push_back(small_heap("second"));   // there is room again
    use(*all.back());
    BOOST_TEST(tslab::observer{::getpid()}.read({.residency = false}).size() == 2U);
}

// A closed descriptor's number may name another file by then: the segment does not use it.
BOOST_AUTO_TEST_CASE(a_descriptor_that_is_anothers_is_left_alone)
{
    int const status = in_child([] {
        auto const first = small_heap("first");
        int segment = -1;
        for (auto const& one : std::filesystem::directory_iterator{"/proc/self/fd"}) {
            std::error_code gone;
            if (std::filesystem::read_symlink(one.path(), gone).string().starts_with("/memfd:tslab"))
                segment = std::atoi(one.path().filename().c_str());
        }
        int const other = ::memfd_create("other", 0);
        if (segment < 0 || ::dup2(other, segment) != segment)
            return false;
        heaps all;
        for (int i = 0; i < 100; ++i) {
            all.push_back(small_heap("late"));
            use(*all.back());
        }
        struct stat s{};
        return ::fstat(other, &s) == 0 && s.st_size == 0 && s.st_blocks == 0;
    });
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(one_file_tells_of_all_heaps)
{
    std::string const path =
        (std::filesystem::temp_directory_path() / ("tslab-" + std::to_string(::getpid()) + "-many")).string();
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    int const status = in_child([] {
        static heaps all;
        for (int i = 0; i < 100; ++i) {
            all.push_back(small_heap("heap " + std::to_string(i)));
            use(*all.back());
        }
        ::_exit(0);   // without an end
        return true;
    });
    BOOST_TEST(status == 0);
    ::unsetenv("TSLAB_STATS_FILE");
    auto const seen = tslab::observer{path}.read();
    BOOST_REQUIRE(seen.size() == 100U);
    for (std::size_t i = 0; i < seen.size(); ++i) {
        BOOST_REQUIRE(seen[i].name == "heap " + std::to_string(i));
        BOOST_REQUIRE(!seen[i].live_known);
    }
    BOOST_TEST(tslab::observer{path}.maps().size() == 100U);
    std::filesystem::remove(path);
}
