// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A set of page numbers: one bit a page and one summary bit for each 64 words, so that the lowest member is found in a
// few loads and neighbouring members are neighbouring bits. The owner provides the memory and the locking.
#pragma once

export namespace tslab {

struct page_run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

class page_set {
public:
    /// Bytes of zeroed memory a set over `pages` pages needs.
    [[nodiscard]] static constexpr std::size_t bytes_for(std::size_t pages) noexcept
    {
        std::size_t const words = (pages + 63) / 64;
        return (words + (words + 63) / 64) * sizeof(std::uint64_t);
    }

    /// `memory`: bytes_for(pages) zeroed bytes, 8-byte aligned.
    void attach(void* memory, std::size_t pages) noexcept;
    /// Makes it a set over words that other sets share, each with words of its own. Sets may share a summary word, so
    /// summary words are changed atomically.
    void attach(std::uint64_t* words, std::uint64_t* summary, std::uint32_t word_count) noexcept;

    void insert(std::uint32_t first, std::uint32_t count) noexcept;
    void erase(std::uint32_t first, std::uint32_t count) noexcept;
    /// Erases those of the range that are members.
    void clear(std::uint32_t first, std::uint32_t count) noexcept;

    /// The first run of members at or behind `from`, cut at `longest`; count 0 if there is none. `end`, a multiple of
    /// 64: members from there on are ignored.
    [[nodiscard]] page_run next_run(std::uint32_t from, std::uint32_t longest,
                                    std::uint32_t end = ~std::uint32_t{63}) const noexcept;
    /// The word of pages 64 w to 64 w + 63.
    [[nodiscard]] inline std::uint64_t word(std::uint32_t w) const noexcept { return words_[w]; }

    [[nodiscard]] inline std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] inline bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] inline bool contains(std::uint32_t page) const noexcept
    {
        return (words_[page / 64] >> (page % 64) & 1U) != 0;
    }
    /// The same for a reader without the lock: the value may be out of date.
    [[nodiscard]] inline bool seems_to_contain(std::uint32_t page) const noexcept
    {
        return (atomic_ref<std::uint64_t>{words_[page / 64]}.load(std::memory_order_relaxed) >> (page % 64) & 1U) != 0;
    }

private:
    template <class Change> void change(std::uint32_t first, std::uint32_t count, Change apply) noexcept;

    std::uint64_t* words_ = nullptr;
    std::uint64_t* summary_ = nullptr;   // bit w: word w is not zero
    std::uint32_t word_count_ = 0;
    std::uint32_t size_ = 0;
};

}
