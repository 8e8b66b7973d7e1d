// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process looked at from outside: what is seen is what the process says of itself, also when it is stopped, and what can be
// seen when it is dead, or is no process, or its statistics are damaged.
#define BOOST_TEST_MODULE observer
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <sched.h>
#include <signal.h>
#include <source_location>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "recorder.hpp"

namespace {

using tslab::observe_fault;

/// A forked child that does `work` with a line to its parent, and stays until it is killed.
class process {
public:
    template <class Work> explicit process(Work work)
    {
        std::array<int, 2> up{};
        BOOST_REQUIRE(::pipe(up.data()) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(up[0]);
            work([&](std::string const& text) {
                std::string const line = text + '\n';
                static_cast<void>(::write(up[1], line.data(), line.size()));
            });
            for (;;)
                ::pause();
        }
        ::close(up[1]);
        from_ = ::fdopen(up[0], "r");
    }
    ~process()
    {
        end();
        std::fclose(from_);
    }
    process(process const&) = delete;
    process& operator=(process const&) = delete;

    std::string line()
    {
        std::string text;
        for (int c = std::fgetc(from_); c != EOF && c != '\n'; c = std::fgetc(from_))
            text += static_cast<char>(c);
        return text;
    }
    void end()
    {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    void stop()
    {
        ::kill(pid_, SIGSTOP);
        ::waitpid(pid_, nullptr, WUNTRACED);
    }
    pid_t pid() const { return pid_; }

private:
    pid_t pid_ = -1;
    std::FILE* from_ = nullptr;
};

/// What differs in a moment without any change: the time, and what residency is from there.
void forget_moment(tslab::snapshot& s)
{
    s.timestamp_ns = 0;
    for (tslab::epoch_stats& e : s.epochs) {
        e.age_seconds = e.closing_seconds = e.entered_seconds = 0;
        e.open_since_ns = 0;
    }
    s.global.rss_bytes = 0;
    s.global.lock_fast_acquire = s.global.lock_contended = 0;   // from outside: those for a class or an epoch
    if (s.waterfall) {
        s.waterfall->rss_bytes = s.waterfall->metadata_bytes = 0;
        s.waterfall->not_tslab_bytes = 0;
    }
}

/// Everything a heap can hold: slabs of one block and of several, handles, large ones, kept and cached slabs, other threads'.
struct busy {
    tslab::allocator heap;
    std::unique_ptr<tslab::epoch_scope> forgotten;
    std::vector<void*> all;

    explicit busy(tslab::allocator::options const& o) : heap{o}
    {
        std::mt19937 r{42};
        for (int i = 0; i < 3000; ++i)
            all.push_back(heap.malloc(1 + r() % 5000));
        for (int i = 0; i < 20; ++i)
            all.push_back(heap.malloc(100'000));
        std::shuffle(all.begin(), all.end(), r);
        for (std::size_t i = 0; i < all.size() / 2; ++i)
            heap.free(all[i]);
        all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
        for (int i = 0; i < 10; ++i) {
            tslab::epoch_scope const scope{heap, "request"};
            for (std::size_t n = 16; n < 4000; n *= 2)
                scope.resource()->deallocate(scope.resource()->allocate(n), n);
        }
        std::thread{[this] {
            for (std::size_t i = 0; i < 100; ++i)
                heap.free(all[i]);
            all.erase(all.begin(), all.begin() + 100);
            static_cast<void>(heap.malloc(64));
        }}.join();
        tslab::handle h;
        for (int i = 0; i < 50; ++i)
            static_cast<void>(heap.allocate(128, heap.current_epoch(), h));
        heap.close(heap.advance());
        forgotten.reset(new tslab::epoch_scope{heap, "forgotten"});   // here, for the source location
        static_cast<void>(forgotten->resource()->allocate(777));
    }
};

observe_fault fault_of(std::function<void()> const& what, std::string* text = nullptr)
{
    try {
        what();
    } catch (tslab::observe_error const& e) {
        if (text != nullptr)
            *text = e.what();
        return e.fault();
    }
    BOOST_FAIL("nothing was thrown");
    return observe_fault::system;
}

std::string temporary(char const* name)
{
    return (std::filesystem::temp_directory_path() / (std::string{"tslab-"} + std::to_string(::getpid()) + name))
        .string();
}

std::vector<char> contents(std::string const& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}
void write(std::string const& path, std::vector<char> const& bytes)
{
    std::ofstream{path, std::ios::binary}.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}

BOOST_AUTO_TEST_CASE(what_is_seen_is_what_the_process_says_of_itself)
{
    process other{[](auto say) {
        busy work{{.name = "seen", .epoch_count = 16}};
        std::string const own = tslab::to_json(work.heap.snapshot());
        say(own);
        for (;;)
            ::pause();
    }};
    tslab::snapshot own = tslab::from_json(other.line());
    for (bool const stopped : {false, true}) {
        if (stopped)
            other.stop();
        tslab::observer o{other.pid()};
        std::vector<tslab::snapshot> heaps = o.read();
        BOOST_REQUIRE(heaps.size() == 1U);
        tslab::snapshot seen = heaps[0];
        BOOST_TEST(seen.live_known);
        BOOST_TEST(seen.pid == other.pid());
        BOOST_TEST(seen.global.rss_bytes > 0U);
        BOOST_REQUIRE(seen.waterfall.has_value());
        BOOST_TEST(seen.waterfall->metadata_bytes > 0U);
        forget_moment(own);
        forget_moment(seen);
        BOOST_TEST(tslab::to_json(seen) == tslab::to_json(own));
    }
    std::vector<tslab::leak> const leaks = tslab::find_leaks(tslab::observer{other.pid()}.read()[0], 0);
    BOOST_TEST((std::any_of(leaks.begin(), leaks.end(), [](tslab::leak const& l) {
        return l.sentence().find("forgotten") != std::string::npos &&
               l.sentence().find("observer.cpp") != std::string::npos;
    })));
}

BOOST_AUTO_TEST_CASE(the_map_is_the_same_from_both_sides)
{
    process other{[](auto say) {
        busy work{{.name = "map", .epoch_count = 16}};
        tslab::heap_map const m = work.heap.map();
        for (tslab::map_run const& r : m.runs)
            say(std::to_string(r.first_page) + ' ' + std::to_string(r.pages) + ' ' +
                std::to_string(static_cast<int>(r.use)) + ' ' + std::to_string(r.class_index) + ' ' +
                std::to_string(r.epoch) + ' ' + std::to_string(r.era) + ' ' + std::to_string(r.label_id) + ' ' +
                std::to_string(r.slots) + ' ' + std::to_string(r.live));
        say("end");
        for (;;)
            ::pause();
    }};
    std::vector<std::string> own;
    for (std::string l = other.line(); l != "end"; l = other.line())
        own.push_back(l);
    tslab::heap_map const seen = tslab::observer{other.pid()}.maps().at(0);
    BOOST_TEST(seen.live_known);
    BOOST_TEST(seen.runs.size() == own.size());
    std::uint32_t next = 0;
    std::uint32_t live = 0;
    for (std::size_t i = 0; i < std::min(own.size(), seen.runs.size()); ++i) {
        tslab::map_run const& r = seen.runs[i];
        BOOST_TEST(r.first_page == next);
        next += r.pages;
        live += r.live;
        BOOST_TEST(own[i] == std::to_string(r.first_page) + ' ' + std::to_string(r.pages) + ' ' +
                                 std::to_string(static_cast<int>(r.use)) + ' ' + std::to_string(r.class_index) + ' ' +
                                 std::to_string(r.epoch) + ' ' + std::to_string(r.era) + ' ' +
                                 std::to_string(r.label_id) + ' ' + std::to_string(r.slots) + ' ' +
                                 std::to_string(r.live));
    }
    BOOST_TEST(live == tslab::observer{other.pid()}.read()[0].global.live_objects);
}

// Free slots change words whenever a thread cache lets go of its slabs or takes them up again. Who looks at the words while they do, and at
// each when the bits are in the other one, would see 32 objects more in a slab than there are. Each descriptor is copied twice for
// that; a single copy was not caught at it either, in some thousand tries: processors copy both words of a line at once.
BOOST_AUTO_TEST_CASE(free_slots_are_seen_while_they_change_hands)
{
    constexpr std::size_t slots = 64;
    constexpr std::size_t slabs = 20;
    constexpr std::size_t most_short_lived = 8;
    process other{[](auto say) {
        tslab::allocator heap{{.name = "hands"}};
        std::vector<void*> all;
        for (std::size_t i = 0; i < slabs * slots; ++i)
            all.push_back(heap.malloc(64));
        for (std::size_t i = 0; i < all.size(); i += 2)
            heap.free(all[i]);
        say("made");
        std::array<void*, most_short_lived> some{};
        for (;;) {
            heap.trim();
            for (void*& p : some)
                p = heap.malloc(64);
            for (void* const p : some)
                heap.free(p);
        }
    }};
    other.line();
    tslab::observer o{other.pid()};
    std::uint64_t most = 0;
    std::uint64_t least = slabs * slots;
    for (std::size_t i = 0; i < support::scaled(1000); ++i) {
        tslab::snapshot const s = o.read().at(0);
        BOOST_REQUIRE(s.live_known);
        most = std::max(most, s.global.live_objects);
        least = std::min(least, s.global.live_objects);
    }
    // Those that live for a moment may be seen in two slabs: it is not one moment in which all of them are looked at.
    BOOST_TEST(most <= slabs * slots / 2 + 2 * most_short_lived);
    BOOST_TEST(least >= slabs * slots / 2);
}

BOOST_AUTO_TEST_CASE(several_heaps_come_in_the_order_they_were_made)
{
    process other{[](auto say) {
        tslab::allocator one{{.name = "one"}};
        tslab::allocator silent{{.name = "silent", .publish = false}};
        tslab::allocator two{{.name = "two"}};
        say("made");
        for (;;)
            ::pause();
    }};
    other.line();
    std::vector<tslab::snapshot> const heaps = tslab::observer{other.pid()}.read();
    BOOST_REQUIRE(heaps.size() == 2U);
    BOOST_TEST(heaps[0].name == "one");
    BOOST_TEST(heaps[1].name == "two");
    auto const found = tslab::processes_with_heaps();
    BOOST_TEST((std::find(found.begin(), found.end(), other.pid()) != found.end()));
}

BOOST_AUTO_TEST_CASE(a_forked_child_has_statistics_of_its_own)
{
    tslab::allocator heap{{.name = "parent"}};
    void* const p = heap.malloc(100);
    process child{[&](auto say) {
        for (int i = 0; i < 1000; ++i)
            static_cast<void>(heap.malloc(64));
        heap.free(p);
        tslab::epoch_scope const scope{heap, "in the child"};
        say(tslab::to_json(heap.snapshot({.residency = false})));
        for (;;)
            ::pause();
    }};
    tslab::snapshot const own = tslab::from_json(child.line());
    std::vector<tslab::snapshot> const seen = tslab::observer{child.pid()}.read();
    BOOST_REQUIRE(seen.size() == 1U);
    BOOST_TEST(seen[0].global.live_objects == own.global.live_objects);
    BOOST_TEST(seen[0].global.live_objects == 1000U);
    BOOST_TEST(seen[0].global.domain_enters == 1U);
    tslab::snapshot const parents = tslab::observer{::getpid()}.read().at(0);
    BOOST_TEST(parents.global.live_objects == 1U);
    BOOST_TEST(parents.global.domain_enters == 0U);
    BOOST_TEST(parents.global.allocations == 1U);
    BOOST_TEST(heap.snapshot().global.allocations == 1U);
    heap.free(p);
}

// The counters go on in memory that nobody sees; the number of the descriptor belongs to somebody else by then.
BOOST_AUTO_TEST_CASE(a_program_may_close_every_descriptor)
{
    process other{[](auto say) {
        int mine = -1;
        {
            tslab::allocator heap{{.name = "closed"}};
            for (int i = 3; i < 64; ++i) {
                std::array<char, 64> to{};
                std::string const link = "/proc/self/fd/" + std::to_string(i);
                if (::readlink(link.c_str(), to.data(), to.size()) > 0 && std::strstr(to.data(), "tslab") != nullptr) {
                    ::close(i);
                    mine = ::open("/dev/null", O_RDONLY);
                }
            }
            static_cast<void>(heap.malloc(10));
            heap.close(heap.advance());
            static_cast<void>(heap.snapshot());
            tslab::set_error_handler([](tslab::misuse_report const&) {});
        }
        char c = 0;
        say(std::to_string(mine >= 0 && ::read(mine, &c, 1) == 0 ? 1 : 0));
    }};
    BOOST_TEST(other.line() == "1");   // the heap ended and left the other file open
}

BOOST_AUTO_TEST_CASE(a_file_outlives_its_process)
{
    std::string const path = temporary("-stats");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    process other{[](auto say) {
        busy work{{.name = "crash", .epoch_count = 16}};
        say(tslab::to_json(work.heap.snapshot()));
        for (;;)
            ::pause();
    }};
    tslab::snapshot const own = tslab::from_json(other.line());
    ::unsetenv("TSLAB_STATS_FILE");
    BOOST_TEST(tslab::observer{other.pid()}.read()[0].live_known);
    other.end();

    tslab::snapshot const seen = tslab::observer{path}.read().at(0);
    BOOST_TEST(!seen.live_known);
    BOOST_TEST(seen.name == "crash");
    BOOST_TEST(seen.pid == own.pid);
    BOOST_TEST(seen.global.domain_enters == own.global.domain_enters);
    BOOST_TEST(seen.global.slow_path_hits == own.global.slow_path_hits);
    BOOST_TEST(seen.global.large_pages == own.global.large_pages);
    BOOST_TEST(seen.epochs.size() == own.epochs.size());
    for (std::size_t i = 0; i < std::min(seen.epochs.size(), own.epochs.size()); ++i) {
        BOOST_TEST(seen.epochs[i].era == own.epochs[i].era);
        BOOST_TEST(seen.epochs[i].label == own.epochs[i].label);
        BOOST_TEST(seen.epochs[i].refcount == own.epochs[i].refcount);
        BOOST_TEST(seen.epochs[i].large_pages == own.epochs[i].large_pages);
        BOOST_TEST(seen.epochs[i].slab_pages >= own.epochs[i].slab_pages);   // with what thread caches keep
        BOOST_TEST(seen.epochs[i].opened_at.line == own.epochs[i].opened_at.line);
    }
    BOOST_TEST(!tslab::find_leaks(seen, 0).empty());

    // A restarted process does not destroy what was left.
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    {
        tslab::allocator const again{{.name = "again"}};
        BOOST_TEST(tslab::observer{path}.read().at(0).name == "again");
        BOOST_TEST(tslab::observer{path + ".old"}.read().at(0).name == "crash");
    }
    ::unsetenv("TSLAB_STATS_FILE");
    BOOST_TEST(!std::filesystem::exists(path));   // it ended in order
    std::filesystem::remove(path + ".old");
}

BOOST_AUTO_TEST_CASE(where_it_cannot_be_published_everything_else_works)
{
    for (char const* const file : {"/nowhere/at/all", "/dev/full", "/proc/self/status"}) {
        ::setenv("TSLAB_STATS_FILE", file, 1);
        tslab::allocator heap{{.name = "unseen"}};
        BOOST_TEST(heap.malloc(100) != nullptr);
        BOOST_TEST(heap.snapshot().global.live_objects == 1U);
        ::unsetenv("TSLAB_STATS_FILE");
        tslab::set_error_handler([](tslab::misuse_report const&) {});
    }
    ::setenv("TSLAB_PUBLISH", "0", 1);
    process other{[](auto say) {
        tslab::allocator heap{{.name = "silent"}};
        say("made");
        for (;;)
            ::pause();
    }};
    other.line();
    ::unsetenv("TSLAB_PUBLISH");
    std::string text;
    BOOST_TEST((fault_of([&] { tslab::observer{other.pid()}; }, &text) == observe_fault::no_heap));
    BOOST_TEST(text == "process " + std::to_string(other.pid()) + " has no heap of tslab that it publishes");
    tslab::set_error_handler(nullptr);
}

BOOST_AUTO_TEST_CASE(what_is_no_process)
{
    process other{[](auto say) { say("here"); }};
    other.line();
    pid_t const pid = other.pid();
    other.end();
    BOOST_TEST((fault_of([&] { tslab::observer{pid}; }) == observe_fault::no_process));
    BOOST_TEST((fault_of([] { tslab::observer{pid_t{-1}}; }) == observe_fault::no_process));
    BOOST_TEST((fault_of([] { tslab::observer{std::string{"/nowhere/at/all"}}; }) == observe_fault::system));
    BOOST_TEST((fault_of([] { tslab::observer{std::string{"/tmp"}}; }) == observe_fault::damaged));
}

BOOST_AUTO_TEST_CASE(a_process_that_dies_while_it_is_read)
{
    for (int i = 0; i < 20; ++i) {
        process other{[](auto say) {
            busy work{{.name = "dying", .epoch_count = 16}};
            say("made");
            for (;;)
                ::pause();
        }};
        other.line();
        tslab::observer o{other.pid()};
        std::thread killer{[&other, i] {
            ::usleep(static_cast<useconds_t>(i * 100));
            ::kill(other.pid(), SIGKILL);
        }};
        bool ended = false;
        for (int n = 0; n < 100'000 && !ended; ++n)
            try {
                for (tslab::snapshot const& s : o.read())
                    BOOST_TEST(s.global.live_bytes < 1U << 30);
            } catch (tslab::observe_error const& e) {
                ended = true;
                // A zombie is there, and has no descriptors any more.
                BOOST_TEST((e.fault() == observe_fault::no_process || e.fault() == observe_fault::no_heap ||
                            e.fault() == observe_fault::not_permitted));
            }
        killer.join();
        BOOST_TEST(ended);
    }
}

// Cut short, overwritten, of another version: each is said, and nothing is read that is not there.
BOOST_AUTO_TEST_CASE(damaged_files)
{
    std::string const path = temporary("-damaged");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    std::vector<char> good;
    {
        tslab::set_error_handler([](tslab::misuse_report const&) {});
        busy const work{{.name = "good", .epoch_count = 16}};
        good = contents(path);
        good.resize(std::size_t{1} << 20);   // all that is used
        tslab::observer{path};
    }
    tslab::set_error_handler(nullptr);
    ::unsetenv("TSLAB_STATS_FILE");
    auto const opens = [&path](std::vector<char> const& bytes) {
        write(path, bytes);
        return fault_of([&] { tslab::observer{path}; });
    };
    for (std::size_t const n : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{40},
                                std::size_t{100}, std::size_t{4096}, std::size_t{20'000}})
        BOOST_TEST((opens({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)}) == observe_fault::damaged));
    std::vector<char> newer = good;
    newer[8] = 3;
    BOOST_TEST((opens(newer) == observe_fault::version));
    std::vector<char> random(good.size());
    std::mt19937 r{1};
    std::generate(random.begin(), random.end(), [&r] { return static_cast<char>(r()); });
    BOOST_TEST((opens(random) == observe_fault::damaged));
    // Random bytes behind a header that is right: whatever comes of it is a snapshot or an error.
    std::size_t read = 0;
    for (int round = 0; round < 300; ++round) {
        std::vector<char> bad = good;
        for (int n = 0; n < 1 + round * 4; ++n)
            bad[40 + r() % 200'000] = static_cast<char>(r());
        write(path, bad);
        try {
            tslab::observer o{path};
            for (tslab::snapshot const& s : o.read()) {
                static_cast<void>(tslab::to_json(s));
                static_cast<void>(tslab::diagnose(s));
                static_cast<void>(tslab::find_leaks(s, 0));
                ++read;
            }
            static_cast<void>(o.maps());
        } catch (tslab::observe_error const&) {
        }
    }
    BOOST_TEST(read > 10U);
    std::filesystem::remove(path);
}

// A reader beside a process in which all moves: no figure is absurd, no counter goes back.
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

// What leads out of the process's memory, or could not be held, is not followed: then it is not known what is live.
BOOST_AUTO_TEST_CASE(figures_that_cannot_be_are_not_believed)
{
    tslab::allocator heap{{.name = "astray", .reserve_bytes = std::size_t{64} << 20}};
    void* const p = heap.malloc(100);
    tslab::observer seen{::getpid()};
    BOOST_TEST(seen.read().at(0).live_known);
    tslab::heap_stats_page& published = heap.state().stats();
    std::uint32_t const first = published.pages.first_run.load();
    for (std::uint32_t const wrong : {std::uint32_t{1} << 20, std::uint32_t{1} << 27, ~std::uint32_t{0}}) {
        published.pages.first_run.store(wrong);
        BOOST_TEST(!seen.read().at(0).live_known);
        BOOST_TEST(seen.maps().at(0).runs.empty());
    }
    published.pages.first_run.store(first);
    BOOST_TEST(seen.read().at(0).live_known);
    BOOST_TEST(seen.read().at(0).global.live_objects == 1U);
    heap.free(p);
}

BOOST_AUTO_TEST_CASE(an_observer_can_be_handed_on)
{
    auto heap = std::make_unique<tslab::allocator>(tslab::allocator_options{.name = "one"});
    tslab::observer first{::getpid()};
    tslab::observer second{std::move(first)};
    BOOST_TEST(second.pid() == ::getpid());
    BOOST_TEST(second.read().at(0).name == "one");
    heap.reset();   // a process has one segment
    std::string const path = temporary("-handed-on");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    tslab::allocator const other{{.name = "other"}};
    ::unsetenv("TSLAB_STATS_FILE");
    second = tslab::observer{path};
    BOOST_TEST(second.pid() == 0);
    BOOST_TEST(second.read().at(0).name == "other");
}

BOOST_AUTO_TEST_CASE(a_file_may_be_named_after_its_process)
{
    std::string const path = temporary("-named-");
    ::setenv("TSLAB_STATS_FILE", (path + "%p.stats").c_str(), 1);
    tslab::allocator const heap{{.name = "named"}};
    ::unsetenv("TSLAB_STATS_FILE");
    BOOST_TEST(tslab::observer{path + std::to_string(::getpid()) + ".stats"}.read().at(0).name == "named");
}

// A file is looked at again for each reading.
BOOST_AUTO_TEST_CASE(a_file_that_changes_between_two_readings)
{
    std::string const path = temporary("-changes");
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    std::vector<char> good;
    {
        tslab::allocator const heap{{.name = "good", .epoch_count = 4}};
        good = contents(path);
        good.resize(std::size_t{1} << 20);   // all that is used
    }
    ::unsetenv("TSLAB_STATS_FILE");
    write(path, good);
    tslab::observer seen{path};
    BOOST_TEST(seen.read().at(0).name == "good");
    std::vector<char> begun = good;
    std::fill_n(begun.begin() + offsetof(tslab::segment_header, root), sizeof(std::uint64_t), '\0');
    write(path, begun);
    BOOST_TEST((fault_of([&] { static_cast<void>(seen.read()); }) == observe_fault::no_heap));
    write(path, std::vector<char>(good.size()));
    BOOST_TEST((fault_of([&] { static_cast<void>(seen.read()); }) == observe_fault::damaged));
    std::filesystem::remove(path);
}

BOOST_AUTO_TEST_CASE(without_a_descriptor_to_spare_nothing_can_be_looked_into)
{
    rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit const none{0, before.rlim_max};
    std::string text;
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    observe_fault const said = fault_of([] { tslab::observer{::getpid()}; }, &text);
    ::setrlimit(RLIMIT_NOFILE, &before);
    BOOST_TEST((said == observe_fault::system));
    BOOST_TEST(text.starts_with("process " + std::to_string(::getpid()) + " cannot be looked into: "));
}

// Whoever reads another process has that one's segment open, and is not that process.
BOOST_AUTO_TEST_CASE(the_segment_of_another_process_is_not_ones_own)
{
    process other{[](auto say) {
        tslab::allocator const heap{{.name = "theirs"}};
        say("made");
        for (;;)
            ::pause();
    }};
    other.line();
    int theirs = -1;
    for (auto const& file : std::filesystem::directory_iterator{"/proc/" + std::to_string(other.pid()) + "/fd"}) {
        std::error_code gone;
        if (std::filesystem::read_symlink(file, gone).string().starts_with("/memfd:tslab"))
            theirs = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    }
    BOOST_REQUIRE(theirs >= 0);
    BOOST_TEST((fault_of([] { tslab::observer{::getpid()}; }) == observe_fault::no_heap));
    auto const all = tslab::processes_with_heaps();
    BOOST_TEST(std::count(all.begin(), all.end(), ::getpid()) == 0);
    BOOST_TEST(std::count(all.begin(), all.end(), other.pid()) == 1);
    ::close(theirs);
}

// In a container it has another number of its own than outside.
BOOST_AUTO_TEST_CASE(a_process_in_a_container)
{
    process outer{[](auto say) {
        pid_t inner = -1;
        if (::unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 || ::unshare(CLONE_NEWPID) == 0)
            inner = ::fork();
        if (inner == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            tslab::allocator const heap{{.name = "contained"}};
            say("made by " + std::to_string(::getpid()));
            for (;;)
                ::pause();
        }
        say(std::to_string(inner));
    }};
    std::string const first = outer.line();
    if (first == "-1") {
        BOOST_TEST_MESSAGE("skipped: no process may make a container here");
        return;
    }
    std::string const second = outer.line();
    BOOST_TEST((first == "made by 1" || second == "made by 1"));
    pid_t const pid = static_cast<pid_t>(std::stoi(first == "made by 1" ? second : first));
    tslab::observer seen{pid};
    BOOST_TEST(seen.read().at(0).name == "contained");
    BOOST_TEST(seen.read().at(0).pid == 1);
}

BOOST_AUTO_TEST_CASE(a_busy_process)
{
    process other{[](auto say) {
        tslab::allocator heap{{.name = "busy", .epoch_count = 16}};
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 3; ++t)
            threads.emplace_back([&heap, t] {
                std::mt19937 r{t};
                for (;;) {
                    tslab::epoch_scope const scope{heap, "work"};
                    std::vector<std::pair<void*, std::size_t>> mine;
                    for (int i = 0; i < 200; ++i) {
                        std::size_t const n = 1 + r() % 3000;
                        mine.emplace_back(scope.resource()->allocate(n), n);
                    }
                    for (auto const& [p, n] : mine)
                        scope.resource()->deallocate(p, n);
                }
            });
        say("started");
        for (std::thread& t : threads)
            t.join();
    }};
    other.line();
    tslab::observer o{other.pid()};
    tslab::snapshot before;
    for (int i = 0; i < 100; ++i) {
        tslab::snapshot const s = o.read().at(0);
        BOOST_TEST(s.live_known);
        BOOST_TEST(s.global.live_bytes < 64U << 20);
        BOOST_TEST(s.global.allocations >= before.global.allocations);
        BOOST_TEST(s.global.frees >= before.global.frees);
        BOOST_TEST(s.global.frees <= s.global.allocations);
        BOOST_TEST(s.global.epoch_closes >= before.global.epoch_closes);
        for (tslab::epoch_stats const& e : s.epochs) {
            BOOST_TEST((e.label == "work" || e.label.empty()));
            BOOST_TEST(e.refcount <= 1U);
            BOOST_TEST(e.exits <= e.enters);
        }
        before = s;
    }
    BOOST_TEST(before.global.allocations > 0U);
}
