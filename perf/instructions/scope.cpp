// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Opens and closes N scopes, empty ones or around eight objects of eight sizes, and nothing else: what
// script/instructions counts. With `monotonic` a std::pmr::monotonic_buffer_resource on the heap takes the scope's place:
// made, used, destroyed.
// usage: scope N [empty|eight] [tslab|monotonic]
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <string_view>

import tslab;

namespace {

constexpr std::array<std::size_t, 8> sizes{64, 96, 128, 192, 256, 384, 512, 768};

void use(std::pmr::memory_resource* resource)
{
    asm volatile("" : "+r"(resource));   // the calls stay virtual
    std::array<void*, sizes.size()> all;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        all[i] = resource->allocate(sizes[i]);
        asm volatile("" : : "r"(all[i]) : "memory");
    }
    for (std::size_t i = sizes.size(); i-- > 0;)
        resource->deallocate(all[i], sizes[i]);
}

}

int main(int argc, char** argv)
{
    if (argc < 2) {
        std::fputs("usage: scope N [empty|eight] [tslab|monotonic]\n", stderr);
        return 2;
    }
    long const n = std::strtol(argv[1], nullptr, 10);
    bool const empty = argc > 2 && std::string_view{argv[2]} == "empty";
    bool const monotonic = argc > 3 && std::string_view{argv[3]} == "monotonic";
    tslab::allocator heap;
    for (long i = 0; i < n; ++i) {
        if (monotonic) {
            std::pmr::monotonic_buffer_resource buffer;
            if (!empty)
                use(&buffer);
        } else {
            tslab::epoch_scope scope{heap, "scope"};
            if (!empty)
                use(scope.resource());
        }
    }
}
