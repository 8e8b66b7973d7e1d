// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
module tslab.slab;

import tslab.stats;

namespace tslab {

void page_set::attach(void* memory, std::size_t pages) noexcept
{
    word_count_ = static_cast<std::uint32_t>((pages + 63) / 64);
    words_ = static_cast<std::uint64_t*>(memory);
    summary_ = words_ + word_count_;
    size_ = 0;
}

void page_set::attach(std::uint64_t* words, std::uint64_t* summary, std::uint32_t word_count) noexcept
{
    words_ = words;
    summary_ = summary;
    word_count_ = word_count;
    size_ = 0;
}

/// Replaces each word that the range touches by apply(word, mask), and updates the summary.
template <class Change> void page_set::change(std::uint32_t first, std::uint32_t count, Change apply) noexcept
{
    std::uint32_t const end = first + count;
    while (first < end) {
        std::uint32_t const w = first / 64;
        std::uint32_t const bit = first % 64;
        std::uint32_t const n = std::min(64 - bit, end - first);
        std::uint64_t const mask = (n == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1) << bit;
        std::uint64_t const before = words_[w];
        std::uint64_t const word = apply(before, mask);
        atomic_ref<std::uint64_t>{words_[w]}.store(word, std::memory_order_relaxed);   // statistics read it
        std::uint64_t const flag = std::uint64_t{1} << (w % 64);
        // relaxed: the bits of this set are read under its own lock; the other bits are other sets'.
        if (before == 0 && word != 0)
            atomic_ref<std::uint64_t>{summary_[w / 64]}.fetch_or(flag, std::memory_order_relaxed);
        else if (before != 0 && word == 0)
            atomic_ref<std::uint64_t>{summary_[w / 64]}.fetch_and(~flag, std::memory_order_relaxed);
        first += n;
    }
}

void page_set::insert(std::uint32_t first, std::uint32_t count) noexcept
{
    change(first, count, [](std::uint64_t word, std::uint64_t mask) { return word | mask; });
    size_ += count;
}

void page_set::erase(std::uint32_t first, std::uint32_t count) noexcept
{
    change(first, count, [](std::uint64_t word, std::uint64_t mask) { return word & ~mask; });
    size_ -= count;
}

void page_set::clear(std::uint32_t first, std::uint32_t count) noexcept
{
    if (size_ == 0)
        return;
    change(first, count, [this](std::uint64_t word, std::uint64_t mask) {
        size_ -= static_cast<std::uint32_t>(std::popcount(word & mask));
        return word & ~mask;
    });
}

page_run page_set::next_run(std::uint32_t from, std::uint32_t longest, std::uint32_t end) const noexcept
{
    std::uint32_t const word_end = std::min(end / 64, word_count_);
    auto const flags_of = [this](std::uint32_t s) {
        return atomic_ref<std::uint64_t>{summary_[s]}.load(std::memory_order_relaxed);
    };
    std::uint32_t w = from / 64;
    if (w >= word_end)
        return {};
    std::uint64_t word = words_[w] & (~std::uint64_t{0} << (from % 64));
    while (word == 0) {
        // Behind w: the rest of its summary word first, then summary word by summary word.
        std::uint32_t s = (w + 1) / 64;
        std::uint32_t const summary_end = (word_end + 63) / 64;
        std::uint64_t flags = s < summary_end ? flags_of(s) & (~std::uint64_t{0} << ((w + 1) % 64)) : 0;
        while (flags == 0 && ++s < summary_end)
            flags = flags_of(s);
        if (flags == 0)
            return {};
        w = s * 64 + static_cast<std::uint32_t>(std::countr_zero(flags));
        if (w >= word_end)
            return {};
        word = words_[w];
    }
    auto const bit = static_cast<std::uint32_t>(std::countr_zero(word));
    page_run run{w * 64 + bit, 0};
    run.count = static_cast<std::uint32_t>(std::countr_one(word >> bit));
    bool goes_on = bit + run.count == 64;   // the run reaches the word's end
    while (goes_on && run.count < longest && ++w < word_end) {
        auto const ones = static_cast<std::uint32_t>(std::countr_one(words_[w]));
        run.count += ones;
        goes_on = ones == 64;
    }
    run.count = std::min(run.count, longest);
    return run;
}

}
