// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "demo.hpp"

#include "client.hpp"
#include "plan.hpp"
#include "text.hpp"

#include <algorithm>
#include <csignal>
#include <iomanip>
#include <iostream>
#include <thread>

#include <unistd.h>

#include "report.hpp"   // these two import, so they go last
#include "server.hpp"

import tslab;

namespace request_server {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

double seconds_since(clock::time_point begin) { return std::chrono::duration<double>(clock::now() - begin).count(); }

/// One line a second: rewritten in place on a terminal, one below the other elsewhere.
class progress_line {
public:
    void show(unsigned second, std::uint64_t requests, tslab::snapshot const& now)
    {
        std::cout << (on_terminal_ ? "\r\033[K" : "") << std::setw(4) << second << " s   "
                  << with_commas(requests - requests_) << " requests/s   "
                  << with_commas(now.global.allocations - allocations_) << " allocations/s   RSS "
                  << as_bytes(now.global.rss_bytes) << (on_terminal_ ? "" : "\n") << std::flush;
        requests_ = requests;
        allocations_ = now.global.allocations;
    }

    ~progress_line() { std::cout << (on_terminal_ ? "\r\033[K\n" : "\n"); }

private:
    bool on_terminal_ = ::isatty(STDOUT_FILENO) != 0;
    std::uint64_t requests_ = 0;
    std::uint64_t allocations_ = 0;
};

void print_heading(options const& chosen, catalog const& data, std::uint16_t port)
{
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    for (data_set const& set : data) {
        records += set.records;
        bytes += set.text.size();
    }
    std::cout << "request_server on 127.0.0.1:" << port << ": " << chosen.threads << " workers, ";
    if (!chosen.serve)
        std::cout << chosen.clients << " clients, ";
    std::cout << data.size() << (data.size() == 1 ? " set" : " sets") << ", " << with_commas(records) << " records, "
              << as_bytes(bytes) << " of JSON" << std::endl;
}

/// Hits the forgetful route often enough that all the scopes to be lost are lost.
void hit_forgetful_route(server& forgetful, unsigned count, load_result& result)
{
    forgetful.forget(count);
    client connection{forgetful.port()};
    planned_request const forget = plan_forget();
    for (unsigned i = 0; i <= count; ++i)
        send_and_check(connection, forget, result);
}

/// Drives the server for as long as was chosen; half-way, it begins to forget.
void drive(options const& chosen, std::vector<planned_request> const& plan, server& driven, tslab::allocator& heap,
           demo_result& result)
{
    std::uint64_t const allocations = heap.snapshot({.residency = false}).global.allocations;
    progress_line progress;
    auto const begin = clock::now();
    load clients{driven.port(), plan, chosen.clients};
    for (unsigned second = 1; second <= chosen.seconds; ++second) {
        std::this_thread::sleep_until(begin + second * 1s);
        progress.show(second, clients.requests(), heap.snapshot({.residency = false}));
        if (second == (chosen.seconds + 1) / 2)
            hit_forgetful_route(driven, chosen.forget, result.load);
    }
    result.load.merge(clients.stop());
    result.seconds = seconds_since(begin);
    result.allocations = heap.snapshot({.residency = false}).global.allocations - allocations;
}

tslab::allocator::options heap_options(options const& chosen)
{
    return {
        .name = "request_server",
        // Every worker has one scope at a time, and what was forgotten has its own for ever.
        .epoch_count = std::max(256U, 2 * chosen.threads + chosen.forget),
        .reclaim = tslab::reclaim_policy::cached,
    };
}

/// A client has its answer a moment before the worker leaves the scope: waits for those moments to pass, for a second
/// at most, then hands what is empty back to the kernel.
void drain(tslab::allocator& heap, std::size_t scopes_to_stay)
{
    auto const begin = clock::now();
    while (entered_scopes(heap.snapshot({.residency = false})).size() > scopes_to_stay && seconds_since(begin) < 1) {
        std::this_thread::sleep_for(1ms);
    }
    heap.trim();
}

tslab::error_handler print_and_abort = nullptr;   // tslab's own

/// The report has said what was forgotten: the heap need not say so again when it ends.
void told_already()
{
    print_and_abort = tslab::set_error_handler([](tslab::misuse_report const& r) {
        if (r.kind != tslab::misuse::heap_open && r.kind != tslab::misuse::heap_live)
            print_and_abort(r);
    });
}

void block_signals(sigset_t& blocked)
{
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

void serve_until(sigset_t const& ending, options const& chosen, catalog const& data, tslab::allocator& heap)
{
    server service{heap, data, chosen.port, chosen.threads};
    service.forget(chosen.forget);
    print_heading(chosen, data, service.port());
    std::cout << "GET /healthz lists the sets; Ctrl-C ends" << std::endl;
    int signal = 0;
    sigwait(&ending, &signal);
}

}

bool run_demo(options const& chosen, catalog const& data)
{
    std::vector<planned_request> const plan = plan_requests(data);
    demo_result result;
    result.forgotten = chosen.forget;
    result.rss_before = tslab::read_rss_bytes();

    tslab::allocator heap{heap_options(chosen)};
    server service{heap, data, chosen.port, chosen.threads};
    memory_monitor const monitor{heap};
    print_heading(chosen, data, service.port());

    drive(chosen, plan, service, heap, result);
    drain(heap, chosen.forget);

    tslab::snapshot const after = heap.snapshot();
    result.waterfall = after.waterfall.value_or(tslab::waterfall_stats{});
    result.rss_after = after.global.rss_bytes;
    result.peaks = monitor.peaks();
    result.peaks.rss_bytes = std::max(result.peaks.rss_bytes, result.rss_after);
    result.left = live_by_label(after);
    result.leaks = entered_scopes(after);
    print_report(std::cout, result);
    told_already();
    return result.good();
}

void run_service(options const& chosen, catalog const& data)
{
    sigset_t ending;
    block_signals(ending);   // before there are threads, so that all of them have them blocked
    tslab::allocator heap{heap_options(chosen)};
    serve_until(ending, chosen, data, heap);   // what is entered after it will never be left
    std::cout << '\n';
    print_leaks(std::cout, entered_scopes(heap.snapshot({.residency = false})));
    told_already();
}

}
