// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory that other processes of the same user may read: what is counted and told of the heaps, and nothing a heap relies on.
// A process has one such segment. It lies in a sealed memfd, which readers find in /proc/<pid>/fd, or in a file that outlives
// the process. It is made with the first heap that publishes, grows by extents, and goes with the last one. Each heap takes
// chunks of it; where none can be had, a heap takes chunks of a second segment that nobody outside sees.
// What is written here may be read back for statistics only: after a fork that ran no handlers, another process writes here too.
// So what the segment itself relies on, as which chunks are free, stands beside it.
#pragma once

export namespace tslab {

/// A part of a segment that lies at one place in the process. In the file it follows the extents before it.
struct segment_extent {
    atomic<std::uint64_t> address{0};
    atomic<std::uint64_t> bytes{0};   ///< 0: there is none
};

/// What a segment begins with. Pointers in a segment are addresses in its process: `extents` says where they are in the file.
struct segment_header {
    static constexpr std::uint64_t magic_number = 0x31676573'62616c73;   // "slabseg1" in the order of the bytes
    static constexpr std::uint32_t format_number = 2;                    ///< of the header and of all that follows
    static constexpr std::size_t most_extents = 16;

    std::uint64_t magic = magic_number;
    std::uint32_t format = format_number;
    std::uint32_t header_bytes = sizeof(segment_header);
    std::uint64_t layout = 0;           ///< of the records: equal in builds of one version for one architecture
    atomic<std::uint64_t> bytes{0};     ///< of all extents, most of them untouched
    atomic<std::uint64_t> used{0};      ///< the rest is zeroes
    atomic<std::uint64_t> root{0};      ///< address of the first record; 0 until all is there
    atomic<std::uint64_t> missing{0};   ///< chunks that heaps could not have here: what is in them is not told
    std::int64_t pid = 0;
    std::uint64_t started_ns = 0;   ///< when the segment was made, CLOCK_REALTIME
    std::array<segment_extent, most_extents> extents{};
};

/// What a chunk begins with. Records follow, up to its end.
struct segment_chunk {
    static constexpr std::size_t bytes = std::size_t{16} << 10;

    atomic<segment_chunk*> next{nullptr};   ///< of the same heap: for readers, the heap does not follow it
};

class segment {
public:
    static constexpr std::size_t most_bytes = std::size_t{1} << 30;
    static constexpr std::size_t first_chunk = segment_chunk::bytes;   ///< before it is the header
    static constexpr std::size_t most_chunks = most_bytes / segment_chunk::bytes;
    static constexpr std::uint32_t no_chunk = ~std::uint32_t{0};

    /// `published`: other processes may read it. `next`: zeroes, one for each chunk there may be.
    constexpr segment(bool published, std::uint32_t* next) noexcept : next_{next}, is_published_{published} {}
    segment(segment const&) = delete;
    segment& operator=(segment const&) = delete;

    /// Makes the segment if nobody uses it yet. TSLAB_PUBLISH=0 says no to one that is published, and TSLAB_STATS_FILE names a
    /// file instead of a memfd (see docs/observing.md). False when it cannot be had. Whoever enters leaves. Thread safe.
    [[nodiscard]] bool enter(std::uint64_t layout) noexcept;
    /// The last one that leaves removes it, and the file. Its chunks were put back. Thread safe.
    void leave() noexcept;

    /// A zeroed chunk, put before the chain that begins with `first`; null when there is none. Thread safe.
    [[nodiscard]] std::byte* take_chunk(std::uint32_t& first) noexcept;
    /// Takes back a whole chain, and clears it. Thread safe.
    void put_chunks(std::uint32_t first) noexcept;
    /// The bytes of the chain that are resident. Thread safe, but for the chain.
    [[nodiscard]] std::uint64_t resident_bytes_of(std::uint32_t first) const noexcept;

    [[nodiscard]] bool contains(void const* p) const noexcept;
    /// Tells readers where to begin; null: there is nothing to read. The caller has entered.
    void set_root(void const* record) noexcept;
    /// Counts a chunk that lies elsewhere. The caller has entered.
    void note_missing() noexcept;
    /// Whether other processes may read it.
    [[nodiscard]] inline bool is_published() const noexcept { return descriptor_.load(std::memory_order_relaxed) >= 0; }
    /// What was taken from the system.
    [[nodiscard]] inline std::uint64_t committed_bytes() const noexcept
    {
        return committed_.load(std::memory_order_relaxed);
    }

    /// Before a fork, under every lock: keeps a copy, since the parent's threads go on counting before the child can make one.
    /// Without memory for it there is none, and what they count until then is told by the child too.
    void copy_for_fork() noexcept;
    /// In a forked child: replaces what is shared with the parent by a segment of the child's own, with the contents at the
    /// fork, at the same addresses. When that is not possible, it goes on in memory nobody sees.
    void renew() noexcept;
    /// After a fork, on both sides.
    void drop_copy() noexcept;
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    struct extent {
        std::byte* base = nullptr;
        std::size_t bytes = 0;
        std::byte* reserved = nullptr;   // what is to be released
        std::size_t reserved_bytes = 0;
    };

    [[nodiscard]] bool open(std::uint64_t layout) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool open_file() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool grow() noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool commit(std::size_t end) noexcept __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool still_ours(int descriptor) const noexcept;
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
    // By chunk: the next one that is free, or of the same chain, which its owner alone follows.
    std::uint32_t* const next_;
    std::byte* copy_ = nullptr;   // while a fork is under way, with as much as was in use
    std::size_t copied_ = 0;
    bool const is_published_;
    bool full_ __attribute__((guarded_by(lock_))) = false;   // takes nothing more from the system
    atomic<int> descriptor_{-1};                             // -1: not published
    // What the descriptor was opened for: a program may have closed it, and its number be reused.
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    char* path_ = nullptr;   // of the file; null for a memfd
};

/// What other processes may read, and what they may not. Never destroyed.
[[nodiscard]] segment& published_segment() noexcept;
[[nodiscard]] segment& private_segment() noexcept;

/// A heap's part of the segments: its chunks, in which records are made one behind the other. They go back together.
class segment_part {
public:
    segment_part() noexcept = default;
    /// Takes the first chunk, of the published segment if `publish` says so and there is one. Throws std::bad_alloc when there is no
    /// memory.
    segment_part(bool publish, std::uint64_t layout);
    ~segment_part() { close(); }
    segment_part(segment_part const&) = delete;
    segment_part& operator=(segment_part const&) = delete;

    /// For one that was made without: false when there is no memory.
    [[nodiscard]] bool open(bool publish, std::uint64_t layout) noexcept;
    /// Puts every chunk back.
    void close() noexcept;

    /// `bytes` zeroed bytes at `alignment` (a power of two); null when there is no memory. Thread safe.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    /// A new T, never destroyed; null when there is no memory. Thread safe.
    template <class T, class... Args> [[nodiscard]] inline T* make(Args&&... args) noexcept
    {
        static_assert(sizeof(T) + alignof(T) + sizeof(segment_chunk) <= segment_chunk::bytes);
        void* const p = allocate(sizeof(T), alignof(T));
        return p != nullptr ? ::new (p) T(std::forward<Args>(args)...) : nullptr;
    }
    /// Whether it is a record that other processes may read.
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
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }
    [[nodiscard]] inline mutex const& lock_for_counts() const noexcept { return lock_; }

private:
    struct share {
        bool in = false;   // has entered
        std::uint32_t chunks = segment::no_chunk;
        std::byte* next = nullptr;
        std::byte* end = nullptr;
    };
    [[nodiscard]] void* allocate_in(share& of, segment& from, std::size_t bytes, std::size_t alignment) noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool take_chunk(share& of, segment& from) noexcept __attribute__((requires_capability(lock_)));
    static void leave(share& of, segment& from) noexcept;

    mutable mutex lock_;
    share published_;   // changed under the lock
    share private_;     // likewise
    std::uint64_t layout_ = 0;
    segment_chunk* first_published_ = nullptr;
    atomic<std::uint64_t> committed_{0};
};

}
