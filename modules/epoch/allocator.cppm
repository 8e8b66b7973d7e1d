// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocator: one heap. It opens, advances and closes epochs, serves raw memory and handles from them, checks every
// pointer that comes back, and tells what it holds. Everything public here is thread safe unless it says otherwise.
module;
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>
export module tslab.epoch:allocator;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import :label;
import :ring;

export namespace tslab {

/// Thrown by resources whose epoch is closed. A std::bad_alloc, since for the caller it is one.
class epoch_closed : public std::bad_alloc {
public:
    [[nodiscard]] char const* what() const noexcept override { return "tslab: allocation in a closed epoch"; }
};

struct allocator_options {
    std::string_view name = "tslab";   ///< in reports and statistics
    std::uint32_t epoch_count = 256;   ///< slots of the ring, 2 to 65,536
    reclaim_policy reclaim = reclaim_policy::cached;
    /// Pages of empty slabs that the heap keeps per size class, one slab at least; 0: none, and threads keep none either. Nothing
    /// said: TSLAB_SLAB_CACHE in the environment, else 32.
    std::optional<std::uint32_t> slab_cache{};
    std::size_t reserve_bytes = 0;   ///< the most address space it may take for pages; 0: no limit of its own
    /// With reclaim_policy::cached: empty slabs and free pages that nobody wanted for so long go back, those of threads to the heap and
    /// those of the heap to the kernel. 0: free pages go at the end of each close, as under `eager`, and empty slabs stay.
    /// Nothing said: TSLAB_DECAY_MS in the environment, else one second.
    std::optional<std::chrono::milliseconds> decay{};
    /// Bytes of empty slabs that a thread keeps at most. Nothing said: TSLAB_THREAD_CACHE_KIB in the environment, else 32 MiB.
    std::optional<std::size_t> thread_cache{};
    /// Let one thread of the process, for all heaps that ask, see to it that unwanted memory goes also while no thread uses the
    /// heap. Where it cannot be had nothing else changes. Nothing said: TSLAB_BACKGROUND_PURGE in the environment, else no.
    std::optional<bool> background_purge{};
    /// With background_purge: let everything go that is kept, at once, when the control group is short of memory.
    bool purge_on_pressure = true;
    bool strict = false;     ///< a leak aborts instead of being reported and counted
    bool sampling = false;   ///< time one allocation in 1,024, see set_sampling
    /// Ask the kernel for huge pages (transparent ones, where it grants them on request): fewer faults and misses in the
    /// translation of addresses for heaps of many megabytes; but 2 MiB become resident at the first touch of each, and what
    /// is handed back in smaller runs breaks them up.
    bool huge_pages = false;
    /// Let other processes of the same user read the heap's statistics while it lives: in a sealed memfd, or in the file that
    /// the environment's TSLAB_STATS_FILE names, which outlives a crash. TSLAB_PUBLISH=0 in the environment says no for
    /// every heap. Where it cannot be had, nothing else changes.
    bool publish = true;
    /// What a build with checks (TSLAB_CHECKED, or AddressSanitizer) looks at; see memory_checks. Other builds refuse
    /// `canaries` and `forward` with std::invalid_argument.
    check_mode checks = check_mode::automatic;
    /// With canaries, one allocation in so many lies on a page of its own, with one behind it that faults; 0: none. Nothing
    /// said: TSLAB_GUARD_SAMPLING in the environment, else 1,000.
    std::optional<std::uint32_t> guard_sampling{};
};

/// How an allocation was refused.
enum class refusal : std::uint8_t { none, closed, out_of_memory };

class allocator {
public:
    using options = allocator_options;

    static constexpr std::uint32_t least_epochs = 2;
    static constexpr std::uint32_t most_epochs = 65'536;

    allocator() : allocator(options{}) {}
    /// Reserves address space and opens the first epoch. Throws std::invalid_argument for an epoch count out of range,
    /// std::bad_alloc when address space cannot be had.
    explicit allocator(options const& o);
    /// Reports objects that are still live and scopes or resources still open, then unmaps everything.
    /// Precondition: no other thread uses the heap any more.
    ~allocator();
    allocator(allocator const&) = delete;
    allocator& operator=(allocator const&) = delete;

    // Epochs.

    /// The epoch that allocations without one of their own belong to. It is always ACTIVE.
    [[nodiscard]] inline epoch_id current_epoch() const noexcept
    {
        std::uint64_t const packed = current_.load(std::memory_order_acquire);   // pairs with the store in advance
        return {static_cast<std::uint32_t>(packed & 0xffff), packed >> 16};
    }

    /// Turns the current epoch CLOSING and opens the next free ring slot as the new one, which is returned. Slots that
    /// still hold something are skipped; when all do, nothing changes and `ring_exhausted` is counted.
    /// A few stores and one short lock; no system call.
    epoch_id advance() noexcept;

    /// Turns `e` CLOSING and takes back every slab of it that is empty, claims of idle threads included; live objects
    /// stay valid. What overflows the slab caches goes to the kernel at once, and so do those pages of other slabs of it that no
    /// live object touches. Closing the current epoch advances first; when no slot is free for another it stays ACTIVE and only
    /// gives back what is empty. Closing again does the same for what has become free since.
    close_report close(epoch_id e) noexcept;

    /// Takes back empty slabs of an epoch that stays open, and of all of them, and gives the kernel the pages of other slabs that no
    /// live object touches; the second empties the slab caches too.
    close_report trim(epoch_id e) noexcept;
    close_report trim() noexcept;

    /// Names the epoch; more than 31 bytes are cut and counted. False when `e` is gone.
    bool set_label(epoch_id e, std::string_view label) noexcept;
    [[nodiscard]] bool is_active(epoch_id e) const noexcept;

    // Memory by pointer. These do not throw.

    /// `bytes` (0 counts as 1) in epoch `e`, aligned for any fundamental type. Null when the epoch is not ACTIVE or
    /// memory is out, which the snapshot's counters tell apart.
    [[nodiscard]] inline void* malloc(std::size_t bytes, epoch_id e) noexcept
    {
        refusal why{};
        return allocate_bytes(bytes, common_alignment, e, why);
    }
    [[nodiscard]] inline void* malloc(std::size_t bytes) noexcept { return malloc(bytes, current_epoch()); }

    /// Frees what malloc, allocate or a resource of this heap handed out, on any thread, also after its epoch closed.
    /// Null is ignored; everything else that is no live allocation of this heap is reported and not touched.
    inline void free(void* p) noexcept
    {
        if constexpr (with_checks)
            if (core_.checks().on())
                return free_checked(p);
        free_plain(p);
    }
    /// The same for a slot, whatever checks say of it.
    // Modelled: tests/models/chunks.pml, step free_plain
    inline void free_plain(void* p) noexcept
    {
        thread_record* const me = core_.record();
        if (me == nullptr || !me->enter()) [[unlikely]]
            return free_rare(p);
        // From here on what is looked at stays this heap's: see heap_core::give_back_units.
        slab* const s = core_.slab_at(p);
        // acquire is not needed: whoever handed p over published the slab's identity with it.
        unsigned const bin = s != nullptr ? s->bin() : bin_count;
        if (bin < class_count) [[likely]] {
            slot_position const at = slot_at(reinterpret_cast<std::uintptr_t>(p), bins[bin]);
            if (at.exact && at.slot < bins[bin].slots) [[likely]] {
                slab& block = *page_heap::map().entry(bin).block_of(reinterpret_cast<std::uintptr_t>(p));
                bool const freed = core_.free_slot(block, bin, at.slot, me);
                me->leave();
                if (!freed) [[unlikely]]
                    misused(misuse::double_free, p, s);
                return;
            }
        }
        me->leave();   // no slab, a large allocation, a slab of handles, or no slot
        free_rare(p);
    }

    // Memory by handle.

    /// As malloc, and `h` names the allocation; `h` is empty when null is returned.
    [[nodiscard]] void* allocate(std::size_t bytes, epoch_id e, handle& h) noexcept;
    /// Frees by handle. Never crashes and never reports: what is wrong with the handle is the result, and is counted.
    free_result free(handle h) noexcept;

    // For whoever builds on the heap: resources, domains, tools.

    /// `bytes` at `alignment` (a power of two) in epoch `e`; null, and why, when refused.
    [[nodiscard]] inline void* allocate_bytes(std::size_t bytes, std::size_t alignment, epoch_id e,
                                              refusal& why) noexcept
    {
        if constexpr (with_checks)
            if (core_.checks().on())
                return allocate_checked(bytes, alignment, e, why);
        return allocate_plain(bytes, alignment, e, why);
    }
    /// The same for a slot, whatever checks say of it.
    [[nodiscard]] inline void* allocate_plain(std::size_t bytes, std::size_t alignment, epoch_id e,
                                              refusal& why) noexcept
    {
        unsigned const c = alignment <= common_alignment && bytes <= max_class_size ? class_of(bytes)
                                                                                    : class_of_rare(bytes, alignment);
        if (c == large_class) [[unlikely]]
            return allocate_large(bytes, alignment, e, nullptr, why);
        return allocate_slot(c, e, why);
    }
    /// A slot of `bin`, from the calling thread's lane in the epoch.
    // Modelled: tests/models/close.pml, step allocate_slot
    [[nodiscard]] inline void* allocate_slot(unsigned bin, epoch_id e, refusal& why) noexcept
    {
        thread_record* const me = core_.record();
        if (e.index >= core_.slots() || e.era == closed_key || me == nullptr || !me->enter()) [[unlikely]]
            return refuse_early(bin, e, why);
        bool closed = false;
        void* p = nullptr;
        lane* const l = core_.lane_for(*me, e.index, e.era, closed);
        if (l != nullptr) [[likely]] {
            p = l->allocate(bin);
            if (p == nullptr) [[unlikely]]
                p = l->refill(bin, *me);
        }
        me->leave();
        if (p == nullptr) [[unlikely]]
            why = refused(*me, bin, closed, l != nullptr);
        return p;
    }
    /// Pages of their own for what no class serves. `owner`: a resource that shares its epoch, else null.
    [[nodiscard]] void* allocate_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner,
                                       refusal& why) noexcept;
    /// Frees `p`, a slot of class `c` in epoch `e`, on whichever thread. False when it is none, or cannot be freed now: then
    /// nothing was done, and deallocate_checked says why.
    [[nodiscard]] bool free_in(epoch_id e, unsigned c, void* p) noexcept;
    /// Frees `p`, which `by` handed out as `bytes` at `alignment`; checks that and reports what is wrong.
    void deallocate_checked(void* p, std::size_t bytes, std::size_t alignment, epoch_id e) noexcept;

    // For heaps that check: see checked.cpp.

    /// Makes a slot an object's; returns the object, null when memory is out.
    [[nodiscard]] void* arm(void* slot, request r) noexcept;
    /// An object on pages of its own, if this allocation is chosen and that can be done; else null. `owner`: as for
    /// allocate_large.
    [[nodiscard]] inline void* allocate_guarded(request r, epoch_id e, void const* owner) noexcept
    {
        return core_.checks().choose_guarded(r) ? guard(r, e, owner) : nullptr;
    }
    /// What is left to be done for a free: nothing (it was wrong, and has been reported) if both are null.
    struct disarmed {
        void* plain = nullptr;   ///< to be freed as if nothing was checked, as what it was given back as
        request given{};
        void* pages = nullptr;   ///< a large allocation to be freed as a whole
    };
    /// Checks an object that is given back as `given`, if that is not null, to the epoch `by`, likewise, and makes it a plain
    /// slot again. `keep`: it is not going to be freed.
    [[nodiscard]] disarmed disarm(void* p, request const* given, epoch_id const* by, bool keep) noexcept;

    struct opened {
        epoch_id epoch;
        bool shared = false;       ///< no ring slot was free: this is the current epoch
        std::uint32_t place = 0;   ///< of the entry noted, see epoch_record
    };
    /// Opens an epoch and, if `enter`, notes one domain's enter into it. Where a lane can be had, and the epoch is a new one,
    /// `binding` becomes the calling thread's lane in it.
    [[nodiscard]] opened open_epoch(std::string_view label, bool enter, std::source_location const& at,
                                    atomic<lane*>* binding = nullptr) noexcept;
    /// Notes a domain's enter into an existing epoch; false when `e` is gone.
    bool enter_epoch(epoch_id e, bool first, std::source_location const& at, std::uint32_t& place) noexcept;
    /// How the last hold on an epoch, or a further exit, is noted.
    struct leaving {
        epoch_id epoch;
        std::uint32_t place = 0;
        bool last = true;                   ///< the domain's last exit
        bool close = false;                 ///< close the epoch if nobody else holds it
        bool own = false;                   ///< nobody else allocates in it: all that lives in it is the leaver's
        atomic<lane*>* binding = nullptr;   ///< a resource's lane, handed back first
        void const* owner = nullptr;        ///< of large allocations in an epoch that is not its own
        bool drop = false;                  ///< give everything back, live or not
        bool count_leaks = false;
    };
    struct left {
        bool was_last = false;   ///< nobody holds the epoch any more
        live_count leaked{};
        std::uint64_t dropped_objects = 0;
    };
    left leave_epoch(leaving const& how) noexcept;
    /// Hands back the claims of a resource's lane, on the resource's own thread.
    void hand_back(epoch_id e, atomic<lane*>& binding) noexcept;
    /// Counts a deallocation that is not carried out.
    void count_free() noexcept;
    /// Gives back everything in the epoch, live or not, except what other threads are using this moment; the lane behind
    /// `keep` stays attached. Returns how many objects were live.
    std::uint64_t release_epoch(epoch_id e, atomic<lane*>& keep) noexcept;
    /// The same for a resource that shares its epoch: what the lane behind `keep` and the resource `owner` handed out.
    std::uint64_t release_part(epoch_id e, atomic<lane*>& keep, void const* owner) noexcept;

    [[nodiscard]] shared_text::copy label_of(epoch_id e) const noexcept;
    /// The number of its label; `unlabeled` when `e` is gone.
    [[nodiscard]] std::uint32_t label_id_of(epoch_id e) const noexcept;
    [[nodiscard]] inline heap_core& core() noexcept { return core_; }
    [[nodiscard]] inline epoch_record& record_of(epoch_id e) const noexcept
    {
        return static_cast<epoch_record&>(core_.shelf_at(e.index));
    }
    [[nodiscard]] inline std::string const& name() const noexcept { return core_.name(); }
    [[nodiscard]] inline std::uint32_t epoch_count() const noexcept { return core_.slots(); }
    [[nodiscard]] inline bool strict() const noexcept { return strict_; }
    /// Counts and reports a misuse of this heap.
    void misused(misuse kind, void const* p, slab const* s, std::size_t given = 0,
                 std::string_view other = {}) noexcept;

    // Looking into it.

    /// One moment of the heap. Stops nobody: it takes no lock that an allocation or a free waits for. The cost is one look at
    /// every descriptor of a page ever used and at every thread's counters and, unless `o` says otherwise, one mincore for
    /// them and their pages. Throws std::bad_alloc when its own vectors cannot be had.
    [[nodiscard]] tslab::snapshot snapshot(snapshot_options const& o = {}) const;
    /// Every page ever used, run by run. As snapshot; asks the kernel nothing.
    [[nodiscard]] heap_map map() const;

    /// Who forgot to leave an epoch at least `older_than` ago, and whose objects outlive their closed epoch: see find_leaks.
    /// Throws std::bad_alloc. Example: `for (auto const& l : heap.leaks(5min)) std::puts(l.sentence().c_str());`
    [[nodiscard]] std::vector<leak> leaks(std::chrono::duration<double> older_than) const;

    /// Times one allocation in 1,024 of each thread, size and epoch, and every repair, from now on or no longer: wall clock
    /// and processor time, see sampling_stats. A timed one costs about two microseconds more.
    inline void set_sampling(bool on) noexcept { core_.set_sampling(on); }
    [[nodiscard]] inline bool sampling() const noexcept { return core_.sampling(); }

    /// Frees a large allocation, or whatever is not freed in a common way.
    [[gnu::cold]] void free_rare(void* p) noexcept;

private:
    [[nodiscard]] void* allocate_checked(std::size_t bytes, std::size_t alignment, epoch_id e, refusal& why) noexcept;
    void free_checked(void* p) noexcept;
    [[gnu::cold]] void* guard(request r, epoch_id e, void const* owner) noexcept;
    [[nodiscard]] disarmed disarm_twin(void* p, request const* given, epoch_id const* by, bool keep) noexcept;
    void disarm_handle(std::uint32_t page, std::uint32_t slot) noexcept;
    [[nodiscard]] void* take_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner,
                                   thread_record* me, refusal& why) noexcept;
    void note_close(close_report const& report, shared_text::copy const& label) noexcept;
    [[gnu::cold]] static unsigned class_of_rare(std::size_t bytes, std::size_t alignment) noexcept;
    [[gnu::cold]] void* refuse_early(unsigned bin, epoch_id e, refusal& why) noexcept;
    [[gnu::cold]] refusal refused(thread_record& me, unsigned bin, bool closed, bool had_lane) noexcept;
    void free_located(slab& s, unsigned bin, unsigned slot, void* p) noexcept;
    [[gnu::cold]] void report_unknown(void const* p, slab const* s) noexcept;
    [[nodiscard]] bool inside_operation() noexcept;
    [[nodiscard]] slab* large_head(slab* s) noexcept;
    [[nodiscard]] bool retire_generation(slab const& s, unsigned slot) noexcept;
    void account_for_end(slab& s, live_count& live) noexcept;
    epoch_id advance_locked() noexcept __attribute__((requires_capability(advance_lock_)));
    [[nodiscard]] epoch_record* prepare_slot(std::uint32_t index) noexcept;
    epoch_id begin_epoch(epoch_record& r, shared_text::packed const& label, std::uint32_t label_id) noexcept
        __attribute__((requires_capability(r.lock)));
    /// `closed_before`: the caller has closed it just now.
    close_report take_back(epoch_id e, bool closing, bool closed_before) noexcept;

    heap_core core_;
    label_registry labels_;
    mutex advance_lock_;
    atomic<std::uint64_t> eras_{0};
    atomic<std::uint64_t> current_{0};              // ring index in 16 bits, era above
    mutex prepare_lock_;                            // making records of ring slots
    mutable atomic<std::uint64_t> frees_told_{0};   // the most that any snapshot said
    bool strict_;
    std::uint32_t handle_salt_;
};

}
