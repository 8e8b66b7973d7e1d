// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The call stack of the calling thread, as addresses.
module;
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <signal.h>
#include <source_location>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

namespace {

struct walk {
    captured_stack& to;
    std::uint32_t skip;
};

_Unwind_Reason_Code note_frame(_Unwind_Context* frame, void* of) noexcept
{
    auto& w = *static_cast<walk*>(of);
    int before = 0;
    std::uint64_t const address = ::_Unwind_GetIPInfo(frame, &before);
    if (address == 0)
        return _URC_END_OF_STACK;
    if (w.skip != 0) {
        --w.skip;
        return _URC_NO_REASON;
    }
    if (w.to.depth == w.to.addresses.size()) {
        w.to.cut = true;
        return _URC_END_OF_STACK;
    }
    // Where a signal interrupted the thread, the address is that of the next instruction; readers take one away from each.
    w.to.addresses[w.to.depth++] = address + (before != 0 ? 1 : 0);
    return _URC_NO_REASON;
}

/// Whether 16 bytes can be read at an address that a multiple of 16 divides, or that do not cross a page. The kernel is asked
/// to read them as a set of signals and refuses afterwards, since it knows no such change.
bool is_readable(std::uintptr_t address) noexcept
{
    constexpr long no_such_change = 0x7fffffff;
    constexpr std::size_t set_bytes = 8;   // the kernel's
    for (std::size_t part = 0; part < 2; ++part)
        if (::syscall(SYS_rt_sigprocmask, no_such_change, address + part * set_bytes, nullptr, set_bytes) == 0 ||
            errno != EINVAL)
            return false;
    return true;
}

[[gnu::noinline]] void walk_frame_pointers(captured_stack& to) noexcept
{
    constexpr std::uintptr_t largest_frame = std::uintptr_t{1} << 20;
    auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    int const error = errno;
    for (std::uintptr_t readable_page = frame / page_bytes; frame != 0;) {
        auto const* const words = reinterpret_cast<std::uintptr_t const*>(frame);
        std::uintptr_t const next = words[0];
        std::uintptr_t const address = words[1];
        if (address < page_bytes)
            break;
        if (to.depth == to.addresses.size()) {
            to.cut = true;
            break;
        }
        to.addresses[to.depth++] = address;
        // Code without frame pointers keeps anything in the register: a frame lies above the one before, not far away.
        if (next <= frame || next - frame > largest_frame || next % sizeof(std::uintptr_t) != 0)
            break;
        if (std::uintptr_t const page = (next + sizeof(std::uintptr_t)) / page_bytes;
            page != readable_page || next / page_bytes != page) {
            if (!is_readable(next))
                break;
            readable_page = page;
        }
        frame = next;
    }
    errno = error;
}

}

[[gnu::noinline]] void walk_stack(captured_stack& to, stack_walk how) noexcept
{
    to.depth = 0;
    to.cut = false;
    if (how == stack_walk::frame_pointers)
        return walk_frame_pointers(to);
    walk w{to, 1};   // this function
    ::_Unwind_Backtrace(&note_frame, &w);
}

}
