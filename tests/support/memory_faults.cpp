// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Makes one fault, for a memory tool to find: memory_faults PLACE FAULT. With the place `malloc` nothing of tslab is used, so
// that its report can be laid beside the others.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
import tslab;

namespace {

constexpr std::size_t size = 40;

char* unknown(void* p)
{
    asm volatile("" : "+r"(p) : : "memory");
    return static_cast<char*>(p);
}

char volatile sink;

/// Where an object comes from: what a report must name.
[[gnu::noinline]] char* obtained_here(std::pmr::memory_resource& r) { return unknown(r.allocate(size)); }
[[gnu::noinline]] void given_back_here(std::pmr::memory_resource& r, char* p) { r.deallocate(p, size); }
[[gnu::noinline]] void touched_here(char* p) { *p = 1; }
[[gnu::noinline]] void read_here(char const* p) { sink = *p; }

class malloc_resource final : public std::pmr::memory_resource {
    void* do_allocate(std::size_t bytes, std::size_t) override { return std::malloc(bytes); }
    void do_deallocate(void* p, std::size_t, std::size_t) override { std::free(p); }
    bool do_is_equal(memory_resource const& other) const noexcept override { return this == &other; }
};

void fault_in(std::pmr::memory_resource& r, std::string_view fault)
{
    char* const p = obtained_here(r);
    if (fault == "use-after-free") {
        given_back_here(r, p);
        touched_here(p);
    } else if (fault == "read-after-free") {
        given_back_here(r, p);
        read_here(p);
    } else if (fault == "overflow") {
        touched_here(p + size);
    } else if (fault == "double-free") {
        given_back_here(r, p);
        given_back_here(r, p);
    } else if (fault == "leak") {
        *unknown(p) = 1;
    } else {
        given_back_here(r, p);
    }
}

void fault_in_container(std::pmr::memory_resource& r, std::string_view fault)
{
    std::pmr::vector<std::pmr::string> words{&r};
    for (int i = 0; i < 20; ++i)
        words.emplace_back(std::string(60, 'x'));
    char* const first = unknown(words.front().data());
    if (fault == "use-after-free") {
        words.clear();
        touched_here(first);
    } else if (fault == "overflow") {
        touched_here(first + 61);
        std::memset(first, 'x', 60);
    } else if (fault == "leak") {
        auto* const forgotten = new (unknown(r.allocate(sizeof(std::pmr::string)))) std::pmr::string{&r};
        *forgotten = std::string(100, 'y');
    }
}

}

int main(int argc, char** argv)
{
    std::string_view const place = argc > 1 ? argv[1] : "";
    std::string_view const fault = argc > 2 ? argv[2] : "";
    std::size_t reported = 0;
    if (place == "malloc") {
        malloc_resource r;
        fault_in(r, fault);
        return 0;
    }
    tslab::set_error_handler([](tslab::misuse_report const& m) {
        std::printf("reported %s\n", std::string{tslab::name_of(m.kind)}.c_str());
    });
    {
        tslab::allocator heap{{.name = "faulty"}};
        tslab::epoch_resource r{heap, {.label = "phase"}};
        if (place == "slab") {
            fault_in(r, fault);
        } else if (place == "container") {
            fault_in_container(r, fault);
        } else if (place == "large") {
            char* const p = unknown(r.allocate(300'000));
            if (fault == "overflow")
                touched_here(p + 300'000);
            r.deallocate(p, 300'000);
            if (fault == "use-after-free")
                touched_here(p + 200'000);
        } else if (place == "released") {
            char* const p = obtained_here(r);
            r.release();
            if (fault == "use-after-free")
                touched_here(p);
        } else if (place == "sound") {
            tslab::allocator second{{.name = "second"}};
            for (int round = 0; round < 3; ++round) {
                std::pmr::map<int, std::pmr::string> all{&r};
                for (int i = 0; i < 200; ++i)
                    all.emplace(i, std::string(static_cast<std::size_t>(i), 'z'));
                void* const other = second.malloc(100);
                tslab::handle h;
                void* const named = heap.allocate(700, heap.current_epoch(), h);
                std::memset(named, 1, 700);
                std::memset(other, 1, 100);
                second.free(other);
                if (heap.free(h) != tslab::free_result::ok)
                    return 3;
            }
            reported = heap.snapshot().global.misuses + heap.snapshot().global.live_objects;
        } else {
            std::fputs("usage: memory_faults PLACE FAULT\n", stderr);
            return 2;
        }
    }
    return reported == 0 ? 0 : 3;
}
