// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The load: client threads that send planned requests, one after another, over connections of their
// own, and check every answer. It runs from construction until `stop`.
#pragma once

#include "latency.hpp"
#include "plan.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace request_server {

class client;

struct load_result {
    std::map<std::string_view, latency_histogram> latency_by_label;
    std::uint64_t errors = 0;
    std::vector<std::string> first_errors;   ///< some of them, in words

    void merge(load_result const& other);
    latency_histogram latency() const;
};

/// Sends one request, checks and times its answer, and adds both to `result`.
void send_and_check(client& from, planned_request const& plan, load_result& result);

class load {
public:
    /// `plan` must outlive the load.
    load(std::uint16_t port, std::vector<planned_request> const& plan, unsigned clients);
    ~load();

    load(load const&) = delete;
    load& operator=(load const&) = delete;

    /// Requests answered so far.
    std::uint64_t requests() const { return requests_.load(std::memory_order_relaxed); }

    /// Ends the load once every client has the answer it is waiting for. Once only.
    load_result stop();

private:
    void drive(std::uint16_t port, std::vector<planned_request> const& plan, unsigned seed, load_result& result);
    void join();

    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> requests_{0};
    std::vector<load_result> results_;   // one for each client: nothing is shared while they run
    std::vector<std::thread> threads_;
};

}
