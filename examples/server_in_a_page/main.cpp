// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A server's memory on one page. Threads handle requests, each in a scope with its route as the label; a snapshot tells
// which route's memory is live; and a session that was never ended is found with the line that opened it. What a real
// server adds, sockets above all, is in examples/request_server.
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory_resource>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

import tslab;

namespace {

/// A user who is logged in. It outlives the request that made it, so its memory is an epoch of its own.
struct session {
    session(tslab::allocator& heap, std::string_view of)
        : memory{heap, {.label = "session"}},   // the line that the leak report names
          form{of, &memory}
    {
    }

    tslab::epoch_resource memory;
    std::pmr::string form;
};

class server {
public:
    explicit server(tslab::allocator& heap) : heap_{heap} {}

    /// Each handler calls `at_its_largest` when it holds most memory.
    template <class Hook> void orders(Hook const& at_its_largest)
    {
        tslab::epoch_scope const scope{heap_, "GET /orders"};        // an epoch of its own, entered here
        std::pmr::vector<std::pmr::string> rows{scope.resource()};   // any std::pmr container
        for (int i = 0; i < 100; ++i)
            rows.emplace_back("an order with a description that a string does not hold inside");
        at_its_largest();
    }   // left: its pages are empty together

    template <class Hook> void login(unsigned user, Hook const& at_its_largest)
    {
        tslab::epoch_scope const scope{heap_, "POST /login"};
        std::pmr::string const form(2000, '.', scope.resource());
        start(user, form);
        at_its_largest();
    }

    void logout(unsigned user)
    {
        std::lock_guard const guard{mutex_};
        sessions_.erase(user);
    }

private:
    void start(unsigned user, std::string_view form)
    {
        std::lock_guard const guard{mutex_};
        sessions_.try_emplace(user, heap_, form);   // a copy in its own epoch, not in the request's
    }

    tslab::allocator& heap_;
    std::mutex mutex_;
    std::map<unsigned, session> sessions_;
};

void print_labels(tslab::snapshot const& now)
{
    struct held {
        int epochs = 0;
        std::uint64_t bytes = 0;
    };
    std::map<std::string, held> labels;
    for (tslab::epoch_stats const& epoch : now.epochs) {
        if (epoch.live_objects == 0)
            continue;
        ++labels[epoch.label].epochs;
        labels[epoch.label].bytes += epoch.live_bytes;
    }
    for (auto const& [label, of] : labels)
        std::printf("%-12s %d open, %s\n", label.c_str(), of.epochs, tslab::bytes_text(of.bytes).c_str());
}

}

int main()
{
    tslab::allocator heap{{.name = "server_in_a_page"}};
    server shop{heap};
    std::barrier looking{5};   // four threads and this one
    auto const work = [&](unsigned number) {
        for (int i = 0; i < 1000; ++i) {
            shop.orders([] {});
            shop.login(number, [] {});
            shop.logout(number);
        }
        auto const wait = [&] {
            looking.arrive_and_wait();
            looking.arrive_and_wait();
        };
        number == 0 ? shop.login(number, wait) : shop.orders(wait);   // and no logout
    };
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (unsigned number = 0; number < 4; ++number)
        threads.emplace_back(work, number);
    looking.arrive_and_wait();   // each thread is inside a request now
    print_labels(heap.snapshot());
    looking.arrive_and_wait();
    threads.clear();   // joins: no request is open any more

    for (tslab::leak const& leak : heap.leaks(std::chrono::seconds{0}))
        std::printf("LEAK: %s\n", leak.sentence().c_str());
    shop.logout(0);
    std::printf("after the logout: %zu leaks, %ju objects\n", heap.leaks(std::chrono::seconds{0}).size(),
                std::uintmax_t{heap.snapshot().global.live_objects});
}
