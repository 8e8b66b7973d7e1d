// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A program whose resident memory is looked at from outside while it runs: a contender through one of three scenarios. Prints
// a line when a part of it begins: its name, and CLOCK_MONOTONIC in seconds.
#include "crew.hpp"
#include "pattern.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using steady = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

void mark(char const* name)
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    std::printf("%s %ld.%09ld\n", name, static_cast<long>(now.tv_sec), now.tv_nsec);
    std::fflush(stdout);
}

void idle(seconds time)
{
    mark("idle");
    std::this_thread::sleep_for(time);
}

void load(bench::crew& threads, seconds time)
{
    mark("load");
    threads.each([time](unsigned, bench::worker& w) {
        auto const end = steady::now() + time;
        do
            w.turn();
        while (steady::now() < end);
    });
}

/// A pattern on many threads, then nothing, then, if `again`, the pattern once more.
void load_and_idle(bench::contender& c, std::string_view pattern, unsigned threads, seconds unit, bool again)
{
    bench::setting s{.threads = threads};
    s.make_place = [&c] { return c.make_place(bench::stack_of_this_thread()); };
    bench::crew all{*bench::find_pattern(pattern), s};
    load(all, unit * 2);
    idle(unit * 4);
    if (again) {
        load(all, unit * 2);
        idle(unit);
    }
    mark("end");
}

/// One phase fills memory, frees it, and goes on with little.
void long_phase(bench::contender& c, std::size_t bytes, seconds unit)
{
    std::unique_ptr<bench::place> const memory = c.make_place({});
    std::pmr::memory_resource* const resource = bench::opaque(memory->lasting());
    std::vector<void*> objects(bytes / 1024);
    mark("fill");
    for (void*& p : objects)
        p = std::memset(resource->allocate(1024), 1, 1024);
    mark("full");
    std::this_thread::sleep_for(unit);
    mark("free");
    for (void* const p : objects)
        resource->deallocate(p, 1024);
    mark("little");
    for (auto const end = steady::now() + unit * 5; steady::now() < end;) {
        for (std::size_t i = 0; i < 32; ++i)
            objects[i] = std::memset(resource->allocate(16 * (i + 1)), 1, 16 * (i + 1));
        for (std::size_t i = 0; i < 32; ++i)
            resource->deallocate(objects[i], 16 * (i + 1));
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    mark("end");
}

}

// usage: memory_timeline burst|server|long-phase CONTENDER THREADS MIB SECONDS_A_UNIT
int main(int argc, char** argv)
try {
    auto const who = argc == 6 ? bench::make_contender(argv[2]) : nullptr;
    long const threads = who ? std::strtol(argv[3], nullptr, 10) : 0;
    long const mib = who ? std::strtol(argv[4], nullptr, 10) : 0;
    double const unit = who ? std::strtod(argv[5], nullptr) : 0;
    std::string_view const scenario = who ? argv[1] : "";
    bool const known = scenario == "burst" || scenario == "server" || scenario == "long-phase";
    if (!known || threads < 1 || threads > 256 || mib < 1 || !(unit > 0)) {
        std::fputs("usage: memory_timeline burst|server|long-phase CONTENDER THREADS MIB SECONDS_A_UNIT\n", stderr);
        return 2;
    }
    if (scenario == "long-phase")
        long_phase(*who, static_cast<std::size_t>(mib) << 20, seconds{unit});
    else
        load_and_idle(*who, scenario, static_cast<unsigned>(threads), seconds{unit}, scenario == "server");
    return 0;
} catch (std::exception const& e) {
    std::fprintf(stderr, "memory_timeline: %s\n", e.what());
    return 1;
}
