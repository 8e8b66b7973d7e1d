// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the files of the C interface share: conversions between its types and the modules', and the look at arguments. The includer
// has <tslab/tslab.h>, <bit>, <cstring>, <source_location>, <string_view>, and imports the modules.
#pragma once

namespace tslab::c {

[[nodiscard]] inline allocator& of(tslab_heap* h) noexcept { return *reinterpret_cast<allocator*>(h); }
[[nodiscard]] inline allocator const& of(tslab_heap const* h) noexcept
{
    return *reinterpret_cast<allocator const*>(h);
}
[[nodiscard]] inline tslab_heap* handle_of(allocator& a) noexcept { return reinterpret_cast<tslab_heap*>(&a); }

static_assert(sizeof(tslab_epoch) == sizeof(epoch_id) && offsetof(tslab_epoch, era) == offsetof(epoch_id, era));
[[nodiscard]] inline epoch_id of(tslab_epoch e) noexcept { return {e.index, e.era}; }
[[nodiscard]] inline tslab_epoch of(epoch_id e) noexcept { return {e.index, e.era}; }
[[nodiscard]] inline tslab_text of(std::string_view s) noexcept { return {s.data(), s.size()}; }
[[nodiscard]] inline std::string_view text_of(char const* s) noexcept
{
    return s != nullptr ? std::string_view{s} : std::string_view{};
}

/// Reports a bad argument; `what` names the function and the argument. `heap`: the heap that counts it, if there is one.
[[gnu::cold]] void bad_argument(char const* what, allocator* heap = nullptr) noexcept;

/// Whether an argument is null, which is reported.
[[nodiscard]] inline bool is_null(void const* p, char const* what, allocator* heap = nullptr) noexcept
{
    if (p != nullptr) [[likely]]
        return false;
    bad_argument(what, heap);
    return true;
}

/// False, and a line on stderr, if a caller was compiled for another ABI than the library's.
[[nodiscard]] bool is_our_abi(unsigned abi, char const* version, tslab_failure* why) noexcept;
void fail(tslab_failure* why, tslab_status status, std::string_view text) noexcept;

/// Copies the first `size` bytes of a structure to the caller.
template <class T> void copy_out(T const& from, void* to, std::size_t size) noexcept
{
    if (to != nullptr)
        std::memcpy(to, &from, size < sizeof(T) ? size : sizeof(T));
}
/// The caller's options over the defaults `o`; null is none. Returns false, without effect, for more than this version knows.
template <class T> [[nodiscard]] bool copy_in(T& o, void const* from, std::size_t size) noexcept
{
    if (from == nullptr)
        return true;
    if (size > sizeof(T))
        return false;
    std::memcpy(&o, from, size);
    return true;
}

/// The source location that a place names. std::source_location is a pointer to such a record, for both compilers and both standard
/// libraries; `with` has the record while the location is used.
struct location_record {
    char const* file = "";
    char const* function = "";
    unsigned line = 0;
    unsigned column = 0;
};
static_assert(sizeof(std::source_location) == sizeof(location_record const*));
[[nodiscard]] inline std::source_location location_of(tslab_place const* at, location_record& with) noexcept
{
    if (at != nullptr) {
        with.file = at->file != nullptr ? at->file : "";
        with.function = at->function != nullptr ? at->function : "";
        with.line = at->line;
        with.column = at->column;
    }
    return std::bit_cast<std::source_location>(static_cast<location_record const*>(&with));
}

}
