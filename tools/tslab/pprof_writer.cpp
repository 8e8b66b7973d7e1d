// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/pprof_writer.hpp"
#include "tslab/heaps.hpp"
#include "tslab/protobuf.hpp"
#include <algorithm>
#include <cmath>
#include <map>
#include <new>
#include <tuple>
#include <utility>
#include <zlib.h>

namespace tslab::tool {

namespace {

using message = protobuf_message;

// The numbers of the fields.
namespace profile_field {
constexpr unsigned sample_type = 1, sample = 2, mapping = 3, location = 4, function = 5, string_table = 6,
                   drop_frames = 7, time_nanos = 9, duration_nanos = 10, period_type = 11, period = 12, comment = 13,
                   default_sample_type = 14;
}
namespace value_type_field {
constexpr unsigned type = 1, unit = 2;
}
namespace sample_field {
constexpr unsigned location_id = 1, value = 2, label = 3;
}
namespace label_field {
constexpr unsigned key = 1, text = 2, number = 3, unit = 4;
}
namespace mapping_field {
constexpr unsigned id = 1, begin = 2, end = 3, offset = 4, file = 5, build_id = 6, functions = 7, files = 8, lines = 9,
                   inlined = 10;
}
namespace location_field {
constexpr unsigned id = 1, mapping_id = 2, address = 3, line = 4;
}
namespace line_field {
constexpr unsigned function_id = 1, line = 2;
}
namespace function_field {
constexpr unsigned id = 1, name = 2, system_name = 3, file = 4;
}

// What stands between the program's code and memory: pprof leaves these frames out, so that its tables name the program's.
constexpr std::string_view frames_to_drop =
    R"(tslab::.*|tslab_.*|operator new(\[\])?|(__libc_)?(malloc|calloc|realloc)|aligned_alloc|posix_memalign|)"
    R"(std::pmr::(memory_resource|polymorphic_allocator).*|std::(allocator_traits|__new_allocator|__allocate_guarded).*|)"
    R"(__gnu_cxx::(new_allocator|__alloc_traits).*)";

/// Estimates are rounded: a profile counts in whole numbers. Negative ones, of a difference, are as protocol buffers have them.
std::uint64_t rounded(double d) noexcept
{
    constexpr double most = 9e18;
    return static_cast<std::uint64_t>(std::llround(std::clamp(std::isfinite(d) ? d : 0, -most, most)));
}

class writer {
public:
    writer(std::vector<named_profile> const& heaps, symbolizer const& by) : heaps_{heaps}, by_{by} { text(""); }

    std::string write(std::string_view shown_first)
    {
        for (auto const& [type, unit] : {std::pair{"alloc_objects", "count"},
                                         {"alloc_space", "bytes"},
                                         {"inuse_objects", "count"},
                                         {"inuse_space", "bytes"}})
            whole_.part(profile_field::sample_type, value_type(type, unit));
        for (named_profile const& p : heaps_)
            for (std::size_t n = 0; n < p.stacks.size(); ++n)
                add_sample(p, n);
        for (std::size_t n = 0; n < by_.mappings().size(); ++n)
            add_mapping(n);
        add_times();
        whole_.number(profile_field::drop_frames, text(frames_to_drop));
        whole_.number(profile_field::default_sample_type, text(shown_first));
        for (std::string const& note : by_.notes())
            whole_.number(profile_field::comment, text(note));
        for (std::string_view const one : in_order())   // last, when all are known
            whole_.bytes(profile_field::string_table, one);
        return whole_.text();
    }

private:
    std::uint64_t text(std::string_view s) { return texts_.try_emplace(std::string{s}, texts_.size()).first->second; }
    [[nodiscard]] std::vector<std::string_view> in_order() const
    {
        std::vector<std::string_view> all(texts_.size());
        for (auto const& [s, number] : texts_)
            all[number] = s;
        return all;
    }
    message value_type(std::string_view type, std::string_view unit)
    {
        message m;
        m.number(value_type_field::type, text(type));
        m.number(value_type_field::unit, text(unit));
        return m;
    }
    message tag(std::string_view key, std::string_view value)
    {
        message m;
        m.number(label_field::key, text(key));
        m.number(label_field::text, text(value));
        return m;
    }

    void add_sample(named_profile const& p, std::size_t n)
    {
        profiled_stack const& s = p.profile.stacks[n];
        message m;
        std::vector<std::uint64_t> ids;
        ids.reserve(s.addresses.size());
        for (std::size_t k = 0; k < s.addresses.size(); ++k)
            ids.push_back(location(s.addresses[k], *p.stacks[n].places[k]));
        m.numbers(sample_field::location_id, ids);
        m.numbers(sample_field::value, {rounded(s.allocated_objects), rounded(s.allocated_bytes),
                                        rounded(s.live_objects), rounded(s.live_bytes)});
        if (!s.label.empty())
            m.part(sample_field::label, tag("label", s.label));
        if (heaps_.size() > 1)
            m.part(sample_field::label, tag("heap", p.profile.heap));
        if (s.slot_bytes != 0) {
            message size;
            size.number(label_field::key, text("bytes"));
            size.number(label_field::number, s.slot_bytes);
            size.number(label_field::unit, text("bytes"));
            m.part(sample_field::label, size);
        }
        whole_.part(profile_field::sample, m);
    }

    std::uint64_t location(std::uint64_t return_address, code_place const& place)
    {
        auto const [known, fresh] = locations_.try_emplace(return_address, locations_.size() + 1);
        if (!fresh)
            return known->second;
        message m;
        m.number(location_field::id, known->second);
        if (place.mapping != code_place::nowhere)
            m.number(location_field::mapping_id, place.mapping + 1);
        m.number(location_field::address, return_address - (return_address != 0 ? 1 : 0));   // in the call
        for (code_frame const& f : place.frames) {
            message line;
            line.number(line_field::function_id, function(f));
            line.number(line_field::line, f.line);
            m.part(location_field::line, line);
        }
        whole_.part(profile_field::location, m);
        return known->second;
    }

    std::uint64_t function(code_frame const& f)
    {
        auto const [known, fresh] =
            functions_.try_emplace(std::tuple{f.function, f.linkage, f.file}, functions_.size() + 1);
        if (!fresh)
            return known->second;
        message m;
        m.number(function_field::id, known->second);
        m.number(function_field::name, text(f.function));
        m.number(function_field::system_name, text(f.linkage.empty() ? f.function : f.linkage));
        m.number(function_field::file, text(f.file));
        whole_.part(profile_field::function, m);
        return known->second;
    }

    void add_mapping(std::size_t n)
    {
        profiled_mapping const& from = by_.mappings()[n];
        symbolizer::sources const known = by_.sources_of(n);
        message m;
        m.number(mapping_field::id, n + 1);
        m.number(mapping_field::begin, from.begin);
        m.number(mapping_field::end, from.end);
        m.number(mapping_field::offset, from.offset);
        m.number(mapping_field::file, text(from.file));
        m.number(mapping_field::build_id, text(from.build_id));
        m.number(mapping_field::functions, known.functions ? 1 : 0);
        for (unsigned const field : {mapping_field::files, mapping_field::lines, mapping_field::inlined})
            m.number(field, known.lines ? 1 : 0);
        whole_.part(profile_field::mapping, m);
    }

    void add_times()
    {
        std::uint64_t end = 0;
        std::uint64_t begin = UINT64_MAX;
        std::uint64_t interval = 0;
        for (named_profile const& p : heaps_) {
            end = std::max(end, p.profile.time_ns);
            begin = std::min(begin, p.profile.begin_ns != 0 ? p.profile.begin_ns : p.profile.time_ns);
            interval = std::max(interval, p.profile.interval_bytes);
        }
        whole_.number(profile_field::time_nanos, end);
        whole_.number(profile_field::duration_nanos, end > begin ? end - begin : 0);
        whole_.part(profile_field::period_type, value_type("space", "bytes"));
        whole_.number(profile_field::period, interval);
    }

    std::vector<named_profile> const& heaps_;
    symbolizer const& by_;
    message whole_{};
    std::map<std::string, std::uint64_t, std::less<>> texts_{};
    std::map<std::uint64_t, std::uint64_t> locations_{};
    std::map<std::tuple<std::string, std::string, std::string>, std::uint64_t> functions_{};
};

}

std::string pprof_of(std::vector<named_profile> const& heaps, symbolizer const& by, std::string_view shown_first)
{
    return gzipped(writer{heaps, by}.write(shown_first));
}

std::string gzipped(std::string_view bytes)
{
    z_stream z{};
    constexpr int gzip_window = 15 + 16;
    constexpr int memory_level = 8;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc{};
    std::string out(deflateBound(&z, bytes.size()), '\0');
    z.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));   // zlib reads it
    z.avail_in = static_cast<unsigned>(bytes.size());
    z.next_out = reinterpret_cast<unsigned char*>(out.data());
    z.avail_out = static_cast<unsigned>(out.size());
    int const result = deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    if (result != Z_STREAM_END)
        throw std::bad_alloc{};
    return out;
}

}
