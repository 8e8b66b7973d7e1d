// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "routes.hpp"

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <tuple>

#include "server.hpp"   // imports, so it goes last

import tslab.boost;

namespace request_server {

constexpr std::size_t largest_header = 8 * 1024;

/// What a connection keeps between requests: its socket, and bytes that have arrived already. It is no request's memory.
struct connection {
    boost::beast::tcp_stream stream;
    boost::beast::flat_static_buffer<2 * largest_header> arrived{};

    std::string_view text() const { return {static_cast<char const*>(arrived.cdata().data()), arrived.size()}; }
};

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using net::ip::tcp;
using namespace std::chrono_literals;

// Header fields and bodies in a request's memory.
using byte_allocator = std::pmr::polymorphic_allocator<char>;
using scoped_body = http::basic_string_body<char, std::char_traits<char>, byte_allocator>;
using request_parser = http::request_parser<scoped_body, byte_allocator>;
using response = http::response<scoped_body, http::basic_fields<byte_allocator>>;

constexpr auto request_time = 10s;

auto into(error_code& error) { return net::redirect_error(net::use_awaitable, error); }

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
net::awaitable<void> linger(connection& peer)
{
    error_code error;
    std::array<char, 4096> discarded;
    peer.stream.socket().shutdown(tcp::socket::shutdown_send, error);
    peer.stream.expires_after(1s);
    for (std::size_t read = 0; !error && read < 2 * largest_body;)
        read += co_await peer.stream.async_read_some(net::buffer(discarded), into(error));
}

/// Reads, handles and answers one request in `memory`. False if the connection must be closed after it.
net::awaitable<bool> exchange(connection& peer, route const& target, catalog const& data, tslab::epoch_resource& memory,
                              std::size_t limit)
{
    byte_allocator const allocator{&memory};
    request_parser parser{std::piecewise_construct, std::make_tuple(allocator), std::make_tuple(allocator)};
    error_code unreadable;
    parser.header_limit(largest_header);
    parser.body_limit(largest_body);
    co_await http::async_read(peer.stream, peer.arrived, parser, into(unreadable));
    std::optional<reply> answer =
        unreadable ? refusal_of(unreadable, &memory) : handle(parser, target, data, memory, limit);
    if (!answer)
        co_return false;

    // No route serves HEAD, and the refusal has a body, which is none in the eyes of the client: it must not read on.
    bool const keep_alive = !unreadable && parser.get().keep_alive() && parser.get().method() != http::verb::head;
    unsigned const version = unreadable ? 11 : parser.get().version();
    response message{std::piecewise_construct, std::make_tuple(std::move(answer->body)),
                     std::make_tuple(answer->status, version, allocator)};
    message.set(http::field::server, "tslab request_server");
    message.set(http::field::content_type, "application/json");
    message.keep_alive(keep_alive);
    message.prepare_payload();
    peer.stream.expires_after(request_time);   // however long the handler took
    error_code error;
    co_await http::async_write(peer.stream, message, into(error));
    if (unreadable)
        co_await linger(peer);
    co_return !error && keep_alive;
}

/// Waits for the request line, leaves it in the buffer, and finds its route; null if the peer closed the connection or
/// sent none in time. Allocates nothing for the request: a label comes from this.
net::awaitable<route const*> next_route(connection& peer)
{
    bool idle = peer.arrived.size() == 0;
    peer.stream.expires_after(request_time);
    // A request line that does not fit is left to the parser, which refuses it properly.
    while (peer.text().find("\r\n") == std::string_view::npos && peer.arrived.size() < largest_header) {
        error_code error;
        if (idle)
            peer.stream.expires_never();
        peer.arrived.commit(co_await peer.stream.async_read_some(peer.arrived.prepare(largest_header), into(error)));
        if (error)
            co_return nullptr;
        if (std::exchange(idle, false))
            peer.stream.expires_after(request_time);
    }
    std::string_view line = peer.text().substr(0, peer.text().find("\r\n"));   // "GET /search?set=countries HTTP/1.1"
    std::string_view const method = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(method.size() + 1, line.size()));
    co_return &find_route(method, line.substr(0, line.find(' ')));
}

tcp::acceptor listen(net::io_context& io, std::uint16_t port)
{
    try {
        return tcp::acceptor{io, {net::ip::address_v4::loopback(), port}};
    } catch (boost::system::system_error const& refused) {
        throw usage_error{"cannot listen on 127.0.0.1:" + std::to_string(port) + ": " + refused.code().message()};
    }
}

}

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

net::awaitable<void> server::accept()
{
    net::steady_timer retry{contexts_[0]};
    for (std::size_t next = 0;; next = (next + 1) % contexts_.size()) {
        error_code error;
        net::any_io_executor const worker = contexts_[next].get_executor();
        tcp::socket socket = co_await acceptor_.async_accept(worker, into(error));
        if (!error) {
            try {
                net::co_spawn(worker, serve(std::move(socket)), net::detached);
            } catch (std::bad_alloc const&) {
                // The connection ends, the others go on. So it is with any exception that leaves `serve`.
            }
        } else {   // out of file descriptors, most likely: an immediate retry would only spin
            retry.expires_after(50ms);
            co_await retry.async_wait(into(error));
        }
    }
}

net::awaitable<void> server::serve(tcp::socket socket)
{
    socket.set_option(tcp::no_delay{true});
    connection peer{beast::tcp_stream{std::move(socket)}};
    while (route const* const target = co_await next_route(peer)) {
        if (!co_await serve_one(peer, *target))
            co_return;
    }
}

net::awaitable<bool> server::serve_one(connection& peer, route const& target)
{
    auto const own = limits_.find(target.label);
    std::size_t const limit = own != limits_.end() ? own->second : target.memory;
    if (!target.parks_session) {
        tslab::epoch_resource memory{heap_, {.label = target.label}};
        co_return co_await exchange(peer, target, data_, memory, limit);
    }
    auto session = std::make_unique<parked_session>(heap_, target.label, data_);
    bool const keep_alive = co_await exchange(peer, target, data_, session->memory, limit);
    std::lock_guard const guard{forgetting_};
    if (to_forget_ != 0) {
        // The session waits for ever. As in a real program, something still points at it: no leak checker for the
        // ordinary heap would see anything wrong with it.
        static auto& waiting = *new std::vector<std::unique_ptr<parked_session>>;
        waiting.push_back(std::move(session));
        --to_forget_;
    }
    co_return keep_alive;
}

void server::forget(unsigned count)
{
    std::lock_guard const guard{forgetting_};
    to_forget_ = count;
}

}
