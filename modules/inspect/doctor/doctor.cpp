// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>
module tslab.inspect;

import tslab.stats;

#include "examination.hpp"

namespace tslab {

namespace {

/// Subtracts the counters of `before` from those of `now`.
template <class S> void subtract(S& now, S const& before)
{
    std::vector<std::uint64_t> earlier;
    for_each_field(before, [&](std::string_view, field_kind kind, auto const& field) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, std::uint64_t>)
            if (kind == field_kind::counter)
                earlier.push_back(field);
    });
    auto next = earlier.begin();
    for_each_field(now, [&](std::string_view, field_kind kind, auto& field) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, std::uint64_t>)
            if (kind == field_kind::counter) {
                field -= std::min(field, *next);
                ++next;
            }
    });
}

snapshot difference(snapshot const& now, snapshot const& before)
{
    snapshot d = now;
    subtract(d.global, before.global);
    subtract(d.sampled, before.sampled);
    for (class_stats& c : d.classes)
        for (class_stats const& b : before.classes)
            if (b.class_index == c.class_index) {
                subtract(c, b);
                for (std::size_t i = 0; i < c.by_label.size(); ++i)
                    subtract(c.by_label[i], b.by_label[i]);
            }
    for (label_stats& l : d.labels)
        for (label_stats const& b : before.labels)
            if (b.label_id == l.label_id && b.name == l.name)
                subtract(l, b);
    for (phase_cost_stats& c : d.phase_costs)
        for (phase_cost_stats const& b : before.phase_costs)
            if (b.label_id == c.label_id && b.label == c.label) {
                subtract(c, b);
                for (std::size_t i = 0; i < quarter_histogram::bucket_count; ++i)
                    c.bytes.buckets[i] -= std::min(c.bytes.buckets[i], b.bytes.buckets[i]);
            }
    for (named_count& n : d.misuses)
        for (named_count const& b : before.misuses)
            if (b.name == n.name)
                n.count -= std::min(n.count, b.count);
    return d;
}

bool comparable(snapshot const& now, snapshot const* before) noexcept
{
    return before != nullptr && before->pid == now.pid && before->name == now.name && seconds_from_to(*before, now) > 0;
}

std::size_t rank(std::string_view code) noexcept
{
    auto const found = std::ranges::find_if(finding_kinds, [&](finding_kind const& k) { return k.code == code; });
    return static_cast<std::size_t>(found - finding_kinds.begin());
}

}

examination::examination(snapshot const& s, snapshot const* earlier, doctor_thresholds const& given)
    : now{s},
      before{comparable(s, earlier) ? earlier : nullptr},
      limits{given},
      seconds{before != nullptr ? seconds_from_to(*before, s) : 0},
      change{before != nullptr ? difference(s, *before) : s}
{
}

std::string examination::span() const
{
    return before != nullptr ? joined("in ", duration_text(seconds)) : std::string{"since the start"};
}

std::optional<severity> examination::judge(count_limits const& limit, std::uint64_t n) noexcept
{
    if (n >= limit.critical)
        return severity::critical;
    if (n >= limit.warning)
        return severity::warning;
    return std::nullopt;
}

bool examination::enough(ratio_limits const& limit, double whole) const noexcept
{
    return whole > 0 && whole >= static_cast<double>(limit.floor) &&
           (before == nullptr || whole >= limit.per_second * seconds);
}

std::optional<severity> examination::judge(ratio_limits const& limit, double part, double whole) const noexcept
{
    if (!enough(limit, whole))
        return std::nullopt;
    if (part >= limit.critical * whole)
        return severity::critical;
    if (part >= limit.warning * whole)
        return severity::warning;
    return std::nullopt;
}

std::optional<severity> examination::judge_low(ratio_limits const& limit, double part, double whole) const noexcept
{
    if (!enough(limit, whole))
        return std::nullopt;
    if (part <= limit.critical * whole)
        return severity::critical;
    if (part <= limit.warning * whole)
        return severity::warning;
    return std::nullopt;
}

void examination::add(std::string_view code, severity how, std::string subject, std::initializer_list<figure> figures,
                      std::string evidence, std::string action)
{
    findings.push_back({std::string{code}, how, std::move(subject), std::string{finding_kinds.at(rank(code)).title},
                        figures, std::move(evidence), std::move(action)});
}

std::string examination::label_name(std::uint32_t label_id) const
{
    for (label_stats const& l : now.labels)
        if (l.label_id == label_id)
            return joined("label \"", printable(l.name), "\"");
    return joined("label number ", label_id);
}

std::vector<finding> diagnose(snapshot const& now, snapshot const* before, doctor_thresholds const& limits)
{
    examination x{now, before, limits};
    examine_events(x);
    examine_epochs(x);
    examine_memory(x);
    examine_speed(x);
    // Within a code the rules add the worst first, and that order stays: the last criterion is the order of addition.
    std::vector<std::tuple<int, std::size_t, std::size_t>> order;
    order.reserve(x.findings.size());
    for (std::size_t i = 0; i < x.findings.size(); ++i)
        order.emplace_back(-static_cast<int>(x.findings[i].severity), rank(x.findings[i].code), i);
    std::ranges::sort(order);
    std::vector<finding> sorted;
    sorted.reserve(order.size());
    for (auto const& [severe, code, i] : order)
        sorted.push_back(std::move(x.findings[i]));
    return sorted;
}

std::string to_text(std::vector<finding> const& findings, std::size_t most)
{
    if (findings.empty())
        return "No findings.\n";
    std::string text = counted(findings.size(), "finding", "findings");
    for (severity const how : {severity::critical, severity::warning, severity::hint}) {
        auto const n = static_cast<std::uint64_t>(
            std::ranges::count_if(findings, [&](finding const& f) { return f.severity == how; }));
        if (n != 0)
            text += joined(how == findings.front().severity ? ": " : ", ", n, " ", severity_name(how),
                           n != 1 && how != severity::critical ? "s" : "");
    }
    text += '\n';
    std::array<std::uint64_t, finding_kinds.size() + 1> seen{};   // by code; the last entry: unknown ones
    for (finding const& f : findings)
        if (++seen[rank(f.code)] <= most)
            text += joined("\n", severity_name(f.severity), " ", f.code, ", ", f.subject, "\n    ", f.title, ".\n    ",
                           f.evidence, "\n    To do: ", f.action, "\n");
    for (std::size_t i = 0; i < finding_kinds.size(); ++i)
        if (seen[i] > most)
            text += joined("\n", seen[i] - most, " more of ", finding_kinds[i].code, ", not shown.\n");
    return text;
}

}
