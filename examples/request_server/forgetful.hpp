// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A bug on purpose, for the leak report to find: state that a handler parks until some event
// arrives, together with the scope that its memory belongs to. When it is forgotten, the scope is
// never left: its epoch keeps a reference, and its memory stays.
#pragma once

#include "data.hpp"

#include <memory>
#include <memory_resource>
#include <string_view>

import tslab;

namespace request_server {

class parked_session {
public:
    /// Enters a scope, and keeps the names of a set's records in it. The session must end on the
    /// thread that made it.
    parked_session(tslab::allocator& heap, std::string_view label, catalog const& data);
    ~parked_session();

    parked_session(parked_session const&) = delete;
    parked_session& operator=(parked_session const&) = delete;

    std::pmr::memory_resource* memory();

    /// Nobody will ever end this session.
    void forget();

private:
    struct state;
    std::unique_ptr<state> state_;
};

}
