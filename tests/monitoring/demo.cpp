// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process to be monitored: threads that get in each other's way, phases that end as they should, one that ends with live
// objects in it, and after a while a phase that is never left. It prints "ready" when there is a heap to look at, and "leak
// <seconds since 1970>" when that begins.
// With --write DIR it keeps its metrics in DIR/metrics, for tests without a server.
#include "tslab/exposition.hpp"
#include "tslab/textfile.hpp"
#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>
import tslab;

using namespace std::chrono_literals;

namespace {

/// Its memory is resident, as that of a real object.
void* used(void* p, std::size_t bytes) { return p != nullptr ? std::memset(p, 1, bytes) : nullptr; }

using clock_type = std::chrono::steady_clock;

constexpr std::size_t mib = 1024 * 1024;

/// Gives objects to any other thread and frees what others left: every free is of another thread's slab, as a rule.
class swap_place {
public:
    void work(tslab::allocator& heap, std::size_t turn)
    {
        constexpr std::array<std::size_t, 3> sizes{64, 128, 768};
        for (std::atomic<void*>& place : places_)
            heap.free(place.exchange(heap.malloc(sizes[turn % sizes.size()]), std::memory_order_acq_rel));
    }
    void clear(tslab::allocator& heap)
    {
        for (std::atomic<void*>& place : places_)
            heap.free(place.exchange(nullptr, std::memory_order_acq_rel));
    }

private:
    std::array<std::atomic<void*>, 512> places_{};
};

/// Slabs that no thread holds, with free slots: a thread comes, allocates, and is gone; of what it left every other object is
/// freed. Threads that come later take these slabs up.
std::vector<void*> visit(tslab::allocator& heap, std::vector<void*> const& of_the_last)
{
    std::vector<void*> objects;
    std::thread{[&] {
        for (std::size_t i = 0; i < 4000; ++i)
            objects.push_back(used(heap.malloc(64), 64));
        for (void* const p : of_the_last)
            heap.free(p);
    }}.join();
    std::vector<void*> kept;
    for (std::size_t i = 0; i < objects.size(); ++i)
        if (i % 2 == 0)
            heap.free(objects[i]);
        else
            kept.push_back(objects[i]);
    return kept;
}

/// A phase that ends as it should, with memory enough that closing it gives some back.
void serve_request(tslab::allocator& heap)
{
    tslab::epoch_domain request{heap, {.label = "request", .auto_close = false}};
    request.enter();
    std::vector<void*> objects;
    for (std::size_t i = 0; i < 4 * mib / 1024; ++i)
        objects.push_back(used(heap.malloc(1024, request.epoch()), 1024));
    for (void* const p : objects)
        heap.free(p);
    request.exit();
    (void)heap.close(request.epoch());
}

/// A phase that is closed while objects in it live.
void leave_stragglers(tslab::allocator& heap)
{
    tslab::epoch_domain batch{heap, {.label = "batch"}};
    batch.enter();
    std::vector<void*> objects;
    for (std::size_t i = 0; i < 8 * mib / 256; ++i)
        objects.push_back(used(heap.malloc(256, batch.epoch()), 256));
    for (std::size_t i = 0; i < objects.size(); ++i)
        if (i % 64 != 0)
            heap.free(objects[i]);
    batch.exit();
}

/// Entered twice, left never.
std::unique_ptr<tslab::epoch_domain> leak(tslab::allocator& heap, std::size_t bytes)
{
    auto forgotten = std::make_unique<tslab::epoch_domain>(heap, tslab::domain_options{.label = "background-worker-3"});
    forgotten->enter();
    forgotten->enter();
    for (std::size_t i = 0; i < bytes / 512; ++i)
        (void)used(heap.malloc(512, forgotten->epoch()), 512);
    std::printf("leak %.3f\n",
                std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
    std::fflush(stdout);
    return forgotten;
}

}

int main(int argc, char** argv)
{
    double leak_after = 0;
    double seconds = 600;
    std::size_t leak_mib = 64;
    std::string directory;
    CLI::App app{"A process to be monitored"};
    app.add_option("--leak-after", leak_after, "seconds until the leak begins");
    app.add_option("--leak-mib", leak_mib, "its size");
    app.add_option("--seconds", seconds, "how long to run");
    app.add_option("--write", directory, "keep the metrics in DIR/metrics");
    CLI11_PARSE(app, argc, argv);

    tslab::set_lock_timing(16);
    tslab::allocator heap{{.name = "demo", .limit = 4096 * mib, .sampling = true}};
    heap.set_limit("request", 64 * mib);
    std::puts("ready");
    std::fflush(stdout);
    leave_stragglers(heap);
    swap_place places;
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            for (std::size_t turn = t; !done.load(std::memory_order_relaxed); ++turn) {
                places.work(heap, turn);
                std::this_thread::sleep_for(1ms);
            }
        });

    std::unique_ptr<tslab::epoch_domain> forgotten;
    std::vector<void*> visited;
    auto const start = clock_type::now();
    for (auto next = start; next - start < std::chrono::duration<double>{seconds}; next += 500ms) {
        std::this_thread::sleep_until(next);
        for (int i = 0; i < 5; ++i)
            serve_request(heap);
        visited = visit(heap, visited);
        if (!forgotten && clock_type::now() - start >= std::chrono::duration<double>{leak_after})
            forgotten = leak(heap, leak_mib * mib);
        if (!directory.empty())
            tslab::tool::replace_file(directory, "metrics", tslab::tool::exposition({heap.snapshot()}));
    }
    done = true;
    for (std::thread& t : threads)
        t.join();
    places.clear(heap);
    std::fflush(stdout);
    std::_Exit(0);   // the leak is the point, and not to be reported at the end
}
