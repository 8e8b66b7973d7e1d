// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "exchange.hpp"

#include "answer.hpp"
#include "json_text.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <array>
#include <new>
#include <tuple>

import tslab.boost;

namespace request_server {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using namespace std::chrono_literals;

using byte_allocator = std::pmr::polymorphic_allocator<char>;
using scoped_fields = http::basic_fields<byte_allocator>;
using scoped_body = http::basic_string_body<char, std::char_traits<char>, byte_allocator>;
using request_parser = http::request_parser<scoped_body, byte_allocator>;
using response = http::response<scoped_body, scoped_fields>;

constexpr auto request_time = 10s;

/// The request so far: what of it the response repeats.
struct request_head {
    unsigned version = 11;
    bool keep_alive = false;
};

std::string_view view_of(beast::string_view text) { return {text.data(), text.size()}; }

/// An answer before it is HTTP.
struct reply {
    http::status status;
    std::pmr::string body;
};

reply refusal(http::status status, std::string_view message, std::pmr::memory_resource* memory)
{
    reply refused{status, std::pmr::string{memory}};
    tslab::boost_resource json_memory{memory};
    json::object body(json::storage_ptr{&json_memory});
    body.emplace("error", message);
    append_json(refused.body, body);
    return refused;
}

reply handle_or_refuse(request_parser const& parsed, route const& target, catalog const& data,
                       std::pmr::memory_resource* memory)
{
    try {
        std::string_view const path = view_of(parsed.get().target());
        return {http::status::ok, answer_text(target, path, parsed.get().body(), data, memory)};
    } catch (http_error const& refused) {
        return refusal(http::int_to_status(refused.status()), refused.what(), memory);
    } catch (std::bad_alloc const&) {
        return refusal(http::status::service_unavailable, "out of memory", memory);
    } catch (std::exception const&) {
        return refusal(http::status::internal_server_error, "the request failed", memory);
    }
}

bool send(connection_io& peer, request_head head, reply&& answer, std::pmr::memory_resource* memory)
{
    byte_allocator const allocator{memory};
    response message{std::piecewise_construct, std::make_tuple(std::move(answer.body)),
                     std::make_tuple(answer.status, head.version, allocator)};
    message.set(http::field::server, "tslab request_server");
    message.set(http::field::content_type, "application/json");
    message.keep_alive(head.keep_alive);
    message.prepare_payload();
    peer.stream.expires_after(request_time);   // however long the handler took
    error_code error;
    http::write(peer.stream, message, error);
    return !error && head.keep_alive;
}

/// A connection that is closed with unread bytes is reset, and the peer may lose the response to
/// the reset: say that no more is coming, then read on for a moment.
void linger(connection_io& peer)
{
    error_code error;
    std::array<char, 4096> discarded;
    peer.stream.socket().shutdown(net::ip::tcp::socket::shutdown_send, error);
    peer.stream.expires_after(1s);
    for (std::uint64_t read = 0; !error && read < 2 * largest_body;) {
        read += peer.stream.read_some(net::buffer(discarded), error);
    }
}

bool is_protocol_error(error_code const& error)
{
    return error.category() == http::make_error_code(http::error::end_of_stream).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message;
}

reply refusal_of(error_code const& error, std::pmr::memory_resource* memory)
{
    using enum http::status;
    if (error == http::error::body_limit)
        return refusal(payload_too_large, "the body is too large", memory);
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return refusal(request_header_fields_too_large, "the header is too large", memory);
    }
    return refusal(bad_request, "this is not an HTTP request", memory);
}

/// Answers a request that could not be read; a peer that has gone or gone silent gets no answer.
void reject(connection_io& peer, error_code const& error, std::pmr::memory_resource* memory)
{
    if (!is_protocol_error(error))
        return;
    send(peer, {}, refusal_of(error, memory), memory);
    linger(peer);
}

/// A client that asks first whether it may send its body is told to go ahead.
void continue_if_asked(connection_io& peer, request_parser const& parsed, error_code& error)
{
    if (beast::iequals(parsed.get()[http::field::expect], "100-continue")) {
        constexpr std::string_view go_ahead = "HTTP/1.1 100 Continue\r\n\r\n";
        net::write(peer.stream, net::buffer(go_ahead), error);
    }
}

void read_request(connection_io& peer, request_parser& parser, error_code& error)
{
    parser.header_limit(largest_header);
    parser.body_limit(largest_body);
    http::read_header(peer.stream, peer.arrived, parser, error);
    if (!error)
        continue_if_asked(peer, parser, error);
    if (!error)
        http::read(peer.stream, peer.arrived, parser, error);
}

bool serve_request(connection_io& peer, route const& target, catalog const& data, std::pmr::memory_resource* memory)
{
    byte_allocator const allocator{memory};
    request_parser parser{std::piecewise_construct, std::make_tuple(allocator), std::make_tuple(allocator)};
    error_code error;
    read_request(peer, parser, error);
    if (error) {
        reject(peer, error, memory);
        return false;
    }
    // No route serves HEAD, and the refusal has a body, which is none in the eyes of the client: it must not read on.
    bool const keep_alive = parser.get().keep_alive() && parser.get().method() != http::verb::head;
    request_head const head{parser.get().version(), keep_alive};
    return send(peer, head, handle_or_refuse(parser, target, data, memory), memory);
}

std::string_view view_of(connection_io const& peer)
{
    auto const bytes = peer.arrived.cdata();
    return {static_cast<char const*>(bytes.data()), bytes.size()};
}

/// The route for a request line, "GET /search?set=countries HTTP/1.1".
route const& route_of(std::string_view line)
{
    std::string_view const method = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(method.size() + 1, line.size()));
    return find_route(method, line.substr(0, line.find(' ')));
}

}

route const* await_route(connection_io& peer)
{
    peer.stream.expires_after(request_time);
    error_code error;
    std::size_t line_end = view_of(peer).find("\r\n");
    // A request line that does not fit is left to the parser, which refuses it properly.
    while (line_end == std::string_view::npos && peer.arrived.size() < largest_header) {
        peer.arrived.commit(peer.stream.read_some(peer.arrived.prepare(largest_header), error));
        if (error)
            return nullptr;
        line_end = view_of(peer).find("\r\n");
    }
    return &route_of(view_of(peer).substr(0, line_end));
}

bool exchange(connection_io& peer, route const& target, catalog const& data, std::pmr::memory_resource* memory) noexcept
{
    try {
        return serve_request(peer, target, data, memory);
    } catch (std::exception const&) {
        return false;   // not even the refusal could be made: only closing is left
    }
}

}
