// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading from outside. The segment is copied as a whole, then examined, so the other process cannot change what was
// checked. Pointers in it are addresses of that process; each is converted to a place of the copy, or rejected, before
// it is followed. Descriptors and thread caches are in the process's own memory: they are copied from there if the
// kernel permits; if not, live objects are not known.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <charconv>
#include <climits>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <initializer_list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>
module tslab.inspect;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import tslab.epoch;

#include "../epoch/assembly.hpp"
#include "read_heap.hpp"

namespace tslab {

namespace {

/// The number that a name in /proc consists of.
template <class T> std::optional<T> number_in(char const* name) noexcept
{
    T n = 0;
    char const* const end = name + std::strlen(name);
    auto const [stop, error] = std::from_chars(name, end, n);
    return error == std::errc{} && stop == end ? std::optional{n} : std::nullopt;
}

/// Calls visit(name) for every entry of a directory; false, with errno set, if it cannot be read.
template <class F> bool for_each_entry(std::string const& path, F visit)
{
    std::unique_ptr<DIR, int (*)(DIR*)> const directory{::opendir(path.c_str()), ::closedir};
    if (directory == nullptr)
        return false;
    while (dirent const* const entry = ::readdir(directory.get()))
        visit(static_cast<char const*>(entry->d_name));
    return true;
}

/// Whether an open file of a process may be a segment: a memfd of that name, or a file of the right shape.
bool may_be_segment(std::string const& link)
{
    std::array<char, 64> to{};
    ssize_t const n = ::readlink(link.c_str(), to.data(), to.size());
    if (n > 0 && std::string_view{to.data(), static_cast<std::size_t>(n)}.starts_with("/memfd:tslab"))
        return true;
    struct stat s{};
    return ::stat(link.c_str(), &s) == 0 && S_ISREG(s.st_mode) && s.st_size >= static_cast<off_t>(least_segment) &&
           s.st_size <= static_cast<off_t>(segment::most_bytes) && s.st_size % static_cast<off_t>(page_bytes) == 0;
}

/// Whether a process has a number: its own, or the one in its container.
bool calls_itself(pid_t pid, std::int64_t number)
{
    if (number == pid)
        return true;
    descriptor const file{::open(("/proc/" + std::to_string(pid) + "/status").c_str(), O_RDONLY | O_CLOEXEC)};
    std::array<char, 4096> text{};
    ssize_t const got = file.number() >= 0 ? ::read(file.number(), text.data(), text.size()) : 0;
    std::string_view const all{text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
    std::size_t const at = all.find("\nNSpid:");
    if (at == std::string_view::npos)
        return false;
    std::string_view line = all.substr(at + 7, all.find('\n', at + 1) - at - 7);
    std::string const inner = std::to_string(number);
    return line.ends_with('\t' + inner);   // the innermost namespace comes last
}

/// Whether a heap is still at its place: then all that was read of it until now was its own.
bool is_there(int segment, seen_root const& r)
{
    std::uint64_t number = 0;
    return read_at(segment, std::as_writable_bytes(std::span{&number, 1}), r.offset) && number == r.number;
}

/// The segments of a process, in the order they were made: more than one if it contains several copies of the library,
/// as plugins may. `only_one`: stops at the first.
std::vector<descriptor> segments_of(pid_t pid, int& error, bool only_one = false)
{
    struct open_segment {
        std::uint64_t started_ns;
        dev_t device;
        ino_t inode;
        descriptor file;
    };
    std::string const open_files = "/proc/" + std::to_string(pid) + "/fd";
    std::vector<open_segment> found;
    error = 0;
    bool const read = for_each_entry(open_files, [&](char const* name) {
        std::string const link = open_files + '/' + name;
        if ((only_one && !found.empty()) || !number_in<unsigned>(name) || !may_be_segment(link))
            return;
        descriptor file{::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
        segment_header header;
        struct stat s{};
        if (file.number() < 0 || !copy_of_segment::is_segment(file.number()) || ::fstat(file.number(), &s) != 0 ||
            !read_at(file.number(), std::as_writable_bytes(std::span{&header, 1}), 0) || !calls_itself(pid, header.pid))
            return;   // perhaps a segment of another process, by an inherited descriptor
        bool const twice = std::ranges::any_of(
            found, [&s](open_segment const& other) { return other.device == s.st_dev && other.inode == s.st_ino; });
        if (!twice)
            found.push_back({header.started_ns, s.st_dev, s.st_ino, std::move(file)});
    });
    if (!read)
        error = errno;
    std::ranges::sort(found, {}, [](open_segment const& s) { return std::pair{s.started_ns, s.inode}; });
    std::vector<descriptor> segments;
    for (open_segment& s : found)
        segments.push_back(std::move(s.file));
    return segments;
}

bool exists(pid_t pid) { return ::access(("/proc/" + std::to_string(pid)).c_str(), F_OK) == 0; }

}

struct observer::state {
    pid_t pid = 0;
    std::string path;
    using heap_key = std::pair<std::uint64_t, std::uint64_t>;   // address of its segment, and its number
    std::map<heap_key, std::uint64_t> frees_published;

    [[nodiscard]] std::string what() const { return pid != 0 ? "process " + std::to_string(pid) : path; }

    [[nodiscard]] std::vector<descriptor> open() const { return pid != 0 ? open_process() : open_file(); }

    [[nodiscard]] std::vector<descriptor> open_process() const
    {
        int error = 0;
        std::vector<descriptor> segments = segments_of(pid, error);
        if (!segments.empty())
            return segments;
        if (!exists(pid) || error == ESRCH || error == ENOENT)
            fail(fault::no_process, "there is no process " + std::to_string(pid));
        if (error == EACCES || error == EPERM)
            fail(fault::not_permitted, what() + " may not be looked into: it belongs to another user, or is protected");
        if (error != 0)
            fail(fault::system, what() + " cannot be looked into: " + reason(error));
        fail(fault::no_heap, what() + " has no heap of tslab that it publishes");
    }

    [[nodiscard]] std::vector<descriptor> open_file() const
    {
        descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
        struct stat s{};
        if (file.number() < 0 || ::fstat(file.number(), &s) != 0)
            fail(fault::system, path + ": " + reason(errno));
        if (!S_ISREG(s.st_mode))
            fail(fault::damaged, path + " is no file");
        std::vector<descriptor> segments;
        segments.push_back(std::move(file));
        return segments;
    }

    /// Calls visit(heap) for every heap, and returns the results.
    template <class F> auto for_each_heap(F visit) -> std::vector<decltype(visit(std::declval<seen_heap&>()))>
    {
        std::vector<decltype(visit(std::declval<seen_heap&>()))> all;
        std::vector<descriptor> const segments = open();
        std::map<heap_key, std::uint64_t> frees_now;
        for (descriptor const& one : segments) {
            int const from = one.number();
            copy_of_segment const copy{from, what()};
            bool const lives = pid != 0 && exists(pid);
            copy_of_segment const again{from, what()};
            for (seen_root const& root : copy.heaps()) {
                if (!again.has(root))
                    continue;   // it ended during the copy
                heap_stats_page const* const stats = copy.heap_of(root);
                if (stats == nullptr && again.heap_of(root) != nullptr)
                    continue;   // it was made during the first copy
                if (stats == nullptr)
                    fail(fault::damaged, what() + " is damaged: it describes no heap");
                std::uint64_t const at = copy.header().extents[0].address.load(std::memory_order_relaxed);
                heap_key const key{at, root.number};
                std::uint64_t& frees = frees_now[key] = frees_published[key];
                seen_heap heap{copy, again, *stats, lives ? pid : 0, frees};
                auto seen = visit(heap);
                if (!lives || is_there(from, root))   // else its memory may have been another heap's
                    all.push_back(std::move(seen));
            }
        }
        if (pid != 0 && !exists(pid))
            fail(fault::no_process, what() + " has ended");
        if (all.empty())
            fail(fault::no_heap, what() + " has no heap of tslab that it publishes");
        frees_published = std::move(frees_now);   // of the heaps that still exist
        return all;
    }
};

observer::observer(pid_t pid) : state_{std::make_unique<state>()}
{
    state_->pid = pid;
    if (pid <= 0)
        fail(fault::no_process, "there is no process " + std::to_string(pid));
    static_cast<void>(state_->open());
}

observer::observer(std::string const& path) : state_{std::make_unique<state>()}
{
    state_->path = path;
    auto const file = state_->open();
    copy_of_segment const copy{file.front().number(), path};
    auto const heaps = copy.heaps();
    if (heaps.empty())
        fail(fault::no_heap, path + " describes no heap");
    if (std::ranges::any_of(heaps, [&copy](seen_root const& r) { return copy.heap_of(r) == nullptr; }))
        fail(fault::damaged, path + " is damaged: it describes no heap");
}

observer::~observer() = default;
observer::observer(observer&&) noexcept = default;
observer& observer::operator=(observer&&) noexcept = default;

std::vector<snapshot> observer::read(snapshot_options const& o)
{
    return state_->for_each_heap([&o](seen_heap& heap) { return assemble(heap, o); });
}

std::vector<heap_map> observer::maps()
{
    return state_->for_each_heap([](seen_heap& heap) { return assemble_map(heap); });
}

pid_t observer::pid() const noexcept { return state_->pid; }

std::vector<pid_t> processes_with_heaps()
{
    std::vector<pid_t> found;
    for_each_entry("/proc", [&found](char const* name) {
        int error = 0;
        if (auto const pid = number_in<pid_t>(name); pid && !segments_of(*pid, error, true).empty())
            found.push_back(*pid);
    });
    std::sort(found.begin(), found.end());
    return found;
}

}
