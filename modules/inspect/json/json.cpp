// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Writing a snapshot.
module;
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
module tslab.inspect;

import tslab.stats;

namespace tslab {

namespace {

/// Writes fields as members of the open object.
struct put {
    json_writer& w;

    template <class T> void operator()(field_info const& f, T const& v) const { w.member(f.name, v); }
    /// An unknown field is omitted; a derived one without a value is null.
    template <class T> void operator()(field_info const& f, std::optional<T> const& v) const
    {
        if (v || f.kind == field_kind::derived)
            w.member(f.name, v);
    }
};

template <class S> void put_fields(json_writer& w, S const& s, std::uint64_t page_size)
{
    describe_fields(s, put{w});
    if constexpr (requires { describe_derived(s, page_size, put{w}); })
        describe_derived(s, page_size, put{w});
}

template <class S> void put_object(json_writer& w, S const& s, std::uint64_t page_size)
{
    w.open('{');
    put_fields(w, s, page_size);
    w.close('}');
}

void put_object(json_writer& w, epoch_stats const& e, std::uint64_t page_size);
void put_object(json_writer& w, label_stats const& l, std::uint64_t page_size);
void put_object(json_writer& w, phase_cost_stats const& c, std::uint64_t page_size);

template <class S> void put_objects(json_writer& w, std::string_view name, std::vector<S> const& all,
                                    std::uint64_t page_size)
{
    w.key(name);
    w.open('[');
    for (S const& one : all)
        put_object(w, one, page_size);
    w.close(']');
}

void put_global(json_writer& w, global_stats const& g, std::uint64_t page_size)
{
    put_fields(w, g, page_size);
    if (!g.lock_timing)
        return;
    describe_heap_lock_times(*g.lock_timing, put{w});
    describe_derived_heap_lock_times(*g.lock_timing, put{w});
    if (g.lock_histograms)
        put_fields(w, *g.lock_histograms, page_size);
}

std::uint64_t value_of(contention_stats const& c, std::string_view wanted)
{
    std::uint64_t value = 0;
    for_each_field(c, [&](std::string_view name, field_kind, std::uint64_t v) { value = name == wanted ? v : value; });
    return value;
}

void put_object(json_writer& w, class_stats const& c, std::uint64_t page_size)
{
    w.open('{');
    w.member("version", snapshot::struct_version);
    put_fields(w, c, page_size);
    if (c.lock_timing)
        put_fields(w, *c.lock_timing, page_size);
    for_each_field(c.contention, [&](std::string_view name, field_kind, auto const&) {
        w.key(by_label(name));
        w.list(c.by_label, [&](contention_stats const& of_label) { return value_of(of_label, name); });
    });
    w.close('}');
}

void put_entry(json_writer& w, std::string_view name, source_entry const& at)
{
    w.key(name);
    if (at == source_entry{}) {
        w.null();
        return;
    }
    w.open('{');
    w.member("file", at.file);
    w.member("line", at.line);
    w.member("function", at.function);
    w.close('}');
}

void put_object(json_writer& w, phase_cost_stats const& c, std::uint64_t page_size)
{
    w.open('{');
    put_fields(w, c, page_size);
    put_entry(w, "largest_at", c.largest_at);
    w.close('}');
}

void put_object(json_writer& w, epoch_stats const& e, std::uint64_t page_size)
{
    w.open('{');
    put_fields(w, e, page_size);
    w.member("state", name_of(e.state));
    w.member("lifecycle", name_of(e.lifecycle));
    put_entry(w, "opened_at", e.opened_at);
    put_objects(w, "classes", e.classes, page_size);
    w.close('}');
}

void put_object(json_writer& w, label_stats const& l, std::uint64_t page_size)
{
    w.open('{');
    put_fields(w, l, page_size);
    w.key("last_close");
    if (l.last_close)
        put_object(w, *l.last_close, page_size);
    else
        w.null();
    w.close('}');
}

void put_registry(json_writer& w, std::vector<label_stats> const& labels)
{
    w.key("label_registry");
    w.open('{');
    w.member("count", labels.size());
    w.member("max_labels", label_buckets);
    w.key("labels");
    w.open('{');
    for (label_stats const& l : labels)
        w.member(std::to_string(l.label_id), l.name);
    w.close('}');
    w.close('}');
}

}

std::string global_timing_name(std::string_view name)
{
    std::vector<std::string_view> of_class;
    std::vector<std::string_view> of_heap;
    auto const list = [](std::vector<std::string_view>& to) {
        return [&to](field_info const& f, auto const&) { to.push_back(f.name); };
    };
    lock_timing_stats const any;
    describe_fields(any, list(of_class));
    describe_derived(any, 0, list(of_class));
    describe_heap_lock_times(any, list(of_heap));   // in the same order
    describe_derived_heap_lock_times(any, list(of_heap));
    auto const at = static_cast<std::size_t>(std::ranges::find(of_class, name) - of_class.begin());
    return std::string{at < of_heap.size() ? of_heap[at] : name};
}

std::string by_label(std::string_view name) { return std::string{name}.append("_by_label"); }

std::string to_json(snapshot const& s)
{
    json_writer w;
    std::uint64_t const page = s.page_size;
    w.open('{');
    w.member("schema_version", snapshot::schema_version);
    w.member("version", snapshot::struct_version);
    put_fields(w, s, page);
    put_global(w, s.global, page);
    w.key("classes");
    w.open('[');
    for (std::size_t i = 0; i + 1 < s.classes.size(); ++i)
        put_object(w, s.classes[i], page);
    w.close(']');
    if (!s.classes.empty()) {
        w.key("large");
        put_object(w, s.classes.back(), page);
    }
    put_objects(w, "epochs", s.epochs, page);
    put_objects(w, "threads", s.threads, page);
    put_objects(w, "labels", s.labels, page);
    put_registry(w, s.labels);
    put_objects(w, "phase_costs", s.phase_costs, page);
    w.key("misuses");
    w.open('{');
    for (named_count const& m : s.misuses)
        w.member(m.name, m.count);
    w.close('}');
    w.key("last_epoch_close");
    if (s.last_close.timestamp_ns != 0)
        put_object(w, s.last_close, page);
    else
        w.null();
    w.key("sampled");
    put_object(w, s.sampled, page);
    if (s.waterfall) {
        w.key("waterfall");
        put_object(w, *s.waterfall, page);
    }
    w.close('}');
    return std::move(w).text();
}

}
