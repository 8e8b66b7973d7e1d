// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/metric_protobuf.hpp"
#include "tslab/protobuf.hpp"
#include <cstddef>
#include <cstdint>
#include <prometheus/metric_type.h>
#include <vector>

namespace tslab::tool {

namespace {

using message = protobuf_message;

// The numbers of the fields.
namespace family_field {
constexpr unsigned name = 1, help = 2, type = 3, metric = 4;
}
namespace metric_field {
constexpr unsigned label = 1, gauge = 2, counter = 3, histogram = 7;
}
namespace label_field {
constexpr unsigned name = 1, value = 2;
}
constexpr unsigned value_field = 1;   // of a gauge, and of a counter
namespace histogram_field {
constexpr unsigned sample_count = 1, sample_sum = 2, bucket = 3, schema = 5, zero_threshold = 6, zero_count = 7,
                   positive_span = 12, positive_delta = 13;
}
namespace bucket_field {
constexpr unsigned cumulative_count = 1, upper_bound = 2;
}
namespace span_field {
constexpr unsigned offset = 1, length = 2;
}
// The numbers of the types of metrics.
constexpr std::uint64_t counter_type = 0, gauge_type = 1, histogram_type = 4;

std::uint64_t number_of(prometheus::MetricType type)
{
    if (type == prometheus::MetricType::Histogram)
        return histogram_type;
    return type == prometheus::MetricType::Counter ? counter_type : gauge_type;
}

message number_message(double value)
{
    message m;
    m.real(value_field, value);
    return m;
}

/// Spans of neighbouring buckets, each with its distance from the end of the one before, the first from 0; and of each bucket
/// by how much its count differs from the one before.
void add_buckets(message& to, native_histogram const& h)
{
    std::vector<std::uint64_t> deltas;
    std::int64_t before = 0;
    int end = 0;   // behind the last span
    for (auto at = h.buckets.begin(); at != h.buckets.end();) {
        int const begin = at->first;
        int next = begin;
        for (; at != h.buckets.end() && at->first == next; ++at, ++next) {
            auto const count = static_cast<std::int64_t>(at->second);
            deltas.push_back(message::zigzag(count - before));
            before = count;
        }
        message span;
        span.number(span_field::offset, message::zigzag(begin - end));
        span.number(span_field::length, static_cast<std::uint64_t>(next - begin));
        to.part(histogram_field::positive_span, span);
        end = next;
    }
    if (!deltas.empty())
        to.numbers(histogram_field::positive_delta, deltas);
}

message histogram_message(prometheus::ClientMetric::Histogram const& classic, native_histogram const* native)
{
    message m;
    m.given_number(histogram_field::sample_count, classic.sample_count);
    m.real(histogram_field::sample_sum, classic.sample_sum);
    for (prometheus::ClientMetric::Bucket const& b : classic.bucket) {
        message one;
        one.given_number(bucket_field::cumulative_count, b.cumulative_count);
        one.real(bucket_field::upper_bound, b.upper_bound);
        m.part(histogram_field::bucket, one);
    }
    if (native == nullptr)
        return m;
    m.given_number(histogram_field::schema, message::zigzag(native_histogram::schema));
    m.real(histogram_field::zero_threshold, native_histogram::zero_threshold);
    m.given_number(histogram_field::zero_count, native->zero_count);
    add_buckets(m, *native);
    return m;
}

message metric_message(prometheus::MetricType type, prometheus::ClientMetric const& metric,
                       native_histogram const* native)
{
    message m;
    for (prometheus::ClientMetric::Label const& l : metric.label) {
        message one;
        one.bytes(label_field::name, l.name);
        one.bytes(label_field::value, l.value);
        m.part(metric_field::label, one);
    }
    if (type == prometheus::MetricType::Histogram)
        m.part(metric_field::histogram, histogram_message(metric.histogram, native));
    else if (type == prometheus::MetricType::Counter)
        m.part(metric_field::counter, number_message(metric.counter.value));
    else
        m.part(metric_field::gauge, number_message(metric.gauge.value));
    return m;
}

}

std::string protobuf_of(metric_families const& all)
{
    std::string stream;
    for (std::size_t f = 0; f < all.all().size(); ++f) {
        prometheus::MetricFamily const& family = all.all()[f];
        message m;
        m.bytes(family_field::name, family.name);
        m.bytes(family_field::help, family.help);
        m.given_number(family_field::type, number_of(family.type));
        for (std::size_t n = 0; n < family.metric.size(); ++n)
            m.part(family_field::metric, metric_message(family.type, family.metric[n], all.native_of(f, n)));
        m.add_to(stream);
    }
    return stream;
}

}
