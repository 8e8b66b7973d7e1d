// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "output.hpp"

#include <algorithm>
#include <cstdio>

namespace bench {
namespace {

std::string decimal(double value)
{
    char text[64];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

std::string quoted(std::string_view text)
{
    std::string out = "\"";
    for (char const c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += static_cast<unsigned char>(c) < ' ' ? '?' : c;
    }
    return out + '"';
}

}

void output::key(std::string_view name)
{
    if (line_.size() > 1)
        line_ += ',';
    line_ += quoted(name) + ':';
}

output& output::text(std::string_view name, std::string_view value)
{
    key(name);
    line_ += quoted(value);
    return *this;
}

output& output::number(std::string_view name, double value)
{
    key(name);
    line_ += decimal(value);
    return *this;
}

void output::add(throughput const& t)
{
    number("ns_per_op", t.ns_per_op).number("operations", t.operations).number("wall_ns", t.wall_ns);
    number("cores", t.cores).number("cpu_ns", t.cpu_ns);
    if (!t.own.known)
        return;
    number("cas_attempts", t.own.cas_attempts).number("cas_retries", t.own.cas_retries);
    number("free_retries", t.own.free_retries).number("lost_races", t.own.lost_races);
    number("locks_free", t.own.locks_free).number("locks_contended", t.own.locks_contended);
    number("allocations", t.own.allocations).number("epoch_closes", t.own.epoch_closes);
    number("madvise_calls", t.own.madvise_calls);
}

void output::add(latencies const& l)
{
    number("clock_ns", static_cast<double>(l.tick_cost) / l.ticks_per_ns);
    number("clock_step_ns", static_cast<double>(l.tick_step) / l.ticks_per_ns);
    add("allocate", l.allocate, l.ticks_per_ns);
    add("deallocate", l.deallocate, l.ticks_per_ns);
    std::uint64_t const most = std::max(l.allocate.most(), l.deallocate.most());
    number("max_ns", static_cast<double>(most) / l.ticks_per_ns);
}

void output::add(std::string_view name, histogram const& h, double ticks_per_ns)
{
    key(name);
    line_ += '[';
    for (std::size_t i = 0; i < histogram::bucket_count; ++i) {
        if (h.count(i) == 0)
            continue;
        if (line_.back() != '[')
            line_ += ',';
        line_ += '[' + decimal(histogram::value_of(i) / ticks_per_ns) + ',' + std::to_string(h.count(i)) + ']';
    }
    line_ += ']';
}

void output::add(memory_use const& m)
{
    number("base", m.base).number("peak", m.peak).number("drained", m.drained).number("trimmed", m.trimmed);
    number("live", m.live).number("at_live", m.at_live).number("huge", m.huge);
    number("early", m.early).number("late", m.late).number("phases", m.phases);
}

std::string patterns_as_json()
{
    std::string all = "[";
    for (pattern const& p : all_patterns()) {
        output one;
        one.text("name", p.name).text("about", p.about).number("phases", int{p.phases});
        one.number("memory", int{p.memory}).number("crossing", int{p.crossing});
        one.number("least_threads", p.least_threads)
            .number("most_threads", p.most_threads)
            .number("pairs", int{p.pairs});
        all += (all.size() > 1 ? ",\n" : "") + one.finish();
    }
    return all + "]";
}

}
