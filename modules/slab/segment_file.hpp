// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The file behind a segment: creation, seals, size, mapping. Each function makes one call to the system, which a test
// can make fail.
#pragma once

namespace tslab {

inline bool wanted() noexcept
{
    char const* const said = ::secure_getenv("TSLAB_PUBLISH");
    return said == nullptr || std::string_view{said} != "0";
}

inline bool may_be_as_large_as(std::size_t bytes) noexcept
{
    rlimit limit{};
    return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes);
}

/// The name TSLAB_STATS_FILE gives: "%p" stands for the process's number. Empty if it is not set. Throws
/// std::bad_alloc.
inline std::string file_name()
{
    char const* const said = ::secure_getenv("TSLAB_STATS_FILE");
    std::string name = said != nullptr ? said : "";
    if (std::size_t const at = name.find("%p"); at != std::string::npos)
        name.replace(at, 2, std::to_string(::getpid()));
    return name;
}

/// Appended to the name of a file that a later process of the same name finds.
inline constexpr char const* renamed_suffix = ".old";

/// Prepends the working directory to a relative name: the program may change it. Returns false if that is unknown.
/// Throws std::bad_alloc.
inline bool make_absolute(std::string& name)
{
    if (name.starts_with('/'))
        return true;
    std::array<char, PATH_MAX> directory{};
    if (::getcwd(directory.data(), directory.size()) == nullptr || directory[0] != '/')
        return false;
    name.insert(0, std::string{directory.data()} + '/');
    return true;
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

/// Whether a file is a segment of this process, made by another copy of the library, as a plugin may have one.
inline bool is_of_this_process(std::string const& name) noexcept
{
    int const file = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);   // nothing is written to it
    segment_header header;
    header.magic = 0;
    bool const whole = file >= 0 && ::pread(file, &header, sizeof(header), 0) == sizeof(header);
    if (file >= 0)
        ::close(file);
    return whole && header.magic == segment_header::magic_number && header.pid == ::getpid() &&
           header.program == program_number();
}

/// Creates a file. An existing one, of a process that may have died, is renamed, unless it is this process's: then a
/// number is appended to `name`. -1 on failure. Throws std::bad_alloc.
inline int create_file(std::string& name)
{
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    constexpr int most_copies = 100;
    std::string const plain = name;
    for (int copy = 2; copy <= most_copies; ++copy) {
        int const descriptor = granted(os_call::make_file) ? ::open(name.c_str(), flags, 0600) : -1;
        if (descriptor >= 0 || errno != EEXIST)
            return descriptor;
        struct stat there{};
        if (::lstat(name.c_str(), &there) != 0 || !S_ISREG(there.st_mode))
            return -1;
        if (is_of_this_process(name)) {
            name = plain + '.' + std::to_string(copy);
            continue;
        }
        std::string const kept = name + renamed_suffix;
        if (!granted(os_call::rename_file) || ::rename(name.c_str(), kept.c_str()) != 0)
            return -1;
        return ::open(name.c_str(), flags, 0600);
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
