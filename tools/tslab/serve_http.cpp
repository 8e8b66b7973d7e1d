// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_http.hpp"
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace tslab::tool {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// The page runs nothing but its own files, asks no other server, and cannot be framed.
constexpr char const* content_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

std::string text(beast::string_view s) { return {s.data(), s.size()}; }

struct shared {
    http_limits limits;
    request_handler handle;
    std::size_t connections = 0;   // of the one thread that runs the context
};

/// One connection: keeps itself alive by its pending operation.
class session : public std::enable_shared_from_this<session> {
public:
    session(tcp::socket socket, shared& common) : stream_{std::move(socket)}, common_{common} { ++common_.connections; }
    ~session() { --common_.connections; }
    session(session const&) = delete;
    session& operator=(session const&) = delete;

    void read()
    {
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(common_.limits.header_bytes));
        parser_->body_limit(boost::none);   // none is read
        stream_.expires_after(common_.limits.read_time);
        http::async_read_header(stream_, buffer_, *parser_,
                                [self = shared_from_this()](error_code e, std::size_t) { self->answer(e); });
    }

private:
    void answer(error_code e)
    {
        if (e == http::error::header_limit || e == http::error::buffer_overflow)
            return write({.status = 431, .body = "The header is too long.\n"}, false);
        if (e && e.category() == make_error_code(http::error::bad_method).category() &&
            e != http::error::end_of_stream && e != http::error::partial_message)
            return write({.status = 400, .body = "That is no HTTP request.\n"}, false);
        if (e)
            return close();
        auto const& message = parser_->get();
        // A body is never read, so that the connection cannot go on behind one.
        bool const body = message.chunked() || message.has_content_length();
        head_ = message.method() == http::verb::head;
        keep_ = message.keep_alive() && !body;
        if (message.count(http::field::host) > 1)
            return write({.status = 400, .body = "There are two Host headers.\n"}, false);
        response answer;
        try {
            answer = common_.handle(
                {text(message.method_string()), text(message.target()), text(message[http::field::host])});
        } catch (std::exception const&) {
            answer = {.status = 500, .body = "The request could not be answered.\n"};
        }
        write(std::move(answer), keep_);
    }

    void write(response&& r, bool keep)
    {
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
        stream_.expires_after(common_.limits.write_time);
        auto const done = [self = shared_from_this()](error_code e, std::size_t) { self->written(e); };
        if (head_)
            http::async_write_header(stream_, *serializer_, done);
        else
            http::async_write(stream_, *serializer_, done);
    }

    void written(error_code e)
    {
        if (!e && keep_)
            read();
        else
            close();
    }

    void close()
    {
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }

    beast::tcp_stream stream_;
    shared& common_;
    beast::flat_buffer buffer_{16384};
    std::optional<http::request_parser<http::empty_body>> parser_;
    std::optional<http::response<http::string_body>> reply_;
    std::optional<http::response_serializer<http::string_body>> serializer_;
    bool head_ = false;
    bool keep_ = false;
};

}

class http_server::state {
public:
    state(std::string const& address, std::uint16_t port, http_limits const& limits) : common_{limits, {}, 0}
    {
        try {
            tcp::endpoint const at{asio::ip::make_address(address), port};
            acceptor_.open(at.protocol());
            acceptor_.set_option(asio::socket_base::reuse_address{true});
            acceptor_.bind(at);
            acceptor_.listen();
        } catch (boost::system::system_error const& e) {
            throw std::system_error{std::error_code{e.code()}, address + ":" + std::to_string(port)};
        }
    }

    void run(request_handler&& handle, bool until_signal)
    {
        common_.handle = std::move(handle);
        asio::signal_set signals{context_};
        if (until_signal) {
            signals.add(SIGINT);
            signals.add(SIGTERM);
            signals.async_wait([this](error_code e, int) {
                if (!e)
                    context_.stop();
            });
        }
        accept();
        context_.run();
    }

    void stop() { context_.stop(); }
    [[nodiscard]] tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

private:
    void accept()
    {
        acceptor_.async_accept([this](error_code e, tcp::socket socket) {
            if (e == asio::error::operation_aborted)
                return;
            if (e) {   // out of descriptors, as a rule: not again at once
                pause_.expires_after(std::chrono::milliseconds{100});
                return pause_.async_wait([this](error_code stopped) {
                    if (!stopped)
                        accept();
                });
            }
            if (common_.connections < common_.limits.connections)   // else the socket closes here
                std::make_shared<session>(std::move(socket), common_)->read();
            accept();
        });
    }

    shared common_;   // before the context, whose pending operations hold sessions
    asio::io_context context_{1};
    tcp::acceptor acceptor_{context_};
    asio::steady_timer pause_{context_};
};

http_server::http_server(std::string const& address, std::uint16_t port, http_limits const& limits)
    : state_{std::make_unique<state>(address, port, limits)}
{
}
http_server::~http_server() = default;

std::uint16_t http_server::port() const { return state_->endpoint().port(); }
bool http_server::loopback() const { return state_->endpoint().address().is_loopback(); }

std::string http_server::url() const
{
    auto const at = state_->endpoint();
    std::string const host = at.address().to_string();
    return "http://" + (at.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(at.port());
}

void http_server::run(request_handler handle, bool until_signal) { state_->run(std::move(handle), until_signal); }
void http_server::stop() { state_->stop(); }

}
