// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process whose shared library leaks sessions in a phase that never ends: says "ready", and then hangs in the library until its
// standard input ends.
#include "session_library.hpp"
#include <cstdio>
#include <memory_resource>

import tslab;

namespace {

[[gnu::noinline]] void log_in(std::pmr::memory_resource& from)
{
    shop::sessions::open_session(from, 4000);
    asm volatile("");   // so that the call above is no tail call
}

}

int main()
{
    tslab::allocator heap{{.name = "shop"}};
    tslab::epoch_scope const sessions{heap, "login"};
    for (int n = 0; n < 1000; ++n)
        log_in(*sessions.resource());
    for (int n = 0; n < 1000; ++n) {
        tslab::epoch_scope const page{heap, "page"};
        shop::sessions::serve_page(*page.resource(), 2000);
    }
    std::printf("ready %d\n", shop::sessions::line_of_leak);
    std::fflush(stdout);
    shop::sessions::hang();
    sessions.resource()->release();
}
