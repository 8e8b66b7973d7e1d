// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A TCP socket with blocking calls and a deadline: a SyncReadStream and SyncWriteStream whose reads
// and writes end with error::timed_out once the deadline has passed. Server and client both read and
// write through it, so that neither can be held up for ever by a silent peer. One thread at a time.
#pragma once

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <utility>

#include <poll.h>

namespace request_server {

namespace net = boost::asio;

class timed_stream {
public:
    using clock = std::chrono::steady_clock;
    using executor_type = net::ip::tcp::socket::executor_type;

    explicit timed_stream(net::ip::tcp::socket connected) : socket_{std::move(connected)}
    {
        socket_.non_blocking(true);   // the calls below wait with poll(), which knows time-outs
        socket_.set_option(net::ip::tcp::no_delay{true});
    }

    net::ip::tcp::socket& socket() { return socket_; }
    executor_type get_executor() { return socket_.get_executor(); }

    void expires_after(clock::duration time) { deadline_ = clock::now() + time; }

    template <class Buffers>
    std::size_t read_some(Buffers const& into, boost::system::error_code& error)
    {
        return retry(POLLIN, error, [&] { return socket_.read_some(into, error); });
    }

    template <class Buffers>
    std::size_t write_some(Buffers const& from, boost::system::error_code& error)
    {
        return retry(POLLOUT, error, [&] { return socket_.write_some(from, error); });
    }

    template <class Buffers>
    std::size_t read_some(Buffers const& into)
    {
        return throwing([&](auto& error) { return read_some(into, error); });
    }

    template <class Buffers>
    std::size_t write_some(Buffers const& from)
    {
        return throwing([&](auto& error) { return write_some(from, error); });
    }

private:
    template <class Operation>
    std::size_t retry(short events, boost::system::error_code& error, Operation operation)
    {
        for (;;) {
            std::size_t const moved = operation();
            if (error != net::error::would_block && error != net::error::try_again)
                return moved;
            if (!wait(events)) {
                error = net::error::timed_out;
                return 0;
            }
        }
    }

    template <class Operation>
    static std::size_t throwing(Operation operation)
    {
        boost::system::error_code error;
        std::size_t const moved = operation(error);
        if (error)
            throw boost::system::system_error{error};
        return moved;
    }

    /// True once the socket may be ready, false once the deadline has passed.
    bool wait(short events)
    {
        using std::chrono::milliseconds;
        pollfd waited{socket_.native_handle(), events, 0};
        for (;;) {
            auto const left = std::chrono::ceil<milliseconds>(deadline_ - clock::now());
            if (left.count() <= 0)
                return false;
            int const ready = ::poll(&waited, 1, static_cast<int>(left.count()));
            if (ready > 0)
                return true;
            if (ready < 0 && errno != EINTR)
                return true;   // the next read or write says what is wrong
        }
    }

    net::ip::tcp::socket socket_;
    clock::time_point deadline_ = clock::now();
};

}
