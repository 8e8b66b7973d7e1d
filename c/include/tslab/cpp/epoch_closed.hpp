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
    [[nodiscard]] char const* what() const noexcept override { return "tslab: allocation in a closed epoch"; }
};

}
