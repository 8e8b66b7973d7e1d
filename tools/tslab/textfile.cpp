// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/textfile.hpp"
#include "tslab/command.hpp"
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tslab::tool {

namespace {

/// A new file beside the one it is to replace; gone again unless it was renamed. Its name begins with a dot and does not end
/// in .prom, so that no collector reads it.
class new_file {
public:
    new_file(std::string const& directory, std::string target)
        : target_{std::move(target)}, path_{directory + "/.tslab.XXXXXX"}, fd_{mkostemp(path_.data(), O_CLOEXEC)}
    {
        if (fd_ == -1) {
            path_.clear();
            fail();
        }
    }
    ~new_file()
    {
        if (fd_ != -1)
            close(fd_);
        if (!path_.empty())
            unlink(path_.c_str());
    }
    new_file(new_file const&) = delete;
    new_file& operator=(new_file const&) = delete;

    void write_all(std::string_view text)
    {
        while (!text.empty()) {
            ssize_t const n = write(fd_, text.data(), text.size());
            if (n == -1 && errno == EINTR)
                continue;
            if (n == -1)
                fail();
            text.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    void move_to_target()
    {
        // close reports what a network file system could not write.
        if (fchmod(fd_, 0644) != 0 || fsync(fd_) != 0 || close(std::exchange(fd_, -1)) != 0 ||
            rename(path_.c_str(), target_.c_str()) != 0)
            fail();
        path_.clear();
    }

private:
    [[noreturn]] void fail() const
    {
        throw failure{outcome::usage, "cannot write " + target_ + ": " + std::generic_category().message(errno)};
    }

    std::string target_;
    std::string path_;
    int fd_;
};

}

void replace_file(std::string const& directory, std::string const& name, std::string_view text)
{
    new_file file{directory, directory + '/' + name};
    file.write_all(text);
    file.move_to_target();
    // The rename itself is to outlive a power failure; a directory that cannot be synced is no reason to fail.
    if (int const fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd != -1) {
        (void)fsync(fd);
        close(fd);
    }
}

}
