// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a run prints: one JSON object on one line.
#pragma once

#include "run.hpp"

#include <concepts>
#include <string>
#include <string_view>

namespace bench {

class output {
public:
    output& text(std::string_view name, std::string_view value);
    output& number(std::string_view name, double value);
    output& number(std::string_view name, std::integral auto value)
    {
        key(name);
        line_ += std::to_string(value);
        return *this;
    }

    void add(throughput const& t);
    /// Histograms as [[nanoseconds, count], ...], by value.
    void add(latencies const& l);
    void add(memory_use const& m);

    std::string finish() { return line_ + "}"; }

private:
    void key(std::string_view name);
    void add(std::string_view name, histogram const& h, double ticks_per_ns);

    std::string line_ = "{";
};

std::string patterns_as_json();

}
