// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The free slots of the epoch ring: one bit a slot, claimed and released without a lock.
module;
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
export module tslab.tls_cache:slot_set;

import tslab.stats;

export namespace tslab {

class slot_set {
public:
    static constexpr std::uint32_t slots_of_word = 64;
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    /// A word of 64 slots, on a cache line of its own: threads keep to different ones as far as they can.
    struct alignas(64) word {
        atomic<std::uint64_t> bits{0};
    };

    /// `words`: (slots + 63) / 64 zeroed ones. Every slot starts free.
    inline void attach(word* words, std::uint32_t slots) noexcept
    {
        words_ = words;
        word_count_ = (slots + 63) / 64;
        for (std::uint32_t i = 0; i < slots; ++i)
            release(i);
    }

    /// Claims the first free slot at or behind `from`, going round; `none` when every slot is taken. Thread safe.
    // Modelled: tests/models/era.pml, step slot_set
    [[nodiscard]] inline std::uint32_t claim(std::uint32_t from) noexcept
    {
        std::uint32_t w = from / 64;
        std::uint64_t mask = ~std::uint64_t{0} << (from % 64);
        for (std::uint32_t i = 0; i <= word_count_; ++i) {   // the first word twice: behind `from`, then before it
            std::uint64_t free = words_[w].bits.load(std::memory_order_relaxed) & mask;
            while (free != 0) {
                std::uint64_t const bit = free & (~free + 1);
                // acquire: the slot's last user finished with it before releasing the bit.
                std::uint64_t const before = words_[w].bits.fetch_and(~bit, std::memory_order_acquire);
                if ((before & bit) != 0)
                    return w * 64 + static_cast<std::uint32_t>(std::countr_zero(bit));
                free = before & ~bit & mask;
            }
            mask = ~std::uint64_t{0};
            w = w + 1 == word_count_ ? 0 : w + 1;
        }
        return none;
    }

    inline void release(std::uint32_t slot) noexcept
    {
        // release: pairs with the acquire in claim.
        words_[slot / 64].bits.fetch_or(std::uint64_t{1} << (slot % 64), std::memory_order_release);
    }

    [[nodiscard]] inline std::uint32_t size() const noexcept
    {
        std::uint32_t n = 0;
        for (std::uint32_t w = 0; w < word_count_; ++w)
            n += static_cast<std::uint32_t>(std::popcount(words_[w].bits.load(std::memory_order_relaxed)));
        return n;
    }

private:
    word* words_ = nullptr;
    std::uint32_t word_count_ = 0;
};

}
