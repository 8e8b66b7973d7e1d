// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The descriptor of a page: one cache line, away from the page. Two words, by their union, say which slots are free;
// the other fields are the slab's identity and owner, and list links, which are only hints: the words decide.
// A descriptor serves in four roles, and some of its fields mean something else in each; each role has a view here, the
// only place that reads those fields:
//
//   role         descriptor of                           the fields of other meaning         view
//   slab         the first page of a slab                `extent`: the next partial slab,    next_partial, set_next_partial
//                                                        or its sampled objects              sampled_index
//   subslab      a part of a slab with several words     `back`: its slab                    slab_of, make_subslab
//   further page a page of a slab that is not its first  `local_free`: slots purged          purged_slots, set_purged_slots
//   large        the first page of a large allocation    `local_free`: its size in bytes,    large_allocation
//                                                        `extent`: its pages,
//                                                        `remote_free`: its heap profile's
#pragma once

export namespace tslab {

/// Where a page is. A hint for a reader that does not hold the lock of the page's owner or list.
enum class residence : std::uint8_t {
    unused,           ///< a free page, never used or given back, or a further page of a larger run
    cached,           ///< an empty slab in a thread's or the heap's slab cache
    owned,            ///< a slab that a thread cache owns
    orphan_partial,   ///< a slab on an epoch's list, with free slots
    orphan_full,      ///< a slab on an epoch's list, without free slots
    large,            ///< the first page of an allocation above the size classes
    sampled           ///< a slab on an epoch's list of those that hold objects sampled by the heap profile
};

/// Tags of pages: tag_none for a page that is no slab, bin + 1 for the first page of a slab, tag_inside + bin for its
/// further pages.
inline constexpr std::uint8_t tag_none = 0;
inline constexpr std::uint8_t tag_inside = 0x40;
inline constexpr std::uint8_t tag_large = 0xff;
static_assert(bin_count < tag_inside && tag_inside + bin_count <= tag_large);

/// Who may change a slab, or whose a large allocation is: one word, compared and exchanged as a whole.
class owner_ref {
public:
    /// No owner: a slab on an epoch's list, which a thread may claim. Also what zeroed memory says.
    constexpr owner_ref() noexcept = default;
    [[nodiscard]] static constexpr owner_ref none() noexcept { return {}; }
    /// Cached, or no slab, or a large allocation that no resource is named for: no thread may claim it.
    [[nodiscard]] static constexpr owner_ref nowhere() noexcept { return owner_ref{2}; }
    /// A thread has claimed the slab for reclaim, or is checking its claim.
    [[nodiscard]] static constexpr owner_ref reclaiming() noexcept { return owner_ref{4}; }
    /// The thread cache one of whose bins is at `bin`, a multiple of bin_code_step.
    [[nodiscard]] static inline owner_ref of_bin(void const* bin) noexcept
    {
        return owner_ref{reinterpret_cast<std::uintptr_t>(bin)};
    }
    /// The resource of a large allocation, if it shares its epoch; null: nowhere.
    [[nodiscard]] static inline owner_ref of_resource(void const* resource) noexcept
    {
        return resource != nullptr ? owner_ref{reinterpret_cast<std::uintptr_t>(resource) | 1U} : nowhere();
    }

    [[nodiscard]] constexpr bool is_none() const noexcept { return word_ == 0; }
    [[nodiscard]] constexpr bool is_nowhere() const noexcept { return *this == nowhere(); }
    [[nodiscard]] constexpr bool is_reclaiming() const noexcept { return *this == reclaiming(); }
    [[nodiscard]] constexpr bool is_cache_bin() const noexcept
    {
        return word_ != 0 && word_ % bin_code_step == 0;   // every other value is smaller, or odd
    }
    /// The address of the bin. Requires: is_cache_bin().
    [[nodiscard]] constexpr std::uintptr_t bin_address() const noexcept { return word_; }
    template <class Bin> [[nodiscard]] inline Bin& bin() const noexcept { return *reinterpret_cast<Bin*>(word_); }

    friend constexpr bool operator==(owner_ref, owner_ref) noexcept = default;

private:
    constexpr explicit owner_ref(std::uintptr_t word) noexcept : word_{word} {}

    std::uintptr_t word_ = 0;
};
static_assert(sizeof(owner_ref) == sizeof(void*) && std::is_trivially_copyable_v<owner_ref>);

struct slab_meta;
[[nodiscard]] inline slab_meta& slab_of(slab_meta& subslab, unsigned bin) noexcept;
inline void make_subslab(slab_meta& subslab, slab_meta& of, unsigned bin, std::byte* base) noexcept;
[[nodiscard]] inline slab_meta* next_partial(slab_meta const& s) noexcept;
inline void set_next_partial(slab_meta& s, slab_meta const* next) noexcept;
[[nodiscard]] inline std::uint32_t sampled_index(slab_meta const& s) noexcept;
inline void set_sampled_index(slab_meta& s, std::uint32_t index) noexcept;
class slab_list;
class large_allocation;

/// A field that means something else in each role. Only the views of this file read it.
class back_link {
    friend class slab_list;
    friend slab_meta& slab_of(slab_meta& subslab, unsigned bin) noexcept;
    friend void make_subslab(slab_meta& subslab, slab_meta& of, unsigned bin, std::byte* base) noexcept;

    slab_meta* to = nullptr;
};
class extent_word {
    friend slab_meta* next_partial(slab_meta const& s) noexcept;
    friend void set_next_partial(slab_meta& s, slab_meta const* next) noexcept;
    friend std::uint32_t sampled_index(slab_meta const& s) noexcept;
    friend void set_sampled_index(slab_meta& s, std::uint32_t index) noexcept;
    friend class large_allocation;

    atomic<std::uint32_t> value{1};
};

/// The state of a slab. A slot is free if its bit is set in `remote_free` or in `local_free`, and allocated if it is
/// set in neither.
/// - `remote_free` is changed by atomic read-modify-writes of any thread: a free sets its bit, a claim of freed slots
///   moves bits to `local_free`.
/// - `local_free` belongs to the thread cache in `owner`; only that cache's thread changes it, or the thread that
///   flushes the cache.
///
/// A bit on its way from one word to the other is in both for a moment, never in neither. So a free of a slot that
/// is free already always finds its bit, if it loads `remote_free` first.
/// A slab on an epoch's list changes hands by compare-exchange of `owner` from null. The thread that claims it and then
/// finds `remote_free` full holds every slot and reclaims the slab alone; no other thread touches the slab after the
/// free that made it reclaimable. A cached slab has local_free == full_mask and remote_free == 0, so a late free finds
/// its bit set. The same holds for a slab that a detached thread cache retains.
/// A slab of several subslabs has a descriptor for itself, with its identity, and one with the words for each subslab:
/// there `owner` and `base` are valid too, and no other field. All subslabs change their owner together with the slab.
/// Its own words say that every slot is free: a late free as a slot of another bin finds nothing to free.
struct alignas(64) slab_meta {
    atomic<std::uint64_t> remote_free{0};
    atomic<std::uint64_t> local_free{0};
    atomic<owner_ref> owner{owner_ref::nowhere()};
    std::byte* base = nullptr;   ///< address of its first slot; of a page it never changes once set
    slab_meta* next = nullptr;   ///< link of the one list the slab is on, guarded as that list is
    back_link back{};            ///< of a slab or large allocation the other link of that list
    atomic<void*> home{
        nullptr};   ///< the epoch_slabs whose list it is on, or was on last: always the heap's, so that a
                    ///< late freer may still take its lock
    extent_word extent{};
    atomic<std::uint8_t> tag{tag_none};
    atomic<residence> where{residence::unused};
    atomic<std::uint8_t> was{tag_none};   ///< the last tag of a slab or a large allocation; the owner writes it
    bool partial : 1 = false;             ///< on its cache's partial stack; only the cache's thread reads and writes it
    bool partly_purged : 1 = false;       ///< some of its pages went to the kernel while objects lived in others: see
                                          ///< purged_slots. The owner's, as `partial` is

    [[nodiscard]] inline unsigned bin() const noexcept { return tag.load(std::memory_order_relaxed) - 1U; }
    /// The bin it last had as a slab; bin_count or above when it was none, or part of a large allocation.
    [[nodiscard]] inline unsigned last_bin() const noexcept { return was.load(std::memory_order_relaxed) - 1U; }
};

static_assert(sizeof(slab_meta) == 64 && alignof(slab_meta) == 64, "one descriptor, one cache line");
static_assert(atomic<std::uint64_t>::is_always_lock_free && atomic<void*>::is_always_lock_free);

/// Result of a claim: the slots that are free now, and those of them that were in both words, since two threads freed
/// them at the same time.
struct claimed {
    std::uint64_t free;
    std::uint64_t twice;
};

/// Moves the slots that other threads freed from `remote_free` to `local_free`, which the caller owns.
// Modelled: tests/models/close.pml, step claim
// Modelled: tests/models/exclusive.pml, step claim_freed
// Modelled: tests/models/retained.pml, step claim_freed
// Modelled: tests/models/words.pml, step claim_freed
inline claimed claim_freed(slab_meta& s) noexcept
{
    std::uint64_t const mine = s.local_free.load(std::memory_order_relaxed);
    // acquire: the freeing threads' use of the slots ended before they are handed out again.
    std::uint64_t const freed = s.remote_free.load(std::memory_order_acquire);
    if (freed == 0)
        return {mine, 0};
    s.local_free.store(mine | freed, std::memory_order_relaxed);
    // release: a reader that sees the bits gone sees them in local_free.
    s.remote_free.fetch_and(~freed, std::memory_order_acq_rel);
    return {mine | freed, mine & freed};
}

/// The first descriptor of a page, and of a subslab, in the process: see window. Both change only while no heap exists.
inline constinit slab_meta* page_descriptors = nullptr;
inline constinit slab_meta* subslab_descriptors = nullptr;

/// The first subslab of a slab of `bin`: the slab itself, if it has only one. Null if the slab is no longer one of that
/// bin: other threads may have recycled it and cut it anew, unless the caller prevents that.
[[nodiscard]] inline slab_meta* first_subslab(slab_meta const& s, unsigned bin) noexcept
{
    if (!has_subslabs(bin)) [[likely]]
        return const_cast<slab_meta*>(&s);
    // Computed from the page: right even if that was cut for another bin and back again meanwhile. The descriptors of
    // subslabs can be read wherever a slab had some.
    return s.bin() == bin ? subslab_descriptors + (&s - page_descriptors) * max_subslabs : nullptr;
}
/// The slab that a subslab of `bin` is part of.
[[nodiscard]] inline slab_meta& slab_of(slab_meta& subslab, unsigned bin) noexcept
{
    return has_subslabs(bin) ? *subslab.back.to : subslab;
}
/// Prepares a subslab of the slab `of`, which is being cut for `bin`: every slot free, no owner.
inline void make_subslab(slab_meta& subslab, slab_meta& of, unsigned bin, std::byte* base) noexcept
{
    subslab.local_free.store(bins[bin].full_mask, std::memory_order_relaxed);
    subslab.owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
    subslab.base = base;
    subslab.back.to = &of;
}
/// Descriptors from one subslab to the next.
[[nodiscard]] constexpr std::size_t subslab_stride(unsigned bin) noexcept { return max_subslabs / bins[bin].subslabs; }

template <class F> inline void for_each_subslab(slab_meta const& s, unsigned bin, F visit) noexcept
{
    slab_meta* subslab = first_subslab(s, bin);
    for (unsigned k = subslab != nullptr ? bins[bin].subslabs : 0; k-- > 0; subslab += subslab_stride(bin))
        visit(*subslab);
}

/// Which slots are free in a slab's words: none, some, all.
struct fill {
    bool any = false;   ///< at least one
    bool all = false;   ///< every one
};

/// The fill of a slab by the words `free_of(subslab)`.
template <class F> [[nodiscard]] inline fill fill_of(slab_meta const& s, unsigned bin, F free_of) noexcept
{
    fill f;
    unsigned full = 0;
    for_each_subslab(s, bin, [&](slab_meta& subslab) {
        std::uint64_t const free = free_of(subslab);
        f.any = f.any || free != 0;
        full += free == bins[bin].full_mask ? 1 : 0;
    });
    f.all = full == bins[bin].subslabs;
    return f;
}

/// The fill by `remote_free`: in a slab without an owner, all free slots. seq_cst: see claim_for_reclaim
/// (tls_cache/epoch_slabs/orphans.hpp).
// Modelled: tests/models/subslabs.pml, step remote_fill
[[nodiscard]] inline fill remote_fill(slab_meta const& s, unsigned bin) noexcept
{
    return fill_of(s, bin,
                   [](slab_meta const& subslab) { return subslab.remote_free.load(std::memory_order_seq_cst); });
}

/// The number of slots in neither word. Exact while no thread changes them. Bits move from `local_free` to
/// `remote_free` when a thread cache orphans the slab, and back when one claims them: a reader that reads `local_free`
/// before and after `remote_free` sees them in either case.
[[nodiscard]] inline std::uint32_t live_slots(slab_meta const& s, unsigned bin) noexcept
{
    std::uint32_t n = 0;
    for_each_subslab(s, bin, [&](slab_meta const& subslab) {
        // acquire, twice: a bit that has left one word is in the word that is read next.
        std::uint64_t const before = subslab.local_free.load(std::memory_order_acquire);
        std::uint64_t const shared = subslab.remote_free.load(std::memory_order_acquire);
        std::uint64_t const live =
            bins[bin].full_mask & ~(before | shared | subslab.local_free.load(std::memory_order_relaxed));
        if (live == bins[bin].full_mask)
            n += bins[bin].slots;   // a frequent case, and popcount is slow without the processor's instruction
        else if (live != 0)
            n += static_cast<std::uint32_t>(std::popcount(live));
    });
    return n;
}

/// The next slab of a cache's partial stack; null after the last. Stored as a distance in 32 bits, since the descriptor
/// has no room for a pointer.
[[nodiscard]] inline slab_meta* next_partial(slab_meta const& s) noexcept
{
    auto const distance = static_cast<std::int32_t>(s.extent.value.load(std::memory_order_relaxed));
    return distance != 0 ? const_cast<slab_meta*>(&s) + distance : nullptr;
}
/// `next`: another slab of the same heap, or null.
inline void set_next_partial(slab_meta& s, slab_meta const* next) noexcept
{
    std::ptrdiff_t const distance = next != nullptr ? next - &s : 0;
    s.extent.value.store(static_cast<std::uint32_t>(distance), std::memory_order_relaxed);
}

/// Of a slab whose `where` is `sampled`: the number of the record of its objects (see heap_profiler).
[[nodiscard]] inline std::uint32_t sampled_index(slab_meta const& s) noexcept
{
    return s.extent.value.load(std::memory_order_relaxed);
}
inline void set_sampled_index(slab_meta& s, std::uint32_t index) noexcept
{
    s.extent.value.store(index, std::memory_order_relaxed);
}

/// The slots of a slab of several pages that were free when the pages that only they touch were purged: a set of slots
/// as in unused_pages.hpp. Requires: the caller may change the slab.
[[nodiscard]] inline std::uint64_t purged_slots(slab_meta const& s) noexcept
{
    return s.partly_purged ? (&s)[1].local_free.load(std::memory_order_relaxed) : 0;
}
inline void set_purged_slots(slab_meta& s, std::uint64_t slots) noexcept
{
    // The words of a further page's descriptor mean nothing else. release: as in slab_cache::shape, for a late thread
    // that reads the word as one of a slab with subslabs.
    (&s)[1].local_free.store(slots, std::memory_order_release);
    s.partly_purged = slots != 0;
}

/// The descriptor of the first page of a large allocation, or of one that is being made.
class large_allocation {
public:
    inline explicit large_allocation(slab_meta const& s) noexcept : s_{s} {}

    /// Its size as it was asked for.
    [[nodiscard]] inline std::uint64_t bytes() const noexcept { return s_.local_free.load(std::memory_order_relaxed); }
    [[nodiscard]] inline std::uint32_t pages() const noexcept
    {
        return s_.extent.value.load(std::memory_order_relaxed);
    }
    /// Whether it is one of the resource's, which shares its epoch.
    [[nodiscard]] inline bool is_of(void const* resource) const noexcept
    {
        return s_.owner.load(std::memory_order_relaxed) == owner_ref::of_resource(resource);
    }
    /// The hash of its entry in the heap profile; 0 if it is not sampled. A free that comes too late to a slab that was here
    /// may set a bit: then no entry has the hash.
    [[nodiscard]] inline std::uint64_t sampled() const noexcept
    {
        return s_.remote_free.load(std::memory_order_relaxed);
    }
    static inline void set_sampled(slab_meta& s, std::uint64_t hash) noexcept
    {
        s.remote_free.store(hash, std::memory_order_relaxed);
    }
    /// Prepares the descriptor of a large allocation; its tag comes last, when it is on its epoch's list. `resource`: one
    /// that shares its epoch, or null.
    static inline void make(slab_meta& s, std::uint64_t bytes, std::uint32_t pages, void const* resource) noexcept
    {
        s.was.store(tag_large, std::memory_order_relaxed);
        s.local_free.store(bytes, std::memory_order_release);   // release: as in slab_cache::shape
        s.owner.store(owner_ref::of_resource(resource), std::memory_order_relaxed);
        s.extent.value.store(pages, std::memory_order_relaxed);
    }

private:
    slab_meta const& s_;
};

/// The current subslab of a thread cache without slabs: it has no free slot, so the first allocation takes the slow
/// path. Never written.
inline constinit slab_meta no_slab{};

/// Resets the descriptor of a page that goes: it is no slab any more. Clears its words and those of its subslabs too,
/// so that a late free finds nothing to free. `subslabs`: null if the page cannot have any.
inline void retire_page(slab_meta& s, slab_meta* subslabs) noexcept
{
    s.tag.store(tag_none, std::memory_order_relaxed);
    s.where.store(residence::unused, std::memory_order_relaxed);
    s.was.store(tag_none, std::memory_order_relaxed);
    s.owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
    s.home.store(nullptr, std::memory_order_relaxed);
    s.partly_purged = false;
    s.local_free.store(0, std::memory_order_relaxed);
    s.remote_free.store(0, std::memory_order_relaxed);
    for (unsigned k = 0; subslabs != nullptr && k < max_subslabs; ++k) {
        if (subslabs[k].owner.load(std::memory_order_relaxed).is_none() && subslabs[k].base == nullptr)
            continue;   // never used: do not touch its memory
        subslabs[k].owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
        subslabs[k].remote_free.store(0, std::memory_order_relaxed);
    }
}

/// Wipes the traces of late frees from a page's descriptor, before the page is used anew.
inline void prepare_page(slab_meta& s, slab_meta* subslabs) noexcept
{
    if (s.owner.load(std::memory_order_relaxed).is_none()) {   // zeroed memory
        std::construct_at(&s);
        return;
    }
    if (s.remote_free.load(std::memory_order_relaxed) != 0)
        s.remote_free.store(0, std::memory_order_relaxed);
    for (unsigned k = 0; subslabs != nullptr && k < max_subslabs; ++k)
        if (subslabs[k].remote_free.load(std::memory_order_relaxed) != 0)
            subslabs[k].remote_free.store(0, std::memory_order_relaxed);
}

/// A doubly linked list of slabs through their own links. One owner or one lock guards it.
class slab_list {
public:
    inline void push(slab_meta& s) noexcept
    {
        s.back.to = nullptr;
        s.next = head_;
        (head_ != nullptr ? head_->back.to : tail_) = &s;
        head_ = &s;
        ++size_;
    }
    inline void remove(slab_meta& s) noexcept
    {
        --size_;
        (s.back.to != nullptr ? s.back.to->next : head_) = s.next;
        (s.next != nullptr ? s.next->back.to : tail_) = s.back.to;
    }
    [[nodiscard]] inline slab_meta* pop() noexcept
    {
        slab_meta* const s = head_;
        if (s != nullptr)
            remove(*s);
        return s;
    }
    [[nodiscard]] inline slab_meta* front() const noexcept { return head_; }
    [[nodiscard]] inline slab_meta* back() const noexcept { return tail_; }
    [[nodiscard]] inline std::uint32_t size() const noexcept { return size_; }

private:
    slab_meta* head_ = nullptr;
    slab_meta* tail_ = nullptr;
    std::uint32_t size_ = 0;
};

}
