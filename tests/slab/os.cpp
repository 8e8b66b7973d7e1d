// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The seam to the operating system: what it gives, and that every call of tslab goes through it.
#define BOOST_TEST_MODULE os
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstring>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

BOOST_AUTO_TEST_CASE(reserved_memory_is_usable_once_committed_and_zero_after_a_purge)
{
    auto const& os = tslab::os();
    constexpr std::size_t bytes = std::size_t{1} << 20;
    auto* const p = static_cast<char*>(os.reserve(bytes));
    BOOST_REQUIRE(p != nullptr);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(p) % tslab::page_bytes == 0u);
    BOOST_TEST(tslab::resident_bytes(p, bytes) == 0u);
    BOOST_TEST(os.commit(p + 4096, 8192));
    std::memset(p + 4096, 7, 8192);
    BOOST_TEST(tslab::resident_bytes(p, bytes) == 8192u);
    BOOST_TEST(os.purge(p + 4096, 4096));
    BOOST_TEST(tslab::resident_bytes(p, bytes) == 4096u);
    BOOST_TEST(p[4096] == 0);
    BOOST_TEST(p[8192] == 7);
    os.release(p, bytes);
    BOOST_TEST(tslab::resident_bytes(p, bytes) == 0u);
    BOOST_TEST(os.reserve(SIZE_MAX / 2) == nullptr);
}

BOOST_AUTO_TEST_CASE(another_table_is_used_by_a_heap_and_the_real_one_comes_back)
{
    tslab::os_calls const* const real = &tslab::os();
    {
        support::os_hook hook;
        BOOST_TEST(&tslab::os() != real);
        {
            tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
            BOOST_TEST(hook.reserves >= 2u);   // records, what is published
            BOOST_TEST(hook.maps >= 2u);       // descriptors
            heap.free(heap.malloc(10));
            BOOST_TEST(hook.commits + hook.maps >= 5u);
            BOOST_TEST(hook.purges == 0u);
            heap.close(heap.current_epoch());
            BOOST_TEST(hook.purges == 1u);
        }
        tslab::process_window.close();
        BOOST_TEST(hook.release_bytes == hook.reserve_bytes + hook.map_bytes);   // nothing stays mapped
    }
    BOOST_TEST(&tslab::os() == real);
    BOOST_TEST(tslab::set_os_calls(nullptr) == real);
    BOOST_TEST(&tslab::os() == real);
}

// What a refusal leaves is remembered, without memory, and goes with a later release.
BOOST_AUTO_TEST_CASE(what_cannot_be_released_is_tried_again)
{
    support::os_hook hook;
    auto const& os = tslab::os();
    constexpr std::size_t bytes = 16 * tslab::page_bytes;
    std::array<char*, 3> all{};
    for (char*& p : all) {
        BOOST_REQUIRE((p = static_cast<char*>(os.reserve(bytes))) != nullptr);
        BOOST_REQUIRE(os.commit(p, bytes));
        std::memset(p, 1, bytes);
    }
    hook.fail_release = true;
    std::uint64_t const refused = tslab::refused_releases();
    tslab::release_for_good(all[0], bytes);
    tslab::release_for_good(all[1], bytes);
    BOOST_TEST(tslab::refused_releases() == refused + 2);
    BOOST_TEST(tslab::resident_bytes(all[0], bytes) == 0u);
    BOOST_TEST(hook.release_bytes == 0u);
    BOOST_TEST(!tslab::release_one_more());   // refused again
    hook.fail_release = false;
    tslab::release_for_good(all[2], bytes);
    BOOST_TEST(hook.release_bytes == 2 * bytes);
    BOOST_TEST(tslab::release_one_more());
    BOOST_TEST(hook.release_bytes == 3 * bytes);
    BOOST_TEST(!tslab::release_one_more());
    // More than can be remembered stay mapped, without memory.
    std::vector<void*> many;
    for (std::size_t i = 0; i < tslab::most_unreleased + 1; ++i)
        many.push_back(os.reserve(bytes));
    hook.fail_release = true;
    for (void* const p : many)
        tslab::release_for_good(p, bytes);
    hook.fail_release = false;
    std::size_t again = 0;
    while (tslab::release_one_more())
        ++again;
    BOOST_TEST(again == tslab::most_unreleased);
    BOOST_TEST(os.release(many.back(), bytes));
}

BOOST_AUTO_TEST_CASE(memory_at_an_address_never_takes_the_place_of_something_else)
{
    auto const& os = tslab::os();
    constexpr std::size_t bytes = 16 * tslab::page_bytes;
    auto* const p = static_cast<char*>(os.reserve(bytes));
    BOOST_REQUIRE(p != nullptr);
    BOOST_TEST((os.map_at(p, bytes) == tslab::map_result::taken));
    BOOST_TEST((os.map_at(p + bytes - tslab::page_bytes, bytes) == tslab::map_result::taken));
    os.release(p, bytes);
    BOOST_TEST((os.map_at(p, bytes) == tslab::map_result::mapped));
    std::memset(p, 1, bytes);
    os.release(p, bytes);
    // Nothing is there now, but no mapping may begin at such an address.
    BOOST_TEST((os.map_at(p + 1, tslab::page_bytes) == tslab::map_result::taken));
    BOOST_TEST((os.map_at(p, SIZE_MAX / 2) == tslab::map_result::refused));
    BOOST_TEST(tslab::physical_memory() > std::size_t{1} << 26);
    BOOST_TEST(tslab::random_number() != tslab::random_number());
}
