// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings of frees: of one object by two threads, of the last objects of a slab, against its owner and a close. The same of slabs
// of several subslabs is in subslabs.cpp.
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frees.hpp"
#include "must_hold.hpp"

namespace {

using schedule::bodies;
using schedule::frees_against_adoption;
using schedule::frees_against_close;
using schedule::heap_scenario;
using schedule::late_to_an_election;
using schedule::make;
using schedule::must_hold;
using schedule::object;
using schedule::object_bytes;
using schedule::objects_of_slab;
using schedule::reuse_during_an_election;
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

/// The same by handle, by three threads: exactly one succeeds, and no misuse is reported.
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

/// A thread passes over slots that are used up, in the slab whose other objects another thread frees, while a third one
/// closes the epoch or trims it.
class used_up_slots : public heap_scenario {
public:
    explicit used_up_slots(bool closing) : closing_{closing} {}
    bodies threads() override
    {
        tslab::epoch_id const e = heap.current_epoch();
        return {[this, e] {
                    std::vector<tslab::handle> last;
                    for (tslab::handle h; last.size() < handles && heap.allocate(bytes, e, h) != nullptr;) {
                        note_taken();
                        last.push_back(in_last_generation(h));
                    }
                    for (std::size_t i = 1; i < last.size(); i += 2)   // every second one is freed by the other thread
                        lent_[i / 2].store(last[i].bits(), std::memory_order_release);
                    done_.store(true, std::memory_order_release);
                    if (!last.empty())
                        must_free(last[0]);
                    if (last.size() > 2)
                        must_free(last[2]);
                    for (int i = 0; i < 3; ++i) {
                        tslab::handle h;
                        if (heap.allocate(bytes, e, h) == nullptr)
                            continue;   // closed
                        note_taken();
                        must_free(h);
                    }
                },
                [this] {
                    await([this] { return done_.load(std::memory_order_acquire); });
                    for (auto const& one : lent_)
                        if (std::uint64_t const bits = one.load(std::memory_order_acquire); bits != 0)
                            must_free(tslab::handle{bits});
                },
                [this, e] {
                    if (closing_)
                        heap.close(e);
                    else
                        heap.trim(e);
                }};
    }
    void judge() override
    {
        for (tslab::handle_fields const& f : used_)   // the next run has the same pages
            tslab::page_heap::generation(f.page, f.slot).store(0, std::memory_order_relaxed);
        expect_nothing_left();
    }

private:
    static constexpr std::size_t bytes = 768;
    static constexpr std::size_t handles = 4;

    tslab::handle in_last_generation(tslab::handle h)
    {
        auto f = tslab::handle_fields::unpack(h);
        used_.push_back(f);
        f.generation += tslab::handle_fields::last_generation -
                        tslab::page_heap::generation(f.page, f.slot)
                            .exchange(tslab::handle_fields::last_generation, std::memory_order_relaxed);
        return f.pack();
    }
    void must_free(tslab::handle h) { expect(heap.free(h) == tslab::free_result::ok, "a live handle was refused"); }

    bool closing_;
    std::vector<tslab::handle_fields> used_;
    std::array<tslab::atomic<std::uint64_t>, 2> lent_{};
    tslab::atomic<bool> done_{false};
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
BOOST_AUTO_TEST_CASE(slots_that_are_used_up_and_a_close) { must_hold(make<used_up_slots>(true), usual_runs); }
BOOST_AUTO_TEST_CASE(slots_that_are_used_up_and_a_trim) { must_hold(make<used_up_slots>(false), usual_runs); }
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
