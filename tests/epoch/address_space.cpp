// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The address space that heaps take: little for a small heap, about its size for a large one, and other heaps get what
// an ended one had. Each case runs in a process of its own, since limits and locks belong to a process.
#define BOOST_TEST_MODULE address_space
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

#if !defined(__has_feature)
#define __has_feature(x) 0
#endif

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t kib = std::uint64_t{1} << 10;
// Memory checkers map memory of their own, which changes the figures.
constexpr bool figures_count = __has_feature(address_sanitizer) == 0 && __has_feature(thread_sanitizer) == 0;

struct usage {
    std::uint64_t space;
    std::uint64_t resident;
};

usage now()
{
    unsigned long long a = 0, b = 0;
    std::FILE* const f = std::fopen("/proc/self/statm", "r");
    if (f == nullptr || std::fscanf(f, "%llu %llu", &a, &b) != 2)
        std::abort();
    std::fclose(f);
    return {a * 4096, b * 4096};
}

/// Runs `f` in a process of its own; a result other than 0 names the failure.
std::string in_child(std::function<std::string()> const& f)
{
    int ends[2];
    BOOST_REQUIRE(::pipe(ends) == 0);
    pid_t const pid = ::fork();
    if (pid == 0) {
        std::string const said = f() + '.';
        if (::write(ends[1], said.data(), said.size()) != static_cast<ssize_t>(said.size()))
            ::_exit(2);
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string said;
    char c = 0;
    while (::read(ends[0], &c, 1) == 1)
        said += c;
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    BOOST_TEST(status == 0);
    if (!said.empty())
        said.pop_back();
    else
        said = "it ended without a word";
    return said;
}

std::string too_much(char const* what, std::uint64_t found, std::uint64_t most)
{
    if (found <= most || !figures_count)
        return {};
    return std::string{what} + ' ' + std::to_string(found) + " is more than " + std::to_string(most) + "; ";
}

std::unique_ptr<tslab::allocator> make(std::size_t i, tslab::allocator_options o = {})
{
    std::string const name = "tenant-" + std::to_string(i);
    o.name = name;
    o.publish = false;
    return std::make_unique<tslab::allocator>(o);
}

/// Address space of pages, descriptors and records, without the segments.
std::uint64_t own_space(usage const& u, std::size_t heaps)
{
    std::uint64_t const segment = 0;   // one for the process
    return u.space - heaps * segment;
}

}

BOOST_AUTO_TEST_CASE(two_thousand_heaps_of_one_object_take_a_mebibyte_of_addresses_each_at_most)
{
    BOOST_TEST(in_child([]() -> std::string {
                   constexpr std::size_t n = 2000;
                   std::vector<std::unique_ptr<tslab::allocator>> heaps;
                   std::vector<void*> objects;
                   heaps.reserve(n);
                   objects.reserve(n);
                   usage const before = now();
                   for (std::size_t i = 0; i < n; ++i) {
                       heaps.push_back(make(i));
                       objects.push_back(heaps.back()->malloc(100));
                       if (objects.back() == nullptr)
                           return "heap " + std::to_string(i) + " has no memory";
                       std::memset(objects.back(), 1, 100);
                   }
                   usage const after = now();
                   std::string wrong = too_much("address space a heap", (own_space(after, n) - before.space) / n, mib);
                   std::fprintf(stderr,
                                "a heap: %llu KiB of addresses without its segment, %llu KiB resident with it\n",
                                static_cast<unsigned long long>((own_space(after, n) - before.space) / n / kib),
                                static_cast<unsigned long long>((after.resident - before.resident) / n / kib));
                   for (std::size_t i = 0; i < n; ++i)
                       heaps[i]->free(objects[i]);
                   for (std::size_t i = 0; i < n; i += 2)
                       heaps[i].reset();
                   heaps[1]->free(heaps[1]->malloc(1000));
                   heaps.clear();
                   // Only the tables stay mapped, and the next heap gets what one heap had.
                   wrong += too_much("address space left", now().space - before.space, 64 * mib);
                   return wrong;
               }) == "");
}

BOOST_AUTO_TEST_CASE(heaps_live_under_a_limit_of_eight_gibibytes_of_addresses)
{
    if (!figures_count)
        return;   // its shadow alone is more
    BOOST_TEST(in_child([]() -> std::string {
                   rlimit const limit{std::uint64_t{8} << 30, std::uint64_t{8} << 30};
                   if (::setrlimit(RLIMIT_AS, &limit) != 0)
                       return "no limit";
                   std::vector<std::unique_ptr<tslab::allocator>> heaps;
                   for (std::size_t i = 0; i < 16; ++i) {
                       heaps.push_back(make(i));
                       void* const p = heaps.back()->malloc(200 * mib);
                       void* const q = heaps.back()->malloc(100);
                       if (p == nullptr || q == nullptr)
                           return "heap " + std::to_string(i) + " has no memory";
                       heaps.back()->free(p);
                       heaps.back()->free(q);
                       heaps.back()->trim();
                   }
                   return {};
               }) == "");
}

BOOST_AUTO_TEST_CASE(a_heap_takes_about_the_addresses_that_it_uses_and_gives_them_back)
{
    BOOST_TEST(in_child([]() -> std::string {
                   auto const heap = make(0);
                   heap->free(heap->malloc(100));
                   constexpr std::size_t n = 300'000;   // of 1,024 bytes: 300 MB
                   std::vector<void*> all(n);
                   std::memset(all.data(), 1, n * sizeof(void*));
                   usage const empty = now();
                   for (void*& p : all) {
                       p = heap->malloc(1024);
                       if (p == nullptr)
                           return "no memory";
                   }
                   usage const full = now();
                   std::string wrong =
                       too_much("space of a heap of 300 MB", full.space - empty.space, n * 1024 + 64 * mib);
                   void* const large = heap->malloc(500 * mib);
                   wrong += too_much("space of a large allocation", now().space - full.space, 564 * mib);
                   heap->free(large);
                   for (void* const p : all)
                       heap->free(p);
                   heap->trim();
                   wrong += too_much("space of an empty heap", now().space - empty.space, 64 * mib);
                   void* const again = heap->malloc(500 * mib);
                   if (again == nullptr)
                       return wrong + "no memory afterwards";
                   std::memset(again, 1, 500 * mib);
                   heap->free(again);
                   return wrong;
               }) == "");
}

BOOST_AUTO_TEST_CASE(pointers_into_units_given_back_are_reported_and_change_nothing)
{
    support::recorder seen;
    tslab::allocator first{{.name = "first"}};
    char* const p = static_cast<char*>(first.malloc(200 * mib));
    BOOST_REQUIRE(p != nullptr);
    first.free(p);
    first.trim();
    char* const gone = p + 150 * mib;
    BOOST_TEST(tslab::resident_bytes(gone, tslab::page_bytes) == 0u);
    first.free(gone);
    first.free(gone + 1);
    BOOST_TEST(seen.count(tslab::misuse::double_free) + seen.count(tslab::misuse::foreign_pointer) == 2u);
    {
        tslab::allocator second{{.name = "second"}};
        char* const q = static_cast<char*>(second.malloc(180 * mib));
        BOOST_REQUIRE(q != nullptr);
        first.free(q);
        BOOST_TEST(seen.count(tslab::misuse::wrong_heap) == 1u);
        void* const small = second.malloc(64);
        first.free(small);
        BOOST_TEST(seen.count(tslab::misuse::wrong_heap) == 2u);
        tslab::epoch_resource r{first, {.label = "r"}};
        r.deallocate(small, 64);
        BOOST_TEST(seen.count(tslab::misuse::wrong_heap) == 3u);
        second.free(small);
        second.free(q);
        BOOST_TEST(second.snapshot().global.live_objects == 0u);
        BOOST_TEST(second.snapshot().global.misuses == 0u);
    }
    BOOST_TEST(first.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(locked_memory_costs_at_most_twice_what_a_heap_holds)
{
    if (!figures_count)
        return;
    std::string const said = in_child([]() -> std::string {
        auto const warm = make(0);   // the process's own tables and the segment's
        warm->free(warm->malloc(100));
        if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
            return "not allowed";
        auto const heap = make(1, {.epoch_count = 4});
        usage const before = now();
        constexpr std::size_t n = 20'000;
        std::vector<void*> all(n);
        for (void*& p : all)
            if ((p = heap->malloc(4096)) == nullptr)
                return "no memory";
        usage const after = now();
        for (void* const p : all)
            heap->free(p);
        return too_much("resident", after.resident - before.resident, 2 * n * 4096 + 2 * mib);
    });
    BOOST_TEST((said == "" || said == "not allowed"), said);
}
