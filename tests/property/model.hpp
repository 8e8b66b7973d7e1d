// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The model of a heap to which a machine (machine.hpp) compares the heap itself. Include it after every other header: it imports
// tslab.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "interval_map.hpp"
#include "recorder.hpp"

namespace property {

/// What the heap should hold: the objects that live, the epochs that are open or not drained, and who holds them.
class model {
public:
    static constexpr unsigned thread_count = 4;

protected:
    struct tag {
        tslab::epoch_id epoch{};
        unsigned holder = 0;   ///< number of the resource, 0: none
        unsigned thread = 0;   ///< number of the thread that took it
        tslab::handle by{};
        bool by_handle = false;
    };
    using objects = interval_map<tag>;
    struct known {
        tslab::epoch_id id{};
        bool closing = false;
        unsigned holds = 0;
    };
    struct holder {
        unsigned number = 0;
        unsigned thread = 0;   ///< whose scope it is, or that made the resource
        unsigned maker = 0;    ///< the number of that
        bool shared = false;
        bool is_scope = false;
        tslab::epoch_id epoch{};
        std::unique_ptr<tslab::epoch_resource> own;
        std::unique_ptr<tslab::epoch_scope> scope;
        [[nodiscard]] tslab::epoch_resource& resource() const { return own ? *own : *scope->resource(); }
    };

    void learn(tslab::epoch_id e)
    {
        if (find(e) == nullptr)
            known_.push_back({e});
    }
    known* find(tslab::epoch_id e)
    {
        auto const at = std::find_if(known_.begin(), known_.end(), [&](known const& k) { return k.id == e; });
        return at != known_.end() ? &*at : nullptr;
    }
    [[nodiscard]] bool is_closing(tslab::epoch_id e)
    {
        known const* const k = find(e);
        return k == nullptr || k->closing;
    }
    void begins_closing(tslab::epoch_id e)
    {
        if (known* const k = find(e))
            k->closing = true;
    }
    [[nodiscard]] std::uint64_t live_in(tslab::epoch_id e) const
    {
        auto const& all = objects_.live();
        return static_cast<std::uint64_t>(
            std::count_if(all.begin(), all.end(), [&](auto const& one) { return one.second.tag.epoch == e; }));
    }
    /// Nothing keeps it from being drained.
    [[nodiscard]] bool is_idle(tslab::epoch_id e)
    {
        known const* const k = find(e);
        return live_in(e) == 0 && (k == nullptr || k->holds == 0);
    }
    [[nodiscard]] tslab::epoch_id some_epoch(unsigned pick) const
    {
        return known_[known_.size() - 1 - pick % known_.size()].id;
    }
    [[nodiscard]] unsigned depth_of(unsigned thread) const
    {
        return static_cast<unsigned>(std::count_if(holders_.begin(), holders_.end(),
                                                   [&](holder const& h) { return h.is_scope && h.thread == thread; }));
    }

    [[nodiscard]] bool leaks_shared(holder const& gone) const
    {
        auto const& all = objects_.live();
        return std::any_of(all.begin(), all.end(), [&](auto const& one) { return is_part(one.second, gone); });
    }
    /// Handles are for the classes from 64 to 768 bytes and for large allocations.
    [[nodiscard]] static unsigned class_of(objects::interval const& one)
    {
        if (!one.tag.by_handle)
            return tslab::class_of(one.bytes, one.alignment);
        return one.bytes > 768 ? tslab::large_class : tslab::class_of_bin(tslab::handle_bin_of(one.bytes));
    }
    /// Whether an object goes with a resource that shares its epoch.
    [[nodiscard]] bool is_part(objects::interval const& one, holder const& h) const
    {
        bool const by_maker = one.tag.thread == h.maker && serials_[h.thread] == h.maker;   // which lives
        return one.tag.holder == h.number &&
               (by_maker || tslab::class_of(one.bytes, one.alignment) == tslab::large_class);
    }

    objects objects_;
    std::vector<known> known_;
    std::vector<holder> holders_;   // a thread's scopes in the order of their enters; empty before threads and heap end
    std::array<unsigned, thread_count> serials_{1, 2, 3, 4};   // of the threads
};

}
