// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a main function of the tools begins and ends with.
#pragma once
#include "tslab/command.hpp"
#include "tslab/output.hpp"
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <initializer_list>
#include <ostream>
#include <system_error>
#include <unistd.h>

namespace tslab::tool {

/// Opens a standard stream that is closed, the wrong way round, so that no file of the program gets its number, and
/// writing to it fails as before.
inline void keep_streams_taken() noexcept
{
    for (int const stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(stream, F_GETFD) < 0)
            static_cast<void>(open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

struct main_streams {
    descriptor_output buffer{STDOUT_FILENO};
    std::ostream out{&buffer};

    main_streams()
    {
        std::signal(SIGPIPE, SIG_IGN);
        std::signal(SIGXFSZ, SIG_IGN);   // a file above its limit is an error that is said, as on a full disk
        keep_streams_taken();
    }
    [[nodiscard]] bool terminal() const noexcept { return isatty(STDOUT_FILENO) != 0; }

    /// What the process ends with: `code`, unless what it had to say could not be written. A reader that went away is fine.
    [[nodiscard]] int finish(invocation& i, char const* program, int code)
    {
        out.flush();
        if (buffer.error() == 0 || buffer.error() == EPIPE)
            return code;
        i.err << program << ": cannot write to standard output: " << std::system_category().message(buffer.error())
              << '\n';
        return static_cast<int>(outcome::usage);
    }
};

}
