// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The threads of a run, each with its place and its worker. They live through the whole run and do one task after the other.
#pragma once

#include "pattern.hpp"

#include <barrier>
#include <functional>
#include <thread>
#include <vector>

namespace bench {

class crew {
public:
    using task = std::function<void(unsigned thread, worker&)>;

    /// Makes the threads, and their places by `s.make_place`; returns when all workers are made.
    crew(pattern const& what, setting const& s);
    /// Ends the threads; each destroys its worker and its place.
    ~crew();
    crew(crew const&) = delete;
    crew& operator=(crew const&) = delete;

    /// Each thread calls `t` once; returns when all have.
    void each(task const& t);

private:
    void live(unsigned thread, setting const& s);

    std::unique_ptr<workload> workload_;
    std::barrier<> begin_;
    std::barrier<> end_;
    task const* task_ = nullptr;   // null: the end
    std::vector<std::thread> threads_;
};

/// Memory of the calling thread's stack for the places it makes; empty on threads of patterns.
std::span<std::byte> stack_of_this_thread();

}
