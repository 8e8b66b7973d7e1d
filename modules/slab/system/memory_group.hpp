// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The memory control group (cgroup, version 2) that the process is in: whether it is near its limits, and descriptors
// to poll for that. Reads the kernel's files; allocates nothing. One thread at a time uses it.
#pragma once

export namespace tslab {

/// Where the kernel says which group the process is in, and the places where the tree of groups may be mounted.
struct group_places {
    char const* own;
    std::array<char const*, 2> roots;
};
/// Replaces these places, for tests; null restores the real ones. Precondition: no group is open.
void set_group_places(group_places const* places) noexcept;

class memory_group {
public:
    memory_group() noexcept = default;
    ~memory_group() { close(); }
    memory_group(memory_group const&) = delete;
    memory_group& operator=(memory_group const&) = delete;

    /// Opens the files of the group that the process is in now; a later move to another group is not followed. False
    /// where there is no such group (the root of the tree has no limits), or no right to read it. The files stay open:
    /// no later call needs a descriptor, whose number the program may expect for itself.
    [[nodiscard]] bool open() noexcept;
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return events_ >= 0; }

    /// To be polled for POLLPRI: `limits` is signalled when the group meets one of its limits, `stalls` when its tasks
    /// have waited for memory for 150 ms within 2 s. -1 for one that cannot be had.
    struct descriptors {
        int limits;
        int stalls;
    };
    [[nodiscard]] descriptors to_poll() const noexcept { return {events_, stalls_}; }

    /// Whether the group's memory, without inactive file pages, is within 1/16 of memory.high or memory.max. Nothing if
    /// that cannot be read any more: the group is gone. Resets the signal of `limits`.
    [[nodiscard]] std::optional<bool> is_near_limit() noexcept;

private:
    int events_ = -1;    // memory.events
    int current_ = -1;   // memory.current
    int high_ = -1;      // memory.high
    int max_ = -1;       // memory.max
    int stat_ = -1;      // memory.stat
    int stalls_ = -1;    // memory.pressure, with a trigger
};

}
