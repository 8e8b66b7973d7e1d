// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Two threads free one slot at the same time and both find it allocated; one of them is delayed until the slab has been
// recycled. Its bit is set here by hand, since no schedule does so reliably. It is reported once, with the address that
// was freed, wherever the page is by then.
#define BOOST_TEST_MODULE late_frees
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <optional>
#include <vector>

#include "objects.hpp"
#include "os_hook.hpp"
#include "recorder.hpp"

using support::recorder;
using tslab::misuse;
using tslab::reclaim_policy;
using tslab::residence;

namespace {

/// Where the slab goes once it is empty.
enum class then : std::uint8_t { owned_by_its_cache, cached, given_back };

/// A heap in which the objects of some slabs were freed and the slabs recycled. p was the second slot of the last
/// subslab of one of them; s is the slab, subslab the one that has p's bit.
struct freed_once {
    static constexpr std::uint32_t kept_pages =
        tslab::thread_record::spare_pages;                  // a thread cache and a cache hold as many
    static constexpr std::uint32_t given_back_pages = 20;   // enough for a large allocation

    recorder seen;
    std::optional<tslab::allocator> heap;
    std::size_t size;
    std::size_t objects = 0;
    void* p = nullptr;
    tslab::slab_meta* s = nullptr;
    tslab::slab_meta* subslab = nullptr;

    /// `which`: the slab, in the order of addresses.
    freed_once(std::size_t bytes, then where, std::size_t which = 0) : size{bytes}
    {
        tslab::bin_geometry const& b = tslab::bins[tslab::class_of(size)];
        std::uint32_t const pages = where == then::given_back ? given_back_pages : kept_pages;
        objects = std::max<std::size_t>((pages + b.pages - 1) / b.pages, 2) * b.slab_slots();
        heap.emplace(tslab::allocator::options{
            .name = "late", .reclaim = where == then::given_back ? reclaim_policy::eager : reclaim_policy::cached});
        auto const use = [&] {
            std::vector<void*> const all = take(objects, size);
            p = all[(which + 1) * b.slab_slots() - b.slots + 1];
            s = heap->state().slab_at(p);
            subslab = heap->state().pages().map().find_subslab(p, s->bin());
            give(all);
        };
        if (where == then::cached)
            support::on_other_thread(use);   // its end flushes the thread cache
        else
            use();
        heap->close(heap->current_epoch());
        residence const expected = where == then::owned_by_its_cache ? residence::owned
                                   : where == then::cached           ? residence::cached
                                                                     : residence::unused;
        BOOST_REQUIRE((s->where.load() == expected));
    }
    [[nodiscard]] std::vector<void*> take(std::size_t n, std::size_t bytes)
    {
        std::vector<void*> all;
        for (std::size_t i = 0; i < n; ++i)
            all.push_back(heap->malloc(bytes));
        return all;
    }
    void give(std::vector<void*> const& all)
    {
        for (void* const each : all)
            heap->free(each);
    }
    void come_late() const { subslab->remote_free.fetch_or(2); }
    void reported_once() const
    {
        BOOST_TEST_CONTEXT("class " << size)
        {
            BOOST_TEST(seen.count() == 1u);
            BOOST_TEST(seen.count(misuse::double_free) == 1u);
            BOOST_TEST(seen.last().address == p);
            BOOST_TEST(seen.last().size_class == size);
        }
    }
    void not_reported_yet() const { BOOST_TEST(seen.count() == 0u, "class " << size); }
};

constexpr std::size_t sizes[] = {64, 768, 16, 32, 48, 3072};

}

BOOST_AUTO_TEST_CASE(into_a_slab_its_thread_cache_keeps_it_is_reported_before_the_slot_is_used_again)
{
    for (std::size_t const size : {std::size_t{64}, std::size_t{768}, std::size_t{16}, std::size_t{48}}) {
        freed_once f{size, then::owned_by_its_cache, 1};
        f.come_late();
        std::vector<void*> all;
        for (std::size_t i = 0; i < f.objects; ++i) {
            all.push_back(f.heap->malloc(size));
            BOOST_REQUIRE((all.back() != f.p || f.seen.count() == 1));
        }
        f.reported_once();
        f.give(all);
        f.heap.reset();
        f.reported_once();
    }
}

BOOST_AUTO_TEST_CASE(into_a_slab_its_thread_cache_keeps_it_is_reported_when_that_is_trimmed)
{
    for (std::size_t const size : {std::size_t{64}, std::size_t{768}, std::size_t{32}}) {
        freed_once f{size, then::owned_by_its_cache};
        f.come_late();
        f.heap->trim();
        BOOST_TEST((f.s->where.load() == residence::unused));
        f.reported_once();
        f.heap.reset();
        f.reported_once();
    }
}

BOOST_AUTO_TEST_CASE(into_a_cached_slab_it_is_reported_when_the_slab_is_used_again)
{
    for (std::size_t const size : sizes) {
        freed_once f{size, then::cached, 1};
        f.come_late();
        auto const all = f.take(f.objects, size);
        BOOST_TEST((f.s->where.load() == residence::owned));
        f.reported_once();
        f.give(all);
        f.heap.reset();
        f.reported_once();
    }
}

BOOST_AUTO_TEST_CASE(into_a_cached_slab_that_is_trimmed_it_is_reported_at_the_end)
{
    for (std::size_t const size : sizes) {
        freed_once f{size, then::cached, 1};
        f.come_late();
        f.heap->trim();
        BOOST_REQUIRE((f.s->where.load() == residence::unused));
        f.heap.reset();
        f.reported_once();
    }
}

BOOST_AUTO_TEST_CASE(into_a_page_given_back_it_is_reported_when_another_class_gets_the_page)
{
    for (std::size_t const size : sizes) {
        freed_once f{size, then::given_back, 1};
        f.come_late();
        std::size_t const other = size == 64 ? 96 : 64;   // slabs of one page
        auto const all = f.take(40 * tslab::bins[tslab::class_of(other)].slots, other);
        BOOST_TEST((f.s->where.load() == residence::owned));
        f.reported_once();
        f.give(all);
        f.heap.reset();
        f.reported_once();
    }
}

BOOST_AUTO_TEST_CASE(into_a_page_given_back_it_is_reported_when_a_large_allocation_gets_the_page)
{
    for (std::size_t const size : sizes) {
        freed_once f{size, then::given_back};
        f.come_late();
        void* const large = f.heap->malloc(70'000);
        BOOST_TEST(f.heap->state().pages().find(large) == f.s);
        f.reported_once();
        f.heap->free(large);
        f.heap.reset();
        f.reported_once();
    }
}

// The further pages of a larger slab or allocation are not examined: late bits stay there.
BOOST_AUTO_TEST_CASE(into_a_page_that_becomes_a_further_page_of_something_it_is_reported_later)
{
    for (std::size_t const size : sizes)
        for (std::size_t const other : {std::size_t{70'000}, std::size_t{3072}}) {
            if (size == other)
                continue;   // its first page would be examined
            freed_once f{size, then::given_back, 1};
            f.come_late();
            void* const around = f.heap->malloc(other);
            BOOST_TEST(f.heap->state().pages().find(around) < f.s);
            if (size != 3072)
                BOOST_TEST((other == 3072 ? f.heap->state().slab_at(f.p) == f.heap->state().slab_at(around)
                                          : f.s->where.load() == residence::unused));
            f.heap->free(around);
            f.heap->close(f.heap->current_epoch());
            f.not_reported_yet();
            auto const all = f.take(std::size_t{freed_once::given_back_pages} * 42, 96);   // slabs of one page
            if (size != 3072)
                f.reported_once();
            f.give(all);
            f.heap.reset();
            f.reported_once();
        }
}

BOOST_AUTO_TEST_CASE(into_a_slab_its_owner_takes_back_meanwhile_it_is_reported_then)
{
    recorder seen;
    tslab::allocator heap{{.name = "late"}};
    std::size_t n = 0;
    for (std::size_t const size : sizes) {
        void* const p = heap.malloc(size);
        tslab::slab_meta* const subslab = heap.state().pages().map().find_subslab(p, heap.state().slab_at(p)->bin());
        heap.free(p);                       // into local_free
        subslab->remote_free.fetch_or(1);   // and into remote_free
        heap.close(heap.current_epoch());
        BOOST_TEST(seen.count() == ++n);
        BOOST_TEST(seen.count(misuse::double_free) == n);
        BOOST_TEST(seen.last().address == p);
        BOOST_TEST(seen.last().size_class == size);
    }
}

// The words of subslabs are examined only while the page is cut into subslabs: a page that was re-cut since is reported
// as one of its last bin.
BOOST_AUTO_TEST_CASE(a_page_without_late_frees_is_reported_as_what_it_was_last)
{
    tslab::allocator heap{{.reclaim = reclaim_policy::never}};
    std::vector<void*> all;
    for (int i = 0; i < 16 * 256; ++i)
        all.push_back(heap.malloc(16));
    for (void* const p : all)
        heap.free(p);
    heap.close(heap.current_epoch());
    heap.trim();
    BOOST_TEST(heap.snapshot().classes[8].madvise_bytes == 16u * 4096);
    void* const p = heap.malloc(3072);   // over the same pages
    BOOST_TEST(heap.state().slab_at(p) == heap.state().slab_at(all[0]));
    std::memset(p, 1, 3072);
    heap.free(p);
    heap.close(heap.current_epoch());
    heap.trim();
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[8].madvise_bytes == 16u * 4096);
    BOOST_TEST(s.classes[14].madvise_bytes == 16u * 4096);
}

// A free that was delayed after it emptied a slab, or was the first into it, takes the lock of the epoch that `home`
// names, whichever cache owns the slab by then. So `home` names an epoch for the slab's whole life, also while it is on
// a cache's partial stack.
BOOST_AUTO_TEST_CASE(a_slab_always_names_an_epoch_as_its_home)
{
    tslab::allocator heap{{.name = "homes", .epoch_count = 4}};
    tslab::heap_state& state = heap.state();
    auto const every_home_is_an_epoch = [&state] {
        bool all = true;
        state.pages().for_each_run([&](tslab::unit_run r) {
            for (std::uint32_t i = r.first * tslab::unit_pages; i < (r.first + r.count) * tslab::unit_pages; ++i) {
                void const* const home = state.pages().at(i).home.load();
                bool known = home == nullptr;
                for (std::uint32_t slot = 0; slot < state.prepared_slots(); ++slot)
                    known = known || home == &state.epoch_slabs_at(slot);
                all = all && known;
            }
        });
        return all;
    };
    for (std::size_t const bytes : {std::size_t{64}, std::size_t{768}, std::size_t{4096}, std::size_t{16}}) {
        std::vector<void*> all = support::take(heap, 1000, bytes);
        BOOST_TEST(every_home_is_an_epoch());
        std::vector<void*> kept;
        for (std::size_t i = 0; i < all.size(); ++i)   // some of every slab: each becomes partial
            if (i % 3 == 0)
                heap.free(all[i]);
            else
                kept.push_back(all[i]);
        BOOST_TEST(every_home_is_an_epoch());
        support::give(heap, kept);
        BOOST_TEST(every_home_is_an_epoch());
        heap.trim();
        BOOST_TEST(every_home_is_an_epoch());
    }
}
