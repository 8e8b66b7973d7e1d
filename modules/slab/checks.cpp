// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#if defined(TSLAB_CHECKED) && __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {

bool under_a_memory_tool() noexcept
{
#if defined(RUNNING_ON_VALGRIND)
    return with_address_sanitizer || RUNNING_ON_VALGRIND != 0;
#else
    return with_address_sanitizer;
#endif
}

check_mode mode_by_environment() noexcept
{
    constexpr std::array modes{check_mode::canaries, check_mode::forward, check_mode::off};
    if (auto const said = word_in_environment(variable::checks, {"canaries", "forward", "off"}))
        return modes[*said];
    return under_a_memory_tool() ? check_mode::forward : check_mode::canaries;
}

std::uint32_t sampling_by_environment() noexcept
{
    return static_cast<std::uint32_t>(
        number_in_environment(variable::guard_sampling).value_or(memory_checks::default_guard_sampling));
}

check_mode checked_mode(check_mode asked)
{
    if (!with_checks) {
        if (asked == check_mode::canaries || asked == check_mode::forward)
            throw std::invalid_argument{"tslab: these checks need a build with TSLAB_CHECKED"};
        return check_mode::off;
    }
    return asked == check_mode::automatic ? mode_by_environment() : asked;
}

/// Allocations of the calling thread until its next guarded one, and the state of the generator that draws the number
/// (xorshift, G. Marsaglia).
struct guard_countdown {
    std::uint32_t left = 0;
    std::uint64_t state = 0;
};
#if defined(TSLAB_CHECKED) || __has_feature(address_sanitizer)
constinit thread_local guard_countdown countdown{};
#else
constinit guard_countdown countdown{};   // never used: thread-local storage is scarce in plug-ins
#endif

std::uint64_t next_random(std::uint64_t& state) noexcept
{
    if (state == 0)
        state = random_number() | 1U;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

}

memory_checks::memory_checks(check_mode mode, std::optional<std::uint32_t> guard_sampling)
    : mode_{checked_mode(mode)},
      guard_sampling_{mode_ != check_mode::canaries ? 0
                      : guard_sampling              ? *guard_sampling
                                                    : sampling_by_environment()},
      secret_{mode_ == check_mode::canaries ? random_number() : 0}
{
}

std::uint64_t memory_checks::guard_word(std::byte const* page) const noexcept { return mixed(~secret_of(page)); }

void memory_checks::clear(std::byte* begin, std::size_t slot_bytes, std::uint32_t slots) noexcept
{
    for (std::uint32_t i = 0; i < slots; ++i, begin += slot_bytes)
        word_of({begin, slot_bytes}).store(0, std::memory_order_relaxed);
}

/// Precondition: guard_sampling_ is not 0.
bool memory_checks::is_chosen(request r) noexcept
{
    if (r.bytes > largest_guarded || r.alignment > largest_guarded / 2)
        return false;
    guard_countdown& mine = countdown;
    if (mine.left == 0)
        mine.left = static_cast<std::uint32_t>(1 + next_random(mine.state) % (2 * std::uint64_t{guard_sampling_} - 1));
    if (--mine.left != 0 || (r.bytes + r.alignment - 1) / r.alignment * r.alignment > largest_guarded)
        return false;
    lock_guard const guard{lock_};
    return guarded_ < most_guarded;
}

void* memory_checks::guard(checked_slot s, request r) noexcept
{
    if (!protect_pages(s.begin + page_bytes, s.bytes - page_bytes))
        return nullptr;
    std::size_t const room = (std::max<std::size_t>(r.bytes, 1) + r.alignment - 1) / r.alignment * r.alignment;
    std::byte* const object = s.begin + page_bytes - room;
    std::memset(s.begin, static_cast<int>(slack_pattern), page_bytes);
    guard_header const header{guard_word(s.begin), object, r};
    std::memcpy(s.begin, &header, sizeof(header));
    lock_guard const guard{lock_};
    ++guarded_;
    return object;
}

void* memory_checks::guarded_at(std::byte const* begin) const noexcept
{
    guard_header header{};
    std::memcpy(&header, begin, sizeof(header));
    return header.word == guard_word(begin) ? header.object : nullptr;
}

std::optional<misuse> memory_checks::verify_guarded(std::byte const* begin, request& was) noexcept
{
    guard_header header{};
    std::memcpy(&header, begin, sizeof(header));
    was = header.asked;
    std::byte const* const end = header.object + was.bytes;
    auto const filled_to = [](std::byte const* from, std::byte const* to) {
        return is_filled(from, static_cast<std::size_t>(to - from), slack_pattern);
    };
    return filled_to(begin + sizeof(header), header.object) && filled_to(end, begin + page_bytes)
               ? std::nullopt
               : std::optional{misuse::overflow};
}

slab_meta* memory_checks::take_oldest() noexcept
{
    slab_meta* const first = kept_[oldest_];
    oldest_ = (oldest_ + 1) % quarantine_size;
    --kept_count_;
    --guarded_;
    return os().commit(first->base, guarded_pages * page_bytes) ? first : nullptr;
}

bool memory_checks::quarantine(slab_meta& pages, slab_meta*& out) noexcept
{
    out = nullptr;
    if (guarded_at(pages.base) == nullptr)
        return false;
    // Pages that cannot be protected are at least not reused at once.
    static_cast<void>(protect_pages(pages.base, page_bytes));
    lock_guard const guard{lock_};
    if (kept_count_ == quarantine_size)
        out = take_oldest();
    kept_[(oldest_ + kept_count_++) % quarantine_size] = &pages;
    return true;
}

std::uint32_t memory_checks::quarantined_pages() noexcept
{
    lock_guard const guard{lock_};
    return static_cast<std::uint32_t>(kept_count_) * guarded_pages;
}

slab_meta* memory_checks::quarantined() noexcept
{
    lock_guard const guard{lock_};
    while (kept_count_ != 0)
        if (slab_meta* const first = take_oldest())
            return first;
    return nullptr;
}

namespace {

/// The header of a slot whose object is malloc's. The address is inverted, as in the table.
struct twin_record {
    std::uintptr_t object;
    std::uint64_t asked;   // bytes in the lower 58 bits, the binary logarithm of the alignment above
};
constexpr unsigned asked_bits = 58;
static_assert(sizeof(twin_record) <= 16, "the smallest slot");

/// Objects and their slots. The addresses are stored inverted, so that a leak checker finds no pointer to an object
/// here. Never destroyed: static destructors may free objects until the very end.
struct twin_table {
    mutex lock;   // a fork reserves it, see fork_gate
    std::unordered_map<std::uintptr_t, std::uintptr_t> slots;
};

twin_table& twins() noexcept
{
    alignas(twin_table) static std::array<std::byte, sizeof(twin_table)> memory;
    static twin_table& table = *::new (memory.data()) twin_table;
    return table;
}

std::uintptr_t inverted(void const* p) noexcept { return ~reinterpret_cast<std::uintptr_t>(p); }

}

void* make_twin(checked_slot s, request r) noexcept
{
    void* object = nullptr;
    if (::posix_memalign(&object, std::max(r.alignment, sizeof(void*)), std::max<std::size_t>(r.bytes, 1)) != 0)
        return nullptr;
    try {
        lock_guard const guard{twins().lock};
        twins().slots[inverted(object)] = inverted(s.begin);
    } catch (std::exception const&) {
        std::free(object);
        return nullptr;
    }
    twin_record const record{inverted(object), r.bytes | static_cast<std::uint64_t>(std::countr_zero(r.alignment))
                                                             << asked_bits};
    std::memcpy(s.begin, &record, sizeof(record));
    return object;
}

void* slot_of_twin(void const* object) noexcept
{
    lock_guard const guard{twins().lock};
    auto const found = twins().slots.find(inverted(object));
    return found != twins().slots.end() ? reinterpret_cast<void*>(~found->second) : nullptr;
}

request asked_of_twin(void const* slot) noexcept
{
    twin_record record{};
    std::memcpy(&record, slot, sizeof(record));
    return {static_cast<std::size_t>(record.asked & ((std::uint64_t{1} << asked_bits) - 1)),
            std::size_t{1} << (record.asked >> asked_bits)};
}

bool free_twin(void* slot) noexcept
{
    twin_record record{};
    std::memcpy(&record, slot, sizeof(record));
    {
        lock_guard const guard{twins().lock};
        auto const found = twins().slots.find(record.object);
        if (found == twins().slots.end() || found->second != inverted(slot))
            return false;
        twins().slots.erase(found);
    }
    std::free(reinterpret_cast<void*>(~record.object));
    return true;
}

mutex& lock_of_twins() noexcept { return twins().lock; }

}
