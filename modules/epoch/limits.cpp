// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Setting limits, and the exception of an allocation that one refused. What is counted: tls_cache/epoch_slabs/limits.cpp.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

extern "C++" {

epoch_closed::epoch_closed(std::string_view label) noexcept
{
    if (!label.empty())
        std::snprintf(text_, sizeof text_, "tslab: allocation in the closed epoch \"%.*s\"",
                      static_cast<int>(label.size()), label.data());
}

over_limit::over_limit(kind of, std::string_view label, std::string_view heap, std::uint64_t asked, std::uint64_t held,
                       std::uint64_t limit, bool marked) noexcept
    : of_{of}, asked_{asked}, held_{held}, limit_{limit}
{
    label = label.empty() ? "unlabeled" : label.substr(0, sizeof label_ - 1);
    std::ranges::copy(label, label_);
    auto const bytes = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    heap = heap.substr(0, 63);   // it may be longer than the text
    if (marked)
        std::snprintf(
            text_, sizeof text_,
            "tslab: the phase \"%s\" may take no more memory: the handler of its soft limit said so, at %llu bytes",
            label_, bytes(held));
    else if (of == kind::phase)
        std::snprintf(text_, sizeof text_,
                      "tslab: the phase \"%s\" holds %llu bytes, and %llu more would exceed its limit of %llu", label_,
                      bytes(held), bytes(asked), bytes(limit));
    else if (of == kind::label)
        std::snprintf(
            text_, sizeof text_,
            "tslab: the phases labelled \"%s\" hold %llu bytes, and %llu more would exceed their limit of %llu", label_,
            bytes(held), bytes(asked), bytes(limit));
    else
        std::snprintf(text_, sizeof text_,
                      "tslab: the phases of the heap \"%.*s\" hold %llu bytes, and %llu more for \"%s\" would exceed "
                      "its limit of %llu",
                      static_cast<int>(heap.size()), heap.data(), bytes(held), bytes(asked), label_, bytes(limit));
}
}

void allocator::begin_counting(epoch_record& r, std::uint64_t era, thread_cache* own, thread_record* me) noexcept
{
    lock_guard const guard{r.lock, r.site(me, no_class)};
    if (r.is_open(era))
        r.begin_counting(own);
}

/// Calls `change(record)` under the lock of the epoch `e`, which is counted from then on.
template <class F> bool allocator::with_count(epoch_id e, F change)
{
    if (e.index >= state_.prepared_slots())
        return false;
    if (!state_.limits().make_table(state_))
        throw std::bad_alloc{};
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    epoch_record& r = record_of(e);
    lock_guard const guard{r.lock, r.site(me, no_class)};
    if (!r.is_open(e.era))
        return false;
    r.begin_counting(nullptr);
    change.operator()(r);
    if (me != nullptr)
        r.begin_counting_caches_of(*me);
    return true;
}

bool allocator::set_limit(epoch_id e, std::optional<std::size_t> bytes)
{
    return with_count(e, [&](epoch_record& r)
                             __attribute__((requires_capability(r.lock))) { r.set_limit(limit_pages_of(bytes)); });
}

bool allocator::set_soft_limit(epoch_id e, std::optional<std::size_t> bytes)
{
    return with_count(e, [&](epoch_record& r)
                             __attribute__((requires_capability(r.lock))) { r.set_soft_limit(limit_pages_of(bytes)); });
}

void allocator::set_limit(std::string_view label, std::optional<std::size_t> bytes)
{
    if (!state_.limits().make_table(state_))
        throw std::bad_alloc{};
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    std::uint32_t const id = labels_.number_of(label, shared_text::pack(label));
    if (id == label_registry::other)
        throw std::length_error{"tslab: the limit of \"" + std::string{shared_text::fitting(label)} +
                                "\" needs a label with a number of its own, and 14 others have one"};
    state_.limits().limit_label(id, limit_pages_of(bytes));
    // A thread that opens an epoch publishes its era, passes the light half of the barrier and looks whether the label is
    // counted. This thread has said so, passes the heavy half and looks at the era. One of them sees the other.
    heavy_barrier();
    for (std::uint32_t i = 0; i < state_.prepared_slots(); ++i) {
        epoch_slabs& s = state_.epoch_slabs_at(i);
        lock_guard const guard{s.lock, s.site(me, no_class)};
        if (!s.is_open(epoch_slabs::any_era) || s.label_id.load(std::memory_order_relaxed) != id)
            continue;
        s.begin_counting(nullptr);
        s.move_to_account();   // one that was counted for its own limit
    }
}

void allocator::set_soft_limit_handler(soft_limit_handler handler, void* context) noexcept
{
    fork_exclusion const section{state_.record()};
    heap_limits& limits = state_.limits();
    lock_guard const guard{limits.lock};
    limits.handler = handler;
    limits.context = context;
}

void allocator::throw_closed(epoch_id e) const { throw epoch_closed{label_of(e).view()}; }

void allocator::throw_refused(thread_record* me, epoch_slabs const& e)
{
    limit_refusal const why = me != nullptr ? me->take_refusal() : limit_refusal{};
    if (!why)
        throw std::bad_alloc{};
    shared_text::copy const label = e.stats.label.read();
    throw over_limit{static_cast<over_limit::kind>(why.of),
                     label.view(),
                     e.heap->name(),
                     why.asked << page_shift,
                     why.held << page_shift,
                     why.limit << page_shift,
                     why.marked};
}

}
