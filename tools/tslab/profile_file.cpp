// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/profile_file.hpp"
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include <boost/json.hpp>
#include <cmath>
#include <set>
#include <utility>

namespace tslab::tool {

namespace {

namespace json = boost::json;

constexpr std::string_view format_name = "tslab-heap-profile";
constexpr std::uint64_t format_version = 1;

void put_symbols(json_writer& j, named_profile const& p)
{
    std::set<std::uint64_t> done;
    j.key("symbols").open('[');
    for (std::size_t n = 0; n < p.stacks.size(); ++n)
        for (std::size_t k = 0; k < p.stacks[n].places.size(); ++k) {
            std::uint64_t const address = p.profile.stacks[n].addresses[k];
            if (!done.insert(address).second)
                continue;
            j.open('{').member("address", address).key("frames").open('[');
            for (code_frame const& f : p.stacks[n].places[k]->frames)
                j.open('{')
                    .member("function", f.function)
                    .member("file", f.file)
                    .member("line", f.line)
                    .member("inlined", f.inlined)
                    .close('}');
            j.close(']').close('}');
        }
    j.close(']');
}

/// Reads members, and names the one that is missing or not what it has to be.
class reader {
public:
    reader(std::string const& name, json::value const& v, std::string_view what) : name_{name}
    {
        if (!v.is_object())
            fail(std::string{what} + " is no object");
        object_ = &v.get_object();
    }
    [[noreturn]] void fail(std::string const& why) const
    {
        throw failure{outcome::no_target, name_ + " is no heap profile: " + why};
    }
    [[nodiscard]] bool has(std::string_view key) const { return object_->contains(key); }
    [[nodiscard]] json::value const& at(std::string_view key) const
    {
        json::value const* const v = object_->if_contains(key);
        if (v == nullptr)
            fail("it has no " + std::string{key});
        return *v;
    }
    void get(std::string_view key, std::string& to) const
    {
        json::value const& v = at(key);
        if (!v.is_string())
            fail(std::string{key} + " is no text");
        to.assign(v.get_string().data(), v.get_string().size());
    }
    template <class T>
        requires std::is_arithmetic_v<T>
    void get(std::string_view key, T& to) const
    {
        to = number<T>(key, at(key));
    }
    template <class T> T number(std::string_view key, json::value const& v) const
    {
        json::error_code e;
        T const n = v.to_number<T>(e);
        if (e || !std::isfinite(static_cast<double>(n)))
            fail(std::string{key} + (std::integral<T> ? " is no whole number" : " is no number"));
        return n;
    }
    [[nodiscard]] json::array const& array(std::string_view key) const
    {
        json::value const& v = at(key);
        if (!v.is_array())
            fail(std::string{key} + " is no list");
        return v.get_array();
    }

private:
    std::string const& name_;
    json::object const* object_ = nullptr;
};

profiled_stack stack_of(std::string const& name, json::value const& v)
{
    reader const r{name, v, "a stack"};
    profiled_stack s;
    for (json::value const& address : r.array("addresses"))
        s.addresses.push_back(r.number<std::uint64_t>("an address", address));
    r.get("label", s.label);
    r.get("slot_bytes", s.slot_bytes);
    r.get("live_objects", s.live_objects);
    r.get("live_bytes", s.live_bytes);
    r.get("allocated_objects", s.allocated_objects);
    r.get("allocated_bytes", s.allocated_bytes);
    r.get("live_samples", s.live_samples);
    r.get("samples", s.samples);
    return s;
}

profiled_mapping mapping_of(std::string const& name, json::value const& v)
{
    reader const r{name, v, "a mapping"};
    profiled_mapping m;
    r.get("begin", m.begin);
    r.get("end", m.end);
    r.get("offset", m.offset);
    r.get("file", m.file);
    r.get("build_id", m.build_id);
    return m;
}

heap_profile profile_of(std::string const& name, json::value const& v)
{
    reader const r{name, v, "it"};
    std::string format;
    std::uint64_t of_version = 0;
    r.get("format", format);
    if (format != format_name)
        r.fail("its format is " + in_quotes(format));
    r.get("version", of_version);
    if (of_version != format_version)
        throw failure{outcome::other_version, name + " is a heap profile of version " + std::to_string(of_version) +
                                                  ", and this program reads version " + std::to_string(format_version)};
    heap_profile p;
    r.get("heap", p.heap);
    r.get("pid", p.pid);
    r.get("interval_bytes", p.interval_bytes);
    r.get("time_ns", p.time_ns);
    r.get("begin_ns", p.begin_ns);
    r.get("samples_dropped", p.samples_dropped);
    r.get("stacks_dropped", p.stacks_dropped);
    r.get("stacks_cut", p.stacks_cut);
    if (r.has("unpublished_chunks"))   // files of tslab before it had the figure do not
        r.get("unpublished_chunks", p.unpublished_chunks);
    for (json::value const& m : r.array("mappings"))
        p.mappings.push_back(mapping_of(name, m));
    for (json::value const& s : r.array("stacks"))
        p.stacks.push_back(stack_of(name, s));
    return p;
}

}

bool is_saved_profile(std::string_view text) noexcept
{
    std::size_t const begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    std::string_view const head = text.substr(begin, 64);
    return head.starts_with('{') && head.find(format_name) != std::string_view::npos;
}

std::string json_of(named_profile const& named)
{
    heap_profile const& p = named.profile;
    json_writer j;
    j.open('{')
        .member("format", format_name)
        .member("version", format_version)
        .member("heap", p.heap)
        .member("pid", p.pid);
    j.member("interval_bytes", p.interval_bytes).member("time_ns", p.time_ns).member("begin_ns", p.begin_ns);
    j.member("samples_dropped", p.samples_dropped).member("stacks_dropped", p.stacks_dropped);
    j.member("stacks_cut", p.stacks_cut).member("unpublished_chunks", p.unpublished_chunks).key("mappings").open('[');
    for (profiled_mapping const& m : p.mappings) {
        j.open('{').member("begin", m.begin).member("end", m.end).member("offset", m.offset);
        j.member("file", m.file).member("build_id", m.build_id).close('}');
    }
    j.close(']').key("stacks").open('[');
    for (profiled_stack const& s : p.stacks) {
        j.open('{').key("addresses").list(s.addresses);
        j.member("label", s.label).member("slot_bytes", s.slot_bytes).member("live_objects", s.live_objects);
        j.member("live_bytes", s.live_bytes).member("allocated_objects", s.allocated_objects);
        j.member("allocated_bytes", s.allocated_bytes).member("live_samples", s.live_samples);
        j.member("samples", s.samples).close('}');
    }
    j.close(']');
    put_symbols(j, named);
    return j.close('}').text();
}

std::vector<heap_profile> saved_profiles(std::string const& name, std::string_view text)
{
    std::vector<heap_profile> all;
    for (std::size_t at = 0; (at = text.find_first_not_of(" \t\r\n", at)) != std::string_view::npos;) {
        std::size_t const end = std::min(text.find('\n', at), text.size());
        json::error_code e;
        json::value const v = json::parse(json::string_view{text.data() + at, end - at}, e);
        if (e)
            throw failure{outcome::no_target, name + " is no heap profile, or was cut short: " + e.message()};
        all.push_back(profile_of(name, v));
        at = end;
    }
    if (all.empty())
        throw failure{outcome::no_target, name + " has no heap profile"};
    return all;
}

}
