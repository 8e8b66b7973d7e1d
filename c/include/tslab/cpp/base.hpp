// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Plain types of <tslab/tslab.hpp>, by the names of the module: options, epochs, handles, results, source places. The namespace v0
// keeps them apart from the module's in a program that has both; <tslab/tslab.hpp> names them in tslab.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <tslab/tslab.h>
#if defined(__has_include)
#if __has_include(<version>)
#include <version>
#endif
#endif
#if defined(__cpp_lib_source_location)
#include <source_location>
#endif

#if defined(__cpp_exceptions)
/// Throws; ends the program where it is compiled without exceptions.
#define TSLAB_THROW(exception) throw exception
#else
/// Throws; ends the program where it is compiled without exceptions.
#define TSLAB_THROW(exception) std::abort()
#endif

namespace tslab {
namespace v0 {

/// A ring slot and its era.
struct epoch_id {
    std::uint32_t index = 0;
    std::uint64_t era = 0;

    TSLAB_LOCAL friend constexpr bool operator==(epoch_id a, epoch_id b) noexcept
    {
        return a.index == b.index && a.era == b.era;
    }
    TSLAB_LOCAL friend constexpr bool operator!=(epoch_id a, epoch_id b) noexcept { return !(a == b); }
    TSLAB_LOCAL friend constexpr bool operator<(epoch_id a, epoch_id b) noexcept
    {
        return a.index != b.index ? a.index < b.index : a.era < b.era;
    }
};

/// Names one allocation. A default one names nothing.
class handle {
public:
    TSLAB_LOCAL constexpr handle() noexcept = default;
    TSLAB_LOCAL constexpr explicit handle(std::uint64_t bits) noexcept : bits_{bits} {}

    [[nodiscard]] TSLAB_LOCAL constexpr std::uint64_t bits() const noexcept { return bits_; }
    [[nodiscard]] TSLAB_LOCAL constexpr explicit operator bool() const noexcept { return bits_ != 0; }
    TSLAB_LOCAL friend constexpr bool operator==(handle a, handle b) noexcept { return a.bits_ == b.bits_; }
    TSLAB_LOCAL friend constexpr bool operator!=(handle a, handle b) noexcept { return a.bits_ != b.bits_; }

private:
    std::uint64_t bits_ = 0;
};

/// Result of a free by handle.
enum class free_result : std::uint8_t { ok, stale, already_free, foreign, corrupt };

enum class reclaim_policy : std::uint8_t { eager, cached, never };
enum class check_mode : std::uint8_t { automatic, off, canaries, forward };

/// Options of a heap: see tslab_heap_options.
struct allocator_options {
    std::string_view name = "tslab";
    std::uint32_t epoch_count = 256;
    reclaim_policy reclaim = reclaim_policy::cached;
    std::optional<std::uint32_t> slab_cache{};
    std::size_t reserve_bytes = 0;
    std::optional<std::chrono::milliseconds> decay{};
    std::optional<std::size_t> thread_cache{};
    std::optional<bool> background_purge{};
    bool purge_on_pressure = true;
    std::uint32_t cost_labels = 0;
    bool strict = false;
    bool sampling = false;
    bool huge_pages = false;
    bool publish = true;
    check_mode checks = check_mode::automatic;
    std::optional<std::uint32_t> guard_sampling{};
    std::optional<std::size_t> limit{};
};

struct domain_options {
    std::string_view label{};   ///< of the epoch; empty: an existing epoch keeps its label
    bool auto_close = true;     ///< the last exit closes the epoch, if no other domain holds it
};

enum class deallocate_policy : std::uint8_t { carry_out, count_only };
/// Whether uses of a resource may overlap. `serial`: they do not, on whichever thread; checked builds report those that do.
enum class threading : std::uint8_t { any, serial };

struct resource_options {
    std::string_view label{};   ///< of the epoch; up to 31 bytes are stored
    bool share_epoch = false;   ///< use the current epoch instead of one of its own
    deallocate_policy deallocate = deallocate_policy::carry_out;
    bool auto_close = true;                         ///< the end of the resource closes its own epoch
    v0::threading threading = v0::threading::any;   ///< whether uses may overlap
    std::optional<std::size_t> limit{};             ///< most bytes that its epoch may hold; not with share_epoch
};

/// A place of the program, which leak reports name.
class source_location {
public:
    TSLAB_LOCAL constexpr source_location() noexcept = default;
#if defined(__cpp_lib_source_location)
    TSLAB_LOCAL constexpr source_location(std::source_location const& at) noexcept
        : file_{at.file_name()}, function_{at.function_name()}, line_{at.line()}
    {
    }
#endif
    [[nodiscard]] TSLAB_LOCAL static constexpr source_location current(char const* file = __builtin_FILE(),
                                                                       char const* function = __builtin_FUNCTION(),
                                                                       std::uint32_t line = __builtin_LINE()) noexcept
    {
        source_location at;
        at.file_ = file;
        at.function_ = function;
        at.line_ = line;
        return at;
    }
    [[nodiscard]] TSLAB_LOCAL constexpr char const* file_name() const noexcept { return file_; }
    [[nodiscard]] TSLAB_LOCAL constexpr char const* function_name() const noexcept { return function_; }
    [[nodiscard]] TSLAB_LOCAL constexpr std::uint32_t line() const noexcept { return line_; }
    [[nodiscard]] TSLAB_LOCAL constexpr tslab_place c() const noexcept { return {file_, function_, line_, 0}; }

private:
    char const* file_ = "";
    char const* function_ = "";
    std::uint32_t line_ = 0;
};

namespace detail {

[[nodiscard]] TSLAB_LOCAL constexpr tslab_epoch c_of(epoch_id e) noexcept { return {e.index, e.era}; }
[[nodiscard]] TSLAB_LOCAL constexpr epoch_id of(tslab_epoch e) noexcept { return {e.index, e.era}; }

/// A label, terminated. Labels of more than 31 bytes are cut by the library, which counts them; so more than this is not needed.
class c_label {
public:
    TSLAB_LOCAL explicit c_label(std::string_view s) noexcept
    {
        std::size_t const n = s.size() < text_.size() ? s.size() : text_.size() - 1;
        if (n != 0)
            std::memcpy(text_.data(), s.data(), n);
    }
    [[nodiscard]] TSLAB_LOCAL char const* text() const noexcept { return text_.data(); }

private:
    std::array<char, 64> text_{};
};

}

}
}
