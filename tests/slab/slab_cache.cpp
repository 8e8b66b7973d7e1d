// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// slab_cache: how many empty slabs stay, under which policy, and in which state a slab comes out.
#define BOOST_TEST_MODULE slab_cache
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <set>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using tslab::class_event;
using tslab::reclaim_policy;

namespace {

constexpr std::size_t small_heap = std::size_t{16} << 20;

std::vector<tslab::slab*> take(tslab::slab_cache& cache, unsigned bin, int n, tslab::class_counters& counts)
{
    std::vector<tslab::slab*> all;
    for (int i = 0; i < n; ++i) {
        all.push_back(cache.take(bin, counts));
        BOOST_REQUIRE(all.back() != nullptr);
        std::memset(all.back()->base, 1, tslab::page_bytes);
    }
    return all;
}

std::uint64_t events(tslab::class_counters const& counts, class_event e) { return counts[e].value(); }

}

BOOST_AUTO_TEST_CASE(a_slab_comes_out_empty_whatever_state_it_went_in)
{
    tslab::slab_cache cache{reclaim_policy::cached, 32, small_heap};
    tslab::class_counters counts;
    for (unsigned bin = 0; bin < tslab::bin_count; ++bin) {
        tslab::slab* const s = cache.take(bin, counts);
        for (int round = 0; round < 2; ++round) {
            BOOST_TEST(s->bin() == bin);
            BOOST_TEST(s->local.load() == tslab::bins[bin].full_mask);
            BOOST_TEST(s->shared.load() == 0u);
            BOOST_TEST(s->owner.load() == &tslab::nowhere);
            BOOST_TEST(s->home.load() == nullptr);
            s->local = 5;
            s->shared = 9;
            s->owner = &cache;
            s->home = &cache;
            BOOST_TEST(tslab::mark_empty(*s, bin) == (tslab::bins[bin].full_mask & 1U));   // 5 and 9: bit 0 was in both
            cache.put(*s, counts);
            BOOST_TEST((s->where.load() == tslab::residence::cached));
            BOOST_TEST(s->local.load() == tslab::bins[bin].full_mask);   // a late free finds its bit set
            BOOST_TEST(cache.take(bin, counts) == s);
        }
    }
}

BOOST_AUTO_TEST_CASE(keeps_32_slabs_a_class_and_lets_the_rest_go)
{
    tslab::slab_cache cache{reclaim_policy::cached, 32, small_heap};
    tslab::class_counters counts;
    auto const all = take(cache, 2, 50, counts);
    BOOST_TEST(events(counts, class_event::cache_miss) == 50u);
    for (auto* s : all)
        cache.put(*s, counts);
    BOOST_TEST(cache.cached(2) == 32u);
    BOOST_TEST(cache.cached(1) == 0u);
    BOOST_TEST(events(counts, class_event::recycled) == 32u);
    BOOST_TEST(events(counts, class_event::overflowed) == 18u);
    BOOST_TEST(cache.pages().free_resident_pages() == 18u);
    std::set<tslab::slab*> const again = [&] {
        auto const v = take(cache, 2, 32, counts);
        return std::set<tslab::slab*>{v.begin(), v.end()};
    }();
    BOOST_TEST(again.size() == 32u);
    BOOST_TEST(events(counts, class_event::cache_hit) == 32u);
    BOOST_TEST(cache.cached(2) == 0u);
    BOOST_TEST(cache.take(2, counts) != nullptr);   // and now from the free pages
    BOOST_TEST(events(counts, class_event::cache_hit) == 32u);
    BOOST_TEST(cache.pages().free_resident_pages() == 17u);
}

BOOST_AUTO_TEST_CASE(classes_do_not_share_their_slabs_but_a_class_shares_its_two_bins)
{
    tslab::slab_cache cache{reclaim_policy::cached, 32, small_heap};
    tslab::class_counters counts;
    tslab::slab* const s = cache.take(1, counts);
    cache.put(*s, counts);
    BOOST_TEST(cache.take(3, counts) != s);
    tslab::slab* const by_handle = cache.take(1 + tslab::class_count, counts);
    BOOST_TEST(by_handle == s);
    BOOST_TEST(by_handle->bin() == 1 + tslab::class_count);
    BOOST_TEST(cache.pages().has_generations(cache.pages().index_of(*s)));
}

BOOST_AUTO_TEST_CASE(eager_caches_nothing_and_hands_back_at_every_settle)
{
    tslab::slab_cache cache{reclaim_policy::eager, 32, small_heap};
    tslab::class_counters counts;
    BOOST_TEST(cache.capacity() == 0u);
    for (bool asked : {false, true}) {
        auto const all = take(cache, 0, 10, counts);
        for (auto* s : all)
            cache.put(*s, counts);
        BOOST_TEST(cache.cached(0) == 0u);
        BOOST_TEST(cache.pages().free_resident_pages() == 10u);
        BOOST_TEST(cache.settle(asked).bytes == 10 * tslab::page_bytes);
        for (auto* s : all)
            BOOST_TEST(tslab::resident_bytes(s->base, 1) == 0u);
    }
}

BOOST_AUTO_TEST_CASE(cached_hands_overflow_back_when_asked_or_when_it_is_much)
{
    tslab::slab_cache cache{reclaim_policy::cached, 4, small_heap};
    tslab::class_counters counts;
    auto const give = [&](int n) {
        for (auto* s : take(cache, 0, n, counts))
            cache.put(*s, counts);
    };
    give(10);
    BOOST_TEST(cache.settle(false).calls == 0u);
    BOOST_TEST(cache.settle(true).bytes == 6 * tslab::page_bytes);
    BOOST_TEST(cache.cached(0) == 4u);
    give(4 + 4 * int(tslab::class_count) + 1);
    BOOST_TEST(cache.settle(false).bytes == (4 * tslab::class_count + 1) * tslab::page_bytes);
    BOOST_TEST(cache.cached(0) == 4u);
}

BOOST_AUTO_TEST_CASE(never_keeps_every_page_until_a_trim)
{
    support::os_hook hook;
    tslab::slab_cache cache{reclaim_policy::never, 4, small_heap};
    tslab::class_counters counts;
    for (auto* s : take(cache, 0, 100, counts))
        cache.put(*s, counts);
    BOOST_TEST(cache.settle(false).calls == 0u);
    BOOST_TEST(cache.settle(true).calls == 0u);
    BOOST_TEST(hook.purges == 0u);
    BOOST_TEST(cache.pages().free_resident_pages() == 96u);
    BOOST_TEST(cache.trim().bytes == 100 * tslab::page_bytes);
    BOOST_TEST(cache.cached(0) == 0u);
    BOOST_TEST(cache.pages().free_purged_pages() == 100u);
}

BOOST_AUTO_TEST_CASE(running_out_of_pages_is_null_and_a_put_ends_it)
{
    tslab::slab_cache cache{reclaim_policy::cached, 2, small_heap};
    tslab::class_counters counts;
    std::vector<tslab::slab*> all;
    while (tslab::slab* const s = cache.take(5, counts))
        all.push_back(s);
    BOOST_TEST(all.size() == 4096u);
    cache.put(*all.back(), counts);
    BOOST_TEST(cache.take(4, counts) == nullptr);   // cached for another class
    BOOST_TEST(cache.take(5, counts) == all.back());
    cache.put(*all[0], counts);
    cache.trim();
    BOOST_TEST(cache.take(4, counts) == all[0]);
}

BOOST_AUTO_TEST_CASE(a_slab_for_handles_without_memory_for_generations_is_not_lost)
{
    support::os_hook hook;
    tslab::slab_cache cache{reclaim_policy::cached, 2, small_heap};
    tslab::class_counters counts;
    cache.put(*cache.take(0, counts), counts);   // the first pages are committed
    cache.trim();
    hook.fail_commit = true;
    BOOST_TEST(cache.take(tslab::class_count, counts) == nullptr);
    BOOST_TEST(cache.pages().free_resident_pages() + cache.pages().free_purged_pages() == cache.pages().used_pages());
    hook.fail_commit = false;
    BOOST_TEST(cache.take(tslab::class_count, counts) != nullptr);
}
