// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reports of misuse: the kind, the address and the heap and epoch that it belongs to. One handler for the process; the
// default one prints one line without allocating and aborts, so that a bug is found at its place. Of reports that do not
// abort it prints the first of each kind and place, then the 10th, the 100th and so on, with their number.
#pragma once

export namespace tslab {

/// The kinds of misuse that are found. docs/misuse.md explains each.
enum class misuse : std::uint8_t {
    double_free,         ///< the slot is already free
    foreign_pointer,     ///< not memory of any heap
    interior_pointer,    ///< inside a slot, not at its beginning
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
    wrong_alignment,     ///< deallocated at another alignment than it was allocated with
    bad_argument,        ///< C interface: null, or an object that was not begun or has ended; `other` names it
    overlapping_use,     ///< a serial resource used while another thread used it (debug and checked builds)
    count_               ///< none: how many there are
};

/// The number of kinds.
inline constexpr std::size_t misuse_count = static_cast<std::size_t>(misuse::count_);

/// The kind's name, as in statistics: "double_free".
[[nodiscard]] std::string_view name_of(misuse kind) noexcept;

/// The argument of a handler. The views are valid during the call only.
struct misuse_report {
    misuse kind{};                    ///< what was found
    bool fatal = true;                ///< the default handler aborts (leaks: only in strict mode)
    void const* address = nullptr;    ///< the pointer that was passed, if any
    std::string_view heap{};          ///< name of the heap the operation was called on
    std::string_view epoch_label{};   ///< label of the epoch the memory or the scope belongs to
    std::size_t size_class = 0;       ///< bytes of the slot; 0 for large memory or none
    std::string_view other{};         ///< the other heap, resource or scope involved
    std::size_t given = 0;            ///< wrong_size, wrong_alignment: size or alignment it was deallocated with
    std::uint64_t objects = 0;        ///< leak, heap_live, heap_open: how many
    std::uint64_t bytes = 0;          ///< leak, heap_live: how much
    char const* file =
        nullptr;   ///< leak: where the resource was made; heap_open: the oldest one; scope_order: `other`
    std::uint32_t line = 0;
    /// wrong_size: the least alignment at which `given` bytes would be memory of that size class, so that the alignment
    /// may be what is wrong; 0: there is none, the size is wrong.
    std::size_t fitting_alignment = 0;
    std::uint64_t other_thread = 0;   ///< overlapping_use: the number of the thread whose use is under way
};

/// Called on the thread that misused, possibly by several threads at once. It may abort, or return: then the operation
/// is a counted no-op. It must not throw, nor call into the heap of the report.
using error_handler = void (*)(misuse_report const&);

/// The kinds and places that the default handler tells apart. A place is a source place, or where there is none the
/// epoch's label, in a heap of one name. Reports of further ones are counted by kind alone.
inline constexpr std::size_t most_report_places = 256;

/// Installs `handler` for the process and returns the one before; null installs the default. Thread safe.
error_handler set_error_handler(error_handler handler) noexcept;

/// The handler that null installs.
[[nodiscard]] error_handler default_error_handler() noexcept;

/// Calls the handler with `report`. Thread safe.
void report(misuse_report const& report);

/// Writes the line the default handler prints, newline included, into [out, out + size) and returns its length.
/// Allocates nothing; truncates the line if it does not fit; control characters in names become '?'.
std::size_t format(misuse_report const& report, char* out, std::size_t size) noexcept;

}
