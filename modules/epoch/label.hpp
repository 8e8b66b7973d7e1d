// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The registry of labels: a bounded number of names that statistics count by. Number 0 is `unlabeled`, 14 names get a
// number of their own, and later names share the last number, `other`; how many do is counted. Thread safe.
#pragma once

export namespace tslab {

class label_registry {
public:
    /// `published`: the stats page that names and counts are written to; null for none.
    explicit label_registry(heap_stats_page* published = nullptr) noexcept : published_{published} {}

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

    /// The name of a number. Thread safe.
    [[nodiscard]] shared_text::copy name_of(std::uint32_t number) const noexcept;

    /// How often a new label had to share `other`, and how often a label was cut to 31 bytes.
    [[nodiscard]] inline std::uint64_t overflows() const noexcept { return overflows_.value(); }
    [[nodiscard]] inline std::uint64_t cut() const noexcept { return cut_.value(); }
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    [[nodiscard]] std::uint32_t add(std::string_view label) noexcept;

    void note_cut() noexcept;

    heap_stats_page* const published_;
    mutex lock_;
    atomic<std::uint32_t> used_{0};
    std::array<shared_text, named> names_{};
    counter overflows_;
    counter cut_;
};

}
