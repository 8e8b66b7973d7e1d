// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A plug-in that used tslab is closed while threads that called it live on. Hooks at a thread's end and around a fork are
// code of the plug-in, so what links tslab stays mapped; it can be opened again and goes on where it was. A program that links tslab
// itself then has two copies of it, each with a segment of its own: readers see the heaps of both.
#define BOOST_TEST_MODULE lifecycle_plugin
#include "places.hpp"
#include "recorder.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

class plugin {
public:
    plugin() : handle_{::dlopen(places::plugin, RTLD_NOW | RTLD_LOCAL)}
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
