// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
#include "measures.hpp"
#include "process.hpp"
#include "resident.hpp"

#include <array>
#include <cstring>

import tslab;

namespace probe {

void measure_survivors(settings const& s, report& r)
{
    constexpr std::size_t objects = 64;                                      // of a phase
    tslab::allocator& heap = *new tslab::allocator{{.name = "survivors"}};   // without an end: the survivors live
    heap.free(heap.malloc(s.size));
    std::uint64_t const base = bench::resident_bytes();
    for (std::size_t phase = 0; phase < s.count; ++phase) {
        tslab::epoch_id const e = heap.current_epoch();
        std::array<void*, objects> all{};
        for (void*& p : all) {
            p = heap.malloc(s.size, e);
            if (p == nullptr)
                throw std::runtime_error{"out of memory"};
            std::memset(p, 1, s.size);
        }
        for (std::size_t i = 0; i < objects; ++i)
            if (i != phase % objects)   // the survivor lies elsewhere in each
                heap.free(all[i]);
        heap.close(e);
    }
    std::uint64_t const closed = bench::resident_bytes();
    heap.trim();
    std::uint64_t const trimmed = bench::resident_bytes();
    r.number("live", static_cast<double>(s.count * s.size));
    r.number("closed", static_cast<double>(closed) - static_cast<double>(base));
    r.number("trimmed", static_cast<double>(trimmed) - static_cast<double>(base));
}

}
