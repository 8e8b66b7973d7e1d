// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The thread that purges in the background when the process's control group is near a limit: groups made up of files, and real ones.
#define BOOST_TEST_MODULE lifecycle_pressure
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>

#include "background.hpp"
#include "death.hpp"
#include "recorder.hpp"

using namespace std::chrono_literals;
using background::allocate_and_free;
using background::eventually;
using background::has_no_unused_memory;
using background::purging_options;
using background::slow_system;
using death::must;

namespace {

/// A tree of control groups as the kernel shows it, made of plain files.
class made_up_group {
public:
    made_up_group() : root_{std::filesystem::temp_directory_path() / ("tslab-group-" + std::to_string(::getpid()))}
    {
        std::filesystem::create_directories(root_ / "a" / "b");
        write("own", "12:memory:/elsewhere\n0::/a/b\n");
        write("a/b/memory.events", "low 0\nhigh 0\nmax 0\noom 0\n");
        write("a/b/memory.stat", "anon 5\ninactive_file 0\nactive_file 7\n");
        use(1'000'000, "100000000");
        own_ = root_ / "own";
        nowhere_ = root_ / "not-there";
        places_ = {own_.c_str(), {nowhere_.c_str(), root_.c_str()}};
        tslab::set_group_places(&places_);
    }
    ~made_up_group()
    {
        tslab::set_group_places(nullptr);
        std::filesystem::remove_all(root_);
    }
    made_up_group(made_up_group const&) = delete;
    made_up_group& operator=(made_up_group const&) = delete;

    void use(std::size_t bytes, std::string const& high, std::string const& max = "max",
             std::size_t idle_files = 0) const
    {
        write("a/b/memory.stat", "anon 5\ninactive_file " + std::to_string(idle_files) + "\nactive_file 7\n");
        write("a/b/memory.high", high + '\n');
        write("a/b/memory.max", max + '\n');
        write("a/b/memory.current", std::to_string(bytes) + '\n');
    }
    /// In place, as the kernel does, and in one call: a reader who has it open sees the one text or the other.
    void write(std::string const& name, std::string text) const
    {
        constexpr std::size_t longest = 200;
        text.resize(longest, '\n');
        int const file = ::open((root_ / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        BOOST_REQUIRE(file >= 0);
        BOOST_TEST(::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(longest));
        ::close(file);
    }
    void remove(std::string const& name) const { std::filesystem::remove(root_ / name); }

private:
    std::filesystem::path root_, own_, nowhere_;
    tslab::group_places places_{};
};

}

BOOST_AUTO_TEST_CASE(a_group_near_its_limit_takes_all_that_is_kept_at_once)
{
    made_up_group const group;
    tslab::allocator heap{purging_options(std::chrono::hours{1})};   // nothing goes by itself
    auto options = purging_options(std::chrono::hours{1});
    options.purge_on_pressure = false;
    tslab::allocator indifferent{options};
    support::worker idle;
    auto const fill = [&] {
        idle([&] {
            allocate_and_free(heap);
            heap.free(heap.malloc(100));   // with a thread cache that keeps slabs of the scope, and stays at work
            allocate_and_free(indifferent);
        });
    };
    fill();
    BOOST_TEST(eventually([&] { return heap.snapshot().pressure_watch == "watching"; }));
    BOOST_TEST(indifferent.snapshot().pressure_watch == "off");
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(!has_no_unused_memory(heap));
    group.use(99'000'000, "100000000", "max", 20'000'000);   // of which the kernel takes the pages of files first
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(!has_no_unused_memory(heap));
    BOOST_TEST(heap.snapshot().global.purges_by_pressure == 0U);
    group.use(99'000'000, "100000000");
    BOOST_TEST(eventually([&] { return has_no_unused_memory(heap); }));
    BOOST_TEST(
        eventually([&] { return heap.snapshot().global.purges_by_pressure == 1; }));   // counted after it is done
    BOOST_TEST(!has_no_unused_memory(indifferent));
    BOOST_TEST(indifferent.snapshot().global.purges_by_pressure == 0U);
    group.use(1000, "max", "100000000");
    fill();
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(!has_no_unused_memory(heap));
    group.use(95'000'000, "max", "100000000");
    BOOST_TEST(eventually([&] { return has_no_unused_memory(heap); }));
    BOOST_TEST(eventually([&] { return heap.snapshot().global.purges_by_pressure == 2; }));
}

BOOST_AUTO_TEST_CASE(without_a_group_to_watch_that_is_said)
{
    auto const watch_of_a_heap = [] {
        tslab::allocator heap{purging_options()};
        allocate_and_free(heap);
        std::string said;
        BOOST_TEST(eventually([&] { return (said = heap.snapshot().pressure_watch) != "off"; }));
        BOOST_TEST(eventually([&] { return has_no_unused_memory(heap); }));
        return said;
    };
    made_up_group const group;
    BOOST_TEST(watch_of_a_heap() == "watching");
    group.remove("a/b/memory.current");   // less is known, and nothing happens
    BOOST_TEST(watch_of_a_heap() == "watching");
    group.remove("a/b/memory.events");
    BOOST_TEST(watch_of_a_heap() == "unavailable");
    group.write("own", "0::/../outside\n");
    BOOST_TEST(watch_of_a_heap() == "unavailable");
    group.write("own", "3:memory:/a/b\n");   // version 1
    BOOST_TEST(watch_of_a_heap() == "unavailable");
    group.remove("own");
    BOOST_TEST(watch_of_a_heap() == "unavailable");
    slow_system system;
    system.refuse_group = true;
    group.write("own", "0::/a/b\n");
    group.write("a/b/memory.events", "low 0\n");
    BOOST_TEST(watch_of_a_heap() == "unavailable");
}

// With the kernel's own groups, where this process may make one.
BOOST_AUTO_TEST_CASE(a_real_group_is_kept_below_its_limit)
{
    namespace fs = std::filesystem;
    fs::path const root{"/sys/fs/cgroup"};
    fs::path const group = root / ("tslab-test-" + std::to_string(::getpid()));
    std::error_code error;
    if (!fs::exists(root / "cgroup.controllers") || !fs::create_directory(group, error) ||
        !fs::exists(group / "memory.high")) {
        fs::remove(group, error);
        BOOST_TEST_MESSAGE("skipped: no control groups of version 2 here in which memory can be limited");
        std::printf("skipped: no control groups of version 2 here in which memory can be limited\n");
        return;
    }
    std::ofstream{group / "memory.high"} << (128 << 20);
    death::outcome const end = death::of([&](death::notes& noted) {
        std::ofstream{group / "cgroup.procs"} << ::getpid();
        tslab::allocator heap{purging_options(std::chrono::hours{1})};
        support::worker idle;
        idle([&] {
            tslab::epoch_scope const scope{heap, "phase"};
            for (int i = 0; i < 31; ++i)
                std::fill_n(static_cast<char*>(scope.resource()->allocate(4 << 20)), 4 << 20, 'x');
            scope.resource()->release();
        });
        must(eventually([&] { return heap.snapshot().global.purges_by_pressure != 0; }), "it was not noticed");
        must(eventually([&] { return has_no_unused_memory(heap); }), "something is kept");
        noted.number[0] = 1;
    });
    fs::remove(group, error);
    BOOST_TEST(end.text == "");
    BOOST_TEST(end.end == "exit 0");
    BOOST_TEST(end.noted.number[0] == 1U);
}
