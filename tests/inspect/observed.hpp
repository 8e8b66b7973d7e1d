// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the observer look at: a process with a busy heap, files, and which error an observer gives. Include it last: it
// imports tslab.
#pragma once
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <signal.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

namespace observed {

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
inline void forget_moment(tslab::snapshot& s)
{
    s.timestamp_ns = s.monotonic_ns = 0;
    for (tslab::epoch_stats& e : s.epochs) {
        e.age_seconds = e.closing_seconds = e.entered_seconds = 0;
        e.open_since_ns = 0;
    }
    for (tslab::phase_cost_stats& c : s.phase_costs)
        c.largest_timestamp_ns = 0;
    s.global.rss_bytes = 0;
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

inline observe_fault fault_of(std::function<void()> const& what, std::string* text = nullptr)
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

inline std::string temporary(char const* name)
{
    return (std::filesystem::temp_directory_path() / (std::string{"tslab-"} + std::to_string(::getpid()) + name))
        .string();
}

inline std::vector<char> contents(std::string const& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}
inline void write(std::string const& path, std::vector<char> const& bytes)
{
    std::ofstream{path, std::ios::binary}.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}
