// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_monitor.hpp"
#include <exception>
#include <unistd.h>
#include <utility>

namespace tslab::tool {

namespace {

std::string new_run()
{
    auto const now = std::chrono::system_clock::now().time_since_epoch().count();
    return std::to_string(now) + "-" + std::to_string(getpid());
}

}

monitor::monitor(std::unique_ptr<source> from, monitor_options const& o)
    : options_{o},
      live_{from->live()},
      run_{new_run()},
      source_{std::move(from)},
      name_{source_->name()},
      history_{o.keep}
{
    latest_ = std::make_shared<std::vector<snapshot>>(source_->read(true));
    last_read_ = last_success_ = options_.now();
    note(latest_);
}

monitor::~monitor() = default;

void monitor::start()
{
    if (live_)
        thread_ = std::jthread{[this](std::stop_token const& stop) { work(stop); }};
}

void monitor::work(std::stop_token const& stop)
{
    auto due = clock::now() + options_.interval;
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock{sleeping_};
            if (wake_.wait_until(lock, stop, due, [&] { return stop.stop_requested(); }))
                return;
        }
        try {
            sample();
        } catch (std::bad_alloc const&) {
            // The sample is lost; memory may be there again for the next one.
        }
        due = std::max(due + options_.interval, clock::now());
    }
}

std::vector<snapshot> monitor::read_or_reopen()
{
    try {
        return source_->read(true);
    } catch (std::bad_alloc const&) {
        throw;
    } catch (std::exception const&) {
        if (!options_.reopen)
            throw;
        std::unique_ptr<source> found;
        try {
            found = options_.reopen();
        } catch (std::bad_alloc const&) {
            throw;
        } catch (std::exception const&) {
            found = nullptr;
        }
        if (!found)
            throw;   // why the target that there was cannot be read
        std::vector<snapshot> read = found->read(true);
        std::lock_guard const lock{seen_};
        name_ = found->name();
        source_ = std::move(found);
        return read;
    }
}

// A target that is gone is not given up: a process that is started again comes back under its name.
monitor::snapshots monitor::read_locked()
{
    last_read_ = options_.now();
    std::string reason;
    try {
        auto read = std::make_shared<std::vector<snapshot> const>(read_or_reopen());
        std::lock_guard const lock{seen_};
        latest_ = std::move(read);
        last_success_ = options_.now();
        condition_ = {};
        return latest_;
    } catch (std::bad_alloc const&) {
        throw;
    } catch (std::exception const& e) {
        reason = printable(e.what());
    }
    std::lock_guard const lock{seen_};
    condition_ = {false, std::move(reason)};
    return nullptr;
}

void monitor::sample()
{
    std::lock_guard const one_reader{reading_};
    snapshots read;
    if (options_.now() - last_read_ < std::min<clock::duration>(options_.interval / 2, std::chrono::seconds{1})) {
        std::lock_guard const lock{seen_};
        read = condition_.fine ? latest_ : nullptr;
    } else {
        read = read_locked();
    }
    if (read && read != previous_)
        note(std::move(read));
}

void monitor::note(snapshots read)
{
    std::vector<snapshot> const none;
    std::string frame = frame_json(seq_ + 1, *read, previous_ ? *previous_ : none, options_.leaks);
    std::lock_guard const lock{seen_};
    history_.add(++seq_, std::move(frame));
    previous_ = std::move(read);
}

void monitor::refresh()
{
    std::lock_guard const one_reader{reading_};
    if (live_ && options_.now() - last_read_ >= std::chrono::seconds{1})
        (void)read_locked();
}

monitor::snapshots monitor::latest()
{
    refresh();
    std::lock_guard const lock{seen_};
    return latest_;
}

monitor::reading monitor::current()
{
    refresh();
    std::lock_guard const lock{seen_};
    if (!condition_.fine)
        return {.reason = condition_.reason};
    return {.seen = latest_};
}

std::string monitor::target() const
{
    std::lock_guard const lock{seen_};
    return name_;
}

std::string monitor::history_json(std::uint64_t seq) const
{
    condition const now = health();
    std::lock_guard const lock{seen_};
    json_writer j;
    j.open('{').member("format", "tslab-history").member("version", 1).member("run", printable(run_));
    j.member("target", printable(name_)).member("live", live_).member("interval_ms", options_.interval.count());
    j.member("leak_seconds", options_.leaks.seconds).member("fine", now.fine).member("reason", printable(now.reason));
    j.key("frames").raw(history_.since(seq)).close('}');
    return std::move(j).text();
}

std::string monitor::map_json()
{
    std::lock_guard const one_reader{reading_};
    if (!map_.empty() && (!live_ || options_.now() - last_map_ < options_.interval))
        return map_;
    last_map_ = options_.now();
    json_writer j;
    j.open('{').key("maps");
    try {
        map_ = j.raw(maps_json(source_->maps())).close('}').text();
    } catch (std::bad_alloc const&) {
        throw;
    } catch (std::exception const& e) {
        map_ = j.null().member("reason", printable(e.what())).close('}').text();
    }
    return map_;
}

// The names of another process, or of one that has loaded another library since, are looked for anew.
std::vector<named_profile> monitor::read_profiles()
{
    std::vector<heap_profile> now = source_->profiles();
    demand_samples(now, source_->name());
    std::vector<profiled_mapping> mappings = mappings_of(now);
    if (!symbols_ || !symbols_->is_of(mappings, source_->pid()))
        symbols_ = std::make_unique<symbolizer>(std::move(mappings), source_->pid());
    std::vector<named_profile> named;
    named.reserve(now.size());
    for (heap_profile& p : now)
        named.push_back(with_names(std::move(p), *symbols_));
    return named;
}

monitor::condition monitor::health() const
{
    std::lock_guard const lock{seen_};
    if (!condition_.fine || !live_)
        return condition_;
    auto const age = options_.now() - last_success_;
    if (age > 3 * options_.interval + std::chrono::seconds{5})
        return {false, "the last sample is " +
                           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()) + " s old"};
    return condition_;
}

}
