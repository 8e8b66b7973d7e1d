// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A shelf: what one ring slot holds for the epoch that lives in it. The slabs no lane claims, the large allocations,
// the lanes at work for the epoch, its holds and its state, all under one lock that no common allocation or free takes.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
export module tslab.tls_cache:shelf;

import tslab.stats;
import tslab.slab;
import :face;
import :thread;

export namespace tslab {

/// Live objects and their bytes.
struct live_count {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;

    live_count& operator+=(live_count const& more) noexcept
    {
        objects += more.objects;
        bytes += more.bytes;
        return *this;
    }
};

/// What lives in a slab. Exact when nobody changes it.
[[nodiscard]] inline live_count live_in(slab const& s, unsigned bin) noexcept
{
    std::uint64_t const n = live_slots(s, bin);
    return {n, n * bins[bin].size};
}

struct alignas(64) shelf {
    explicit shelf(epoch_face& f) noexcept : face{f} {}

    mutex lock;

    epoch_face& face;   ///< what is told of it

    atomic<std::uint64_t> era{0};
    atomic<lifecycle> state{lifecycle::idle};
    heap_core* heap = nullptr;
    std::uint32_t index = 0;   ///< ring slot; set once

    // Guarded by lock.
    lane* lanes = nullptr;   ///< attached, linked by the lanes' own links
    std::uint32_t lane_count = 0;
    std::uint32_t slab_count = 0;                    ///< on the lists below
    std::array<std::uint32_t, bin_count> listed{};   ///< of those, by bin
    std::uint32_t large_count = 0;
    std::uint32_t being_purged = 0;   ///< listed slabs that purge_unused has claimed
    std::array<slab_list, bin_count> partial{};
    std::array<slab_list, bin_count> full{};
    slab_list large{};

    atomic<std::uint32_t> holds{0};    ///< domains inside: written under the lock, read by anyone
    atomic<bin_set> partial_bins{0};   ///< a hint: bins whose partial list may have slabs

    atomic<std::uint32_t> label_id{0};

    // What is relied on and told: see face.
    void set_era(std::uint64_t e, std::memory_order order) noexcept
    {
        era.store(e, order);
        face.era.store(e, order);
    }
    void set_state(lifecycle s) noexcept
    {
        state.store(s, std::memory_order_relaxed);
        face.state.store(s, std::memory_order_relaxed);
    }
    void set_holds(std::uint32_t n) noexcept __attribute__((requires_capability(lock)))
    {
        holds.store(n, std::memory_order_relaxed);
        face.holds.store(n, std::memory_order_relaxed);
    }
    void set_label_id(std::uint32_t id) noexcept
    {
        label_id.store(id, std::memory_order_relaxed);
        face.label_id.store(id, std::memory_order_relaxed);
    }

    /// Where a lock taken for this epoch, and for class `row` of it, is counted; `me` may be null.
    [[nodiscard]] inline lock_site site(thread_record* me, unsigned row) const noexcept
    {
        return me != nullptr ? me->site(row, label_id.load(std::memory_order_relaxed)) : lock_site{};
    }

    /// Lets `l` work for the epoch of `era` under `key`; false when that epoch is not ACTIVE here. Thread safe.
    [[nodiscard]] bool attach(lane& l, std::uint64_t for_era, std::uint64_t key, atomic<lane*>* binding) noexcept;

    /// The same for an epoch that has just been opened.
    void link(lane& l, std::uint64_t for_era, std::uint64_t key, atomic<lane*>* binding) noexcept
        __attribute__((requires_capability(lock)));

    /// Hands every claim of `l` back: empty slabs are recycled, the others go on the lists. `me` may be null.
    void hand_back(lane& l, thread_record* me, take_back_result& done) noexcept
        __attribute__((requires_capability(lock)));

    /// What a lane's own thread, or a closer in its place, does when claims are wanted back: hands the lane back, or, for
    /// an exclusive lane, only the empty slabs, since the others must stay known as its resource's. True when it was
    /// detached, and must be returned.
    [[nodiscard]] bool give_up(lane& l, thread_record* me, take_back_result& done) noexcept
        __attribute__((requires_capability(lock)));

    /// Hands back the lane of a resource that ends on another thread than its own; false when its thread is in an operation,
    /// and hands it back itself. `live`: if not null, what lives in the lane is added to it, which takes some patience; of a lane that
    /// is left to its thread nothing is known.
    [[nodiscard]] bool end_elsewhere(lane& l, thread_record* me, live_count* live, take_back_result& done) noexcept
        __attribute__((requires_capability(lock)));

    /// Lets an exclusive lane that gave up its empty slabs serve its thread again, if the epoch is ACTIVE. Thread safe.
    [[nodiscard]] bool reopen(lane& l, std::uint64_t key) noexcept;

    /// The free slots of a slab no lane holds, claimed for `l`; null when there is none. Thread safe.
    [[nodiscard]] slab* adopt(lane& l, unsigned bin) noexcept;

    /// Takes back what every lane claims, as far as nobody is using it, and every empty slab on the lists.
    /// `closing`: no allocation is served afterwards. Does nothing when the slot holds another era. Thread safe.
    take_back_result take_back(thread_record* me, std::uint64_t for_era, bool closing) noexcept;
    /// The same, begun with the lock held and ended with it held; it is let go in between when a thread must be waited for.
    void take_back_locked(thread_record* me, bool closing, take_back_result& done) noexcept
        __attribute__((requires_capability(lock)));
    /// Takes back what other threads' own lanes claim and are not using; true when the epoch turned out to be drained, and its slot
    /// must be released. `me`, whose lanes stay, may be null. Thread safe.
    [[nodiscard]] bool take_back_of_others(thread_record* me) noexcept;
    /// Refuses further allocations; claims come back as their threads next pass by. `era` must be the slot's.
    void begin_closing() noexcept __attribute__((requires_capability(lock)));
    /// The large allocations of the resource `owner`.
    [[nodiscard]] live_count live_large_of(void const* owner) const noexcept __attribute__((requires_capability(lock)));
    /// What lives in the slabs on the lists, and the large allocations.
    [[nodiscard]] live_count live() const noexcept __attribute__((requires_capability(lock)));

    /// Gives the kernel the pages of the slabs on the lists that no live object touches; adds to `done` what came of it. The
    /// system is called without the lock. Does nothing when the slot holds another era. True when the epoch drained meanwhile: then
    /// the caller releases the slot. `look`: as of page_heap::purge. Thread safe.
    [[nodiscard]] bool purge_unused(thread_record* me, std::uint64_t for_era, bool look, purge_result& done) noexcept;
    /// Whether purge_unused may find something: never no when it would.
    [[nodiscard]] bool may_have_unused_pages() const noexcept __attribute__((requires_capability(lock)))
    {
        return slab_count != 0 && (partial_bins.load(std::memory_order_relaxed) & several_pages_bins) != 0;
    }

    /// Gives back every slab and large allocation on the lists, live or not; returns how many objects were live.
    std::uint64_t drop_all(thread_record* me) noexcept __attribute__((requires_capability(lock)));

    /// Links a large allocation; false when the epoch of `for_era` is not ACTIVE here. Thread safe.
    [[nodiscard]] bool add_large(slab& s, std::uint64_t for_era, thread_record* me) noexcept;

    /// Turns a closed epoch that holds nothing to `drained`; the caller that gets true releases the slot after unlocking.
    [[nodiscard]] bool settle() noexcept __attribute__((requires_capability(lock)));

    void list_partial(slab& s, unsigned bin) noexcept __attribute__((requires_capability(lock)));
    /// Counts a large allocation that comes (1) or goes (-1).
    void note_large(int by, std::uint32_t pages) noexcept __attribute__((requires_capability(lock)))
    {
        large_count += static_cast<std::uint32_t>(by);
        std::uint64_t const told = face.large_pages.load(std::memory_order_relaxed);
        face.large_pages.store(by > 0 ? told + pages : told - pages, std::memory_order_relaxed);
        face.large_count.store(large_count, std::memory_order_relaxed);
    }
    /// Counts a slab that leaves the lists.
    void unlist(unsigned bin) noexcept __attribute__((requires_capability(lock)))
    {
        --slab_count;
        face.listed[bin].store(--listed[bin], std::memory_order_relaxed);
    }

private:
    /// A thread in the middle of an operation is given this many chances to finish before a lane is left to it. Waiting for
    /// the lock is longer than a pause, by far where there are more threads than processors, and counts for more.
    static constexpr int patience = 64;
    static constexpr int patience_for_lock = patience / 4;
    /// Lets go of the lock for a moment, for a thread that may be waiting for it; returns how much of the patience that took.
    [[nodiscard]] int wait_for_others() noexcept __attribute__((requires_capability(lock)));
    [[nodiscard]] slab* first_to_adopt(unsigned bin, thread_record const& me) const noexcept
        __attribute__((requires_capability(lock)));
    void repair_adoption(slab& s, unsigned bin, bool claimed) noexcept __attribute__((requires_capability(lock)));
    void note_kept(lane const& l, unsigned bin, thread_record& me, take_back_result& done) noexcept
        __attribute__((requires_capability(lock)));
    void put_down(slab& s, unsigned bin, thread_record* me, take_back_result& done) noexcept
        __attribute__((requires_capability(lock)));
    void sweep(thread_record* me, take_back_result& done) noexcept __attribute__((requires_capability(lock)));
    /// How far purge_unused has come: `next` is the slab of `bin` to go on with, once `begun`.
    struct purge_position {
        unsigned bin = 0;
        slab* next = nullptr;
        bool begun = false;
    };
    [[nodiscard]] std::size_t claim_for_purge(purge_position& at, std::span<slab*> batch) noexcept
        __attribute__((requires_capability(lock)));
    void end_purge(purge_position& at, std::span<slab* const> batch, thread_record* me) noexcept
        __attribute__((requires_capability(lock)));
    void end_purge_of(slab& s, thread_record* me) noexcept __attribute__((requires_capability(lock)));
    /// Whose lanes a closer takes: those of every thread, or of every thread but its own.
    enum class lanes_of : std::uint8_t { all, others };
    void revoke_lanes(thread_record* me, bool& others, lanes_of whose = lanes_of::all) noexcept
        __attribute__((requires_capability(lock)));
    [[nodiscard]] std::uint64_t take_idle_lanes(thread_record* me, bool again, take_back_result& done,
                                                lanes_of whose = lanes_of::all) noexcept
        __attribute__((requires_capability(lock)));
    bool wait_for_busy_lanes(thread_record* me, std::uint64_t busy, take_back_result& done, lanes_of whose) noexcept
        __attribute__((requires_capability(lock)));
};

/// Frees a slot of a block the caller's lanes do not hold. Returns false when the slot is free already. Thread safe.
[[nodiscard]] bool free_remote(heap_core& heap, slab& block, unsigned bin, unsigned slot, thread_record* me) noexcept;

/// Frees a large allocation. False when it is gone already. Thread safe.
[[nodiscard]] bool free_large(slab& s, thread_record* me) noexcept;

}
