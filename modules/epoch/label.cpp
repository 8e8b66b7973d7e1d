// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
module tslab.epoch;

import tslab.stats;
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

std::atomic<std::uint16_t>& label_registry::further_names::slot_of(shared_text::packed const& words) noexcept
{
    std::uint64_t h = 0;
    for (std::uint64_t const w : words)
        h = (h ^ w) * 0x9e3779b97f4a7c15U ^ h >> 29U;
    for (std::size_t i = h >> 40U;; ++i) {
        std::atomic<std::uint16_t>& slot = index[i % slots];
        // acquire: pairs with the release in add_further; the name and its block are complete.
        std::uint32_t const n = slot.load(std::memory_order_acquire);
        if (n == 0)   // at most half of the slots are taken
            return slot;
        if ((*blocks[(n - 1) / block].load(std::memory_order_relaxed))[(n - 1) % block].is(words))
            return slot;
    }
}

std::uint32_t label_registry::further_number_of(shared_text::packed const& words) noexcept
{
    if (further_names* const all = further_.load(std::memory_order_acquire))   // pairs with add_further
        if (std::uint32_t const n = all->slot_of(words).load(std::memory_order_relaxed); n != 0)
            return count + n - 1;
    return add_further(words);
}

/// Makes room for name `n` where readers find it, and stores it there. Returns false if there is no memory, or none that
/// readers outside find.
bool label_registry::keep_further(further_names& all, std::uint32_t n, shared_text::packed const& words) noexcept
{
    auto& block = all.blocks[n / further_names::block];
    further_names::names* names = block.load(std::memory_order_relaxed);
    if (names == nullptr) {
        names = heap_->make_private<further_names::names>();
        if (names == nullptr)
            return false;
        block.store(names, std::memory_order_release);   // a reader sees the zeroes
    }
    if (n % label_page::capacity == 0) {
        auto* const page = heap_->make_stats_page<label_page>();
        if (page == nullptr || (heap_->published().is_published() && !heap_->published().is_published(page)))
            return false;
        page->first = n;
        page->next.store(further_page_, std::memory_order_relaxed);
        further_page_ = page;
        published_->further_labels.store(page,
                                         std::memory_order_release);   // release: a reader sees `first` and `next`
    }
    (*names)[n % further_names::block].assign(words);
    further_page_->names[n % label_page::capacity].assign(words);
    return true;
}

std::uint32_t label_registry::add_further(shared_text::packed const& words) noexcept
{
    lock_guard const guard{lock_};
    further_names* all = further_.load(std::memory_order_relaxed);
    if (all == nullptr) {
        all = heap_->make_private<further_names>();
        further_.store(all, std::memory_order_release);   // null, if there is no memory
    }
    if (all != nullptr) {
        std::atomic<std::uint16_t>& slot = all->slot_of(words);
        if (std::uint32_t const n = slot.load(std::memory_order_relaxed); n != 0)
            return count + n - 1;
        if (further_used_ < most_further_ && keep_further(*all, further_used_, words)) {
            slot.store(static_cast<std::uint16_t>(++further_used_), std::memory_order_release);
            published_->further_labels_used.store(further_used_, std::memory_order_release);
            return count + further_used_ - 1;
        }
    }
    published_->further_labels_missing.add();
    return other;
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
