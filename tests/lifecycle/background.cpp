// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The thread that purges in the background: when there is one, what it gives back, and that heaps, forks, failures and the end of the
// process do not meet it at a bad moment.
#define BOOST_TEST_MODULE lifecycle_background
#include "death.hpp"
#include "stress.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

using namespace std::chrono_literals;
using death::must;
using support::scaled;

namespace {

#if __has_feature(thread_sanitizer)
constexpr bool child_may_have_threads = false;   // as in fork.cpp
#else
constexpr bool child_may_have_threads = true;
#endif

tslab::allocator_options asking(std::chrono::milliseconds decay = 20ms)
{
    return {.name = "background",
            .epoch_count = 16,
            .reserve_bytes = std::size_t{256} << 20,
            .decay = decay,
            .background_purge = true};
}

/// The kernel's directories of this process's threads that purge.
std::vector<std::filesystem::path> purge_threads()
{
    std::vector<std::filesystem::path> all;
    for (auto const& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::string name;
        std::ifstream{task.path() / "comm"} >> name;
        if (name == "tslab-purge")
            all.push_back(task.path());
    }
    return all;
}

template <class F> bool comes_true(F condition, std::chrono::seconds within = 30s)
{
    auto const end = std::chrono::steady_clock::now() + within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

std::string state_of(tslab::allocator const& heap) { return heap.snapshot({.residency = false}).background_purge; }

/// Makes slabs of several classes and pages of large objects, and frees them all.
void leave_something(tslab::allocator& heap, std::size_t objects = 2000)
{
    tslab::epoch_scope const scope{heap, "phase"};
    std::vector<std::pair<void*, std::size_t>> all;
    for (std::size_t i = 0; i < objects; ++i) {
        std::size_t const bytes = i % 100 == 0 ? 100'000 : i * 37 % 4000 + 1;
        all.emplace_back(scope.resource()->allocate(bytes), bytes);
        *static_cast<char*>(all.back().first) = 1;
    }
    for (auto const& [p, bytes] : all)
        scope.resource()->deallocate(p, bytes);
}

bool is_empty(tslab::allocator const& heap)
{
    tslab::global_stats const g = heap.snapshot({.residency = false}).global;
    return g.free_resident_pages == 0 && g.slabs_cached == 0 && g.retained_bytes == 0;
}

/// The system, of which some calls are refused, and in which giving pages back takes long.
class slow_system {
public:
    slow_system()
    {
        refuse_thread = refuse_event = refuse_group = false;
        purging = nullptr;
        released_while_purging = 0;
        slow = false;
        tslab::set_os_calls(nullptr);
        real = &tslab::os();
        static constexpr auto purge = [](void* begin, std::size_t bytes) noexcept {
            purging = begin;
            if (slow)
                std::this_thread::sleep_for(3ms);
            bool const done = real->purge(begin, bytes);
            purging = nullptr;
            return done;
        };
        static constexpr auto release = [](void* begin, std::size_t bytes) noexcept {
            auto* const at = static_cast<std::byte*>(purging.load());
            auto* const first = static_cast<std::byte*>(begin);
            released_while_purging += at != nullptr && at >= first && at < first + bytes ? 1 : 0;
            return real->release(begin, bytes);
        };
        static constexpr auto grant = [](tslab::os_call which) noexcept {
            return !(which == tslab::os_call::start_thread && refuse_thread) &&
                   !(which == tslab::os_call::make_event && refuse_event) &&
                   !(which == tslab::os_call::watch_group && refuse_group);
        };
        static tslab::os_calls const calls{real->reserve, real->map_at, real->commit, purge, release, grant};
        tslab::set_os_calls(&calls);
    }
    ~slow_system() { tslab::set_os_calls(nullptr); }
    slow_system(slow_system const&) = delete;
    slow_system& operator=(slow_system const&) = delete;

    static inline std::atomic<bool> refuse_thread, refuse_event, refuse_group, slow;
    static inline std::atomic<void*> purging;
    static inline std::atomic<int> released_while_purging;

private:
    static inline tslab::os_calls const* real = nullptr;
};

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
    /// Replaced as a whole: a reader sees the one or the other.
    void write(std::string const& name, std::string const& text) const
    {
        std::ofstream{root_ / "new"} << text;
        std::filesystem::rename(root_ / "new", root_ / name);
    }
    void remove(std::string const& name) const { std::filesystem::remove(root_ / name); }

private:
    std::filesystem::path root_, own_, nowhere_;
    tslab::group_places places_{};
};

}

BOOST_AUTO_TEST_CASE(there_is_one_thread_for_all_heaps_that_ask_and_none_without)
{
    tslab::allocator const plain{{.epoch_count = 4, .reserve_bytes = std::size_t{64} << 20}};
    BOOST_TEST(purge_threads().empty());
    BOOST_TEST(state_of(plain) == "off");
    std::size_t const files = static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, std::filesystem::directory_iterator{}));
    {
        auto first = std::make_unique<tslab::allocator>(asking());
        auto second = std::make_unique<tslab::allocator>(asking(3000ms));
        BOOST_TEST(comes_true([] { return purge_threads().size() == 1; }));
        BOOST_TEST(state_of(*first) == "on");
        BOOST_TEST(state_of(*second) == "on");
        std::string line;
        std::string blocked;
        for (std::ifstream status{purge_threads().at(0) / "status"}; std::getline(status, line);)
            if (line.starts_with("SigBlk:"))
                blocked = line.substr(line.find_last_of('\t') + 1);
        // All but the two that cannot be blocked, and two that the C library keeps to itself.
        BOOST_TEST((std::stoull(blocked, nullptr, 16) | 0x1'8000'0000U | 1U << (SIGKILL - 1) | 1U << (SIGSTOP - 1)) ==
                   ~0ULL);
        first.reset();
        BOOST_TEST(purge_threads().size() == 1U);
        BOOST_TEST(second->snapshot().threads.size() == 1U);   // the one that made it
    }
    BOOST_TEST(purge_threads().empty());
    BOOST_TEST(static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{"/proc/self/fd"},
                                                      std::filesystem::directory_iterator{})) == files);
    tslab::allocator const eager{{.epoch_count = 4,
                                  .reclaim = tslab::reclaim_policy::eager,
                                  .reserve_bytes = std::size_t{64} << 20,
                                  .background_purge = true}};
    BOOST_TEST(state_of(eager) == "off");   // nothing waits to go
    BOOST_TEST(purge_threads().empty());
}

BOOST_AUTO_TEST_CASE(an_idle_heap_comes_down_to_what_lives)
{
    tslab::allocator heap{asking()};
    support::worker idle;
    void* kept = nullptr;
    idle([&] {
        kept = heap.malloc(5000);
        leave_something(heap);
    });
    leave_something(heap);
    BOOST_TEST(heap.snapshot().global.retained_bytes != 0U);
    BOOST_TEST(comes_true([&] { return is_empty(heap); }));
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.committed_bytes <= std::size_t{128} << 10);   // a slab of the class of what lives
    BOOST_TEST(comes_true([&] { return heap.snapshot().global.purges_by_background != 0; }));
    BOOST_TEST(g.purges_by_pressure == 0U);
    BOOST_TEST(g.unwanted_pages == 0U);
    // It works as before, and goes again.
    idle([&] {
        leave_something(heap);
        heap.free(kept);
    });
    heap.close(heap.current_epoch());   // of which the idle thread has a claim
    BOOST_TEST(comes_true([&] { return is_empty(heap); }));
    BOOST_TEST(comes_true([&] { return stress::wrong_with(heap).empty(); }));   // no page is on its way to the kernel
}

BOOST_AUTO_TEST_CASE(heaps_come_and_go_beside_a_thread_that_purges)
{
    slow_system system;
    system.slow = true;
    {
        tslab::allocator const stays{asking(1ms)};
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 3; ++t)
            threads.emplace_back([t] {
                for (std::size_t i = 0; i < scaled(40); ++i) {
                    tslab::allocator heap{asking(1ms)};
                    leave_something(heap, 300);
                    std::this_thread::sleep_for(std::chrono::microseconds{(i * 7 + t * 3) % 30 * 1000});
                }
            });
        for (std::thread& t : threads)
            t.join();
    }
    BOOST_TEST(system.released_while_purging == 0);
    BOOST_TEST(purge_threads().empty());
    for (std::size_t i = 0; i < scaled(100); ++i) {   // each the first and the last
        tslab::allocator heap{asking(1ms)};
        leave_something(heap, 100);
    }
    BOOST_TEST(system.released_while_purging == 0);
    BOOST_TEST(purge_threads().empty());
}

BOOST_AUTO_TEST_CASE(a_fork_finds_whole_lists_and_the_child_starts_its_own_thread)
{
    slow_system system;
    system.slow = true;
    tslab::allocator heap{asking(5ms)};
    for (std::size_t i = 0; i < scaled(30); ++i) {
        leave_something(heap, 500);
        std::this_thread::sleep_for(std::chrono::milliseconds{i % 20});
        pid_t const child = ::fork();
        if (child == 0) {
            for (int const s : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM})
                ::signal(s, SIG_DFL);
            ::alarm(60);
            if (state_of(heap) != "pending" || !purge_threads().empty())
                ::_exit(1);
            if (!stress::wrong_with(heap).empty())   // pages that were in the thread's hands would be missing
                ::_exit(2);
            if (!child_may_have_threads)
                ::_exit(0);
            if (!comes_true([&] {
                    leave_something(heap, 100);
                    return state_of(heap) == "on";
                }))
                ::_exit(3);
            if (!comes_true([&] { return is_empty(heap); }))
                ::_exit(4);
            heap.~allocator();   // joins it
            ::_exit(purge_threads().empty() ? 0 : 5);
        }
        int status = 0;
        BOOST_TEST(::waitpid(child, &status, 0) == child);
        BOOST_TEST(status == 0);
        BOOST_TEST(state_of(heap) == "on");
    }
    BOOST_TEST(comes_true([&] { return is_empty(heap); }));
    BOOST_TEST(comes_true([&] { return stress::wrong_with(heap).empty(); }));
}

BOOST_AUTO_TEST_CASE(without_the_thread_all_else_is_as_it_was_and_it_is_tried_again)
{
    for (bool const no_thread : {true, false}) {
        slow_system system;
        (no_thread ? system.refuse_thread : system.refuse_event) = true;
        tslab::allocator heap{asking()};
        BOOST_TEST(state_of(heap) == "failed");
        BOOST_TEST(purge_threads().empty());
        leave_something(heap);
        std::this_thread::sleep_for(50ms);
        leave_something(heap);   // a decay, at which the thread is refused again
        BOOST_TEST(state_of(heap) == "failed");
        BOOST_TEST(stress::wrong_with(heap) == "");
        system.refuse_thread = system.refuse_event = false;
        BOOST_TEST(comes_true([&] {
            leave_something(heap, 100);
            return state_of(heap) == "on";
        }));
        BOOST_TEST(comes_true([&] { return is_empty(heap); }));
    }
}

BOOST_AUTO_TEST_CASE(a_process_may_end_with_the_thread_at_work)
{
    for (int i = 0; i < 5; ++i) {
        death::outcome const end = death::of([i](death::notes&) {
            static tslab::allocator* const never_destroyed = new tslab::allocator{asking(1ms)};
            static tslab::allocator destroyed{asking(1ms)};
            leave_something(*never_destroyed);
            leave_something(destroyed);
            std::this_thread::sleep_for(std::chrono::milliseconds{i * 5});
            std::exit(0);
        });
        BOOST_TEST(end.text == "");
        BOOST_TEST(end.end == "exit 0");
    }
}

BOOST_AUTO_TEST_CASE(a_group_near_its_limit_takes_all_that_is_kept_at_once)
{
    made_up_group const group;
    tslab::allocator heap{asking(std::chrono::hours{1})};   // nothing goes by itself
    auto options = asking(std::chrono::hours{1});
    options.purge_on_pressure = false;
    tslab::allocator indifferent{options};
    support::worker idle;
    auto const fill = [&] {
        idle([&] {
            leave_something(heap);
            heap.free(heap.malloc(100));   // with a thread cache that keeps slabs of the scope, and stays at work
            leave_something(indifferent);
        });
    };
    fill();
    BOOST_TEST(comes_true([&] { return heap.snapshot().pressure_watch == "watching"; }));
    BOOST_TEST(indifferent.snapshot().pressure_watch == "off");
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(!is_empty(heap));
    group.use(99'000'000, "100000000", "max", 20'000'000);   // of which the kernel takes the pages of files first
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(!is_empty(heap));
    BOOST_TEST(heap.snapshot().global.purges_by_pressure == 0U);
    group.use(99'000'000, "100000000");
    BOOST_TEST(comes_true([&] { return is_empty(heap); }));
    BOOST_TEST(
        comes_true([&] { return heap.snapshot().global.purges_by_pressure == 1; }));   // counted after it is done
    BOOST_TEST(!is_empty(indifferent));
    BOOST_TEST(indifferent.snapshot().global.purges_by_pressure == 0U);
    group.use(1000, "max", "100000000");
    fill();
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(!is_empty(heap));
    group.use(95'000'000, "max", "100000000");
    BOOST_TEST(comes_true([&] { return is_empty(heap); }));
    BOOST_TEST(comes_true([&] { return heap.snapshot().global.purges_by_pressure == 2; }));
}

BOOST_AUTO_TEST_CASE(without_a_group_to_watch_that_is_said)
{
    auto const watch_of_a_heap = [] {
        tslab::allocator heap{asking()};
        leave_something(heap);
        std::string said;
        BOOST_TEST(comes_true([&] { return (said = heap.snapshot().pressure_watch) != "off"; }));
        BOOST_TEST(comes_true([&] { return is_empty(heap); }));
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
    death::outcome const end = death::of([&](death::notes& told) {
        std::ofstream{group / "cgroup.procs"} << ::getpid();
        tslab::allocator heap{asking(std::chrono::hours{1})};
        support::worker idle;
        idle([&] {
            tslab::epoch_scope const scope{heap, "phase"};
            for (int i = 0; i < 31; ++i)
                std::fill_n(static_cast<char*>(scope.resource()->allocate(4 << 20)), 4 << 20, 'x');
            scope.resource()->release();
        });
        must(comes_true([&] { return heap.snapshot().global.purges_by_pressure != 0; }), "it was not noticed");
        must(comes_true([&] { return is_empty(heap); }), "something is kept");
        told.number[0] = 1;
    });
    fs::remove(group, error);
    BOOST_TEST(end.text == "");
    BOOST_TEST(end.end == "exit 0");
    BOOST_TEST(end.told.number[0] == 1U);
}

BOOST_AUTO_TEST_CASE(a_decay_of_0_gives_free_pages_back_at_each_close_and_keeps_slabs)
{
    tslab::allocator heap{{.epoch_count = 16, .reserve_bytes = std::size_t{64} << 20, .decay = 0ms}};
    leave_something(heap);
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.decay_ms == 0U);
    BOOST_TEST(s.global.free_resident_pages == 0U);
    BOOST_TEST(s.global.madvise_calls > 0U);
    BOOST_TEST(s.global.retained_bytes > 0U);
    std::this_thread::sleep_for(30ms);
    leave_something(heap);
    BOOST_TEST(heap.snapshot().global.retained_bytes >= s.global.retained_bytes);
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.purges_by_time + g.purges_by_work + g.purges_by_background == 0U);
    BOOST_TEST(stress::wrong_with(heap) == "");
}
