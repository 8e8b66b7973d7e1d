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
#include <signal.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <system_error>
#include <thread>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>
module tslab.inspect;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import tslab.epoch;

#include "../../epoch/snapshot/assembly.hpp"
#include "observed_clock.hpp"
#include "process.hpp"
#include "read_heap.hpp"
#include "read_profile.hpp"

namespace tslab {

namespace {

/// Throws, with `what` as the reason, where no process at all can be seen.
void demand_proc(std::string const& what)
{
    if (::access("/proc/self/stat", R_OK) != 0)
        fail(fault::system, what + ": /proc is not mounted");
}

/// Whether a heap is still at its place: then all that was read of it until now was its own.
bool is_there(int segment, seen_root const& r)
{
    std::uint64_t number = 0;
    return read_at(segment, std::as_writable_bytes(std::span{&number, 1}), r.offset) && number == r.number;
}

/// The segments of a process, in the order they were made: more than one if it contains several copies of the library,
/// as plugins may. `task`: a thread of it that lives. `only_one`: stops at the first.
std::vector<descriptor> segments_of(pid_t pid, pid_t task, int& error, bool only_one = false)
{
    struct open_segment {
        std::uint64_t started_ns;
        dev_t device;
        ino_t inode;
        descriptor file;
    };
    std::vector<open_segment> found;
    error = open_files{pid, task}.visit_candidates([&](descriptor file) {
        segment_header header;
        struct stat s{};
        if ((only_one && !found.empty()) || ::fstat(file.number(), &s) != 0 ||
            !copy_of_segment::is_segment(file.number()) ||
            !read_at(file.number(), std::as_writable_bytes(std::span{&header, 1}), 0) || !calls_itself(pid, header.pid))
            return;   // perhaps a segment of another process, by an inherited descriptor
        bool const twice = std::ranges::any_of(
            found, [&s](open_segment const& other) { return other.device == s.st_dev && other.inode == s.st_ino; });
        if (!twice)
            found.push_back({header.started_ns, s.st_dev, s.st_ino, std::move(file)});
    });
    std::ranges::sort(found, {}, [](open_segment const& s) { return std::pair{s.started_ns, s.inode}; });
    std::vector<descriptor> segments;
    segments.reserve(found.size());
    for (open_segment& s : found)
        segments.push_back(std::move(s.file));
    return segments;
}

/// When the heap of a profile began, and when it was looked at: of a process that is gone its last sign of life, as in a
/// snapshot.
void set_times(heap_profile& p, copy_of_segment const& copy, heap_stats_page const& stats,
               std::optional<std::int64_t> offset)
{
    std::uint64_t frees = 0;
    clock_reading const seen = seen_heap{copy, copy, stats, {}, offset, frees}.clocks();
    p.time_ns = seen.wall_ns;
    p.begin_ns = seen.wall_ns - std::min(seen.wall_ns, seen.monotonic_ns - std::min(seen.monotonic_ns, stats.made_ns));
}

/// Pages of slabs and large allocations whose epoch is not known.
std::uint64_t unattributed_pages(heap_map const& map) noexcept
{
    std::uint64_t pages = 0;
    for (map_run const& r : map.runs)
        pages += (r.use == page_use::slab || r.use == page_use::large) && r.era == 0 ? r.pages : 0;
    return pages;
}

}

struct observer::state {
    pid_t pid = 0;
    std::string path;
    std::uint64_t started = 0;   // of the process: another one may get its number
    bool had_heaps = false;
    using heap_key = std::pair<std::uint64_t, std::uint64_t>;   // address of its segment, and its number
    std::map<heap_key, std::uint64_t> frees_published;

    [[nodiscard]] std::string what() const { return pid != 0 ? "process " + std::to_string(pid) : path; }

    /// Throws if the process has ended.
    void demand_alive(process_view const& v) const
    {
        if (!v.there)
            fail_absent(v.error);
        if (started != 0 && v.started != started)
            fail(fault::no_process, what() + " has ended; another process has its number now");
        if (!v.lives())
            fail(fault::no_process, what() + " has ended, and its parent has not waited for it");
    }
    [[noreturn]] void fail_absent(int error) const
    {
        if (error != 0 && error != ENOENT && error != ESRCH && error != EACCES && error != EPERM)
            fail(fault::system, what() + " cannot be looked into: " + reason(error));
        if (started != 0)
            fail(fault::no_process, what() + " has ended");
        demand_proc(what() + " cannot be looked into");
        if (::kill(pid, 0) == 0 || errno == EPERM)
            fail(fault::not_permitted, what() + " may not be looked into: /proc hides it from this user");
        fail(fault::no_process, "there is no process " + std::to_string(pid));
    }

    /// `task` becomes a thread of the process that lives; 0 for a file.
    [[nodiscard]] std::vector<descriptor> open(pid_t& task)
    {
        task = 0;
        if (pid == 0)
            return open_file();
        process_view const v = look_at(pid);
        demand_alive(v);
        started = v.started;
        task = v.task;
        int error = 0;
        std::vector<descriptor> segments = segments_of(pid, v.task, error);
        if (segments.empty())
            fail_without_segment(error);
        return segments;
    }
    [[noreturn]] void fail_without_segment(int error) const
    {
        demand_alive(look_at(pid));
        if (error == EACCES || error == EPERM)
            fail(fault::not_permitted, what() + " may not be looked into: it belongs to another user, or is protected");
        if (error == ESRCH || error == ENOENT)
            fail(fault::no_process, what() + " has ended");
        if (error != 0)
            fail(fault::system, what() + " cannot be looked into: " + reason(error));
        std::string const status = text_of_file(folder_of(pid) + "/status");
        if (auto const leader = number_in<pid_t>(line_of(status, "Tgid:")); leader && *leader != pid)
            fail(fault::no_process, "there is no process " + std::to_string(pid) + ", but a thread of process " +
                                        std::to_string(*leader) + " with this number");
        if (had_heaps)
            fail(fault::no_heap, what() + " has no heap any more: its heaps ended, or it runs another program now");
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

    /// Reads a map again while pages of it belong to no epoch that is known: epochs were opened during the reading. The
    /// best of several is taken; in a process that opens thousands of epochs a second some pages may stay unattributed.
    [[nodiscard]] heap_map more_of(heap_map best, int from, seen_root const& root, pid_t task,
                                   std::uint64_t& frees) const
    {
        constexpr int further_tries = 15;
        for (int n = 0; n < further_tries && unattributed_pages(best) != 0; ++n) {
            copy_of_segment const copy{from, what()};
            copy_of_segment const again{from, what()};
            heap_stats_page const* const stats = copy.heap_of(root);
            if (stats == nullptr || !copy.has(root) || !again.has(root))
                break;   // it ended
            seen_heap heap{copy, again, *stats, {pid, task}, monotonic_offset_to(pid), frees};
            heap_map next = assemble_map(heap);
            if (next.live_known && unattributed_pages(next) < unattributed_pages(best))
                best = std::move(next);
        }
        return best;
    }

    /// Calls visit(heap) for every heap, and returns the results.
    template <class F> auto for_each_heap(F visit) -> std::vector<decltype(visit(std::declval<seen_heap&>()))>
    {
        std::vector<decltype(visit(std::declval<seen_heap&>()))> all;
        pid_t task = 0;
        std::vector<descriptor> const segments = open(task);
        std::map<heap_key, std::uint64_t> frees_now;
        for (descriptor const& one : segments) {
            int const from = one.number();
            copy_of_segment const copy{from, what()};
            bool const lives = pid != 0 && status_of(folder_of(pid, task)).there;
            copy_of_segment const again{from, what()};
            std::optional<std::int64_t> const offset =
                lives ? monotonic_offset_to(pid) : offset_to_owner(copy.header(), from);
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
                seen_heap heap{copy, again, *stats, {pid, lives ? task : 0}, offset, frees};
                auto seen = visit(heap);
                if constexpr (std::is_same_v<decltype(seen), heap_map>)
                    if (lives)
                        seen = more_of(std::move(seen), from, root, task, frees);
                if (!lives || is_there(from, root))   // else its memory may have been another heap's
                    all.push_back(std::move(seen));
            }
        }
        if (pid != 0)
            demand_alive(look_at(pid));
        if (all.empty() && pid != 0)
            fail_without_segment(0);
        if (all.empty())
            fail(fault::no_heap, what() + " has no heap of tslab that it publishes");
        had_heaps = true;
        frees_published = std::move(frees_now);   // of the heaps that still exist
        return all;
    }

    static constexpr std::size_t most_of_maps = std::size_t{4} << 20;   // bytes
    /// The heap profile of every heap, from one copy of each segment.
    [[nodiscard]] std::vector<heap_profile> for_each_profile()
    {
        std::vector<heap_profile> all;
        pid_t task = 0;
        for (descriptor const& one : open(task)) {
            int const from = one.number();
            copy_of_segment const copy{from, what()};
            bool const lives = pid != 0 && status_of(folder_of(pid, task)).there;
            std::optional<std::int64_t> const offset =
                lives ? monotonic_offset_to(pid) : offset_to_owner(copy.header(), from);
            for (seen_root const& root : copy.heaps()) {
                heap_stats_page const* const stats = copy.heap_of(root);
                if (stats == nullptr) {
                    if (!is_there(from, root))
                        continue;   // it ended during the copy
                    copy_of_segment const again{from, what()};
                    if (again.heap_of(root) != nullptr)
                        continue;   // it was made during the first copy
                    fail(fault::damaged, what() + " is damaged: it describes no heap");
                }
                heap_profile p =
                    read_profile(*stats, [&copy](auto const* record) { return copy.at(record); }, copy.bytes_used());
                p.pid = pid != 0 ? pid : copy.header().pid;
                set_times(p, copy, *stats, offset);
                if (lives)
                    add_mappings(p, text_of_file(folder_of(pid, task) + "/maps", most_of_maps));
                p.unpublished_chunks = copy.header().missing.load(std::memory_order_relaxed);
                if (!lives || is_there(from, root))
                    all.push_back(std::move(p));
            }
        }
        if (pid != 0)
            demand_alive(look_at(pid));
        if (all.empty() && pid != 0)
            fail_without_segment(0);
        had_heaps = true;
        return all;
    }
};

observer::observer(pid_t pid) : state_{std::make_unique<state>()}
{
    state_->pid = pid;
    if (pid <= 0)
        fail(fault::no_process, "there is no process " + std::to_string(pid));
    pid_t task = 0;
    static_cast<void>(state_->open(task));
    state_->had_heaps = true;
}

observer::observer(std::string const& path) : state_{std::make_unique<state>()}
{
    state_->path = path;
    auto const file = state_->open_file();
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

std::vector<heap_profile> observer::profiles() { return state_->for_each_profile(); }

pid_t observer::pid() const noexcept { return state_->pid; }

std::vector<pid_t> processes_with_heaps()
{
    demand_proc("processes with heaps cannot be looked for");
    std::vector<pid_t> found;
    int lacking = 0;
    bool const listed = for_each_entry("/proc", [&found, &lacking](char const* name) {
        auto const pid = number_in<pid_t>(name);
        if (!pid)
            return;
        int error = 0;
        process_view const v = look_at(*pid);
        if (v.lives() && !segments_of(*pid, v.task, error, true).empty())
            found.push_back(*pid);
        else if (error == EMFILE || error == ENFILE)
            lacking = error;
    });
    if (lacking != 0)
        fail(fault::system, "not all processes can be looked into: " + reason(lacking));
    if (!listed)
        fail(fault::system, "/proc cannot be listed: " + reason(errno));
    std::ranges::sort(found);
    return found;
}

}
