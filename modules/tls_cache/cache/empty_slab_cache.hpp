// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The cache of empty slabs of one thread. Used by its thread inside a fork-exclusion section, or by a thread that has
// reached it (heap_state::reach_threads); only `pages` may be called by any thread.
#pragma once

export namespace tslab {

/// Stacks of empty slabs, one a class. All functions are constant time and do not throw, except where stated.
class empty_slab_cache {
public:
    /// `published`: where the total of pages is published.
    inline explicit empty_slab_cache(atomic<std::uint32_t>& published) noexcept : published_{published} {}

    inline void push(slab_meta& s, unsigned c) noexcept
    {
        s.next = first_[c];
        first_[c] = &s;
        ++count_[c];
        add_pages(class_shapes[c].pages);
    }
    /// The slab that `pop` would return; null if the class has none.
    [[nodiscard]] inline slab_meta* first(unsigned c) const noexcept { return first_[c]; }
    /// Removes and returns the slab that was pushed last. Requires: the class has one.
    inline slab_meta& pop(unsigned c) noexcept
    {
        slab_meta& s = *first_[c];
        first_[c] = s.next;
        --count_[c];
        fewest_[c] = std::min(fewest_[c], count_[c]);
        add_pages(-class_shapes[c].pages);
        return s;
    }
    /// Adds a chain of `n` slabs, linked by `next`. Requires: the class has none.
    inline void fill(unsigned c, slab_meta* chain, std::uint32_t n) noexcept
    {
        first_[c] = chain;
        count_[c] = n;
        add_pages(n * class_shapes[c].pages);
    }
    /// Removes the `n` slabs that were pushed first and returns them as a chain, null if `n` is 0. Requires: the class
    /// has as many. Complexity: linear in the slabs that remain.
    [[nodiscard]] inline slab_meta* take_oldest(unsigned c, std::uint32_t n) noexcept
    {
        if (n == 0)
            return nullptr;
        slab_meta** link = &first_[c];
        for (std::uint32_t stay = count_[c] - n; stay > 0; --stay)
            link = &(*link)->next;
        slab_meta* const oldest = *link;
        *link = nullptr;
        count_[c] -= n;
        fewest_[c] = std::min(fewest_[c], count_[c]);
        add_pages(-(n * class_shapes[c].pages));
        return oldest;
    }
    [[nodiscard]] inline std::uint32_t count(unsigned c) const noexcept { return count_[c]; }
    /// The smallest count of the class since the last call: that many slabs were not used in between.
    [[nodiscard]] inline std::uint32_t unwanted(unsigned c) noexcept { return std::exchange(fewest_[c], count_[c]); }
    /// Pages of all slabs. Thread safe.
    [[nodiscard]] inline std::uint32_t pages() const noexcept { return pages_.load(std::memory_order_relaxed); }

private:
    inline void add_pages(std::uint32_t n) noexcept
    {
        std::uint32_t const now = pages_.load(std::memory_order_relaxed) + n;
        pages_.store(now, std::memory_order_relaxed);
        published_.store(now, std::memory_order_relaxed);
    }

    std::array<slab_meta*, class_count> first_{};   // linked by next
    std::array<std::uint32_t, class_count> count_{};
    std::array<std::uint32_t, class_count> fewest_{};
    atomic<std::uint32_t> pages_{0};
    atomic<std::uint32_t>& published_;
};

}
