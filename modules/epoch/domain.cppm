// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Domains: one scope's hold on an epoch. Entered and left on the thread that made them, innermost first; the epoch's
// refcount moves at the first enter and the last exit. Misuse is found in every build and goes to the error handler.
module;
#include <atomic>
#include <cstdint>
#include <source_location>
#include <string_view>
export module tslab.epoch:domain;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import :ring;
import :allocator;

export namespace tslab {

struct domain_options {
    std::string_view label{};   ///< of an epoch of its own; a wrapped epoch keeps its label when this is empty
    bool auto_close = true;   ///< the last exit closes the epoch, if its era is still the same and nobody else holds it
};

class epoch_domain {
public:
    using options = domain_options;

    /// A domain with an epoch of its own, opened now and not entered yet. When no ring slot is free it shares the current
    /// epoch, without closing it.
    explicit epoch_domain(allocator& heap, options const& o = {},
                          std::source_location at = std::source_location::current()) noexcept;
    /// A domain around an epoch that exists.
    epoch_domain(allocator& heap, epoch_id e, options const& o = {}) noexcept;
    /// Precondition: not entered; else that is reported and the domain is left first.
    ~epoch_domain();
    epoch_domain(epoch_domain const&) = delete;
    epoch_domain& operator=(epoch_domain const&) = delete;

    /// Enters; may be repeated. Creating thread only. Throws std::bad_alloc when the list of scopes cannot grow.
    void enter(std::source_location at = std::source_location::current());
    /// Leaves what was entered last. Misuse (another thread, not entered, another domain entered since) changes nothing.
    void exit();
    /// Closes the epoch now, whoever holds it. Thread safe.
    close_report force_close() noexcept { return heap_->close(epoch_); }

    /// The domain the calling thread entered last and has not left; null outside of all.
    [[nodiscard]] static inline epoch_domain* current() noexcept
    {
        std::uint32_t const n = this_thread.scope_count;
        return n != 0 ? static_cast<epoch_domain*>(this_thread.scopes[n - 1].domain) : nullptr;
    }

    [[nodiscard]] inline allocator& heap() const noexcept { return *heap_; }
    [[nodiscard]] inline epoch_id epoch() const noexcept { return epoch_; }
    [[nodiscard]] inline std::uint32_t depth() const noexcept { return depth_; }
    [[nodiscard]] inline bool entered() const noexcept { return depth_ != 0; }
    /// Whether its last exit closes the epoch, if nobody else holds it.
    [[nodiscard]] inline bool closes_epoch() const noexcept { return auto_close_; }
    /// Whether it shares an epoch that others allocate in too.
    [[nodiscard]] inline bool shares_epoch() const noexcept { return shared_; }

    // For what is built on a domain: resources, which hold one without being on any thread's list of scopes, and guards.

    struct already_entered {};
    /// A domain that is inside from the start: in an epoch of its own, or in the current one if `share`.
    /// `binding`: see open_epoch.
    epoch_domain(already_entered, allocator& heap, options const& o, bool share, std::source_location const& at,
                 atomic<lane*>* binding = nullptr) noexcept;
    /// Makes this the calling thread's current domain, without a further enter. Throws std::bad_alloc.
    void push();
    /// Undoes push at the end of a guard, which goes whatever is wrong: that is reported and then put right.
    void pop_at_end() noexcept;
    /// Takes every entry of this domain off the calling thread's list, for an end that was reported as wrong.
    void forget() noexcept;
    /// Notes the exit `how` describes.
    allocator::left leave(allocator::leaving const& how) noexcept;
    /// `how` for an ordinary exit.
    [[nodiscard]] inline allocator::leaving ordinary_exit() const noexcept
    {
        bool const last = depth_ == 1;
        return {.epoch = epoch_, .place = place_, .last = last, .close = last && auto_close_, .own = !shared_};
    }
    void report_misuse(misuse kind, std::string_view other = {}) noexcept;
    /// Whether the calling thread is the one that made the domain.
    [[nodiscard]] bool on_own_thread() const noexcept;
    /// The same of a thread that has used tslab before; false of any other.
    [[nodiscard]] inline bool on_known_own_thread() const noexcept { return this_thread.id == thread_; }

private:
    enum class order : std::uint8_t { kept, broken, absent };
    [[nodiscard]] order pop(bool whatever_order) noexcept;

    allocator* heap_;
    epoch_id epoch_{};
    std::uint64_t thread_;
    std::uint32_t depth_ = 0;   // enters not yet left
    std::uint32_t place_ = 0;   // of the first enter's source location
    bool auto_close_;
    bool held_ = false;        // the first enter found the epoch there, so the exits count
    bool unentered_ = false;   // opened an epoch of its own and was never entered
    bool shared_ = false;
};

}
