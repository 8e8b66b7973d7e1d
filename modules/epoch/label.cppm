// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The registry of labels: a bounded number of names that statistics may count by. Number 0 is `unlabeled`, 14 names get
// a number of their own, and everything that comes later shares the last one, `other`, which is counted.
module;
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
export module tslab.epoch:label;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

export namespace tslab {

class label_registry {
public:
    /// `told`: where names and counts go for others to read; null: nowhere.
    explicit label_registry(heap_face* told = nullptr) noexcept : told_{told} {}

    static constexpr std::uint32_t unlabeled = 0;
    static constexpr std::uint32_t named = 14;
    static constexpr std::uint32_t other = named + 1;
    static constexpr std::uint32_t count = other + 1;

    /// The number of `label`, given to it if it is new and a number is left; `unlabeled` for an empty one. Labels are
    /// told apart by their first 31 bytes, up to a NUL. Thread safe; takes a lock only for a name not seen before.
    [[nodiscard]] inline std::uint32_t number_of(std::string_view label) noexcept
    {
        return number_of(label, shared_text::pack(label));
    }
    /// The same; `words` is what was made of `label`.
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

    /// The name of a number.
    [[nodiscard]] shared_text::copy name_of(std::uint32_t number) const noexcept;

    /// How many names have a number: 1 to that.
    [[nodiscard]] inline std::uint64_t overflows() const noexcept { return overflows_.value(); }
    [[nodiscard]] inline std::uint64_t cut() const noexcept { return cut_.value(); }
    [[nodiscard]] inline mutex const& lock_for_counts() const noexcept { return lock_; }

private:
    [[nodiscard]] std::uint32_t add(std::string_view label) noexcept;

    void note_cut() noexcept;

    heap_face* const told_;
    mutex lock_;
    atomic<std::uint32_t> used_{0};
    std::array<shared_text, named> names_{};
    counter overflows_;
    counter cut_;
};

}
