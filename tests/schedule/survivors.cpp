// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings around the pages between live objects: they go to the kernel while others free in the slab, acquire it, purge it
// too, or give it back with all that lives in it.
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
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

/// An object touches four pages, and no other object does.
constexpr std::size_t bytes = 16'384;

/// Whatever is freed last takes the slab back, once; `purgers` threads close the epoch meanwhile.
class frees_against_purge : public heap_scenario {
public:
    explicit frees_against_purge(int purgers) : purgers_{purgers} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(4, bytes, e);
        heap.close(e);
        attract_owner_of(all_[0]);
        give(all_.back());   // its pages are there to be given back
        all_.pop_back();
        bodies all{[this] { give(all_[0]); },
                   [this] {
                       give(all_[1]);
                       give(all_[2]);
                   }};
        for (int i = 0; i < purgers_; ++i)
            all.emplace_back([this, e] { heap.close(e); });
        return all;
    }
    void judge() override { expect_nothing_left(); }

private:
    int purgers_;
    std::vector<object> all_;
};

/// The epoch is open: a thread allocates from the slab, which another one trims, and a third one frees in it.
class acquisition_against_purge : public heap_scenario {
public:
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(4, bytes, e);
        heap.trim(e);
        attract_owner_of(all_[0]);
        give(all_.back());
        all_.pop_back();
        return {[this, e] {
                    std::vector<object> mine = take_many(3, bytes, e);
                    give(mine);
                    mine = take_many(1, bytes, e);
                    give(mine);
                },
                [this] { give(all_[0]); }, [this, e] { heap.trim(e); }};
    }
    void judge() override
    {
        give(all_[1]);
        give(all_[2]);
        expect_nothing_left();
    }

private:
    std::vector<object> all_;
};

/// A resource gives everything back while another thread trims the heap; its pages serve the next epoch at once.
class release_against_purge : public heap_scenario {
public:
    release_against_purge() : heap_scenario{4, tslab::reclaim_policy::eager} {}
    bodies threads() override
    {
        return {[this] {
                    {
                        tslab::epoch_resource r{heap};
                        std::vector<object> mine;
                        for (int i = 0; i < 3; ++i)
                            mine.push_back(take_from(r, bytes));
                        heap.trim(r.epoch());
                        give_to(r, mine.back());
                        made_.store(true, std::memory_order_release);
                        r.release();
                        std::vector<object> more = take_many(2, bytes, heap.current_epoch());
                        give(more);
                    }
                    std::vector<object> more = take_many(2, bytes, heap.current_epoch());
                    give(more);
                },
                [this] {
                    await([this] { return made_.load(std::memory_order_acquire); });
                    heap.trim();
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::atomic<bool> made_{false};
};

}

BOOST_AUTO_TEST_SUITE(survivors)

BOOST_AUTO_TEST_CASE(frees_and_a_purge) { must_hold(make<frees_against_purge>(1), 2 * usual_runs); }
BOOST_AUTO_TEST_CASE(frees_and_two_purges) { must_hold(make<frees_against_purge>(2), usual_runs); }
BOOST_AUTO_TEST_CASE(an_acquisition_and_a_purge) { must_hold(make<acquisition_against_purge>(), 2 * usual_runs); }
BOOST_AUTO_TEST_CASE(a_release_and_a_purge) { must_hold(make<release_against_purge>(), 2 * usual_runs); }

BOOST_AUTO_TEST_SUITE_END()
