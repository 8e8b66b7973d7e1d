// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
#include "background.hpp"
#include "measures.hpp"
#include "process.hpp"
#include "resident.hpp"

#include <chrono>
#include <cstring>
#include <sys/mman.h>
#include <thread>

import tslab;

namespace probe {

/// A heap keeps what a phase freed, if it does; then the program needs as much memory from elsewhere. In a group that allows
/// for little more than that much, it goes well if the heap lets go first.
void measure_near_limit(settings const& s, report& r)
{
    using steady = std::chrono::steady_clock;
    std::size_t const bytes = s.mib << 20;
    tslab::allocator_options options{.name = "near limit"};
    static_cast<void>(ask_for_background_purge(options));
    tslab::allocator heap{options};
    tslab::epoch_resource program{heap, {.label = "program"}};
    {
        pointer_table const table{bytes / 1024};
        for (void*& p : table.all())
            p = std::memset(program.allocate(1024), 1, 1024);
        for (void* const p : table.all())
            program.deallocate(p, 1024);
    }
    void* const other = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (other == MAP_FAILED)
        throw std::runtime_error{"no memory from the system"};
    auto const start = steady::now();
    for (std::size_t at = 0; at < bytes; at += 4096) {
        static_cast<char volatile*>(other)[at] = 1;
        if (at % (1 << 20) == 0) {   // not all at once, and ordinary work goes on
            program.deallocate(program.allocate(100), 100);
            std::this_thread::sleep_for(std::chrono::milliseconds{4});
        }
    }
    r.number("seconds", std::chrono::duration<double>{steady::now() - start}.count());
    r.number("resident", static_cast<double>(bench::resident_bytes()));
}

}
