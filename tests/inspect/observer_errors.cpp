// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// An observer of what is dead, of what is no process, of statistics that are damaged or lead astray, and of a process that may not
// be looked into.
#define BOOST_TEST_MODULE observer_errors
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <random>
#include <signal.h>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "observed.hpp"

using observed::busy;
using observed::contents;
using observed::fault_of;
using observed::process;
using observed::temporary;
using observed::write;
using tslab::observe_fault;

BOOST_AUTO_TEST_CASE(what_is_no_process)
{
    process other{[](auto say) { say("here"); }};
    other.line();
    pid_t const pid = other.pid();
    other.end();
    BOOST_TEST((fault_of([&] { tslab::observer{pid}; }) == observe_fault::no_process));
    BOOST_TEST((fault_of([] { tslab::observer{pid_t{-1}}; }) == observe_fault::no_process));
    BOOST_TEST((fault_of([] { tslab::observer{std::string{"/nowhere/at/all"}}; }) == observe_fault::system));
    BOOST_TEST((fault_of([] { tslab::observer{std::string{"/tmp"}}; }) == observe_fault::damaged));
}

BOOST_AUTO_TEST_CASE(a_process_that_dies_while_it_is_read)
{
    for (int i = 0; i < 20; ++i) {
        process other{[](auto say) {
            busy work{{.name = "dying", .epoch_count = 16}};
            say("made");
            for (;;)
                ::pause();
        }};
        other.line();
        tslab::observer o{other.pid()};
        std::thread killer{[&other, i] {
            ::usleep(static_cast<useconds_t>(i * 100));
            ::kill(other.pid(), SIGKILL);
        }};
        bool ended = false;
        for (int n = 0; n < 100'000 && !ended; ++n)
            try {
                for (tslab::snapshot const& s : o.read())
                    BOOST_TEST(s.global.live_bytes < 1U << 30);
            } catch (tslab::observe_error const& e) {
                ended = true;
                // A zombie is there, and has no descriptors any more.
                BOOST_TEST((e.fault() == observe_fault::no_process || e.fault() == observe_fault::no_heap ||
                            e.fault() == observe_fault::not_permitted));
            }
        killer.join();
        BOOST_TEST(ended);
    }
}

// Cut short, overwritten, of another version: each is said, and nothing is read that is not there.
BOOST_AUTO_TEST_CASE(damaged_files)
{
    std::string const path = temporary("-damaged");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    std::vector<char> good;
    {
        tslab::set_error_handler([](tslab::misuse_report const&) {});
        busy const work{{.name = "good", .epoch_count = 16}};
        good = contents(path);
        good.resize(std::size_t{1} << 20);   // all that is used
        tslab::observer{path};
    }
    tslab::set_error_handler(nullptr);
    ::unsetenv("TSLAB_STATS_FILE");
    auto const opens = [&path](std::vector<char> const& bytes) {
        write(path, bytes);
        return fault_of([&] { tslab::observer{path}; });
    };
    for (std::size_t const n : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{40},
                                std::size_t{100}, std::size_t{4096}, std::size_t{20'000}})
        BOOST_TEST((opens({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)}) == observe_fault::damaged));
    std::vector<char> newer = good;
    newer[8] = static_cast<char>(tslab::segment_header::format_number + 1);
    BOOST_TEST((opens(newer) == observe_fault::version));
    std::vector<char> otherwise = good;
    otherwise[offsetof(tslab::segment_header, layout)] ^= 1;
    BOOST_TEST((opens(otherwise) == observe_fault::version));
    std::vector<char> random(good.size());
    std::mt19937 r{1};
    std::generate(random.begin(), random.end(), [&r] { return static_cast<char>(r()); });
    BOOST_TEST((opens(random) == observe_fault::damaged));
    // Random bytes behind a header that is right: whatever comes of it is a snapshot or an error.
    std::size_t read = 0;
    for (int round = 0; round < 300; ++round) {
        std::vector<char> bad = good;
        for (int n = 0; n < 1 + round * 4; ++n)
            bad[40 + r() % 200'000] = static_cast<char>(r());
        write(path, bad);
        try {
            tslab::observer o{path};
            for (tslab::snapshot const& s : o.read()) {
                static_cast<void>(tslab::to_json(s));
                static_cast<void>(tslab::diagnose(s));
                static_cast<void>(tslab::find_leaks(s, 0));
                ++read;
            }
            static_cast<void>(o.maps());
        } catch (tslab::observe_error const&) {
        }
    }
    BOOST_TEST(read > 10U);
    std::filesystem::remove(path);
}

// What leads out of the process's memory, or could not be held, is not followed: then it is not known what is live.
BOOST_AUTO_TEST_CASE(figures_that_cannot_be_are_not_believed)
{
    tslab::allocator heap{{.name = "astray", .reserve_bytes = std::size_t{64} << 20}};
    void* const p = heap.malloc(100);
    tslab::observer seen{::getpid()};
    BOOST_TEST(seen.read().at(0).live_known);
    tslab::heap_stats_page& published = heap.state().stats();
    std::uint32_t const first = published.pages.first_run.load();
    for (std::uint32_t const wrong : {std::uint32_t{1} << 20, std::uint32_t{1} << 27, ~std::uint32_t{0}}) {
        published.pages.first_run.store(wrong);
        BOOST_TEST(!seen.read().at(0).live_known);
        BOOST_TEST(seen.maps().at(0).runs.empty());
    }
    published.pages.first_run.store(first);
    BOOST_TEST(seen.read().at(0).live_known);
    BOOST_TEST(seen.read().at(0).global.live_objects == 1U);
    heap.free(p);
}

BOOST_AUTO_TEST_CASE(without_a_descriptor_to_spare_nothing_can_be_looked_into)
{
    rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit const none{0, before.rlim_max};
    std::string text;
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    std::exception_ptr thrown;   // looked at afterwards: the sanitizer looks at objects through a pipe
    try {
        tslab::observer{::getpid()};
    } catch (tslab::observe_error const&) {
        thrown = std::current_exception();
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    BOOST_REQUIRE(thrown != nullptr);
    observe_fault const said = fault_of([&] { std::rethrow_exception(thrown); }, &text);
    BOOST_TEST((said == observe_fault::system));
    BOOST_TEST(text.starts_with("process " + std::to_string(::getpid()) + " cannot be looked into: "));
}

// With a few more it lists the files, and cannot open them: that is no process without a heap.
BOOST_AUTO_TEST_CASE(with_too_few_descriptors_no_process_is_said_to_have_no_heap)
{
    tslab::allocator const heap{{.name = "there"}};
    rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    std::vector<observe_fault> said;
    bool seen = false;
    for (rlim_t most = 3; most < before.rlim_cur && !seen; ++most) {
        rlimit const few{most, before.rlim_max};
        BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
        try {
            seen = !tslab::observer{::getpid()}.read().empty();
        } catch (tslab::observe_error const& e) {
            said.push_back(e.fault());
        }
        ::setrlimit(RLIMIT_NOFILE, &before);
    }
    BOOST_TEST(seen);
    BOOST_TEST(said.size() >= 2U);
    rlimit const too_few{static_cast<rlim_t>(3 + said.size() - 1), before.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &too_few) == 0);
    observe_fault of_all{};
    try {
        static_cast<void>(tslab::processes_with_heaps());
    } catch (tslab::observe_error const& e) {
        of_all = e.fault();
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    BOOST_TEST((of_all == observe_fault::system));
    for (observe_fault const f : said)
        BOOST_TEST((f == observe_fault::system));
}
