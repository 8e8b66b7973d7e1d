// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// JSON in and out of a memory resource: parsing, looking at records, and serialising, each with
// every byte taken from the memory that the caller names. Also used with the ordinary heap, where
// the caller passes no memory. Nothing here keeps state: any thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include <memory_resource>
#include <string>
#include <string_view>

namespace request_server {

namespace json = boost::json;

/// How deep a document may nest; deeper ones are refused, so that recursion over a value is safe.
inline constexpr std::size_t deepest_nesting = 64;

/// The document in `text`, built in `memory`; on an error, null and the reason in `error`.
json::value parse_json(std::string_view text, json::storage_ptr memory, boost::system::error_code& error);

/// The same for text that is known to be valid: that of a `data_set`.
json::value parse_known(std::string_view text, json::storage_ptr memory);

/// The records of a document: itself if it is an array of objects, else the first such array among
/// its members; null if there is none or it is empty.
json::array const* find_records(json::value const& document);

/// What a record is called: its "name", else its first text, else nothing.
std::string_view name_of(json::object const& record);

/// A value as plain text, for grouping and joining by it: strings unquoted, absent ones empty.
std::pmr::string text_of(json::value const* value, std::pmr::memory_resource* memory);

/// Appends `value` as JSON text.
void append_json(std::pmr::string& to, json::value const& value);

inline std::string_view view_of(json::string const& text) { return {text.data(), text.size()}; }

}
