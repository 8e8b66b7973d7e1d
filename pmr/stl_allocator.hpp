// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// stl_allocator: an allocator for containers and functions of the standard library that take a type of allocator instead of a
// std::pmr::memory_resource. A copy names the same memory; there is no default one, so no container is in an epoch by accident.
#pragma once

export namespace tslab {

/// An allocator of one resource, of one epoch of a heap, or of a heap's current epoch. Two words; copying it costs nothing.
///
/// Containers keep the allocator that they were made with: assignment copies or moves elements between epochs, and takes over memory
/// only of an equal allocator, so that a container that lives long does not keep memory of a request. A swap exchanges the allocators
/// with the memory. A copy of a container has the allocator of the original; pass another one to copy into another epoch. A container
/// that is move-constructed takes allocator and memory.
///
/// Of a resource: as fast as std::pmr with it, and everything must be freed before the resource ends. Of a heap: memory may be freed
/// after its epoch has closed, until the heap ends. Thread safe, as what it allocates from.
/// Example: `std::vector<order, tslab::stl_allocator<order>> rows{scope.resource()};`
template <class T> class stl_allocator {
public:
    using value_type = T;                                             ///< of the elements
    using propagate_on_container_copy_assignment = std::false_type;   ///< the assigned container keeps its epoch
    using propagate_on_container_move_assignment = std::false_type;   ///< likewise
    using propagate_on_container_swap = std::true_type;   ///< else swapping containers of two epochs were undefined
    using is_always_equal = std::false_type;              ///< memory is freed where it was allocated

    /// Allocates from `resource`. Requires: not null; outlives what is allocated.
    inline stl_allocator(epoch_resource* resource) noexcept : from_{resource} {}
    /// Allocates in the epoch `e` of `heap`, which outlives what is allocated. Allocations throw epoch_closed once `e` is CLOSING. If `e`
    /// is a resource's own, what is live when that ends is reported as a leak of it.
    inline stl_allocator(allocator& heap, epoch_id e) noexcept : from_{&heap}, epoch_{packed(e)} {}
    /// Allocates in the epoch that is `heap`'s current one at each allocation, which is never refused because of its epoch.
    inline explicit stl_allocator(allocator& heap) noexcept : from_{&heap}, epoch_{whichever} {}
    /// The same allocator for other elements.
    template <class U>
    inline stl_allocator(stl_allocator<U> const& other) noexcept : from_{other.from_}, epoch_{other.epoch_}
    {
    }

    /// Allocates room for `n` elements. Throws epoch_closed if the epoch is CLOSING, std::bad_array_new_length if `n` is absurd,
    /// std::bad_alloc if memory is out. Constant time.
    [[nodiscard]] inline T* allocate(std::size_t n)
    {
        if (n > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / sizeof(T)) [[unlikely]]
            throw std::bad_array_new_length{};
        if (epoch_ == of_resource) [[likely]]
            return static_cast<T*>(of().allocate(n * sizeof(T), alignof(T)));
        return static_cast<T*>(allocate_in_heap(n * sizeof(T)));
    }
    /// Frees what an equal allocator allocated for `n` elements, on any thread. What is wrong is reported. Constant time.
    inline void deallocate(T* p, std::size_t n) noexcept
    {
        if (epoch_ == of_resource) [[likely]]
            of().deallocate(p, n * sizeof(T), alignof(T));
        else
            static_cast<allocator*>(from_)->free(p);
    }

    /// The resource; null if it allocates from a heap itself.
    [[nodiscard]] inline epoch_resource* resource() const noexcept
    {
        return epoch_ == of_resource ? static_cast<epoch_resource*>(from_) : nullptr;
    }
    /// The heap.
    [[nodiscard]] inline allocator& heap() const noexcept
    {
        return epoch_ == of_resource ? of().heap() : *static_cast<allocator*>(from_);
    }
    /// The epoch of what is allocated next.
    [[nodiscard]] inline epoch_id epoch() const noexcept
    {
        if (epoch_ == of_resource)
            return of().epoch();
        if (epoch_ == whichever)
            return heap().current_epoch();
        return epoch_ == none ? epoch_id{} : epoch_id{static_cast<std::uint32_t>(epoch_ & 0xffff), epoch_ >> 16};
    }

    /// Whether both allocate in the same way: from the same resource, or in the same epoch of the same heap.
    template <class U>
    [[nodiscard]] friend inline bool operator==(stl_allocator const& a, stl_allocator<U> const& b) noexcept
    {
        return a.is_as(b);
    }

private:
    template <class> friend class stl_allocator;

    // In place of an epoch, which is its ring slot in 16 bits with the era above. No epoch has the era 0.
    static constexpr std::uint64_t of_resource = 0;
    static constexpr std::uint64_t whichever = 1;   // is the current one
    static constexpr std::uint64_t none = 2;        // it is no name of an epoch

    [[nodiscard]] static constexpr std::uint64_t packed(epoch_id e) noexcept
    {
        return e.era != 0 && e.era >> 48 == 0 && e.index >> 16 == 0 ? e.era << 16 | e.index : none;
    }
    template <class U> [[nodiscard]] inline bool is_as(stl_allocator<U> const& other) const noexcept
    {
        return from_ == other.from_ && epoch_ == other.epoch_;
    }
    [[nodiscard]] inline epoch_resource& of() const noexcept { return *static_cast<epoch_resource*>(from_); }
    void* allocate_in_heap(std::size_t bytes)
    {
        auto& heap = *static_cast<allocator*>(from_);
        for (;;) {
            epoch_id const e = epoch();
            refusal why = epoch_ == whichever ? refusal::retried : refusal::none;
            void* const p = e.era != 0 ? heap.allocate_bytes(bytes, alignof(T), e, why) : nullptr;
            if (p != nullptr) [[likely]]
                return p;
            if (e.era != 0 && why != refusal::closed)
                throw std::bad_alloc{};
            if (epoch_ != whichever)
                heap.throw_closed(e);
        }   // another thread has advanced: try the new epoch
    }

    void* from_;   // a resource or a heap
    std::uint64_t epoch_ = of_resource;
};

}
