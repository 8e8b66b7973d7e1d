// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory for tslab's own records: taken once, zeroed, never moved and never given back while the heap lives, so that
// any thread may look at a record at any time. Records are reused by their owners' free lists.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
export module tslab.slab:arena;

import tslab.stats;
import :mutex;

export namespace tslab {

class arena {
public:
    /// Reserves address space only. Throws std::bad_alloc.
    explicit arena(std::size_t reserve_bytes);
    ~arena();
    arena(arena const&) = delete;
    arena& operator=(arena const&) = delete;

    /// `bytes` zeroed bytes at `alignment` (a power of two); null when there is no memory. Thread safe.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment) noexcept;

    /// A new T, never destroyed; null when there is no memory. Thread safe.
    template <class T, class... Args> [[nodiscard]] inline T* make(Args&&... args) noexcept
    {
        void* const p = allocate(sizeof(T), alignof(T));
        return p != nullptr ? ::new (p) T(std::forward<Args>(args)...) : nullptr;
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
    [[nodiscard]] inline void const* begin() const noexcept { return base_; }
    /// Bytes of it that are resident.
    [[nodiscard]] std::uint64_t resident_bytes_now() const noexcept;
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }
    [[nodiscard]] inline mutex const& lock_for_counts() const noexcept { return lock_; }

private:
    mutex lock_;
    std::byte* base_ = nullptr;
    std::size_t bytes_ = 0;
    std::size_t used_ __attribute__((guarded_by(lock_))) = 0;
    atomic<std::size_t> committed_{0};
};

}
