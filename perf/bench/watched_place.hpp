// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A place whose every resource is looked at on the way: by a `Watch`, a memory_resource with a settable `upstream`.
// Runs that measure throughput do without.
#pragma once

#include "place.hpp"

#include <array>
#include <utility>

namespace bench {

template <class Watch>
class watched_place final : public place {
public:
    explicit watched_place(std::unique_ptr<place> inner) : inner_{std::move(inner)} {}

    std::pmr::memory_resource* lasting() override { return watch(lasting_, inner_->lasting()); }
    std::pmr::memory_resource* shared() override { return watch(shared_, inner_->shared()); }
    std::pmr::memory_resource* common() override { return watch(common_, inner_->common()); }
    std::pmr::memory_resource* enter(bool winds_out) override { return watch(request_, inner_->enter(winds_out)); }
    void leave() override
    {
        request_.end(inner_->drops_at_once());
        inner_->leave();
    }
    [[nodiscard]] bool drops_at_once() const override { return inner_->drops_at_once(); }
    std::pmr::memory_resource* open(unsigned slot) override { return watch(phases_[slot], inner_->open(slot)); }
    void close(unsigned slot) override
    {
        phases_[slot].end(inner_->drops_at_once());
        inner_->close(slot);
    }

private:
    static std::pmr::memory_resource* watch(Watch& by, std::pmr::memory_resource* upstream)
    {
        by.upstream = opaque(upstream);
        return &by;
    }

    std::unique_ptr<place> inner_;
    Watch lasting_;
    Watch shared_;
    Watch common_;
    Watch request_;
    std::array<Watch, most_phases> phases_;
};

}
