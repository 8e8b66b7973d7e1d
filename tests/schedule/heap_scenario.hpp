// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the scenarios over a heap share: a small heap of their own, objects whose contents name them, what must be true of
// the heap in the end. Include it after every other header: it imports tslab.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler.hpp"
#include "stress.hpp"

namespace schedule {

inline constexpr std::uint64_t usual_runs = 1500;
inline constexpr std::uint64_t fewer_runs = 750;   // of scenarios much like others

/// Objects that fill a slab are of this size: few enough do.
inline constexpr std::size_t object_bytes = 192;
inline constexpr std::size_t objects_of_slab = tslab::bins[tslab::class_of(object_bytes)].slab_slots();

using stress::object;
using bodies = std::vector<std::function<void()>>;

class heap_scenario : public scenario {
public:
    explicit heap_scenario(std::uint32_t epochs = 4, tslab::reclaim_policy reclaim = tslab::reclaim_policy::cached)
        : own_{std::in_place, tslab::allocator_options{.name = "scheduled",
                                                       .epoch_count = epochs,
                                                       .reclaim = reclaim,
                                                       .slab_cache = 1,   // so that the second empty slab goes back
                                                       .reserve_bytes = std::size_t{64} << 20,
                                                       .publish = false}},
          heap{*own_}
    {
    }

protected:
    /// An object in `e`; where it is refused, one without address.
    object take(std::size_t size, tslab::epoch_id e)
    {
        object const o = note(heap.malloc(size, e), size);
        if (o.p != nullptr) {
            tslab::epoch_slabs const& home = heap.state().epoch_slabs_at(e.index);
            expect(home.era.load(std::memory_order_relaxed) == e.era &&
                       home.state.load(std::memory_order_relaxed) != tslab::lifecycle::drained,
                   "an object was served in an epoch that is gone");
        }
        return o;
    }
    object take(std::size_t size) { return take(size, heap.current_epoch()); }
    /// An object in whichever epoch is the current one.
    object take_in_any(std::size_t size) { return note(heap.malloc(size), size); }
    std::vector<object> take_many(std::size_t n, std::size_t size, tslab::epoch_id e)
    {
        std::vector<object> all;
        for (std::size_t i = 0; i < n; ++i)
            all.push_back(take(size, e));
        return all;
    }
    /// The same from a resource; without address where its epoch is closed.
    object take_from(tslab::epoch_resource& r, std::size_t size)
    {
        try {
            return note(r.allocate(size), size);
        } catch (tslab::epoch_closed const&) {
            return note(nullptr, size);
        }
    }
    void give(object const& o)
    {
        if (check(o))
            heap.free(o.p);
    }
    void give_to(tslab::epoch_resource& r, object const& o)
    {
        if (check(o))
            r.deallocate(o.p, o.size);
    }
    void give(std::vector<object>& all)
    {
        for (object const& o : all)
            give(o);
        all.clear();
    }
    /// Counts an object that a resource or a handle gave.
    void note_taken() { ++taken_; }

    /// The word that says who holds the slab of an object is of interest.
    void attract_owner_of(object const& o) { attract(&heap.state().slab_at(o.p)->owner, "owner"); }
    /// So are, to one thread, all words by which it changes hands or place.
    void attract_slab_of(object const& o, std::size_t thread)
    {
        tslab::slab_meta const& s = *heap.state().slab_at(o.p);
        attract(&s.owner, "owner", thread);
        attract(&heap.state().pages().map().find_subslab(o.p, s.bin())->remote_free, "shared", thread);
        attract(&s.home, "home", thread);
        attract(&s.where, "where", thread);
    }

    /// As long as it is false, other threads have their turn.
    template <class F> static void await(F ready)
    {
        while (!ready())
            tslab::schedule::pause();
    }

    /// What is true when every object has been freed; ends the heap, since a free that came together with another one may
    /// be found only then. `misused`: so many reports of double frees; of other kinds there are none, but for those of
    /// `besides`, of which there may be any number.
    void expect_nothing_left(std::uint64_t misused = 0, std::initializer_list<tslab::misuse> besides = {})
    {
        // Of itself, by the thread that came last: what follows would take back what was forgotten.
        expect(heap.snapshot({.residency = false}).global.closing_epochs == 0,
               "a closed epoch is empty and not drained");
        stress::close_everything(heap);
        std::string const wrong = stress::wrong_with(heap);
        expect(wrong.empty(), wrong);
        for (std::uint32_t i = 0; i < heap.state().prepared_slots(); ++i)
            expect(holds_nothing(heap.state().epoch_slabs_at(i)), "a list of an empty epoch is not empty");
        tslab::global_stats const counted = heap.snapshot({.residency = false}).global;
        expect(counted.current_partial_mismatches == 0, "a slab without free slots was listed as one that has some");
        std::uint64_t const handed_out = counted.allocations;
        expect(handed_out == taken_,
               "the heap counts " + std::to_string(handed_out) + " allocations, not " + std::to_string(taken_));
        own_.reset();
        std::uint64_t others = 0;
        for (tslab::misuse const kind : besides)
            others += reports(kind);
        expect(reports() - others == misused && reports(tslab::misuse::double_free) == misused,
               "reported " + std::to_string(reports()) + " times, of double frees " +
                   std::to_string(reports(tslab::misuse::double_free)) + ", not " + std::to_string(misused));
    }

private:
    object note(void* p, std::size_t size)
    {
        object const o{static_cast<std::byte*>(p), size, ++marks_ * 0x9e3779b97f4a7c15U};
        if (p != nullptr) {
            ++taken_;
            o.fill();
        }
        return o;
    }
    /// Whether there is one; it must be as it was.
    bool check(object const& o)
    {
        expect(o.p == nullptr || o.intact(), "an object's contents were changed");
        return o.p != nullptr;
    }
    /// By its lists, which may tell something else than its counts.
    static bool holds_nothing(tslab::epoch_slabs const& s)
    {
        auto const empty = [](tslab::slab_list const& l) { return l.front() == nullptr && l.size() == 0; };
        return std::ranges::all_of(s.partial, empty) && std::ranges::all_of(s.full, empty) && empty(s.large);
    }

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
