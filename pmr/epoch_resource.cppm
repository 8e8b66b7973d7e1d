// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// epoch_resource: a std::pmr::memory_resource whose memory belongs to one epoch. Construction enters its domain,
// destruction leaves it. Any thread may allocate and free through it; the thread that made it does so without atomic
// read-modify-writes and without announcing itself, since its lane's key admits nobody else.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <source_location>
#include <string_view>
export module tslab.pmr:epoch_resource;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import tslab.epoch;

export namespace tslab {

/// What `deallocate` does.
enum class deallocate_policy : std::uint8_t {
    carry_out,   ///< frees, with every check
    count_only   ///< counts; for phases that end in `release` or with the resource, which then gives everything back
};

struct resource_options {
    std::string_view label{};   ///< of the epoch, up to 31 bytes
    bool share_epoch = false;   ///< live in the current epoch instead of one of its own
    deallocate_policy deallocate = deallocate_policy::carry_out;
    bool auto_close = true;   ///< the end of the resource closes an epoch of its own
};

class epoch_resource final : public std::pmr::memory_resource {
public:
    using options = resource_options;

    /// Opens an epoch and enters it. When no ring slot is free it shares the current epoch (counted as ring_exhausted).
    /// Throws nothing; where memory for the thread's own record is out, allocation says so.
    explicit epoch_resource(allocator& heap, options const& o = {},
                            std::source_location at = std::source_location::current());
    /// Leaves the domain, on whichever thread. Objects still live are counted and reported as a leak (in strict mode the
    /// program aborts); their memory stays valid until it is freed by `heap.free` or the heap ends.
    /// Precondition: no other thread is using the resource.
    ~epoch_resource() override;
    epoch_resource(epoch_resource const&) = delete;
    epoch_resource& operator=(epoch_resource const&) = delete;

    /// As std::pmr::memory_resource::allocate, inlined: at least `bytes` (0 counts as 1) at `alignment`, a power of two.
    /// Throws epoch_closed when the epoch is CLOSING, std::bad_alloc when memory is out or the request is absurd.
    [[nodiscard, gnu::always_inline]] inline void* allocate(std::size_t bytes,
                                                            std::size_t alignment = alignof(std::max_align_t))
    {
        if constexpr (with_checks)
            if (heap().core().checks().on())
                return allocate_checked(bytes, alignment);
        return allocate_plain(bytes, alignment);
    }

    /// As std::pmr::memory_resource::deallocate. Anything but a live allocation of this resource, of this size class, is
    /// reported and not touched.
    [[gnu::always_inline]] inline void deallocate(void* p, std::size_t bytes,
                                                  std::size_t alignment = alignof(std::max_align_t))
    {
        if constexpr (with_checks)
            if (heap().core().checks().on())
                return deallocate_checked(p, bytes, alignment);
        deallocate_plain(p, bytes, alignment);
    }

    /// Gives back everything the resource handed out, live or not, and stays usable, as monotonic_buffer_resource does.
    /// A resource that shares its epoch gives back what its own thread took. Returns how many objects were live.
    /// Precondition: nothing else is using the resource or freeing its memory meanwhile.
    std::uint64_t release() noexcept;

    [[nodiscard]] inline allocator& heap() const noexcept { return domain_.heap(); }
    [[nodiscard]] inline epoch_id epoch() const noexcept { return domain_.epoch(); }
    [[nodiscard]] inline epoch_domain& domain() noexcept { return domain_; }

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override;
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override;

    [[nodiscard, gnu::always_inline]] inline void* allocate_plain(std::size_t bytes, std::size_t alignment)
    {
        lane& l = *lane_.load(std::memory_order_relaxed);
        std::size_t const code = code_of(bytes);
        if (code != no_code && alignment <= common_alignment && l.key() == this_thread.key) [[likely]] {
            if (void* const p = l.allocate_at(code)) [[likely]]
                return p;
            return refill(l, code);
        }
        return allocate_slow(bytes, alignment);
    }
    [[gnu::always_inline]] inline void deallocate_plain(void* p, std::size_t bytes, std::size_t alignment)
    {
        if (alignment > common_alignment) [[unlikely]]
            return deallocate_slow(p, bytes, alignment);
        lane& l = *lane_.load(std::memory_order_relaxed);
        std::size_t const code = code_of(bytes);
        if (code == no_code || l.key() != this_thread.key || !l.deallocate_at(code, *map_, p)) [[unlikely]]
            deallocate_slow(p, bytes, common_alignment);   // below that, the alignment makes no difference
    }
    // In a heap that checks: see memory_checks.
    [[nodiscard]] void* allocate_checked(std::size_t bytes, std::size_t alignment);
    void deallocate_checked(void* p, std::size_t bytes, std::size_t alignment);
    class common_way;
    [[nodiscard]] bool is_interrupted() const noexcept;

    [[nodiscard]] static void* refill(lane& l, std::size_t code);
    void* allocate_slow(std::size_t bytes, std::size_t alignment);
    void deallocate_slow(void* p, std::size_t bytes, std::size_t alignment);
    [[nodiscard]] void* allocate_elsewhere(std::size_t code) noexcept;
    [[nodiscard]] bool deallocate_elsewhere(std::size_t code, void* p) noexcept;
    [[nodiscard]] void* allocate_class(unsigned c, refusal& why) noexcept;
    [[nodiscard]] lane* usable_lane(thread_record& me) noexcept;

    atomic<lane*> lane_{&no_lane};
    address_map const* map_;   // of a count-only resource: the empty one, so that no free goes the common way
    epoch_domain domain_;
    bool on_common_way_ =
        false;   // in a heap that checks: its thread is, and a signal handler must not follow it there
    std::source_location made_at_;
};

}
