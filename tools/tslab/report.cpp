// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab report: a recording as one page that needs nothing else.
#include "tslab/command.hpp"
#include "tslab/output.hpp"
#include "tslab/record_file.hpp"
#include "tslab/report_page.hpp"
#include "tslab/serve_duration.hpp"
#include "tslab/serve_frame.hpp"
#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace tslab::tool {

namespace {

// More points than this cannot be distinguished, and a browser has to hold them all.
constexpr std::size_t most_points = 1'200;

struct report_options {
    std::string from{};
    std::string out{};
    leak_rule leaks{};
};

/// Frames of a recording of any length: when there are too many, every other one goes, and from then on only every
/// second, fourth, … sample becomes one.
class thinned_frames {
public:
    explicit thinned_frames(leak_rule rule) : rule_{std::move(rule)} {}

    void add(std::vector<snapshot>&& sample)
    {
        if (seen_++ % step_ == 0) {
            frames_.push_back(frame_json(seen_, sample, before_, rule_));
            before_ = std::move(sample);
        }
        if (frames_.size() < most_points)
            return;
        for (std::size_t i = 0; 2 * i < frames_.size(); ++i)
            frames_[i] = std::move(frames_[2 * i]);
        frames_.resize((frames_.size() + 1) / 2);
        step_ *= 2;
    }
    [[nodiscard]] std::size_t seen() const noexcept { return seen_; }
    [[nodiscard]] std::size_t shown() const noexcept { return frames_.size(); }
    [[nodiscard]] std::string json() const
    {
        std::string out = "[";
        for (std::string const& f : frames_)
            (out += out.size() > 1 ? ",\n" : "") += f;
        return out + "]";
    }

private:
    leak_rule rule_;
    std::vector<std::string> frames_{};
    std::vector<snapshot> before_{};
    std::size_t seen_ = 0;
    std::size_t step_ = 1;
};

void report(report_options const& o, invocation& i)
{
    std::ifstream in{o.from, std::ios::binary};
    if (!in)
        throw failure{outcome::no_target, "cannot read " + printable(o.from)};
    recording_reader reader{in, o.from};
    thinned_frames frames{o.leaks};
    while (auto sample = reader.next())
        frames.add(std::move(*sample));
    if (frames.seen() == 0)
        throw failure{outcome::no_target, printable(o.from) + " has no whole sample"};

    json_writer j;
    j.open('{').member("format", "tslab-history").member("version", 1).member("run", "recording");
    j.member("target", reader.header().target).member("live", false).member("fine", true).member("reason", "");
    j.member("interval_ms", reader.header().interval.count()).member("leak_seconds", o.leaks.seconds);
    j.key("recording").open('{').member("samples", frames.seen()).member("cut", reader.cut()).close('}');
    j.key("map").raw(reader.maps().empty() ? "null" : reader.maps());
    j.key("frames").raw(frames.json()).close('}');
    write_file(o.out, report_page(j.text()));

    i.out << printable(o.out) << ": " << frames.seen() << (frames.seen() == 1 ? " sample" : " samples");
    if (frames.shown() < frames.seen())
        i.out << ", of which it shows " << frames.shown();
    if (reader.cut() != 0)
        i.out << "; " << reader.cut() << (reader.cut() == 1 ? " line was" : " lines were") << " cut short and left out";
    i.out << '\n';
}

}

void add_report(CLI::App& app, invocation& i)
{
    command_line const command = add_command(app, "report", "A recording as one page that needs no server",
                                             "tslab report night.tslab -o night.html");
    auto const o = std::make_shared<report_options>();
    command.add_option("recording", o->from, "what tslab record wrote").required();
    command.add_option("-o,--out", o->out, "page to write").required().type_name("FILE");
    add_duration(command, "--leak-after", o->leaks.seconds, "after which an open epoch counts as forgotten")
        .shows_default("5m");
    command.add_option("--long-lived", o->leaks.long_lived, "label of a phase that is meant to last, which is no leak")
        .takes_one_at_a_time();
    command.callback([o, &i] { report(*o, i); });
}

}
