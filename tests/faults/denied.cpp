// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process that is denied a system call for good, as a sandbox does it: with a seccomp filter, so that the kernel itself
// says no, also where no seam is. What tslab can do without, it does without; what the call was for is reported as not known.
#define BOOST_TEST_MODULE faults_denied
#include "death.hpp"
#include "stress.hpp"
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <new>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

namespace {

using death::must;

constexpr int no_filter = 77;

/// From now on call `number` of this process fails with `error`. Ends the process where there are no filters.
void deny(long number, int error)
{
    std::array program{
        sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(number)},
        sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA)},
        sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    sock_fprog const filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        ::_exit(no_filter);
}

/// Phases, threads, scopes, closes and snapshots; all that is live is counted exactly and goes.
void use(tslab::allocator& heap)
{
    for (int round = 0; round < 3; ++round) {
        tslab::epoch_id const e = heap.current_epoch();
        std::vector<stress::object> all;
        for (std::size_t bytes = 1; bytes < 200'000; bytes = bytes * 3 / 2 + 7) {
            all.push_back({static_cast<std::byte*>(heap.malloc(bytes)), bytes, bytes});
            must(all.back().p != nullptr, "no memory");
            all.back().fill();
        }
        std::thread{[&] {
            tslab::epoch_scope const scope{heap, "scope"};
            scope.resource()->deallocate(scope.resource()->allocate(100), 100);
            heap.free(heap.malloc(300));
        }}.join();
        must(heap.snapshot().global.live_objects == all.size(), "live objects");
        heap.close(e);
        for (stress::object const& o : all) {
            must(o.intact(), "an object is spoilt");
            heap.free(o.p);
        }
        heap.trim();
    }
    stress::close_everything(heap);
    std::string const wrong = stress::wrong_with(heap);
    must(wrong.empty(), wrong.c_str());
}

struct denial {
    char const* name;
    long number;
    int error;
};

/// False where the machine has no filters.
bool survives(denial const& d, bool before_the_heap)
{
    death::outcome const end = death::of([&](death::notes&) {
        tslab::allocator_options const o{.epoch_count = 8, .reserve_bytes = std::size_t{64} << 20};
        if (before_the_heap)
            deny(d.number, d.error);
        tslab::allocator heap{o};
        use(heap);
        if (!before_the_heap) {
            deny(d.number, d.error);
            use(heap);
        }
        tslab::allocator another{o};
        use(another);
    });
    if (end.end == "exit " + std::to_string(no_filter))
        return false;
    BOOST_TEST(end.text == "", d.name << (before_the_heap ? ", before the heap: " : ", later: ") << end.text);
    BOOST_TEST(end.end == "exit 0", d.name << (before_the_heap ? ", before the heap: " : ", later: ") << end.end);
    return true;
}

}

BOOST_AUTO_TEST_CASE(calls_that_can_be_done_without)
{
    std::array const all{
        denial{"madvise", SYS_madvise, ENOMEM},
        denial{"mincore", SYS_mincore, ENOMEM},
        denial{"memfd_create", SYS_memfd_create, EMFILE},
        denial{"ftruncate", SYS_ftruncate, EIO},
        denial{"fallocate", SYS_fallocate, ENOSPC},
        denial{"fcntl", SYS_fcntl, EPERM},
        denial{"openat", SYS_openat, EMFILE},
        denial{"read", SYS_read, EIO},
        denial{"sched_yield", SYS_sched_yield, EPERM},
        denial{"getrusage", SYS_getrusage, EPERM},
    };
    for (denial const& d : all)
        for (bool const before : {true, false})
            if (!survives(d, before)) {
                std::printf("skipped: no seccomp filters here\n");
                return;
            }
    survives({"membarrier", SYS_membarrier, ENOSYS}, true);
}

// The heap was promised barriers, and threads rely on them: it cannot go on.
BOOST_AUTO_TEST_CASE(membarrier_denied_to_a_process_that_relies_on_it)
{
    for (bool const denied : {true, false}) {
        death::outcome const end = death::of([&](death::notes& noted) {
            tslab::allocator heap{{.epoch_count = 8, .reserve_bytes = std::size_t{64} << 20}};
            heap.free(heap.malloc(10));
            noted.number[0] = tslab::barrier_by_kernel.load() ? 1 : 0;
            if (denied)
                deny(SYS_membarrier, EPERM);
            support::worker other;
            other([&] { heap.free(heap.malloc(300)); });   // and stays, with a claim for the close to take
            heap.close(heap.current_epoch());
        });
        if (end.end == "exit " + std::to_string(no_filter))
            return;
        bool const relied = denied && end.noted.number[0] != 0;
        BOOST_TEST(end.text == (relied ? "tslab: the kernel refuses membarrier, which it granted when the first heap "
                                         "was made; going on would "
                                         "not be safe\n"
                                       : ""));
        BOOST_TEST(end.end == (relied ? "SIGABRT" : "exit 0"));
    }
}

// A child that can have no segment of its own, nor exchange the parent's for a copy, counts in the parent's: wrong figures, and no
// other harm.
BOOST_AUTO_TEST_CASE(a_forked_child_is_denied_statistics_of_its_own)
{
    death::outcome const end = death::of([](death::notes&) {
        tslab::allocator heap{{.epoch_count = 8, .reserve_bytes = std::size_t{64} << 20}};
        stress::object const o{static_cast<std::byte*>(heap.malloc(100)), 100, 1};
        o.fill();
        deny(SYS_memfd_create, EMFILE);
        deny(SYS_mremap, ENOMEM);
        pid_t const child = ::fork();
        if (child == 0) {
            must(o.intact() && heap.snapshot().global.live_objects == 1, "the child's objects");
            heap.free(o.p);
            use(heap);
            ::_exit(0);
        }
        int status = 0;
        must(::waitpid(child, &status, 0) == child && status == 0, "the child");
        must(o.intact() && heap.snapshot().global.live_objects == 1, "the parent's objects");
        heap.free(o.p);
        must(heap.snapshot().global.live_objects == 0, "something is live");
        void* const p = heap.malloc(100);
        must(p != nullptr, "no memory");
        heap.free(p);
    });
    if (end.end == "exit " + std::to_string(no_filter))
        return;
    BOOST_TEST(end.text == "");
    BOOST_TEST(end.end == "exit 0");
}

// A reader of another process gets its figures, or the reason why not.
BOOST_AUTO_TEST_CASE(an_observer_is_denied)
{
    for (denial const& d : {denial{"process_vm_readv", SYS_process_vm_readv, EPERM},
                            denial{"openat", SYS_openat, EACCES}, denial{"pread64", SYS_pread64, EIO},
                            denial{"readlink", SYS_readlink, EACCES}, denial{"mincore", SYS_mincore, ENOMEM},
                            denial{"mmap", SYS_mmap, ENOMEM}, denial{"getdents64", SYS_getdents64, EACCES}}) {
#if defined(TSLAB_SANITIZED)
        if (d.number == SYS_mmap)
            continue;   // the sanitizer itself cannot do without
#endif
        death::outcome const end = death::of([&d](death::notes& noted) {
            tslab::allocator heap{{.epoch_count = 8, .reserve_bytes = std::size_t{64} << 20}};
            void* const p = heap.malloc(100);
            deny(d.number, d.error);
            try {
                tslab::observer seen{::getpid()};
                auto const all = seen.read();
                must(all.size() == 1 && all[0].global.live_objects == (all[0].live_known ? 1U : 0U), "other figures");
                noted.number[0] = 1;
            } catch (tslab::observe_error const& e) {
                must(*e.what() != '\0', "no reason");
            } catch (std::bad_alloc const&) {
            }
            heap.free(p);
        });
        if (end.end == "exit " + std::to_string(no_filter))
            return;
        BOOST_TEST(end.text == "", d.name << ": " << end.text);
        BOOST_TEST(end.end == "exit 0", d.name << ": " << end.end);
    }
}
