// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings of frees in slabs of several subslabs: against a close, an adoption, and a reclaim of an empty slab.
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <vector>

#include "frees.hpp"
#include "must_hold.hpp"

namespace {

using schedule::bodies;
using schedule::fewer_runs;
using schedule::frees_against_adoption;
using schedule::frees_against_close;
using schedule::heap_scenario;
using schedule::late_to_an_election;
using schedule::make;
using schedule::must_hold;
using schedule::object;
using schedule::reuse_during_an_election;
using schedule::usual_runs;

/// Two threads free in different blocks of a slab that is full and on the epoch's list: each is the first in his block. A third one
/// allocates there.
class first_frees_of_subslabs : public heap_scenario {
public:
    explicit first_frees_of_subslabs(std::size_t bytes) : size_{bytes} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(tslab::bins[tslab::class_of(size_)].slab_slots(), size_, e);
        heap.trim(e);
        auto const take_out = [this](std::size_t i) {
            object const o = all_[i];
            all_[i] = {};
            give(o);
        };
        return {[take_out] { take_out(0); }, [this, take_out] { take_out(all_.size() - 1); },
                [this, e] {
                    give(take(size_, e));
                    heap.close(e);
                }};
    }
    void judge() override
    {
        give(all_);
        expect_nothing_left();
    }

private:
    std::size_t size_;
    std::vector<object> all_;
};

}

BOOST_AUTO_TEST_SUITE(subslabs)

BOOST_AUTO_TEST_CASE(frees_of_subslabs_and_a_close)
{
    must_hold(make<frees_against_close>(std::size_t{6}, std::size_t{16}, false), usual_runs);
}
BOOST_AUTO_TEST_CASE(frees_of_subslabs_and_an_adoption)
{
    must_hold(make<frees_against_adoption>(std::size_t{16}, std::size_t{4}), fewer_runs);
    must_hold(make<frees_against_adoption>(std::size_t{48}, std::size_t{3}), fewer_runs);
}
BOOST_AUTO_TEST_CASE(first_frees_of_subslabs_and_an_adoption)
{
    must_hold(make<first_frees_of_subslabs>(std::size_t{32}), fewer_runs);
}
BOOST_AUTO_TEST_CASE(frees_of_subslabs_that_come_late)
{
    must_hold(make<late_to_an_election>(std::size_t{16}, std::size_t{64}), fewer_runs);
    must_hold(make<late_to_an_election>(std::size_t{64}, std::size_t{32}), fewer_runs);
}
BOOST_AUTO_TEST_CASE(frees_and_subslabs_that_change_hands)
{
    must_hold(make<reuse_during_an_election>(std::size_t{48}, std::size_t{48}), fewer_runs);
    must_hold(make<reuse_during_an_election>(std::size_t{16}, std::size_t{64}), fewer_runs);
}

BOOST_AUTO_TEST_SUITE_END()
