// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A target that a test tells what to say. Include it last: it imports tslab.
#pragma once
#include "tslab/command.hpp"
#include "tslab/source.hpp"
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>
import tslab;

namespace support {

struct script {
    std::atomic<bool> gone{false};
    std::atomic<bool> mapless{false};
    std::atomic<bool> saved{false};
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> last_read{UINT64_MAX};   ///< the read after this one fails
    std::string heap_name = "orders";
    std::vector<tslab::heap_profile> profiles{};
    std::string no_profile = "4711 (shop) has no heap profile";   ///< why there are none
};

/// A snapshot that differs from every other by its time and its bytes.
inline tslab::snapshot sample(std::uint64_t number, std::string name = "orders")
{
    tslab::snapshot s;
    s.name = std::move(name);
    s.pid = 4711;
    s.page_size = 4096;
    s.epoch_count = 16;
    s.reclaim = "cached";
    s.timestamp_ns = 1'700'000'000'000'000'000 + number * 1'000'000'000;
    s.global.live_bytes = 1000 + number;
    s.classes.resize(tslab::class_count + 1);
    for (std::uint32_t c = 0; c <= tslab::class_count; ++c)
        s.classes[c].class_index = c;
    return s;
}

class scripted_source final : public tslab::tool::source {
public:
    explicit scripted_source(std::shared_ptr<script> s, std::string name = "4711 (shop)")
        : script_{std::move(s)}, name_{std::move(name)}
    {
    }
    std::vector<tslab::snapshot> read(bool) override
    {
        if (script_->gone || script_->reads >= script_->last_read)
            throw tslab::tool::failure{tslab::tool::outcome::no_target, "process 4711 has ended"};
        std::vector<tslab::snapshot> out;
        out.push_back(sample(++script_->reads, script_->heap_name));
        return out;
    }
    std::vector<tslab::heap_map> maps() override
    {
        if (script_->mapless)
            throw tslab::tool::failure{tslab::tool::outcome::no_target, "no map\nof \"pages\""};
        tslab::heap_map m;
        m.name = script_->heap_name;
        m.page_size = 4096;
        m.runs.push_back(
            {.pages = 3, .use = tslab::page_use::slab, .class_index = 2, .era = 9, .slots = 63, .live = 5});
        return {m};
    }
    std::vector<tslab::heap_profile> profiles() override
    {
        if (script_->profiles.empty())
            throw tslab::tool::failure{tslab::tool::outcome::no_target, script_->no_profile};
        return script_->profiles;
    }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return !script_->saved; }

private:
    std::shared_ptr<script> script_;
    std::string name_;
};

}
