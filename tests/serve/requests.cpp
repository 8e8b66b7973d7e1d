// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the server answers, without a socket.
#include "support/scripted_source.hpp"
#include "tslab/serve_site.hpp"
#include <algorithm>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace tslab::tool;
namespace json = boost::json;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// The time is what the test says: how long the machine takes for a request changes nothing.
struct served {
    std::chrono::steady_clock::time_point now{std::chrono::hours{1}};
    std::shared_ptr<support::script> says = std::make_shared<support::script>();
    monitor watch{std::make_unique<support::scripted_source>(says),
                  {.interval = milliseconds{1}, .now = [this] { return now; }}};
    site pages{watch, {.loopback = true, .port = 2112}};

    response get(std::string target, std::string host = "localhost:2112") const
    {
        return pages.handle({"GET", std::move(target), std::move(host)});
    }
    json::object history(std::string const& query = "") const
    {
        return json::parse(get("/history.json" + query).body).as_object();
    }
    /// A sample that is not taken for a repetition.
    void sample()
    {
        now += milliseconds{2};
        watch.sample();
    }
};

}

BOOST_AUTO_TEST_CASE(every_part_of_the_page_has_its_type)
{
    served const s;
    for (auto const& [path, type] : {std::pair{"/", "text/html; charset=utf-8"},
                                     {"/page.css", "text/css; charset=utf-8"},
                                     {"/page.js", "text/javascript; charset=utf-8"},
                                     {"/dygraph.js", "text/javascript; charset=utf-8"},
                                     {"/icon.svg", "image/svg+xml"},
                                     {"/licenses", "text/plain; charset=utf-8"},
                                     {"/stats.json", "application/json"},
                                     {"/map.json", "application/json"},
                                     {"/history.json", "application/json"},
                                     {"/metrics", "text/plain; version=0.0.4; charset=utf-8"}}) {
        response const r = s.get(path);
        BOOST_TEST_CONTEXT(path)
        {
            BOOST_TEST(r.status == 200U);
            BOOST_TEST(r.type == type);
            BOOST_TEST(!r.body.empty());
        }
    }
}

BOOST_AUTO_TEST_CASE(the_licence_of_the_charts_is_shown)
{
    BOOST_TEST(served{}.get("/licenses").body.find("Permission is hereby granted") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(there_is_nothing_but_what_is_listed)
{
    served const s;
    for (char const* const path :
         {"/index.html", "//", "/../etc/passwd", "/..%2f..%2fetc/passwd", "/page.js/", "/PAGE.JS", "", "*",
          "http://localhost:2112/nothing", "/page.css%00", "/\xff\xfe", "/licenses/../../etc/passwd"})
        BOOST_TEST_CONTEXT(path) { BOOST_TEST(s.get(path).status == 404U); }
    BOOST_TEST(s.get(std::string(8000, '/')).status == 404U);
    BOOST_TEST(s.get(std::string("/\0", 2)).status == 404U);
}

BOOST_AUTO_TEST_CASE(only_get_and_head_are_answered)
{
    served const s;
    BOOST_TEST(s.pages.handle({"HEAD", "/healthz", "localhost:2112"}).status == 200U);
    for (char const* const method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "", "GET "}) {
        response const r = s.pages.handle({method, "/", "localhost:2112"});
        BOOST_TEST(r.status == 405U);
        BOOST_TEST(r.allow == "GET, HEAD");
    }
}

BOOST_AUTO_TEST_CASE(a_name_that_is_not_ours_is_refused)
{
    served const s;
    for (char const* const host : {"localhost:2112", "LOCALHOST:2112", "127.0.0.1:2112", "[::1]:2112"})
        BOOST_TEST_CONTEXT(host) { BOOST_TEST(s.get("/healthz", host).status == 200U); }
    for (char const* const host :
         {"evil.example:2112", "localhost", "localhost:80", "localhost.evil.example:2112",
          "127.0.0.1.evil.example:2112", "localhost:2112:2112", "localhost:2112x", "localhost:", ":2112", "[::1",
          "[]:2112", "[localhost]:2112", "::1:2112", "127.0.0.2:2112", "a@localhost:2112",
          "localhost:99999999999999999999999", " localhost:2112"})
        BOOST_TEST_CONTEXT(host) { BOOST_TEST(s.get("/stats.json", host).status == 403U); }
    BOOST_TEST(s.get("/", "").status == 400U);
}

BOOST_AUTO_TEST_CASE(a_target_may_be_a_whole_url_and_its_name_counts)
{
    served const s;
    for (char const* const target :
         {"http://localhost:2112/healthz", "HTTP://127.0.0.1:2112/healthz", "http://[::1]:2112/healthz"})
        for (char const* const host : {"localhost:2112", "evil.example"})   // ignored (RFC 9112, 3.2.2)
            BOOST_TEST_CONTEXT(target) { BOOST_TEST(s.get(target, host).body == "ok\n"); }
    for (char const* const target : {"http://localhost:2112", "http://localhost:2112/"})
        BOOST_TEST(s.get(target).type == "text/html; charset=utf-8");
    BOOST_TEST(s.get("http://localhost:2112/history.json?since=1").type == "application/json");
    BOOST_TEST(s.get("http://localhost:2112?x").status == 200U);
    for (char const* const target : {"http://evil.example/healthz", "http://localhost/healthz",
                                     "http://localhost:2112.evil.example/healthz", "http://localhost:2113/healthz"})
        BOOST_TEST_CONTEXT(target) { BOOST_TEST(s.get(target).status == 403U); }
    for (char const* const target : {"http:///healthz", "http://a@localhost:2112/healthz",
                                     "ftp://localhost:2112/healthz", "http://localhost:2112/#healthz"})
        BOOST_TEST_CONTEXT(target) { BOOST_TEST(s.get(target).status == 400U); }
    BOOST_TEST(s.get("https://localhost:2112/healthz").status == 421U);
    BOOST_TEST(s.get("http://localhost:2112/healthz", "").status == 400U);   // 1.1 without Host
}

BOOST_AUTO_TEST_CASE(http_1_0_needs_no_host)
{
    served const s;
    BOOST_TEST(s.pages.handle({"GET", "/healthz", "", 10}).status == 200U);
    BOOST_TEST(s.pages.handle({"GET", "/healthz", "evil.example", 10}).status == 403U);
    BOOST_TEST(s.pages.handle({"GET", "http://evil.example/healthz", "", 10}).status == 403U);
}

BOOST_AUTO_TEST_CASE(another_address_answers_to_addresses_and_to_the_names_it_was_given)
{
    host_rule const open{.loopback = false, .port = 2112, .names = {"stats.example", "proxy.example:8080"}};
    for (char const* const host : {"10.0.0.7:2112", "10.0.0.7", "[fe80::1]:2112", "localhost:2112", "stats.example",
                                   "Stats.Example:9999", "proxy.example:8080"})
        BOOST_TEST_CONTEXT(host) { BOOST_TEST(open.allows(host)); }
    for (char const* const host : {"evil.example:2112", "proxy.example", "proxy.example:80", "10.0.0.7.evil.example",
                                   "10.0.0", "fe80::1", "[10.0.0.7]:2112", ""})
        BOOST_TEST_CONTEXT(host) { BOOST_TEST(!open.allows(host)); }
    host_rule const standard{.loopback = true, .port = 80};
    BOOST_TEST(standard.allows("localhost"));
}

BOOST_AUTO_TEST_CASE(history_goes_on_where_the_page_has_got_to)
{
    served s;
    BOOST_TEST(s.history()["frames"].as_array().size() == 1U);
    s.sample();
    s.sample();
    BOOST_TEST(s.history()["frames"].as_array().size() == 3U);
    auto const later = s.history("?since=2")["frames"].as_array();
    BOOST_REQUIRE(later.size() == 1U);
    BOOST_TEST(later[0].at("seq").to_number<int>() == 3);
    BOOST_TEST(later[0].at("heaps").at(0).at("live_bytes").to_number<int>() == 1003);
    BOOST_TEST(s.history("?since=99")["frames"].as_array().empty());
    for (char const* const query :
         {"?since=", "?since=-1", "?since=1x", "?since=99999999999999999999", "?x=1", "?since=1&since=2"})
        BOOST_TEST_CONTEXT(query) { BOOST_TEST(s.get(std::string{"/history.json"} + query).status == 400U); }
}

BOOST_AUTO_TEST_CASE(requests_do_not_read_the_target_more_than_once_a_second)
{
    served s;
    auto const ask = [&] {
        for (char const* const path : {"/stats.json", "/metrics", "/history.json", "/map.json"})
            (void)s.get(path);
    };
    ask();
    s.now += milliseconds{999};
    ask();
    BOOST_TEST(s.says->reads == 1U);
    s.now += milliseconds{1};
    ask();
    ask();
    BOOST_TEST(s.says->reads == 2U);
}

BOOST_AUTO_TEST_CASE(samples_that_no_longer_come_are_noticed)
{
    served s;
    s.now += seconds{5};
    BOOST_TEST(s.get("/healthz").status == 200U);
    s.now += seconds{2};
    response const r = s.get("/healthz");
    BOOST_TEST(r.status == 503U);
    BOOST_TEST(r.body == "the last sample is 7 s old\n");
    s.sample();
    BOOST_TEST(s.get("/healthz").status == 200U);
}

BOOST_AUTO_TEST_CASE(a_target_that_is_gone_is_still_shown)
{
    served s;
    BOOST_TEST(s.get("/healthz").body == "ok\n");
    s.says->gone = true;
    s.sample();
    response const r = s.get("/healthz");
    BOOST_TEST(r.status == 503U);
    BOOST_TEST(r.body == "process 4711 has ended\n");
    json::object const h = s.history();
    BOOST_TEST(h.at("fine").as_bool() == false);
    BOOST_TEST(h.at("reason").as_string() == "process 4711 has ended");
    BOOST_TEST(h.at("frames").as_array().size() == 1U);
    BOOST_TEST(s.get("/stats.json").body.find("\"pid\":4711") != std::string::npos);
    s.says->gone = false;
    s.sample();
    BOOST_TEST(s.get("/healthz").status == 200U);
    BOOST_TEST(s.history()["frames"].as_array().size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_scraper_gets_no_figures_of_a_target_that_is_gone)
{
    served s;
    BOOST_TEST(s.get("/metrics").status == 200U);
    s.says->gone = true;
    s.now += seconds{1};
    response const r = s.get("/metrics");
    BOOST_TEST(r.status == 503U);
    BOOST_TEST(r.body == "process 4711 has ended\n");
    BOOST_TEST(s.get("/metrics").status == 503U);   // also before it is asked again
    s.says->gone = false;
    s.now += seconds{1};
    BOOST_TEST(s.get("/metrics").status == 200U);
}

BOOST_AUTO_TEST_CASE(a_process_that_is_started_again_is_found_under_its_name)
{
    auto old_one = std::make_shared<support::script>();
    auto new_one = std::make_shared<support::script>();
    new_one->heap_name = "restarted";
    bool back = false;
    std::chrono::steady_clock::time_point now{std::chrono::hours{1}};
    monitor watch{std::make_unique<support::scripted_source>(old_one),
                  {.reopen = [&]() -> std::unique_ptr<source> {
                       if (!back)
                           throw failure{outcome::no_target, "no such process or file"};
                       return std::make_unique<support::scripted_source>(new_one, "4712 (shop)");
                   },
                   .now = [&now] { return now; }}};
    BOOST_TEST(watch.target() == "4711 (shop)");
    old_one->gone = true;
    now += seconds{1};
    BOOST_TEST(watch.current().reason == "process 4711 has ended");
    back = true;
    now += seconds{1};
    auto const seen = watch.current().seen;
    BOOST_REQUIRE(seen != nullptr);
    BOOST_TEST(seen->at(0).name == "restarted");
    BOOST_TEST(watch.target() == "4712 (shop)");
    BOOST_TEST(watch.health().fine);
}

BOOST_AUTO_TEST_CASE(a_heap_without_a_map_says_why)
{
    served s;
    s.says->mapless = true;
    json::value const v = json::parse(s.get("/map.json").body);
    BOOST_TEST(v.at("maps").is_null());
    BOOST_TEST(v.at("reason").as_string() == "no map?of \"pages\"");
}

BOOST_AUTO_TEST_CASE(names_from_the_target_stay_data)
{
    auto says = std::make_shared<support::script>();
    says->heap_name = "\"</script>\xff\x01\n\u202e";
    monitor watch{std::make_unique<support::scripted_source>(says), {}};
    site const pages{watch, {.loopback = true, .port = 1}};
    for (char const* const path : {"/stats.json", "/history.json", "/map.json"}) {
        response const r = pages.handle({"GET", path, "localhost:1"});
        BOOST_TEST_CONTEXT(path)
        {
            json::error_code e;
            (void)json::parse(r.body, e);
            BOOST_TEST(!e);
            BOOST_TEST(r.body.find('\x01') == std::string::npos);
        }
    }
}

BOOST_AUTO_TEST_CASE(history_is_bounded_in_number_and_bytes)
{
    history few{{.frames = 3}};
    for (std::uint64_t n = 1; n <= 10; ++n)
        few.add(n, std::to_string(n));
    BOOST_TEST(few.since(0) == "[8,9,10]");
    history small{{.frames = 100, .bytes = 10}};
    for (std::uint64_t n = 1; n <= 10; ++n)
        small.add(n, "1234");
    BOOST_TEST(small.size() == 2U);
    small.add(11, std::string(100, '1'));
    BOOST_TEST(small.size() == 1U);
    BOOST_TEST(history{}.since(0) == "[]");
}

BOOST_AUTO_TEST_CASE(a_saved_snapshot_is_one_sample)
{
    auto says = std::make_shared<support::script>();
    says->saved = true;
    monitor watch{std::make_unique<support::scripted_source>(says), {.interval = milliseconds{1}}};
    watch.start();
    std::this_thread::sleep_for(milliseconds{20});
    BOOST_TEST(says->reads == 1U);
    BOOST_TEST(watch.health().fine);
}

BOOST_AUTO_TEST_CASE(samples_are_taken_every_interval)
{
    auto says = std::make_shared<support::script>();
    monitor watch{std::make_unique<support::scripted_source>(says), {.interval = milliseconds{5}}};
    watch.start();
    for (int i = 0; i < 1000 && says->reads < 4; ++i)
        std::this_thread::sleep_for(milliseconds{5});
    BOOST_TEST(says->reads >= 4U);
}
