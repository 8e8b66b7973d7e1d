// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings of frees with a close, with the reclaim of an empty slab, and with an adoption; of slabs of one subslab and of
// several. Include it after every other header: it imports tslab.
#pragma once
#include <cstddef>
#include <vector>

#include "heap_scenario.hpp"

namespace schedule {

/// Two threads free what lives in a slab whose thread cache another thread holds, and a third closes the epoch.
class frees_against_close : public heap_scenario {
public:
    frees_against_close(std::size_t n, std::size_t bytes, bool again) : n_{n}, size_{bytes}, again_{again} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(n_, size_, e);
        if (again_)
            heap.close(e);   // the slab is on the epoch's list before anything begins
        auto const half = [this](std::size_t from) {
            for (std::size_t i = from; i < n_; i += 2)
                give(all_[i]);
        };
        return {[half] { half(0); }, [half] { half(1); }, [this, e] { heap.close(e); }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::size_t n_, size_;
    bool again_;
    std::vector<object> all_;
};

/// The last objects of a slab without an owner are freed, and its memory is used again at once in another epoch, perhaps for
/// another class, whose objects others free: who comes late to the election finds the slab anew.
class late_to_an_election : public heap_scenario {
public:
    explicit late_to_an_election(std::size_t first = object_bytes, std::size_t second = object_bytes)
        : heap_scenario{4, tslab::reclaim_policy::eager}, first_{first}, second_{second}
    {
    }
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(2, first_, e);
        heap.close(e);
        return {[this] { give(all_[0]); }, [this] { give(all_[1]); },
                [this] {
                    std::vector<object> mine = take_many(2, second_, heap.current_epoch());
                    give(mine[0]);
                    heap.close(heap.current_epoch());
                    give(mine[1]);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::size_t first_, second_;
    std::vector<object> all_;
};

/// The same with one freer, so that the slab may change hands while he is between the last free and the election, and again
/// while he holds it for a moment.
class reuse_during_an_election : public heap_scenario {
public:
    explicit reuse_during_an_election(std::size_t first = object_bytes, std::size_t second = object_bytes)
        : heap_scenario{4, first == second ? tslab::reclaim_policy::cached : tslab::reclaim_policy::eager},
          first_{first},
          second_{second}
    {
    }
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        last_ = take(first_, e);
        attract_owner_of(last_);
        heap.close(e);
        return {[this] { give(last_); },
                [this, e] {
                    heap.close(e);   // finds the slab empty, perhaps
                    tslab::epoch_id const next = heap.current_epoch();
                    object const a = take(second_, next);
                    heap.close(next);
                    give(a);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::size_t first_, second_;
    object last_;
};

/// A thread adopts from the epoch's slabs while two others free there. `live`: those that live in the slab then; the first block's, its
/// last object and some in between stay.
class frees_against_adoption : public heap_scenario {
public:
    frees_against_adoption(std::size_t bytes, std::size_t live) : size_{bytes}, live_{live} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        std::size_t const slots = tslab::bins[tslab::class_of(size_)].slab_slots();
        std::vector<object> const slab = take_many(slots, size_, e);
        for (std::size_t i = 0; i < slots; ++i)
            if (i * live_ / slots != (i + 1) * live_ / slots)
                all_.push_back(slab[i]);
            else
                give(slab[i]);
        heap.trim(e);
        auto const some = [this](std::size_t from) {
            for (std::size_t i = from; i < all_.size(); i += 2)
                give(all_[i]);
        };
        return {[some] { some(0); }, [some] { some(1); },
                [this, e] {
                    std::vector<object> mine = take_many(3, size_, e);
                    give(mine);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::size_t size_, live_;
    std::vector<object> all_;
};

}
