// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// stl_allocator beneath the standard library's containers and functions, and what assignment, swap and copying do with it.
#define BOOST_TEST_MODULE stl_allocator
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <deque>
#include <forward_list>
#include <functional>
#include <future>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <scoped_allocator>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using tslab::epoch_resource;
using tslab::misuse;

namespace {

template <class T> using from = tslab::stl_allocator<T>;
using vector = std::vector<int, from<int>>;
using text = std::basic_string<char, std::char_traits<char>, from<char>>;
using traits = std::allocator_traits<from<int>>;

static_assert(!std::is_default_constructible_v<from<int>>, "no container is in an epoch by accident");
static_assert(sizeof(from<int>) == 2 * sizeof(void*));
static_assert(std::is_nothrow_copy_constructible_v<from<int>> &&
              std::is_nothrow_constructible_v<from<long>, from<int>>);
static_assert(std::is_same_v<traits::rebind_alloc<double>, from<double>>);
static_assert(!traits::is_always_equal::value && traits::propagate_on_container_swap::value);
static_assert(!traits::propagate_on_container_copy_assignment::value &&
              !traits::propagate_on_container_move_assignment::value);
static_assert(sizeof(from<struct incomplete>) != 0);

tslab::global_stats totals(tslab::allocator const& heap) { return heap.snapshot({.residency = false}).global; }
std::uint64_t live(tslab::allocator const& heap) { return totals(heap).live_objects; }

/// The live objects of an epoch.
std::uint64_t live_in(tslab::allocator const& heap, tslab::epoch_id e)
{
    for (auto const& one : heap.snapshot({.residency = false}).epochs)
        if (one.index == e.index && one.era == e.era)
            return one.live_objects;
    return 0;
}

/// Fills containers of every kind and looks that they hold what was put in.
void use_containers(from<int> const& a)
{
    vector v{a};
    std::deque<int, from<int>> d{a};
    std::list<int, from<int>> l{a};
    std::forward_list<int, from<int>> f{a};
    std::set<int, std::less<>, from<int>> s{a};
    std::map<int, text, std::less<>, from<std::pair<int const, text>>> m{a};
    std::unordered_map<int, int, std::hash<int>, std::equal_to<>, from<std::pair<int const, int>>> u{a};
    for (int i = 0; i < 500; ++i) {
        v.push_back(i);
        d.push_front(i);
        l.push_back(i);
        f.push_front(i);
        s.insert(i);
        m.try_emplace(i, std::size_t{40}, 'x', from<char>{a});
        u[i] = i;
    }
    BOOST_TEST(v.back() == 499);
    BOOST_TEST(d.back() == 0);
    BOOST_TEST(l.size() == 500U);
    BOOST_TEST(f.front() == 499);
    BOOST_TEST(s.count(250) == 1U);
    BOOST_TEST(m.at(77).size() == 40U);
    BOOST_TEST(u.at(499) == 499);
    std::shared_ptr<text> const shared =
        std::allocate_shared<text>(from<text>{a}, std::size_t{100}, 'y', from<char>{a});
    BOOST_TEST(shared->size() == 100U);
    std::promise<int> promised{std::allocator_arg, a};
    std::future<int> const will = promised.get_future();
    promised.set_value(3);
    std::packaged_task<int(int)> twice{[](int i) { return 2 * i; }};
    twice(4);
    BOOST_TEST(will.valid());
}

}

BOOST_AUTO_TEST_CASE(serves_containers_from_a_resource_an_epoch_and_a_heap)
{
    tslab::allocator heap;
    {
        tslab::epoch_scope const scope{heap, "phase"};
        use_containers(scope.resource());
        BOOST_TEST(live(heap) == 0U);
        use_containers({heap, scope.epoch()});
        BOOST_TEST(live(heap) == 0U);
    }
    use_containers(from<int>{heap});
    auto const s = totals(heap);
    BOOST_TEST(s.live_objects == 0U);
    BOOST_TEST(s.misuses == 0U);
    BOOST_TEST(s.leaked_objects == 0U);
    BOOST_TEST(s.allocations > 6000U);
}

BOOST_AUTO_TEST_CASE(elements_of_every_alignment)
{
    struct alignas(64) line {
        char c[64];
    };
    struct alignas(4096) page {
        char c[4096];
    };
    tslab::allocator heap;
    epoch_resource r{heap};
    for (from<int> const a : {from<int>{&r}, from<int>{heap, heap.current_epoch()}, from<int>{heap}}) {
        std::vector<line, from<line>> lines(3, a);
        std::list<page, from<page>> pages(3, a);
        for (line const& one : lines)
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(&one) % 64 == 0U);
        for (page const& one : pages)
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(&one) % 4096 == 0U);
    }
    BOOST_TEST(live(heap) == 0U);
}

BOOST_AUTO_TEST_CASE(says_what_it_allocates_from_and_compares_by_it)
{
    tslab::allocator heap, other;
    epoch_resource r{heap};
    epoch_resource q{heap};
    from<int> const a{&r};
    from<int> const in_epoch{heap, r.epoch()};
    from<int> const in_current{heap};
    BOOST_TEST(a.resource() == &r);
    BOOST_TEST((&a.heap() == &heap && a.epoch() == r.epoch()));
    BOOST_TEST(in_epoch.resource() == nullptr);
    BOOST_TEST((&in_epoch.heap() == &heap && in_epoch.epoch() == r.epoch()));
    BOOST_TEST((in_current.epoch() == heap.current_epoch() && in_current.resource() == nullptr));
    BOOST_TEST((a == from<int>{&r} && a != from<int>{&q} && a != in_epoch && in_epoch != in_current));
    BOOST_TEST((in_epoch == from<int>{heap, r.epoch()} && in_epoch != from<int>{heap, q.epoch()}));
    BOOST_TEST((in_current == from<int>{heap} && in_current != from<int>{other}));
    from<long> const b{a};
    BOOST_TEST((a == b && b == a && from<int>{b} == a && b != in_current));
    heap.advance();
    BOOST_TEST((in_current.epoch() == heap.current_epoch()));
}

BOOST_AUTO_TEST_CASE(assignment_keeps_the_epoch_of_the_assigned_container)
{
    tslab::allocator heap;
    vector kept{from<int>{heap}};
    {
        tslab::epoch_scope const scope{heap, "request"};
        vector rows(1000, 7, scope.resource());
        kept = rows;
        BOOST_TEST((kept.get_allocator() == from<int>{heap}));
        kept = std::move(rows);   // of another epoch: the elements move, the memory stays
        BOOST_TEST((kept.get_allocator() == from<int>{heap}));
        BOOST_TEST(live_in(heap, scope.epoch()) == 1U);
    }
    BOOST_TEST(kept.size() == 1000U);
    BOOST_TEST(kept[999] == 7);
    vector same{from<int>{heap}};
    int const* const data = kept.data();
    same = std::move(kept);   // of an equal allocator: the memory moves
    BOOST_TEST(same.data() == data);
    BOOST_TEST(totals(heap).leaked_objects == 0U);
}

BOOST_AUTO_TEST_CASE(swap_and_move_construction_take_the_allocator_along)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    epoch_resource q{heap};
    vector a(10, 1, &r);
    vector b(20, 2, &q);
    int const* const of_a = a.data();
    a.swap(b);
    BOOST_TEST(b.data() == of_a);
    BOOST_TEST((a.get_allocator() == from<int>{&q} && b.get_allocator() == from<int>{&r}));
    std::list<int, from<int>> l(5, 1, &r), k(3, 2, &q);
    std::swap(l, k);
    l.push_back(4);
    BOOST_TEST((l.size() == 4U && k.size() == 5U && l.get_allocator() == from<int>{&q}));
    vector const moved{std::move(a)};
    BOOST_TEST((moved.get_allocator() == from<int>{&q}));
    vector const copied{moved};
    BOOST_TEST((copied.get_allocator() == from<int>{&q}));
    vector const elsewhere{moved, from<int>{heap}};
    BOOST_TEST((elsewhere.get_allocator() == from<int>{heap} && elsewhere == moved));
}

BOOST_AUTO_TEST_CASE(a_closed_epoch_refuses_and_what_is_there_can_be_freed)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    vector v(10, 1, from<int>{heap, e});
    heap.close(e);
    BOOST_CHECK_THROW(v.reserve(1000), tslab::epoch_closed);
    BOOST_TEST(v.size() == 10U);
    v = vector{from<int>{heap, e}};
    v.shrink_to_fit();
    BOOST_TEST(live_in(heap, e) == 0U);
    BOOST_CHECK_THROW(v.push_back(1), tslab::epoch_closed);
    epoch_resource r{heap};
    heap.close(r.epoch());
    BOOST_CHECK_THROW((vector(10, 1, &r)), tslab::epoch_closed);
    for (tslab::epoch_id const nothing : {tslab::epoch_id{}, tslab::epoch_id{1, 0},
                                          tslab::epoch_id{0, ~std::uint64_t{0}}, tslab::epoch_id{1U << 16, 1}})
        BOOST_CHECK_THROW((vector(10, 1, from<int>{heap, nothing})), tslab::epoch_closed);
}

BOOST_AUTO_TEST_CASE(the_current_epoch_is_never_refused)
{
    tslab::allocator heap;
    std::atomic<bool> stop{false};
    std::thread advancing{[&] {
        while (!stop.load())
            heap.advance();
    }};
    for (int i = 0; i < 2000; ++i)
        BOOST_REQUIRE_NO_THROW((vector(100, 1, from<int>{heap})));
    stop = true;
    advancing.join();
    BOOST_TEST(live(heap) == 0U);
    BOOST_TEST(totals(heap).slow_path_epoch_closed == 0U);
}

BOOST_AUTO_TEST_CASE(absurd_sizes_and_refused_memory)
{
    tslab::allocator heap{{.reserve_bytes = 1 << 20}};
    epoch_resource r{heap};
    for (from<int> a : {from<int>{&r}, from<int>{heap}}) {
        BOOST_CHECK_THROW(static_cast<void>(a.allocate(std::numeric_limits<std::size_t>::max())),
                          std::bad_array_new_length);
        BOOST_CHECK_THROW(static_cast<void>(a.allocate(std::numeric_limits<std::ptrdiff_t>::max() / sizeof(int) + 1)),
                          std::bad_array_new_length);
        BOOST_CHECK_THROW(static_cast<void>(a.allocate(std::size_t{1} << 30)), std::bad_alloc);
        int* const none = a.allocate(0);
        BOOST_TEST(none != nullptr);
        a.deallocate(none, 0);
    }
    BOOST_TEST(live(heap) == 0U);
}

BOOST_AUTO_TEST_CASE(an_inner_container_gets_the_allocator_by_the_adaptor)
{
    using inner = std::vector<int, from<int>>;
    using outer = std::vector<inner, std::scoped_allocator_adaptor<from<inner>>>;
    tslab::allocator heap;
    epoch_resource r{heap};
    epoch_resource elsewhere{heap};
    {
        outer o{from<inner>{&r}};
        // Not from a size and a value: to see whether that compiles, libstdc++ 14 asks for a default allocator.
        o.push_back(inner(10U, 7, from<int>{&elsewhere}));
        BOOST_TEST((o.front().get_allocator() == from<int>{&r}));
        BOOST_TEST(live_in(heap, r.epoch()) == 2U);
    }
    BOOST_TEST(live(heap) == 0U);
}

BOOST_AUTO_TEST_CASE(memory_of_a_heap_outlives_its_epoch_and_is_freed_anywhere)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    std::shared_ptr<int> kept = std::allocate_shared<int>(from<int>{heap, e}, 5);
    BOOST_TEST(!heap.close(e).drained);
    BOOST_TEST(*kept == 5);
    on_other_thread([&] { kept.reset(); });
    BOOST_TEST(live(heap) == 0U);
    BOOST_TEST(totals(heap).misuses == 0U);
}

BOOST_AUTO_TEST_CASE(what_is_freed_wrongly_is_reported)
{
    tslab::allocator heap, other;
    recorder const seen;
    from<int> a{heap};
    int* const p = a.allocate(10);
    from<int>{other}.deallocate(p, 10);
    BOOST_TEST(seen.count(misuse::wrong_heap) == 1);
    a.deallocate(p, 10);
    a.deallocate(p, 10);
    BOOST_TEST(seen.count(misuse::double_free) == 1);
    epoch_resource r{heap};
    from<int> of{&r};
    int* const q = of.allocate(10);
    of.deallocate(q, 1000);
    BOOST_TEST(seen.count(misuse::wrong_size) == 1);
    of.deallocate(q, 10);
    BOOST_TEST(live(heap) == 0U);
}
