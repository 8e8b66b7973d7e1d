// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What an exposition consists of, in the data model of prometheus-cpp, which knows no native histograms: they are beside it. For
// those who write one.
#pragma once
#include "tslab/metric_name.hpp"
#include "tslab/native_histogram.hpp"
#include <cstddef>
#include <initializer_list>
#include <map>
#include <optional>
#include <prometheus/metric_family.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tslab::tool {

using metric_labels = std::vector<prometheus::ClientMetric::Label>;

inline metric_labels with(metric_labels base, std::initializer_list<prometheus::ClientMetric::Label> more)
{
    base.insert(base.end(), more);
    return base;
}

/// Each family once, in the order of its first series.
class metric_families {
public:
    void add(std::string const& name, std::string_view help, prometheus::MetricType type, prometheus::ClientMetric one,
             std::optional<native_histogram> native = {})
    {
        auto const [at, is_new] = places_.try_emplace(name, all_.size());
        if (is_new)
            all_.push_back({.name = name, .help = std::string{help}, .type = type, .metric = {}});
        std::vector<prometheus::ClientMetric>& metrics = all_[at->second].metric;
        if (native)
            natives_.emplace(std::pair{at->second, metrics.size()}, std::move(*native));
        metrics.push_back(std::move(one));
    }
    void add(metric const& m, metric_labels of, double value)
    {
        prometheus::ClientMetric one;
        one.label = std::move(of);
        (m.counter ? one.counter.value : one.gauge.value) = value * m.scale;
        add(m.name, m.help, m.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
            std::move(one));
    }
    void add_gauge(std::string const& name, std::string_view help, metric_labels of, double value)
    {
        add({.name = name, .help = help}, std::move(of), value);
    }
    [[nodiscard]] std::vector<prometheus::MetricFamily> const& all() const noexcept { return all_; }
    /// What a histogram also is; null if it has classic buckets only. Both by index.
    [[nodiscard]] native_histogram const* native_of(std::size_t family, std::size_t metric) const
    {
        auto const at = natives_.find({family, metric});
        return at != natives_.end() ? &at->second : nullptr;
    }

private:
    std::vector<prometheus::MetricFamily> all_;
    std::map<std::string, std::size_t> places_;
    std::map<std::pair<std::size_t, std::size_t>, native_histogram> natives_;
};

}
