// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says of this process. Allocates nothing that stays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace probe {

/// Bytes of address space (VmSize).
std::uint64_t address_space();
/// Resident bytes (VmRSS), files included: what counts where memory is locked.
std::uint64_t process_resident();
/// Open descriptors.
std::uint64_t open_descriptors();
/// Processor time of the calling thread, in nanoseconds.
double thread_ns();

/// Room for `count` pointers that no malloc knows: resident from the start, and gone from the process at the end.
class pointer_table {
public:
    explicit pointer_table(std::size_t count);
    ~pointer_table();
    pointer_table(pointer_table const&) = delete;
    pointer_table& operator=(pointer_table const&) = delete;

    [[nodiscard]] std::span<void*> all() const { return all_; }
    void*& operator[](std::size_t i) const { return all_[i]; }

private:
    std::span<void*> all_;
};

}
