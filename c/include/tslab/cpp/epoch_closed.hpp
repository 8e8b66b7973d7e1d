// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The exception of an allocation in a closed epoch: the same type as the module's, which is attached to no module.
#pragma once
#include <new>

namespace tslab {

/// Thrown by a resource whose epoch is closed. A std::bad_alloc, so that generic callers handle it.
class epoch_closed : public std::bad_alloc {
public:
    /// A sentence, with the label of the phase if it is known.
    [[nodiscard]] char const* what() const noexcept override { return text_; }

private:
    char text_[80] = "tslab: allocation in a closed epoch";
};

}
