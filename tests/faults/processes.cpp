// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a process does once: its first heap, with the hooks at a thread's end and at fork; and its fork. Each call that may
// be refused on the way is refused, one after the other, each time in a process of its own.
#define BOOST_TEST_MODULE faults_processes
#include "death.hpp"
#include "stress.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "faults.hpp"

namespace {

using death::must;
using tslab::allocator;

tslab::allocator_options small_heap(bool publish = true)
{
    return {.name = "first", .epoch_count = 8, .reserve_bytes = std::size_t{64} << 20, .publish = publish};
}

/// All that depends on the hooks: threads that end with claims and objects, a closer, and scopes.
void use(allocator& heap)
{
    std::vector<void*> left;
    for (int i = 0; i < 3; ++i)
        std::thread{[&] {
            left.push_back(heap.malloc(100));
            heap.free(heap.malloc(700));
            tslab::epoch_scope const scope{heap, "scope"};
            scope.resource()->deallocate(scope.resource()->allocate(40), 40);
        }}.join();
    for (void* const p : left) {
        must(p != nullptr, "no memory");
        heap.free(p);
    }
    tslab::snapshot const s = heap.snapshot();
    must(s.global.live_objects == 0, "something is live");
    std::size_t alive = 0;
    for (tslab::thread_stats const& t : s.threads)
        alive += t.alive ? 1 : 0;
    must(alive <= 1, "a thread that has ended counts as alive");
    stress::close_everything(heap);
    std::string const wrong = stress::wrong_with(heap);
    must(wrong.empty(), wrong.c_str());
}

/// Runs `story(n, from_then_on)`, which returns how many failures it met, in a child for every n until it meets none.
template <class Story> std::uint64_t refuse_each(char const* name, Story story)
{
    std::uint64_t runs = 0;
    std::uint64_t failures = 0;
    for (bool const from_then_on : {false, true})
        for (std::uint64_t n = 0;; ++n) {
            death::outcome const end =
                death::of([&](death::notes& noted) { noted.number[0] = story(n, from_then_on); });
            BOOST_TEST(end.text == "", name << ' ' << n << (from_then_on ? " from then on: " : ": ") << end.text);
            BOOST_TEST(end.end == "exit 0", name << ' ' << n << (from_then_on ? " from then on: " : ": ") << end.end);
            failures += end.noted.number[0];
            if (end.noted.number[0] == 0)
                break;
            ++runs;
        }
    std::printf("%-44s %5llu runs met a failure, %llu failures\n", name, static_cast<unsigned long long>(runs),
                static_cast<unsigned long long>(failures));
    return runs;
}

/// Forks with `n` refused in the child, where both go on; returns how many failures the child met.
std::uint64_t fork_with(allocator& heap, std::uint64_t n, bool from_then_on)
{
    stress::object const o{static_cast<std::byte*>(heap.malloc(300)), 300, 9};
    must(o.p != nullptr, "no memory");
    o.fill();
    std::array<int, 2> ends{};
    must(::pipe(ends.data()) == 0, "pipe");
    faults::arm(n, from_then_on);
    pid_t const child = ::fork();
    std::uint64_t const met = faults::disarm();
    if (child == 0) {
        bool good = o.intact();
        try {
            good = good && heap.snapshot().global.live_objects == 1;
            heap.free(o.p);
            use(heap);
        } catch (std::exception const& e) {
            std::fprintf(stderr, "in the child: %s\n", e.what());
            good = false;
        }
        good = ::write(ends[1], &met, sizeof(met)) == sizeof(met) && good;
        ::_exit(good ? 0 : 1);
    }
    std::uint64_t of_child = 0;
    int status = 0;
    must(::read(ends[0], &of_child, sizeof(of_child)) == sizeof(of_child), "the child says nothing");
    must(::waitpid(child, &status, 0) == child && status == 0, "the child");
    ::close(ends[0]);
    ::close(ends[1]);
    must(o.intact(), "the child's fork spoils an object");
    heap.free(o.p);
    use(heap);
    return of_child + met;
}

}

BOOST_AUTO_TEST_CASE(the_first_heap_of_a_process)
{
    std::uint64_t const met = refuse_each("the first heap", [](std::uint64_t n, bool from_then_on) {
        faults::seam const seam;
        stress::report_watch const watch{true};
        std::optional<allocator> heap;
        faults::arm(n, from_then_on);
        try {
            heap.emplace(small_heap());
        } catch (std::bad_alloc const&) {
        }
        std::uint64_t const failed = faults::disarm();
        must(heap || failed != 0, "no heap although nothing failed");
        if (!heap)
            heap.emplace(small_heap());
        use(*heap);
        static_cast<void>(fork_with(*heap, 0, false));
        heap.reset();
        must(faults::seam::mapped_without_heaps() == 0, "address space is lost");
        must(stress::report_watch::unexpected() == 0, "misuse");
        return failed;
    });
    BOOST_TEST(met > 20U);
}

BOOST_AUTO_TEST_CASE(a_fork)
{
    for (bool const publish : {true, false})
        refuse_each(publish ? "fork" : "fork, unpublished", [publish](std::uint64_t n, bool from_then_on) {
            faults::seam const seam;
            stress::report_watch const watch{true};
            allocator heap{small_heap(publish)};
            use(heap);
            return fork_with(heap, n, from_then_on);
        });
    // Of what is published there is more than one extent.
    refuse_each("fork, of many heaps", [](std::uint64_t n, bool from_then_on) {
        faults::seam const seam;
        stress::report_watch const watch{true};
        allocator heap{small_heap()};
        std::vector<std::unique_ptr<tslab::segment_part>> others;
        for (std::size_t bytes = 0; bytes <= std::size_t{1} << 20; bytes += tslab::segment_chunk::bytes)
            others.push_back(std::make_unique<tslab::segment_part>(true, tslab::layout_number()));
        must(others.back()->is_published(), "the segment does not grow");
        use(heap);
        return fork_with(heap, n, from_then_on);
    });
}

// The list of thread-specific values is full, or there is no memory for one: then a thread gets none of the heap's, rather
// than a record that no one ever takes from it.
BOOST_AUTO_TEST_CASE(a_thread_whose_end_would_go_unnoticed)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        faults::seam const seam;
        allocator heap{small_heap()};
        void* const p = heap.malloc(64);
        for (int i = 0; i < 20; ++i)
            std::thread{[&] {
                faults::arm(0, true);
                must(heap.malloc(64) == nullptr, "memory without a record");
                static_cast<void>(faults::disarm());
                faults::arm(0, false);   // the first call is that for the hook
                must(heap.malloc(64) == nullptr, "memory without a hook");
                must(faults::disarm() == 1, "nothing failed");
            }}.join();
        heap.free(p);
        tslab::snapshot const s = heap.snapshot();
        must(s.threads.size() <= 2, "a thread without a record is listed");   // refusing asked for one again
        must(s.global.out_of_memory == 40, "refusals are not counted");
        use(heap);
    });
}

// What it may do: free. It releases nothing, and says so, rather than half of it.
BOOST_AUTO_TEST_CASE(what_such_a_thread_can_give_back)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        faults::seam const seam;
        allocator heap{small_heap()};
        for (bool const share : {false, true}) {
            tslab::epoch_resource r{heap, {.share_epoch = share}};
            void* const raw = heap.malloc(200);
            void* const small = r.allocate(100);
            void* const large = r.allocate(100'000);
            static_cast<void>(r.allocate(40));
            static_cast<void>(r.allocate(300'000));
            std::uint64_t released = 1;
            std::thread{[&] {
                faults::arm(0, true);
                heap.free(raw);
                r.deallocate(small, 100);
                r.deallocate(large, 100'000);
                released = r.release();
                static_cast<void>(faults::disarm());
            }}.join();
            must(released == 0, "a thread without a record releases");
            must(heap.snapshot().global.live_objects == 2, "frees without a record");
            must(r.release() == 2, "what is left to release");
            must(heap.snapshot().global.live_objects == 0, "something is live");
        }
        must(heap.snapshot().global.misuses == 0, "misuse");
        use(heap);
    });
}
