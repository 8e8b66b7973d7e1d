// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>
module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {

constexpr std::uint32_t no_page = ~std::uint32_t{0};
constexpr std::size_t smallest_reservation = std::size_t{16} << 20;
constexpr std::uint32_t smallest_step = 256;    // pages committed at once: 1 MiB at first,
constexpr std::uint32_t largest_step = 16384;   // 64 MiB in a heap that has grown
constexpr std::uint32_t huge_page = 512;        // pages of one
constexpr std::size_t range_alignment = std::size_t{2} << 20;
constexpr std::uint32_t generation_step = 4096;   // pages whose generations are committed at once: 1 MiB

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

/// The range begins at a multiple of its size rounded up to a power of two, so that every address has a place in the tables
/// of descriptors, which have room for as much.
struct layout {
    std::size_t pages, alignment, slabs, blocks, generations, sets, total;

    explicit layout(std::size_t page_count) noexcept
        : pages{page_count * page_bytes},
          alignment{std::max(std::bit_ceil(pages), range_alignment)},
          slabs{alignment / page_bytes * sizeof(slab)},
          blocks{slabs * max_blocks},
          generations{round_up(page_count * max_slots * sizeof(std::uint32_t), page_bytes)},
          sets{round_up(3 * page_set::bytes_for(page_count), page_bytes)},
          total{pages + slabs + blocks + generations + sets + alignment}
    {
    }
};

}

page_heap::page_heap(std::size_t reserve_bytes, bool huge_pages, page_figures* told)
    : told_{told != nullptr ? told : &own_figures_}, commit_step_{huge_pages ? huge_page : 64}
{
    std::size_t want = reserve_bytes != 0 ? reserve_bytes : default_reservation();
    want = std::clamp(want, smallest_reservation, std::size_t{1} << (handle_fields::page_bits + page_shift));
    // A system that refuses this much address space may still grant half of it.
    for (; mapping_ == nullptr && want >= smallest_reservation; want /= 2) {
        max_pages_ = static_cast<std::uint32_t>(want / page_bytes);
        mapping_bytes_ = layout{max_pages_}.total;
        mapping_ = os().reserve(mapping_bytes_);
    }
    if (mapping_ == nullptr)
        throw std::bad_alloc{};
    layout const sizes{max_pages_};
    map_.base_ = round_up(reinterpret_cast<std::uintptr_t>(mapping_), sizes.alignment);
    map_.slabs_ = reinterpret_cast<slab*>(map_.base_ + sizes.pages);
    std::uintptr_t const behind_slabs = map_.base_ + sizes.pages + sizes.slabs;
    map_.blocks_ = reinterpret_cast<slab*>(behind_slabs);
    generations_ = reinterpret_cast<atomic<std::uint32_t>*>(behind_slabs + sizes.blocks);
    auto* const sets = reinterpret_cast<std::byte*>(behind_slabs + sizes.blocks + sizes.generations);
    for (unsigned bin = 0; bin < bin_count; ++bin) {
        std::uint32_t const ratio = has_blocks(bin) ? address_map::block_ratio : address_map::page_ratio;
        auto const first = reinterpret_cast<std::uintptr_t>(has_blocks(bin) ? map_.blocks_ : map_.slabs_);
        bin_geometry const& b = bins[bin];
        map_.entries_[bin] = {.first = first,
                              .block_mask = (sizes.alignment - 1) & ~std::uintptr_t{b.offset_mask},
                              .offset_mask = b.offset_mask,
                              .reciprocal = b.reciprocal,
                              .size = b.size,
                              .shift = ratio,
                              .full_mask = b.full_mask,
                              .absent_mask = b.absent_mask};
    }
    sets_bytes_ = sizes.sets;
    // A free reads the descriptor that an address would have before it knows whether it has one.
    if (!os().make_readable(map_.slabs_, sizes.slabs + sizes.blocks) || !os().commit(sets, sizes.sets)) {
        os().release(mapping_, mapping_bytes_);
        throw std::bad_alloc{};
    }
    if (huge_pages)
        prefer_huge_pages(reinterpret_cast<void*>(map_.base_), sizes.pages);
    lock_guard const guard{lock_};
    resident_.attach(sets, max_pages_);
    resident_words_ = sets;
    large_words_ = sets + 2 * page_set::bytes_for(max_pages_);
    auto const begins = {reinterpret_cast<std::uintptr_t>(map_.slabs_), reinterpret_cast<std::uintptr_t>(map_.blocks_),
                         reinterpret_cast<std::uintptr_t>(sets), reinterpret_cast<std::uintptr_t>(generations_)};
    std::size_t i = 0;
    for (std::uintptr_t const begin : begins)
        told_->metadata[i++].begin = begin;
    publish_metadata();
    purged_.attach(sets + page_set::bytes_for(max_pages_), max_pages_);
    was_large_.attach(sets + 2 * page_set::bytes_for(max_pages_), max_pages_);
}

page_heap::~page_heap() { os().release(mapping_, mapping_bytes_); }

bool page_heap::grow(std::uint32_t pages) noexcept
{
    std::size_t const have = map_.committed_.load(std::memory_order_relaxed);
    auto const have_pages = static_cast<std::uint32_t>(have >> page_shift);
    std::uint32_t const step = std::clamp(have_pages / 2, smallest_step, largest_step);
    // A generous step first; where that is refused, exactly what is needed.
    for (std::uint32_t const ask : {std::max(pages, step), pages}) {
        auto const end = static_cast<std::uint32_t>(
            std::min<std::size_t>(round_up(std::size_t{have_pages} + ask, commit_step_), max_pages_));
        auto const meta_begin = round_up(have_pages * sizeof(slab), page_bytes);
        auto const meta_end = round_up(end * sizeof(slab), page_bytes);
        auto* const meta = reinterpret_cast<std::byte*>(map_.slabs_);
        if (!os().commit(meta + meta_begin, meta_end - meta_begin))
            continue;
        // Zeroed memory is what blocks are until a slab has some: nobody's, with no slot free.
        auto* const blocks = reinterpret_cast<std::byte*>(map_.blocks_);
        if (!os().commit(blocks + meta_begin * max_blocks, (meta_end - meta_begin) * max_blocks))
            continue;
        if (!os().commit(reinterpret_cast<void*>(map_.base_ + have), (std::size_t{end} << page_shift) - have))
            continue;
        for (std::uint32_t i = have_pages; i < end; ++i)
            std::construct_at(map_.slabs_ + i);
        // release: whoever sees the pages sees their descriptors.
        map_.committed_.store(std::size_t{end} << page_shift, std::memory_order_release);
        publish_metadata();
        return true;
    }
    return false;
}

std::uint32_t page_heap::find_free(std::uint32_t pages, std::uint32_t step) const noexcept
{
    // Resident pages first: they cost no page fault.
    for (page_set const* set : {&resident_, &purged_}) {
        if (set->size() < pages)
            continue;
        for (std::uint32_t from = 0;;) {
            page_run const run = set->next_run(from, pages + step - 1);
            if (run.count == 0)
                break;
            std::uint32_t const skip =
                (step - (static_cast<std::uint32_t>(map_.base_ >> page_shift) + run.first) % step) % step;
            if (run.count >= skip && run.count - skip >= pages)
                return run.first + skip;
            from = run.first + run.count;
        }
    }
    return no_page;
}

/// A run of which some pages are resident, some given back and some were never used. Slower than the ways above, for when
/// these find nothing.
std::uint32_t page_heap::find_mixed(std::uint32_t pages, std::uint32_t step) noexcept
{
    std::uint32_t const next = next_.load(std::memory_order_relaxed);
    for (std::uint32_t from = 0;;) {
        page_run const resident = resident_.next_run(from, max_pages_);
        page_run const purged = purged_.next_run(from, max_pages_);
        if (resident.count == 0 && purged.count == 0)
            return no_page;
        bool const resident_first = purged.count == 0 || (resident.count != 0 && resident.first < purged.first);
        page_run const begin = resident_first ? resident : purged;
        std::uint32_t end = begin.first + begin.count;
        for (bool more = true; more && end < next;) {
            page_run const further = (resident_.contains(end) ? resident_ : purged_).next_run(end, max_pages_);
            more = further.count != 0 && further.first == end;
            end += more ? further.count : 0;
        }
        std::uint32_t const skip =
            (step - (static_cast<std::uint32_t>(map_.base_ >> page_shift) + begin.first) % step) % step;
        std::uint64_t const wanted = std::uint64_t{begin.first} + skip + pages;
        if (wanted <= end)
            return begin.first + skip;
        if (end == next && wanted <= max_pages_) {
            auto const rest = static_cast<std::uint32_t>(wanted - end);
            if (take_fresh(rest, 1) == no_page)
                return no_page;
            purged_.insert(end, rest);   // never touched: as good as given back
            return begin.first + skip;
        }
        from = end;
    }
}

std::uint32_t page_heap::take_fresh(std::uint32_t pages, std::uint32_t step) noexcept
{
    std::uint32_t const next = next_.load(std::memory_order_relaxed);
    std::uint32_t const skip = (step - (static_cast<std::uint32_t>(map_.base_ >> page_shift) + next) % step) % step;
    if (std::uint64_t{next} + skip + pages > max_pages_)
        return no_page;
    auto const committed_pages =
        static_cast<std::uint32_t>(map_.committed_.load(std::memory_order_relaxed) >> page_shift);
    std::uint32_t const end = next + skip + pages;
    if (end > committed_pages && !grow(end - committed_pages))
        return no_page;
    if (skip != 0)
        purged_.insert(next, skip);   // never touched: as good as given back
    next_.store(end, std::memory_order_release);
    told_->used_pages.store(end, std::memory_order_release);   // the same for readers outside
    return next + skip;
}

void page_heap::publish_sizes() noexcept
{
    told_->free_resident.store(resident_.size(), std::memory_order_relaxed);
    told_->free_purged.store(purged_.size(), std::memory_order_relaxed);
}

slab* page_heap::take(std::uint32_t pages, std::size_t alignment, lock_site const& site) noexcept
{
    if (pages == 0 || pages > max_pages_ || alignment >> page_shift > max_pages_)
        return nullptr;
    auto const step = static_cast<std::uint32_t>(std::max<std::size_t>(alignment >> page_shift, 1));
    lock_guard const guard{lock_, site};
    std::uint32_t first = find_free(pages, step);
    if (first != no_page) {
        (resident_.contains(first) ? resident_ : purged_).erase(first, pages);
        was_large_.clear(first, pages);
    } else if ((first = take_fresh(pages, step)) == no_page) {
        if ((first = find_mixed(pages, step)) == no_page)
            return nullptr;
        resident_.clear(first, pages);
        purged_.clear(first, pages);
        was_large_.clear(first, pages);
    }
    publish_sizes();
    note_fewest();
    slab& s = map_.slabs_[first];
    s.base = reinterpret_cast<std::byte*>(map_.base_ + (std::size_t{first} << page_shift));
    return &s;
}

void page_heap::give(slab& first, std::uint32_t pages, bool large, lock_site const& site) noexcept
{
    lock_guard const guard{lock_, site};
    resident_.insert(index_of(first), pages);
    if (large)
        was_large_.insert(index_of(first), pages);
    publish_sizes();
}

void page_heap::give_chain(slab* s, std::uint32_t pages, lock_site const& site) noexcept
{
    // Bounded, so that nobody waits long for the lock.
    constexpr int most_at_once = 64;
    while (s != nullptr) {
        lock_guard const guard{lock_, site};
        for (int n = 0; s != nullptr && n < most_at_once; ++n) {
            slab* const next = s->next;   // read while the slab is still out of reach
            resident_.insert(index_of(*s), pages);
            s = next;
        }
        publish_sizes();
    }
}

void page_heap::note_fewest() noexcept
{
    for (std::uint32_t& fewest : fewest_)
        fewest = std::min(fewest, resident_.size());
    told_->unwanted.store(fewest_[static_cast<std::size_t>(watcher::of_time)], std::memory_order_relaxed);
}

std::uint32_t page_heap::unwanted_pages(watcher who) noexcept
{
    lock_guard const guard{lock_};
    std::uint32_t const unwanted = std::exchange(fewest_[static_cast<std::size_t>(who)], resident_.size());
    note_fewest();
    return unwanted;
}

void page_heap::give_purged(slab& first, std::uint32_t pages, lock_site const& site) noexcept
{
    lock_guard const guard{lock_, site};
    purged_.insert(index_of(first), pages);
    publish_sizes();
}

bool page_heap::purge_of_slab(std::byte* begin, std::uint32_t pages, unsigned c, bool look, purge_result& done) noexcept
{
    std::size_t const bytes = std::size_t{pages} << page_shift;
    purge_result one{.calls = 1};
    bool const dropped = os().purge(begin, bytes);
    (dropped ? one.bytes : one.failures) += dropped ? bytes : 1;
    if (look && residency_known()) {
        one.asked = bytes;
        one.gone = bytes - resident_bytes(begin, bytes);
    }
    page_figures::class_purges& of = told_->purges[c];
    of.calls.add_shared();
    of.bytes.add_shared(one.bytes);
    of.failures.add_shared(one.failures);
    told_->madvise_calls.fetch_add(one.calls, std::memory_order_relaxed);
    told_->madvise_bytes.fetch_add(one.bytes, std::memory_order_relaxed);
    told_->madvise_failures.fetch_add(one.failures, std::memory_order_relaxed);
    done += one;
    return dropped;
}

unsigned page_heap::class_of_page(std::uint32_t i) const noexcept
{
    std::uint8_t const was = map_.slabs_[i].was.load(std::memory_order_relaxed);
    return was == tag_none || was == tag_large ? large_class : class_of_bin(was - 1U);
}

unsigned page_heap::class_of_free_page(std::uint32_t i) const noexcept __attribute__((no_thread_safety_analysis))
{
    return was_large_.seems_to_contain(i) ? large_class : class_of_page(i);
}

unsigned page_heap::free_resident_class(std::uint32_t i) const noexcept __attribute__((no_thread_safety_analysis))
{
    return resident_.seems_to_contain(i) ? class_of_free_page(i) : class_count + 1;
}

/// For pages in nobody's hands: nothing about them changes meanwhile.
void page_heap::count_purged(page_run run, bool dropped) noexcept
{
    std::array<std::uint64_t, class_count + 1> pages{};
    for (std::uint32_t i = run.first; dropped && i < run.first + run.count; ++i)
        ++pages[class_of_free_page(i)];
    page_figures::class_purges& first = told_->purges[class_of_free_page(run.first)];
    first.calls.add_shared();
    first.failures.add_shared(dropped ? 0 : 1);
    for (unsigned c = 0; c <= class_count; ++c)
        if (pages[c] != 0)
            told_->purges[c].bytes.add_shared(pages[c] << page_shift);
}

purge_result page_heap::purged_of(unsigned c) const noexcept
{
    page_figures::class_purges const& of = told_->purges[c];
    return {.calls = of.calls.value(), .bytes = of.bytes.value(), .failures = of.failures.value()};
}

purge_result page_heap::purge(bool look, std::uint64_t most) noexcept
{
    look = look && residency_known();
    purge_result done;
    std::array<page_run, 64> runs;
    std::uint64_t staying = ~std::uint64_t{0};   // of the pages that are free and resident, the first so many
    for (std::uint32_t from = 0; from < max_pages_ && done.failures == 0;) {
        std::size_t n = 0;
        {
            lock_guard const guard{lock_};
            if (staying == ~std::uint64_t{0})
                staying = resident_.size() - std::min<std::uint64_t>(most, resident_.size());
            while (n < runs.size()) {
                page_run run = resident_.next_run(from, max_pages_);
                if (run.count == 0)
                    break;
                from = run.first + run.count;
                auto const passed_over = static_cast<std::uint32_t>(std::min<std::uint64_t>(staying, run.count));
                staying -= passed_over;
                run = {run.first + passed_over, run.count - passed_over};
                if (run.count == 0)
                    continue;
                resident_.erase(run.first, run.count);
                runs[n++] = run;
            }
            publish_sizes();
            note_fewest();
        }
        if (n == 0)
            break;
        // The pages are in no set and no hand: nobody can take them while the kernel drops them.
        std::array<bool, 64> dropped{};
        for (std::size_t i = 0; i < n; ++i) {
            std::size_t const bytes = std::size_t{runs[i].count} << page_shift;
            auto* const begin = reinterpret_cast<void*>(map_.base_ + (std::size_t{runs[i].first} << page_shift));
            dropped[i] = os().purge(begin, bytes);
            if (look) {
                done.asked += bytes;
                done.gone += bytes - resident_bytes(begin, bytes);
            }
            count_purged(runs[i], dropped[i]);
            ++done.calls;
            if (dropped[i])
                done.bytes += bytes;
            else
                ++done.failures;
        }
        lock_guard const guard{lock_};
        for (std::size_t i = 0; i < n; ++i)
            (dropped[i] ? purged_ : resident_).insert(runs[i].first, runs[i].count);
        publish_sizes();
    }
    told_->madvise_calls.fetch_add(done.calls, std::memory_order_relaxed);
    told_->madvise_bytes.fetch_add(done.bytes, std::memory_order_relaxed);
    told_->madvise_failures.fetch_add(done.failures, std::memory_order_relaxed);
    return done;
}

bool page_heap::commit_generations(std::uint32_t page) noexcept
{
    if (has_generations(page))
        return true;
    lock_guard const guard{lock_};
    std::uint32_t const have = generation_pages_.load(std::memory_order_relaxed);
    if (page < have)
        return true;
    std::uint32_t const end = std::min(max_pages_, (page / generation_step + 1) * generation_step);
    constexpr std::size_t each = max_slots * sizeof(std::uint32_t);
    auto* const bytes = reinterpret_cast<std::byte*>(generations_);
    auto const end_bytes = round_up(end * each, page_bytes);
    auto const begin_bytes = have * each / page_bytes * page_bytes;
    if (!os().commit(bytes + begin_bytes, end_bytes - begin_bytes))
        return false;
    // release: pairs with has_generations, so that a reader who sees the number may touch the words.
    generation_pages_.store(end, std::memory_order_release);
    publish_metadata();
    return true;
}

std::uint64_t page_heap::resident_metadata_bytes() const noexcept
{
    std::size_t const pages = map_.committed_.load(std::memory_order_relaxed) >> page_shift;
    layout const sizes{max_pages_};
    auto const* const sets = reinterpret_cast<std::byte const*>(generations_) + sizes.generations;
    return resident_bytes(map_.slabs_, pages * sizeof(slab)) +
           resident_bytes(map_.blocks_, pages * sizeof(slab) * max_blocks) + resident_bytes(sets, sets_bytes_) +
           resident_bytes(generations_, std::size_t{generation_pages_.load(std::memory_order_relaxed)} * max_slots *
                                            sizeof(std::uint32_t));
}

void page_heap::publish_metadata() noexcept
{
    std::uint64_t const pages = map_.committed_.load(std::memory_order_relaxed) >> page_shift;
    std::uint64_t const generations = generation_pages_.load(std::memory_order_relaxed);
    auto const bytes = {pages * sizeof(slab), pages * sizeof(slab) * max_blocks, std::uint64_t{sets_bytes_},
                        generations * max_slots * sizeof(std::uint32_t)};
    std::size_t i = 0;
    for (std::uint64_t const n : bytes)
        told_->metadata[i++].bytes.store(n, std::memory_order_relaxed);
    told_->metadata_bytes.store(metadata_bytes(), std::memory_order_relaxed);
}

std::uint64_t page_heap::metadata_bytes() const noexcept
{
    return (map_.committed_.load(std::memory_order_relaxed) >> page_shift) * sizeof(slab) * (1 + max_blocks) +
           sets_bytes_ +
           std::uint64_t{generation_pages_.load(std::memory_order_relaxed)} * max_slots * sizeof(std::uint32_t);
}

}
