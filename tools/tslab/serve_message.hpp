// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A request and its answer, as far as the pages of `tslab serve` need them; nothing in here knows a socket.
#pragma once
#include <functional>
#include <string>

namespace tslab::tool {

struct request {
    std::string method{};
    std::string target{};    ///< as it was sent, query included
    std::string host{};      ///< empty: there was no such header
    unsigned version = 11;   ///< of HTTP: 10, 11
    std::string accept{};    ///< the formats that the client takes, as one list; empty: it does not say
};

struct response {
    unsigned status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body{};
    std::string allow{};   ///< of a 405: the methods there are
};

using request_handler = std::function<response(request const&)>;

}
