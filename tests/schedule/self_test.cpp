// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The scheduler itself: the same seed is the same run, what is wrong is found, and a planted fault in tslab's atomics is.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "heap_scenario.hpp"

namespace {

using schedule::bodies;
using schedule::factory;
using schedule::findings;
using schedule::heap_scenario;
using schedule::make;
using schedule::object;
using schedule::scenario;

/// Two threads that count in a word without a read-modify-write.
class lost_update : public scenario {
public:
    bodies threads() override
    {
        auto const add = [this] { n_.store(n_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); };
        return {add, add};
    }
    void judge() override { expect(n_.load(std::memory_order_relaxed) == 2, "an update was lost"); }

private:
    tslab::atomic<int> n_{0};
};

/// Two locks, taken in both orders.
class crossed_locks : public scenario {
public:
    bodies threads() override
    {
        return {[this] {
                    tslab::lock_guard const first{a_};
                    tslab::lock_guard const second{b_};
                },
                [this] {
                    tslab::lock_guard const first{b_};
                    tslab::lock_guard const second{a_};
                }};
    }
    void judge() override {}

private:
    tslab::mutex a_, b_;
};

/// Two threads that take turns at a word, three and two times, after many steps of no interest: only three changes of turns, each
/// at one of a few steps, bring it to the end.
class relay : public scenario {
public:
    explicit relay(bool named) : named_{named} {}
    bodies threads() override
    {
        if (named_)
            attract(&word_, "word");
        auto const wait = [this] {
            for (int i = 0; i < 300; ++i)
                static_cast<void>(noise_.load(std::memory_order_relaxed));
        };
        auto const pass = [this](int from) {
            if (word_.load(std::memory_order_relaxed) == from)
                word_.store(from + 1, std::memory_order_relaxed);
        };
        return {[wait, pass] {
                    wait();
                    for (int const from : {0, 2, 4})
                        pass(from);
                },
                [wait, pass] {
                    wait();
                    for (int const from : {1, 3})
                        pass(from);
                }};
    }
    void judge() override { expect(word_.load(std::memory_order_relaxed) != 5, "it came to the end"); }

private:
    bool named_;
    tslab::atomic<int> word_{0}, noise_{0};
};

/// Many small things at once: allocations and frees of two threads, a close of a third.
class mixture : public heap_scenario {
public:
    bodies threads() override
    {
        epoch_ = heap.current_epoch();
        old_ = take_many(16, 1024, epoch_);
        auto const half = [this](std::size_t from) {
            for (std::size_t i = from; i < old_.size(); i += 2)
                give(old_[i]);
            give(take(1024));
        };
        return {[half] { half(0); }, [half] { half(1); }, [this] { heap.close(epoch_); }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::epoch_id epoch_;
    std::vector<object> old_;
};

/// A fault for as long as it lives.
class planted {
public:
    explicit planted(tslab::schedule::fault f) { tslab::schedule::planted = f; }
    ~planted() { tslab::schedule::planted = tslab::schedule::fault::none; }
    planted(planted const&) = delete;
    planted& operator=(planted const&) = delete;
};

}

BOOST_AUTO_TEST_SUITE(scheduler)

BOOST_AUTO_TEST_CASE(the_same_seed_is_the_same_run)
{
    factory const scenario_of = make<mixture>();
    std::uint64_t const length = schedule::length_of(scenario_of).steps;
    BOOST_TEST(schedule::length_of(scenario_of).steps == length);
    std::set<std::uint64_t> traces;
    for (std::uint64_t seed = 1; seed <= 64; ++seed) {
        std::string problem;
        auto const once = [&] {
            return schedule::run_once(scenario_of, schedule::strategy_of(seed), seed, length, true, problem);
        };
        auto const first = once();
        auto const second = once();
        BOOST_TEST(first.trace == second.trace);
        BOOST_TEST(first.steps == second.steps);
        BOOST_TEST(first.story == second.story);
        BOOST_TEST(problem == "");
        traces.insert(first.trace);
    }
    BOOST_TEST(traces.size() > 32u);
}

BOOST_AUTO_TEST_CASE(a_lost_update_is_found)
{
    findings const found = schedule::explore(make<lost_update>(), 100);
    BOOST_TEST(found.failed);
    BOOST_TEST_MESSAGE(found.problem);
}

BOOST_AUTO_TEST_CASE(what_takes_three_changes_is_found_at_places)
{
    findings const found = schedule::explore(make<relay>(true), 3000);
    BOOST_TEST(found.failed);
    BOOST_TEST(found.problem.find(" at places") != std::string::npos);
    BOOST_TEST(!schedule::explore(make<relay>(false), found.runs).failed);
    std::printf("three changes: %s\n", found.problem.c_str());
}

BOOST_AUTO_TEST_CASE(a_deadlock_is_found_and_reported)
{
    findings const found = schedule::explore(make<crossed_locks>(), 100);
    BOOST_TEST(found.deadlock);
    BOOST_TEST(found.problem.find("thread 0 waits for a lock for ever") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_lost_bit_of_a_free_is_found)
{
    planted const fault{tslab::schedule::fault::torn_or};
    findings const found = schedule::explore(make<mixture>(), 2000);
    BOOST_TEST(found.failed);
    std::printf("torn fetch_or: %s\n", found.problem.c_str());
}

BOOST_AUTO_TEST_CASE(a_claim_that_undoes_a_free_is_found)
{
    planted const fault{tslab::schedule::fault::torn_and};
    findings const found = schedule::explore(make<mixture>(), 2000);
    BOOST_TEST(found.failed);
    std::printf("torn fetch_and: %s\n", found.problem.c_str());
}

BOOST_AUTO_TEST_SUITE_END()
