// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The exception of an allocation that a limit refused: the same type as the module's, which is attached to no module.
#pragma once
#include <cstdint>
#include <new>

namespace tslab {

/// Thrown by a resource whose allocation a limit refused. A std::bad_alloc, so that generic callers handle it. Sizes are in
/// bytes. Only the library makes one.
class over_limit : public std::bad_alloc {
public:
    /// What the limit is of: one phase, all phases of a label together, or the heap.
    enum class kind : std::uint8_t { phase = 1, label, heap };

    [[nodiscard]] kind of() const noexcept { return of_; }
    [[nodiscard]] char const* label() const noexcept { return label_; }
    [[nodiscard]] std::uint64_t asked() const noexcept { return asked_; }
    [[nodiscard]] std::uint64_t held() const noexcept { return held_; }
    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
    [[nodiscard]] char const* what() const noexcept override { return text_; }

private:
    over_limit() = default;

    kind of_;
    std::uint64_t asked_;
    std::uint64_t held_;
    std::uint64_t limit_;
    char label_[32];
    char text_[224];
};

}
