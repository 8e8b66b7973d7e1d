// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap profile: who allocates, by stack. Plain values: addresses are not symbolised here.
#pragma once

export namespace tslab {

/// Memory of one size class and label that was allocated by one stack. The amounts are unbiased estimates from the samples.
struct profiled_stack {
    std::vector<std::uint64_t> addresses{};   ///< return addresses, innermost first; of the observed process
    std::string label{};                      ///< of the epoch; empty if it has none
    std::uint64_t slot_bytes = 0;             ///< bytes of a slot of the size class; 0 for large allocations
    double live_objects = 0;
    double live_bytes = 0;
    double allocated_objects = 0;     ///< since the heap began
    double allocated_bytes = 0;       ///< since the heap began
    std::uint64_t live_samples = 0;   ///< sampled objects that live
    std::uint64_t samples = 0;        ///< sampled objects since the heap began
};

/// A file that a process executes, and where.
struct profiled_mapping {
    std::uint64_t begin = 0;    ///< first address
    std::uint64_t end = 0;      ///< one past the last address
    std::uint64_t offset = 0;   ///< of `begin` in the file, bytes
    std::string file{};         ///< its path, as the process sees it
    std::string build_id{};     ///< hexadecimal; empty if the file has none
};

/// What the samples of one heap say.
struct heap_profile {
    std::string heap{};   ///< its name
    std::int64_t pid = 0;
    std::uint64_t interval_bytes = 0;   ///< mean of the bytes between two samples; 0: sampling is off
    std::uint64_t time_ns = 0;          ///< CLOCK_REALTIME of the look; of a dead process: of its last sign of life
    std::uint64_t begin_ns = 0;         ///< CLOCK_REALTIME of the heap's begin; 0 if unknown
    std::vector<profiled_stack> stacks{};
    std::vector<profiled_mapping> mappings{};
    std::uint64_t samples_dropped = 0;      ///< samples for which the table had no place
    std::uint64_t stacks_dropped = 0;       ///< stacks for which the table had no place
    std::uint64_t stacks_cut = 0;           ///< samples whose stack was deeper than what is kept
    std::uint64_t unpublished_chunks = 0;   ///< 16 KiB of statistics each that found no room to be read outside
};

}
