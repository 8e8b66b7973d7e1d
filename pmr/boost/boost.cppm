// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.boost: an adapter with which Boost containers and Boost.JSON use any std::pmr resource. Boost 1.81's
// pmr::memory_resource is a class of its own, so a std::pmr::memory_resource cannot be passed where it is expected.
module;
#include <boost/container/pmr/memory_resource.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory_resource>
#include <new>
export module tslab.boost;

export namespace tslab {

/// The sizes at which an adapter's user frees.
enum class freed_sizes : std::uint8_t {
    exact,   ///< the size that was allocated, as the contract of a memory resource demands
    any   ///< any: the adapter stores size and alignment before each block, in 16 bytes, or in its alignment if that is
          ///< more. For Boost.JSON's monotonic_resource, which (1.81) frees its blocks at a smaller
          ///< size than it allocated (impl/monotonic_resource.ipp, release)
};

/// A boost::container::pmr::memory_resource over a std::pmr one, which must outlive it. Thread safe if that one is. Two
/// adapters are equal if their resources are, and their sizes. Throws what that one throws. Alignments below that of
/// std::max_align_t are raised to it, in both directions: Boost.JSON (1.81, detail/string_impl.hpp) allocates a key at
/// alignment 1 and frees it at the default, which corrupts the standard library's pools and mallocs that rely on the
/// alignment.
class boost_resource final : public boost::container::pmr::memory_resource {
public:
    explicit boost_resource(std::pmr::memory_resource* upstream, freed_sizes sizes = freed_sizes::exact) noexcept
        : upstream_{upstream}, sizes_{sizes}
    {
    }
    [[nodiscard]] std::pmr::memory_resource* upstream() const noexcept { return upstream_; }
    [[nodiscard]] freed_sizes sizes() const noexcept { return sizes_; }

private:
    /// Before a block of an adapter for any sizes: what was requested of the upstream resource.
    struct request {
        std::size_t bytes;
        std::size_t alignment;
    };
    static_assert(sizeof(request) <= alignof(std::max_align_t));

    static constexpr std::size_t raised(std::size_t alignment) noexcept
    {
        return alignment < alignof(std::max_align_t) ? alignof(std::max_align_t) : alignment;
    }
    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        request r{bytes, raised(alignment)};
        if (sizes_ == freed_sizes::exact)
            return upstream_->allocate(r.bytes, r.alignment);
        if (bytes > std::numeric_limits<std::size_t>::max() - r.alignment)
            throw std::bad_alloc{};
        r.bytes += r.alignment;
        std::byte* const block = static_cast<std::byte*>(upstream_->allocate(r.bytes, r.alignment)) + r.alignment;
        std::memcpy(block - sizeof(request), &r, sizeof(request));
        return block;
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        request r{bytes, raised(alignment)};
        if (sizes_ == freed_sizes::exact)
            return upstream_->deallocate(p, r.bytes, r.alignment);
        auto* const block = static_cast<std::byte*>(p);
        std::memcpy(&r, block - sizeof(request), sizeof(request));
        upstream_->deallocate(block - r.alignment, r.bytes, r.alignment);
    }
    [[nodiscard]] bool do_is_equal(boost::container::pmr::memory_resource const& other) const noexcept override
    {
        auto const* const adapter = dynamic_cast<boost_resource const*>(&other);
        return adapter != nullptr && sizes_ == adapter->sizes_ && upstream_->is_equal(*adapter->upstream_);
    }

    std::pmr::memory_resource* upstream_;
    freed_sizes sizes_;
};

}
