// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process to be looked at: a heap named by its first argument, an empty one by a second, a scope that stays open under a label
// that would command a terminal, and steady work. Says "ready" and goes on until its standard input ends.
#include <cstdio>
#include <memory>
#include <poll.h>
#include <unistd.h>

import tslab;

int main(int argc, char** argv)
{
    tslab::allocator heap{{.name = argc > 1 ? argv[1] : "held"}};
    std::unique_ptr<tslab::allocator> const second{argc > 2 ? new tslab::allocator{{.name = argv[2]}} : nullptr};
    tslab::epoch_scope const forgotten{heap, "\x1b[2Jforgotten"};
    (void)forgotten.resource()->allocate(100'000);
    std::puts("ready");
    std::fflush(stdout);
    pollfd end{STDIN_FILENO, POLLIN, 0};
    while (poll(&end, 1, 10) == 0) {
        tslab::epoch_scope const request{heap, "request"};
        for (int i = 0; i < 100; ++i)
            (void)request.resource()->allocate(200);
        request.resource()->release();
    }
    forgotten.resource()->release();
}
