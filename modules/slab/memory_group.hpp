// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The memory control group (cgroup, version 2) that the process is in: whether it is near its limits, and something to
// poll until it is. Reads the kernel's files; allocates nothing. One thread at a time uses it.
#pragma once

export namespace tslab {

/// Where the kernel says which group the process is in, and the places where the tree of groups may be mounted.
struct group_places {
    char const* own;
    std::array<char const*, 2> roots;
};
/// Puts other places in place, for tests; null restores the real ones. Call it while no group is open.
void set_group_places(group_places const* places) noexcept;

class memory_group {
public:
    memory_group() noexcept = default;
    ~memory_group() { close(); }
    memory_group(memory_group const&) = delete;
    memory_group& operator=(memory_group const&) = delete;

    /// Opens the files of the group that the process is in now; a later move to another group is not followed. False where
    /// there is no such group (the root of the tree has no limits), or no right to read it.
    [[nodiscard]] bool open() noexcept;
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return events_ >= 0; }

    /// To be polled for POLLPRI: `limits` is signalled when the group meets one of its limits, `stalls` when its tasks have waited for
    /// memory for 150 ms within 2 s. -1 where there is none.
    struct descriptors {
        int limits;
        int stalls;
    };
    [[nodiscard]] descriptors to_poll() const noexcept { return {events_, stalls_}; }

    /// Whether what the group uses, without file pages that nobody wanted lately, is within 1/16 of memory.high or memory.max. Nothing
    /// when it can no longer be told: the group is gone. Takes back the signal of `limits`.
    [[nodiscard]] std::optional<bool> is_near_limit() noexcept;

private:
    int directory_ = -1;
    int events_ = -1;   // memory.events
    int stalls_ = -1;   // memory.pressure, with a trigger
};

}
