// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A shared object that puts tslab beneath a program that knows nothing of it, by LD_PRELOAD: operator new and delete, and
// the default resource and new_delete_resource of std::pmr, are one epoch_resource. Misuse ends the program, as the default
// handler does. For other people's test suites: see script/outside-suites.
//
// TSLAB_SHIM_REPORT names a file to which the process appends a line as it ends: allocations, frees and reports of misuse.
#include "shim.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <new>

#include <fcntl.h>
#include <unistd.h>

import tslab.stats;
import tslab.epoch;
import tslab.pmr;

namespace {

/// The heap and its resource. They never end: static objects of the program may free after every destructor of ours.
class beneath {
public:
    beneath() : resource_{heap_, {.label = "program"}} {}

    tslab::epoch_resource& resource() noexcept { return resource_; }
    tslab::allocator& heap() noexcept { return heap_; }

private:
    tslab::allocator heap_{{.name = "shim"}};
    tslab::epoch_resource resource_;
};

alignas(beneath) constinit std::array<std::byte, sizeof(beneath)> storage{};
constinit std::atomic<beneath*> made{nullptr};
constinit std::atomic<bool> making{false};

/// Memory for what the heap itself asks of operator new while it is made. It is not given back.
alignas(std::max_align_t) constinit std::array<std::byte, 65'536> early{};
constinit std::atomic<std::size_t> early_used{0};

bool is_early(void const* p) noexcept
{
    auto const at = reinterpret_cast<std::uintptr_t>(p);
    auto const begin = reinterpret_cast<std::uintptr_t>(early.data());
    return at >= begin && at < begin + early.size();
}

void* take_early(std::size_t bytes, std::size_t alignment)
{
    // A place aligned to `alignment` is found in so many bytes, wherever they begin.
    std::size_t const at = early_used.fetch_add(bytes + alignment);
    if (bytes > early.size() || alignment > early.size() || at + bytes + alignment > early.size())
        throw std::bad_alloc{};
    auto const address = reinterpret_cast<std::uintptr_t>(early.data() + at);
    return early.data() + at + (alignment - address % alignment) % alignment;
}

void report() noexcept
try {
    char const* const name = std::getenv("TSLAB_SHIM_REPORT");
    beneath* const b = made.load();
    if (name == nullptr || b == nullptr)
        return;
    auto const s = b->heap().snapshot({.residency = false}).global;
    std::array<char, 128> line{};
    int const n =
        std::snprintf(line.data(), line.size(), "%llu %llu %llu\n", static_cast<unsigned long long>(s.allocations),
                      static_cast<unsigned long long>(s.frees), static_cast<unsigned long long>(s.misuses));
    if (int const fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666); fd >= 0) {
        if (write(fd, line.data(), static_cast<std::size_t>(n)) != n)
            std::perror(name);
        close(fd);
    }
} catch (std::bad_alloc const&) {   // of the program's own operator new, which may refuse: then there is no line
}

/// Null while the heap is being made, which the calling thread does then: the first allocation precedes every thread.
beneath* served() noexcept
{
    if (beneath* const b = made.load(std::memory_order_acquire))
        return b;
    if (making.exchange(true))
        return nullptr;
    auto* const b = new (storage.data()) beneath;
    made.store(b, std::memory_order_release);
    static_cast<void>(std::atexit(report));
    return b;
}

}

void* shim::allocate(std::size_t bytes, std::size_t alignment)
{
    beneath* const b = served();
    if (b == nullptr)
        return take_early(bytes, alignment);
    for (;;)
        try {
            return b->resource().allocate(bytes, alignment);
        } catch (std::bad_alloc const&) {
            std::new_handler const handler = std::get_new_handler();
            if (handler == nullptr)
                throw;
            handler();
        }
}

void shim::deallocate(void* p) noexcept
{
    if (p != nullptr && !is_early(p))
        made.load(std::memory_order_acquire)->heap().free(p);
}

void shim::deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept
{
    if (p != nullptr && !is_early(p))
        made.load(std::memory_order_acquire)->resource().deallocate(p, bytes, alignment);
}

std::pmr::memory_resource& shim::resource() noexcept { return served()->resource(); }

/// How many allocations the heap has served, for a program that looks whether it is beneath.
extern "C" [[gnu::visibility("default")]] std::uint64_t tslab_shim_allocations()
{
    return served()->heap().snapshot({.residency = false}).global.allocations;
}
