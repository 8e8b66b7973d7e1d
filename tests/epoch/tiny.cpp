// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The classes of 16, 32 and 48 bytes, whose slabs have several subslabs with words of their own: every guarantee holds
// for objects of each subslab, and a slab changes owners, and is empty, only as a whole.
#define BOOST_TEST_MODULE tiny
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "objects.hpp"
#include "recorder.hpp"

using support::give;
using support::on_other_thread;
using support::page_of;
using support::recorder;
using support::scaled;
using support::stats_of;
using support::take;
using tslab::misuse;

namespace {

constexpr std::array<unsigned, 3> tiny{8, 9, 10};

struct shape {
    unsigned c;
    std::size_t size, slots, subslabs, slab;

    explicit shape(unsigned of_class)
        : c{of_class},
          size{tslab::bins[c].size},
          slots{tslab::bins[c].slots},
          subslabs{tslab::bins[c].subslabs},
          slab{tslab::bins[c].slab_slots()}
    {
    }
};

}

BOOST_AUTO_TEST_CASE(every_slot_of_every_subslab_is_handed_out_once)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        tslab::allocator heap;
        auto const all = take(heap, s.slab, s.size);
        for (std::size_t i = 0; i < all.size(); ++i) {
            BOOST_REQUIRE(page_of(all[i]) == page_of(all[0]));
            BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(all[i]) % 16 == 0);
            std::memset(all[i], static_cast<int>(i & 0xff), s.size);
        }
        BOOST_TEST((std::set<void*>{all.begin(), all.end()}.size()) == s.slab);
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto const* const p = static_cast<unsigned char const*>(all[i]);
            BOOST_REQUIRE(std::count(p, p + s.size, i & 0xff) == static_cast<std::ptrdiff_t>(s.size));
        }
        auto now = heap.snapshot().classes[c];
        BOOST_TEST(now.full_slabs == 1u);
        BOOST_TEST(now.partial_slabs == 0u);
        BOOST_TEST(now.objects_per_slab == s.slab);
        BOOST_TEST(now.slow_path_hits == s.subslabs);   // one a subslab
        BOOST_TEST(now.new_slab_count == 1u);
        BOOST_TEST(now.live_bytes == s.slab * s.size);
        void* const next = heap.malloc(s.size);
        BOOST_TEST(page_of(next) != page_of(all[0]));
        now = heap.snapshot().classes[c];
        BOOST_TEST(now.full_slabs == 1u);
        BOOST_TEST(now.partial_slabs == 1u);
        BOOST_TEST(now.list_move_partial_to_full == 1u);
        give(heap, all);
        heap.free(next);
        BOOST_TEST(heap.snapshot().global.live_objects == 0u);
        BOOST_TEST(heap.snapshot().global.misuses == 0u);
    }
}

BOOST_AUTO_TEST_CASE(what_is_freed_in_any_subslab_is_handed_out_before_a_new_slab)
{
    std::mt19937 random{5};
    for (unsigned const c : tiny) {
        shape const s{c};
        tslab::allocator heap;
        auto all = take(heap, 3 * s.slab, s.size);
        for (int round = 0; round < 20; ++round) {
            std::shuffle(all.begin(), all.end(), random);
            std::size_t const n = 1 + random() % (all.size() - 1);
            std::set<void*> freed;
            for (std::size_t i = 0; i < n; ++i) {
                freed.insert(all.back());
                heap.free(all.back());
                all.pop_back();
            }
            for (std::size_t i = 0; i < n; ++i) {
                all.push_back(heap.malloc(s.size));
                BOOST_REQUIRE(freed.erase(all.back()) == 1u);
            }
            BOOST_TEST(heap.snapshot().classes[c].new_slab_count == 3u);
        }
        give(heap, all);
    }
}

BOOST_AUTO_TEST_CASE(frees_of_other_threads_come_back_from_every_subslab)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        tslab::allocator heap;
        for (int round = 0; round < 5; ++round) {
            auto const all = take(heap, 3 * s.slab, s.size);
            on_other_thread([&] { give(heap, all); });
            BOOST_TEST(heap.snapshot().global.live_objects == 0u);
        }
        auto const now = heap.snapshot().classes[c];
        BOOST_TEST(now.remote_frees == 5 * 3 * s.slab);
        BOOST_TEST(now.new_slab_count == 3u);
        BOOST_TEST(now.collects == 4 * 3 * s.subslabs);
    }
}

BOOST_AUTO_TEST_CASE(a_double_free_is_found_in_every_subslab_by_any_thread)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        recorder seen;
        tslab::allocator heap;
        auto const all = take(heap, s.slab, s.size);
        std::size_t reports = 0;
        auto const expect = [&](void* p) {
            BOOST_REQUIRE(seen.count() == ++reports);
            BOOST_REQUIRE(seen.last().kind == misuse::double_free);
            BOOST_REQUIRE(seen.last().address == p);
            BOOST_REQUIRE(seen.last().size_class == s.size);
        };
        for (std::size_t i = 0; i < all.size(); i += 7) {
            heap.free(all[i]);
            heap.free(all[i]);
            expect(all[i]);
            on_other_thread([&] { heap.free(all[i]); });
            expect(all[i]);
        }
        on_other_thread([&] {
            for (std::size_t i = 1; i < all.size(); i += 7) {
                heap.free(all[i]);
                heap.free(all[i]);
                expect(all[i]);
            }
        });
        heap.free(all[1]);   // still in remote_free
        expect(all[1]);
        BOOST_TEST(heap.snapshot().classes[c].live_objects == s.slab - (s.slab + 6) / 7 - (s.slab - 1 + 6) / 7);
    }
}

BOOST_AUTO_TEST_CASE(a_pointer_into_a_slot_or_a_subslabs_tail_is_refused)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        recorder seen;
        tslab::allocator heap;
        tslab::epoch_resource r{heap};
        std::vector<std::byte*> all;
        for (std::size_t i = 0; i < s.slab; ++i)
            all.push_back(static_cast<std::byte*>(r.allocate(s.size)));
        std::size_t reports = 0;
        auto const refused = [&](std::byte* p) {
            heap.free(p);
            BOOST_REQUIRE(seen.count() == ++reports);
            BOOST_REQUIRE(seen.last().kind == misuse::interior_pointer);
            r.deallocate(p, s.size);
            BOOST_REQUIRE(seen.count() == ++reports);
            BOOST_REQUIRE(seen.last().kind == misuse::interior_pointer);
        };
        for (std::size_t i = 0; i < all.size(); i += 5)
            for (std::size_t const inside : {std::size_t{1}, std::size_t{8}, s.size / 2, s.size - 1})
                refused(all[i] + inside);
        std::byte* const page = heap.state().slab_at(all[0])->base;
        std::size_t const subslab = tslab::page_bytes / s.subslabs;
        for (std::size_t k = 0; s.slots * s.size != subslab && k < s.subslabs; ++k) {
            refused(page + k * subslab + s.slots * s.size);
            refused(page + (k + 1) * subslab - 1);
        }
        BOOST_TEST(heap.snapshot().classes[c].live_objects == s.slab);
        r.release();
    }
}

BOOST_AUTO_TEST_CASE(wrong_sizes_and_resources_are_refused)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        recorder seen;
        tslab::allocator heap;
        tslab::epoch_resource a{heap, {.label = "a"}}, b{heap, {.label = "b"}};
        std::vector<void*> all;
        for (std::size_t i = 0; i < s.slab; ++i)
            all.push_back(a.allocate(s.size));
        for (std::size_t const wrong : {16u, 32u, 48u, 64u, 5000u, 70'000u})
            for (void* const p : {all.front(), all[s.slab / 2], all.back()}) {
                if (wrong == s.size)
                    continue;
                a.deallocate(p, wrong);
                BOOST_REQUIRE(seen.count() == 1u);
                BOOST_TEST((seen.last().kind == misuse::wrong_size));
                BOOST_TEST(seen.last().given == wrong);
                BOOST_TEST(seen.last().size_class == s.size);
                seen.clear();
            }
        b.deallocate(all.back(), s.size);
        BOOST_TEST(seen.count(misuse::wrong_resource) == 1u);
        BOOST_TEST(heap.snapshot().classes[c].live_objects == s.slab);
        a.release();
    }
}

BOOST_AUTO_TEST_CASE(a_closed_epoch_keeps_a_slab_for_one_object_in_any_subslab)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        for (std::size_t subslab = 0; subslab < s.subslabs; ++subslab)
            for (bool const elsewhere : {false, true}) {
                tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
                auto const e = heap.current_epoch();
                auto const all = take(heap, 2 * s.slab, s.size);
                std::size_t const keep = subslab * s.slots + 3;
                // From the end, so that the second slab stays the current one, and the close recycles it.
                for (std::size_t i = all.size(); i-- > 0;)
                    if (i != keep)
                        heap.free(all[i]);
                auto const r = heap.close(e);
                BOOST_TEST(!r.drained);
                BOOST_TEST(r.recycled_slabs == 1u);
                auto const of = stats_of(heap, e);
                BOOST_TEST(of.slabs == 1u);
                BOOST_TEST(of.live_objects == 1u);
                BOOST_TEST(of.live_bytes == s.size);
                BOOST_TEST(of.empty_slabs == 0u);
                if (elsewhere)
                    on_other_thread([&] { heap.free(all[keep]); });
                else
                    heap.free(all[keep]);
                BOOST_TEST((stats_of(heap, e).lifecycle == tslab::lifecycle::drained));
                BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
            }
    }
}

BOOST_AUTO_TEST_CASE(a_full_tiny_slab_without_an_owner_is_listed_by_its_first_free_and_acquired)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        for (std::size_t subslab = 0; subslab < s.subslabs; ++subslab) {
            tslab::allocator heap;
            std::vector<void*> all;
            on_other_thread([&] { all = take(heap, s.slab, s.size); });
            BOOST_TEST(heap.snapshot().classes[c].full_slabs == 1u);
            void* const freed = all[subslab * s.slots + 1];
            heap.free(freed);
            auto now = heap.snapshot().classes[c];
            BOOST_TEST(now.list_move_full_to_partial == 1u);
            BOOST_TEST(now.partial_slabs == 1u);
            BOOST_TEST(heap.malloc(s.size) == freed);
            now = heap.snapshot().classes[c];
            BOOST_TEST(now.adoptions == 1u);
            BOOST_TEST(now.full_slabs == 1u);
            void* const next = heap.malloc(s.size);
            BOOST_TEST(page_of(next) != page_of(freed));
            give(heap, all);
            heap.free(next);
            heap.trim();
            BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
            BOOST_TEST(heap.snapshot().global.misuses == 0u);
        }
    }
}

BOOST_AUTO_TEST_CASE(an_acquired_slab_gives_the_free_slots_of_all_its_subslabs)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        tslab::allocator heap;
        std::vector<void*> left;
        std::set<void*> freed;
        on_other_thread([&] {
            auto const all = take(heap, s.slab, s.size);
            for (std::size_t i = 0; i < all.size(); ++i)
                if (i % 3 == 0) {
                    heap.free(all[i]);
                    freed.insert(all[i]);
                } else {
                    left.push_back(all[i]);
                }
        });
        std::size_t const n = freed.size();
        std::vector<void*> mine;
        for (std::size_t i = 0; i < n; ++i) {
            mine.push_back(heap.malloc(s.size));
            BOOST_REQUIRE(freed.erase(mine.back()) == 1u);
        }
        BOOST_TEST(heap.snapshot().classes[c].adoptions == 1u);
        BOOST_TEST(heap.snapshot().global.slabs_in_use == 1u);
        // Freed by its new owner without an atomic operation, and by another thread.
        give(heap, mine);
        BOOST_TEST(heap.snapshot().classes[c].remote_frees == 0u);
        on_other_thread([&] { give(heap, left); });
        BOOST_TEST(heap.snapshot().classes[c].remote_frees == left.size());
        BOOST_TEST(heap.close(heap.current_epoch()).drained);
    }
}

BOOST_AUTO_TEST_CASE(the_last_frees_of_all_subslabs_at_the_same_moment_take_the_slab_back_once)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        tslab::allocator heap{{.epoch_count = 4}};
        std::vector<void*> all;
        std::size_t rounds = scaled(300);
        auto const prepare = [&]() noexcept {
            on_other_thread([&] { all = take(heap, s.slab, s.size); });   // its end orphans the slab
        };
        std::atomic<std::size_t> drains{0};
        prepare();
        std::barrier together{static_cast<std::ptrdiff_t>(s.subslabs)};
        std::vector<std::thread> threads;
        for (std::size_t subslab = 0; subslab < s.subslabs; ++subslab)
            threads.emplace_back([&, subslab] {
                for (std::size_t i = 0; i < rounds; ++i) {
                    together.arrive_and_wait();
                    for (std::size_t k = 0; k < s.slots; ++k)
                        heap.free(all[subslab * s.slots + k]);
                    together.arrive_and_wait();
                    if (subslab == 0) {
                        drains += heap.snapshot({.residency = false}).global.slabs_in_use == 0 ? 1 : 0;
                        if (i % 2 == 0)
                            heap.close(heap.current_epoch());
                        prepare();
                    }
                }
            });
        for (std::thread& t : threads)
            t.join();
        BOOST_TEST(drains.load() == rounds);
        give(heap, all);
        auto const now = heap.snapshot();
        BOOST_TEST(now.global.slabs_in_use == 0u);
        BOOST_TEST(now.global.misuses == 0u);
        BOOST_TEST(now.classes[c].new_slab_count <= 16 * (s.subslabs + 2));   // each thread keeps some
    }
}

BOOST_AUTO_TEST_CASE(a_release_gives_back_and_counts_what_lives_in_every_subslab)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        recorder const seen;
        tslab::allocator heap;
        for (bool const share : {false, true}) {
            tslab::epoch_resource r{heap, {.share_epoch = share}};
            for (int round = 0; round < 3; ++round) {
                std::vector<void*> all;
                for (std::size_t i = 0; i < s.slab + s.slots + 1; ++i)
                    all.push_back(r.allocate(s.size));
                r.deallocate(all[s.slots], s.size);
                BOOST_TEST(r.release() == s.slab + s.slots);
                BOOST_TEST(heap.snapshot().global.live_objects == 0u);
                BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
            }
        }
        std::vector<void*> left;
        {
            tslab::epoch_resource r{heap, {.label = "leaky"}};
            for (std::size_t i = 0; i < s.slab + 1; ++i)
                left.push_back(r.allocate(s.size));
        }
        BOOST_TEST(seen.count(misuse::leak) == 1u);
        BOOST_TEST(seen.last().objects == s.slab + 1);
        BOOST_TEST(seen.last().bytes == (s.slab + 1) * s.size);
        give(heap, left);
        BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    }
}

BOOST_AUTO_TEST_CASE(sampled_allocations_lose_no_subslab)
{
    for (unsigned const c : tiny) {
        shape const s{c};
        tslab::allocator heap;
        heap.state().set_sampling(3);   // far more than it is meant for
        std::vector<void*> all;
        for (int round = 0; round < 4; ++round) {
            for (std::size_t i = 0; i < 5000; ++i)
                all.push_back(heap.malloc(s.size));
            BOOST_TEST((std::set<void*>{all.begin(), all.end()}.size()) == all.size());
            for (std::size_t i = 0; i < 3000; ++i) {
                heap.free(all.back());
                all.pop_back();
            }
        }
        auto const now = heap.snapshot();
        BOOST_TEST(now.sampled.alloc.samples > 4u * 5000 / 4);
        BOOST_TEST(now.classes[c].new_slab_count <= (3 * 2000 + 5000) / s.slab + 2);
        give(heap, all);
        BOOST_TEST(heap.close(heap.current_epoch()).drained);
    }
}

BOOST_AUTO_TEST_CASE(handles_of_tiny_requests_name_slots_of_64_bytes)
{
    tslab::allocator heap;
    std::vector<tslab::handle> all;
    for (std::size_t n = 0; n <= 64; ++n) {
        tslab::handle h;
        BOOST_REQUIRE(heap.allocate(n, heap.current_epoch(), h) != nullptr);
        all.push_back(h);
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[0].live_objects == 65u);
    BOOST_TEST(s.global.live_bytes == 65u * 64);
    for (tslab::handle const h : all) {
        BOOST_TEST((heap.free(h) == tslab::free_result::ok));
        BOOST_TEST((heap.free(h) == tslab::free_result::already_free));
    }
}
