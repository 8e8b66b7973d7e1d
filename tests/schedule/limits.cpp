// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interleavings around limits: threads that reserve the last pages below one, frees that give pages back, a close, and a limit that is
// set meanwhile. A count is never above a limit, and in the end every count is 0.
#include <algorithm>
#include <array>
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

/// Of one class each, with slabs of a page.
constexpr std::array<std::size_t, 4> sizes{64, 96, 128, 192};
static_assert(std::ranges::all_of(sizes, [](std::size_t s) { return tslab::bins[tslab::class_of(s)].pages == 1; }));

class limited : public heap_scenario {
protected:
    static constexpr std::uint64_t most = 2;   // pages

    [[nodiscard]] tslab::page_account const& account_of(std::uint32_t label_id) const
    {
        return heap.state().limits().table()->labels[label_id];
    }
    void expect_below(std::uint64_t pages, char const* what)
    {
        expect(pages <= most, std::string{what} + " holds " + std::to_string(pages) + " pages");
    }
    void expect_no_counts()
    {
        for (std::uint32_t i = 0; i < heap.state().prepared_slots(); ++i)
            expect(heap.state().epoch_slabs_at(i).count.pages() == 0, "an epoch without objects has pages");
    }
    /// Takes an object of each size, of which a limit admits some, and frees what it got.
    template <class Take, class Give> static void fill(std::size_t first, std::size_t last, Take take, Give give)
    {
        std::vector<object> mine;
        for (std::size_t n = first; n < last; ++n)
            mine.push_back(take(sizes[n]));
        for (object const& o : mine)
            give(o);
    }
};

/// Two threads want two pages each of the last one below the limit of a phase, a third one frees what has the other page, and closes
/// the phase. `close` is false: the phase goes on.
class last_page_of_a_phase : public limited {
public:
    explicit last_page_of_a_phase(bool close) : close_{close} {}
    bodies threads() override
    {
        e_ = heap.current_epoch();
        expect(heap.set_limit(e_, most * tslab::page_bytes), "the epoch takes no limit");
        first_ = take(sizes[0], e_);
        heap.trim(e_);                                 // no thread's cache has its slab
        attract(&heap.record_of(e_).count, "count");   // its first word has the pages
        attract(&heap.state().slab_at(first_.p)->owner, "owner");
        auto const work = [this](std::size_t begin) {
            fill(
                begin, begin + 2, [this](std::size_t bytes) { return watched(bytes); },
                [this](object const& o) { give(o); });
        };
        return {[work] { work(0); }, [work] { work(2); },
                [this] {
                    give(first_);
                    if (close_)
                        heap.close(e_);
                    expect_below(heap.record_of(e_).count.pages(), "the phase");
                }};
    }
    void judge() override
    {
        expect_below(heap.record_of(e_).count.pages(), "the phase");
        heap.close(e_);
        expect_no_counts();
        expect_nothing_left();
    }

private:
    object watched(std::size_t bytes)
    {
        object const o = take(bytes, e_);
        expect_below(heap.record_of(e_).count.pages(), "the phase");
        return o;
    }

    bool close_;
    tslab::epoch_id e_{};
    object first_{};
};

/// Two threads, each in a phase of its own of one label, want more pages than the label may hold.
class phases_of_a_label : public limited {
    static constexpr std::uint32_t job = 1;   // the first name that a heap is told

public:
    bodies threads() override
    {
        heap.set_limit("job", most * tslab::page_bytes);
        attract(&account_of(job), "account");   // its first word is what it holds
        auto const work = [this](std::size_t begin) {
            tslab::epoch_resource r{heap, {.label = "job"}};
            expect(heap.state().epoch_slabs_at(r.epoch().index).label_id.load(std::memory_order_relaxed) == job,
                   "the label has another number");
            fill(
                begin, begin + 2,
                [&](std::size_t bytes) {
                    object const o = take(bytes, r.epoch());
                    expect_below(account_of(job).held(), "the label");
                    return o;
                },
                [this](object const& o) { give(o); });
        };
        return {[work] { work(0); }, [work] { work(2); }};
    }
    void judge() override
    {
        expect_no_counts();
        for (std::uint32_t i = 0; i < tslab::label_buckets; ++i)
            expect(account_of(i).held() == 0, "a label without objects has pages");
        expect_nothing_left();
    }
};

/// A limit is set while threads take pages that nobody counts, and free them.
class a_limit_that_comes : public limited {
public:
    bodies threads() override
    {
        e_ = heap.current_epoch();
        kept_ = take(sizes[0], e_);
        auto const work = [this](std::size_t begin) {
            fill(
                begin, begin + 2, [this](std::size_t bytes) { return take(bytes, e_); },
                [this](object const& o) { give(o); });
        };
        return {[work] { work(0); }, [work] { work(2); },
                [this] { expect(heap.set_limit(e_, most * tslab::page_bytes), "the epoch takes no limit"); }};
    }
    void judge() override
    {
        heap.trim(e_);   // no thread's cache has a slab that is not counted
        std::uint64_t const pages = heap.record_of(e_).count.pages();
        expect(pages == 1, "an object on one page, and " + std::to_string(pages) + " are counted");
        give(kept_);
        heap.close(e_);
        expect_no_counts();
        expect_nothing_left();
    }

private:
    tslab::epoch_id e_{};
    object kept_{};
};

}

BOOST_AUTO_TEST_SUITE(limits)

BOOST_AUTO_TEST_CASE(the_last_page_of_a_phase_and_a_free) { must_hold(make<last_page_of_a_phase>(false), usual_runs); }
BOOST_AUTO_TEST_CASE(the_last_page_of_a_phase_and_a_close) { must_hold(make<last_page_of_a_phase>(true), usual_runs); }
BOOST_AUTO_TEST_CASE(phases_of_a_label_that_want_more_than_it_may_hold)
{
    must_hold(make<phases_of_a_label>(), usual_runs);
}
BOOST_AUTO_TEST_CASE(a_limit_that_is_set_while_pages_are_taken) { must_hold(make<a_limit_that_comes>(), usual_runs); }

BOOST_AUTO_TEST_SUITE_END()
