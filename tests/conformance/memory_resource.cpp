// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab's resources and the standard library's, side by side: one suite, one table, which it prints. tslab's may answer no
// nowhere. Where the standard library's do, it is said, and docs/pmr-conformance.md says why.
#define BOOST_TEST_MODULE conformance_memory_resource
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conformance.hpp"
#include "recorder.hpp"

namespace {

using conformance::answer;
using conformance::kind;
using conformance::strict_upstream;
using conformance::subject;
using conformance::traits;

class tslab_subject final : public subject {
public:
    explicit tslab_subject(tslab::resource_options const& o) : resource_{heap_, o} {}

    std::pmr::memory_resource& get() override { return resource_; }
    void release() override { resource_.release(); }
    std::uint64_t taken() override
    {
        tslab::global_stats const g = heap_.snapshot({.residency = false}).global;
        return (g.slab_pages + g.large_pages) * tslab::page_bytes;
    }
    std::string complaint() override { return seen_.count() != 0 ? "reports misuse" : ""; }

private:
    support::recorder seen_;
    tslab::allocator heap_{{.reserve_bytes = std::size_t{256} << 20}};
    tslab::epoch_resource resource_;
};

/// A resource of the standard library over an upstream that looks at everything.
template <class R> class std_subject final : public subject {
public:
    std_subject() : resource_{&upstream_} {}

    std::pmr::memory_resource& get() override { return resource_; }
    void release() override { resource_.release(); }
    std::uint64_t taken() override { return upstream_.bytes(); }
    bool refuse(bool now) override
    {
        upstream_.refuses.store(now);
        return true;
    }
    std::string complaint() override { return upstream_.complaint(); }

private:
    strict_upstream upstream_;
    R resource_;
};

/// operator new, counted on the way.
class new_delete_subject final : public subject {
public:
    std::pmr::memory_resource& get() override { return *std::pmr::new_delete_resource(); }
    std::uint64_t taken() override { return 0; }
};

std::vector<kind> kinds()
{
    using options = tslab::resource_options;
    auto const tslab_kind = [](char const* name, options const& o, bool reuses) {
        return kind{name,
                    {.reuses = reuses, .thread_safe = o.threading == tslab::threading::any, .releases = true},
                    [o] { return std::make_unique<tslab_subject>(o); }};
    };
    return {
        tslab_kind("epoch_resource", {}, true),
        tslab_kind("share_epoch", {.share_epoch = true}, true),
        tslab_kind("count_only", {.deallocate = tslab::deallocate_policy::count_only}, false),
        tslab_kind("serial", {.threading = tslab::threading::serial}, true),
        {"new_delete", {.refuses_by_itself = false}, [] { return std::make_unique<new_delete_subject>(); }},
        {"sync. pool",
         {.releases = true, .has_upstream = true},
         [] { return std::make_unique<std_subject<std::pmr::synchronized_pool_resource>>(); }},
        {"unsync. pool",
         {.thread_safe = false, .releases = true, .has_upstream = true},
         [] { return std::make_unique<std_subject<std::pmr::unsynchronized_pool_resource>>(); }},
        {"monotonic",
         {.reuses = false, .thread_safe = false, .releases = true, .has_upstream = true},
         [] { return std::make_unique<std_subject<std::pmr::monotonic_buffer_resource>>(); }},
    };
}

constexpr std::size_t tslab_kinds = 4;

}

BOOST_AUTO_TEST_CASE(side_by_side)
{
    std::vector<kind> const all = kinds();
    std::string table = "| |";
    std::string rule = "| --- |";
    std::string notes;
    for (kind const& k : all) {
        table += ' ' + k.name + " |";
        rule += " --- |";
    }
    table += '\n' + rule + '\n';
    for (conformance::check const& c : conformance::checks) {
        table += std::string{"| "} + c.what + " |";
        for (std::size_t i = 0; i < all.size(); ++i) {
            conformance::verdict const v = conformance::run(c, all[i]);
            table += v.is == answer::yes ? " yes |" : v.is == answer::no ? " no |" : " - |";
            if (v.is != answer::no)
                continue;
            notes += "- " + all[i].name + ", " + c.what + ": " + v.why + "\n";
            bool const by_design = !all[i].said.reuses && (c.run == conformance::memory_is_used_again ||
                                                           c.run == conformance::nothing_is_kept);
            BOOST_TEST((i >= tslab_kinds || by_design), all[i].name << ", " << c.what << ": " << v.why);
        }
        table += '\n';
    }
    std::printf("%s\n%s", table.c_str(), notes.c_str());
}

BOOST_AUTO_TEST_CASE(two_of_a_kind)
{
    for (kind const& k : kinds()) {
        auto const a = k.make();
        if (k.name == "new_delete") {
            BOOST_TEST((a->get() == *std::pmr::new_delete_resource()));
            continue;
        }
        auto const& one = a->get();
        tslab::allocator heap;
        tslab::epoch_resource const another{heap};
        BOOST_TEST((one != another), k.name);
        BOOST_TEST((another != one), k.name);
        BOOST_TEST((one != *std::pmr::new_delete_resource()), k.name);
    }
    // Of one heap, of one epoch: still two.
    tslab::allocator heap;
    tslab::epoch_resource const a{heap, {.share_epoch = true}};
    tslab::epoch_resource const b{heap, {.share_epoch = true}};
    BOOST_TEST((a != b));
}

// The standard's own, as the suite's checks would be worth nothing if they could not say no.
BOOST_AUTO_TEST_CASE(the_suite_can_say_no)
{
    struct skewed final : std::pmr::memory_resource {
        void* do_allocate(std::size_t bytes, std::size_t alignment) override
        {
            return static_cast<char*>(std::pmr::new_delete_resource()->allocate(bytes + 1, alignment)) + 1;
        }
        void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
        {
            std::pmr::new_delete_resource()->deallocate(static_cast<char*>(p) - 1, bytes + 1, alignment);
        }
        [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const&) const noexcept override { return true; }
    };
    /// One piece of memory for everybody.
    struct same_for_all final : std::pmr::memory_resource {
        void* do_allocate(std::size_t, std::size_t) override { return memory.data(); }
        void do_deallocate(void*, std::size_t, std::size_t) override {}
        [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& o) const noexcept override
        {
            return this == &o;
        }
        alignas(4096) std::array<char, 200'000> memory{};
    };
    struct holder final : subject {
        explicit holder(std::pmr::memory_resource& r) : held{r} {}
        std::pmr::memory_resource& get() override { return held; }
        std::uint64_t taken() override { return 0; }
        std::pmr::memory_resource& held;
    };
    skewed wrong;
    auto const shared = std::make_unique<same_for_all>();
    holder a{wrong};
    holder b{*shared};
    BOOST_TEST((conformance::small_alignments(a, {}).is == answer::no));
    BOOST_TEST((conformance::equality(a, {}).is == answer::no));
    BOOST_TEST((conformance::nothing_overlaps(b, {}).is == answer::no));
    BOOST_TEST((conformance::any_order_of_frees(b, {}).is == answer::no));
    BOOST_TEST((conformance::size_zero(b, {}).is == answer::no));
    BOOST_TEST((conformance::size_overflow(b, {}).is == answer::no));
}

BOOST_AUTO_TEST_CASE(the_null_resource_beneath_and_as_the_default)
{
    std::pmr::memory_resource* const null = std::pmr::null_memory_resource();
    BOOST_CHECK_THROW(static_cast<void>(null->allocate(1)), std::bad_alloc);
    BOOST_TEST((*null == *std::pmr::null_memory_resource()));
    // With nothing behind the default, a resource of tslab still serves: it takes nothing from there.
    std::pmr::memory_resource* const before = std::pmr::set_default_resource(null);
    {
        tslab::allocator heap;
        tslab::epoch_resource r{heap};
        std::pmr::vector<std::pmr::string> v{&r};
        for (int i = 0; i < 1000; ++i)
            v.emplace_back(static_cast<std::size_t>(i), 'x');
        BOOST_TEST(v.back().size() == 999U);
        tslab::epoch_scope const scope{heap, "scope"};
        std::pmr::vector<int> inside(100, scope.resource());
        BOOST_TEST(inside.size() == 100U);
        static_cast<void>(heap.snapshot());
    }
    std::pmr::set_default_resource(before);
}
