// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading another process: files, its memory if the kernel permits, and which of its pages are resident. Included by
// observer.cpp alone.
#pragma once

namespace tslab {

namespace {

using fault = observe_fault;

[[noreturn]] void fail(fault f, std::string const& text) { throw observe_error{f, text}; }

std::string reason(int error) { return std::system_category().message(error); }

/// A file descriptor that closes itself.
class descriptor {
public:
    explicit descriptor(int number) noexcept : number_{number} {}
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    descriptor(descriptor&& from) noexcept : number_{std::exchange(from.number_, -1)} {}
    descriptor& operator=(descriptor&& from) noexcept
    {
        std::swap(number_, from.number_);
        return *this;
    }
    ~descriptor()
    {
        if (number_ >= 0)
            ::close(number_);
    }
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_;
};

/// Memory with the alignment of records.
class bytes {
public:
    explicit bytes(std::size_t n) : lines_((n + sizeof(line) - 1) / sizeof(line)), size_{n} {}
    [[nodiscard]] std::byte* data() noexcept { return reinterpret_cast<std::byte*>(lines_.data()); }
    [[nodiscard]] std::byte const* data() const noexcept { return reinterpret_cast<std::byte const*>(lines_.data()); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct alignas(64) line {
        std::array<std::byte, 64> of;
    };
    std::vector<line> lines_;
    std::size_t size_;
};

/// Reads [at, at + to.size()) of a file; false if the file is shorter.
bool read_at(int from, std::span<std::byte> to, std::uint64_t at)
{
    while (!to.empty()) {
        ssize_t const got = ::pread(from, to.data(), to.size(), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to = to.subspan(static_cast<std::size_t>(got));
        at += static_cast<std::uint64_t>(got);
    }
    return true;
}

/// The memory of another process, if the kernel permits reading it.
class other_memory {
public:
    explicit other_memory(pid_t pid) noexcept : pid_{pid} {}

    /// False if any part cannot be read.
    [[nodiscard]] bool read(std::uint64_t address, void* to, std::size_t n) const noexcept
    {
        auto* at = static_cast<std::byte*>(to);
        while (n != 0) {
            iovec const here{at, n};
            iovec const there{reinterpret_cast<void*>(address), n};
            ssize_t const got = ::process_vm_readv(pid_, &here, 1, &there, 1, 0);
            if (got <= 0)
                return false;
            at += got;
            address += static_cast<std::uint64_t>(got);
            n -= static_cast<std::size_t>(got);
        }
        return true;
    }
    /// `each` bytes from every one of `addresses`, one behind the other, to every one of `copies`: the copies of one
    /// address are made right after each other. False if any cannot be read.
    [[nodiscard]] bool read_each(std::span<std::uint64_t const> addresses, std::initializer_list<std::byte*> copies,
                                 std::size_t each) const
    {
        std::size_t const batch = IOV_MAX / copies.size();
        std::vector<iovec> here;
        std::vector<iovec> there;
        for (std::size_t first = 0; first < addresses.size(); first += batch) {
            std::size_t const end = std::min(first + batch, addresses.size());
            here.clear();
            there.clear();
            for (std::size_t i = first; i < end; ++i)
                for (std::byte* const to : copies) {
                    here.push_back({to + i * each, each});
                    there.push_back({reinterpret_cast<void*>(addresses[i]), each});
                }
            if (::process_vm_readv(pid_, here.data(), here.size(), there.data(), there.size(), 0) !=
                static_cast<ssize_t>(here.size() * each))
                return false;
        }
        return true;
    }

private:
    pid_t pid_;
};

/// Joins two copies of descriptors, the second made right after the first. A free slot's bit may be moving from one
/// word to the other, and a single copy could read each word while the bit is in the other.
void join_words(slab_meta& first, slab_meta const& second, bool local_too) noexcept
{
    auto const join = [](atomic<std::uint64_t>& to, atomic<std::uint64_t> const& from) {
        to.store(to.load(std::memory_order_relaxed) | from.load(std::memory_order_relaxed), std::memory_order_relaxed);
    };
    join(first.remote_free, second.remote_free);
    if (local_too)
        join(first.local_free, second.local_free);
}

/// Which pages of another process are resident, from /proc/<pid>/pagemap: the top bit of a page's eight bytes.
class page_flags {
public:
    explicit page_flags(pid_t pid)
        : file_{pid != 0 ? ::open(("/proc/" + std::to_string(pid) + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC) : -1}
    {
    }
    [[nodiscard]] bool known() const noexcept
    {
        return file_.number() >= 0 && ::sysconf(_SC_PAGESIZE) == static_cast<long>(page_bytes);
    }
    [[nodiscard]] std::vector<unsigned char> of(std::uint64_t begin, std::uint64_t pages) const
    {
        std::vector<unsigned char> flags(pages);
        std::vector<std::uint64_t> words(std::min<std::uint64_t>(pages, 65'536));
        for (std::uint64_t first = 0; first < pages; first += words.size()) {
            std::uint64_t const n = std::min<std::uint64_t>(words.size(), pages - first);
            if (!read_at(file_.number(), std::as_writable_bytes(std::span{words}.first(n)),
                         (begin / page_bytes + first) * sizeof(std::uint64_t)))
                break;
            for (std::uint64_t i = 0; i < n; ++i)
                flags[first + i] = (words[i] >> 63U) != 0 ? 1 : 0;
        }
        return flags;
    }
    [[nodiscard]] std::uint64_t resident_bytes(std::uint64_t begin, std::uint64_t bytes_of_it) const
    {
        std::uint64_t const pages = (bytes_of_it + page_bytes - 1) / page_bytes;
        std::vector<unsigned char> const flags = of(begin, pages);
        return static_cast<std::uint64_t>(std::ranges::count(flags, 1)) * page_bytes;
    }

private:
    descriptor file_;
};

}

}
