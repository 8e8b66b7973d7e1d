// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The sets that the routes answer from. A set is held as the text of its file and nothing else:
// each request parses what it needs into its own scope. A `data_set` that exists is valid JSON with
// at least one record, so a request need not check that again. Immutable once built: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace request_server {

struct data_set {
    std::string name;
    std::string text;
    std::size_t records = 0;
};

using catalog = std::vector<data_set>;

/// Countries, currencies, languages and subdivisions from Debian's iso-codes package.
catalog load_iso_sets();

/// One set named "data" from a file of the user's. Both throw usage_error if a file cannot be used.
catalog load_file(std::string const& path);

data_set const* find_set(catalog const& data, std::string_view name);

}
