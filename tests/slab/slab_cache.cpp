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

std::vector<tslab::slab_meta*> take(tslab::slab_cache& cache, unsigned bin, int n, tslab::class_counters& counts)
{
    std::vector<tslab::slab_meta*> all;
    for (int i = 0; i < n; ++i) {
        all.push_back(cache.take(bin, counts));
        BOOST_REQUIRE(all.back() != nullptr);
        std::memset(all.back()->base, 1, tslab::page_bytes);
    }
    return all;
}

/// Puts a slab back and counts whether it was cached, as the caller does in the library.
void put(tslab::slab_cache& cache, tslab::slab_meta& s, tslab::class_counters& counts)
{
    counts[cache.put(s) ? class_event::recycled : class_event::overflowed].add();
}

std::uint64_t events(tslab::class_counters const& counts, class_event e) { return counts[e].value(); }

}

BOOST_AUTO_TEST_CASE(a_slab_comes_out_empty_whatever_state_it_went_in)
{
    tslab::slab_cache cache{reclaim_policy::cached, 32, small_heap};
    tslab::class_counters counts;
    for (unsigned bin = 0; bin < tslab::bin_count; ++bin) {
        if (tslab::has_subslabs(bin))
            continue;
        tslab::slab_meta* const s = cache.take(bin, counts);
        for (int round = 0; round < 2; ++round) {
            BOOST_TEST(s->bin() == bin);
            BOOST_TEST(s->local_free.load() == tslab::bins[bin].full_mask);
            BOOST_TEST(s->remote_free.load() == 0u);
            BOOST_TEST(s->owner.load().is_nowhere());
            BOOST_TEST(s->home.load() == nullptr);
            s->local_free = 5;
            s->remote_free = 9;
            s->owner = tslab::owner_ref::of_bin(&cache);
            s->home = &cache;
            std::uint64_t twice = 0;
            tslab::mark_empty(*s, bin, [&](tslab::slab_meta& subslab, std::uint64_t slots) {
                BOOST_TEST(&subslab == s);
                twice = slots;
            });
            BOOST_TEST(twice == 1u);   // 5 and 9: bit 0 was in both
            put(cache, *s, counts);
            BOOST_TEST((s->where.load() == tslab::residence::cached));
            BOOST_TEST(s->local_free.load() == tslab::bins[bin].full_mask);   // a late free finds its bit set
            BOOST_TEST(cache.take(bin, counts) == s);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_slab_of_subslabs_comes_out_with_every_slot_of_every_subslab_free)
{
    tslab::slab_cache cache{reclaim_policy::cached, 32, small_heap};
    tslab::class_counters counts;
    for (unsigned bin = 0; bin < tslab::bin_count; ++bin) {
        if (!tslab::has_subslabs(bin))
            continue;
        auto const& geometry = tslab::bins[bin];
        tslab::slab_meta* const s = cache.take(bin, counts);
        BOOST_REQUIRE(s != nullptr);
        for (int round = 0; round < 2; ++round) {
            unsigned subslabs = 0;
            tslab::for_each_subslab(*s, bin, [&](tslab::slab_meta& subslab) {
                BOOST_TEST(&tslab::slab_of(subslab, bin) == s);
                BOOST_TEST(subslab.base == s->base + subslabs * tslab::page_bytes / geometry.subslabs);
                BOOST_TEST(cache.pages().map().find_subslab(subslab.base, bin) == &subslab);
                BOOST_TEST(subslab.local_free.load() == geometry.full_mask);
                BOOST_TEST(subslab.remote_free.load() == 0u);
                BOOST_TEST(subslab.owner.load().is_nowhere());
                subslab.local_free = 5;
                subslab.remote_free = subslabs == 1 ? 9 : 0;
                subslab.owner = tslab::owner_ref::of_bin(&cache);
                ++subslabs;
            });
            BOOST_TEST(subslabs == geometry.subslabs);
            BOOST_TEST(tslab::live_slots(*s, bin) == geometry.slab_slots() - 2 * subslabs - 1);
            unsigned found = 0;
            tslab::mark_empty(*s, bin, [&](tslab::slab_meta& subslab, std::uint64_t slots) {
                BOOST_TEST(&subslab == tslab::first_subslab(*s, bin) + tslab::subslab_stride(bin));
                BOOST_TEST(slots == 1u);
                ++found;
            });
            BOOST_TEST(found == 1u);
            BOOST_TEST(cache.put(*s));
            BOOST_TEST(cache.take(bin, counts) == s);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_slab_of_many_pages_is_found_from_every_one_of_them_and_comes_apart_again)
{
    tslab::slab_cache cache{reclaim_policy::eager, 0, small_heap};
    tslab::class_counters counts;
    for (unsigned c = 0; c < tslab::class_count; ++c) {
        std::uint32_t const pages = tslab::bins[c].pages;
        tslab::slab_meta* const s = cache.take(c, counts);
        BOOST_REQUIRE(s != nullptr);
        std::uint32_t const first = cache.pages().index_of(*s);
        BOOST_TEST(first % pages == 0u);
        for (std::uint32_t i = 0; i < pages; ++i)
            BOOST_TEST(cache.pages().first_page_of(&cache.pages().at(first + i)) == s);
        BOOST_TEST(cache.pages().map().find_subslab(s->base + pages * tslab::page_bytes - 1, c) ==
                   (tslab::has_subslabs(c)
                        ? tslab::first_subslab(*s, c) + tslab::max_subslabs - tslab::subslab_stride(c)
                        : s));
        cache.put(*s);
        for (std::uint32_t i = 0; i < pages; ++i)
            BOOST_TEST(cache.pages().at(first + i).tag.load() == tslab::tag_none);
        BOOST_TEST(cache.pages().free_resident_pages() >= pages);
    }
}

BOOST_AUTO_TEST_CASE(an_empty_slab_is_cut_anew_for_every_class_with_as_many_pages)
{
    tslab::slab_cache cache{reclaim_policy::eager, 0, small_heap};
    tslab::class_counters counts;
    for (unsigned from = 0; from < tslab::class_count; ++from)
        for (unsigned to = 0; to < tslab::class_count; ++to) {
            std::uint32_t const pages = tslab::bins[from].pages;
            if (from == to || tslab::bins[to].pages != pages)
                continue;
            tslab::slab_meta* const s = cache.take(from, counts);
            BOOST_REQUIRE(s != nullptr);
            std::byte* const base = s->base;
            std::uint32_t const first = cache.pages().index_of(*s);
            cache.recut(*s, to);
            BOOST_TEST(s->bin() == to);
            BOOST_TEST(s->base == base);
            BOOST_TEST(cache.pages().index_of(*s) == first);
            unsigned subslabs = 0;
            tslab::for_each_subslab(*s, to, [&](tslab::slab_meta const& subslab) {
                BOOST_TEST(subslab.local_free.load() == tslab::bins[to].full_mask);
                BOOST_TEST(subslab.remote_free.load() == 0u);
                BOOST_TEST(subslab.owner.load().is_nowhere());
                BOOST_TEST(subslab.base == base + subslabs * (tslab::bins[to].offset_mask + std::size_t{1}));
                ++subslabs;
            });
            BOOST_TEST(subslabs == tslab::bins[to].subslabs);
            for (std::uint32_t i = 0; i < pages; ++i)
                BOOST_TEST(cache.pages().first_page_of(&cache.pages().at(first + i)) == s);
            cache.put(*s);
        }
    BOOST_TEST(cache.pages().free_resident_pages() + cache.pages().free_purged_pages() == cache.pages().used_pages());
}

BOOST_AUTO_TEST_CASE(keeps_32_slabs_a_class_and_lets_the_rest_go)
{
    tslab::slab_cache cache{reclaim_policy::cached, 32, small_heap};
    tslab::class_counters counts;
    auto const all = take(cache, 2, 50, counts);
    BOOST_TEST(events(counts, class_event::cache_miss) == 50u);
    for (auto* s : all)
        put(cache, *s, counts);
    BOOST_TEST(cache.cached(2) == 32u);
    BOOST_TEST(cache.cached(1) == 0u);
    BOOST_TEST(events(counts, class_event::recycled) == 32u);
    BOOST_TEST(events(counts, class_event::overflowed) == 18u);
    BOOST_TEST(cache.pages().free_resident_pages() == 18u);
    std::set<tslab::slab_meta*> const again = [&] {
        auto const v = take(cache, 2, 32, counts);
        return std::set<tslab::slab_meta*>{v.begin(), v.end()};
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
    tslab::slab_meta* const s = cache.take(1, counts);
    put(cache, *s, counts);
    BOOST_TEST(cache.take(3, counts) != s);
    tslab::slab_meta* const by_handle = cache.take(1 + tslab::class_count, counts);
    BOOST_TEST(by_handle == s);
    BOOST_TEST(by_handle->bin() == 1 + tslab::class_count);
    BOOST_TEST(cache.pages().has_generations(cache.pages().index_of(*s)));
}

BOOST_AUTO_TEST_CASE(eager_caches_nothing_and_hands_back_at_every_settle)
{
    tslab::slab_cache cache{reclaim_policy::eager, 32, small_heap};
    tslab::class_counters counts;
    BOOST_TEST(cache.capacity(0) == 0u);
    for (bool asked : {false, true}) {
        auto const all = take(cache, 0, 10, counts);
        for (auto* s : all)
            put(cache, *s, counts);
        BOOST_TEST(cache.cached(0) == 0u);
        BOOST_TEST(cache.pages().free_resident_pages() == 10u);
        BOOST_TEST(cache.purge_if_due(asked).bytes == 10 * tslab::page_bytes);
        for (auto* s : all)
            BOOST_TEST(tslab::resident_bytes(s->base, 1) == 0u);
    }
}

BOOST_AUTO_TEST_CASE(cached_hands_overflow_back_when_asked)
{
    tslab::slab_cache cache{reclaim_policy::cached, 4, small_heap};
    tslab::class_counters counts;
    auto const give = [&](int n) {
        for (auto* s : take(cache, 0, n, counts))
            put(cache, *s, counts);
    };
    give(10);
    BOOST_TEST(cache.purge_if_due(false).calls == 0u);
    BOOST_TEST(cache.purge_if_due(true).bytes == 6 * tslab::page_bytes);
    BOOST_TEST(cache.cached(0) == 4u);
    give(4 + 4 * int(tslab::class_count) + 1);
    BOOST_TEST(cache.purge_if_due(false).bytes == 0u);   // however much it is: a thread may want it at once
    BOOST_TEST(cache.cached(0) == 4u);
}

BOOST_AUTO_TEST_CASE(what_no_one_wanted_since_the_last_time_decays)
{
    tslab::slab_cache cache{reclaim_policy::cached, 8, small_heap};
    tslab::class_counters counts;
    auto slabs = take(cache, 0, 8, counts);
    for (auto* s : slabs)
        put(cache, *s, counts);
    cache.decay();   // there were none when the period began
    BOOST_TEST(cache.cached(0) == 8u);
    slabs = take(cache, 0, 3, counts);
    for (auto* s : slabs)
        put(cache, *s, counts);
    cache.decay();   // five have lain there all the time
    BOOST_TEST(cache.cached(0) == 3u);
    BOOST_TEST(cache.pages().free_resident_pages() == 5u);
    cache.decay();
    BOOST_TEST(cache.cached(0) == 0u);
    BOOST_TEST(cache.pages().free_resident_pages() == 8u);
}

BOOST_AUTO_TEST_CASE(never_keeps_every_page_until_a_trim)
{
    support::os_hook hook;
    tslab::slab_cache cache{reclaim_policy::never, 4, small_heap};
    tslab::class_counters counts;
    for (auto* s : take(cache, 0, 100, counts))
        put(cache, *s, counts);
    BOOST_TEST(cache.purge_if_due(false).calls == 0u);
    BOOST_TEST(cache.purge_if_due(true).calls == 0u);
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
    std::vector<tslab::slab_meta*> all;
    while (tslab::slab_meta* const s = cache.take(5, counts))
        all.push_back(s);
    BOOST_TEST(all.size() == 4096u / tslab::bins[5].pages);
    put(cache, *all.back(), counts);
    BOOST_TEST(cache.take(4, counts) == nullptr);   // cached for another class
    BOOST_TEST(cache.take(5, counts) == all.back());
    put(cache, *all[0], counts);
    cache.trim();
    BOOST_TEST(cache.take(4, counts) == all[0]);
}

BOOST_AUTO_TEST_CASE(a_slab_for_handles_without_memory_for_generations_is_not_lost)
{
    support::os_hook hook;
    tslab::slab_cache cache{reclaim_policy::cached, 2, small_heap};
    tslab::class_counters counts;
    put(cache, *cache.take(0, counts), counts);   // the first pages are committed
    cache.trim();
    hook.fail_commit = true;
    BOOST_TEST(cache.take(tslab::class_count, counts) == nullptr);
    BOOST_TEST(cache.pages().free_resident_pages() + cache.pages().free_purged_pages() == cache.pages().used_pages());
    hook.fail_commit = false;
    BOOST_TEST(cache.take(tslab::class_count, counts) != nullptr);
}

BOOST_AUTO_TEST_CASE(a_cached_slab_without_memory_for_generations_becomes_free_pages)
{
    constexpr unsigned for_handles = tslab::class_count;
    support::os_hook hook;
    tslab::slab_cache cache{reclaim_policy::cached, 2, small_heap};
    tslab::class_counters counts;
    tslab::slab_meta* const s = cache.take(tslab::class_of_bin(for_handles), counts);
    put(cache, *s, counts);
    BOOST_TEST(cache.cached(tslab::class_of_bin(for_handles)) == 1u);
    hook.fail_commit = true;
    BOOST_TEST(cache.take(for_handles, counts) == nullptr);
    BOOST_TEST(cache.cached(tslab::class_of_bin(for_handles)) == 0u);
    BOOST_TEST(cache.pages().free_resident_pages() + cache.pages().free_purged_pages() == cache.pages().used_pages());
    hook.fail_commit = false;
    BOOST_TEST(cache.take(for_handles, counts) == s);
}
