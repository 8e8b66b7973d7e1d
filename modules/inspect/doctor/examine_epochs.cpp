// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor's rules on epochs: missing exits, remaining objects, a nearly full ring.
module;
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>
module tslab.inspect;

import tslab.stats;

#include "examination.hpp"

namespace tslab {

namespace {

/// Leaks or pins of one label, entered at one place: one bug, one finding. The worst of them comes first.
template <class T> struct group {
    std::vector<T const*> members;
    std::uint64_t held = 0;

    void add(T const& t)
    {
        members.push_back(&t);
        held += t.held_bytes;
    }
};

/// Groups entries with the same key, the largest group first.
template <class T, class Key> std::vector<group<T>> grouped(std::vector<T const*> const& all, Key&& key_of)
{
    std::vector<group<T>> groups;
    std::map<decltype(key_of(*all.front())), std::size_t> places;
    for (T const* const t : all) {
        auto const [place, fresh] = places.try_emplace(key_of(*t), groups.size());
        if (fresh)
            groups.emplace_back();
        groups[place->second].add(*t);
    }
    std::ranges::sort(groups, [](group<T> const& a, group<T> const& b) {
        return a.held != b.held ? a.held > b.held : a.members.front()->era < b.members.front()->era;
    });
    return groups;
}

constexpr auto own_label = [](auto const& t) { return std::string_view{t.label}; };
constexpr auto label_and_place = [](leak const& l) {
    return std::tuple{std::string_view{l.label}, std::string_view{l.entered_at.file}, l.entered_at.line};
};

/// "3 epochs, 12.0 MiB held; the worst: " before the first one's sentence, if there are several.
template <class T> std::string evidence_of(group<T> const& g)
{
    T const& worst = *g.members.front();
    if (g.members.size() == 1)
        return worst.sentence() + ".";
    return joined(g.members.size(), " epochs hold ", bytes_text(g.held), ". The worst: ", worst.sentence(), ".");
}

epoch_stats const* find_epoch(snapshot const& s, std::uint32_t index, std::uint64_t era) noexcept
{
    for (epoch_stats const& e : s.epochs)
        if (e.index == index && e.era == era)
            return &e;
    return nullptr;
}

/// Any domain may share the current epoch, so its age says nothing about the domains inside. In a snapshot of a version
/// that does not say when they entered it is a leak only if no domain left since `before`.
bool may_be_young(examination const& x, leak const& l)
{
    if (l.entered_seconds > 0)
        return false;
    if (l.epoch != x.now.current_epoch || l.lifecycle != lifecycle::active)
        return false;
    epoch_stats const* const then = x.before != nullptr ? find_epoch(*x.before, l.epoch, l.era) : nullptr;
    return then == nullptr || then->refcount == 0 || then->exits != l.exits || x.seconds < x.limits.leak_large_seconds;
}

void find_epoch_leaks(examination& x, std::vector<leak> const& leaks)
{
    doctor_thresholds const& limits = x.limits;
    std::vector<leak const*> held;
    for (leak const& l : leaks)
        if (l.refcount != 0 && !may_be_young(x, l) &&
            std::ranges::find(limits.long_lived, l.label) == limits.long_lived.end())
            held.push_back(&l);
    for (group<leak> const& g : grouped(held, label_and_place)) {
        group<leak> old, young;   // the old ones, and those that count if the label holds much
        for (leak const* const l : g.members) {
            if (l->inside_seconds() >= limits.leak_seconds)
                old.add(*l);
            if (l->inside_seconds() >= limits.leak_large_seconds)
                young.add(*l);
        }
        bool const large = young.held >= limits.leak_large_bytes;
        if (old.members.empty() && !large)
            continue;
        group<leak> const& reported = large ? young : old;
        std::uint64_t missing = 0;
        for (leak const* const l : reported.members)
            missing += l->missing_exits;
        leak const& worst = *reported.members.front();
        x.add("epoch_leak", old.held >= limits.leak_large_bytes ? severity::critical : severity::warning,
              label_text(worst.label),
              {{"epochs", static_cast<double>(reported.members.size())},
               {"missing_exits", static_cast<double>(missing)},
               {"held_bytes", static_cast<double>(reported.held)},
               {"epoch_id", static_cast<double>(worst.epoch)},
               {"epoch_era", static_cast<double>(worst.era)},
               {"age_sec", worst.age_seconds},
               {"entered_sec", worst.entered_seconds},
               {"refcount", static_cast<double>(worst.refcount)},
               {"live_bytes", static_cast<double>(worst.live_bytes)}},
              evidence_of(reported),
              "Look at the place that entered: every epoch_domain::enter needs its exit on every way out, and an "
              "epoch_scope or "
              "epoch_resource has to end. If the phase is meant to last, name its label by --long-lived, or in "
              "doctor_thresholds::long_lived.");
    }
}

void find_remains(examination& x, std::vector<leak> const& leaks)
{
    std::vector<leak const*> late;
    for (leak const& l : leaks)
        if (l.refcount == 0 && l.closing_seconds >= x.limits.remains_seconds)
            late.push_back(&l);
    for (group<leak> const& g : grouped(late, own_label)) {
        auto const how = examination::judge(x.limits.remains_bytes, g.held);
        if (!how)
            continue;
        std::uint64_t objects = 0;
        for (leak const* const l : g.members)
            objects += l->live_objects;
        leak const& worst = *g.members.front();
        x.add("epoch_remains", *how, label_text(worst.label),
              {{"epochs", static_cast<double>(g.members.size())},
               {"live_objects", static_cast<double>(objects)},
               {"held_bytes", static_cast<double>(g.held)},
               {"epoch_id", static_cast<double>(worst.epoch)},
               {"epoch_era", static_cast<double>(worst.era)},
               {"closing_sec", worst.closing_seconds}},
              evidence_of(g),
              "Free these objects, end the phase with epoch_resource::release, which gives everything back, or "
              "allocate what "
              "has to outlive the phase from a resource of its own.");
    }
}

void find_pinned(examination& x)
{
    std::vector<pin> const pins = find_pins(x.now);
    std::vector<pin const*> old;
    for (pin const& p : pins)
        if (p.closing_seconds >= x.limits.pinned_seconds)
            old.push_back(&p);
    for (group<pin> const& g : grouped(old, own_label)) {
        std::uint64_t live = 0, objects = 0;
        for (pin const* const p : g.members) {
            live += p->live_bytes;
            objects += p->live_objects;
        }
        auto how = x.judge_low(x.limits.pinned_live, static_cast<double>(live), static_cast<double>(g.held));
        if (!how)
            continue;
        if (g.held < x.limits.pinned_critical_bytes)
            how = severity::warning;
        pin const& worst = *g.members.front();
        x.add("epoch_pinned", *how, label_text(worst.label),
              {{"epochs", static_cast<double>(g.members.size())},
               {"held_bytes", static_cast<double>(g.held)},
               {"live_bytes", static_cast<double>(live)},
               {"live_objects", static_cast<double>(objects)},
               {"live_ratio", ratio(live, g.held)},
               {"epoch_id", static_cast<double>(worst.epoch)},
               {"epoch_era", static_cast<double>(worst.era)}},
              evidence_of(g),
              "Move the few objects that outlive the phase to a resource of their own, for example one made with "
              "resource_options::share_epoch, or free them before the epoch closes.");
    }
}

void examine_ring(examination& x)
{
    snapshot const& s = x.now;
    std::uint64_t const active = s.global.active_epochs, closing = s.global.closing_epochs;
    if (auto const how = examination::judge(x.limits.ring_exhausted, x.change.global.ring_exhausted))
        x.add("ring_exhausted", *how, "heap",
              {{"total_ring_exhausted", static_cast<double>(x.change.global.ring_exhausted)},
               {"epoch_count", static_cast<double>(s.epoch_count)},
               {"active_epoch_count", static_cast<double>(active)},
               {"closing_epoch_count", static_cast<double>(closing)}},
              joined(counted(x.change.global.ring_exhausted, "time", "times"), " ", x.span(),
                     " a scope had to share the current epoch, or advance could not move on. Of ", s.epoch_count,
                     " slots ", active, " are ACTIVE and ", closing, " CLOSING now."),
              "Raise allocator_options::epoch_count above the number of phases open at once, or find out why epochs do "
              "not end: "
              "epoch_leak, epoch_remains and closing_backlog tell.");
    std::uint64_t const in_use = active + closing;
    auto const beyond = [&](double share) { return static_cast<double>(in_use) >= share * s.epoch_count; };
    if (in_use >= x.limits.ring_in_use.floor && s.epoch_count != 0 && beyond(x.limits.ring_in_use.warning))
        x.add("ring_nearly_full", beyond(x.limits.ring_in_use.critical) ? severity::critical : severity::warning,
              "heap",
              {{"epoch_count", static_cast<double>(s.epoch_count)},
               {"active_epoch_count", static_cast<double>(active)},
               {"closing_epoch_count", static_cast<double>(closing)}},
              joined(active, " epochs are ACTIVE and ", closing, " CLOSING, of ", s.epoch_count, " slots."),
              "Raise allocator_options::epoch_count before scopes have to share the current epoch; look for epochs "
              "that do not "
              "end.");
    std::uint64_t late = 0, held = 0;
    for (epoch_stats const& e : s.epochs)
        if (e.lifecycle == lifecycle::closing && e.live_bytes != 0 && e.closing_seconds >= x.limits.backlog_seconds) {
            ++late;
            held += held_by(e, s.page_size);
        }
    if (auto const how = examination::judge(x.limits.backlog, late))
        x.add("closing_backlog", *how, "heap",
              {{"epochs", static_cast<double>(late)}, {"held_bytes", static_cast<double>(held)}},
              joined(late, " epochs were closed more than ", duration_text(x.limits.backlog_seconds),
                     " ago and still hold ", bytes_text(held), " with live objects."),
              "Objects outlive their phases: find_leaks and find_pins name the epochs. Free what stays, or allocate it "
              "elsewhere.");
}

}

void examine_epochs(examination& x)
{
    double const least = std::min({x.limits.leak_seconds, x.limits.leak_large_seconds, x.limits.remains_seconds});
    std::vector<leak> const leaks = find_leaks(x.now, least);
    find_epoch_leaks(x, leaks);
    find_remains(x, leaks);
    find_pinned(x);
    examine_ring(x);
}

}
