// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Limits on memory. An epoch that is counted has the number of its pages in one word, together with the account of its
// label; an account is a number of pages and a limit that several epochs share. Pages are reserved before they are
// taken, and given back after they were left: what is counted is never above a limit. See limits.cpp.
#pragma once

export namespace tslab {

/// What a limit is of.
enum class limit_kind : std::uint8_t {
    none,    ///< no limit: nothing was refused
    phase,   ///< one epoch
    label,   ///< all epochs of a label together
    heap     ///< all epochs of a heap together
};

/// A limit that means none.
inline constexpr std::uint64_t no_limit = ~std::uint64_t{0} >> 8;

/// The whole pages of a limit in bytes: a limit that is no multiple of a page is rounded down.
[[nodiscard]] inline std::uint64_t limit_pages_of(std::optional<std::size_t> bytes) noexcept
{
    return bytes.has_value() ? std::min<std::uint64_t>(*bytes >> page_shift, no_limit) : no_limit;
}

/// Which limit refused an allocation, and why. Pages.
struct limit_refusal {
    limit_kind of = limit_kind::none;
    bool marked = false;          ///< the handler of the soft limit has marked the phase to fail
    std::uint32_t label_id = 0;   ///< of the epoch
    std::uint64_t asked = 0;
    std::uint64_t held = 0;    ///< when it was refused
    std::uint64_t limit = 0;   ///< likewise

    [[nodiscard]] explicit operator bool() const noexcept { return of != limit_kind::none; }
};

/// The pages of all counted epochs of a label, or of a heap: never fewer than those epochs hold. Thread safe.
class alignas(64) page_account {
public:
    /// Reserves `pages`; returns false, without effect, if that would exceed the limit. `held`: what was held then.
    [[nodiscard]] bool take(std::uint64_t pages, std::uint64_t& held) noexcept;
    /// Adds `pages`, whatever the limit.
    void force(std::uint64_t pages) noexcept;
    void give(std::uint64_t pages) noexcept;
    void set_limit(std::uint64_t pages) noexcept;
    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t held() const noexcept { return held_.load(std::memory_order_relaxed); }
    void note_refused() noexcept { stats_->refused.add_shared(); }
    /// Call it once, before any other function.
    void publish_in(account_stats& to) noexcept { stats_ = &to; }

private:
    atomic<std::uint64_t> held_{0};
    atomic<std::uint64_t> limit_{no_limit};
    account_stats* stats_ = nullptr;   // a mirror, never read
};

/// The accounts of a heap. Made with its first limit.
struct limit_table {
    std::array<page_account, label_buckets> labels{};
    page_account heap{};
};

/// What the handler of a soft limit is told, and what it may answer. The views are valid during the call only.
struct soft_limit_event {
    std::string_view heap{};              ///< name of the heap
    std::string_view label{};             ///< of the phase
    std::uint32_t index = 0;              ///< ring slot of the phase's epoch
    std::uint64_t era = 0;                ///< and its era
    std::uint64_t held = 0;               ///< bytes that the phase holds
    std::uint64_t soft_limit = 0;         ///< bytes
    std::optional<std::size_t> limit{};   ///< bytes; in: the phase's limit, if it has one. Out: its limit from now on
    bool fail = false;   ///< out: the phase's next allocation that needs a slab, or is large, is refused
};

/// Called once a phase, on the thread whose allocation crossed the soft limit, after that allocation, which succeeded. No
/// lock is held and the thread is in no operation: the handler may use the heap. It may be called by several threads at
/// once, for different phases. `context`: as it was given.
using soft_limit_handler = void (*)(soft_limit_event& event, void* context) noexcept;

/// The count of an epoch, part of its epoch_slabs. One word, so that the pages and the account they are in change
/// together: 0 while nothing is counted; else 1, the account in 5 bits above it (`no_account`: none), and the pages.
class page_count {
public:
    static constexpr std::uint32_t no_account = 31;

    [[nodiscard]] inline bool on() const noexcept { return word_.load(std::memory_order_relaxed) != 0; }
    [[nodiscard]] inline std::uint64_t pages() const noexcept
    {
        return pages_of(word_.load(std::memory_order_relaxed));
    }
    [[nodiscard]] inline std::uint64_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
    [[nodiscard]] inline std::uint64_t soft_limit() const noexcept { return soft_.load(std::memory_order_relaxed); }

private:
    friend struct epoch_slabs;
    friend class thread_cache;

    static constexpr unsigned pages_at = 6;
    [[nodiscard]] static constexpr std::uint64_t pages_of(std::uint64_t word) noexcept { return word >> pages_at; }
    [[nodiscard]] static constexpr std::uint32_t account_of(std::uint64_t word) noexcept
    {
        return static_cast<std::uint32_t>(word >> 1 & no_account);
    }
    [[nodiscard]] static constexpr std::uint64_t make(std::uint32_t account, std::uint64_t pages) noexcept
    {
        return 1 | std::uint64_t{account} << 1 | pages << pages_at;
    }

    atomic<std::uint64_t> word_{0};
    atomic<std::uint64_t> limit_{no_limit};   // of the phase, in pages
    atomic<std::uint64_t> soft_{no_limit};    // likewise
    atomic<bool> told_{false};                // the handler of the soft limit was called, or is about to be
    atomic<bool> fails_{false};               // the handler has marked the phase to fail
    atomic<std::uint64_t> futile_ns_{0};      // when other threads' caches were last flushed in vain
};

/// The limits of a heap, part of its heap_state.
class heap_limits {
public:
    /// Whether the epochs of a label are counted, because the label or the heap has a limit.
    [[nodiscard]] inline bool counts(std::uint32_t label_id) const noexcept
    {
        return ((counted_.load(std::memory_order_relaxed) >> label_id) & 1U) != 0;
    }
    /// The account of a label; page_count::no_account if the label has no limit.
    [[nodiscard]] inline std::uint32_t account_of(std::uint32_t label_id) const noexcept
    {
        return (limited_.load(std::memory_order_relaxed) >> label_id & 1U) != 0 ? label_id : page_count::no_account;
    }
    /// Whether the heap has a limit: then every epoch is counted in its account.
    [[nodiscard]] inline bool heap_counts() const noexcept { return counts_heap_.load(std::memory_order_relaxed); }
    /// The accounts; null before the first limit.
    [[nodiscard]] limit_table* table() const noexcept { return table_.load(std::memory_order_acquire); }
    /// Makes the accounts if there are none; returns false if there is no memory.
    [[nodiscard]] bool make_table(heap_state& of) noexcept;
    /// Requires, as the next function: make_table returned true. Call it before another thread knows the heap.
    void limit_heap(std::uint64_t pages) noexcept;
    /// Sets the limit of a label. Epochs of it that open from now on are counted.
    void limit_label(std::uint32_t label_id, std::uint64_t pages) noexcept;

    mutex lock;   ///< guards the making of the table, and the handler
    soft_limit_handler handler = nullptr;
    void* context = nullptr;

private:
    atomic<std::uint32_t> counted_{0};   // by label, one bit each
    atomic<std::uint32_t> limited_{0};   // likewise: labels with a limit of their own
    atomic<bool> counts_heap_{false};
    atomic<limit_table*> table_{nullptr};
};

}
