// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A predicate on the slabs that a thread cache owns.
#pragma once

namespace tslab {

/// Whether every slot of an owned slab is in `local_free`: then no other thread has an object in it.
inline bool has_only_free(slab_meta const& s, unsigned bin) noexcept
{
    return fill_of(s, bin, [](slab_meta const& subslab) { return subslab.local_free.load(std::memory_order_relaxed); })
        .all;
}

}
