// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/flame.hpp"
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/report_page.hpp"
#include "tslab/serve_assets.hpp"
#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

namespace tslab::tool {

namespace {

/// A name as one part of a line of folded stacks.
std::string folded(std::string_view name)
{
    std::string text = escaped(name);
    std::ranges::replace(text, ';', ',');
    return text;
}

std::uint64_t whole(double d) noexcept
{
    return d > 0 ? static_cast<std::uint64_t>(std::llround(std::min(d, 9e18))) : 0;
}

/// Texts by number, in the order in which they were asked for.
class numbered_texts {
public:
    std::size_t operator()(std::string_view text)
    {
        auto const [place, fresh] = numbers_.try_emplace(std::string{text}, texts_.size());
        if (fresh)
            texts_.push_back(escaped(text));
        return place->second;
    }
    [[nodiscard]] std::vector<std::string> const& texts() const noexcept { return texts_; }

private:
    std::map<std::string, std::size_t> numbers_{};
    std::vector<std::string> texts_{};
};

}

std::string collapsed(std::vector<named_profile> const& heaps, double profile_amounts::* of, std::uint64_t& left_out)
{
    std::map<std::string, double> lines;
    left_out = 0;
    for (named_profile const& p : heaps)
        for (std::size_t n = 0; n < p.stacks.size(); ++n) {
            profiled_stack const& s = p.profile.stacks[n];
            double const amount = amounts_of(s).*of;
            if (amount < 0.5) {
                left_out += amount < -0.5 ? 1 : 0;
                continue;
            }
            std::string line = heaps.size() > 1 ? folded(p.profile.heap) + ";" : "";
            line += s.label.empty() ? "unlabeled" : folded(s.label);
            named_stack const& stack = p.stacks[n];
            for (std::size_t k = stack.frames.size(); k-- > stack.self;)
                line += ";" + folded(stack.frames[k]->function);
            lines[line] += amount;
        }
    std::string text;
    for (auto const& [line, amount] : lines)
        text += line + " " + std::to_string(whole(amount)) + "\n";
    return text;
}

bool has_flame_graphs() { return asset("d3-flamegraph.js").has_value(); }

std::string why_no_flame_graphs()
{
    return "this program was built without d3-flame-graph, which draws flame graphs: install the npm package "
           "d3-flame-graph 4 (npm install --global d3-flame-graph@4) and build it again; --pprof and --collapsed need "
           "nothing";
}

std::string flame_json(std::vector<named_profile> const& heaps, std::string const& title,
                       std::vector<std::string> const& notes)
{
    numbered_texts functions;
    numbered_texts files;
    json_writer stacks;
    stacks.open('[');
    std::uint64_t interval = 0;
    std::uint64_t time = 0;
    for (named_profile const& p : heaps) {
        interval = std::max(interval, p.profile.interval_bytes);
        time = std::max(time, p.profile.time_ns);
        for (std::size_t n = 0; n < p.stacks.size(); ++n) {
            profiled_stack const& s = p.profile.stacks[n];
            named_stack const& stack = p.stacks[n];
            stacks.open('{').member("heap", escaped(p.profile.heap)).member("label", label_or_none(s.label));
            stacks.member("slot_bytes", s.slot_bytes).key("frames").open('[');   // the outermost first
            for (std::size_t k = stack.frames.size(); k-- > stack.self;) {
                code_frame const& f = *stack.frames[k];
                stacks.open('[').value(functions(f.function)).value(files(f.file)).value(f.line).close(']');
            }
            stacks.close(']');
            profile_amounts const a = amounts_of(s);
            for (profile_amount const& kind : profile_amount_kinds)
                stacks.member(kind.name, a.*kind.member);
            stacks.member("samples", s.samples).member("live_samples", s.live_samples).close('}');
        }
    }
    stacks.close(']');
    json_writer j;
    j.open('{').member("format", "tslab-flame").member("version", 1).member("target", title);
    j.member("t_ms", time / 1'000'000).member("interval_bytes", interval);
    j.key("notes").list(notes, [](std::string const& n) { return printable(n); });
    j.key("functions").list(functions.texts()).key("files").list(files.texts()).key("stacks").raw(stacks.text());
    return j.close('}').text();
}

std::string flame_page(std::string const& json)
{
    if (!has_flame_graphs())
        throw failure{outcome::usage, why_no_flame_graphs()};
    return page_with_data("flame.html", json);
}

}
