// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Processes in states that a reader has to cope with: without their first thread, as a zombie, replaced by another program; heaps of
// one name; a map of a heap whose epochs are opened while it is read.
#define BOOST_TEST_MODULE observer_states
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <signal.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "observed.hpp"

using observed::busy;
using observed::fault_of;
using observed::process;
using tslab::observe_fault;

namespace {

bool is_listed(pid_t pid)
{
    auto const all = tslab::processes_with_heaps();
    return std::ranges::find(all, pid) != all.end();
}

/// Whether a thread of this process is a zombie.
bool has_ended(pid_t thread)
{
    std::ifstream file{"/proc/self/task/" + std::to_string(thread) + "/stat"};
    std::string const text{std::istreambuf_iterator<char>{file}, {}};
    std::size_t const name_ends = text.rfind(')');
    return name_ends != std::string::npos && text.compare(name_ends, 3, ") Z") == 0;
}

}

BOOST_AUTO_TEST_CASE(a_process_without_its_first_thread_is_read_by_another)
{
    process other{[](auto say) {
        auto const work = std::make_shared<busy>(tslab::allocator::options{.name = "goes on", .epoch_count = 16});
        std::thread{[work, say] {
            while (!has_ended(::getpid()))   // not pthread_join: the sanitizers do not know the exit below
                ::usleep(1'000);
            say(tslab::to_json(work->heap.snapshot()));
            for (;;)
                ::pause();
        }}.detach();
        ::syscall(SYS_exit, 0);   // as pthread_exit does, without unwinding the test
    }};
    tslab::snapshot const own = tslab::from_json(other.line());
    BOOST_TEST(is_listed(other.pid()));
    tslab::observer o{other.pid()};
    tslab::snapshot const seen = o.read().at(0);
    BOOST_TEST(seen.pid == other.pid());
    BOOST_TEST(seen.name == "goes on");
    BOOST_TEST(seen.live_known);
    BOOST_TEST(seen.global.live_objects == own.global.live_objects);
    BOOST_TEST(seen.global.rss_bytes > 0U);
    BOOST_TEST(seen.waterfall.has_value());
    BOOST_TEST(!o.maps().at(0).runs.empty());
}

BOOST_AUTO_TEST_CASE(a_zombie_has_ended)
{
    process other{[](auto say) {
        tslab::allocator const heap{{.name = "dead"}};
        say("made");
        for (;;)
            ::pause();
    }};
    other.line();
    tslab::observer before{other.pid()};
    ::kill(other.pid(), SIGKILL);
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(other.pid()), &ended, WEXITED | WNOWAIT);
    std::string const said = "process " + std::to_string(other.pid()) + " has ended";
    for (auto const& look : {std::function<void()>{[&] { tslab::observer{other.pid()}; }},
                             std::function<void()>{[&] { static_cast<void>(before.read()); }}}) {
        std::string text;
        BOOST_TEST((fault_of(look, &text) == observe_fault::no_process));
        BOOST_TEST(text.starts_with(said), text);
    }
    BOOST_TEST(!is_listed(other.pid()));
}

BOOST_AUTO_TEST_CASE(a_process_whose_heaps_ended_is_told_from_one_that_never_had_any)
{
    process other{[](auto say) {
        auto heap = std::make_unique<tslab::allocator>(tslab::allocator::options{.name = "short"});
        static sig_atomic_t volatile asked = 0;
        ::signal(SIGUSR1, [](int) { asked = 1; });
        say("made");
        while (asked == 0)
            ::usleep(1000);
        heap.reset();
        say("ended");
    }};
    other.line();
    tslab::observer o{other.pid()};
    BOOST_TEST(o.read().size() == 1U);
    ::kill(other.pid(), SIGUSR1);
    BOOST_TEST(other.line() == "ended");
    std::string text;
    BOOST_TEST((fault_of([&] { static_cast<void>(o.read()); }, &text) == observe_fault::no_heap));
    BOOST_TEST(text.find("no heap any more") != std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(the_number_of_a_thread_is_no_process)
{
    process other{[](auto say) {
        tslab::allocator const heap{{.name = "of two threads"}};
        std::thread{[&say] {
            say(std::to_string(::gettid()));
            for (;;)
                ::pause();
        }}.detach();
        for (;;)
            ::pause();
    }};
    auto const thread = static_cast<pid_t>(std::stoi(other.line()));
    std::string text;
    BOOST_TEST((fault_of([&] { tslab::observer{thread}; }, &text) == observe_fault::no_process));
    BOOST_TEST(text.find("a thread of process " + std::to_string(other.pid())) != std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(heaps_of_one_name_have_instances_that_no_later_one_gets)
{
    auto const instance = [](tslab::allocator const& heap) { return heap.snapshot().instance; };
    auto first = std::make_unique<tslab::allocator>(tslab::allocator::options{.name = "one of several"});
    auto second = std::make_unique<tslab::allocator>(tslab::allocator::options{.name = "one of several"});
    tslab::allocator const other{{.name = "of another name"}};
    BOOST_TEST(instance(*first) == 1U);
    BOOST_TEST(instance(other) == 1U);
    std::uint64_t const of_second = instance(*second);
    BOOST_TEST(of_second > 1U);
    std::vector<tslab::snapshot> const seen = tslab::observer{::getpid()}.read();
    BOOST_REQUIRE(seen.size() == 3U);
    BOOST_TEST(seen[0].instance == 1U);
    BOOST_TEST(seen[1].instance == of_second);
    first.reset();
    BOOST_TEST(instance(*second) == of_second);
    tslab::allocator const third{{.name = "one of several"}};
    BOOST_TEST(instance(third) > of_second);
    BOOST_TEST(third.map().instance == instance(third));
}

// Epochs are opened thousands of times a second, so pages belong to some that the reader has not seen.
BOOST_AUTO_TEST_CASE(pages_of_a_map_have_a_label_or_are_called_unattributed)
{
    process other{[](auto say) {
        tslab::allocator heap{{.name = "mapped", .epoch_count = 64}};
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&heap] {
                for (;;) {
                    tslab::epoch_scope const scope{heap, "work"};
                    for (int i = 0; i < 100; ++i)
                        static_cast<void>(scope.resource()->allocate(700));
                    scope.resource()->release();
                }
            });
        say("started");
        for (std::thread& t : threads)
            t.join();
    }};
    other.line();
    tslab::observer o{other.pid()};
    int complete = 0;
    std::uint64_t pages = 0;
    constexpr int maps = 50;
    // On a loaded machine the threads may not have run yet, or a map may be torn again and again: more readings then.
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    for (int n = 0; n < maps || ((pages == 0 || complete == 0) && std::chrono::steady_clock::now() < end); ++n) {
        tslab::heap_map const map = o.maps().at(0);
        bool any = false;
        for (tslab::map_run const& r : map.runs) {
            bool const of_epoch = r.use == tslab::page_use::slab || r.use == tslab::page_use::large;
            any = any || (of_epoch && r.era == 0);
            pages += of_epoch ? r.pages : 0;
            BOOST_REQUIRE(r.label_id < map.label_names.size());
            if (of_epoch)
                BOOST_TEST(map.label_names[r.label_id] == (r.era != 0 ? "work" : "unattributed"));
        }
        BOOST_TEST(map.label_names.size() == (any ? tslab::label_buckets + 1 : tslab::label_buckets));
        complete += any ? 0 : 1;
    }
    BOOST_TEST(pages > 0U);
    BOOST_TEST(complete > 0);
}
