// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The adapter to Boost's own pmr: containers and Boost.JSON in a scope, and when two adapters are the same.
#define BOOST_TEST_MODULE boost_adapter
#include <boost/test/unit_test.hpp>

#include <boost/container/pmr/map.hpp>
#include <boost/container/pmr/string.hpp>
#include <boost/container/pmr/vector.hpp>
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory_resource>
#include <new>
#include <string>
#include <utility>

#include "recorder.hpp"
import tslab.boost;

using support::stats_of;

BOOST_AUTO_TEST_CASE(boost_json_parses_into_a_scope)
{
    tslab::allocator heap;
    tslab::epoch_id e{};
    {
        tslab::epoch_scope scope{heap, "parse"};
        e = scope.epoch();
        tslab::boost_resource adapter{scope.resource()};
        std::string text = "[";
        for (int i = 0; i < 500; ++i)
            text += (i != 0 ? "," : "") + std::string{R"({"name":"a name that is longer than a small string","n":)"} +
                    std::to_string(i) + R"(,"list":[1,2,3,null,true,4.5]})";
        text += "]";
        boost::json::value const v = boost::json::parse(text, boost::json::storage_ptr{&adapter});
        BOOST_TEST(v.storage().get() == &adapter);
        BOOST_TEST(v.as_array().size() == 500u);
        BOOST_TEST(v.at(321).at("n").as_int64() == 321);
        BOOST_TEST(std::string{v.at(7).at("name").as_string()} == "a name that is longer than a small string");
        BOOST_TEST(boost::json::serialize(v).size() > 10'000u);
        BOOST_TEST(stats_of(heap, e).live_objects > 1000u);
    }
    BOOST_TEST(!heap.is_active(e));
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

namespace {

/// Counts deallocations at another size or alignment than the allocation's.
class strict_resource final : public std::pmr::memory_resource {
public:
    std::size_t allocations = 0;
    std::size_t mismatches = 0;

private:
    using request = std::pair<std::size_t, std::size_t>;

    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        void* const p = std::pmr::new_delete_resource()->allocate(bytes, alignment);
        live_[p] = {bytes, alignment};
        ++allocations;
        return p;
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        request const asked = live_.at(p);
        mismatches += asked != request{bytes, alignment} ? 1 : 0;
        live_.erase(p);
        std::pmr::new_delete_resource()->deallocate(p, asked.first, asked.second);
    }
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override
    {
        return this == &other;
    }

    std::map<void*, request> live_;
};

}

BOOST_AUTO_TEST_CASE(every_deallocation_has_the_alignment_of_its_allocation)
{
    strict_resource strict;
    tslab::boost_resource adapter{&strict};
    {
        // An object given up halfway: a key without a value is freed in a way of its own.
        boost::json::stream_parser parser;
        parser.reset(boost::json::storage_ptr{&adapter});
        parser.write(R"({"key":1,"list":[{"inner":2},"text"],"last":[)");
    }
    {
        boost::json::value const v =
            boost::json::parse(R"({"key":1,"list":[{"inner":"text"}]})", boost::json::storage_ptr{&adapter});
        BOOST_TEST(v.at("key").as_int64() == 1);
        boost::json::object taken{v.as_object(), boost::json::storage_ptr{&adapter}};
        taken.erase("key");
    }
    BOOST_TEST(strict.allocations > 5u);
    BOOST_TEST(strict.mismatches == 0u);
}

// Boost.JSON's monotonic_resource frees its blocks at a smaller size than it allocated.
BOOST_AUTO_TEST_CASE(an_adapter_for_any_sizes_serves_boosts_monotonic_resource)
{
    auto const parse = [](tslab::boost_resource& adapter) {
        boost::json::monotonic_resource blocks{1024, boost::json::storage_ptr{&adapter}};
        std::string text = "[0";
        for (int i = 0; i < 2000; ++i)
            text += R"(,{"name":"a name that is longer than a small string"})";
        boost::json::value const v = boost::json::parse(text + ']', boost::json::storage_ptr{&blocks});
        return v.as_array().size();
    };
    strict_resource strict;
    tslab::boost_resource exact{&strict};
    BOOST_TEST(parse(exact) == 2001U);
    BOOST_TEST(strict.mismatches != 0U);   // it is Boost's mistake; if this fails, it has been mended
    strict_resource strict_below_any;
    tslab::boost_resource any{&strict_below_any, tslab::freed_sizes::any};
    BOOST_TEST((any.sizes() == tslab::freed_sizes::any));
    BOOST_TEST(parse(any) == 2001U);
    BOOST_TEST(strict_below_any.allocations > 3U);
    BOOST_TEST(strict_below_any.mismatches == 0U);

    support::recorder seen;
    tslab::allocator heap{{.name = "json"}};
    {
        tslab::epoch_scope const scope{heap, "parse"};
        tslab::boost_resource adapter{scope.resource(), tslab::freed_sizes::any};
        BOOST_TEST(parse(adapter) == 2001U);
        BOOST_TEST(stats_of(heap, scope.epoch()).live_objects == 0U);
    }
    BOOST_TEST(heap.snapshot().global.misuses == 0U);
}

BOOST_AUTO_TEST_CASE(an_adapter_for_any_sizes_keeps_every_alignment_and_refuses_what_is_too_large)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap};
    tslab::boost_resource adapter{&r, tslab::freed_sizes::any};
    for (std::size_t alignment = 1; alignment <= 8192; alignment *= 2)
        for (std::size_t const bytes : {std::size_t{0}, std::size_t{1}, std::size_t{100}, std::size_t{70'000}}) {
            auto* const p = static_cast<unsigned char*>(adapter.allocate(bytes, alignment));
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(p) % alignment == 0U);
            std::memset(p, 0xff, bytes);
            adapter.deallocate(p, bytes / 2, 1);
        }
    BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0U);
    for (std::size_t const less : {0U, 15U, 16U})
        BOOST_CHECK_THROW((void)adapter.allocate(~std::size_t{0} - less, 16), std::bad_alloc);
    tslab::boost_resource const exact{&r}, again{&r, tslab::freed_sizes::any};
    BOOST_TEST(!adapter.is_equal(exact));
    BOOST_TEST(adapter.is_equal(again));
}

BOOST_AUTO_TEST_CASE(boost_containers_take_their_memory_from_the_resource)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap};
    tslab::boost_resource adapter{&r};
    BOOST_TEST(adapter.upstream() == &r);
    {
        boost::container::pmr::map<int, boost::container::pmr::string> m{&adapter};
        boost::container::pmr::vector<double> v{&adapter};
        for (int i = 0; i < 1000; ++i) {
            m.emplace(i, "a string that is longer than the small buffer holds");
            v.push_back(i);
        }
        BOOST_TEST(m.at(999) == "a string that is longer than the small buffer holds");
        BOOST_TEST(v.back() == 999.0);
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects >= 2000u);
    }
    BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(adapters_are_equal_when_their_resources_are)
{
    tslab::allocator heap;
    tslab::epoch_resource a{heap}, b{heap};
    tslab::boost_resource const of_a{&a}, again{&a}, of_b{&b};
    BOOST_TEST(of_a.is_equal(again));
    BOOST_TEST(!of_a.is_equal(of_b));
    BOOST_TEST(!of_a.is_equal(*boost::container::pmr::new_delete_resource()));
    BOOST_TEST(!boost::container::pmr::new_delete_resource()->is_equal(of_a));
}

BOOST_AUTO_TEST_CASE(a_closed_epoch_is_a_bad_alloc_through_the_adapter_too)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap};
    tslab::boost_resource adapter{&r};
    heap.close(r.epoch());
    BOOST_CHECK_THROW((void)adapter.allocate(10, 8), tslab::epoch_closed);
    boost::container::pmr::vector<int> v{&adapter};
    BOOST_CHECK_THROW(v.push_back(1), std::bad_alloc);
}
