// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heap profiles as the server answers them: to pprof, as text, and to the page that draws them.
#include "support/scripted_source.hpp"
#include "tslab/flame.hpp"
#include "tslab/pprof_writer.hpp"
#include "tslab/serve_site.hpp"
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <zlib.h>

using namespace tslab::tool;

namespace {

struct served {
    std::shared_ptr<support::script> says = std::make_shared<support::script>();
    monitor watch{std::make_unique<support::scripted_source>(says), {}};
    site pages{watch, {.loopback = true, .port = 2112}};

    explicit served(bool with_profile = true)
    {
        if (!with_profile)
            return;
        tslab::heap_profile p{
            .heap = "orders", .pid = 4711, .interval_bytes = 1024, .time_ns = 2'000'000'000, .begin_ns = 1};
        p.stacks.push_back({.addresses = {0x1001, 0x2001},
                            .label = "<login>",
                            .slot_bytes = 64,
                            .live_objects = 10,
                            .live_bytes = 640,
                            .allocated_objects = 20,
                            .allocated_bytes = 1280,
                            .live_samples = 1,
                            .samples = 2});
        says->profiles.push_back(p);
    }
    response get(std::string target) const { return pages.handle({"GET", std::move(target), "localhost:2112"}); }
};

/// What is in a file of gzip; empty if it is none.
std::string unpacked(std::string const& bytes)
{
    z_stream z{};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return {};
    std::string out(1 << 16, '\0');
    std::string in = bytes;
    z.next_in = reinterpret_cast<unsigned char*>(in.data());
    z.avail_in = static_cast<unsigned>(in.size());
    z.next_out = reinterpret_cast<unsigned char*>(out.data());
    z.avail_out = static_cast<unsigned>(out.size());
    int const result = inflate(&z, Z_FINISH);
    out.resize(result == Z_STREAM_END ? z.total_out : 0);
    inflateEnd(&z);
    return out;
}

bool contains(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

}

BOOST_AUTO_TEST_CASE(pprof_gets_a_compressed_profile)
{
    served const s;
    for (char const* const path :
         {"/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/heap?debug=0", "/debug/pprof/heap?gc=1"}) {
        response const r = s.get(path);
        BOOST_TEST_CONTEXT(path)
        {
            BOOST_TEST(r.status == 200U);
            BOOST_TEST(r.type == "application/octet-stream");
            std::string const message = unpacked(r.body);
            for (char const* const part : {"inuse_space", "alloc_objects", "0x1001", "<login>"})
                BOOST_TEST(contains(message, part));
        }
    }
    BOOST_TEST(s.get("/debug/pprof/heap").body != s.get("/debug/pprof/allocs").body);   // what is shown first
}

BOOST_AUTO_TEST_CASE(a_profile_may_be_had_as_text)
{
    served const s;
    response const r = s.get("/debug/pprof/heap?debug=1");
    BOOST_TEST(r.type == "text/plain; charset=utf-8");
    BOOST_TEST(contains(r.body, "heap \"orders\" of 4711 (shop)"));
    BOOST_TEST(contains(r.body, "640 bytes"));
    BOOST_TEST(contains(r.body, "where no file is mapped"));
}

BOOST_AUTO_TEST_CASE(other_parameters_of_a_profile_are_refused)
{
    served const s;
    for (char const* const query : {"?seconds=5", "?debug", "?debug=x", "?debug=1&seconds=5", "?", "?&", "?=1"}) {
        unsigned const status = s.get(std::string{"/debug/pprof/heap"} + query).status;
        BOOST_TEST(status == (std::string{query} == "?" ? 200U : 400U), query);
    }
    BOOST_TEST(s.get("/flame.json?debug=1").status == 400U);
    BOOST_TEST(s.get("/debug/pprof/goroutine").status == 404U);
}

BOOST_AUTO_TEST_CASE(without_a_profile_the_reason_is_said)
{
    served const s{false};
    for (char const* const path : {"/debug/pprof/heap", "/debug/pprof/allocs", "/flame.json"}) {
        response const r = s.get(path);
        BOOST_TEST(r.status == 503U);
        BOOST_TEST(contains(r.body, "4711 (shop) has no heap profile"));
    }
    s.says->profiles.push_back({.heap = "orders"});
    BOOST_TEST(contains(s.get("/flame.json").body, "sampling is off"));
    s.says->profiles.clear();
    s.says->no_profile = "a reason\non two lines";
    BOOST_TEST(s.get("/flame.json").body == "a reason?on two lines\n");
}

BOOST_AUTO_TEST_CASE(the_flame_graph_has_its_files_or_says_what_is_missing)
{
    served const s;
    boost::json::object const data = boost::json::parse(s.get("/flame.json").body).as_object();
    BOOST_TEST(data.at("target").as_string() == "4711 (shop)");
    BOOST_TEST(data.at("stacks").as_array().size() == 1U);
    response const page = s.get("/flame");
    if (!has_flame_graphs()) {
        BOOST_TEST(page.status == 404U);
        BOOST_TEST(contains(page.body, "d3-flame-graph"));
        return;
    }
    BOOST_TEST(page.type == "text/html; charset=utf-8");
    for (std::string part : {"src=\"", "rel=\"stylesheet\" href=\""})
        for (std::size_t at = 0; (at = page.body.find(part, at)) != std::string::npos;) {
            at += part.size();
            std::string const path = "/" + page.body.substr(at, page.body.find('"', at) - at);
            BOOST_TEST_CONTEXT(path) { BOOST_TEST(s.get(path).status == 200U); }
        }
    BOOST_TEST(contains(s.get("/licenses").body, "d3-flame-graph"));
}

BOOST_AUTO_TEST_CASE(a_large_profile_is_compressed_whole)
{
    std::string text;
    for (int n = 0; n < 100'000; ++n)
        text += std::to_string(n * 7919 % 1000);
    std::string const whole = text.substr(0, 1 << 16);
    BOOST_TEST(unpacked(gzipped(whole)) == whole);
    BOOST_TEST(unpacked(gzipped("")).empty());
}
