// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/output.hpp"
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <system_error>
#include <unistd.h>

namespace tslab::tool {

void write_file(std::string const& path, std::string_view text)
{
    errno = 0;
    std::ofstream file{path, std::ios::binary | std::ios::trunc};
    file << text;
    file.close();
    if (!file)
        throw failure{outcome::usage, "cannot write " + escaped(path) + ": " +
                                          std::generic_category().message(errno != 0 ? errno : EIO)};
}

bool descriptor_output::flush_buffer()
{
    for (char const* from = pbase(); from != pptr() && error_ == 0;) {
        ssize_t const n = ::write(fd_, from, static_cast<std::size_t>(pptr() - from));
        if (n >= 0)
            from += n;
        else if (errno != EINTR)
            error_ = errno;
    }
    setp(buffer_.data(), buffer_.data() + buffer_.size());
    return error_ == 0;
}

descriptor_output::int_type descriptor_output::overflow(int_type c)
{
    if (!flush_buffer())
        return traits_type::eof();
    return traits_type::eq_int_type(c, traits_type::eof()) ? traits_type::not_eof(c)
                                                           : sputc(traits_type::to_char_type(c));
}

}
