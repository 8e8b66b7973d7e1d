// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The free slots of the epoch ring, one bit a slot. Any thread may claim and release slots, without a lock; a slot is
// claimed by one thread at a time.
#pragma once

export namespace tslab {

/// A set of ring slots. Neighbouring slots are in different words, so that threads that start their search at
/// neighbouring slots do not contend for one word. The slots in use are still the lowest ones: a heap that has a record
/// for each slot below the highest one ever claimed needs few records.
class slot_set {
public:
    static constexpr std::uint32_t words_of_group = 4;
    static constexpr std::uint32_t slots_of_group = words_of_group * 64;
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    /// The bits of 64 slots, on a cache line of their own.
    struct alignas(64) word {
        atomic<std::uint64_t> bits{0};
    };

    [[nodiscard]] static constexpr std::size_t words_for(std::uint32_t slots) noexcept
    {
        return std::size_t{(slots + slots_of_group - 1) / slots_of_group} * words_of_group;
    }

    /// Uses `words`, an array of words_for(slots) zeroed words. Every slot starts free. Call it once, before any other
    /// function.
    inline void attach(word* words, std::uint32_t slots) noexcept
    {
        words_ = words;
        word_count_ = static_cast<std::uint32_t>(words_for(slots));
        for (std::uint32_t i = 0; i < slots; ++i)
            release(i);
    }

    /// Claims the first free slot at or after `from`, wrapping around at the end; returns `none` when every slot is
    /// claimed. Thread safe. Complexity: one read-modify-write if `from` is free, else linear in the words of the set.
    // Modelled: tests/models/era.pml, step slot_set
    [[nodiscard]] inline std::uint32_t claim(std::uint32_t from) noexcept
    {
        if (take(from)) [[likely]]
            return from;
        std::uint32_t group = from / slots_of_group;
        std::uint32_t least = from % slots_of_group;
        std::uint32_t const groups = word_count_ / words_of_group;
        for (std::uint32_t i = 0; i <= groups; ++i) {   // the first group twice: from `from`, then up to it
            for (std::uint32_t slot = 0; (slot = first_free(group, least)) != none;)
                if (take(slot))
                    return slot;
            least = 0;
            group = group + 1 == groups ? 0 : group + 1;
        }
        return none;
    }

    /// Frees a claimed slot. Thread safe.
    inline void release(std::uint32_t slot) noexcept
    {
        // release: pairs with the acquire in claim.
        word_of(slot).bits.fetch_or(bit_of(slot), std::memory_order_release);
    }

    /// The number of free slots; exact while no thread claims or releases one. Thread safe. Complexity: linear in the
    /// words.
    [[nodiscard]] inline std::uint32_t size() const noexcept
    {
        std::uint32_t n = 0;
        for (std::uint32_t w = 0; w < word_count_; ++w)
            n += static_cast<std::uint32_t>(std::popcount(words_[w].bits.load(std::memory_order_relaxed)));
        return n;
    }

private:
    [[nodiscard]] inline word& word_of(std::uint32_t slot) const noexcept
    {
        return words_[slot / slots_of_group * words_of_group + slot % words_of_group];
    }
    [[nodiscard]] static constexpr std::uint64_t bit_of(std::uint32_t slot) noexcept
    {
        return std::uint64_t{1} << (slot % slots_of_group / words_of_group);
    }

    [[nodiscard]] inline bool take(std::uint32_t slot) noexcept
    {
        auto& bits = word_of(slot).bits;
        std::uint64_t const bit = bit_of(slot);
        // acquire: pairs with release(). What the slot's last user did to it is visible.
        return (bits.load(std::memory_order_relaxed) & bit) != 0 &&
               (bits.fetch_and(~bit, std::memory_order_acquire) & bit) != 0;
    }

    /// The first free slot of a group with a position of at least `least` in it; `none` if there is none.
    [[nodiscard]] inline std::uint32_t first_free(std::uint32_t group, std::uint32_t least) const noexcept
    {
        std::uint32_t first = none;
        for (std::uint32_t w = 0; w < words_of_group; ++w) {
            std::uint32_t const bit = least > w ? (least - w + words_of_group - 1) / words_of_group : 0;
            std::uint64_t const free =
                bit < 64
                    ? words_[group * words_of_group + w].bits.load(std::memory_order_relaxed) & ~std::uint64_t{0} << bit
                    : 0;
            if (free != 0)
                first = std::min(first, group * slots_of_group + w +
                                            static_cast<std::uint32_t>(std::countr_zero(free)) * words_of_group);
        }
        return first;
    }

    word* words_ = nullptr;
    std::uint32_t word_count_ = 0;
};

/// Ring slots are allocated in rows, each twice as long as the one before, so that a heap that uses few slots has
/// memory for few.
struct ring_rows {
    static constexpr std::uint32_t first = 8;   ///< slots of the first two rows
    static constexpr unsigned most = 14;        ///< rows, for 65,536 slots

    [[nodiscard]] static constexpr unsigned row_of(std::uint32_t slot) noexcept
    {
        return static_cast<unsigned>(std::bit_width(slot / first));
    }
    [[nodiscard]] static constexpr std::uint32_t begin_of(unsigned row) noexcept
    {
        return row == 0 ? 0 : first << (row - 1);
    }
    /// Slots of a row.
    [[nodiscard]] static constexpr std::uint32_t size_of(unsigned row) noexcept
    {
        return row == 0 ? first : begin_of(row);
    }
};
static_assert(ring_rows::begin_of(ring_rows::most - 1) + ring_rows::size_of(ring_rows::most - 1) == 65'536);

}
