// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The statistics file is removed by the process that made it, and no other file is; and no descriptor of the library is
// one of the standard streams, however many of those are closed, so no message is ever written into a file of it.
#define BOOST_TEST_MODULE lifecycle_files
#include <array>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "recorder.hpp"

namespace fs = std::filesystem;

namespace {

/// A folder of its own, removed with all that is in it.
class folder {
public:
    folder()
    {
        std::string name = fs::temp_directory_path() / "tslab-files-XXXXXX";
        BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~folder()
    {
        ::unsetenv("TSLAB_STATS_FILE");
        fs::remove_all(path_);
    }
    folder(folder const&) = delete;
    folder& operator=(folder const&) = delete;
    [[nodiscard]] std::string operator/(char const* name) const { return path_ / name; }

private:
    fs::path path_;
};

std::string text_of(std::string const& path)
{
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::unique_ptr<tslab::allocator> heap_named(char const* name)
{
    return std::make_unique<tslab::allocator>(tslab::allocator_options{.name = name});
}

/// A process with a heap, in a forked child; it ends in order, or is killed.
class process {
public:
    template <class Before> process(char const* name, Before before)
    {
        std::array<int, 2> up{};
        std::array<int, 2> down{};
        BOOST_REQUIRE((::pipe(up.data()) == 0 && ::pipe(down.data()) == 0));
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(up[0]);
            ::close(down[1]);
            {
                auto const heap = heap_named(name);
                before();
                char c = 'r';
                static_cast<void>(!::write(up[1], &c, 1));
                static_cast<void>(!::read(down[0], &c, 1));
            }
            ::_exit(0);
        }
        ::close(up[1]);
        ::close(down[0]);
        say_ = down[1];
        char c = 0;
        BOOST_REQUIRE(::read(up[0], &c, 1) == 1);
        ::close(up[0]);
    }
    ~process() { end(0); }
    process(process const&) = delete;
    process& operator=(process const&) = delete;

    void end(int signal = 0)
    {
        if (pid_ == 0)
            return;
        // A byte, since later processes have inherited the pipe.
        if (signal != 0)
            ::kill(pid_, signal);
        else
            static_cast<void>(!::write(say_, "e", 1));
        ::close(say_);
        ::waitpid(std::exchange(pid_, 0), nullptr, 0);
    }

private:
    pid_t pid_ = 0;
    int say_ = -1;
};

std::string heap_in(std::string const& file)
{
    try {
        return tslab::observer{file}.read({.residency = false}).at(0).name;
    } catch (std::exception const& e) {
        return e.what();
    }
}

void nothing() {}

}

BOOST_AUTO_TEST_CASE(a_process_that_ends_leaves_its_successors_file)
{
    folder const f;
    std::string const path = f / "stats";
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    process older{"older", nothing};
    process newer{"newer", nothing};
    BOOST_TEST(heap_in(path) == "newer");
    older.end();
    BOOST_TEST(heap_in(path) == "newer");
    BOOST_TEST(!fs::exists(path + ".old"));   // its own, under the name that it has by now
    newer.end(SIGKILL);
    BOOST_TEST(heap_in(path) == "newer");   // outlives it
}

// In a container every run of a program may have the same pid.
BOOST_AUTO_TEST_CASE(a_file_of_an_earlier_run_with_the_same_pid_is_not_taken_for_ones_own)
{
    folder const f;
    std::string const path = f / "stats";
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    auto heap = heap_named("earlier");
    fs::copy_file(path, f / "left");
    heap.reset();
    for (bool const of_this_run : {true, false}) {
        fs::copy_file(f / "left", path, fs::copy_options::overwrite_existing);
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        file.seekp(offsetof(tslab::segment_header, program));
        if (!of_this_run)
            file.write("another one", sizeof(std::uint64_t));
        file.close();
        heap = heap_named("present");
        BOOST_TEST(heap_in(path) == (of_this_run ? "earlier" : "present"));
        BOOST_TEST(fs::exists(path + ".2") == of_this_run);   // as for another copy of the library
        heap.reset();
    }
}

BOOST_AUTO_TEST_CASE(a_relative_name_means_the_folder_that_it_was_made_in)
{
    folder const f;
    fs::path const here = fs::current_path();
    fs::create_directory(f / "a");
    fs::create_directory(f / "b");
    ::setenv("TSLAB_STATS_FILE", "stats", 1);
    fs::current_path(f / "b");
    process other{"other", nothing};
    fs::current_path(f / "a");
    process daemon{"daemon", [&] { fs::current_path(f / "b"); }};
    fs::current_path(here);
    daemon.end();
    BOOST_TEST(!fs::exists(f / "a/stats"));
    BOOST_TEST(heap_in(f / "b/stats") == "other");
}

BOOST_AUTO_TEST_CASE(a_file_that_took_the_place_stays)
{
    folder const f;
    std::string const path = f / "stats";
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    auto heap = heap_named("replaced");
    fs::remove(path);
    std::ofstream{path} << "of another program";
    heap.reset();
    BOOST_TEST(text_of(path) == "of another program");
    fs::remove(path);
    heap = heap_named("renamed");
    fs::rename(path, f / "elsewhere");
    heap.reset();
    BOOST_TEST(fs::exists(f / "elsewhere"));
}

// A name may be mistaken: a log's, say. What is there is neither renamed, nor replaced by a file that is renamed.
BOOST_AUTO_TEST_CASE(a_file_of_another_program_is_left_alone)
{
    folder const f;
    std::string const path = f / "stats";
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    std::ofstream{path} << "of another program";
    auto heap = heap_named("unpublished");
    heap->free(heap->malloc(100));
    heap.reset();
    BOOST_TEST(text_of(path) == "of another program");
    BOOST_TEST(!fs::exists(path + ".old"));
    fs::remove(path);
    process killed{"killed", nothing};
    killed.end(SIGKILL);
    std::ofstream{path + ".old"} << "of another program";
    heap = heap_named("unpublished");
    BOOST_TEST(heap_in(path) == "killed");
    heap.reset();
    BOOST_TEST(heap_in(path) == "killed");
    BOOST_TEST(text_of(path + ".old") == "of another program");
    fs::remove(path + ".old");
    heap = heap_named("published");
    BOOST_TEST(heap_in(path) == "published");
    BOOST_TEST(heap_in(path + ".old") == "killed");
}

BOOST_AUTO_TEST_CASE(a_child_does_not_remove_its_parents_file)
{
    folder const f;
    std::string const path = f / "stats";
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    auto heap = heap_named("parent");
    auto const wait = [](pid_t pid) {
        int status = -1;
        ::waitpid(pid, &status, 0);
        return status;
    };
    pid_t pid = ::fork();
    if (pid == 0) {
        heap.reset();
        ::_exit(0);
    }
    BOOST_TEST(wait(pid) == 0);
    BOOST_TEST(heap_in(path) == "parent");
    pid = static_cast<pid_t>(::syscall(SYS_fork));   // without fork handlers
    if (pid == 0) {
        heap.reset();
        ::_exit(0);
    }
    BOOST_TEST(wait(pid) == 0);
    BOOST_TEST(fs::exists(path));
    heap.reset();
    BOOST_TEST(!fs::exists(path));
}

// A daemon that has closed its streams rather than opened /dev/null. Whatever descriptors the library opens, none gets one
// of their numbers: not the segment's, not the purge thread's, not those of a forked child.
BOOST_AUTO_TEST_CASE(no_descriptor_is_a_standard_stream)
{
    folder const f;
    for (char const* const file : {"", "stats"})
        for (unsigned closed = 1; closed < 8; ++closed) {
            BOOST_TEST_CONTEXT("streams " << closed << ", file " << file)
            {
                if (*file != '\0')
                    ::setenv("TSLAB_STATS_FILE", (f / file).c_str(), 1);
                std::array<int, 2> up{};
                BOOST_REQUIRE(::pipe(up.data()) == 0);
                pid_t const daemon = ::fork();
                if (daemon == 0) {
                    ::alarm(60);
                    int const say = ::fcntl(up[1], F_DUPFD_CLOEXEC, 50);
                    for (int n = 0; n < 50; ++n)
                        if (n > 2 || (closed >> n & 1U) != 0)
                            ::close(n);
                    auto const streams_stay_closed = [closed] {
                        for (int n = 0; n < 3; ++n)
                            if ((closed >> n & 1U) != 0 && ::fcntl(n, F_GETFD) != -1)
                                return false;
                        return true;
                    };
                    tslab::allocator heap{{.name = "daemon", .background_purge = true}};
                    bool right = heap.malloc(100) != nullptr && streams_stay_closed();
                    pid_t const child = ::fork();
                    if (child == 0)
                        ::_exit(streams_stay_closed() && heap.malloc(5000) != nullptr && streams_stay_closed() ? 0 : 1);
                    int status = -1;
                    ::waitpid(child, &status, 0);
                    right = right && status == 0;
                    char const message[] = "a library has something to say\n";
                    for (int n = 0; n < 3; ++n)
                        if ((closed >> n & 1U) != 0)
                            right = right && ::write(n, message, sizeof(message)) == -1;
                    char const c = right ? 'r' : 'w';
                    static_cast<void>(!::write(say, &c, 1));
                    for (;;)
                        ::pause();
                }
                ::close(up[1]);
                char c = 0;
                BOOST_TEST((::read(up[0], &c, 1) == 1 && c == 'r'));
                ::close(up[0]);
                BOOST_TEST(tslab::observer{daemon}.read({.residency = false}).at(0).name == "daemon");
                ::kill(daemon, SIGKILL);
                ::waitpid(daemon, nullptr, 0);
                if (*file != '\0')
                    BOOST_TEST(heap_in(f / file) == "daemon");
            }
        }
}
