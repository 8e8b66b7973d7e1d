// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread's table of records, and the robust mutex that shows the thread's end.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

void record_table::put(std::uint64_t number, thread_record& r) noexcept
{
    std::size_t const last = (std::size_t{1} << bits()) - 1;
    place* const all = places();
    std::size_t i = first_place(number, bits());
    while (all[i].number.load(std::memory_order_relaxed) != 0)
        i = (i + 1) & last;
    all[i].record.store(&r, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);   // a signal handler that sees the number sees the record
    all[i].number.store(number, std::memory_order_relaxed);
    ++used_;
}

bool record_table::grow(unsigned bits) noexcept
{
    bits = std::max(bits, mapped_bits);
    std::size_t const bytes = sizeof(place) << bits;
    if (bits - mapped_bits >= mapped_.size())
        return false;
    void* const memory = os().reserve(bytes);
    if (memory == nullptr)
        return false;
    if (!os().commit(memory, bytes)) {
        release_for_good(memory, bytes);
        return false;
    }
    auto* const fresh = static_cast<place*>(memory);   // zeroed memory: no entries
    std::uninitialized_default_construct_n(fresh, std::size_t{1} << bits);
    mapped_[bits - mapped_bits] = fresh;
    now_.store(reinterpret_cast<std::uintptr_t>(fresh) | bits, std::memory_order_relaxed);
    return true;
}

void record_table::add_first(thread_record& first) noexcept
{
    std::size_t const room = std::size_t{1} << bits();
    if (complete_ && 2 * (used_ + 1) <= room)
        return put(first.heap.number(), first);
    std::size_t living = 0;
    for (thread_record const* r = &first; r != nullptr; r = r->next_of_thread)
        ++living;
    // At most a quarter full after this: as many records can be added before the next rebuild.
    bool const larger = 4 * living > room && grow(static_cast<unsigned>(std::bit_width(4 * living - 1)));
    if (!larger && 2 * living > room) {
        complete_ = false;   // no memory: missing records are found in the list
        return;
    }
    if (!larger)
        for (std::size_t i = 0; i < room; ++i)
            places()[i].number.store(0, std::memory_order_relaxed);
    used_ = 0;
    complete_ = true;
    for (thread_record* r = &first; r != nullptr; r = r->next_of_thread)
        put(r->heap.number(), *r);
}

void record_table::clear() noexcept
{
    now_.store(reinterpret_cast<std::uintptr_t>(few_.data()) | first_bits, std::memory_order_relaxed);
    for (place& p : few_)
        p.number.store(0, std::memory_order_relaxed);
    used_ = 0;
    complete_ = true;
    for (std::size_t i = 0; i < mapped_.size(); ++i)
        if (place* const memory = std::exchange(mapped_[i], nullptr))
            release_for_good(memory, sizeof(place) << (i + mapped_bits));
}

void lifeline::reset() noexcept
{
    pthread_mutexattr_t robust;
    ::pthread_mutexattr_init(&robust);   // none of these fails in glibc
    ::pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&held_, &robust);
    ::pthread_mutexattr_destroy(&robust);
}

bool lifeline::was_left() noexcept
{
    int const got = ::pthread_mutex_trylock(&held_);
    if (got == EOWNERDEAD)
        return ::pthread_mutex_consistent(&held_) == 0;
    if (got == 0)
        release();
    return false;
}

}
