// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The record of a ring slot: the epoch's slabs, and the domains that are inside the epoch. Written under the epoch's
// lock. Any thread may read single fields; they belong to one era if it reads the same era before and after them.
#pragma once

export namespace tslab {

/// Identifies one epoch: its ring slot, and its era, a number that is never given twice in a slot. Era 0 names no
/// epoch.
struct epoch_id {
    std::uint32_t index = 0;   ///< the ring slot
    std::uint64_t era = 0;     ///< which epoch of this slot

    friend constexpr auto operator<=>(epoch_id, epoch_id) noexcept = default;
};

/// Report of a close or a trim. Sizes are in bytes; `rss_*` are of the whole process.
struct close_report {
    epoch_id epoch{};       ///< the epoch that was asked for
    bool found = false;     ///< false: no such epoch, or it is gone already; nothing was done
    bool closed = false;    ///< the epoch is CLOSING now; false for a trim, and for a current epoch without successor
    bool drained = false;   ///< nothing of the epoch remains
    std::uint64_t scanned_slabs = 0;
    std::uint64_t recycled_slabs = 0;
    std::uint64_t deferred_claims = 0;     ///< caches of other threads' live resources, or of threads in an operation
    std::uint64_t nanoseconds = 0;         ///< the whole call, without reading what is resident
    std::uint64_t purge_nanoseconds = 0;   ///< of those, giving memory to the kernel
    std::uint64_t rss_before = 0;          ///< resident bytes of the process
    std::uint64_t rss_after = 0;
    std::uint64_t madvise_calls = 0;
    std::uint64_t madvise_bytes = 0;   ///< of the calls that succeeded
    std::uint64_t madvise_failures = 0;
    std::uint64_t madvise_asked_bytes = 0;   ///< of all calls
    std::uint64_t madvise_gone_bytes = 0;    ///< of those, no longer resident afterwards (mincore)
};

/// A domain inside an epoch: where its source place and time are published. Belongs to the epoch's record, which uses it
/// for one domain after the other.
struct epoch_holder {
    published_holder* stats = nullptr;
    epoch_holder* next = nullptr;   ///< while no domain has it: the next one without a domain
    bool is_listed = true;          ///< readers find `stats`, if the heap has readers outside
};

/// Whether `words` are those of `text`, which fits whole: see shared_text::pack. Each scope asks this at its begin, so the
/// words are made in registers, without a call.
[[nodiscard]] inline bool is_packed(std::string_view text, shared_text::packed const& words) noexcept
{
    std::size_t const n = text.size();
    auto const load = [&text]<class Word>(Word word, std::size_t at) {
        std::memcpy(&word, text.data() + at, sizeof(word));
        return std::uint64_t{word};
    };
    constexpr std::uint64_t eight = 0;
    constexpr std::uint32_t four = 0;
    // The end of the text, as the low bytes of a word that begins at `at`.
    auto const tail = [&](std::size_t at) { return load(eight, n - 8) >> ((at + 8 - n) * 8); };
    auto const byte = [&text](std::size_t at) { return std::uint64_t{static_cast<std::uint8_t>(text[at])} << at * 8; };
    shared_text::packed own{};
    if (n > shared_text::capacity || std::endian::native != std::endian::little)
        return false;
    if (n >= 8)
        own = {load(eight, 0),
               n > 16  ? load(eight, 8)
               : n > 8 ? tail(8)
                       : 0,
               n > 24   ? load(eight, 16)
               : n > 16 ? tail(16)
                        : 0,
               n > 24 ? tail(24) : 0};
    else if (n >= 4)
        own[0] = load(four, 0) | load(four, n - 4) << (n - 4) * 8;
    else if (n != 0)
        own[0] = byte(0) | byte(n / 2) | byte(n - 1);
    return ((own[0] ^ words[0]) | (own[1] ^ words[1]) | (own[2] ^ words[2]) | (own[3] ^ words[3])) == 0;
}

/// The record of a ring slot.
struct alignas(64) epoch_record : epoch_slabs {
    explicit epoch_record(epoch_stats_page& f) noexcept : epoch_slabs{f}
    {
        for (std::size_t i = first_holders.size(); i-- > 0;) {
            first_holders[i] = {&f.holders[i], free_holders, true};
            free_holders = &first_holders[i];
        }
    }

    /// Counts an enter at `now` (now_ns_coarse). If it is the domain's first, raises the epoch's refcount and publishes
    /// the source place, by its number in heap_state::places, and the time; returns where, for the domain's last exit.
    /// Null if there is no memory for that, or it is not the first.
    inline epoch_holder* note_enter(bool first, std::uint32_t place, std::uint64_t now) noexcept
        __attribute__((requires_capability(lock)))
    {
        epoch_stats_page& published = stats;   // read once: see epoch_slabs::stats
        published.enters.add();
        if (!first)
            return nullptr;
        std::uint32_t const now_inside = holds.load(std::memory_order_relaxed) + 1;
        holds.store(now_inside, std::memory_order_relaxed);
        published.holds.store(now_inside, std::memory_order_relaxed);
        std::uint64_t const at =
            std::max(now, last_entered_ns + 1);   // in the order of the enters, also within one tick
        last_entered_ns = at;
        epoch_holder* const h = free_holders;
        if (h == nullptr) [[unlikely]]
            return note_further_holder(place);
        free_holders = h->next;
        h->stats->enter(place, at);
        return h;
    }
    /// Whether the epoch of this slot before had the label `text`, and so has the number and the words for it.
    [[nodiscard]] inline bool had_label(std::string_view text) const noexcept { return is_packed(text, label_words); }
    /// `for_costs`: the number that costs are counted under, see label_registry::cost_number_of.
    inline void set_label(shared_text::packed const& words, std::uint32_t number, std::uint32_t for_costs) noexcept
    {
        label_words = words;
        cost_label = for_costs;
        stats.label.assign(words);
        set_label_id(number);
    }
    /// Counts an exit. `last`: the domain's last one; its first enter returned `h`. It lowers the epoch's refcount.
    [[gnu::always_inline]] inline void note_exit(bool last, epoch_holder* h) noexcept
        __attribute__((requires_capability(lock)))
    {
        epoch_stats_page& published = stats;
        published.exits.add();
        if (!last)
            return;
        std::uint32_t const now_inside = holds.load(std::memory_order_relaxed) - 1;
        holds.store(now_inside, std::memory_order_relaxed);
        published.holds.store(now_inside, std::memory_order_relaxed);
        if (h == nullptr || !h->is_listed) [[unlikely]]
            return note_unlisted_exit(h);
        h->stats->leave();
        h->next = free_holders;
        free_holders = h;
    }
    /// The place that entered last. Guarded as what follows.
    source_places::known last_place{};
    /// Whether the figures of a close stand in the stats page. Guarded as what follows.
    bool has_close_figures = false;
    /// Calls `visit` with the published_holder of every holder, used or not. Thread safe.
    template <class F> inline void for_each_holder(F visit) const
    {
        for (published_holder const& h : stats.holders)
            visit(h);
        for (holder_block const* b = blocks.load(std::memory_order_acquire); b != nullptr; b = b->next)
            for (published_holder const& h : b->page->holders)
                visit(h);
    }

private:
    /// Further holders, made when more domains were inside at once than ever before.
    struct holder_block {
        holder_block* next = nullptr;   // made before this one
        holder_page* page = nullptr;
        std::array<epoch_holder, holder_page::capacity> holders;
    };

    [[gnu::cold, gnu::noinline]] epoch_holder* note_further_holder(std::uint32_t place) noexcept
        __attribute__((requires_capability(lock)));
    [[gnu::cold, gnu::noinline]] void note_unlisted_exit(epoch_holder* h) noexcept
        __attribute__((requires_capability(lock)));
    void make_block() noexcept __attribute__((requires_capability(lock)));
    inline void set_unlisted(std::uint32_t n) noexcept
    {
        unlisted_holders = n;
        stats.unlisted_holders.store(n, std::memory_order_relaxed);
    }

    // Guarded by the epoch's lock, and before the epoch is open by the claim of the slot: all that follows but `blocks`.
    epoch_holder* free_holders = nullptr;   // listed ones
    shared_text::packed label_words{};      // of the present label
    epoch_holder* free_unlisted = nullptr;
    std::uint64_t last_entered_ns = 0;
    std::uint32_t unlisted_holders = 0;
    std::array<epoch_holder, epoch_stats_page::first_holders> first_holders;
    holder_block* spare_block = nullptr;     // made when there was no memory for its page
    atomic<holder_block*> blocks{nullptr};   // newest first
};

/// The holder of an epoch that entered first of those that have not left.
struct oldest_holder {
    std::uint64_t entered_ns = 0;   ///< CLOCK_MONOTONIC; 0: there is none
    std::uint32_t place = source_places::unknown;
};
/// Finds it among those that `each(visit)` visits. They may change meanwhile; what is returned was true of one of them.
template <class Each> [[nodiscard]] oldest_holder find_oldest_holder(Each each)
{
    constexpr int patience = 100;
    for (int i = 0; i < patience; ++i) {
        published_holder const* first = nullptr;
        oldest_holder found{.entered_ns = ~std::uint64_t{0}};
        each([&](published_holder const& h) {
            // acquire: the place is the one of that time, or a later one.
            std::uint64_t const entered = h.entered_ns.load(std::memory_order_acquire);
            if (entered != 0 && entered < found.entered_ns) {
                found.entered_ns = entered;
                first = &h;
            }
        });
        if (first == nullptr)
            return {};
        found.place = first->place.load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);   // the place is read before the time is read again
        if (first->entered_ns.load(std::memory_order_relaxed) == found.entered_ns)
            return found;
    }
    return {};
}
/// The text of a place, which another process may have written over; empty for null. Throws std::bad_alloc.
[[nodiscard]] source_entry entry_of(published_place const* place);

}
