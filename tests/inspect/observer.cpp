// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process looked at from outside: what is seen is what the process says of itself, also when it is stopped, is in a container, or is
// at work.
#define BOOST_TEST_MODULE observer
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "observed.hpp"
#include "recorder.hpp"

using observed::busy;
using observed::fault_of;
using observed::forget_moment;
using observed::process;
using tslab::observe_fault;

BOOST_AUTO_TEST_CASE(what_is_seen_is_what_the_process_says_of_itself)
{
    process other{[](auto say) {
        tslab::set_lock_timing(1);
        busy work{{.name = "seen", .epoch_count = 16}};
        tslab::epoch_id const e = work.heap.current_epoch();
        work.heap.set_label(e, "closed");
        work.heap.free(work.heap.malloc(64, e));
        static_cast<void>(work.heap.close(e));
        std::string const own = tslab::to_json(work.heap.snapshot());
        say(own);
        for (;;)
            ::pause();
    }};
    tslab::snapshot own = tslab::from_json(other.line());
    for (bool const stopped : {false, true}) {
        if (stopped)
            other.stop();
        tslab::observer o{other.pid()};
        std::vector<tslab::snapshot> heaps = o.read();
        BOOST_REQUIRE(heaps.size() == 1U);
        tslab::snapshot seen = heaps[0];
        BOOST_REQUIRE(seen.global.lock_histograms.has_value());
        BOOST_TEST(seen.global.lock_histograms->wait.total() == seen.global.lock_timing->samples);
        BOOST_TEST(std::any_of(seen.labels.begin(), seen.labels.end(), [](tslab::label_stats const& l) {
            return l.name == "closed" && l.last_close.has_value() && l.last_close->label == "closed";
        }));
        BOOST_TEST(seen.live_known);
        BOOST_TEST(seen.pid == other.pid());
        BOOST_TEST(seen.global.rss_bytes > 0U);
        BOOST_REQUIRE(seen.waterfall.has_value());
        BOOST_TEST(seen.waterfall->metadata_bytes > 0U);
        forget_moment(own);
        forget_moment(seen);
        BOOST_TEST(tslab::to_json(seen) == tslab::to_json(own));
    }
    std::vector<tslab::leak> const leaks = tslab::find_leaks(tslab::observer{other.pid()}.read()[0], 0);
    BOOST_TEST((std::any_of(leaks.begin(), leaks.end(), [](tslab::leak const& l) {
        return l.sentence().find("forgotten") != std::string::npos &&
               l.sentence().find("observed.hpp") != std::string::npos;
    })));
}

BOOST_AUTO_TEST_CASE(the_map_is_the_same_from_both_sides)
{
    process other{[](auto say) {
        busy work{{.name = "map", .epoch_count = 16}};
        tslab::heap_map const m = work.heap.map();
        for (tslab::map_run const& r : m.runs)
            say(std::to_string(r.first_page) + ' ' + std::to_string(r.pages) + ' ' +
                std::to_string(static_cast<int>(r.use)) + ' ' + std::to_string(r.class_index) + ' ' +
                std::to_string(r.epoch) + ' ' + std::to_string(r.era) + ' ' + std::to_string(r.label_id) + ' ' +
                std::to_string(r.slots) + ' ' + std::to_string(r.live));
        say("end");
        for (;;)
            ::pause();
    }};
    std::vector<std::string> own;
    for (std::string l = other.line(); l != "end"; l = other.line())
        own.push_back(l);
    tslab::heap_map const seen = tslab::observer{other.pid()}.maps().at(0);
    BOOST_TEST(seen.live_known);
    BOOST_TEST(seen.runs.size() == own.size());
    std::uint32_t next = 0;
    std::uint32_t live = 0;
    for (std::size_t i = 0; i < std::min(own.size(), seen.runs.size()); ++i) {
        tslab::map_run const& r = seen.runs[i];
        BOOST_TEST(r.first_page == next);
        next += r.pages;
        live += r.live;
        BOOST_TEST(own[i] == std::to_string(r.first_page) + ' ' + std::to_string(r.pages) + ' ' +
                                 std::to_string(static_cast<int>(r.use)) + ' ' + std::to_string(r.class_index) + ' ' +
                                 std::to_string(r.epoch) + ' ' + std::to_string(r.era) + ' ' +
                                 std::to_string(r.label_id) + ' ' + std::to_string(r.slots) + ' ' +
                                 std::to_string(r.live));
    }
    BOOST_TEST(live == tslab::observer{other.pid()}.read()[0].global.live_objects);
}

// Free slots change words whenever a thread cache lets go of its slabs or takes them up again. Who looks at the words while they do, and at
// each when the bits are in the other one, would see 32 objects more in a slab than there are. Each descriptor is copied twice for
// that; a single copy was not caught at it either, in some thousand tries: processors copy both words of a line at once.
BOOST_AUTO_TEST_CASE(free_slots_are_seen_while_they_change_hands)
{
    constexpr std::size_t slots = 64;
    constexpr std::size_t slabs = 20;
    constexpr std::size_t most_short_lived = 8;
    process other{[](auto say) {
        tslab::allocator heap{{.name = "hands"}};
        std::vector<void*> all;
        for (std::size_t i = 0; i < slabs * slots; ++i)
            all.push_back(heap.malloc(64));
        for (std::size_t i = 0; i < all.size(); i += 2)
            heap.free(all[i]);
        say("made");
        std::array<void*, most_short_lived> some{};
        for (;;) {
            heap.trim();
            for (void*& p : some)
                p = heap.malloc(64);
            for (void* const p : some)
                heap.free(p);
        }
    }};
    other.line();
    tslab::observer o{other.pid()};
    std::uint64_t most = 0;
    std::uint64_t least = slabs * slots;
    for (std::size_t i = 0; i < support::scaled(1000); ++i) {
        tslab::snapshot const s = o.read().at(0);
        BOOST_REQUIRE(s.live_known);
        most = std::max(most, s.global.live_objects);
        least = std::min(least, s.global.live_objects);
    }
    // Those that live for a moment may be seen in two slabs: it is not one moment in which all of them are looked at.
    BOOST_TEST(most <= slabs * slots / 2 + 2 * most_short_lived);
    BOOST_TEST(least >= slabs * slots / 2);
}

BOOST_AUTO_TEST_CASE(several_heaps_come_in_the_order_they_were_made)
{
    process other{[](auto say) {
        tslab::allocator one{{.name = "one"}};
        tslab::allocator silent{{.name = "silent", .publish = false}};
        tslab::allocator two{{.name = "two"}};
        say("made");
        for (;;)
            ::pause();
    }};
    other.line();
    std::vector<tslab::snapshot> const heaps = tslab::observer{other.pid()}.read();
    BOOST_REQUIRE(heaps.size() == 2U);
    BOOST_TEST(heaps[0].name == "one");
    BOOST_TEST(heaps[1].name == "two");
    auto const found = tslab::processes_with_heaps();
    BOOST_TEST((std::find(found.begin(), found.end(), other.pid()) != found.end()));
}

BOOST_AUTO_TEST_CASE(a_forked_child_has_statistics_of_its_own)
{
    tslab::allocator heap{{.name = "parent"}};
    void* const p = heap.malloc(100);
    process child{[&](auto say) {
        for (int i = 0; i < 1000; ++i)
            static_cast<void>(heap.malloc(64));
        heap.free(p);
        tslab::epoch_scope const scope{heap, "in the child"};
        say(tslab::to_json(heap.snapshot({.residency = false})));
        for (;;)
            ::pause();
    }};
    tslab::snapshot const own = tslab::from_json(child.line());
    std::vector<tslab::snapshot> const seen = tslab::observer{child.pid()}.read();
    BOOST_REQUIRE(seen.size() == 1U);
    BOOST_TEST(seen[0].global.live_objects == own.global.live_objects);
    BOOST_TEST(seen[0].global.live_objects == 1000U);
    BOOST_TEST(seen[0].global.domain_enters == 1U);
    tslab::snapshot const parents = tslab::observer{::getpid()}.read().at(0);
    BOOST_TEST(parents.global.live_objects == 1U);
    BOOST_TEST(parents.global.domain_enters == 0U);
    BOOST_TEST(parents.global.allocations == 1U);
    BOOST_TEST(heap.snapshot().global.allocations == 1U);
    heap.free(p);
}

// The counters go on in memory that no reader sees; the descriptor's number names another file by then.
BOOST_AUTO_TEST_CASE(a_program_may_close_every_descriptor)
{
    process other{[](auto say) {
        int mine = -1;
        {
            tslab::allocator heap{{.name = "closed"}};
            for (int i = 3; i < 256; ++i) {
                std::array<char, 64> to{};
                std::string const link = "/proc/self/fd/" + std::to_string(i);
                if (::readlink(link.c_str(), to.data(), to.size()) > 0 && std::strstr(to.data(), "tslab") != nullptr) {
                    int const other_file = ::open("/dev/null", O_RDONLY);
                    mine = ::dup2(other_file, i);   // closes it, and takes its number
                    ::close(other_file);
                }
            }
            static_cast<void>(heap.malloc(10));
            heap.close(heap.advance());
            static_cast<void>(heap.snapshot());
            tslab::set_error_handler([](tslab::misuse_report const&) {});
        }
        char c = 0;
        say(std::to_string(mine >= 0 && ::read(mine, &c, 1) == 0 ? 1 : 0));
    }};
    BOOST_TEST(other.line() == "1");   // the heap ended and left the other file open
}

// A reader has the segment of another process open, and is not that process.
BOOST_AUTO_TEST_CASE(the_segment_of_another_process_is_not_ones_own)
{
    process other{[](auto say) {
        tslab::allocator const heap{{.name = "theirs"}};
        say("made");
        for (;;)
            ::pause();
    }};
    other.line();
    int theirs = -1;
    for (auto const& file : std::filesystem::directory_iterator{"/proc/" + std::to_string(other.pid()) + "/fd"}) {
        std::error_code gone;
        if (std::filesystem::read_symlink(file, gone).string().starts_with("/memfd:tslab"))
            theirs = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    }
    BOOST_REQUIRE(theirs >= 0);
    BOOST_TEST((fault_of([] { tslab::observer{::getpid()}; }) == observe_fault::no_heap));
    auto const all = tslab::processes_with_heaps();
    BOOST_TEST(std::count(all.begin(), all.end(), ::getpid()) == 0);
    BOOST_TEST(std::count(all.begin(), all.end(), other.pid()) == 1);
    ::close(theirs);
}

// In a container it has another number of its own than outside.
BOOST_AUTO_TEST_CASE(a_process_in_a_container)
{
    process outer{[](auto say) {
        pid_t inner = -1;
        if (::unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 || ::unshare(CLONE_NEWPID) == 0)
            inner = ::fork();
        if (inner == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            tslab::allocator const heap{{.name = "contained"}};
            say("made by " + std::to_string(::getpid()));
            for (;;)
                ::pause();
        }
        say(std::to_string(inner));
    }};
    std::string const first = outer.line();
    if (first == "-1") {
        BOOST_TEST_MESSAGE("skipped: no process may make a container here");
        return;
    }
    std::string const second = outer.line();
    BOOST_TEST((first == "made by 1" || second == "made by 1"));
    pid_t const pid = static_cast<pid_t>(std::stoi(first == "made by 1" ? second : first));
    tslab::observer seen{pid};
    BOOST_TEST(seen.read().at(0).name == "contained");
    BOOST_TEST(seen.read().at(0).pid == pid);   // as we see it: inside, it is 1 in every container
}

// A reader beside a process in which all moves: no figure is absurd, no counter goes back.
BOOST_AUTO_TEST_CASE(a_busy_process)
{
    process other{[](auto say) {
        tslab::allocator heap{{.name = "busy", .epoch_count = 16}};
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 3; ++t)
            threads.emplace_back([&heap, t] {
                std::mt19937 r{t};
                for (;;) {
                    tslab::epoch_scope const scope{heap, "work"};
                    std::vector<std::pair<void*, std::size_t>> mine;
                    for (int i = 0; i < 200; ++i) {
                        std::size_t const n = 1 + r() % 3000;
                        mine.emplace_back(scope.resource()->allocate(n), n);
                    }
                    for (auto const& [p, n] : mine)
                        scope.resource()->deallocate(p, n);
                }
            });
        while (heap.snapshot({.residency = false}).global.allocations == 0)   // no processor for its threads so far
            std::this_thread::yield();
        say("started");
        for (std::thread& t : threads)
            t.join();
    }};
    other.line();
    tslab::observer o{other.pid()};
    tslab::snapshot before;
    for (int i = 0; i < 100; ++i) {
        tslab::snapshot const s = o.read().at(0);
        BOOST_TEST(s.live_known);
        BOOST_TEST(s.global.live_bytes < 64U << 20);
        BOOST_TEST(s.global.allocations >= before.global.allocations);
        BOOST_TEST(s.global.frees >= before.global.frees);
        BOOST_TEST(s.global.frees <= s.global.allocations);
        BOOST_TEST(s.global.epoch_closes >= before.global.epoch_closes);
        for (tslab::epoch_stats const& e : s.epochs) {
            BOOST_TEST((e.label == "work" || e.label.empty()));
            BOOST_TEST(e.refcount <= 1U);
            BOOST_TEST(e.exits <= e.enters);
        }
        before = s;
    }
    BOOST_TEST(before.global.allocations > 0U);
}
