// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Soft limits: who crosses one, and the call of its handler. What is counted: limits.cpp.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

void epoch_slabs::set_soft_limit(std::uint64_t pages) noexcept { count.soft_.store(pages, std::memory_order_relaxed); }

void epoch_slabs::look_at_soft_limit(thread_record& me) noexcept
{
    if (count.pages() < count.soft_limit() || count.told_.load(std::memory_order_relaxed) ||
        count.told_.exchange(true, std::memory_order_relaxed)) [[likely]]
        return;
    me.apart.soft_of = this;
    me.apart.soft_era = era.load(std::memory_order_relaxed);
    me.flush_requested.store(true, std::memory_order_relaxed);   // leave() looks at this; the thread's own store
}

void thread_record::call_soft_limit_handler() noexcept
{
    epoch_slabs* const of = std::exchange(apart.soft_of, nullptr);
    if (of == nullptr)
        return;
    heap_limits& limits = heap.limits();
    soft_limit_event event;
    shared_text::copy label;
    soft_limit_handler handler = nullptr;
    void* context = nullptr;
    {
        lock_guard const guard{limits.lock};
        handler = limits.handler;
        context = limits.context;
    }
    std::uint64_t const its_era = apart.soft_era;   // the handler may cross the limit of another phase
    {
        fork_exclusion const section{this};
        lock_guard const guard{of->lock, of->site(this, no_class)};
        if (!of->is_open(its_era) || !of->count.on())
            return;
        label = of->stats.label.read();
        std::uint64_t const limit = of->count.limit();
        event = {.heap = heap.name(),
                 .label = label.view(),
                 .index = of->index,
                 .era = its_era,
                 .held = of->count.pages() << page_shift,
                 .soft_limit = of->count.soft_limit() << page_shift,
                 .limit = limit != no_limit ? std::optional<std::size_t>{limit << page_shift} : std::nullopt};
    }
    counts[heap_event::soft_limit].add();
    if (handler == nullptr)
        return;
    std::optional<std::size_t> const before = event.limit;
    handler(event, context);
    fork_exclusion const section{this};
    lock_guard const guard{of->lock, of->site(this, no_class)};
    if (!of->is_open(its_era) || !of->count.on())
        return;
    if (event.limit != before)
        of->set_limit(limit_pages_of(event.limit));
    if (event.fail)
        of->mark_to_fail();
}

}
