// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reports of misuse: what was done wrong, to which address, in whose memory. One handler for the process;
// the default one prints a single line without allocating and aborts, so that a bug is found where it is.
#pragma once

export namespace tslab {

enum class misuse : std::uint8_t {
    double_free,         ///< the slot is already free
    foreign_pointer,     ///< not memory of any heap
    interior_pointer,    ///< inside a slot, or not on one's begin
    wrong_size,          ///< deallocated as another size class than it was allocated from
    wrong_heap,          ///< memory of another heap
    wrong_resource,      ///< memory of another resource's epoch
    scope_order,         ///< left while a scope entered later is still open
    wrong_thread,        ///< a domain entered or left on another thread than its own
    not_entered,         ///< left more often than entered
    destroyed_entered,   ///< a domain destroyed while it is entered
    reentry,             ///< called from inside one of its own operations: from a signal handler
    leak,                ///< a resource ended while objects in it were live
    heap_live,           ///< a heap ended while objects in it were live
    heap_open,           ///< a heap ended while scopes or resources were open
    overflow,            ///< written past an object's end (checked builds)
    write_after_free,    ///< written to after it was freed (checked builds)
    wrong_alignment,     ///< deallocated at another alignment than it was allocated with (checked builds)
    count_
};

inline constexpr std::size_t misuse_count = static_cast<std::size_t>(misuse::count_);

/// The kind's name, as statistics have it: "double_free".
[[nodiscard]] std::string_view name_of(misuse kind) noexcept;

/// What a handler gets. The views are valid during the call only.
struct misuse_report {
    misuse kind{};
    bool fatal = true;                ///< the default handler aborts (leaks: only in strict mode)
    void const* address = nullptr;    ///< what was passed, if a pointer was
    std::string_view heap{};          ///< name of the heap the operation was called on
    std::string_view epoch_label{};   ///< label of the epoch the memory or the scope belongs to
    std::size_t size_class = 0;       ///< bytes of the slot; 0 for large memory or none
    std::string_view other{};         ///< the other heap, resource or scope in the story
    std::size_t given = 0;            ///< wrong_size, wrong_alignment: what it was deallocated as
    std::uint64_t objects = 0;        ///< leak, heap_live, heap_open: how many
    std::uint64_t bytes = 0;          ///< leak, heap_live: how much
    char const* file = nullptr;       ///< leak: where the resource was made
    std::uint32_t line = 0;
};

/// Called on the thread that misused; may be called from several threads at once. It may abort, throw nothing,
/// or return: then the operation is a counted no-op. It must not call into the heap it is told about.
using error_handler = void (*)(misuse_report const&);

/// Installs `handler` for the process and returns the one before; null installs the default. Thread safe.
error_handler set_error_handler(error_handler handler) noexcept;

/// Hands `report` to the handler. Thread safe.
void report(misuse_report const& report);

/// Writes the line the default handler prints, newline included, into [out, out + size) and returns its length.
/// Allocates nothing; cuts the line where it does not fit; control characters in names become '?'.
std::size_t format(misuse_report const& report, char* out, std::size_t size) noexcept;

}
