// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Domains: a scope's hold on an epoch. A domain is entered and left on the thread that made it, the innermost one
// first; the first enter raises the epoch's refcount and the last exit lowers it. Misuse is detected in every build and
// passed to the error handler.
#pragma once

export namespace tslab {

/// The options of a domain; each has a default.
struct domain_options {
    std::string_view label{};   ///< of the epoch; empty: an existing epoch keeps its label
    bool auto_close = true;   ///< the last exit closes the epoch, if its era is unchanged and no other domain holds it
};

/// A scope's hold on an epoch. Functions are for the creating thread only, unless they say otherwise.
class epoch_domain {
public:
    using options = domain_options;   ///< so that options can be given in braces

    /// Opens an epoch labelled `o.label`; the domain is not entered yet. If no ring slot is free, it shares the current
    /// epoch and never closes it (counted as ring_exhausted). Does not throw. Complexity: a few stores under one lock;
    /// no system call.
    explicit epoch_domain(allocator& heap, options const& o = {},
                          std::source_location at = std::source_location::current()) noexcept;
    /// A domain around the existing epoch `e`, not entered yet; labels the epoch if `o.label` is not empty. Does not
    /// throw.
    epoch_domain(allocator& heap, epoch_id e, options const& o = {}) noexcept;
    /// Closes an epoch of its own that was never entered, with auto_close. Requires: the domain is not entered;
    /// otherwise that is reported, and the domain is left first.
    inline ~epoch_domain()
    {
        if (depth_ != 0 || unentered_) [[unlikely]]
            end();
    }
    epoch_domain(epoch_domain const&) = delete;
    epoch_domain& operator=(epoch_domain const&) = delete;

    /// Enters, and becomes the thread's current domain; may be repeated. On another thread it reports the misuse and
    /// has no effect. Throws std::bad_alloc if the list of scopes cannot grow. Complexity: one short lock; no system
    /// call.
    void enter(std::source_location at = std::source_location::current());
    /// Leaves the domain once; the last exit closes the epoch if auto_close says so. Misuse (another thread, not
    /// entered, another domain entered since) is reported and has no effect.
    void exit();
    /// Closes the epoch now, even if other domains hold it: see allocator::close. Thread safe.
    close_report force_close() noexcept { return heap_->close(opened_.epoch); }

    /// The domain that the calling thread entered last and has not left; null outside of all domains. A domain that was
    /// destroyed on another thread, which is reported, is left by that.
    [[nodiscard]] static inline epoch_domain* current() noexcept
    {
        entered_scope const* const inside = this_thread.more->innermost_scope();
        return inside != nullptr ? static_cast<epoch_domain*>(inside->domain.load(std::memory_order_relaxed)) : nullptr;
    }

    /// The heap and the epoch that the domain was made for, how many enters have no exit yet, and whether there are any. Only the
    /// first two may be read on any thread.
    [[nodiscard]] inline allocator& heap() const noexcept { return *heap_; }
    [[nodiscard]] inline epoch_id epoch() const noexcept { return opened_.epoch; }
    [[nodiscard]] inline std::uint32_t depth() const noexcept { return depth_; }
    [[nodiscard]] inline bool entered() const noexcept { return depth_ != 0; }
    /// Whether its last exit closes the epoch if no other domain holds it.
    [[nodiscard]] inline bool closes_epoch() const noexcept { return auto_close_; }
    /// Whether it holds an epoch that was not opened for it alone.
    [[nodiscard]] inline bool shares_epoch() const noexcept { return opened_.shared; }

    // For resources, which hold a domain without being in a thread's list of scopes, and for guards.

    /// Selects the constructors of domains that are entered from the start.
    struct already_entered {};
    /// A domain that is entered from the start: in an epoch of its own, or in the current one if `share`. `binding`:
    /// see allocator::open_epoch.
    inline epoch_domain(already_entered, allocator& heap, options const& o, bool share, std::source_location const& at,
                        atomic<thread_cache*>* binding = nullptr) noexcept
        : heap_{&heap},
          opened_{share ? heap.share_current(true, at) : heap.open_epoch(o.label, true, at, binding)},
          thread_{this_thread_number()},
          depth_{1},
          auto_close_{o.auto_close && !opened_.shared},
          held_{true},
          owned_{true}
    {
    }
    /// Makes this the calling thread's current domain without another enter. Throws std::bad_alloc.
    inline void push()
    {
        if (this_thread.more->scope_count == this_thread.more->scope_capacity) [[unlikely]]
            grow_scopes();
        thread_details& mine = *this_thread.more;
        mine.scopes[mine.scope_count++].set(this, heap_->state().number(), opened_.label_id);
    }
    /// Undoes push at the end of a guard. A wrong order is reported, and corrected. Returns whether the exit is to be carried
    /// out: the calling thread made the domain, and the guard's enter was not left by an exit of its own.
    inline bool pop_at_end() noexcept
    {
        if (this_thread.id() != thread_ || !is_last()) [[unlikely]]
            return pop_in_disorder();
        --this_thread.more->scope_count;
        return true;
    }
    /// Removes every entry of this domain from its thread's list, after misuse was reported. Thread safe.
    void forget() noexcept;
    /// Carries out one exit. Requires: entered.
    void leave() noexcept;
    /// Carries out the exit of a resource that ends, whose cache `binding` names, if it leaves nothing; see
    /// allocator::end_alone. Else returns false, without effect: then end_resource does it. Requires: what the resource
    /// leaves counts as leaked.
    [[nodiscard, gnu::always_inline]] inline bool end_alone(atomic<thread_cache*>& binding) noexcept
    {
        if (depth_ > 1 || !held_ || !auto_close_ || opened_.shared ||
            !heap_->end_alone(opened_.epoch, opened_.holder, binding)) [[unlikely]]
            return false;
        depth_ = 0;
        return true;
    }
    /// The same of any resource, `owner`; see allocator::end_resource.
    inline live_count end_resource(atomic<thread_cache*>& binding, void const* owner,
                                   allocator::leftovers what) noexcept
    {
        depth_ = 0;
        if (!held_) [[unlikely]]
            return {};
        return opened_.shared ? heap_->end_sharing_resource(opened_.epoch, opened_.holder, binding, owner, what)
                              : heap_->end_resource(opened_.epoch, opened_.holder, auto_close_, binding, what);
    }
    /// The number of the source place that entered first, while the domain is inside: see heap_state::places.
    [[nodiscard]] inline std::uint32_t place() const noexcept
    {
        return opened_.holder != nullptr ? opened_.holder->stats->place.load(std::memory_order_relaxed)
                                         : source_places::unknown;
    }
    /// Counts and reports a misuse of this domain. `other`: another domain that is involved, inside. Thread safe.
    void report_misuse(misuse kind, epoch_domain const* other = nullptr) noexcept;
    /// Whether the calling thread made the domain. Gives the thread a number if it has none. Thread safe.
    [[nodiscard]] inline bool on_own_thread() const noexcept { return this_thread_number() == thread_; }
    /// The same without giving the thread a number; false for a thread without one. Thread safe.
    [[nodiscard]] inline bool on_known_own_thread() const noexcept { return this_thread.id() == thread_; }

private:
    enum class order : std::uint8_t { kept, broken, absent };
    /// Whether it is the last one in the calling thread's list.
    [[nodiscard]] inline bool is_last() const noexcept
    {
        thread_details const& mine = *this_thread.more;
        std::uint32_t const n = mine.scope_count;
        return n != 0 && mine.scopes[n - 1].domain.load(std::memory_order_relaxed) == this;
    }
    [[nodiscard]] order pop(bool whatever_order) noexcept;
    static void grow_scopes();
    [[gnu::noinline]] void end() noexcept;
    bool pop_in_disorder() noexcept;

    allocator* heap_;
    // Made in place by open_epoch: the holder is of the first enter, the label of the epoch at the last one.
    allocator::opened opened_{};
    std::uint64_t thread_;
    std::uint32_t depth_ = 0;   // enters without an exit
    bool auto_close_;
    bool held_ = false;        // the first enter found the epoch, so exits are carried out
    bool unentered_ = false;   // has opened an epoch and was never entered
    bool owned_ = false;       // the first enter is a resource's, whose end is its exit
};

}
