// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap of another process, with the interface that epoch/snapshot/assembly.hpp requires. Included by observer.cpp alone.
#pragma once
#include "segment_copy.hpp"

namespace tslab {

namespace {

/// The process whose memory the kernel is asked for.
struct seen_process {
    pid_t pid;    ///< 0 for a file
    pid_t task;   ///< a thread of it that lives, by whose number its memory is read; 0 if the process is gone
};

/// A heap of another process, for assemble.
class seen_heap {
public:
    /// `offset_ns`: from this process's CLOCK_MONOTONIC to that of the heap's process; none if that process is gone.
    /// `again`: the same segment, copied after `copy`. `stats` lies in `copy`.
    seen_heap(copy_of_segment const& copy, copy_of_segment const& again, heap_stats_page const& stats, seen_process of,
              std::optional<std::int64_t> offset_ns, std::uint64_t& frees_published)
        : copy_{copy},
          again_{again},
          stats_{stats},
          memory_{of.task},
          flags_{of.task},
          process_{of},
          offset_ns_{offset_ns},
          frees_published_{frees_published},
          holder_pages_left_{2 * copy.bytes_used() / sizeof(holder_page)}
    {
        read();
    }

    [[nodiscard]] heap_stats_page const& stats() const noexcept { return stats_; }
    [[nodiscard]] std::string name() const { return std::string{text_of(stats().name)}; }
    /// Its number as this process sees it; for a file, the number that it had for itself.
    [[nodiscard]] std::int64_t pid() const noexcept { return process_.pid != 0 ? process_.pid : copy_.header().pid; }
    [[nodiscard]] bool live_known() const noexcept { return live_known_; }
    [[nodiscard]] clock_reading clocks() const noexcept;

    template <class F> void for_each_thread(F visit) const
    {
        for (thread const& t : threads_)
            visit(
                *t.stats, [&](unsigned c) { return row_of(*t.stats, c); },
                [&](unsigned c, std::uint32_t group) { return labels_of(row_of(*t.stats, c), group); },
                thread_times{copy_.at(t.stats->times.load(std::memory_order_relaxed)),
                             copy_.at(t.stats->locks.load(std::memory_order_relaxed))},
                [&] {
                    cache_sums sums;
                    for (std::size_t i = t.first_cache; i < t.end_cache; ++i) {
                        seen_cache const& l = caches_[i];
                        if (thread_cache const* const now = cache_of(l))
                            sums.add([now](unsigned bin) { return now->allocations(bin).value(); },
                                     now->counted_frees().value());
                        else
                            sums.add([&l](unsigned bin) { return l.stats->allocations[bin].value(); },
                                     l.stats->counted_frees.value());
                    }
                    return sums;
                });
    }
    template <class F> void for_each_cache_at_work(F visit) const
    {
        for (seen_cache const& l : caches_)
            if (thread_cache const* const now = cache_of(l); now != nullptr && now->era() != 0)
                visit(now->slot(), now->era(), [now] { return std::pair{now->allocations_of_era(), true}; });
    }

    template <class F> void for_each_cost_row(F visit) const
    {
        // The bounds end lists that are cyclic.
        std::size_t left = copy_.bytes_used() / sizeof(cost_row);
        for (thread const& t : threads_)
            for (cost_row const* row = copy_.at(t.stats->costs.load(std::memory_order_relaxed));
                 row != nullptr && left-- != 0; row = copy_.at(row->next.load(std::memory_order_relaxed)))
                visit(*row, [&](cost c, std::size_t g) {
                    auto const* const at = row->buckets[static_cast<std::size_t>(c)][g].load(std::memory_order_relaxed);
                    cost_buckets const* const there = copy_.at(at);
                    return seen_buckets{there, at == nullptr || there != nullptr || copy_.is_newer(at)};
                });
    }
    template <class F> void for_each_further_names(F visit) const
    {
        std::size_t left = copy_.bytes_used() / sizeof(label_page);
        for (label_page const* p = copy_.at(stats().further_labels.load(std::memory_order_relaxed));
             p != nullptr && left-- != 0; p = copy_.at(p->next.load(std::memory_order_relaxed)))
            visit(p->first, p->names);
    }

    [[nodiscard]] std::string thread_name(std::uint32_t tid) const
    {
        // In a container the threads of the process have other numbers there than here.
        bool const ours = process_.task != 0 && copy_.header().pid == process_.pid;
        return ours ? read_thread_name(process_.pid, tid) : std::string{};
    }

    [[nodiscard]] std::uint32_t prepared_epochs() const noexcept { return prepared_; }
    /// Null if the epoch was opened anew during the copy: its fields may be of two eras.
    [[nodiscard]] epoch_stats_page const* epoch(std::uint32_t i) const noexcept
    {
        auto const* const before = copy_.at<epoch_stats_page>(epochs_[i]);
        auto const* const after = again_.at<epoch_stats_page>(epochs_[i]);
        bool const same = before != nullptr && after != nullptr &&
                          before->era.load(std::memory_order_relaxed) == after->era.load(std::memory_order_relaxed);
        return same ? before : nullptr;
    }
    [[nodiscard]] oldest_holder oldest_holder_of(std::uint32_t, epoch_stats_page const& e) const
    {
        if (e.era.load(std::memory_order_relaxed) == 0)
            return {};
        return find_oldest_holder([&](auto visit) {
            for (published_holder const& h : e.holders)
                visit(h);
            for (holder_page const* p = copy_.at(e.more_holders.load(std::memory_order_relaxed));
                 p != nullptr && holder_pages_left_ != 0; p = copy_.at(p->next.load(std::memory_order_relaxed))) {
                --holder_pages_left_;
                for (published_holder const& h : p->holders)
                    visit(h);
            }
        });
    }
    [[nodiscard]] close_page const* closes() const noexcept
    {
        return copy_.at(stats().closes.load(std::memory_order_relaxed));
    }
    [[nodiscard]] published_place const* place(std::uint32_t number) const noexcept
    {
        return number < places_.size() ? places_[number] : nullptr;
    }

    [[nodiscard]] std::uint32_t used_pages() const noexcept { return pages_; }
    [[nodiscard]] slab_meta const& at(std::uint32_t i) const noexcept
    {
        return reinterpret_cast<slab_meta const*>(descriptors_.data())[i];
    }
    [[nodiscard]] std::uint32_t live(slab_meta const& page, unsigned bin) const noexcept
    {
        auto const of = [bin](slab_meta const& subslab) {
            return static_cast<std::uint32_t>(
                std::popcount(bins[bin].full_mask & ~(subslab.remote_free.load(std::memory_order_relaxed) |
                                                      subslab.local_free.load(std::memory_order_relaxed))));
        };
        if (!has_subslabs(bin))
            return of(page);
        std::uint32_t const index = index_of(page);
        auto const found = std::ranges::lower_bound(subslab_pages_, index);
        if (found == subslab_pages_.end() || *found != index)
            return 0;
        auto const* const subslabs = reinterpret_cast<slab_meta const*>(subslabs_.data()) +
                                     static_cast<std::size_t>(found - subslab_pages_.begin()) * max_subslabs;
        std::uint32_t n = 0;
        for (unsigned k = 0; k < bins[bin].subslabs; ++k)
            n += of(subslabs[k * subslab_stride(bin)]);
        return n;
    }
    [[nodiscard]] bool is_retained(slab_meta const& page, unsigned bin) const noexcept
    {
        seen_cache const* const l = cache_owning(page);
        if (l == nullptr || live(page, bin) != 0)
            return false;
        thread_cache const* const now = cache_of(*l);
        return l->stats->era.load(std::memory_order_relaxed) == 0 || (now != nullptr && now->unused_in_era(bin));
    }
    [[nodiscard]] epoch_id home_of(slab_meta const& page, std::uint32_t) const noexcept
    {
        if (seen_cache const* const l = cache_owning(page)) {
            // Its memory was read beside the descriptors, its stats page before them: the cache may have changed its epoch.
            if (thread_cache const* const now = cache_of(*l); now != nullptr && is_known({now->slot(), now->era()}))
                return {now->slot(), now->era()};
            return {l->stats->slot.load(std::memory_order_relaxed), l->stats->era.load(std::memory_order_relaxed)};
        }
        auto const home = reinterpret_cast<std::uintptr_t>(page.home.load(std::memory_order_relaxed));
        std::uint64_t const each = stats().ring_record_bytes;
        std::uint32_t slot = prepared_;
        for (unsigned row = 0; row < ring_rows::most && each != 0; ++row) {
            std::uint64_t const begin = stats().ring_rows_at[row].load(std::memory_order_relaxed);
            if (begin != 0 && home >= begin && (home - begin) / each < ring_rows::size_of(row) &&
                (home - begin) % each == 0)
                slot = ring_rows::begin_of(row) + static_cast<std::uint32_t>((home - begin) / each);
        }
        if (slot >= prepared_)
            return {};
        epoch_stats_page const* const e = epoch(slot);
        return e != nullptr ? epoch_id{slot, e->era.load(std::memory_order_relaxed)} : epoch_id{};
    }
    [[nodiscard]] bool is_known(epoch_id id) const noexcept
    {
        epoch_stats_page const* const e = id.era != 0 && id.index < prepared_ ? epoch(id.index) : nullptr;
        return e != nullptr && e->era.load(std::memory_order_relaxed) == id.era;
    }
    [[nodiscard]] unsigned free_resident_class(std::uint32_t i) const noexcept
    {
        auto const has = [i](std::vector<std::uint64_t> const& set) { return (set[i / 64] >> (i % 64) & 1U) != 0; };
        if (!has(free_resident_))
            return class_count + 1;
        std::uint8_t const was = at(i).was.load(std::memory_order_relaxed);
        bool const slab_before = was != tag_none && was != tag_large && was - 1U < bin_count;
        return has(free_large_) || !slab_before ? large_class : class_of_bin(was - 1U);
    }

    [[nodiscard]] bool residency_known() const noexcept { return flags_.known(); }
    [[nodiscard]] std::vector<unsigned char> resident_pages() const
    {
        std::vector<unsigned char> all;
        order_.for_each_run([&](unit_run r, std::uint32_t) {
            std::vector<unsigned char> const of = flags_.of(stats().first_page + (std::uint64_t{r.first} << unit_shift),
                                                            std::uint64_t{r.count} * unit_pages);
            all.insert(all.end(), of.begin(), of.end());
        });
        return all;
    }
    [[nodiscard]] std::uint64_t rss_bytes() const { return process_.task != 0 ? read_rss_bytes_of(process_.task) : 0; }
    [[nodiscard]] std::uint64_t metadata_bytes() const noexcept
    {
        return stats().pages.metadata_bytes.load(std::memory_order_relaxed) +
               stats().arena_bytes.load(std::memory_order_relaxed) +
               stats().segment_bytes.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t missing_chunks() const noexcept
    {
        return copy_.header().missing.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t resident_metadata_bytes() const
    {
        std::uint64_t n = resident_arena_bytes();
        std::size_t left = copy_.bytes_used() / segment_chunk::bytes;
        segment_chunk const* at = stats().first_chunk.load(std::memory_order_relaxed);
        for (segment_chunk const* c = copy_.at(at); c != nullptr && left-- != 0; c = copy_.at(at)) {
            n += flags_.resident_bytes(reinterpret_cast<std::uintptr_t>(at), segment_chunk::bytes);
            at = c->next.load(std::memory_order_relaxed);
        }
        order_.for_each_run([&](unit_run r, std::uint32_t) {
            auto const of = [&](std::uint64_t table, std::uint64_t each) {
                return flags_.resident_bytes(table + r.first * each, r.count * each);
            };
            n += of(stats().descriptors, address_window::slab_bytes_of_unit) +
                 of(stats().subslabs, address_window::subslab_bytes_of_unit) +
                 of(stats().generations, address_window::generation_bytes_of_unit) +
                 r.count * address_window::word_bytes_of_unit;
        });
        return n;
    }
    [[nodiscard]] std::uint64_t never_less(std::uint64_t frees) const noexcept
    {
        frees_published_ = std::max(frees_published_, frees);
        return frees_published_;
    }

    /// Adds what epochs hold, without reading the slabs.
    void add_held(snapshot& s, std::vector<epoch_stats*> const& of_slot) const
    {
        auto const add = [&](epoch_stats& e, unsigned bin, std::uint64_t slabs) {
            if (slabs == 0)
                return;
            std::uint64_t const pages = slabs * bins[bin].pages;
            unsigned const c = class_of_bin(bin);
            e.slabs += slabs;
            e.partial_slabs += slabs;
            e.slab_pages += pages;
            s.classes[c].partial_slabs += slabs;
            s.global.slabs_in_use += slabs;
            s.global.slab_pages += pages;
            auto share = std::ranges::find_if(e.classes, [c](class_share const& of) { return of.class_index == c; });
            if (share == e.classes.end())
                share = e.classes.insert(e.classes.end(), class_share{.class_index = c});
            share->slabs += slabs;
            share->pages += pages;
        };
        constexpr std::uint64_t most = std::uint64_t{1} << 32;   // pages a heap may have
        for (std::uint32_t i = 0; i < prepared_; ++i) {
            epoch_stats_page const* const page = epoch(i);
            if (of_slot[i] == nullptr || page == nullptr)
                continue;
            for (unsigned bin = 0; bin < bin_count; ++bin)
                add(*of_slot[i], bin, page->listed[bin].load(std::memory_order_relaxed));
            std::uint64_t const large = std::min(page->large_pages.load(std::memory_order_relaxed), most);
            of_slot[i]->large_pages += large;
            s.classes[large_class].large_pages += large;
            s.global.large_pages += large;
        }
        for (seen_cache const& l : caches_) {
            std::uint32_t const slot = l.stats->slot.load(std::memory_order_relaxed);
            std::uint64_t const era = l.stats->era.load(std::memory_order_relaxed);
            if (era == 0 || slot >= prepared_ || of_slot[slot] == nullptr || of_slot[slot]->era != era)
                continue;
            for (unsigned bin = 0; bin < bin_count; ++bin)
                add(*of_slot[slot], bin, l.stats->owned[bin].load(std::memory_order_relaxed));
        }
        std::uint64_t cached_pages = 0;
        for (class_stats& c : s.classes) {
            c.cached_slabs = c.class_index < class_count ? c.cache_size : 0;
            s.global.slabs_cached += c.cached_slabs;
            cached_pages += c.cached_slabs * c.pages_per_slab;
        }
        s.global.committed_bytes =
            (cached_pages + s.global.free_resident_pages + s.global.slab_pages + s.global.large_pages) * page_bytes;
    }

    /// Whether locks were timed: the segment does not say whether they still are.
    [[nodiscard]] bool locks_are_timed(std::uint64_t samples) const noexcept { return samples != 0; }

private:
    struct thread {
        thread_stats_page const* stats;
        std::size_t first_cache;
        std::size_t end_cache;
    };
    struct seen_cache {
        std::uint64_t address;
        cache_stats_page const* stats;
        std::size_t place;   ///< in cache_memory_
    };

    [[nodiscard]] std::uint64_t last_sign_of_life() const noexcept;
    void read_caches();
    [[nodiscard]] class_stats_page const* row_of(thread_stats_page const& t, unsigned c) const noexcept
    {
        return copy_.at(t.classes[c].load(std::memory_order_relaxed));
    }
    [[nodiscard]] label_rows const* labels_of(class_stats_page const* row, std::uint32_t group) const noexcept
    {
        return row != nullptr ? copy_.at(row->contention[group].load(std::memory_order_relaxed)) : nullptr;
    }

    /// Address of each ring slot's stats page; 0 if it has none.
    void read_epochs();
    /// The source places by number; null where none is published.
    void read_places();
    /// All of these.
    void read()
    {
        prepared_ = std::min(stats_.prepared_epochs.load(std::memory_order_relaxed), stats_.epoch_count);
        read_epochs();
        read_places();
        read_caches();
        live_known_ = process_.task != 0 && read_memory();
    }
    /// Reads the heap's units; false if they cannot be read, or are not plausible.
    bool read_runs();
    /// Reads descriptors, subslabs, thread caches and the sets of free pages; false if any cannot be read.
    bool read_memory();
    void forget_memory();
    bool read_descriptors();
    [[nodiscard]] static slab_meta& slab_in(bytes& of, std::size_t i) noexcept
    {
        return reinterpret_cast<slab_meta*>(of.data())[i];
    }

    [[nodiscard]] std::uint32_t index_of(slab_meta const& page) const noexcept
    {
        return static_cast<std::uint32_t>(&page - reinterpret_cast<slab_meta const*>(descriptors_.data()));
    }
    [[nodiscard]] seen_cache const& cache_at(std::ptrdiff_t i) const noexcept
    {
        return caches_[static_cast<std::size_t>(i)];
    }
    [[nodiscard]] thread_cache const* cache_of(seen_cache const& l) const noexcept
    {
        return cache_memory_.size() != 0 ? reinterpret_cast<thread_cache const*>(cache_memory_.data()) + l.place
                                         : nullptr;
    }
    /// The thread cache whose memory `owner` points into.
    [[nodiscard]] seen_cache const* cache_owning(slab_meta const& page) const noexcept
    {
        owner_ref const ref = page.owner.load(std::memory_order_relaxed);
        if (!ref.is_cache_bin())
            return nullptr;
        std::uintptr_t const owner = ref.bin_address();
        auto const behind =
            std::ranges::upper_bound(by_address_, owner, {}, [this](auto i) { return cache_at(i).address; });
        if (behind == by_address_.begin())
            return nullptr;
        seen_cache const& l = cache_at(*(behind - 1));
        return owner - l.address < sizeof(thread_cache) ? &l : nullptr;
    }
    [[nodiscard]] std::uint64_t resident_arena_bytes() const
    {
        constexpr unsigned most_pieces = 65'536;
        constexpr std::uint64_t most_bytes = std::uint64_t{1} << 36;
        std::uint64_t n = 0;
        std::uint64_t left = most_bytes;   // of all pieces, also of a list that is cyclic
        std::uint64_t at = stats().arena.load(std::memory_order_relaxed);
        for (unsigned i = 0; at != 0 && i < most_pieces; ++i) {
            arena_piece piece;
            if (!memory_.read(at, &piece, sizeof(piece)) || piece.bytes > left)
                break;
            left -= piece.bytes;
            n += flags_.resident_bytes(at, piece.bytes);
            at = piece.next;
        }
        return n;
    }

    copy_of_segment const& copy_;
    copy_of_segment const& again_;
    heap_stats_page const& stats_;
    other_memory memory_;
    page_flags flags_;
    seen_process process_;
    std::optional<std::int64_t> offset_ns_;
    std::uint64_t& frees_published_;
    std::vector<std::uint64_t> epochs_;
    std::vector<published_place const*> places_;
    mutable std::size_t holder_pages_left_;   // of all epochs: ends lists that are cyclic or run into each other
    std::uint32_t prepared_ = 0;
    std::vector<thread> threads_;
    std::vector<seen_cache> caches_;
    std::vector<std::ptrdiff_t> by_address_;
    bytes cache_memory_{0};
    bool live_known_ = false;
    std::uint32_t pages_ = 0;
    page_order order_;
    bytes descriptors_{0};                       ///< in that order
    std::vector<std::uint32_t> subslab_pages_;   ///< pages with subslabs, ascending, as in subslabs_
    bytes subslabs_{0};
    std::vector<std::uint64_t> free_resident_;
    std::vector<std::uint64_t> free_large_;
};
static_assert(readable_heap<seen_heap>);

}

}
