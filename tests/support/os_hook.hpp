// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The system as a test wants it: every call is counted and can be made to fail. Make it before the first heap and let it
// go after the last: the window of addresses is a new one for each. Include it last: it imports tslab.
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
import tslab.internal;

namespace support {

class os_hook {
public:
    os_hook()
    {
        reserves = commits = purges = releases = maps = 0;
        commit_bytes = purge_bytes = map_bytes = reserve_bytes = release_bytes = 0;
        fail_reserve_above = ~std::size_t{0};
        fail_commit = fail_purge = fail_release = false;
        purge_ms = 0;
        taken_below = 0;
        collisions_left = 0;
        commits_left = ~std::uint64_t{0};
        tslab::process_window.close();   // what earlier heaps left mapped would spare later ones a call
        real_ = &tslab::os();
        tslab::set_os_calls(&calls_);
    }
    ~os_hook()
    {
        tslab::process_window.close();
        tslab::set_os_calls(real_);
    }
    os_hook(os_hook const&) = delete;
    os_hook& operator=(os_hook const&) = delete;

    /// Purges: without those of descriptors.
    static inline std::atomic<std::uint64_t> reserves, commits, purges, releases, maps, commit_bytes, purge_bytes,
        map_bytes, reserve_bytes, release_bytes;
    static inline std::atomic<std::size_t> fail_reserve_above;   ///< a reservation of more bytes is refused
    static inline std::atomic<bool> fail_commit, fail_purge, fail_release;
    static inline std::atomic<std::uint32_t> purge_ms;          ///< each purge of pages takes so much longer
    static inline std::atomic<std::uint64_t> commits_left;      ///< commits, and maps at an address, that still succeed
    static inline std::atomic<std::uintptr_t> taken_below;      ///< map_at finds something there already,
    static inline std::atomic<std::uint64_t> collisions_left;   ///< and so many more times where units are asked for

private:
    /// Whether it is no page, but of the window's descriptors and words about units, which lie behind the pages.
    static bool is_of_tables(void const* begin) noexcept
    {
        std::uint64_t const pages = std::uint64_t{tslab::process_window.max_units()} << tslab::unit_shift;
        return reinterpret_cast<std::uintptr_t>(begin) - tslab::process_window.map().base() - pages < pages;
    }
    static void* reserve(std::size_t bytes) noexcept
    {
        ++reserves;
        void* const p = bytes > fail_reserve_above ? nullptr : real_->reserve(bytes);
        reserve_bytes += p != nullptr ? bytes : 0;
        return p;
    }
    static tslab::map_result map_at(void* begin, std::size_t bytes) noexcept
    {
        ++maps;
        if (fail_commit || commits_left == 0)
            return tslab::map_result::refused;
        --commits_left;
        if (reinterpret_cast<std::uintptr_t>(begin) < taken_below)
            return tslab::map_result::taken;
        if (collisions_left != 0 && !is_of_tables(begin)) {
            --collisions_left;
            return tslab::map_result::taken;
        }
        tslab::map_result const done = real_->map_at(begin, bytes);
        map_bytes += done == tslab::map_result::mapped ? bytes : 0;
        return done;
    }
    static bool commit(void* begin, std::size_t bytes) noexcept
    {
        ++commits;
        if (fail_commit || commits_left == 0)
            return false;
        --commits_left;
        commit_bytes += bytes;
        return real_->commit(begin, bytes);
    }
    static bool purge(void* begin, std::size_t bytes) noexcept
    {
        bool const counts = !is_of_tables(begin);
        purges += counts ? 1 : 0;
        if (counts && purge_ms != 0)
            std::this_thread::sleep_for(std::chrono::milliseconds{purge_ms});
        if (fail_purge)
            return false;
        purge_bytes += counts ? bytes : 0;
        return real_->purge(begin, bytes);
    }
    static bool release(void* begin, std::size_t bytes) noexcept
    {
        ++releases;
        if (fail_release || !real_->release(begin, bytes))
            return false;
        release_bytes += bytes;
        return true;
    }

    static inline tslab::os_calls const* real_ = nullptr;
    static inline tslab::os_calls const calls_{reserve, map_at, commit, purge, release};
};

}
