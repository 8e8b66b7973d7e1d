// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <algorithm>
#include <numeric>
#include <ostream>
#include <string>

#include "report.hpp"   // imports, so it goes last

namespace request_server {
namespace {

/// A cell of a table, flush right.
std::string cell(std::string text, std::size_t width)
{
    text.insert(0, width > text.size() ? width - text.size() : 0, ' ');
    return text;
}

std::string label_cell(std::string_view text)
{
    std::string cell{text};
    cell.resize(std::max<std::size_t>(cell.size(), 16), ' ');
    return cell;
}

std::uint64_t per(double divisor, std::uint64_t number)
{
    return divisor > 0 ? static_cast<std::uint64_t>(static_cast<double>(number) / divisor) : 0;
}

void print_load(std::ostream& out, demo_result const& result, latency_histogram const& latency)
{
    auto const requests = static_cast<double>(latency.count());
    out << "throughput   " << with_commas(per(result.seconds, latency.count())) << " requests/s   "
        << with_commas(per(result.seconds, result.allocations)) << " allocations/s   "
        << with_commas(per(requests, result.allocations)) << " allocations/request\n"
        << "latency      p50 " << as_milliseconds(latency.quantile(0.5)) << "   p99 "
        << as_milliseconds(latency.quantile(0.99)) << "   p99.9 " << as_milliseconds(latency.quantile(0.999))
        << "   max " << as_milliseconds(latency.most()) << '\n'
        << "errors       " << with_commas(result.load.errors) << " in " << with_commas(latency.count())
        << " requests over " << as_seconds(result.seconds) << '\n';
    for (std::string const& error : result.load.first_errors)
        out << "             " << error << '\n';
}

std::uint64_t bytes_in(memory_by_label const& memory)
{
    return std::accumulate(memory.begin(), memory.end(), std::uint64_t{0},
                           [](std::uint64_t sum, auto const& one) { return sum + one.second.live_bytes; });
}

std::uint64_t bytes_in(std::vector<leaked_scope> const& leaks)
{
    return std::accumulate(leaks.begin(), leaks.end(), std::uint64_t{0},
                           [](std::uint64_t sum, auto const& one) { return sum + one.live_bytes; });
}

void print_memory(std::ostream& out, demo_result const& result)
{
    out << "process RSS  before " << as_bytes(result.rss_before) << "   peak " << as_bytes(result.peaks.rss_bytes)
        << "   after the drain " << as_bytes(result.rss_after) << '\n'
        << "live memory  sampled peak " << as_bytes(result.peaks.live_bytes) << "   after the drain "
        << as_bytes(bytes_in(result.left)) << '\n';
    tslab::waterfall_stats const& w = result.waterfall;
    out << "after it     objects " << as_bytes(w.live_bytes) << "   slack and free slots "
        << as_bytes(w.slack_bytes + w.empty_slot_bytes) << "   cached and free pages "
        << as_bytes(w.cached_bytes + w.free_bytes) << "   metadata " << as_bytes(w.metadata_bytes) << "   not tslab "
        << as_bytes(w.not_tslab_bytes > 0 ? static_cast<std::uint64_t>(w.not_tslab_bytes) : 0) << '\n';
}

label_memory find_or_none(memory_by_label const& memory, std::string_view label)
{
    auto const found = memory.find(std::string{label});
    return found == memory.end() ? label_memory{} : found->second;
}

void print_labels(std::ostream& out, demo_result const& result)
{
    out << '\n'
        << label_cell("label") << cell("requests", 10) << cell("p50", 11) << cell("p99", 11) << cell("p99.9", 11)
        << cell("sampled peak", 14) << cell("in scopes", 11) << cell("left", 10) << '\n';
    for (auto const& [label, latency] : result.load.latency_by_label) {
        label_memory const peak = find_or_none(result.peaks.by_label, label);
        label_memory const left = find_or_none(result.left, label);
        out << label_cell(label) << cell(with_commas(latency.count()), 10)
            << cell(as_milliseconds(latency.quantile(0.5)), 11) << cell(as_milliseconds(latency.quantile(0.99)), 11)
            << cell(as_milliseconds(latency.quantile(0.999)), 11) << cell(as_bytes(peak.live_bytes), 14)
            << cell(with_commas(peak.scopes), 11) << cell(as_bytes(left.live_bytes), 10) << '\n';
    }
}

void print_verdict(std::ostream& out, demo_result const& result)
{
    if (result.load.errors != 0)
        out << "FAILED: some answers were wrong\n";
    if (result.leaks.size() != result.forgotten) {
        out << "FAILED: " << result.forgotten << " scopes were forgotten on purpose, " << result.leaks.size()
            << " were found\n";
    }
    if (bytes_in(result.left) != bytes_in(result.leaks)) {
        out << "FAILED: memory is left that belongs to no scope\n";
    }
}

}

bool demo_result::good() const
{
    return load.errors == 0 && leaks.size() == forgotten && bytes_in(left) == bytes_in(leaks);
}

void print_leaks(std::ostream& out, std::vector<leaked_scope> const& leaks)
{
    if (leaks.empty()) {
        out << "no leak: every scope was left\n";
        return;
    }
    out << "LEAK: " << leaks.size() << (leaks.size() == 1 ? " scope was" : " scopes were")
        << " entered and never left\n";
    for (leaked_scope const& leak : leaks) {
        out << "  " << label_cell(leak.label) << "open for " << as_seconds(leak.age_seconds) << "   refcount "
            << leak.refcount << "   enters " << leak.enters << "   exits " << leak.exits << "   holds "
            << as_bytes(leak.live_bytes) << " in " << with_commas(leak.live_objects) << " objects\n"
            << "  " << label_cell("") << "entered at " << leak.entered_at << '\n';
    }
}

void print_report(std::ostream& out, demo_result const& result)
{
    print_load(out, result, result.load.latency());
    print_memory(out, result);
    print_labels(out, result);
    out << '\n';
    print_leaks(out, result.leaks);
    print_verdict(out, result);
}

}
