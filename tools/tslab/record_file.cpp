// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/record_file.hpp"
#include "tslab/command.hpp"
#include <boost/json.hpp>
#include <cerrno>
#include <fcntl.h>
#include <istream>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tslab::tool {

namespace {

namespace json = boost::json;

constexpr std::size_t longest_header = 65'536;

[[noreturn]] void cannot_write(std::string const& path, int error)
{
    throw failure{outcome::usage, "cannot write " + printable(path) + ": " + std::generic_category().message(error)};
}

std::optional<json::value> parsed(std::string_view text)
{
    json::error_code e;
    json::value v = json::parse(json::string_view{text.data(), text.size()}, e);
    if (e)
        return std::nullopt;
    return v;
}

std::optional<std::uint64_t> whole_number(json::object const& o, char const* name)
{
    json::value const* const v = o.if_contains(name);
    if (v == nullptr || !v->is_int64() || v->get_int64() < 0)
        return std::nullopt;
    return static_cast<std::uint64_t>(v->get_int64());
}

/// The first line, but not more of it than a header may have: a file of something else may be one long line.
std::string first_line(std::istream& in)
{
    std::string line;
    for (int c = in.get(); c != std::char_traits<char>::eof() && c != '\n' && line.size() < longest_header;
         c = in.get())
        line += static_cast<char>(c);
    return line;
}

std::optional<std::vector<snapshot>> snapshots_of(json::value const& list)
{
    if (!list.is_array() || list.get_array().empty())
        return std::nullopt;
    std::vector<snapshot> out;
    try {
        for (json::value const& one : list.get_array())
            out.push_back(from_json(json::serialize(one)));
    } catch (snapshot_error const&) {
        return std::nullopt;
    }
    return out;
}

}

recording_writer::recording_writer(std::string const& path, recording_header const& header)
    : path_{path}, file_{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)}
{
    if (file_ < 0)
        cannot_write(path_, errno);
    try {
        json_writer j;
        j.open('{').member("format", "tslab-recording").member("version", recording_version);
        j.member("target", printable(header.target)).member("interval_ms", header.interval.count()).close('}');
        line(std::move(j).text());
    } catch (...) {
        ::close(file_);
        throw;
    }
}

recording_writer::~recording_writer() { ::close(file_); }

void recording_writer::line(std::string text)
{
    text += '\n';
    std::string_view rest = text;
    while (!rest.empty()) {
        ssize_t const n = ::write(file_, rest.data(), rest.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int const error = errno;
            if (::ftruncate(file_, whole_) == 0)   // what is no regular file keeps the piece
                (void)::lseek(file_, whole_, SEEK_SET);
            cannot_write(path_, error);
        }
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
    whole_ += static_cast<std::int64_t>(text.size());
}

void recording_writer::add(std::vector<snapshot> const& sample)
{
    json_writer j;
    j.open('{').key("snapshots").open('[');
    for (snapshot const& s : sample)
        j.raw(to_json(s));
    j.close(']').close('}');
    line(std::move(j).text());
}

void recording_writer::add_maps(std::string_view maps_json) { line(std::string{maps_json}); }

void recording_writer::finish()
{
    if (::fsync(file_) != 0 && errno != EINVAL && errno != EROFS)   // a pipe has no disk
        cannot_write(path_, errno);
}

recording_reader::recording_reader(std::istream& in, std::string const& name) : in_{in}
{
    auto const no_recording = [&] {
        return failure{outcome::no_target, printable(name) + " is no recording of tslab"};
    };
    auto const first = parsed(first_line(in_));
    json::object const* const header = first ? first->if_object() : nullptr;
    json::value const* const format = header != nullptr ? header->if_contains("format") : nullptr;
    if (format == nullptr || !format->is_string() || format->get_string() != "tslab-recording")
        throw no_recording();
    auto const version = whole_number(*header, "version");
    if (!version || *version == 0)
        throw no_recording();
    if (*version > recording_version)
        throw failure{outcome::other_version, printable(name) + " is a recording of version " +
                                                  std::to_string(*version) + "; this program reads version " +
                                                  std::to_string(recording_version)};
    if (json::value const* const target = header->if_contains("target"); target != nullptr && target->is_string())
        header_.target = printable(std::string_view{target->get_string().data(), target->get_string().size()});
    auto const interval = whole_number(*header, "interval_ms").value_or(0);
    header_.interval = std::chrono::milliseconds{static_cast<std::int64_t>(interval)};
}

std::optional<std::vector<snapshot>> recording_reader::next()
{
    for (std::string text; std::getline(in_, text);) {
        auto const value = parsed(text);
        json::object const* const o = value ? value->if_object() : nullptr;
        if (o != nullptr && o->contains("maps")) {
            maps_ = json::serialize(*o);
            continue;
        }
        json::value const* const list = o != nullptr ? o->if_contains("snapshots") : nullptr;
        if (auto sample = list != nullptr ? snapshots_of(*list) : std::nullopt)
            return sample;
        ++cut_;
    }
    return std::nullopt;
}

}
