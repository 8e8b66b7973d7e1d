// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread's list of the domains it has entered. Only the thread changes the list; another thread that destroys one of
// these domains, which is misuse, clears the entry that names it. The registry's lock keeps entries in their places for that
// thread; pushing and popping at the list's end move none, and take no lock.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "thread_registry.hpp"

namespace tslab {

bool thread_registry::grow_scopes(thread_details& mine) noexcept
{
    constexpr std::uint32_t least = 64;
    {
        lock_guard const guard{lock_};
        std::uint32_t kept = 0;
        for (std::uint32_t i = 0; i != mine.scope_count; ++i)
            if (mine.scopes[i].domain.load(std::memory_order_relaxed) != nullptr)
                mine.scopes[kept++].set(mine.scopes[i]);
        mine.scope_count = kept;
    }
    if (mine.scope_count != mine.scope_capacity)
        return true;
    // Without the lock, which other threads wait for.
    std::uint32_t const capacity = std::max(least, mine.scope_capacity * 2);
    auto* const grown = static_cast<entered_scope*>(std::malloc(capacity * sizeof(entered_scope)));
    if (grown == nullptr)
        return false;
    std::uninitialized_default_construct_n(grown, capacity);
    entered_scope* before = grown;
    {
        lock_guard const guard{lock_};
        for (std::uint32_t i = 0; i != mine.scope_count; ++i)
            grown[i].set(mine.scopes[i]);
        before = std::exchange(mine.scopes, grown);
        mine.scope_capacity = capacity;
    }
    std::free(before);
    return true;
}

void thread_registry::remove_scope(thread_details& mine, std::uint32_t i) noexcept
{
    lock_guard const guard{lock_};
    for (--mine.scope_count; i != mine.scope_count; ++i)
        mine.scopes[i].set(mine.scopes[i + 1]);
}

void thread_registry::forget_domain(void* domain) noexcept
{
    lock_guard const guard{lock_};
    for (record_list* l = all_lists_; l != nullptr; l = l->next_of_all)
        for (std::uint32_t i = 0; i != l->details.scope_capacity; ++i) {
            void* expected = domain;   // the thread may be using the entry for another domain
            l->details.scopes[i].domain.compare_exchange_strong(expected, nullptr, std::memory_order_relaxed,
                                                                std::memory_order_relaxed);
        }
}

bool grow_scopes(thread_details& mine) noexcept { return registry().grow_scopes(mine); }

void remove_scope(thread_details& mine, std::uint32_t i) noexcept { registry().remove_scope(mine, i); }

void forget_domain(void* domain) noexcept { registry().forget_domain(domain); }

}
