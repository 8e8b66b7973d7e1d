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
            BOOST_TEST(hook.reserves == 3u);   // pages, records, what is told
            heap.free(heap.malloc(10));
            BOOST_TEST(hook.commits >= 3u);
            BOOST_TEST(hook.purges == 0u);
            heap.close(heap.current_epoch());
            BOOST_TEST(hook.purges == 1u);
        }
        BOOST_TEST(hook.releases == hook.reserves);   // nothing stays mapped
    }
    BOOST_TEST(&tslab::os() == real);
    BOOST_TEST(tslab::set_os_calls(nullptr) == real);
    BOOST_TEST(&tslab::os() == real);
}

BOOST_AUTO_TEST_CASE(the_default_reservation_is_a_sensible_amount)
{
    std::size_t const n = tslab::default_reservation();
    BOOST_TEST(n >= std::size_t{1} << 20);
    BOOST_TEST(n <= std::size_t{1} << 38);
    BOOST_TEST(n % tslab::page_bytes == 0u);
}
