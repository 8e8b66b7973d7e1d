// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocator of <tslab/tslab.hpp> for containers that take a type of allocator instead of a std::pmr::memory_resource.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <tslab/cpp/epoch_closed.hpp>
#include <tslab/cpp/resource.hpp>
#include <type_traits>

namespace tslab {
namespace v0 {

/// An allocator of one resource, of one epoch of a heap, or of a heap's current epoch. Two words; there is no default one.
///
/// Containers keep the allocator that they were made with: assignment copies or moves elements between epochs, and takes over memory
/// only of an equal allocator. A swap exchanges the allocators with the memory. A copy of a container has the allocator of the original;
/// pass another one to copy into another epoch.
///
/// Of a resource: everything must be freed before the resource ends. Of a heap: memory may be freed after its epoch has closed, until the
/// heap ends. Thread safe, as what it allocates from.
template <class T> class stl_allocator {
public:
    using value_type = T;                                             ///< of the elements
    using propagate_on_container_copy_assignment = std::false_type;   ///< the assigned container keeps its epoch
    using propagate_on_container_move_assignment = std::false_type;   ///< likewise
    using propagate_on_container_swap = std::true_type;   ///< else swapping containers of two epochs were undefined
    using is_always_equal = std::false_type;              ///< memory is freed where it was allocated

    /// Allocates from `resource`. Requires: not null; outlives what is allocated.
    TSLAB_LOCAL stl_allocator(epoch_resource* resource) noexcept
        : from_{static_cast<std::pmr::memory_resource*>(resource)}
    {
    }
    /// Allocates in the epoch `e` of `heap`, which outlives what is allocated. Allocations throw epoch_closed once `e` is CLOSING. If `e`
    /// is a resource's own, what is live when that ends is reported as a leak of it.
    TSLAB_LOCAL stl_allocator(allocator& heap, epoch_id e) noexcept : from_{&heap}, epoch_{packed(e)} {}
    /// Allocates in the epoch that is `heap`'s current one at each allocation, which is never refused because of its epoch.
    TSLAB_LOCAL explicit stl_allocator(allocator& heap) noexcept : from_{&heap}, epoch_{whichever} {}
    /// The same allocator for other elements.
    template <class U> TSLAB_LOCAL stl_allocator(stl_allocator<U> const& other) noexcept
        : from_{other.from_}, epoch_{other.epoch_}
    {
    }

    /// Allocates room for `n` elements. Throws epoch_closed if the epoch is CLOSING, std::bad_array_new_length if `n` is absurd,
    /// std::bad_alloc if memory is out. Constant time.
    [[nodiscard]] TSLAB_LOCAL T* allocate(std::size_t n)
    {
        if (n > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / sizeof(T))
            TSLAB_THROW(std::bad_array_new_length{});
        if (epoch_ == of_resource)
            return static_cast<T*>(as_base()->allocate(n * sizeof(T), alignof(T)));
        return static_cast<T*>(allocate_in_heap(n * sizeof(T)));
    }
    /// Frees what an equal allocator allocated for `n` elements, on any thread. What is wrong is reported. Constant time.
    TSLAB_LOCAL void deallocate(T* p, std::size_t n) noexcept
    {
        if (epoch_ == of_resource)
            as_base()->deallocate(p, n * sizeof(T), alignof(T));
        else
            static_cast<allocator*>(from_)->free(p);
    }

    /// The resource; null if it allocates from a heap itself.
    [[nodiscard]] TSLAB_LOCAL epoch_resource* resource() const noexcept
    {
        return epoch_ == of_resource ? static_cast<epoch_resource*>(as_base()) : nullptr;
    }
    /// The heap.
    [[nodiscard]] TSLAB_LOCAL allocator& heap() const noexcept
    {
        return epoch_ == of_resource ? resource()->heap() : *static_cast<allocator*>(from_);
    }
    /// The epoch of what is allocated next.
    [[nodiscard]] TSLAB_LOCAL epoch_id epoch() const noexcept
    {
        if (epoch_ == of_resource)
            return resource()->epoch();
        if (epoch_ == whichever)
            return heap().current_epoch();
        return epoch_ == none ? epoch_id{} : epoch_id{static_cast<std::uint32_t>(epoch_ & 0xffff), epoch_ >> 16};
    }

    /// Whether both allocate in the same way: from the same resource, or in the same epoch of the same heap.
    template <class U>
    [[nodiscard]] TSLAB_LOCAL friend bool operator==(stl_allocator const& a, stl_allocator<U> const& b) noexcept
    {
        return a.is_as(b);
    }

private:
    template <class> friend class stl_allocator;

    // In place of an epoch, which is its ring slot in 16 bits with the era above. No epoch has the era 0.
    static constexpr std::uint64_t of_resource = 0;
    static constexpr std::uint64_t whichever = 1;   // is the current one
    static constexpr std::uint64_t none = 2;        // it is no name of an epoch

    [[nodiscard]] TSLAB_LOCAL static constexpr std::uint64_t packed(epoch_id e) noexcept
    {
        return e.era != 0 && e.era >> 48 == 0 && e.index >> 16 == 0 ? e.era << 16 | e.index : none;
    }
    // Containers' functions may be another binary's, for another copy of the library: so the call is a virtual one.
    [[nodiscard]] TSLAB_LOCAL std::pmr::memory_resource* as_base() const noexcept
    {
        return static_cast<std::pmr::memory_resource*>(from_);
    }
    template <class U> [[nodiscard]] TSLAB_LOCAL bool is_as(stl_allocator<U> const& other) const noexcept
    {
        return from_ == other.from_ && epoch_ == other.epoch_;
    }
    TSLAB_LOCAL void* allocate_in_heap(std::size_t bytes)
    {
        tslab_heap* const heap = static_cast<allocator*>(from_)->c();
        for (;;) {
            epoch_id const e = epoch();
            tslab_refusal why = TSLAB_REFUSED_CLOSED;
            void* const p =
                e.era != 0 ? tslab_aligned_malloc_in(heap, alignof(T), bytes, detail::c_of(e), &why) : nullptr;
            if (p != nullptr)
                return p;
            if (why != TSLAB_REFUSED_CLOSED)
                TSLAB_THROW(std::bad_alloc{});
            if (epoch_ != whichever)
                TSLAB_THROW(epoch_closed{});
        }   // another thread has advanced: try the new epoch
    }

    void* from_;   // a resource, as its base, or a heap
    std::uint64_t epoch_ = of_resource;
};

/// Whether they do not.
template <class A, class B>
[[nodiscard]] TSLAB_LOCAL bool operator!=(stl_allocator<A> const& a, stl_allocator<B> const& b) noexcept
{
    return !(a == b);
}

}
}
