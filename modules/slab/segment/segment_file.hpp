// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The file behind a segment: creation, seals, size, mapping. Each function makes one call to the system, which a test
// can make fail.
#pragma once

namespace tslab {

inline bool wanted() noexcept { return number_in_environment(variable::publish).value_or(1) != 0; }

inline bool may_be_as_large_as(std::size_t bytes) noexcept
{
    rlimit limit{};
    return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes);
}

/// Appended to the name of a file that a later process of the same name finds.
inline constexpr char const* renamed_suffix = ".old";

/// The name of a file, in memory of malloc. No std::string: the program's operator new may be served by a heap, and come
/// back here under the same locks. `operator bool`: whether there was memory and room for all of it.
class file_path {
public:
    file_path() noexcept
        : text_{granted(os_call::keep_path) ? static_cast<char*>(std::malloc(capacity)) : nullptr},
          whole_{text_ != nullptr}
    {
        cut(0);
    }
    ~file_path() { std::free(text_); }
    file_path(file_path const&) = delete;
    file_path& operator=(file_path const&) = delete;

    explicit operator bool() const noexcept { return whole_; }
    [[nodiscard]] char const* text() const noexcept { return text_ != nullptr ? text_ : ""; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    file_path& append(std::string_view more) noexcept
    {
        whole_ = whole_ && size_ + more.size() < capacity;
        if (whole_) {
            more.copy(text_ + size_, more.size());
            cut(size_ + more.size());
        }
        return *this;
    }
    file_path& append(std::int64_t number) noexcept
    {
        std::array<char, 24> digits{};
        return append({digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr});
    }
    void cut(std::size_t size) noexcept
    {
        size_ = size;
        if (text_ != nullptr)
            text_[size_] = '\0';
    }
    /// Appends the working directory and a slash.
    file_path& append_directory() noexcept
    {
        whole_ = whole_ && ::getcwd(text_ + size_, capacity - size_) != nullptr && text_[size_] == '/';
        if (whole_)
            cut(size_ + std::strlen(text_ + size_));
        return append("/");
    }
    /// The memory, for std::free: the text, a null character, and behind it the rest of `suffix`, whose first character
    /// that one is. Requires: there is room.
    [[nodiscard]] char* release_with(std::string_view suffix) noexcept
    {
        suffix.copy(text_ + size_, suffix.size());
        text_[size_ + suffix.size()] = '\0';
        text_[size_] = '\0';
        return std::exchange(text_, nullptr);
    }

    static constexpr std::size_t capacity = PATH_MAX + 8;

private:
    char* text_;
    std::size_t size_ = 0;
    bool whole_;
};

/// The name that TSLAB_STATS_FILE gives; null if it gives none.
inline char const* wanted_name() noexcept
{
    char const* const said = ::secure_getenv("TSLAB_STATS_FILE");
    return said != nullptr && *said != '\0' ? said : nullptr;
}

/// Appends what `said` means now: "%p" stands for the process's number, and a relative name is one of the working
/// directory, which the program may change.
inline void append_name(file_path& to, std::string_view said) noexcept
{
    if (!said.starts_with('/'))
        to.append_directory();
    std::size_t const at = said.find("%p");
    to.append(said.substr(0, at));
    if (at != std::string_view::npos)
        to.append(std::int64_t{::getpid()}).append(said.substr(at + 2));
}

/// Removes the file with that name if it is the one with that identity; returns whether it did.
inline bool unlink_if(char const* name, std::uint64_t device, std::uint64_t inode) noexcept
{
    struct stat there{};
    return ::lstat(name, &there) == 0 && there.st_dev == device && there.st_ino == inode && ::unlink(name) == 0;
}

inline int create_memfd() noexcept
{
    return granted(os_call::make_file) ? ::memfd_create("tslab", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
}

/// A number that the kernel drew when this program was started. All copies of the library in a process have the same.
inline std::uint64_t program_number() noexcept
{
    std::uint64_t number = 0;
    if (auto const* const drawn = reinterpret_cast<unsigned char const*>(::getauxval(AT_RANDOM)))
        for (std::size_t i = 0; i < sizeof(number); ++i)   // not the number itself: libraries make secrets of it
            number = (number ^ drawn[i] ^ drawn[i + sizeof(number)]) * 0x100000001b3 + 1;
    return number;
}

/// What stands at the name of a file that is to be made.
enum class found_file : std::uint8_t {
    none,
    of_this_process,   ///< a segment of another copy of the library, as a plug-in may have one
    segment,           ///< of another process, or one that was killed as it made it
    other              ///< no file of this library's, or one that cannot be read
};

inline found_file look_at(char const* name) noexcept
{
    struct stat there{};
    if (::lstat(name, &there) != 0)
        return errno == ENOENT ? found_file::none : found_file::other;
    if (!S_ISREG(there.st_mode))
        return found_file::other;
    if (there.st_size == 0)
        return found_file::segment;
    int const file = ::open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);   // nothing is written to it
    segment_header header;
    header.magic = ~segment_header::magic_number;
    ssize_t const got = file >= 0 ? ::pread(file, &header, sizeof(header), 0) : -1;
    if (file >= 0)
        ::close(file);
    bool const named = got >= static_cast<ssize_t>(sizeof(header.magic));
    if (!named || (header.magic != segment_header::magic_number && header.magic != 0))   // 0: it was not finished
        return found_file::other;
    return got == sizeof(header) && header.magic != 0 && header.pid == ::getpid() && header.program == program_number()
               ? found_file::of_this_process
               : found_file::segment;
}

/// Says once that nothing is published, and why.
inline void refuse_file(char const* name, char const* why, char const* reason = "") noexcept
{
    static constinit atomic<bool> said{false};
    if (said.exchange(true, std::memory_order_relaxed))
        return;
    std::array<char, 256> shown{};   // control characters must not reach a terminal
    std::string_view const fitting = fitting_prefix(name, shown.size() - 1);
    std::ranges::transform(fitting, shown.begin(),
                           [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c; });
    std::array<char, 512> line{};
    int const length =
        std::snprintf(line.data(), line.size(), "tslab: TSLAB_STATS_FILE: \"%s\" %s%s; no statistics are published\n",
                      shown.data(), why, reason);
    if (length > 0) [[maybe_unused]]
        auto const written = ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(length));
}

inline constexpr char const* no_file_of_ours = "is not a statistics file and is left alone";

/// Says that the file cannot be made, for the reason that errno has.
inline void refuse_file_by_errno(char const* name) noexcept
{
    char const* const reason = ::strerrordesc_np(errno);   // allocates nothing
    refuse_file(name, "cannot be made: ", reason != nullptr ? reason : "unknown error");
}

/// Creates a file. An existing segment, of a process that may have died, is renamed, unless it is this process's: then
/// a number is appended to `name`. A file that is no segment is neither renamed nor replaced. Returns -1 on failure.
inline int create_file(file_path& name) noexcept
{
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    constexpr int most_copies = 100;
    std::size_t const plain = name.size();
    for (int copy = 2; copy <= most_copies && name; ++copy) {
        int const descriptor = granted(os_call::make_file) ? ::open(name.text(), flags, 0600) : -1;
        if (descriptor >= 0 || errno != EEXIST)
            return descriptor;
        switch (look_at(name.text())) {
        case found_file::none: continue;   // removed meanwhile
        case found_file::of_this_process:
            name.cut(plain);
            name.append(".").append(std::int64_t{copy});
            continue;
        case found_file::other: refuse_file(name.text(), no_file_of_ours); return -1;
        case found_file::segment: break;
        }
        file_path kept;
        kept.append(name.text()).append(renamed_suffix);
        if (!kept)
            return -1;
        if (look_at(kept.text()) == found_file::other) {
            refuse_file(kept.text(), no_file_of_ours);
            return -1;
        }
        if (!granted(os_call::rename_file) || ::rename(name.text(), kept.text()) != 0)
            return -1;
        return ::open(name.text(), flags, 0600);
    }
    return -1;
}

/// Seals a memfd: it cannot shrink, and only the existing mapping may write. An old kernel without the second seal
/// applies the others.
inline bool seal(int descriptor) noexcept
{
    return granted(os_call::seal_file) &&
           (::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0 ||
            ::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
}

/// Allocates memory or blocks for a part of the file.
inline bool reserve_space(int descriptor, std::size_t begin, std::size_t bytes) noexcept
{
    while (!granted(os_call::take_space) ||
           ::fallocate(descriptor, 0, static_cast<off_t>(begin), static_cast<off_t>(bytes)) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

inline bool map_over(void* begin, std::size_t bytes, int descriptor, std::size_t offset) noexcept
{
    return granted(os_call::map_file) &&
           ::mmap(begin, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, descriptor,
                  static_cast<off_t>(offset)) != MAP_FAILED;
}

/// Maps the end of a mapping and what follows in its file. A sealed memfd admits no new writable mapping, but an
/// existing mapping can be duplicated and extended (mremap with an old size of 0): the first page at `begin` is
/// `last_page`.
inline bool map_what_follows(std::byte* last_page, void* begin, std::size_t bytes) noexcept
{
    return granted(os_call::map_file) &&
           ::mremap(last_page, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, begin) != MAP_FAILED;
}

inline bool set_size(int descriptor, std::size_t bytes) noexcept
{
    return granted(os_call::set_file_size) && ::ftruncate(descriptor, static_cast<off_t>(bytes)) == 0;
}

inline bool examine(int descriptor, struct stat& found) noexcept
{
    return granted(os_call::examine_file) && ::fstat(descriptor, &found) == 0;
}

}
