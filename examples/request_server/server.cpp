// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "exchange.hpp"
#include "options.hpp"
#include "routes.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "forgetful.hpp"   // these two import, so they go last
#include "server.hpp"

namespace request_server {
namespace {

using boost::system::error_code;
using net::ip::tcp;

/// What every connection needs of its server.
struct service {
    tslab::allocator& heap;
    catalog const& data;
    std::atomic<unsigned> to_forget{0};

    /// True for as many calls as scopes are still to be forgotten.
    bool take_forgetting()
    {
        unsigned left = to_forget.load(std::memory_order_relaxed);
        while (left != 0 && !to_forget.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
        }
        return left != 0;
    }
};

/// One client's connection; it owns itself through the operation that it has pending.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(tcp::socket socket, service& of) : peer_{timed_stream{std::move(socket)}, {}}, service_{of} {}

    /// Waits for the next request without holding a thread.
    void wait()
    {
        peer_.stream.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code const& error) {
            if (!error)
                self->serve();
        });
    }

private:
    void serve()
    {
        try {
            while (serve_one()) {
                if (peer_.arrived.size() == 0)
                    return wait();
            }   // else the client has sent its next request already
        } catch (std::exception const&) {
            // No scope to be had, or nothing left to wait with: this connection ends, the others go on.
        }
    }

    bool serve_one()
    {
        route const* const target = await_route(peer_);
        if (target == nullptr)
            return false;
        if (target->parks_session)
            return serve_parked(*target);
        tslab::epoch_scope scope{service_.heap, target->label};
        return exchange(peer_, *target, service_.data, scope.resource());
    }

    bool serve_parked(route const& target)
    {
        parked_session session{service_.heap, target.label, service_.data};
        bool const keep_alive = exchange(peer_, target, service_.data, session.memory());
        if (service_.take_forgetting())
            session.forget();
        return keep_alive;
    }

    connection_io peer_;
    service& service_;
};

tcp::acceptor listen(net::io_context& io, std::uint16_t port)
{
    try {
        return tcp::acceptor{io, {net::ip::address_v4::loopback(), port}};
    } catch (boost::system::system_error const& refused) {
        throw usage_error{"cannot listen on 127.0.0.1:" + std::to_string(port) + ": " + refused.code().message()};
    }
}

}

struct server::state {
    state(tslab::allocator& heap, catalog const& data, std::uint16_t port, unsigned workers)
        : service_{heap, data}, io_{static_cast<int>(workers)}, acceptor_{listen(io_, port)}, retry_{io_}
    {
        accept();
        for (unsigned i = 0; i < workers; ++i)
            threads_.emplace_back([this] { io_.run(); });
    }

    ~state()
    {
        io_.stop();   // each worker finishes the request that it is in
        for (std::thread& worker : threads_)
            worker.join();
    }

    void accept()
    {
        acceptor_.async_accept([this](error_code const& error, tcp::socket socket) {
            if (error)
                return accept_later();
            try {
                std::make_shared<connection>(std::move(socket), service_)->wait();
            } catch (std::exception const&) {
                // The client has gone already, or there is no memory for it: the others go on.
            }
            accept();
        });
    }

    /// Out of file descriptors, most likely: an immediate retry would only spin.
    void accept_later()
    {
        retry_.expires_after(std::chrono::milliseconds{50});
        retry_.async_wait([this](error_code const& error) {
            if (!error)
                accept();
        });
    }

    service service_;
    net::io_context io_;
    tcp::acceptor acceptor_;
    net::steady_timer retry_;
    std::vector<std::thread> threads_;
};

server::server(tslab::allocator& heap, catalog const& data, std::uint16_t port, unsigned workers)
    : state_{std::make_unique<state>(heap, data, port, workers)}
{
}

server::~server() = default;

std::uint16_t server::port() const { return state_->acceptor_.local_endpoint().port(); }

void server::forget(unsigned count) { state_->service_.to_forget = count; }

}
