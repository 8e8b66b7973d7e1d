// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_http.hpp"
#include "tslab/serve_session.hpp"
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <system_error>
#include <utility>

namespace tslab::tool {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

}

class http_server::state {
public:
    state(std::string const& address, std::uint16_t port, http_limits const& limits) : common_{limits, {}}
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
            common_.make_room();
            std::make_shared<session>(std::move(socket), common_)->read();
            accept();
        });
    }

    connections common_;   // before the context, whose pending operations hold sessions
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
