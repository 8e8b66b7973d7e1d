// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {

// Taken from the system at once: a page fault on a full disk or in a full group would be a signal, a refused step is not.
constexpr std::size_t segment_step = std::size_t{64} << 10;
constexpr std::size_t first_extent = std::size_t{1} << 20;   // each further one is as large as all before it
constexpr std::size_t overlap = segment_step;                // of two extents' mappings: a page of any system
static_assert(sizeof(segment_header) <= segment::first_chunk && first_extent % segment_chunk::bytes == 0);

constinit std::array<std::uint32_t, segment::most_chunks> published_chunks{};
constinit std::array<std::uint32_t, segment::most_chunks> private_chunks{};
constinit segment the_published{true, published_chunks.data()};
constinit segment the_private{false, private_chunks.data()};

bool wanted() noexcept
{
    char const* const said = ::secure_getenv("TSLAB_PUBLISH");
    return said == nullptr || std::string_view{said} != "0";
}

bool may_be_as_large_as(std::size_t bytes) noexcept
{
    rlimit limit{};
    return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes);
}

/// The name TSLAB_STATS_FILE gives: "%p" stands for the process's number. Empty when it gives none. Throws std::bad_alloc.
std::string file_name()
{
    char const* const said = ::secure_getenv("TSLAB_STATS_FILE");
    std::string name = said != nullptr ? said : "";
    if (std::size_t const at = name.find("%p"); at != std::string::npos)
        name.replace(at, 2, std::to_string(::getpid()));
    return name;
}

int create_memfd() noexcept
{
    return granted(os_call::make_file) ? ::memfd_create("tslab", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
}

/// Whether a file is the segment of this process: of another copy of the library in it, as a plugin may have one.
bool is_of_this_process(std::string const& name) noexcept
{
    int const file = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    segment_header header;
    header.magic = 0;
    bool const whole = file >= 0 && ::pread(file, &header, sizeof(header), 0) == sizeof(header);
    if (file >= 0)
        ::close(file);
    return whole && header.magic == segment_header::magic_number && header.pid == ::getpid();
}

/// A new file; what was there, from a process that may have died, is kept under another name, unless it is of this process: then
/// `name` becomes one with a number behind it. -1 when it cannot be made. Throws std::bad_alloc.
int create_file(std::string& name)
{
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    constexpr int most_copies = 100;
    std::string const plain = name;
    for (int copy = 2; copy <= most_copies; ++copy) {
        int const descriptor = granted(os_call::make_file) ? ::open(name.c_str(), flags, 0600) : -1;
        if (descriptor >= 0 || errno != EEXIST)
            return descriptor;
        struct stat there{};
        if (::lstat(name.c_str(), &there) != 0 || !S_ISREG(there.st_mode))
            return -1;
        if (is_of_this_process(name)) {
            name = plain + '.' + std::to_string(copy);
            continue;
        }
        std::string const kept = name + ".old";
        if (!granted(os_call::rename_file) || ::rename(name.c_str(), kept.c_str()) != 0)
            return -1;
        return ::open(name.c_str(), flags, 0600);
    }
    return -1;
}

/// Of a memfd: it does not become smaller, and only the mapping that exists may write. A kernel without the latter seals the rest.
bool seal(int descriptor) noexcept
{
    return granted(os_call::seal_file) &&
           (::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0 ||
            ::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
}

/// Makes sure that a part of the file has memory or blocks behind it.
bool reserve_space(int descriptor, std::size_t begin, std::size_t bytes) noexcept
{
    while (!granted(os_call::take_space) ||
           ::fallocate(descriptor, 0, static_cast<off_t>(begin), static_cast<off_t>(bytes)) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

bool map_over(void* begin, std::size_t bytes, int descriptor, std::size_t offset) noexcept
{
    return granted(os_call::map_file) &&
           ::mmap(begin, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, descriptor,
                  static_cast<off_t>(offset)) != MAP_FAILED;
}

/// Maps the end of a mapping and what follows in its file. A sealed memfd admits no new mapping that may write, but a mapping that exists may
/// be had a second time and be longer there (mremap with an old size of 0): the first page at `begin` is `last_page`.
bool map_what_follows(std::byte* last_page, void* begin, std::size_t bytes) noexcept
{
    return granted(os_call::map_file) &&
           ::mremap(last_page, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, begin) != MAP_FAILED;
}

bool set_size(int descriptor, std::size_t bytes) noexcept
{
    return granted(os_call::set_file_size) && ::ftruncate(descriptor, static_cast<off_t>(bytes)) == 0;
}

bool examine(int descriptor, struct stat& found) noexcept
{
    return granted(os_call::examine_file) && ::fstat(descriptor, &found) == 0;
}

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

/// The first extent, with the header in it. Whatever fails, nothing is left of it.
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
    made->started_ns = wall_clock_ns();
    made->extents[0].address.store(reinterpret_cast<std::uintptr_t>(first.base), std::memory_order_relaxed);
    made->extents[0].bytes.store(first.bytes, std::memory_order_relaxed);
    made->bytes.store(bytes_, std::memory_order_relaxed);
    made->used.store(used_, std::memory_order_relaxed);
    // release: who sees it sees the rest.
    std::atomic_ref{made->magic}.store(segment_header::magic_number, std::memory_order_release);
    extent_count_.store(1, std::memory_order_release);   // contains() sees its place
    return true;
}

/// Makes the memfd or the file and maps it.
bool segment::open_file() noexcept
try {
    std::string name = file_name();
    bool const in_memory = name.empty();
    int const descriptor = in_memory ? create_memfd() : create_file(name);
    if (descriptor < 0)
        return false;
    if (!in_memory && granted(os_call::keep_path))
        path_ = ::strdup(name.c_str());
    struct stat made{};
    if ((!in_memory && path_ == nullptr) || !set_size(descriptor, bytes_) || !examine(descriptor, made) ||
        !reserve_space(descriptor, 0, segment_step) || !map_over(extents_[0].base, bytes_, descriptor, 0) ||
        (in_memory && !seal(descriptor))) {
        ::close(descriptor);
        if (!in_memory)
            ::unlink(name.c_str());
        std::free(std::exchange(path_, nullptr));
        return false;
    }
    device_ = made.st_dev;
    inode_ = made.st_ino;
    descriptor_.store(descriptor, std::memory_order_relaxed);
    return true;
} catch (std::bad_alloc const&) {
    return false;
}

/// Whether the descriptor is the one that was opened.
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

/// Removes the file and returns the address space.
void segment::give_back() noexcept
{
    if (path_ != nullptr) {
        ::unlink(path_);
        std::free(std::exchange(path_, nullptr));
    }
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

/// One more extent, as large as all that are there.
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

/// Memory, or blocks of the file, for all before `end`.
bool segment::commit(std::size_t end) noexcept
{
    while (committed_.load(std::memory_order_relaxed) < end) {
        std::size_t const have = committed_.load(std::memory_order_relaxed);
        if (is_published_) {
            // The first step is there since the file is; asked again, for a place that is known to be the file's.
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

std::byte* segment::take_chunk(std::uint32_t& first) noexcept
{
    lock_guard const guard{lock_};
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
        header().used.store(end, std::memory_order_release);   // who sees it sees the zeroes
    }
    next_[chunk] = std::exchange(first, chunk);
    return at(offset_of(chunk));
}

void segment::put_chunks(std::uint32_t first) noexcept
{
    // The chain is the caller's alone until it is free.
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
    // release: whoever sees the root sees the records it leads to.
    header().root.store(reinterpret_cast<std::uintptr_t>(record), std::memory_order_release);
}

void segment::note_missing() noexcept { header().missing.fetch_add(1, std::memory_order_relaxed); }

// Plain loads that ThreadSanitizer is not told of: threads count there meanwhile, and of what is a thread's own, and no atomic, any
// state will do, for the child has none of those threads.
void segment::copy_for_fork() noexcept __attribute__((no_thread_safety_analysis, no_sanitize("thread")))
{
    if (!published())
        return;
    void* const memory =
        ::mmap(nullptr, used_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return;
    // Word by word: threads count there meanwhile. What they must not change now is under locks, or waits for the fork.
    auto* to = static_cast<std::uint64_t*>(memory);
    std::size_t left = used_;
    for (extent const& e : extents_) {
        std::size_t const here = std::min(left, e.bytes);
        auto const* const words = reinterpret_cast<std::uint64_t const volatile*>(e.base);
        for (std::size_t i = 0; i < here / sizeof(std::uint64_t); ++i)
            *to++ = words[i];
        left -= here;
    }
    copy_ = static_cast<std::byte*>(memory);
    copied_ = used_;
}

void segment::drop_copy() noexcept __attribute__((no_thread_safety_analysis))
{
    if (copy_ != nullptr)
        ::munmap(std::exchange(copy_, nullptr), copied_);   // more may be in use by now
}

void segment::renew() noexcept __attribute__((no_thread_safety_analysis))
{
    if (!published())
        return;
    std::free(std::exchange(path_, nullptr));   // the parent's
    std::size_t const have = committed_.load(std::memory_order_relaxed);
    std::size_t const used = used_;
    int const parents = descriptor_.exchange(-1, std::memory_order_relaxed);
    bool const parents_is_open = still_ours(parents);
    int const fresh = create_memfd();
    // Calls f(extent, offset, bytes of it that are in use or at hand) for each extent, as long as that is true.
    auto const for_each_extent = [&](std::size_t of, auto f) noexcept {
        std::size_t offset = 0;
        for (extent const& e : extents_) {
            if (e.bytes != 0 && !f(e, offset, of > offset ? std::min(of - offset, e.bytes) : std::size_t{0}))
                return false;
            offset += e.bytes;
        }
        return true;
    };
    // Where the contents at the fork are. What the parent's threads have made since must not be in the child's segment: its place is the
    // child's to use for something else.
    auto const contents_of = [&](extent const& e, std::size_t offset) noexcept -> std::byte const* {
        return copy_ != nullptr ? copy_ + offset : e.base;
    };
    // A copy first, then the exchange: there is no moment without contents.
    struct stat made{};
    bool const copied =
        fresh >= 0 && set_size(fresh, bytes_) && examine(fresh, made) && reserve_space(fresh, 0, have) &&
        for_each_extent(used_, [&](extent const& e, std::size_t offset, std::size_t bytes) noexcept {
            return bytes == 0 ||
                   (granted(os_call::copy_file) && ::pwrite(fresh, contents_of(e, offset), bytes,
                                                            static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes));
        });
    std::size_t exchanged = 0;
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
                return true;   // nobody sees the file that it is of
            void* const copy = granted(os_call::map_copy)
                                   ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                   : MAP_FAILED;
            if (copy == MAP_FAILED)
                return true;   // counts go to the parent's: wrong figures, and no other harm
            std::memcpy(copy, contents_of(e, offset), used > offset ? std::min(used - offset, bytes) : 0);
            if (::mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, e.base) == MAP_FAILED)
                ::munmap(copy, bytes);   // the same
            return true;
        });
    }
    if (parents_is_open)
        ::close(parents);
    header().pid = ::getpid();
    header().started_ns = wall_clock_ns();
}

segment_part::segment_part(bool publish, std::uint64_t layout)
{
    if (!open(publish, layout))
        throw std::bad_alloc{};
}

bool segment_part::open(bool publish, std::uint64_t layout) noexcept
{
    lock_guard const guard{lock_};
    layout_ = layout;
    if (publish && published_segment().enter(layout)) {
        told_.in = true;
        if (take_chunk(told_, published_segment())) {
            first_told_ = reinterpret_cast<segment_chunk*>(told_.next - sizeof(segment_chunk));
            return true;
        }
        published_segment().note_missing();
        leave(told_, published_segment());
    }
    private_.in = private_segment().enter(layout);
    if (private_.in && take_chunk(private_, private_segment()))
        return true;
    leave(private_, private_segment());
    return false;
}

void segment_part::leave(share& of, segment& from) noexcept
{
    if (!of.in)
        return;
    from.put_chunks(of.chunks);
    from.leave();
    of = {};
}

void segment_part::close() noexcept
{
    lock_guard const guard{lock_};
    leave(told_, published_segment());
    leave(private_, private_segment());
    first_told_ = nullptr;
    committed_.store(0, std::memory_order_relaxed);
}

bool segment_part::take_chunk(share& of, segment& from) noexcept
{
    std::uint32_t chunks = of.chunks;
    std::byte* const memory = from.take_chunk(chunks);
    if (memory == nullptr)
        return false;
    std::atomic_ref{of.chunks}.store(chunks, std::memory_order_release);   // see resident_bytes_now
    auto* const chunk = ::new (memory) segment_chunk;
    of.next = memory + sizeof(segment_chunk);
    of.end = memory + segment_chunk::bytes;
    committed_.store(committed_.load(std::memory_order_relaxed) + segment_chunk::bytes, std::memory_order_relaxed);
    if (&of == &told_ && first_told_ != nullptr) {
        chunk->next.store(first_told_->next.load(std::memory_order_relaxed), std::memory_order_relaxed);
        first_told_->next.store(chunk, std::memory_order_release);   // whoever sees it sees the one behind it
    }
    return true;
}

void* segment_part::allocate_in(share& of, segment& from, std::size_t bytes, std::size_t alignment) noexcept
{
    for (bool const again : {false, true}) {
        auto const next = (reinterpret_cast<std::uintptr_t>(of.next) + alignment - 1) & ~(alignment - 1);
        if (of.next != nullptr && next + bytes <= reinterpret_cast<std::uintptr_t>(of.end)) {
            of.next = reinterpret_cast<std::byte*>(next + bytes);
            return reinterpret_cast<void*>(next);
        }
        if (again || !take_chunk(of, from))
            break;
    }
    return nullptr;
}

void* segment_part::allocate(std::size_t bytes, std::size_t alignment) noexcept
{
    lock_guard const guard{lock_};
    if (told_.in) {
        if (void* const p = allocate_in(told_, published_segment(), bytes, alignment))
            return p;
        published_segment().note_missing();
    }
    if (!private_.in && !(private_.in = private_segment().enter(layout_)))
        return nullptr;
    return allocate_in(private_, private_segment(), bytes, alignment);
}

std::uint64_t segment_part::resident_bytes_now() const noexcept
{
    // No lock: a snapshot takes none that it would count. acquire: whoever sees a chunk finds those before it.
    auto const chunks_of = [](share const& of) noexcept {
        return std::atomic_ref{const_cast<std::uint32_t&>(of.chunks)}.load(std::memory_order_acquire);
    };
    return published_segment().resident_bytes_of(chunks_of(told_)) +
           private_segment().resident_bytes_of(chunks_of(private_));
}

}
