// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The program inside a test: a command line in, an exit code and two texts out. Include it before anything that imports.
#pragma once
#include "tslab/command.hpp"
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace support {

struct answer {
    int code = 0;
    std::string out{};
    std::string err{};
};

inline answer tool(std::vector<std::string> const& arguments, std::string const& input = {})
{
    std::ostringstream out;
    std::ostringstream err;
    std::istringstream in{input};
    std::vector<char const*> words{"tslab"};
    for (std::string const& a : arguments)
        words.push_back(a.c_str());
    tslab::tool::invocation i{out, err, in};
    int const code = tslab::tool::run(static_cast<int>(words.size()), words.data(), i);
    return {code, out.str(), err.str()};
}

/// A file with a text, gone with the object.
class file {
public:
    explicit file(std::string const& text)
        : path_{std::filesystem::temp_directory_path() /
                ("tslab_test_" + std::to_string(getpid()) + "_" + std::to_string(next_++))}
    {
        std::ofstream{path_, std::ios::binary} << text;
    }
    ~file() { std::filesystem::remove(path_); }
    file(file const&) = delete;
    file& operator=(file const&) = delete;
    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    static inline int next_ = 0;
    std::filesystem::path path_;
};

}
