// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A snapshot of the C interface, and the conversion of the records that its two files share. The includer has what internal.hpp needs,
// and imports tslab.stats.
#pragma once

struct tslab_snapshot {
    tslab::snapshot of;
};

namespace tslab::c {

[[nodiscard]] inline tslab_contention_stats contention_of(contention_stats const& s) noexcept
{
    // Without the table: this structure does not grow.
    return {s.lock_fast_acquire, s.lock_contended, s.bitmap_alloc_cas_retries, s.bitmap_free_cas_retries};
}

[[nodiscard]] tslab_close_stats close_of(close_stats const& s) noexcept;

}
