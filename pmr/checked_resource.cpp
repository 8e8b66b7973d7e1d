// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A resource of a checked heap: its allocations and frees, around those of any other resource.
module;
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
module tslab.pmr;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import tslab.epoch;

namespace tslab {

/// While it lives, the resource's own thread is on the fast path, which announces no operation. A checked build can
/// afford this mark: it detects a call from a signal handler there too.
class epoch_resource::fast_path {
public:
    [[gnu::always_inline]] inline explicit fast_path(epoch_resource& r) noexcept
        : r_{r.domain_.on_known_own_thread() ? &r : nullptr}
    {
        if (r_ != nullptr)
            r_->on_fast_path_ = true;
        std::atomic_signal_fence(std::memory_order_seq_cst);   // the mark precedes the fast path
    }
    [[gnu::always_inline]] inline ~fast_path()
    {
        std::atomic_signal_fence(std::memory_order_seq_cst);   // and outlasts it
        if (r_ != nullptr)
            r_->on_fast_path_ = false;
    }
    fast_path(fast_path const&) = delete;
    fast_path& operator=(fast_path const&) = delete;

private:
    epoch_resource* r_;
};

/// Whether a signal handler interrupted the calling thread on the fast path of this resource; reports it.
inline bool epoch_resource::is_interrupted() const noexcept
{
    if (!domain_.on_known_own_thread() || !on_fast_path_)
        return false;
    heap().state().misused({.kind = misuse::reentry});
    return true;
}

void* epoch_resource::allocate_checked(std::size_t bytes, std::size_t alignment)
{
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) || !std::has_single_bit(alignment))
        throw std::bad_alloc{};
    if (is_interrupted()) [[unlikely]]
        throw std::bad_alloc{};
    if (void* const p = heap().allocate_guarded({bytes, alignment}, epoch(), domain_.shares_epoch() ? this : nullptr))
        return p;
    std::size_t const room = heap().state().checks().padded(bytes);
    void* const slot = [&] {
        fast_path const here{*this};
        return allocate_plain(room, alignment);
    }();
    if (void* const p = heap().arm(slot, {bytes, alignment}))
        return p;
    deallocate_plain(slot, room, alignment);
    throw std::bad_alloc{};
}

void epoch_resource::deallocate_checked(void* p, std::size_t bytes, std::size_t alignment)
{
    if (is_interrupted()) [[unlikely]]
        return;
    bool const keep = map_ == &empty_map;
    request const given{bytes, alignment};
    epoch_id const by = epoch();
    allocator::disarmed const d = heap().disarm(p, &given, &by, keep);
    if (d.pages != nullptr && !keep)
        heap().free_rare(d.pages);
    else if (d.plain != nullptr || d.pages != nullptr || p == nullptr) {
        fast_path const here{*this};
        deallocate_plain(d.plain, d.given.bytes, d.given.alignment);
    }
}

}
