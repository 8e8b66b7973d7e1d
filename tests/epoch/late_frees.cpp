// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Two threads free one slot at the same time and both find it allocated; one of them is held up until the slab has been
// taken back. Its bit is set here by hand, since no schedule does so at will. It is reported once, with the address that
// was freed, wherever the page has gone since.
#define BOOST_TEST_MODULE late_frees
#include <boost/test/unit_test.hpp>

#include <optional>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::recorder;
using tslab::misuse;
using tslab::reclaim_policy;
using tslab::residence;

namespace {

/// A heap with one object freed and its slab taken back: p is where it was, s the page's descriptor.
struct freed_once {
    recorder seen;
    std::optional<tslab::allocator> heap;
    void* p;
    tslab::slab* s;

    explicit freed_once(reclaim_policy policy)
        : heap{std::in_place, tslab::allocator::options{.name = "late", .reclaim = policy}},
          p{heap->malloc(700)},
          s{heap->core().pages().find(p)}
    {
        heap->free(p);
        heap->close(heap->current_epoch());
    }
    void come_late() const { s->shared.fetch_or(1); }
    void reported_once() const
    {
        BOOST_TEST(seen.count() == 1u);
        BOOST_TEST(seen.count(misuse::double_free) == 1u);
        BOOST_TEST(seen.last().address == p);
        BOOST_TEST(seen.last().size_class == 768u);
    }
};

}

BOOST_AUTO_TEST_CASE(into_a_cached_slab_it_is_reported_when_the_slab_is_used_again)
{
    freed_once f{reclaim_policy::cached};
    BOOST_REQUIRE((f.s->where.load() == residence::cached));
    f.come_late();
    BOOST_TEST(f.heap->malloc(700) == f.p);
    f.reported_once();
    f.heap->free(f.p);
    f.heap.reset();
    f.reported_once();
}

BOOST_AUTO_TEST_CASE(into_a_cached_slab_that_is_trimmed_it_is_reported_at_the_end)
{
    freed_once f{reclaim_policy::cached};
    f.come_late();
    f.heap->trim();
    BOOST_REQUIRE((f.s->where.load() == residence::unused));
    f.heap.reset();
    f.reported_once();
}

BOOST_AUTO_TEST_CASE(into_a_page_given_back_it_is_reported_when_another_class_gets_the_page)
{
    freed_once f{reclaim_policy::eager};
    BOOST_REQUIRE((f.s->where.load() == residence::unused));
    f.come_late();
    void* const other = f.heap->malloc(64);
    BOOST_TEST(f.heap->core().pages().find(other) == f.s);
    f.reported_once();
    f.heap->free(other);
    f.heap.reset();
    f.reported_once();
}

BOOST_AUTO_TEST_CASE(into_a_page_given_back_it_is_reported_when_a_large_allocation_gets_the_page)
{
    freed_once f{reclaim_policy::eager};
    f.come_late();
    void* const large = f.heap->malloc(4000);
    BOOST_TEST(f.heap->core().pages().find(large) == f.s);
    f.reported_once();
    f.heap->free(large);
    f.heap.reset();
    f.reported_once();
}

BOOST_AUTO_TEST_CASE(into_a_slab_its_owner_takes_back_meanwhile_it_is_reported_then)
{
    recorder seen;
    tslab::allocator heap{{.name = "late"}};
    void* const p = heap.malloc(700);
    tslab::slab* const s = heap.core().pages().find(p);
    heap.free(p);            // into the lane's own word
    s->shared.fetch_or(1);   // and into the shared one
    heap.close(heap.current_epoch());
    BOOST_TEST(seen.count() == 1u);
    BOOST_TEST(seen.count(misuse::double_free) == 1u);
    BOOST_TEST(seen.last().address == p);
}
