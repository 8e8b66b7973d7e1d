// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The heap page by page: its runs of pages, their use and their epochs. Plain values, as in a snapshot.
#pragma once

export namespace tslab {

/// What a run of pages is used for.
enum class page_use : std::uint8_t {
    free_purged,     ///< free and purged
    free_resident,   ///< free and resident
    cached,          ///< an empty slab in a cache
    slab,            ///< a slab of an epoch
    large            ///< an allocation above the size classes
};

/// Neighbouring pages of one use: a slab, a large allocation, or a run of free pages.
struct map_run {
    std::uint32_t first_page = 0;           ///< the index of its first page in the map
    std::uint32_t pages = 0;                ///< how many it has
    page_use use = page_use::free_purged;   ///< what all of them are used for
    std::uint32_t class_index = 0;          ///< of a slab, cached or not; of a large allocation the class `large`
    std::uint32_t epoch = 0;                ///< its ring slot; era 0: no epoch, or one that was opened meanwhile
    std::uint64_t era = 0;
    std::uint32_t label_id = 0;   ///< without an epoch: of the name `unattributed`, which is not a label's
    std::uint32_t slots = 0;      ///< of a slab; of a large allocation 1
    std::uint32_t live = 0;       ///< of those, allocated

    friend bool operator==(map_run const&, map_run const&) = default;
};

/// A heap's pages at one moment.
struct heap_map {
    std::string name{};           ///< of the heap
    std::uint64_t instance = 0;   ///< as in a snapshot
    std::uint64_t page_size = 0;
    bool live_known = true;   ///< false: `live` of slabs is 0 because it could not be read
    std::vector<std::string>
        label_names{};             ///< by label_id; empty where a number is not in use. `unattributed` is the
                                   ///< last one if a run has no epoch
    std::vector<map_run> runs{};   ///< by first_page, without gaps, up to the last page ever used

    friend bool operator==(heap_map const&, heap_map const&) = default;
};

}
