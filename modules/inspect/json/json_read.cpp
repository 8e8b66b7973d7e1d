// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading. Boost.JSON parses, with bounds on nesting, lists and names; each field is then read and checked. The text is
// not trusted: it may come from a file or from another process.
module;
#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>
module tslab.inspect;

import tslab.stats;

#include "json_tree.hpp"

namespace tslab {

namespace {

constexpr std::size_t most_epochs = 65'536;
constexpr std::size_t most_classes = 256;
constexpr std::size_t most_misuses = 1024;
constexpr std::size_t most_phase_costs = label_buckets + most_further_labels;

/// Fields of every version of schema 1: names, separated by spaces.
constexpr std::string_view needed_of_snapshot =
    "version timestamp_ns pid page_size epoch_count current_epoch active_epoch_count closing_epoch_count "
    "total_slabs_allocated total_slabs_recycled net_slabs rss_bytes_current estimated_slab_rss_bytes "
    "total_slow_path_hits total_cache_overflows total_slow_cache_miss total_slow_epoch_closed "
    "total_madvise_calls total_madvise_bytes total_madvise_failures classes";
constexpr std::string_view needed_of_class =
    "version class_index object_size slow_path_hits new_slab_count list_move_partial_to_full "
    "list_move_full_to_partial current_partial_null current_partial_full empty_slab_recycled "
    "empty_slab_overflowed slow_path_cache_miss slow_path_epoch_closed madvise_calls madvise_bytes "
    "madvise_failures epoch_close_calls epoch_close_scanned_slabs epoch_close_recycled_slabs "
    "epoch_close_total_ns cache_size cache_capacity cache_overflow_len total_partial_slabs total_full_slabs "
    "recycle_rate_pct net_slabs estimated_rss_bytes";
constexpr std::string_view needed_of_epoch =
    "epoch_id epoch_era state age_sec refcount label total_partial_slabs total_full_slabs "
    "total_reclaimable_slabs estimated_rss_bytes";

template <std::unsigned_integral T> void read(json::value const& v, T& to, place const& at)
{
    constexpr std::uint64_t most = std::numeric_limits<T>::max();
    bool const positive = v.is_int64() && v.get_int64() >= 0;
    if (!positive && !v.is_uint64())
        at.fail("expected an unsigned integer");
    std::uint64_t const n = positive ? static_cast<std::uint64_t>(v.get_int64()) : v.get_uint64();
    if (n > most)
        at.fail("expected at most " + std::to_string(most));
    to = static_cast<T>(n);
}

void read(json::value const& v, std::int64_t& to, place const& at)
{
    if (!v.is_int64())
        at.fail("expected an integer");
    to = v.get_int64();
}

void read(json::value const& v, double& to, place const& at)
{
    if (!v.is_number())
        at.fail("expected a number");
    to = v.to_number<double>();
    if (to < 0)
        at.fail("expected a number not below 0");
}

void read(json::value const& v, bool& to, place const& at)
{
    if (!v.is_bool())
        at.fail("expected true or false");
    to = v.get_bool();
}

void read(json::value const& v, std::string& to, place const& at)
{
    if (!v.is_string())
        at.fail("expected a string");
    to.assign(v.get_string().data(), v.get_string().size());
}

template <class T> void read(json::value const& v, std::optional<T>& to, place const& at)
{
    if (!v.is_null())
        read(v, to.emplace(), at);
}

/// One of a few names.
template <class E> void read_name(json::value const& v, E& to, place const& at, std::initializer_list<E> all)
{
    std::string text;
    read(v, text, at);
    auto const found = std::ranges::find_if(all, [&](E e) { return name_of(e) == text; });
    if (found == all.end()) {
        std::string expected = "expected";
        for (E const e : all)
            expected.append(e == *all.begin() ? " " : " or ").append(name_of(e));
        at.fail(expected);
    }
    to = *found;
}

json::object const& object_of(json::value const& v, place const& at)
{
    if (!v.is_object())
        at.fail("expected an object");
    return v.get_object();
}

json::array const& array_of(json::value const& v, std::size_t most, place const& at)
{
    if (!v.is_array())
        at.fail("expected an array");
    if (v.get_array().size() > most)
        at.fail("expected at most " + std::to_string(most) + " entries");
    return v.get_array();
}

void read(json::value const& v, log2_histogram& to, place const& at)
{
    json::array const& all = array_of(v, to.buckets.size(), at);
    for (std::size_t i = 0; i < all.size(); ++i)
        read(all[i], to.buckets[i], place{at, i});
}

void read(json::value const& v, quarter_histogram& to, place const& at)
{
    json::array const& all = array_of(v, to.buckets.size(), at);
    for (std::size_t i = 0; i < all.size(); ++i) {
        place const here{at, i};
        json::array const& pair = array_of(all[i], 2, here);
        if (pair.size() != 2)
            here.fail("expected the largest amount of a bucket, and how many it holds");
        std::uint64_t most = 0;
        read(pair[0], most, place{here, std::size_t{0}});
        std::size_t const bucket = quarter_histogram::bucket_of(most);
        if (quarter_histogram::upper_bound(bucket) != most)
            place{here, std::size_t{0}}.fail("expected the largest amount of a bucket");
        read(pair[1], to.buckets[bucket], place{here, std::size_t{1}});
    }
}

/// An object of the document, and its place.
struct object {
    json::object const& fields;
    place const& at;

    template <class Read> void with(std::string_view name, Read&& read_it) const
    {
        if (json::value const* const v = fields.if_contains(name))
            read_it(*v, place{at, name});
    }
    /// `names`: separated by spaces.
    void demand(std::string_view names) const
    {
        while (!names.empty()) {
            std::string_view const name = names.substr(0, names.find(' '));
            if (!fields.contains(name))
                place{at, name}.fail("missing");
            names.remove_prefix(std::min(name.size() + 1, names.size()));
        }
    }
};

template <class S> void read_fields(object const& o, S& to)
{
    describe_fields(to, [&](field_info const& f, auto& field) {
        o.with(f.name, [&](json::value const& v, place const& at) { read(v, field, at); });
    });
    // Derived figures are computed anew; here only their type is checked.
    auto const check = [&](field_info const& f, auto figure) {
        o.with(f.name, [&](json::value const& v, place const& at) { read(v, figure, at); });
    };
    if constexpr (requires { describe_derived(to, 0, check); })
        describe_derived(to, 0, check);
}

/// Figures that are all present or all absent: those of a class, or of the heap.
void read_timing(object const& o, std::optional<lock_timing_stats>& to, bool of_heap)
{
    lock_timing_stats found;
    bool any = false;
    auto const read_one = [&](field_info const& f, std::uint64_t& field) {
        o.with(f.name, [&](json::value const& v, place const& at) {
            read(v, field, at);
            any = true;
        });
    };
    auto const check = [&](field_info const& f, double figure) {
        o.with(f.name, [&](json::value const& v, place const& at) { read(v, figure, at); });
    };
    if (of_heap) {
        describe_heap_lock_times(found, read_one);
        describe_derived_heap_lock_times(found, check);
    } else {
        describe_fields(found, read_one);
        describe_derived(found, 0, check);
    }
    if (any)
        to = found;
}

template <class S> void read_record(json::value const& v, S& to, place const& at)
{
    read_fields(object{object_of(v, at), at}, to);
}

void read_record(json::value const& v, class_stats& to, place const& at)
{
    object const o{object_of(v, at), at};
    o.demand(needed_of_class);
    read_fields(o, to);
    if (!o.fields.contains("pages_per_slab") && to.object_size != 0)
        to.pages_per_slab = 1;   // of a version in which every slab was one page
    read_timing(o, to.lock_timing, false);
    for (std::size_t label = 0; label < to.by_label.size(); ++label)
        for_each_field(to.by_label[label], [&](std::string_view name, field_kind, std::uint64_t& field) {
            std::string const array = by_label(name);
            o.with(array, [&](json::value const& of_labels, place const& here) {
                json::array const& all = array_of(of_labels, to.by_label.size(), here);
                if (label < all.size())
                    read(all[label], field, place{here, label});
            });
        });
}

void read_record(json::value const& v, label_stats& to, place const& at)
{
    object const o{object_of(v, at), at};
    read_fields(o, to);
    o.with("last_close", [&](json::value const& c, place const& here) {
        if (!c.is_null())
            read_record(c, to.last_close.emplace(), here);
    });
}

void read_record(json::value const& v, class_share& to, place const& at)
{
    object const o{object_of(v, at), at};
    read_fields(o, to);
    if (!o.fields.contains("pages"))
        to.pages = to.slabs;   // as above; for large allocations it was their pages
}

template <class S> void read_records(object const& o, std::string_view name, std::vector<S>& to, std::size_t most)
{
    o.with(name, [&](json::value const& v, place const& at) {
        json::array const& all = array_of(v, most, at);
        to.resize(all.size());
        for (std::size_t i = 0; i < all.size(); ++i)
            read_record(all[i], to[i], place{at, i});
    });
}

void read_entry(json::value const& v, source_entry& to, place const& at)
{
    if (v.is_null())
        return;
    object const o{object_of(v, at), at};
    o.with("file", [&](json::value const& f, place const& here) { read(f, to.file, here); });
    o.with("line", [&](json::value const& f, place const& here) { read(f, to.line, here); });
    o.with("function", [&](json::value const& f, place const& here) { read(f, to.function, here); });
}

void read_record(json::value const& v, phase_cost_stats& to, place const& at)
{
    object const o{object_of(v, at), at};
    read_fields(o, to);
    o.with("largest_at", [&](json::value const& f, place const& here) { read_entry(f, to.largest_at, here); });
}

void read_record(json::value const& v, epoch_stats& to, place const& at)
{
    object const o{object_of(v, at), at};
    o.demand(needed_of_epoch);
    read_fields(o, to);
    if (!o.fields.contains("slab_pages"))
        to.slab_pages = to.slabs;
    if (!o.fields.contains("reclaimable_pages"))
        to.empty_slab_pages = to.empty_slabs;
    o.with("state", [&](json::value const& f, place const& here) {
        read_name(f, to.state, here, {epoch_state::active, epoch_state::closing});
    });
    to.lifecycle = to.state == epoch_state::active ? lifecycle::active : lifecycle::closing;
    o.with("lifecycle", [&](json::value const& f, place const& here) {
        using enum lifecycle;
        read_name(f, to.lifecycle, here, {idle, active, closing, drained});
    });
    o.with("opened_at", [&](json::value const& f, place const& here) { read_entry(f, to.opened_at, here); });
    read_records(o, "classes", to.classes, most_classes);
}

/// The size classes, each at its index, and the large allocations behind them.
void read_classes(object const& o, std::vector<class_stats>& to)
{
    read_records(o, "classes", to, most_classes);
    bool const large = o.fields.contains("large");
    auto const classes = static_cast<std::uint32_t>(to.size());
    if (large || classes != 0)
        to.emplace_back().class_index = classes;
    o.with("large", [&](json::value const& v, place const& at) { read_record(v, to.back(), at); });
    for (std::size_t i = 0; i < to.size(); ++i)
        if (to[i].class_index != i) {
            bool const last = i + 1 == to.size();
            place const list{o.at, last ? "large" : "classes"};
            place{last ? list : place{list, i}, "class_index"}.fail("expected " + std::to_string(i));
        }
}

void read_misuses(json::value const& v, std::vector<named_count>& to, place const& at)
{
    json::object const& all = object_of(v, at);
    if (all.size() > most_misuses)
        at.fail("expected at most " + std::to_string(most_misuses) + " entries");
    for (auto const& [name, count] : all) {
        place const here{at, to.size()};   // by number, since the name is not trusted
        to.push_back({std::string{name.data(), name.size()}, 0});
        read(count, to.back().count, here);
    }
}

void check_schema(object const& o)
{
    o.demand("schema_version");
    o.with("schema_version", [](json::value const& v, place const& at) {
        std::uint64_t version = 0;
        read(v, version, at);
        if (version != snapshot::schema_version)
            at.fail("expected " + std::to_string(snapshot::schema_version));
    });
}

}

snapshot from_json(std::string_view text)
{
    json::monotonic_resource memory;
    json::value const document = parse(text, &memory);
    place const top;
    object const o{object_of(document, top), top};
    check_schema(o);
    o.demand(needed_of_snapshot);
    snapshot s;
    read_fields(o, s);
    read_fields(o, s.global);
    if (!o.fields.contains("slab_pages"))
        s.global.slab_pages = s.global.slabs_in_use;
    read_timing(o, s.global.lock_timing, true);
    if (o.fields.contains("lock_wait_time_ns_log2"))
        read_fields(o, s.global.lock_histograms.emplace());
    read_classes(o, s.classes);
    read_records(o, "epochs", s.epochs, most_epochs);
    read_records(o, "threads", s.threads, most_json_threads);
    read_records(o, "labels", s.labels, label_buckets);
    read_records(o, "phase_costs", s.phase_costs, most_phase_costs);
    o.with("misuses", [&](json::value const& v, place const& at) { read_misuses(v, s.misuses, at); });
    o.with("last_epoch_close", [&](json::value const& v, place const& at) {
        if (!v.is_null())
            read_record(v, s.last_close, at);
        if (s.last_close.timestamp_ns == 0)   // no close was timed
            s.last_close = {};
    });
    o.with("sampled", [&](json::value const& v, place const& at) { read_record(v, s.sampled, at); });
    o.with("waterfall", [&](json::value const& v, place const& at) { read_record(v, s.waterfall.emplace(), at); });
    return s;
}

}
