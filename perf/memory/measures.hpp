// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What memory_probe measures: each in a process of its own, on the public API, without anything made for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace probe {

/// How much of it. Each measure says which of these it reads.
struct settings {
    std::string objects = "small";   ///< of a long phase: small, mixed, large
    bool raw = false;                ///< by heap.malloc in the current epoch instead of a resource
    bool background = false;         ///< with background purging, and without any further work
    bool scopes = false;             ///< in each heap a scope, too
    bool late = false;               ///< memory is locked when the heap is filled, not before it is made
    double seconds = 10;
    std::size_t mib = 500;
    std::size_t size = 1024;   ///< bytes of an object
    std::size_t count = 100;   ///< phases, heaps
    unsigned threads = 32;
};

/// The figures found, as one line of JSON.
class report {
public:
    void number(std::string_view name, double value);
    [[nodiscard]] std::string finish() const { return line_ + "}"; }

private:
    std::string line_ = "{";
};

/// It cannot be measured here; says why.
struct unavailable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A phase that fills memory and frees all but a tenth, and what the process holds when the program has gone on for a while
/// with little. Reads objects, raw, background, seconds, mib.
void measure_long_phase(settings const& s, report& r);
/// Threads that used memory and wait. Reads threads, mib (of a thread, all classes together).
void measure_idle_threads(settings const& s, report& r);
/// How much of a bounded heap another thread gets while one that used it is idle. Reads mib (the bound), size.
void measure_bounded(settings const& s, report& r);
/// Closed phases with one survivor each. Reads count, size.
void measure_survivors(settings const& s, report& r);
/// Heaps with one object each. Reads count, scopes.
void measure_heaps(settings const& s, report& r);
/// Address space of a heap that holds so much. Reads mib.
void measure_reserved(settings const& s, report& r);
/// Heaps under RLIMIT_AS. Reads count, mib (the limit).
void measure_limited(settings const& s, report& r);
/// A heap in a process that locks its memory. Reads mib, late.
void measure_locked(settings const& s, report& r);
/// Heaps used in turn by one thread. Reads count.
void measure_turns(settings const& s, report& r);
/// Descriptors of a process with heaps. Reads count.
void measure_descriptors(settings const& s, report& r);
/// A phase that was freed, then other memory of the process, for a control group with memory.high. Reads mib.
void measure_near_limit(settings const& s, report& r);

}
