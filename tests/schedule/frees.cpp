// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings of frees: of one object by two threads, of the last objects of a slab, against its owner and a close.
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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

constexpr std::uint64_t runs = 1500;
constexpr std::size_t slots = 16;   // of a slab of the size below
constexpr std::size_t size = 1024;

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
            for (std::size_t i = from; i < slots; i += 2)
                give(first_[i]);
        };
        return {[this] {
                    first_ = take_many(slots, size, heap.current_epoch());
                    there_.store(true, std::memory_order_release);
                    std::vector<object> more = take_many(5, size, heap.current_epoch());
                    give(more);
                },
                [other] { other(0); }, [other] { other(1); }};
    }
    void judge() override { expect_nothing_left(); }

private:
    tslab::atomic<bool> there_{false};
    std::vector<object> first_;
};

/// Two threads free what lives in a slab whose lane another thread holds, and a third closes the epoch.
class frees_against_close : public heap_scenario {
public:
    frees_against_close(std::size_t n, std::size_t bytes, bool again) : n_{n}, size_{bytes}, again_{again} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(n_, size_, e);
        if (again_)
            heap.close(e);   // the slab is on the shelf before anything begins
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

/// The last objects of a slab that nobody holds are freed, and its memory is used again at once in another epoch, whose
/// objects others free: who comes late to the election finds the slab anew.
class late_to_an_election : public heap_scenario {
public:
    late_to_an_election() : heap_scenario{4, tslab::reclaim_policy::eager} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(2, size, e);
        heap.close(e);
        return {[this] { give(all_[0]); }, [this] { give(all_[1]); },
                [this] {
                    std::vector<object> mine = take_many(2, size, heap.current_epoch());
                    give(mine[0]);
                    heap.close(heap.current_epoch());
                    give(mine[1]);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::vector<object> all_;
};

/// The same with one freer, so that the slab may change hands while he is between the last free and the election, and again
/// while he holds it for a moment.
class reuse_during_an_election : public heap_scenario {
public:
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        last_ = take(size, e);
        heap.close(e);
        return {[this] { give(last_); },
                [this, e] {
                    heap.close(e);   // finds the slab empty, perhaps
                    tslab::epoch_id const next = heap.current_epoch();
                    object const a = take(size, next);
                    heap.close(next);
                    give(a);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    object last_;
};

/// A thread adopts from the shelf while two others free there.
class frees_against_adoption : public heap_scenario {
public:
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        all_ = take_many(slots, size, e);
        give(all_.back());
        all_.pop_back();
        heap.trim(e);   // on the shelf, with one free slot
        auto const some = [this](std::size_t from) {
            for (std::size_t i = from; i < all_.size(); i += 2)
                give(all_[i]);
        };
        return {[some] { some(0); }, [some] { some(1); },
                [this, e] {
                    std::vector<object> mine = take_many(3, size, e);
                    give(mine);
                }};
    }
    void judge() override { expect_nothing_left(); }

private:
    std::vector<object> all_;
};

}

BOOST_AUTO_TEST_SUITE(frees)

BOOST_AUTO_TEST_CASE(of_two_frees_by_other_threads_one_is_reported)
{
    must_hold(make<double_free_by_others>(64U), runs);
}
BOOST_AUTO_TEST_CASE(of_two_frees_of_a_tiny_object_one_is_reported)
{
    must_hold(make<double_free_by_others>(16U), runs);
}
BOOST_AUTO_TEST_CASE(of_two_frees_of_pages_one_is_reported) { must_hold(make<double_free_by_others>(100'000U), runs); }
BOOST_AUTO_TEST_CASE(of_a_free_by_the_owner_and_one_by_another_one_is_reported)
{
    must_hold(make<double_free_by_owner>(64U, std::size_t{1}), runs);
}
BOOST_AUTO_TEST_CASE(the_same_where_the_slab_is_full) { must_hold(make<double_free_by_owner>(size, slots - 1), runs); }
BOOST_AUTO_TEST_CASE(of_three_frees_of_a_handle_one_succeeds) { must_hold(make<double_free_of_handle>(64U), runs); }
BOOST_AUTO_TEST_CASE(of_three_frees_of_a_tiny_handle_one_succeeds)
{
    must_hold(make<double_free_of_handle>(16U), runs);
}
BOOST_AUTO_TEST_CASE(frees_and_their_collection) { must_hold(make<remote_frees_against_refill>(), runs); }
BOOST_AUTO_TEST_CASE(frees_and_a_close) { must_hold(make<frees_against_close>(slots, size, false), runs); }
BOOST_AUTO_TEST_CASE(frees_and_a_second_close) { must_hold(make<frees_against_close>(slots, size, true), runs); }
BOOST_AUTO_TEST_CASE(frees_of_blocks_and_a_close)
{
    must_hold(make<frees_against_close>(std::size_t{6}, std::size_t{16}, false), runs);
}
BOOST_AUTO_TEST_CASE(frees_of_pages_and_a_close)
{
    must_hold(make<frees_against_close>(std::size_t{2}, std::size_t{100'000}, true), runs);
}
BOOST_AUTO_TEST_CASE(frees_that_come_late) { must_hold(make<late_to_an_election>(), runs); }
BOOST_AUTO_TEST_CASE(frees_and_a_slab_that_changes_hands) { must_hold(make<reuse_during_an_election>(), 2 * runs); }
BOOST_AUTO_TEST_CASE(frees_and_an_adoption) { must_hold(make<frees_against_adoption>(), runs); }

BOOST_AUTO_TEST_SUITE_END()
