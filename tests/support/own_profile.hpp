// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap profile of this process, made by hand: real stacks, and what this process executes, with build ids. Include it last: it
// imports tslab.inspect.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <memory_resource>
#include <string>
#include <unistd.h>
#include <vector>
import tslab.inspect;

namespace support {

/// What a module's PT_NOTE segments have as its build id, hexadecimal.
inline std::string build_id_of(dl_phdr_info const& module)
{
    for (int n = 0; n < module.dlpi_phnum; ++n) {
        ElfW(Phdr) const& p = module.dlpi_phdr[n];
        if (p.p_type != PT_NOTE)
            continue;
        auto const* at = reinterpret_cast<unsigned char const*>(module.dlpi_addr + p.p_vaddr);
        unsigned char const* const end = at + p.p_memsz;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            auto const& note = *reinterpret_cast<ElfW(Nhdr) const*>(at);
            unsigned char const* const name = at + sizeof(note);
            unsigned char const* const text = name + (note.n_namesz + 3) / 4 * 4;
            if (note.n_type == NT_GNU_BUILD_ID) {
                std::string id;
                for (unsigned i = 0; i < note.n_descsz; ++i)
                    (id += "0123456789abcdef"[text[i] >> 4]) += "0123456789abcdef"[text[i] & 15];
                return id;
            }
            at = text + (note.n_descsz + 3) / 4 * 4;
        }
    }
    return {};
}

inline std::vector<tslab::profiled_mapping> own_mappings()
{
    std::vector<tslab::profiled_mapping> all;
    dl_iterate_phdr(
        [](dl_phdr_info* module, std::size_t, void* to) {
            std::string file = module->dlpi_name;
            if (file.empty()) {
                std::array<char, 4096> path{};
                ssize_t const size = ::readlink("/proc/self/exe", path.data(), path.size());
                file.assign(path.data(), static_cast<std::size_t>(size > 0 ? size : 0));
            }
            for (int n = 0; n < module->dlpi_phnum; ++n) {
                ElfW(Phdr) const& p = module->dlpi_phdr[n];
                if (p.p_type != PT_LOAD || (p.p_flags & PF_X) == 0)
                    continue;
                std::uint64_t const page = 4096;
                std::uint64_t const begin = module->dlpi_addr + p.p_vaddr;
                std::uint64_t const down = begin % page;
                static_cast<std::vector<tslab::profiled_mapping>*>(to)->push_back(
                    {.begin = begin - down,
                     .end = (begin + p.p_memsz + page - 1) / page * page,
                     .offset = p.p_offset - down,
                     .file = file,
                     .build_id = build_id_of(*module)});
            }
            return 0;
        },
        &all);
    return all;
}

/// Notes the stack of each allocation.
class noting_resource final : public std::pmr::memory_resource {
public:
    explicit noting_resource(std::string heap = "shop")
    {
        profile.heap = std::move(heap);
        profile.pid = ::getpid();
        profile.interval_bytes = 512 << 10;
        profile.begin_ns = 1'700'000'000'000'000'000;
        profile.time_ns = profile.begin_ns + 60'000'000'000;
        profile.mappings = own_mappings();
    }
    tslab::heap_profile profile{};
    std::string label{};   ///< of what comes next

private:
    [[gnu::noinline]] void* do_allocate(std::size_t bytes, std::size_t) override
    {
        std::array<void*, 64> stack{};
        int const depth = ::backtrace(stack.data(), static_cast<int>(stack.size()));
        // Without this function, and without a sanitizer's before it.
        void* const caller = __builtin_return_address(0);
        int first = 1;
        while (first < depth && stack[static_cast<std::size_t>(first)] != caller)
            ++first;
        tslab::profiled_stack s{
            .label = label, .slot_bytes = bytes, .live_objects = 1, .live_samples = 1, .samples = 1};
        for (int n = first; n < depth; ++n)
            s.addresses.push_back(reinterpret_cast<std::uintptr_t>(stack[static_cast<std::size_t>(n)]));
        s.live_bytes = static_cast<double>(bytes);
        s.allocated_objects = 3;
        s.allocated_bytes = 3 * s.live_bytes;
        profile.stacks.push_back(std::move(s));
        return memory_.allocate(bytes);
    }
    void do_deallocate(void*, std::size_t, std::size_t) override
    {
        profile.stacks.back().live_bytes = profile.stacks.back().live_objects = 0;
        profile.stacks.back().live_samples = 0;
    }
    bool do_is_equal(memory_resource const& other) const noexcept override { return this == &other; }

    std::pmr::monotonic_buffer_resource memory_{};   // what the library leaks goes with it
};

}
