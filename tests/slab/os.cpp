// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The seam to the operating system: what it gives, and that every call of tslab goes through it.
#define BOOST_TEST_MODULE os
#include <boost/test/unit_test.hpp>

#include <cstring>

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
            BOOST_TEST(hook.reserves >= 2u);   // records, what is told
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
    auto* const beyond = reinterpret_cast<void*>(~std::uintptr_t{0} << 20);
    if (!support::sanitized)   // ThreadSanitizer ends the program there
        BOOST_TEST((os.map_at(beyond, tslab::page_bytes) != tslab::map_result::mapped));
    BOOST_TEST(tslab::physical_memory() > std::size_t{1} << 26);
    BOOST_TEST(tslab::random_number() != tslab::random_number());
}
