// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What /proc says of another process: whether it lives, which of its threads can be asked, and which of its open files may
// be segments. Nothing here asks a file system of the process: one that does not answer, as a network file system without
// its server, would block stat() and open() for good, and not even SIGKILL ends that. Included by observer.cpp alone.
#pragma once
#include "segment_copy.hpp"

namespace tslab {

namespace {

/// The number that a name in /proc consists of.
template <class T> std::optional<T> number_in(std::string_view name) noexcept
{
    T n = 0;
    auto const [stop, error] = std::from_chars(name.data(), name.data() + name.size(), n);
    return error == std::errc{} && stop == name.data() + name.size() ? std::optional{n} : std::nullopt;
}

/// Calls visit(name) for every entry of a directory; false, with errno set, if it cannot be read.
template <class F> bool for_each_entry(std::string const& path, F visit)
{
    std::unique_ptr<DIR, int (*)(DIR*)> const directory{::opendir(path.c_str()), ::closedir};
    if (directory == nullptr)
        return false;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread has this stream
    while (dirent const* const entry = ::readdir(directory.get()))
        visit(static_cast<char const*>(entry->d_name));
    return true;
}

/// The contents of a file in /proc, up to `most` bytes; empty, with errno set, if it cannot be read.
std::string text_of_file(std::string const& path, std::size_t most = 4096)
{
    descriptor const file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.number() < 0)
        return {};
    std::string text(most, '\0');
    std::size_t size = 0;
    while (size < most) {
        ssize_t const got = ::read(file.number(), text.data() + size, most - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += static_cast<std::size_t>(got);
    }
    text.resize(size);
    return text;
}

/// What follows `key` on its line, without spaces before it; empty if there is no such line.
std::string_view line_of(std::string_view text, std::string_view key) noexcept
{
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        if (line.starts_with(key)) {
            line.remove_prefix(key.size());
            line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
            return line;
        }
        at = end + 1;
    }
    return {};
}

std::string folder_of(pid_t pid) { return "/proc/" + std::to_string(pid); }
std::string folder_of(pid_t pid, pid_t task) { return folder_of(pid) + "/task/" + std::to_string(task); }

/// Of a process or a thread, from its file `stat`.
struct task_status {
    bool there = false;
    int error = 0;        ///< why it is not there
    bool ended = false;   ///< a zombie: the kernel keeps nothing of it but its exit code
    std::uint64_t started =
        0;   ///< in clock ticks since the machine started; with the number it names a process for good
};

task_status status_of(std::string const& folder)
{
    errno = 0;
    std::string const text = text_of_file(folder + "/stat");
    std::size_t at = text.rfind(')');   // ends the name of the program, which may contain anything
    if (at == std::string::npos || at + 2 >= text.size())
        return {.error = errno};
    task_status s{.there = true, .ended = text[at + 2] == 'Z' || text[at + 2] == 'X' || text[at + 2] == 'x'};
    constexpr int fields_between = 20;   // the state is field 3, the start is field 22
    for (int n = 0; n < fields_between && at != std::string::npos; ++n)
        at = text.find(' ', at + 1);
    if (at != std::string::npos)
        s.started = number_in<std::uint64_t>(std::string_view{text}.substr(at + 1, text.find(' ', at + 1) - at - 1))
                        .value_or(0);
    return s;
}

/// A thread of a process that the kernel can be asked about. The first thread may have ended (pthread_exit in main): then
/// /proc/PID has no descriptors and no memory any more, and the other threads have them.
struct process_view {
    bool there = false;
    int error = 0;               ///< why it is not there
    pid_t task = 0;              ///< 0: every thread has ended
    std::uint64_t started = 0;   ///< of the process

    [[nodiscard]] bool lives() const noexcept { return task != 0; }
};

process_view look_at(pid_t pid)
{
    task_status const first = status_of(folder_of(pid));
    process_view v{.there = first.there,
                   .error = first.error,
                   .task = first.there && !first.ended ? pid : 0,
                   .started = first.started};
    if (first.ended)
        for_each_entry(folder_of(pid) + "/task", [&](char const* name) {
            std::optional<pid_t> const task = v.task == 0 ? number_in<pid_t>(name) : std::nullopt;
            if (!task)
                return;
            task_status const s = status_of(folder_of(pid, *task));
            if (s.there && !s.ended)
                v.task = *task;
        });
    return v;
}

/// Whether a process has a number: its own, or the one in its container.
bool calls_itself(pid_t pid, std::int64_t number)
{
    if (number == pid)
        return true;
    std::string const text = text_of_file(folder_of(pid) + "/status");
    std::string const inner = '\t' + std::to_string(number);
    return ("\t" + std::string{line_of(text, "NSpid:")}).ends_with(inner);   // the innermost namespace comes last
}

/// File systems whose files can be opened without waiting for another machine or process.
bool answers_by_itself(std::string_view type) noexcept
{
    constexpr std::array<std::string_view, 17> known{"tmpfs",    "ramfs", "ext2",   "ext3",      "ext4", "xfs",
                                                     "btrfs",    "f2fs",  "zfs",    "overlay",   "jfs",  "bcachefs",
                                                     "reiserfs", "vfat",  "nilfs2", "hugetlbfs", "exfat"};
    return std::ranges::find(known, type) != known.end();
}

/// The mounts of a process by number, with the types of their file systems; read when first asked.
class mounts {
public:
    explicit mounts(std::string folder) : folder_{std::move(folder)} {}

    enum class answer : std::uint8_t {
        yes,
        no,
        unknown   ///< above the root of the process, as in a chroot, or unmounted below an open file
    };
    [[nodiscard]] answer answers(std::uint64_t number)
    {
        if (!read_)
            read();
        if (std::ranges::binary_search(known_, number))
            return answer::yes;
        return std::ranges::binary_search(others_, number) ? answer::no : answer::unknown;
    }

private:
    void read()
    {
        read_ = true;
        constexpr std::size_t most = std::size_t{4} << 20;
        std::string const text = text_of_file(folder_ + "/mountinfo", most);
        for (std::size_t at = 0; at < text.size();) {
            std::size_t const end = std::min(text.find('\n', at), text.size());
            std::string_view const line = std::string_view{text}.substr(at, end - at);
            at = end + 1;
            std::size_t const type = line.find(" - ");
            auto const number = number_in<std::uint64_t>(line.substr(0, line.find(' ')));
            if (number && type != std::string_view::npos)
                (answers_by_itself(line.substr(type + 3, line.find(' ', type + 3) - type - 3)) ? known_ : others_)
                    .push_back(*number);
        }
        std::ranges::sort(known_);
        std::ranges::sort(others_);
    }

    std::string folder_;
    std::vector<std::uint64_t> known_{};
    std::vector<std::uint64_t> others_{};
    bool read_ = false;
};

/// The open files of a process, seen by one of its threads.
class open_files {
public:
    open_files(pid_t pid, pid_t task) : folder_{folder_of(pid, task)}, mounts_{folder_} {}

    /// Opens every file that may be a segment, and calls visit(descriptor). Returns the error if the files cannot be listed, or one was
    /// not opened since this process has too many.
    template <class F> int visit_candidates(F visit)
    {
        int lacking = 0;
        bool const read = for_each_entry(folder_ + "/fd", [&](char const* name) {
            if (!number_in<unsigned>(name) || !may_be_segment(name))
                return;
            // O_PATH does not open the file: opening a device may start it, and a pipe would gain a reader. The file is
            // examined and opened by this descriptor: the process may give its number to another file meanwhile.
            descriptor const place{::open((folder_ + "/fd/" + name).c_str(), O_PATH | O_CLOEXEC)};
            if (place.number() < 0 && (errno == EMFILE || errno == ENFILE))
                lacking = errno;
            if (place.number() < 0 || !is_local(place.number()) || !is_regular(place.number()))
                return;
            // O_NONBLOCK: a lease on the file is not waited for.
            std::string const again = "/proc/self/fd/" + std::to_string(place.number());
            if (descriptor file{::open(again.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; file.number() >= 0)
                visit(std::move(file));
            else if (errno == EMFILE || errno == ENFILE)
                lacking = errno;
        });
        return read ? lacking : errno;
    }

private:
    /// A memfd of that name; or a file that is open for writing, as the one that TSLAB_STATS_FILE names is. Decided by what
    /// the kernel has in memory: the name and the flags of an open file.
    [[nodiscard]] bool may_be_segment(char const* name) const
    {
        std::array<char, 64> to{};
        ssize_t const n = ::readlink((folder_ + "/fd/" + name).c_str(), to.data(), to.size());
        std::string_view const path{to.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
        if (path.starts_with("/memfd:tslab"))
            return true;
        bool const special = path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
        if (!path.starts_with('/') || path.starts_with("/memfd:") || path.starts_with("/proc/") || special)
            return false;
        std::string const about = text_of_file(folder_ + "/fdinfo/" + name);
        std::string_view const flags = line_of(about, "flags:");
        return !flags.empty() && (static_cast<unsigned>(flags.back() - '0') & O_ACCMODE) == O_RDWR;
    }

    /// Asks only for what the kernel has in memory: no server is contacted.
    [[nodiscard]] static bool is_on_a_block_device(int place)
    {
        struct statx s{};
        return ::statx(place, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &s) == 0 && s.stx_dev_major != 0;
    }
    /// Whether the file that is held is a memfd, or on a file system that answers by itself.
    [[nodiscard]] bool is_local(int place)
    {
        std::array<char, 64> to{};
        std::string const number = std::to_string(place);
        ssize_t const n = ::readlink(("/proc/self/fd/" + number).c_str(), to.data(), to.size());
        if (std::string_view{to.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))}.starts_with("/memfd:tslab"))
            return true;
        auto const mount = number_in<std::uint64_t>(line_of(text_of_file("/proc/self/fdinfo/" + number), "mnt_id:"));
        mounts::answer const known = mount ? mounts_.answers(*mount) : mounts::answer::no;
        return known == mounts::answer::yes || (known == mounts::answer::unknown && is_on_a_block_device(place));
    }
    [[nodiscard]] static bool is_regular(int place)
    {
        struct stat s{};
        return ::fstat(place, &s) == 0 && S_ISREG(s.st_mode) && s.st_size >= static_cast<off_t>(least_segment) &&
               s.st_size <= static_cast<off_t>(segment::most_bytes) && s.st_size % static_cast<off_t>(page_bytes) == 0;
    }

    std::string folder_;
    mounts mounts_;
};

}

}
