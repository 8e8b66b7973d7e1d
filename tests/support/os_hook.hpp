// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The system as a test wants it: every call is counted and can be told to fail. Make it before the first heap and let it
// go after the last. Include it last: it imports tslab.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
import tslab;

namespace support {

class os_hook {
public:
    os_hook()
    {
        reserves = commits = purges = releases = 0;
        commit_bytes = purge_bytes = 0;
        fail_reserve_above = ~std::size_t{0};
        fail_readable = fail_commit = fail_purge = false;
        commits_left = ~std::uint64_t{0};
        real_ = &tslab::os();
        tslab::set_os_calls(&calls_);
    }
    ~os_hook() { tslab::set_os_calls(real_); }
    os_hook(os_hook const&) = delete;
    os_hook& operator=(os_hook const&) = delete;

    static inline std::atomic<std::uint64_t> reserves, commits, purges, releases, commit_bytes, purge_bytes;
    static inline std::atomic<std::size_t> fail_reserve_above;   ///< a reservation of more bytes is refused
    static inline std::atomic<bool> fail_readable, fail_commit, fail_purge;
    static inline std::atomic<std::uint64_t> commits_left;   ///< commits that still succeed

private:
    static void* reserve(std::size_t bytes) noexcept
    {
        ++reserves;
        return bytes > fail_reserve_above ? nullptr : real_->reserve(bytes);
    }
    static bool make_readable(void* begin, std::size_t bytes) noexcept
    {
        return !fail_readable && real_->make_readable(begin, bytes);
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
        ++purges;
        if (fail_purge)
            return false;
        purge_bytes += bytes;
        return real_->purge(begin, bytes);
    }
    static void release(void* begin, std::size_t bytes) noexcept
    {
        ++releases;
        real_->release(begin, bytes);
    }

    static bool protect(void* begin, std::size_t bytes) noexcept { return real_->protect(begin, bytes); }

    static inline tslab::os_calls const* real_ = nullptr;
    static inline tslab::os_calls const calls_{reserve, make_readable, commit, purge, release, protect};
};

}
