// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Taking a snapshot in the process itself: resident pages are asked of the kernel, everything else is in reach.
module;
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import :assembly;

namespace tslab {

namespace {

/// The larger of `now` and all that was ever told. What is allocated while pages are looked at makes frees come out too few.
std::uint64_t largest_told(atomic<std::uint64_t>& told, std::uint64_t now) noexcept
{
    std::uint64_t before = told.load(std::memory_order_relaxed);
    while (before < now && !told.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
    }
    return std::max(before, now);
}

/// A heap of this process, as assemble asks of it.
class own_heap {
public:
    own_heap(heap_core const& core, std::initializer_list<mutex const*> further_locks,
             atomic<std::uint64_t>& frees_told)
        : core_{core}, pins_{core}, further_locks_{further_locks}, frees_told_{frees_told}
    {
        core.pages().for_each_run([this](unit_run r) { order_.add(r); });
    }

    [[nodiscard]] heap_face const& face() const noexcept { return core_.face(); }
    [[nodiscard]] std::string const& name() const noexcept { return core_.name(); }
    [[nodiscard]] std::int64_t pid() const noexcept { return ::getpid(); }
    [[nodiscard]] bool live_known() const noexcept { return true; }

    template <class F> void for_each_thread(F visit) const
    {
        for (thread_record const* r = core_.first_record(); r != nullptr; r = r->next_of_heap)
            visit(
                r->face, [r](unsigned c) { return r->classes.row(c); },
                [r](unsigned c, std::uint32_t group) { return r->classes.labels(c, group); },
                r->times.load(std::memory_order_acquire),
                [&] {
                    lane_sums sums;
                    core_.for_each_lane(*r, [&](lane const& l) {
                        sums.add([&l](unsigned bin) { return l.allocations(bin).value(); }, l.counted_frees.value());
                    });
                    return sums;
                });
    }
    template <class F> void for_each_lane_at_work(F visit) const
    {
        for (thread_record const* r = core_.first_record(); r != nullptr; r = r->next_of_heap)
            core_.for_each_lane(*r, [&](lane const& l) {
                std::uint64_t const era = l.era();
                visit(l.slot(), era, [&l, era] {
                    std::uint64_t const n = l.allocations_of_era();
                    return std::pair{n, l.era() == era};
                });
            });
    }

    [[nodiscard]] std::uint32_t prepared_epochs() const noexcept { return core_.prepared_slots(); }
    [[nodiscard]] epoch_face const* epoch(std::uint32_t i) const noexcept { return &core_.shelf_at(i).face; }
    [[nodiscard]] epoch_record::oldest oldest_entry(std::uint32_t i, epoch_face const&) const
    {
        return static_cast<epoch_record const&>(core_.shelf_at(i)).oldest_entry();
    }

    [[nodiscard]] std::uint32_t used_pages() const noexcept { return order_.size(); }
    [[nodiscard]] slab const& at(std::uint32_t i) const noexcept { return page_heap::at(order_.page_of(i)); }
    [[nodiscard]] std::uint32_t live(slab const& page, unsigned bin) const noexcept { return live_slots(page, bin); }
    /// Whether a lane keeps it for an epoch to come, or for one that has not used it yet.
    [[nodiscard]] bool is_kept(slab const& page, unsigned bin) const noexcept
    {
        lane const* const l = holder_of(page);
        return l != nullptr && (l->attached() == nullptr || l->unused_in_era(bin)) && live_slots(page, bin) == 0;
    }
    /// None for a slot that is not below `known`: its record may just be made.
    [[nodiscard]] epoch_id home_of(slab const& page, std::uint32_t known) const noexcept
    {
        shelf const* const home = tslab::home_of(page);
        std::uint32_t const slot = home != nullptr ? core_.slot_of(*home) : known;
        return slot < known ? epoch_id{slot, home->era.load(std::memory_order_relaxed)} : epoch_id{};
    }
    [[nodiscard]] unsigned free_resident_class(std::uint32_t i) const noexcept
    {
        return core_.pages().free_resident_class(order_.page_of(i));
    }

    [[nodiscard]] bool residency_known() const noexcept { return tslab::residency_known(); }
    [[nodiscard]] std::vector<unsigned char> resident_pages() const
    {
        std::vector<unsigned char> all;
        order_.for_each_run([&all](unit_run r, std::uint32_t) {
            std::vector<unsigned char> const of =
                tslab::resident_pages(page_heap::address_of(r.first * unit_pages), std::size_t{r.count} << unit_shift);
            all.insert(all.end(), of.begin(), of.end());
        });
        return all;
    }
    [[nodiscard]] std::uint64_t rss_bytes() const noexcept { return read_rss_bytes(); }
    [[nodiscard]] std::uint64_t metadata_bytes() const noexcept
    {
        return core_.pages().metadata_bytes() + core_.meta().committed_bytes() + core_.told().committed_bytes();
    }
    [[nodiscard]] std::uint64_t resident_metadata_bytes() const noexcept
    {
        return core_.pages().resident_metadata_bytes() + core_.meta().resident_bytes_now() +
               core_.told().resident_bytes_now();
    }
    [[nodiscard]] std::uint64_t never_less(std::uint64_t frees) const noexcept
    {
        return largest_told(frees_told_, frees);
    }
    void add_held(snapshot&, std::vector<epoch_stats*> const&) const noexcept {}   // live_known

    /// The locks of the heap: how often they were free or waited for, and how long where that was timed.
    void sum_locks(snapshot& s) const
    {
        lock_timing_stats times;
        auto const add = [&](mutex const& m) {
            s.global.lock_fast_acquire += m.fast_acquires();
            s.global.lock_contended += m.contended_acquires();
            m.times().add_to(times);
        };
        core_.for_each_lock(add);
        for (mutex const* const m : further_locks_)
            add(*m);
        if (lock_timing() == 0)
            return;
        s.global.lock_timing = times;
        for (unsigned c = 0; c <= class_count; ++c) {
            auto& of_class = s.classes[c].lock_timing.emplace();
            for (thread_record const* r = core_.first_record(); r != nullptr; r = r->next_of_heap)
                if (class_face const* const row = r->classes.row(c))
                    row->waits.add_to(of_class);
        }
    }

private:
    heap_core const& core_;
    heap_core::pinned_units const pins_;   // its pages stay its own while they are looked at
    page_order order_;
    std::initializer_list<mutex const*> further_locks_;
    atomic<std::uint64_t>& frees_told_;
};

}

tslab::snapshot allocator::snapshot(snapshot_options const& o) const
{
    std::initializer_list<mutex const*> const further{&advance_lock_, &prepare_lock_, &labels_.lock_for_counts()};
    own_heap heap{core_, further, frees_told_};
    return assemble(heap, o);
}

heap_map allocator::map() const
{
    own_heap heap{core_, {}, frees_told_};
    return assemble_map(heap);
}

std::vector<leak> allocator::leaks(std::chrono::duration<double> older_than) const
{
    return find_leaks(snapshot({.residency = false}), older_than.count());
}

}
