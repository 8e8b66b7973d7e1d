// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Looks whether the shim is beneath it, and serves what a C++ program asks of operator new and std::pmr. It knows nothing
// of tslab.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>

namespace {

int failures = 0;

void expect(bool ok, char const* what)
{
    if (!ok) {
        std::fprintf(stderr, "outside: %s\n", what);
        ++failures;
    }
}

struct alignas(4096) page {
    std::byte bytes[4096];
};

int handler_calls = 0;
void give_up()
{
    ++handler_calls;
    std::set_new_handler(nullptr);
}

}

int main()
{
    auto* const count = reinterpret_cast<std::uint64_t (*)()>(dlsym(RTLD_DEFAULT, "tslab_shim_allocations"));
    if (count == nullptr) {
        std::fprintf(stderr, "outside: the shim is not preloaded\n");
        return 1;
    }
    std::uint64_t const before = count();
    {
        std::map<int, std::string> all;
        for (int i = 0; i < 1'000; ++i)
            all[i] = std::string(static_cast<std::size_t>(i), 'x');
        auto const aligned = std::make_unique<page>();
        expect(reinterpret_cast<std::uintptr_t>(aligned.get()) % 4096 == 0, "an over-aligned object is misaligned");
        std::vector<std::unique_ptr<std::string>> passed;
        std::thread{[&] {
            for (int i = 0; i < 1'000; ++i)
                passed.push_back(std::make_unique<std::string>(100, 'y'));
        }}.join();
    }
    expect(count() >= before + 3'900,
           "operator new is not the shim's");   // 1,000 nodes, 984 strings, 2,000 of the thread
    std::uint64_t const pmr_before = count();
    expect(std::pmr::get_default_resource() == std::pmr::new_delete_resource(), "the default resource is another");
    {
        std::pmr::monotonic_buffer_resource other;
        expect(std::pmr::set_default_resource(&other) == std::pmr::new_delete_resource(), "what was set before");
        expect(std::pmr::get_default_resource() == &other, "what was set");
        expect(std::pmr::set_default_resource(nullptr) == &other, "what is reset");
        expect(std::pmr::get_default_resource() == std::pmr::new_delete_resource(), "the default after a reset");
        std::pmr::vector<std::pmr::string> rows(100, std::pmr::string(200, 'z'));
        std::pmr::synchronized_pool_resource pool;
        std::pmr::vector<int> in_pool(1'000, 1, &pool);
    }
    expect(count() >= pmr_before + 100, "std::pmr is not the shim's");
    std::set_new_handler(give_up);
    bool refused = false;
    std::size_t const volatile absurd = std::numeric_limits<std::size_t>::max() / 2 - 4096;
    try {
        ::operator delete(::operator new(absurd));
    } catch (std::bad_alloc const&) {
        refused = true;
    }
    expect(refused && handler_calls == 1, "the new handler is not asked");
    expect(::operator new(absurd, std::nothrow) == nullptr, "nothrow");
    return failures != 0;
}
