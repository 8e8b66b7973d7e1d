// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "data.hpp"

#include "json_text.hpp"
#include "options.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

namespace request_server {
namespace {

constexpr std::string_view iso_directory = "/usr/share/iso-codes/json/";

constexpr std::pair<char const*, char const*> iso_files[] = {
    {"countries", "iso_3166-1.json"},
    {"currencies", "iso_4217.json"},
    {"languages", "iso_639-3.json"},
    {"subdivisions", "iso_3166-2.json"},
};

[[noreturn]] void cannot_read(std::string const& path)
{
    throw usage_error{"cannot read " + path + ": " + std::strerror(errno)};
}

std::string read_text(std::string const& path)
{
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file{std::fopen(path.c_str(), "rb"), std::fclose};
    if (file == nullptr)
        cannot_read(path);
    std::string text;
    char chunk[1 << 16];
    while (std::size_t const length = std::fread(chunk, 1, sizeof chunk, file.get()))
        text.append(chunk, length);
    if (std::ferror(file.get()) != 0)
        cannot_read(path);   // a directory opens, and fails here
    return text;
}

data_set load_set(std::string name, std::string const& path)
{
    data_set set{std::move(name), read_text(path), 0};
    boost::system::error_code error;
    json::value const document = parse_json(set.text, {}, error);
    if (error)
        throw usage_error{path + " is not valid JSON: " + error.message()};
    json::array const* const records = find_records(document);
    if (records == nullptr) {
        throw usage_error{path + " holds no array of objects: there is nothing to serve"};
    }
    set.records = records->size();
    return set;
}

}

catalog load_iso_sets()
{
    catalog sets;
    try {
        for (auto const& [name, file] : iso_files) {
            sets.push_back(load_set(name, std::string{iso_directory} + file));
        }
    } catch (usage_error const& missing) {
        throw usage_error{std::string{missing.what()} + " (install the package iso-codes, or name a file with --data)"};
    }
    return sets;
}

catalog load_file(std::string const& path)
{
    catalog sets;
    sets.push_back(load_set("data", path));
    return sets;
}

data_set const* find_set(catalog const& data, std::string_view name)
{
    auto const found = std::ranges::find(data, name, &data_set::name);
    return found == data.end() ? nullptr : &*found;
}

}
