// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A server whose requests are coroutines on a pool of threads. A request begins on one thread and goes on, after each wait, on
// whichever is free. Its memory goes with it: a serial resource in an epoch of its own, with the route as its label. So the
// threads of a request all allocate from one cache, without locks, and a snapshot says whose memory it is wherever it runs. Nothing of a
// request is malloc's, Asio's operations included: the tests steady_state_async_server* count.
//
//     async_server [--port N]          serves until it is interrupted; a request is a line "<route> <rows>"
//     async_server --load SECONDS      drives itself and reports throughput and attribution
//         [--threads N] [--clients N] [--rows N] [--memory tslab|malloc]
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory_resource>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <thread>
#include <tslab/asio.hpp>
#include <vector>

import tslab;

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::array<std::string_view, 3> routes{"GET /orders", "GET /search", "POST /login"};

struct settings {
    unsigned port = 0, load = 0, threads = 4, clients = 16, rows = 100;
    bool with_tslab = true;
};

// Executors and sockets by their own types: one that hides its type has no allocator for what is posted to it.
using executor = asio::io_context::executor_type;
using socket = asio::basic_stream_socket<tcp, executor>;
template <class Result> using awaitable = asio::awaitable<Result, executor>;

/// One request: its memory, an epoch of its own or malloc's, and what it makes in it, step by step. It is no coroutine, so it has no
/// frame to allocate.
class request {
public:
    request(tslab::allocator* heap, std::size_t route, unsigned wanted)
        : wanted_{wanted}, own_{}, memory_{make(heap, routes[route])}, rows_{memory_}, groups_{memory_}
    {
        rows_.reserve(wanted_);
    }
    std::pmr::memory_resource* memory() { return memory_; }

    /// Makes the next rows, or groups them when they are all there. False if nothing was left to do.
    bool step()
    {
        if (grouped_)
            return false;
        for (std::size_t const end = std::min<std::size_t>(rows_.size() + 32, wanted_); rows_.size() < end;) {
            std::size_t const i = rows_.size();
            rows_.emplace_back("a row whose text is too long for the small buffer of a string: ");
            char digits[8];
            rows_.back().append(digits, std::to_chars(digits, digits + sizeof digits, i * 7 % 50).ptr);
        }
        if (rows_.size() < wanted_)
            return true;
        for (std::pmr::string const& row : rows_)
            ++groups_[row];
        grouped_ = true;
        return true;
    }
    /// What it holds, by its own count: the vector and its strings; nodes and their keys.
    std::size_t objects() const { return 1 + rows_.size() + 2 * groups_.size(); }

    std::pmr::string answer() const
    {
        char text[64];
        int const n = std::snprintf(text, sizeof text, "%zu rows, %zu groups\n", rows_.size(), groups_.size());
        return {text, static_cast<std::size_t>(n), memory_};
    }

private:
    std::pmr::memory_resource* make(tslab::allocator* heap, std::string_view route)
    {
        if (heap == nullptr)
            return std::pmr::new_delete_resource();
        // serial: a coroutine does one thing at a time, on whichever thread
        return &own_.emplace(*heap, tslab::resource_options{.label = route, .threading = tslab::threading::serial},
                             std::source_location::current());
    }

    unsigned wanted_;
    bool grouped_ = false;
    std::optional<tslab::epoch_resource> own_;
    std::pmr::memory_resource* memory_;
    std::pmr::vector<std::pmr::string> rows_;
    std::pmr::map<std::pmr::string, std::size_t> groups_;
};

class server {
public:
    server(asio::io_context& pool, tslab::allocator* heap, settings const& with)
        : pool_{pool},
          heap_{heap},
          listener_{pool.get_executor(), {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(with.port)}}
    {
        asio::co_spawn(pool_, accept(), asio::detached);
    }
    [[nodiscard]] std::uint16_t port() const { return listener_.local_endpoint().port(); }

    std::atomic<std::uint64_t> served{0};
    std::atomic<std::uint64_t> moved{0};   ///< requests that did not end on the thread on which they began
    enum stages : std::uint8_t { running, moving, held };
    std::atomic<stages> stage{running};    ///< moving, held: requests do not end but stay where they have most memory
    std::atomic<std::uint64_t> still{0};   ///< requests that are held,
    std::array<std::atomic<std::uint64_t>, routes.size()> objects{};   ///< and what those hold, by their own count
    std::atomic<std::uint64_t> connections{0};   ///< that it serves; a client has its answer before its request ends

private:
    /// Counts itself for as long as it lives.
    class counted {
    public:
        explicit counted(std::atomic<std::uint64_t>& count) : count_{count} { ++count_; }
        ~counted() { --count_; }
        counted(counted const&) = delete;
        counted& operator=(counted const&) = delete;

    private:
        std::atomic<std::uint64_t>& count_;
    };

    awaitable<void> accept()
    {
        for (;;)
            asio::co_spawn(pool_, talk(co_await listener_.async_accept(asio::deferred)), asio::detached);
    }
    /// Serves a connection. This coroutine's frame is the only one, and lives as long as the connection does: `deferred` awaits
    /// an operation in it. So a request calls malloc for nothing: operations between requests have their state in the memory of the
    /// connection, the answer and its operation in the request's.
    awaitable<void> talk(socket peer)
    {
        counted const connection{connections};
        std::pmr::unsynchronized_pool_resource own;
        std::pmr::string line{&own};
        auto const in_own_memory = [&own] { return tslab::bind_memory(&own, asio::deferred); };
        try {
            for (;;) {
                std::size_t const n =
                    co_await asio::async_read_until(peer, asio::dynamic_buffer(line, 256), '\n', in_own_memory());
                std::size_t route = 0;
                unsigned wanted = 0;
                if (!understood({line.data(), n - 1}, route, wanted)) {
                    co_await asio::async_write(peer, asio::buffer("not understood\n", 15), in_own_memory());
                    line.erase(0, n);
                    continue;
                }
                line.erase(0, n);
                auto const began_on = std::this_thread::get_id();
                request r{heap_, route, wanted};
                while (r.step())   // goes on on any thread of the pool, as after an answer of a database
                    co_await asio::post(pool_, in_own_memory());
                if (stage != running) {
                    while (stage == moving) {   // allocates on whichever thread it comes to
                        std::pmr::string const more(100, '.', r.memory());
                        co_await asio::post(pool_, in_own_memory());
                    }
                    objects[route] += r.objects();
                    ++still;
                    while (stage == held)
                        co_await asio::post(pool_, in_own_memory());
                }
                ++served;
                moved += std::this_thread::get_id() != began_on ? 1 : 0;
                std::pmr::string const answer = r.answer();
                co_await asio::async_write(peer, asio::buffer(answer), tslab::bind_memory(r.memory(), asio::deferred));
            }
        } catch (boost::system::system_error const&) {   // the peer has left
        }
    }
    /// Whether the line is a request, "<route> <rows>".
    static bool understood(std::string_view line, std::size_t& route, unsigned& wanted)
    {
        while (route < routes.size() && !line.starts_with(routes[route]))
            ++route;
        if (route == routes.size() || line.size() <= routes[route].size())
            return false;
        char const* const digits = line.data() + routes[route].size() + 1;
        return std::from_chars(digits, line.data() + line.size(), wanted).ec == std::errc{};
    }

    asio::io_context& pool_;
    tslab::allocator* heap_;
    asio::basic_socket_acceptor<tcp, executor> listener_;
};

/// Sends requests over one connection, one after another, until `stop`; the routes take turns.
void drive(std::uint16_t port, settings const& with, std::size_t first, std::atomic<bool> const& stop)
{
    asio::io_context own;
    tcp::socket to{own};
    to.connect({asio::ip::address_v4::loopback(), port});
    std::string answer;
    for (std::size_t i = first; !stop; ++i) {
        asio::write(to, asio::buffer(std::string{routes[i % routes.size()]} + ' ' + std::to_string(with.rows) + '\n'));
        std::size_t const n = asio::read_until(to, asio::dynamic_buffer(answer), '\n');
        if (!answer.starts_with(std::to_string(with.rows) + " rows"))
            std::abort();
        answer.erase(0, n);
    }
}

/// Says of each route what its label holds, beside what its requests count themselves. Returns whether both are the same.
bool attribution_is_right(tslab::allocator const& heap, server const& of, std::size_t clients)
{
    bool right = true;
    tslab::snapshot const now = heap.snapshot();
    for (std::size_t r = 0; r < routes.size(); ++r)
        for (tslab::label_stats const& l : now.labels) {
            if (l.name != routes[r])
                continue;
            std::printf("%-12s %3llu open, %6llu objects of %llu by their own count, %llu KiB\n", l.name.c_str(),
                        static_cast<unsigned long long>(l.epochs), static_cast<unsigned long long>(l.live_objects),
                        static_cast<unsigned long long>(of.objects[r]),
                        static_cast<unsigned long long>(l.held_bytes >> 10));
            right = right && l.live_objects == of.objects[r] &&
                    l.epochs == (clients + routes.size() - 1 - r) / routes.size();
        }
    return right;
}

/// Ends the clients, and waits until the server has ended their requests too.
void end(std::vector<std::jthread>& clients, server const& of)
{
    clients.clear();
    while (of.connections != 0)
        std::this_thread::sleep_for(1ms);
}

/// Drives the server, holds one request of each client, and lets them end. Returns whether all was as it should be.
bool load(server& s, tslab::allocator const* heap, settings const& with)
{
    std::atomic<bool> stop{false};
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < with.clients; ++i)
        clients.emplace_back([&, i] { drive(s.port(), with, i, stop); });
    std::this_thread::sleep_for(std::chrono::seconds{with.load});
    std::uint64_t const served = s.served;
    std::printf("%s: %.0f requests a second, %.0f in 100 ended on another thread than they began on\n",
                heap != nullptr ? "tslab" : "malloc", static_cast<double>(served) / with.load,
                static_cast<double>(s.moved) * 100 / static_cast<double>(std::max<std::uint64_t>(served, 1)));
    stop = true;
    end(clients, s);
    if (heap == nullptr)
        return true;
    // Now one request of each client, at rest after it has been on several threads.
    stop = false;
    s.stage = server::moving;
    for (std::size_t i = 0; i < with.clients; ++i)
        clients.emplace_back([&, i] { drive(s.port(), with, i, stop); });
    std::this_thread::sleep_for(100ms);
    stop = true;
    s.stage = server::held;
    while (s.still != with.clients)
        std::this_thread::sleep_for(1ms);
    bool right = attribution_is_right(*heap, s, with.clients) && (with.threads == 1 || s.moved != 0);
    s.stage = server::running;
    end(clients, s);
    right = right && heap->snapshot().global.live_objects == 0 && heap->leaks(0s).empty();
    std::puts(right ? "and nothing is left" : "WRONG");
    return right;
}

bool read_arguments(int argc, char** argv, settings& to)
{
    for (int i = 1; i < argc; i += 2) {
        std::string_view const name = argv[i];
        std::string_view const value = i + 1 < argc ? argv[i + 1] : "";
        if (name == "--memory" && (value == "tslab" || value == "malloc")) {
            to.with_tslab = value == "tslab";
            continue;
        }
        unsigned* const number = name == "--port"      ? &to.port
                                 : name == "--load"    ? &to.load
                                 : name == "--threads" ? &to.threads
                                 : name == "--clients" ? &to.clients
                                 : name == "--rows"    ? &to.rows
                                                       : nullptr;
        if (number == nullptr)
            return false;
        auto const [end, error] = std::from_chars(value.data(), value.data() + value.size(), *number);
        if (error != std::errc{} || end != value.data() + value.size() || *number == 0 || *number > 65'535)
            return false;
    }
    return true;
}

}

int main(int argc, char** argv)
{
    settings with;
    if (!read_arguments(argc, argv, with)) {
        std::fputs("usage: async_server [--port N | --load SECONDS] [--threads N] [--clients N] [--rows N] "
                   "[--memory tslab|malloc]\n",
                   stderr);
        return 2;
    }
    std::optional<tslab::allocator> heap;
    if (with.with_tslab)
        heap.emplace(tslab::allocator_options{.name = "async_server"});
    tslab::allocator* const memory = heap ? &*heap : nullptr;
    asio::io_context pool{static_cast<int>(with.threads)};
    server s{pool, memory, with};
    asio::signal_set interrupted{pool, SIGINT, SIGTERM};
    interrupted.async_wait([&](auto const&, int) { pool.stop(); });
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < with.threads; ++i)
        threads.emplace_back([&] { pool.run(); });
    bool right = true;
    if (with.load != 0) {
        right = load(s, memory, with);
        pool.stop();
    } else {
        std::printf("listening on 127.0.0.1:%u\n", s.port());
        std::fflush(stdout);
    }
    threads.clear();
    return right ? 0 : 1;
}
