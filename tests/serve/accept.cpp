// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// In which format /metrics answers: what a scraper's header Accept says, and what is none.
#include "support/scripted_source.hpp"
#include "tslab/exposition.hpp"
#include "tslab/serve_accept.hpp"
#include "tslab/serve_site.hpp"
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>

using namespace tslab::tool;

namespace {

std::string const delimited =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

// What Prometheus sends.
std::string const of_2_42 = delimited + ",application/openmetrics-text;version=1.0.0;q=0.8,"
                                        "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;"
                                        "q=0.5,*/*;q=0.1";
std::string const of_3 = delimited + ";q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                                     "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
                                     "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
std::string const without_native_histograms =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

}

BOOST_AUTO_TEST_CASE(a_scraper_that_prefers_protobuf_gets_it)
{
    for (std::string const& accept :
         {of_2_42, of_3, delimited, delimited + ";q=0.001", delimited + ";q=0.7,text/plain;version=0.0.4;q=0.3",
          "text/plain;version=0.0.4;q=0.3 , " + delimited + ";q=0.301", delimited + ", */*;q=0.999",
          "text/plain;q=0," + delimited + ";q=0.1", delimited + ",text/plain;version=1.0.0",
          // The closest range that names the text counts, in whatever order.
          delimited + ";q=0.5, text/plain;q=0.1, */*", "*/*, text/*;q=0.2, " + delimited + ";q=0.5",
          "text/plain, " + delimited + ";q=0.5, text/plain;version=0.0.4;q=0.4",
          std::string{"APPLICATION/vnd.google.Protobuf ; PROTO=\"io.prometheus.client.MetricFamily\" ; "
                      "Encoding=delimited ; Q=1.000;escaping=\"a,b;c\\\"d\""}})
        BOOST_TEST(prefers_protobuf(accept), accept);
}

BOOST_AUTO_TEST_CASE(every_other_one_gets_text)
{
    for (std::string const& accept :
         {std::string{}, std::string{"*/*"}, std::string{"application/*"}, std::string{"text/plain"},
          std::string{"application/vnd.google.protobuf"}, without_native_histograms, delimited + ";q=0",
          delimited + ";q=0.000", delimited + ", text/plain", delimited + ";q=0.5, */*;q=0.5",
          delimited + ";q=0.5, */*;q=0.1, text/plain;q=0.8", delimited + ";q=0.2, text/plain;version=0.0.4;q=0.3",
          delimited + ";q=0.5, text/plain;q=0.1, text/plain;version=0.0.4;q=0.6",
          std::string{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"},
          std::string{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text"},
          std::string{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=compact-text"},
          std::string{"application/vnd.google.protobuf;proto=io.other;encoding=delimited"}})
        BOOST_TEST(!prefers_protobuf(accept), accept);
}

BOOST_AUTO_TEST_CASE(what_is_not_valid_is_passed_over)
{
    for (char const* const q : {"", "2", "-1", "1.1", "1.001", "0.1234", ".5", "0,5", "0.5x", "x", "nan", "00", "1e0",
                                "\"1\"", " 1", "99999999999999999999"})
        BOOST_TEST(!prefers_protobuf(delimited + ";q=" + q), q);
    for (std::string const& no_list :
         {std::string{","}, std::string{";"}, std::string{",,;,;;"}, std::string{"\""}, std::string{"\\"},
          std::string{"\"\\"}, std::string{"="}, std::string{"\0", 1}, std::string{"\xff\xfe"}, std::string(8000, ','),
          std::string(8000, ';'), std::string(8000, '"'), "\"" + delimited, delimited + ";=1", delimited + ";flag",
          delimited + ";q =0.5", std::string{"application/vnd.google.protobuf;proto=\";encoding=delimited"}})
        BOOST_TEST(!prefers_protobuf(no_list), no_list);
    // What is beside it still counts.
    for (std::string const& beside : {std::string{"text/plain;q=high"}, std::string{";;"}, std::string{"nonsense"},
                                      std::string{"text/plain;=;q=1"}, std::string{"/"}})
        BOOST_TEST(prefers_protobuf(std::string{beside}.append(",").append(delimited).append(";q=0.5")), beside);
    BOOST_TEST(prefers_protobuf(delimited + ";;q=0.5;"));
}

BOOST_AUTO_TEST_CASE(metrics_are_answered_in_the_format_that_was_asked_for)
{
    auto const says = std::make_shared<support::script>();
    monitor watch{std::make_unique<support::scripted_source>(says), {}};
    site const pages{watch, {.loopback = true, .port = 2112}};
    auto const ask = [&](std::string method, std::string target, std::string accept) {
        return pages.handle({std::move(method), std::move(target), "localhost:2112", 11, std::move(accept)});
    };
    for (std::string const& accept : {std::string{}, without_native_histograms, std::string{"image/png"}}) {
        response const text = ask("GET", "/metrics", accept);
        BOOST_TEST(text.status == 200U);
        BOOST_TEST(text.type == "text/plain; version=0.0.4; charset=utf-8");
        BOOST_TEST(text.body == exposition(*watch.latest()));
        BOOST_TEST(text.body.starts_with("# HELP temporal_slab_build_info "));
    }
    for (char const* const target : {"/metrics", "/metrics?x=1", "http://localhost:2112/metrics"}) {
        response const messages = ask("GET", target, of_2_42);
        BOOST_TEST(messages.status == 200U);
        BOOST_TEST(messages.type == "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                                    "encoding=delimited");
        BOOST_TEST(messages.body == protobuf_exposition(*watch.latest()));
        BOOST_TEST(messages.body.find("\x0a\x18temporal_slab_build_info") <= 2U);   // behind the length
    }
    BOOST_TEST(ask("HEAD", "/metrics", of_3).type == protobuf_content_type);
    BOOST_TEST(ask("GET", "/stats.json", of_3).type == "application/json");
    BOOST_TEST(ask("GET", "/", of_3).type == "text/html; charset=utf-8");
}

BOOST_AUTO_TEST_CASE(a_target_that_is_gone_is_an_error_in_either_format)
{
    auto const says = std::make_shared<support::script>();
    std::chrono::steady_clock::time_point now{std::chrono::hours{1}};
    monitor watch{std::make_unique<support::scripted_source>(says), {.now = [&now] { return now; }}};
    site const pages{watch, {.loopback = true, .port = 2112}};
    says->gone = true;
    now += std::chrono::seconds{1};
    response const r = pages.handle({"GET", "/metrics", "localhost:2112", 11, of_2_42});
    BOOST_TEST(r.status == 503U);
    BOOST_TEST(r.type == "text/plain; charset=utf-8");
    BOOST_TEST(r.body == "process 4711 has ended\n");
}
