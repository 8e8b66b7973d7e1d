// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A server's day (server.hpp), with snapshots from outside by a process of its own. Ends with 1 at the first figure that is wrong, and
// says the seed.
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "server.hpp"

using soak::clock_type;
using soak::looks;
using soak::note_report;
using soak::server;
using soak::settings;

namespace {

/// The second process: looks at the first until that closes the pipe. Ends with 1 if what it sees cannot be.
int observe(pid_t pid, int until_closed, int results)
{
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::uint64_t seen = 0;
    looks all;
    int result = 0;
    std::optional<tslab::observer> reader;
    for (char c = 0; ::read(until_closed, &c, 1) < 0;) {   // the pipe does not block
        try {
            if (!reader)
                reader.emplace(pid);
            for (tslab::snapshot const& s : reader->read({.residency = seen % 10 == 0})) {
                ++seen;
                if (s.name != "soak" || !all.possible(s.global))
                    result = 1;
            }
        } catch (tslab::observe_error const& e) {
            if (e.fault() != tslab::observe_fault::no_heap && e.fault() != tslab::observe_fault::no_process) {
                std::fprintf(stderr, "soak: from outside: %s\n", e.what());
                result = 1;
            }
            reader.reset();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    static_cast<void>(::write(results, &seen, sizeof(seen)));
    return result;
}

bool read_number(std::string_view text, auto& number)
{
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

bool read_arguments(int argc, char** argv, settings& s)
{
    for (int i = 1; i < argc; i += 2) {
        std::string_view const name = argv[i];
        std::string_view const value = i + 1 < argc ? argv[i + 1] : "";
        bool good = false;
        if (name == "--seconds")
            good = read_number(value, s.seconds) && s.seconds > 0;
        else if (name == "--interval")
            good = read_number(value, s.interval) && s.interval > 0;
        else if (name == "--seed")
            good = read_number(value, s.seed);
        else if (name == "--threads")
            good = read_number(value, s.threads) && s.threads > 0;
        else if (name == "--csv")
            good = !(s.csv = value).empty();
        if (!good) {
            std::fputs("usage: tslab_soak [--seconds N] [--interval SECONDS] [--seed N] [--threads N] [--csv FILE]\n",
                       stderr);
            return false;
        }
    }
    return true;
}

}

int main(int argc, char** argv)
{
    settings s;
    s.seed = static_cast<std::uint64_t>(clock_type::now().time_since_epoch().count()) % 1'000'000'007;
    if (!read_arguments(argc, argv, s))
        return 2;
    std::array<int, 2> alive{};
    std::array<int, 2> results{};
    if (::pipe2(alive.data(), O_NONBLOCK | O_CLOEXEC) != 0 || ::pipe2(results.data(), O_CLOEXEC) != 0)
        return 2;
    pid_t const self = ::getpid();
    pid_t const watcher = ::fork();
    if (watcher == 0) {
        ::close(alive[1]);
        ::_exit(observe(self, alive[0], results[1]));
    }
    tslab::set_error_handler(note_report);
    server one{s};
    std::string wrong = one.run();
    ::close(alive[1]);
    std::uint64_t observations = 0;
    int status = -1;
    if (::read(results[0], &observations, sizeof(observations)) != sizeof(observations) ||
        ::waitpid(watcher, &status, 0) != watcher || status != 0)
        wrong += "the observer ended with " + std::to_string(status);
    if (!wrong.empty()) {
        std::fprintf(stderr, "soak: failed, --seed %llu: %s\n", static_cast<unsigned long long>(s.seed), wrong.c_str());
        return 1;
    }
    one.print_summary(observations);
    return 0;
}
