// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstdint>
#include <string>
module tslab.epoch;

import tslab.stats;

namespace tslab {

source_entry epoch_record::oldest_entry() const
{
    open_entry const* oldest = nullptr;
    std::uint64_t least = ~std::uint64_t{0};
    for (open_entry const& e : entries) {
        std::uint64_t const order = e.order.load(std::memory_order_relaxed);
        if (order != 0 && order < least) {
            least = order;
            oldest = &e;
        }
    }
    if (oldest == nullptr)
        return {};
    auto const text = [](std::atomic<char const*> const& of) {
        char const* const s = of.load(std::memory_order_relaxed);
        return std::string{s != nullptr ? s : ""};
    };
    return {text(oldest->file), oldest->line.load(std::memory_order_relaxed), text(oldest->function)};
}

}
