// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_frame.hpp"
#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <utility>

namespace tslab::tool {

namespace {

namespace json = boost::json;

constexpr std::size_t most_runs = 200'000;
constexpr std::size_t most_findings = 20;

/// Milliseconds: nanoseconds since 1970 are beyond what a script can tell apart.
double milliseconds(std::uint64_t ns) { return static_cast<double>(ns / 1000) / 1000.0; }

json::array buckets(log2_histogram const& h)
{
    json::array out;
    std::size_t used = h.buckets.size();
    while (used > 0 && h.buckets[used - 1] == 0)
        --used;
    for (std::size_t b = 0; b < used; ++b)
        out.push_back(h.buckets[b]);
    return out;
}

json::array labels(snapshot const& s)
{
    json::array out;
    for (label_stats const& l : s.labels)
        out.push_back(json::object{{"name", printable(l.name)},
                                   {"live_bytes", l.live_bytes},
                                   {"held_bytes", l.held_bytes},
                                   {"epochs", l.epochs}});
    return out;
}

json::array epochs(snapshot const& s, std::vector<leak> const& leaks)
{
    json::array out;
    for (epoch_stats const& e : s.epochs) {
        bool const leaked =
            std::ranges::any_of(leaks, [&](leak const& l) { return l.epoch == e.index && l.era == e.era; });
        if (e.lifecycle == lifecycle::idle)
            continue;
        out.push_back(json::object{{"epoch_id", e.index},
                                   {"epoch_era", e.era},
                                   {"label", printable(e.label)},
                                   {"lifecycle", name_of(e.lifecycle)},
                                   {"open_since_ms", milliseconds(e.open_since_ns)},
                                   {"closing_sec", e.closing_seconds},
                                   {"refcount", e.refcount},
                                   {"live_objects", e.live_objects},
                                   {"live_bytes", e.live_bytes},
                                   {"held_bytes", (e.slab_pages + e.large_pages) * s.page_size},
                                   {"leaked", leaked}});
    }
    return out;
}

json::object waterfall(waterfall_stats const& w)
{
    return {{"rss_bytes", w.rss_bytes},
            {"live_bytes", w.live_bytes},
            {"slack_bytes", w.slack_bytes},
            {"empty_slot_bytes", w.empty_slot_bytes},
            {"cached_bytes", w.cached_bytes},
            {"free_bytes", w.free_bytes},
            {"metadata_bytes", w.metadata_bytes},
            {"not_tslab_bytes", w.not_tslab_bytes},
            {"untouched_bytes", w.untouched_bytes}};
}

json::object latency(snapshot const& s)
{
    timing_stats const& t = s.sampled.alloc;
    return {{"on", s.sampling},
            {"samples", t.samples},
            {"wall_ns_log2", buckets(t.wall)},
            {"wait_ns_log2", buckets(t.wait)},
            {"p50", t.wall.quantile(0.5)},
            {"p99", t.wall.quantile(0.99)},
            {"p999", t.wall.quantile(0.999)},
            {"wall_ns_max", t.wall_ns_max}};
}

json::object counters(global_stats const& g)
{
    return {{"total_allocations", g.allocations},
            {"total_slow_path_hits", g.slow_path_hits},
            {"total_slow_cache_miss", g.slow_path_cache_miss},
            {"total_slow_epoch_closed", g.slow_path_epoch_closed},
            {"total_out_of_memory", g.out_of_memory},
            {"total_lock_fast_acquire", g.lock_fast_acquire},
            {"total_lock_contended", g.lock_contended},
            {"total_bitmap_alloc_cas_retries", g.bitmap_alloc_cas_retries},
            {"total_bitmap_free_cas_retries", g.bitmap_free_cas_retries},
            {"total_current_partial_lost_races", g.current_partial_lost_races},
            {"total_epoch_closes", g.epoch_closes}};
}

std::vector<leak> leaks_of(snapshot const& s, leak_rule const& rule)
{
    std::vector<leak> all = find_leaks(s, rule.seconds);
    std::erase_if(all, [&](leak const& l) {
        return l.lifecycle == lifecycle::active && std::ranges::find(rule.long_lived, l.label) != rule.long_lived.end();
    });
    return all;
}

/// Heaps may have the same name; they keep their order.
snapshot const* counterpart(snapshot const& s, std::size_t place, std::vector<snapshot> const& in)
{
    auto const same = [&](snapshot const& other) { return other.name == s.name && other.pid == s.pid; };
    if (place < in.size() && same(in[place]))
        return &in[place];
    auto const found = std::ranges::find_if(in, same);
    return found != in.end() ? &*found : nullptr;
}

json::array findings(snapshot const& now, snapshot const* earlier, leak_rule const& rule)
{
    doctor_thresholds limits;
    limits.leak_seconds = rule.seconds;
    limits.leak_large_seconds = std::min(limits.leak_large_seconds, rule.seconds);
    limits.long_lived = rule.long_lived;
    json::array out;
    for (finding const& f : diagnose(now, earlier, limits)) {
        if (out.size() == most_findings)
            break;
        out.push_back(json::object{{"code", f.code},
                                   {"severity", severity_name(f.severity)},
                                   {"subject", printable(f.subject)},
                                   {"title", f.title},
                                   {"evidence", printable(f.evidence)},
                                   {"action", printable(f.action)}});
    }
    return out;
}

json::object heap(snapshot const& s, snapshot const* before, leak_rule const& rule)
{
    std::vector<leak> const leaks = leaks_of(s, rule);
    json::array sentences;
    for (leak const& l : leaks)
        sentences.push_back(json::value(l.sentence()));
    json::object out{{"name", printable(s.name)},
                     {"pid", s.pid},
                     {"t_ms", milliseconds(s.timestamp_ns)},
                     {"epoch_count", s.epoch_count},
                     {"rss_bytes_current", s.global.rss_bytes},
                     {"live_bytes", s.global.live_bytes},
                     {"live_objects", s.global.live_objects},
                     {"committed_bytes", s.global.committed_bytes},
                     {"empty_held_bytes", s.global.empty_held_bytes},
                     {"counters", counters(s.global)},
                     {"labels", labels(s)},
                     {"epochs", epochs(s, leaks)},
                     {"leaks", std::move(sentences)},
                     {"latency", latency(s)},
                     {"findings", findings(s, before, rule)}};
    if (s.waterfall)
        out["waterfall"] = waterfall(*s.waterfall);
    return out;
}

}

std::string frame_json(std::uint64_t seq, std::vector<snapshot> const& now, std::vector<snapshot> const& before,
                       leak_rule const& rule)
{
    json::array heaps;
    for (std::size_t n = 0; n < now.size(); ++n)
        heaps.push_back(heap(now[n], counterpart(now[n], n, before), rule));
    std::uint64_t const taken = now.empty() ? 0 : now.front().timestamp_ns;
    return json::serialize(json::object{{"seq", seq}, {"t_ms", milliseconds(taken)}, {"heaps", std::move(heaps)}});
}

std::string maps_json(std::vector<heap_map> const& maps)
{
    json::array out;
    for (heap_map const& m : maps) {
        json::array names;
        for (std::string const& name : m.label_names)
            names.push_back(json::value(printable(name)));
        json::array runs;
        for (map_run const& r : m.runs) {
            if (runs.size() == most_runs)
                break;
            runs.push_back(json::array{r.first_page, r.pages, static_cast<unsigned>(r.use), r.class_index, r.epoch,
                                       r.era, r.label_id, r.slots, r.live});
        }
        std::size_t const cut = m.runs.size() - runs.size();
        out.push_back(json::object{{"name", printable(m.name)},
                                   {"page_size", m.page_size},
                                   {"live_known", m.live_known},
                                   {"label_names", std::move(names)},
                                   {"cut", cut},
                                   {"runs", std::move(runs)}});
    }
    return json::serialize(out);
}

}
