// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Options that the environment sets where the program leaves them open. Read when a heap is made, never in a program
// that runs with another user's rights. An invalid value is ignored, with one line on stderr.
#pragma once

export namespace tslab {

/// A variable whose value is a whole number; the last one's is a word.
enum class variable : std::uint8_t {
    decay_ms,                 ///< TSLAB_DECAY_MS, 0 to 24 hours
    thread_cache_kib,         ///< TSLAB_THREAD_CACHE_KIB, up to 4 TiB
    slab_cache,               ///< TSLAB_SLAB_CACHE, pages, up to 4 GiB
    background_purge,         ///< TSLAB_BACKGROUND_PURGE, 0 or 1
    profile_interval,         ///< TSLAB_PROFILE_INTERVAL, bytes, up to 1 TiB
    profile_frame_pointers,   ///< TSLAB_PROFILE_FRAME_POINTERS, 0 or 1
    profile_seed,             ///< TSLAB_PROFILE_SEED, for samples that repeat themselves; 0: by chance
    publish,                  ///< TSLAB_PUBLISH, 0 or 1
    guard_sampling,           ///< TSLAB_GUARD_SAMPLING, up to 2^32 - 1
    checks,                   ///< TSLAB_CHECKS: canaries, forward, off
    count_
};

struct variable_range {
    char const* name;
    std::uint64_t least;
    std::uint64_t most;
};
[[nodiscard]] variable_range range_of(variable v) noexcept;

/// `text` as a whole number of the range, in decimal digits and nothing else.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, variable_range const& range) noexcept;

/// The value of `v` in the environment. Nothing if it is not set, or if its value is invalid, which is reported on
/// stderr once. Does not allocate. Thread safe while no thread changes the environment.
[[nodiscard]] std::optional<std::uint64_t> number_in_environment(variable v) noexcept;
/// The place of the value of `v` among `words`; else the same.
[[nodiscard]] std::optional<std::size_t> word_in_environment(variable v,
                                                             std::array<std::string_view, 3> const& words) noexcept;

/// Reports, once for the process and on stderr, a variable whose name is nearly one that the library reads. Others that
/// begin with TSLAB_ are nobody's business: scripts and programs have such. Does not allocate. Thread safe while no thread
/// changes the environment.
void report_misspelled_variables() noexcept;

}
