// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_session.hpp"
#include <algorithm>
#include <boost/beast/core.hpp>
#include <exception>
#include <string>
#include <tuple>
#include <utility>

namespace tslab::tool {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

// The page runs nothing but its own files, asks no other server, and cannot be framed.
constexpr char const* content_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

constexpr std::size_t bytes_at_once = 4096;
constexpr std::size_t most_drained = std::size_t{1} << 20;
constexpr std::chrono::milliseconds drain_time{1'000};

std::string text(beast::string_view s) { return {s.data(), s.size()}; }

/// Several headers of one name are one list (RFC 9110, 5.3).
std::string list(http::fields const& header, http::field name)
{
    std::string all;
    auto const [first, last] = header.equal_range(name);
    for (auto one = first; one != last; ++one)
        (all += one == first ? "" : ", ") += text(one->value());
    return all;
}

beast::string_view contents(beast::flat_buffer const& b)
{
    return {static_cast<char const*>(b.data().data()), b.size()};
}

}

void connections::make_room()
{
    while (!open.empty() && open.size() >= std::max<std::size_t>(limits.connections, 1)) {
        auto const idle = std::ranges::find_if(open, [](session const* s) { return s->idle(); });
        (idle != open.end() ? *idle : open.front())->drop();
    }
}

session::session(asio::ip::tcp::socket socket, connections& common)
    : socket_{std::move(socket)},
      timer_{socket_.get_executor()},
      common_{common},
      place_{common.open.insert(common.open.end(), this)}
{
}

session::~session() { leave_list(); }

void session::leave_list()
{
    if (std::exchange(listed_, false))
        common_.open.erase(place_);
}

void session::note_activity()
{
    if (listed_)
        common_.open.splice(common_.open.end(), common_.open, place_);
}

void session::drop()
{
    leave_list();
    error_code ignored;
    std::ignore = socket_.close(ignored);   // the pending operation ends, and with it the session
    timer_.cancel();
}

void session::arm(std::chrono::milliseconds limit)
{
    timer_.expires_after(limit);
    timer_.async_wait([weak = weak_from_this()](error_code e) {
        auto const self = weak.lock();
        if (self && !e && self->timer_.expiry() <= std::chrono::steady_clock::now())
            self->expired();
    });
}

void session::expired()
{
    error_code ignored;
    if (phase_ != phase::reading)
        return drop();
    timed_out_ = true;
    std::ignore = socket_.cancel(ignored);
}

void session::read()
{
    phase_ = phase::reading;
    timed_out_ = false;
    first_line_ended_ = false;
    taken_ = 0;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(common_.limits.header_bytes));
    parser_->body_limit(boost::none);   // none is read
    arm(common_.limits.read_time);      // for the whole request, however its bytes drip in
    buffer_.size() != 0 ? parse() : receive();
}

void session::receive()
{
    socket_.async_read_some(buffer_.prepare(bytes_at_once),
                            [self = shared_from_this()](error_code e, std::size_t n) { self->received(e, n); });
}

void session::received(error_code e, std::size_t n)
{
    if (!socket_.is_open())
        return;
    buffer_.commit(n);
    note_activity();
    if (!e)
        return parse();
    if (taken_ + buffer_.size() == 0)
        return drop();
    if (timed_out_)
        return refuse_unfinished(408, "The request did not arrive in time.\n");
    if (e == asio::error::eof)
        return refuse_unfinished(400, "The request ends early.\n");
    drop();
}

/// The parser takes a header line by line; what it has not taken is in the buffer.
void session::parse()
{
    if (!parser_)
        return drop();   // no request is being read
    while (taken_ == 0 && contents(buffer_).starts_with("\r\n"))
        buffer_.consume(2);   // empty lines before a request are to be ignored
    first_line_ended_ = first_line_ended_ || contents(buffer_).find('\n') != beast::string_view::npos;
    error_code e;
    if (buffer_.size() != 0) {
        std::size_t const n = parser_->put(buffer_.data(), e);
        buffer_.consume(n);
        taken_ += n;
    }
    bool const done = !e && parser_->is_header_done();   // then there may be another request in the buffer
    bool const too_long = e == http::error::header_limit || e == http::error::buffer_overflow ||
                          taken_ + (done ? 0 : buffer_.size()) > common_.limits.header_bytes;
    if (done && !too_long)
        return answer();
    if (too_long && !first_line_ended_)
        return refuse_unfinished(414, "The request line is too long.\n");
    if (too_long)
        return refuse_unfinished(431, "The header is too long.\n");
    if (e && e != http::error::need_more)
        return refuse_unfinished(400, "The request is not valid HTTP.\n");
    receive();
}

void session::refuse_unfinished(unsigned status, char const* why)
{
    head_ = false;
    write({.status = status, .body = why}, false);
}

void session::answer()
{
    if (!parser_)
        return drop();
    auto const& message = parser_->get();
    // A body is never read, so that the connection cannot go on behind one.
    bool const body = message.chunked() || message.has_content_length();
    head_ = message.method() == http::verb::head;
    bool const keep = message.keep_alive() && !body;
    auto const hosts = message.count(http::field::host);
    if (hosts > 1)
        return write({.status = 400, .body = "There are two Host headers.\n"}, false);
    if (hosts == 0 && message.version() >= 11)
        return write({.status = 400, .body = "There is no Host header.\n"}, keep);
    response answer;
    try {
        answer =
            common_.handle({text(message.method_string()), text(message.target()), text(message[http::field::host]),
                            message.version(), list(message, http::field::accept)});
    } catch (std::exception const&) {
        answer = {.status = 500, .body = "The request could not be answered.\n"};
    }
    write(std::move(answer), keep);
}

void session::write(response&& r, bool keep)
{
    phase_ = phase::writing;
    keep_ = keep;
    reply_.emplace(static_cast<http::status>(r.status), 11U);
    reply_->set(http::field::content_type, r.type);
    reply_->set(http::field::cache_control, "no-store");
    reply_->set("Content-Security-Policy", content_policy);
    reply_->set("X-Content-Type-Options", "nosniff");
    reply_->set("Referrer-Policy", "no-referrer");
    reply_->set("Cross-Origin-Resource-Policy", "same-origin");
    if (!r.allow.empty())
        reply_->set(http::field::allow, r.allow);
    reply_->keep_alive(keep);
    reply_->content_length(r.body.size());
    if (!head_)
        reply_->body() = std::move(r.body);
    serializer_.emplace(*reply_);
    arm(common_.limits.write_time);
    auto const done = [self = shared_from_this()](error_code e, std::size_t) { self->written(e); };
    if (head_)
        http::async_write_header(socket_, *serializer_, done);
    else
        http::async_write(socket_, *serializer_, done);
}

void session::written(error_code e)
{
    if (!socket_.is_open())
        return;
    note_activity();
    if (e)
        return drop();
    if (keep_)
        return read();
    std::ignore = socket_.shutdown(asio::ip::tcp::socket::shutdown_send, e);
    phase_ = phase::draining;
    arm(drain_time);
    drain();
}

void session::drain()
{
    buffer_.consume(buffer_.size());
    socket_.async_read_some(buffer_.prepare(bytes_at_once), [self = shared_from_this()](error_code e, std::size_t n) {
        if (!self->socket_.is_open())
            return;
        self->drained_ += n;
        e || self->drained_ > most_drained ? self->drop() : self->drain();
    });
}

}
