// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
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
constexpr std::size_t smallest_segment = std::size_t{1} << 20;

bool wanted(bool by_option) noexcept
{
    char const* const said = ::secure_getenv("TSLAB_PUBLISH");
    return by_option && (said == nullptr || std::string_view{said} != "0");
}

bool may_be_as_large_as(std::size_t bytes) noexcept
{
    rlimit limit{};
    return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes);
}

/// Whether a heap that lives has the name as it was given.
constinit atomic<bool> plain_name_taken{false};

/// The name TSLAB_STATS_FILE gives: "%p" stands for the process's number; further heaps of the process have their own numbers
/// behind it. Empty when it gives none.
std::string file_name(std::uint64_t heap, bool& plain)
{
    char const* const said = ::secure_getenv("TSLAB_STATS_FILE");
    std::string name = said != nullptr ? said : "";
    if (name.empty())
        return name;
    if (std::size_t const at = name.find("%p"); at != std::string::npos)
        name.replace(at, 2, std::to_string(::getpid()));
    plain = !plain_name_taken.exchange(true, std::memory_order_relaxed);
    return plain ? name : name + '.' + std::to_string(heap);
}

int create_memfd() noexcept
{
    return granted(os_call::make_file) ? ::memfd_create("tslab", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
}

/// A new file; what was there, from a process that may have died, is kept under another name. -1 when it cannot be made.
/// Throws std::bad_alloc.
int create_file(std::string const& name)
{
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int descriptor = granted(os_call::make_file) ? ::open(name.c_str(), flags, 0600) : -1;
    if (descriptor < 0 && errno == EEXIST) {
        struct stat there{};
        if (::lstat(name.c_str(), &there) != 0 || !S_ISREG(there.st_mode))
            return -1;
        std::string const kept = name + ".old";
        if (granted(os_call::rename_file) && ::rename(name.c_str(), kept.c_str()) == 0)
            descriptor = ::open(name.c_str(), flags, 0600);
    }
    return descriptor;
}

}

segment::segment(std::size_t bytes, bool publish, std::uint64_t heap, std::uint64_t layout)
    : heap_{heap}, layout_{layout}
{
    for (bytes_ = std::clamp(bytes, smallest_segment, most_bytes); base_ == nullptr && bytes_ >= smallest_segment;) {
        base_ = static_cast<std::byte*>(os().reserve(bytes_));
        if (base_ == nullptr)
            bytes_ /= 2;
    }
    if (base_ == nullptr)
        throw std::bad_alloc{};
    open(publish);
    auto* header = static_cast<segment_header*>(allocate(sizeof(segment_header), alignof(segment_header)));
    if (header == nullptr) {
        give_back();
        throw std::bad_alloc{};
    }
    header = ::new (header) segment_header;
    header->layout = layout_;
    header->base = reinterpret_cast<std::uintptr_t>(base_);
    header->bytes = bytes_;
    header->pid = ::getpid();
    header->heap = heap_;
    header->started_ns = wall_clock_ns();
    header->used.store(sizeof(segment_header), std::memory_order_relaxed);
}

segment::~segment() { give_back(); }

/// Removes the file and returns the address space.
void segment::give_back() noexcept
{
    if (path_ != nullptr) {
        ::unlink(path_);
        std::free(path_);
    }
    if (has_plain_name_)
        plain_name_taken.store(false, std::memory_order_relaxed);
    close();
    os().release(base_, bytes_);
}

namespace {

/// Of a memfd: its size stands, and only the mapping that exists may write. A kernel without the last one seals the rest.
bool seal(int descriptor) noexcept
{
    constexpr int size_stands = F_SEAL_SHRINK | F_SEAL_GROW;
    return granted(os_call::seal_file) &&
           (::fcntl(descriptor, F_ADD_SEALS, size_stands | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0 ||
            ::fcntl(descriptor, F_ADD_SEALS, size_stands | F_SEAL_SEAL) == 0);
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

bool map_over(void* begin, std::size_t bytes, int descriptor) noexcept
{
    return granted(os_call::map_file) && ::mmap(begin, bytes, PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_FIXED | MAP_NORESERVE, descriptor, 0) != MAP_FAILED;
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

/// Makes the memfd or the file and maps it. Whatever fails, it stays unpublished.
void segment::open(bool publish) noexcept
try {
    if (!wanted(publish) || !may_be_as_large_as(bytes_))
        return;
    std::string const name = file_name(heap_, has_plain_name_);
    int const descriptor = name.empty() ? create_memfd() : create_file(name);
    if (descriptor < 0)
        return;
    if (!name.empty() && granted(os_call::keep_path))
        path_ = ::strdup(name.c_str());
    struct stat made{};
    if ((!name.empty() && path_ == nullptr) || !set_size(descriptor, bytes_) || !examine(descriptor, made) ||
        !reserve_space(descriptor, 0, segment_step) || !map_over(base_, bytes_, descriptor) ||
        (name.empty() && !seal(descriptor))) {
        ::close(descriptor);
        if (!name.empty())
            ::unlink(name.c_str());
        std::free(std::exchange(path_, nullptr));
        make_private(0, bytes_);
        return;
    }
    descriptor_ = descriptor;
    device_ = made.st_dev;
    inode_ = made.st_ino;
} catch (std::bad_alloc const&) {
    // Unpublished, then.
}

/// Address space again, as it was reserved: for what could not be published. False, and it stays what it is, when refused.
bool segment::make_private(std::size_t begin, std::size_t bytes) noexcept
{
    return granted(os_call::map_private) &&
           ::mmap(base_ + begin, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
               MAP_FAILED;
}

/// Closes the descriptor, if it still is the one that was opened.
void segment::close() noexcept
{
    struct stat now{};
    if (descriptor_ >= 0 && ::fstat(descriptor_, &now) == 0 && now.st_dev == device_ && now.st_ino == inode_)
        ::close(descriptor_);
    descriptor_ = -1;
}

/// Memory for a part of the segment: of the memfd or file where it has one and there is room, else like any other.
bool segment::commit(std::size_t begin, std::size_t bytes) noexcept
{
    if (descriptor_ >= 0) {
        if (reserve_space(descriptor_, begin, bytes))
            return true;
        if (!make_private(begin, bytes))   // of a file without space: to touch it would be a signal
            return false;
        if (begin == 0)
            close();   // without its beginning it tells nothing
    }
    if (!os().commit(base_ + begin, bytes))
        return false;
    if (descriptor_ >= 0)
        note_missing();
    return true;
}

void* segment::allocate(std::size_t bytes, std::size_t alignment) noexcept
{
    lock_guard const guard{lock_};
    std::size_t const begin = (used_ + alignment - 1) & ~(alignment - 1);
    if (begin > bytes_ || bytes > bytes_ - begin)
        return nullptr;
    std::size_t const end = begin + bytes;
    std::size_t const have = committed_.load(std::memory_order_relaxed);
    if (end > have) {
        std::size_t const want = std::min(bytes_, (end + segment_step - 1) / segment_step * segment_step);
        if (!commit(have, want - have))
            return nullptr;
        committed_.store(want, std::memory_order_relaxed);
    }
    used_ = end;
    if (begin != 0)   // release: who sees it sees the zeroes
        reinterpret_cast<segment_header*>(base_)->used.store(end, std::memory_order_release);
    return base_ + begin;
}

void segment::set_root(void const* record) noexcept
{
    // release: whoever sees the root sees the records it leads to.
    reinterpret_cast<segment_header*>(base_)->root.store(reinterpret_cast<std::uintptr_t>(record),
                                                         std::memory_order_release);
}

void segment::note_missing() noexcept
{
    reinterpret_cast<segment_header*>(base_)->missing.fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t segment::resident_bytes_now() const noexcept { return resident_bytes(base_, committed_bytes()); }

// Plain loads that ThreadSanitizer is not told of: threads count there meanwhile, and of what is a thread's own, and no atomic, any
// state will do, for the child has none of those threads.
void segment::copy_for_fork() noexcept __attribute__((no_thread_safety_analysis, no_sanitize("thread")))
{
    if (descriptor_ < 0)
        return;
    void* const memory =
        ::mmap(nullptr, used_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return;
    // Word by word: threads count there meanwhile. What they must not change now is under locks, or waits for the fork.
    auto const* const words = reinterpret_cast<std::uint64_t const volatile*>(base_);
    for (std::size_t i = 0; i < (used_ + 7) / 8; ++i)
        static_cast<std::uint64_t*>(memory)[i] = words[i];
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
    if (descriptor_ < 0)
        return;
    std::free(std::exchange(path_, nullptr));   // the parent's
    std::size_t const have = committed_.load(std::memory_order_relaxed);
    int const parents = descriptor_;
    std::uint64_t const device = device_;
    std::uint64_t const inode = inode_;
    descriptor_ = -1;
    int const fresh = create_memfd();
    // A copy first, then the exchange: there is no moment without contents. What the parent's threads have made since the fork
    // must not be in it: its place is the child's to use for something else.
    std::byte const* const contents = copy_ != nullptr ? copy_ : base_;
    struct stat made{};
    if (fresh >= 0 && set_size(fresh, bytes_) && examine(fresh, made) && reserve_space(fresh, 0, have) &&
        granted(os_call::copy_file) && ::pwrite(fresh, contents, used_, 0) == static_cast<ssize_t>(used_) &&
        map_over(base_, bytes_, fresh)) {
        static_cast<void>(seal(fresh));
        descriptor_ = fresh;
        device_ = made.st_dev;
        inode_ = made.st_ino;
    } else {
        if (fresh >= 0)
            ::close(fresh);
        void* const copy = granted(os_call::map_copy)
                               ? ::mmap(nullptr, have, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                               : MAP_FAILED;
        if (copy != MAP_FAILED) {
            std::memcpy(copy, contents, used_);
            make_private(have, bytes_ - have);
            if (::mremap(copy, have, have, MREMAP_MAYMOVE | MREMAP_FIXED, base_) == MAP_FAILED)
                ::munmap(copy, have);   // counts go to the parent's: wrong figures, and no other harm
        }
    }
    struct stat now{};
    if (::fstat(parents, &now) == 0 && now.st_dev == device && now.st_ino == inode)
        ::close(parents);
    auto* const header = reinterpret_cast<segment_header*>(base_);
    header->pid = ::getpid();
    header->started_ns = wall_clock_ns();
}

}
