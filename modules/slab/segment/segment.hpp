// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory that other processes of the same user may read: the counters and published figures of the heaps, and nothing
// that a heap relies on. A process has one such segment: a sealed memfd, which readers find in /proc/<pid>/fd, or a
// file that outlives the process. It is created with the first heap that publishes, grows by extents, and is removed
// with the last one. Each heap takes chunks of it; if none can be had, it takes chunks of a second, private segment.
// Records here may be read back for statistics only: after a fork that ran no handlers, another process writes here
// too. So the state that the segment itself relies on, such as which chunks are free, is in private memory.
#pragma once

export namespace tslab {

/// A part of a segment that is contiguous in the process. In the file it follows the extents before it.
struct segment_extent {
    atomic<std::uint64_t> address{0};
    atomic<std::uint64_t> bytes{0};   ///< 0: no extent
};

/// The header of a segment. Pointers in a segment are addresses in its process; `extents` maps them to offsets in the
/// file.
struct segment_header {
    static constexpr std::uint64_t magic_number = 0x31676573'62616c73;   // "slabseg1" in the order of the bytes
    static constexpr std::uint32_t format_number = 3;                    ///< of the header and of all that follows
    static constexpr std::size_t most_extents = 16;

    std::uint64_t magic = magic_number;
    std::uint32_t format = format_number;
    std::uint32_t header_bytes = sizeof(segment_header);
    std::uint64_t layout = 0;           ///< of the records: equal in builds of one version for one architecture
    atomic<std::uint64_t> bytes{0};     ///< of all extents, most of it untouched
    atomic<std::uint64_t> used{0};      ///< the rest is zeroes
    atomic<std::uint64_t> root{0};      ///< address of the first record; 0 until the segment is complete
    atomic<std::uint64_t> missing{0};   ///< chunks that heaps had to take elsewhere: their contents are not published
    std::int64_t pid = 0;
    std::uint64_t program = 0;   ///< another one whenever a program is started: in a container the pid may be the same
    std::uint64_t started_ns = 0;             ///< when the segment was made, CLOCK_REALTIME
    std::uint64_t started_monotonic_ns = 0;   ///< the same moment, CLOCK_MONOTONIC
    boot_id boot{};                           ///< of the second
    std::array<segment_extent, most_extents> extents{};
};

/// The header of a chunk. Records follow, up to its end.
struct segment_chunk {
    static constexpr std::size_t bytes = std::size_t{16} << 10;

    atomic<segment_chunk*> next{nullptr};   ///< of the same heap; for readers: the heap does not follow it
};

class segment {
public:
    static constexpr std::size_t most_bytes = std::size_t{1} << 30;
    static constexpr std::size_t first_chunk = segment_chunk::bytes;   ///< before it is the header
    static constexpr std::size_t most_chunks = most_bytes / segment_chunk::bytes;
    static constexpr std::uint32_t no_chunk = ~std::uint32_t{0};

    /// `published`: other processes may read it. `next`: zeroed, one for each possible chunk.
    constexpr segment(bool published, std::uint32_t* next) noexcept : next_{next}, is_published_{published} {}
    segment(segment const&) = delete;
    segment& operator=(segment const&) = delete;
    ~segment() = default;

    /// Creates the segment if it has no user yet. TSLAB_PUBLISH=0 disables a published one, and TSLAB_STATS_FILE names
    /// a file to use instead of a memfd (see docs/observing.md). False if it cannot be created. Each enter() that
    /// returns true needs one leave(). Thread safe.
    [[nodiscard]] bool enter(std::uint64_t layout) noexcept;
    /// The last leave() removes the segment, and the file. Precondition: the caller's chunks were returned. Thread
    /// safe.
    void leave() noexcept;

    /// A zeroed chunk, put before the chain that begins with `first`; null if there is none; no value if another thread keeps
    /// the segment locked for longer than `how_long`. Thread safe.
    [[nodiscard]] std::optional<std::byte*> take_chunk(std::uint32_t& first, patience how_long) noexcept;
    /// Returns a whole chain, and clears it. Thread safe.
    void put_chunks(std::uint32_t first) noexcept;
    /// The bytes of the chain that are resident. Thread safe, except for the chain.
    [[nodiscard]] std::uint64_t resident_bytes_of(std::uint32_t first) const noexcept;

    [[nodiscard]] bool contains(void const* p) const noexcept;
    /// Publishes where readers begin; null: nothing to read. Requires: the caller has entered.
    void set_root(void const* record) noexcept;
    /// Counts a chunk that lies elsewhere. Requires: the caller has entered.
    void note_missing() noexcept;
    /// Chunks counted so far. Requires: as above.
    [[nodiscard]] inline std::uint64_t missing() const noexcept
    {
        return header().missing.load(std::memory_order_relaxed);
    }
    /// Whether other processes may read it.
    [[nodiscard]] inline bool is_published() const noexcept { return descriptor_.load(std::memory_order_relaxed) >= 0; }
    /// Bytes taken from the system.
    [[nodiscard]] inline std::uint64_t committed_bytes() const noexcept
    {
        return committed_.load(std::memory_order_relaxed);
    }

    /// Before a fork, when every lock is reserved: makes a copy, since the parent's threads go on counting before the child can
    /// make one. Without memory for it there is no copy, and the child's figures include what they count until then.
    void copy_for_fork() noexcept;
    /// During a fork, in a pass: brings the copy up to date, if there is one.
    void refresh_copy() noexcept;
    /// In a forked child: replaces the segment shared with the parent by one of the child's own, with the contents at
    /// the fork, at the same addresses. If that is not possible, by private memory.
    void renew() noexcept;
    /// After a fork, on both sides.
    void drop_copy() noexcept;
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    struct extent {
        std::byte* base = nullptr;
        std::size_t bytes = 0;
        std::byte* reserved = nullptr;   // the range to be released
        std::size_t reserved_bytes = 0;
    };

    [[nodiscard]] bool open(std::uint64_t layout) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool open_file() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool grow() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool commit(std::size_t end) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool still_ours(int descriptor) const noexcept;
    void remove_file() noexcept __attribute__((requires_capability(lock_)));
    void copy_words() noexcept;
    void close_file() noexcept __attribute__((requires_capability(lock_)));
    void give_back() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] std::byte* at(std::size_t offset) const noexcept;
    [[nodiscard]] static constexpr std::size_t offset_of(std::uint32_t chunk) noexcept
    {
        return first_chunk + std::size_t{chunk} * segment_chunk::bytes;
    }
    [[nodiscard]] inline segment_header& header() const noexcept
    {
        return *reinterpret_cast<segment_header*>(extents_[0].base);
    }

    mutex lock_;
    std::uint32_t users_ __attribute__((guarded_by(lock_))) = 0;
    std::size_t used_ __attribute__((guarded_by(lock_))) = 0;
    std::size_t bytes_ __attribute__((guarded_by(lock_))) = 0;
    atomic<std::size_t> committed_{0};
    std::array<extent, segment_header::most_extents> extents_{};
    atomic<std::size_t> extent_count_{0};
    std::uint32_t free_ __attribute__((guarded_by(lock_))) = no_chunk;
    // By chunk: the next free chunk, or the next of the same chain, which only its owner follows.
    std::uint32_t* const next_;
    std::byte* copy_ = nullptr;   // during a fork: a copy of the used part
    std::size_t copied_ = 0;      // its bytes
    bool const is_published_;
    bool full_ __attribute__((guarded_by(lock_))) = false;   // takes no more from the system
    atomic<int> descriptor_{-1};                             // -1: not published
    // Identity of the file that was opened: the program may have closed the descriptor, and its number may be reused.
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    char* path_ = nullptr;   // of the file, absolute; null for a memfd
    int maker_ = 0;          // the process that made the file
};

/// The published segment and the private one. Never destroyed.
[[nodiscard]] segment& published_segment() noexcept;
[[nodiscard]] segment& private_segment() noexcept;

/// A heap's part of the segments: its chunks, in which records are allocated one behind the other. All chunks are
/// returned together.
class segment_part {
public:
    segment_part() noexcept = default;
    /// Takes the first chunk, of the published segment if `publish` is true and there is one. Throws std::bad_alloc.
    segment_part(bool publish, std::uint64_t layout);
    ~segment_part() { close(); }
    segment_part(segment_part const&) = delete;
    segment_part& operator=(segment_part const&) = delete;

    /// For a part that was made without a chunk: takes the first. False if there is no memory.
    [[nodiscard]] bool open(bool publish, std::uint64_t layout) noexcept;
    /// Returns every chunk.
    void close() noexcept;

    /// `bytes` zeroed bytes at `alignment` (a power of two); null if there is no memory, or if another thread keeps the part or
    /// the segment locked for longer than `how_long`. Thread safe.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment,
                                 patience how_long = patience::endless) noexcept;
    /// A new T, never destroyed; null if there is no memory. Thread safe.
    template <class T, class... Args> [[nodiscard]] inline T* make(Args&&... args) noexcept
    {
        static_assert(sizeof(T) + alignof(T) + sizeof(segment_chunk) <= segment_chunk::bytes);
        void* const p = allocate(sizeof(T), alignof(T));
        return p != nullptr ? ::new (p) T(std::forward<Args>(args)...) : nullptr;
    }
    /// The same without waiting for an interrupted thread: null also if another one keeps this locked.
    template <class T> [[nodiscard]] inline T* make_briefly() noexcept
    {
        static_assert(sizeof(T) + alignof(T) + sizeof(segment_chunk) <= segment_chunk::bytes);
        void* const p = allocate(sizeof(T), alignof(T), patience::brief);
        return p != nullptr ? ::new (p) T : nullptr;
    }
    /// Whether other processes may read the record.
    [[nodiscard]] inline bool is_published(void const* record) const noexcept
    {
        return published_.in && published_segment().contains(record);
    }
    /// Whether other processes may read its first record.
    [[nodiscard]] inline bool is_published() const noexcept
    {
        return published_.in && published_segment().is_published();
    }
    /// The first of the chunks that other processes may read; the others follow by `next`.
    [[nodiscard]] inline segment_chunk* first_published() const noexcept { return first_published_; }
    [[nodiscard]] inline std::uint64_t committed_bytes() const noexcept
    {
        return committed_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t resident_bytes_now() const noexcept;
    /// Chunks that heaps of the process had to take elsewhere, so that readers do not find what is in them.
    [[nodiscard]] inline std::uint64_t missing_chunks() const noexcept
    {
        return published_.in ? published_segment().missing() : 0;
    }
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    struct share {
        bool in = false;   // has entered
        std::uint32_t chunks = segment::no_chunk;
        std::byte* next = nullptr;
        std::byte* end = nullptr;
    };
    /// No value: the segment's lock is held for longer than `how_long`.
    [[nodiscard]] std::optional<void*> allocate_in(share& of, segment& from, std::size_t bytes, std::size_t alignment,
                                                   patience how_long) noexcept
        __attribute__((requires_capability(lock_)));
    /// Whether there is one; no value as above.
    [[nodiscard]] std::optional<bool> take_chunk(share& of, segment& from,
                                                 patience how_long = patience::endless) noexcept
        __attribute__((requires_capability(lock_)));
    static void leave(share& of, segment& from) noexcept;

    mutable mutex lock_;
    share published_;   // changed under the lock
    share private_;     // likewise
    std::uint64_t layout_ = 0;
    segment_chunk* first_published_ = nullptr;
    atomic<std::uint64_t> committed_{0};
};

}
