// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A target for the page, in this process: a heap under a load that shows something in every panel. On demand it forgets
// to leave an epoch, or cannot be read any more.
#pragma once
#include "tslab/command.hpp"
#include "tslab/source.hpp"
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <source_location>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>
import tslab;

namespace demo {

/// Requests of several kinds, each in an epoch of its own; a cache that lives on; now and then a large job.
class load {
public:
    load()
    {
        heap_.set_sampling(true);
        for (unsigned n = 0; n < 2; ++n)
            workers_.emplace_back([this, n](std::stop_token const& stop) { work(stop, n); });
    }

    [[nodiscard]] tslab::allocator& heap() noexcept { return heap_; }
    /// One thread forgets to leave an epoch of this label.
    void forget(std::string label)
    {
        forgotten_label_ = std::move(label);
        forget_ = true;
    }

private:
    void work(std::stop_token const& stop, unsigned number)
    {
        using namespace std::chrono_literals;
        static constexpr std::array labels{"GET /orders", "GET /users", "POST /cart", "search"};
        tslab::epoch_scope const cache{heap_, number == 0 ? "session cache" : "catalogue"};
        std::vector<std::unique_ptr<tslab::epoch_scope>> open;
        std::optional<tslab::epoch_scope> forgotten;
        for (std::uint64_t round = number; !stop.stop_requested(); ++round) {
            double const wave = 1 + std::sin(static_cast<double>(round) / 18 + number);
            if (forget_.exchange(false)) {
                leave(open, 0);
                forgotten.emplace(heap_, forgotten_label_, std::source_location::current());
                fill(*forgotten->resource(), 6'000, round);
            }
            open.push_back(std::make_unique<tslab::epoch_scope>(heap_, labels[round % labels.size()],
                                                                std::source_location::current()));
            fill(*open.back()->resource(),
                 static_cast<std::size_t>(1'500 * (wave + 0.3) * static_cast<double>(1 + round % 4)), round);
            if (round % 16 == 0)
                std::memset(cache.resource()->allocate(200'000), 1, 200'000);
            if (round % 2 == 0)
                fill(*cache.resource(), 40, round);
            if (open.size() > 5 || round % 23 == 0)
                leave(open, round % 23 == 0 ? 0 : 3);
            std::this_thread::sleep_for(25ms);
        }
        leave(open, 0);
        if (forgotten)
            forgotten->resource()->release();
        forgotten.reset();
        cache.resource()->release();
    }

    /// Scopes nest: the latest first.
    static void leave(std::vector<std::unique_ptr<tslab::epoch_scope>>& open, std::size_t down_to)
    {
        while (open.size() > down_to) {
            open.back()->resource()->release();
            open.pop_back();
        }
    }

    static void fill(tslab::epoch_resource& r, std::size_t objects, std::uint64_t round)
    {
        for (std::size_t n = 0; n < objects; ++n) {
            std::size_t const bytes = 32 + (n * 37 + round * 11) % 480;
            void* const p = r.allocate(bytes);
            std::memset(p, 1, bytes);
            if (n % 3 == 0)
                r.deallocate(p, bytes);
        }
    }

    tslab::allocator heap_{{.name = "orders", .epoch_count = 64}};
    std::string forgotten_label_;
    std::atomic<bool> forget_{false};
    std::vector<std::jthread> workers_;
};

/// A map that has the figures of `s` and invents the places: what the page shows where a heap cannot say.
inline tslab::heap_map invented_map(tslab::snapshot const& s)
{
    tslab::heap_map m;
    m.name = s.name;
    m.page_size = s.page_size;
    for (tslab::label_stats const& l : s.labels) {
        m.label_names.resize(std::max<std::size_t>(m.label_names.size(), l.label_id + 1));
        m.label_names[l.label_id] = l.name;
    }
    std::uint32_t page = 0;
    auto const add = [&](tslab::map_run r) {
        r.first_page = page;
        page += r.pages;
        m.runs.push_back(r);
    };
    for (tslab::epoch_stats const& e : s.epochs) {
        for (tslab::class_share const& c : e.classes) {
            auto const& kind = s.classes[c.class_index];
            for (std::uint64_t n = 0; n < c.slabs; ++n)
                add({.pages = kind.pages_per_slab,
                     .use = tslab::page_use::slab,
                     .class_index = c.class_index,
                     .epoch = e.index,
                     .era = e.era,
                     .label_id = e.label_id,
                     .slots = kind.objects_per_slab,
                     .live = static_cast<std::uint32_t>(c.live_objects / std::max<std::uint64_t>(c.slabs, 1))});
        }
        if (e.large_pages != 0)
            add({.pages = static_cast<std::uint32_t>(e.large_pages),
                 .use = tslab::page_use::large,
                 .epoch = e.index,
                 .era = e.era,
                 .label_id = e.label_id,
                 .slots = 1,
                 .live = 1});
        if (e.index % 3 == 0)
            add({.pages = 7, .use = tslab::page_use::free_resident});
    }
    for (std::uint64_t n = 0; n < s.global.slabs_cached; ++n)
        add({.pages = 1, .use = tslab::page_use::cached, .slots = 63});
    add({.pages = static_cast<std::uint32_t>(s.global.free_purged_pages) + 1});
    return m;
}

class source final : public tslab::tool::source {
public:
    explicit source(load& of) : load_{of} {}
    std::vector<tslab::snapshot> read(bool residency) override
    {
        if (gone_)
            throw tslab::tool::failure{tslab::tool::outcome::no_target, "process 4711 has ended"};
        std::vector<tslab::snapshot> out;
        out.push_back(load_.heap().snapshot({.residency = residency}));
        return out;
    }
    std::vector<tslab::heap_map> maps() override
    {
        std::vector<tslab::heap_map> out;
        out.push_back(load_.heap().map());
        if (out.back().runs.empty())
            out.back() = invented_map(load_.heap().snapshot({.residency = false}));
        return out;
    }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return true; }

    std::atomic<bool>& gone() noexcept { return gone_; }

private:
    load& load_;
    std::string name_ = "4711 (shop)";
    std::atomic<bool> gone_{false};
};

}
