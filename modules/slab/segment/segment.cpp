// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <optional>
#include <string_view>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
module tslab.slab;

import tslab.stats;

#include "segment_file.hpp"

namespace tslab {

namespace {

// Bytes that are allocated at once: on a full disk or in a full control group a page fault would be a signal, a refused
// allocation is not.
constexpr std::size_t segment_step = std::size_t{64} << 10;
constexpr std::size_t first_extent = std::size_t{1} << 20;   // each further one is as large as all before it
constexpr std::size_t overlap = segment_step;                // of two extents' mappings: the largest page of any system
static_assert(sizeof(segment_header) <= segment::first_chunk && first_extent % segment_chunk::bytes == 0);

constinit std::array<std::uint32_t, segment::most_chunks> published_chunks{};
constinit std::array<std::uint32_t, segment::most_chunks> private_chunks{};
constinit bool copy_is_new = false;   // made in this pass of the fork gate; changed in passes only
constinit segment the_published{true, published_chunks.data()};
constinit segment the_private{false, private_chunks.data()};

}

segment& published_segment() noexcept { return the_published; }
segment& private_segment() noexcept { return the_private; }

bool segment::enter(std::uint64_t layout) noexcept
{
    lock_guard const guard{lock_};
    if (users_ == 0 && !open(layout))
        return false;
    ++users_;
    return true;
}

void segment::leave() noexcept
{
    lock_guard const guard{lock_};
    if (--users_ == 0)
        give_back();
}

/// Makes the first extent, with the header. On failure nothing of it remains.
bool segment::open(std::uint64_t layout) noexcept
{
    if (is_published_ && (!wanted() || !may_be_as_large_as(first_extent)))
        return false;
    extent& first = extents_[0];
    first.bytes = first.reserved_bytes = first_extent;
    first.base = first.reserved = static_cast<std::byte*>(os().reserve(first_extent));
    if (first.base == nullptr)
        return false;
    bytes_ = first_extent;
    used_ = first_chunk;
    free_ = no_chunk;
    full_ = false;
    if ((is_published_ && !open_file()) || !commit(used_)) {
        give_back();
        return false;
    }
    auto* const made = ::new (first.base) segment_header{.magic = 0};
    made->layout = layout;
    made->pid = ::getpid();
    made->program = program_number();
    made->started_ns = wall_clock_ns();
    made->started_monotonic_ns = now_ns();
    made->boot = read_boot_id();
    made->extents[0].address.store(reinterpret_cast<std::uintptr_t>(first.base), std::memory_order_relaxed);
    made->extents[0].bytes.store(first.bytes, std::memory_order_relaxed);
    made->bytes.store(bytes_, std::memory_order_relaxed);
    made->used.store(used_, std::memory_order_relaxed);
    // release: a reader that sees it sees the rest.
    std::atomic_ref{made->magic}.store(segment_header::magic_number, std::memory_order_release);
    extent_count_.store(1, std::memory_order_release);   // contains() sees its place
    return true;
}

/// Makes the memfd or the file and maps it.
bool segment::open_file() noexcept
{
    char const* const said = wanted_name();
    std::optional<file_path> name;
    if (said != nullptr) {
        append_name(name.emplace(), said);
        if (!*name) {
            refuse_file(said, "cannot be made: its name is too long, or there is no memory for it");
            return false;
        }
    }
    int const opened = name ? create_file(*name) : create_memfd();
    int const descriptor = above_streams(opened);
    struct stat made{};
    if (descriptor < 0 || !set_size(descriptor, bytes_) || !examine(descriptor, made) ||
        !reserve_space(descriptor, 0, segment_step) || !map_over(extents_[0].base, bytes_, descriptor, 0) ||
        (!name && !seal(descriptor))) {
        if (name)
            refuse_file_by_errno(name->text());
        if (descriptor >= 0)
            ::close(descriptor);
        if (opened >= 0 && name)
            ::unlink(name->text());
        return false;
    }
    if (name)
        path_ = name->release_with(renamed_suffix);   // remove_file looks under both names, and allocates nothing
    maker_ = ::getpid();
    device_ = made.st_dev;
    inode_ = made.st_ino;
    descriptor_.store(descriptor, std::memory_order_relaxed);
    return true;
}

/// Whether the descriptor still is the file that was opened.
bool segment::still_ours(int descriptor) const noexcept
{
    struct stat now{};
    return descriptor >= 0 && ::fstat(descriptor, &now) == 0 && now.st_dev == device_ && now.st_ino == inode_;
}

void segment::close_file() noexcept
{
    if (int const descriptor = descriptor_.exchange(-1, std::memory_order_relaxed); still_ours(descriptor))
        ::close(descriptor);
}

/// Removes the file, under the name that it has now, if this process made it. A process that was started with the same
/// name meanwhile has renamed this one's, and the name is that of its own file.
void segment::remove_file() noexcept
{
    if (path_ == nullptr)
        return;
    if (maker_ == ::getpid() && !unlink_if(path_, device_, inode_)) {
        path_[std::strlen(path_)] = renamed_suffix[0];
        unlink_if(path_, device_, inode_);
    }
    std::free(std::exchange(path_, nullptr));
}

/// Removes the file and returns the address space.
void segment::give_back() noexcept
{
    remove_file();
    close_file();
    extent_count_.store(0, std::memory_order_relaxed);
    for (extent& e : extents_)
        if (e.reserved != nullptr) {
            release_for_good(e.reserved, e.reserved_bytes);
            e = {};
        }
    bytes_ = used_ = 0;
    committed_.store(0, std::memory_order_relaxed);
}

/// Adds an extent, as large as all before it.
bool segment::grow() noexcept
{
    std::size_t const n = extent_count_.load(std::memory_order_relaxed);
    std::size_t const more = bytes_;
    int const file = descriptor_.load(std::memory_order_relaxed);
    if (n == extents_.size() || bytes_ + more > most_bytes ||
        (is_published_ && (!may_be_as_large_as(bytes_ + more) || !still_ours(file))))
        return false;
    extent next{.bytes = more, .reserved_bytes = more + (is_published_ ? overlap : 0)};
    next.reserved = static_cast<std::byte*>(os().reserve(next.reserved_bytes));
    if (next.reserved == nullptr)
        return false;
    next.base = next.reserved + (next.reserved_bytes - more);
    extent const& last = extents_[n - 1];
    if (is_published_ && (!set_size(file, bytes_ + more) ||
                          !map_what_follows(last.base + last.bytes - overlap, next.reserved, next.reserved_bytes))) {
        release_for_good(next.reserved, next.reserved_bytes);
        return false;
    }
    extents_[n] = next;
    header().extents[n].address.store(reinterpret_cast<std::uintptr_t>(next.base), std::memory_order_relaxed);
    header().extents[n].bytes.store(more, std::memory_order_relaxed);
    bytes_ += more;
    header().bytes.store(bytes_, std::memory_order_relaxed);
    extent_count_.store(n + 1, std::memory_order_release);   // contains() sees its place
    return true;
}

/// Allocates memory, or blocks of the file, up to `end`.
bool segment::commit(std::size_t end) noexcept
{
    while (committed_.load(std::memory_order_relaxed) < end) {
        std::size_t const have = committed_.load(std::memory_order_relaxed);
        if (is_published_) {
            // The first step was allocated with the file; it is allocated again, for an offset that is known to be in
            // the file.
            int const file = descriptor_.load(std::memory_order_relaxed);
            if (!still_ours(file) || (have != 0 && !reserve_space(file, have, segment_step)))
                return false;
        } else if (!os().commit(at(have), segment_step)) {
            return false;
        }
        committed_.store(have + segment_step, std::memory_order_relaxed);
    }
    return true;
}

std::byte* segment::at(std::size_t offset) const noexcept
{
    for (extent const& e : extents_) {
        if (offset < e.bytes)
            return e.base + offset;
        offset -= e.bytes;
    }
    return nullptr;
}

bool segment::contains(void const* p) const noexcept
{
    std::size_t const n = extent_count_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < n; ++i)
        if (reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(extents_[i].base) <
            extents_[i].bytes)
            return true;
    return false;
}

std::optional<std::byte*> segment::take_chunk(std::uint32_t& first, patience how_long) noexcept
{
    if (!lock_.lock_within(how_long))
        return std::nullopt;
    lock_guard const guard{lock_, already_locked{}};
    std::uint32_t chunk = free_;
    if (chunk != no_chunk) {
        free_ = next_[chunk];
    } else {
        if (full_)
            return nullptr;
        chunk = static_cast<std::uint32_t>((used_ - first_chunk) / segment_chunk::bytes);
        std::size_t const end = used_ + segment_chunk::bytes;
        if ((end > bytes_ && !grow()) || !commit(end))
            return nullptr;
        used_ = end;
        header().used.store(end, std::memory_order_release);   // a reader that sees it sees the zeroes
    }
    next_[chunk] = std::exchange(first, chunk);
    return at(offset_of(chunk));
}

void segment::put_chunks(std::uint32_t first) noexcept
{
    // Only the caller uses the chain until it is free.
    for (std::uint32_t chunk = first; chunk != no_chunk; chunk = next_[chunk])
        std::memset(at(offset_of(chunk)), 0, segment_chunk::bytes);
    lock_guard const guard{lock_};
    while (first != no_chunk) {
        std::uint32_t const next = next_[first];
        next_[first] = std::exchange(free_, first);
        first = next;
    }
}

std::uint64_t segment::resident_bytes_of(std::uint32_t first) const noexcept
{
    std::uint64_t n = 0;
    for (std::uint32_t chunk = first; chunk != no_chunk; chunk = next_[chunk])
        n += resident_bytes(at(offset_of(chunk)), segment_chunk::bytes);
    return n;
}

void segment::set_root(void const* record) noexcept
{
    // release: a reader that sees the root sees the records it leads to.
    header().root.store(reinterpret_cast<std::uintptr_t>(record), std::memory_order_release);
}

void segment::note_missing() noexcept { header().missing.fetch_add(1, std::memory_order_relaxed); }

void segment::copy_for_fork() noexcept __attribute__((no_thread_safety_analysis))
{
    if (!is_published())
        return;
    void* const memory =
        ::mmap(nullptr, used_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return;
    copy_ = static_cast<std::byte*>(memory);
    copied_ = used_;
    copy_words();
    copy_is_new = true;
}

void segment::refresh_copy() noexcept __attribute__((no_thread_safety_analysis))
{
    if (copy_ == nullptr || std::exchange(copy_is_new, false))
        return;
    if (used_ == copied_ && is_published())
        return copy_words();
    drop_copy();
    copy_for_fork();
}

// Word by word, plain loads hidden from ThreadSanitizer: threads count there meanwhile. All else changes in passes of the
// fork gate. Of a thread's own non-atomic data any state will do, since the child has none of those threads.
void segment::copy_words() noexcept __attribute__((no_thread_safety_analysis, no_sanitize("thread")))
{
    auto* to = reinterpret_cast<std::uint64_t*>(copy_);
    std::size_t left = copied_;
    for (extent const& e : extents_) {
        std::size_t const here = std::min(left, e.bytes);
        auto const* const words = reinterpret_cast<std::uint64_t const volatile*>(e.base);
        for (std::size_t i = 0; i < here / sizeof(std::uint64_t); ++i)
            *to++ = words[i];
        left -= here;
    }
}

void segment::drop_copy() noexcept __attribute__((no_thread_safety_analysis))
{
    if (copy_ != nullptr)
        ::munmap(std::exchange(copy_, nullptr), copied_);
}

void segment::renew() noexcept __attribute__((no_thread_safety_analysis))
{
    if (!is_published())
        return;
    std::free(std::exchange(path_, nullptr));   // the parent's file, which stays
    std::size_t const have = committed_.load(std::memory_order_relaxed);
    std::size_t const used = used_;
    int const parents = descriptor_.exchange(-1, std::memory_order_relaxed);
    bool const parents_is_open = still_ours(parents);
    int const fresh = above_streams(create_memfd());
    // Calls f(extent, offset, bytes that are in use or copied) for each extent, until one returns false.
    auto const for_each_extent = [&](std::size_t of, auto f) noexcept {
        std::size_t offset = 0;
        for (extent const& e : extents_) {
            if (e.bytes != 0 && !f(e, offset, of > offset ? std::min(of - offset, e.bytes) : std::size_t{0}))
                return false;
            offset += e.bytes;
        }
        return true;
    };
    // The place of the contents at the fork. Records that the parent's threads made since must not be in the child's
    // segment: the child may use their place for other records.
    auto const contents_of = [&](extent const& e, std::size_t offset) noexcept -> std::byte const* {
        return copy_ != nullptr ? copy_ + offset : e.base;
    };
    // Copy first, then exchange: the address always has contents.
    struct stat made{};
    bool const copied =
        fresh >= 0 && set_size(fresh, bytes_) && examine(fresh, made) && reserve_space(fresh, 0, have) &&
        for_each_extent(used_, [&](extent const& e, std::size_t offset, std::size_t bytes) noexcept {
            return bytes == 0 ||
                   (granted(os_call::copy_file) && ::pwrite(fresh, contents_of(e, offset), bytes,
                                                            static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes));
        });
    std::size_t exchanged = 0;
    bool header_is_own = true;
    if (copied && for_each_extent(used_, [&](extent const& e, std::size_t offset, std::size_t) noexcept {
            bool const done = map_over(e.base, e.bytes, fresh, offset);
            exchanged += done ? e.bytes : 0;
            return done;
        })) {
        static_cast<void>(seal(fresh));
        device_ = made.st_dev;
        inode_ = made.st_ino;
        descriptor_.store(fresh, std::memory_order_relaxed);
    } else {
        full_ = true;
        if (fresh >= 0)
            ::close(fresh);
        for_each_extent(have, [&](extent const& e, std::size_t offset, std::size_t bytes) noexcept {
            if (bytes == 0 || offset < exchanged)
                return true;   // it is of a file that no process reads
            void* const copy = granted(os_call::map_copy)
                                   ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                   : MAP_FAILED;
            bool replaced = copy != MAP_FAILED;
            if (replaced) {
                std::memcpy(copy, contents_of(e, offset), used > offset ? std::min(used - offset, bytes) : 0);
                replaced = ::mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, e.base) != MAP_FAILED;
                if (!replaced)
                    ::munmap(copy, bytes);
            }
            // Otherwise counts go to the parent's segment: wrong figures, no other harm.
            header_is_own = header_is_own && (replaced || offset != 0);
            return true;
        });
    }
    if (parents_is_open)
        ::close(parents);
    if (!header_is_own)
        return;   // it is the parent's, which readers know by its number
    header().pid = ::getpid();
    header().started_ns = wall_clock_ns();
    header().started_monotonic_ns = now_ns();
}

}
