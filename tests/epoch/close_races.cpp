// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// close and trim beside other operations: in the middle of an allocation, beside another close, beside allocation and free.
#define BOOST_TEST_MODULE close_races
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "filled.hpp"
#include "recorder.hpp"

using filled::fill;
using support::scaled;
using support::stats_of;
using tslab::lifecycle;

namespace {

/// Runs a function in the middle of an operation: at its next request for memory from the system.
class interruption {
public:
    /// Requests for records, or for pages and their descriptors.
    enum class at : std::uint8_t { records, pages };
    explicit interruption(at when = at::records)
    {
        real_ = &tslab::os();
        calls_ = *real_;
        if (when == at::records)
            calls_.commit = commit;
        else
            calls_.map_at = map_at;
        tslab::set_os_calls(&calls_);
    }
    ~interruption()
    {
        what_ = nullptr;
        tslab::set_os_calls(real_);
    }
    interruption(interruption const&) = delete;
    interruption& operator=(interruption const&) = delete;

    static void by(std::function<void()> what) { what_ = std::move(what); }
    static bool is_pending() { return what_ != nullptr; }

private:
    static bool commit(void* begin, std::size_t bytes) noexcept
    {
        if (auto const now = std::exchange(what_, nullptr))
            now();
        return real_->commit(begin, bytes);
    }

    static tslab::map_result map_at(void* begin, std::size_t bytes) noexcept
    {
        if (auto const now = std::exchange(what_, nullptr))
            now();
        return real_->map_at(begin, bytes);
    }

    static inline std::function<void()> what_;
    static inline tslab::os_calls const* real_ = nullptr;
    static inline tslab::os_calls calls_{};
};

std::uint64_t caches_of(tslab::allocator& heap)
{
    std::uint64_t n = 0;
    for (tslab::thread_record const* r = heap.state().first_record(); r != nullptr; r = r->next_of_heap)
        heap.state().for_each_cache(*r, [&n](tslab::thread_cache const&) { ++n; });
    return n;
}

}

BOOST_AUTO_TEST_CASE(a_large_allocation_whose_epoch_is_closed_while_its_pages_are_made_is_refused)
{
    constexpr std::size_t bytes = std::size_t{8} << 20;
    interruption const interrupted{interruption::at::pages};
    tslab::allocator heap{{.epoch_count = 2}};
    auto const e = heap.advance();
    support::worker closer;
    closer([&] { heap.free(heap.malloc(1)); });
    tslab::close_report r;
    interrupted.by([&] { closer([&] { r = heap.close(e); }); });
    BOOST_TEST(heap.malloc(bytes, e) == nullptr);
    BOOST_TEST(!interrupted.is_pending());
    BOOST_TEST(r.closed);
    BOOST_TEST(r.drained);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.slow_path_epoch_closed == 1u);
    BOOST_TEST(s.global.out_of_memory == 0u);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.large_pages == 0u);
    auto const pages = heap.state().pages().used_pages();
    void* const p = heap.malloc(bytes);   // from the pages that were mapped for it
    BOOST_TEST(p != nullptr);
    BOOST_TEST(heap.state().pages().used_pages() == pages);
    heap.free(p);
}

BOOST_AUTO_TEST_CASE(
    an_epoch_closed_while_a_thread_makes_its_thread_cache_for_it_is_closed_and_the_thread_cache_serves_another)
{
    interruption const interrupted;
    tslab::allocator heap{{.epoch_count = 2048, .publish = false}};
    support::worker closer;
    closer([&] { heap.free(heap.malloc(1)); });
    heap.free(heap.malloc(std::size_t{8} << 20));   // so that no slab needs unmapped memory
    std::vector<std::unique_ptr<tslab::epoch_domain>> all;
    for (int i = 0; i < 2000; ++i)
        all.push_back(std::make_unique<tslab::epoch_domain>(heap));
    std::size_t at = 0;
    std::vector<void*> objects;
    for (; at < all.size(); ++at) {   // until the thread cache of one needs memory
        auto const e = all[at]->epoch();
        interrupted.by([&] { closer([&] { heap.close(e); }); });
        objects.push_back(heap.malloc(8, e));
        if (!interrupted.is_pending())
            break;
        BOOST_REQUIRE(objects.back() != nullptr);
    }
    BOOST_REQUIRE(at + 1 < all.size());
    BOOST_TEST(objects.back() == nullptr);
    BOOST_TEST((stats_of(heap, all[at]->epoch()).lifecycle == lifecycle::drained));
    auto const g = heap.snapshot().global;
    BOOST_TEST(g.slow_path_epoch_closed == 1u);
    BOOST_TEST(g.phase_costs_dropped == 1u);   // its closer does not wait for the memory that this thread keeps locked
    auto const caches = caches_of(heap);
    objects.push_back(heap.malloc(8, all[at + 1]->epoch()));
    BOOST_TEST(objects.back() != nullptr);
    BOOST_TEST(caches_of(heap) == caches);
    for (void* p : objects)
        heap.free(p);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_whose_epoch_is_closed_while_its_thread_cache_is_made_has_none)
{
    interruption const interrupted;
    tslab::allocator heap{{.epoch_count = 2, .publish = false}};
    heap.advance();   // the record of another epoch is made
    support::worker closer;
    closer([&] { heap.free(heap.malloc(1)); });
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    do {
        interrupted.by([&] { closer([&] { heap.close(heap.current_epoch()); }); });
        all.push_back(std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{.share_epoch = true}));
    } while (interrupted.is_pending() && all.size() < 2000);
    BOOST_REQUIRE(!interrupted.is_pending());
    BOOST_TEST(!heap.is_active(all.back()->epoch()));
    BOOST_CHECK_THROW((void)all.back()->allocate(8), tslab::epoch_closed);
    BOOST_CHECK_THROW((void)all.front()->allocate(8), tslab::epoch_closed);
    auto const caches = caches_of(heap);
    tslab::epoch_resource next{heap, {.share_epoch = true}};
    next.deallocate(next.allocate(8), 8);
    BOOST_TEST(caches_of(heap) == caches);   // it uses the one that was made before
    all.clear();
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(threads_closing_the_same_epoch_at_once_close_it_once)
{
    tslab::allocator heap{{.epoch_count = 64}};
    std::size_t const rounds = scaled(300);
    std::array<support::worker, 3> closers;
    for (std::size_t i = 0; i < rounds; ++i) {
        auto const e = heap.current_epoch();
        for (void* p : fill(heap, e, 50, 100))
            heap.free(p);
        std::vector<std::thread> threads;
        std::atomic<int> drained{0};
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&] { drained += heap.close(e).drained; });
        for (auto& t : threads)
            t.join();
        BOOST_REQUIRE(drained >= 1);   // a close that finds the epoch gone reports that; see the counts below
    }
    BOOST_TEST(heap.snapshot().global.epoch_closes == rounds);
    BOOST_TEST(heap.snapshot().global.epoch_drains == rounds);
    BOOST_TEST(heap.snapshot().global.epoch_advances == rounds);
}

BOOST_AUTO_TEST_CASE(trim_beside_allocation_and_free_loses_nothing)
{
    tslab::allocator heap;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random{t};
            std::vector<std::pair<unsigned char*, std::size_t>> mine;
            while (!stop.load(std::memory_order_relaxed)) {
                if (mine.size() < 200 && random() % 2 == 0) {
                    std::size_t const n = 1 + random() % 768;
                    auto* const p = static_cast<unsigned char*>(heap.malloc(n));
                    std::memset(p, static_cast<int>(t + 1), n);
                    mine.emplace_back(p, n);
                } else if (!mine.empty()) {
                    std::swap(mine[random() % mine.size()], mine.back());
                    wrong += mine.back().first[0] != t + 1 || mine.back().first[mine.back().second - 1] != t + 1;
                    heap.free(mine.back().first);
                    mine.pop_back();
                }
            }
            for (auto [p, n] : mine)
                heap.free(p);
        });
    for (std::size_t i = 0; i < scaled(3000); ++i)
        heap.trim(heap.current_epoch());
    stop = true;
    for (auto& t : threads)
        t.join();
    heap.trim();
    BOOST_TEST(wrong == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}
