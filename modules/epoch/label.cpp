// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstdint>
#include <string_view>
module tslab.epoch;

import tslab.slab;
import tslab.tls_cache;

namespace tslab {

std::uint32_t label_registry::add(std::string_view label) noexcept
{
    std::string_view const kept = shared_text::fitting(label);
    if (kept.size() < label.size())
        note_cut();
    if (kept.empty())
        return unlabeled;
    shared_text::packed const words = shared_text::pack(kept);
    lock_guard const guard{lock_};
    std::uint32_t const known = used_.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < known; ++i)
        if (names_[i].is(words))
            return i + 1;
    if (known == named) {
        overflows_.add();
        if (published_ != nullptr)
            published_->labels_in_overflow.raise(overflows_.value());
        return other;
    }
    names_[known].assign(words);
    used_.store(known + 1, std::memory_order_release);
    if (published_ != nullptr) {
        published_->labels[known].assign(words);
        published_->labels_used.store(known + 1, std::memory_order_release);
    }
    return known + 1;
}

void label_registry::note_cut() noexcept
{
    cut_.add_shared();
    if (published_ != nullptr)
        published_->labels_cut.add_shared();
}

shared_text::copy label_registry::name_of(std::uint32_t number) const noexcept
{
    shared_text fixed;
    if (number == unlabeled || number > other) {
        fixed.assign("unlabeled");
        return fixed.read();
    }
    if (number == other || number > used_.load(std::memory_order_acquire)) {
        fixed.assign("other");
        return fixed.read();
    }
    return names_[number - 1].read();
}

}
