// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// An observer of a file: one that outlives its process, that changes, that is named after its process; and heaps that cannot be
// published.
#define BOOST_TEST_MODULE observer_files
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sched.h>
#include <signal.h>
#include <sstream>
#include <string>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "observed.hpp"

using observed::busy;
using observed::contents;
using observed::fault_of;
using observed::process;
using observed::temporary;
using observed::write;
using tslab::observe_fault;

BOOST_AUTO_TEST_CASE(a_file_outlives_its_process)
{
    std::string const path = temporary("-stats");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    process other{[](auto say) {
        busy work{{.name = "crash", .epoch_count = 16}};
        say(tslab::to_json(work.heap.snapshot()));
        for (;;)
            ::pause();
    }};
    tslab::snapshot const own = tslab::from_json(other.line());
    ::unsetenv("TSLAB_STATS_FILE");
    BOOST_TEST(tslab::observer{other.pid()}.read()[0].live_known);
    other.end();

    tslab::snapshot const seen = tslab::observer{path}.read().at(0);
    BOOST_TEST(!seen.live_known);
    BOOST_TEST(seen.name == "crash");
    BOOST_TEST(seen.pid == own.pid);
    BOOST_TEST(seen.global.domain_enters == own.global.domain_enters);
    BOOST_TEST(seen.global.slow_path_hits == own.global.slow_path_hits);
    BOOST_TEST(seen.global.large_pages == own.global.large_pages);
    BOOST_TEST(seen.epochs.size() == own.epochs.size());
    for (std::size_t i = 0; i < std::min(seen.epochs.size(), own.epochs.size()); ++i) {
        BOOST_TEST(seen.epochs[i].era == own.epochs[i].era);
        BOOST_TEST(seen.epochs[i].label == own.epochs[i].label);
        BOOST_TEST(seen.epochs[i].refcount == own.epochs[i].refcount);
        BOOST_TEST(seen.epochs[i].large_pages == own.epochs[i].large_pages);
        BOOST_TEST(seen.epochs[i].slab_pages >= own.epochs[i].slab_pages);   // with what thread caches keep
        BOOST_TEST(seen.epochs[i].opened_at.line == own.epochs[i].opened_at.line);
    }
    BOOST_TEST(!tslab::find_leaks(seen, 0).empty());

    // A restarted process does not destroy what was left.
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    {
        tslab::allocator const again{{.name = "again"}};
        BOOST_TEST(tslab::observer{path}.read().at(0).name == "again");
        BOOST_TEST(tslab::observer{path + ".old"}.read().at(0).name == "crash");
    }
    ::unsetenv("TSLAB_STATS_FILE");
    BOOST_TEST(!std::filesystem::exists(path));   // it ended in order
    std::filesystem::remove(path + ".old");
}

BOOST_AUTO_TEST_CASE(a_file_whose_process_is_gone_is_as_old_as_its_last_sign_of_life)
{
    std::string const path = temporary("-old");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    process other{[](auto say) {
        tslab::allocator heap{{.name = "old"}};
        tslab::epoch_resource held{heap, {.label = "held"}};
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        {
            tslab::epoch_scope const last{heap, "last"};
        }   // when it begins the clock is looked at
        say(std::to_string(tslab::now_ns()) + ' ' + std::to_string(tslab::wall_clock_ns()));
        for (;;)
            ::pause();
    }};
    ::unsetenv("TSLAB_STATS_FILE");
    std::istringstream said{other.line()};
    std::uint64_t monotonic = 0, wall = 0;
    said >> monotonic >> wall;
    auto const held_for = [](tslab::snapshot const& s) {
        auto const e =
            std::find_if(s.epochs.begin(), s.epochs.end(), [](auto const& of) { return of.label == "held"; });
        BOOST_REQUIRE(e != s.epochs.end());
        BOOST_TEST(e->age_seconds == e->entered_seconds, boost::test_tools::tolerance(0.5));
        return e->entered_seconds;
    };
    // While it lives, a file is as young as what is read of the process.
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
    BOOST_TEST(held_for(tslab::observer{path}.read().at(0)) > 0.39);
    BOOST_TEST(tslab::observer{path}.read().at(0).monotonic_ns > monotonic);
    other.end();
    for (int look = 0; look < 2; ++look) {
        tslab::snapshot const seen = tslab::observer{path}.read().at(0);
        BOOST_TEST(held_for(seen) >= 0.09);
        BOOST_TEST(held_for(seen) < 0.39);
        BOOST_TEST(seen.monotonic_ns <= monotonic);
        BOOST_TEST(seen.monotonic_ns > monotonic - 290'000'000);
        BOOST_TEST(seen.timestamp_ns <= wall + 10'000'000);
        BOOST_TEST(seen.timestamp_ns > wall - 290'000'000);
        BOOST_TEST(seen.boot_id == tslab::read_boot_id().view());
        BOOST_TEST(seen.epochs[0].open_since_ns <= seen.timestamp_ns);
        std::this_thread::sleep_for(std::chrono::milliseconds{300});
    }
    // After a restart of the machine a process may have that number, and have opened the file, without being its writer.
    std::vector<char> bytes = contents(path);
    std::fill_n(bytes.begin() + offsetof(tslab::segment_header, boot), 8, 'f');
    auto const mine = static_cast<std::int64_t>(::getpid());
    std::memcpy(bytes.data() + offsetof(tslab::segment_header, pid), &mine, sizeof(mine));
    write(path, bytes);
    int const open = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    tslab::snapshot const restarted = tslab::observer{path}.read().at(0);
    ::close(open);
    BOOST_TEST(restarted.boot_id.starts_with("ffffffff"));
    BOOST_TEST(restarted.monotonic_ns <= monotonic);
    BOOST_TEST(held_for(restarted) < 0.39);
    std::fill_n(bytes.begin() + offsetof(tslab::segment_header, boot), 8, '\n');   // no boot's name
    write(path, bytes);
    BOOST_TEST(tslab::observer{path}.read().at(0).boot_id.empty());
    std::filesystem::remove(path);
}

// In a time namespace CLOCK_MONOTONIC is another one.
BOOST_AUTO_TEST_CASE(ages_of_a_process_in_a_time_namespace_are_right)
{
    constexpr std::int64_t ahead = 1'000'000;   // seconds
    std::string const path = temporary("-namespace");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    process other{[](auto say) {
        bool const made = ::unshare(CLONE_NEWTIME) == 0;
        std::ofstream offsets{"/proc/self/timens_offsets"};
        if (!made || !(offsets << "monotonic " << ahead << " 0\n" << std::flush))
            return say("refused");
        offsets.close();
        if (::fork() != 0)   // a child is in the namespace
            for (;;)
                ::pause();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        tslab::allocator heap{{.name = "ahead"}};
        tslab::epoch_resource held{heap, {.label = "held"}};
        say(std::to_string(::getpid()) + ' ' + std::to_string(tslab::now_ns()));
        for (;;)
            ::pause();
    }};
    ::unsetenv("TSLAB_STATS_FILE");
    std::string const line = other.line();
    if (line == "refused") {
        BOOST_TEST_MESSAGE("SKIPPED: no time namespace may be made here");
        return;
    }
    std::istringstream said{line};
    pid_t pid = 0;
    std::uint64_t monotonic = 0;
    said >> pid >> monotonic;
    BOOST_REQUIRE(monotonic > ahead * std::uint64_t{1'000'000'000});
    for (bool const by_number : {true, false}) {
        tslab::observer seen = by_number ? tslab::observer{pid} : tslab::observer{path};
        tslab::snapshot const s = seen.read().at(0);
        BOOST_TEST(s.monotonic_ns >= monotonic);
        for (tslab::epoch_stats const& e : s.epochs) {
            BOOST_TEST(e.age_seconds < 1000);
            BOOST_TEST(e.entered_seconds < 1000);
            BOOST_TEST(e.open_since_ns > s.timestamp_ns - 1'000'000'000'000);
        }
        BOOST_TEST(tslab::find_leaks(s, 1000).empty());
    }
    other.end();   // and its child with it
    for (int i = 0; i < 5000 && std::filesystem::exists("/proc/" + std::to_string(pid) + "/fd/1"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    tslab::snapshot const left = tslab::observer{path}.read().at(0);
    BOOST_TEST(left.monotonic_ns > ahead * std::uint64_t{1'000'000'000});
    BOOST_TEST(left.epochs[0].age_seconds < 1000);
    std::filesystem::remove(path);
}

BOOST_AUTO_TEST_CASE(where_it_cannot_be_published_everything_else_works)
{
    for (char const* const file : {"/nowhere/at/all", "/dev/full", "/proc/self/status"}) {
        ::setenv("TSLAB_STATS_FILE", file, 1);
        tslab::allocator heap{{.name = "unseen"}};
        BOOST_TEST(heap.malloc(100) != nullptr);
        BOOST_TEST(heap.snapshot().global.live_objects == 1U);
        ::unsetenv("TSLAB_STATS_FILE");
        tslab::set_error_handler([](tslab::misuse_report const&) {});
    }
    ::setenv("TSLAB_PUBLISH", "0", 1);
    process other{[](auto say) {
        tslab::allocator heap{{.name = "silent"}};
        say("made");
        for (;;)
            ::pause();
    }};
    other.line();
    ::unsetenv("TSLAB_PUBLISH");
    std::string text;
    BOOST_TEST((fault_of([&] { tslab::observer{other.pid()}; }, &text) == observe_fault::no_heap));
    BOOST_TEST(text == "process " + std::to_string(other.pid()) + " has no heap of tslab that it publishes");
    tslab::set_error_handler(nullptr);
}

BOOST_AUTO_TEST_CASE(an_observer_can_be_handed_on)
{
    auto heap = std::make_unique<tslab::allocator>(tslab::allocator_options{.name = "one"});
    tslab::observer first{::getpid()};
    tslab::observer second{std::move(first)};
    BOOST_TEST(second.pid() == ::getpid());
    BOOST_TEST(second.read().at(0).name == "one");
    heap.reset();   // a process has one segment
    std::string const path = temporary("-handed-on");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    tslab::allocator const other{{.name = "other"}};
    ::unsetenv("TSLAB_STATS_FILE");
    second = tslab::observer{path};
    BOOST_TEST(second.pid() == 0);
    BOOST_TEST(second.read().at(0).name == "other");
}

BOOST_AUTO_TEST_CASE(a_file_may_be_named_after_its_process)
{
    std::string const path = temporary("-named-");
    ::setenv("TSLAB_STATS_FILE", (path + "%p.stats").c_str(), 1);
    tslab::allocator const heap{{.name = "named"}};
    ::unsetenv("TSLAB_STATS_FILE");
    BOOST_TEST(tslab::observer{path + std::to_string(::getpid()) + ".stats"}.read().at(0).name == "named");
}

// A file is looked at again for each reading.
BOOST_AUTO_TEST_CASE(a_file_that_changes_between_two_readings)
{
    std::string const path = temporary("-changes");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    std::vector<char> good;
    {
        tslab::allocator const heap{{.name = "good", .epoch_count = 4}};
        good = contents(path);
        good.resize(std::size_t{1} << 20);   // all that is used
    }
    ::unsetenv("TSLAB_STATS_FILE");
    write(path, good);
    tslab::observer seen{path};
    BOOST_TEST(seen.read().at(0).name == "good");
    std::vector<char> begun = good;
    std::fill_n(begun.begin() + offsetof(tslab::segment_header, root), sizeof(std::uint64_t), '\0');
    write(path, begun);
    BOOST_TEST((fault_of([&] { static_cast<void>(seen.read()); }) == observe_fault::no_heap));
    write(path, std::vector<char>(good.size()));
    BOOST_TEST((fault_of([&] { static_cast<void>(seen.read()); }) == observe_fault::damaged));
    std::filesystem::remove(path);
}
