// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One ELF file and its debug information, read by elfutils' libdw: which functions an address of it belongs to. Built without
// libdw, no file can be read.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tslab::tool {

/// A function at an address, and where in its source the address is.
struct source_frame {
    std::string linkage{};    ///< the symbol's name; of C, and where only a plain name is known, that
    std::string file{};       ///< empty if not known
    std::uint32_t line = 0;   ///< 0 if not known
    bool inlined = false;     ///< into the frame that follows
};

class debug_file {
public:
    /// Whether this program was built with libdw.
    [[nodiscard]] static bool available() noexcept;

    /// `path`: for messages, and debug information that lies beside it. `root`: where the file system of the observed process is
    /// seen, "" for that of this program. `fd` is not taken over. Throws std::runtime_error for what is no ELF file.
    debug_file(int fd, std::string const& path, std::string const& root);
    ~debug_file();
    debug_file(debug_file const&) = delete;
    debug_file& operator=(debug_file const&) = delete;

    /// Hexadecimal; empty if it has none.
    [[nodiscard]] std::string const& build_id() const noexcept;
    [[nodiscard]] bool has_debug_information();
    /// Whether it names functions that it does not export.
    [[nodiscard]] bool has_symbol_table();

    /// The functions at a byte of the file that is mapped to be executed, innermost first; none if nothing is known of it.
    /// Inlined functions come before the one that they are inlined into.
    [[nodiscard]] std::vector<source_frame> frames_at(std::uint64_t file_offset);

private:
    struct state;
    std::unique_ptr<state> state_;
};

}
