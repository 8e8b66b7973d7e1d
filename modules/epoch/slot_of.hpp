// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// From an address to a slot.
#pragma once

namespace tslab {

/// The slot of a subslab of `bin` that begins at `p`; max_slots if none does.
inline unsigned slot_of(void const* p, unsigned bin) noexcept
{
    slot_position const at = slot_at(reinterpret_cast<std::uintptr_t>(p), bins[bin]);
    return at.exact && at.slot < bins[bin].slots ? at.slot : max_slots;
}

}
