// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
#include "process.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace probe {

namespace {

struct statm {
    unsigned long long size = 0;
    unsigned long long resident = 0;
};

/// In pages.
statm read_statm()
{
    statm found;
    if (std::FILE* const file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
        if (std::fscanf(file, "%llu %llu", &found.size, &found.resident) != 2)
            found = {};
        std::fclose(file);
    }
    return found;
}

std::uint64_t page_bytes() { return static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)); }

}

std::uint64_t address_space() { return read_statm().size * page_bytes(); }

std::uint64_t process_resident() { return read_statm().resident * page_bytes(); }

std::uint64_t open_descriptors()
{
    DIR* const folder = opendir("/proc/self/fd");
    if (folder == nullptr)
        return 0;
    std::uint64_t count = 0;
    while (dirent const* const entry = readdir(folder))
        count += entry->d_name[0] != '.' ? 1 : 0;
    closedir(folder);
    return count - 1;   // the folder itself
}

double thread_ns()
{
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

pointer_table::pointer_table(std::size_t count)
{
    std::size_t const bytes = std::max<std::size_t>(count, 1) * sizeof(void*);
    void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED)
        throw std::bad_alloc{};
    all_ = {static_cast<void**>(at), count};
}

pointer_table::~pointer_table() { munmap(all_.data(), std::max<std::size_t>(all_.size(), 1) * sizeof(void*)); }

}
