// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings in which memory is something else by the time a thread comes to it, or belongs to another heap or epoch.
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heap_scenario.hpp"
#include "must_hold.hpp"

namespace {

using schedule::bodies;
using schedule::heap_scenario;
using schedule::make;
using schedule::must_hold;
using schedule::object;
using schedule::object_bytes;
using schedule::usual_runs;

/// The first free into a full slab is to move it to another list. By the time its thread has the lock, the slab's pages are a
/// large allocation of the next epoch in that ring slot, or were one.
class late_to_a_list : public heap_scenario {
public:
    late_to_a_list() : heap_scenario{2, tslab::reclaim_policy::eager} {}
    bodies threads() override
    {
        constexpr std::size_t slots = 16;
        constexpr std::size_t size = 16'384;   // of a slab with room for the large allocation
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(slots, size, e);
        heap.close(e);   // the slab is on the list of those without a free slot
        return {[this] { give(all_[0]); },
                [this] {
                    for (std::size_t i = 1; i < all_.size(); ++i)
                        give(all_[i]);
                    tslab::epoch_resource next{heap};
                    static_cast<void>(next.allocate(100'000));
                    note_taken();
                    next.release();
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::vector<object> all_;
};

/// A resource that counts frees only ends, and gives back all it has, on another thread than the one that made it, which
/// takes slabs from its own empty ones and puts some there.
class drop_on_another_thread : public heap_scenario {
public:
    bodies threads() override
    {
        return {[this] {
                    made_.emplace(heap, tslab::resource_options{.deallocate = tslab::deallocate_policy::count_only});
                    for (std::size_t i = 0; i < 3 * slots; ++i) {
                        static_cast<void>(made_->allocate(size));
                        note_taken();
                    }
                    there_.store(true, std::memory_order_release);
                    for (int i = 0; i < 3; ++i) {
                        tslab::epoch_id const e = heap.current_epoch();
                        give(take(size, e));
                        heap.trim(e);   // its slab is too large for a thread cache to keep
                    }
                },
                [this] {
                    await([this] { return there_.load(std::memory_order_acquire); });
                    made_.reset();
                }};
    }
    void judge() override
    {
        heap.trim();   // its threads have ended: no slab waits with any of them
        std::uint64_t cached = 0;
        for (tslab::class_stats const& c : heap.snapshot({.residency = false}).classes)
            cached += c.cached_slabs;
        expect(cached == 0, std::to_string(cached) + " empty slabs are in no cache");
        expect_nothing_left();
    }

private:
    static constexpr std::size_t slots = 16;   // of a slab of this size
    static constexpr std::size_t size = 8192;
    std::optional<tslab::epoch_resource> made_;
    tslab::atomic<bool> there_{false};
};

/// A resource that has allocated nothing frees an object of another one, while that one ends and the next one takes its slab
/// and its slot. Whenever that is, it is reported, and the owner's own free is not.
class freed_by_a_stranger : public heap_scenario {
public:
    bodies threads() override
    {
        return {[this] {
                    for (int round = 0; round < 4; ++round) {
                        tslab::epoch_resource owner{heap};
                        object const o = take_from(owner, object_bytes);
                        freed_.store(o.p, std::memory_order_release);
                        expect(tslab::resolve(heap.state(), o.p).is_live(), "a stranger freed an object");
                        give_to(owner, o);
                    }
                },
                [this] {
                    tslab::epoch_resource stranger{heap};
                    std::byte* p = nullptr;
                    await([&] { return (p = freed_.load(std::memory_order_acquire)) != nullptr; });
                    for (std::uint64_t i = 0; i < frees; ++i)
                        stranger.deallocate(p, object_bytes);
                }};
    }
    void judge() override
    {
        expect(reports() == frees,
               std::to_string(frees) + " frees through the wrong resource, " + std::to_string(reports()) + " reports");
        expect_nothing_left(reports(tslab::misuse::double_free), {tslab::misuse::wrong_resource});
    }

private:
    static constexpr std::uint64_t frees = 6;
    tslab::atomic<std::byte*> freed_{nullptr};
};

/// Objects are freed through their resource on another thread, while the epoch is closed and the cache that had their slabs
/// begins with another epoch.
class freed_while_its_cache_moves_on : public heap_scenario {
public:
    bodies threads() override
    {
        return {[this] {
                    resource_.emplace(heap);
                    for (std::size_t const size : std::array<std::size_t, 6>{96, 128, 192, 256, 384, 512})
                        lent_.push_back(take_from(*resource_, size));
                    is_lent_.store(true, std::memory_order_release);
                    heap.close(resource_->epoch());
                    for (int round = 0; round < 3; ++round) {
                        tslab::epoch_resource next{heap};
                        give_to(next, take_from(next, object_bytes));
                    }
                    await([this] { return !is_lent_.load(std::memory_order_acquire); });
                    resource_.reset();
                },
                [this] {
                    await([this] { return is_lent_.load(std::memory_order_acquire); });
                    tslab::epoch_slabs const& home = heap.state().epoch_slabs_at(resource_->epoch().index);
                    for (object const& o : lent_) {
                        expect(tslab::home_of(*heap.state().slab_at(o.p)) == &home, "a live object of another epoch");
                        give_to(*resource_, o);
                    }
                    is_lent_.store(false, std::memory_order_release);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::optional<tslab::epoch_resource> resource_;
    std::vector<object> lent_;
    tslab::atomic<bool> is_lent_{false};
};

}

BOOST_AUTO_TEST_SUITE(reuse)

BOOST_AUTO_TEST_CASE(a_slab_to_be_moved_that_is_none_by_then) { must_hold(make<late_to_a_list>(), usual_runs); }
BOOST_AUTO_TEST_CASE(a_free_that_meets_a_large_allocation_of_a_resource_is_refused)
{
    tslab::allocator heap{{.publish = false}};
    tslab::epoch_resource r{heap, {.share_epoch = true}};
    constexpr std::size_t size = 100'000;   // no bit where the slot has its own
    void* const p = r.allocate(size);
    tslab::slab_meta& s = *heap.state().slab_at(p);
    BOOST_TEST(!tslab::free_remote(heap.state(), s, 0, 0, heap.state().record()));
    BOOST_TEST(s.remote_free.load(std::memory_order_relaxed) == 0u);
    r.deallocate(p, size);
}
BOOST_AUTO_TEST_CASE(the_end_of_a_resource_and_its_thread_s_empty_slabs)
{
    must_hold(make<drop_on_another_thread>(), 2 * usual_runs);
}
BOOST_AUTO_TEST_CASE(a_free_through_a_resource_that_has_nothing)
{
    must_hold(make<freed_by_a_stranger>(), 2 * usual_runs);
}
BOOST_AUTO_TEST_CASE(a_free_whose_cache_moves_on) { must_hold(make<freed_while_its_cache_moves_on>(), 2 * usual_runs); }

BOOST_AUTO_TEST_SUITE_END()
