// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The reader of JSON: what it does not know is passed over, what is wrong is refused with its place.
#define BOOST_TEST_MODULE json_reader
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>

#include "filled_snapshot.hpp"
#include "recorder.hpp"

namespace json = boost::json;
using tslab::from_json;
using tslab::snapshot;
using tslab::to_json;

namespace {

json::object object_of(snapshot const& s) { return json::parse(to_json(s)).as_object(); }

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
    json::object o = object_of(support::filled_snapshot());
    spoil(o);
    return refusal(json::serialize(o));
}

}

BOOST_AUTO_TEST_CASE(what_is_not_known_to_the_reader_is_passed_over)
{
    snapshot const s = support::filled_snapshot();
    json::object o = object_of(s);
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
    json::object o = object_of(s);
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
