// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What is done with the memory. A workload is what the threads of a run share, a worker is one thread's part in it.
// A worker draws all it needs when it is made, from the seed; its turns only use it.
#pragma once

#include "place.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct setting {
    unsigned threads = 1;
    std::uint64_t seed = 1;
    std::size_t size = 0;   ///< of the objects, where the pattern lets it be chosen; 0: as the pattern has it
    bool tiny = false;      ///< a smoke test: less of everything that takes long
    /// A place for the thread that calls it, for patterns that start threads of their own.
    std::function<std::unique_ptr<place>()> make_place{};

    [[nodiscard]] std::size_t size_or(std::size_t usual) const { return size == 0 ? usual : size; }
};

class worker {
public:
    worker() = default;
    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;
    virtual ~worker() = default;

    /// Some microseconds of work, or one phase; returns how many operations it was. Never waits for another worker.
    virtual std::uint64_t turn() = 0;
    /// Frees everything it holds. No worker is in a turn any more.
    virtual void drain() {}
};

class workload {
public:
    workload() = default;
    workload(workload const&) = delete;
    workload& operator=(workload const&) = delete;
    virtual ~workload() = default;

    /// On the thread that will use it; the threads of a run are numbered from 0.
    virtual std::unique_ptr<worker> join(unsigned thread, place& memory) = 0;
};

struct pattern {
    std::string_view name;
    std::string_view about;
    std::unique_ptr<workload> (*make)(setting const&, std::string_view name);
    bool phases = false;     ///< a turn is a phase after which nothing of it is live: monotonic buffers can serve it
    bool memory = false;     ///< its resident memory over many turns says something
    bool crossing = false;   ///< objects are freed by other threads than allocated them
    unsigned least_threads = 1;
    unsigned most_threads = 1024;
    bool pairs = false;   ///< of threads: an even number
    unsigned idle = 0;    ///< threads that do nothing but hold memory
};

std::span<pattern const> all_patterns();
/// Null if there is none of that name.
pattern const* find_pattern(std::string_view name);

/// The first and the last byte of an object are written.
inline void touch(void* p, std::size_t size)
{
    auto* const bytes = static_cast<char volatile*>(p);
    bytes[0] = 1;
    bytes[size - 1] = 1;
}

using random_source = std::mt19937_64;

inline random_source random_for(setting const& s, unsigned thread)
{
    return random_source{s.seed * 1'000'003 + thread};
}

/// A workload whose threads do the same and share nothing: `Worker` is made from (setting, name, place, thread).
template <class Worker>
class alike final : public workload {
public:
    alike(setting const& s, std::string_view name) : setting_{s}, name_{name} {}

    std::unique_ptr<worker> join(unsigned thread, place& memory) override
    {
        return std::make_unique<Worker>(setting_, name_, memory, thread);
    }

private:
    setting setting_;
    std::string name_;
};

template <class Worker>
std::unique_ptr<workload> make_alike(setting const& s, std::string_view name)
{
    return std::make_unique<alike<Worker>>(s, name);
}

/// What each file of patterns has to offer.
std::span<pattern const> batch_patterns();
std::span<pattern const> set_patterns();
std::span<pattern const> request_patterns();
std::span<pattern const> container_patterns();
std::span<pattern const> document_patterns();
std::span<pattern const> phase_patterns();
std::span<pattern const> steady_patterns();
std::span<pattern const> crossing_patterns();
std::span<pattern const> larson_patterns();

}
