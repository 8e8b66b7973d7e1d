// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heaps whose objects are malloc's: what tslab reports of them itself. What the tool says that they are for is in memory_tools.py.
// And how a program says which checks it wants.
#include "recorder.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <utility>
import tslab.internal;

namespace {

using tslab::misuse;

struct forwarding_heap {
    support::recorder seen;
    tslab::allocator heap{{.name = "forwarded", .checks = tslab::check_mode::forward}};
};

/// An environment variable while it lives; null: there is none.
class variable {
public:
    variable(char const* name, char const* value) : name_{name}
    {
        if (char const* const before = std::getenv(name))
            before_ = before;
        set(value);
    }
    ~variable() { set(before_ ? before_->c_str() : nullptr); }
    variable(variable const&) = delete;
    variable& operator=(variable const&) = delete;

private:
    void set(char const* value) const
    {
        if (value != nullptr)
            ::setenv(name_, value, 1);
        else
            ::unsetenv(name_);
    }
    char const* name_;
    std::optional<std::string> before_;
};

tslab::check_mode mode_with(char const* word)
{
    variable const checks{"TSLAB_CHECKS", word};
    tslab::allocator heap;
    return heap.state().checks().mode();
}

/// Whether each of some objects of a heap lies on guarded pages.
bool guards_all()
{
    tslab::allocator heap{{.checks = tslab::check_mode::canaries}};
    bool all = true;
    for (int i = 0; i < 5; ++i) {
        void* const p = heap.malloc(64);
        all = heap.state().slab_at(p)->tag.load() == tslab::tag_large && all;
        heap.free(p);
    }
    return all;
}

}

BOOST_AUTO_TEST_CASE(the_exact_size_and_alignment_count_when_forwarded)
{
    forwarding_heap h;
    tslab::epoch_resource r{h.heap, {.label = "sizes"}};
    for (std::size_t const n : {std::size_t{100}, std::size_t{100'000}}) {
        h.seen.clear();
        void* const p = r.allocate(n, 32);
        r.deallocate(p, n + 1, 32);
        BOOST_TEST(h.seen.count(misuse::wrong_size) == 1U);
        r.deallocate(p, n, 16);
        BOOST_TEST(h.seen.count(misuse::wrong_alignment) == 1U);
        r.deallocate(p, n, 32);
        BOOST_TEST(h.seen.count() == 2U);
    }
    BOOST_TEST(h.heap.snapshot().global.live_objects == 0U);
}

BOOST_AUTO_TEST_CASE(an_object_of_another_resource_is_refused_and_stays)
{
    forwarding_heap h;
    tslab::epoch_resource r{h.heap, {.label = "its own"}};
    tslab::epoch_resource other{h.heap, {.label = "another"}};
    for (std::size_t const n : {std::size_t{100}, std::size_t{100'000}}) {
        h.seen.clear();
        void* const p = r.allocate(n);
        other.deallocate(p, n);
        BOOST_TEST(h.seen.count(misuse::wrong_resource) == 1U);
        std::thread{[&] { r.deallocate(p, n); }}.join();
        BOOST_TEST(h.seen.count() == 1U);
    }
    BOOST_TEST(h.heap.snapshot().global.live_objects == 0U);
}

BOOST_AUTO_TEST_CASE(a_count_only_resource_keeps_what_it_counts)
{
    forwarding_heap h;
    tslab::epoch_resource r{h.heap, {.label = "counts", .deallocate = tslab::deallocate_policy::count_only}};
    void* const p = r.allocate(100);
    r.deallocate(p, 100);
    static_cast<std::byte*>(p)[0] = std::byte{1};
    BOOST_TEST(r.release() == 1U);
    BOOST_TEST(h.seen.count() == 0U);
}

BOOST_AUTO_TEST_CASE(release_gives_back_what_is_live)
{
    for (tslab::check_mode const mode : {tslab::check_mode::forward, tslab::check_mode::off}) {
        support::recorder const seen;
        tslab::allocator heap{{.checks = mode}};
        tslab::epoch_resource r{heap, {.label = "phase"}};
        static_cast<void>(r.allocate(100));
        static_cast<void>(r.allocate(100'000));
        std::thread{[&] { static_cast<void>(r.allocate(200)); }}.join();   // whose slab has no owner then
        BOOST_TEST(r.release() == 3U);
        BOOST_TEST(heap.snapshot().global.live_objects == 0U);
        BOOST_TEST(seen.count() == 0U);
    }
}

BOOST_AUTO_TEST_CASE(the_environment_says_which_checks_where_the_program_does_not)
{
    BOOST_TEST((mode_with("off") == tslab::check_mode::off));
    BOOST_TEST((mode_with("canaries") == tslab::check_mode::canaries));
    BOOST_TEST((mode_with("forward") == tslab::check_mode::forward));
#if defined(TSLAB_CHECKED)
    // No memory tool is at work here.
    BOOST_TEST((mode_with(nullptr) == tslab::check_mode::canaries));
    BOOST_TEST((mode_with("nonsense") == tslab::check_mode::canaries));
#endif
    variable const off{"TSLAB_CHECKS", "off"};
    tslab::allocator heap{{.checks = tslab::check_mode::forward}};
    BOOST_TEST((heap.state().checks().mode() == tslab::check_mode::forward));   // the program's word counts
}

BOOST_AUTO_TEST_CASE(the_environment_says_how_many_are_guarded)
{
    for (auto const& [value, all] : {std::pair{"1", true}, {"0", false}, {"", false}, {"-1", false}, {"1x", false}}) {
        variable const sampling{"TSLAB_GUARD_SAMPLING", value};
        BOOST_TEST_CONTEXT(value) { BOOST_TEST(guards_all() == all); }
    }
}
