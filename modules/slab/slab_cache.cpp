// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
module tslab.slab;

import tslab.stats;

namespace tslab {

slab_cache::slab_cache(reclaim_policy policy, std::uint32_t capacity, std::size_t reserve_bytes)
    : pages_{reserve_bytes},
      policy_{policy},
      capacity_{policy == reclaim_policy::eager ? 0 : capacity},
      resident_limit_{policy == reclaim_policy::cached ? std::uint64_t{capacity} * class_count : 0}
{
}

slab* slab_cache::take(unsigned bin, class_counters& counts, lock_site const& site) noexcept
{
    class_cache& cache = shelves_[class_of_bin(bin)];
    slab* s = nullptr;
    if (cache.count.load(std::memory_order_relaxed) != 0) {   // a hint: the list decides, under its lock
        lock_guard const guard{cache.lock, site};
        if ((s = cache.slabs.pop()) != nullptr)
            cache.count.store(cache.count.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    }
    bool const cached = s != nullptr;
    counts[cached ? class_event::cache_hit : class_event::cache_miss].add();
    if (!cached && (s = pages_.take(1, page_bytes, site)) == nullptr)
        return nullptr;
    if (bin >= class_count && !pages_.commit_generations(pages_.index_of(*s))) {
        discard(*s, site);
        return nullptr;
    }
    if (!cached)
        counts[class_event::new_slab].add();
    s->local.store(bins[bin].full_mask, std::memory_order_relaxed);
    s->owner.store(&nowhere, std::memory_order_relaxed);
    s->home.store(nullptr, std::memory_order_relaxed);
    s->pages.store(1, std::memory_order_relaxed);
    s->tag.store(static_cast<std::uint8_t>(bin + 1), std::memory_order_relaxed);
    return s;
}

void slab_cache::put(slab& s, class_counters& counts, lock_site const& site) noexcept
{
    class_cache& cache = shelves_[class_of_bin(s.bin())];
    if (cache.count.load(std::memory_order_relaxed) < capacity_) {
        lock_guard const guard{cache.lock, site};
        auto const n = cache.count.load(std::memory_order_relaxed);
        if (n < capacity_) {
            s.where.store(residence::cached, std::memory_order_relaxed);
            cache.slabs.push(s);
            cache.count.store(n + 1, std::memory_order_relaxed);
            counts[class_event::recycled].add();
            return;
        }
    }
    counts[class_event::overflowed].add();
    discard(s, site);
}

void slab_cache::discard(slab& s, lock_site const& site) noexcept
{
    s.tag.store(tag_none, std::memory_order_relaxed);
    s.owner.store(&nowhere, std::memory_order_relaxed);
    s.where.store(residence::unused, std::memory_order_relaxed);
    pages_.give(s, 1, false, site);
}

purge_result slab_cache::settle(bool asked) noexcept
{
    std::uint64_t const resident = pages_.free_resident_pages();
    bool const wanted = policy_ == reclaim_policy::eager || (policy_ == reclaim_policy::cached && asked) ||
                        (policy_ == reclaim_policy::cached && resident > resident_limit_);
    return wanted && resident != 0 ? pages_.purge(asked) : purge_result{};
}

purge_result slab_cache::trim() noexcept
{
    for (class_cache& cache : shelves_) {
        for (;;) {
            slab* s = nullptr;
            {
                lock_guard const guard{cache.lock};
                if ((s = cache.slabs.pop()) == nullptr)
                    break;
                cache.count.store(cache.count.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
            }
            discard(*s, {});
        }
    }
    return pages_.purge(true);
}

}
