// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "session_library.hpp"
#include <unistd.h>

namespace shop::sessions {

namespace {

struct session_cache {
    void* last = nullptr;
    // Inlined also where nothing is optimised.
    [[gnu::always_inline]] void remember(std::pmr::memory_resource& from, std::size_t bytes)
    {
        last = from.allocate(bytes);
    }
};
session_cache cache;

[[gnu::noinline]] void* build_page(std::pmr::memory_resource& from, std::size_t bytes)
{
    void* const page = from.allocate(bytes);
    *static_cast<char volatile*>(page) = 1;
    return page;
}

}

void open_session(std::pmr::memory_resource& from, std::size_t bytes)
{
    cache.remember(from, bytes);
    *static_cast<char volatile*>(cache.last) = 1;   // so that the call above is no tail call
}
int const line_of_leak = __LINE__ - 3;

void serve_page(std::pmr::memory_resource& from, std::size_t bytes) { from.deallocate(build_page(from, bytes), bytes); }

void hang()
{
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

}
