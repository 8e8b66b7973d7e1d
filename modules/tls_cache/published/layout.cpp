// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The layout number: a hash of all that a reader in another process relies on. Of each record its name, and of each of its fields
// the name, the offset, the size and the type; of each enumeration that a record holds or is indexed by the enumerators in their
// order. So two fields of one type, or two enumerators, that change places change the number.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

namespace {

/// FNV-1a.
constexpr std::uint64_t mix(std::uint64_t h, std::string_view text) noexcept
{
    for (char const c : text)
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return h;
}
constexpr std::uint64_t mix(std::uint64_t h, std::uint64_t number) noexcept
{
    for (int i = 0; i < 8; ++i, number >>= 8)
        h = (h ^ (number & 0xff)) * 0x100000001b3;
    return h;
}

/// The compiler's words for a type or a value: they hold its name.
template <class T> constexpr std::string_view name_of() noexcept { return __PRETTY_FUNCTION__; }
template <auto Value> constexpr std::string_view name_of() noexcept { return __PRETTY_FUNCTION__; }

/// The enumerators of `E` with the values 0 to 63; for a value without one the compiler names the number.
template <class E>
constexpr std::uint64_t enumerators = []<std::size_t... I>(std::index_sequence<I...>) {
    std::uint64_t h = 0;
    ((h = mix(h, name_of<static_cast<E>(I)>())), ...);
    return h;
}(std::make_index_sequence<64>{});

struct field {
    std::string_view name;
    std::string_view type;
    std::size_t offset;
    std::size_t size;
    std::size_t alignment;
};

template <class T> struct fields_of;

/// Whether no member is left out: between two fields, and behind the last one, is no more than padding.
template <class T> constexpr bool is_complete() noexcept
{
    std::size_t end = 0;
    for (field const& f : fields_of<T>::all) {
        if (f.offset < end || f.offset - end >= f.alignment)
            return false;
        end = f.offset + f.size;
    }
    return sizeof(T) - end < alignof(T);
}

template <class T>
constexpr std::uint64_t record = [] {
    static_assert(is_complete<T>(), "a member is missing from the list of fields, or stands in another place");
    std::uint64_t h = mix(mix(0, name_of<T>()), sizeof(T));
    for (field const& f : fields_of<T>::all)
        h = mix(mix(mix(mix(h, f.name), f.type), f.offset), f.size);
    return h;
}();

#define TSLAB_FIELD(member)                                                                                            \
    field                                                                                                              \
    {                                                                                                                  \
        #member, name_of<decltype(self::member)>(), offsetof(self, member), sizeof(self::member),                      \
            alignof(decltype(self::member))                                                                            \
    }

template <> struct fields_of<page_figures::class_purges> {
    using self = page_figures::class_purges;
    static constexpr std::array all{TSLAB_FIELD(calls), TSLAB_FIELD(bytes), TSLAB_FIELD(failures)};
};

template <> struct fields_of<page_figures> {
    using self = page_figures;
    static constexpr std::array all{
        TSLAB_FIELD(purges),           TSLAB_FIELD(free_resident),  TSLAB_FIELD(free_purged),
        TSLAB_FIELD(unwanted),         TSLAB_FIELD(madvise_calls),  TSLAB_FIELD(madvise_bytes),
        TSLAB_FIELD(madvise_failures), TSLAB_FIELD(madvise_asked),  TSLAB_FIELD(madvise_gone),
        TSLAB_FIELD(purge_ns),         TSLAB_FIELD(unmap_failures), TSLAB_FIELD(metadata_bytes),
        TSLAB_FIELD(first_run),        TSLAB_FIELD(units)};
};

template <> struct fields_of<unit_link> {
    using self = unit_link;
    static constexpr std::array all{TSLAB_FIELD(count), TSLAB_FIELD(next)};
};

template <> struct fields_of<segment_chunk> {
    using self = segment_chunk;
    static constexpr std::array all{TSLAB_FIELD(next)};
};

template <> struct fields_of<cache_stats_page> {
    using self = cache_stats_page;
    static constexpr std::array all{TSLAB_FIELD(next), TSLAB_FIELD(cache),         TSLAB_FIELD(era),
                                    TSLAB_FIELD(slot), TSLAB_FIELD(counted_frees), TSLAB_FIELD(allocations),
                                    TSLAB_FIELD(owned)};
};

template <> struct fields_of<label_rows> {
    using self = label_rows;
    static constexpr std::array all{TSLAB_FIELD(of)};
};

template <> struct fields_of<class_stats_page> {
    using self = class_stats_page;
    static constexpr std::array all{TSLAB_FIELD(events), TSLAB_FIELD(contention), TSLAB_FIELD(waits)};
};

template <> struct fields_of<timing_stats_page> {
    using self = timing_stats_page;
    static constexpr std::array all{TSLAB_FIELD(allocations),  TSLAB_FIELD(frees),
                                    TSLAB_FIELD(repairs),      TSLAB_FIELD(allocations_before),
                                    TSLAB_FIELD(frees_before), TSLAB_FIELD(repairs_before)};
};

template <> struct fields_of<cost_buckets> {
    using self = cost_buckets;
    static constexpr std::array all{TSLAB_FIELD(counts)};
};

template <> struct fields_of<cost_row> {
    using self = cost_row;
    static constexpr std::array all{TSLAB_FIELD(next),          TSLAB_FIELD(label),      TSLAB_FIELD(version),
                                    TSLAB_FIELD(phases),        TSLAB_FIELD(empty),      TSLAB_FIELD(figures),
                                    TSLAB_FIELD(largest_bytes), TSLAB_FIELD(largest_ns), TSLAB_FIELD(largest_place),
                                    TSLAB_FIELD(buckets)};
};

template <> struct fields_of<label_page> {
    using self = label_page;
    static constexpr std::array all{TSLAB_FIELD(next), TSLAB_FIELD(first), TSLAB_FIELD(names)};
};

template <> struct fields_of<thread_stats_page> {
    using self = thread_stats_page;
    static constexpr std::array all{TSLAB_FIELD(next),
                                    TSLAB_FIELD(caches),
                                    TSLAB_FIELD(alive),
                                    TSLAB_FIELD(retained_pages),
                                    TSLAB_FIELD(counts),
                                    TSLAB_FIELD(classes),
                                    TSLAB_FIELD(times),
                                    TSLAB_FIELD(locks),
                                    TSLAB_FIELD(costs),
                                    TSLAB_FIELD(rotated),
                                    TSLAB_FIELD(escapes),
                                    TSLAB_FIELD(escaped_bytes),
                                    TSLAB_FIELD(clock_ns),
                                    TSLAB_FIELD(thread_id),
                                    TSLAB_FIELD(tid),
                                    TSLAB_FIELD(allocations_before),
                                    TSLAB_FIELD(slow_paths_before),
                                    TSLAB_FIELD(repairs_before),
                                    TSLAB_FIELD(contention_before)};
};

template <> struct fields_of<lock_histograms> {
    using self = lock_histograms;
    static constexpr std::array all{TSLAB_FIELD(wait), TSLAB_FIELD(hold)};
};

template <> struct fields_of<published_holder> {
    using self = published_holder;
    static constexpr std::array all{TSLAB_FIELD(place), TSLAB_FIELD(entered_ns)};
};

template <> struct fields_of<holder_page> {
    using self = holder_page;
    static constexpr std::array all{TSLAB_FIELD(next), TSLAB_FIELD(holders)};
};

template <> struct fields_of<epoch_stats_page> {
    using self = epoch_stats_page;
    static constexpr std::array all{TSLAB_FIELD(next),
                                    TSLAB_FIELD(era),
                                    TSLAB_FIELD(holds),
                                    TSLAB_FIELD(label_id),
                                    TSLAB_FIELD(state),
                                    TSLAB_FIELD(index),
                                    TSLAB_FIELD(opened_ns),
                                    TSLAB_FIELD(allocations),
                                    TSLAB_FIELD(enters),
                                    TSLAB_FIELD(exits),
                                    TSLAB_FIELD(holders),
                                    TSLAB_FIELD(closing_ns),
                                    TSLAB_FIELD(label),
                                    TSLAB_FIELD(more_holders),
                                    TSLAB_FIELD(unlisted_holders),
                                    TSLAB_FIELD(rss_before_close),
                                    TSLAB_FIELD(rss_after_close),
                                    TSLAB_FIELD(closed_madvise_bytes),
                                    TSLAB_FIELD(closed_asked_bytes),
                                    TSLAB_FIELD(closed_gone_bytes),
                                    TSLAB_FIELD(listed),
                                    TSLAB_FIELD(large_pages),
                                    TSLAB_FIELD(large_count),
                                    TSLAB_FIELD(limit_bytes),
                                    TSLAB_FIELD(limit_refusals)};
};

template <> struct fields_of<published_place> {
    using self = published_place;
    static constexpr std::array all{TSLAB_FIELD(line), TSLAB_FIELD(file), TSLAB_FIELD(function)};
};

template <> struct fields_of<place_page> {
    using self = place_page;
    static constexpr std::array all{TSLAB_FIELD(next), TSLAB_FIELD(first), TSLAB_FIELD(places)};
};

template <> struct fields_of<profile_page> {
    using self = profile_page;
    static constexpr std::array all{TSLAB_FIELD(next), TSLAB_FIELD(used), TSLAB_FIELD(words)};
};

template <> struct fields_of<published_mapping> {
    using self = published_mapping;
    static constexpr std::array all{TSLAB_FIELD(begin),    TSLAB_FIELD(end), TSLAB_FIELD(offset),
                                    TSLAB_FIELD(id_bytes), TSLAB_FIELD(id),  TSLAB_FIELD(file)};
};

template <> struct fields_of<profile_mapping_page> {
    using self = profile_mapping_page;
    static constexpr std::array all{TSLAB_FIELD(next), TSLAB_FIELD(used), TSLAB_FIELD(of)};
};

template <> struct fields_of<profile_figures> {
    using self = profile_figures;
    static constexpr std::array all{TSLAB_FIELD(interval),       TSLAB_FIELD(samples),    TSLAB_FIELD(samples_dropped),
                                    TSLAB_FIELD(stacks_dropped), TSLAB_FIELD(stacks_cut), TSLAB_FIELD(mappings_dropped),
                                    TSLAB_FIELD(stacks),         TSLAB_FIELD(pages),      TSLAB_FIELD(mapping_pages)};
};

template <> struct fields_of<last_close_record> {
    using self = last_close_record;
    static constexpr std::array all{TSLAB_FIELD(version), TSLAB_FIELD(timestamp_ns), TSLAB_FIELD(index),
                                    TSLAB_FIELD(era),     TSLAB_FIELD(label),        TSLAB_FIELD(figures)};
};

template <> struct fields_of<close_page> {
    using self = close_page;
    static constexpr std::array all{TSLAB_FIELD(of_label)};
};

template <> struct fields_of<account_stats> {
    using self = account_stats;
    static constexpr std::array all{TSLAB_FIELD(limit_bytes), TSLAB_FIELD(held), TSLAB_FIELD(refused)};
};

template <> struct fields_of<heap_stats_page> {
    using self = heap_stats_page;
    static constexpr std::array all{TSLAB_FIELD(number),
                                    TSLAB_FIELD(first_chunk),
                                    TSLAB_FIELD(name),
                                    TSLAB_FIELD(instance),
                                    TSLAB_FIELD(epoch_count),
                                    TSLAB_FIELD(slab_cache),
                                    TSLAB_FIELD(reclaim),
                                    TSLAB_FIELD(sampling),
                                    TSLAB_FIELD(background),
                                    TSLAB_FIELD(pressure),
                                    TSLAB_FIELD(made_ns),
                                    TSLAB_FIELD(decay_ns),
                                    TSLAB_FIELD(thread_cache_bytes),
                                    TSLAB_FIELD(purge_passes),
                                    TSLAB_FIELD(current),
                                    TSLAB_FIELD(arena_bytes),
                                    TSLAB_FIELD(segment_bytes),
                                    TSLAB_FIELD(pages),
                                    TSLAB_FIELD(cached),
                                    TSLAB_FIELD(misuses),
                                    TSLAB_FIELD(strays),
                                    TSLAB_FIELD(stray_events),
                                    TSLAB_FIELD(last_close),
                                    TSLAB_FIELD(closes),
                                    TSLAB_FIELD(labels_used),
                                    TSLAB_FIELD(labels),
                                    TSLAB_FIELD(labels_in_overflow),
                                    TSLAB_FIELD(labels_cut),
                                    TSLAB_FIELD(further_labels),
                                    TSLAB_FIELD(further_labels_used),
                                    TSLAB_FIELD(further_labels_missing),
                                    TSLAB_FIELD(madvise_asked),
                                    TSLAB_FIELD(madvise_gone),
                                    TSLAB_FIELD(accounts),
                                    TSLAB_FIELD(threads),
                                    TSLAB_FIELD(epochs),
                                    TSLAB_FIELD(prepared_epochs),
                                    TSLAB_FIELD(places),
                                    TSLAB_FIELD(places_missing),
                                    TSLAB_FIELD(profile),
                                    TSLAB_FIELD(descriptors),
                                    TSLAB_FIELD(subslabs),
                                    TSLAB_FIELD(generations),
                                    TSLAB_FIELD(first_page),
                                    TSLAB_FIELD(unit_links),
                                    TSLAB_FIELD(max_units),
                                    TSLAB_FIELD(arena),
                                    TSLAB_FIELD(ring_rows_at),
                                    TSLAB_FIELD(ring_record_bytes),
                                    TSLAB_FIELD(free_resident_words),
                                    TSLAB_FIELD(free_large_words)};
};

template <> struct fields_of<heap_root> {
    using self = heap_root;
    static constexpr std::array all{TSLAB_FIELD(number), TSLAB_FIELD(stats)};
};

template <> struct fields_of<heap_directory> {
    using self = heap_directory;
    static constexpr std::array all{TSLAB_FIELD(next), TSLAB_FIELD(heaps)};
};

#undef TSLAB_FIELD

template <class... T> constexpr std::uint64_t records() noexcept
{
    std::uint64_t h = 0;
    ((h = mix(h, record<T>)), ...);
    return h;
}
template <class... E> constexpr std::uint64_t enumerations() noexcept
{
    std::uint64_t h = 0;
    ((h = mix(h, enumerators<E>)), ...);
    return h;
}

/// A slab's descriptor has bit-fields, which have no offset; readers do not look at those.
constexpr std::uint64_t descriptor() noexcept
{
    std::uint64_t h = 0;
    for (std::size_t const offset :
         {offsetof(slab_meta, remote_free), offsetof(slab_meta, local_free), offsetof(slab_meta, owner),
          offsetof(slab_meta, base), offsetof(slab_meta, back), offsetof(slab_meta, home), offsetof(slab_meta, extent),
          offsetof(slab_meta, tag), offsetof(slab_meta, where), offsetof(slab_meta, was), sizeof(slab_meta)})
        h = mix(h, offset);
    return h;
}

}

std::uint64_t layout_number() noexcept
{
    static constexpr std::uint64_t number = [] {
        std::uint64_t h =
            records<page_figures::class_purges, page_figures, unit_link, segment_chunk, cache_stats_page, label_rows,
                    class_stats_page, timing_stats_page, cost_buckets, cost_row, label_page, thread_stats_page,
                    lock_histograms, published_holder, holder_page, epoch_stats_page, published_place, place_page,
                    profile_page, published_mapping, profile_mapping_page, profile_figures, last_close_record,
                    close_page, account_stats, heap_stats_page, heap_root, heap_directory>();
        h = mix(h, enumerations<class_event, heap_event, contention_event, misuse, lifecycle, residence, cost,
                                reclaim_policy, background_state, pressure_state, purge_cause, profile_page::word>());
        h = mix(h, descriptor());
        // A cache is read as a whole, by the same code.
        for (std::uint64_t const count :
             {sizeof(thread_cache), std::size_t{stepping_counter::limit}, segment_chunk::bytes, std::size_t{bin_count},
              std::size_t{class_count}, std::size_t{max_subslabs}, std::size_t{label_buckets}})
            h = mix(h, count);
        for (std::size_t const offset :
             {offsetof(thread_cache, bins_), offsetof(thread_cache, slow_bins_), offsetof(thread_cache, peak_pages_),
              offsetof(thread_cache, era_), offsetof(thread_cache, slot_), offsetof(thread_cache, counted_frees_)})
            h = mix(h, offset);
        return h;
    }();
    return number;
}

}
