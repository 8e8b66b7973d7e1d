// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The server over a real socket: what arrives, what is refused, and what a client cannot make it keep.
#include "tslab/serve_http.hpp"
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace tslab::tool;
using boost::asio::ip::tcp;

namespace {

struct running {
    explicit running(http_limits const& limits = {}) : server{"127.0.0.1", 0, limits}
    {
        thread = std::thread{[this] {
            server.run([](request const& r) -> response {
                if (r.target == "/throw")
                    throw std::runtime_error{"inside"};
                if (r.target == "/accept")
                    return {.body = r.accept + "\n"};
                return {.body = r.method + " " + r.target + " " + r.host + "\n"};
            });
        }};
    }
    ~running()
    {
        server.stop();
        thread.join();
    }
    running(running const&) = delete;
    running& operator=(running const&) = delete;

    http_server server;
    std::thread thread;
};

struct client {
    explicit client(http_server const& server)
    {
        socket.connect({boost::asio::ip::make_address("127.0.0.1"), server.port()});
    }
    client& send(std::string const& text)
    {
        boost::system::error_code e;   // the server may have hung up already
        boost::asio::write(socket, boost::asio::buffer(text), e);
        return *this;
    }
    /// Everything until the server closes.
    std::string rest()
    {
        std::string out;
        boost::system::error_code e;
        boost::asio::read(socket, boost::asio::dynamic_buffer(out), e);
        return out;
    }

    boost::asio::io_context context;
    tcp::socket socket{context};
};

std::string ask(http_server const& server, std::string const& text) { return client{server}.send(text).rest(); }
bool has(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

}

BOOST_AUTO_TEST_CASE(an_answer_carries_what_keeps_a_browser_safe)
{
    running const s;
    std::string const r = ask(s.server, "GET /x?y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    BOOST_TEST(r.starts_with("HTTP/1.1 200 OK\r\n"));
    BOOST_TEST(has(r, "Content-Security-Policy: default-src 'none'; script-src 'self';"));
    BOOST_TEST(has(r, "X-Content-Type-Options: nosniff\r\n"));
    BOOST_TEST(has(r, "Cache-Control: no-store\r\n"));
    BOOST_TEST(!has(r, "Access-Control-Allow-Origin"));
    BOOST_TEST(r.ends_with("\r\n\r\nGET /x?y localhost\n"));
}

BOOST_AUTO_TEST_CASE(the_formats_that_a_client_takes_are_one_list)
{
    running const s;
    std::string const begin = "GET /accept HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept-Encoding: gzip\r\n";
    BOOST_TEST(ask(s.server, begin + "\r\n").ends_with("\r\n\r\n\n"));
    BOOST_TEST(ask(s.server, begin + "Accept: a/b;q=0.5\r\n\r\n").ends_with("\r\n\r\na/b;q=0.5\n"));
    std::string const r = ask(s.server, begin + "Accept: a/b,c/d\r\nX: y\r\naccept: e/f\r\nACCEPT:\r\n\r\n");
    BOOST_TEST(r.ends_with("\r\n\r\na/b,c/d, e/f, \n"));
    BOOST_TEST(!has(r, "Content-Encoding"));   // whatever the client would take
}

BOOST_AUTO_TEST_CASE(head_has_the_length_and_no_body)
{
    running const s;
    std::string const r = ask(s.server, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    BOOST_TEST(has(r, "Content-Length: 9\r\n"));
    BOOST_TEST(r.ends_with("\r\n\r\n"));
}

BOOST_AUTO_TEST_CASE(a_connection_serves_one_request_after_the_other)
{
    running const s;
    std::string const r = ask(s.server, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: h\r\n\r\n"
                                        "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    BOOST_TEST(has(r, "GET /1 h\n"));
    BOOST_TEST(has(r, "GET /3 h\n"));
}

BOOST_AUTO_TEST_CASE(what_is_no_request_is_refused)
{
    running const s;
    for (char const* const text : {"hello\r\n\r\n", "GET /\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
                                   "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHo st: x\r\n\r\n"})
        BOOST_TEST_CONTEXT(text) { BOOST_TEST(ask(s.server, text).starts_with("HTTP/1.1 400")); }
    BOOST_TEST(ask(s.server, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").starts_with("HTTP/1.1 400"));
}

BOOST_AUTO_TEST_CASE(a_body_is_not_read_and_ends_the_connection)
{
    running const s;
    std::string const r = ask(s.server, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\nabc");
    BOOST_TEST(r.ends_with("POST / h\n"));
    BOOST_TEST(has(ask(s.server, "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"),
                   "Connection: close"));
}

BOOST_AUTO_TEST_CASE(a_header_that_is_too_long_is_refused)
{
    running const s;
    std::string const r = ask(s.server, "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(9000, 'x') + "\r\n\r\n");
    BOOST_TEST(r.starts_with("HTTP/1.1 431"));
    BOOST_TEST(ask(s.server, "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n").starts_with("HTTP/1.1 414"));
    std::string const large = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(500'000, 'x') + "\r\n\r\n";
    BOOST_TEST(ask(s.server, large).starts_with("HTTP/1.1 431"));   // though most of it is sent after the answer
    auto const fields = [](std::size_t bytes) {
        std::string text = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
        while (text.size() < bytes)
            text += "X-Some: field\r\n";
        return text + "\r\n";
    };
    BOOST_TEST(ask(s.server, fields(8'100)).starts_with("HTTP/1.1 200"));
    for (std::size_t const bytes : {8'200U, 9'000U, 12'000U, 12'300U, 100'000U})
        BOOST_TEST(ask(s.server, fields(bytes)).starts_with("HTTP/1.1 431"), bytes);
    BOOST_TEST(
        ask(s.server, "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").ends_with("GET /after h\n"));
}

BOOST_AUTO_TEST_CASE(a_client_that_never_finishes_is_dropped)
{
    running const s{{.read_time = std::chrono::milliseconds{100}}};
    auto const begin = std::chrono::steady_clock::now();
    BOOST_TEST(ask(s.server, "GET / HTTP/1.1\r\nHo").starts_with("HTTP/1.1 408"));
    BOOST_TEST(ask(s.server, "").empty());   // nothing was asked
    BOOST_TEST((std::chrono::steady_clock::now() - begin < std::chrono::seconds{5}));
}

BOOST_AUTO_TEST_CASE(a_further_connection_takes_the_place_of_the_one_that_was_idle_for_longest)
{
    running const s{{.connections = 2}};
    client first{s.server};
    client second{s.server};
    std::string const asked = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    std::string answer(32, '\0');
    boost::asio::read(first.send(asked).socket, boost::asio::buffer(answer));   // so the second is idle for longer
    client third{s.server};
    BOOST_TEST(second.rest().empty());
    BOOST_TEST(first.send("GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").rest().ends_with("GET /b h\n"));
    BOOST_TEST(third.send("GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").rest().ends_with("GET /c h\n"));
}

BOOST_AUTO_TEST_CASE(a_request_is_answered_beside_600_connections_that_say_nothing)
{
    running const s;
    std::vector<std::unique_ptr<client>> idle;
    for (int i = 0; i < 600; ++i) {
        idle.push_back(std::make_unique<client>(s.server));
        if (i % 2 == 0)
            idle.back()->send("GET / HTTP/1.1\r\nHo");
    }
    auto const begin = std::chrono::steady_clock::now();
    BOOST_TEST(ask(s.server, "GET /now HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").ends_with("GET /now h\n"));
    BOOST_TEST((std::chrono::steady_clock::now() - begin < std::chrono::seconds{4}));   // none of them timed out yet
}

BOOST_AUTO_TEST_CASE(requests_may_come_in_pieces_and_before_the_answers)
{
    running const s;
    client c{s.server};
    for (char const byte : std::string{"\r\nGET /slow HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\n"})
        c.send(std::string(1, byte));
    std::string const r = c.send("Host: h\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n").rest();
    BOOST_TEST(has(r, "GET /slow h\n"));
    BOOST_TEST(r.ends_with("GET /next h\n"));
}

BOOST_AUTO_TEST_CASE(a_request_that_ends_early_is_refused)
{
    running const s;
    client c{s.server};
    c.send("GET / HTTP/1.1\r\nHo").socket.shutdown(tcp::socket::shutdown_send);
    BOOST_TEST(c.rest().starts_with("HTTP/1.1 400"));
}

BOOST_AUTO_TEST_CASE(http_1_1_needs_a_host)
{
    running const s;
    BOOST_TEST(ask(s.server, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 400"));
    BOOST_TEST(ask(s.server, "GET /old HTTP/1.0\r\n\r\n").ends_with("GET /old \n"));
}

BOOST_AUTO_TEST_CASE(an_answer_that_cannot_be_made_is_an_error_of_the_server)
{
    running const s;
    std::string const r = ask(s.server, "GET /throw HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    BOOST_TEST(r.starts_with("HTTP/1.1 500"));
    BOOST_TEST(!has(r, "inside"));
}

BOOST_AUTO_TEST_CASE(a_port_in_use_is_said)
{
    http_server const first{"127.0.0.1", 0};
    BOOST_CHECK_THROW((http_server{"127.0.0.1", first.port()}), std::system_error);
    BOOST_CHECK_THROW((http_server{"no address", 0}), std::system_error);
    BOOST_TEST(first.url() == "http://127.0.0.1:" + std::to_string(first.port()));
    BOOST_TEST(first.loopback());
}
