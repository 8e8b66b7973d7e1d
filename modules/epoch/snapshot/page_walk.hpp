// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Counts slabs and pages for a snapshot, by walking the descriptors of all pages ever used. Included by assembly.hpp.
#pragma once

namespace tslab {

using pages_by_class = std::array<class_share, class_count + 1>;

/// The pages of a heap numbered from 0 in address order, without the gaps between its runs of units.
class page_order {
public:
    inline void add(unit_run r)
    {
        if (r.count == 0)
            return;
        runs_.push_back({r, size_});
        size_ += r.count * unit_pages;
    }
    [[nodiscard]] inline std::uint32_t size() const noexcept { return size_; }
    /// The page number in the window of page `i`. Requires: i < size().
    [[nodiscard]] inline std::uint32_t page_of(std::uint32_t i) const noexcept
    {
        auto const behind = std::ranges::upper_bound(runs_, i, {}, &placed::begin);
        placed const& r = *(behind - 1);
        return r.run.first * unit_pages + (i - r.begin);
    }
    template <class F> void for_each_run(F visit) const
    {
        for (placed const& r : runs_)
            visit(r.run, r.begin);
    }

private:
    struct placed {
        unit_run run;
        std::uint32_t begin;   ///< number of its first page
    };
    std::vector<placed> runs_;
    std::uint32_t size_ = 0;
};

/// Walks the pages ever used and adds each to its class, its epoch, and its term of the waterfall.
template <readable_heap Heap> class page_walk {
public:
    page_walk(Heap& heap, snapshot& s, std::vector<epoch_stats*> const& of_slot, bool residency)
        : heap_{heap}, s_{s}, of_slot_{of_slot}, shares_(of_slot.size()), pages_{heap.used_pages()}
    {
        if (residency)
            resident_ = heap.resident_pages();
        if (residency && resident_.size() == pages_) {   // else the system's pages are larger than 4 KiB
            s.waterfall.emplace();
            for (class_stats& c : s.classes)
                c.resident_bytes = 0;
            for (epoch_stats& e : s.epochs)
                e.resident_bytes = 0;
        }
    }

    void run()
    {
        for (std::uint32_t i = 0; i < pages_;)
            i += add(i);
        for (std::size_t slot = 0; slot < shares_.size(); ++slot)
            if (of_slot_[slot] != nullptr)
                for (class_share const& share : shares_[slot])
                    if (share.pages != 0)
                        of_slot_[slot]->classes.push_back(share);
        std::uint64_t const idle = (cached_pages_ + s_.global.free_resident_pages) * page_bytes;
        s_.global.committed_bytes = idle + (s_.global.slab_pages + s_.global.large_pages) * page_bytes;
        s_.global.empty_held_bytes += idle;
    }

private:
    /// Adds the slab, allocation or free page that begins at page `i`; returns its number of pages.
    std::uint32_t add(std::uint32_t i) noexcept
    {
        slab_meta const& page = heap_.at(i);
        residence const where = page.where.load(std::memory_order_relaxed);
        unsigned const bin = page.bin();
        if (where == residence::large)
            return add_large(i, page);
        if (where == residence::unused || bin >= bin_count) {   // or freed during the read
            add_free(i);
            return 1;
        }
        std::uint32_t const pages = std::min<std::uint32_t>(bins[bin].pages, pages_ - i);
        if (where == residence::cached || heap_.is_retained(page, bin)) {
            add_cached(i, pages, class_of_bin(bin));
            return pages;
        }
        std::uint64_t const live = std::min(heap_.live(page, bin), bins[bin].slab_slots());
        // The words were read with acquire: if they are those of a slab of another bin, re-cut during the read, the new
        // tag is seen too, or none.
        if (page.bin() != bin) {
            add_free(i);
            return 1;
        }
        add_slab(i, pages, page, bin, live);
        return pages;
    }

    void add_free(std::uint32_t i) noexcept
    {
        unsigned const c = heap_.free_resident_class(i);
        if (c < class_count)
            ++s_.classes[c].cache_overflow_len;
        if (s_.waterfall)
            s_.waterfall->free_bytes += resident(i);
    }

    void add_cached(std::uint32_t first, std::uint32_t pages, unsigned c) noexcept
    {
        ++s_.classes[c].cached_slabs;
        ++s_.global.slabs_cached;
        cached_pages_ += pages;
        if (s_.waterfall)
            s_.waterfall->cached_bytes += resident(first, pages);
    }

    void add_slab(std::uint32_t first, std::uint32_t pages, slab_meta const& page, unsigned bin,
                  std::uint64_t live) noexcept
    {
        unsigned const index = class_of_bin(bin);
        std::uint64_t const bytes = std::uint64_t{pages} * page_bytes;
        std::uint64_t const live_bytes = live * bins[bin].size;
        bool const full = live == bins[bin].slab_slots();
        class_stats& c = s_.classes[index];
        ++(full ? c.full_slabs : c.partial_slabs);
        c.empty_slabs += live == 0 ? 1 : 0;
        c.live_objects += live;
        c.live_bytes += live_bytes;
        ++s_.global.slabs_in_use;
        s_.global.slab_pages += pages;
        s_.global.empty_held_bytes += live == 0 ? bytes : 0;
        std::uint32_t const slot = slot_of(page);   // read once: the slab may be recycled meanwhile
        if (epoch_stats* const e = epoch_at(slot)) {
            ++e->slabs;
            e->slab_pages += pages;
            ++(full ? e->full_slabs : e->partial_slabs);
            e->empty_slabs += live == 0 ? 1 : 0;
            e->empty_slab_pages += live == 0 ? pages : 0;
            class_share& of = share(slot, index, 1, pages, live, live_bytes);
            of.full_slabs += full ? 1 : 0;
            of.empty_slabs += live == 0 ? 1 : 0;
        }
        if (!s_.waterfall)
            return;
        add_to_waterfall(*s_.waterfall, first, pages, bin, live_bytes);
        add_resident(slot, index, resident(first, pages));
    }

    /// Splits a slab's resident bytes: as many as possible count as live, since untouched pages hold no live object.
    void add_to_waterfall(waterfall_stats& w, std::uint32_t first, std::uint32_t pages, unsigned bin,
                          std::uint64_t live_bytes) noexcept
    {
        std::uint64_t const bytes = std::uint64_t{pages} * page_bytes;
        std::uint64_t const there = resident(first, pages);
        std::uint64_t const tail = bytes - std::uint64_t{bins[bin].slab_slots()} * bins[bin].size;
        std::uint64_t const live = std::min(live_bytes, there);
        std::uint64_t const slack = resident(first + pages - 1) != 0 ? std::min(tail, there - live) : 0;
        w.untouched_bytes += bytes - there;
        w.live_bytes += live;
        w.slack_bytes += slack;
        w.empty_slot_bytes += there - live - slack;
    }

    std::uint32_t add_large(std::uint32_t first, slab_meta const& page) noexcept
    {
        large_allocation const large{page};
        std::uint32_t const pages = std::min(std::max(large.pages(), 1U), pages_ - first);
        std::uint64_t const bytes = std::min(large.bytes(), std::uint64_t{pages} << page_shift);
        std::atomic_thread_fence(std::memory_order_acquire);   // the size is read before the tag is read again
        if (page.tag.load(std::memory_order_relaxed) != tag_large) {
            add_free(first);   // freed during the read
            return 1;
        }
        class_stats& c = s_.classes[large_class];
        c.large_pages += pages;
        ++c.live_objects;
        c.live_bytes += bytes;
        s_.global.large_pages += pages;
        std::uint32_t const slot = slot_of(page);
        if (epoch_stats* const e = epoch_at(slot)) {
            e->large_pages += pages;
            share(slot, large_class, 0, pages, 1, bytes);
        }
        if (!s_.waterfall)
            return pages;
        std::uint64_t const there = resident(first, pages);
        std::uint64_t const all = std::uint64_t{pages} * page_bytes;
        std::uint64_t const tail =
            bytes < all && resident(first + pages - 1) != 0 ? std::min(all - bytes, page_bytes) : 0;
        s_.waterfall->untouched_bytes += all - there;
        s_.waterfall->slack_bytes += tail;
        s_.waterfall->live_bytes += there - tail;
        add_resident(slot, large_class, there);
        return pages;
    }

    /// The ring slot of the epoch that a page belongs to; no_slot if it belongs to none, or to one that was opened
    /// after the epochs were read: such pages are in the totals, and in no epoch.
    [[nodiscard]] std::uint32_t slot_of(slab_meta const& page) const noexcept
    {
        epoch_id const home = heap_.home_of(page, static_cast<std::uint32_t>(of_slot_.size()));
        epoch_stats const* const read = epoch_at(home.index);
        return read != nullptr && home.era != 0 && read->era == home.era ? home.index : no_slot;
    }
    [[nodiscard]] epoch_stats* epoch_at(std::uint32_t slot) const noexcept
    {
        return slot < of_slot_.size() ? of_slot_[slot] : nullptr;
    }
    class_share& share(std::uint32_t slot, unsigned c, std::uint64_t slabs, std::uint64_t pages, std::uint64_t live,
                       std::uint64_t bytes) noexcept
    {
        of_slot_[slot]->live_objects += live;
        of_slot_[slot]->live_bytes += bytes;
        class_share& of = shares_[slot][c];
        of.class_index = c;
        of.slabs += slabs;
        of.pages += pages;
        of.live_objects += live;
        of.live_bytes += bytes;
        return of;
    }
    void add_resident(std::uint32_t slot, unsigned c, std::uint64_t bytes) noexcept
    {
        auto const add = [bytes](auto& to) { to = to.value_or(0) + bytes; };
        add(s_.classes[c].resident_bytes);
        if (epoch_stats* const e = epoch_at(slot))
            add(e->resident_bytes);
    }
    [[nodiscard]] std::uint64_t resident(std::uint32_t i) const noexcept { return resident_[i] != 0 ? page_bytes : 0; }
    [[nodiscard]] std::uint64_t resident(std::uint32_t first, std::uint32_t pages) const noexcept
    {
        std::uint64_t bytes = 0;
        for (std::uint32_t i = first; i < first + pages; ++i)
            bytes += resident(i);
        return bytes;
    }

    static constexpr std::uint32_t no_slot = ~std::uint32_t{0};

    Heap& heap_;
    snapshot& s_;
    std::vector<epoch_stats*> const& of_slot_;
    std::vector<pages_by_class> shares_;
    std::vector<unsigned char> resident_;
    std::uint64_t cached_pages_ = 0;
    std::uint32_t pages_;
};

}
