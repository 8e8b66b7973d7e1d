// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap and a model of it that carry out commands side by side. Every command can be carried out in every state: what it
// is to work on it picks among what is there, and where nothing is it does nothing. So any part of a sequence is a sequence,
// and a failing one can be made smaller. Each command is carried out on a thread of its choice, one after the other.
// Include it after every other header: it imports tslab.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "counted_pages.hpp"
#include "model.hpp"
#include "recorder.hpp"
#include "stress.hpp"

namespace property {

class machine : private model {
public:
    using model::thread_count;

    explicit machine(setting const& s, error wrong = error::none)
        : eager_{s.reclaim == static_cast<unsigned>(tslab::reclaim_policy::eager)},
          wrong_{wrong},
          heap_{{.name = "model",
                 .epoch_count = s.epochs,
                 .reclaim = tslab::reclaim_policy(s.reclaim),
                 .limit = most_bytes,
                 .publish = false}}
    {
        learn(heap_.current_epoch());
    }
    ~machine()
    {
        for (; !holders_.empty(); holders_.pop_back())   // whatever was found wrong before
            on(holders_.back().thread, [this] {
                holders_.back().scope.reset();
                holders_.back().own.reset();
            });
    }
    machine(machine const&) = delete;
    machine& operator=(machine const&) = delete;

    /// Throws std::runtime_error when heap and model differ.
    void carry_out(command const& c)
    {
        operations_ += c.what <= act::free ? c.count : 1;
        switch (c.what) {
        case act::allocate: return allocate(c);
        case act::allocate_by_handle: return allocate_by_handle(c);
        case act::allocate_from: return allocate_from(c);
        case act::free: return free_some(c);
        case act::free_twice: return free_twice(c);
        case act::free_stale: return free_stale(c);
        case act::advance: return advance(c);
        case act::close: return close(c);
        case act::trim: return trim(c);
        case act::trim_all: return on(c.thread, [this] { static_cast<void>(heap_.trim()); });
        case act::open: return open(c, false);
        case act::open_shared: return open(c, true);
        case act::end: return end(c);
        case act::release: return release(c);
        case act::enter: return enter(c);
        case act::leave: return leave_scopes(c.thread, depth_of(c.thread) > 0 ? depth_of(c.thread) - 1 : 0);
        case act::end_thread:
            leave_scopes(c.thread, 0);
            threads_[c.thread].reset();
            serials_[c.thread] = ++serials_made_;
            return;
        case act::look: return look();
        }
    }

    /// Ends everything, frees everything, closes everything: then nothing may be left.
    void finish()
    {
        look();
        for (unsigned t = 0; t < thread_count; ++t)
            leave_scopes(t, 0);
        while (!holders_.empty())
            end({.what = act::end});
        free_from(objects_.live().begin(), objects_.live().size(), 0, false);
        look();
        for (auto& t : threads_)
            t.reset();
        stress::close_everything(heap_);
        std::string const left = stress::wrong_with(heap_);
        require(left.empty(), left);
        require(heap_.snapshot().global.allocations == allocated_, "allocations miscounted");
        if (eager_ && low_ != 0)
            require(tslab::resident_bytes(reinterpret_cast<void*>(low_), high_ - low_) == 0,
                    "resident though all is closed");
    }
    [[nodiscard]] std::uint64_t operations() const noexcept { return operations_; }

private:
    static void require(bool good, std::string const& what)
    {
        if (!good)
            throw std::runtime_error{what};
    }
    template <class F> void on(unsigned thread, F f)
    {
        if (!threads_[thread])
            threads_[thread] = std::make_unique<support::worker>();
        (*threads_[thread])(f);
    }

    void expect_reports(std::uint64_t leaks, std::uint64_t others)
    {
        leaks_ += leaks;
        others_ += others;
        std::uint64_t const of_leaks = seen_.count(tslab::misuse::leak);
        require(of_leaks == leaks_, "leaks reported: " + std::to_string(of_leaks) + ", not " + std::to_string(leaks_));
        require(seen_.count() - of_leaks == others_,
                "other reports: " + std::to_string(seen_.count() - of_leaks) + ", not " + std::to_string(others_));
    }

    // Memory.

    void add(void* p, std::size_t bytes, std::size_t alignment, tag const& t)
    {
        char const* const bad = objects_.add(p, {bytes, alignment, static_cast<unsigned char>(++fills_ * 37), t});
        require(bad == nullptr, std::string{"an allocation is "} + (bad != nullptr ? bad : ""));
        ++allocated_;
        auto const at = reinterpret_cast<std::uintptr_t>(p);
        low_ = low_ == 0 ? at : std::min(low_, at);
        high_ = std::max(high_, at + bytes);
    }
    void allocate(command const& c)
    {
        tslab::epoch_id const e = c.pick % 3 == 0 ? heap_.current_epoch() : some_epoch(c.pick);
        std::vector<void*> got(c.count);
        on(c.thread, [&] {
            for (void*& p : got)
                p = heap_.malloc(c.size, e);
        });
        for (void* const p : got) {
            require((p == nullptr) == is_closing(e),
                    p == nullptr ? "refused in an open epoch" : "served in a closed epoch");
            if (p != nullptr)
                add(p, c.size, 1, {.epoch = e, .thread = serials_[c.thread]});
        }
    }
    void allocate_by_handle(command const& c)
    {
        tslab::epoch_id const e = heap_.current_epoch();
        std::vector<std::pair<void*, tslab::handle>> got(c.count);
        on(c.thread, [&] {
            for (auto& [p, h] : got)
                p = heap_.allocate(c.size, e, h);
        });
        for (auto const& [p, h] : got) {
            require(p != nullptr, "refused in the current epoch");
            add(p, c.size, 1, {.epoch = e, .thread = serials_[c.thread], .by = h, .by_handle = true});
        }
    }
    void allocate_from(command const& c)
    {
        if (holders_.empty())
            return;
        holder const& from = holders_[c.pick % holders_.size()];
        std::size_t const alignment = std::size_t{1} << c.alignment;
        std::vector<void*> got(c.count);
        on(c.thread, [&] {
            for (void*& p : got)
                try {
                    p = from.resource().allocate(c.size, alignment);
                } catch (tslab::epoch_closed const&) {
                    p = nullptr;
                }
        });
        for (void* const p : got) {
            require((p == nullptr) == is_closing(from.epoch),
                    p == nullptr ? "refused in an open epoch" : "served in a closed epoch");
            if (p != nullptr)
                add(p, c.size, alignment, {.epoch = from.epoch, .holder = from.number, .thread = serials_[c.thread]});
        }
    }
    objects::iterator some_object(unsigned pick)
    {
        return std::next(objects_.live().begin(), static_cast<std::ptrdiff_t>(pick % objects_.live().size()));
    }
    /// Frees `n` objects, `first` and what follows it.
    void free_from(objects::iterator first, std::size_t n, unsigned thread, bool to_resource)
    {
        bool taken = true;
        auto last = first;
        for (; n > 0 && last != objects_.live().end(); --n, ++last) {
            require(objects::intact(*last), "an object's contents have changed");
            if (last->second.tag.by_handle)
                freed_handle_ = last->second.tag.by;
        }
        on(thread, [&] {
            for (auto at = first; at != last; ++at) {
                auto const& one = at->second;
                auto const from = std::find_if(holders_.begin(), holders_.end(),
                                               [&](holder const& h) { return h.number == one.tag.holder; });
                if (one.tag.by_handle)
                    taken = heap_.free(one.tag.by) == tslab::free_result::ok && taken;
                else if (to_resource && from != holders_.end())
                    from->resource().deallocate(at->first, one.bytes, one.alignment);
                else
                    heap_.free(at->first);
            }
        });
        require(taken, "a handle is not taken");
        expect_reports(0, 0);
        while (first != last)
            if (wrong_ == error::frees_elsewhere_do_nothing && serials_[thread] != first->second.tag.thread)
                ++first;
            else
                first = objects_.live().erase(first);
    }
    void free_some(command const& c)
    {
        if (!objects_.live().empty())
            free_from(some_object(c.pick), c.count, c.thread, c.pick % 2 == 0);
    }
    void free_twice(command const& c)
    {
        if (objects_.live().empty())
            return;
        auto const at = some_object(c.pick);
        unsigned char* const p = at->first;
        bool const by_handle = at->second.tag.by_handle;
        free_from(at, 1, c.thread, false);
        if (by_handle) {
            free_stale(c);
        } else {
            on((c.thread + c.pick) % thread_count, [&] { heap_.free(p); });
            expect_reports(0, 1);
        }
    }
    void free_stale(command const& c)
    {
        if (!freed_handle_)
            return;
        tslab::free_result result = tslab::free_result::ok;
        on(c.thread, [&] { result = heap_.free(*freed_handle_); });
        require(result == tslab::free_result::stale || result == tslab::free_result::already_free,
                "a handle served twice");
    }

    // Epochs.

    void advance(command const& c)
    {
        tslab::epoch_id const before = heap_.current_epoch();
        tslab::epoch_id now{};
        on(c.thread, [&] { now = heap_.advance(); });
        if (now == before) {
            auto const g = heap_.snapshot({.residency = false}).global;
            require(g.active_epochs + g.closing_epochs == heap_.epoch_count(), "not advanced though a slot is free");
            return;
        }
        if (wrong_ != error::advance_keeps_epochs_open)
            begins_closing(before);
        learn(now);
    }
    void close(command const& c)
    {
        tslab::epoch_id const e = some_epoch(c.pick);
        tslab::epoch_id const before = heap_.current_epoch();
        tslab::close_report report;
        on(c.thread, [&] { report = heap_.close(e); });
        learn(heap_.current_epoch());
        if (!report.found) {
            require(is_closing(e) && is_idle(e), "an epoch that is not drained was not found");
        } else if (!report.closed) {
            require(e == before && e == heap_.current_epoch(), "found, and not closed");
            return;
        } else {
            begins_closing(e);
            require(report.drained == is_idle(e),
                    report.drained ? "drained with something in it" : "empty, and not drained");
            if (!report.drained)
                return;
        }
        std::erase_if(known_, [&](known const& k) { return k.id == e; });
    }
    void trim(command const& c)
    {
        tslab::epoch_id const e = some_epoch(c.pick);
        tslab::close_report report;
        on(c.thread, [&] { report = heap_.trim(e); });
        require(!report.closed, "a trim closed an epoch");
        require(report.found || (is_closing(e) && is_idle(e)), "an epoch that is not drained was not found");
    }

    // Resources and scopes.

    void note_holder(holder h)
    {
        h.number = ++holder_numbers_;
        h.maker = serials_[h.thread];
        h.epoch = h.resource().epoch();
        h.shared = h.resource().domain().shares_epoch();
        require(!h.shared || h.epoch == heap_.current_epoch(), "shares an epoch that is not the current one");
        learn(h.epoch);
        ++find(h.epoch)->holds;
        holders_.push_back(std::move(h));
    }
    static constexpr std::size_t most_holders = 8;

    void open(command const& c, bool share)
    {
        if (holders_.size() >= most_holders)
            return;
        holder h;
        h.thread = c.thread;
        on(c.thread, [&] {
            h.own = std::make_unique<tslab::epoch_resource>(
                heap_, tslab::resource_options{.label = share ? "shared" : "own", .share_epoch = share});
        });
        note_holder(std::move(h));
    }
    void enter(command const& c)
    {
        if (holders_.size() >= most_holders)
            return;
        holder h;
        h.thread = c.thread;
        h.is_scope = true;
        on(c.thread, [&] { h.scope = std::make_unique<tslab::epoch_scope>(heap_, "scope"); });
        note_holder(std::move(h));
    }
    /// What the end of a holder means for the model; called once it is gone.
    void note_end(holder const& gone)
    {
        known* const k = find(gone.epoch);
        --k->holds;
        bool const leaks = gone.shared ? leaks_shared(gone) : live_in(gone.epoch) != 0;
        if (!gone.shared && k->holds == 0)
            k->closing = true;
        expect_reports(leaks ? 1 : 0, 0);
    }
    void end(command const& c)
    {
        std::vector<std::size_t> able;
        for (std::size_t i = 0; i < holders_.size(); ++i)
            if (!holders_[i].is_scope)
                able.push_back(i);
        if (able.empty())
            return;
        auto const at = holders_.begin() + static_cast<std::ptrdiff_t>(able[c.pick % able.size()]);
        holder gone = std::move(*at);
        holders_.erase(at);
        on(c.thread, [&] { gone.own.reset(); });
        note_end(gone);
    }
    /// Leaves a thread's innermost scopes until so many are left.
    void leave_scopes(unsigned thread, unsigned left)
    {
        while (depth_of(thread) > left) {
            auto at = holders_.end();
            do
                --at;
            while (!at->is_scope || at->thread != thread);
            holder gone = std::move(*at);
            holders_.erase(at);
            on(thread, [&] { gone.scope.reset(); });
            note_end(gone);
        }
    }
    void release(command const& c)
    {
        if (holders_.empty())
            return;
        holder const& h = holders_[c.pick % holders_.size()];
        std::uint64_t released = 0;
        on(h.thread, [&] { released = h.resource().release(); });
        std::uint64_t const gone = std::erase_if(objects_.live(), [&](auto const& one) {
            return h.shared ? is_part(one.second, h) : one.second.tag.epoch == h.epoch;
        });
        require(released == gone, "released " + std::to_string(released) + ", not " + std::to_string(gone));
    }

    void look()
    {
        tslab::snapshot const s = heap_.snapshot({.residency = false});
        auto const& all = objects_.live();
        require(s.global.live_objects == all.size(),
                "live objects: " + std::to_string(s.global.live_objects) + ", not " + std::to_string(all.size()));
        std::uint64_t bytes = 0;
        for (auto const& one : all) {
            unsigned const k = class_of(one.second);
            bytes += k == tslab::large_class ? one.second.bytes : tslab::class_sizes[k];
            require(objects::intact(one), "an object's contents have changed");
        }
        require(s.global.live_bytes == bytes,
                "live bytes: " + std::to_string(s.global.live_bytes) + ", not " + std::to_string(bytes));
        require(s.global.allocations == allocated_, "allocations miscounted");
        char const* const wrong_count = support::wrong_count_in(heap_);
        require(wrong_count == nullptr, wrong_count != nullptr ? wrong_count : "");
        for (known const& k : known_) {
            tslab::epoch_stats const e = support::stats_of(s, k.id);
            require(e.live_objects == live_in(k.id), "live objects of an epoch: " + std::to_string(e.live_objects) +
                                                         ", not " + std::to_string(live_in(k.id)));
            require(e.refcount == k.holds,
                    "holds on an epoch: " + std::to_string(e.refcount) + ", not " + std::to_string(k.holds));
            require(heap_.is_active(k.id) == !k.closing,
                    k.closing ? "open, and should be closed" : "closed, and should be open");
        }
        std::erase_if(known_, [&](known const& k) {   // drained meanwhile
            return k.closing && k.holds == 0 && support::stats_of(s, k.id).era == 0 && live_in(k.id) == 0;
        });
    }

    static constexpr std::size_t most_bytes = std::size_t{1} << 40;   // never reached: the heap counts every page

    bool eager_;
    error wrong_;
    support::recorder seen_;
    tslab::allocator heap_;
    std::array<std::unique_ptr<support::worker>, thread_count> threads_;
    std::optional<tslab::handle> freed_handle_;
    std::uint64_t operations_ = 0, allocated_ = 0, fills_ = 0, leaks_ = 0, others_ = 0;
    unsigned holder_numbers_ = 0, serials_made_ = thread_count;
    std::uintptr_t low_ = 0, high_ = 0;
};

}
