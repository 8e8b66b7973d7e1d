// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Handles: 64 bits that name a slot and one use of it. Each slot that is handed out by handle has a generation that
// goes up at every allocation and every free, so a handle that is freed twice, late or in another heap is detected and
// has no effect.
// A generation never wraps and never restarts: not when the page is cut for another bin, nor when another heap takes it.
// After its last one the slot is used up: it is handed out by handle no more. A page half of whose slots are used up
// serves no handles any more, only pointers (page_heap::serves_handles).
#pragma once

export namespace tslab {

/// Names one allocation. Copyable; a default one names nothing.
class handle {
public:
    constexpr handle() noexcept = default;
    /// The handle that these bits are, as `bits` returned them; 0 names nothing. Bits that were never a handle are refused when freed.
    constexpr explicit handle(std::uint64_t bits) noexcept : bits_{bits} {}

    /// The handle as a number, and whether it names anything: a default handle does not.
    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return bits_ != 0; }
    friend constexpr bool operator==(handle, handle) noexcept = default;

private:
    std::uint64_t bits_ = 0;
};

/// Result of a free by handle.
enum class free_result : std::uint8_t {
    ok,             ///< it was live and is free now
    stale,          ///< the slot has been allocated again since, once or more
    already_free,   ///< freed before, and not allocated by handle since
    foreign,        ///< another heap's handle, or a default one
    corrupt         ///< no heap ever issued it
};

/// The fields of a handle, low bits first: use 25, slot 6, page 26, heap 7. The use is the generation without its lowest
/// bit: the generation of an allocation is odd.
struct handle_fields {
    std::uint32_t generation = 0;   ///< odd while the slot is allocated; always odd in a handle
    std::uint32_t slot = 0;
    std::uint32_t page = 0;
    std::uint32_t heap = 0;   ///< low bits of the heap's number, never 0

    static constexpr unsigned generation_bits = 26;
    static constexpr unsigned use_bits = generation_bits - 1;
    static constexpr unsigned slot_bits = 6;
    static constexpr unsigned page_bits = 26;
    static constexpr unsigned heap_bits = 7;
    static_assert(use_bits + slot_bits + page_bits + heap_bits == 64);
    static constexpr std::uint32_t generation_mask = (1U << generation_bits) - 1;
    static constexpr std::uint32_t last_generation = generation_mask;   ///< of an allocation: it is odd
    static_assert((last_generation & 1U) == 1);

    [[nodiscard]] constexpr handle pack() const noexcept
    {
        return handle{std::uint64_t{(generation & generation_mask) >> 1U} | std::uint64_t{slot} << use_bits |
                      std::uint64_t{page} << (use_bits + slot_bits) |
                      std::uint64_t{heap} << (use_bits + slot_bits + page_bits)};
    }
    [[nodiscard]] static constexpr handle_fields unpack(handle h) noexcept
    {
        std::uint64_t const b = h.bits();
        return {(static_cast<std::uint32_t>(b) << 1U | 1U) & generation_mask,
                static_cast<std::uint32_t>(b >> use_bits) & ((1U << slot_bits) - 1),
                static_cast<std::uint32_t>(b >> (use_bits + slot_bits)) & ((1U << page_bits) - 1),
                static_cast<std::uint32_t>(b >> (use_bits + slot_bits + page_bits))};
    }
};

/// The 7 bits a heap's number leaves in its handles: 1 to 127, so that no valid handle is 0. Two heaps may have the same;
/// their handles differ all the same, since a slot's generations go on from heap to heap.
[[nodiscard]] constexpr std::uint32_t heap_tag(std::uint64_t heap_number) noexcept
{
    return static_cast<std::uint32_t>(heap_number % 127) + 1;
}

static_assert(sizeof(handle) == 8);
static_assert(handle_fields::unpack(handle_fields{0xabcdef, 63, 0x3ffffff, 127}.pack()).page == 0x3ffffff);

}
