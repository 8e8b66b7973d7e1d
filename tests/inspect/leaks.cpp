// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Leaks and pins: which epochs are candidates and which are not, what is said about them word for word, and in what order.
#define BOOST_TEST_MODULE leaks
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "recorder.hpp"
#include "synthetic.hpp"

using support::add_closed;
using support::add_epoch;
using support::add_held;
using support::kib;
using support::mib;
using support::synthetic_heap;
using tslab::lifecycle;

BOOST_AUTO_TEST_CASE(figures_are_written_for_people)
{
    BOOST_TEST(tslab::bytes_text(0) == "0 bytes");
    BOOST_TEST(tslab::bytes_text(1) == "1 byte");
    BOOST_TEST(tslab::bytes_text(1023) == "1023 bytes");
    BOOST_TEST(tslab::bytes_text(1024) == "1.0 KiB");
    BOOST_TEST(tslab::bytes_text(1536) == "1.5 KiB");
    BOOST_TEST(tslab::bytes_text(mib - 1) == "1.0 MiB");
    BOOST_TEST(tslab::bytes_text(48 * mib) == "48.0 MiB");
    BOOST_TEST(tslab::bytes_text(3 * kib * mib) == "3.0 GiB");
    BOOST_TEST(tslab::bytes_text(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");

    BOOST_TEST(tslab::duration_text(0) == "0.0 s");
    BOOST_TEST(tslab::duration_text(0.39) == "0.3 s");
    BOOST_TEST(tslab::duration_text(9.99) == "9.9 s");
    BOOST_TEST(tslab::duration_text(10) == "10 s");
    BOOST_TEST(tslab::duration_text(59.999) == "59 s");
    BOOST_TEST(tslab::duration_text(60) == "1 min 0 s");
    BOOST_TEST(tslab::duration_text(252) == "4 min 12 s");
    BOOST_TEST(tslab::duration_text(3599.9) == "59 min 59 s");
    BOOST_TEST(tslab::duration_text(7500) == "2 h 5 min");
    BOOST_TEST(tslab::duration_text(86'400 * 3 + 3600 * 4) == "3 d 4 h");
    BOOST_TEST(tslab::duration_text(-5) == "0.0 s");
    BOOST_TEST(tslab::duration_text(std::nan("")) == "0.0 s");
    BOOST_TEST(tslab::duration_text(std::numeric_limits<double>::infinity()) == "11574074074 d 1 h");

    BOOST_TEST(tslab::percent_text(0.125) == "12.5 %");
    BOOST_TEST(tslab::percent_text(0) == "0.0 %");
    BOOST_TEST(tslab::decimal_text(-1.005, 1) == "-1.0");
    BOOST_TEST(tslab::decimal_text(std::nan(""), 1) == "nan");
    BOOST_TEST(tslab::decimal_text(-std::numeric_limits<double>::infinity(), 1) == "-inf");
    BOOST_TEST(tslab::decimal_text(std::numeric_limits<double>::max(), 17).size() == 327u);
}

BOOST_AUTO_TEST_CASE(nothing_a_terminal_obeys_passes)
{
    using namespace std::string_view_literals;
    BOOST_TEST(tslab::printable("GET /orders") == "GET /orders");
    BOOST_TEST(tslab::printable("a\nb\tc\rd\x1b[31m\x7f"sv) == "a?b?c?d?[31m?");
    BOOST_TEST(tslab::printable("a\0b"sv) == "a?b");
    BOOST_TEST(tslab::printable("Größe 5 €"sv) == "Größe 5 €");
    BOOST_TEST(tslab::printable("\U0001F40C"sv) == "\U0001F40C");
    BOOST_TEST(tslab::printable("\xc2\x9b"
                                "31m"sv) == "?31m");   // a control sequence in one character
    BOOST_TEST(tslab::printable("\x9b"sv) == "?");     // and in one byte
    BOOST_TEST(tslab::printable("a\u202egpj.exe\u2066\u2028"sv) == "a?gpj.exe??");
    BOOST_TEST(tslab::printable("cut \xe2\x82"sv) == "cut ??");   // at 31 bytes, in the middle of a character
    BOOST_TEST(tslab::printable("\xc0\x8a\xe0\x80\x8a\xed\xa0\x80\xf5\xff"sv) ==
               "??????????");   // forms that do not exist
    for (unsigned c = 0; c < 256; ++c) {
        std::string const safe = tslab::printable(std::string(1, static_cast<char>(c)));
        BOOST_TEST(safe == (c >= 0x20 && c < 0x7f ? std::string(1, static_cast<char>(c)) : "?"));
    }
}

BOOST_AUTO_TEST_CASE(a_heap_without_forgotten_scopes_has_no_leaks)
{
    auto s = synthetic_heap();
    s.epochs[0].live_objects = 1000;
    support::set_slabs(s.epochs[0], 1000);                       // the current epoch without holders, however old
    add_epoch(s, lifecycle::active, "done").age_seconds = 1e6;   // open, and no domain inside
    add_epoch(s, lifecycle::drained, "gone").closing_seconds = 1e6;
    add_epoch(s, lifecycle::idle, "never");
    add_closed(s, "empty", 1e6, 0, 0, 0);
    add_closed(s, "empty pages", 1e6, 10, 0, 0);
    BOOST_TEST(tslab::find_leaks(s, 0).size() == 0u);
    BOOST_TEST(tslab::find_leaks({}, 0).size() == 0u);
    tslab::allocator const heap;
    BOOST_TEST(tslab::find_leaks(heap.snapshot(), 0).size() == 0u);
}

BOOST_AUTO_TEST_CASE(the_limit_is_an_age_for_who_is_inside_and_the_time_since_the_close_for_who_is_not)
{
    auto s = synthetic_heap();
    add_held(s, "open", 60);
    add_held(s, "closed", 60).lifecycle = lifecycle::closing;
    add_closed(s, "late", 60, 1, 1, 64).age_seconds = 1000;
    BOOST_TEST(tslab::find_leaks(s, 60).size() == 3u);
    BOOST_TEST(tslab::find_leaks(s, 60.001).size() == 0u);
    BOOST_TEST(tslab::find_leaks(s, 0).size() == 3u);
    BOOST_TEST(tslab::find_leaks(s, -1).size() == 3u);
    BOOST_TEST(tslab::find_leaks(s, std::nan("")).size() == 0u);
    s.epochs[0].refcount = 1;   // a domain is inside the current epoch
    BOOST_TEST(tslab::find_leaks(s, 60).size() == 4u);
}

BOOST_AUTO_TEST_CASE(a_leak_carries_what_the_epoch_had)
{
    auto s = synthetic_heap();
    auto& e = add_held(s, "orders", 252.7, 10);
    e.label_id = 3;
    e.refcount = 2;
    e.enters = 5;
    e.exits = 3;
    e.large_pages = 2;
    e.live_objects = 77;
    e.live_bytes = 5000;
    e.opened_at = {"src/orders.cpp", 118, "run"};
    auto const found = tslab::find_leaks(s, 1);
    BOOST_REQUIRE(found.size() == 1u);
    tslab::leak const& l = found[0];
    BOOST_TEST(l.epoch == 1u);
    BOOST_TEST(l.era == 101u);
    BOOST_TEST(l.label == "orders");
    BOOST_TEST(l.label_id == 3u);
    BOOST_TEST((l.lifecycle == lifecycle::active));
    BOOST_TEST(l.age_seconds == 252.7);
    BOOST_TEST(l.closing_seconds == 0);
    BOOST_TEST(l.refcount == 2u);
    BOOST_TEST(l.enters == 5u);
    BOOST_TEST(l.exits == 3u);
    BOOST_TEST(l.missing_exits == 2u);
    BOOST_TEST(l.live_objects == 77u);
    BOOST_TEST(l.live_bytes == 5000u);
    BOOST_TEST(l.held_bytes == 12u * 4096);
    BOOST_TEST((l.entered_at == tslab::source_entry{"src/orders.cpp", 118, "run"}));
}

BOOST_AUTO_TEST_CASE(missing_exits_are_at_least_one_a_domain)
{
    auto s = synthetic_heap();
    auto& e = add_held(s, "x", 10);
    auto const missing = [&](std::uint32_t refcount, std::uint64_t enters, std::uint64_t exits) {
        e.refcount = refcount;
        e.enters = enters;
        e.exits = exits;
        return tslab::find_leaks(s, 1).at(0).missing_exits;
    };
    BOOST_TEST(missing(1, 2, 0) == 2u);   // one domain, entered twice and never left
    BOOST_TEST(missing(3, 3, 0) == 3u);
    BOOST_TEST(missing(2, 5, 4) == 2u);   // read while it changed
    BOOST_TEST(missing(1, 4, 5) == 1u);
    BOOST_TEST(missing(1, 0, 0) == 1u);   // a file that has no enters
}

BOOST_AUTO_TEST_CASE(the_sentence_of_a_leak)
{
    auto s = synthetic_heap();
    auto& e = add_held(s, "background-worker-3", 252.9, 12'288);
    e.enters = 2;
    e.live_objects = 1204;
    e.opened_at = {"src/worker.cpp", 118, "run_job"};
    auto const sentence = [&] { return tslab::find_leaks(s, 0).at(0).sentence(); };
    BOOST_TEST(sentence() ==
               "label \"background-worker-3\": 2 exits missing, epoch open for 4 min 12 s, holds 48.0 MiB with "
               "1204 live objects, entered at src/worker.cpp:118 in run_job (epoch 1, era 101, ACTIVE, 1 domain "
               "inside, entered 2 times, left 0 times)");
    e.lifecycle = lifecycle::closing;
    e.closing_seconds = 3.25;
    e.live_objects = 0;
    e.enters = 1;
    e.opened_at.function.clear();
    BOOST_TEST(sentence() ==
               "label \"background-worker-3\": 1 exit missing, epoch open for 4 min 12 s and closed for 3.2 s, "
               "holds 48.0 MiB without a live object, entered at src/worker.cpp:118 (epoch 1, era 101, "
               "CLOSING, 1 domain inside, entered 1 time, left 0 times)");
    e.label.clear();
    support::set_slabs(e, 0);
    e.opened_at = {};
    BOOST_TEST(sentence() == "unlabeled: 1 exit missing, epoch open for 4 min 12 s and closed for 3.2 s, holds nothing "
                             "(epoch 1, era 101, CLOSING, 1 domain inside, entered 1 time, left 0 times)");
    e.refcount = 0;
    support::set_slabs(e, 12);
    e.live_objects = 1;
    e.closing_seconds = 7205;
    BOOST_TEST(sentence() ==
               "unlabeled: closed for 2 h 0 min with no domain inside, still holds 48.0 KiB with 1 live object "
               "(epoch 1, era 101, CLOSING)");
}

BOOST_AUTO_TEST_CASE(a_label_cannot_forge_a_line)
{
    auto s = synthetic_heap();
    auto& e = add_held(s, "x\n\x1b[2Jall is well", 10);
    e.opened_at = {"a\nb.cpp", 1, "f\r"};
    auto const l = tslab::find_leaks(s, 1).at(0);
    BOOST_TEST(l.label == "x\n\x1b[2Jall is well");   // the data stays what it was
    BOOST_TEST(l.sentence() ==
               "label \"x??[2Jall is well\": 1 exit missing, epoch open for 10 s, holds nothing, entered at "
               "a?b.cpp:1 in f? (epoch 1, era 101, ACTIVE, 1 domain inside, entered 1 time, left 0 times)");
    std::mt19937 random{20260101};
    for (int round = 0; round < 2000; ++round) {
        std::string label(random() % 40, ' ');
        for (char& c : label)
            c = static_cast<char>(random());
        e.label = e.opened_at.file = e.opened_at.function = label;
        for (std::string const& text : {tslab::find_leaks(s, 1).at(0).sentence(), tslab::printable(label)})
            for (char const c : text)
                BOOST_REQUIRE((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
    }
}

BOOST_AUTO_TEST_CASE(the_worst_leak_comes_first)
{
    auto s = synthetic_heap();
    add_held(s, "small and old", 5000, 1);
    add_held(s, "big and young", 20, 100);
    add_held(s, "small and young", 30, 1);
    add_closed(s, "middle", 40, 50, 1, 64);
    add_held(s, "the same again", 30, 1);
    s.epochs.push_back(s.epochs[3]);
    s.epochs.back().age_seconds = std::nan("");   // from a file; no order may break
    std::vector<std::string> order;
    for (auto const& l : tslab::find_leaks(s, 0))
        order.push_back(l.label);
    std::vector<std::string> const expected{"big and young", "middle", "small and old", "small and young",
                                            "the same again"};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_scope_that_is_not_left_is_found_in_a_real_heap)
{
    tslab::allocator heap;
    tslab::epoch_domain forgotten{heap, {.label = "forgotten"}};
    forgotten.enter();
    forgotten.enter();
    void* const p = heap.malloc(100, forgotten.epoch());
    auto found = tslab::find_leaks(heap.snapshot(), 0);
    BOOST_REQUIRE(found.size() == 1u);
    BOOST_TEST(found[0].label == "forgotten");
    BOOST_TEST(found[0].missing_exits == 2u);
    BOOST_TEST(found[0].live_objects == 1u);
    BOOST_TEST(found[0].held_bytes == 4096u);
    BOOST_TEST(found[0].entered_at.file.ends_with("leaks.cpp"));
    BOOST_TEST(tslab::find_leaks(heap.snapshot(), 3600).size() == 0u);
    forgotten.exit();
    forgotten.exit();
    found = tslab::find_leaks(heap.snapshot(), 0);
    BOOST_REQUIRE(found.size() == 1u);   // closed, no domain inside, and an object lives on
    BOOST_TEST(found[0].missing_exits == 0u);
    heap.free(p);
    BOOST_TEST(tslab::find_leaks(heap.snapshot(), 0).size() == 0u);
}

BOOST_AUTO_TEST_CASE(a_domain_that_came_late_into_a_shared_epoch_is_no_old_leak)
{
    tslab::allocator heap;
    std::this_thread::sleep_for(std::chrono::milliseconds{60});
    tslab::resource_options const sharing{.share_epoch = true};
    std::vector<std::unique_ptr<tslab::epoch_resource>> early;
    for (int i = 0; i < 40; ++i)
        early.push_back(std::make_unique<tslab::epoch_resource>(heap, sharing));
    tslab::epoch_resource const last{heap, sharing};
    early.clear();
    auto const now = tslab::find_leaks(heap.snapshot(), 0);
    BOOST_REQUIRE(now.size() == 1u);
    BOOST_TEST(now[0].entered_at.file.ends_with("leaks.cpp"));
    BOOST_TEST(now[0].entered_seconds > 0);
    BOOST_TEST(now[0].entered_seconds <= now[0].age_seconds - 0.05);
    BOOST_TEST(now[0].inside_seconds() == now[0].entered_seconds);
    BOOST_TEST(tslab::find_leaks(heap.snapshot(), 3600).empty());
}

// A read between one domain's exit and the next one's enter must not report the epoch's age as the time inside.
BOOST_AUTO_TEST_CASE(domains_that_come_and_go_are_no_leak)
{
    tslab::allocator heap;
    std::this_thread::sleep_for(std::chrono::milliseconds{60});
    auto const begin = std::chrono::steady_clock::now();
    std::atomic<bool> stop{false};
    std::vector<std::thread> workers;
    for (int t = 0; t < 4; ++t)
        workers.emplace_back([&] {
            while (!stop)
                tslab::epoch_resource{heap, {.share_epoch = true}};
        });
    for (std::size_t looks = 0; looks < support::scaled(2000); ++looks)
        for (tslab::leak const& l : tslab::find_leaks(heap.snapshot({.residency = false}), 0)) {
            std::chrono::duration<double> const most = std::chrono::steady_clock::now() - begin;
            BOOST_REQUIRE(l.inside_seconds() <= most.count() + 0.01);   // the coarse clock is behind
        }
    stop = true;
    for (std::thread& t : workers)
        t.join();
}

BOOST_AUTO_TEST_CASE(a_domain_without_a_known_time_is_no_leak_and_is_said)
{
    auto s = synthetic_heap();
    auto& e = add_held(s, "worker", 1e6, 4);
    BOOST_TEST(tslab::find_leaks(s, 60).size() == 1u);   // of a version that knew no times
    e.unlisted_holders = 1;
    BOOST_TEST(tslab::find_leaks(s, 60).empty());
    e.refcount = 2;
    e.entered_seconds = 61;
    auto const found = tslab::find_leaks(s, 60);
    BOOST_REQUIRE(found.size() == 1u);
    BOOST_TEST(found[0].unlisted_holders == 1u);
    BOOST_TEST(found[0].sentence().ends_with("left 0 times, of 1 domain place and time are not known)"),
               found[0].sentence());
}

BOOST_AUTO_TEST_CASE(pins_are_closed_epochs_that_hold_pages)
{
    auto s = synthetic_heap();
    support::set_slabs(s.epochs[0], 100);
    add_held(s, "open", 100, 100);
    support::set_slabs(add_epoch(s, lifecycle::drained, "gone"), 100);
    add_closed(s, "empty", 100, 0, 0, 0);
    BOOST_TEST(tslab::find_pins(s).size() == 0u);
    BOOST_TEST(tslab::find_pins({}).size() == 0u);
    auto& e = add_closed(s, "pinned", 100, 210, 3, 1000);
    e.slabs = 60;
    e.label_id = 2;
    e.large_pages = 4;
    e.classes = {{0, 10, 10, 1, 64}, {7, 50, 200, 1, 768}, {tslab::large_class, 0, 4, 1, 168}};
    auto const found = tslab::find_pins(s);
    BOOST_REQUIRE(found.size() == 1u);
    tslab::pin const& p = found[0];
    BOOST_TEST(p.epoch == 4u);
    BOOST_TEST(p.era == 104u);
    BOOST_TEST(p.label == "pinned");
    BOOST_TEST(p.label_id == 2u);
    BOOST_TEST(p.closing_seconds == 100);
    BOOST_TEST(p.held_bytes == 214u * 4096);
    BOOST_TEST(p.live_objects == 3u);
    BOOST_TEST(p.live_bytes == 1000u);
    BOOST_TEST(p.live_ratio == 1000.0 / (214 * 4096));
    BOOST_REQUIRE(p.classes.size() == 3u);
    BOOST_TEST(p.classes[0].object_size == 768u);
    BOOST_TEST(p.classes[0].slabs == 50u);
    BOOST_TEST(p.classes[0].held_bytes == 200u * 4096);
    BOOST_TEST(p.classes[0].live_objects == 1u);
    BOOST_TEST(p.classes[0].live_bytes == 768u);
    BOOST_TEST(p.classes[1].object_size == 64u);
    BOOST_TEST(p.classes[2].class_index == tslab::large_class);
    BOOST_TEST(p.classes[2].held_bytes == 4u * 4096);
}

BOOST_AUTO_TEST_CASE(the_sentence_of_a_pin)
{
    auto s = synthetic_heap();
    auto& e = add_closed(s, "orders", 303, 128, 12, 1100);
    e.classes = {{0, 10, 10, 2, 128}, {7, 30, 118, 10, 972}};
    BOOST_TEST(
        tslab::find_pins(s).at(0).sentence() ==
        "label \"orders\": closed for 5 min 3 s, 12 live objects keep 512.0 KiB (1.1 KiB in use, 0.2 %): class 768 "
        "472.0 KiB for 10 objects, class 64 40.0 KiB for 2 objects (epoch 1, era 101)");
    e.label = "\t";
    e.live_objects = 1;
    e.classes = {
        {0, 32, 32, 0, 0}, {1, 32, 32, 1, 96}, {2, 32, 32, 0, 0}, {3, 31, 31, 0, 0}, {tslab::large_class, 0, 1, 0, 0}};
    BOOST_TEST(
        tslab::find_pins(s).at(0).sentence() ==
        "label \"?\": closed for 5 min 3 s, 1 live object keeps 512.0 KiB (1.1 KiB in use, 0.2 %): class 64 128.0 KiB "
        "for 0 objects, class 128 128.0 KiB for 0 objects, class 96 128.0 KiB for 1 object and 2 classes more (epoch "
        "1, "
        "era 101)");
    e.classes.clear();
    e.label.clear();
    BOOST_TEST(
        tslab::find_pins(s).at(0).sentence() ==
        "unlabeled: closed for 5 min 3 s, 1 live object keeps 512.0 KiB (1.1 KiB in use, 0.2 %) (epoch 1, era 101)");
}

BOOST_AUTO_TEST_CASE(the_worst_pin_comes_first)
{
    auto s = synthetic_heap();
    add_closed(s, "full", 100, 1000, 63'000, 1000 * 4096);
    add_closed(s, "half", 100, 100, 1, 50 * 4096);
    add_closed(s, "sparse", 100, 80, 1, 64);
    add_closed(s, "half again", 200, 100, 1, 50 * 4096);
    add_closed(s, "more live than held", 10, 1, 1, 9999);   // a file that does not add up
    std::vector<std::string> order;
    for (auto const& p : tslab::find_pins(s))
        order.push_back(p.label);
    std::vector<std::string> const expected{"sparse", "half again", "half", "full", "more live than held"};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
}
