// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The ring slot that a thread retains from one scope to the next: it is the thread's only as long as no other needs it,
// and nothing of the scope before shows in the next.
#define BOOST_TEST_MODULE retained_slots
#include <boost/test/unit_test.hpp>

#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

#include "recorder.hpp"

using support::on_other_thread;
using support::stats_of;
using tslab::epoch_scope;

namespace {

/// The slot of the calling thread's next scope.
std::uint32_t slot_of_a_scope(tslab::allocator& heap)
{
    epoch_scope const scope{heap, "probe"};
    return scope.epoch().index;
}

}

BOOST_AUTO_TEST_CASE(scopes_of_a_thread_have_one_slot_and_only_the_first_takes_its_lock_at_the_begin)
{
    tslab::allocator heap;
    slot_of_a_scope(heap);   // timed, and so not retained
    std::uint32_t const slot = slot_of_a_scope(heap);
    {
        epoch_scope const scope{heap, "probe"};   // takes the slab that the cache retains
        scope.resource()->deallocate(scope.resource()->allocate(100), 100);
    }
    auto const locks = [&heap] {
        auto const s = heap.snapshot();
        std::uint64_t n = 0;
        for (auto const& label : s.labels)
            n += label.contention.lock_fast_acquire + label.contention.lock_contended;
        return n;
    };
    std::uint64_t const before = locks();
    for (int i = 0; i < 100; ++i) {
        epoch_scope const scope{heap, "probe"};
        BOOST_TEST(scope.epoch().index == slot);
        scope.resource()->deallocate(scope.resource()->allocate(100), 100);
    }
    BOOST_TEST(locks() - before == 100u);   // one at the end of each
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.epoch_opens == 104u);
    BOOST_TEST(s.global.epoch_drains == 103u);
    BOOST_TEST(s.global.domain_enters == 103u);
    BOOST_TEST(s.global.domain_exits == 103u);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.active_epochs == 1u);
}

BOOST_AUTO_TEST_CASE(a_slot_that_a_thread_retains_is_free_for_every_other)
{
    tslab::allocator heap{{.epoch_count = 2}};
    for (int i = 0; i < 10; ++i) {
        slot_of_a_scope(heap);
        on_other_thread([&heap] { BOOST_TEST(slot_of_a_scope(heap) != heap.current_epoch().index); });
    }
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
}

BOOST_AUTO_TEST_CASE(advance_takes_a_slot_that_a_thread_retains)
{
    for (bool const elsewhere : {false, true}) {
        tslab::allocator heap{{.epoch_count = 2}};
        slot_of_a_scope(heap);
        slot_of_a_scope(heap);
        auto const before = heap.current_epoch();
        auto const advance = [&heap] { heap.advance(); };
        if (elsewhere)
            on_other_thread(advance);
        else
            advance();
        BOOST_TEST(heap.current_epoch().index != before.index);
        BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_thread_that_ends_retains_nothing)
{
    tslab::allocator heap{{.epoch_count = 4}};
    for (int i = 0; i < 20; ++i)
        on_other_thread([&heap] {
            slot_of_a_scope(heap);
            slot_of_a_scope(heap);
        });
    std::vector<std::uint32_t> slots;
    epoch_scope const a{heap};
    epoch_scope const b{heap};
    epoch_scope const c{heap};
    BOOST_TEST(a.epoch().index != b.epoch().index);
    BOOST_TEST(b.epoch().index != c.epoch().index);
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
}

BOOST_AUTO_TEST_CASE(a_name_of_a_scope_that_has_ended_names_nothing_of_the_next)
{
    tslab::allocator heap;
    slot_of_a_scope(heap);
    tslab::epoch_id old{};
    {
        epoch_scope const scope{heap, "first"};
        old = scope.epoch();
    }
    epoch_scope const scope{heap, "first"};
    BOOST_TEST(scope.epoch().index == old.index);
    BOOST_TEST(scope.epoch().era > old.era);
    BOOST_TEST(!heap.is_active(old));
    BOOST_TEST(!heap.set_label(old, "late"));
    BOOST_TEST(!heap.close(old).found);
    BOOST_TEST(!heap.trim(old).found);
    tslab::refusal why{};
    BOOST_TEST(heap.allocate_bytes(10, 8, old, why) == nullptr);
    BOOST_TEST(heap.is_active(scope.epoch()));
    BOOST_TEST(stats_of(heap, scope.epoch()).label == "first");
}

BOOST_AUTO_TEST_CASE(each_scope_has_its_own_label_and_place_whatever_the_one_before_had)
{
    tslab::allocator heap;
    slot_of_a_scope(heap);
    std::string const text = "abcdefghijklmnopqrstuvwxyz01234567";
    std::vector<std::string> labels;
    for (std::size_t n = 0; n <= 31; ++n) {
        labels.push_back(text.substr(0, n));
        for (std::size_t at = 0; at < n; ++at) {   // one byte is another one
            labels.push_back(text.substr(0, n));
            labels.back()[at] = '!';
        }
    }
    auto const check = [&heap](std::string const& label) {
        epoch_scope const scope{heap, label};
        std::string const shown = stats_of(heap, scope.epoch()).label;
        if (shown != label)
            BOOST_TEST(shown == label);
    };
    for (std::size_t i = 0; i < labels.size(); ++i) {
        check(labels[i]);
        check(labels[i]);   // as the scope before
        check(labels[(i + 1) % labels.size()]);
    }
    using namespace std::string_view_literals;
    for (std::string_view const label : {"ab"sv, "ab\0"sv, "ab\0c"sv, "\0"sv, ""sv}) {
        epoch_scope const scope{heap, label};
        BOOST_TEST(stats_of(heap, scope.epoch()).label == label.substr(0, label.find('\0')));
    }
    std::vector<std::uint32_t> lines;
    for (int i = 0; i < 2; ++i) {
        epoch_scope const one{heap, "place"};
        lines.push_back(stats_of(heap, one.epoch()).opened_at.line);
    }
    {
        epoch_scope const other{heap, "place"};
        lines.push_back(stats_of(heap, other.epoch()).opened_at.line);
    }
    BOOST_TEST(lines[0] == lines[1]);
    BOOST_TEST(lines[2] == lines[0] + 4);
}

BOOST_AUTO_TEST_CASE(a_label_that_is_cut_or_shares_other_is_counted_at_each_scope)
{
    tslab::allocator heap;
    for (int i = 0; i < 14; ++i)
        epoch_scope const scope{heap, "label " + std::to_string(i)};
    std::string const longer(40, 'x');
    auto const before = heap.snapshot().global;
    for (int i = 0; i < 5; ++i) {
        epoch_scope const cut{heap, longer};
    }
    for (int i = 0; i < 5; ++i) {
        epoch_scope const further{heap, "one more"};
    }
    auto const after = heap.snapshot().global;
    BOOST_TEST(after.labels_cut - before.labels_cut >= 5u);
    BOOST_TEST(after.labels_in_overflow - before.labels_in_overflow == 10u);
}
