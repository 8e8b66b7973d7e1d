// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The version, failures, and reports of misuse for handlers in C.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <source_location>
#include <string_view>
#include <tslab/tslab.h>
#include <unistd.h>
import tslab.epoch;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;
#include "internal.hpp"

namespace tslab::c {

namespace {

// The handler that C installed, and the one of C++ that a handler in C replaced last: what restore_cpp stands for.
constinit std::atomic<tslab_error_handler> c_handler{nullptr};
constinit std::atomic<error_handler> cpp_handler{nullptr};

static_assert(static_cast<int>(misuse::bad_argument) == TSLAB_MISUSE_BAD_ARGUMENT);
static_assert(static_cast<int>(misuse::wrong_alignment) == TSLAB_MISUSE_WRONG_ALIGNMENT);
static_assert(misuse_count == TSLAB_MISUSE_OVERLAPPING_USE + 1, "a new kind wants its name in tslab/c/base.h");

tslab_misuse_report of(misuse_report const& r) noexcept
{
    return {.size = sizeof(tslab_misuse_report),
            .kind = static_cast<tslab_misuse>(r.kind),
            .fatal = r.fatal,
            .address = r.address,
            .heap = c::of(r.heap),
            .epoch_label = c::of(r.epoch_label),
            .size_class = r.size_class,
            .other = c::of(r.other),
            .given = r.given,
            .objects = r.objects,
            .bytes = r.bytes,
            .file = r.file,
            .line = r.line,
            .fitting_alignment = r.fitting_alignment,
            .other_thread = r.other_thread};
}

void call_c(misuse_report const& r)
{
    if (tslab_error_handler const handler = c_handler.load(std::memory_order_acquire)) {
        tslab_misuse_report const report = of(r);
        handler(&report);
    }
}

/// Stands for the handler of C++ code in the hands of C; not called.
void restore_cpp(tslab_misuse_report const*) {}

}

void bad_argument(char const* what, allocator* heap) noexcept
{
    if (heap != nullptr)
        heap->misused({.kind = misuse::bad_argument, .other = what}, nullptr);
    else
        report({.kind = misuse::bad_argument, .other = what});
}

void fail(tslab_failure* why, tslab_status status, std::string_view text) noexcept
{
    if (why == nullptr)
        return;
    why->status = status;
    std::size_t const n = std::min(text.size(), sizeof(why->text) - 1);
    std::copy_n(text.data(), n, why->text);
    why->text[n] = '\0';
}

bool is_our_abi(unsigned abi, char const* version, tslab_failure* why) noexcept
{
    if (abi == TSLAB_ABI)
        return true;
    std::array<char, 200> line;
    int const n = std::snprintf(
        line.data(), line.size(),
        "tslab: the program was compiled with headers of tslab %.40s, ABI %u, but the library is "
        "tslab %s, ABI %u",
        version != nullptr ? version : "(no version)", abi, TSLAB_VERSION, static_cast<unsigned>(TSLAB_ABI));
    std::string_view const text{line.data(), static_cast<std::size_t>(std::max(n, 0))};
    fail(why, TSLAB_ABI_MISMATCH, text.substr(std::string_view{"tslab: "}.size()));
    static constinit std::atomic<bool> said{false};
    if (!said.exchange(true, std::memory_order_relaxed)) {
        line[text.size()] = '\n';   // in place of the terminator
        [[maybe_unused]] auto const written = ::write(STDERR_FILENO, line.data(), text.size() + 1);
    }
    return false;
}

}

using namespace tslab::c;

unsigned tslab_abi() noexcept { return TSLAB_ABI; }
char const* tslab_version() noexcept { return TSLAB_VERSION; }

tslab_error_handler tslab_set_error_handler_abi(unsigned abi, char const* version, tslab_error_handler handler) noexcept
{
    if (!is_our_abi(abi, version, nullptr))
        return nullptr;
    tslab::error_handler next = nullptr;
    tslab_error_handler const before_c = c_handler.load(std::memory_order_acquire);
    if (handler == &restore_cpp)
        next = cpp_handler.load(std::memory_order_acquire);
    else if (handler != nullptr) {
        c_handler.store(handler, std::memory_order_release);   // call_c finds it when it is installed
        next = &call_c;
    }
    tslab::error_handler const before = tslab::set_error_handler(next);
    if (before == &call_c)
        return before_c;
    if (before == tslab::default_error_handler())
        return nullptr;
    cpp_handler.store(before, std::memory_order_release);
    return &restore_cpp;
}

std::size_t tslab_format_report(tslab_misuse_report const* r, char* out, std::size_t size) noexcept
{
    if (is_null(r, "tslab_format_report: the report is null") ||
        is_null(size != 0 ? out : "", "tslab_format_report: the buffer is null"))
        return 0;
    auto const view = [](tslab_text t) { return std::string_view{t.data, t.size}; };
    return tslab::format({.kind = static_cast<tslab::misuse>(r->kind),
                          .fatal = r->fatal,
                          .address = r->address,
                          .heap = view(r->heap),
                          .epoch_label = view(r->epoch_label),
                          .size_class = r->size_class,
                          .other = view(r->other),
                          .given = r->given,
                          .objects = r->objects,
                          .bytes = r->bytes,
                          .file = r->file,
                          .line = r->line,
                          .fitting_alignment = r->fitting_alignment},
                         out, size);
}

char const* tslab_misuse_name(tslab_misuse kind) noexcept
{
    return tslab::name_of(static_cast<tslab::misuse>(kind)).data();   // of a literal, so it is terminated
}
