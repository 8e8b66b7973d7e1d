// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/summary.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string_view>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

constexpr std::size_t most_rows = 10;
using side = table::side;

class lines {
public:
    lines(std::ostream& out, bool color) : out_{out}, color_{color} {}
    void operator()(std::string_view name, std::string const& text, paint p = paint::none) const
    {
        constexpr std::size_t width = 14;
        out_ << "  " << name << std::string(width - std::min(width - 1, name.size()), ' ') << painted(color_, p, text)
             << '\n';
    }

private:
    std::ostream& out_;
    bool color_;
};

/// A share that is neither none nor all does not look so.
std::string share_text(std::uint64_t part, std::uint64_t whole)
{
    double const share = ratio(part, whole);
    if (part != 0 && share < 0.0005)
        return "<0.1 %";
    if (part < whole && share >= 0.9995)
        return ">99.9 %";
    return percent_text(share);
}

std::string of(std::uint64_t part, std::uint64_t whole, std::string_view what)
{
    return share_text(part, whole) + " of " + grouped(whole) + " " + std::string{what};
}

void print_memory(lines const& line, snapshot const& s)
{
    global_stats const& g = s.global;
    line("process RSS", g.rss_bytes != 0 ? bytes_text(g.rss_bytes) : "not known");
    line("live", s.live_known ? bytes_text(g.live_bytes) + " in " + grouped(g.live_objects) + " objects"
                              : "not known: only what the process published can be read, not its memory");
    line("held", bytes_text(held_bytes(s)) + " in slabs and large allocations");
    line("cached", bytes_text(cached_bytes(s)) + " in " + grouped(g.slabs_cached) + " empty slabs, " +
                       bytes_text(g.retained_bytes) + " with threads");
    line("free", bytes_text(g.free_resident_pages * s.page_size) + ", " + bytes_text(g.unwanted_pages * s.page_size) +
                     " of it unwanted, and " + bytes_text(g.free_purged_pages * s.page_size) + " without memory");
    if (s.live_known)
        line("empty", bytes_text(g.empty_held_bytes) + " of " + bytes_text(g.committed_bytes) +
                          " committed, in pages without a live object");
    line("given back",
         bytes_text(g.madvise_bytes) + " in " + grouped(g.madvise_calls) + " calls, " + grouped(g.madvise_failures) +
             " failed",
         g.madvise_failures != 0 ? paint::red : paint::none);
    line("purges", "by time " + grouped(g.purges_by_time) + ", by work " + grouped(g.purges_by_work) +
                       ", in the background " + grouped(g.purges_by_background) + ", under pressure " +
                       grouped(g.purges_by_pressure));
    line("settings",
         "decay " + grouped(s.decay_ms) + " ms, thread cache " + bytes_text(s.thread_cache_bytes) +
             ", background purge " + escaped(s.background_purge) + ", control group " +
             (s.pressure_watch == "watching" ? "watched" : escaped(s.pressure_watch)),
         s.background_purge == "failed" ? paint::yellow : paint::none);
}

/// Percentiles and maximum of the timed waits and holds. A percentile is the upper bound of its bucket, and said to be no more
/// than the maximum, which is exact.
std::string lock_times_text(lock_timing_stats const& t, lock_histogram_stats const& h)
{
    auto const part = [](log2_histogram const& of, std::uint64_t most) {
        auto const up_to = [&](double q) { return ns_text(std::min(of.quantile(q), most)); };
        return "p50 " + up_to(0.5) + ", p99 " + up_to(0.99) + ", longest " + ns_text(most);
    };
    return grouped(t.samples) + " timed; waited " + part(h.wait, t.wait_ns_max) + "; held " +
           part(h.hold, t.hold_ns_max);
}

void print_speed(lines const& line, snapshot const& s)
{
    global_stats const& g = s.global;
    line("allocations", grouped(g.allocations) + ", frees " + live_text(s, grouped(g.frees)));
    line("slow paths",
         of(g.slow_path_hits, g.allocations, "allocations") + "; cache_miss " + grouped(g.slow_path_cache_miss) +
             ", epoch_closed " + grouped(g.slow_path_epoch_closed),
         g.slow_path_epoch_closed != 0 ? paint::yellow : paint::none);
    line("recycling", of(g.slabs_recycled, g.slabs_recycled + g.cache_overflows, "slabs that became empty") + ", " +
                          grouped(g.slabs_allocated) + " slabs cut from pages");
    line("locks", of(g.lock_contended, g.lock_fast_acquire + g.lock_contended, "acquisitions waited"));
    if (g.lock_timing && g.lock_timing->samples != 0)
        line("lock times", lock_times_text(*g.lock_timing, g.lock_histograms.value_or(lock_histogram_stats{})));
    line("claims",
         "retries per attempt: " + decimal_text(ratio(g.bitmap_alloc_cas_retries, g.bitmap_alloc_attempts), 4) +
             " allocating, " + decimal_text(ratio(g.bitmap_free_cas_retries, g.bitmap_free_attempts), 4) +
             " freeing; " + grouped(g.current_partial_lost_races) + " races lost");
}

void print_epochs(lines const& line, snapshot const& s)
{
    global_stats const& g = s.global;
    line("epochs", grouped(g.active_epochs) + " active, " + grouped(g.closing_epochs) + " closing, of " +
                       grouped(s.epoch_count) + "; current " + std::to_string(s.current_epoch) + ", era " +
                       std::to_string(s.current_era));
    std::string closes = grouped(g.epoch_closes) + ", drained " + grouped(g.epoch_drains) + "; reclaimed " +
                         of(g.epoch_close_recycled_slabs, g.epoch_close_scanned_slabs, "slabs looked at");
    if (g.epoch_close_timed != 0)
        closes += ", " + decimal_text(ratio(g.epoch_close_total_ns, g.epoch_close_timed) / 1e6, 3) + " ms each";
    line("closes", closes);
}

void print_faults(lines const& line, snapshot const& s)
{
    global_stats const& g = s.global;
    for (named_count const& m : s.misuses)
        if (m.count != 0)
            line("misuse", escaped(m.name) + ": " + grouped(m.count), paint::red);
    auto const fault = [&](std::string_view name, std::uint64_t n, std::string_view text) {
        if (n != 0)
            line(name, grouped(n) + " " + std::string{text}, paint::yellow);
    };
    fault("out of memory", g.out_of_memory, "allocations failed");
    fault("leaked", g.leaked_objects, "objects were live when their resource ended");
    fault("ring", g.ring_exhausted, "times no slot of the epoch ring was free");
    fault("handles", g.refused_handles, "operations refused");
    fault("limits", g.limit_refusals, "allocations refused");
    fault("escapes", g.escapes, "allocations in a scope bypassed it");
    if (g.unpublished_chunks != 0)
        line("incomplete", unpublished_text(g.unpublished_chunks) + ": figures are too low", paint::yellow);
}

template <class T, class Key> std::vector<T const*> largest(std::vector<T> const& all, Key key)
{
    std::vector<T const*> some;
    for (T const& one : all)
        if (key(one) != 0)
            some.push_back(&one);
    std::ranges::sort(some, [&](T const* a, T const* b) { return key(*a) != key(*b) ? key(*a) > key(*b) : a < b; });
    return some;
}

void print_table(std::ostream& out, bool color, std::string_view title, table const& t, std::size_t left_out)
{
    if (t.empty())
        return;
    out << "\n  " << painted(color, paint::cyan, title) << '\n';
    t.print(out, color, "    ");
    if (left_out != 0)
        out << "    and " << left_out << " more\n";
}

std::size_t shown(std::size_t all) { return std::min(all, most_rows); }

void print_classes(std::ostream& out, bool color, snapshot const& s)
{
    auto const some = largest(s.classes, [](class_stats const& c) { return c.allocations; });
    table t{{{"size", side::right}, {"allocations"}, {"live"}, {"slabs"}, {"cached"}, {"slow paths"}, {"cache hits"}}};
    for (std::size_t n = 0; n < shown(some.size()); ++n) {
        class_stats const& c = *some[n];
        t.add({{size_text(c)},
               {grouped(c.allocations)},
               {live_text(s, bytes_text(c.live_bytes))},
               {grouped(c.slabs_in_use())},
               {grouped(c.cached_slabs)},
               {share_text(c.slow_path_hits, c.allocations)},
               {share_text(c.allocations - std::min(c.slow_path_cache_miss, c.allocations), c.allocations)}});
    }
    print_table(out, color, "size classes by allocations", t, some.size() - shown(some.size()));
}

void print_labels(std::ostream& out, bool color, snapshot const& s)
{
    auto const some = largest(s.labels, [](label_stats const& l) { return l.held_bytes; });
    table t{{{"label", side::left}, {"epochs"}, {"inside"}, {"live"}, {"held"}}};
    for (std::size_t n = 0; n < shown(some.size()); ++n) {
        label_stats const& l = *some[n];
        t.add({{label_or_none(l.name)},
               {grouped(l.epochs)},
               {grouped(l.refcount)},
               {live_text(s, bytes_text(l.live_bytes))},
               {bytes_text(l.held_bytes)}});
    }
    print_table(out, color, "labels by memory held", t, some.size() - shown(some.size()));
}

/// What the last close of each label did, of those that purged or that the program asked for, the latest first.
void print_closes(std::ostream& out, bool color, snapshot const& s)
{
    auto const some =
        largest(s.labels, [](label_stats const& l) { return l.last_close ? l.last_close->timestamp_ns : 0; });
    table t{{{"label", side::left},
             {"closed"},
             {"took"},
             {"of it purging"},
             {"reclaimed"},
             {"given back"},
             {"gone"},
             {"RSS"}}};
    for (std::size_t n = 0; n < shown(some.size()); ++n) {
        auto const& last = some[n]->last_close;
        if (!last)
            continue;
        close_stats const& c = *last;
        double const age = static_cast<double>(s.timestamp_ns - std::min(c.timestamp_ns, s.timestamp_ns)) * 1e-9;
        std::string rss = "-";
        if (c.rss_before != 0)
            rss = c.rss_after > c.rss_before ? "+" + bytes_text(c.rss_after - c.rss_before)
                                             : "-" + bytes_text(c.rss_before - c.rss_after);
        t.add({{label_or_none(some[n]->name)},
               {duration_text(age) + " ago"},
               {ns_text(c.nanoseconds)},
               {ns_text(c.purge_nanoseconds)},
               {grouped(c.recycled_slabs) + " of " + grouped(c.scanned_slabs)},
               {bytes_text(c.madvise_bytes)},
               {c.madvise_asked_bytes != 0 ? share_text(c.madvise_gone_bytes, c.madvise_asked_bytes) : "-"},
               {rss}});
    }
    print_table(out, color, "last close by label that purged, or that the program asked for", t,
                some.size() - shown(some.size()));
}

void print_largest_epochs(std::ostream& out, bool color, snapshot const& s)
{
    auto const held = [&](epoch_stats const& e) { return (e.slab_pages + e.large_pages) * s.page_size; };
    auto const some = largest(s.epochs, held);
    table t{{{"epoch"}, {"state", side::left}, {"label", side::left}, {"age"}, {"inside"}, {"live"}, {"held"}}};
    for (std::size_t n = 0; n < shown(some.size()); ++n) {
        epoch_stats const& e = *some[n];
        t.add({{std::to_string(e.index)},
               {std::string{name_of(e.lifecycle)}},
               {label_or_none(e.label)},
               {duration_text(e.age_seconds)},
               {grouped(e.refcount)},
               {live_text(s, bytes_text(e.live_bytes))},
               {bytes_text(held(e))}});
    }
    print_table(out, color, "epochs by memory held", t, some.size() - shown(some.size()));
}

}

void print_summary(std::ostream& out, bool color, std::string const& from, snapshot const& s)
{
    out << painted(color, paint::bold, heap_text(s) + " of " + from) << ", reclaim policy " << escaped(s.reclaim)
        << '\n';
    lines const line{out, color};
    print_memory(line, s);
    print_speed(line, s);
    print_epochs(line, s);
    print_faults(line, s);
    print_classes(out, color, s);
    print_labels(out, color, s);
    print_closes(out, color, s);
    print_largest_epochs(out, color, s);
}

}
