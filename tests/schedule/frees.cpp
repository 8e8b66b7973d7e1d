// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings of frees: of one object by two threads, of the last objects of a slab, against its owner and a close; the same
// of slabs of several blocks.
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
using schedule::fewer_runs;
using schedule::heap_scenario;
using schedule::make;
using schedule::must_hold;
using schedule::object;
using schedule::object_bytes;
using schedule::objects_of_slab;
using schedule::usual_runs;

/// One object that two threads free; neither has allocated it.
class double_free_by_others : public heap_scenario {
public:
    explicit double_free_by_others(std::size_t bytes) : size_{bytes} {}
    bodies threads() override
    {
        o_ = take(size_);
        auto const free = [this] { heap.free(o_.p); };
        return {free, free};
    }
    void judge() override { expect_nothing_left(1); }

private:
    std::size_t size_;
    object o_;
};

/// One of them owns the slab. `full`: it has no other free slot.
class double_free_by_owner : public heap_scenario {
public:
    double_free_by_owner(std::size_t bytes, std::size_t others) : size_{bytes}, others_{others} {}
    bodies threads() override
    {
        return {[this] {
                    std::vector<object> rest = take_many(others_, size_, heap.current_epoch());
                    object const o = take(size_);
                    shared_.store(o.p, std::memory_order_release);
                    heap.free(o.p);
                    give(rest);
                },
                [this] {
                    void* p = nullptr;
                    await([&] { return (p = shared_.load(std::memory_order_acquire)) != nullptr; });
                    heap.free(p);
                }};
    }
    void judge() override { expect_nothing_left(1); }

private:
    std::size_t size_, others_;
    tslab::atomic<void*> shared_{nullptr};
};

/// The same by handle, by three threads: exactly one succeeds, and nobody is reported.
class double_free_of_handle : public heap_scenario {
public:
    explicit double_free_of_handle(std::size_t bytes) : size_{bytes} {}
    bodies threads() override
    {
        static_cast<void>(heap.allocate(size_, heap.current_epoch(), h_));
        note_taken();
        auto const free = [this] {
            tslab::free_result const r = heap.free(h_);
            freed_ += r == tslab::free_result::ok ? 1 : 0;
            odd_ +=
                r != tslab::free_result::ok && r != tslab::free_result::already_free && r != tslab::free_result::stale
                    ? 1
                    : 0;
        };
        return {free, free, free};
    }
    void judge() override
    {
        expect(freed_ == 1, std::to_string(freed_) + " frees of one handle succeeded");
        expect(odd_ == 0, "a result that is neither of the two");
        expect_nothing_left();
    }

private:
    std::size_t size_;
    tslab::handle h_{};
    int freed_ = 0, odd_ = 0;   // one thread at a time
};

/// A thread fills a slab and more while two others free what is in it.
class remote_frees_against_refill : public heap_scenario {
public:
    bodies threads() override
    {
        auto const other = [this](std::size_t from) {
            await([this] { return there_.load(std::memory_order_acquire); });
            for (std::size_t i = from; i < objects_of_slab; i += 2)
                give(first_[i]);
        };
        return {[this] {
                    first_ = take_many(objects_of_slab, object_bytes, heap.current_epoch());
                    there_.store(true, std::memory_order_release);
                    std::vector<object> more = take_many(5, object_bytes, heap.current_epoch());
                    give(more);
                },
                [other] { other(0); }, [other] { other(1); }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::atomic<bool> there_{false};
    std::vector<object> first_;
};

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

/// The last objects of a slab that nobody holds are freed, and its memory is used again at once in another epoch, perhaps for
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

/// Who frees the last object of a slab on an epoch's list comes late: when he looks for the list it is on, it has been adopted, emptied,
/// used again, and put on the epoch's list of another epoch.
class late_to_a_list : public heap_scenario {
public:
    late_to_a_list() : heap_scenario{4, tslab::reclaim_policy::eager} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        other_.emplace(heap);
        last_ = take(object_bytes, e);
        attract_slab_of(last_, 0);
        heap.trim(e);
        return {[this] { give(last_); },
                [this] {
                    await([this] { return lent_.load(std::memory_order_acquire) == 1; });
                    give(first_.front());
                    lent_.store(2, std::memory_order_release);
                },
                [this, e] { move_it(e); }};
    }
    void judge() override
    {
        give(second_);
        other_.reset();
        expect_nothing_left();
    }

private:
    /// Takes no lock of `e` between the adoption and the second close.
    void move_it(tslab::epoch_id e)
    {
        first_ = take_many(objects_of_slab, object_bytes, e);
        std::vector<object> next = take_many(1, object_bytes, e);   // of another slab: no further one is listed
        lent_.store(1, std::memory_order_release);
        await([this] { return lent_.load(std::memory_order_acquire) == 2; });
        give(first_[1]);
        first_.erase(first_.begin(), first_.begin() + 2);
        for (std::size_t i = next.size(); i < objects_of_slab; ++i)
            next.push_back(take(object_bytes, e));
        for (int i = 0; i < 2; ++i)   // what was freed is taken over
            first_.push_back(take(object_bytes, e));
        next.push_back(take(object_bytes, e));   // of a third one
        give(first_);
        second_ = take_many(objects_of_slab, object_bytes, other_->epoch());
        other_->force_close();
        give(next);
    }

    object last_;
    std::optional<tslab::epoch_domain> other_;
    std::vector<object> first_, second_;
    tslab::atomic<int> lent_{0};
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

/// Its owner frees a handle and gets another one for the same slot, while another thread frees the first: that can come to
/// nothing but a refusal, or the owner's does.
class stale_handle : public heap_scenario {
public:
    explicit stale_handle(std::size_t bytes) : size_{bytes} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        return {[this, e] {
                    tslab::handle h{};
                    expect(heap.allocate(size_, e, h) != nullptr, "no memory for a handle");
                    note_taken();
                    lent_.store(h.bits(), std::memory_order_release);
                    freed_ += heap.free(h) == tslab::free_result::ok ? 1 : 0;
                    tslab::handle again{};
                    expect(heap.allocate(size_, e, again) != nullptr, "no memory for a handle");
                    note_taken();
                    expect(heap.free(again) == tslab::free_result::ok, "a live handle was refused");
                },
                [this] {
                    std::uint64_t lent = 0;
                    await([&] { return (lent = lent_.load(std::memory_order_acquire)) != 0; });
                    freed_ += heap.free(tslab::handle{lent}) == tslab::free_result::ok ? 1 : 0;
                }};
    }
    void judge() override
    {
        expect(freed_ == 1, std::to_string(freed_) + " frees of one handle succeeded");
        expect_nothing_left();
    }

private:
    std::size_t size_;
    int freed_ = 0;   // one thread at a time
    tslab::atomic<std::uint64_t> lent_{0};
};

}

BOOST_AUTO_TEST_SUITE(frees)

BOOST_AUTO_TEST_CASE(of_two_frees_by_other_threads_one_is_reported)
{
    must_hold(make<double_free_by_others>(64U), usual_runs);
}
BOOST_AUTO_TEST_CASE(of_two_frees_of_a_tiny_object_one_is_reported)
{
    must_hold(make<double_free_by_others>(16U), usual_runs);
}
BOOST_AUTO_TEST_CASE(of_two_frees_of_pages_one_is_reported)
{
    must_hold(make<double_free_by_others>(100'000U), usual_runs);
}
BOOST_AUTO_TEST_CASE(of_a_free_by_the_owner_and_one_by_another_one_is_reported)
{
    must_hold(make<double_free_by_owner>(64U, std::size_t{1}), usual_runs);
}
BOOST_AUTO_TEST_CASE(the_same_where_the_slab_is_full)
{
    must_hold(make<double_free_by_owner>(object_bytes, objects_of_slab - 1), usual_runs);
}
BOOST_AUTO_TEST_CASE(of_three_frees_of_a_handle_one_succeeds)
{
    must_hold(make<double_free_of_handle>(64U), usual_runs);
}
BOOST_AUTO_TEST_CASE(of_three_frees_of_a_handle_of_pages_one_succeeds)
{
    must_hold(make<double_free_of_handle>(100'000U), usual_runs);
}
BOOST_AUTO_TEST_CASE(frees_of_a_handle_that_is_stale) { must_hold(make<stale_handle>(64U), usual_runs); }
BOOST_AUTO_TEST_CASE(frees_of_a_handle_of_pages_that_is_stale) { must_hold(make<stale_handle>(100'000U), usual_runs); }
BOOST_AUTO_TEST_CASE(frees_and_their_collection) { must_hold(make<remote_frees_against_refill>(), usual_runs); }
BOOST_AUTO_TEST_CASE(frees_and_a_close)
{
    must_hold(make<frees_against_close>(objects_of_slab, object_bytes, false), usual_runs);
}
BOOST_AUTO_TEST_CASE(frees_and_a_second_close)
{
    must_hold(make<frees_against_close>(objects_of_slab, object_bytes, true), usual_runs);
}
BOOST_AUTO_TEST_CASE(frees_of_pages_and_a_close)
{
    must_hold(make<frees_against_close>(std::size_t{2}, std::size_t{100'000}, true), usual_runs);
}
BOOST_AUTO_TEST_CASE(frees_that_come_late) { must_hold(make<late_to_an_election>(), usual_runs); }
BOOST_AUTO_TEST_CASE(frees_and_a_slab_that_changes_hands)
{
    must_hold(make<reuse_during_an_election>(), 3 * usual_runs);
}
BOOST_AUTO_TEST_CASE(frees_and_a_slab_on_another_epoch) { must_hold(make<late_to_a_list>(), usual_runs); }
BOOST_AUTO_TEST_CASE(frees_and_an_adoption)
{
    must_hold(make<frees_against_adoption>(object_bytes, objects_of_slab - 1), usual_runs);
}

BOOST_AUTO_TEST_SUITE_END()

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
