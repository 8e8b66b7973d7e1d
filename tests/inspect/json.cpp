// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// JSON: every field goes out and comes back, and what is not known is absent or null.
#define BOOST_TEST_MODULE json
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "filled_snapshot.hpp"
#include "recorder.hpp"

namespace json = boost::json;
using tslab::from_json;
using tslab::snapshot;
using tslab::to_json;

namespace {

json::object tree(snapshot const& s) { return json::parse(to_json(s)).as_object(); }

void check_round_trip(snapshot const& s)
{
    std::string const text = to_json(s);
    snapshot const back = from_json(text);
    BOOST_TEST((back == s));
    BOOST_TEST(to_json(back) == text);
}

/// A heap in the middle of its work.
snapshot busy_snapshot()
{
    tslab::allocator heap{{.name = "busy", .epoch_count = 8}};
    std::vector<void*> kept;
    for (std::size_t i = 0; i < 300; ++i)
        kept.push_back(heap.malloc(i * 5));
    support::on_other_thread([&] {
        for (std::size_t i = 0; i < kept.size(); i += 2)
            heap.free(kept[i]);
    });
    {
        tslab::epoch_scope scope{heap, "passing"};
        (void)scope.resource()->allocate(100'000);
        scope.resource()->release();
    }
    heap.close(heap.current_epoch());
    tslab::epoch_scope scope{heap, "GET /\"orders\"\n\xc3\xa9"};
    snapshot s = heap.snapshot();
    for (std::size_t i = 1; i < kept.size(); i += 2)
        heap.free(kept[i]);
    return s;
}

}

BOOST_AUTO_TEST_CASE(a_snapshot_with_a_value_in_every_field_comes_back)
{
    check_round_trip(support::filled_snapshot());
}

BOOST_AUTO_TEST_CASE(an_empty_snapshot_comes_back)
{
    check_round_trip({});
    BOOST_TEST(tree({}).at("classes").as_array().empty());
    BOOST_TEST(!tree({}).contains("large"));
}

BOOST_AUTO_TEST_CASE(the_snapshot_of_a_busy_heap_comes_back)
{
    snapshot const s = busy_snapshot();
    check_round_trip(s);
    json::object const o = tree(s);
    BOOST_TEST(o.at("name").as_string() == "busy");
    BOOST_TEST(o.at("classes").as_array().size() == tslab::class_count);
    BOOST_TEST(o.at("classes").at(7).at("object_size").to_number<unsigned>() == 768u);
    BOOST_TEST(o.at("large").at("object_size").to_number<unsigned>() == 0u);
    BOOST_TEST(o.at("large").at("allocations").to_number<std::uint64_t>() == s.classes.back().allocations);
    BOOST_TEST(o.at("total_allocations").to_number<std::uint64_t>() == s.global.allocations);
    BOOST_TEST(o.at("epochs").as_array().size() == s.epochs.size());
}

BOOST_AUTO_TEST_CASE(the_extremes_of_every_type_come_back)
{
    snapshot s = support::filled_snapshot();
    s.timestamp_ns = std::numeric_limits<std::uint64_t>::max();
    s.global.allocations = std::uint64_t{1} << 63;
    s.page_size = std::numeric_limits<std::uint32_t>::max();
    s.pid = std::numeric_limits<std::int64_t>::min();
    s.waterfall->not_tslab_bytes = std::numeric_limits<std::int64_t>::max();
    for (double const seconds : {0.0, 0.1, 1.0 / 3, 1e-9, 5e-324, 1e300, 123'456'789.012'345'67,
                                 9'007'199'254'740'993.0, 1.7976931348623157e308}) {
        s.epochs[0].age_seconds = seconds;
        s.epochs[1].closing_seconds = std::nextafter(seconds, 1e9);
        check_round_trip(s);
    }
}

BOOST_AUTO_TEST_CASE(a_duration_that_is_no_number_is_written_as_0)
{
    snapshot s = support::filled_snapshot();
    s.epochs[0].age_seconds = std::numeric_limits<double>::quiet_NaN();
    s.epochs[1].age_seconds = std::numeric_limits<double>::infinity();
    snapshot const back = from_json(to_json(s));
    BOOST_TEST(back.epochs[0].age_seconds == 0.0);
    BOOST_TEST(back.epochs[1].age_seconds == 0.0);
}

BOOST_AUTO_TEST_CASE(records_lie_where_the_reference_says)
{
    snapshot const s = support::filled_snapshot();
    json::object const o = tree(s);
    BOOST_TEST(o.at("schema_version").as_int64() == 1);
    BOOST_TEST(o.at("version").as_int64() == 2);
    BOOST_TEST(o.at("classes").at(3).at("version").as_int64() == 2);
    BOOST_TEST(o.at("total_slow_path_hits").to_number<std::uint64_t>() == s.global.slow_path_hits);
    BOOST_TEST(o.at("net_slabs").to_number<std::uint64_t>() == s.global.slabs_in_use);
    BOOST_TEST(o.at("estimated_slab_rss_bytes").to_number<std::uint64_t>() == s.global.slab_pages * 4096);
    BOOST_TEST(o.at("total_lock_wait_time_ns").to_number<std::uint64_t>() == s.global.lock_timing->wait_ns);
    BOOST_TEST(o.at("total_lock_timing_samples").to_number<std::uint64_t>() == s.global.lock_timing->samples);
    BOOST_TEST(o.at("lock_wait_time_ns_max").to_number<std::uint64_t>() == s.global.lock_timing->wait_ns_max);
    BOOST_TEST(o.at("avg_global_lock_hold_time_ns").to_number<double>() ==
                   tslab::ratio(s.global.lock_timing->hold_ns, s.global.lock_timing->samples),
               boost::test_tools::tolerance(1e-12));   // Boost's own reading of fractions is not exact
    json::value const& c = o.at("classes").at(3);
    BOOST_TEST(c.at("lock_wait_time_ns").to_number<std::uint64_t>() == s.classes[3].lock_timing->wait_ns);
    for (unsigned label = 0; label < tslab::label_buckets; ++label) {
        auto const& of_label = s.classes[3].by_label[label];
        BOOST_TEST(c.at("lock_fast_acquire_by_label").at(label).as_int64() ==
                   static_cast<std::int64_t>(of_label.lock_fast_acquire));
        BOOST_TEST(c.at("lock_contended_by_label").at(label).as_int64() ==
                   static_cast<std::int64_t>(of_label.lock_contended));
        BOOST_TEST(c.at("bitmap_alloc_cas_retries_by_label").at(label).as_int64() ==
                   static_cast<std::int64_t>(of_label.bitmap_alloc_cas_retries));
        BOOST_TEST(c.at("bitmap_free_cas_retries_by_label").at(label).as_int64() ==
                   static_cast<std::int64_t>(of_label.bitmap_free_cas_retries));
    }
    std::array<std::string_view, 4> const lives{"IDLE", "ACTIVE", "CLOSING", "DRAINED"};
    for (std::size_t i = 0; i < lives.size(); ++i) {
        BOOST_TEST(o.at("epochs").at(i).at("lifecycle").as_string() == lives[i]);
        BOOST_TEST(o.at("epochs").at(i).at("state").as_string() == (i == 1 ? "ACTIVE" : "CLOSING"));
    }
    BOOST_TEST(o.at("epochs").at(0).at("opened_at").at("file").as_string() == "program.cpp");
    BOOST_TEST(o.at("epochs").at(0).at("opened_at").at("line").as_int64() == 17);
    BOOST_TEST(o.at("epochs").at(0).at("classes").at(1).at("class_index").as_int64() == tslab::large_class);
    BOOST_TEST(o.at("label_registry").at("count").as_int64() == 16);
    BOOST_TEST(o.at("label_registry").at("max_labels").as_int64() == 16);
    BOOST_TEST(o.at("label_registry").at("labels").at("5").as_string() == s.labels[5].name);
    BOOST_TEST(o.at("misuses").at("leak").as_int64() == 6);
    BOOST_TEST(o.at("last_epoch_close").at("rss_delta_bytes").as_int64() == 1);
    BOOST_TEST(o.at("threads").at(1).at("alloc_wall_ns_log2").as_array().size() == tslab::log2_histogram::bucket_count);
    BOOST_TEST(o.at("waterfall").at("not_tslab_bytes").as_int64() == -4096);
}

BOOST_AUTO_TEST_CASE(what_is_not_known_is_absent_and_what_there_was_not_is_null)
{
    snapshot s = support::filled_snapshot();
    s.global.lock_timing.reset();
    s.global.lock_histograms.reset();
    s.labels[2].last_close.reset();
    s.classes[2].lock_timing.reset();
    s.classes[2].resident_bytes.reset();
    s.epochs[0].resident_bytes.reset();
    s.labels[0].resident_bytes.reset();
    s.epochs[0].opened_at = {};
    s.epochs[0].madvise_asked_bytes = 0;
    s.last_close = {};
    s.waterfall.reset();
    json::object const o = tree(s);
    for (std::string_view const name :
         {"total_lock_wait_time_ns", "total_lock_hold_time_ns", "total_lock_timing_samples",
          "avg_global_lock_wait_time_ns", "avg_global_lock_hold_time_ns", "lock_wait_time_ns_max",
          "lock_hold_time_ns_max", "lock_hold_time_ns_log2", "lock_wait_time_ns_p99", "waterfall"})
        BOOST_TEST(!o.contains(name), name);
    json::object const& c = o.at("classes").at(2).as_object();
    for (std::string_view const name : {"lock_timing_samples", "lock_wait_time_ns", "lock_hold_time_ns",
                                        "avg_lock_wait_time_ns", "avg_lock_hold_time_ns", "resident_bytes"}) {
        BOOST_TEST(!c.contains(name), name);
        BOOST_TEST(o.at("classes").at(3).as_object().contains(name), name);
    }
    BOOST_TEST(!o.at("epochs").at(0).as_object().contains("resident_bytes"));
    BOOST_TEST(o.at("epochs").at(1).as_object().contains("resident_bytes"));
    BOOST_TEST(!o.at("labels").at(0).as_object().contains("resident_bytes"));
    BOOST_TEST(o.at("epochs").at(0).at("opened_at").is_null());
    BOOST_TEST(o.at("epochs").at(0).at("cooperation_pct").is_null());
    BOOST_TEST(o.at("epochs").at(1).at("cooperation_pct").is_number());
    BOOST_TEST(o.at("last_epoch_close").is_null());
    BOOST_TEST(o.at("labels").at(2).at("last_close").is_null());
    BOOST_TEST(o.at("labels").at(3).at("last_close").is_object());
    check_round_trip(s);
}

BOOST_AUTO_TEST_CASE(hostile_names_make_valid_text)
{
    std::string every_byte;
    for (int b = 0; b < 256; ++b)
        every_byte += static_cast<char>(b);
    std::vector<std::string> const bad{
        every_byte,
        "\x80",
        "\xff\xfe",
        "cut \xe2\x82",
        "\xc0\xaf",   // more bytes than the character needs
        "\xe0\x80\x80",
        "\xf0\x80\x80\x80",
        "\xed\xa0\x80",       // a surrogate
        "\xf4\x90\x80\x80",   // above the last character
        "\xf8\x88\x80\x80\x80",
        std::string(31, '\xfe'),
    };
    for (std::string const& name : bad) {
        snapshot s = support::filled_snapshot();
        s.name = s.epochs[0].label = s.labels[1].name = s.last_close.label = s.misuses[0].name = name;
        std::string const text = to_json(s);
        BOOST_CHECK_NO_THROW((void)json::parse(text));   // refuses what is not UTF-8
        snapshot const back = from_json(text);
        BOOST_TEST(back.name.find("\xef\xbf\xbd") != std::string::npos);
        BOOST_TEST(to_json(back) == text);
    }
    std::vector<std::string> const good{std::string{"\0\x01\x1f\x7f", 4},
                                        "\"\\/\b\f\n\r\t",
                                        "\xc2\x80\xdf\xbf",
                                        "\xe0\xa0\x80\xef\xbf\xbf",
                                        "\xed\x9f\xbf\xee\x80\x80",
                                        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                                        "</script>",
                                        "\x1b[2J"};
    for (std::string const& name : good) {
        snapshot s = support::filled_snapshot();
        s.epochs[0].label = s.misuses[0].name = name;
        check_round_trip(s);
        BOOST_TEST(to_json(s).find_first_of(std::string{"\n\x1b\x7f\0", 4}) == std::string::npos);
    }
}
