// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/label_stacks.hpp"
#include "tslab/command.hpp"
#include "tslab/profile_table.hpp"
#include "tslab/style.hpp"
#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <ostream>
#include <string_view>
#include <tuple>
#include <utility>

namespace tslab::tool {

namespace {

constexpr std::uint32_t shared_label = label_buckets - 1;
constexpr std::size_t most_stacks = 3;
constexpr std::size_t most_frames = 8;

/// How the profile calls the label with that number: those that have no number of their own share one name.
std::string_view profiled_name(snapshot const& heap, std::uint32_t label_id)
{
    if (label_id >= shared_label)
        return "other";
    for (label_stats const& l : heap.labels)
        if (l.label_id == label_id)
            return l.name;
    return {};
}

/// From who allocates to main; what calls main is the same for all.
std::vector<code_frame const*> callers_of(named_stack const& s)
{
    auto const begin = s.frames.begin() + static_cast<std::ptrdiff_t>(s.self);
    auto const last = std::ranges::find(begin, s.frames.end(), "main", &code_frame::function);
    return {begin, last == s.frames.end() ? last : last + 1};
}

/// Calls on one line are one place, at whichever address.
using place_in_code = std::tuple<std::string_view, std::string_view, std::uint32_t>;
std::vector<place_in_code> places_of(std::vector<code_frame const*> const& frames)
{
    std::vector<place_in_code> all;
    all.reserve(frames.size());
    for (code_frame const* const f : frames)
        all.emplace_back(f->function, f->file, f->line);
    return all;
}

std::string estimate_text(double bytes)
{
    constexpr double most = 9e18;   // what is read is not trusted
    return bytes_text(static_cast<std::uint64_t>(std::llround(std::min(bytes, most))));
}

profile_amounts total_of(std::vector<label_stack> const& all)
{
    profile_amounts sum;
    for (label_stack const& s : all)
        sum += s.amounts;
    return sum;
}

void print_frames(std::ostream& out, label_stack const& s)
{
    std::size_t const shown = std::min(s.frames.size(), most_frames);
    for (std::size_t n = 0; n < shown; ++n) {
        std::string const place = place_of(*s.frames[n]);
        out << "                " << function_text(s.frames[n]->function) << (place.empty() ? "" : "  ") << place
            << '\n';
    }
    if (s.frames.size() > shown)
        out << "                and " << s.frames.size() - shown << " callers\n";
}

}

void label_stacks::read()
{
    if (std::exchange(was_read_, true))
        return;
    std::vector<heap_profile> all;
    try {
        all = from_->profiles();
    } catch (failure const&) {   // a saved snapshot
        return;
    } catch (observe_error const&) {   // the process ended
        return;
    }
    names_ = std::make_unique<symbolizer>(mappings_of(all), from_->pid());
    profiles_ = std::move(all);
}

heap_profile const* label_stacks::profile_of(snapshot const& heap)
{
    read();
    // Heaps of one name keep their order, unless one came or went meanwhile.
    auto const is_namesake = [&heap](snapshot const& s) { return s.name == heap.name; };
    std::vector<heap_profile const*> of_that_name;
    for (heap_profile const& p : profiles_)
        if (p.heap == heap.name)
            of_that_name.push_back(&p);
    if (std::ranges::count_if(*heaps_, is_namesake) != std::ssize(of_that_name))
        return nullptr;
    auto const before = std::ranges::count_if(heaps_->data(), &heap, is_namesake);
    heap_profile const* const found = of_that_name[static_cast<std::size_t>(before)];
    return found->interval_bytes != 0 ? found : nullptr;
}

bool label_stacks::sampled(snapshot const& heap) { return profile_of(heap) != nullptr; }

std::vector<label_stack> label_stacks::of(snapshot const& heap, std::uint32_t label_id)
{
    std::vector<label_stack> all;
    heap_profile const* const p = profile_of(heap);
    if (p == nullptr)
        return all;
    std::string_view const label = profiled_name(heap, label_id);
    heap_profile part;   // names are looked up for no more than is asked for
    std::ranges::copy_if(p->stacks, std::back_inserter(part.stacks),
                         [label](profiled_stack const& s) { return s.label == label && s.live_samples != 0; });
    named_profile const named = with_names(std::move(part), *names_);
    std::map<std::vector<place_in_code>, std::size_t> known;
    for (std::size_t n = 0; n < named.stacks.size(); ++n) {
        std::vector<code_frame const*> frames = callers_of(named.stacks[n]);
        auto const [place, is_new] = known.try_emplace(places_of(frames), all.size());
        if (is_new)
            all.push_back({std::move(frames), {}});
        all[place->second].amounts += amounts_of(named.profile.stacks[n]);
    }
    std::ranges::stable_sort(all, std::ranges::greater{}, [](label_stack const& s) { return s.amounts.live_bytes; });
    return all;
}

std::vector<std::string> label_stacks::notes() const
{
    return names_ == nullptr ? std::vector<std::string>{} : names_->notes();
}

void print_stacks(std::ostream& out, bool color, std::vector<label_stack> const& all)
{
    if (all.empty()) {
        out << "    sampled   nothing that lives of this label\n";
        return;
    }
    profile_amounts const sum = total_of(all);
    out << "    sampled   " << estimate_text(sum.live_bytes) << " live of this label, by "
        << samples_text(sum.live_samples) << ", allocated by\n";
    std::size_t const shown = std::min(all.size(), most_stacks);
    for (std::size_t n = 0; n < shown; ++n) {
        label_stack const& s = all[n];
        out << "              " << painted(color, paint::bold, estimate_text(s.amounts.live_bytes)) << ", "
            << samples_text(s.amounts.live_samples) << '\n';
        print_frames(out, s);
    }
    if (all.size() > shown)
        out << "              and " << grouped(all.size() - shown) << (all.size() - shown == 1 ? " stack" : " stacks")
            << " more: tslab profile --label\n";
}

void put_stacks(json_writer& to, std::vector<label_stack> const& all)
{
    to.open('[');
    for (label_stack const& s : all) {
        to.open('{').member("live_bytes", s.amounts.live_bytes).member("live_objects", s.amounts.live_objects);
        to.member("live_samples", s.amounts.live_samples).key("frames").open('[');
        for (code_frame const* const f : s.frames)
            to.open('{').member("function", f->function).member("file", f->file).member("line", f->line).close('}');
        to.close(']').close('}');
    }
    to.close(']');
}

}
