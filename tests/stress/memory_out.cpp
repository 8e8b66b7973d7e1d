// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Out of memory: every call to the operating system is made to fail, the first, the second, until none is left to fail,
// once only or from then on. Each time: null or bad_alloc, nothing lost, contents intact, and all works when memory is
// back. The same under limits that the kernel enforces.
#define BOOST_TEST_MODULE stress_memory_out
#include "death.hpp"
#include "stress_roles.hpp"
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <sys/resource.h>
import tslab.internal;

namespace {

using stress::random_source;

enum class call : std::uint8_t { reserve, commit, purge };

tslab::os_calls real;
call failing_call{};
std::atomic<std::uint64_t> calls_made{0};
std::atomic<std::uint64_t> fails_from{~std::uint64_t{0}}, fails_before{~std::uint64_t{0}};
std::map<void*, std::size_t> reservations;   // what is reserved now
std::atomic<std::int64_t> mapped{0};         // bytes of the window

bool fails(call c)
{
    if (c != failing_call)
        return false;
    std::uint64_t const n = calls_made.fetch_add(1);
    return n >= fails_from.load() && n < fails_before.load();
}

void* reserve(std::size_t bytes) noexcept
{
    void* const p = fails(call::reserve) ? nullptr : real.reserve(bytes);
    if (p != nullptr)
        reservations[p] = bytes;
    return p;
}
bool commit(void* begin, std::size_t bytes) noexcept { return !fails(call::commit) && real.commit(begin, bytes); }
tslab::map_result map_at(void* begin, std::size_t bytes) noexcept
{
    tslab::map_result const done = fails(call::commit) ? tslab::map_result::refused : real.map_at(begin, bytes);
    mapped += done == tslab::map_result::mapped ? static_cast<std::int64_t>(bytes) : 0;
    return done;
}
/// Whether an address is in a page of a heap, and not in a descriptor or a record.
bool is_page(void const* p) noexcept
{
    tslab::address_window const& w = tslab::process_window;
    return reinterpret_cast<std::uintptr_t>(p) - w.map().base() < std::uint64_t{w.max_units()} << tslab::unit_shift;
}
/// What a heap counts: the purge of pages. That descriptors cannot be dropped costs memory and nothing else.
bool purge(void* begin, std::size_t bytes) noexcept
{
    return !(is_page(begin) && fails(call::purge)) && real.purge(begin, bytes);
}
bool release(void* begin, std::size_t bytes) noexcept
{
    if (auto const at = reservations.find(begin); at != reservations.end()) {
        BOOST_TEST(at->second == bytes);
        reservations.erase(at);
    } else {
        mapped -= static_cast<std::int64_t>(bytes);
    }
    return real.release(begin, bytes);
}

tslab::os_calls const failing{reserve, map_at, commit, purge, release};

/// The failing table in place, for the time of a case.
struct seam {
    seam() : before{tslab::set_os_calls(nullptr)}
    {
        real = tslab::os();
        tslab::set_os_calls(&failing);
    }
    ~seam()
    {
        allow();
        tslab::set_os_calls(before);
    }
    seam(seam const&) = delete;
    seam& operator=(seam const&) = delete;

    static void fail(call c, std::uint64_t n, bool for_ever)
    {
        failing_call = c;
        calls_made.store(0);
        fails_from.store(n);
        fails_before.store(for_ever ? ~std::uint64_t{0} : n + 1);
    }
    static void allow() { fails_from.store(~std::uint64_t{0}); }

    tslab::os_calls const* before;
};

std::uint64_t refused = 0;   // nulls and bad_allocs since last set to 0

/// A little of everything a heap can do. What it cannot get it goes without; what it got it checks and frees.
void use(tslab::allocator& heap, random_source& r);

struct kept {
    stress::object o;
    tslab::handle h;
};

void keep(tslab::allocator& heap, std::vector<kept>& all, std::size_t bytes, bool by_handle, random_source& r)
{
    kept k;
    k.o.size = bytes;
    k.o.mark = r();
    tslab::epoch_id const e = heap.current_epoch();
    k.o.p = static_cast<std::byte*>(by_handle ? heap.allocate(bytes, e, k.h) : heap.malloc(bytes, e));
    BOOST_TEST((k.o.p != nullptr || !k.h));
    if (k.o.p == nullptr) {
        ++refused;
        return;
    }
    k.o.fill();
    all.push_back(k);
}

void give_back(tslab::allocator& heap, std::vector<kept>& all)
{
    for (kept const& k : all) {
        BOOST_TEST(k.o.intact());
        if (k.h)
            BOOST_TEST((heap.free(k.h) == tslab::free_result::ok));
        else
            heap.free(k.o.p);
    }
    all.clear();
}

void use(tslab::allocator& heap, random_source& r)
{
    std::vector<kept> all;
    for (std::size_t i = 0; i < 600; ++i)
        keep(heap, all, i % 100 == 99 ? 300'000 : stress::mixed_size(r), i % 5 == 0, r);
    for (int i = 0; i < 3; ++i) {
        tslab::epoch_scope const scope{heap, "scope"};
        std::vector<stress::object> mine;
        for (std::size_t k = 0; k < 100; ++k)
            try {
                std::size_t const bytes = stress::mixed_size(r);
                mine.push_back({static_cast<std::byte*>(scope.resource()->allocate(bytes, 16)), bytes, r()});
                mine.back().fill();
            } catch (std::bad_alloc const&) {
                ++refused;
            }
        for (stress::object const& o : mine) {
            BOOST_TEST(o.intact());
            scope.resource()->deallocate(o.p, o.size, 16);
        }
    }
    // A thread that may be unable to get a record of its own still frees, allocates or is refused, and ends.
    std::thread{[&] {
        std::size_t const half = all.size() / 2;
        std::vector<kept> some{all.begin() + static_cast<std::ptrdiff_t>(half), all.end()};
        all.resize(half);
        give_back(heap, some);
        keep(heap, some, 500, false, r);
        give_back(heap, some);
    }}.join();
    heap.close(heap.current_epoch());
    give_back(heap, all);
    heap.trim();
}

/// Fails the n-th call of kind `c` for every n until a whole run makes fewer; returns how many runs met a failure.
std::uint64_t fail_each(call c, bool for_ever, tslab::reclaim_policy policy)
{
    seam const calls;
    std::uint64_t met = 0;
    for (std::uint64_t n = 0;; ++n) {
        random_source r = stress::source_for(n);
        std::optional<tslab::allocator> heap;
        refused = 0;
        bool made = true;
        seam::fail(c, n, for_ever);
        try {
            heap.emplace(tslab::allocator_options{
                .name = "memory out", .epoch_count = 16, .reclaim = policy, .reserve_bytes = std::size_t{256} << 20});
            use(*heap, r);
        } catch (std::bad_alloc const&) {
            made = heap.has_value();
            BOOST_TEST(!made);
        }
        bool const failed = calls_made.load() > n;
        tslab::global_stats const g = heap ? heap->snapshot().global : tslab::global_stats{};
        met += failed ? 1 : 0;
        if (heap && failed) {
            if (c == call::purge)
                BOOST_TEST(g.madvise_failures >= 1U);
            BOOST_TEST(g.out_of_memory == refused);
        }
        seam::allow();
        if (!heap)
            heap.emplace(
                tslab::allocator_options{.name = "again", .epoch_count = 16, .reserve_bytes = std::size_t{256} << 20});
        // Memory is back: everything works, and nothing was lost on the way.
        refused = 0;
        use(*heap, r);
        BOOST_TEST(refused == 0U);
        stress::close_everything(*heap);
        heap->trim();
        BOOST_TEST(stress::wrong_with(*heap) == "");
        BOOST_TEST(heap->snapshot().global.free_resident_pages == 0U);
        heap.reset();
        tslab::process_window.close();
        BOOST_TEST(reservations.empty());
        BOOST_TEST(mapped == 0);
        if (!failed)
            return met;
    }
}

}

BOOST_AUTO_TEST_CASE(every_reservation_fails_once)
{
    stress::report_watch const watch;
    BOOST_TEST(fail_each(call::reserve, false, tslab::reclaim_policy::cached) >= 2U);
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

BOOST_AUTO_TEST_CASE(every_reservation_fails_from_then_on)
{
    stress::report_watch const watch;
    BOOST_TEST(fail_each(call::reserve, true, tslab::reclaim_policy::cached) >= 2U);
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

BOOST_AUTO_TEST_CASE(every_commit_fails_once)
{
    stress::report_watch const watch;
    BOOST_TEST(fail_each(call::commit, false, tslab::reclaim_policy::cached) >= 4U);
    BOOST_TEST(fail_each(call::commit, false, tslab::reclaim_policy::eager) >= 4U);
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

BOOST_AUTO_TEST_CASE(every_commit_fails_from_then_on)
{
    stress::report_watch const watch;
    BOOST_TEST(fail_each(call::commit, true, tslab::reclaim_policy::cached) >= 4U);
    BOOST_TEST(fail_each(call::commit, true, tslab::reclaim_policy::eager) >= 4U);
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

BOOST_AUTO_TEST_CASE(every_purge_fails_once_and_from_then_on)
{
    stress::report_watch const watch;
    BOOST_TEST(fail_each(call::purge, false, tslab::reclaim_policy::eager) >= 2U);
    BOOST_TEST(fail_each(call::purge, true, tslab::reclaim_policy::eager) >= 2U);
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

// The report of a close claims nothing that did not happen.
BOOST_AUTO_TEST_CASE(a_close_whose_purge_fails_says_so)
{
    seam const calls;
    tslab::allocator heap{{.name = "purge", .reclaim = tslab::reclaim_policy::eager}};
    void* const p = heap.malloc(1'000'000);
    std::memset(p, 1, 1'000'000);
    heap.free(p);
    seam::fail(call::purge, 0, true);
    tslab::close_report const failed = heap.close(heap.current_epoch());
    BOOST_TEST(failed.madvise_failures == 1U);
    BOOST_TEST(failed.madvise_bytes == 0U);
    BOOST_TEST(tslab::resident_bytes(p, 1'000'000) >= 1'000'000U);
    BOOST_TEST(heap.snapshot().global.free_resident_pages == 245U);
    seam::allow();
    tslab::close_report const done = heap.close(heap.current_epoch());
    BOOST_TEST(done.madvise_failures == 0U);
    BOOST_TEST(done.madvise_bytes == 245U * 4096);
    BOOST_TEST(tslab::resident_bytes(p, 1'000'000) == 0U);
}

// Threads at work while commits fail every now and then.
BOOST_AUTO_TEST_CASE(commits_fail_now_and_then_under_threads)
{
    stress::report_watch const watch;
    seam const calls;
    tslab::allocator heap{{.name = "sometimes", .epoch_count = 16, .reclaim = tslab::reclaim_policy::eager}};
    stress::bench b{heap};
    seam::fail(call::commit, ~std::uint64_t{0}, true);   // none yet
    std::vector<std::function<void(random_source&)>> roles;
    for (unsigned i = 0; i < stress::given().threads; ++i)
        roles.emplace_back([&b](random_source& r) { stress::interleave(b, r); });
    roles.emplace_back([&b](random_source& r) { stress::closer(b, r); });
    roles.emplace_back([&b](random_source& r) { stress::churn(b, r); });
    roles.emplace_back([&b](random_source& r) {
        while (b.going()) {
            bool const fails_now = stress::below(r, 2) == 0;
            fails_from.store(fails_now ? 0 : ~std::uint64_t{0});
            std::this_thread::sleep_for(std::chrono::microseconds(stress::below(r, 2000)));
        }
        fails_from.store(~std::uint64_t{0});
    });
    b.run(roles);
    b.free_all_late();
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap, &b.done) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

// Up to the end of the reserved range: every page can be had, then none, then all of them again.
BOOST_AUTO_TEST_CASE(a_full_range_refuses_and_recovers)
{
    tslab::allocator heap{
        {.name = "full", .reclaim = tslab::reclaim_policy::eager, .reserve_bytes = std::size_t{16} << 20}};
    for (int round = 0; round < 3; ++round) {
        std::vector<void*> all;
        while (void* const p = heap.malloc(768))
            all.push_back(p);
        BOOST_TEST(all.size() == (16U << 20) / tslab::bins[7].slab_bytes() * tslab::bins[7].slots);
        BOOST_TEST(heap.malloc(1) == nullptr);
        BOOST_TEST(heap.malloc(5000) == nullptr);
        tslab::epoch_scope const scope{heap, "late"};
        BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(10)), std::bad_alloc);
        for (void* const p : all)
            heap.free(p);
        heap.trim(heap.current_epoch());
        void* const whole = heap.malloc(16U << 20);
        BOOST_TEST(whole != nullptr);
        heap.free(whole);
        heap.trim();
    }
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
}

#if !defined(TSLAB_SANITIZED)

namespace {

using death::must;

/// Allocates until it is refused, gives back, and does it again.
void fill_twice(tslab::allocator& heap)
{
    std::vector<void*> all;
    all.reserve(2'000'000);
    std::size_t first = 0;
    for (int round = 0; round < 2; ++round) {
        while (void* const p = heap.malloc(768)) {
            std::memset(p, 1, 768);
            all.push_back(p);
            must(all.size() < all.capacity(), "nothing is ever refused");
        }
        must(heap.snapshot().global.out_of_memory > 0, "the refusal is not counted");
        if (round == 0)
            first = all.size();
        must(all.size() == first && first > 1000, "what was given back cannot be had again");
        bool thrown = false;
        try {
            tslab::epoch_scope const scope{heap, "full"};
            static_cast<void>(scope.resource()->allocate(1 << 20));
        } catch (std::bad_alloc const&) {
            thrown = true;
        }
        must(thrown, "a resource does not throw when memory is out");
        for (void* const p : all)
            heap.free(p);
        all.clear();
        heap.trim();
        must(heap.snapshot().global.live_objects == 0, "something was lost");
    }
}

void limit(int what, rlim_t bytes)
{
    rlimit const l{bytes, bytes};
    must(::setrlimit(static_cast<__rlimit_resource>(what), &l) == 0, "setrlimit");
}

/// What the process has mapped already: earlier cases had threads, whose stacks and heaps stay.
rlim_t address_space()
{
    unsigned long pages = 0;
    std::FILE* const f = std::fopen("/proc/self/statm", "r");
    must(f != nullptr && std::fscanf(f, "%lu", &pages) == 1, "statm");
    std::fclose(f);
    return rlim_t{pages} * 4096;
}

}

BOOST_AUTO_TEST_CASE(under_a_limit_of_address_space)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        limit(RLIMIT_AS, address_space() + (rlim_t{512} << 20));
        tslab::allocator heap{{.name = "limited"}};
        fill_twice(heap);
    });
}

BOOST_AUTO_TEST_CASE(under_a_limit_of_address_space_that_leaves_nothing)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        limit(RLIMIT_AS, address_space() + (rlim_t{16} << 10));   // a heap needs no more than some pages
        bool thrown = false;
        try {
            tslab::allocator const heap{{.name = "impossible"}};
        } catch (std::bad_alloc const&) {
            thrown = true;
        }
        must(thrown, "a heap without address space");
    });
}

// The kernel counts a page against this limit when it becomes writable: the commits themselves fail.
BOOST_AUTO_TEST_CASE(under_a_limit_of_writable_memory)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        limit(RLIMIT_DATA, rlim_t{192} << 20);
        tslab::allocator heap{{.name = "limited"}};
        fill_twice(heap);
    });
}

#endif
