// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Looks at a target every so often and remembers what it saw. Everything here may be called by any thread; the target is
// read by one at a time, and no more often than is said below, however many clients ask.
#pragma once
#include "tslab/named_profile.hpp"
#include "tslab/serve_frame.hpp"
#include "tslab/serve_history.hpp"
#include "tslab/source.hpp"
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tslab::tool {

struct monitor_options {
    std::chrono::milliseconds interval{5'000};
    leak_rule leaks{};
    history_limits keep{};
    /// Opens the target again when it cannot be read: a process that was restarted has another pid. Throws as `source` does.
    /// Not set: the target that was given is asked again.
    std::function<std::unique_ptr<source>()> reopen{};
    /// Tells how old a reading is. Called by any thread; a test moves the time by hand.
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

class monitor {
public:
    using snapshots = std::shared_ptr<std::vector<snapshot> const>;
    using clock = std::chrono::steady_clock;

    struct condition {
        bool fine = true;
        std::string reason{};   ///< one line; empty when it is fine
    };

    /// Takes the first sample, and throws what `from` throws when it cannot.
    monitor(std::unique_ptr<source> from, monitor_options const& o);
    ~monitor();
    monitor(monitor const&) = delete;
    monitor& operator=(monitor const&) = delete;

    /// Begins to sample every interval, on a thread of its own, unless the target cannot bring anything new.
    void start();
    /// One sample for the history, now. start() calls it; tests may.
    void sample();

    struct reading {
        snapshots seen{};       ///< null if the target cannot be read
        std::string reason{};   ///< then why, on one line
    };

    /// At most a second old while the target can be read, else the last that was seen.
    [[nodiscard]] snapshots latest();
    /// At most a second old, or none.
    [[nodiscard]] reading current();
    /// {"run":…,"target":…,"fine":…,"reason":…,"frames":[…]}: the frames after `seq`.
    [[nodiscard]] std::string history_json(std::uint64_t seq) const;
    /// {"maps":[…]} or {"maps":null,"reason":…}; read at most once an interval.
    [[nodiscard]] std::string map_json();
    [[nodiscard]] condition health() const;
    /// What `use` makes of the heap profiles, read now, and of what names their addresses; at most once at a time. Throws what
    /// reading throws.
    template <class Use> auto with_profiles(Use use)
    {
        std::lock_guard const one_reader{reading_};
        std::vector<named_profile> const named = read_profiles();
        return use(named, *symbols_);
    }
    /// What is observed: "1234 (request_server)". It changes when the target is found again with another pid.
    [[nodiscard]] std::string target() const;

private:
    void refresh();
    snapshots read_locked();
    std::vector<snapshot> read_or_reopen();
    void note(snapshots read);
    std::vector<named_profile> read_profiles();
    void work(std::stop_token const& stop);

    monitor_options const options_;
    bool const live_;
    std::string const run_;   ///< differs from that of any other monitor, so that a page notices a restart

    std::mutex reading_;   ///< held while the target is read; before seen_
    std::unique_ptr<source> source_;
    clock::time_point last_read_{};
    clock::time_point last_map_{};
    std::string map_;
    std::unique_ptr<symbolizer> symbols_;   // of the last profile: reading debug information takes long

    mutable std::mutex seen_;
    std::string name_;
    snapshots latest_;
    snapshots previous_;   ///< of the history
    condition condition_;
    clock::time_point last_success_{};
    history history_;
    std::uint64_t seq_ = 0;

    std::mutex sleeping_;
    std::condition_variable_any wake_;
    std::jthread thread_;   // last: it uses all of the above
};

}
