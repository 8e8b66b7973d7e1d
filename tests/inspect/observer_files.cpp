// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// An observer of a file: one that outlives its process, that changes, that is named after its process; and heaps that cannot be
// published.
#define BOOST_TEST_MODULE observer_files
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
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
