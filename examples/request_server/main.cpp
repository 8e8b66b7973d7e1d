// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The two ways to run: the demo, which is a server and its load in one process, a few scopes forgotten half-way, and
// the report; and the service on its own. Exit codes: 0, 1 if the demo found a wrong answer or a wrong leak report, 2
// for a mistake of the caller's.
#include "load.hpp"
#include "plan.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <random>
#include <string>
#include <thread>

#include "report.hpp"   // these two import, so they go last
#include "server.hpp"

namespace {

using namespace request_server;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

struct options {
    unsigned seconds = 10;
    unsigned threads = std::clamp(std::thread::hardware_concurrency(), 2U, 8U);
    unsigned clients = 0;   ///< 0 means as many as there are threads
    unsigned forget = 3;
    std::uint16_t port = 0;
    std::string data_file;   ///< empty means the ISO files of Debian's iso-codes package
    bool serve = false;
    std::vector<std::string> limits;   ///< as ROUTE=KIB
};

void declare(CLI::App& app, options& to)
{
    app.option_defaults()->always_capture_default();
    app.add_option("--seconds", to.seconds, "How long to drive the server")->check(CLI::Range(1U, 86'400U));
    app.add_option("--threads", to.threads, "Worker threads of the server")->check(CLI::Range(1U, 256U));
    app.add_option("--clients", to.clients, "Client threads, one connection each")
        ->check(CLI::Range(1U, 1'024U))
        ->default_str("as --threads");
    app.add_option("--data", to.data_file,
                   "Serve this JSON file instead of the ISO sets: an array of objects, or an object that holds one")
        ->type_name("FILE");
    app.add_option("--port", to.port, "Port on 127.0.0.1; 0 takes any free one")->check(CLI::Range(0U, 65'535U));
    app.add_option("--forget", to.forget, "How many requests to GET /forget lose their memory")
        ->check(CLI::Range(0U, 16U));
    app.add_option("--limit", to.limits,
                   "The most KiB that the handling of one request of a route may take, as \"GET /join=64\"; refused "
                   "requests get 503. May be repeated")
        ->type_name("ROUTE=KIB")
        ->default_str("64 MiB for each route");
    app.add_flag("--serve", to.serve, "Serve until Ctrl-C, no load")->excludes("--seconds")->excludes("--clients");
}

/// "GET /", "POST /join".
std::string labels_of(std::span<route const> routes)
{
    std::string all;
    for (route const& one : routes)
        all.append(all.empty() ? "\"" : ", \"").append(one.label).append("\"");
    return all;
}

/// The limits that were chosen.
limits_by_label limits_of(options const& chosen)
{
    limits_by_label limits;
    for (std::string const& text : chosen.limits) {
        std::size_t const at = text.rfind('=');
        auto const route =
            std::ranges::find_if(all_routes(), [&](auto const& one) { return one.label == text.substr(0, at); });
        std::size_t kib = 0;
        char const* const end = text.data() + text.size();
        if (at != std::string::npos && route == all_routes().end())
            throw usage_error{"--limit " + text + ": there is no such route, but " + labels_of(all_routes())};
        if (at == std::string::npos || std::from_chars(text.data() + at + 1, end, kib).ptr != end || kib == 0 ||
            kib > 1'000'000'000)
            throw usage_error{"--limit " + text + ": expected a route and KiB, as in \"GET /join=64\""};
        limits[route->label] = kib * 1024;
    }
    return limits;
}

void print_heading(options const& chosen, catalog const& data, std::uint16_t port)
{
    std::size_t records = 0;
    for (data_set const& set : data)
        records += set.records;
    std::printf("request_server on 127.0.0.1:%u: %u workers, %u clients, %zu %s, %zu records\n", unsigned{port},
                chosen.threads, chosen.serve ? 0 : chosen.clients, data.size(), data.size() == 1 ? "set" : "sets",
                records);
    std::fflush(stdout);
}

/// Watches the heap for a second, as an operator would, by taking snapshots; prints what happened in it. A
/// request is an epoch.
void watch(unsigned second, clock_type::time_point end, tslab::allocator& heap, sampled_peaks& peaks)
{
    tslab::global_stats const before = heap.snapshot({.residency = false}).global;
    tslab::snapshot now;
    do {
        std::this_thread::sleep_for(5ms);
        now = heap.snapshot({.residency = false});
        peaks.add(now);
    } while (clock_type::now() < end);
    std::printf("%4u s   %ju requests/s   %ju allocations/s   RSS %s\n", second,
                std::uintmax_t{now.global.epoch_opens - before.epoch_opens},
                std::uintmax_t{now.global.allocations - before.allocations},
                tslab::bytes_text(now.global.rss_bytes).c_str());
    std::fflush(stdout);
}

/// Drives the server for as long as was chosen; half-way, it begins to forget.
void drive(options const& chosen, std::vector<planned_request> const& plan, server& driven, tslab::allocator& heap,
           demo_result& result)
{
    // A client's thread: sends requests chosen at random, each as often as its weight says.
    auto const send_requests = [&](std::stop_token const& ending, unsigned seed) {
        std::vector<double> weights;
        std::ranges::transform(plan, std::back_inserter(weights), &planned_request::weight);
        std::discrete_distribution<std::size_t> choice{weights.begin(), weights.end()};
        std::minstd_rand random{seed};
        client connection{driven.port(), result.load};
        while (!ending.stop_requested())
            connection.send_and_check(plan[choice(random)]);
    };
    auto const begin = clock_type::now();
    std::vector<std::jthread> clients;
    clients.reserve(chosen.clients);
    for (unsigned i = 1; i <= chosen.clients; ++i)
        clients.emplace_back(send_requests, i);
    for (unsigned second = 1; second <= chosen.seconds; ++second) {
        watch(second, begin + second * 1s, heap, result.peaks);
        if (second != (chosen.seconds + 1) / 2)
            continue;
        driven.forget(chosen.forget);
        client forgetful{driven.port(), result.load};
        for (unsigned i = 0; i <= chosen.forget; ++i)   // often enough that all of them are lost
            forgetful.send_and_check(plan_forget());
    }
    for (std::jthread& one : clients)
        one.request_stop();
    clients.clear();   // joins
    result.seconds = std::chrono::duration<double>(clock_type::now() - begin).count();
    result.allocations = heap.snapshot({.residency = false}).global.allocations;
}

/// Heaps report what is open when they end. What was forgotten on purpose has been reported by then.
void do_not_report_twice()
{
    static tslab::error_handler print_and_abort = nullptr;
    print_and_abort = tslab::set_error_handler([](tslab::misuse_report const& r) {
        if (r.kind != tslab::misuse::heap_open && r.kind != tslab::misuse::heap_live)
            print_and_abort(r);
    });
}

tslab::allocator::options heap_options(options const& chosen)
{
    // Every client has one request at a time, and what was forgotten has its own epoch for ever.
    return {.name = "request_server", .epoch_count = std::max(256U, 2 * chosen.clients + chosen.forget)};
}

bool run_demo(options const& chosen, catalog const& data)
{
    limits_by_label const limits = limits_of(chosen);
    auto plan = plan_requests(data);
    for (planned_request& one : plan)   // less than any of them needs: all are refused, and no other notices
        if (one.status == 200 && limits.contains(one.label))
            one = {.label = one.label, .text = one.text, .status = 503, .weight = one.weight};
    demo_result result;
    result.forgotten = chosen.forget;
    result.rss_before = tslab::read_rss_bytes();
    tslab::allocator heap{heap_options(chosen)};
    server service{heap, data, chosen.port, chosen.threads, limits};
    print_heading(chosen, data, service.port());
    drive(chosen, plan, service, heap, result);

    // A client has its answer a moment before the worker ends the request: waits for those moments to pass.
    for (auto const begin = clock_type::now(); clock_type::now() - begin < 1s; std::this_thread::sleep_for(1ms)) {
        if (heap.leaks(0s).size() <= chosen.forget)
            break;
    }
    heap.trim();
    result.after = heap.snapshot();
    bool const good = print_report(result);
    do_not_report_twice();
    return good;
}

void run_service(options const& chosen, catalog const& data)
{
    boost::asio::io_context ending;
    boost::asio::signal_set signals{ending, SIGINT, SIGTERM};
    signals.async_wait([](auto const&, int) {});
    tslab::allocator heap{heap_options(chosen)};
    {
        server service{heap, data, chosen.port, chosen.threads, limits_of(chosen)};
        service.forget(chosen.forget);
        print_heading(chosen, data, service.port());
        std::puts("GET /healthz lists the sets; Ctrl-C ends");
        std::fflush(stdout);
        ending.run();
    }
    std::puts("");
    print_leaks(heap.leaks(0s));   // no request runs any more: what is open will never end
    do_not_report_twice();
}

int run(int argc, char** argv)
{
    options chosen;
    CLI::App app{"An HTTP service on 127.0.0.1 whose requests each have memory of their own, a tslab epoch.\n"
                 "Without --serve it drives itself from client threads over real sockets, forgets a few scopes\n"
                 "on purpose, and reports throughput, latency, memory by label, and the leak.",
                 "request_server"};
    declare(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (CLI::Success const& asked_for_help) {
        return app.exit(asked_for_help);
    }
    if (chosen.clients == 0)
        chosen.clients = chosen.threads;
    catalog const data = chosen.data_file.empty() ? load_iso_sets() : load_file(chosen.data_file);
    if (!chosen.serve)
        return run_demo(chosen, data) ? 0 : 1;
    run_service(chosen, data);
    return 0;
}

}

int main(int argc, char** argv)
{
    try {
        return run(argc, argv);
    } catch (CLI::ParseError const& mistake) {
        std::fprintf(stderr, "request_server: %s (see --help)\n", mistake.what());
        return 2;
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "request_server: %s\n", failure.what());
        return dynamic_cast<usage_error const*>(&failure) != nullptr ? 2 : 1;
    }
}
