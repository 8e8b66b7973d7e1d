// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One synthetic pattern for as long as one likes, to be watched: what it did is printed at the end, with tslab's own counters.
// usage: synthetic_bench --threads=8 --pattern=hotspot --size=128 --duration_s=60 --allocator=tslab
#include "resident.hpp"
#include "run.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>

namespace {

struct command {
    std::string allocator = "tslab";
    std::string pattern = "burst";
    unsigned threads = 1;
    double duration_s = 10;
    std::size_t size = 0;
};

std::vector<std::string> const patterns{"burst",     "steady",           "leak", "hotspot", "kernel",
                                        "straggler", "cross_thread_free"};

std::vector<std::string> allocators()
{
    auto const all = bench::contender_names();
    return {all.begin(), all.end()};
}

double rate(std::uint64_t part, std::uint64_t whole)
{
    return static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(whole, 1));
}

void print(command const& c, bench::throughput const& t)
{
    std::printf(
        "%s on %s, %u threads: %llu operations in %.2f s, %.1f million a second, %.1f ns of processor time each\n",
        c.pattern.c_str(), c.allocator.c_str(), c.threads, static_cast<unsigned long long>(t.operations),
        t.wall_ns / 1e9, static_cast<double>(t.operations) / t.wall_ns * 1e3, t.ns_per_op);
    std::printf("resident: %.2f MiB at the peak, %.2f MiB after everything was freed\n",
                static_cast<double>(bench::resident_peak()) / 1048576,
                static_cast<double>(bench::resident_bytes()) / 1048576);
    if (t.own.known)
        std::printf("CAS retries: %.5f for each operation; locks: %.5f for each operation, %.2f %% of them contended\n",
                    rate(t.own.cas_retries, t.operations), rate(t.own.locks_free + t.own.locks_contended, t.operations),
                    100 * rate(t.own.locks_contended, t.own.locks_free + t.own.locks_contended));
}

int refuse(std::string const& why)
{
    std::fprintf(stderr, "synthetic_bench: %s\n", why.c_str());
    return 2;
}

int run(command const& c)
{
    bench::pattern const* const what = bench::find_pattern(c.pattern);
    if (c.threads < what->least_threads)
        return refuse(c.pattern + " needs " + std::to_string(what->least_threads) + " threads at least");
    if (!what->phases && c.allocator.starts_with("monotonic"))
        return refuse(c.pattern + " has no phases: " + c.allocator + " would never give anything back");
    if (what->crossing && c.allocator == "unsynchronized")
        return refuse("the threads of " + c.pattern + " free each other's objects: " + c.allocator + " cannot do that");
    auto const who = bench::make_contender(c.allocator);
    if (who == nullptr)
        return refuse(c.allocator + " needs an option that this library does not have");
    bench::setting const s{.threads = c.threads, .size = c.size};
    print(c, bench::measure_throughput(*who, *what, s, c.duration_s));
    return 0;
}

}

int main(int argc, char** argv)
try {
    CLI::App app{"Runs one synthetic pattern of allocations and prints what it did."};
    command c;
    app.add_option("--allocator", c.allocator)->check(CLI::IsMember(allocators()))->capture_default_str();
    app.add_option("--pattern", c.pattern)->check(CLI::IsMember(patterns))->capture_default_str();
    app.add_option("--threads", c.threads)->check(CLI::Range(1U, 256U))->capture_default_str();
    app.add_option("--duration_s", c.duration_s, "Seconds")->check(CLI::Range(0.01, 86'400.0))->capture_default_str();
    app.add_option("--size", c.size, "Bytes of an object [the pattern's own]")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20));
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return e.get_exit_code() == 0 ? app.exit(e) : refuse(e.what());
    }
    return run(c);
} catch (std::exception const& e) {
    std::fprintf(stderr, "synthetic_bench: %s\n", e.what());
    return 1;
}
