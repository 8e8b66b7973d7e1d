// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a piece of code in a process of its own; returns how that process ended and what it wrote to stderr.
// The caller must be single threaded and hold no heap, so that the child starts from a clean slate.
#pragma once

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace death {

/// Values that the child passes to the parent, in shared memory, so that they survive an abort.
struct notes {
    std::array<std::uintptr_t, 4> address{};
    std::array<std::uint64_t, 4> number{};

    void operator()(void const* p, std::size_t i = 0) { address[i] = reinterpret_cast<std::uintptr_t>(p); }
};

struct outcome {
    std::string end;    ///< "exit 0", "SIGABRT", "SIGSEGV", "signal 31"
    std::string text;   ///< everything written to stderr
    notes noted;        ///< what the child wrote there

    /// `pattern` with {0} to {3} replaced by the addresses the child noted, as the reports print them.
    [[nodiscard]] std::string line(std::string_view pattern) const
    {
        std::string out;
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (pattern[i] == '{' && i + 2 < pattern.size() && pattern[i + 2] == '}') {
                std::array<char, 32> digits{};
                std::snprintf(
                    digits.data(), digits.size(), "0x%zx",
                    static_cast<std::size_t>(noted.address.at(static_cast<std::size_t>(pattern[i + 1] - '0'))));
                out += digits.data();
                i += 2;
            } else {
                out += pattern[i];
            }
        }
        return out + "\n";
    }
};

/// For a story: what is not so is thrown, and ends the child with "exit 9".
inline void must(bool so, char const* what)
{
    if (!so)
        throw std::logic_error{what};
}

inline std::string name_of_end(int status)
{
    if (WIFEXITED(status))
        return "exit " + std::to_string(WEXITSTATUS(status));
    switch (WTERMSIG(status)) {
    case SIGABRT: return "SIGABRT";
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGALRM: return "SIGALRM";
    default: return "signal " + std::to_string(WTERMSIG(status));
    }
}

/// Calls `story(notes&)` in a child. It ends with "exit 0" if the story returns, "exit 9" if it throws.
template <class Story> outcome of(Story story)
{
    constexpr unsigned most_seconds = 120;
    void* const memory = ::mmap(nullptr, sizeof(notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    std::array<int, 2> ends{};
    if (memory == MAP_FAILED || ::pipe(ends.data()) != 0)
        return {"no child", "", {}};
    auto* const shared = ::new (memory) notes;
    std::fflush(nullptr);
    pid_t const child = ::fork();
    if (child == 0) {
        // The test framework catches signals, and would go on in this copy of it.
        for (int const s : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM, SIGTERM})
            ::signal(s, SIG_DFL);
        rlimit const no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::alarm(most_seconds);
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[0]);
        ::close(ends[1]);
        try {
            story(*shared);
        } catch (std::exception const& e) {
            std::fprintf(stderr, "thrown: %s\n", e.what());
            ::_exit(9);
        }
        ::_exit(0);
    }
    ::close(ends[1]);
    outcome result;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
        result.text.append(buffer.data(), static_cast<std::size_t>(n));
    ::close(ends[0]);
    // An emulator says on its own account, in the same place, that the program has died of a signal.
    if (std::size_t const at = result.text.find("qemu: uncaught target signal "); at != std::string::npos)
        result.text.erase(at, result.text.find('\n', at) + 1 - at);
    int status = 0;
    ::waitpid(child, &status, 0);
    result.end = name_of_end(status);
    result.noted = *shared;
    ::munmap(memory, sizeof(notes));
    return result;
}

}

/// The child of `story` died of SIGABRT and said exactly `pattern`, see death::outcome::line.
#define TSLAB_ABORTS(pattern, ...)                                                                                     \
    do {                                                                                                               \
        death::outcome const tslab_end = death::of(__VA_ARGS__);                                                       \
        BOOST_TEST(tslab_end.text == tslab_end.line(pattern));                                                         \
        BOOST_TEST(tslab_end.end == "SIGABRT");                                                                        \
    } while (false)

/// The child of `story` said exactly `pattern` (nothing if it is empty) and lived.
#define TSLAB_SURVIVES(pattern, ...)                                                                                   \
    do {                                                                                                               \
        death::outcome const tslab_end = death::of(__VA_ARGS__);                                                       \
        BOOST_TEST(tslab_end.text == (std::string_view{pattern}.empty() ? "" : tslab_end.line(pattern)));              \
        BOOST_TEST(tslab_end.end == "exit 0");                                                                         \
    } while (false)
