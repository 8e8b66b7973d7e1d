// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings of what is done to epochs: closes against allocations, the end of a thread, the reuse of a ring slot, scopes,
// resources that two threads use, snapshots of all of it.
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

/// Two threads allocate in an epoch that a third closes. What they got stays valid; what was refused was refused because of it.
class allocations_against_close : public heap_scenario {
public:
    explicit allocations_against_close(std::size_t second) : second_{second} {}
    bodies threads() override
    {
        e_ = heap.current_epoch();
        auto const use = [this](std::size_t n, std::size_t bytes) {
            std::vector<object> mine;
            for (std::size_t i = 0; i < n; ++i) {
                bool const closed = closed_.load(std::memory_order_acquire);
                mine.push_back(take(bytes, e_));
                expect(!closed || mine.back().p == nullptr, "an allocation was served after close returned");
            }
            give(mine);
        };
        return {[use] { use(3, 64); }, [this, use] { use(2, second_); },
                [this] {
                    auto const report = heap.close(e_);
                    expect(report.found && report.closed, "the epoch was not closed");
                    closed_.store(true, std::memory_order_release);
                    expect(heap.malloc(64, e_) == nullptr, "an allocation was served after close returned");
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::size_t second_;   // what the second thread allocates
    tslab::epoch_id e_{};
    tslab::atomic<bool> closed_{false};
};

/// A thread that the close may find in the middle of an operation goes on, and then does nothing more with the heap: its claims
/// must have come back without its end.
class idle_after_close : public heap_scenario {
public:
    bodies threads() override
    {
        e_ = heap.current_epoch();
        return {[this] {
                    give(take(64, e_));
                    give(take(64, e_));
                    await([this] { return closed_.load(std::memory_order_acquire); });
                    expect(heap.state().epoch_slabs_at(e_.index).state.load(std::memory_order_relaxed) ==
                               tslab::lifecycle::drained,
                           "a thread keeps the claims that a close wanted");
                },
                [this] {
                    heap.close(e_);
                    closed_.store(true, std::memory_order_release);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::epoch_id e_{};
    tslab::atomic<bool> closed_{false};
};

/// A thread with claims ends while another one closes, or allocates in the same epoch and so may take its slabs.
class end_against_takers : public heap_scenario {
public:
    explicit end_against_takers(bool closing) : closing_{closing} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        return {[this, e] {
                    left_ = take_many(3, object_bytes, e);
                    give(left_.back());
                    left_.pop_back();
                },
                [this, e] {
                    if (closing_)
                        heap.close(e);
                    else
                        heap.trim(e);
                },
                [this, e] {
                    std::vector<object> mine = take_many(2, object_bytes, e);
                    give(mine);
                }};
    }
    void judge() override
    {
        for (object const& o : left_)
            give(o);
        expect_nothing_left();
    }

private:
    bool closing_;
    std::vector<object> left_;
};

/// Allocations that name no epoch, while another thread advances and a third one closes: each is served.
class current_against_advance : public heap_scenario {
public:
    explicit current_against_advance(std::size_t bytes) : bytes_{bytes} {}
    bodies threads() override
    {
        return {[this] {
                    for (int i = 0; i < 3; ++i) {
                        object const o = take_in_any(bytes_);
                        expect(o.p != nullptr, "an allocation that names no epoch was refused");
                        give(o);
                    }
                },
                [this] {
                    heap.advance();
                    heap.advance();
                },
                [this] { heap.close(heap.current_epoch()); }};
    }
    void judge() override
    {
        expect(heap.snapshot({.residency = false}).global.slow_path_epoch_closed == 0, "a refusal was counted");
        expect_nothing_left();
    }

private:
    std::size_t bytes_;
};

/// A ring of two: every slot is used again and again while objects are allocated and freed late.
class smallest_ring : public heap_scenario {
public:
    smallest_ring() : heap_scenario{2} {}
    bodies threads() override
    {
        auto const use = [this] {
            object const a = take(64);   // refused when its epoch is closed between the look and the allocation
            object const b = take(object_bytes);
            give(a);
            give(b);
        };
        return {[this] {
                    auto before = heap.current_epoch();
                    for (int i = 0; i < 3; ++i) {
                        auto const now = heap.advance();
                        expect(now.era >= before.era, "an era went back");
                        before = now;
                    }
                },
                use, [this] { heap.close(heap.current_epoch()); }};
    }
    void judge() override
    {
        expect(heap.is_active(heap.current_epoch()), "the current epoch is not ACTIVE");
        expect_nothing_left();
    }
};

/// A scope comes and goes while others close its epoch and all others, and one of its objects is freed elsewhere.
class scope_against_close : public heap_scenario {
public:
    bodies threads() override
    {
        return {[this] {
                    for (int i = 0; i < 2; ++i) {
                        tslab::epoch_scope const scope{heap, "phase"};
                        named_.store(scope.epoch().era << 16 | scope.epoch().index, std::memory_order_release);
                        try {
                            void* const p = scope.resource()->allocate(64);
                            note_taken();
                            scope.resource()->deallocate(p, 64);
                            void* const q = scope.resource()->allocate(object_bytes);
                            note_taken();
                            scope.resource()->deallocate(q, object_bytes);
                        } catch (tslab::epoch_closed const&) {   // by the other thread
                        }
                    }
                },
                [this] {
                    std::uint64_t e = 0;
                    await([&] { return (e = named_.load(std::memory_order_acquire)) != 0; });
                    heap.close({static_cast<std::uint32_t>(e & 0xffff), e >> 16});
                },
                [this] {
                    tslab::epoch_scope const scope{heap, "other"};
                    heap.trim();
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::atomic<std::uint64_t> named_{0};
};

/// Scope after scope on one thread, in the ring slot that it retains, while others use the names of the scopes that have
/// ended, look at all slots, and need a slot themselves.
class scopes_against_old_names : public heap_scenario {
public:
    scopes_against_old_names() : heap_scenario{2} {}
    bodies threads() override
    {
        {
            tslab::epoch_scope const timed{heap, "first"};
        }
        return {[this] {
                    for (int i = 0; i < 3; ++i) {
                        std::uint64_t named = 0;
                        {
                            tslab::epoch_scope const scope{heap, "phase"};
                            expect(heap.is_active(scope.epoch()), "a scope has no open epoch");
                            void* const p = scope.resource()->allocate(64);   // nobody may close the epoch
                            note_taken();
                            scope.resource()->deallocate(p, 64);
                            if (!scope.domain().shares_epoch())
                                named = scope.epoch().era << 16 | scope.epoch().index;
                        }
                        if (named != 0)
                            over_.store(named, std::memory_order_release);
                    }
                },
                [this] {
                    for (int i = 0; i < 2; ++i) {
                        std::uint64_t const e = over_.load(std::memory_order_acquire);
                        tslab::epoch_id const old{static_cast<std::uint32_t>(e & 0xffff), e >> 16};
                        if (e == 0)
                            continue;
                        heap.close(old);
                        heap.set_label(old, "late");
                        expect(heap.malloc(64, old) == nullptr, "an ended epoch served an allocation");
                    }
                },
                [this] {
                    heap.trim();
                    tslab::epoch_scope const scope{heap, "other"};
                    heap.trim();
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::atomic<std::uint64_t> over_{0};
};

/// A resource that its own thread and another one use while its epoch is trimmed, and closed.
class resource_of_two_threads : public heap_scenario {
public:
    bodies threads() override
    {
        return {[this] {
                    tslab::epoch_resource r{heap};
                    resource_.store(&r, std::memory_order_release);
                    use(r);
                    await([this] { return done_.load(std::memory_order_acquire) == 2; });
                },
                [this] {
                    use(*resource());
                    done_.fetch_add(1, std::memory_order_release);
                },
                [this] {
                    auto const e = resource()->epoch();
                    heap.trim(e);
                    heap.close(e);
                    done_.fetch_add(1, std::memory_order_release);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::epoch_resource* resource()
    {
        tslab::epoch_resource* r = nullptr;
        await([&] { return (r = resource_.load(std::memory_order_acquire)) != nullptr; });
        return r;
    }
    void use(tslab::epoch_resource& r)
    {
        for (int i = 0; i < 2; ++i) {
            try {
                void* const p = r.allocate(object_bytes);
                note_taken();
                r.deallocate(p, object_bytes);
            } catch (tslab::epoch_closed const&) {
                refused_ = true;
            }
        }
    }

    tslab::atomic<tslab::epoch_resource*> resource_{nullptr};
    tslab::atomic<int> done_{0};
    bool refused_ = false;
};

/// Snapshots while others allocate, free, advance and close: nothing in them is impossible, and nothing counted goes back.
class snapshot_of_all : public heap_scenario {
public:
    bodies threads() override
    {
        before_ = take_many(objects_of_slab, object_bytes, heap.current_epoch());
        return {[this] { give(before_); },
                [this] {
                    object const o = take(64);
                    heap.close(heap.current_epoch());
                    give(o);
                },
                [this] {
                    auto const first = heap.snapshot({.residency = false}).global;
                    auto const second = heap.snapshot({.residency = false}).global;
                    for (auto const& g : {first, second}) {
                        expect(g.live_objects <= objects_of_slab + 1, "more live objects than there ever were");
                        expect(g.frees <= objects_of_slab + 1, "more frees than there ever were");
                        expect(g.frees <= g.allocations, "more frees than allocations");
                        expect(g.allocations <= objects_of_slab + 1, "more allocations than there ever were");
                    }
                    expect(second.allocations >= first.allocations, "allocations went back");
                    expect(second.frees >= first.frees, "frees went back");
                    expect(second.epoch_closes >= first.epoch_closes, "closes went back");
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::vector<object> before_;
};

/// Four threads with a little of everything.
class everything : public heap_scenario {
public:
    everything() : heap_scenario{2, tslab::reclaim_policy::eager} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        shared_ = take_many(4, object_bytes, e);
        return {[this, e] {
                    object const o = take(object_bytes, e);
                    give(shared_[0]);
                    give(o);
                },
                [this] {
                    give(shared_[1]);
                    give(take(16));
                    give(shared_[2]);
                },
                [this] {
                    heap.advance();
                    heap.trim();
                    heap.close(heap.current_epoch());
                },
                [this] {
                    tslab::epoch_scope const scope{heap};
                    give(shared_[3]);
                    void* const p = [&]() -> void* {
                        try {
                            return scope.resource()->allocate(100);
                        } catch (
                            tslab::epoch_closed const&) {   // it shares the current epoch, which is closed meanwhile
                            return nullptr;
                        }
                    }();
                    if (p == nullptr)
                        return;
                    note_taken();
                    scope.resource()->deallocate(p, 100);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::vector<object> shared_;
};

}

BOOST_AUTO_TEST_SUITE(epochs)

BOOST_AUTO_TEST_CASE(allocations_and_a_close) { must_hold(make<allocations_against_close>(object_bytes), usual_runs); }
BOOST_AUTO_TEST_CASE(allocations_of_pages_and_a_close)
{
    must_hold(make<allocations_against_close>(std::size_t{100'000}), usual_runs);
}
BOOST_AUTO_TEST_CASE(a_thread_that_idles_after_a_close) { must_hold(make<idle_after_close>(), usual_runs); }
BOOST_AUTO_TEST_CASE(the_end_of_a_thread_and_a_close) { must_hold(make<end_against_takers>(true), usual_runs); }
BOOST_AUTO_TEST_CASE(the_end_of_a_thread_and_a_trim) { must_hold(make<end_against_takers>(false), usual_runs); }
BOOST_AUTO_TEST_CASE(allocations_that_name_no_epoch)
{
    must_hold(make<current_against_advance>(object_bytes), usual_runs);
    must_hold(make<current_against_advance>(100'000U), usual_runs);
}
BOOST_AUTO_TEST_CASE(reuse_in_a_ring_of_two) { must_hold(make<smallest_ring>(), usual_runs); }
BOOST_AUTO_TEST_CASE(scopes_and_old_names) { must_hold(make<scopes_against_old_names>(), usual_runs); }
BOOST_AUTO_TEST_CASE(scopes_and_a_close) { must_hold(make<scope_against_close>(), usual_runs); }
BOOST_AUTO_TEST_CASE(a_resource_of_two_threads_and_a_close) { must_hold(make<resource_of_two_threads>(), usual_runs); }
BOOST_AUTO_TEST_CASE(snapshots_of_all_that) { must_hold(make<snapshot_of_all>(), usual_runs); }
BOOST_AUTO_TEST_CASE(four_threads_with_everything) { must_hold(make<everything>(), usual_runs); }

BOOST_AUTO_TEST_SUITE_END()
