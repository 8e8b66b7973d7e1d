// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the scenarios over a heap share: a small heap of their own, objects whose contents name them, what must be true of
// the heap in the end. Include it after every other header: it imports tslab.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler.hpp"
#include "stress.hpp"

namespace schedule {

using stress::object;
using bodies = std::vector<std::function<void()>>;

class heap_scenario : public scenario {
public:
    explicit heap_scenario(std::uint32_t epochs = 4, tslab::reclaim_policy reclaim = tslab::reclaim_policy::cached)
        : own_{std::in_place, tslab::allocator_options{.name = "scheduled",
                                                       .epoch_count = epochs,
                                                       .reclaim = reclaim,
                                                       .slab_cache = 4,
                                                       .reserve_bytes = std::size_t{64} << 20,
                                                       .publish = false}},
          heap{*own_}
    {
    }

protected:
    /// An object in `e`; where it is refused, one without address.
    object take(std::size_t size, tslab::epoch_id e)
    {
        object const o{static_cast<std::byte*>(heap.malloc(size, e)), size, ++marks_ * 0x9e3779b97f4a7c15U};
        if (o.p != nullptr) {
            ++taken_;
            o.fill();
            tslab::shelf const& home = heap.core().shelf_at(e.index);
            expect(home.era.load(std::memory_order_relaxed) == e.era &&
                       home.state.load(std::memory_order_relaxed) != tslab::lifecycle::drained,
                   "an object was served in an epoch that is gone");
        }
        return o;
    }
    object take(std::size_t size) { return take(size, heap.current_epoch()); }
    std::vector<object> take_many(std::size_t n, std::size_t size, tslab::epoch_id e)
    {
        std::vector<object> all;
        for (std::size_t i = 0; i < n; ++i)
            all.push_back(take(size, e));
        return all;
    }
    void give(object const& o)
    {
        if (o.p == nullptr)
            return;
        expect(o.intact(), "an object's contents were changed");
        heap.free(o.p);
    }
    void give(std::vector<object>& all)
    {
        for (object const& o : all)
            give(o);
        all.clear();
    }
    /// Counts an object that a resource or a handle gave.
    void note_taken() { ++taken_; }

    /// As long as it is false, other threads have their turn.
    template <class F> static void await(F ready)
    {
        while (!ready())
            tslab::schedule::pause();
    }

    /// What is true when every object has been freed; ends the heap, since a free that came together with another one may
    /// be found only then. `misused`: so many reports, of double frees and no other kind.
    void expect_nothing_left(std::uint64_t misused = 0)
    {
        // Of itself, by whoever came last: what follows would take back what was forgotten.
        expect(heap.snapshot({.residency = false}).global.closing_epochs == 0,
               "a closed epoch is empty and not drained");
        stress::close_everything(heap);
        std::string const wrong = stress::wrong_with(heap);
        expect(wrong.empty(), wrong);
        std::uint64_t const handed_out = heap.snapshot().global.allocations;
        expect(handed_out == taken_,
               "the heap counts " + std::to_string(handed_out) + " allocations, not " + std::to_string(taken_));
        expect(reports() == misused && reports(tslab::misuse::double_free) == misused,
               "reported " + std::to_string(reports()) + " times, of double frees " +
                   std::to_string(reports(tslab::misuse::double_free)) + ", not " + std::to_string(misused));
    }

private:
    std::optional<tslab::allocator> own_;

protected:
    tslab::allocator& heap;

private:
    std::uint64_t taken_ = 0;
    std::uint64_t marks_ = 0;
};

/// A scenario of that type for each run.
template <class S, class... Arguments> factory make(Arguments... with)
{
    return [=] { return std::make_unique<S>(with...); };
}

}
