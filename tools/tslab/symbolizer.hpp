// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns return addresses of a process into functions and lines. Of a live process the files that it executes are found through
// /proc, so that a container's are; of a dead one by the paths that were recorded. A file with another build id than what was
// executed is not used. What stays without a name, and why, is said.
#pragma once
#include "tslab/debug_file.hpp"
#include "tslab/function_name.hpp"
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// A function in a stack, with names for a person.
struct code_frame {
    std::string function{};   ///< without parameters; "libx.so+0x1234" or "0x7f..." where there is no name
    std::string linkage{};    ///< the symbol's name; empty where there is no name
    std::string file{};
    std::uint32_t line = 0;
    bool inlined = false;
    code_owner owner = code_owner::program;
};

/// What an address stands for.
struct code_place {
    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
    std::size_t mapping = nowhere;      ///< index in symbolizer::mappings(), or that no file is mapped there
    std::vector<code_frame> frames{};   ///< innermost first, at least one
};

class symbolizer {
public:
    /// `recorded`: what the process said that it executes. `pid`: of a live process, as this program sees it; 0 for a dead one.
    symbolizer(std::vector<profiled_mapping> recorded, pid_t pid);
    ~symbolizer();
    symbolizer(symbolizer const&) = delete;
    symbolizer& operator=(symbolizer const&) = delete;

    /// Whether it would do for that process.
    [[nodiscard]] bool is_of(std::vector<profiled_mapping> const& recorded, pid_t pid) const noexcept;

    /// The functions that called, whose calls return to `return_address`. The same reference as long as the symbolizer lives.
    code_place const& place_of(std::uint64_t return_address);
    [[nodiscard]] std::vector<profiled_mapping> const& mappings() const noexcept { return mappings_; }

    /// What the names of one mapping's functions come from.
    struct sources {
        bool functions = false;
        bool lines = false;
    };
    [[nodiscard]] sources sources_of(std::size_t mapping) const;

    /// One sentence for each file whose functions have no names or no lines, as far as addresses in it were asked for; and one for
    /// addresses where no file is mapped.
    [[nodiscard]] std::vector<std::string> notes() const;

private:
    struct binary;
    struct live_mapping {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        std::string file{};   // ends with " (deleted)" if its path names it no more
    };

    void add_live_mappings();
    [[nodiscard]] std::size_t mapping_of(std::uint64_t address) const noexcept;
    binary& binary_of(std::size_t mapping);
    void open(binary& b, profiled_mapping const& m) const;
    /// Whether the file is what was executed, and can be read.
    static bool use(binary& b, int fd, std::string const& path, std::string const& root);
    code_place find(std::uint64_t return_address);

    pid_t pid_;
    std::vector<profiled_mapping> recorded_;
    std::vector<profiled_mapping> mappings_;   // by address
    std::vector<live_mapping> live_{};         // by address; of a live process
    std::map<std::pair<std::string, std::string>, std::unique_ptr<binary>> binaries_{};   // by file and build id
    std::map<std::uint64_t, code_place> places_{};
    std::uint64_t unmapped_ = 0;
};

}
