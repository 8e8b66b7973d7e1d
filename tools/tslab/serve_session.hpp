// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One connection of `tslab serve`, and the list of all of them. Everything here runs on the one thread of the context.
#pragma once
#include "tslab/serve_http.hpp"
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <optional>

namespace tslab::tool {

class session;

/// What the connections share. The list is in the order of their last activity, the oldest first.
struct connections {
    http_limits limits;
    request_handler handle;
    std::list<session*> open{};

    /// Closes connections until one more may be opened: the one that has been idle for longest first. One that an answer is
    /// being written to is closed only when none is idle.
    void make_room();
};

/// A connection is reading a request, writing the answer, or, once it was told that it will be closed, reading what the client
/// still sends: closing earlier would make the kernel reset the connection, and the answer could be lost. It keeps itself alive
/// by its pending operation.
class session : public std::enable_shared_from_this<session> {
public:
    session(boost::asio::ip::tcp::socket socket, connections& common);
    ~session();
    session(session const&) = delete;
    session& operator=(session const&) = delete;

    /// Waits for the next request.
    void read();
    [[nodiscard]] bool idle() const noexcept { return phase_ != phase::writing; }
    /// Ends the connection at once, and takes it off the list.
    void drop();

private:
    using error_code = boost::system::error_code;
    enum class phase : std::uint8_t { reading, writing, draining };

    void note_activity();
    void leave_list();
    void arm(std::chrono::milliseconds limit);
    void expired();
    void receive();
    void received(error_code e, std::size_t n);
    void parse();
    void refuse_unfinished(unsigned status, char const* why);
    void answer();
    void write(response&& r, bool keep);
    void written(error_code e);
    void drain();

    boost::asio::ip::tcp::socket socket_;
    boost::asio::steady_timer timer_;
    connections& common_;
    std::list<session*>::iterator place_;
    bool listed_ = true;
    phase phase_ = phase::reading;
    bool timed_out_ = false;
    bool first_line_ended_ = false;
    std::size_t taken_ = 0;   // of the request, by the parser
    std::size_t drained_ = 0;
    boost::beast::flat_buffer buffer_{16384};
    std::optional<boost::beast::http::request_parser<boost::beast::http::empty_body>> parser_{};
    std::optional<boost::beast::http::response<boost::beast::http::string_body>> reply_{};
    std::optional<boost::beast::http::response_serializer<boost::beast::http::string_body>> serializer_{};
    bool head_ = false;
    bool keep_ = false;
};

}
