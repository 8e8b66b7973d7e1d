// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "load.hpp"

#include "check.hpp"
#include "client.hpp"

#include <iterator>
#include <random>

namespace request_server {
namespace {

constexpr std::size_t errors_in_words = 5;

void add_error(load_result& to, std::string description)
{
    ++to.errors;
    if (to.first_errors.size() < errors_in_words)
        to.first_errors.push_back(std::move(description));
}

/// Chooses requests at random, each as often as its weight says.
class request_mix {
public:
    request_mix(std::vector<planned_request> const& plan, unsigned seed) : plan_{plan}, random_{seed}
    {
        std::vector<double> weights;
        for (planned_request const& rq : plan)
            weights.push_back(rq.weight);
        choice_ = {weights.begin(), weights.end()};
    }

    planned_request const& next() { return plan_[choice_(random_)]; }

private:
    std::vector<planned_request> const& plan_;
    std::minstd_rand random_;
    std::discrete_distribution<std::size_t> choice_;
};

}

void load_result::merge(load_result const& other)
{
    for (auto const& [label, latency] : other.latency_by_label)
        latency_by_label[label].merge(latency);
    errors += other.errors;
    first_errors.insert(first_errors.end(), other.first_errors.begin(), other.first_errors.end());
    first_errors.resize(std::min(first_errors.size(), errors_in_words));
}

latency_histogram load_result::latency() const
{
    latency_histogram all;
    for (auto const& [label, latency] : latency_by_label)
        all.merge(latency);
    return all;
}

void send_and_check(client& from, planned_request const& plan, load_result& result)
{
    auto const begin = std::chrono::steady_clock::now();
    try {
        client::response const answer = from.send(plan.text);
        result.latency_by_label[plan.label].record(std::chrono::steady_clock::now() - begin);
        if (auto mistake = mistake_in(plan, answer.status, answer.body)) {
            add_error(result, std::move(*mistake));
        }
    } catch (boost::system::system_error const& broken) {
        add_error(result, std::string{plan.label} + ": " + broken.what());
        std::this_thread::sleep_for(std::chrono::milliseconds{10});   // a dead server is not hammered
    }
}

load::load(std::uint16_t port, std::vector<planned_request> const& plan, unsigned clients) : results_(clients)
{
    for (unsigned i = 0; i < clients; ++i) {
        threads_.emplace_back([this, port, &plan, i] { drive(port, plan, i + 1, results_[i]); });
    }
}

load::~load() { join(); }

void load::drive(std::uint16_t port, std::vector<planned_request> const& plan, unsigned seed, load_result& result)
{
    client connection{port};
    request_mix mix{plan, seed};
    while (!stopping_.load(std::memory_order_relaxed)) {
        send_and_check(connection, mix.next(), result);
        requests_.fetch_add(1, std::memory_order_relaxed);
    }
}

void load::join()
{
    stopping_ = true;
    for (std::thread& thread : threads_)
        thread.join();
    threads_.clear();
}

load_result load::stop()
{
    join();
    load_result all;
    for (load_result const& one : results_)
        all.merge(one);
    return all;
}

}
