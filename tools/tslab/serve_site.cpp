// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_site.hpp"
#include "tslab/exposition.hpp"
#include "tslab/flame.hpp"
#include "tslab/letter_case.hpp"
#include "tslab/pprof_writer.hpp"
#include "tslab/profile_table.hpp"
#include "tslab/serve_accept.hpp"
#include "tslab/serve_assets.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <charconv>
#include <exception>
#include <new>
#include <optional>

namespace tslab::tool {

namespace {

struct static_file {
    std::string_view path;
    std::string_view asset;
    std::string_view type;
};
constexpr std::array files{
    static_file{"/", "index.html", "text/html; charset=utf-8"},
    static_file{"/page.css", "page.css", "text/css; charset=utf-8"},
    static_file{"/page.js", "page.js", "text/javascript; charset=utf-8"},
    static_file{"/dygraph.js", "dygraph.js", "text/javascript; charset=utf-8"},
    static_file{"/dygraph.css", "dygraph.css", "text/css; charset=utf-8"},
    static_file{"/icon.svg", "icon.svg", "image/svg+xml"},
    static_file{"/licenses", "licenses", "text/plain; charset=utf-8"},
    static_file{"/flame", "flame.html", "text/html; charset=utf-8"},
    static_file{"/flame.css", "flame.css", "text/css; charset=utf-8"},
    static_file{"/flame.js", "flame.js", "text/javascript; charset=utf-8"},
    static_file{"/format.js", "format.js", "text/javascript; charset=utf-8"},
    static_file{"/d3-flamegraph.css", "d3-flamegraph.css", "text/css; charset=utf-8"},
    static_file{"/d3-flamegraph.js", "d3-flamegraph.js", "text/javascript; charset=utf-8"},
    static_file{"/d3-selection.js", "d3-selection.js", "text/javascript; charset=utf-8"},
};
constexpr std::string_view json_type = "application/json";

std::optional<std::uint64_t> number(std::string_view s)
{
    std::uint64_t n = 0;
    auto const [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
    if (s.empty() || error != std::errc{} || end != s.data() + s.size())
        return std::nullopt;
    return n;
}

struct authority {
    std::string_view name;   ///< without the brackets of an IPv6 address
    std::optional<std::uint64_t> port;
    bool brackets = false;
};

std::optional<authority> parse(std::string_view host)
{
    authority a;
    std::string_view rest;
    if (host.starts_with('[')) {
        auto const end = host.find(']');
        if (end == std::string_view::npos)
            return std::nullopt;
        a.name = host.substr(1, end - 1);
        a.brackets = true;
        rest = host.substr(end + 1);
    } else {
        auto const end = std::min(host.find(':'), host.size());
        a.name = host.substr(0, end);
        rest = host.substr(end);
    }
    if (a.name.empty())
        return std::nullopt;
    if (rest.empty())
        return a;
    a.port = rest.front() == ':' ? number(rest.substr(1)) : std::nullopt;
    return a.port ? std::optional{a} : std::nullopt;
}

/// "http://localhost:2112/metrics": a target as a client of a proxy sends it.
struct absolute_form {
    unsigned status = 200;   ///< else what it is answered with
    std::string_view authority{};
    std::string_view path_prefix{};   ///< "/" where the path is empty
    std::string_view rest{};          ///< path and query
};

/// Nothing if the target does not begin with a scheme.
std::optional<absolute_form> absolute_form_of(std::string_view target)
{
    auto const end = target.find("://");
    std::string_view const scheme = target.substr(0, std::min(end, target.size()));
    bool const is_scheme = std::ranges::all_of(
        scheme, [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.'; });
    if (end == std::string_view::npos || scheme.empty() || !is_scheme)
        return std::nullopt;
    if (same_name(scheme, "https"))
        return absolute_form{.status = 421};   // this server speaks no TLS
    std::string_view const behind = target.substr(end + 3);
    auto const path = std::min(behind.find_first_of("/?#"), behind.size());
    absolute_form form{.authority = behind.substr(0, path), .rest = behind.substr(path)};
    if (!form.rest.starts_with('/'))
        form.path_prefix = "/";
    bool const valid = same_name(scheme, "http") && !form.authority.empty() &&
                       form.authority.find('@') == std::string_view::npos &&
                       form.rest.find('#') == std::string_view::npos;
    if (!valid)
        form.status = 400;
    return form;
}

bool is_address(authority const& a)
{
    std::array<unsigned char, 16> bytes{};
    return inet_pton(a.brackets ? AF_INET6 : AF_INET, std::string{a.name}.c_str(), bytes.data()) == 1;
}

}

bool host_rule::allows(std::string_view host) const
{
    auto const a = parse(host);
    if (!a)
        return false;
    for (std::string_view const name : names) {
        auto const wanted = parse(name);
        if (wanted && same_name(wanted->name, a->name) && (!wanted->port || wanted->port == a->port))
            return true;
    }
    if (!loopback)   // an address cannot be made to point elsewhere
        return is_address(*a) || same_name(a->name, "localhost");
    bool const own = a->brackets ? a->name == "::1" : same_name(a->name, "localhost") || a->name == "127.0.0.1";
    return own && a->port.value_or(80) == port;
}

response site::handle(request const& r) const
{
    if (r.method != "GET" && r.method != "HEAD")
        return {.status = 405, .body = "Only GET and HEAD are answered.\n", .allow = "GET, HEAD"};
    if (r.host.empty() && r.version >= 11)
        return {.status = 400, .body = "There is no Host header.\n"};
    std::optional<absolute_form> const absolute = absolute_form_of(r.target);
    if (absolute && absolute->status != 200)
        return {.status = absolute->status, .body = "The target is no URL of this server.\n"};
    // The name in the target counts, not the header (RFC 9112, 3.2.2). A request without both is not a browser's.
    std::string_view const host = absolute ? absolute->authority : std::string_view{r.host};
    if ((absolute || !host.empty()) && !rule_.allows(host))
        return {.status = 403, .body = "This server does not go by that name. --host adds one.\n"};
    std::string const target = absolute ? std::string{absolute->path_prefix}.append(absolute->rest) : r.target;
    return find_target(target, r.accept);
}

response site::find_target(std::string_view target, std::string_view accept) const
{
    auto const question = std::min(target.find('?'), target.size());
    return find(target.substr(0, question), target.substr(std::min(question + 1, target.size())), accept);
}

response site::metrics(std::string_view accept) const
{
    monitor::reading const now = monitor_.current();
    if (!now.seen)   // else a scraper would take the last figures of a process that is gone for those of now
        return {.status = 503, .body = now.reason + "\n"};
    if (prefers_protobuf(accept))
        return {.type = std::string{protobuf_content_type}, .body = protobuf_exposition(*now.seen)};
    return {.type = std::string{exposition_content_type}, .body = exposition(*now.seen)};
}

/// The parameters that Go's servers take; a garbage collection is nothing to ask for here.
response site::profile(std::string_view path, std::string_view query) const
{
    bool text = false;
    for (std::string_view rest = query; !rest.empty();) {
        std::string_view const one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        std::string_view const name = one.substr(0, one.find('='));
        auto const value = number(one.substr(std::min(name.size() + 1, one.size())));
        if ((name != "debug" && name != "gc") || !value || path == "/flame.json")
            return {.status = 400,
                    .body = "The only parameters of a profile are debug=0, debug=1 and gc; tslab profile "
                            "--since 10s tells what changes in 10 seconds.\n"};
        text = text || (name == "debug" && *value != 0);
    }
    bool const allocations = path == "/debug/pprof/allocs";
    try {
        return monitor_.with_profiles([&](std::vector<named_profile> const& named, symbolizer const& by) -> response {
            std::string const target = monitor_.target();
            if (path == "/flame.json")
                return {.type = std::string{json_type}, .body = flame_json(named, printable(target), by.notes())};
            if (text)
                return {.body = profile_text(named, by, profile_amount_kinds[allocations ? 2 : 0], printable(target))};
            return {.type = "application/octet-stream",
                    .body = pprof_of(named, by, allocations ? "alloc_space" : "inuse_space")};
        });
    } catch (std::bad_alloc const&) {
        throw;
    } catch (std::exception const& e) {
        return {.status = 503, .body = printable(e.what()) + "\n"};
    }
}

response site::find(std::string_view path, std::string_view query, std::string_view accept) const
{
    for (static_file const& f : files)
        if (f.path == path)
            if (auto const body = asset(f.asset))
                return {.type = std::string{f.type}, .body = std::string{*body}};
    if (path == "/metrics")
        return metrics(accept);
    if (path == "/stats.json") {
        std::string body = "[";
        for (snapshot const& s : *monitor_.latest())
            (body += body.size() > 1 ? ",\n" : "") += to_json(s);
        return {.type = std::string{json_type}, .body = body + "]\n"};
    }
    if (path == "/map.json")
        return {.type = std::string{json_type}, .body = monitor_.map_json()};
    if (path == "/history.json") {
        std::optional<std::uint64_t> since = 0;
        if (!query.empty())
            since = query.starts_with("since=") ? number(query.substr(6)) : std::nullopt;
        if (!since)
            return {.status = 400, .body = "The only parameter is since=<number of a frame>.\n"};
        return {.type = std::string{json_type}, .body = monitor_.history_json(*since)};
    }
    if (path == "/flame")   // its files are not in this program, else it was found above
        return {.status = 404, .body = why_no_flame_graphs() + "\n"};
    if (path == "/flame.json" || path == "/debug/pprof/heap" || path == "/debug/pprof/allocs")
        return profile(path, query);
    if (path == "/healthz") {
        monitor::condition const now = monitor_.health();
        if (now.fine)
            return {.body = "ok\n"};
        return {.status = 503, .body = now.reason + "\n"};
    }
    return {.status = 404, .body = "There is no such page.\n"};
}

}
