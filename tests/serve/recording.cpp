// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Recordings: written whole, read as far as they are whole, and made into a page.
#include "support/scripted_source.hpp"
#include "tslab/record.hpp"
#include "tslab/record_file.hpp"
#include "tslab/report_page.hpp"
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace tslab::tool;

namespace {

/// A folder that is gone afterwards.
struct folder {
    folder() : path{std::filesystem::temp_directory_path() / ("tslab-recording-" + std::to_string(getpid()))}
    {
        std::filesystem::create_directories(path);
    }
    ~folder() { std::filesystem::remove_all(path); }
    folder(folder const&) = delete;
    folder& operator=(folder const&) = delete;
    std::string file(char const* name) const { return (path / name).string(); }
    std::filesystem::path path;
};

std::string text_of(std::string const& path)
{
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// How many samples of a text can be read, and how many lines cannot.
std::pair<std::size_t, std::size_t> read(std::string const& text)
{
    std::istringstream in{text};
    recording_reader reader{in, "a file"};
    std::size_t samples = 0;
    while (reader.next())
        ++samples;
    return {samples, reader.cut()};
}

outcome code_of(std::string const& text)
{
    try {
        (void)read(text);
    } catch (failure const& f) {
        return f.code();
    }
    return outcome::fine;
}

std::string recorded_text(folder const& f, std::uint64_t count)
{
    support::scripted_source from{std::make_shared<support::script>()};
    (void)record(from, f.file("r"), {.interval = std::chrono::milliseconds{1}, .count = count});
    return text_of(f.file("r"));
}

}

BOOST_AUTO_TEST_CASE(a_recording_comes_back_as_it_was)
{
    folder const f;
    std::istringstream in{recorded_text(f, 12)};
    recording_reader reader{in, "r"};
    BOOST_TEST(reader.header().target == "4711 (shop)");
    BOOST_TEST(reader.header().interval.count() == 1);
    for (std::uint64_t n = 1; n <= 12; ++n) {
        auto const sample = reader.next();
        BOOST_REQUIRE(sample);
        BOOST_TEST((sample->front() == support::sample(n)));
    }
    BOOST_TEST(!reader.next());
    BOOST_TEST(reader.cut() == 0U);
    BOOST_TEST(reader.maps().starts_with("{\"maps\":[{"));
}

BOOST_AUTO_TEST_CASE(a_recording_cut_anywhere_keeps_the_whole_lines)
{
    folder const f;
    std::string const text = recorded_text(f, 3);
    std::size_t const header = text.find('\n') + 1;
    std::size_t const first = text.find('\n', header) + 1;
    BOOST_TEST((read(text.substr(0, header)) == std::pair<std::size_t, std::size_t>{0, 0}));
    for (std::size_t const at : {header + 1, header + 100, first - 2})
        BOOST_TEST((read(text.substr(0, at)) == std::pair<std::size_t, std::size_t>{0, 1}));
    BOOST_TEST(
        (read(text.substr(0, first - 1)) == std::pair<std::size_t, std::size_t>{1, 0}));   // only its end is missing
    BOOST_TEST((read(text.substr(0, first) + "{}\n[1]\nnull\n{\"snapshots\":[]}\n{\"snapshots\":[{}]}\n" +
                     text.substr(first)) == std::pair<std::size_t, std::size_t>{3, 5}));
}

BOOST_AUTO_TEST_CASE(what_is_no_recording_is_refused)
{
    std::string noise;
    for (unsigned n = 0; n < 100'000; ++n)
        noise += static_cast<char>(n * 2654435761U >> 24);
    for (std::string const& text :
         {std::string{}, noise, std::string(1'000'000, 'x'), std::string{"{}\n"}, std::string{"[]"},
          std::string(60'000, '['), std::string{"{\"format\":\"tslab-recording\"}"},
          std::string{"{\"format\":\"tslab-recording\",\"version\":-1}"},
          std::string{"{\"format\":\"tslab-recording\",\"version\":\"1\"}"},
          std::string{"{\"format\":7,\"version\":1}"}, std::string{"{\"schema_version\":1}"}})
        BOOST_TEST((code_of(text) == outcome::no_target));
    BOOST_TEST((code_of("{\"format\":\"tslab-recording\",\"version\":2,\"target\":{}}") == outcome::other_version));
}

BOOST_AUTO_TEST_CASE(a_target_that_ends_ends_the_recording)
{
    folder const f;
    auto says = std::make_shared<support::script>();
    says->last_read = 4;
    support::scripted_source from{says};
    recorded const done = record(from, f.file("r"), {.interval = std::chrono::milliseconds{1}, .count = 100});
    BOOST_TEST(done.samples == 4U);
    BOOST_TEST(done.end == "the target is gone: process 4711 has ended");
    BOOST_TEST((read(text_of(f.file("r"))) == std::pair<std::size_t, std::size_t>{4, 0}));
}

BOOST_AUTO_TEST_CASE(a_target_that_is_not_there_leaves_no_file)
{
    folder const f;
    auto says = std::make_shared<support::script>();
    says->gone = true;
    support::scripted_source from{says};
    BOOST_CHECK_THROW((void)record(from, f.file("r"), {}), failure);
    BOOST_TEST(!std::filesystem::exists(f.file("r")));
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_said_and_is_a_fault_of_the_file)
{
    support::scripted_source from{std::make_shared<support::script>()};
    try {
        (void)record(from, "/dev/full", {.count = 3});
        BOOST_ERROR("it was written");
    } catch (failure const& e) {
        BOOST_TEST((e.code() == outcome::usage));
        BOOST_TEST(std::string{e.what()}.find("No space left on device") != std::string::npos);
    }
    BOOST_CHECK_THROW((void)record(from, "/no/such/folder/file", {.count = 3}), failure);
}

BOOST_AUTO_TEST_CASE(a_file_that_may_not_grow_keeps_its_whole_lines)
{
    folder const f;
    auto const all = recorded_text(f, 3).size();
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit const small{.rlim_cur = all - 100, .rlim_max = before.rlim_max};
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    support::scripted_source from{std::make_shared<support::script>()};
    BOOST_CHECK_THROW((void)record(from, f.file("r"), {.interval = std::chrono::milliseconds{1}, .count = 3}), failure);
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    BOOST_TEST((read(text_of(f.file("r"))) == std::pair<std::size_t, std::size_t>{2, 0}));
}

BOOST_AUTO_TEST_CASE(an_interrupt_ends_the_recording_at_a_whole_line)
{
    folder const f;
    support::scripted_source from{std::make_shared<support::script>()};
    pthread_t const me = pthread_self();
    std::thread const other{[me] {
        std::this_thread::sleep_for(std::chrono::milliseconds{300});
        pthread_kill(me, SIGINT);
    }};
    recorded const done = record(from, f.file("r"), {.interval = std::chrono::seconds{30}, .count = 100});
    const_cast<std::thread&>(other).join();
    BOOST_TEST(done.end == "interrupted");
    BOOST_TEST((read(text_of(f.file("r"))) == std::pair<std::size_t, std::size_t>{1, 0}));
}

BOOST_AUTO_TEST_CASE(data_cannot_leave_its_script)
{
    std::string const hostile = "{\"a\":\"</script><script>alert(1)</script><!-- &amp; \u2028\u2029\"}";
    std::string const safe = json_for_html(hostile);
    for (char const* const part : {"<", ">", "&", "\u2028", "\u2029"})
        BOOST_TEST(safe.find(part) == std::string::npos);
    BOOST_TEST((boost::json::parse(safe) == boost::json::parse(hostile)));
    BOOST_TEST(json_for_html("\xe2\x80") == "\xe2\x80");
}

BOOST_AUTO_TEST_CASE(a_report_needs_nothing_else)
{
    std::string const page = report_page(R"({"x":"<script src='page.js'></script>"})");
    BOOST_TEST(page.find("<link rel=\"stylesheet") == std::string::npos);
    BOOST_TEST(page.find("<script src=") == std::string::npos);
    BOOST_TEST(page.find("Content-Security-Policy") != std::string::npos);
    BOOST_TEST(page.find("Permission is hereby granted") != std::string::npos);
    BOOST_TEST(report_page("{}") != report_page("{}"));   // the nonce
}
