// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Defined only with ThreadSanitizer's run time.
extern "C" [[gnu::weak]] void __tsan_init();

module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

/// Candidate ranges for a window: far from the top, where the kernel places mappings without an address.
struct candidate {
    std::uintptr_t lowest;
    std::uintptr_t end;
};
constexpr std::array<candidate, 3> candidates{{
    {0x0800'0000'0000, 0x0f00'0000'0000},   // below the 16 TiB that Valgrind supports
    {0x2000'0000'0000, 0x5000'0000'0000},   // behind AddressSanitizer's shadow
    {0x0100'0000'0000, 0x01f0'0000'0000},   // ThreadSanitizer's low range for applications
}};
constexpr unsigned most_tries = 4;   // places in a candidate

bool under_thread_sanitizer() noexcept
{
    void (*const volatile init)() = __tsan_init;   // volatile: its address may well be null
    return init != nullptr;
}

constexpr std::uint32_t least_growth = 4;    // units whose descriptors are mapped at once: 1 MiB of pages at first,
constexpr std::uint32_t most_growth = 256;   // 64 MiB where there are many
constexpr unsigned most_collisions = 64;     // with the program's other mappings, for one request

}

void address_map::attach(std::uintptr_t base, std::size_t page_space, slab_meta* slabs, slab_meta* subslabs) noexcept
{
    slabs_ = slabs;
    subslabs_ = subslabs;
    for (unsigned bin = 0; bin < bin_count; ++bin) {
        bin_geometry const& b = bins[bin];
        bin_entry& e = entries_[bin];
        e.first = reinterpret_cast<std::uintptr_t>(has_subslabs(bin) ? subslabs : slabs);
        e.subslab_mask = (page_space - 1) & ~std::uintptr_t{b.offset_mask};
        e.offset_mask = b.offset_mask;
        e.reciprocal = b.reciprocal;
        e.exact = b.exact_below();
        e.shift = has_subslabs(bin) ? subslab_ratio : page_ratio;
        e.full_mask = b.full_mask;
        e.absent_mask = b.absent_mask;
        e.base = base;
    }
}

void address_map::set_high(std::size_t bytes, bool of_subslabs) noexcept
{
    // release: a reader that sees the pages sees that their descriptors may be read.
    for (unsigned bin = 0; bin < bin_count; ++bin)
        if (has_subslabs(bin) == of_subslabs)
            entries_[bin].high.store(bytes, std::memory_order_release);
}

std::size_t address_window::whole_bytes(std::size_t page_space) noexcept
{
    // A unit takes less than a fifth of its bytes in the tables; each of these begins at a page.
    return page_space + page_space / 5 + part_count * page_bytes;
}

/// Computes the layout. The range begins at a multiple of the page part's size, a power of two.
void address_window::lay_out(std::uintptr_t base, std::size_t page_space) noexcept
{
    max_units_ = static_cast<std::uint32_t>(page_space >> unit_shift);
    std::size_t const groups = (std::size_t{max_units_} + 63) / 64;
    std::uintptr_t at = base + page_space;
    for (unsigned i = 0; i < part_count; ++i) {
        std::size_t step = 64 * sizeof(std::uint64_t);
        if (i == slabs_part)
            step = 64 * slab_bytes_of_unit;
        else if (i == subslabs_part)
            step = 64 * subslab_bytes_of_unit;
        else if (i == generations_part)
            step = 64 * generation_bytes_of_unit;
        else if (i == links_part)
            step = 64 * sizeof(unit_link);
        else if (i >= summaries_part)
            step = sizeof(std::uint64_t);
        tables_[i] = {at, step, 0};
        at += round_up(groups * step, page_bytes);
    }
    generations_ = reinterpret_cast<atomic<std::uint32_t>*>(tables_[generations_part].begin);
    owners_ = reinterpret_cast<atomic<std::uint64_t>*>(tables_[owners_part].begin);
    links_ = reinterpret_cast<unit_link*>(tables_[links_part].begin);
    for (unsigned i = 0; i < 3; ++i) {
        words_[i] = reinterpret_cast<std::uint64_t*>(tables_[words_part + i].begin);
        summaries_[i] = reinterpret_cast<std::uint64_t*>(tables_[summaries_part + i].begin);
    }
    map_.attach(base, page_space, reinterpret_cast<slab_meta*>(tables_[slabs_part].begin),
                reinterpret_cast<slab_meta*>(tables_[subslabs_part].begin));
    if (this == &process_window) {
        page_descriptors = map_.slabs_;
        subslab_descriptors = map_.subslabs_;
    }
    covered_ = frontier_ = 0;
}

bool address_window::grow(table& t, std::uint32_t units) const noexcept
{
    std::size_t const need = round_up((std::size_t{units} * t.step + 63) / 64, page_bytes);
    if (need <= t.mapped)
        return true;
    auto* const begin = reinterpret_cast<void*>(t.begin + t.mapped);
    bool const done =
        reserved_ ? os().commit(begin, need - t.mapped) : os().map_at(begin, need - t.mapped) == map_result::mapped;
    if (done)
        t.mapped = need;
    return done;
}

/// Extends the tables up to `units`, and some room beyond if possible.
bool address_window::cover(std::uint32_t units) noexcept
{
    if (units <= covered_)
        return true;
    std::uint32_t const more = std::clamp(covered_ / 4, least_growth, most_growth);
    for (std::uint32_t const want : {std::max(units, covered_ + more), units}) {
        std::uint32_t const end = std::min(want, max_units_);
        bool all = true;
        for (unsigned i = 0; i < part_count && all; ++i)
            all = i == generations_part || i == subslabs_part || grow(tables_[i], end);
        if (!all)
            continue;
        covered_ = end;
        map_.set_high(std::size_t{end} << unit_shift, false);
        return true;
    }
    return false;
}

/// Extends a table up to `unit`, and some room beyond if possible.
bool address_window::commit(part of, atomic<std::uint32_t>& have, std::uint32_t unit) noexcept
{
    std::uint32_t const before = have.load(std::memory_order_relaxed);
    if (unit < before)
        return true;
    std::uint32_t const more = std::clamp(before / 4, least_growth, most_growth);
    for (std::uint32_t const want : {std::max(unit + 1, before + more), unit + 1}) {
        std::uint32_t const end = std::min(want, max_units_);
        if (!grow(tables_[of], end))
            continue;
        have.store(end, std::memory_order_release);   // a reader that sees the number may read the table
        return true;
    }
    return false;
}

void address_window::unmap_tables() noexcept
{
    for (table& t : tables_) {
        if (t.mapped != 0)
            release_for_good(reinterpret_cast<void*>(t.begin), t.mapped);
        t.mapped = 0;
    }
}

bool address_window::open_at(std::uintptr_t base, std::size_t page_space) noexcept
{
    lay_out(base, page_space);
    if (cover(1)) {
        // Probes a place for pages too: a mapping there is detected at once.
        auto* const first = reinterpret_cast<void*>(base);
        if (os().map_at(first, unit_bytes) == map_result::mapped) {
            if (!os().release(first, unit_bytes)) {
                note_refused_release();
                frontier_ = 1;
                mapped_.insert({0, 1});
            }
            return true;
        }
    }
    map_.set_high(0, false);
    unmap_tables();
    return false;
}

bool address_window::open_reserved(std::size_t page_space) noexcept
{
    for (; page_space >= smallest_reserved; page_space /= 2) {
        reservation_bytes_ = whole_bytes(page_space) + page_space;   // it begins at a multiple of its size
        reservation_ = os().reserve(reservation_bytes_);
        if (reservation_ == nullptr)
            continue;
        reserved_ = true;
        lay_out(round_up(reinterpret_cast<std::uintptr_t>(reservation_), page_space), page_space);
        if (cover(1))
            return true;
        map_.set_high(0, false);
        reserved_ = false;
        release_for_good(reservation_, reservation_bytes_);
        reservation_ = nullptr;
        return false;
    }
    return false;
}

bool address_window::open() noexcept
{
    lock_guard const guard{lock_};
    if (open_)
        return true;
    std::size_t const page_space =
        std::clamp(std::bit_ceil(physical_memory() * 4), least_pages_bytes, most_pages_bytes);
    std::size_t const whole = whole_bytes(page_space);
    std::uint64_t const start = random_number();
    for (candidate const& c : candidates) {
        if (under_thread_sanitizer() && &c != &candidates.back())
            continue;   // it ends the program on a mapping elsewhere
        std::uintptr_t const lowest = round_up(c.lowest, page_space);
        if (lowest > c.end || c.end - lowest < whole)
            continue;
        std::uint64_t const places = (c.end - lowest - whole) / page_space + 1;
        for (unsigned i = 0; !open_ && i < std::min<std::uint64_t>(places, most_tries); ++i)
            open_ = open_at(lowest + (start + i) % places * page_space, page_space);
        if (open_)
            return true;
    }
    open_ = open_reserved(page_space);
    return open_;
}

void address_window::close() noexcept
{
    lock_guard const guard{lock_};
    if (!open_)
        return;
    map_.set_high(0, false);
    map_.set_high(0, true);
    mapped_.for_each(max_units_, [this](unit_run r) { static_cast<void>(unmap(r)); });
    if (reserved_)
        release_for_good(reservation_, reservation_bytes_);
    else
        unmap_tables();
    reservation_ = nullptr;
    reserved_ = open_ = false;
    free_head_.store(0, std::memory_order_relaxed);
    mapped_head_.store(0, std::memory_order_relaxed);
    generation_units_.store(0, std::memory_order_relaxed);
    subslab_units_.store(0, std::memory_order_relaxed);
}

/// Takes free units off every list; count 0 if there are none.
unit_run address_window::find_units(std::uint32_t count, std::uint32_t step) noexcept
{
    if (unit_run const r = free_.first_fit(count, step); r.count != 0) {
        free_.erase(r);
        return r;
    }
    std::uint32_t const skip = (step - frontier_ % step) % step;
    if (std::uint64_t{frontier_} + skip + count > max_units_ || !cover(frontier_ + skip + count))
        return {};
    if (skip != 0)
        free_.insert({frontier_, skip});
    unit_run const r{frontier_ + skip, count};
    frontier_ = r.first + count;
    return r;
}

void address_window::own(unit_run r, std::uint64_t owner) noexcept
{
    // Before the owner is written: late frees for the last owner are not reported, and must not count as frees of the
    // new owner's objects.
    for (std::uint32_t page = r.first * unit_pages; page < (r.first + r.count) * unit_pages; ++page)
        prepare_page(slabs()[page], subslabs_of(page));
    for (std::uint32_t u = r.first; u < r.first + r.count; ++u)
        owners_[u].store(owner, std::memory_order_release);   // see owner_of_unit
}

// Modelled: tests/models/chunks.pml, step take_units
unit_run address_window::take(std::uint32_t count, std::uint32_t step, std::uint64_t owner) noexcept
{
    std::uint32_t jump = 1;
    for (unsigned collisions = 0; collisions < most_collisions; ++collisions) {
        unit_run r;
        bool mapped = false;
        {
            lock_guard const guard{lock_};
            // Units that are still mapped need no call, and no further mapping, which might be refused.
            r = mapped_.first_fit(count, step);
            mapped = r.count != 0;
            if (mapped)
                mapped_.erase(r);
            else
                r = find_units(count, step);
        }
        if (r.count == 0)
            return {};
        map_result got = map_result::mapped;
        std::size_t const bytes = std::size_t{count} << unit_shift;
        if (!mapped && reserved_)
            got = os().commit(address_of(r.first), bytes) ? map_result::mapped : map_result::refused;
        else if (!mapped)
            got = os().map_at(address_of(r.first), bytes);
        if (got == map_result::mapped) {
            own(r, owner);
            return r;
        }
        lock_guard const guard{lock_};
        if (got == map_result::refused) {
            free_.insert(r);
            return {};
        }
        // Another mapping of the program is there. These units are skipped for good, and more of them each time, up to
        // a limit: scattered small mappings must not use up the window.
        jump = std::min(2 * jump, most_jump());
        if (r.first + count == frontier_)
            frontier_ += std::min(jump, max_units_ - frontier_);
    }
    return {};
}

/// Purges the memory of their descriptors. A descriptor of zeroes is one of a page that was never used (see
/// prepare_page), and no thread reads descriptors of units without an owner. If the purge fails the memory stays until
/// the units are taken.
void address_window::drop_descriptors(unit_run r) const noexcept
{
    std::uint32_t const page = r.first * unit_pages;
    static_assert(slab_bytes_of_unit % 4096 == 0);
    os().purge(slabs() + page, r.count * slab_bytes_of_unit);
    if (std::uint32_t const end = std::min(subslab_units(), r.first + r.count); end > r.first)
        os().purge(subslabs() + std::size_t{page} * max_subslabs, (end - r.first) * subslab_bytes_of_unit);
}

/// Unmaps units. False if the system refuses: then they have no memory any more, as if they were unmapped.
bool address_window::unmap(unit_run r) noexcept
{
    std::size_t const bytes = std::size_t{r.count} << unit_shift;
    if (reserved_) {
        os().purge(address_of(r.first), bytes);   // if that fails they use memory until they are taken
        return true;
    }
    if (os().release(address_of(r.first), bytes))
        return true;
    note_refused_release();
    if (!os().purge(address_of(r.first), bytes))   // probably locked memory
        std::memset(address_of(r.first), 0, bytes);
    return false;
}

/// Tries again to unmap a run that could not be unmapped: its neighbours may be free now, so that no mapping is split.
void address_window::unmap_one_more() noexcept
{
    unit_run r;
    {
        lock_guard const guard{lock_};
        r = mapped_.run_at(mapped_.head());
        if (r.count == 0)
            return;
        mapped_.erase(r);
    }
    bool const gone = unmap(r);
    lock_guard const guard{lock_};
    (gone ? free_ : mapped_).insert(r);
}

// Modelled: tests/models/chunks.pml, step give_units
bool address_window::give(unit_run r, std::uint64_t owner) noexcept
{
    for (std::uint32_t u = r.first; u < r.first + r.count; ++u)
        owners_[u].store(owner | 1U, std::memory_order_relaxed);
    bool const gone = unmap(r);
    drop_descriptors(r);
    {
        lock_guard const guard{lock_};
        (gone ? free_ : mapped_).insert(r);
    }
    if (gone)
        unmap_one_more();
    return gone;
}

bool address_window::commit_generations(std::uint32_t unit) noexcept
{
    lock_guard const guard{lock_};
    return commit(generations_part, generation_units_, unit);
}

bool address_window::commit_subslabs(std::uint32_t unit) noexcept
{
    lock_guard const guard{lock_};
    if (!commit(subslabs_part, subslab_units_, unit))
        return false;
    map_.set_high(std::size_t{subslab_units_.load(std::memory_order_relaxed)} << unit_shift, true);
    return true;
}

}
