// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "data.hpp"

#include <boost/json/parser.hpp>
#include <boost/json/serializer.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

namespace request_server {
namespace {

constexpr std::string_view iso = "/usr/share/iso-codes/json/";

constexpr std::pair<char const*, char const*> iso_files[] = {
    {"countries", "iso_3166-1.json"},
    {"currencies", "iso_4217.json"},
    {"languages", "iso_639-3.json"},
    {"subdivisions", "iso_3166-2.json"},
};

bool is_record_array(json::value const& value)
{
    json::array const* const array = value.if_array();
    return array != nullptr && !array->empty() && std::ranges::all_of(*array, &json::value::is_object);
}

data_set load_set(std::string name, std::string const& path)
{
    errno = 0;
    std::ifstream file{path, std::ios::binary};
    std::ostringstream text;
    // A directory opens, and cannot be read. Nothing can be read from an empty file either, but that is no error.
    if (!file || (!(text << file.rdbuf()) && errno != 0))
        throw usage_error{
            "cannot read " + path + ": " + std::generic_category().message(errno) +
            (path.starts_with(iso) ? " (install the package iso-codes, or name a file with --data)" : "")};
    boost::system::error_code error;
    json::value const document = parse_json(text.view(), {}, error);
    if (error)
        throw usage_error{path + " is not valid JSON: " + error.message()};
    json::array const* const records = find_records(document);
    if (records == nullptr)
        throw usage_error{path + " holds no array of objects: there is nothing to serve"};
    return {std::move(name), std::move(text).str(), records->size()};
}

}

catalog load_iso_sets()
{
    catalog sets;
    for (auto const& [name, file] : iso_files)
        sets.push_back(load_set(name, std::string{iso} + file));
    return sets;
}

catalog load_file(std::string const& path) { return {load_set("data", path)}; }

data_set const* find_set(catalog const& data, std::string_view name)
{
    auto const found = std::ranges::find(data, name, &data_set::name);
    return found == data.end() ? nullptr : &*found;
}

json::value parse_json(std::string_view text, json::storage_ptr memory, boost::system::error_code& error)
{
    // json::parse() would take the working stack of a large document from the global heap; a parser of our own takes
    // it from where the document goes.
    unsigned char first_stack[4096];
    json::parse_options limits;
    limits.max_depth = 64;
    json::parser parser{memory, limits, first_stack};
    parser.reset(std::move(memory));
    parser.write(text.data(), text.size(), error);
    return error ? json::value() : parser.release();
}

json::value parse_known(std::string_view text, json::storage_ptr memory)
{
    boost::system::error_code error;
    json::value document = parse_json(text, std::move(memory), error);
    if (error)
        throw boost::system::system_error{error};
    return document;
}

json::array const* find_records(json::value const& document)
{
    if (is_record_array(document))
        return &document.get_array();
    if (json::object const* const object = document.if_object()) {
        auto const found = std::ranges::find_if(*object, is_record_array,
                                                [](auto const& member) -> auto const& { return member.value(); });
        if (found != object->end())
            return &found->value().get_array();
    }
    return nullptr;
}

std::string_view name_of(json::object const& record)
{
    json::value const* const name = record.if_contains("name");
    if (name != nullptr && name->is_string())
        return view_of(name->get_string());
    for (auto const& member : record) {
        if (member.value().is_string())
            return view_of(member.value().get_string());
    }
    return {};
}

std::pmr::string text_of(json::value const* value, std::pmr::memory_resource* memory)
{
    std::pmr::string text{memory};
    if (value != nullptr && value->is_string())
        text = view_of(value->get_string());
    else if (value != nullptr)
        append_json(text, *value);
    return text;
}

void append_json(std::pmr::string& to, json::value const& value)
{
    // A json::serializer of Boost 1.81 that has to stop because its buffer is full remembers where in the global heap, and
    // nothing can be passed to change that: this buffer holds most texts whole.
    char room[64 * 1024];
    json::serializer writer;
    writer.reset(&value);
    while (!writer.done()) {
        json::string_view const written = writer.read(room);
        to.append(written.data(), written.size());
    }
}

}
