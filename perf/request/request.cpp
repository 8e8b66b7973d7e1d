// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the memory of a request costs: an epoch_scope of its own, 200 allocations of 8 to 768 bytes through
// std::pmr::memory_resource, each touched, all freed, the scope closed. Prints the nanoseconds for one allocation with its
// free, a 200th of the scope included: one number a line for each round, after one round that is not counted.
// The last argument changes one thing: sampling is on, or one lock acquisition in 1,024 is timed, or scopes have no label.
// usage: request ROUNDS [REQUESTS_A_ROUND [SEED [sampled|timed_locks|unlabelled]]]
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <random>
#include <string_view>
#include <vector>

import tslab;

namespace {

constexpr std::size_t allocations = 200;

/// Sizes drawn beforehand, so that drawing is not timed.
std::vector<std::size_t> draw_sizes(unsigned long seed)
{
    std::mt19937_64 random{seed};
    std::uniform_int_distribution<std::size_t> size{8, 768};
    std::vector<std::size_t> sizes(allocations * 64);
    for (std::size_t& s : sizes)
        s = size(random);
    return sizes;
}

void serve(tslab::allocator& heap, std::string_view label, std::size_t const* sizes)
{
    tslab::epoch_scope scope{heap, label};
    std::pmr::memory_resource* resource = scope.resource();
    asm volatile("" : "+r"(resource));   // the calls stay virtual
    std::array<void*, allocations> all;
    for (std::size_t i = 0; i < allocations; ++i) {
        auto* const bytes = static_cast<char*>(resource->allocate(sizes[i]));
        bytes[0] = bytes[sizes[i] - 1] = 1;
        asm volatile("" : : "r"(bytes) : "memory");
        all[i] = bytes;
    }
    for (std::size_t i = allocations; i-- > 0;)
        resource->deallocate(all[i], sizes[i]);
}

double round(tslab::allocator& heap, std::string_view label, std::vector<std::size_t> const& sizes, long requests)
{
    std::size_t const plans = sizes.size() / allocations;
    auto const start = std::chrono::steady_clock::now();
    for (long r = 0; r < requests; ++r)
        serve(heap, label, &sizes[static_cast<std::size_t>(r) % plans * allocations]);
    std::chrono::duration<double, std::nano> const took = std::chrono::steady_clock::now() - start;
    return took.count() / static_cast<double>(requests) / allocations;
}

}

int main(int argc, char** argv)
{
    long const rounds = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 0;
    long const requests = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 20'000;
    unsigned long const seed = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1;
    std::string_view const with = argc == 5 ? argv[4] : "";
    bool const known = with.empty() || with == "sampled" || with == "timed_locks" || with == "unlabelled";
    if (rounds < 1 || requests < 1 || argc > 5 || !known) {
        std::fputs("usage: request ROUNDS [REQUESTS_A_ROUND [SEED [sampled|timed_locks|unlabelled]]]\n", stderr);
        return 2;
    }
    tslab::set_lock_timing(with == "timed_locks" ? 1024 : 0);
    tslab::allocator heap{{.name = "request", .sampling = with == "sampled"}};
    std::string_view const label = with == "unlabelled" ? "" : "request";
    std::vector<std::size_t> const sizes = draw_sizes(seed);
    round(heap, label, sizes, requests);
    for (long i = 0; i < rounds; ++i)
        std::printf("%.3f\n", round(heap, label, sizes, requests));
}
