// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap: construction and end, the memory of its ring slots, the return of units to the window.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "../thread/thread_registry.hpp"
#include "purge_thread.hpp"

namespace tslab {

namespace {

constinit atomic<std::uint64_t> heap_numbers{0};

}

heap_stats_page& heap_state::make_heap_stats_page(segment_part& in)
{
    auto* const stats = in.make<heap_stats_page>();
    if (stats == nullptr)
        throw std::bad_alloc{};
    return *stats;
}

heap_state::heap_state(options const& o, std::size_t ring_record_bytes)
    : number_{heap_numbers.fetch_add(1, std::memory_order_relaxed) + 1},
      slots_{o.slots},
      checks_{o.checks, o.guard_sampling},
      published_{o.publish, layout_number()},
      stats_{make_heap_stats_page(published_)},
      slabs_{o.policy, o.slab_cache, o.reserve_bytes, o.huge_pages, &stats_.pages, stats_.cached.data()},
      profiler_{meta_, published_, stats_, o.profile},
      ring_record_bytes_{ring_record_bytes},
      decay_ns_{o.policy == reclaim_policy::cached && o.decay_ns != 0 ? o.decay_ns : never},
      thread_cache_pages_{static_cast<std::uint32_t>(
          std::min<std::uint64_t>(o.thread_cache_bytes >> page_shift, std::uint32_t{1} << 31))},
      decayed_ns_{now_ns_coarse()},
      name_{o.name},
      asks_background_{o.background_purge &&
                       o.policy == reclaim_policy::cached},   // under the others nothing waits to go
      purges_on_pressure_{asks_background_ && o.purge_on_pressure}
{
    slabs_.set_clears_slots(checks_.uses_canaries());
    slabs_.set_without_delay(o.decay_ns == 0);
    cache_pages_ = std::min(thread_record::cache_pages, slabs_.capacity(0) * class_shapes[0].pages);
    for (unsigned c = 0; c < class_count; ++c)
        empty_limit_[c] =
            std::min(std::max(thread_record::spare_pages / class_shapes[c].pages, 1U), slabs_.capacity(c));
    auto* const words = meta_.make_array<slot_set::word>(slot_set::words_for(o.slots));
    if (words == nullptr)
        throw std::bad_alloc{};
    free_slots_.attach(words, o.slots);
    stats_.first_chunk.store(published_.first_published(), std::memory_order_relaxed);
    std::string_view const fitting = fitting_prefix(o.name, stats_.name.size() - 1);
    std::ranges::copy(fitting, stats_.name.begin());
    stats_.epoch_count = o.slots;
    stats_.slab_cache = o.policy == reclaim_policy::eager ? 0 : o.slab_cache;
    stats_.reclaim = static_cast<std::uint8_t>(o.policy);
    stats_.made_ns = now_ns_coarse();
    stats_.decay_ns = o.decay_ns;
    stats_.thread_cache_bytes = o.thread_cache_bytes;
    address_window const& w = process_window;
    stats_.descriptors = reinterpret_cast<std::uintptr_t>(w.slabs());
    stats_.subslabs = reinterpret_cast<std::uintptr_t>(w.subslabs());
    stats_.generations = reinterpret_cast<std::uintptr_t>(w.generations());
    stats_.first_page = w.map().base();
    stats_.unit_links = reinterpret_cast<std::uintptr_t>(process_window.links());
    stats_.max_units = w.max_units();
    stats_.ring_record_bytes = ring_record_bytes;
    stats_.free_resident_words = reinterpret_cast<std::uintptr_t>(page_heap::resident_words());
    stats_.free_large_words = reinterpret_cast<std::uintptr_t>(page_heap::large_words());
    publish_arena();
    if (!registry().add(*this))
        throw std::bad_alloc{};
    registered_ = true;
    if (asks_background_)
        background().add(*this);
}

void heap_state::publish_arena() noexcept { stats_.publish_memory(meta_, published_); }

heap_state::~heap_state()
{
    leave_background();
    leave_registry();
}

void heap_state::leave_registry() noexcept
{
    if (std::exchange(registered_, false))
        registry().remove(*this);
}

void heap_state::leave_background() noexcept
{
    if (asks_background_)
        background().remove(*this);
}

bool heap_state::make_row(std::uint32_t slot) noexcept
{
    unsigned const row = ring_rows::row_of(slot);
    if (ring_rows_[row].load(std::memory_order_relaxed) != nullptr)
        return true;
    std::uint32_t const begin = ring_rows::begin_of(row);
    std::uint32_t const end = std::min(begin + ring_rows::size_of(row), slots_);
    auto* const made =
        static_cast<std::byte*>(meta_.allocate((end - begin) * ring_record_bytes_, alignof(epoch_slabs)));
    if (made == nullptr)
        return false;
    publish_arena();
    stats_.ring_rows_at[row].store(reinterpret_cast<std::uintptr_t>(made), std::memory_order_relaxed);
    ring_rows_[row].store(made, std::memory_order_release);   // a thread that sees the row sees its zeroes
    return true;
}

std::uint32_t heap_state::slot_of(epoch_slabs const& s) const noexcept
{
    auto const at = reinterpret_cast<std::uintptr_t>(&s);
    for (unsigned row = 0; row < ring_rows::most; ++row) {
        auto const begin = reinterpret_cast<std::uintptr_t>(ring_rows_[row].load(std::memory_order_relaxed));
        if (begin != 0 && at - begin < ring_rows::size_of(row) * ring_record_bytes_)
            return ring_rows::begin_of(row) + static_cast<std::uint32_t>((at - begin) / ring_record_bytes_);
    }
    return slots_;
}

// Modelled: tests/models/chunks.pml, step give_back_units
bool heap_state::give_back_units(thread_record* me, std::uint32_t keep, purge_result* done) noexcept
{
    if (keep != 0 && pages().free_purged_pages() <= keep + keep / 2)
        return false;
    fork_exclusion const section{me};   // a fork waits: withdrawn units are in no set of pages
    page_heap::unit_batch runs{};
    std::size_t const n = pages().withdraw(runs, keep);
    if (n == 0)
        return false;
    std::uint64_t const since = now_ns();
    bool const given = give_back(me, runs, n);
    std::uint64_t const took = now_ns() - since;
    pages().note_purge_time(took);
    if (done != nullptr)
        done->nanoseconds += took;
    return given;
}

/// Returns withdrawn units to the window if no other thread is in an operation; else restores them and returns false.
bool heap_state::give_back(thread_record* me, page_heap::unit_batch const& runs, std::size_t n) noexcept
{
    // A thread whose free was the first into a slab may still have to read the slab's descriptor, after others have
    // emptied and recycled the slab and its pages were withdrawn here. After this barrier, a thread that is in no
    // operation finds no slab in these units.
    heavy_barrier();
    bool inside = pins_.load(std::memory_order_seq_cst) != 0;
    for (thread_record* r = first_record(); r != nullptr && !inside; r = r->next_of_heap)
        // acquire: pairs with leave(). A thread that is outside has read the descriptors before another heap uses them.
        inside =
            r != me && !r->vanished.load(std::memory_order_relaxed) && r->activity.load(std::memory_order_acquire) != 0;
    if (inside) {
        pages().restore(runs, n);   // a later call tries again
        return false;
    }
    for (std::size_t i = 0; i < n; ++i)
        for (std::uint32_t page = runs[i].first * unit_pages; page < (runs[i].first + runs[i].count) * unit_pages;
             ++page)
            report_late_frees(page_heap::at(page));   // no later take_slab of this heap would report them
    pages().release(runs, n);
    return true;
}

bool heap_state::make_room(thread_record* me) noexcept
{
    pages().purge();
    bool any = false;
    while (give_back_units(me, 0))
        any = true;
    return any;
}

void heap_state::misused(misuse_report r, std::uint32_t place) noexcept
{
    stats_.misuses[static_cast<std::size_t>(r.kind)].add_shared();
    r.heap = name_;
    // The heap's copy of the name: the library that entered there may have been unloaded. A caller in C may give none.
    std::array<char, sizeof(published_place::file)> file{};
    if (published_place const* const at = places().text_of(place); at != nullptr && at->file[0] != '\0') {
        std::copy(at->file.begin(), at->file.end() - 1, file.begin());
        r.file = file.data();
        r.line = at->line;
    }
    report(r);
}

bool heap_state::owner_of(void const* p, heap_state const* except, std::string& name)
{
    return registry().name_of_owner(p, except, name);
}

}
