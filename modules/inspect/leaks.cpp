// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>
module tslab.inspect;

import tslab.stats;

namespace tslab {

namespace {

std::string holding_text(leak const& l)
{
    if (l.held_bytes == 0)
        return "holds nothing";
    if (!l.live_known)
        return joined("holds ", bytes_text(l.held_bytes));
    if (l.live_objects == 0)
        return joined("holds ", bytes_text(l.held_bytes), " without a live object");
    return joined("holds ", bytes_text(l.held_bytes), " with ", counted(l.live_objects, "live object", "live objects"));
}

// A duration from a file may be any number; a NaN must not break the order.
double sane(double seconds) noexcept { return seconds >= 0 ? seconds : 0; }

leak leak_of(epoch_stats const& e, snapshot const& s)
{
    leak l;
    l.epoch = e.index;
    l.era = e.era;
    l.label = e.label;
    l.label_id = e.label_id;
    l.lifecycle = e.lifecycle;
    l.age_seconds = sane(e.age_seconds);
    l.entered_seconds = sane(e.entered_seconds);
    l.closing_seconds = sane(e.closing_seconds);
    l.refcount = e.refcount;
    l.unlisted_holders = e.unlisted_holders;
    l.enters = e.enters;
    l.exits = e.exits;
    // The three are read one after the other while the program runs, so they may be inconsistent.
    if (e.refcount != 0)
        l.missing_exits = std::max<std::uint64_t>(e.enters > e.exits ? e.enters - e.exits : 0, e.refcount);
    l.live_objects = e.live_objects;
    l.live_bytes = e.live_bytes;
    l.live_known = s.live_known;
    l.held_bytes = held_by(e, s.page_size);
    l.entered_at = e.opened_at;
    return l;
}

std::uint64_t unused(std::uint64_t held, std::uint64_t live) noexcept { return held - std::min(held, live); }

pin pin_of(epoch_stats const& e, snapshot const& s)
{
    pin p;
    p.epoch = e.index;
    p.era = e.era;
    p.label = e.label;
    p.label_id = e.label_id;
    p.closing_seconds = sane(e.closing_seconds);
    p.held_bytes = held_by(e, s.page_size);
    p.live_objects = e.live_objects;
    p.live_bytes = e.live_bytes;
    p.live_ratio = ratio(p.live_bytes, p.held_bytes);
    for (class_share const& share : e.classes) {
        pin_share one{share.class_index, 0, share.slabs, share.pages * s.page_size, share.live_objects,
                      share.live_bytes};
        for (class_stats const& c : s.classes)
            if (c.class_index == share.class_index)
                one.object_size = c.object_size;
        p.classes.push_back(one);
    }
    std::ranges::sort(p.classes, [](pin_share const& a, pin_share const& b) {
        auto const unused_a = unused(a.held_bytes, a.live_bytes), unused_b = unused(b.held_bytes, b.live_bytes);
        return unused_a != unused_b ? unused_a > unused_b : a.class_index < b.class_index;
    });
    return p;
}

}

std::uint64_t held_by(epoch_stats const& e, std::uint64_t page_size) noexcept
{
    return (e.slab_pages + e.large_pages) * page_size;
}

std::string class_text(std::uint32_t object_size)
{
    return object_size != 0 ? joined("class ", object_size) : std::string{"large allocations"};
}

std::string place_text(source_entry const& at)
{
    std::string text;
    if (!at.file.empty())
        text = at.line != 0 ? joined(printable(at.file), ":", at.line) : printable(at.file);
    if (!at.function.empty())
        text += joined(text.empty() ? "" : " ", "in ", printable(at.function));
    return text;
}

std::string leak::sentence() const
{
    std::string text = joined(label_text(label), ": ");
    if (refcount != 0) {
        text += joined(counted(missing_exits, "exit", "exits"), " missing",
                       entered_seconds > 0 ? joined(" for ", duration_text(entered_seconds))
                                           : joined(", epoch open for ", duration_text(age_seconds)));
        if (lifecycle == tslab::lifecycle::closing)
            text += joined(" and closed for ", duration_text(closing_seconds));
        text += joined(", ", holding_text(*this));
        if (std::string const place = place_text(entered_at); !place.empty())
            text += joined(", entered at ", place);
    } else {
        text += joined("closed for ", duration_text(closing_seconds), " with no domain inside, still ",
                       holding_text(*this));
    }
    text += joined(" (epoch ", epoch, ", era ", era, ", ", name_of(lifecycle));
    if (refcount != 0)
        text += joined(", ", counted(refcount, "domain", "domains"), " inside, entered ",
                       counted(enters, "time", "times"), ", left ", counted(exits, "time", "times"));
    if (refcount != 0 && unlisted_holders != 0)
        text += joined(", of ", counted(unlisted_holders, "domain", "domains"), " place and time are not known");
    return text + ")";
}

std::vector<leak> find_leaks(snapshot const& s, double older_than_seconds)
{
    std::vector<leak> found;
    for (epoch_stats const& e : s.epochs) {
        bool const open = e.lifecycle == lifecycle::active || e.lifecycle == lifecycle::closing;
        // Of a domain without a time nothing is said; a snapshot of an older version has no times at all.
        bool const timed = e.entered_seconds > 0 || e.unlisted_holders == 0;
        bool const held = open && e.refcount != 0 && timed &&
                          (e.entered_seconds > 0 ? e.entered_seconds : e.age_seconds) >= older_than_seconds;
        bool const remains = e.lifecycle == lifecycle::closing && e.refcount == 0 && e.live_objects != 0 &&
                             e.closing_seconds >= older_than_seconds;
        if (held || remains)
            found.push_back(leak_of(e, s));
    }
    std::ranges::sort(found, [](leak const& a, leak const& b) {
        return std::tie(b.held_bytes, b.age_seconds, a.epoch) < std::tie(a.held_bytes, a.age_seconds, b.epoch);
    });
    return found;
}

std::string pin::sentence() const
{
    constexpr std::size_t shown = 3;
    std::string text = joined(label_text(label), ": closed for ", duration_text(closing_seconds), ", ",
                              counted(live_objects, "live object keeps ", "live objects keep "), bytes_text(held_bytes),
                              " (", bytes_text(live_bytes), " in use, ", percent_text(live_ratio), ")");
    for (std::size_t i = 0; i < std::min(classes.size(), shown); ++i) {
        pin_share const& c = classes[i];
        text += joined(i == 0 ? ": " : ", ", class_text(c.object_size), " ", bytes_text(c.held_bytes), " for ",
                       counted(c.live_objects, "object", "objects"));
    }
    if (classes.size() > shown)
        text += joined(" and ", counted(classes.size() - shown, "class", "classes"), " more");
    return text + joined(" (epoch ", epoch, ", era ", era, ")");
}

std::vector<pin> find_pins(snapshot const& s)
{
    std::vector<pin> found;
    for (epoch_stats const& e : s.epochs)
        if (e.lifecycle == lifecycle::closing && held_by(e, s.page_size) != 0)
            found.push_back(pin_of(e, s));
    std::ranges::sort(found, [](pin const& a, pin const& b) {
        auto const unused_a = unused(a.held_bytes, a.live_bytes), unused_b = unused(b.held_bytes, b.live_bytes);
        return std::tie(unused_b, b.closing_seconds, a.epoch) < std::tie(unused_a, a.closing_seconds, b.epoch);
    });
    return found;
}

}
