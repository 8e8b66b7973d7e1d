// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Allocates and frees 128 bytes N times through std::pmr::memory_resource, and nothing else: what
// script/instructions counts. With `elsewhere`, on a thread that did not make the resource.
// usage: pair N [tslab|malloc|elsewhere]
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <string_view>
#include <thread>

import tslab;

int main(int argc, char** argv)
{
    if (argc < 2) {
        std::fputs("usage: pair N [tslab|malloc|elsewhere]\n", stderr);
        return 2;
    }
    long const n = std::strtol(argv[1], nullptr, 10);
    tslab::allocator heap;
    tslab::epoch_resource own{heap, {.label = "pair"}};
    std::string_view const how = argc < 3 ? "tslab" : argv[2];
    bool const ours = how != "malloc";
    std::pmr::memory_resource* resource =
        ours ? static_cast<std::pmr::memory_resource*>(&own) : std::pmr::new_delete_resource();
    asm volatile("" : "+r"(resource));   // the calls stay virtual
    auto const work = [n, resource] {
        for (long i = 0; i < n; ++i) {
            void* p = resource->allocate(128, 16);
            asm volatile("" : "+r"(p) : : "memory");
            resource->deallocate(p, 128, 16);
        }
    };
    if (how == "elsewhere")
        std::thread{work}.join();
    else
        work();
}
