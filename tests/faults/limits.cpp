// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Limits that the kernel enforces, each in a process of its own: of address space, of writable memory, of open files, of
// file sizes, and of a control group. What is refused is refused by bad_alloc or null, and all goes on when memory is given
// back.
#define BOOST_TEST_MODULE faults_limits
#include "death.hpp"
#include "stress_roles.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory_resource>
#include <new>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>
import tslab.internal;

namespace {

using death::must;
using tslab::allocator;

void limit(int what, rlim_t amount)
{
    rlimit const l{amount, amount};
    must(::setrlimit(static_cast<__rlimit_resource>(what), &l) == 0, "setrlimit");
}

[[maybe_unused]] rlim_t address_space()
{
    unsigned long pages = 0;
    std::FILE* const f = std::fopen("/proc/self/statm", "r");
    must(f != nullptr && std::fscanf(f, "%lu", &pages) == 1, "statm");
    std::fclose(f);
    return rlim_t{pages} * 4096;
}

/// Address space that is put by: a heap takes all that there is, and what is asked of it afterwards wants some from malloc.
class [[maybe_unused]] ballast {
public:
    ballast() : at_{::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)} {}
    ~ballast() { drop(); }
    ballast(ballast const&) = delete;
    ballast& operator=(ballast const&) = delete;
    void drop()
    {
        if (at_ != MAP_FAILED)
            ::munmap(at_, bytes);
        at_ = MAP_FAILED;
    }

private:
    static constexpr std::size_t bytes = std::size_t{32} << 20;
    void* at_;
};

/// Takes objects of every size from a resource until it throws, finds them whole, gives them back, and can take as much
/// again.
[[maybe_unused]] void fill_and_go_on(allocator& heap)
{
    std::vector<stress::object> all;
    all.reserve(1'000'000);   // before memory is out
    std::size_t first = 0;
    for (int round = 0; round < 3; ++round) {
        std::size_t bytes = 0;
        {
            ballast spare;
            tslab::epoch_resource r{heap, {.label = "fill"}};
            bool thrown = false;
            stress::random_source random{7};   // the same sizes in each round
            while (!thrown) {
                std::size_t const size = all.size() % 1000 == 999 ? 1'000'000 : stress::mixed_size(random);
                try {
                    all.push_back({static_cast<std::byte*>(r.allocate(size)), size, random()});
                    all.back().fill();
                    bytes += size;
                } catch (tslab::epoch_closed const&) {
                    must(false, "memory is out, and the epoch is said to be closed");
                } catch (std::bad_alloc const&) {
                    thrown = true;
                }
                must(all.size() < all.capacity(), "nothing is ever refused");
            }
            spare.drop();
            tslab::snapshot const s = heap.snapshot();
            must(s.global.live_objects == all.size(), "the objects that live are not those that were got");
            must(s.global.allocations - s.global.frees == all.size(), "allocations less frees are not what lives");
            must(s.global.out_of_memory > 0, "the refusal is not counted");
            // With memory out, what is smaller may still be had, and frees make room at once.
            for (stress::object const& o : all)
                must(o.intact(), "an object is spoilt");
            for (std::size_t i = 0; i < all.size(); i += 2) {
                r.deallocate(all[i].p, all[i].size);
                all[i].p = nullptr;
            }
            void* const p = r.allocate(100);
            r.deallocate(p, 100);
            for (stress::object const& o : all)
                if (o.p != nullptr) {
                    must(o.intact(), "an object is spoilt");
                    r.deallocate(o.p, o.size);
                }
            all.clear();
        }
        heap.trim();
        must(heap.snapshot().global.live_objects == 0, "something was lost");
        if (round == 0)
            first = bytes;
        must(bytes >= first * 9 / 10 && bytes > 1'000'000, "what was given back cannot be had again");
    }
    stress::close_everything(heap);
    std::string const wrong = stress::wrong_with(heap);
    must(wrong.empty(), wrong.c_str());
}

/// The group this process is in, and a new one below it with so much memory; empty where none can be made.
class group {
public:
    explicit group(std::size_t bytes)
    {
        for (auto const& [root, controller, limit_file] :
             {std::array<std::string, 3>{"/sys/fs/cgroup", "", "memory.max"},
              std::array<std::string, 3>{"/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes"}}) {
            std::string const own = group_of_this_process(controller);
            for (std::string const& parent : {root + own, root}) {
                std::string const made = parent + "/tslab-test-" + std::to_string(::getpid());
                if (::access((parent + "/cgroup.procs").c_str(), W_OK) != 0 || ::mkdir(made.c_str(), 0700) != 0)
                    continue;
                path_ = made;
                if (write(limit_file, std::to_string(bytes)))
                    return;
                remove();
            }
        }
    }
    ~group() { remove(); }
    group(group const&) = delete;
    group& operator=(group const&) = delete;

    [[nodiscard]] bool made() const { return !path_.empty(); }
    [[nodiscard]] std::string const& path() const { return path_; }
    /// The calling process, from now on.
    [[nodiscard]] bool enter() const { return write("cgroup.procs", std::to_string(::getpid())); }

private:
    static std::string group_of_this_process(std::string const& controller)
    {
        std::ifstream in{"/proc/self/cgroup"};   // number:controllers:path
        for (std::string line; std::getline(in, line);) {
            std::size_t const a = line.find(':');
            std::size_t const b = line.find(':', a + 1);
            if (b != std::string::npos && line.substr(a + 1, b - a - 1) == controller)
                return line.substr(b + 1) == "/" ? "" : line.substr(b + 1);
        }
        return "";
    }
    [[nodiscard]] bool write(std::string const& file, std::string const& text) const
    {
        int const fd = ::open((path_ + '/' + file).c_str(), O_WRONLY | O_CLOEXEC);
        bool const done = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
        if (fd >= 0)
            ::close(fd);
        return done;
    }
    void remove()
    {
        // The kernel may take a moment after the last process in it has gone.
        for (int i = 0; !path_.empty() && ::rmdir(path_.c_str()) != 0 && i < 100; ++i)
            ::usleep(20'000);
        path_.clear();
    }

    std::string path_;
};

}

#if !defined(TSLAB_SANITIZED)   // these have terabytes of address space of their own, and memory beside the program's

BOOST_AUTO_TEST_CASE(of_address_space)
{
    for (unsigned const megabytes : {300U, 500U})
        TSLAB_SURVIVES("", [megabytes](death::notes&) {
            limit(RLIMIT_AS, address_space() + (rlim_t{megabytes} << 20));
            allocator heap{{.name = "limited"}};
            fill_and_go_on(heap);
        });
}

BOOST_AUTO_TEST_CASE(of_address_space_heap_by_heap)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        limit(RLIMIT_AS, address_space() + (rlim_t{24} << 20));
        for (int round = 0; round < 3; ++round) {
            std::vector<std::optional<allocator>> heaps(1000);
            std::size_t made = 0;
            try {
                for (auto& one : heaps) {
                    one.emplace(tslab::allocator_options{
                        .name = "one of many", .epoch_count = 4, .reserve_bytes = std::size_t{16} << 20});
                    ++made;
                }
            } catch (std::bad_alloc const&) {
            }
            must(made > 2 && made < heaps.size(), "address space never ends, or is not there");
            // Pages are taken when they are needed: the last ones get what the others had.
            for (std::size_t i = 0; i + 2 < made; ++i)
                heaps[i].reset();
            for (std::size_t i = made - 2; i < made; ++i) {
                void* const p = heaps[i]->malloc(500);
                must(p != nullptr, "a heap that was made has no memory");
                heaps[i]->free(p);
            }
        }
    });
}

// For the copy that a child's statistics are to be made of: then they are made of what the parent's are by then.
BOOST_AUTO_TEST_CASE(of_address_space_at_a_fork)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        allocator heap{{.name = "forking", .epoch_count = 8, .reserve_bytes = std::size_t{64} << 20}};
        bool const published = heap.state().published().is_published();
        void* const p = heap.malloc(300);
        rlimit const none{RLIM_INFINITY, RLIM_INFINITY};
        rlimit const all_that_there_is{address_space(), RLIM_INFINITY};
        must(::setrlimit(RLIMIT_AS, &all_that_there_is) == 0, "setrlimit");
        pid_t const child = ::fork();
        must(::setrlimit(RLIMIT_AS, &none) == 0, "setrlimit");
        if (child == 0) {
            tslab::snapshot const s = heap.snapshot();
            must(s.pid == ::getpid() && s.global.live_objects == 1 && s.global.allocations == 1, "the child's figures");
            must(heap.state().published().is_published() == published, "the child is not published");
            heap.free(p);
            must(heap.snapshot().global.frees == 1, "the child's frees");
            ::_exit(0);
        }
        int status = 0;
        must(::waitpid(child, &status, 0) == child && status == 0, "the child");
        must(heap.snapshot().global.frees == 0, "the child counts for its parent");
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(of_writable_memory)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        limit(RLIMIT_DATA, rlim_t{256} << 20);
        allocator heap{{.name = "limited"}};
        fill_and_go_on(heap);
    });
}

// A process that has as many mappings as it may have cannot unmap the middle of one (vm.max_map_count): the memory goes, the addresses
// serve the next that needs some, and they go when there is room again.
BOOST_AUTO_TEST_CASE(as_many_mappings_as_there_may_be)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        std::size_t most = 0;
        must((std::ifstream{"/proc/sys/vm/max_map_count"} >> most) && most != 0, "max_map_count");
        constexpr std::size_t bytes = std::size_t{8} << 20;
        allocator heap{{.name = "mappings", .publish = false}};
        std::array<void*, 3> all{};
        for (void*& p : all) {
            p = heap.malloc(bytes);
            must(p != nullptr, "no memory");
            std::memset(p, 1, bytes);
        }
        // Every second page may be read: each is a mapping of its own, until there are enough of them.
        std::size_t const pages = most + 1000;
        void* const others =
            ::mmap(nullptr, pages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        must(others != MAP_FAILED, "mmap");
        std::size_t i = 0;
        while (i < pages && ::mprotect(static_cast<std::byte*>(others) + i * 4096, 4096, PROT_READ) == 0)
            i += 2;
        must(i < pages, "there is no limit");
        heap.free(all[1]);
        heap.trim();
        must(heap.snapshot().global.unmap_failures == 1, "the refusal is not counted");
        must(tslab::resident_bytes(all[1], bytes) == 0, "memory stays");
        // No further mapping is to be had, and none is needed.
        void* const again = heap.malloc(bytes);
        must(again != nullptr, "the addresses are lost");
        std::memset(again, 1, bytes);
        heap.free(again);
        heap.trim();
        must(heap.snapshot().global.unmap_failures == 2, "the second refusal is not counted");
        ::munmap(others, pages * 4096);
        heap.free(all[0]);
        heap.free(all[2]);
        heap.trim();
        must(heap.snapshot().global.unmap_failures == 2, "refused although there is room");
        std::array<unsigned char, 1> there{};
        for (void* const p : all)
            must(::mincore(p, 4096, there.data()) != 0, "addresses stay mapped");
    });
}

// What is published of a heap lies in memory that this limit does not count: being refused a thread cache must not take of it each time.
BOOST_AUTO_TEST_CASE(refusals_under_a_limit_take_no_memory)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        limit(RLIMIT_DATA, rlim_t{192} << 20);
        allocator heap{{.name = "limited"}};
        std::vector<void*> all;
        all.reserve(1'000'000);
        std::vector<std::optional<tslab::epoch_resource>> resources(100);
        while (void* const p = heap.malloc(768))
            all.push_back(p);
        // Thread caches until there is no memory for another.
        for (auto& one : resources)
            one.emplace(heap);
        std::uint64_t const before = heap.state().published().committed_bytes();
        std::uint64_t refused = 0;
        for (int i = 0; i < 200'000; ++i)
            try {
                static_cast<void>(resources[static_cast<std::size_t>(i) % resources.size()]->allocate(64));
            } catch (std::bad_alloc const&) {
                ++refused;
            }
        must(refused > 100'000, "nothing is refused");
        std::uint64_t const after = heap.state().published().committed_bytes();
        must(after - before <= std::uint64_t{1} << 20, "each refusal takes memory");
        for (auto& r : resources)
            r->release();
        resources.clear();
        for (void* const p : all)
            heap.free(p);
    });
}

#endif

BOOST_AUTO_TEST_CASE(of_open_files_and_of_file_sizes)
{
    for (int const what : {RLIMIT_NOFILE, RLIMIT_FSIZE})
        TSLAB_SURVIVES("", [what](death::notes&) {
            if (what == RLIMIT_NOFILE) {
                while (::dup(0) >= 0 || ::open("/dev/null", O_RDONLY) >= 0) {
                }
                limit(what, 3);
            } else {
                limit(what, 4096);
            }
            allocator heap{{.name = "unpublished", .reserve_bytes = std::size_t{64} << 20}};
            must(!heap.state().published().is_published(), "there is a file all the same");
            std::vector<void*> all;
            for (std::size_t i = 0; i < 2000; ++i) {
                all.push_back(heap.malloc(i));
                must(all.back() != nullptr, "no memory");
            }
            for (void* const p : all)
                heap.free(p);
            stress::close_everything(heap);
            std::string const wrong = stress::wrong_with(heap);
            must(wrong.empty(), wrong.c_str());
        });
}

// In a group of 96 MiB: phase after phase of 40 MiB, of other sizes each time. Unless what a phase had goes back, the kernel
// ends the process.
BOOST_AUTO_TEST_CASE(of_a_control_group)
{
    constexpr std::size_t room = std::size_t{96} << 20;
    group const limited{room};
    if (!limited.made()) {
        std::printf("skipped: no control group with a limit of memory can be made here\n");
        BOOST_TEST_MESSAGE("skipped: no control group with a limit of memory can be made here");
        return;
    }
    std::printf("control group %s\n", limited.path().c_str());
    auto const phases = [&](bool go_back) {
        return death::of([&](death::notes& noted) {
            must(limited.enter(), "the group does not let us in");
            allocator heap{{.name = "grouped"}};
            std::vector<void*> all;
            all.reserve(1'500'000);
            for (unsigned phase = 0; phase < 16; ++phase) {
                std::size_t const size = std::array{64U, 700U, 3000U, 30'000U, 300'000U}.at(phase % 5);
                tslab::epoch_id const e = heap.current_epoch();
                for (std::size_t bytes = 0; bytes < (std::size_t{40} << 20); bytes += size) {
                    all.push_back(heap.malloc(size));
                    must(all.back() != nullptr, "no memory");
                    std::memset(all.back(), 1, size);
                }
                if (go_back) {
                    for (void* const p : all)
                        heap.free(p);
                    all.clear();
                    must(heap.close(e).found || !heap.is_active(e), "the epoch is gone before its close");
                }
                ++noted.number[0];
            }
        });
    };
    death::outcome const kept_in_bounds = phases(true);
    BOOST_TEST(kept_in_bounds.end == "exit 0");
    BOOST_TEST(kept_in_bounds.noted.number[0] == 16U);
    BOOST_TEST(kept_in_bounds.text == "");
#if !defined(TSLAB_SANITIZED)
    death::outcome const too_much = phases(false);   // the limit is there: who keeps everything is ended
    BOOST_TEST(too_much.end == "signal 9");
    BOOST_TEST(too_much.noted.number[0] < 4U);
#endif
}
