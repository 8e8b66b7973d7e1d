// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A plug-in that used tslab is closed while threads that called it live on. Hooks at a thread's end and around a fork are
// code of the plug-in, so what links tslab stays mapped; it can be opened again and goes on where it was. A program that links tslab
// itself then has two copies of it, each with a segment of its own: readers see the heaps of both.
#define BOOST_TEST_MODULE lifecycle_plugin
#include "places.hpp"
#include "recorder.hpp"
#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

class plugin {
public:
    explicit plugin(char const* path = places::plugin) : handle_{::dlopen(path, RTLD_NOW | RTLD_LOCAL)}
    {
        char const* const why = handle_ == nullptr ? ::dlerror() : "";
        BOOST_REQUIRE_MESSAGE(handle_ != nullptr, why);
        begin = reinterpret_cast<void (*)()>(::dlsym(handle_, "plugin_begin"));
        work = reinterpret_cast<void (*)(std::size_t)>(::dlsym(handle_, "plugin_work"));
        end = reinterpret_cast<std::uint64_t (*)()>(::dlsym(handle_, "plugin_end"));
        BOOST_REQUIRE(begin != nullptr);
        BOOST_REQUIRE(work != nullptr);
        BOOST_REQUIRE(end != nullptr);
    }
    ~plugin() { ::dlclose(handle_); }
    plugin(plugin const&) = delete;
    plugin& operator=(plugin const&) = delete;

    void (*begin)() = nullptr;
    void (*work)(std::size_t) = nullptr;
    std::uint64_t (*end)() = nullptr;

private:
    void* handle_;
};

/// A library that protects its state around a fork, if it is told to.
struct guarded_library {
    std::mutex lock;
    std::atomic<bool> handles_forks{false};
    bool registered = ::pthread_atfork([] { change(true); }, [] { change(false); }, [] { change(false); }) == 0;

    static void change(bool take);
};
guarded_library library;

/// The descriptors of the process that are segments.
std::vector<int> segments()
{
    std::vector<int> found;
    for (auto const& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        int const number = std::stoi(entry.path().filename());
        std::uint64_t magic = 0;
        if (::pread(number, &magic, sizeof magic, 0) == sizeof magic && magic == tslab::segment_header::magic_number)
            found.push_back(number);
    }
    return found;
}

void guarded_library::change(bool take)
{
    if (library.handles_forks)
        take ? library.lock.lock() : library.lock.unlock();
}

}

BOOST_AUTO_TEST_CASE(threads_end_after_the_plug_in_they_called_was_closed)
{
    constexpr std::size_t threads = 8;
    constexpr std::size_t objects = 500;
    for (int round = 0; round < 3; ++round) {
        std::vector<std::unique_ptr<support::worker>> callers;
        for (std::size_t i = 0; i < threads; ++i)
            callers.push_back(std::make_unique<support::worker>());
        {
            plugin const p;
            p.begin();
            for (auto& one : callers)
                (*one)([&] { p.work(objects); });
            p.work(objects);
            BOOST_TEST(p.end() == 2 * objects * (threads + 1));
        }
        void* const still = ::dlopen(places::plugin, RTLD_NOW | RTLD_NOLOAD);
        BOOST_TEST((still != nullptr), "what links tslab must not be unmapped");
        if (still != nullptr)
            ::dlclose(still);
        pid_t const child = ::fork();   // its handlers are still there
        if (child == 0)
            ::_exit(0);
        int status = -1;
        ::waitpid(child, &status, 0);
        BOOST_TEST(status == 0);
        callers.clear();   // the threads end
    }
}

BOOST_AUTO_TEST_CASE(readers_see_the_heaps_of_both_copies)
{
    tslab::allocator const host{{.name = "host"}};
    plugin const p;
    p.begin();
    p.work(10);
    for (int i = 0; i < 2; ++i) {
        auto const seen = tslab::observer{::getpid()}.read({.residency = false});
        BOOST_REQUIRE(seen.size() == 2U);
        BOOST_TEST(seen[0].name == "host");   // its segment was made first
        BOOST_TEST(seen[0].global.allocations == 0U);
        BOOST_TEST(seen[1].global.allocations == 20U);
    }
    BOOST_TEST(p.end() == 20U);
    BOOST_TEST(tslab::observer{::getpid()}.read({.residency = false}).size() == 1U);
}

// The plug-in's copy publishes another format, as one of another version does.
BOOST_AUTO_TEST_CASE(a_process_with_a_copy_of_another_version_is_refused_as_a_whole)
{
    tslab::allocator const host{{.name = "host"}};
    std::vector<int> const before = segments();
    plugin const p;
    p.begin();
    std::vector<int> const now = segments();
    BOOST_REQUIRE(now.size() == before.size() + 1);
    int made = -1;
    for (int const one : now)
        if (std::find(before.begin(), before.end(), one) == before.end())
            made = one;
    std::uint64_t address = 0;   // where the process has it; the file itself takes no writing
    BOOST_REQUIRE(::pread(made, &address, sizeof address, offsetof(tslab::segment_header, extents)) == sizeof address);
    auto& format = *reinterpret_cast<std::uint32_t*>(address + offsetof(tslab::segment_header, format));
    BOOST_REQUIRE(format == tslab::segment_header::format_number);
    tslab::observer o{::getpid()};
    ++format;
    BOOST_CHECK_EXCEPTION(static_cast<void>(o.read()), tslab::observe_error, [](tslab::observe_error const& e) {
        return e.fault() == tslab::observe_fault::version &&
               std::string_view{e.what()}.find("another version of tslab (format ") != std::string_view::npos;
    });
    p.work(10);   // which works all the same
    --format;
    BOOST_TEST(o.read({.residency = false}).size() == 2U);
    BOOST_TEST(p.end() == 20U);
}

// A host with a library that knows nothing of tslab and registered its fork handler long ago; the plug-in with tslab inside
// is opened later. The library allocates in the plug-in while it holds its lock.
BOOST_AUTO_TEST_CASE(a_fork_beside_a_plug_in_that_is_younger_than_a_fork_handler)
{
    if (__has_feature(thread_sanitizer))
        return;   // the gate is not lifted there: see fork_gate.cpp
    BOOST_TEST(!library.handles_forks.load());
    std::filesystem::path const copy =
        std::filesystem::temp_directory_path() / ("tslab-plugin-" + std::to_string(::getpid()) + ".so");
    std::filesystem::copy_file(places::plugin, copy, std::filesystem::copy_options::overwrite_existing);
    plugin const p{copy.c_str()};   // a copy of its own: its handlers are registered now
    std::filesystem::remove(copy);
    p.begin();
    library.handles_forks = true;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> rounds{0};
    std::thread other{[&] {
        while (!stop.load()) {
            std::lock_guard const guard{library.lock};
            p.work(100);
            ++rounds;
        }
    }};
    for (int i = 0; i < 30; ++i) {
        pid_t const child = ::fork();
        if (child == 0) {
            ::alarm(60);
            std::lock_guard const guard{library.lock};
            p.work(100);
            ::_exit(0);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        BOOST_REQUIRE(status == 0);
    }
    stop = true;
    other.join();
    library.handles_forks = false;
    BOOST_TEST(p.end() == 200U * rounds.load());
}

// glibc keeps some 1,600 bytes of static thread-local storage for all that is opened late.
BOOST_AUTO_TEST_CASE(many_plug_ins_with_copies_of_their_own_fit_one_process)
{
    pid_t const child = ::fork();   // what links tslab stays mapped
    if (child == 0) {
        std::filesystem::path const copy =
            std::filesystem::temp_directory_path() / ("tslab-plugins-" + std::to_string(::getpid()) + ".so");
        int open = 0;
        for (; open < 60; ++open) {
            std::filesystem::copy_file(places::plugin, copy);
            void* const handle = ::dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
            std::filesystem::remove(copy);
            if (handle == nullptr)
                break;
            reinterpret_cast<void (*)()>(::dlsym(handle, "plugin_begin"))();
            reinterpret_cast<void (*)(std::size_t)>(::dlsym(handle, "plugin_work"))(10);
        }
        ::_exit(open);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 60));
}

BOOST_AUTO_TEST_CASE(two_copies_do_not_take_each_others_file)
{
    std::string const path =
        (std::filesystem::temp_directory_path() / ("tslab-" + std::to_string(::getpid()) + "-copies")).string();
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    {
        tslab::allocator const host{{.name = "host"}};
        plugin const p;
        p.begin();
        BOOST_TEST(tslab::observer{path}.read().at(0).name == "host");
        BOOST_TEST(tslab::observer{path + ".2"}.read().size() == 1U);
        BOOST_TEST(!std::filesystem::exists(path + ".old"));
        p.end();
        BOOST_TEST(!std::filesystem::exists(path + ".2"));
    }
    BOOST_TEST(!std::filesystem::exists(path));
    ::unsetenv("TSLAB_STATS_FILE");
}
