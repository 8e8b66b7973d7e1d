// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstdint>
#include <string>
module tslab.epoch;

import tslab.stats;

namespace tslab {

epoch_record::oldest epoch_record::oldest_entry() const
{
    auto const text = [](atomic<char const*> const& of) {
        char const* const s = of.load(std::memory_order_relaxed);
        return std::string{s != nullptr ? s : ""};
    };
    // Entries change concurrently; if the one that was read has changed, the search is repeated.
    constexpr int patience = 100;
    for (int i = 0; i < patience; ++i) {
        open_entry const* first = nullptr;
        std::uint64_t least = ~std::uint64_t{0};
        for (open_entry const& e : entries) {
            std::uint64_t const order = e.order.load(std::memory_order_acquire);
            if (order != 0 && order < least) {
                least = order;
                first = &e;
            }
        }
        if (first == nullptr)
            return {};
        oldest const found{{text(first->file), first->line.load(std::memory_order_relaxed), text(first->function)},
                           first->entered_ns.load(std::memory_order_relaxed)};
        std::atomic_thread_fence(std::memory_order_acquire);   // the fields are read before the order is read again
        if (first->order.load(std::memory_order_relaxed) == least)
            return found;
    }
    return {};
}

}
