// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One measurement of memory behaviour in one process; prints a line of JSON. script/memory runs it many times.
// Exit code 0: measured; 1: failed; 2: a mistake on the command line; 3: cannot be measured here, and why.
#include "measures.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace probe {

void report::number(std::string_view name, double value)
{
    char text[64];
    std::snprintf(text, sizeof text, "%.10g", value);
    line_.append(line_.size() > 1 ? ",\"" : "\"").append(name).append("\":").append(text);
}

namespace {

struct measure {
    char const* name;
    char const* about;
    void (*run)(settings const&, report&);
};

constexpr measure measures[] = {
    {"long-phase", "one phase that frees what it took and goes on", measure_long_phase},
    {"idle-threads", "what threads keep that are idle", measure_idle_threads},
    {"bounded", "what a bounded heap serves while a thread is idle that used it", measure_bounded},
    {"survivors", "closed phases with one survivor each", measure_survivors},
    {"heaps", "address space and resident memory of many heaps", measure_heaps},
    {"reserved", "address space of one heap above what it holds", measure_reserved},
    {"limited", "heaps under a limit of address space", measure_limited},
    {"locked", "a heap in a process that locks its memory", measure_locked},
    {"turns", "many heaps in turn against four", measure_turns},
    {"descriptors", "descriptors of a process with heaps", measure_descriptors},
    {"near-limit", "a freed phase, then other memory: for a control group", measure_near_limit},
};

int refuse(char const* why)
{
    std::fprintf(stderr, "memory_probe: %s\n", why);
    return 2;
}

int run(int argc, char** argv)
{
    CLI::App app{"Measures memory behaviour; prints a line of JSON."};
    app.require_subcommand(1);
    settings s;
    app.add_option("--objects", s.objects)->check(CLI::IsMember({"small", "mixed", "large"}))->capture_default_str();
    app.add_flag("--raw", s.raw, "heap.malloc instead of a resource");
    app.add_flag("--background", s.background, "Background purging, and no further work");
    app.add_flag("--scopes", s.scopes, "In each heap a scope, too");
    app.add_flag("--late", s.late, "Memory is locked when the heap is filled, not before");
    app.add_option("--seconds", s.seconds)->check(CLI::Range(0.0, 3600.0))->capture_default_str();
    app.add_option("--mib", s.mib)->check(CLI::Range(1, 1 << 20))->capture_default_str();
    app.add_option("--size", s.size)->check(CLI::Range(1, 1 << 30))->capture_default_str();
    app.add_option("--count", s.count)->check(CLI::Range(1, 1 << 20))->capture_default_str();
    app.add_option("--threads", s.threads)->check(CLI::Range(1, 1024))->capture_default_str();
    app.fallthrough();
    measure const* chosen = nullptr;
    for (measure const& m : measures)
        app.add_subcommand(m.name, m.about)->callback([&chosen, &m] { chosen = &m; });
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return e.get_exit_code() == 0 ? app.exit(e) : refuse(e.what());
    }
    report r;
    chosen->run(s, r);
    std::puts(r.finish().c_str());
    std::fflush(stdout);
    // Some measures leave objects alive on purpose. Their heaps would report that at their end.
    std::_Exit(0);
}

}

}

int main(int argc, char** argv)
try {
    return probe::run(argc, argv);
} catch (probe::unavailable const& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 3;
} catch (std::exception const& e) {
    std::fprintf(stderr, "memory_probe: %s\n", e.what());
    return 1;
}
