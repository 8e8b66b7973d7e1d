// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A snapshot of the C interface, and what its two files share: how a record becomes a structure of C, and how the caller gets it. The
// includer has what internal.hpp needs and <optional>, <string>, <type_traits>, and imports tslab.stats.
#pragma once

struct tslab_snapshot {
    tslab::snapshot of;
};

namespace tslab::c {

// A figure of a record as a member of a structure.
[[nodiscard]] inline std::uint64_t plain(std::optional<std::uint64_t> const& v) noexcept
{
    return v.value_or(TSLAB_UNKNOWN);
}
[[nodiscard]] inline tslab_text plain(std::string const& v) noexcept { return of(std::string_view{v}); }
template <class T> [[nodiscard]] T plain(T const& v) noexcept { return v; }

// With these, the table copies the figures of a record `s` to a structure `to`.
#define TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_FIGURE(type, member, name, kind, unit, help) to.member = plain(s.member);
#define TSLAB_COUNTED(member, event, name, unit, help) to.member = s.member;
#define TSLAB_SUMMED(member, name, unit, help, sum) to.member = s.member;
#define TSLAB_CLASS_SUM(member, of_class, name, kind, unit, help) to.member = s.member;

// Without the table: this structure does not grow.
[[nodiscard]] inline tslab_contention_stats plain(contention_stats const& s) noexcept
{
    return {s.lock_fast_acquire, s.lock_contended, s.bitmap_alloc_cas_retries, s.bitmap_free_cas_retries};
}
[[nodiscard]] tslab_global_stats plain(global_stats const& s) noexcept;
[[nodiscard]] tslab_class_stats plain(class_stats const& s) noexcept;
[[nodiscard]] tslab_epoch_stats plain(epoch_stats const& s) noexcept;
[[nodiscard]] tslab_label_stats plain(label_stats const& s) noexcept;
[[nodiscard]] tslab_thread_stats plain(thread_stats const& s) noexcept;
[[nodiscard]] tslab_close_stats plain(close_stats const& s) noexcept;
[[nodiscard]] tslab_waterfall_stats plain(waterfall_stats const& s) noexcept;
[[nodiscard]] tslab_class_share plain(class_share const& s) noexcept;
[[nodiscard]] tslab_lock_timing_stats plain(lock_timing_stats const& s) noexcept;
[[nodiscard]] tslab_lock_histograms plain(lock_histogram_stats const& s) noexcept;
[[nodiscard]] tslab_sampling_stats plain(sampling_stats const& s) noexcept;

/// An element of a list, or null.
template <class List> [[nodiscard]] auto const* at(List const& all, std::size_t index) noexcept
{
    return index < all.size() ? &all[index] : nullptr;
}

/// A record that may be absent, or null.
template <class T> [[nodiscard]] T const* at(std::optional<T> const& record) noexcept
{
    return record.has_value() ? &*record : nullptr;
}

/// Copies a record to the caller; returns whether there is one.
template <class T, class Out> bool give(T const* record, Out* out, std::size_t size) noexcept
{
    static_assert(std::is_same_v<decltype(plain(*record)), Out>);
    if (record == nullptr)
        return false;
    copy_out(plain(*record), out, size);
    return true;
}

}
