// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A process to be looked at in a state that a reader has to cope with. Says "ready" and goes on until its standard input ends.
//   NAME...            a heap for each, with so many objects: NAME:17
//   --comm NAME        what the process calls itself
//   --leader-ends      the first thread ends, another one goes on
//   --busy             threads that open and close thousands of scopes a second
//   --chroot DIR       goes there once its heaps are made; DIR has no /proc
//   --no-descriptors   may open none any more
//   --no-memory        may map none any more
//   --seccomp          the kernel kills it for any call but those it still needs
//   --child            a process that shares its memory (CLONE_VM) stays beside it; "child PID" before "ready"
// SIGUSR1 ends the first heap that is left. SIGUSR2 replaces the program by `sleep`.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

import tslab;

namespace {

std::sig_atomic_t volatile end_first = 0;
std::sig_atomic_t volatile replace = 0;
std::atomic<bool> ending{false};

struct held {
    std::unique_ptr<tslab::allocator> heap;
    std::vector<void*> objects;

    explicit held(std::string const& words)
    {
        auto const colon = words.rfind(':');
        heap = std::make_unique<tslab::allocator>(tslab::allocator_options{.name = words.substr(0, colon)});
        long const n = colon == std::string::npos ? 1 : std::atol(words.c_str() + colon + 1);
        for (long i = 0; i < n; ++i)
            objects.push_back(heap->malloc(100));
    }
    held(held&&) = default;
    held& operator=(held&&) = default;
    ~held()
    {
        if (heap)
            for (void* const p : objects)
                heap->free(p);
    }
};

void limit(__rlimit_resource_t what, rlim_t most)
{
    rlimit const now{most, most};
    if (setrlimit(what, &now) != 0)
        std::exit(2);
}

/// Of what `stay` does, with and without the end.
void allow_little()
{
    constexpr auto allowed = std::to_array<unsigned>(
        {SYS_poll, SYS_ppoll, SYS_write, SYS_read, SYS_exit_group, SYS_exit, SYS_futex, SYS_munmap, SYS_madvise,
         SYS_rt_sigreturn, SYS_restart_syscall, SYS_membarrier, SYS_close, SYS_newfstatat, SYS_fstat});
    std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    for (unsigned const call : allowed) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    sock_fprog const filter{static_cast<unsigned short>(program.size()), program.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        std::exit(2);
}

void start_child()
{
    alignas(16) static std::array<char, 65'536> stack;
    int const child = clone(
        [](void*) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
            return 0;
        },
        stack.data() + stack.size(), CLONE_VM | SIGCHLD, nullptr);
    std::printf("child %d\n", child);
}

void open_and_close(tslab::allocator& heap)
{
    while (!ending) {
        tslab::epoch_scope const scope{heap, "work"};
        std::vector<void*> mine;
        for (int i = 0; i < 50; ++i)
            mine.push_back(scope.resource()->allocate(700));
        for (void* const p : mine)
            scope.resource()->deallocate(p, 700);
    }
}

void stay(std::vector<held>& all, bool busy)
{
    std::vector<std::jthread> workers;
    if (busy)
        for (int i = 0; i < 2; ++i)
            workers.emplace_back([&heap = *all.front().heap] { open_and_close(heap); });
    std::puts("ready");
    std::fflush(stdout);
    pollfd end{STDIN_FILENO, POLLIN, 0};
    while (poll(&end, 1, 10) <= 0) {
        if (end_first != 0 && !all.empty()) {
            end_first = 0;
            all.erase(all.begin());
            std::puts("ended");
            std::fflush(stdout);
        }
        if (replace != 0)
            execlp("sleep", "sleep", "60", nullptr);
    }
    ending = true;
}

}

int main(int argc, char** argv)
{
    std::signal(SIGUSR1, [](int) { end_first = 1; });
    std::signal(SIGUSR2, [](int) { replace = 1; });
    static std::vector<held> all;
    bool busy = false;
    bool leader_ends = false;
    bool seccomp = false;
    for (int i = 1; i < argc; ++i) {
        std::string const word = argv[i];
        if (word == "--comm" && i + 1 < argc)
            prctl(PR_SET_NAME, argv[++i]);
        else if (word == "--leader-ends")
            leader_ends = true;
        else if (word == "--busy")
            busy = true;
        else if (word == "--chroot" && i + 1 < argc) {
            if (chroot(argv[++i]) != 0 || chdir("/") != 0)
                return 2;
        } else if (word == "--no-descriptors")
            limit(RLIMIT_NOFILE, 0);
        else if (word == "--no-memory")
            limit(RLIMIT_AS, 1);
        else if (word == "--seccomp")
            seccomp = true;
        else if (word == "--child")
            start_child();
        else
            all.emplace_back(word);
    }
    if (seccomp)
        allow_little();
    if (leader_ends) {
        std::thread{[busy] {
            std::this_thread::sleep_for(std::chrono::milliseconds{50});
            stay(all, busy);
            std::_Exit(0);
        }}.detach();
        pthread_exit(nullptr);
    }
    stay(all, busy);
    all.clear();
}
