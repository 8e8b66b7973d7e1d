// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A resource on a thread that did not make it, after the thread's first use: the thread remembers the cache of its own in
// the resource's epoch. The protocol is that of the shared path, in one function: announce, look at the key, leave.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
module tslab.pmr;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import tslab.epoch;

namespace tslab {

namespace {

constinit atomic<std::uint64_t> visit_numbers{0};

}

/// Notes `l`, the calling thread's own cache in the epoch, as that of the resource the thread used last. The caller is
/// between enter and leave of its record, and did not make the resource; the cache is open.
[[gnu::noinline]] void epoch_resource::note_visit(thread_cache& l) noexcept
{
    if (!light_barrier_is_free())
        return;
    std::uint64_t number = visit_number_.load(std::memory_order_relaxed);
    if (number == 0) {
        std::uint64_t const made = visit_numbers.fetch_add(1, std::memory_order_relaxed) + 1;
        if (visit_number_.compare_exchange_strong(number, made, std::memory_order_relaxed, std::memory_order_relaxed))
            number = made;
    }
    // In between a signal handler finds no visit.
    this_thread.end_visit();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    this_thread.visiting = &l;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    this_thread.visited = number;
}

/// An operation of a visitor on its own cache in the epoch.
struct epoch_resource::visit {
    thread_cache* cache;
    thread_record* me;   // the cache's: null if there is no operation
};

/// Begins an operation on the calling thread's own cache in the epoch, if this is the resource that the thread used last.
/// Begins none if it is not, or a signal handler has interrupted an operation. The cache may be revoked.
// The number is the resource's alone. While the resource lives its heap does, and the cache belongs to this thread's
// record; what that is attached to, and whether it is open, is read after the announcement.
// Modelled: tests/models/claims.pml, step cache_for
[[gnu::always_inline]] inline epoch_resource::visit epoch_resource::enter_visited() const noexcept
{
    if (this_thread.visited != visit_number_.load(std::memory_order_relaxed)) [[unlikely]]
        return {nullptr, nullptr};
    thread_cache* const l = this_thread.visiting;
    thread_record& me = l->home();
    return {l, me.enter_by_kernel() ? &me : nullptr};
}

namespace {

/// Returns `p`. The compiler must not know that: else it would keep `p` itself, on the stack, and not call this last.
[[gnu::noinline]] void* flushed(thread_record& me, void* p) noexcept
{
    me.flush_requested_caches();
    asm("" : "+r"(p));
    return p;
}

}

// What is rare is called last, by functions that end the operation: so the way that is taken needs no stack.
[[gnu::noinline]] void* epoch_resource::allocate_visiting(std::size_t bytes, std::size_t alignment)
{
    std::size_t const code = code_of(bytes);
    if (code == no_code || alignment > fast_alignment) [[unlikely]]
        return allocate_slow(bytes, alignment);
    auto const [l, me] = enter_visited();
    if (me == nullptr) [[unlikely]]
        return allocate_slow(bytes, alignment);
    if (l->has_key(epoch().era)) [[likely]] {
        bool chosen = false;
        if (void* const p = l->allocate_visiting(code, chosen)) [[likely]] {
            if (chosen) [[unlikely]]
                return l->choose_and_leave(code, p);
            if (me->left_by_kernel()) [[likely]]
                return p;
            return flushed(*me, p);
        }
    }
    return end_visit(bytes, alignment);
}

[[gnu::noinline]] void epoch_resource::deallocate_visiting(void* p, std::size_t bytes, std::size_t code)
{
    auto const [l, me] = enter_visited();
    if (me == nullptr) [[unlikely]]
        return deallocate_unvisited(p, bytes, code);
    if (l->has_key(epoch().era)) [[likely]]
        switch (l->deallocate_visiting(code, *map_, p)) {
        case cache_free::done: me->leave_by_kernel(); return;
        case cache_free::left: return;
        case cache_free::not_mine:
        case cache_free::already_free: break;
        }
    end_visit(p, bytes);
}

/// The rest of an allocation that the visitor's cache did not serve: it is revoked, or has no free slot at hand.
[[gnu::noinline]] void* epoch_resource::end_visit(std::size_t bytes, std::size_t alignment)
{
    thread_record& me =
        *heap().state().record();   // not null; a signal handler may have visited another heap meanwhile
    thread_cache* const l = me.caches[epoch().index].load(std::memory_order_relaxed);
    if (l == nullptr || !l->has_key(epoch().era)) [[unlikely]] {
        me.leave_by_kernel();
        return allocate_slow(bytes, alignment);
    }
    void* const p = l->refill(static_cast<unsigned>(code_of(bytes) / bin_code_step), me);
    me.leave_by_kernel();
    if (p == nullptr) [[unlikely]]
        throw_refused();
    return p;
}

/// The rest of a free that the visitor's cache did not take: a free into another thread's slab, or of something else.
[[gnu::noinline]] void epoch_resource::end_visit(void* p, std::size_t bytes)
{
    thread_record& me = *heap().state().record();   // as above
    bool const done =
        map_->covers(p) && deallocate_remote(me, static_cast<unsigned>(code_of(bytes) / bin_code_step), p);
    me.leave_by_kernel();
    if (!done) [[unlikely]]
        deallocate_slow(p, bytes, fast_alignment);
}

void* epoch_resource::do_allocate(std::size_t bytes, std::size_t alignment) { return allocate(bytes, alignment); }

void epoch_resource::do_deallocate(void* p, std::size_t bytes, std::size_t alignment)
{
    deallocate(p, bytes, alignment);
}

}
