// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Interrupts a piece of code at one of its instructions, whichever is asked for: the processor's trap flag has the kernel send
// SIGTRAP after each. So a test sees what a signal handler can meet, at every place where it can come. x86-64, and not under
// ThreadSanitizer, which holds signals back.
#pragma once

#include <csignal>
#include <cstddef>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSLAB_HOLDS_SIGNALS_BACK 1
#endif
#endif

#if defined(__x86_64__) && !defined(TSLAB_HOLDS_SIGNALS_BACK)
#define TSLAB_CAN_STEP 1

namespace support {

namespace stepping {

inline constexpr greg_t trap_flag = 0x100;
inline void (*call)() = nullptr;
inline std::size_t left = 0;

inline void on_trap(int, siginfo_t*, void* context)
{
    if (left == 0)
        return;
    --left;
    if (left != 0)
        return;
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~trap_flag;   // the rest at full speed
    call();
}

// Below the stack pointer a function may keep what it likes, so the flags are not put there.
inline void begin()
{
    asm volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
}
inline void end()
{
    asm volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
}

}

/// Calls `work()`, and `handler()` as a signal handler after `n` of its instructions; false when there are not so many.
template <class Work> [[nodiscard]] bool interrupted_after(std::size_t n, void (*handler)(), Work work)
{
    struct sigaction mine{};
    struct sigaction before{};
    mine.sa_sigaction = stepping::on_trap;
    mine.sa_flags = SA_SIGINFO;
    sigemptyset(&mine.sa_mask);
    sigaction(SIGTRAP, &mine, &before);
    stepping::call = handler;
    stepping::left = n;
    stepping::begin();
    work();
    stepping::end();
    sigaction(SIGTRAP, &before, nullptr);
    return stepping::left == 0;
}

}
#endif
