// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The segment of a dead process as an attacker would leave it. The input is either a whole file, or a list of changes to a good
// one: three bytes say where, eight say what is there from then on.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
import tslab;

namespace {

/// A good segment with a bit of everything in it.
std::vector<std::byte> good_segment()
{
    std::string const path = "/tmp/tslab-fuzz-" + std::to_string(::getpid());
    ::setenv("TSLAB_STATS_FILE", path.c_str(), 1);
    tslab::set_error_handler([](tslab::misuse_report const&) {});
    std::vector<std::byte> bytes;
    {
        tslab::allocator heap{{.name = "fuzzed", .epoch_count = 8, .cost_labels = 4, .profile_interval = 1}};
        for (int i = 0; i < 20; ++i) {
            tslab::epoch_scope ended{heap, "kind " + std::to_string(i)};
            ended.resource()->deallocate(ended.resource()->allocate(64), 64);
        }
        tslab::epoch_scope const scope{heap, "a label"};
        for (std::size_t n = 1; n < 100'000; n *= 2)
            static_cast<void>(scope.resource()->allocate(n));
        for (int i = 0; i < 100; ++i)
            static_cast<void>(heap.malloc(100));
        heap.close(heap.advance());
        bytes.resize(std::size_t{256} << 10);
        int const file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (::read(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            std::abort();
        ::close(file);
    }
    ::unsetenv("TSLAB_STATS_FILE");
    return bytes;
}

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    static std::vector<std::byte> const good = good_segment();
    static int const file = ::memfd_create("fuzzed", MFD_CLOEXEC);
    static std::string const path = "/proc/self/fd/" + std::to_string(file);
    constexpr std::size_t change = 11;
    std::vector<std::byte> bytes;
    if (size != 0 && (data[0] & 1U) != 0) {
        auto const* const from = reinterpret_cast<std::byte const*>(data + 1);
        bytes.assign(from, from + size - 1);
    } else {
        bytes = good;
        for (std::size_t at = 1; at + change <= size; at += change) {
            std::size_t const where =
                (data[at] | std::size_t{data[at + 1]} << 8 | std::size_t{data[at + 2]} << 16) % (bytes.size() - 8);
            std::memcpy(bytes.data() + where, data + at + 3, 8);
        }
    }
    if (::ftruncate(file, 0) != 0 ||
        ::pwrite(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return 0;
    try {
        tslab::observer o{path};
        for (tslab::snapshot const& s : o.read()) {
            static_cast<void>(tslab::from_json(tslab::to_json(s)));
            static_cast<void>(tslab::diagnose(s));
            static_cast<void>(tslab::find_leaks(s, 0));
        }
        static_cast<void>(o.maps());
        for (tslab::heap_profile const& p : o.profiles())
            for (tslab::profiled_stack const& s : p.stacks)
                if (s.addresses.size() > 64 || s.live_samples > s.samples || s.live_bytes > s.allocated_bytes)
                    std::abort();
    } catch (tslab::observe_error const&) {
    }
    return 0;
}
