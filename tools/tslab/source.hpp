// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Where snapshots come from: a live process, the file of a dead one, a saved snapshot, standard input. Commands know
// only this.
#pragma once
#include <memory>
#include <string>
#include <vector>
import tslab.stats;

namespace tslab::tool {

class source {
public:
    virtual ~source() = default;
    source() = default;
    source(source const&) = delete;
    source& operator=(source const&) = delete;

    /// One snapshot a heap, taken now; at least one. Throws observe_error, snapshot_error, failure.
    [[nodiscard]] virtual std::vector<tslab::snapshot> read(bool residency) = 0;
    /// One map a heap. Throws as above; failure where a source has no pages to show (a saved snapshot).
    [[nodiscard]] virtual std::vector<tslab::heap_map> maps() = 0;
    /// What was asked for, for headings: "1234 (request_server)", "before.json".
    [[nodiscard]] virtual std::string const& name() const noexcept = 0;
    /// Whether a further read can bring something new.
    [[nodiscard]] virtual bool live() const noexcept = 0;
};

}
