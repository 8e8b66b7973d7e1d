// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Instead of debug_file.cpp where libdw is not there: knows nothing of any file.
#include "tslab/debug_file.hpp"

namespace tslab::tool {

struct debug_file::state {
    std::string none;
};

bool debug_file::available() noexcept { return false; }
debug_file::debug_file(int, std::string const&, std::string const&) : state_{std::make_unique<state>()} {}
debug_file::~debug_file() = default;
std::string const& debug_file::build_id() const noexcept { return state_->none; }
bool debug_file::has_debug_information() { return false; }
bool debug_file::has_symbol_table() { return false; }
std::vector<source_frame> debug_file::frames_at(std::uint64_t) { return {}; }

}
