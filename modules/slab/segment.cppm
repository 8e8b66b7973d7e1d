// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory that other processes of the same user may read: what is counted and told of a heap, and nothing a heap relies on.
// It lies in a sealed memfd, which they find in /proc/<pid>/fd, or in a file that outlives the process. Where neither can
// be had it is memory like any other, and nobody outside sees it.
// What is written here may be read back for statistics only: after a fork that ran no handlers, another process writes here too.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
export module tslab.slab:segment;

import tslab.stats;
import :mutex;

export namespace tslab {

/// What a segment begins with. Pointers in a segment are addresses in its process: `base` is where the segment begins there.
struct segment_header {
    static constexpr std::uint64_t magic_number = 0x31676573'62616c73;   // "slabseg1" in the order of the bytes
    static constexpr std::uint32_t format_number = 1;                    ///< of the header and of all that follows

    std::uint64_t magic = magic_number;
    std::uint32_t format = format_number;
    std::uint32_t header_bytes = sizeof(segment_header);
    std::uint64_t layout = 0;   ///< of the records: equal in builds of one version for one architecture
    std::uint64_t base = 0;
    std::uint64_t bytes = 0;            ///< of the whole segment, most of it untouched
    atomic<std::uint64_t> used{0};      ///< the rest is zeroes
    atomic<std::uint64_t> root{0};      ///< address of the first record; 0 until all is there
    atomic<std::uint64_t> missing{0};   ///< records that found no room here, and are not told of
    std::int64_t pid = 0;
    std::uint64_t heap = 0;         ///< the heap's number in its process, from 1
    std::uint64_t started_ns = 0;   ///< when the segment was made, CLOCK_REALTIME
};

class segment {
public:
    static constexpr std::size_t most_bytes = std::size_t{256} << 20;

    /// Reserves `bytes`, at most most_bytes. `publish`: other processes may read it; TSLAB_PUBLISH=0 says no to that, and
    /// TSLAB_STATS_FILE names a file instead of a memfd (see docs/observing.md). Throws std::bad_alloc when there is no memory.
    segment(std::size_t bytes, bool publish, std::uint64_t heap, std::uint64_t layout);
    /// Removes the file.
    ~segment();
    segment(segment const&) = delete;
    segment& operator=(segment const&) = delete;

    /// `bytes` zeroed bytes at `alignment` (a power of two); null when there is no memory. Thread safe.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    /// A new T, never destroyed; null when there is no memory. Thread safe.
    template <class T, class... Args> [[nodiscard]] inline T* make(Args&&... args) noexcept
    {
        void* const p = allocate(sizeof(T), alignof(T));
        return p != nullptr ? ::new (p) T(std::forward<Args>(args)...) : nullptr;
    }
    [[nodiscard]] inline bool contains(void const* p) const noexcept
    {
        return reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(base_) < bytes_;
    }
    /// Tells readers where to begin.
    void set_root(void const* record) noexcept;
    /// Counts a record that lies elsewhere.
    void note_missing() noexcept;

    /// Whether other processes may read it.
    [[nodiscard]] inline bool published() const noexcept { return descriptor_ >= 0; }
    [[nodiscard]] inline std::uint64_t committed_bytes() const noexcept
    {
        return committed_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t resident_bytes_now() const noexcept;

    /// Before a fork, under every lock: keeps a copy, since the parent's threads go on counting before the child can make one.
    /// Without memory for it there is none, and what they count until then is told by the child too.
    void copy_for_fork() noexcept;
    /// In a forked child: replaces what is shared with the parent by a segment of the child's own, with the contents at the
    /// fork, at the same address. When that is not possible, it goes on in memory nobody sees.
    void renew() noexcept;
    /// After a fork, on both sides.
    void drop_copy() noexcept;
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }
    [[nodiscard]] inline mutex const& lock_for_counts() const noexcept { return lock_; }

private:
    void open(bool publish) noexcept;
    [[nodiscard]] bool commit(std::size_t begin, std::size_t bytes) noexcept;
    bool make_private(std::size_t begin, std::size_t bytes) noexcept;
    void close() noexcept;
    void give_back() noexcept;

    mutex lock_;
    std::byte* base_ = nullptr;
    std::size_t bytes_ = 0;
    std::size_t used_ __attribute__((guarded_by(lock_))) = 0;
    atomic<std::size_t> committed_{0};
    std::byte* copy_ = nullptr;   // while a fork is under way, with as much as was in use
    std::size_t copied_ = 0;
    int descriptor_ = -1;   // -1: not published
    std::uint64_t device_ =
        0;   // what the descriptor was opened for: a program may have closed it, and its number be reused
    std::uint64_t inode_ = 0;
    std::uint64_t heap_ = 0;
    std::uint64_t layout_ = 0;
    char* path_ = nullptr;   // of the file; null for a memfd
    bool has_plain_name_ = false;
};

}
