// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a thread cache retains between two epochs of its thread: the slabs that were empty when the first one ended. The
// next epoch starts with them without a slow path; statistics count them as cached; a thread that needs the memory gets
// it.
#define BOOST_TEST_MODULE retained
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::on_other_thread;
using support::stats_of;
using tslab::misuse;
using tslab::reclaim_policy;

namespace {

/// Slabs that detached thread caches retain.
std::size_t retained_slabs(tslab::allocator& heap)
{
    std::size_t n = 0;
    heap.state().pages().for_each_run([&n](tslab::unit_run r) {
        for (std::uint32_t i = r.first * tslab::unit_pages; i < (r.first + r.count) * tslab::unit_pages; ++i) {
            tslab::thread_cache const* const l = tslab::cache_owning(tslab::page_heap::at(i));
            n += l != nullptr && l->attached() == nullptr ? 1 : 0;
        }
    });
    return n;
}

/// Allocates `n` objects of `bytes` in a scope of their own, and frees them before it ends.
void use_scope(tslab::allocator& heap, std::size_t n, std::size_t bytes)
{
    tslab::epoch_scope scope{heap, "scope"};
    std::vector<void*> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(scope.resource()->allocate(bytes));
    for (void* const p : all)
        scope.resource()->deallocate(p, bytes);
}

std::uint64_t cached_pages(tslab::snapshot const& s)
{
    std::uint64_t n = 0;
    for (tslab::class_stats const& c : s.classes)
        n += c.cached_slabs * c.pages_per_slab;
    return n;
}

int in_child(std::function<int()> const& f)
{
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        ::alarm(60);
        ::_exit(f());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

}

BOOST_AUTO_TEST_CASE(a_scope_begins_with_the_slabs_that_the_one_before_ended_with)
{
    for (unsigned const c : {0U, 7U, 8U, 10U, 11U}) {
        tslab::allocator heap;
        std::size_t const bytes = tslab::class_sizes[c];
        use_scope(heap, 1, bytes);
        auto const first = heap.snapshot();
        BOOST_TEST(first.classes[c].slow_path_hits == 1u);
        BOOST_TEST(retained_slabs(heap) == 1u);
        for (int i = 0; i < 99; ++i)
            use_scope(heap, tslab::bins[c].slots, bytes);
        auto const s = heap.snapshot();
        auto const& of = s.classes[c];
        BOOST_TEST(of.slow_path_hits == 1u);
        BOOST_TEST(of.new_slab_count == 1u);
        BOOST_TEST(of.cache_hits == 0u);
        // Each scope used the slab and recycled it.
        BOOST_TEST(of.epoch_close_calls == 100u);
        BOOST_TEST(of.epoch_close_scanned_slabs == 100u);
        BOOST_TEST(of.epoch_close_recycled_slabs == 100u);
        BOOST_TEST(of.empty_slab_recycled == 100u);
        BOOST_TEST(s.global.epoch_close_scanned_slabs == 100u);
        BOOST_TEST(s.global.epoch_close_recycled_slabs == 100u);
        BOOST_TEST(s.global.slabs_recycled == 100u);
        BOOST_TEST(s.global.epoch_drains == 100u);
        BOOST_TEST(of.allocations == 1 + 99u * tslab::bins[c].slots);
        BOOST_TEST(retained_slabs(heap) == 1u);
    }
}

BOOST_AUTO_TEST_CASE(what_is_retained_is_reported_as_cached_until_it_is_used)
{
    tslab::allocator heap;
    use_scope(heap, 70, 64);   // two slabs
    use_scope(heap, 1, 768);
    auto s = heap.snapshot();
    BOOST_TEST(s.global.slabs_cached == 3u);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(s.classes[0].cached_slabs == 2u);
    BOOST_TEST(s.classes[7].cached_slabs == 1u);
    BOOST_TEST(s.classes[0].empty_slabs == 0u);
    BOOST_TEST(s.global.empty_held_bytes == s.global.committed_bytes);
    BOOST_TEST(s.global.committed_bytes == (2 + 4) * tslab::page_bytes);
    {
        tslab::epoch_scope scope{heap, "next"};
        s = heap.snapshot();   // the cache is attached, but this epoch has not used its slabs
        BOOST_TEST(s.global.slabs_cached == 3u);
        BOOST_TEST(stats_of(s, scope.epoch()).slabs == 0u);
        void* const p = scope.resource()->allocate(64);
        s = heap.snapshot();
        BOOST_TEST(s.classes[0].cached_slabs == 0u);   // the cache's slabs of the class are this epoch's now
        BOOST_TEST(s.classes[7].cached_slabs == 1u);
        BOOST_TEST(stats_of(s, scope.epoch()).slabs == 2u);
        BOOST_TEST(stats_of(s, scope.epoch()).empty_slabs == 1u);
        BOOST_TEST(stats_of(s, scope.epoch()).live_objects == 1u);
        scope.resource()->deallocate(p, 64);
        s = heap.snapshot();
        BOOST_TEST(stats_of(s, scope.epoch()).slabs == 2u);
        BOOST_TEST(stats_of(s, scope.epoch()).empty_slabs == 2u);
    }
    s = heap.snapshot();
    BOOST_TEST(s.global.slabs_cached == 3u);
    BOOST_TEST(s.classes[0].epoch_close_calls == 2u);
    BOOST_TEST(s.classes[0].epoch_close_scanned_slabs == 4u);
    BOOST_TEST(s.classes[7].epoch_close_calls == 1u);   // the second epoch had none of it
}

BOOST_AUTO_TEST_CASE(a_class_with_a_live_object_is_not_retained_and_the_others_are)
{
    support::recorder const seen;
    tslab::allocator heap;
    void* left = nullptr;
    {
        tslab::epoch_scope scope{heap, "leaky"};
        scope.resource()->deallocate(scope.resource()->allocate(64), 64);
        left = scope.resource()->allocate(128);
    }
    BOOST_TEST(seen.count(misuse::leak) == 1u);
    BOOST_TEST(retained_slabs(heap) == 1u);
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[0].cached_slabs == 1u);
    BOOST_TEST(s.classes[2].cached_slabs == 0u);
    BOOST_TEST(s.global.closing_epochs == 1u);
    heap.free(left);
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
}

BOOST_AUTO_TEST_CASE(slabs_of_many_pages_go_to_the_caches)
{
    for (unsigned c = 0; c < tslab::class_count; ++c) {
        tslab::allocator heap;
        use_scope(heap, 1, tslab::class_sizes[c]);
        BOOST_TEST(retained_slabs(heap) == (tslab::bins[c].pages <= tslab::thread_record::batch_pages / 2 ? 1u : 0u));
        auto const s = heap.snapshot();
        BOOST_TEST(s.classes[c].cached_slabs == 1u);
        BOOST_TEST(s.global.slabs_in_use == 0u);
        BOOST_TEST(s.classes[c].empty_slab_recycled == 1u);
        use_scope(heap, 1, tslab::class_sizes[c]);
        BOOST_TEST(heap.snapshot().classes[c].new_slab_count == 1u);
    }
}

BOOST_AUTO_TEST_CASE(what_a_thread_keeps_of_one_class_serves_another_with_as_many_pages)
{
    tslab::allocator heap;
    constexpr std::size_t many = 40;   // slabs, more than a thread cache may hold
    use_scope(heap, many * tslab::bins[0].slots, 64);
    auto const before = heap.snapshot();
    BOOST_TEST(before.classes[0].new_slab_count == many);
    BOOST_TEST(before.classes[0].cached_slabs == many);
    use_scope(heap, 20 * tslab::bins[1].slots, 96);
    use_scope(heap, 10 * tslab::bins[8].slab_slots(), 16);   // slabs of several subslabs
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[1].new_slab_count == 0u);
    BOOST_TEST(s.classes[1].cache_hits == 20u);
    BOOST_TEST(s.classes[8].new_slab_count == 0u);
    BOOST_TEST(s.global.slabs_cached == many);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(heap.state().pages().used_pages() == many);
    use_scope(heap, 1, 1024);   // one of eight pages cannot be cut from those
    BOOST_TEST(heap.snapshot().classes[11].new_slab_count == 1u);
}

BOOST_AUTO_TEST_CASE(an_object_of_a_slab_that_was_cut_anew_is_not_freed_again)
{
    support::recorder seen;
    tslab::allocator heap;
    std::vector<void*> stale;
    {
        tslab::epoch_scope scope{heap, "scope"};
        for (std::size_t i = 0; i < 40 * std::size_t{tslab::bins[0].slots}; ++i)
            stale.push_back(scope.resource()->allocate(64));
        for (void* const p : stale)
            scope.resource()->deallocate(p, 64);
    }
    use_scope(heap, 30 * tslab::bins[1].slots, 96);
    auto const before = heap.snapshot();
    for (void* const p : stale)
        heap.free(p);
    BOOST_TEST(seen.count() == stale.size());
    auto const after = heap.snapshot();
    BOOST_TEST(after.global.live_objects == 0u);
    BOOST_TEST(after.global.slabs_cached == before.global.slabs_cached);
}

BOOST_AUTO_TEST_CASE(an_object_freed_again_after_its_scope_is_a_double_free)
{
    support::recorder seen;
    tslab::allocator heap;
    for (std::size_t const bytes : {64u, 16u, 768u}) {
        void* p = nullptr;
        {
            tslab::epoch_scope scope{heap, "scope"};
            p = scope.resource()->allocate(bytes);
            scope.resource()->deallocate(p, bytes);
        }
        heap.free(p);
        BOOST_TEST(seen.count(misuse::double_free) == 1u);
        BOOST_TEST(seen.last().address == p);
        on_other_thread([&] { heap.free(p); });
        BOOST_TEST(seen.count(misuse::double_free) == 2u);
        tslab::epoch_scope next{heap, "next"};
        next.resource()->deallocate(p, bytes);
        BOOST_TEST(seen.count(misuse::double_free) == 3u);
        BOOST_TEST(seen.count() == 3u);
        seen.clear();
    }
}

BOOST_AUTO_TEST_CASE(a_trim_gives_them_back)
{
    tslab::allocator heap;
    use_scope(heap, 300, 64);
    use_scope(heap, 30, 768);
    use_scope(heap, 300, 16);
    heap.free(heap.malloc(512));
    heap.close(heap.current_epoch());   // the thread's own cache retains one too
    std::size_t const kept = retained_slabs(heap);
    BOOST_TEST(kept == 5u + 2 + 2 + 1);
    auto const before = heap.snapshot();
    BOOST_TEST(before.global.slabs_cached == kept);
    auto const r = heap.trim();
    BOOST_TEST(retained_slabs(heap) == 0u);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.slabs_cached == 0u);
    BOOST_TEST(s.global.free_resident_pages == 0u);
    BOOST_TEST(s.global.committed_bytes == 0u);
    BOOST_TEST(r.madvise_bytes == cached_pages(before) * tslab::page_bytes);
    BOOST_TEST(s.global.slabs_recycled == before.global.slabs_recycled);   // they were counted when they were retained
    use_scope(heap, 1, 64);
    BOOST_TEST(heap.snapshot().global.slabs_cached == 1u);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_thread_gives_them_to_the_others)
{
    tslab::allocator heap;
    on_other_thread([&] {
        use_scope(heap, 64 * 3, 64);
        BOOST_TEST(retained_slabs(heap) == 3u);
    });
    BOOST_TEST(retained_slabs(heap) == 0u);
    BOOST_TEST(heap.snapshot().classes[0].cache_size == 3u);
    use_scope(heap, 64 * 3, 64);
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[0].new_slab_count == 3u);
    BOOST_TEST(s.classes[0].cache_hits == 3u);
}

BOOST_AUTO_TEST_CASE(nothing_is_retained_where_pages_go_back_at_once)
{
    tslab::allocator heap{{.reclaim = reclaim_policy::eager}};
    use_scope(heap, 300, 64);
    use_scope(heap, 30, 16);
    heap.free(heap.malloc(64));
    heap.close(heap.current_epoch());
    BOOST_TEST(retained_slabs(heap) == 0u);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.slabs_cached == 0u);
    BOOST_TEST(s.global.committed_bytes == 0u);
    {
        tslab::epoch_scope scope{heap, "frees"};   // nor within an epoch, but for the slab in use
        std::vector<void*> all;
        for (int i = 0; i < 300; ++i)
            all.push_back(scope.resource()->allocate(64));
        for (void* const p : all)
            scope.resource()->deallocate(p, 64);
        BOOST_TEST(stats_of(heap, scope.epoch()).slabs == 1u);
    }
}

BOOST_AUTO_TEST_CASE(few_thread_caches_of_a_thread_keep_slabs)
{
    constexpr std::size_t many = 20;
    std::size_t const most = tslab::thread_record::retaining_limit;
    tslab::allocator heap{{.epoch_count = 2 * many}};
    {
        std::vector<std::unique_ptr<tslab::epoch_resource>> open;
        for (std::size_t i = 0; i < many; ++i) {
            open.push_back(std::make_unique<tslab::epoch_resource>(heap));
            open.back()->deallocate(open.back()->allocate(64), 64);
        }
        BOOST_TEST(heap.snapshot().global.slabs_in_use == many);
        open.clear();
    }
    BOOST_TEST(retained_slabs(heap) == most);
    BOOST_TEST(heap.snapshot().global.slabs_cached == many);   // the others are in the caches
    for (std::size_t i = 0; i < 2 * most; ++i)
        use_scope(heap, 1, 64);
    BOOST_TEST(retained_slabs(heap) == most);
    BOOST_TEST(heap.snapshot().classes[0].new_slab_count == many);
}

BOOST_AUTO_TEST_CASE(few_thread_caches_of_a_thread_keep_slabs_however_their_epochs_end)
{
    constexpr std::size_t many = 20;
    std::size_t const most = tslab::thread_record::retaining_limit;
    for (bool const one_by_one : {true, false}) {
        tslab::allocator heap{{.epoch_count = 2 * many}};
        std::vector<std::unique_ptr<tslab::epoch_domain>> open;
        for (std::size_t i = 0; i < many; ++i) {
            open.push_back(std::make_unique<tslab::epoch_domain>(heap));
            heap.free(heap.malloc(64, open.back()->epoch()));   // through the thread's own thread cache
        }
        BOOST_TEST(heap.snapshot().global.slabs_in_use == many);
        if (one_by_one)
            for (auto const& d : open)
                d->force_close();
        else
            for (auto const& d : open)
                heap.trim(d->epoch());
        BOOST_TEST(retained_slabs(heap) <= most);
        BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
        BOOST_TEST(heap.snapshot().global.slabs_cached == many);
    }
}

BOOST_AUTO_TEST_CASE(a_thread_cache_that_another_thread_closes_keeps_nothing)
{
    tslab::allocator heap;
    support::worker owner;
    auto const e = heap.current_epoch();
    owner([&] { heap.free(heap.malloc(64, e)); });
    auto const r = heap.close(e);
    BOOST_TEST(r.recycled_slabs == 1u);
    BOOST_TEST(r.drained);
    BOOST_TEST(retained_slabs(heap) == 0u);
    std::optional<tslab::epoch_resource> theirs;
    owner([&] {
        theirs.emplace(heap);
        theirs->deallocate(theirs->allocate(64), 64);
    });
    theirs.reset();
    BOOST_TEST(retained_slabs(heap) == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    owner([&] { use_scope(heap, 1, 64); });   // the cache is used on
    BOOST_TEST(retained_slabs(heap) == 1u);
}

BOOST_AUTO_TEST_CASE(handles_of_a_retained_slab_stay_what_they_were)
{
    tslab::allocator heap;
    tslab::handle h, again;
    auto const e = heap.current_epoch();
    void* const p = heap.allocate(64, e, h);
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    heap.close(e);
    BOOST_TEST(retained_slabs(heap) == 1u);
    BOOST_TEST((heap.free(h) == tslab::free_result::already_free));
    BOOST_TEST(heap.allocate(64, heap.current_epoch(), again) == p);
    BOOST_TEST(heap.snapshot().classes[0].new_slab_count == 1u);
    BOOST_TEST((heap.free(h) == tslab::free_result::stale));
    BOOST_TEST((heap.free(again) == tslab::free_result::ok));
}

BOOST_AUTO_TEST_CASE(a_sharing_resource_may_use_and_leave_them)
{
    tslab::allocator heap;
    use_scope(heap, 10, 64);
    void* const others = heap.malloc(64);
    {
        tslab::epoch_resource shared{heap, {.share_epoch = true}};
        void* const p = shared.allocate(64);
        BOOST_TEST(shared.release() == 1u);
        BOOST_TEST(shared.allocate(64) != others);
        static_cast<void>(p);
        shared.release();
    }
    use_scope(heap, 10, 64);
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    heap.free(others);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(memory_that_is_retained_for_one_class_serves_another_when_it_runs_out)
{
    for (auto const policy : {reclaim_policy::cached, reclaim_policy::never}) {
        tslab::allocator heap{{.reclaim = policy, .slab_cache = 10'000, .reserve_bytes = std::size_t{16} << 20}};
        std::vector<std::unique_ptr<tslab::epoch_resource>> open;
        for (unsigned c = 0; c < tslab::class_count; ++c)
            use_scope(heap, 2 * tslab::bins[c].slab_slots(), tslab::class_sizes[c]);
        // Everything is in caches, in a thread cache, or unused so far. One allocation can have all of it.
        void* const whole = heap.malloc(std::size_t{16} << 20);
        BOOST_REQUIRE(whole != nullptr);
        BOOST_TEST(heap.snapshot().global.out_of_memory == 0u);
        heap.free(whole);
        // And a class gets what another one freed.
        for (unsigned const c : {8U, 0U, 7U, 23U}) {
            std::size_t const all = (std::size_t{16} << 20) / tslab::bins[c].slab_bytes() * tslab::bins[c].slab_slots();
            use_scope(heap, all, tslab::class_sizes[c]);
            BOOST_TEST(heap.snapshot().global.out_of_memory == 0u);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_forked_child_goes_on_with_its_own_and_without_those_of_others)
{
    tslab::allocator heap;
    support::worker other;
    other([&] { use_scope(heap, 100, 64); });
    use_scope(heap, 100, 64);
    BOOST_TEST(retained_slabs(heap) == 4u);
    BOOST_TEST(in_child([&] {
                   use_scope(heap, 100, 64);
                   if (heap.snapshot().classes[0].new_slab_count != 4)
                       return 1;
                   heap.trim();
                   auto const s = heap.snapshot();
                   if (s.global.slabs_in_use != 0 || s.global.slabs_cached != 0 || s.global.misuses != 0)
                       return 2;   // the other thread's go too: it exists only in the parent
                   use_scope(heap, 1000, 64);
                   return heap.snapshot().global.live_objects == 0 ? 0 : 3;
               }) == 0);
    use_scope(heap, 100, 64);
    other([&] { use_scope(heap, 100, 64); });
    BOOST_TEST(heap.snapshot().classes[0].new_slab_count == 4u);
}
