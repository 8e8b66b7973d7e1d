// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The profile read from outside: of a process that lives or is stopped, of the file of a dead one; its addresses, mappings and
// limits.
#define BOOST_TEST_MODULE profile_reading
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

#include "../inspect/observed.hpp"
#include "profiled.hpp"

using namespace support;
using namespace profiled;

// The linker's names for the begin and the end of a section: instrumented code may be of any size.
extern "C" char const __start_tslab_allocates_here[];   // NOLINT(bugprone-reserved-identifier)
extern "C" char const __stop_tslab_allocates_here[];    // NOLINT(bugprone-reserved-identifier)

namespace {

[[gnu::noinline, gnu::section("tslab_allocates_here")]] void* allocate_here(tslab::epoch_resource& r, std::size_t bytes)
{
    void* const p = r.allocate(bytes);
    asm volatile("" ::: "memory");   // no tail call: this function is on the stack
    return p;
}

/// A different stack for each number: the calls of its bits.
[[gnu::noinline]] void* allocate_at(tslab::epoch_resource& r, unsigned path, unsigned depth);
[[gnu::noinline]] void* left(tslab::epoch_resource& r, unsigned path, unsigned depth)
{
    void* const p = allocate_at(r, path, depth);
    asm volatile("" ::: "memory");
    return p;
}
[[gnu::noinline]] void* right(tslab::epoch_resource& r, unsigned path, unsigned depth)
{
    void* const p = allocate_at(r, path, depth);
    asm volatile("" ::"r"(p) : "memory");
    return p;
}
void* allocate_at(tslab::epoch_resource& r, unsigned path, unsigned depth)
{
    void* p = nullptr;
    if (depth == 0)
        p = allocate_here(r, 64);
    else if ((path & 1U) != 0)
        p = left(r, path >> 1U, depth - 1);
    else
        p = right(r, path >> 1U, depth - 1);
    asm volatile("" ::: "memory");
    return p;
}

/// Whether a return address is one of allocate_here.
bool is_here(std::uint64_t address)
{
    return address > reinterpret_cast<std::uintptr_t>(__start_tslab_allocates_here) &&
           address <= reinterpret_cast<std::uintptr_t>(__stop_tslab_allocates_here);
}

/// Whether a profile has the stack of allocate_here, and a mapping of the program with its build id around it.
void check_profile(tslab::heap_profile const& p)
{
    BOOST_TEST(p.heap == "profiled");
    BOOST_TEST(p.interval_bytes == 1u);
    BOOST_TEST(p.time_ns > p.begin_ns);
    BOOST_TEST(p.begin_ns > 0u);
    BOOST_TEST(p.time_ns - p.begin_ns < 600'000'000'000u);
    tslab::profiled_stack const sum = sum_of(p, "outside", 192);
    BOOST_TEST(sum.samples == 10u);
    BOOST_TEST(sum.live_samples == 4u);
    std::string const program = std::filesystem::read_symlink("/proc/self/exe").string();
    bool any = false;
    for (tslab::profiled_stack const& s : p.stacks) {
        if (s.label != "outside")
            continue;
        auto const at = std::ranges::find_if(s.addresses, &is_here);
        if (at == s.addresses.end())
            continue;
        any = true;
        BOOST_TEST((at - s.addresses.begin()) < 8);
        BOOST_TEST((s.addresses.end() - at) >= 2);   // its callers
        auto const m = std::ranges::find_if(
            p.mappings, [at](tslab::profiled_mapping const& one) { return *at >= one.begin && *at < one.end; });
        BOOST_REQUIRE((m != p.mappings.end()));
        BOOST_TEST(m->file == program);
        BOOST_TEST(m->build_id.size() >= 16u);
        BOOST_TEST(m->build_id.find_first_not_of("0123456789abcdef") == std::string::npos);
    }
    BOOST_TEST(any);
}

/// A heap with ten sampled objects, of which four live.
struct work {
    tslab::allocator heap{{.name = "profiled", .profile_interval = 1}};
    tslab::epoch_resource r{heap, {.label = "outside"}};
    work()
    {
        std::vector<void*> all;
        for (int i = 0; i < 10; ++i)
            all.push_back(allocate_here(r, 192));
        for (std::size_t i = 0; i < 6; ++i)
            r.deallocate(all[i], 192);
    }
};

}

BOOST_AUTO_TEST_CASE(of_a_process_that_lives_or_is_stopped)
{
    observed::process other{[](auto say) {
        work const w;
        say("ready");
        for (;;)
            ::pause();
    }};
    BOOST_REQUIRE(other.line() == "ready");
    for (bool const stopped : {false, true}) {
        if (stopped)
            other.stop();
        tslab::observer o{other.pid()};
        std::vector<tslab::heap_profile> const all = o.profiles();
        BOOST_REQUIRE(all.size() == 1u);
        BOOST_TEST(all[0].pid == other.pid());
        check_profile(all[0]);
        BOOST_TEST(all[0].mappings.size() > 2u);   // the C library is among them
    }
}

BOOST_AUTO_TEST_CASE(of_the_file_of_a_dead_process)
{
    std::string const path = "/tmp/tslab-profile-" + std::to_string(::getpid());
    pid_t pid = 0;
    {
        observed::process other{[&path](auto say) {
            ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
            work const w;
            say("ready");
            for (;;)
                ::pause();
        }};
        BOOST_REQUIRE(other.line() == "ready");
        pid = other.pid();
    }
    std::vector<tslab::heap_profile> const all = tslab::observer{path}.profiles();
    std::filesystem::remove(path);
    BOOST_REQUIRE(all.size() == 1u);
    BOOST_TEST(all[0].pid == pid);
    check_profile(all[0]);
}

BOOST_AUTO_TEST_CASE(of_a_heap_of_this_process_that_does_not_publish)
{
    tslab::allocator heap{{.name = "profiled", .profile_interval = 1, .publish = false}};
    tslab::epoch_resource r{heap, {.label = "outside"}};
    std::vector<void*> live;
    for (int i = 0; i < 10; ++i)
        live.push_back(allocate_here(r, 192));
    for (; live.size() > 4; live.pop_back())
        r.deallocate(live.back(), 192);
    check_profile(tslab::read_heap_profile(heap));
    for (void* const p : live)
        r.deallocate(p, 192);
}

BOOST_AUTO_TEST_CASE(each_stack_has_one_entry)
{
    tslab::allocator heap{{.profile_interval = 1}};
    tslab::epoch_resource r{heap, {.label = "paths"}};
    for (int turn = 0; turn < 3; ++turn)
        for (unsigned path = 0; path < 64; ++path)
            r.deallocate(allocate_at(r, path, 6), 64);
    tslab::heap_profile const p = tslab::read_heap_profile(heap);
    BOOST_TEST(std::ranges::count(p.stacks, "paths", &tslab::profiled_stack::label) == 64);
    for (tslab::profiled_stack const& s : p.stacks)
        BOOST_TEST(s.samples == 3u);
    BOOST_TEST(p.stacks_cut == 0u);
}

BOOST_AUTO_TEST_CASE(a_full_table_counts_what_it_drops)
{
    tslab::allocator heap{{.profile_interval = 1}};
    tslab::epoch_resource r{heap, {.label = "many"}};
    constexpr unsigned paths = 16'384;
    for (unsigned path = 0; path < paths; ++path)
        r.deallocate(allocate_at(r, path, 14), 64);
    tslab::heap_profile const p = tslab::read_heap_profile(heap);
    BOOST_TEST(p.stacks.size() <= tslab::heap_profiler::most_stacks);
    BOOST_TEST(p.stacks.size() + p.samples_dropped == paths);
    BOOST_TEST(p.samples_dropped > 0u);
    BOOST_TEST(p.stacks_dropped > 0u);
    BOOST_TEST(p.stacks_dropped <= p.samples_dropped);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_deep_stack_is_cut_and_counted)
{
    for (tslab::stack_walk const walk : {tslab::stack_walk::unwind_tables, tslab::stack_walk::frame_pointers}) {
        tslab::allocator heap{{.profile_interval = 1, .profile_walk = walk}};
        tslab::epoch_resource r{heap, {.label = "deep"}};
        r.deallocate(allocate_at(r, 0, 200), 64);
        tslab::heap_profile const p = tslab::read_heap_profile(heap);
        BOOST_REQUIRE(p.stacks.size() == 1u);
        BOOST_TEST(p.stacks[0].addresses.size() <= tslab::profile_page::most_depth);
        if (walk == tslab::stack_walk::unwind_tables) {
            BOOST_TEST(p.stacks[0].addresses.size() == tslab::profile_page::most_depth);
            BOOST_TEST(p.stacks_cut == 1u);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_environment_sets_the_interval_and_the_option_goes_first)
{
    ::setenv("TSLAB_PROFILE_INTERVAL", "123456", 1);
    tslab::allocator by_environment;
    tslab::allocator by_option{{.profile_interval = 99}};
    ::unsetenv("TSLAB_PROFILE_INTERVAL");
    tslab::allocator usual;
    BOOST_TEST(tslab::read_heap_profile(by_environment).interval_bytes == 123456u);
    BOOST_TEST(tslab::read_heap_profile(by_option).interval_bytes == 99u);
    BOOST_TEST(tslab::read_heap_profile(usual).interval_bytes == 0u);
    BOOST_CHECK_THROW(tslab::allocator({.profile_interval = std::uint64_t{1} << 41}), std::invalid_argument);
}
