// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/output.hpp"
#include <cerrno>
#include <cstddef>
#include <unistd.h>

namespace tslab::tool {

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
