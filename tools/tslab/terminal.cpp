// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/terminal.hpp"
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <ctime>
#include <ostream>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tslab::tool {

namespace {

constexpr std::array ending{SIGINT, SIGTERM, SIGHUP};
static_assert(ending.size() == interruption::signal_count);
std::sig_atomic_t volatile signalled = 0;

timespec time_of(double seconds) noexcept
{
    double const whole = std::floor(std::clamp(seconds, 0.0, 1e9));
    return {static_cast<time_t>(whole), static_cast<long>((std::clamp(seconds, 0.0, 1e9) - whole) * 1e9)};
}

double now() noexcept
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

}

terminal_size size_of_terminal() noexcept
{
    winsize w{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_row == 0 || w.ws_col == 0)
        return {};
    return {w.ws_row, w.ws_col};
}

interruption::interruption()
{
    signalled = 0;
    struct sigaction action{};
    action.sa_handler = [](int) { signalled = 1; };
    sigset_t blocked;
    sigemptyset(&blocked);
    for (std::size_t n = 0; n < ending.size(); ++n) {
        sigaction(ending[n], nullptr, &actions_before_[n]);
        if (actions_before_[n].sa_handler == SIG_IGN)   // as nohup wants it
            continue;
        sigaction(ending[n], &action, nullptr);
        sigaddset(&blocked, ending[n]);
    }
    pthread_sigmask(SIG_BLOCK, &blocked, &mask_before_);   // they arrive in wait() and nowhere else
}

interruption::~interruption()
{
    for (int const s : ending)
        std::signal(s, SIG_IGN);   // drops what is pending: it has had its effect
    pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
    if (signalled != 0)   // the program is about to end: a second Ctrl-C must not turn that into a failure
        return;
    for (std::size_t n = 0; n < ending.size(); ++n)
        sigaction(ending[n], &actions_before_[n], nullptr);
}

bool interruption::wait(double seconds) const
{
    sigset_t open = mask_before_;
    for (int const s : ending)
        sigdelset(&open, s);
    double const end = now() + seconds;
    for (double left = seconds; signalled == 0; left = end - now()) {
        timespec const t = time_of(left);
        if (ppoll(nullptr, 0, &t, &open) == 0)
            break;
    }
    return signalled == 0;
}

screen::screen(std::ostream& out) : out_{out}
{
    out_ << "\x1b[?1049h\x1b[?25l\x1b[?7l" << std::flush;   // alternate screen, no cursor, no wrapping
}

screen::~screen() { out_ << "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l" << std::flush; }

void screen::show(std::string_view lines)
{
    out_ << "\x1b[H";
    for (unsigned row = 1; !lines.empty() && row < size_of_terminal().rows; ++row) {
        auto const end = std::min(lines.find('\n'), lines.size());
        out_ << lines.substr(0, end) << "\x1b[K\n";
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
    out_ << "\x1b[J" << std::flush;
}

}
