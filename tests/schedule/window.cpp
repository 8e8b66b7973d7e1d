// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings around units of the window: a heap gives them back while others free in them, another heap takes them, two heaps
// take some at once, and a reader without the lock walks along runs that change.
#include <algorithm>
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
using schedule::usual_runs;
using tslab::unit_run;

/// A window of its own for each run, so that a seed is the same run each time. Precondition: there is no heap.
struct fresh_window {
    fresh_window() { tslab::process_window.close(); }
};

/// Another heap beside the scenario's.
class two_heaps : private fresh_window, public heap_scenario {
public:
    two_heaps() : heap_scenario{4, tslab::reclaim_policy::eager}
    {
        other_.emplace(tslab::allocator_options{.name = "other",
                                                .epoch_count = 4,
                                                .reclaim = tslab::reclaim_policy::eager,
                                                .reserve_bytes = std::size_t{64} << 20,
                                                .publish = false});
    }

protected:
    /// Takes an object of the other heap, which no other thread may touch, and frees it.
    void use_other(std::size_t size)
    {
        object const o{static_cast<std::byte*>(other_->malloc(size)), size, size};
        expect(o.p != nullptr, "the other heap has no memory");
        if (o.p == nullptr)
            return;
        o.fill();
        expect(tslab::process_window.owner_of(o.p) != 0 && other_->state().pages().reserves(o.p) &&
                   !heap.state().pages().reserves(o.p),
               "an object lies in units of another heap");
        other_->state().slab_at(o.p)->owner.load(std::memory_order_relaxed);   // a turn may end here
        expect(o.intact(), "an object of the other heap was changed");
        other_->free(o.p);
    }
    void expect_other_well()
    {
        std::string const wrong = stress::wrong_with(*other_);
        expect(wrong.empty(), "the other heap: " + wrong);
        other_->trim();
        expect(other_->snapshot({.residency = false}).global.live_objects == 0, "the other heap holds an object");
        other_.reset();
    }
    /// How many units the heap has.
    [[nodiscard]] std::uint32_t units() const
    {
        std::uint32_t n = 0;
        heap.state().pages().for_each_run([&n](unit_run r) { n += r.count; });
        return n;
    }

    std::optional<tslab::allocator> other_;
};

/// Two threads free the last objects of the heap: one of them takes the slab back, the other one may still be about to look at it. A
/// third thread gives the unit back as soon as it is free, and the other heap takes it.
class given_back_beside_late_frees : public two_heaps {
public:
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(2, bytes, e);
        heap.trim(e);   // no thread cache claims the slab
        attract_owner_of(all_[0]);
        return {[this] { give(all_[0]); }, [this] { give(all_[1]); },
                [this] {
                    for (int i = 0; i < 3; ++i) {
                        heap.trim();
                        use_other(bytes);
                    }
                }};
    }
    void judge() override
    {
        heap.trim();
        expect(units() == 0, "free units stay with their heap");
        expect_other_well();
        expect_nothing_left();
    }

private:
    static constexpr std::size_t bytes = 2048;
    std::vector<object> all_;
};

/// The same of a large allocation, which is a whole unit, while its heap takes memory anew.
class given_back_beside_taking : public two_heaps {
public:
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        large_ = take(tslab::unit_bytes, e);
        return {[this] {
                    give(large_);
                    heap.trim();
                },
                [this, e] {
                    give(take(tslab::unit_bytes, e));
                    give(take(64, e));
                },
                [this] {
                    use_other(tslab::unit_bytes);
                    other_->trim();
                    use_other(64);
                }};
    }
    void judge() override
    {
        expect_other_well();
        expect_nothing_left();
    }

private:
    object large_{};
};

/// Two heaps take units at once, give them back, and take what the other one gave.
class taken_at_once : public two_heaps {
public:
    bodies threads() override
    {
        return {[this] {
                    tslab::epoch_id const e = heap.current_epoch();
                    std::vector<object> mine{take(tslab::unit_bytes, e), take(3 * tslab::unit_bytes, e)};
                    give(mine);
                    heap.trim();
                    give(take(2 * tslab::unit_bytes, e));
                },
                [this] {
                    use_other(2 * tslab::unit_bytes);
                    other_->trim();
                    use_other(3 * tslab::unit_bytes);
                    use_other(tslab::unit_bytes);
                    other_->trim();
                }};
    }
    void judge() override
    {
        expect_other_well();
        expect_nothing_left();
    }
};

/// A reader without the lock: what stays in the list is met, and nothing is met twice.
class walk_beside_changes : public schedule::scenario {
public:
    walk_beside_changes()
    {
        list_.insert({10, 20});
        list_.insert({40, 5});
    }
    bodies threads() override
    {
        return {[this] {
                    for (int i = 0; i < 2; ++i) {
                        std::vector<unsigned> times(units, 0);
                        list_.for_each(units, [&](unit_run r) {
                            for (std::uint32_t u = r.first; u < std::min<std::uint32_t>(r.first + r.count, units); ++u)
                                ++times[u];
                        });
                        judge_walk(times);
                    }
                },
                [this] {
                    list_.erase({15, 2});
                    list_.insert({32, 2});
                    list_.erase({24, 6});
                    list_.insert({15, 2});
                    list_.insert({24, 6});
                    list_.insert({30, 2});
                    list_.insert({34, 6});
                }};
    }
    void judge() override {}

private:
    static constexpr std::uint32_t units = 64;

    void judge_walk(std::vector<unsigned> const& times)
    {
        for (std::uint32_t u = 0; u < units; ++u) {
            bool const stays =
                (u >= 10 && u < 15) || (u >= 17 && u < 24) || (u >= 40 && u < 45);   // no thread takes these out
            bool const comes = u >= 10 && u < 45;
            expect(times[u] <= (comes ? 1U : 0U),
                   "unit " + std::to_string(u) + " is met " + std::to_string(times[u]) + " times");
            expect(times[u] != 0 || !stays, "unit " + std::to_string(u) + " is missed");
        }
    }

    std::vector<tslab::unit_link> memory_ = std::vector<tslab::unit_link>(units);
    tslab::unit_link* links_ = memory_.data();
    tslab::atomic<std::uint32_t> head_{0};
    tslab::unit_list list_{links_, head_};
};

}

BOOST_AUTO_TEST_SUITE(window)

BOOST_AUTO_TEST_CASE(units_given_back_beside_late_frees)
{
    must_hold(make<given_back_beside_late_frees>(), 2 * usual_runs);
}
BOOST_AUTO_TEST_CASE(units_given_back_while_others_are_taken)
{
    must_hold(make<given_back_beside_taking>(), usual_runs);
}
BOOST_AUTO_TEST_CASE(two_heaps_take_units_at_once) { must_hold(make<taken_at_once>(), usual_runs); }
BOOST_AUTO_TEST_CASE(a_walk_along_runs_that_change) { must_hold(make<walk_beside_changes>(), 2 * usual_runs); }

BOOST_AUTO_TEST_SUITE_END()
