// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The sets that the routes answer from, and JSON in and out of a memory resource: each function takes every byte from the
// memory that the caller names; without one, from the ordinary heap. Nothing here keeps state: any thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace request_server {

namespace json = boost::json;

/// A mistake of the caller's, such as an unreadable file or a port in use: `what()` is one line, and the program ends
/// with exit code 2.
struct usage_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The text of a file and nothing else: each request parses what it needs into its own memory. What exists is valid JSON
/// with at least one record, so a request need not check that again.
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

/// The document in `text`, built in `memory`; on an error, null and the reason in `error`. Documents that nest deeper
/// than 64 levels are refused, so that recursion over a value is safe.
json::value parse_json(std::string_view text, json::storage_ptr memory, boost::system::error_code& error);

/// The same for text that is known to be valid: that of a `data_set`.
json::value parse_known(std::string_view text, json::storage_ptr memory);

/// The records of a document: itself if it is an array of objects, else the first such array among its members; null
/// if there is none or it is empty.
json::array const* find_records(json::value const& document);

/// What a record is called: its "name", else its first text, else nothing.
std::string_view name_of(json::object const& record);

/// A value as plain text, for grouping and joining by it: strings unquoted, absent ones empty.
std::pmr::string text_of(json::value const* value, std::pmr::memory_resource* memory);

/// Appends `value` as JSON text.
void append_json(std::pmr::string& to, json::value const& value);

inline std::string_view view_of(json::string const& text) { return {text.data(), text.size()}; }

}
