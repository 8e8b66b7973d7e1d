// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Limits under 16 threads that allocate in shared phases, free what others allocated, release, close, trim and change labels: no
// count is ever above its limit, and at the end every count is 0.
#define BOOST_TEST_MODULE limits
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "recorder.hpp"
#include "stress.hpp"

using tslab::epoch_resource;
using tslab::epoch_scope;
using tslab::over_limit;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::uint64_t phase_pages = mib / tslab::page_bytes;
constexpr std::uint64_t label_pages = 3 * mib / tslab::page_bytes;
constexpr std::uint64_t heap_pages = 8 * mib / tslab::page_bytes;

/// Objects that any thread may free.
class heap_of_objects {
public:
    void put(void* p)
    {
        std::lock_guard const guard{lock_};
        all_.push_back(p);
    }
    void* take(std::minstd_rand& random)
    {
        std::lock_guard const guard{lock_};
        if (all_.empty())
            return nullptr;
        std::size_t const i = random() % all_.size();
        std::swap(all_[i], all_.back());
        void* const p = all_.back();
        all_.pop_back();
        return p;
    }

private:
    std::mutex lock_;
    std::vector<void*> all_;
};

/// The epoch that all threads use.
class shared_epoch {
public:
    explicit shared_epoch(tslab::epoch_id e) { store(e); }
    void store(tslab::epoch_id e) { packed_ = e.era << 16 | e.index; }
    [[nodiscard]] tslab::epoch_id load() const
    {
        std::uint64_t const now = packed_;
        return {.index = static_cast<std::uint32_t>(now & 0xffff), .era = now >> 16};
    }

private:
    std::atomic<std::uint64_t> packed_{0};
};

}

BOOST_AUTO_TEST_CASE(no_count_is_above_its_limit_and_none_drifts)
{
    support::recorder const quiet;   // phases end with live objects
    tslab::allocator heap{{.name = "limited", .epoch_count = 4096, .limit = heap_pages * tslab::page_bytes}};
    heap.set_limit("a", label_pages * tslab::page_bytes);
    heap.set_limit("b", label_pages * tslab::page_bytes);
    auto const& accounts = *heap.state().limits().table();
    std::uint32_t const a = 1;
    std::uint32_t const b = 2;
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> refused{0};
    auto const look = [&] {
        if (accounts.labels[a].held() > label_pages || accounts.labels[b].held() > label_pages ||
            accounts.heap.held() > heap_pages)
            over = true;
    };
    constexpr unsigned threads = 16;
    heap_of_objects objects;
    shared_epoch shared{heap.current_epoch()};
    std::size_t const rounds = support::scaled(150);
    {
        std::vector<std::jthread> crew;
        for (unsigned t = 0; t < threads; ++t)
            crew.emplace_back([&, t] {
                std::minstd_rand random{t + 1};
                for (std::size_t round = 0; round < rounds; ++round) {
                    epoch_resource r{
                        heap, {.label = random() % 2 == 0 ? "a" : "b", .limit = phase_pages * tslab::page_bytes}};
                    if (t % 4 == 0)
                        shared.store(r.epoch());
                    for (int i = 0; i < 60; ++i) {
                        std::size_t const bytes =
                            random() % 20 == 0 ? 70'000 + random() % 300'000 : 16 + random() % 9'000;
                        void* p = nullptr;
                        if (random() % 2 == 0) {
                            try {
                                p = r.allocate(bytes);
                            } catch (over_limit const&) {
                                refused.fetch_add(1, std::memory_order_relaxed);
                            } catch (std::bad_alloc const&) {   // another thread has closed the epoch
                            }
                        } else {
                            p = heap.malloc(bytes, shared.load());
                        }
                        if (!r.domain().shares_epoch() && heap.record_of(r.epoch()).count.pages() > phase_pages)
                            over = true;
                        look();
                        if (p != nullptr)
                            objects.put(p);
                        if (void* const other = random() % 3 != 0 ? objects.take(random) : nullptr)
                            heap.free(other);
                    }
                    if (random() % 4 == 0)
                        heap.close(shared.load());
                    if (random() % 16 == 0)
                        heap.trim();
                    look();
                }
            });
    }
    std::minstd_rand random{99};
    while (void* const p = objects.take(random))
        heap.free(p);
    BOOST_TEST(!over.load());
    BOOST_TEST(refused.load() != 0u);
    heap.advance();
    heap.trim();
    BOOST_TEST(accounts.labels[a].held() == 0u);
    BOOST_TEST(accounts.labels[b].held() == 0u);
    BOOST_TEST(accounts.heap.held() == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(limits_are_set_and_labels_change_while_phases_are_open)
{
    support::recorder const quiet;
    tslab::allocator heap{{.name = "changing"}};
    heap.set_limit("a", 64 * mib);
    auto const& accounts = *heap.state().limits().table();
    constexpr unsigned threads = 8;
    std::atomic<bool> stop{false};
    std::atomic<unsigned> left{threads};
    std::vector<std::jthread> crew;
    for (unsigned t = 0; t < threads; ++t)
        crew.emplace_back([&, t] {
            std::minstd_rand random{t + 7};
            for (std::size_t round = 0; round < support::scaled(400); ++round) {
                epoch_scope const scope{heap, random() % 2 == 0 ? "a" : "b"};
                std::vector<std::pair<void*, std::size_t>> mine;
                for (int i = 0; i < 50; ++i) {
                    std::size_t const bytes = 16 + random() % 5'000;
                    mine.emplace_back(scope.resource()->allocate(bytes), bytes);
                    if (i == 25)
                        heap.set_label(scope.epoch(), random() % 2 == 0 ? "a" : "b");
                }
                for (auto const& [p, bytes] : mine)
                    scope.resource()->deallocate(p, bytes);
            }
            if (--left == 0)
                stop = true;
        });
    for (bool limited = false; !stop; limited = !limited)
        heap.set_limit("b", limited ? std::optional<std::size_t>{} : std::optional<std::size_t>{64 * mib});
    crew.clear();
    heap.trim();
    BOOST_TEST(accounts.labels[1].held() == 0u);
    BOOST_TEST(accounts.labels[2].held() == 0u);
}
