// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What finds no room in the segment: the first source locations are told, others and whole records only inside the process.
#define BOOST_TEST_MODULE observer_room
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <source_location>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "observed.hpp"

namespace {

/// What a std::source_location of libstdc++ points to.
struct place {
    char const* file;
    char const* function;
    unsigned line;
    unsigned column;

    [[nodiscard]] std::source_location where() const { return std::bit_cast<std::source_location>(this); }
};

/// Takes what is left of a segment, which cannot grow as long as this lives: for heaps there is what they have.
class full_segment {
public:
    full_segment()
    {
        real_ = &tslab::os();
        calls_ = *real_;
        calls_.reserve = [](std::size_t bytes) noexcept -> void* {
            return bytes > extent && bytes < 2 * extent ? nullptr : real_->reserve(bytes);
        };
    }
    ~full_segment() { tslab::set_os_calls(real_); }
    full_segment(full_segment const&) = delete;
    full_segment& operator=(full_segment const&) = delete;

    void fill()
    {
        tslab::set_os_calls(&calls_);
        for (;;) {
            auto part = std::make_unique<tslab::segment_part>(true, tslab::layout_number());
            if (!part->is_published())
                break;
            taken_.push_back(std::move(part));
        }
    }

private:
    static constexpr std::size_t extent = std::size_t{1}
                                          << 20;   // the second is as large, and overlaps the first a bit
    static inline tslab::os_calls const* real_ = nullptr;
    static inline tslab::os_calls calls_{};
    std::vector<std::unique_ptr<tslab::segment_part>> taken_;
};

}

BOOST_AUTO_TEST_CASE(of_more_places_than_there_is_room_for_the_first_are_told)
{
    constexpr unsigned n = 2 * tslab::place_directory::capacity;
    std::string const file = std::string(300, 'd') + "/file.cpp";
    std::vector<place> places;
    for (unsigned i = 1; i <= n; ++i)
        places.push_back({file.c_str(), "f", i, 1});
    tslab::allocator heap{{.name = "of many places", .epoch_count = 2048}};
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    for (place const& p : places)
        all.push_back(std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{}, p.where()));
    tslab::observer seen{::getpid()};
    auto const heaps = seen.read();
    BOOST_REQUIRE(heaps.size() == 1U);
    std::size_t known = 0;
    for (unsigned i = 0; i < n; ++i) {
        tslab::epoch_id const e = all[i]->epoch();
        auto const found = std::find_if(heaps[0].epochs.begin(), heaps[0].epochs.end(),
                                        [e](auto const& of) { return of.index == e.index && of.era == e.era; });
        BOOST_REQUIRE(found != heaps[0].epochs.end());
        BOOST_REQUIRE(found->entered_seconds > 0);
        if (found->opened_at.line == 0) {
            BOOST_REQUIRE(found->opened_at.file.empty());
            continue;
        }
        ++known;
        BOOST_REQUIRE(found->opened_at.line == i + 1);
        BOOST_REQUIRE(found->opened_at.function == "f");
        BOOST_REQUIRE(file.ends_with(found->opened_at.file));   // a long name loses its beginning
        BOOST_REQUIRE(found->opened_at.file.ends_with("/file.cpp"));
    }
    BOOST_TEST(known <= tslab::place_directory::capacity);
    BOOST_TEST(known > tslab::place_directory::capacity * 3 / 4);
    tslab::epoch_resource const again{heap, {}, places.front().where()};   // its place is there
    auto const later = seen.read();
    BOOST_TEST(std::count_if(later[0].epochs.begin(), later[0].epochs.end(),
                             [](auto const& e) { return e.opened_at.line == 1; }) == 2);
}

BOOST_AUTO_TEST_CASE(what_finds_no_room_in_the_segment_is_only_told_inside)
{
    constexpr std::size_t threads = 50;
    full_segment full;
    tslab::allocator heap{{.name = "narrow", .epoch_count = 4}};
    BOOST_REQUIRE(heap.state().published().is_published());
    full.fill();
    std::vector<std::thread> all;
    std::atomic<std::size_t> ready{0};
    std::atomic<bool> done{false};
    for (std::size_t i = 0; i < threads; ++i)
        all.emplace_back([&] {
            heap.free(heap.malloc(64));
            ++ready;
            done.wait(false);
        });
    while (ready != threads)
        std::this_thread::yield();
    tslab::snapshot const inside = heap.snapshot();
    auto const outside = tslab::observer{::getpid()}.read();
    done = true;
    done.notify_all();
    for (std::thread& t : all)
        t.join();
    BOOST_TEST(inside.threads.size() == threads + 1);
    BOOST_TEST(inside.global.allocations == threads);
    BOOST_TEST(inside.global.live_objects == 0U);
    BOOST_REQUIRE(outside.size() == 1U);
    BOOST_TEST(outside[0].threads.size() > 1U);
    BOOST_TEST(outside[0].threads.size() < threads);
    BOOST_TEST(outside[0].global.allocations < threads);
    BOOST_TEST(outside[0].global.live_objects == 0U);
}

BOOST_AUTO_TEST_CASE(an_epoch_is_told_without_its_place_when_that_finds_no_room)
{
    full_segment full;
    tslab::allocator heap{{.name = "narrow", .epoch_count = 4}};
    BOOST_REQUIRE(heap.state().published().is_published());
    static_cast<void>(heap.advance());   // the record of the next epoch has room
    full.fill();
    while (heap.state().published().is_published(heap.state().published().allocate(64, 64))) {
    }
    tslab::epoch_resource const late{heap, {.label = "late"}};
    tslab::observer seen{::getpid()};
    auto const heaps = seen.read();
    BOOST_REQUIRE(heaps.size() == 1U);
    auto const found =
        std::find_if(heaps[0].epochs.begin(), heaps[0].epochs.end(), [](auto const& e) { return e.label == "late"; });
    BOOST_REQUIRE(found != heaps[0].epochs.end());
    BOOST_TEST(found->entered_seconds > 0);
    BOOST_TEST(found->opened_at.line == 0U);
    for (tslab::epoch_stats const& e : heap.snapshot().epochs)
        BOOST_TEST((e.opened_at.line != 0U) == (e.label == "late"));   // inside it is known
}
