// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The registry of labels: a bounded number of names that statistics count by. Number 0 is `unlabeled`, 14 names get a
// number of their own, and later names share the last number, `other`; how many do is counted. Costs of phases can be told
// apart by further names, whose numbers begin behind `other`. Thread safe.
#pragma once

export namespace tslab {

class label_registry {
public:
    /// `published`: the stats page that names and counts are written to; null for none. `heap`: has the memory for
    /// `further` names, most_further_labels at most, that costs are counted by.
    explicit label_registry(heap_stats_page* published = nullptr, heap_state* heap = nullptr,
                            std::uint32_t further = 0) noexcept
        : published_{published}, heap_{heap}, most_further_{heap != nullptr ? further : 0}
    {
    }

    static constexpr std::uint32_t unlabeled = 0;
    static constexpr std::uint32_t named = 14;
    static constexpr std::uint32_t other = named + 1;
    static constexpr std::uint32_t count = other + 1;

    /// The number of `label`. A new label gets the next number if one is left, otherwise `other`; an empty one is
    /// `unlabeled`. Labels are compared by their whole characters in the first 31 bytes,
    /// up to a NUL. Thread safe. Lock-free for known labels;
    /// a new one takes a lock. Complexity: linear in the names.
    [[nodiscard]] inline std::uint32_t number_of(std::string_view label) noexcept
    {
        return number_of(label, shared_text::pack(label));
    }
    /// The same for a caller that has packed the label: `words` is shared_text::pack(label).
    [[nodiscard]] inline std::uint32_t number_of(std::string_view label, shared_text::packed const& words) noexcept
    {
        if (label.empty())
            return unlabeled;
        // acquire: pairs with the release in add; names below the count never change.
        std::uint32_t const known = used_.load(std::memory_order_acquire);
        for (std::uint32_t i = 0; i < known; ++i)
            if (names_[i].is(words)) [[likely]] {
                if (label.size() > shared_text::capacity) [[unlikely]]
                    note_cut();
                return i + 1;
            }
        return add(label);
    }

    /// The number by which costs are counted of the label `words`, whose number is `number`: that number, or for a label
    /// that shares `other` one of its own, `count` or above, while one is left and there is memory. Else it stays `other`,
    /// which is counted at each call. Thread safe. Lock-free for known labels; a new one takes a lock. Constant time.
    [[nodiscard]] inline std::uint32_t cost_number_of(std::uint32_t number, shared_text::packed const& words) noexcept
    {
        return number != other || most_further_ == 0 ? number : further_number_of(words);
    }

    /// The name of a number. Thread safe.
    [[nodiscard]] shared_text::copy name_of(std::uint32_t number) const noexcept;

    /// Calls `visit(first, names)` for each block of further names, those of the numbers `count + first` and on. Thread safe.
    template <class F> void for_each_further(F visit) const
    {
        further_names const* const all = further_.load(std::memory_order_acquire);   // pairs with add_further
        for (std::uint32_t i = 0; all != nullptr && i < all->blocks.size(); ++i)
            if (further_names::names const* const of = all->blocks[i].load(std::memory_order_acquire))
                visit(i * further_names::block, *of);
    }

    /// How often a new label had to share `other`, and how often a label was cut to 31 bytes.
    [[nodiscard]] inline std::uint64_t overflows() const noexcept { return overflows_.value(); }
    [[nodiscard]] inline std::uint64_t cut() const noexcept { return cut_.value(); }
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    [[nodiscard]] std::uint32_t add(std::string_view label) noexcept;

    void note_cut() noexcept;

    /// The further names, by number and by hash. Private: what is published is never read back.
    struct further_names {
        static constexpr std::size_t slots = std::size_t{2} * most_further_labels;
        static constexpr std::uint32_t block = label_page::capacity;
        using names = further_label_names;

        std::array<std::atomic<std::uint16_t>, slots> index{};   ///< number + 1 from 0; 0: none. Open addressing
        std::array<std::atomic<names*>, most_further_labels / block> blocks{};

        /// The slot of the name, or the free one where it belongs.
        [[nodiscard]] std::atomic<std::uint16_t>& slot_of(shared_text::packed const& words) noexcept;
    };
    [[nodiscard]] std::uint32_t further_number_of(shared_text::packed const& words) noexcept;
    [[nodiscard]] std::uint32_t add_further(shared_text::packed const& words) noexcept;
    [[nodiscard]] bool keep_further(further_names& all, std::uint32_t n, shared_text::packed const& words) noexcept;

    heap_stats_page* const published_;
    mutex lock_;
    atomic<std::uint32_t> used_{0};
    std::array<shared_text, named> names_{};
    counter overflows_;
    counter cut_;
    heap_state* const heap_;
    std::uint32_t const most_further_;
    std::uint32_t further_used_ = 0;       // changed under the lock
    label_page* further_page_ = nullptr;   // likewise: the newest
    std::atomic<further_names*> further_{nullptr};
};

}
