// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "json_text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "forgetful.hpp"   // imports, so it goes last

import tslab.boost;

namespace request_server {

struct parked_session::state {
    state(tslab::allocator& heap, std::string_view label)
        : scope{heap, label},   // the line that the leak report shows
          names{scope.resource()}
    {
    }

    void park_names(data_set const& set)
    {
        tslab::boost_resource json_memory{scope.resource()};
        json::value const document = parse_known(set.text, json::storage_ptr{&json_memory});
        for (json::value const& record : *find_records(document)) {
            names.emplace_back(name_of(record.get_object()));
        }
    }

    tslab::epoch_scope scope;
    std::pmr::vector<std::pmr::string> names;
    state* next = nullptr;
};

parked_session::parked_session(tslab::allocator& heap, std::string_view label, catalog const& data)
    : state_{new state{heap, label}}
{
    state_->park_names(*std::ranges::min_element(data, {}, &data_set::records));
}

parked_session::~parked_session() = default;

std::pmr::memory_resource* parked_session::memory() { return state_->scope.resource(); }

void parked_session::forget()
{
    // As in a real program, something still points at the session, so that no leak checker for the
    // ordinary heap would see anything wrong with it.
    static std::atomic<state*> waiting_for_ever{nullptr};
    state_->next = waiting_for_ever.load(std::memory_order_relaxed);
    while (!waiting_for_ever.compare_exchange_weak(state_->next, state_.get(), std::memory_order_relaxed)) {
    }
    state_.release();
}

}
