// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab record: a target over time, into a file.
#include "tslab/record.hpp"
#include "tslab/command.hpp"
#include "tslab/record_file.hpp"
#include "tslab/serve_duration.hpp"
#include "tslab/serve_frame.hpp"
#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <utility>

namespace tslab::tool {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::uint64_t samples_per_map = 10;

/// While it lives, SIGINT and SIGTERM end a wait instead of the process.
class interruptible {
public:
    interruptible()
    {
        sigemptyset(&both_);
        sigaddset(&both_, SIGINT);
        sigaddset(&both_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &both_, &before_);
    }
    ~interruptible() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    interruptible(interruptible const&) = delete;
    interruptible& operator=(interruptible const&) = delete;

    /// False when a signal came first.
    [[nodiscard]] bool wait_until(clock::time_point t) const
    {
        for (;;) {
            auto const left = std::max<std::chrono::nanoseconds>(t - clock::now(), std::chrono::nanoseconds::zero());
            auto const seconds = std::chrono::floor<std::chrono::seconds>(left);
            timespec const limit{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
            if (sigtimedwait(&both_, nullptr, &limit) >= 0)
                return false;
            if (errno == EAGAIN)
                return true;
        }
    }

private:
    sigset_t both_{};
    sigset_t before_{};
};

std::string maps_line(source& from)
{
    try {
        return json_writer{}.open('{').key("maps").raw(maps_json(from.maps())).close('}').text();
    } catch (std::bad_alloc const&) {
        throw;
    } catch (std::exception const&) {
        return {};   // a target that is gone is noticed by the next sample
    }
}

/// The next sample; nothing when the target is gone, with the reason in `why`.
std::vector<snapshot> next_sample(source& from, std::string& why)
{
    try {
        return from.read(true);
    } catch (std::bad_alloc const&) {
        throw;
    } catch (std::exception const& e) {
        why = printable(e.what());
        return {};
    }
}

std::string count_of_samples(std::uint64_t n) { return std::to_string(n) + (n == 1 ? " sample" : " samples"); }

}

recorded record(source& from, std::string const& path, record_limits const& o)
{
    std::vector<snapshot> sample = from.read(true);   // nothing is written when there is nothing to see
    interruptible const signals;
    recording_writer file{path, {.target = from.name(), .interval = o.interval}};
    auto const begin = clock::now();
    recorded done{.end = "the time is over"};
    try {
        for (auto due = begin;; due += o.interval) {
            file.add(sample);
            if (done.samples++ % samples_per_map == 0)
                if (std::string const maps = maps_line(from); !maps.empty())
                    file.add_maps(maps);
            due = std::max(due, clock::now() - o.interval);   // a slow target is not asked for what it missed
            if (!from.live()) {
                done.end = "a saved snapshot does not change";
                break;
            }
            if (o.count != 0 ? done.samples == o.count : due + o.interval - begin > o.duration)
                break;
            if (!signals.wait_until(due + o.interval)) {
                done.end = "interrupted";
                break;
            }
            std::string why;
            sample = next_sample(from, why);
            if (sample.empty()) {
                done.end = "the target is gone: " + why;
                break;
            }
        }
        file.finish();
    } catch (failure const& f) {
        throw failure{f.code(),
                      std::string{f.what()} + "; " + count_of_samples(done.samples) + " before that are kept"};
    }
    return done;
}

namespace {

struct record_options {
    target from{};
    std::string out{};
    record_limits limits{};
};

void run(record_options const& o, invocation& i)
{
    recorded const done = record(*o.from.open(i), o.out, o.limits);
    i.out << count_of_samples(done.samples) << " in " << printable(o.out) << ": " << done.end << '\n';
}

}

void add_record(CLI::App& app, invocation& i)
{
    command_line const command = add_command(app, "record", "Writes the heaps over time into a file, for tslab report",
                                             "tslab record request_server -o night.tslab --interval 10s --duration 8h");
    auto const o = std::make_shared<record_options>();
    o->from.add_to(command);
    command.add_option("-o,--out", o->out, "file to write").required().type_name("FILE");
    add_duration(command, "--interval", o->limits.interval, "time between two samples, at least 10ms", least_interval)
        .shows_default("1s");
    option const duration = add_duration(command, "--duration", o->limits.duration, "how long").shows_default("60s");
    add_number<std::uint64_t>(command, "--count", o->limits.count, 1, "how many samples instead")
        .shows_default("")
        .excludes(duration);
    command.callback([o, &i] { run(*o, i); });
}
}
