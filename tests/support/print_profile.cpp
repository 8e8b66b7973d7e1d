// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Prints a heap profile of itself, as tslab profile --json does, and ends: the profile of a process that is gone.
#include "session_library.hpp"
#include "tslab/profile_file.hpp"
#include <cstdio>
#include <string>
#include <vector>

#include "own_profile.hpp"

namespace {

[[gnu::noinline]] void log_in(std::pmr::memory_resource& from)
{
    shop::sessions::open_session(from, 4096);
    asm volatile("");   // so that the call above is no tail call
}

}

int main()
{
    support::noting_resource notes;
    notes.label = "login";
    log_in(notes);
    notes.label = "";
    shop::sessions::serve_page(notes, 1024);
    tslab::tool::symbolizer names{{}, 0};
    std::puts(tslab::tool::json_of(tslab::tool::with_names(std::move(notes.profile), names)).c_str());
    std::fprintf(stderr, "%d\n", shop::sessions::line_of_leak);
}
