// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Which epoch a slab belongs to: its own word says it, or the cache that owns the slab.
#pragma once

export namespace tslab {

/// The slabs of the epoch that a slab or large allocation belongs to; null if it belongs to none. Thread safe; the
/// answer may be outdated at return, but was true at one moment of the call: of an allocated object it is true.
// A cache that has left its epoch may be attached to another one between the first two loads. So both are read again: a cache is
// detached after its slabs with objects have left it. One that comes back, takes the same slab and leaves again, and all that
// between each two of the four loads, is not noticed.
[[nodiscard]] inline epoch_slabs* home_of(slab_meta const& s) noexcept
{
    for (;;) {
        thread_cache const* const l = cache_owning(s);
        if (l == nullptr)
            return static_cast<epoch_slabs*>(s.home.load(std::memory_order_relaxed));
        epoch_slabs* const home = l->attached();
        if (cache_owning(s) == l && l->attached() == home) [[likely]]
            return home;
    }
}

}
