// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heaps with background_purge, and a system that refuses the thread. Include it last: it imports tslab.
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "recorder.hpp"

namespace background {

using namespace std::chrono_literals;

inline tslab::allocator_options purging_options(std::chrono::milliseconds decay = 20ms)
{
    return {.name = "background",
            .epoch_count = 16,
            .reserve_bytes = std::size_t{256} << 20,
            .decay = decay,
            .background_purge = true};
}

/// The kernel's directories of this process's threads that purge.
inline std::vector<std::filesystem::path> purge_threads()
{
    std::vector<std::filesystem::path> all;
    for (auto const& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::string name;
        std::ifstream{task.path() / "comm"} >> name;
        if (name == "tslab-purge")
            all.push_back(task.path());
    }
    return all;
}

template <class F> bool eventually(F condition, std::chrono::seconds within = 30s)
{
    auto const end = std::chrono::steady_clock::now() + within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

inline std::string state_of(tslab::allocator const& heap)
{
    return heap.snapshot({.residency = false}).background_purge;
}

/// Makes slabs of several classes and pages of large objects, and frees them all.
inline void allocate_and_free(tslab::allocator& heap, std::size_t objects = 2000)
{
    tslab::epoch_scope const scope{heap, "phase"};
    std::vector<std::pair<void*, std::size_t>> all;
    for (std::size_t i = 0; i < objects; ++i) {
        std::size_t const bytes = i % 100 == 0 ? 100'000 : i * 37 % 4000 + 1;
        all.emplace_back(scope.resource()->allocate(bytes), bytes);
        *static_cast<char*>(all.back().first) = 1;
    }
    for (auto const& [p, bytes] : all)
        scope.resource()->deallocate(p, bytes);
}

inline bool has_no_unused_memory(tslab::allocator const& heap)
{
    tslab::global_stats const g = heap.snapshot({.residency = false}).global;
    return g.free_resident_pages == 0 && g.slabs_cached == 0 && g.retained_bytes == 0;
}

/// A system that refuses some calls, and in which a purge takes long.
class slow_system {
public:
    slow_system()
    {
        refuse_thread = refuse_event = refuse_group = false;
        purging = nullptr;
        released_while_purging = 0;
        slow = false;
        tslab::set_os_calls(nullptr);
        real = &tslab::os();
        static constexpr auto purge = [](void* begin, std::size_t bytes) noexcept {
            purging = begin;
            if (slow)
                std::this_thread::sleep_for(3ms);
            bool const done = real->purge(begin, bytes);
            purging = nullptr;
            return done;
        };
        static constexpr auto release = [](void* begin, std::size_t bytes) noexcept {
            auto* const at = static_cast<std::byte*>(purging.load());
            auto* const first = static_cast<std::byte*>(begin);
            released_while_purging += at != nullptr && at >= first && at < first + bytes ? 1 : 0;
            return real->release(begin, bytes);
        };
        static constexpr auto grant = [](tslab::os_call which) noexcept {
            return !(which == tslab::os_call::start_thread && refuse_thread) &&
                   !(which == tslab::os_call::make_event && refuse_event) &&
                   !(which == tslab::os_call::watch_group && refuse_group);
        };
        static tslab::os_calls const calls{real->reserve, real->map_at, real->commit, purge, release, grant};
        tslab::set_os_calls(&calls);
    }
    ~slow_system() { tslab::set_os_calls(nullptr); }
    slow_system(slow_system const&) = delete;
    slow_system& operator=(slow_system const&) = delete;

    static inline std::atomic<bool> refuse_thread, refuse_event, refuse_group, slow;
    static inline std::atomic<void*> purging;
    static inline std::atomic<int> released_while_purging;

private:
    static inline tslab::os_calls const* real = nullptr;
};

}
