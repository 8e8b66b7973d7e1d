// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says: resident pages of a range, one by one, and the size of the process.
#define BOOST_TEST_MODULE residency
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <sys/mman.h>

import tslab.stats;

#if !defined(__has_feature)
#define __has_feature(x) 0
#endif

namespace {

struct mapping {
    explicit mapping(std::size_t pages) : bytes{pages * 4096}
    {
        p = static_cast<char*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        BOOST_REQUIRE(p != MAP_FAILED);
        ::madvise(p, bytes, MADV_NOHUGEPAGE);
    }
    ~mapping()
    {
        if (p != nullptr)
            ::munmap(p, bytes);
    }
    std::size_t bytes;
    char* p;
};

}

BOOST_AUTO_TEST_CASE(counts_the_pages_that_were_touched)
{
    mapping m{20'000};   // more than one call to the kernel looks at
    BOOST_TEST(tslab::resident_bytes(m.p, m.bytes) == 0u);
    for (std::size_t page : {0u, 1u, 7u, 4095u, 4096u, 19'999u})
        m.p[page * 4096] = 1;
    BOOST_TEST(tslab::resident_bytes(m.p, m.bytes) == 6u * 4096);
    BOOST_TEST(tslab::resident_bytes(m.p, 4096) == 4096u);
    BOOST_TEST(tslab::resident_bytes(m.p + 2 * 4096, 5 * 4096) == 0u);
    ::madvise(m.p, 4096, MADV_DONTNEED);
    BOOST_TEST(tslab::resident_bytes(m.p, m.bytes) == 5u * 4096);
}

BOOST_AUTO_TEST_CASE(a_range_is_extended_to_whole_pages)
{
    mapping m{4};
    m.p[0] = m.p[4096] = 1;
    BOOST_TEST(tslab::resident_bytes(m.p + 4095, 1) == 4096u);
    BOOST_TEST(tslab::resident_bytes(m.p + 4095, 2) == 8192u);
    BOOST_TEST(tslab::resident_bytes(m.p + 4096, 1) == 4096u);
    BOOST_TEST(tslab::resident_bytes(m.p, 0) == 0u);
}

BOOST_AUTO_TEST_CASE(what_is_not_mapped_is_not_resident)
{
    mapping m{2};
    m.p[0] = 1;
    ::munmap(m.p, m.bytes);
    char const* const gone = m.p;
    m.p = nullptr;
    BOOST_TEST(tslab::resident_bytes(gone, 8192) == 0u);
    BOOST_TEST(tslab::resident_bytes(nullptr, 4096) == 0u);
}

BOOST_AUTO_TEST_CASE(the_resident_set_follows_what_is_touched_and_given_back)
{
    std::uint64_t const before = tslab::read_rss_bytes();
    BOOST_TEST(before > 0u);
    BOOST_TEST(before % 4096 == 0u);
#if !__has_feature(thread_sanitizer) && !__has_feature(address_sanitizer)
    constexpr std::size_t pages = 8192;
    constexpr std::uint64_t slack = std::uint64_t{4} << 20;   // the kernel counts per thread and adds up now and then
    mapping m{pages};
    std::memset(m.p, 1, m.bytes);
    std::uint64_t const full = tslab::read_rss_bytes();
    BOOST_TEST(full >= before + m.bytes - slack);
    BOOST_TEST(full <= before + m.bytes + slack);
    ::madvise(m.p, m.bytes, MADV_DONTNEED);
    BOOST_TEST(tslab::read_rss_bytes() <= full - m.bytes + slack);
#endif
}
