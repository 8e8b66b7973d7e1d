// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// JSON: every field goes out and comes back, what is not known is absent or null, and what is wrong is refused with its place.
#define BOOST_TEST_MODULE json
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
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

/// What from_json says about `text`; empty when it takes it.
std::string refusal(std::string_view text)
{
    try {
        (void)from_json(text);
    } catch (tslab::snapshot_error const& e) {
        return e.what();
    }
    return {};
}
/// The same for the text of a snapshot with every field in it, changed by `spoil`.
std::string refusal_after(std::function<void(json::object&)> const& spoil)
{
    json::object o = tree(support::filled_snapshot());
    spoil(o);
    return refusal(json::serialize(o));
}

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
          "lock_hold_time_ns_max", "waterfall"})
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

BOOST_AUTO_TEST_CASE(what_is_not_known_to_the_reader_is_passed_over)
{
    snapshot const s = support::filled_snapshot();
    json::object o = tree(s);
    o["later"] = {{"a", {1, 2, 3}}};
    o["classes"].at(0).as_object()["later"] = "x";
    o["epochs"].at(0).as_object()["later"] = nullptr;
    o["sampled"].as_object()["later"] = -1.5;
    BOOST_TEST((from_json(json::serialize(o)) == s));
}

BOOST_AUTO_TEST_CASE(the_first_edition_of_the_schema_is_enough)
{
    // The fields every version has, and no other: of a writer that knows nothing of what was added.
    constexpr std::string_view text = R"({
        "schema_version": 1, "timestamp_ns": 1770000000000000000, "pid": 7, "page_size": 4096, "epoch_count": 16,
        "version": 1, "current_epoch": 3, "active_epoch_count": 1, "closing_epoch_count": 0, "total_slabs_allocated": 5,
        "total_slabs_recycled": 4, "net_slabs": 1, "rss_bytes_current": 1, "estimated_slab_rss_bytes": 4096,
        "total_slow_path_hits": 9, "total_cache_overflows": 0, "total_slow_cache_miss": 5, "total_slow_epoch_closed": 0,
        "total_madvise_calls": 2, "total_madvise_bytes": 8192, "total_madvise_failures": 0,
        "classes": [{
            "version": 1, "class_index": 0, "object_size": 64, "slow_path_hits": 9, "new_slab_count": 5,
            "list_move_partial_to_full": 0, "list_move_full_to_partial": 0, "current_partial_null": 5,
            "current_partial_full": 4, "empty_slab_recycled": 4, "empty_slab_overflowed": 0, "slow_path_cache_miss": 5,
            "slow_path_epoch_closed": 0, "madvise_calls": 2, "madvise_bytes": 8192, "madvise_failures": 0,
            "epoch_close_calls": 1, "epoch_close_scanned_slabs": 4, "epoch_close_recycled_slabs": 4,
            "epoch_close_total_ns": 250, "cache_size": 4, "cache_capacity": 32, "cache_overflow_len": 0,
            "total_partial_slabs": 1, "total_full_slabs": 0, "recycle_rate_pct": 100.00, "net_slabs": 1,
            "estimated_rss_bytes": 4096}],
        "epochs": [{
            "epoch_id": 3, "epoch_era": 150, "state": "CLOSING", "age_sec": 600, "refcount": 2, "label": "worker",
            "total_partial_slabs": 1, "total_full_slabs": 0, "total_reclaimable_slabs": 0, "estimated_rss_bytes": 4096}]})";
    snapshot const s = from_json(text);
    BOOST_TEST(s.pid == 7);
    BOOST_TEST(s.global.madvise_bytes == 8192u);
    BOOST_TEST(s.global.allocations == 0u);
    BOOST_TEST(s.classes.size() == 2u);
    BOOST_TEST(s.classes[0].slow_path_hits == 9u);
    BOOST_TEST(s.classes[1].class_index == 1u);
    BOOST_TEST((s.epochs[0].lifecycle == tslab::lifecycle::closing));
    BOOST_TEST(s.epochs[0].age_seconds == 600.0);
    BOOST_TEST((s.epochs[0].opened_at == tslab::source_entry{}));
    BOOST_TEST(s.last_close.timestamp_ns == 0u);
    BOOST_TEST(!s.waterfall);
    // Each of them is needed.
    json::object const whole = json::parse(text).as_object();
    auto const check_needed = [&](std::string const& path, json::object const& fields, auto const& within) {
        for (auto const& [name, value] : fields) {
            json::object o = whole;
            within(o).erase(name);
            if (path.empty() && name == "epochs")
                BOOST_TEST(refusal(json::serialize(o)).empty());
            else
                BOOST_TEST(refusal(json::serialize(o)) == path + std::string{name} + ": missing");
        }
    };
    check_needed("", whole, [](json::object& o) -> json::object& { return o; });
    check_needed("classes[0].", whole.at("classes").at(0).as_object(),
                 [](json::object& o) -> json::object& { return o["classes"].at(0).as_object(); });
    check_needed("epochs[0].", whole.at("epochs").at(0).as_object(),
                 [](json::object& o) -> json::object& { return o["epochs"].at(0).as_object(); });
}

BOOST_AUTO_TEST_CASE(a_writer_that_tells_no_pages_had_slabs_of_one_page)
{
    snapshot const s = support::filled_snapshot();
    json::object o = tree(s);
    o.erase("slab_pages");
    for (json::value& c : o["classes"].as_array())
        c.as_object().erase("pages_per_slab");
    o["large"].as_object().erase("pages_per_slab");
    for (json::value& e : o["epochs"].as_array()) {
        e.as_object().erase("slab_pages");
        e.as_object().erase("reclaimable_pages");
        for (json::value& share : e.at("classes").as_array())
            share.as_object().erase("pages");
    }
    snapshot const back = from_json(json::serialize(o));
    BOOST_TEST(back.global.slab_pages == s.global.slabs_in_use);
    for (tslab::class_stats const& c : back.classes)
        BOOST_TEST(c.pages_per_slab == (c.object_size != 0 ? 1u : 0u));
    for (std::size_t i = 0; i < s.epochs.size(); ++i) {
        BOOST_TEST(back.epochs[i].slab_pages == s.epochs[i].slabs);
        BOOST_TEST(back.epochs[i].empty_slab_pages == s.epochs[i].empty_slabs);
        for (std::size_t k = 0; k < s.epochs[i].classes.size(); ++k)
            BOOST_TEST(back.epochs[i].classes[k].pages == s.epochs[i].classes[k].slabs);
    }
    BOOST_TEST((from_json(to_json(back)) == back));
    BOOST_TEST(tslab::find_pins(back).at(0).held_bytes == (s.epochs[2].slabs + s.epochs[2].large_pages) * 4096);
}

BOOST_AUTO_TEST_CASE(a_text_that_ends_early_is_refused_wherever_it_ends)
{
    snapshot s = support::filled_snapshot();
    s.classes.resize(1);
    s.epochs.resize(1);
    s.threads.clear();
    s.labels.clear();
    std::string const text = to_json(s);
    for (std::size_t length = 0; length < text.size(); ++length)
        BOOST_REQUIRE_EQUAL(refusal(text.substr(0, length)),
                            "byte " + std::to_string(length) + ": the text ends too early");
    BOOST_TEST(refusal(text).empty());
    BOOST_TEST(refusal(text + " \n").empty());
}

BOOST_AUTO_TEST_CASE(a_text_that_is_no_json_is_refused_with_the_position)
{
    BOOST_TEST(refusal("").starts_with("byte 0:"));
    BOOST_TEST(refusal("   ").starts_with("byte 3:"));
    BOOST_TEST(refusal("{]") == "byte 1: syntax error");
    BOOST_TEST(refusal("{\"a\" 1}").starts_with("byte 5:"));
    BOOST_TEST(refusal("{\"a\":nul}") == "byte 5: syntax error");
    BOOST_TEST(refusal("{} {}").starts_with("byte 3:"));
    BOOST_TEST(refusal("{\"\xff\":1}").starts_with("byte 2:"));
    BOOST_TEST(refusal(R"({"a":"\ud800"})").starts_with("byte "));
    BOOST_TEST(refusal("{\"a\":\"\n\"}").starts_with("byte 6:"));
    BOOST_TEST(refusal("{\"a\":1e999}").starts_with("byte "));
    BOOST_TEST(refusal("{\"a\":NaN}").starts_with("byte 5:"));
    BOOST_TEST(refusal("# HELP x").starts_with("byte 0:"));
    for (std::string_view const other : {"1", "null", "[]", "\"text\"", "true"})
        BOOST_TEST(refusal(other) == "the document: expected an object");
}

BOOST_AUTO_TEST_CASE(a_damaged_text_is_refused_or_read_and_nothing_else)
{
    snapshot s = support::filled_snapshot();
    s.classes.resize(1);
    s.epochs.resize(2);
    s.threads.resize(1);
    s.labels.resize(1);
    std::string const whole = to_json(s);
    constexpr std::string_view bytes = "{}[]\":,-+.eE019tfn \\u\xff\n";
    std::mt19937_64 random{20'260'214};
    std::size_t refused = 0;
    std::size_t const rounds = support::scaled(10'000);
    for (std::size_t i = 0; i < rounds; ++i) {
        std::string text = whole;
        for (std::uint64_t n = 1 + random() % 3; n != 0; --n) {
            std::size_t const at = random() % text.size();
            switch (random() % 3) {
            case 0: text[at] = bytes[random() % bytes.size()]; break;
            case 1: text.erase(at, 1 + random() % 20); break;
            default: text.insert(at, text, random() % text.size(), random() % 20); break;
            }
        }
        try {
            snapshot const read = from_json(text);
            BOOST_REQUIRE((from_json(to_json(read)) == read));
        } catch (tslab::snapshot_error const&) {
            ++refused;
        }
    }
    BOOST_TEST(refused > rounds / 2);
    BOOST_TEST(refused < rounds);
}

BOOST_AUTO_TEST_CASE(depth_and_sizes_are_bounded)
{
    BOOST_TEST(refusal("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}").find("too deep") !=
               std::string::npos);
    BOOST_TEST(refusal("{\"a\":\"" + std::string(2'000'000, 'x') + "\"}").find("too large") != std::string::npos);
    BOOST_TEST(refusal("{\"" + std::string(100'000, 'x') + "\":1}").find("too large") != std::string::npos);
    auto const with = [](std::string_view name, std::size_t entries) {
        return refusal_after([&](json::object& o) { o[name] = json::array(entries, nullptr); });
    };
    BOOST_TEST(with("epochs", 65'537) == "epochs: expected at most 65536 entries");
    BOOST_TEST(with("labels", 17) == "labels: expected at most 16 entries");
    BOOST_TEST(with("classes", 257) == "classes: expected at most 256 entries");
    BOOST_TEST(with("threads", 1'100'000).find("too large") != std::string::npos);
    BOOST_TEST(refusal_after([](json::object& o) {
                   o["large"].at("lock_contended_by_label").as_array().push_back(0);
               }) == "large.lock_contended_by_label: expected at most 16 entries");
    BOOST_TEST(refusal_after([](json::object& o) {
                   o["threads"].at(1).at("repair_wall_ns_log2").as_array().push_back(0);
               }) == "threads[1].repair_wall_ns_log2: expected at most 40 entries");
    BOOST_TEST(refusal_after([](json::object& o) { o["epochs"].at(2).at("classes") = json::array(300, nullptr); }) ==
               "epochs[2].classes: expected at most 256 entries");
    BOOST_TEST(refusal_after([](json::object& o) {
                   for (int i = 0; i < 1100; ++i)
                       o["misuses"].as_object()[std::to_string(i)] = 1;
               }) == "misuses: expected at most 1024 entries");
    snapshot s;
    s.epochs.resize(65'536);
    BOOST_TEST((from_json(to_json(s)) == s));
}

BOOST_AUTO_TEST_CASE(a_wrong_value_is_refused_with_its_place)
{
    auto const set = [](std::function<json::value&(json::object&)> const& at, json::value const& v) {
        return refusal_after([&](json::object& o) { at(o) = v; });
    };
    auto const top = [](std::string_view name) { return [=](json::object& o) -> json::value& { return o[name]; }; };
    BOOST_TEST(set(top("schema_version"), 2) == "schema_version: expected 1");
    BOOST_TEST(set(top("schema_version"), 0) == "schema_version: expected 1");
    BOOST_TEST(set(top("schema_version"), "1") == "schema_version: expected an unsigned integer");
    BOOST_TEST(set(top("total_slow_path_hits"), -1) == "total_slow_path_hits: expected an unsigned integer");
    BOOST_TEST(set(top("total_slow_path_hits"), 1.5) == "total_slow_path_hits: expected an unsigned integer");
    BOOST_TEST(set(top("total_slow_path_hits"), nullptr) == "total_slow_path_hits: expected an unsigned integer");
    BOOST_TEST(set(top("net_slabs"), "many") == "net_slabs: expected an unsigned integer");
    BOOST_TEST(set(top("epoch_count"), 4294967296) == "epoch_count: expected at most 4294967295");
    BOOST_TEST(set(top("pid"), true) == "pid: expected an integer");
    BOOST_TEST(set(top("pid"), std::uint64_t{1} << 63) == "pid: expected an integer");
    BOOST_TEST(set(top("name"), 1) == "name: expected a string");
    BOOST_TEST(set(top("sampling"), 1) == "sampling: expected true or false");
    BOOST_TEST(set(top("total_lock_wait_time_ns"), "1") == "total_lock_wait_time_ns: expected an unsigned integer");
    BOOST_TEST(set(top("avg_global_lock_wait_time_ns"), "1") == "avg_global_lock_wait_time_ns: expected a number");
    for (std::string_view const list : {"classes", "epochs", "threads", "labels"})
        BOOST_TEST(set(top(list), json::object{}) == std::string{list} + ": expected an array");
    for (std::string_view const record : {"misuses", "sampled", "waterfall", "last_epoch_close", "large"})
        BOOST_TEST(set(top(record), 1) == std::string{record} + ": expected an object");
    auto const in = [](std::string_view list, std::size_t i, std::string_view name) {
        return [=](json::object& o) -> json::value& { return o[list].at(i).as_object()[name]; };
    };
    BOOST_TEST(set(in("classes", 3, "slow_path_hits"), "x") ==
               "classes[3].slow_path_hits: expected an unsigned integer");
    BOOST_TEST(set(in("classes", 3, "class_index"), 4) == "classes[3].class_index: expected 3");
    BOOST_TEST(set(in("classes", 3, "recycle_rate_pct"), -1) ==
               "classes[3].recycle_rate_pct: expected a number not below 0");
    BOOST_TEST(set(in("classes", 3, "lock_fast_acquire_by_label"), 1) ==
               "classes[3].lock_fast_acquire_by_label: expected an array");
    BOOST_TEST(
        set([](json::object& o) -> json::value& { return o["classes"].at(3).at("lock_fast_acquire_by_label").at(5); },
            -1) == "classes[3].lock_fast_acquire_by_label[5]: expected an unsigned integer");
    BOOST_TEST(set([](json::object& o) -> json::value& { return o["classes"].at(1); }, 1) ==
               "classes[1]: expected an object");
    BOOST_TEST(set([](json::object& o) -> json::value& { return o["large"].at("class_index"); }, 1) ==
               "large.class_index: expected " + std::to_string(tslab::large_class));
    BOOST_TEST(set(in("epochs", 0, "state"), "OPEN") == "epochs[0].state: expected ACTIVE or CLOSING");
    BOOST_TEST(set(in("epochs", 0, "state"), 1) == "epochs[0].state: expected a string");
    BOOST_TEST(set(in("epochs", 0, "lifecycle"), "") ==
               "epochs[0].lifecycle: expected IDLE or ACTIVE or CLOSING or DRAINED");
    BOOST_TEST(set(in("epochs", 0, "age_sec"), -0.5) == "epochs[0].age_sec: expected a number not below 0");
    BOOST_TEST(set(in("epochs", 0, "opened_at"), "here") == "epochs[0].opened_at: expected an object");
    BOOST_TEST(set(in("epochs", 0, "opened_at"), {{"line", -1}}) ==
               "epochs[0].opened_at.line: expected an unsigned integer");
    BOOST_TEST(set(in("labels", 2, "held_bytes"), "") == "labels[2].held_bytes: expected an unsigned integer");
    BOOST_TEST(set(in("threads", 1, "alive"), "") == "threads[1].alive: expected true or false");
    BOOST_TEST(set([](json::object& o) -> json::value& { return o["misuses"].at("leak"); }, -1) ==
               "misuses[1]: expected an unsigned integer");
}
