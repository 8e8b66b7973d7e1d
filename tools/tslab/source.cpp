// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include <fstream>
#include <istream>
#include <iterator>
#include <utility>
import tslab;

namespace tslab::tool {

namespace {

class saved final : public source {
public:
    saved(std::string name, std::string const& text) : name_{std::move(name)} { one_.push_back(from_json(text)); }
    std::vector<snapshot> read(bool) override { return one_; }
    std::vector<heap_map> maps() override
    {
        throw failure{outcome::no_target, name_ + " is a saved snapshot and has no map of pages"};
    }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return false; }

private:
    std::string name_;
    std::vector<snapshot> one_;
};

std::string all_of(std::istream& in) { return {std::istreambuf_iterator<char>{in}, {}}; }

}

void target::add_to(CLI::App& command)
{
    command.add_option("target", what, "pid, process name, saved snapshot or segment file");
    command.add_flag("--stdin", standard_input, "read a snapshot from standard input");
}

std::unique_ptr<source> target::open(invocation const& i) const
{
    if (standard_input)
        return std::make_unique<saved>("standard input", all_of(i.in));
    std::ifstream file{what};
    if (!file)
        throw failure{outcome::no_target, "no such process or file: " + what};
    return std::make_unique<saved>(what, all_of(file));
}

}
