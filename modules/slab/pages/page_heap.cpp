// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {

constexpr std::size_t smallest_limit = std::size_t{16} << 20;
constexpr std::uint32_t most_units = 128;   // the most that are mapped at once beyond the need: 32 MiB
constexpr std::uint32_t huge_units = 8;     // of a huge page
constexpr std::uint32_t slab_units =        // of the largest slab
    std::max(std::ranges::max(class_shapes, {}, &class_shape::pages).pages / unit_pages, 1U);

constinit atomic<std::uint64_t> heaps_made{0};

/// The words of the window that a set uses.
enum set : unsigned { resident_set, purged_set, large_set };

}

page_heap::page_heap(std::size_t reserve_bytes, bool huge_pages, page_figures* published)
    : mark_{address_window::owner_mark(heaps_made.fetch_add(1, std::memory_order_relaxed) + 1)},
      published_{published != nullptr ? published : &own_figures_},
      units_{process_window.links(), first_run_},
      least_units_{huge_pages ? huge_units : 1},
      huge_pages_{huge_pages}
{
    if (!process_window.open())
        throw std::bad_alloc{};
    std::uint32_t const all = process_window.max_units();
    std::size_t const limit =
        (std::max(reserve_bytes, smallest_limit) + unit_bytes * least_units_ - 1) / (unit_bytes * least_units_);
    max_pages_ =
        static_cast<std::uint32_t>(reserve_bytes != 0 ? std::min<std::size_t>(limit * least_units_, all) * unit_pages
                                                      : std::size_t{all} * unit_pages);
    lock_guard const guard{lock_};
    resident_.attach(process_window.words(resident_set), process_window.summary(resident_set), all);
    purged_.attach(process_window.words(purged_set), process_window.summary(purged_set), all);
    was_large_.attach(process_window.words(large_set), process_window.summary(large_set), all);
}

page_heap::~page_heap()
{
    lock_guard const guard{lock_};
    while (std::uint32_t const at = units_.head()) {
        unit_run const r = units_.run_at(at);
        std::uint32_t const first = r.first * unit_pages;
        std::uint32_t const count = r.count * unit_pages;
        resident_.clear(first, count);
        purged_.clear(first, count);
        was_large_.clear(first, count);
        units_.erase(r);
        give_to_window(r);
    }
}

/// Resets their descriptors first.
void page_heap::give_to_window(unit_run r) noexcept
{
    for (std::uint32_t page = r.first * unit_pages; page < (r.first + r.count) * unit_pages; ++page)
        retire_page(at(page), process_window.subslabs_of(page));
    if (!process_window.give(r, mark_))
        published_->unmap_failures.fetch_add(1, std::memory_order_relaxed);
}

/// As page_set::next_run, among the pages of this heap.
page_run page_heap::next_run(page_set const& set, std::uint32_t from, std::uint32_t longest) const noexcept
{
    for (std::uint32_t at = set.empty() ? 0 : units_.head(); at != 0; at = units_.next_of(at)) {
        unit_run const r = units_.run_at(at);
        std::uint32_t const end = (r.first + r.count) * unit_pages;
        if (end <= from)
            continue;
        page_run const run = set.next_run(std::max(from, r.first * unit_pages), longest, end);
        if (run.count != 0)
            return run;
    }
    return {};
}

void page_heap::note_units(std::uint32_t more, std::uint32_t fewer) noexcept
{
    std::uint32_t const n = unit_count_.load(std::memory_order_relaxed) + more - fewer;
    unit_count_.store(n, std::memory_order_relaxed);
    published_->units.store(n, std::memory_order_relaxed);
    published_->first_run.store(units_.head(), std::memory_order_relaxed);
    published_->metadata_bytes.store(metadata_bytes(), std::memory_order_relaxed);
}

/// Puts the pages of the newest mapping that were never taken into the set of purged pages.
void page_heap::retire_fresh() noexcept
{
    page_run const rest = fresh();
    if (rest.count != 0)
        purged_.insert(rest.first, rest.count);
    set_fresh({});
}

/// Maps units for `pages` pages that begin at a multiple of `step`, or a quarter of the heap's present size if that is
/// more, within bounds.
bool page_heap::grow(std::uint32_t pages, std::uint32_t step) noexcept
{
    std::uint32_t const have = unit_count_.load(std::memory_order_relaxed);
    std::uint32_t const room = max_pages_ / unit_pages - have - withdrawn_;
    auto const need = static_cast<std::uint32_t>((std::uint64_t{pages} + unit_pages - 1) / unit_pages);
    std::uint32_t const unit_step = std::max(step / unit_pages, least_units_);
    auto const whole = [&](std::uint32_t n) { return (n + least_units_ - 1) / least_units_ * least_units_; };
    // A generous step first; if that is refused, exactly what is needed.
    for (std::uint32_t const ask :
         {std::min(whole(std::max(need, std::min(have / 4, most_units))), room), whole(need)}) {
        if (ask < need || ask > room)
            continue;
        // A step that is large enough for any slab begins at a multiple of the largest slab.
        unit_run const r =
            process_window.take(ask, ask < slab_units ? unit_step : std::max(unit_step, slab_units), mark_);
        if (r.count == 0)
            continue;
        if (huge_pages_)
            prefer_huge_pages(address_of(r.first * unit_pages), std::size_t{r.count} << unit_shift);
        units_.insert(r);
        page_run const rest = fresh();
        bool const goes_on = rest.count != 0 && rest.first + rest.count == r.first * unit_pages;
        if (!goes_on)
            retire_fresh();
        set_fresh({goes_on ? rest.first : r.first * unit_pages, (goes_on ? rest.count : 0) + r.count * unit_pages});
        note_units(r.count, 0);
        return true;
    }
    return false;
}

/// The first place in `run` where what is wanted may begin; no_page if there is none.
std::uint32_t page_heap::place_in(page_run run, wanted const& w) noexcept
{
    std::uint64_t const end = std::uint64_t{run.first} + run.count;
    for (std::uint64_t at = std::uint64_t{run.first} + (w.step - run.first % w.step) % w.step; at + w.pages <= end;
         at += w.step)
        if (auto const page = static_cast<std::uint32_t>(at); serves_handles(page, w.handle_slots))
            return page;
    return no_page;
}

std::uint32_t page_heap::find_free(wanted const& w) const noexcept
{
    // If every page serves, no more of a run is examined than is needed.
    std::uint32_t const longest = w.handle_slots == 0 ? w.pages + w.step - 1 : no_page;
    // Resident pages first: they cost no page fault.
    for (page_set const* set : {&resident_, &purged_}) {
        if (set->size() < w.pages)
            continue;
        for (std::uint32_t from = 0;;) {
            page_run const run = next_run(*set, from, longest);
            if (run.count == 0)
                break;
            if (std::uint32_t const page = place_in(run, w); page != no_page)
                return page;
            from = run.first + run.count;
        }
    }
    return no_page;
}

/// Finds a run of pages of which some are resident, some purged and some were never used. Slower than the searches
/// above, and used if these find nothing.
std::uint32_t page_heap::find_mixed(wanted const& w) noexcept
{
    if (std::uint64_t{resident_.size()} + purged_.size() + fresh().count < w.pages)
        return no_page;
    retire_fresh();
    for (std::uint32_t at = units_.head(); at != 0; at = units_.next_of(at)) {
        unit_run const r = units_.run_at(at);
        std::uint32_t const run_end = (r.first + r.count) * unit_pages;
        for (std::uint32_t from = r.first * unit_pages; from < run_end;) {
            page_run const resident = resident_.next_run(from, no_page, run_end);
            page_run const purged = purged_.next_run(from, no_page, run_end);
            if (resident.count == 0 && purged.count == 0)
                break;
            bool const resident_first = purged.count == 0 || (resident.count != 0 && resident.first < purged.first);
            page_run const begin = resident_first ? resident : purged;
            std::uint32_t end = begin.first + begin.count;
            while (end < run_end) {
                page_set const& set = resident_.contains(end) ? resident_ : purged_;
                page_run const further = set.next_run(end, no_page, run_end);
                if (further.count == 0 || further.first != end)
                    break;
                end += further.count;
            }
            if (std::uint32_t const page = place_in({begin.first, end - begin.first}, w); page != no_page)
                return page;
            from = end;
        }
    }
    return no_page;
}

std::uint32_t page_heap::take_fresh(wanted const& w) noexcept
{
    for (bool may_grow = true;;) {
        page_run const rest = fresh();
        if (std::uint32_t const page = place_in(rest, w); page != no_page) {
            std::uint32_t const skip = page - rest.first;
            if (skip != 0)
                purged_.insert(rest.first, skip);   // never touched: counts as purged
            set_fresh({page + w.pages, rest.count - skip - w.pages});
            return page;
        }
        if (!may_grow || !grow(w.pages, w.step))
            return no_page;
        may_grow = w.handle_slots != 0;   // the new pages may be used up, by heaps that had them before
    }
}

bool page_heap::serves_handles(std::uint32_t page, std::uint32_t slots) noexcept
{
    if (slots == 0 || !has_generations(page) || !is_used_up(page, 0)) [[likely]]
        return true;
    std::uint32_t left = 0;
    for (std::uint32_t slot = 0; slot < slots; ++slot)
        left += is_used_up(page, slot) ? 0 : 1;
    return left != 0 && 2 * left >= slots;
}

void page_heap::publish_sizes() noexcept
{
    free_resident_.store(resident_.size(), std::memory_order_relaxed);
    free_purged_.store(purged_.size(), std::memory_order_relaxed);
    published_->free_resident.store(resident_.size(), std::memory_order_relaxed);
    published_->free_purged.store(purged_.size(), std::memory_order_relaxed);
}

slab_meta* page_heap::take(std::uint32_t pages, std::size_t alignment, lock_site const& site,
                           std::uint32_t handle_slots) noexcept
{
    if (pages == 0 || pages > max_pages_ || alignment >> page_shift > max_pages_)
        return nullptr;
    wanted const w{pages, static_cast<std::uint32_t>(std::max<std::size_t>(alignment >> page_shift, 1)), handle_slots};
    lock_guard const guard{lock_, site};
    std::uint32_t first = find_free(w);
    if (first != no_page) {
        (resident_.contains(first) ? resident_ : purged_).erase(first, pages);
        was_large_.clear(first, pages);
    } else {
        first = take_fresh(w);
    }
    if (first == no_page) {
        first = find_mixed(w);
        if (first == no_page) {
            // The limit leaves less than is needed, but together with the free pages that may suffice.
            std::uint32_t const room =
                max_pages_ - (unit_count_.load(std::memory_order_relaxed) + withdrawn_) * unit_pages;
            if (room != 0 && room < pages && grow(room, 1))
                first = find_mixed(w);
        }
        if (first == no_page)
            return nullptr;
        resident_.clear(first, pages);
        purged_.clear(first, pages);
        was_large_.clear(first, pages);
    }
    publish_sizes();
    note_fewest();
    slab_meta& s = at(first);
    s.base = address_of(first);
    return &s;
}

void page_heap::give(slab_meta& first, std::uint32_t pages, bool large, lock_site const& site) noexcept
{
    lock_guard const guard{lock_, site};
    resident_.insert(index_of(first), pages);
    if (large)
        was_large_.insert(index_of(first), pages);
    publish_sizes();
}

void page_heap::give_chain(slab_meta* first, std::uint32_t pages, lock_site const& site) noexcept
{
    // Bounded, so that no thread waits long for the lock.
    constexpr int most_at_once = 64;
    for (slab_meta* s = first; s != nullptr;) {
        lock_guard const guard{lock_, site};
        for (int n = 0; s != nullptr && n < most_at_once; ++n) {
            slab_meta* const next = s->next;   // read before the slab's pages are free
            resident_.insert(index_of(*s), pages);
            s = next;
        }
        publish_sizes();
    }
}

void page_heap::give_purged(slab_meta& first, std::uint32_t pages, lock_site const& site) noexcept
{
    lock_guard const guard{lock_, site};
    purged_.insert(index_of(first), pages);
    publish_sizes();
}

// Modelled: tests/models/chunks.pml, step withdraw
std::size_t page_heap::withdraw(unit_batch& to, std::uint32_t keep) noexcept
{
    lock_guard const guard{lock_};
    if (keep == 0)
        retire_fresh();
    std::size_t n = 0;
    for (std::uint32_t at = units_.head(); at != 0 && n < to.size() && purged_.size() > keep;) {
        unit_run const r = units_.run_at(at);
        std::uint32_t const next = units_.next_of(at);
        // From the end of each run, so that the lowest units stay.
        std::uint32_t end = r.first + r.count;
        for (std::uint32_t u = end; u > r.first && n < to.size() && purged_.size() > keep;) {
            std::uint32_t const most = (purged_.size() - keep + unit_pages - 1) / unit_pages;
            std::uint32_t first = u;
            while (first > r.first && u - first < most && purged_.word(first - 1) == ~std::uint64_t{0})
                --first;
            if (first == u) {
                --u;
                continue;
            }
            unit_run const out{first, u - first};
            purged_.erase(first * unit_pages, out.count * unit_pages);
            was_large_.clear(first * unit_pages, out.count * unit_pages);
            units_.erase(out);
            note_units(0, out.count);
            withdrawn_ += out.count;
            to[n++] = out;
            u = first;
        }
        at = next;
    }
    publish_sizes();
    return n;
}

void page_heap::restore(unit_batch const& runs, std::size_t n) noexcept
{
    lock_guard const guard{lock_};
    for (std::size_t i = 0; i < n; ++i) {
        units_.insert(runs[i]);
        purged_.insert(runs[i].first * unit_pages, runs[i].count * unit_pages);
        note_units(runs[i].count, 0);
        withdrawn_ -= runs[i].count;
    }
    publish_sizes();
}

// Modelled: tests/models/chunks.pml, step release
void page_heap::release(unit_batch const& runs, std::size_t n) noexcept
{
    for (std::size_t i = 0; i < n; ++i)
        give_to_window(runs[i]);
    lock_guard const guard{lock_};
    for (std::size_t i = 0; i < n; ++i)
        withdrawn_ -= runs[i].count;
}

bool page_heap::commit_generations(std::uint32_t page) noexcept
{
    if (page >> handle_fields::page_bits != 0)
        return false;
    return has_generations(page) || process_window.commit_generations(page / unit_pages);
}

bool page_heap::commit_subslabs(std::uint32_t page) noexcept
{
    return page / unit_pages < process_window.subslab_units() || process_window.commit_subslabs(page / unit_pages);
}

std::uint64_t page_heap::resident_metadata_bytes() const noexcept
{
    std::uint64_t n = 0;
    for_each_run([&](unit_run r) {
        std::uint32_t const page = r.first * unit_pages;
        n += resident_bytes(&at(page), r.count * address_window::slab_bytes_of_unit) +
             r.count * address_window::word_bytes_of_unit;
        auto const up_to = [&r](std::uint32_t end) { return std::clamp(end, r.first, r.first + r.count) - r.first; };
        n += resident_bytes(subslabs_at(page),
                            up_to(process_window.subslab_units()) * address_window::subslab_bytes_of_unit) +
             resident_bytes(&generation(page, 0),
                            up_to(process_window.generation_units()) * address_window::generation_bytes_of_unit);
    });
    return n;
}

std::uint64_t page_heap::metadata_bytes() const noexcept
{
    constexpr std::size_t of_unit = address_window::slab_bytes_of_unit + address_window::word_bytes_of_unit;
    return unit_count_.load(std::memory_order_relaxed) * of_unit;
}

}
