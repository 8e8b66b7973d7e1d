// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory for tslab's own records: taken once, zeroed, never moved and not freed while the heap lives, so that any
// thread may read a record at any time. Records are reused through their owners' free lists. The memory comes in
// pieces, small ones first; what is not needed is not even reserved.
#pragma once

export namespace tslab {

/// The header of a piece of an arena.
struct arena_piece {
    std::uint64_t bytes = 0;   ///< including this header
    std::uint64_t next = 0;    ///< address of the piece made before; 0: none
};

class arena {
public:
    static constexpr std::size_t first_piece = std::size_t{16} << 10;
    static constexpr std::size_t largest_piece = std::size_t{256} << 10;   ///< except for a record that needs more

    constexpr arena() noexcept = default;
    ~arena();
    arena(arena const&) = delete;
    arena& operator=(arena const&) = delete;

    /// `bytes` zeroed bytes at `alignment` (a power of two, a page at most); null if there is no memory, or if another thread
    /// keeps the arena locked for longer than `how_long`. Thread safe.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment,
                                 patience how_long = patience::endless) noexcept;

    /// A new T, never destroyed; null if there is no memory. Thread safe.
    template <class T, class... Args> [[nodiscard]] inline T* make(Args&&... args) noexcept
    {
        void* const p = allocate(sizeof(T), alignof(T));
        return p != nullptr ? ::new (p) T(std::forward<Args>(args)...) : nullptr;
    }
    /// The same without waiting for an interrupted thread: null also if another one keeps this locked.
    template <class T> [[nodiscard]] inline T* make_briefly() noexcept
    {
        void* const p = allocate(sizeof(T), alignof(T), patience::brief);
        return p != nullptr ? ::new (p) T : nullptr;
    }
    template <class T> [[nodiscard]] inline T* make_array(std::size_t n) noexcept
    {
        auto* const p = static_cast<T*>(allocate(n * sizeof(T), alignof(T)));
        if (p != nullptr)
            std::uninitialized_value_construct_n(p, n);
        return p;
    }

    [[nodiscard]] inline std::uint64_t committed_bytes() const noexcept
    {
        return committed_.load(std::memory_order_relaxed);
    }
    /// The newest piece; null while there is none. The older ones follow by `next`; a piece never changes.
    [[nodiscard]] inline arena_piece const* pieces() const noexcept
    {
        return pieces_.load(std::memory_order_acquire);   // pairs with allocate: the piece is complete
    }
    /// Bytes of it that are resident.
    [[nodiscard]] std::uint64_t resident_bytes_now() const noexcept;
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    [[nodiscard]] bool add_piece(std::size_t bytes) noexcept __attribute__((requires_capability(lock_)));

    mutex lock_;
    atomic<arena_piece*> pieces_{nullptr};
    std::size_t used_ __attribute__((guarded_by(lock_))) = 0;   // of the piece made last
    atomic<std::size_t> committed_{0};
};

}
