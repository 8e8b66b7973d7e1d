// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/named_profile.hpp"
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace tslab::tool {

namespace {

/// A row that is being summed, and the share of each place of its function.
struct sums {
    profile_row row{};
    std::map<std::string, double> places{};
};

void add_functions(std::map<std::string, sums>& rows, named_stack const& s, profile_amounts const& a,
                   double profile_amounts::* of)
{
    std::set<std::string_view> counted;
    for (std::size_t n = s.self; n < s.frames.size(); ++n) {
        code_frame const& f = *s.frames[n];
        if (!counted.insert(f.function).second)
            continue;   // it calls itself
        sums& to = rows[f.function];
        to.row.with_callees += a;
        to.places[place_of(f)] += std::abs(a.*of);
        if (n == s.self)
            to.row.self += a;
    }
}

std::string key_of(profiled_stack const& s, profile_by by)
{
    if (by == profile_by::label)
        return label_or_none(s.label);
    return s.slot_bytes == 0 ? "large" : std::to_string(s.slot_bytes);
}

auto identity(profiled_stack const& s) { return std::tie(s.addresses, s.label, s.slot_bytes); }

void subtract(profiled_stack& from, profiled_stack const& what) noexcept
{
    from.live_objects -= what.live_objects;
    from.live_bytes -= what.live_bytes;
    from.allocated_objects -= what.allocated_objects;
    from.allocated_bytes -= what.allocated_bytes;
    from.live_samples = gained(from.live_samples, what.live_samples);
    from.samples -= std::min(from.samples, what.samples);
}

}

std::size_t self_of(std::vector<code_frame const*> const& frames) noexcept
{
    std::size_t named = frames.size();
    std::size_t innermost = frames.size();
    for (std::size_t n = 0; n < frames.size(); ++n) {
        if (frames[n]->owner == code_owner::program)
            return n;
        if (frames[n]->function.starts_with("std::") && frames[n]->owner == code_owner::standard)
            named = n;
        if (frames[n]->owner == code_owner::standard)
            innermost = std::min(innermost, n);
    }
    return named < frames.size() ? named : innermost < frames.size() ? innermost : 0;
}

profile_amounts& profile_amounts::operator+=(profile_amounts const& other) noexcept
{
    for (profile_amount const& kind : profile_amount_kinds)
        this->*kind.member += other.*kind.member;
    live_samples += other.live_samples;
    samples += other.samples;
    return *this;
}

profile_amounts amounts_of(profiled_stack const& s) noexcept
{
    return {s.live_bytes, s.live_objects, s.allocated_bytes, s.allocated_objects, s.live_samples, s.samples};
}

// The last two parts of a path: the folders above differ from machine to machine.
std::string place_of(code_frame const& f)
{
    if (f.file.empty())
        return {};
    auto const last = f.file.rfind('/');
    auto const before = last == std::string::npos || last == 0 ? std::string::npos : f.file.rfind('/', last - 1);
    std::string const part = before == std::string::npos ? f.file : f.file.substr(before + 1);
    return escaped(part) + (f.line != 0 ? ":" + std::to_string(f.line) : "");
}

std::vector<profiled_mapping> mappings_of(std::vector<heap_profile> const& all)
{
    std::vector<profiled_mapping> most;
    for (heap_profile const& p : all)
        if (most.size() < p.mappings.size())
            most = p.mappings;
    return most;
}

void demand_samples(std::vector<heap_profile> const& all, std::string const& name)
{
    for (heap_profile const& p : all)
        if (p.interval_bytes != 0 || !p.stacks.empty())
            return;
    throw failure{outcome::no_target, name +
                                          " takes no samples of allocations: sampling is off. Start it with "
                                          "TSLAB_PROFILE_INTERVAL=524288, or set allocator_options::profile_interval"};
}

named_profile with_names(heap_profile profile, symbolizer& by)
{
    named_profile named{.profile = std::move(profile)};
    for (profiled_stack const& s : named.profile.stacks) {
        named_stack& to = named.stacks.emplace_back();
        for (std::uint64_t const address : s.addresses) {
            code_place const& place = by.place_of(address);
            to.places.push_back(&place);
            for (code_frame const& f : place.frames)
                to.frames.push_back(&f);
        }
        to.self = self_of(to.frames);
    }
    return named;
}

std::vector<profile_row> rows_of(named_profile const& p, profile_by by, double profile_amounts::* of)
{
    std::map<std::string, sums> rows;
    for (std::size_t n = 0; n < p.stacks.size(); ++n) {
        profiled_stack const& s = p.profile.stacks[n];
        profile_amounts const a = amounts_of(s);
        if (by == profile_by::function) {
            add_functions(rows, p.stacks[n], a, of);
        } else {
            rows[key_of(s, by)].row.self += a;
            rows[key_of(s, by)].row.with_callees += a;
        }
    }
    std::vector<profile_row> all;
    for (auto& [name, one] : rows) {
        one.row.name = name;
        if (!one.places.empty())
            one.row.place = std::ranges::max_element(one.places, {}, [](auto const& p) { return p.second; })->first;
        if (one.row.with_callees.*of != 0)
            all.push_back(std::move(one.row));
    }
    std::ranges::sort(all, [of](profile_row const& a, profile_row const& b) {
        return std::tuple{-std::abs(a.self.*of), -std::abs(a.with_callees.*of), std::string_view{a.name}} <
               std::tuple{-std::abs(b.self.*of), -std::abs(b.with_callees.*of), std::string_view{b.name}};
    });
    return all;
}

heap_profile difference(heap_profile now, heap_profile const& before)
{
    auto const in = [](heap_profile const& p) { return in_quotes(p.heap) + " of process " + std::to_string(p.pid); };
    if (now.heap != before.heap || now.pid != before.pid)
        throw failure{outcome::usage, "the earlier profile is of heap " + in(before) + ", and this one is of heap " +
                                          in(now) + ": addresses of one mean nothing in the other"};
    auto const order = [](profiled_stack const& a, profiled_stack const& b) { return identity(a) < identity(b); };
    std::ranges::sort(now.stacks, order);
    for (profiled_stack const& old : before.stacks) {
        auto const place = std::ranges::lower_bound(now.stacks, old, order);
        bool const there = place != now.stacks.end() && identity(*place) == identity(old);
        // What was allocated never becomes less; times may, when a clock is set, or a process died without a further sign of life.
        if ((there ? place->samples : 0) < old.samples)
            throw failure{outcome::usage, now.time_ns < before.time_ns
                                              ? "the earlier profile of heap " + in(before) + " is the later one"
                                              : "the earlier profile is of another heap " + in(before) +
                                                    ": it has samples that this one does not have"};
        profiled_stack none{.addresses = old.addresses, .label = old.label, .slot_bytes = old.slot_bytes};
        subtract(there ? *place : *now.stacks.insert(place, std::move(none)), old);
    }
    std::erase_if(now.stacks, [](profiled_stack const& s) {
        return s.live_bytes == 0 && s.live_objects == 0 && s.allocated_bytes == 0 && s.allocated_objects == 0;
    });
    now.samples_dropped -= std::min(now.samples_dropped, before.samples_dropped);
    now.stacks_dropped -= std::min(now.stacks_dropped, before.stacks_dropped);
    now.stacks_cut -= std::min(now.stacks_cut, before.stacks_cut);
    now.begin_ns = std::min(before.time_ns, now.time_ns);
    return now;
}

}
