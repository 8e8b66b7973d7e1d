// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "client.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

namespace request_server {

namespace http = boost::beast::http;
using net::ip::tcp;

timed_stream& client::connected()
{
    if (!stream_) {
        arrived_.clear();
        tcp::socket socket{io_};
        socket.connect({net::ip::address_v4::loopback(), port_});
        stream_.emplace(std::move(socket));
    }
    return *stream_;
}

client::response client::send(std::string_view request)
{
    timed_stream& stream = connected();
    stream.expires_after(std::chrono::seconds{30});
    http::response<http::string_body> answer;
    try {
        net::write(stream, net::buffer(request));
        http::read(stream, arrived_, answer);
    } catch (boost::system::system_error const&) {
        stream_.reset();
        throw;
    }
    if (!answer.keep_alive())
        stream_.reset();
    return {answer.result_int(), std::move(answer.body())};
}

}
