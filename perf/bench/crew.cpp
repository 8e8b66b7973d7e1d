// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "crew.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace bench {
namespace {

constexpr std::size_t stack_buffer = 128 * 1024;

thread_local std::span<std::byte> this_stack;

/// The stack that turns will use is resident before the resident set is read.
[[gnu::noinline]] void touch_stack()
{
    std::byte below[64 * 1024];
    std::memset(below, 1, sizeof below);
    asm volatile("" : : "r"(below) : "memory");
}

}

std::span<std::byte> stack_of_this_thread() { return this_stack; }

crew::crew(pattern const& what, setting const& s)
    : workload_{what.make(s, what.name)}, begin_{s.threads + 1}, end_{s.threads + 1}
{
    for (unsigned i = 0; i < s.threads; ++i)
        threads_.emplace_back([this, i, &s] { live(i, s); });
    end_.arrive_and_wait();
}

crew::~crew()
{
    task_ = nullptr;
    begin_.arrive_and_wait();
    for (std::thread& t : threads_)
        t.join();
}

void crew::each(task const& t)
{
    task_ = &t;
    begin_.arrive_and_wait();
    end_.arrive_and_wait();
}

/// An exception ends the program: a measurement must not go on with fewer threads.
void crew::live(unsigned thread, setting const& s)
try {
    std::byte on_stack[stack_buffer];
    asm volatile("" : : "r"(on_stack) : "memory");
    this_stack = on_stack;
    touch_stack();
    std::unique_ptr<place> const memory = s.make_place();
    std::unique_ptr<worker> const mine = workload_->join(thread, *memory);
    end_.arrive_and_wait();
    for (;;) {
        begin_.arrive_and_wait();
        if (task_ == nullptr)
            return;
        (*task_)(thread, *mine);
        end_.arrive_and_wait();
    }
} catch (std::exception const& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    std::_Exit(1);
}

}
