// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_frame.hpp"
#include "tslab/figures.hpp"
#include "tslab/heaps.hpp"
#include "tslab/phase_costs.hpp"
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tslab::tool {

namespace {

constexpr std::size_t most_runs = 200'000;
constexpr std::size_t most_findings = 20;

/// Milliseconds: nanoseconds since 1970 are beyond what a script can tell apart.
double milliseconds(std::uint64_t ns)
{
    std::uint64_t const microseconds = ns / 1000;
    return static_cast<double>(microseconds) / 1000.0;
}

/// A histogram without its empty end.
void put_buckets(json_writer& j, std::string_view name, log2_histogram const& h)
{
    std::size_t used = h.buckets.size();
    while (used > 0 && h.buckets[used - 1] == 0)
        --used;
    j.key(name).list(std::span{h.buckets}.first(used));
}

void put_labels(json_writer& j, snapshot const& s)
{
    j.key("labels").open('[');
    for (label_stats const& l : s.labels) {
        j.open('{').member("name", printable(l.name)).member("live_bytes", l.live_bytes);
        j.member("held_bytes", l.held_bytes).member("epochs", l.epochs).close('}');
    }
    j.close(']');
}

void put_epochs(json_writer& j, snapshot const& s, std::vector<leak> const& leaks)
{
    j.key("epochs").open('[');
    for (epoch_stats const& e : s.epochs) {
        bool const leaked =
            std::ranges::any_of(leaks, [&](leak const& l) { return l.epoch == e.index && l.era == e.era; });
        if (e.lifecycle == lifecycle::idle)
            continue;
        j.open('{').member("epoch_id", e.index).member("epoch_era", e.era).member("label", printable(e.label));
        j.member("lifecycle", name_of(e.lifecycle)).member("open_since_ms", milliseconds(e.open_since_ns));
        j.member("closing_sec", e.closing_seconds).member("refcount", e.refcount);
        j.member("live_objects", e.live_objects).member("live_bytes", e.live_bytes);
        j.member("held_bytes", (e.slab_pages + e.large_pages) * s.page_size).member("leaked", leaked).close('}');
    }
    j.close(']');
}

void put_latency(json_writer& j, snapshot const& s)
{
    timing_stats const& t = s.sampled.alloc;
    j.key("latency").open('{').member("on", s.sampling).member("samples", t.samples);
    put_buckets(j, "wall_ns_log2", t.wall);
    put_buckets(j, "wait_ns_log2", t.wait);
    j.member("p50", t.wall.quantile(0.5)).member("p99", t.wall.quantile(0.99));
    j.member("p999", t.wall.quantile(0.999)).member("wall_ns_max", t.wall_ns_max).close('}');
}

/// What phases cost, by label: of so many labels that a page can show.
void put_costs(json_writer& j, snapshot const& s)
{
    chosen_costs const chosen = choose(s.phase_costs);
    j.member("phase_labels_omitted", chosen.omitted).key("phase_costs").open('[');
    for (std::size_t const i : chosen.shown) {
        phase_cost_stats const& c = s.phase_costs[i];
        j.open('{').member("label", printable(c.label));
        for_each_figure(c, s.page_size, [&](field_info const& f, auto const& field) {
            using type = std::remove_cvref_t<decltype(field)>;
            if constexpr (std::is_same_v<type, std::uint64_t> || std::is_same_v<type, std::optional<std::uint64_t>>)
                if (f.kind == field_kind::counter || f.kind == field_kind::gauge || f.kind == field_kind::derived)
                    j.member(f.name, field);
        });
        std::string_view file = c.largest_at.file;
        file.remove_prefix(file.rfind('/') + 1);   // npos + 1 is 0
        bool const known = c.largest_at != source_entry{};
        j.member("largest_at", known ? printable(file) + ":" + std::to_string(c.largest_at.line) : std::string{});
        j.member("largest_ms", milliseconds(c.largest_timestamp_ns)).close('}');
    }
    j.close(']');
}

void put_counters(json_writer& j, global_stats const& g)
{
    j.key("counters").open('{');
    for (std::uint64_t global_stats::* const counter :
         {&global_stats::allocations, &global_stats::slow_path_hits, &global_stats::slow_path_cache_miss,
          &global_stats::slow_path_epoch_closed, &global_stats::out_of_memory, &global_stats::lock_fast_acquire,
          &global_stats::lock_contended, &global_stats::bitmap_alloc_cas_retries,
          &global_stats::bitmap_free_cas_retries, &global_stats::current_partial_lost_races,
          &global_stats::epoch_closes})
        j.member(name_of_figure(counter), g.*counter);
    j.close('}');
}

std::vector<leak> leaks_of(snapshot const& s, leak_rule const& rule)
{
    std::vector<leak> all = find_leaks(s, rule.seconds);
    std::erase_if(all, [&](leak const& l) {
        return l.lifecycle == lifecycle::active && std::ranges::find(rule.long_lived, l.label) != rule.long_lived.end();
    });
    return all;
}

/// Heaps may have the same name; if nothing else tells them apart, they keep their order.
snapshot const* counterpart(snapshot const& s, std::size_t place, std::vector<snapshot> const& in)
{
    auto const same = [&](snapshot const& other) { return may_be_same_heap(other, s); };
    if (place < in.size() && same(in[place]))
        return &in[place];
    auto const found = std::ranges::find_if(in, same);
    return found != in.end() ? &*found : nullptr;
}

void put_findings(json_writer& j, snapshot const& now, snapshot const* earlier, leak_rule const& rule)
{
    doctor_thresholds limits;
    limits.leak_seconds = rule.seconds;
    limits.leak_large_seconds = std::min(limits.leak_large_seconds, rule.seconds);
    limits.long_lived = rule.long_lived;
    std::vector<finding> const all = diagnose(now, earlier, limits);
    j.key("findings").open('[');
    for (std::size_t n = 0; n < std::min(all.size(), most_findings); ++n) {
        finding const& f = all[n];
        j.open('{').member("code", f.code).member("severity", severity_name(f.severity));
        j.member("subject", printable(f.subject)).member("title", f.title);
        j.member("evidence", printable(f.evidence)).member("action", printable(f.action)).close('}');
    }
    j.close(']');
}

void put_heap(json_writer& j, snapshot const& s, snapshot const* before, leak_rule const& rule)
{
    std::vector<leak> const leaks = leaks_of(s, rule);
    j.open('{')
        .member("name", printable(unique_name(s)))
        .member("pid", s.pid)
        .member("t_ms", milliseconds(s.timestamp_ns))
        .member("monotonic_ms", milliseconds(s.monotonic_ns))
        .member("boot_id", s.boot_id);
    j.member("epoch_count", s.epoch_count).member("rss_bytes_current", s.global.rss_bytes);
    j.member("live_bytes", s.global.live_bytes).member("live_objects", s.global.live_objects);
    j.member("committed_bytes", s.global.committed_bytes).member("empty_held_bytes", s.global.empty_held_bytes);
    put_counters(j, s.global);
    put_labels(j, s);
    put_costs(j, s);
    put_epochs(j, s, leaks);
    j.key("leaks").list(leaks, [](leak const& l) { return l.sentence(); });
    put_latency(j, s);
    put_findings(j, s, before, rule);
    if (s.waterfall) {
        j.key("waterfall").open('{');
        add_figures(j, *s.waterfall, s.page_size);
        j.close('}');
    }
    j.close('}');
}

}

std::string frame_json(std::uint64_t seq, std::vector<snapshot> const& now, std::vector<snapshot> const& before,
                       leak_rule const& rule)
{
    json_writer j;
    j.open('{').member("seq", seq).member("t_ms", milliseconds(now.empty() ? 0 : now.front().timestamp_ns));
    j.key("heaps").open('[');
    for (std::size_t n = 0; n < now.size(); ++n)
        put_heap(j, now[n], counterpart(now[n], n, before), rule);
    j.close(']').close('}');
    return std::move(j).text();
}

std::string maps_json(std::vector<heap_map> const& maps)
{
    json_writer j;
    j.open('[');
    for (heap_map const& m : maps) {
        std::span const runs = std::span{m.runs}.first(std::min(m.runs.size(), most_runs));
        j.open('{').member("name", printable(unique_name(m.name, m.instance))).member("page_size", m.page_size);
        j.member("live_known", m.live_known);
        j.key("label_names").list(m.label_names, [](std::string const& name) { return printable(name); });
        j.member("cut", m.runs.size() - runs.size()).key("runs").open('[');
        for (map_run const& r : runs) {
            j.open('[').value(r.first_page).value(r.pages).value(static_cast<unsigned>(r.use)).value(r.class_index);
            j.value(r.epoch).value(r.era).value(r.label_id).value(r.slots).value(r.live).close(']');
        }
        j.close(']').close('}');
    }
    j.close(']');
    return std::move(j).text();
}

}
