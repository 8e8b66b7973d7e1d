// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings of what resources and thread caches do for themselves: exclusive thread caches against closes and trims, resources that end on
// another thread, release, thread caches that keep slabs from one epoch to the next, snapshots of all of it.
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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
using schedule::objects_of_slab;
using schedule::usual_runs;

/// A resource that shares the current epoch, and so has an exclusive thread cache, is used while its epoch is trimmed and closed and
/// one of its objects is freed elsewhere. What its own epoch would not have: others' objects, which are not its.
class exclusive_cache : public heap_scenario {
public:
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        others_ = take(object_bytes, e);
        return {[this, e] {
                    tslab::epoch_resource r{heap, {.share_epoch = true}};
                    std::vector<object> mine;
                    for (int i = 0; i < 2; ++i)
                        mine.push_back(take_from(r, object_bytes));
                    lent_ = mine.back();
                    mine.pop_back();
                    is_lent_.store(true, std::memory_order_release);
                    for (int i = 0; i < 3; ++i) {
                        bool const closed = closed_.load(std::memory_order_acquire);
                        object const o = take_from(r, i == 1 ? 64 : object_bytes);
                        expect(!closed || r.epoch() != e || o.p == nullptr,
                               "an allocation was served after close returned");
                        give_to(r, o);
                    }
                    for (object const& o : mine)
                        give_to(r, o);
                    await([this] { return !is_lent_.load(std::memory_order_acquire); });
                },
                [this] {
                    await([this] { return is_lent_.load(std::memory_order_acquire); });
                    give(lent_);
                    is_lent_.store(false, std::memory_order_release);
                    give(others_);
                },
                [this, e] {
                    heap.trim(e);
                    heap.close(e);
                    closed_.store(true, std::memory_order_release);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    object others_, lent_;
    tslab::atomic<bool> is_lent_{false}, closed_{false};
};

/// A resource ends on another thread while the one that made it frees one of its objects by the shared path, and then does
/// nothing more with the heap: its thread cache must have come back without its end. `remote_free`: the thread cache is an exclusive one.
class end_elsewhere : public heap_scenario {
public:
    explicit end_elsewhere(bool shared) : shared_{shared} {}
    bodies threads() override
    {
        return {[this] {
                    resource_.emplace(heap, tslab::resource_options{.share_epoch = shared_});
                    std::vector<object> const mine{take_from(*resource_, object_bytes),
                                                   take_from(*resource_, object_bytes)};
                    tslab::epoch_slabs const& home = heap.state().epoch_slabs_at(resource_->epoch().index);
                    made_.store(true, std::memory_order_release);
                    for (object const& o : mine)
                        give(o);
                    await([this] { return ended_.load(std::memory_order_acquire); });
                    expect(home.cache_count == 0, "a thread keeps a thread cache whose resource has ended");
                },
                [this] {
                    await([this] { return made_.load(std::memory_order_acquire); });
                    resource_.reset();
                    ended_.store(true, std::memory_order_release);
                }};
    }
    void judge() override { expect_nothing_left(0, {tslab::misuse::leak}); }

private:
    bool shared_;
    std::optional<tslab::epoch_resource> resource_;
    tslab::atomic<bool> made_{false}, ended_{false};
};

/// A resource gives back what it handed out, objects of a class and large ones, while its epoch is closed and others' large
/// objects in the same epoch are freed.
class release_against_close : public heap_scenario {
public:
    explicit release_against_close(bool shared) : shared_{shared} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        if (shared_)
            for (int i = 0; i < 2; ++i)
                others_.push_back(take(large_bytes, e));
        return {[this] {
                    tslab::epoch_resource r{heap, {.share_epoch = shared_}};
                    epoch_.store(r.epoch().era << 16 | r.epoch().index, std::memory_order_release);
                    for (int round = 0; round < 2; ++round) {
                        std::uint64_t live = 0;
                        for (std::size_t const bytes : {object_bytes, large_bytes, object_bytes, large_bytes})
                            live += take_from(r, bytes).p != nullptr ? 1 : 0;
                        std::uint64_t const released = r.release();
                        expect(released == live,
                               std::to_string(released) + " objects were released, not " + std::to_string(live));
                    }
                },
                [this] {
                    std::uint64_t packed = 0;
                    await([&] { return (packed = epoch_.load(std::memory_order_acquire)) != 0; });
                    tslab::epoch_id const its{static_cast<std::uint32_t>(packed & 0xffff), packed >> 16};
                    heap.trim(its);
                    heap.close(its);
                },
                [this] { give(others_); }};
    }
    void judge() override { expect_nothing_left(); }

private:
    static constexpr std::size_t large_bytes = 100'000;
    bool shared_;
    std::vector<object> others_;
    tslab::atomic<std::uint64_t> epoch_{0};
};

/// A thread goes from epoch to epoch and takes its empty slabs along, as far as they are empty: one object of each is freed
/// elsewhere, and late. Its epochs are closed by itself and by another thread, and it ends with a thread cache that keeps slabs.
class retained_slabs : public heap_scenario {
public:
    bodies threads() override
    {
        return {[this] {
                    for (int i = 0; i < 3; ++i) {
                        tslab::epoch_id const e = heap.current_epoch();
                        object const a = take(object_bytes, e);
                        object const b = take(object_bytes, e);
                        if (b.p != nullptr && !is_lent_.load(std::memory_order_acquire)) {
                            lent_ = b;
                            epoch_ = e;
                            is_lent_.store(true, std::memory_order_release);
                        } else {
                            give(b);
                        }
                        give(a);
                        heap.advance();
                    }
                    give(take(object_bytes));
                    ended_.store(true, std::memory_order_release);
                },
                [this] {
                    bool mine = false;
                    do {
                        await([&] {
                            return (mine = is_lent_.load(std::memory_order_acquire)) ||
                                   ended_.load(std::memory_order_acquire);
                        });
                        if (!mine)
                            break;
                        tslab::epoch_slabs const& home = heap.state().epoch_slabs_at(epoch_.index);
                        expect(home.era.load(std::memory_order_relaxed) == epoch_.era &&
                                   home.state.load(std::memory_order_relaxed) != tslab::lifecycle::drained,
                               "an epoch is drained and has a live object");
                        give(lent_);
                        is_lent_.store(false, std::memory_order_release);
                    } while (mine);
                },
                [this] { heap.close(heap.current_epoch()); }};
    }
    void judge() override
    {
        if (is_lent_.load(std::memory_order_relaxed))
            give(lent_);
        expect_nothing_left();
    }

private:
    object lent_;
    tslab::epoch_id epoch_{};
    tslab::atomic<bool> is_lent_{false}, ended_{false};
};

/// Snapshots while exclusive thread caches, handles and large objects come and go and their epoch is closed: nothing in them is
/// impossible, and nothing counted goes back.
class snapshot_of_caches : public heap_scenario {
public:
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        late_ = take(16, e);
        return {[this] {
                    tslab::epoch_resource r{heap, {.share_epoch = true}};
                    object const o = take_from(r, object_bytes);
                    give(late_);
                    give_to(r, o);
                    static_cast<void>(take_from(r, 48));
                    r.release();
                },
                [this, e] {
                    for (std::size_t const bytes : {std::size_t{64}, std::size_t{100'000}}) {
                        tslab::handle h{};
                        if (heap.allocate(bytes, e, h) == nullptr)
                            continue;
                        note_taken();
                        heap.free(h);
                    }
                    heap.close(e);
                },
                [this] {
                    constexpr std::uint64_t most = 5;
                    auto const first = heap.snapshot({.residency = false}).global;
                    auto const second = heap.snapshot({.residency = false}).global;
                    for (auto const& g : {first, second}) {
                        expect(g.live_objects <= most, "more live objects than there ever were");
                        expect(g.allocations <= most, "more allocations than there ever were");
                        expect(g.frees <= g.allocations, "more frees than allocations");
                    }
                    expect(second.allocations >= first.allocations, "allocations went back");
                    expect(second.frees >= first.frees, "frees went back");
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    object late_;
};

}

BOOST_AUTO_TEST_SUITE(resources)

BOOST_AUTO_TEST_CASE(an_exclusive_thread_cache_and_a_close) { must_hold(make<exclusive_cache>(), usual_runs); }
BOOST_AUTO_TEST_CASE(a_resource_that_ends_elsewhere) { must_hold(make<end_elsewhere>(false), usual_runs); }
BOOST_AUTO_TEST_CASE(an_exclusive_thread_cache_whose_resource_ends_elsewhere)
{
    must_hold(make<end_elsewhere>(true), usual_runs);
}
BOOST_AUTO_TEST_CASE(a_release_and_a_close) { must_hold(make<release_against_close>(false), usual_runs); }
BOOST_AUTO_TEST_CASE(a_release_in_a_shared_epoch_and_a_close)
{
    must_hold(make<release_against_close>(true), usual_runs);
}
BOOST_AUTO_TEST_CASE(slabs_that_are_retained_from_epoch_to_epoch) { must_hold(make<retained_slabs>(), usual_runs); }
BOOST_AUTO_TEST_CASE(snapshots_of_thread_caches_that_come_and_go) { must_hold(make<snapshot_of_caches>(), usual_runs); }

BOOST_AUTO_TEST_SUITE_END()
