// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What is published of a heap profile: the stacks that allocated, with sums over their samples, and the files that the
// process executes. Addresses are not symbolised. Everything here is written only, but for the sums, which are added to.
#pragma once

export namespace tslab {

/// How the call stack of a sampled allocation is found.
enum class stack_walk : std::uint8_t {
    unwind_tables,   ///< by the tables that exceptions use: complete, some thousand instructions
    frame_pointers   ///< by frame pointers: some hundred instructions; ends at code that is compiled without them
};

/// Stacks with their sums, one behind the other, as words. An entry is a header of `header` words and the addresses of its
/// stack, innermost first. It is complete before `used` covers it; its sums change later.
struct profile_page {
    static constexpr std::uint32_t capacity = 2040;   ///< words
    static constexpr std::uint32_t most_depth = 64;   ///< addresses that are kept of a stack
    /// Objects are summed in this fraction of one.
    static constexpr std::uint64_t object_unit = std::uint64_t{1} << 16;

    /// The words of a header. Sums are of unbiased estimates: a sampled object stands for all that were not sampled.
    enum word : std::uint32_t {
        shape,           ///< depth in 16 bits, bin in 16 (bin_count: large allocations), number of the label above
        samples,         ///< sampled objects
        freed,           ///< of them, those that have been freed or given back
        objects,         ///< in object_unit
        freed_objects,   ///< in object_unit
        bytes,
        freed_bytes,
        header   ///< their number
    };

    atomic<profile_page*> next{nullptr};   ///< of the same heap: made before this one
    atomic<std::uint64_t> used{0};         ///< words
    std::array<std::atomic<std::uint64_t>, capacity> words{};

    [[nodiscard]] static constexpr std::uint64_t shape_of(std::uint32_t depth, std::uint32_t bin,
                                                          std::uint32_t label) noexcept
    {
        return depth | std::uint64_t{bin} << 16 | std::uint64_t{label} << 32;
    }
};

/// A file that the process executes, and where.
struct published_mapping {
    static constexpr std::size_t most_id_bytes = 32;

    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t offset = 0;   ///< of `begin` in the file
    std::uint64_t id_bytes = 0;
    std::array<unsigned char, most_id_bytes> id{};   ///< its build id, cut if it is longer
    std::array<char, 224> file{};                    ///< ends with a NUL; a long path loses its beginning
};

/// Mappings; those of libraries that were closed remain.
struct profile_mapping_page {
    static constexpr std::uint32_t capacity = 24;

    atomic<profile_mapping_page*> next{nullptr};   ///< of the same heap: made before this one
    atomic<std::uint32_t> used{0};                 ///< complete when this covers them
    std::array<published_mapping, capacity> of{};
};

/// The figures of a heap's profile.
struct profile_figures {
    std::uint64_t interval = 0;             ///< mean of the bytes between two samples; 0: sampling is off
    counter samples;                        ///< sampled objects; this and the following: any thread adds
    counter samples_dropped;                ///< samples for which the table had no place
    counter stacks_dropped;                 ///< stacks for which it had none; at least so many
    counter stacks_cut;                     ///< samples whose stack was deeper than what is kept
    counter mappings_dropped;               ///< executed files for which there was no place
    atomic<std::uint64_t> stacks{0};        ///< in the table
    atomic<profile_page*> pages{nullptr};   ///< newest first; the first is made with the first sample
    atomic<profile_mapping_page*> mapping_pages{nullptr};   ///< likewise
};

}
