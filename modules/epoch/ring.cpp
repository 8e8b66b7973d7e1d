// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
module tslab.epoch;

import tslab.stats;
import tslab.tls_cache;

namespace tslab {

/// Notes a holder when no listed one is free: makes some; without memory for those, takes one that readers do not find, or
/// none, and counts the holder as unlisted.
epoch_holder* epoch_record::note_further_holder(std::uint32_t place) noexcept
{
    if (free_unlisted == nullptr)
        make_block();
    epoch_holder*& from = free_holders != nullptr ? free_holders : free_unlisted;
    epoch_holder* const h = from;
    if (h == nullptr || !h->is_listed)
        set_unlisted(unlisted_holders + 1);
    if (h == nullptr)
        return nullptr;
    from = h->next;
    h->stats->enter(place, last_entered_ns);
    return h;
}

void epoch_record::note_unlisted_exit(epoch_holder* h) noexcept
{
    set_unlisted(unlisted_holders - 1);
    if (h == nullptr)
        return;
    h->stats->leave();
    h->next = std::exchange(free_unlisted, h);
}

void epoch_record::make_block() noexcept
{
    if (spare_block == nullptr)
        spare_block = heap->make_private<holder_block>();
    auto* const page = spare_block != nullptr ? heap->make_stats_page<holder_page>() : nullptr;
    if (page == nullptr)
        return;
    holder_block* const made = std::exchange(spare_block, nullptr);
    segment_part const& in = heap->published();
    bool const is_listed = !in.is_published() || in.is_published(page);
    made->page = page;
    made->next = blocks.load(std::memory_order_relaxed);
    blocks.store(made, std::memory_order_release);   // a reader that sees the block sees its page
    if (is_listed) {
        page->next.store(stats.more_holders.load(std::memory_order_relaxed), std::memory_order_relaxed);
        stats.more_holders.store(page, std::memory_order_release);   // likewise
    }
    epoch_holder*& to = is_listed ? free_holders : free_unlisted;
    for (std::size_t i = made->holders.size(); i-- > 0;) {
        made->holders[i] = {&page->holders[i], to, is_listed};
        to = &made->holders[i];
    }
}

source_entry entry_of(published_place const* place)
{
    if (place == nullptr)
        return {};
    auto const text = [](auto const& of) { return std::string(of.begin(), std::find(of.begin(), of.end() - 1, '\0')); };
    return {text(place->file), place->line, text(place->function)};
}

}
