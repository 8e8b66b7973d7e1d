// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reports of misuse for handlers in C++, and settings of the process.
#pragma once
#include <atomic>
#include <tslab/cpp/base.hpp>

namespace tslab {
namespace v0 {

/// Kinds of misuse: docs/misuse.md.
enum class misuse : std::uint8_t {
    double_free,
    foreign_pointer,
    interior_pointer,
    wrong_size,
    wrong_heap,
    wrong_resource,
    scope_order,
    wrong_thread,
    not_entered,
    destroyed_entered,
    reentry,
    leak,
    heap_live,
    heap_open,
    overflow,
    write_after_free,
    wrong_alignment,
    bad_argument,
    overlapping_use,
    count_
};
inline constexpr std::size_t misuse_count = static_cast<std::size_t>(misuse::count_);

/// The kind's name, as in statistics: "double_free".
[[nodiscard]] TSLAB_LOCAL inline std::string_view name_of(misuse kind) noexcept
{
    return tslab_misuse_name(static_cast<tslab_misuse>(kind));
}

/// The argument of a handler; tslab_misuse_report has what each means. The views are valid during the call only.
struct misuse_report {
    misuse kind{};
    bool fatal = true;
    void const* address = nullptr;
    std::string_view heap{};
    std::string_view epoch_label{};
    std::size_t size_class = 0;
    std::string_view other{};
    std::size_t given = 0;
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
    char const* file = nullptr;
    std::uint32_t line = 0;
    std::size_t fitting_alignment = 0;
    std::uint64_t other_thread = 0;
};

/// Called on the thread that misused, possibly by several threads at once. It may abort, or return: then the operation is a counted
/// no-op. It must not throw, nor call into the heap of the report.
using error_handler = void (*)(misuse_report const&);

namespace detail {

TSLAB_LOCAL inline std::atomic<error_handler> handler{nullptr};

TSLAB_LOCAL inline void call_handler(tslab_misuse_report const* r)
{
    misuse_report m;
    m.kind = static_cast<misuse>(r->kind);
    m.fatal = r->fatal;
    m.address = r->address;
    m.heap = r->heap;
    m.epoch_label = r->epoch_label;
    m.size_class = r->size_class;
    m.other = r->other;
    m.given = r->given;
    m.objects = r->objects;
    m.bytes = r->bytes;
    m.file = r->file;
    m.line = r->line;
    m.fitting_alignment = r->fitting_alignment;
    m.other_thread = r->other_thread;
    if (error_handler const h = handler.load(std::memory_order_acquire))
        h(m);
}

}

/// Installs `handler` for the process, or for the copy of the library if there are several. Returns the one before, if this function
/// installed it in the same program or shared object, else null. Null installs the default, which prints a line and aborts where the
/// report is fatal. Thread safe.
TSLAB_LOCAL inline error_handler set_error_handler(error_handler handler) noexcept
{
    error_handler const before = detail::handler.exchange(handler, std::memory_order_acq_rel);
    tslab_error_handler const c_before = tslab_set_error_handler(handler != nullptr ? &detail::call_handler : nullptr);
    return c_before == &detail::call_handler ? before : nullptr;
}

/// Times one acquisition in `one_in` of every lock; 0: none.
TSLAB_LOCAL inline void set_lock_timing(std::uint32_t one_in) noexcept { tslab_set_lock_timing(one_in); }
[[nodiscard]] TSLAB_LOCAL inline std::uint32_t lock_timing() noexcept { return tslab_lock_timing(); }
/// Counts allocations from the default resource inside a scope. Throws std::bad_alloc.
TSLAB_LOCAL inline void set_escape_detection(bool on)
{
    if (!tslab_set_escape_detection(on))
        TSLAB_THROW(std::bad_alloc{});
}
[[nodiscard]] TSLAB_LOCAL inline bool escape_detection() noexcept { return tslab_escape_detection(); }
[[nodiscard]] TSLAB_LOCAL inline std::uint64_t now_ns() noexcept { return tslab_now_ns(); }
[[nodiscard]] TSLAB_LOCAL inline std::uint64_t now_ns_coarse() noexcept { return tslab_now_ns_coarse(); }
[[nodiscard]] TSLAB_LOCAL inline std::uint64_t read_rss_bytes() noexcept { return tslab_read_rss_bytes(); }
[[nodiscard]] TSLAB_LOCAL inline std::uint64_t this_thread_number() noexcept { return tslab_this_thread(); }

}
}
