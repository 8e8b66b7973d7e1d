// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process in which something is wrong after a while, to be found out from outside. The same program on tslab and on malloc,
// which jemalloc may stand behind. It says on standard output when it began, when the fault happened (seconds of
// CLOCK_REALTIME), and every 100 ms how many requests it served, and when.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <memory_resource>
#include <pthread.h>
#include <source_location>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>
import tslab;

namespace {

using std::chrono::steady_clock;

std::unique_ptr<tslab::allocator> heap;   // null: malloc
std::atomic<std::uint64_t> requests{0};

void say(char const* what)
{
    double const now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::printf("%s %.6f\n", what, now);
    std::fflush(stdout);
}

/// A phase of the program: an epoch of its own where there are epochs.
class phase {
public:
    phase(char const* label, std::source_location const& at = std::source_location::current())
    {
        if (heap)
            scope_ = std::make_unique<tslab::epoch_scope>(*heap, label, at);
    }
    [[nodiscard]] std::pmr::memory_resource* resource() const
    {
        return scope_ ? scope_->resource() : std::pmr::new_delete_resource();
    }
    void forget() { static_cast<void>(scope_.release()); }

private:
    std::unique_ptr<tslab::epoch_scope> scope_;
};

std::vector<void*> fill(std::pmr::memory_resource* from, std::size_t bytes, std::size_t each)
{
    std::vector<void*> all;
    for (std::size_t n = 0; n < bytes; n += each) {
        void* const p = from->allocate(each);
        std::memset(p, 1, each);
        all.push_back(p);
    }
    return all;
}
void empty(std::pmr::memory_resource* to, std::vector<void*>& all, std::size_t each)
{
    for (void* const p : all)
        to->deallocate(p, each);
    all.clear();
}

[[gnu::noinline]] void serve_request(std::size_t objects)
{
    phase const p{"GET /"};
    std::vector<void*> all = fill(p.resource(), objects * 256, 256);
    empty(p.resource(), all, 256);
    requests.fetch_add(1, std::memory_order_relaxed);
}

// The fault of each scenario; what they allocate stays.
[[gnu::noinline]] void upload_that_is_never_finished()
{
    phase p{"POST /upload"};
    std::vector<void*> all = fill(p.resource(), std::size_t{1} << 20, 512);
    p.forget();
}
[[gnu::noinline]] std::vector<void*> load_catalogue(phase const& p) { return fill(p.resource(), 50'000'000, 512); }
[[gnu::noinline]] std::vector<void*> load_sessions(phase const& p) { return fill(p.resource(), 10'000'000, 512); }
[[gnu::noinline]] std::vector<void*> load_prices(phase const& p) { return fill(p.resource(), 5'000'000, 512); }

/// What jemalloc needs from the program: its profile and statistics are had by calls, here at a signal.
void serve_signals()
{
    using mallctl_call = int (*)(char const*, void*, std::size_t*, void*, std::size_t);
    using print_call = void (*)(void (*)(void*, char const*), void*, char const*);
    auto const mallctl = reinterpret_cast<mallctl_call>(::dlsym(RTLD_DEFAULT, "mallctl"));
    auto const print = reinterpret_cast<print_call>(::dlsym(RTLD_DEFAULT, "malloc_stats_print"));
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGUSR1);
    ::sigaddset(&signals, SIGUSR2);
    for (int signal = 0; ::sigwait(&signals, &signal) == 0;) {
        if (signal == SIGUSR1 && mallctl != nullptr) {
            char const* file = std::getenv("DIAGNOSE_PROFILE");
            mallctl("prof.dump", nullptr, nullptr, static_cast<void*>(&file), sizeof(file));
            say("dumped");
        } else if (signal == SIGUSR2 && print != nullptr) {
            std::FILE* const to = std::fopen(std::getenv("DIAGNOSE_STATS"), "w");
            print([](void* f, char const* text) { std::fputs(text, static_cast<std::FILE*>(f)); }, to, nullptr);
            std::fclose(to);
            say("printed");
        }
    }
}

struct wish {
    std::string_view scenario;
    double after = 2;     // seconds until the fault
    double lasts = 600;   // then it ends by itself
};

void run(wish const& w)
{
    auto const begin = steady_clock::now();
    auto const since = [&] { return std::chrono::duration<double>(steady_clock::now() - begin).count(); };
    bool faulty = false;
    double next = 0.1;
    std::uint64_t printed = 0;
    std::size_t objects = 64;
    std::vector<std::pair<std::unique_ptr<phase>, std::vector<void*>>> kept;
    while (since() < w.lasts) {
        serve_request(objects);
        if (since() >= next) {
            std::uint64_t const n = requests.load(std::memory_order_relaxed);
            double const now =
                std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
            std::printf("served %llu %.6f\n", static_cast<unsigned long long>(n - printed), now);
            std::fflush(stdout);
            printed = n;
            next = since() + 0.1;
        }
        if (faulty || since() < w.after)
            continue;
        faulty = true;
        if (w.scenario == "leak") {
            for (int i = 0; i < 60; ++i)
                upload_that_is_never_finished();
            say("fault");
        } else if (w.scenario == "latency") {
            say("fault");
            objects = 4096;   // more than the cache of empty slabs has room for
        } else if (w.scenario == "attribution") {
            auto const keep = [&kept](char const* label, auto load) {
                auto p = std::make_unique<phase>(label);
                std::vector<void*> all = load(*p);
                kept.emplace_back(std::move(p), std::move(all));
            };
            keep("catalogue", load_catalogue);
            keep("sessions", load_sessions);
            keep("prices", load_prices);
            say("fault");
        } else if (w.scenario == "reclaim") {
            tslab::epoch_id const e = heap ? heap->current_epoch() : tslab::epoch_id{};
            std::vector<void*> all;
            for (int i = 0; i < 200'000; ++i) {
                void* const p = heap ? heap->malloc(512, e) : std::malloc(512);
                std::memset(p, 1, 512);
                all.push_back(p);
            }
            for (void* const p : all)
                heap ? heap->free(p) : std::free(p);
            say("fault");
            if (heap)
                heap->close(heap->advance());
        }
    }
}

}

int main(int argc, char** argv)
{
    wish w;
    bool on_malloc = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        std::string_view const flag = argv[i];
        if (flag == "--scenario")
            w.scenario = argv[i + 1];
        else if (flag == "--allocator")
            on_malloc = std::string_view{argv[i + 1]} == "malloc";
        else if (flag == "--after")
            w.after = std::atof(argv[i + 1]);
        else if (flag == "--lasts")
            w.lasts = std::atof(argv[i + 1]);
    }
    if (argc % 2 == 0 ||
        (w.scenario != "leak" && w.scenario != "latency" && w.scenario != "attribution" && w.scenario != "reclaim")) {
        std::fputs("usage: diagnose_subject --scenario leak|latency|attribution|reclaim [--allocator tslab|malloc]"
                   " [--after SECONDS] [--lasts SECONDS]\n",
                   stderr);
        return 2;
    }
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGUSR1);
    ::sigaddset(&signals, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread{serve_signals}.detach();
    if (!on_malloc) {
        tslab::allocator::options o{.name = "subject"};
        if (w.scenario == "latency") {
            o.slab_cache = 1;
            o.thread_cache = std::size_t{64} << 10;
        }
        heap = std::make_unique<tslab::allocator>(o);
    }
    say("began");
    run(w);
    std::fflush(stdout);
    std::_Exit(0);
}
