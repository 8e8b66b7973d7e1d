// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Where snapshots come from: a live process, the file of a dead one, a saved snapshot, standard input. Commands know
// only this.
#pragma once
#include <cstddef>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>
import tslab.inspect;

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
    /// What was asked for, for headings: "1234 (request_server)", "before.json". Harmless to print.
    [[nodiscard]] virtual std::string const& name() const noexcept = 0;
    /// Whether a further read can bring something new.
    [[nodiscard]] virtual bool live() const noexcept = 0;
    /// The name of the process's program, not to be trusted; empty where no process is read.
    [[nodiscard]] virtual std::string command() const { return {}; }
    /// Who allocates, one profile a heap; of saved profiles those. Throws as above; failure where a source has none (a saved
    /// snapshot).
    [[nodiscard]] virtual std::vector<tslab::heap_profile> profiles();
    /// The process that lives and can be asked for what it executes; 0 if there is none.
    [[nodiscard]] virtual pid_t pid() const noexcept { return 0; }
};

/// Files and standard input are read up to here and refused beyond.
inline constexpr std::size_t most_bytes_of_a_file = std::size_t{64} << 20;

/// `what`: a pid, the name of a process that has a heap, or a file. Throws failure, observe_error, snapshot_error.
[[nodiscard]] std::unique_ptr<source> open_source(std::string const& what);
/// Snapshots as `tslab stats --json` prints them: one, one behind the other, or an array. Throws as above.
[[nodiscard]] std::unique_ptr<source> open_saved(std::string name, std::istream& in);
/// The one process that has a heap; throws failure if there are others or none.
[[nodiscard]] std::unique_ptr<source> open_only_process();
/// `from` without the heaps of another name. Reading throws failure where none has that name.
[[nodiscard]] std::unique_ptr<source> only_heap(std::unique_ptr<source> from, std::string heap);

/// The name of a process's program as the kernel keeps it, at most 15 bytes and not to be trusted; empty if there is none.
[[nodiscard]] std::string command_of(pid_t pid);
/// The same as `ps` shows it: on one line, and "?" if it is empty.
[[nodiscard]] std::string shown_command(std::string_view command);
/// The snapshots in a text; throws snapshot_error, failure with other_version.
[[nodiscard]] std::vector<tslab::snapshot> snapshots_of(std::string_view text);

}
