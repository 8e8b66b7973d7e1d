// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap's part of the segment: chunks of its own, in the published segment or in the private one.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <optional>
module tslab.slab;

import tslab.stats;

namespace tslab {

segment_part::segment_part(bool publish, std::uint64_t layout)
{
    if (!open(publish, layout))
        throw std::bad_alloc{};
}

bool segment_part::open(bool publish, std::uint64_t layout) noexcept
{
    lock_guard const guard{lock_};
    layout_ = layout;
    if (publish && published_segment().enter(layout)) {
        published_.in = true;
        if (take_chunk(published_, published_segment()).value_or(false)) {
            first_published_ = reinterpret_cast<segment_chunk*>(published_.next - sizeof(segment_chunk));
            return true;
        }
        published_segment().note_missing();
        leave(published_, published_segment());
    }
    private_.in = private_segment().enter(layout);
    if (private_.in && take_chunk(private_, private_segment()).value_or(false))
        return true;
    leave(private_, private_segment());
    return false;
}

void segment_part::leave(share& of, segment& from) noexcept
{
    if (!of.in)
        return;
    from.put_chunks(of.chunks);
    from.leave();
    of = {};
}

void segment_part::close() noexcept
{
    lock_guard const guard{lock_};
    leave(published_, published_segment());
    leave(private_, private_segment());
    first_published_ = nullptr;
    committed_.store(0, std::memory_order_relaxed);
}

std::optional<bool> segment_part::take_chunk(share& of, segment& from, patience how_long) noexcept
{
    std::uint32_t chunks = of.chunks;
    std::optional<std::byte*> const taken = from.take_chunk(chunks, how_long);
    if (!taken)
        return std::nullopt;
    std::byte* const memory = *taken;
    if (memory == nullptr)
        return false;
    std::atomic_ref{of.chunks}.store(chunks, std::memory_order_release);   // see resident_bytes_now
    auto* const chunk = ::new (memory) segment_chunk;
    of.next = memory + sizeof(segment_chunk);
    of.end = memory + segment_chunk::bytes;
    committed_.store(committed_.load(std::memory_order_relaxed) + segment_chunk::bytes, std::memory_order_relaxed);
    if (&of == &published_ && first_published_ != nullptr) {
        chunk->next.store(first_published_->next.load(std::memory_order_relaxed), std::memory_order_relaxed);
        first_published_->next.store(chunk, std::memory_order_release);   // a reader of it sees the one behind it
    }
    return true;
}

std::optional<void*> segment_part::allocate_in(share& of, segment& from, std::size_t bytes, std::size_t alignment,
                                               patience how_long) noexcept
{
    for (bool const again : {false, true}) {
        auto const next = (reinterpret_cast<std::uintptr_t>(of.next) + alignment - 1) & ~(alignment - 1);
        if (of.next != nullptr && next + bytes <= reinterpret_cast<std::uintptr_t>(of.end)) {
            of.next = reinterpret_cast<std::byte*>(next + bytes);
            return reinterpret_cast<void*>(next);
        }
        std::optional<bool> const more = again ? false : take_chunk(of, from, how_long);
        if (!more)
            return std::nullopt;
        if (!*more)
            break;
    }
    return nullptr;
}

void* segment_part::allocate(std::size_t bytes, std::size_t alignment, patience how_long) noexcept
{
    if (!lock_.lock_within(how_long))
        return nullptr;
    lock_guard const guard{lock_, already_locked{}};
    if (published_.in) {
        std::optional<void*> const p = allocate_in(published_, published_segment(), bytes, alignment, how_long);
        if (!p || *p != nullptr)
            return p.value_or(nullptr);
        published_segment().note_missing();
    }
    if (!private_.in)
        private_.in = private_segment().enter(layout_);
    if (!private_.in)
        return nullptr;
    return allocate_in(private_, private_segment(), bytes, alignment, how_long).value_or(nullptr);
}

std::uint64_t segment_part::resident_bytes_now() const noexcept
{
    // No lock: a snapshot takes none that it would count. acquire: a reader that sees a chunk sees those before it.
    auto const chunks_of = [](share const& of) noexcept {
        return std::atomic_ref{const_cast<std::uint32_t&>(of.chunks)}.load(std::memory_order_acquire);
    };
    return published_segment().resident_bytes_of(chunks_of(published_)) +
           private_segment().resident_bytes_of(chunks_of(private_));
}

}
