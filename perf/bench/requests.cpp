// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The memory of requests: a scope each, opened and closed.
#include "pattern.hpp"

#include <array>

namespace bench {
namespace {

/// 200 objects of 8 to 768 bytes, each touched, freed last first or, if it winds out, not one by one where that is possible.
class request_worker final : public worker {
public:
    request_worker(setting const& s, std::string_view name, place& memory, unsigned thread)
        : memory_{memory}, winds_out_{name.ends_with("windout")}, frees_{!winds_out_ || !memory.drops_at_once()}
    {
        random_source random = random_for(s, thread);
        for (std::size_t& size : sizes_)
            size = s.size_or(8 + random() % 761);
    }

    std::uint64_t turn() override
    {
        std::size_t const* const sizes = &sizes_[next_ * allocations];
        next_ = (next_ + 1) % plans;
        std::pmr::memory_resource* const resource = opaque(memory_.enter(winds_out_));
        std::array<void*, allocations> all;
        for (std::size_t i = 0; i < allocations; ++i) {
            all[i] = resource->allocate(sizes[i]);
            touch(all[i], sizes[i]);
        }
        if (frees_)
            for (std::size_t i = allocations; i-- > 0;)
                resource->deallocate(all[i], sizes[i]);
        memory_.leave();
        return allocations;
    }

private:
    static constexpr std::size_t allocations = 200;
    static constexpr std::size_t plans = 64;

    place& memory_;
    bool winds_out_;
    bool frees_;
    std::size_t next_ = 0;
    std::array<std::size_t, allocations * plans> sizes_;
};

/// A scope around eight objects of eight classes. Each turn is several scopes: one alone is too short.
class scope_worker final : public worker {
public:
    scope_worker(setting const&, std::string_view, place& memory, unsigned) : memory_{memory} {}

    std::uint64_t turn() override
    {
        for (unsigned i = 0; i < scopes; ++i)
            one();
        return scopes * sizes.size();
    }

private:
    static constexpr unsigned scopes = 32;
    static constexpr std::array<std::size_t, 8> sizes{64, 96, 128, 192, 256, 384, 512, 768};

    void one()
    {
        std::pmr::memory_resource* const resource = opaque(memory_.enter(false));
        std::array<void*, sizes.size()> all;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            all[i] = resource->allocate(sizes[i]);
            touch(all[i], sizes[i]);
        }
        for (std::size_t i = sizes.size(); i-- > 0;)
            resource->deallocate(all[i], sizes[i]);
        memory_.leave();
    }

    place& memory_;
};

/// A scope around nothing, an operation each.
class empty_scope_worker final : public worker {
public:
    empty_scope_worker(setting const&, std::string_view, place& memory, unsigned) : memory_{memory} {}

    std::uint64_t turn() override
    {
        for (unsigned i = 0; i < scopes; ++i) {
            opaque(memory_.enter(false));
            memory_.leave();
        }
        return scopes;
    }

private:
    static constexpr unsigned scopes = 256;

    place& memory_;
};

constexpr pattern patterns[] = {
    {.name = "request",
     .about = "a scope around 200 objects of 8 to 768 bytes, freed one by one",
     .make = make_alike<request_worker>,
     .phases = true,
     .memory = true},
    {.name = "request_windout",
     .about = "the same, given back all at once by those who can",
     .make = make_alike<request_worker>,
     .phases = true,
     .memory = true},
    {.name = "scope_8",
     .about = "a scope around eight objects of eight sizes, freed one by one",
     .make = make_alike<scope_worker>,
     .phases = true},
    {.name = "scope_empty", .about = "a scope around nothing", .make = make_alike<empty_scope_worker>, .phases = true},
};

}

std::span<pattern const> request_patterns() { return patterns; }

}
