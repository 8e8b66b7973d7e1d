// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The summary of a heap that a person reads: tslab stats and stats_dump print it.
#pragma once
#include <iosfwd>
#include <string>
import tslab.inspect;

namespace tslab::tool {

/// `from`: what was looked at, harmless.
void print_summary(std::ostream& out, bool color, std::string const& from, tslab::snapshot const& s);

}
