// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The checks of conformance.hpp, one function each. They return a verdict instead of asserting.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory_resource>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conformance_subject.hpp"

#if !defined(__has_feature)
#define __has_feature(x) 0
#endif

namespace conformance {

/// Several of each: the first of a pool's blocks may be aligned by chance.
inline verdict alignment(subject& s, std::size_t from, std::size_t to)
{
    for (std::size_t a = from; a <= to; a *= 2)
        for (std::size_t const bytes :
             {std::size_t{1}, std::size_t{3}, a / 2 + 1, a, a + 1, a + a / 2, std::size_t{1000}}) {
            std::vector<block> all;
            for (int i = 0; i < 5; ++i)
                all.push_back(take(s.get(), bytes, a));
            bool const good = std::all_of(all.begin(), all.end(), [](block const& b) { return b.aligned(); });
            for (block const& b : all)
                give(s.get(), b);
            if (!good)
                return no(at(bytes, a) + " are not aligned");
        }
    return {};
}
inline verdict small_alignments(subject& s, traits const&) { return alignment(s, 1, 64); }
inline verdict page_alignments(subject& s, traits const&) { return alignment(s, 128, 4096); }
inline verdict huge_alignments(subject& s, traits const&) { return alignment(s, 8192, std::size_t{1} << 21); }

inline verdict size_zero(subject& s, traits const&)
{
    std::vector<block> all;
    bool good = true;
    for (std::size_t a = 1; a <= 256; a *= 2)
        for (int i = 0; i < 4; ++i) {
            all.push_back(take(s.get(), 0, a));
            good = good && all.back().p != nullptr && all.back().aligned();
        }
    std::vector<unsigned char*> where;
    for (block const& b : all)
        where.push_back(b.p);
    std::sort(where.begin(), where.end());
    bool const distinct = std::adjacent_find(where.begin(), where.end()) == where.end();
    for (block const& b : all)
        give(s.get(), b);
    if (!good)
        return no("0 bytes are null or not aligned");
    return distinct ? verdict{} : no("several allocations of 0 bytes are one address");
}

inline verdict nothing_overlaps(subject& s, traits const&)
{
    std::mt19937 random{11};
    std::vector<block> all;
    for (std::size_t i = 0; i < 3000; ++i) {
        std::size_t const bytes =
            i % 100 == 0 ? 20'000 + random() % 100'000 : 1 + random() % (i % 10 == 0 ? 5000 : 300);
        all.push_back(take(s.get(), bytes, std::size_t{1} << random() % 7, static_cast<unsigned char>(random())));
        if (i % 3 == 2) {
            std::swap(all[random() % all.size()], all.back());
            if (!all.back().intact())
                return no("contents change");
            give(s.get(), all.back());
            all.pop_back();
        }
    }
    bool const intact = std::all_of(all.begin(), all.end(), [](block const& b) { return b.intact(); });
    std::sort(all.begin(), all.end(), [](block const& a, block const& b) { return std::less<>{}(a.p, b.p); });
    bool apart = true;
    for (std::size_t i = 1; i < all.size(); ++i)
        apart = apart && all[i - 1].p + all[i - 1].bytes <= all[i].p;
    for (block const& b : all)
        give(s.get(), b);
    return intact && apart ? verdict{} : no(intact ? "two allocations overlap" : "contents change");
}

inline verdict any_order_of_frees(subject& s, traits const&)
{
    std::mt19937 random{5};
    for (int order = 0; order < 3; ++order) {
        std::vector<block> all;
        for (std::size_t i = 0; i < 500; ++i)
            all.push_back(take(s.get(), 1 + i % 700, 8, static_cast<unsigned char>(i)));
        if (order == 1)
            std::reverse(all.begin(), all.end());
        if (order == 2)
            std::shuffle(all.begin(), all.end(), random);
        for (block const& b : all) {
            if (!b.intact())
                return no("a free spoils another's contents");
            give(s.get(), b);
        }
    }
    return {};
}

/// Absurd sizes are refused before anything is computed of them.
inline verdict size_overflow(subject& s, traits const& t)
{
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    if (!t.refuses_by_itself)
        return not_asked();   // the sanitizer ends the program at such a request
#else
    static_cast<void>(t);
#endif
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    for (std::size_t const bytes : {most, most - 1, most - 15, most - 63, most - 4095, most / 2 + 1, most / 2})
        for (std::size_t const a : {1U, 16U, 64U, 4096U}) {
            bool refused = false;
            try {
                static_cast<void>(s.get().allocate(bytes, a));
            } catch (std::bad_alloc const&) {
                refused = true;
            }
            if (!refused)
                return no(at(bytes, a) + " are granted");
        }
    block const b = take(s.get(), 100, 8);
    give(s.get(), b);
    return {};
}

inline verdict equality(subject& s, traits const&)
{
    std::pmr::memory_resource& r = s.get();
    std::pmr::monotonic_buffer_resource other;
    bool const good = r == r && !(r != r) && r.is_equal(r) && r != other && other != r && !r.is_equal(other) &&
                      *std::pmr::null_memory_resource() != r;
    return good ? verdict{} : no("is not equal to itself, or is equal to another kind");
}

inline verdict memory_is_used_again(subject& s, traits const&)
{
    auto const rounds = [&](std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            block const a = take(s.get(), 16 + i % 5 * 100, 16);
            block const b = take(s.get(), 5000, 64);
            give(s.get(), a);
            give(s.get(), b);
        }
        return s.taken();
    };
    std::uint64_t const few = rounds(100);
    std::uint64_t const many = rounds(2000);
    bool const bounded = many <= 2 * few + 65'536;
    return bounded ? verdict{}
                   : no("2,000 times the same takes " + std::to_string(many >> 10) + " KiB, 100 times " +
                        std::to_string(few >> 10));
}

inline verdict release_gives_everything_back(subject& s, traits const& t)
{
    if (!t.releases)
        return not_asked();
    std::uint64_t most = 0;
    for (int round = 0; round < 5; ++round) {
        for (std::size_t i = 0; i < 2000; ++i)
            static_cast<void>(take(s.get(), i % 1000, 16));
        static_cast<void>(take(s.get(), 200'000, 4096));
        most = std::max(most, s.taken());
        s.release();
        if (s.taken() * 2 > most)
            return no("release keeps " + std::to_string(s.taken() >> 10) + " of " + std::to_string(most >> 10) +
                      " KiB");
    }
    block const b = take(s.get(), 100, 8);
    give(s.get(), b);
    return {};
}

/// An upstream that refuses: the exception passes, and nothing is lost.
inline verdict upstream_throws(subject& s, traits const& t)
{
    if (!t.has_upstream)
        return not_asked();
    std::vector<block> all;
    for (std::size_t i = 0; i < 100; ++i)
        all.push_back(take(s.get(), i * 7, 8, static_cast<unsigned char>(i)));
    s.refuse(true);
    bool refused = false;
    for (int i = 0; i < 10; ++i)
        try {
            static_cast<void>(s.get().allocate(std::size_t{1} << 22, 16));
        } catch (std::bad_alloc const&) {
            refused = true;
        }
    s.refuse(false);
    bool const intact = std::all_of(all.begin(), all.end(), [](block const& b) { return b.intact(); });
    for (block const& b : all)
        give(s.get(), b);
    block const b = take(s.get(), std::size_t{1} << 22, 16);
    give(s.get(), b);
    return refused && intact ? verdict{} : no("the exception does not pass, or contents change");
}

struct alignas(64) line {
    std::array<char, 64> c{};
};
struct alignas(4096) page {
    std::array<char, 4096> c{};
};

inline verdict containers(subject& s, traits const&)
{
    std::pmr::memory_resource* const r = &s.get();
    std::pmr::vector<std::pmr::string> v{r};
    std::pmr::map<int, std::pmr::string> m{r};
    std::pmr::unordered_map<std::pmr::string, int> u{r};
    std::pmr::list<line> lines{r};
    std::pmr::vector<page> pages{r};
    for (int i = 0; i < 500; ++i) {
        v.emplace_back(static_cast<std::size_t>(i), 'v');
        m.emplace(i, std::pmr::string(static_cast<std::size_t>(i), 'm'));
        u.emplace(std::pmr::string(static_cast<std::size_t>(i + 1), 'u'), i);
        lines.emplace_back();
        if (i % 50 == 0)
            pages.emplace_back();
    }
    bool good = true;
    for (int i = 0; i < 500; ++i)
        good = good && v[static_cast<std::size_t>(i)].size() == static_cast<std::size_t>(i) &&
               m.at(i).size() == static_cast<std::size_t>(i) &&
               u.at(std::pmr::string(static_cast<std::size_t>(i + 1), 'u')) == i;
    for (line const& l : lines)
        good = good && reinterpret_cast<std::uintptr_t>(&l) % alignof(line) == 0;
    for (page const& p : pages)
        good = good && reinterpret_cast<std::uintptr_t>(&p) % alignof(page) == 0;
    return good ? verdict{} : no("a container holds something else, or over-aligned elements are not");
}

struct with_allocator {
    using allocator_type = std::pmr::polymorphic_allocator<>;
    explicit with_allocator(allocator_type a = {}) : got{a.resource()} {}
    explicit with_allocator(int n, allocator_type a = {}) : got{a.resource()}, number{n} {}
    with_allocator(with_allocator const& other, allocator_type a = {}) : got{a.resource()}, number{other.number} {}
    with_allocator& operator=(with_allocator const&) = delete;
    ~with_allocator() = default;

    std::pmr::memory_resource* got;
    int number = 0;
};

inline verdict polymorphic_allocator(subject& s, traits const&)
{
    std::pmr::memory_resource* const r = &s.get();
    std::pmr::polymorphic_allocator<> const a{r};
    std::string wrong;
    auto const expect = [&wrong](bool so, char const* what) {
        if (!so && wrong.empty())
            wrong = what;
    };
    auto bytes_of = a;
    void* const bytes = bytes_of.allocate_bytes(100, 32);
    expect(reinterpret_cast<std::uintptr_t>(bytes) % 32 == 0, "allocate_bytes is not aligned");
    bytes_of.deallocate_bytes(bytes, 100, 32);
    auto* const lines = bytes_of.allocate_object<line>(3);
    expect(reinterpret_cast<std::uintptr_t>(lines) % 64 == 0, "allocate_object is not aligned");
    bytes_of.deallocate_object(lines, 3);
    auto* const made = bytes_of.new_object<with_allocator>(7);
    expect(made->got == r && made->number == 7, "new_object does not pass the resource on");
    bytes_of.delete_object(made);

    bool overflow = false;
    try {
        std::pmr::polymorphic_allocator<line> of_lines{r};
        static_cast<void>(of_lines.allocate(std::numeric_limits<std::size_t>::max() / 2));
    } catch (std::bad_alloc const&) {
        overflow = true;
    }
    expect(overflow, "an overflowing number of objects is granted");

    std::pmr::vector<std::pair<with_allocator, std::pmr::vector<with_allocator>>> nested{r};
    nested.emplace_back(std::piecewise_construct, std::tuple{1}, std::tuple{});
    nested.back().second.emplace_back(2);
    nested.emplace_back(std::piecewise_construct, std::tuple{3}, std::tuple{});
    expect(nested.front().first.got == r && nested.front().second.get_allocator().resource() == r &&
               nested.front().second.front().got == r,
           "uses-allocator construction does not reach the elements");

    auto const copy = nested;   // select_on_container_copy_construction
    expect(copy.get_allocator().resource() == std::pmr::get_default_resource(), "a copy keeps the resource");
    auto const moved = std::move(nested);
    expect(moved.get_allocator().resource() == r && moved.size() == 2, "a move loses the resource");
    std::pmr::vector<int> mine({1, 2, 3}, r);
    std::pmr::vector<int> theirs{std::pmr::new_delete_resource()};
    theirs = mine;
    expect(theirs.get_allocator().resource() == std::pmr::new_delete_resource(), "assignment takes the resource along");
    theirs = std::move(mine);
    expect(theirs.get_allocator().resource() == std::pmr::new_delete_resource() && theirs.size() == 3,
           "move assignment takes the resource along");
    expect(a == std::pmr::polymorphic_allocator<int>{r} &&
               a != std::pmr::polymorphic_allocator<>{std::pmr::null_memory_resource()},
           "allocators compare otherwise than their resources");
    return wrong.empty() ? verdict{} : no(wrong);
}

inline verdict as_the_default(subject& s, traits const&)
{
    std::pmr::memory_resource* const r = &s.get();
    std::pmr::memory_resource* const before = std::pmr::set_default_resource(r);
    bool good = std::pmr::get_default_resource() == r;
    {
        std::pmr::vector<std::pmr::string> v;
        for (int i = 0; i < 100; ++i)
            v.emplace_back(200U, 'd');
        good = good && v.get_allocator().resource() == r && v.back().get_allocator().resource() == r;
    }
    good = std::pmr::set_default_resource(nullptr) == r && good;
    good = std::pmr::get_default_resource() == std::pmr::new_delete_resource() && good;
    std::pmr::set_default_resource(before);
    return good ? verdict{} : no("is not what it was set to be");
}

inline verdict beneath_others(subject& s, traits const&)
{
    std::pmr::unsynchronized_pool_resource pool{&s.get()};
    std::pmr::synchronized_pool_resource shared_pool{&s.get()};
    std::pmr::monotonic_buffer_resource monotonic{&s.get()};
    bool good = true;
    for (std::pmr::memory_resource* const r :
         {static_cast<std::pmr::memory_resource*>(&pool), static_cast<std::pmr::memory_resource*>(&shared_pool),
          static_cast<std::pmr::memory_resource*>(&monotonic)}) {
        std::vector<block> all;
        for (std::size_t i = 0; i < 1000; ++i)
            all.push_back(take(*r, 1 + i % 600, 16, static_cast<unsigned char>(i)));
        for (block const& b : all) {
            good = good && b.intact();
            give(*r, b);
        }
    }
    return good ? verdict{} : no("contents change");
}

inline verdict threads(subject& s, traits const& t)
{
    if (!t.thread_safe)
        return not_asked();
    constexpr std::size_t count = 4;
    constexpr std::size_t each = __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) ? 500 : 4000;
    std::array<std::vector<block>, count> handed_on;
    std::atomic<bool> good{true};
    auto const at_once = [&](auto&& what) {
        std::vector<std::thread> all;
        for (std::size_t i = 0; i < count; ++i)
            all.emplace_back([&what, i] { what(i); });
        for (std::thread& one : all)
            one.join();
    };
    at_once([&](std::size_t i) {
        std::mt19937 random{static_cast<unsigned>(i)};
        for (std::size_t k = 0; k < each; ++k) {
            block const b =
                take(s.get(), 1 + random() % 900, std::size_t{1} << random() % 6, static_cast<unsigned char>(random()));
            if (k % 3 == 0)
                give(s.get(), b);
            else
                handed_on[i].push_back(b);
        }
    });
    at_once([&](std::size_t i) {
        for (block const& b : handed_on[(i + 1) % count]) {
            if (!b.intact())
                good.store(false);
            give(s.get(), b);
        }
    });
    return good.load() ? verdict{} : no("contents change between threads");
}

/// After all of the above: everything has gone back.
inline verdict nothing_is_kept(subject& s, traits const&)
{
    std::vector<block> all;
    for (std::size_t i = 0; i < 2000; ++i)
        all.push_back(take(s.get(), i, 16));
    std::uint64_t const most = s.taken();
    for (block const& b : all)
        give(s.get(), b);
    std::uint64_t const kept = s.taken();
    return kept * 4 <= most ? verdict{}
                            : no("of " + std::to_string(most >> 10) + " KiB " + std::to_string(kept >> 10) +
                                 " stay taken after every deallocate");
}

}
