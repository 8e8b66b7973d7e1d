// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One measurement in one process: a pattern, a number of threads, a contender, a kind of run. Prints one line of JSON.
// script/bench runs it many times; `tslab_bench --list` says what there is.
#include "contender_library.hpp"
#include "held_memory.hpp"
#include "output.hpp"
#include "run.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>

namespace {

struct command {
    std::string pattern_name;
    std::string contender_name = "tslab";
    std::string kind = "throughput";
    unsigned threads = 1;
    double seconds = 0.1;
    std::uint64_t phases = 2000;
    std::uint64_t seed = 1;
    std::size_t size = 0;
    std::size_t held_mib = 0;
    bool tiny = false;
    bool list = false;
};

void declare(CLI::App& app, command& to)
{
    app.add_option("--pattern", to.pattern_name, "What is done with the memory");
    app.add_option("--contender", to.contender_name, "Whose memory")->capture_default_str();
    app.add_option("--kind", to.kind, "What is measured")
        ->check(CLI::IsMember({"throughput", "latency", "memory"}))
        ->capture_default_str();
    app.add_option("--threads", to.threads)->check(CLI::Range(1U, 256U))->capture_default_str();
    app.add_option("--seconds", to.seconds, "For throughput and latency, after a quarter more to warm up")
        ->check(CLI::Range(0.0, 3600.0))
        ->capture_default_str();
    app.add_option("--phases", to.phases, "For memory, over all threads")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
        ->capture_default_str();
    app.add_option("--size", to.size, "Bytes of an object, where the pattern lets it be chosen [the pattern's]")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20));
    app.add_option("--held", to.held_mib, "MiB that the contender holds all the while, in objects of 1 KiB")
        ->check(CLI::Range(0, 1 << 20));
    app.add_option("--seed", to.seed)->capture_default_str();
    app.add_flag("--tiny", to.tiny, "Less of everything that takes long: to see that it works");
    app.add_flag("--list", to.list, "Print the patterns as JSON");
}

int refuse(std::string const& why)
{
    std::fprintf(stderr, "tslab_bench: %s\n", why.c_str());
    return 2;
}

int measure(command const& c)
{
    bench::pattern const* const what = bench::find_pattern(c.pattern_name);
    if (what == nullptr)
        return refuse("no such pattern: " + c.pattern_name + " (--list names them)");
    if (c.threads < what->least_threads || c.threads > what->most_threads || (what->pairs && c.threads % 2 != 0))
        return refuse(c.pattern_name + " does not run with " + std::to_string(c.threads) + " threads");
    auto const who = bench::make_contender(c.contender_name);
    if (who == nullptr)
        return refuse("no such contender: " + c.contender_name);
    bench::setting const s{.threads = c.threads, .seed = c.seed, .size = c.size, .tiny = c.tiny};
    bench::held_memory const held{*who, c.held_mib << 20};
    bench::output out;
    out.text("pattern", c.pattern_name).text("contender", c.contender_name).number("threads", c.threads);
    out.text("kind", c.kind).text("malloc", bench::library_of_malloc());
    if (c.kind == "throughput")
        out.add(bench::measure_throughput(*who, *what, s, c.seconds));
    else if (c.kind == "latency")
        out.add(bench::measure_latencies(*who, *what, s, c.seconds));
    else
        out.add(bench::measure_memory(*who, *what, s, c.phases));
    std::puts(out.finish().c_str());
    return 0;
}

}

int main(int argc, char** argv)
try {
    CLI::App app{"Measures one contender on one pattern; prints a line of JSON."};
    command c;
    declare(app, c);
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        if (e.get_exit_code() == 0)
            return app.exit(e);
        return refuse(e.what());
    }
    if (c.list) {
        std::puts(bench::patterns_as_json().c_str());
        return 0;
    }
    return c.pattern_name.empty() ? refuse("--pattern is missing (--list names them)") : measure(c);
} catch (std::exception const& e) {
    std::fprintf(stderr, "tslab_bench: %s\n", e.what());
    return 1;
}
