// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A system that refuses: the n-th call to it, or every one from the n-th on, fails for want of memory; the calls behind
// tslab::os() and the program's own operator new alike. Include it last and in one file of a program: it imports tslab, and
// replaces operator new.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <string>
import tslab.internal;

namespace faults {

/// What can fail: the calls of the table, then those it is asked for, then operator new.
enum source : std::size_t { reserve, map_at, commit, purge, release, asked, allocation = asked + tslab::os_call_count };
inline constexpr std::size_t source_count = allocation + 1;
inline constexpr std::array<char const*, source_count> source_names{
    "reserve",       "map_at",     "commit",       "purge",       "release",       "make_file", "rename_file",
    "set_file_size", "examine",    "seal",         "map_file",    "take_space",    "copy_file", "map_copy",
    "keep_path",     "keep_scope", "barriers",     "barrier",     "make_exit_key", "hook_fork", "hook_exit",
    "protect",       "make_event", "start_thread", "watch_group", "operator new"};
static_assert(source_names.back() != nullptr, "a new call wants its name here");

inline std::atomic<bool> armed{false};
inline std::atomic<bool> for_ever{false};
inline std::atomic<std::uint64_t> first{0}, met{0}, injected{0};
inline std::array<std::atomic<std::uint64_t>, source_count> of_source{};   ///< all that were ever injected
inline std::atomic<std::int64_t> outstanding{0};                           ///< memory of operator new not given back

inline bool fails(std::size_t what) noexcept
{
    if (!armed.load(std::memory_order_relaxed))
        return false;
    std::uint64_t const n = met.fetch_add(1, std::memory_order_relaxed);
    std::uint64_t const from = first.load(std::memory_order_relaxed);
    // Of a barrier that is refused for ever there is no way out.
    constexpr std::size_t barrier = asked + static_cast<std::size_t>(tslab::os_call::barrier);
    if (n < from || (n > from && (!for_ever.load(std::memory_order_relaxed) || what == barrier)))
        return false;
    injected.fetch_add(1, std::memory_order_relaxed);
    of_source[what].fetch_add(1, std::memory_order_relaxed);
    return true;
}

/// From now on call `n` fails; `from_then_on`: and all that follow.
inline void arm(std::uint64_t n, bool from_then_on) noexcept
{
    first.store(n);
    for_ever.store(from_then_on);
    met.store(0);
    injected.store(0);
    armed.store(true);
}

/// Memory is back. Returns how many calls failed.
inline std::uint64_t disarm() noexcept
{
    armed.store(false);
    return injected.load();
}

/// Nothing fails while it lives.
class calm {
public:
    calm() : before_{armed.exchange(false)} {}
    ~calm() { armed.store(before_); }
    calm(calm const&) = delete;
    calm& operator=(calm const&) = delete;

private:
    bool before_;
};

/// The table in place while it lives.
class seam {
public:
    seam() : before_{tslab::set_os_calls(nullptr)}
    {
        tslab::process_window.close();   // so that the tables are mapped through the seam
        real_ = &tslab::os();
        tslab::set_os_calls(&calls_);
    }
    ~seam()
    {
        disarm();
        tslab::process_window.close();
        tslab::set_os_calls(before_);
    }
    seam(seam const&) = delete;
    seam& operator=(seam const&) = delete;

    static inline std::atomic<std::int64_t> mapped{0};   ///< bytes not released
    /// The same once nothing is left of the window, which outlives heaps; none may be there.
    [[nodiscard]] static std::int64_t mapped_without_heaps() noexcept
    {
        tslab::process_window.close();
        while (tslab::release_one_more())   // what was refused meanwhile
            ;
        return mapped.load();
    }

private:
    static void* do_reserve(std::size_t bytes) noexcept
    {
        void* const p = fails(reserve) ? nullptr : real_->reserve(bytes);
        mapped += p != nullptr ? static_cast<std::int64_t>(bytes) : 0;
        return p;
    }
    static tslab::map_result do_map_at(void* begin, std::size_t bytes) noexcept
    {
        tslab::map_result const done = fails(map_at) ? tslab::map_result::refused : real_->map_at(begin, bytes);
        mapped += done == tslab::map_result::mapped ? static_cast<std::int64_t>(bytes) : 0;
        return done;
    }
    static bool do_commit(void* begin, std::size_t bytes) noexcept
    {
        return !fails(commit) && real_->commit(begin, bytes);
    }
    static bool do_purge(void* begin, std::size_t bytes) noexcept
    {
        return !fails(purge) && real_->purge(begin, bytes);
    }
    static bool do_release(void* begin, std::size_t bytes) noexcept
    {
        if (fails(release) || !real_->release(begin, bytes))
            return false;
        mapped -= static_cast<std::int64_t>(bytes);
        return true;
    }
    static bool do_grant(tslab::os_call which) noexcept { return !fails(asked + static_cast<std::size_t>(which)); }

    static inline tslab::os_calls const* real_ = nullptr;
    static inline tslab::os_calls const calls_{do_reserve, do_map_at, do_commit, do_purge, do_release, do_grant};
    tslab::os_calls const* before_;
};

/// How many files the process has open.
inline std::size_t open_files()
{
    std::size_t n = 0;
    for ([[maybe_unused]] auto const& one : std::filesystem::directory_iterator{"/proc/self/fd"})
        ++n;
    return n;
}

/// What was injected so far, in a line.
inline std::string summary()
{
    std::string text;
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < source_count; ++i)
        if (std::uint64_t const n = of_source[i].load()) {
            all += n;
            text += ' ' + std::string{source_names[i]} + ' ' + std::to_string(n);
        }
    return "failures injected and survived: " + std::to_string(all) + " (" + text.erase(0, 1) + ')';
}

inline void* take(std::size_t bytes, std::size_t alignment)
{
    if (fails(allocation))
        throw std::bad_alloc{};
    std::size_t const whole = (bytes + alignment - 1) / alignment * alignment;
    void* const p = alignment <= alignof(std::max_align_t)
                        ? std::malloc(bytes != 0 ? bytes : 1)
                        : std::aligned_alloc(alignment, whole != 0 ? whole : alignment);
    if (p == nullptr)
        throw std::bad_alloc{};
    outstanding.fetch_add(1, std::memory_order_relaxed);
    return p;
}

inline void give(void* p) noexcept
{
    if (p == nullptr)
        return;
    outstanding.fetch_sub(1, std::memory_order_relaxed);
    std::free(p);
}

}

void* operator new(std::size_t bytes) { return faults::take(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment)
{
    return faults::take(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, std::nothrow_t const&) noexcept
try {
    return faults::take(bytes, 1);
} catch (std::bad_alloc const&) {
    return nullptr;
}
void* operator new[](std::size_t bytes) { return faults::take(bytes, 1); }
void operator delete(void* p) noexcept { faults::give(p); }
void operator delete(void* p, std::size_t) noexcept { faults::give(p); }
void operator delete(void* p, std::align_val_t) noexcept { faults::give(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { faults::give(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { faults::give(p); }
void operator delete[](void* p) noexcept { faults::give(p); }
void operator delete[](void* p, std::size_t) noexcept { faults::give(p); }
