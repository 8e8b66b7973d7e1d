// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The descriptor of a page: one cache line, away from the page. Its truth is a pair of words whose union says which
// slots are free; everything else is identity (who owns it) or a list link, a hint that the words overrule.
#pragma once

export namespace tslab {

/// Where a page is. Told to readers without a lock, so never trusted without one.
enum class residence : std::uint8_t {
    unused,           ///< a plain page: never used, given back, or inside a larger run
    cached,           ///< an empty slab in a thread's or the heap's slab cache
    owned,            ///< a slab some thread cache holds claims on
    orphan_partial,   ///< a slab no thread cache holds, with free slots
    orphan_full,      ///< a slab no thread cache holds, without
    large             ///< the first page of an allocation above the size classes
};

/// tag of a page that is no slab; a slab's tag, on its first page, is its bin + 1, on its further pages tag_inside + bin.
inline constexpr std::uint8_t tag_none = 0;
inline constexpr std::uint8_t tag_inside = 0x40;
inline constexpr std::uint8_t tag_large = 0xff;
static_assert(bin_count < tag_inside && tag_inside + bin_count <= tag_large);

/// What `owner` says when it names no thread cache: null is a slab on an epoch's list, whose slots may be claimed.
inline constinit char const reclaiming{};   ///< somebody was elected to take the slab back, or is finding that out
inline constinit char const nowhere{};      ///< cached, or no slab at all: out of everybody's reach

/// What `owner` says of a large allocation of a resource that shares its epoch: an odd address.
[[nodiscard]] inline void const* large_owner(void const* resource) noexcept
{
    return static_cast<char const*>(resource) + 1;
}

/// Whether a slab's `owner` names a thread cache.
[[nodiscard]] inline bool is_cache_bin(void const* owner) noexcept
{
    return owner != nullptr && owner != &reclaiming && owner != &nowhere &&
           (reinterpret_cast<std::uintptr_t>(owner) & 1U) == 0;
}

/// Slots are free if their bit is set in `remote_free` or in `local_free`, allocated if in neither.
/// - `remote_free` is changed by atomic read-modify-writes of any thread: frees set bits, claims move them to `local_free`.
/// - `local_free` is the claim of the thread cache in `owner`; only that cache's thread changes it, or whoever took the thread cache over.
/// A bit on its way from one word to the other is in both for a moment, never in neither, so that a free of a free slot
/// always finds it; whoever frees loads `remote_free` first.
/// A slab on an epoch's list changes hands by compare-exchange of `owner` from null. Who then finds `remote_free` full holds every slot
/// and alone takes it back; nobody else touches a slab after the operation that made it reclaimable.
/// A cached slab has local == full_mask and shared == 0: a free that comes too late finds its bit set. So has one that a thread cache
/// which is not at work keeps for its next epoch.
/// A slab of several subslabs has a descriptor for itself, with its identity, and one with the words for each subslab: there
/// `owner` and `base` are the subslab's, and nothing else counts. All subslabs change hands together with the slab.
struct alignas(64) slab_meta {
    atomic<std::uint64_t> remote_free{0};
    atomic<std::uint64_t> local_free{0};   ///< of a large allocation its size, of a slab of subslabs its first subslab
    atomic<void const*> owner{&nowhere};   ///< who holds it (see thread cache), or one of the words above
    std::byte* base = nullptr;             ///< where its slots begin; of a page it never changes once set
    slab_meta* next = nullptr;             ///< links of the one list the slab is on, guarded as that list is
    slab_meta* prev = nullptr;             ///< of a subslab: its slab
    atomic<void*> home{
        nullptr};   ///< the epoch's slabs it is on, or was last: always one of the heap's, so that whoever
                    ///< comes too late may still take its lock
    atomic<std::uint32_t> pages{1};   ///< of a large allocation; while a thread cache holds it: see next_partial
    atomic<std::uint8_t> tag{tag_none};
    atomic<residence> where{residence::unused};
    atomic<std::uint8_t> was{tag_none};   ///< the last tag of a slab or a large allocation; the holder's to write
    bool partial : 1 = false;             ///< among its cache's ready ones; the cache's to read and write
    bool partly_purged : 1 = false;       ///< some of its pages went to the kernel while objects lived in others: see
                                          ///< purged_slots. The holder's, as `ready` is

    [[nodiscard]] inline unsigned bin() const noexcept { return tag.load(std::memory_order_relaxed) - 1U; }
    /// The bin it last had as a slab; bin_count or above when it was none, or part of a large allocation.
    [[nodiscard]] inline unsigned last_bin() const noexcept { return was.load(std::memory_order_relaxed) - 1U; }
};

static_assert(sizeof(slab_meta) == 64 && alignof(slab_meta) == 64, "one descriptor, one cache line");
static_assert(atomic<std::uint64_t>::is_always_lock_free && atomic<void*>::is_always_lock_free);

/// What a claim found: the slots that are free now, and those of them that were in both words, since two threads freed
/// them at the same time.
struct claimed {
    std::uint64_t free;
    std::uint64_t twice;
};

/// Moves what others freed from `remote_free` to `local_free`, which the caller owns.
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
    s.remote_free.fetch_and(~freed,
                            std::memory_order_acq_rel);   // release: who sees the bits gone sees them in local_free
    return {mine | freed, mine & freed};
}

/// Where the process's descriptors of pages, and of subslabs, begin: see window. Both change only while there is no heap.
inline constinit slab_meta* page_descriptors = nullptr;
inline constinit slab_meta* subslab_descriptors = nullptr;

/// The first subslab of a slab: itself, where it has only one. `bin`: the slab's. Null when it no longer is one of that bin, for
/// whoever looks at a slab that nobody keeps from being taken back and cut anew.
[[nodiscard]] inline slab_meta* first_subslab(slab_meta const& s, unsigned bin) noexcept
{
    if (!has_subslabs(bin)) [[likely]]
        return const_cast<slab_meta*>(&s);
    // By its place, and not by what `local_free` says: that may be another slab's word, if the page was cut for another bin and back
    // again meanwhile. Where there was ever a slab of several subslabs, their descriptors can be read.
    return s.bin() == bin ? subslab_descriptors + (&s - page_descriptors) * max_subslabs : nullptr;
}
/// The slab that a subslab of `bin` is part of.
[[nodiscard]] inline slab_meta& slab_of(slab_meta& subslab, unsigned bin) noexcept
{
    return has_subslabs(bin) ? *subslab.prev : subslab;
}
/// The distance from one subslab's descriptor to the next one's.
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

/// What the words `free_of(subslab)` say of a slab.
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

/// What is free in `remote_free`: in a slab nobody holds, everything that is free. seq_cst: see claim_for_reclaim in epoch's slabs.cpp.
// Modelled: tests/models/subslabs.pml, step remote_fill
[[nodiscard]] inline fill remote_fill(slab_meta const& s, unsigned bin) noexcept
{
    return fill_of(s, bin,
                   [](slab_meta const& subslab) { return subslab.remote_free.load(std::memory_order_seq_cst); });
}

/// How many slots are in neither word. Exact when nobody changes them.
/// Bits move from `local_free` to `remote_free` when a thread cache lets go of the slab, and from `remote_free` to `local_free` when one takes them: who
/// looks at `local_free` before and afterwards meets them in either case.
[[nodiscard]] inline std::uint32_t live_slots(slab_meta const& s, unsigned bin) noexcept
{
    std::uint32_t n = 0;
    for_each_subslab(s, bin, [&](slab_meta const& subslab) {
        // acquire, twice: bits that have left a word are in the one that is read next.
        std::uint64_t const before = subslab.local_free.load(std::memory_order_acquire);
        std::uint64_t const shared = subslab.remote_free.load(std::memory_order_acquire);
        std::uint64_t const live =
            bins[bin].full_mask & ~(before | shared | subslab.local_free.load(std::memory_order_relaxed));
        if (live == bins[bin].full_mask)
            n += bins[bin].slots;   // often, and counting bits takes its time where the processor's way is not used
        else if (live != 0)
            n += static_cast<std::uint32_t>(std::popcount(live));
    });
    return n;
}

/// The next of a cache's ready slabs; null after the last. Told by its distance, since only half a link is free for it.
[[nodiscard]] inline slab_meta* next_partial(slab_meta const& s) noexcept
{
    auto const distance = static_cast<std::int32_t>(s.pages.load(std::memory_order_relaxed));
    return distance != 0 ? const_cast<slab_meta*>(&s) + distance : nullptr;
}
/// `next`: another slab of the same heap, or null.
inline void set_next_partial(slab_meta& s, slab_meta const* next) noexcept
{
    std::ptrdiff_t const distance = next != nullptr ? next - &s : 0;
    s.pages.store(static_cast<std::uint32_t>(distance), std::memory_order_relaxed);
}

/// What a thread cache without slabs points at: no free slot, so the first allocation goes the slow path. Never written.
inline constinit slab_meta no_slab{};

/// Makes a page's descriptor say that it is no slab, whatever it was: the page goes. Its words too, and those of its subslabs, so
/// that whoever comes late finds nothing to free. `subslabs`: null where it cannot have any.
inline void retire_page(slab_meta& s, slab_meta* subslabs) noexcept
{
    s.tag.store(tag_none, std::memory_order_relaxed);
    s.where.store(residence::unused, std::memory_order_relaxed);
    s.was.store(tag_none, std::memory_order_relaxed);
    s.owner.store(&nowhere, std::memory_order_relaxed);
    s.home.store(nullptr, std::memory_order_relaxed);
    s.partly_purged = false;
    s.local_free.store(0, std::memory_order_relaxed);
    s.remote_free.store(0, std::memory_order_relaxed);
    for (unsigned k = 0; subslabs != nullptr && k < max_subslabs; ++k) {
        if (subslabs[k].owner.load(std::memory_order_relaxed) == nullptr && subslabs[k].base == nullptr)
            continue;   // never used: it may be memory that was never touched
        subslabs[k].owner.store(&nowhere, std::memory_order_relaxed);
        subslabs[k].remote_free.store(0, std::memory_order_relaxed);
    }
}

/// Makes a page's descriptor one of a page that was never used, as far as what came too late for its last owner goes.
inline void prepare_page(slab_meta& s, slab_meta* subslabs) noexcept
{
    if (s.owner.load(std::memory_order_relaxed) == nullptr) {   // zeroed memory
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
        s.prev = nullptr;
        s.next = head_;
        (head_ != nullptr ? head_->prev : tail_) = &s;
        head_ = &s;
        ++size_;
    }
    inline void remove(slab_meta& s) noexcept
    {
        --size_;
        (s.prev != nullptr ? s.prev->next : head_) = s.next;
        (s.next != nullptr ? s.next->prev : tail_) = s.prev;
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
