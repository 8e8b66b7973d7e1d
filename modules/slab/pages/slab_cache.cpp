// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
module tslab.slab;

import tslab.stats;

namespace tslab {

slab_cache::slab_cache(reclaim_policy policy, std::uint32_t capacity, std::size_t reserve_bytes, bool huge_pages,
                       page_figures* published, atomic<std::uint32_t>* published_cached)
    : pages_{reserve_bytes, huge_pages, published},
      published_cached_{published_cached},
      policy_{policy},
      capacity_{policy == reclaim_policy::eager ? 0 : capacity}
{
}

void slab_cache::note_count(class_cache& cache) noexcept
{
    cache.fewest = std::min(cache.fewest, cache.slabs.size());
    cache.count.store(cache.slabs.size(), std::memory_order_relaxed);
    if (published_cached_ != nullptr)
        published_cached_[&cache - per_class_.data()].store(cache.slabs.size(), std::memory_order_relaxed);
}

slab_meta* slab_cache::take_cached(unsigned c, std::uint32_t most, std::uint32_t& taken, lock_site const& site) noexcept
{
    class_cache& cache = per_class_[c];
    slab_meta* chain = nullptr;
    taken = 0;
    if (cache.count.load(std::memory_order_relaxed) == 0)   // a hint: the list decides, under its lock
        return nullptr;
    lock_guard const guard{cache.lock, site};
    for (slab_meta* s = nullptr; taken < most && (s = cache.slabs.pop()) != nullptr; ++taken) {
        s->next = chain;
        chain = s;
    }
    note_count(cache);
    return chain;
}

slab_meta* slab_cache::take(unsigned bin, class_counters& counts, lock_site const& site, bool again) noexcept
{
    std::uint32_t taken = 0;
    slab_meta* s = take_cached(class_of_bin(bin), 1, taken, site);
    if (s != nullptr || !again)
        counts[s != nullptr ? class_event::cache_hit : class_event::cache_miss].add();
    for (; s != nullptr; s = take_cached(class_of_bin(bin), 1, taken, site)) {
        if (turn_into(*s, bin))
            return s;
        bool const out_of_memory = page_heap::serves_handles(page_heap::index_of(*s), bins[bin].slots);
        discard(*s, site);
        if (out_of_memory)
            return nullptr;
    }
    s = cut(bin, site);
    if (s != nullptr)
        counts[class_event::new_slab].add();
    return s;
}

bool slab_cache::turn_into(slab_meta& s, unsigned bin) noexcept
{
    if (s.bin() == bin)
        return true;
    std::uint32_t const page = page_heap::index_of(s);
    if (bin >= class_count && (!pages_.commit_generations(page) || !page_heap::serves_handles(page, bins[bin].slots)))
        return false;
    s.tag.store(static_cast<std::uint8_t>(bin + 1), std::memory_order_relaxed);
    return true;
}

void slab_cache::retire_from_handles(slab_meta& s, unsigned bin) noexcept
{
    if (bin >= class_count && !page_heap::serves_handles(page_heap::index_of(s), bins[bin].slots)) [[unlikely]]
        s.tag.store(static_cast<std::uint8_t>(class_of_bin(bin) + 1), std::memory_order_relaxed);
}

/// Cuts a slab from free pages.
// Modelled: tests/models/chunks.pml, step cut
slab_meta* slab_cache::cut(unsigned bin, lock_site const& site) noexcept
{
    bin_geometry const& b = bins[bin];
    slab_meta* const first = pages_.take(b.pages, b.slab_bytes(), site, bin >= class_count ? b.slots : 0);
    if (first == nullptr)
        return nullptr;
    std::uint32_t const index = page_heap::index_of(*first);
    if ((bin >= class_count && !pages_.commit_generations(index)) ||
        (has_subslabs(bin) && !pages_.commit_subslabs(index))) {
        pages_.give(*first, b.pages, false, site);
        return nullptr;
    }
    shape(*first, bin);
    return first;
}

void slab_cache::recut(slab_meta& s, unsigned bin) noexcept
{
    make_plain(s);
    shape(s, bin);
}

/// Cuts a slab from pages that the caller holds. Their former tag stays in `was` until the thread that gets the slab
/// has looked for late frees.
void slab_cache::shape(slab_meta& s, unsigned bin) const noexcept
{
    bin_geometry const& b = bins[bin];
    std::uint32_t const index = page_heap::index_of(s);
    // release: after the tag was removed (see first_subslab).
    s.local_free.store(has_subslabs(bin) ? ~std::uint64_t{0} : b.full_mask, std::memory_order_release);
    if (has_subslabs(bin)) {
        slab_meta* subslab = page_heap::subslabs_at(index);
        for (unsigned k = 0; k < b.subslabs; ++k, subslab += subslab_stride(bin)) {
            make_subslab(*subslab, s, bin, s.base + std::size_t{k} * (b.offset_mask + 1));
            if (with_checks && clears_slots_)
                memory_checks::clear(subslab->base, b.size, b.slots);
        }
    } else if (with_checks && clears_slots_) {
        memory_checks::clear(s.base, b.size, b.slots);
    }
    s.owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
    s.home.store(nullptr, std::memory_order_relaxed);
    for (std::uint32_t i = 1; i < b.pages; ++i)
        page_heap::at(index + i).tag.store(static_cast<std::uint8_t>(tag_inside + bin), std::memory_order_relaxed);
    s.tag.store(static_cast<std::uint8_t>(bin + 1), std::memory_order_relaxed);
}

bool slab_cache::put(slab_meta& s, lock_site const& site) noexcept
{
    s.next = nullptr;
    return put_chain(&s, site) == 1;
}

std::uint32_t slab_cache::put_chain(slab_meta* first, lock_site const& site) noexcept
{
    if (first == nullptr)
        return 0;
    unsigned const c = class_of_bin(first->bin());
    class_cache& cache = per_class_[c];
    std::uint32_t const most = capacity(c);
    slab_meta* s = first;
    std::uint32_t kept = 0;
    if (cache.count.load(std::memory_order_relaxed) < most) {
        lock_guard const guard{cache.lock, site};
        for (; s != nullptr && cache.slabs.size() < most; ++kept) {
            slab_meta* const next = s->next;
            s->where.store(residence::cached, std::memory_order_relaxed);
            cache.slabs.push(*s);
            s = next;
        }
        note_count(cache);
    }
    discard_chain(s, site);
    return kept;
}

/// Whether a page, or a subslab that it was cut into, has the trace of a late free that was not looked for yet.
bool slab_cache::has_late_frees(slab_meta const& page) const noexcept
{
    if (page.remote_free.load(std::memory_order_relaxed) != 0)
        return true;
    unsigned const bin = page.last_bin();
    if (bin >= bin_count || !has_subslabs(bin))
        return false;
    slab_meta const* subslab = page_heap::subslabs_at(page_heap::index_of(page));
    for (unsigned k = bins[bin].subslabs; k-- > 0; subslab += subslab_stride(bin))
        if (subslab->remote_free.load(std::memory_order_relaxed) != 0)
            return true;
    return false;
}

/// Returns the pages of a slab to the page heap: those that were purged while objects lived in others as purged pages.
// Modelled: tests/models/survivors.pml, step give_pages
void slab_cache::give_pages(slab_meta& s, unsigned bin, lock_site const& site) noexcept
{
    bin_geometry const& b = bins[bin];
    std::uint64_t const purged = purged_slots(s);
    s.partly_purged = false;
    // Once the first page is returned, other threads may use the slab's pages.
    std::uint32_t from = 0;
    for_each_unused_run(b, purged, [&](page_run run) {
        if (from < run.first)
            pages_.give((&s)[from], run.first - from, false, site);
        pages_.give_purged((&s)[run.first], run.count, site);
        from = run.first + run.count;
    });
    if (from < b.pages)
        pages_.give((&s)[from], b.pages - from, false, site);
}

// Modelled: tests/models/survivors.pml, step purge_unused
void slab_cache::purge_unused(slab_meta& s, purge_result& done) noexcept
{
    unsigned const bin = s.bin();
    bin_geometry const& b = bins[bin];
    std::uint64_t const before = purged_slots(s);
    std::uint64_t const free = unused_slots(s, b);
    std::uint64_t gone = before | free;
    bool refused = false;
    for_each_unused_run(b, free, before, [&](page_run run) {
        if (refused ||
            pages_.purge_of_slab(s.base + (std::size_t{run.first} << page_shift), run.count, class_of_bin(bin), done))
            return;
        refused = true;
        // A slot that begins before the run and reaches into it touches only pages that were purged before, or that
        // other slots touch too.
        gone = before | (free & slots_before_page(b, run.first));
    });
    set_purged_slots(s, gone);
}

/// Removes the identity of a slab from its pages, which no thread can reach.
// Modelled: tests/models/chunks.pml, step discard
// Modelled: tests/models/large.pml, step discard
void slab_cache::make_plain(slab_meta& s) noexcept
{
    unsigned const bin = s.bin();
    std::uint32_t const pages = bins[bin].pages;
    std::uint32_t const index = page_heap::index_of(s);
    s.tag.store(tag_none, std::memory_order_relaxed);
    for (std::uint32_t i = 1; i < pages; ++i) {
        slab_meta& page = page_heap::at(index + i);
        page.tag.store(tag_none, std::memory_order_relaxed);
        if (!has_late_frees(page))
            page.was.store(s.was.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    s.owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
    s.where.store(residence::unused, std::memory_order_relaxed);
}

void slab_cache::discard(slab_meta& s, lock_site const& site) noexcept
{
    s.next = nullptr;
    discard_chain(&s, site);
}

/// Frees the pages of a chain of slabs of one class.
void slab_cache::discard_chain(slab_meta* first, lock_site const& site) noexcept
{
    if (first == nullptr)
        return;
    unsigned const bin = first->bin();
    slab_meta* whole = nullptr;
    while (first != nullptr) {
        slab_meta& s = *first;
        first = s.next;
        make_plain(s);
        if (s.partly_purged) [[unlikely]] {
            give_pages(s, bin, site);
        } else {
            s.next = whole;
            whole = &s;
        }
    }
    pages_.give_chain(whole, bins[bin].pages, site);
}

void slab_cache::decay() noexcept
{
    for (class_cache& cache : per_class_) {
        if (cache.count.load(std::memory_order_relaxed) == 0)   // a hint: a later slab belongs to the next period
            continue;
        slab_meta* unwanted = nullptr;
        {
            lock_guard const guard{cache.lock};
            for (std::uint32_t n = cache.fewest; n > 0; --n) {
                slab_meta& s = *cache.slabs.back();   // the oldest
                cache.slabs.remove(s);
                s.next = unwanted;
                unwanted = &s;
            }
            cache.fewest = cache.slabs.size();
            note_count(cache);
        }
        discard_chain(unwanted, {});
    }
}

purge_result slab_cache::purge_if_due(bool asked) noexcept
{
    return is_purge_due(asked) ? pages_.purge() : purge_result{};
}

void slab_cache::empty() noexcept
{
    for (class_cache& cache : per_class_) {
        for (;;) {
            slab_meta* s = nullptr;
            {
                lock_guard const guard{cache.lock};
                s = cache.slabs.pop();
                if (s == nullptr)
                    break;
                note_count(cache);
            }
            discard(*s, {});
        }
    }
}

purge_result slab_cache::trim() noexcept
{
    empty();
    return pages_.purge();
}

}
