// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The end of a heap: with objects and scopes open, beside other heaps, and under the eyes of readers inside and outside of the
// process, who see a heap or none and nothing in between.
#define BOOST_TEST_MODULE lifecycle_ends
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

using support::recorder;
using support::scaled;
using tslab::misuse;

namespace {

/// Reads the process until told to stop. Returns 0, or what was wrong; counts what it saw.
int watch(pid_t pid, std::atomic<bool> const& stop, std::atomic<std::uint64_t>& heaps, std::atomic<std::uint64_t>& none)
{
    while (!stop.load(std::memory_order_relaxed)) {
        try {
            tslab::observer reader{pid};
            for (int i = 0; i < 3; ++i)
                for (tslab::snapshot const& s : reader.read({.residency = false})) {
                    heaps.fetch_add(1, std::memory_order_relaxed);
                    if (s.name != "ending" && s.name != "staying")
                        return 1;
                    if (s.global.live_objects > 1'000'000 || s.epochs.size() > s.epoch_count)
                        return 2;
                }
        } catch (tslab::observe_error const& e) {
            none.fetch_add(1, std::memory_order_relaxed);
            if (e.fault() == tslab::observe_fault::version || e.fault() == tslab::observe_fault::not_permitted)
                return 3;
        }
    }
    return 0;
}

/// Heaps that begin, work and end, every other one with objects and a resource left in it.
std::uint64_t let_heaps_come_and_go(recorder& seen, std::size_t rounds)
{
    std::uint64_t wrong = 0;
    // Never touched again, but kept where a search for leaks finds it.
    static auto& forgotten = *new std::vector<tslab::epoch_resource*>;
    for (std::size_t i = 0; i < rounds; ++i) {
        seen.clear();
        bool const leaves = i % 2 != 0;
        {
            tslab::allocator heap{{.name = "ending", .epoch_count = 8, .reserve_bytes = std::size_t{64} << 20}};
            auto r = std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{.label = "open"});
            void* const a = r->allocate(100);
            void* const b = heap.malloc(70'000);
            std::thread{[&heap] { heap.free(heap.malloc(3000)); }}.join();
            if (leaves) {
                forgotten.push_back(r.release());   // its heap ends under it
            } else {
                r->deallocate(a, 100);
                heap.free(b);
            }
        }
        wrong += seen.count(misuse::heap_live) != (leaves ? 1U : 0U) ? 1 : 0;
        wrong += seen.count(misuse::heap_open) != (leaves ? 1U : 0U) ? 1 : 0;
        wrong += seen.count() != (leaves ? 2U : 0U) ? 1 : 0;
        for (support::seen const& one : seen.all())
            wrong += one.kind == misuse::heap_live && (one.objects != 2 || one.bytes != 70'112) ? 1 : 0;
    }
    return wrong;
}

}

BOOST_AUTO_TEST_CASE(a_heap_ends_while_a_thread_reads_it)
{
    recorder seen;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> heaps{0}, none{0};
    int result = -1;
    std::thread reader{[&] { result = watch(::getpid(), stop, heaps, none); }};
    BOOST_TEST(let_heaps_come_and_go(seen, scaled(1000)) == 0U);
    stop = true;
    reader.join();
    BOOST_TEST(result == 0);
    BOOST_TEST(heaps.load() + none.load() > 0U);
}

BOOST_AUTO_TEST_CASE(a_heap_ends_while_another_process_reads_it)
{
    pid_t const self = ::getpid();
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        static std::atomic<bool> stop{false};
        for (int const s : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM})
            ::signal(s, SIG_DFL);
        ::signal(SIGTERM, [](int) { stop.store(true); });
        ::alarm(120);
        std::atomic<std::uint64_t> heaps{0}, none{0};
        int const result = watch(self, stop, heaps, none);
        ::_exit(result != 0 ? result : heaps.load() != 0 ? 0 : 4);
    }
    recorder seen;
    tslab::allocator const staying{{.name = "staying"}};
    BOOST_TEST(let_heaps_come_and_go(seen, scaled(1000)) == 0U);
    BOOST_TEST(::kill(child, SIGTERM) == 0);
    int status = -1;
    ::waitpid(child, &status, 0);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0), "the reader ended with " << status);
}

BOOST_AUTO_TEST_CASE(hundreds_of_heaps_are_alive_at_once_and_end_in_any_order)
{
    recorder const seen;
    constexpr std::size_t count = 300;
    std::vector<std::unique_ptr<tslab::allocator>> heaps;
    std::vector<void*> objects;
    for (std::size_t i = 0; i < count; ++i) {
        heaps.push_back(std::make_unique<tslab::allocator>(tslab::allocator::options{
            .name = std::to_string(i), .epoch_count = 4, .reserve_bytes = std::size_t{16} << 20}));
        objects.push_back(heaps.back()->malloc(64));
    }
    support::on_other_thread([&] {
        for (std::size_t i = 0; i < count; ++i) {
            heaps[i]->free(objects[i]);
            objects[i] = heaps[i]->malloc(500);
        }
    });
    for (std::size_t k = 0; k < count; ++k) {
        std::size_t const i = k * 7 % count;   // 7 and the count have no common factor
        heaps[i]->free(objects[i]);
        tslab::global_stats const g = heaps[i]->snapshot({.residency = false}).global;
        BOOST_REQUIRE(g.allocations == 2U);
        BOOST_REQUIRE(g.live_objects == 0U);
        heaps[i].reset();
    }
    BOOST_TEST(seen.count() == 0U);
}
