// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A program whose operator new is served by a heap: what the library itself asks of it comes back to the library, and must
// not find a lock of its own.
#define BOOST_TEST_MODULE lifecycle_operator_new
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

namespace {

alignas(tslab::allocator) constinit std::byte storage[sizeof(tslab::allocator)]{};
constinit std::atomic<tslab::allocator*> beneath{nullptr};   // while null, operator new is malloc's

/// From here on operator new is served by a heap, which is not published: so the segment is made for later heaps. What was
/// allocated before is malloc's, and freed as such. The heap never ends.
void serve_by_tslab() { beneath.store(::new (storage) tslab::allocator{{.name = "beneath", .publish = false}}); }

bool is_of_a_heap(void* p)
{
    tslab::allocator* const heap = beneath.load();
    return heap != nullptr && heap->state().slab_at(p) != nullptr;
}

/// Runs `f` in a forked child, which is killed after ten seconds. Returns whether it ended with 0.
template <class F> bool in_child(F f)
{
    pid_t const child = ::fork();
    if (child == 0) {
        ::alarm(10);
        ::_exit(f() ? 0 : 1);
    }
    int status = 0;
    return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}

void* operator new(std::size_t n)
{
    tslab::allocator* const heap = beneath.load();
    if (void* const p = heap != nullptr ? heap->malloc(n) : std::malloc(n != 0 ? n : 1))
        return p;
    throw std::bad_alloc{};
}
void operator delete(void* p) noexcept
{
    if (is_of_a_heap(p))
        beneath.load()->free(p);
    else
        std::free(p);
}
void operator delete(void* p, std::size_t) noexcept { ::operator delete(p); }

BOOST_AUTO_TEST_CASE(threads_begin_and_end)
{
    BOOST_TEST(in_child([] {
        serve_by_tslab();
        std::vector<std::thread> all;
        for (int i = 0; i < 8; ++i)
            all.emplace_back([] {
                for (int k = 0; k < 1'000; ++k)
                    static_cast<void>(std::make_unique<std::string>(100, 'x'));
            });
        for (std::thread& t : all)
            t.join();
        return beneath.load()->snapshot().global.allocations >= 16'000;
    }));
}

BOOST_AUTO_TEST_CASE(a_thread_that_allocated_nothing_yet_makes_a_published_heap)
{
    for (bool const with_file : {false, true})
        BOOST_TEST(in_child([with_file] {
            std::string const name =
                std::filesystem::temp_directory_path() / ("tslab-operator-new-" + std::to_string(::getpid()));
            if (with_file)
                ::setenv("TSLAB_STATS_FILE", name.c_str(), 1);
            serve_by_tslab();
            bool right = false;
            std::thread{[&] {
                tslab::allocator second{{.name = "of a name that is longer than a short string"}};
                right = !with_file || ::access(name.c_str(), F_OK) == 0;
                second.free(second.malloc(100));
            }}.join();
            return right;
        }));
}

BOOST_AUTO_TEST_CASE(the_owner_of_a_stray_pointer_is_named)
{
    BOOST_TEST(in_child([] {
        support::recorder const seen;
        tslab::allocator other{{.name = "a name that is longer than a short string"}};
        void* const p = other.malloc(100);
        serve_by_tslab();
        std::thread{[&] { beneath.load()->free(p); }}.join();
        other.free(p);
        return seen.count(tslab::misuse::wrong_heap) == 1;
    }));
}
