// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/exposition.hpp"
#include "tslab/exposed_epochs.hpp"
#include "tslab/exposed_threads.hpp"
#include "tslab/heaps.hpp"
#include "tslab/metric_families.hpp"
#include "tslab/metric_name.hpp"
#include "tslab/metric_protobuf.hpp"
#include "tslab/native_histogram.hpp"
#include "tslab/phase_costs.hpp"
#include <algorithm>
#include <map>
#include <optional>
#include <prometheus/text_serializer.h>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>
import tslab.inspect;

namespace tslab::tool {

namespace {

template <class T> std::optional<double> number(T const& value)
{
    if constexpr (std::is_arithmetic_v<T>)
        return static_cast<double>(value);
    else
        return std::nullopt;   // a text, or a histogram
}
template <class T> std::optional<double> number(std::optional<T> const& value)
{
    return value ? number(*value) : std::nullopt;
}

/// A name for each of a sequence that may have some twice, made so by a number behind it.
class distinct {
public:
    std::string operator()(std::string const& name)
    {
        std::string unique = name;
        for (int n = 2; !seen_.insert(unique).second; ++n)
            unique = name + '#' + std::to_string(n);
        return unique;
    }

private:
    std::set<std::string> seen_;
};

/// The series of one heap.
class heap_writer {
public:
    heap_writer(metric_families& to, snapshot const& s, metric_labels base) : to_{to}, s_{s}, base_{std::move(base)} {}

    void write()
    {
        to_.add_gauge("temporal_slab_heap_info", "What the heap was made with; always 1",
                      with(base_, {{"reclaim_policy", printable(s_.reclaim)}}), 1);
        plain("snapshot", s_, base_);
        plain("snapshot", s_.global, base_);
        derived("snapshot", s_.global, base_);
        if (s_.global.lock_timing)
            describe_heap_lock_times(*s_.global.lock_timing,
                                     [&](field_info const& f, auto const& value) { one("snapshot", f, value, base_); });
        if (s_.global.lock_histograms)
            lock_histograms(*s_.global.lock_histograms, s_.global.lock_timing.value_or(lock_timing_stats{}));
        threads();
        misuses();
        name_labels();
        // A saved snapshot may be damaged and tell of a class or a label twice, but no series may come twice.
        std::set<std::uint32_t> seen;
        for (class_stats const& c : s_.classes)
            if (seen.insert(c.class_index).second)
                size_class(c);
        epochs();
        seen.clear();
        for (label_stats const& l : s_.labels)
            if (l.label_id < label_buckets && seen.insert(l.label_id).second) {
                metric_labels const of = with(base_, {{"label", label_of(l.label_id)}});
                plain("label", l, of);
                if (l.last_close)
                    close("label_close", *l.last_close, of);
            }
        phases();
        if (s_.last_close.timestamp_ns != 0)
            close("close", s_.last_close, base_);
        sampled();
        if (s_.waterfall)
            plain("waterfall", *s_.waterfall, base_);
    }

private:
    template <class T>
    void one(std::string_view object, field_info const& field, T const& value, metric_labels const& of)
    {
        auto const figure = number(value);
        if (!figure || (!s_.live_known && needs_live(field.name)))   // no series is better than a false one
            return;
        if (auto const m = metric_of(object, field))
            to_.add(*m, of, *figure);
    }
    template <class S> void plain(std::string_view object, S const& record, metric_labels const& of)
    {
        describe_fields(record, [&](field_info const& f, auto const& value) { one(object, f, value, of); });
    }
    template <class S> void derived(std::string_view object, S const& record, metric_labels const& of)
    {
        describe_derived(record, s_.page_size,
                         [&](field_info const& f, auto const& value) { one(object, f, value, of); });
    }

    void threads()
    {
        auto const alive = std::ranges::count_if(s_.threads, &thread_stats::alive);
        to_.add_gauge("temporal_slab_threads", "Living threads that have used the heap", base_,
                      static_cast<double>(alive));
        chosen_threads const chosen = choose(s_.threads);
        to_.add_gauge("temporal_slab_threads_omitted",
                      "Living threads without series of their own, since others had more contention", base_,
                      static_cast<double>(chosen.omitted));
        for (std::size_t const i : chosen.shown) {
            thread_stats const& t = s_.threads[i];
            metric_labels const of =
                with(base_, {{"thread", std::to_string(t.thread_id)}, {"name", printable(t.name)}});
            describe_fields(t, [&](field_info const& f, auto const& value) {
                if (is_contention(f.name))
                    one("thread", f, value, of);
            });
        }
    }

    void misuses()
    {
        distinct once;
        for (named_count const& m : s_.misuses)
            to_.add({.name = "temporal_slab_misuse_reports_total",
                     .help = "Misuses that were reported, by kind; each one is a bug of the program",
                     .counter = true},
                    with(base_, {{"kind", once(printable(m.name))}}), static_cast<double>(m.count));
    }

    void name_labels()
    {
        distinct once;
        for (std::string_view const reserved : {"unlabeled", "other"})
            (void)once(std::string{reserved});
        names_.emplace(0, "unlabeled");
        names_.emplace(label_buckets - 1, "other");
        for (label_stats const& l : s_.labels)
            if (!names_.contains(l.label_id) && l.label_id < label_buckets)
                names_.emplace(l.label_id, once(printable(l.name)));
    }
    [[nodiscard]] std::string label_of(std::uint32_t id) const
    {
        auto const name = names_.find(id);
        return name != names_.end() ? name->second : id == 0 ? "unlabeled" : "other";
    }

    void size_class(class_stats const& c)
    {
        metric_labels const of =
            with(base_, {{"class", std::to_string(c.class_index)},
                         {"object_size", c.object_size != 0 ? std::to_string(c.object_size) : std::string{"large"}}});
        plain("class", c, of);
        derived("class", c, of);
        if (c.lock_timing)
            plain("class", *c.lock_timing, of);
        if (c.allocations == 0)
            return;   // a class that was never used has no figures by label
        for (auto const& [id, name] : names_)
            if (id < c.by_label.size())
                describe_fields(c.by_label[id], [&](field_info f, auto const& value) {
                    std::string const field = by_label(f.name);
                    f.name = field;
                    one("class", f, value, with(of, {{"label", name}}));
                });
    }

    void epochs()
    {
        chosen_epochs const chosen = choose(s_.epochs);
        to_.add_gauge("temporal_slab_epochs_omitted",
                      "ACTIVE and CLOSING epochs without series of their own, since there are too many", base_,
                      static_cast<double>(chosen.omitted));
        for (std::size_t const i : chosen.held) {
            epoch_stats const& e = s_.epochs[i];
            metric_labels const of = epoch_labels(e);
            to_.add_gauge("temporal_slab_epoch_state", "The epoch is in the state its label names; always 1", of, 1);
            epoch_fields(e, of);
        }
        for (std::size_t const i : chosen.drained)
            close_facts(s_.epochs[i]);
        for (epoch_stats const& e : reused(s_))
            close_facts(e);
    }
    void close_facts(epoch_stats const& e)
    {
        describe_fields(e, [&](field_info const& f, auto const& value) {
            if (is_close_fact(f.name) && is_known(e, f.name))
                one("epoch", f, value, epoch_labels(e));
        });
    }
    void epoch_fields(epoch_stats const& e, metric_labels const& of)
    {
        describe_fields(e, [&](field_info const& f, auto const& value) {
            if (is_known(e, f.name))
                one("epoch", f, value, of);
        });
        derived("epoch", e, of);
    }
    static bool is_close_fact(std::string_view field)
    {
        return field.starts_with("rss_") || field.starts_with("madvise_");
    }
    /// False for a fact of a close that was not noted: resident memory is not read where little or nothing is purged.
    static bool is_known(epoch_stats const& e, std::string_view field)
    {
        return field.starts_with("rss_") ? e.rss_before_close != 0 : has_close_facts(e) || !is_close_fact(field);
    }
    void close(std::string_view object, close_stats const& c, metric_labels const& of)
    {
        describe_fields(c, [&](field_info const& f, auto const& value) {
            if (!f.name.starts_with("rss_") || c.rss_before != 0)
                one(object, f, value, of);
        });
    }
    [[nodiscard]] metric_labels epoch_labels(epoch_stats const& e) const
    {
        return with(base_, {{"epoch", std::to_string(e.index)},
                            {"state", std::string{name_of(e.lifecycle)}},
                            {"label", label_of(e.label_id)}});
    }

    void phases()
    {
        chosen_costs const chosen = choose(s_.phase_costs);
        to_.add_gauge("temporal_slab_phase_labels_omitted",
                      "Labels without series of what their phases cost, since others allocated more", base_,
                      static_cast<double>(chosen.omitted));
        distinct once;   // for a damaged snapshot, and labels that are the same once they are printable
        for (std::size_t const i : chosen.shown) {
            phase_cost_stats const& c = s_.phase_costs[i];
            metric_labels const of = with(base_, {{"label", once(printable(c.label))}});
            plain("phase", c, of);
            costs("objects", "Phases that ended, by the objects they allocated", {c.objects, c.objects_sum, c.phases},
                  {0, 20}, 1, of);
            costs("bytes", "Phases that ended, by the bytes they allocated", {c.bytes, c.bytes_sum, c.phases}, {6, 34},
                  1, of);
            costs("peak_bytes", "Phases that ended, by an upper bound of the bytes that were live at once",
                  {c.peak_bytes, c.peak_bytes_sum, c.phases}, {6, 34}, 1, of);
            costs("seconds", "Phases that ended, by their time", {c.wall_ns, c.wall_ns_sum, c.phases}, {10, 36}, 1e-9,
                  of);
        }
    }
    /// Powers of two, the first and the last: a histogram with four times as many bounds would be series without end.
    struct bounds {
        unsigned first;
        unsigned last;
    };
    struct amounts {
        quarter_histogram const& counts;
        std::uint64_t sum;
        std::uint64_t phases;
    };
    void costs(std::string_view name, std::string_view help, amounts const& all, bounds within, double scale,
               metric_labels const& of)
    {
        prometheus::ClientMetric h;
        h.label = of;
        h.histogram.sample_sum = static_cast<double>(all.sum) * scale;
        if (all.counts.total() == 0)   // not known: how many phases there were still is
            h.histogram.sample_count = all.phases;
        else
            fill(h, all.counts, within, scale);
        std::optional<native_histogram> native;
        if (all.counts.total() != 0)
            native = native_histogram_of(all.counts, scale);
        to_.add("temporal_slab_phase_" + std::string{name}, help, prometheus::MetricType::Histogram, std::move(h),
                std::move(native));
    }
    static void fill(prometheus::ClientMetric& h, quarter_histogram const& counts, bounds within, double scale)
    {
        std::size_t b = 0;
        for (unsigned power = within.first; power <= within.last; ++power) {
            // The bound itself is the smallest amount of a bucket: what is below it is at most the bound less one.
            for (std::size_t const behind = quarter_histogram::bucket_of(std::uint64_t{1} << power); b < behind; ++b)
                h.histogram.sample_count += counts.buckets[b];
            h.histogram.bucket.push_back({.cumulative_count = h.histogram.sample_count,
                                          .upper_bound = static_cast<double>((std::uint64_t{1} << power) - 1) * scale});
        }
        for (; b < quarter_histogram::bucket_count; ++b)
            h.histogram.sample_count += counts.buckets[b];
    }

    void lock_histograms(lock_histogram_stats const& of, lock_timing_stats const& sums)
    {
        histogram("lock_wait", "Timed acquisitions of a lock for a class or an epoch, by the time waited for it",
                  of.wait, sums.wait_ns);
        histogram("lock_hold", "Timed acquisitions of a lock for a class or an epoch, by the time it was held", of.hold,
                  sums.hold_ns);
    }
    void sampled()
    {
        plain("sampled", s_.sampled, base_);
        histogram("alloc_wall", "Timed allocations, by the clock", s_.sampled.alloc.wall, s_.sampled.alloc.wall_ns_sum);
        histogram("alloc_wait", "Time in which the thread of a timed allocation did not run", s_.sampled.alloc.wait,
                  s_.sampled.alloc.wait_ns_sum);
        histogram("free_wall", "Timed frees, by the clock", s_.sampled.free.wall, s_.sampled.free.wall_ns_sum);
        histogram("free_wait", "Time in which the thread of a timed free did not run", s_.sampled.free.wait,
                  s_.sampled.free.wait_ns_sum);
        histogram("repair_wall", "Timed repairs of slab lists, by the clock", s_.sampled.repair.wall,
                  s_.sampled.repair.wall_ns_sum);
        histogram("repair_wait", "Time in which the thread of a timed repair did not run", s_.sampled.repair.wait,
                  s_.sampled.repair.wait_ns_sum);
    }
    void histogram(std::string_view name, std::string_view help, log2_histogram const& counts, std::uint64_t sum_ns)
    {
        prometheus::ClientMetric h;
        h.label = base_;
        h.histogram.sample_sum = static_cast<double>(sum_ns) * 1e-9;
        for (std::size_t b = 0; b < log2_histogram::bucket_count; ++b) {
            h.histogram.sample_count += counts.buckets[b];
            if (b != 0 && b + 1 != log2_histogram::bucket_count)   // 0 ns counts as 1; the last one is open
                h.histogram.bucket.push_back(
                    {.cumulative_count = h.histogram.sample_count,
                     .upper_bound = static_cast<double>(log2_histogram::upper_bound(b)) / 1e9});
        }
        to_.add("temporal_slab_" + std::string{name} + "_seconds", help, prometheus::MetricType::Histogram,
                std::move(h));
    }

    metric_families& to_;
    snapshot const& s_;
    metric_labels base_;
    std::map<std::uint32_t, std::string> names_{};   // of labels, by number
};

metric_families families_of(std::vector<snapshot> const& heaps, pid_label pids)
{
    std::map<std::int64_t, std::uint64_t> rss;
    for (snapshot const& s : heaps)
        if (auto& bytes = rss[s.pid]; s.global.rss_bytes != 0)
            bytes = s.global.rss_bytes;
    bool const tell_pid = pids == pid_label::always || rss.size() > 1;
    auto const process = [&](std::int64_t pid) {
        return tell_pid ? metric_labels{{"pid", std::to_string(pid)}} : metric_labels{};
    };

    metric_families all;
    all.add_gauge("temporal_slab_build_info", "The program that made this text; always 1",
                  {{"version", TSLAB_VERSION}, {"schema_version", std::to_string(snapshot::schema_version)}}, 1);
    for (auto const& [pid, bytes] : rss)
        if (bytes != 0)
            all.add_gauge("process_resident_memory_bytes", "Resident memory size in bytes.", process(pid),
                          static_cast<double>(bytes));
    std::map<std::int64_t, distinct> heap_names;
    for (snapshot const& s : heaps)
        heap_writer{all, s, with(process(s.pid), {{"heap", heap_names[s.pid](printable(unique_name(s)))}})}.write();
    return all;
}

}

std::string exposition(std::vector<snapshot> const& heaps, pid_label pids)
{
    return prometheus::TextSerializer{}.Serialize(families_of(heaps, pids).all());
}

std::string exposition(std::vector<snapshot> const& heaps) { return exposition(heaps, pid_label::when_several); }

std::string protobuf_exposition(std::vector<snapshot> const& heaps)
{
    return protobuf_of(families_of(heaps, pid_label::when_several));
}

}
