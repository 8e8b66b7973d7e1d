// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What statistics say of closes by the ends of scopes, resources and domains: every one is counted, those with work are
// timed, purges are told apart from it, and what purges brought is summed up by label.
#define BOOST_TEST_MODULE close_figures
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::stats_of;
using tslab::reclaim_policy;

namespace {

/// Allocates, touches and frees `bytes` in a scope that ends then; returns its epoch.
tslab::epoch_id use_and_free(tslab::allocator& heap, std::string_view label, std::size_t bytes)
{
    tslab::epoch_scope scope{heap, label};
    std::vector<void*> all;
    for (std::size_t used = 0; used < bytes; used += 2048) {
        all.push_back(scope.resource()->allocate(2048));
        std::memset(all.back(), 1, 2048);
    }
    for (void* const p : all)
        scope.resource()->deallocate(p, 2048);
    return scope.epoch();
}

tslab::label_stats label_of(tslab::snapshot const& s, std::string_view name)
{
    for (tslab::label_stats const& l : s.labels)
        if (l.name == name)
            return l;
    return {};
}

}

BOOST_AUTO_TEST_CASE(scopes_that_leave_nothing_are_all_counted_and_one_in_1024_is_timed)
{
    tslab::allocator heap;
    for (int i = 0; i < 3 * 1024; ++i) {
        tslab::epoch_scope scope{heap, "short"};
        scope.resource()->deallocate(scope.resource()->allocate(64), 64);
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.epoch_closes == 3u * 1024);
    BOOST_TEST(s.global.epoch_close_timed == 3u);
    BOOST_TEST(s.global.epoch_close_total_ns > 0u);
    BOOST_TEST(s.global.epoch_close_total_ns < 3u * 100'000'000);
    BOOST_TEST(s.global.epoch_close_purge_ns == 0u);
    BOOST_TEST(s.global.epoch_close_scanned_slabs == 3u * 1024);
    BOOST_TEST(s.global.epoch_close_recycled_slabs == 3u * 1024);
    BOOST_TEST(s.classes[0].epoch_close_calls == 3u * 1024);
    BOOST_TEST(s.classes[0].epoch_close_total_ns == s.global.epoch_close_total_ns);
    BOOST_TEST(s.last_close.timestamp_ns != 0u);
    BOOST_TEST(s.last_close.label == "short");
    BOOST_TEST(s.last_close.scanned_slabs == 1u);
    BOOST_TEST(s.last_close.recycled_slabs == 1u);
    BOOST_TEST(s.last_close.purge_nanoseconds == 0u);
    BOOST_TEST(s.last_close.rss_before == 0u);   // nothing was purged, so it was not read
}

BOOST_AUTO_TEST_CASE(every_end_that_finds_objects_is_timed)
{
    tslab::allocator heap;
    constexpr unsigned ends = 50;
    std::vector<void*> left;
    for (unsigned i = 0; i < ends; ++i) {
        tslab::epoch_domain domain{heap, {.label = "left"}};
        domain.enter();
        left.push_back(heap.malloc(64, domain.epoch()));
        domain.exit();
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.epoch_closes == ends);
    BOOST_TEST(s.global.epoch_close_timed == ends);
    BOOST_TEST(s.global.epoch_close_scanned_slabs == ends);
    BOOST_TEST(s.global.epoch_close_recycled_slabs == 0u);
    BOOST_TEST(s.classes[0].epoch_close_total_ns == s.global.epoch_close_total_ns);
    BOOST_TEST(s.last_close.label == "left");
    BOOST_TEST(s.last_close.scanned_slabs == 1u);
    BOOST_TEST(s.last_close.recycled_slabs == 0u);
    for (void* const p : left)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(an_end_that_purges_tells_what_it_brought)
{
    support::os_hook hook;
    tslab::allocator heap{{.epoch_count = 64, .reclaim = reclaim_policy::eager}};
    constexpr std::uint64_t mib = 1 << 20;
    use_and_free(heap, "warm", 4096);
    auto const before = heap.snapshot();
    std::uint64_t const calls = hook.purges;
    std::uint64_t const bytes = hook.purge_bytes;
    tslab::epoch_id const e = use_and_free(heap, "batch", 16 * mib);
    std::uint64_t const purged = hook.purge_bytes - bytes;
    auto const s = heap.snapshot();
    auto const one = stats_of(s, e);
    auto const label = label_of(s, "batch");
    BOOST_TEST(purged >= 16 * mib);
    BOOST_TEST(one.madvise_bytes == purged);
    BOOST_TEST(one.madvise_asked_bytes == purged);
    BOOST_TEST(one.madvise_gone_bytes == purged);
    BOOST_TEST(one.rss_before_close > 0u);
    BOOST_TEST(one.rss_after_close > 0u);
    if (!support::sanitized)
        BOOST_TEST(one.rss_before_close - one.rss_after_close >= purged / 2);
    BOOST_TEST(s.last_close.label == "batch");
    BOOST_TEST((s.last_close.index == e.index && s.last_close.era == e.era));
    BOOST_TEST(s.last_close.madvise_calls == hook.purges - calls);
    BOOST_TEST(s.last_close.madvise_bytes == purged);
    BOOST_TEST(s.last_close.madvise_asked_bytes == purged);
    BOOST_TEST(s.last_close.madvise_gone_bytes == purged);
    BOOST_TEST(s.last_close.rss_before == one.rss_before_close);
    BOOST_TEST(s.last_close.rss_after == one.rss_after_close);
    BOOST_TEST(s.last_close.purge_nanoseconds > 0u);
    BOOST_TEST(s.last_close.purge_nanoseconds <= s.last_close.nanoseconds);
    BOOST_TEST(s.global.epoch_close_timed == before.global.epoch_close_timed + 1);
    BOOST_TEST(s.global.epoch_close_purge_ns == before.global.epoch_close_purge_ns + s.last_close.purge_nanoseconds);
    BOOST_TEST(s.global.epoch_close_total_ns ==
               before.global.epoch_close_total_ns + s.last_close.nanoseconds - s.last_close.purge_nanoseconds);
    BOOST_TEST(s.global.purge_ns == s.global.epoch_close_purge_ns);
    BOOST_TEST(label.madvise_asked_bytes == purged);
    BOOST_TEST(label.madvise_gone_bytes == purged);
    BOOST_TEST(s.global.madvise_asked_bytes == hook.purge_bytes);
    BOOST_TEST(s.global.madvise_gone_bytes == hook.purge_bytes);
    // The gauges of the epoch vanish when its ring slot is used again; the counters stay.
    for (int i = 0; i < 200; ++i)
        tslab::epoch_scope const scope{heap, "other"};
    BOOST_TEST(heap.close(heap.advance()).found);
    auto const later = heap.snapshot();
    BOOST_TEST(stats_of(later, e).madvise_bytes == 0u);
    BOOST_TEST(label_of(later, "batch").madvise_asked_bytes == purged);
    // So does what the last close of its label did, while that of the heap is another's.
    BOOST_TEST(later.last_close.label != "batch");
    BOOST_TEST_REQUIRE(label_of(later, "batch").last_close.has_value());
    BOOST_TEST((*label_of(later, "batch").last_close == s.last_close));
    // The kernel refuses: asked for, and still there.
    hook.fail_purge = true;
    use_and_free(heap, "refused", mib);
    auto const refused = label_of(heap.snapshot(), "refused");
    BOOST_TEST(refused.madvise_asked_bytes >= mib);
    BOOST_TEST(refused.madvise_gone_bytes == 0u);
    hook.fail_purge = false;
}

BOOST_AUTO_TEST_CASE(purges_that_belong_to_no_close_are_in_the_sum_alone)
{
    support::os_hook hook;
    tslab::allocator heap;
    use_and_free(heap, "cached", 1 << 20);
    BOOST_TEST(hook.purges == 0u);
    heap.trim();
    auto const s = heap.snapshot();
    BOOST_TEST(hook.purge_bytes >= 1u << 20);
    BOOST_TEST(s.global.madvise_asked_bytes == hook.purge_bytes);
    BOOST_TEST(s.global.madvise_gone_bytes == hook.purge_bytes);
    BOOST_TEST(s.global.purge_ns > 0u);
    BOOST_TEST(s.global.epoch_close_purge_ns == 0u);
    BOOST_TEST(label_of(s, "cached").madvise_asked_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(the_time_of_a_close_is_that_of_looking_and_not_of_purging)
{
    support::os_hook hook;
    tslab::allocator heap{{.reclaim = reclaim_policy::eager}};
    hook.purge_ms = 30;
    constexpr unsigned closes = 10;
    for (unsigned i = 0; i < closes; ++i) {
        if (i % 2 == 0) {
            use_and_free(heap, "by scope", 64 << 10);
            continue;
        }
        for (int k = 0; k < 32; ++k)
            heap.free(std::memset(heap.malloc(2048), 1, 2048));
        tslab::close_report const r = heap.close(heap.current_epoch());
        BOOST_TEST(r.madvise_calls >= 1u);
        BOOST_TEST(r.nanoseconds >= r.purge_nanoseconds);
        BOOST_TEST(r.purge_nanoseconds >= r.madvise_calls * 30'000'000);
    }
    hook.purge_ms = 0;
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.epoch_closes == closes);
    BOOST_TEST(s.global.epoch_close_timed == closes);
    BOOST_TEST(s.global.epoch_close_purge_ns >= hook.purges * 30'000'000);
    BOOST_TEST(s.global.epoch_close_total_ns < closes * 10'000'000);
    for (tslab::finding const& f : tslab::diagnose(s))
        BOOST_TEST(f.code != "slow_close");   // a slow kernel is no slow close
}

BOOST_AUTO_TEST_CASE(the_last_close_of_each_label_is_kept_if_it_purged_or_was_asked_for)
{
    tslab::allocator heap;
    std::vector<tslab::epoch_id> closed;
    for (std::string_view const name : {"one", "two", "one", ""}) {
        tslab::epoch_id const e = heap.current_epoch();
        if (!name.empty())
            heap.set_label(e, name);
        heap.free(heap.malloc(64, e));
        BOOST_TEST(heap.close(e).found);
        closed.push_back(e);
    }
    for (int i = 0; i < 3 * 1024; ++i) {   // three of these are timed, none purges
        tslab::epoch_scope scope{heap, "short"};
        scope.resource()->deallocate(scope.resource()->allocate(64), 64);
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.last_close.label == "short");
    BOOST_TEST(!label_of(s, "short").last_close.has_value());
    for (auto const& [name, nth] : {std::pair{"one", 2}, std::pair{"two", 1}, std::pair{"unlabeled", 3}}) {
        auto const last = label_of(s, name).last_close;
        BOOST_TEST_REQUIRE(last.has_value(), name);
        auto const& e = closed[static_cast<std::size_t>(nth)];
        BOOST_TEST((last->index == e.index && last->era == e.era), name);
        BOOST_TEST(last->label == (nth == 3 ? "" : name));
        BOOST_TEST(last->rss_before > 0u);
        BOOST_TEST(last->scanned_slabs == 1u);
        BOOST_TEST(last->nanoseconds > 0u);
        BOOST_TEST(last->timestamp_ns <= s.timestamp_ns);
    }
}
