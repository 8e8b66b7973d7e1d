// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab: one heap a process, a resource a thread, a scope a request, a resource a phase.
#include "place.hpp"

#include <array>
#include <optional>

import tslab;

namespace bench {
namespace {

class tslab_place final : public place {
public:
    tslab_place(tslab::allocator& heap, tslab::epoch_resource& common) : heap_{heap}, common_{common} {}

    std::pmr::memory_resource* lasting() override
    {
        return lasting_ ? &*lasting_ : &lasting_.emplace(heap_, tslab::resource_options{.label = "lasting"});
    }

    std::pmr::memory_resource* shared() override
    {
        tslab::resource_options const together{.label = "shared", .share_epoch = true};
        return shared_ ? &*shared_ : &shared_.emplace(heap_, together);
    }

    std::pmr::memory_resource* common() override { return &common_; }

    std::pmr::memory_resource* enter(bool winds_out) override
    {
        if (!winds_out)
            return scope_.emplace(heap_, "request").resource();
        tslab::resource_options const dropping{.label = "request", .deallocate = tslab::deallocate_policy::count_only};
        return scope_.emplace(heap_, dropping).resource();
    }
    void leave() override { scope_.reset(); }
    [[nodiscard]] bool drops_at_once() const override { return true; }

    std::pmr::memory_resource* open(unsigned slot) override
    {
        return &phases_[slot].emplace(heap_, tslab::resource_options{.label = "phase"});
    }
    void close(unsigned slot) override { phases_[slot].reset(); }

private:
    tslab::allocator& heap_;
    tslab::epoch_resource& common_;
    std::optional<tslab::epoch_resource> lasting_;
    std::optional<tslab::epoch_resource> shared_;
    std::optional<tslab::epoch_scope> scope_;
    std::array<std::optional<tslab::epoch_resource>, most_phases> phases_;
};

// Not every version of the library can do it: whether it can is seen from its options.
template <class Options>
constexpr bool has_background_purge = requires(Options& o) { o.background_purge = true; };

template <class Options>
Options options_of(tslab_variant variant)
{
    Options o{.name = "bench", .huge_pages = variant == tslab_variant::huge_pages};
    if constexpr (has_background_purge<Options>)
        o.background_purge = variant == tslab_variant::background;
    return o;
}

class tslab_contender final : public contender {
public:
    explicit tslab_contender(tslab_variant variant) : heap_{options_of<tslab::allocator_options>(variant)} {}

    std::unique_ptr<place> make_place(std::span<std::byte>) override
    {
        return std::make_unique<tslab_place>(heap_, common_);
    }

    bool trim() override
    {
        heap_.trim();
        return true;
    }

    [[nodiscard]] own_figures figures() const override
    {
        tslab::snapshot const now = heap_.snapshot({.residency = false});
        tslab::global_stats const& g = now.global;
        return {.known = true,
                .cas_attempts = g.bitmap_alloc_attempts + g.bitmap_free_attempts,
                .cas_retries = g.bitmap_alloc_cas_retries + g.bitmap_free_cas_retries,
                .free_retries = g.bitmap_free_cas_retries,
                .lost_races = g.current_partial_lost_races,
                .locks_free = g.lock_fast_acquire,
                .locks_contended = g.lock_contended,
                .allocations = g.allocations,
                .epoch_closes = g.epoch_closes,
                .madvise_calls = g.madvise_calls};
    }

private:
    tslab::allocator heap_;
    tslab::epoch_resource common_{heap_, {.label = "common"}};
};

}

std::unique_ptr<contender> make_tslab(tslab_variant variant)
{
    if (variant == tslab_variant::background && !has_background_purge<tslab::allocator_options>)
        return nullptr;
    return std::make_unique<tslab_contender>(variant);
}

}
