// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that free the same thing at the same moment: of handles exactly one free succeeds, of pointers exactly one
// goes unreported, whatever becomes of the slab and the epoch meanwhile.
#define BOOST_TEST_MODULE stress_races
#include "stress_roles.hpp"
#include <barrier>
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
import tslab.internal;

namespace {

using stress::random_source;
using roles = std::vector<std::function<void(random_source&)>>;

constexpr std::size_t batch = 512;

/// Rounds: `prepare` on one thread fills the batch, all threads work on it in orders of their own, `judge` looks at it.
template <class Prepare, class Work, class Judge> void rounds(Prepare prepare, Work work, Judge judge)
{
    unsigned const n = stress::given().threads;
    auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(stress::given().seconds);
    std::atomic<bool> over{false};
    random_source first = stress::source_for(0);
    prepare(first);
    auto const between = [&]() noexcept {
        judge();
        over.store(std::chrono::steady_clock::now() > until);
        if (!over.load())
            prepare(first);
    };
    std::barrier all_there{static_cast<std::ptrdiff_t>(n), between};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < n; ++i)
        threads.emplace_back([&, i] {
            random_source r = stress::source_for(i + 1);
            while (!over.load()) {
                std::size_t const from = stress::below(r, 4) == 0 ? stress::below(r, batch) : 0;
                for (std::size_t k = 0; k < batch; ++k)
                    work((from + k) % batch, r);
                all_there.arrive_and_wait();
            }
        });
    for (std::thread& t : threads)
        t.join();
}

void finish(tslab::allocator& heap)
{
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
}

}

BOOST_AUTO_TEST_CASE(of_racing_frees_of_a_handle_exactly_one_succeeds)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "handles", .epoch_count = 8}};
    std::array<tslab::handle, batch> handles{};
    std::array<std::atomic<unsigned>, batch> won{};
    std::uint64_t wrong = 0, frees = 0;
    std::atomic<std::uint64_t> odd{0};
    rounds(
        [&](random_source& r) {
            for (std::size_t i = 0; i < batch; ++i) {
                won[i].store(0);
                if (heap.allocate(stress::mixed_size(r), heap.current_epoch(), handles[i]) == nullptr)
                    ++wrong;
            }
            if (stress::below(r, 2) == 0)
                heap.close(heap.current_epoch());
        },
        [&](std::size_t i, random_source& r) {
            tslab::free_result const result = heap.free(handles[i]);
            if (result == tslab::free_result::ok)
                won[i].fetch_add(1);
            else if (result != tslab::free_result::already_free)
                odd.fetch_add(1);
            if (stress::below(r, 512) == 0)
                heap.trim(heap.current_epoch());
        },
        [&] {
            for (auto const& n : won)
                wrong += n.load() != 1 ? 1 : 0;
            frees += batch;
        });
    BOOST_TEST(wrong == 0U);
    BOOST_TEST(odd.load() == 0U);
    BOOST_TEST(heap.snapshot().global.allocations == frees);
    BOOST_TEST(heap.snapshot().global.refused_handles == frees * (stress::given().threads - 1));
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
    finish(heap);
}

// Handles are freed and allocated again all the time: a handle once freed never frees what took its place.
BOOST_AUTO_TEST_CASE(stale_handles_never_free_what_took_their_place)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "stale", .epoch_count = 8}};
    struct slot {
        std::atomic<std::uint64_t> bits{0};
    };
    std::vector<slot> slots(256);
    std::atomic<std::uint64_t> allocated{0}, freed{0}, odd{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < stress::given().threads; ++i)
        threads.emplace_back([&, i] {
            random_source r = stress::source_for(i);
            while (!stop.load(std::memory_order_relaxed)) {
                slot& s = slots[stress::below(r, slots.size())];
                if (stress::below(r, 2) == 0) {
                    // The handle stays in the table: others will try it again.
                    tslab::free_result const result = heap.free(tslab::handle{s.bits.load()});
                    freed.fetch_add(result == tslab::free_result::ok ? 1 : 0, std::memory_order_relaxed);
                    odd.fetch_add(result == tslab::free_result::corrupt ? 1 : 0, std::memory_order_relaxed);
                } else {
                    tslab::handle h;
                    if (heap.allocate(1 + stress::below(r, 900), heap.current_epoch(), h) == nullptr)
                        continue;
                    allocated.fetch_add(1, std::memory_order_relaxed);
                    tslab::handle const before{s.bits.exchange(h.bits())};
                    freed.fetch_add(heap.free(before) == tslab::free_result::ok ? 1 : 0, std::memory_order_relaxed);
                }
                if (stress::below(r, 5000) == 0)
                    heap.close(heap.current_epoch());
            }
        });
    std::this_thread::sleep_for(std::chrono::duration<double>(stress::given().seconds));
    stop.store(true);
    for (std::thread& t : threads)
        t.join();
    for (slot& s : slots)
        freed.fetch_add(heap.free(tslab::handle{s.bits.load()}) == tslab::free_result::ok ? 1 : 0);
    BOOST_TEST(allocated.load() > 0U);
    BOOST_TEST(freed.load() == allocated.load());
    BOOST_TEST(odd.load() == 0U);
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
    finish(heap);
}

namespace {

/// How often each address was handed out, and how often a double free of it was reported. A report may come late, when the
/// slots are collected, and on whichever thread does that.
std::mutex ledger_lock;
std::map<void const*, std::array<std::uint64_t, 2>> ledger;
std::atomic<std::uint64_t> other_reports{0};

void note_by_address(tslab::misuse_report const& r)
{
    if (r.kind != tslab::misuse::double_free)
        other_reports.fetch_add(1);
    std::lock_guard const guard{ledger_lock};
    ++ledger[r.address][1];
}

}

// No thread allocates during a round, so no slot is used again before all have tried.
BOOST_AUTO_TEST_CASE(of_racing_frees_of_a_pointer_exactly_one_goes_unreported)
{
    stress::report_watch const watch;
    tslab::set_error_handler(note_by_address);
    ledger.clear();
    std::optional<tslab::allocator> kept{std::in_place, tslab::allocator::options{.name = "double", .epoch_count = 8}};
    tslab::allocator& heap = *kept;
    std::array<void*, batch> pointers{};
    std::uint64_t frees = 0, null = 0;
    rounds(
        [&](random_source& r) {
            // On a thread of its own that has ended, or in a closed epoch: no thread's thread cache holds the slabs.
            std::thread{[&] {
                for (void*& p : pointers)   // may report a free of the last round, so not under the lock
                    p = heap.malloc(stress::mixed_size(r));
                std::lock_guard const guard{ledger_lock};
                for (void* const p : pointers) {
                    null += p == nullptr ? 1 : 0;
                    ++ledger[p][0];
                }
            }}.join();
            if (stress::below(r, 2) == 0)
                heap.close(heap.current_epoch());
        },
        [&](std::size_t i, random_source&) { heap.free(pointers[i]); }, [&] { frees += batch; });
    finish(heap);
    kept.reset();   // a free that passed although it raced, into a slab that was never used again, is reported here
    std::uint64_t reports = 0, wrong = 0;
    for (auto const& [address, times] : ledger) {
        reports += times[1];
        wrong += times[1] != times[0] * (stress::given().threads - 1) ? 1 : 0;
    }
    BOOST_TEST(null == 0U);
    BOOST_TEST(wrong == 0U);
    BOOST_TEST(reports == frees * (stress::given().threads - 1));
    BOOST_TEST(other_reports.load() == 0U);
}

// Here the thread that allocated frees too, without atomics: a free at the very same moment may pass both, and is then
// found when the slots are collected. In no case is a slot handed out twice.
BOOST_AUTO_TEST_CASE(racing_with_the_owner_never_hands_a_slot_out_twice)
{
    stress::report_watch const watch{true};
    tslab::allocator heap{{.name = "double", .epoch_count = 8}};
    std::atomic<void*> shared{nullptr};
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> tries{0};
    std::thread other{[&] {
        while (!over.load(std::memory_order_relaxed))
            if (void* const p = shared.exchange(nullptr)) {
                heap.free(p);
                tries.fetch_add(1, std::memory_order_release);
            }
    }};
    std::uint64_t twice = 0, rounds_done = 0;
    auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(stress::given().seconds);
    while (std::chrono::steady_clock::now() < until) {
        std::array<void*, 10> mine{};
        for (void*& p : mine)
            p = heap.malloc(768);
        std::uint64_t const before = tries.load();
        shared.store(mine[3]);
        for (std::uint64_t volatile spin = rounds_done % 200; spin != 0; spin = spin - 1) {
        }
        heap.free(mine[3]);
        while (tries.load(std::memory_order_acquire) == before)
            std::this_thread::yield();
        std::array<void*, 10> next{};
        for (void*& p : next)
            p = heap.malloc(768);
        for (std::size_t i = 0; i < next.size(); ++i)
            for (std::size_t k = 0; k < next.size(); ++k)
                twice += (i != k && next[i] == next[k]) || (k != 3 && next[i] == mine[k]) ? 1 : 0;
        for (std::size_t k = 0; k < mine.size(); ++k)
            if (k != 3)
                heap.free(mine[k]);
        for (void* const p : next)
            heap.free(p);
        ++rounds_done;
    }
    over.store(true);
    other.join();
    BOOST_TEST(twice == 0U);
    BOOST_TEST(rounds_done > 0U);
    BOOST_TEST(stress::report_watch::count(tslab::misuse::double_free) == rounds_done);
    finish(heap);
}
