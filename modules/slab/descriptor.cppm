// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The descriptor of a page: one cache line, away from the page. Its truth is a pair of words whose union says which
// slots are free; everything else is identity (who owns it) or a list link, a hint that the words overrule.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
export module tslab.slab:descriptor;

import :size_class;

export namespace tslab {

/// Where a page is. Told to readers without a lock, so never trusted without one.
enum class residence : std::uint8_t {
    unused,            ///< a plain page: never used, given back, or inside a larger run
    cached,            ///< an empty slab in a thread's or the heap's slab cache
    held,              ///< a slab some lane holds claims on
    shelved_partial,   ///< a slab no lane holds, with free slots
    shelved_full,      ///< a slab no lane holds, without
    large              ///< the first page of an allocation above the size classes
};

/// tag of a page that is no slab; a slab's tag is its bin + 1.
inline constexpr std::uint8_t tag_none = 0;
inline constexpr std::uint8_t tag_large = 0xff;
static_assert(bin_count < tag_large);

/// What `owner` says when it names no lane: null is a slab on a shelf, whose slots may be claimed.
inline constinit char const reclaiming{};   ///< somebody was elected to take the slab back, or is finding that out
inline constinit char const nowhere{};      ///< cached, or no slab at all: out of everybody's reach

/// Slots are free if their bit is set in `shared` or in `local`, allocated if in neither.
/// - `shared` is changed by atomic read-modify-writes of any thread: frees set bits, claims move them to `local`.
/// - `local` is the claim of the lane in `owner`; only that lane's thread changes it, or whoever took the lane over.
/// A bit on its way from one word to the other is in both for a moment, never in neither, so that a free of a free slot
/// always finds it; whoever looks loads `shared` first.
/// A slab on a shelf changes hands by compare-exchange of `owner` from null. Who then finds `shared` full holds every slot
/// and alone takes it back; nobody else touches a slab after the operation that made it reclaimable.
/// A cached slab has local == full_mask and shared == 0: a free that comes too late finds its bit set.
struct alignas(64) slab {
    std::atomic<std::uint64_t> shared{0};
    std::atomic<std::uint64_t> local{0};        ///< for a large allocation: its size in bytes
    std::atomic<void const*> owner{&nowhere};   ///< the lane that holds it, or one of the words above; never followed
    std::byte* base = nullptr;                  ///< the page; never changes once set
    slab* next = nullptr;                       ///< links of the one list the slab is on, guarded as that list is
    slab* prev = nullptr;
    std::atomic<void*> home{nullptr};      ///< the shelf of the epoch it belongs to
    std::atomic<std::uint32_t> pages{1};   ///< pages of a large allocation, 1 for a slab
    std::atomic<std::uint8_t> tag{tag_none};
    std::atomic<residence> where{residence::unused};
    std::atomic<std::uint8_t> was{tag_none};   ///< the last tag that was none of tag_none; the holder's to write

    [[nodiscard]] inline unsigned bin() const noexcept { return tag.load(std::memory_order_relaxed) - 1U; }
};

static_assert(sizeof(slab) == 64 && alignof(slab) == 64, "one descriptor, one cache line");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<void*>::is_always_lock_free);

/// What a claim found: the slots that are free now, and those of them that were in both words, since two threads freed
/// them at the same time.
struct claimed {
    std::uint64_t free;
    std::uint64_t twice;
};

/// Moves what others freed from `shared` to `local`, which the caller owns.
inline claimed claim_freed(slab& s) noexcept
{
    std::uint64_t const mine = s.local.load(std::memory_order_relaxed);
    // acquire: the freeing threads' use of the slots ended before they are handed out again.
    std::uint64_t const freed = s.shared.load(std::memory_order_acquire);
    if (freed == 0)
        return {mine, 0};
    s.local.store(mine | freed, std::memory_order_relaxed);
    s.shared.fetch_and(~freed, std::memory_order_acq_rel);   // release: who sees the bits gone sees them in local
    return {mine | freed, mine & freed};
}

/// What a lane without slabs points at: no free slot, so the first allocation goes the slow way. Never written.
inline constinit slab no_slab{};

/// A doubly linked list of slabs through their own links. One owner or one lock guards it; `size` is read by anyone.
class slab_list {
public:
    inline void push(slab& s) noexcept
    {
        s.prev = nullptr;
        s.next = head_;
        (head_ != nullptr ? head_->prev : tail_) = &s;
        head_ = &s;
    }
    inline void push_back(slab& s) noexcept
    {
        s.next = nullptr;
        s.prev = tail_;
        (tail_ != nullptr ? tail_->next : head_) = &s;
        tail_ = &s;
    }
    inline void remove(slab& s) noexcept
    {
        (s.prev != nullptr ? s.prev->next : head_) = s.next;
        (s.next != nullptr ? s.next->prev : tail_) = s.prev;
    }
    [[nodiscard]] inline slab* pop() noexcept
    {
        slab* const s = head_;
        if (s != nullptr)
            remove(*s);
        return s;
    }
    [[nodiscard]] inline slab* front() const noexcept { return head_; }
    [[nodiscard]] inline slab* back() const noexcept { return tail_; }
    [[nodiscard]] inline bool empty() const noexcept { return head_ == nullptr; }

private:
    slab* head_ = nullptr;
    slab* tail_ = nullptr;
};

}
