// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "load.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <cmath>
#include <thread>

namespace request_server {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;

void latency_histogram::record(std::chrono::nanoseconds latency)
{
    ++buckets[static_cast<int>(64 * std::log2(std::max(static_cast<double>(latency.count()), 1.0)))];
    ++count;
    most = std::max(most, latency);
}

std::chrono::nanoseconds latency_histogram::quantile(double q) const
{
    double left = q * static_cast<double>(count);
    for (auto const& [bucket, held] : buckets) {
        left -= static_cast<double>(held);
        if (left <= 0)
            return std::min(std::chrono::nanoseconds{std::llround(std::exp2((bucket + 1) / 64.0))}, most);
    }
    return most;
}

/// Runs one operation on the stream to its end, within 30 seconds; throws boost::system::system_error.
template <class Start> void client::run(boost::beast::tcp_stream& stream, Start start)
{
    boost::system::error_code result;
    stream.expires_after(std::chrono::seconds{30});
    start([&result](boost::system::error_code const& error, std::size_t) { result = error; });
    io_.restart();
    io_.run();
    if (result)
        throw boost::system::system_error{result};
}

std::pair<unsigned, std::string> client::send(std::string_view request)
{
    if (!stream_) {
        arrived_.clear();
        tcp::socket socket{io_};
        socket.connect({boost::asio::ip::address_v4::loopback(), port_});
        socket.set_option(tcp::no_delay{true});
        stream_.emplace(std::move(socket));
    }
    http::response<http::string_body> answer;
    boost::beast::tcp_stream& stream = *stream_;
    run(stream, [&](auto done) { boost::asio::async_write(stream, boost::asio::buffer(request), done); });
    run(stream, [&](auto done) { http::async_read(stream, arrived_, answer, done); });
    if (!answer.keep_alive())
        stream_.reset();
    return {answer.result_int(), std::move(answer.body())};
}

void client::send_and_check(planned_request const& plan)
{
    std::optional<std::string> mistake;
    auto const begin = std::chrono::steady_clock::now();
    try {
        auto const [status, body] = send(plan.text);
        std::chrono::nanoseconds const latency = std::chrono::steady_clock::now() - begin;
        mistake = mistake_in(plan, status, body);
        std::lock_guard const guard{result_.lock};
        result_.all.record(latency);
        result_.by_label[plan.label].record(latency);
    } catch (boost::system::system_error const& broken) {
        stream_.reset();
        mistake = std::string{plan.label} + ": " + broken.what();
        std::this_thread::sleep_for(std::chrono::milliseconds{10});   // a dead server is not hammered
    }
    std::lock_guard const guard{result_.lock};
    if (mistake && result_.errors++ == 0)
        result_.first_error = std::move(*mistake);
}

}
