// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Where a thread takes its memory: the one thing that differs between the contenders. Patterns know nothing else of them.
// A contender belongs to the process, a place to the thread that asked for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>

namespace bench {

/// Compilers must not see what is behind a resource: the calls stay virtual.
inline std::pmr::memory_resource* opaque(std::pmr::memory_resource* resource)
{
    asm volatile("" : "+r"(resource));
    return resource;
}

class place {
public:
    /// How many phases of `open` a thread may have at a time.
    static constexpr unsigned most_phases = 8;

    place() = default;
    place(place const&) = delete;
    place& operator=(place const&) = delete;
    virtual ~place() = default;

    /// Memory without phases; lives as long as the place.
    virtual std::pmr::memory_resource* lasting() = 0;

    /// The same, in one epoch with all other threads that ask for it.
    virtual std::pmr::memory_resource* shared() = 0;

    /// One resource for all threads, which lives as long as the contender.
    virtual std::pmr::memory_resource* common() = 0;

    /// The memory of a request, until `leave`. A request that winds out frees nothing if `drops_at_once` says so.
    virtual std::pmr::memory_resource* enter(bool winds_out) = 0;
    virtual void leave() = 0;
    [[nodiscard]] virtual bool drops_at_once() const = 0;

    /// The memory of phase `slot`, which may outlast phases opened later, until `close`.
    virtual std::pmr::memory_resource* open(unsigned slot) = 0;
    virtual void close(unsigned slot) = 0;
};

/// What tslab says of itself; absent for the others.
struct own_figures {
    bool known = false;
    std::uint64_t cas_attempts = 0;   ///< claims of shared slabs, and frees into slabs of other threads
    std::uint64_t cas_retries = 0;
    std::uint64_t free_retries = 0;   ///< of those, claims to reclaim an emptied slab
    std::uint64_t lost_races = 0;     ///< attempts to acquire a slab that another thread was reclaiming
    std::uint64_t locks_free = 0;
    std::uint64_t locks_contended = 0;
    std::uint64_t allocations = 0;
    std::uint64_t epoch_closes = 0;
    std::uint64_t madvise_calls = 0;
};

class contender {
public:
    contender() = default;
    contender(contender const&) = delete;
    contender& operator=(contender const&) = delete;
    virtual ~contender() = default;

    /// A place for the calling thread. `stack` is memory of that thread's stack, for those who can use it.
    virtual std::unique_ptr<place> make_place(std::span<std::byte> stack) = 0;

    /// Gives back what it can, when everything is freed; false if it has no such operation.
    virtual bool trim() { return false; }
    [[nodiscard]] virtual own_figures figures() const { return {}; }
};

/// Null if there is none of that name.
std::unique_ptr<contender> make_contender(std::string_view name);
std::span<std::string_view const> contender_names();

enum class tslab_variant { plain, huge_pages, background };
/// Null if the library cannot do it.
std::unique_ptr<contender> make_tslab(tslab_variant variant);

}
