// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads the heaps of another process, or of a dead process that left its statistics in a file. The process is not
// stopped and does no work for it.
#pragma once

export namespace tslab {

/// Why a process or a file could not be read.
enum class observe_fault : std::uint8_t {
    no_process,      ///< there is no such process, or it has ended
    not_permitted,   ///< the kernel does not permit this user to read it
    no_heap,         ///< it has no heap of tslab, or publishes none (TSLAB_PUBLISH=0, or its descriptors were closed)
    version,         ///< its statistics have another version of the format
    damaged,         ///< they are invalid, truncated, or inconsistent
    system           ///< the operating system refused something else
};

/// What could not be observed, and why. what() is one sentence for the user.
class observe_error : public std::runtime_error {
public:
    /// `text`: what what() returns; `fault`: the kind, for programs.
    observe_error(observe_fault fault, std::string const& text) : std::runtime_error{text}, fault_{fault} {}
    [[nodiscard]] observe_fault fault() const noexcept { return fault_; }

private:
    observe_fault fault_;
};

/// For read_heap_profile. `stats`: the stats page of a heap of this process.
[[nodiscard]] heap_profile read_profile_at(void const* stats);

/// The heaps of one process. Each reading examines the process anew; heaps may come and go in between. All that is read
/// is untrusted. Not thread safe; different observers are independent.
class observer {
public:
    /// Throws observe_error, std::bad_alloc.
    explicit observer(pid_t pid);
    /// A file that TSLAB_STATS_FILE named; its process may be alive or not. Throws as above.
    explicit observer(std::string const& path);
    ~observer();
    observer(observer&&) noexcept;
    observer& operator=(observer&&) noexcept;
    observer(observer const&) = delete;
    observer& operator=(observer const&) = delete;

    /// One snapshot a heap, in the order the heaps were made; at least one. Throws observe_error, std::bad_alloc.
    [[nodiscard]] std::vector<snapshot> read(snapshot_options const& o = {});
    /// One map a heap, in the same order. Throws as above.
    [[nodiscard]] std::vector<heap_map> maps();
    /// One heap profile a heap, in the same order; of a heap whose sampling is off it has no stacks. Needs no right to read
    /// the process's memory, and no more time for many slabs. Throws as above.
    [[nodiscard]] std::vector<heap_profile> profiles();
    /// 0 for a file.
    [[nodiscard]] pid_t pid() const noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

/// The heap profile of a heap of this process, published or not. Throws std::bad_alloc. Thread safe; takes no lock.
/// Requires: `heap` does not end meanwhile.
template <class Heap> [[nodiscard]] heap_profile read_heap_profile(Heap& heap)
{
    return read_profile_at(&heap.state().stats());
}

/// The processes of this user (of all users, for root) that publish a heap, ascending. Throws std::bad_alloc;
/// observe_error where /proc cannot be read, so that no process can be seen.
[[nodiscard]] std::vector<pid_t> processes_with_heaps();

}
