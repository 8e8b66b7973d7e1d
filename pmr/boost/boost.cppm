// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.boost: an adapter with which Boost containers and Boost.JSON use any std::pmr resource. Boost 1.81's
// pmr::memory_resource is a class of its own, so a std::pmr::memory_resource cannot be passed where it is expected.
module;
#include <boost/container/pmr/memory_resource.hpp>
#include <cstddef>
#include <memory_resource>
export module tslab.boost;

export namespace tslab {

/// A boost::container::pmr::memory_resource over a std::pmr one, which must outlive it. Thread safe if that one is. Two
/// adapters are equal if their resources are. Throws what that one throws. Alignments below that of std::max_align_t
/// are raised to it, in both directions: Boost.JSON (1.81, detail/string_impl.hpp) allocates a key at alignment 1 and
/// frees it at the default, which corrupts the standard library's pools and mallocs that rely on the alignment.
class boost_resource final : public boost::container::pmr::memory_resource {
public:
    explicit boost_resource(std::pmr::memory_resource* upstream) noexcept : upstream_{upstream} {}
    [[nodiscard]] std::pmr::memory_resource* upstream() const noexcept { return upstream_; }

private:
    static constexpr std::size_t raised(std::size_t alignment) noexcept
    {
        return alignment < alignof(std::max_align_t) ? alignof(std::max_align_t) : alignment;
    }
    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return upstream_->allocate(bytes, raised(alignment));
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        upstream_->deallocate(p, bytes, raised(alignment));
    }
    [[nodiscard]] bool do_is_equal(boost::container::pmr::memory_resource const& other) const noexcept override
    {
        auto const* const adapter = dynamic_cast<boost_resource const*>(&other);
        return adapter != nullptr && upstream_->is_equal(*adapter->upstream_);
    }

    std::pmr::memory_resource* upstream_;
};

}
