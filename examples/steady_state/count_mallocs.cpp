// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// To be preloaded (LD_PRELOAD): counts the calls of malloc and its kin in a process, on all of its threads, operator new included,
// which calls them. The count is the first word of the file that COUNT_MALLOCS_FILE names; a test maps it. The second word is how many
// of the next calls are to be printed, with their callers.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

struct counts {
    std::atomic<std::uint64_t> calls;
    std::atomic<std::uint64_t> to_print;
};

std::atomic<counts*> shared{nullptr};
thread_local bool printing [[gnu::tls_model("initial-exec")]] = false;

[[gnu::noinline]] void print_callers()
{
    printing = true;
    void* callers[40];
    int const n = ::backtrace(callers, 40);
    ::backtrace_symbols_fd(callers, n, STDERR_FILENO);
    static_cast<void>(!::write(STDERR_FILENO, "--\n", 3));
    printing = false;
}

void count()
{
    counts* const c = shared.load(std::memory_order_acquire);
    if (c == nullptr || printing)
        return;
    ++c->calls;
    if (c->to_print != 0) {
        --c->to_print;
        print_callers();
    }
}

[[gnu::constructor]] void begin()
{
    void* first[1];
    ::backtrace(first, 1);   // loads the unwinder, which allocates
    char const* const name = std::getenv("COUNT_MALLOCS_FILE");
    int const file = name != nullptr ? ::open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void* const words = ::mmap(nullptr, sizeof(counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (words != MAP_FAILED)
        shared.store(static_cast<counts*>(words), std::memory_order_release);
    ::close(file);
}

}

extern "C" {

void* malloc(std::size_t bytes)
{
    count();
    return __libc_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t bytes)
{
    count();
    return __libc_calloc(n, bytes);
}
void* realloc(void* p, std::size_t bytes)
{
    count();
    return __libc_realloc(p, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes)
{
    count();
    return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes)
{
    count();
    return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t bytes)
{
    count();
    void* const p = __libc_memalign(alignment, bytes);
    if (p == nullptr)
        return ENOMEM;
    *to = p;
    return 0;
}
}
