// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What `tslab serve` answers, without a socket: which paths there are, who may ask, and what they get.
#pragma once
#include "tslab/serve_message.hpp"
#include "tslab/serve_monitor.hpp"
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tslab::tool {

/// Which names the server answers to. A page of another site can make a browser ask us under a name of its own (DNS
/// rebinding), and could then read the answer; so a name must be one of ours.
struct host_rule {
    bool loopback = true;   ///< bound to it: only localhost, 127.0.0.1 and [::1], with our port
    std::uint16_t port = 0;
    std::vector<std::string> names{};   ///< further ones, with or without a port; without: on any

    [[nodiscard]] bool allows(std::string_view host) const;
};

class site {
public:
    site(monitor& of, host_rule rule) : monitor_{of}, rule_{std::move(rule)} {}

    [[nodiscard]] response handle(request const& r) const;

private:
    [[nodiscard]] response find_target(std::string_view target, std::string_view accept) const;
    [[nodiscard]] response find(std::string_view path, std::string_view query, std::string_view accept) const;
    [[nodiscard]] response metrics(std::string_view accept) const;
    [[nodiscard]] response profile(std::string_view path, std::string_view query) const;

    monitor& monitor_;
    host_rule rule_;
};

}
