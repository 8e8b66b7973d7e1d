// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "routes.hpp"

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <source_location>
#include <tslab/asio.hpp>
#include <tuple>

#include "server.hpp"   // imports, so it goes last

import tslab.boost;

namespace request_server {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using namespace std::chrono_literals;

// Header fields and bodies in a request's memory.
using byte_allocator = std::pmr::polymorphic_allocator<char>;
using scoped_body = http::basic_string_body<char, std::char_traits<char>, byte_allocator>;
using request_parser = http::request_parser<scoped_body, byte_allocator>;
using response = http::response<scoped_body, http::basic_fields<byte_allocator>>;

constexpr auto request_time = 10s;
constexpr std::size_t largest_header = 8 * 1024;

/// What a connection keeps between requests: its socket, bytes that have arrived already, and the state of the operation
/// that waits for more. It is no request's memory.
struct connection {
    std::pmr::unsynchronized_pool_resource memory{};
    beast::basic_stream<tcp, executor> stream;
    beast::flat_static_buffer<2 * largest_header> arrived{};

    std::string_view text() const { return {static_cast<char const*>(arrived.cdata().data()), arrived.size()}; }

    /// A request line that does not fit is left to the parser, which refuses it properly.
    bool has_line() const { return text().find("\r\n") != std::string_view::npos || arrived.size() >= largest_header; }

    route const& wanted() const
    {
        std::string_view line = text().substr(0, text().find("\r\n"));   // "GET /search?set=countries HTTP/1.1"
        std::string_view const method = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(method.size() + 1, line.size()));
        return find_route(method, line.substr(0, line.find(' ')));
    }
};

/// For an operation that has its state in `memory`, and no coroutine frame of its own: it is awaited in that of its caller.
/// Awaiting it gives a tuple, the error first.
auto in(std::pmr::memory_resource& memory) { return tslab::bind_memory(&memory, net::as_tuple(net::deferred)); }

/// A bug on purpose, for the leak report to find: state that a handler parks until some event arrives, with the memory
/// that it lies in.
struct parked_session {
    parked_session(tslab::allocator& heap, std::string_view label, catalog const& data)
        : memory{heap, {.label = label}},   // the line that the leak report shows
          names{&memory}
    {
        tslab::boost_resource json_memory{&memory};
        data_set const& smallest = *std::ranges::min_element(data, {}, &data_set::records);
        json::value const document = parse_known(smallest.text, json::storage_ptr{&json_memory});
        names.reserve(smallest.records);
        for (json::value const& record : *find_records(document))
            names.emplace_back(name_of(record.get_object()));
    }

    tslab::epoch_resource memory;
    std::pmr::vector<std::pmr::string> names;
};

struct reply {
    http::status status;
    std::pmr::string body;
};

reply refusal(http::status status, std::string_view message, std::pmr::memory_resource* memory)
{
    std::pmr::string body{R"({"error":")", memory};
    body.append(message).append(R"("})");
    return {status, std::move(body)};
}

/// While it lives, its resource may not hold more than `bytes`: an allocation that would exceed that throws tslab::over_limit.
class bounded {
public:
    bounded(tslab::epoch_resource& memory, std::size_t bytes) : memory_{memory}
    {
        memory.heap().set_limit(memory.epoch(), bytes);
    }
    ~bounded() { memory_.heap().set_limit(memory_.epoch(), std::nullopt); }   // what a refusal says needs memory, too
    bounded(bounded const&) = delete;
    bounded& operator=(bounded const&) = delete;

private:
    tslab::epoch_resource& memory_;
};

reply handle(request_parser const& parsed, route const& target, catalog const& data, tslab::epoch_resource& memory,
             std::size_t limit)
{
    tslab::epoch_scope const scope{memory};
    try {
        bounded const handling{memory, limit};
        std::string_view const path{parsed.get().target().data(), parsed.get().target().size()};
        return {http::status::ok, answer_text(target, path, parsed.get().body(), data, &memory)};
    } catch (http_error const& refused) {
        return refusal(http::int_to_status(refused.status), refused.message, &memory);
    } catch (tslab::over_limit const&) {
        return refusal(http::status::service_unavailable, "the request needs more memory than its route may take",
                       &memory);
    } catch (std::bad_alloc const&) {
        return refusal(http::status::service_unavailable, "out of memory", &memory);
    } catch (std::exception const&) {
        return refusal(http::status::internal_server_error, "the request failed", &memory);
    }
}

/// The refusal of a request that could not be read. Nothing if that is not its fault: the peer has gone, or gone silent.
std::optional<reply> refusal_of(error_code const& error, std::pmr::memory_resource* memory)
{
    using enum http::status;
    if (error == http::error::body_limit)
        return refusal(payload_too_large, "the body is too large", memory);
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return refusal(request_header_fields_too_large, "the header is too large", memory);
    if (error.category() != make_error_code(http::error::bad_method).category() ||
        error == http::error::end_of_stream || error == http::error::partial_message)
        return std::nullopt;
    return refusal(bad_request, "the request is not valid HTTP", memory);
}

/// A connection that is closed with unread bytes is reset, and the peer may lose the response to the reset: says that no
/// more is coming, then reads on for a moment.
awaitable<void> linger(connection& peer)
{
    error_code error;
    std::array<char, 4096> discarded;
    peer.stream.socket().shutdown(tcp::socket::shutdown_send, error);
    peer.stream.expires_after(1s);
    for (std::size_t total = 0, read = 0; !error && total < 2 * largest_body; total += read)
        std::tie(error, read) = co_await peer.stream.async_read_some(net::buffer(discarded), in(peer.memory));
}

net::basic_socket_acceptor<tcp, executor> listen(net::io_context& io, std::uint16_t port)
{
    try {
        return {io, {net::ip::address_v4::loopback(), port}};
    } catch (boost::system::system_error const& refused) {
        throw usage_error{"cannot listen on 127.0.0.1:" + std::to_string(port) + ": " + refused.code().message()};
    }
}

}

/// A request and its answer, in memory of its own. It is no coroutine, so it has no frame to allocate.
struct exchange {
    exchange(tslab::allocator& heap, route const& target, catalog const& data)
        : session{target.parks_session ? std::make_unique<parked_session>(heap, target.label, data) : nullptr},
          memory{session ? session->memory
                         : own.emplace(heap, tslab::resource_options{.label = target.label},
                                       std::source_location::current())},
          parser{std::piecewise_construct, std::make_tuple(byte_allocator{&memory}),
                 std::make_tuple(byte_allocator{&memory})}
    {
        parser.header_limit(largest_header);
        parser.body_limit(largest_body);
    }

    /// Handles what was read, and writes the answer. False if there is nobody to answer.
    bool handle(error_code const& unreadable, route const& target, catalog const& data, std::size_t limit)
    {
        std::optional<reply> said =
            unreadable ? refusal_of(unreadable, &memory) : request_server::handle(parser, target, data, memory, limit);
        if (!said)
            return false;
        // No route serves HEAD, and the refusal has a body, which is none in the eyes of the client: it must not read on.
        bool const keep_alive = !unreadable && parser.get().keep_alive() && parser.get().method() != http::verb::head;
        unsigned const version = unreadable ? 11 : parser.get().version();
        answer.emplace(std::piecewise_construct, std::make_tuple(std::move(said->body)),
                       std::make_tuple(said->status, version, byte_allocator{&memory}));
        answer->set(http::field::server, "tslab request_server");
        answer->set(http::field::content_type, "application/json");
        answer->keep_alive(keep_alive);
        answer->prepare_payload();
        return true;
    }

    std::optional<tslab::epoch_resource> own{};
    std::unique_ptr<parked_session> session;
    tslab::epoch_resource& memory;   ///< one of the two
    request_parser parser;
    std::optional<response> answer{};
};

server::server(tslab::allocator& heap, catalog const& data, std::uint16_t port, unsigned workers,
               limits_by_label limits)
    : heap_{heap}, data_{data}, limits_{std::move(limits)}, contexts_(workers), acceptor_{listen(contexts_[0], port)}
{
    net::co_spawn(contexts_[0], accept(), net::detached);
    threads_.reserve(workers);
    for (net::io_context& context : contexts_)
        threads_.emplace_back([work = net::make_work_guard(context), &context] { context.run(); });
}

server::~server()
{
    for (net::io_context& context : contexts_)
        context.stop();
    threads_.clear();   // joins
}

awaitable<void> server::accept()
{
    net::steady_timer retry{contexts_[0]};
    for (std::size_t next = 0;; next = (next + 1) % contexts_.size()) {
        net::io_context& worker = contexts_[next];
        auto [error, socket] = co_await acceptor_.async_accept(worker, net::as_tuple(net::deferred));
        if (!error) {
            try {
                net::co_spawn(worker, serve(std::move(socket)), net::detached);
            } catch (std::bad_alloc const&) {
                // The connection ends, the others go on. So it is with any exception that leaves `serve`.
            }
        } else {   // out of file descriptors, most likely: an immediate retry would only spin
            retry.expires_after(50ms);
            co_await retry.async_wait(net::as_tuple(net::deferred));
        }
    }
}

/// Serves a connection. This is its only coroutine frame until it lingers: one for each request would come from malloc.
awaitable<void> server::serve(net::basic_stream_socket<tcp, executor> socket)
{
    socket.set_option(tcp::no_delay{true});
    connection peer{.stream = beast::basic_stream<tcp, executor>{std::move(socket)}};
    for (bool keep_alive = true; keep_alive;) {
        // Waits for the request line and leaves it in the buffer: a label comes from it, before anything is allocated.
        bool idle = peer.arrived.size() == 0;
        peer.stream.expires_after(request_time);
        while (!peer.has_line()) {
            if (idle)
                peer.stream.expires_never();
            auto const [error, read] =
                co_await peer.stream.async_read_some(peer.arrived.prepare(largest_header), in(peer.memory));
            peer.arrived.commit(read);
            if (error)   // the peer closed the connection, or sent no request in time
                co_return;
            if (std::exchange(idle, false))
                peer.stream.expires_after(request_time);
        }
        route const& target = peer.wanted();
        exchange one{heap_, target, data_};
        auto const [unreadable, read] =
            co_await http::async_read(peer.stream, peer.arrived, one.parser, in(one.memory));
        keep_alive = one.handle(unreadable, target, data_, limit_of(target));
        if (keep_alive) {
            peer.stream.expires_after(request_time);   // however long the handler took
            auto const [error, written] = co_await http::async_write(peer.stream, *one.answer, in(one.memory));
            keep_alive = !error && one.answer->keep_alive();
            if (unreadable)
                co_await linger(peer);
        }
        if (one.session)
            forget_if_asked(one);
    }
}

std::size_t server::limit_of(route const& target) const
{
    auto const own = limits_.find(target.label);
    return own != limits_.end() ? own->second : target.memory;
}

void server::forget_if_asked(exchange& parked)
{
    std::lock_guard const guard{forgetting_};
    if (to_forget_ == 0)
        return;
    // The session waits for ever. As in a real program, something still points at it: no leak checker for the
    // ordinary heap would see anything wrong with it.
    static auto& waiting = *new std::vector<std::unique_ptr<parked_session>>;
    waiting.push_back(std::move(parked.session));
    --to_forget_;
}

void server::forget(unsigned count)
{
    std::lock_guard const guard{forgetting_};
    to_forget_ = count;
}

}
