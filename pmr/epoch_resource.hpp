// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// epoch_resource: a std::pmr::memory_resource whose memory belongs to one epoch. Construction enters its domain,
// destruction leaves it. Any thread may allocate and free through it; the thread that made it does so without atomic
// read-modify-writes and without announcing operations, since the key of the resource's cache admits only that thread.
// The users of a serial resource promise that their uses do not overlap: then the key goes with them from thread to thread.
#pragma once

export namespace tslab {

/// What `deallocate` does.
enum class deallocate_policy : std::uint8_t {
    carry_out,   ///< frees, with every check
    count_only   ///< only counts; for phases that end in `release` or with the resource, which then frees everything
};

/// Which threads use a resource.
enum class threading : std::uint8_t {
    any,   ///< any thread at any time; the thread that made it has the fast path
    /// One use at a time, on whichever thread, each one ended before the next begins: a coroutine's, a strand's. Then the
    /// thread that uses it has the fast path. A use is a call of `allocate`, `deallocate` or `release`, and the end of
    /// the resource. Overlapping uses are undefined; debug and checked builds report them (misuse::overlapping_use).
    serial
};

/// Whether this build finds overlapping uses of a serial resource.
#if defined(NDEBUG)
inline constexpr bool finds_overlaps = with_checks;
#else
inline constexpr bool finds_overlaps = true;
#endif

/// The options of a resource; each has a default.
struct resource_options {
    std::string_view label{};   ///< of the epoch; up to 31 bytes are stored
    bool share_epoch = false;   ///< use the current epoch instead of one of its own
    deallocate_policy deallocate = deallocate_policy::carry_out;
    bool auto_close = true;                               ///< the end of the resource closes its own epoch
    tslab::threading threading = tslab::threading::any;   ///< whether uses may overlap
    /// The most bytes that the epoch of the resource may hold, and how many it may hold before the handler of soft limits is
    /// called: see allocator::set_limit. Not for a resource that shares its epoch.
    std::optional<std::size_t> limit{};
    std::optional<std::size_t> soft_limit{};
};

/// A memory resource bound to one epoch. Equal only to itself.
class epoch_resource final : public std::pmr::memory_resource {
public:
    using options = resource_options;   ///< so that options can be given in braces

    /// Opens an epoch labelled `o.label` and enters it, or enters the current epoch if `o.share_epoch`. If no ring slot
    /// is free, it shares the current epoch (counted as ring_exhausted), and a limit holds for nothing (counted as
    /// unlimited_scopes). Without a limit it does not throw; if memory for the thread's record is out, allocations throw.
    /// With one, throws std::bad_alloc if there is no memory for the heap's first limit, std::invalid_argument if
    /// `o.share_epoch`. Complexity: a few stores under one lock; no system call, once the thread has a
    /// record. `at` names the resource in leak reports.
    explicit epoch_resource(allocator& heap, options const& o = {},
                            std::source_location at = std::source_location::current());
    /// Leaves the domain, on any thread; with auto_close, an epoch of its own closes. Objects still live are counted
    /// and reported as a leak (in strict mode the program aborts); their memory stays valid until `heap.free` frees it
    /// or the heap ends. A count-only resource releases them instead. Requires: no other thread is using the resource.
    /// Complexity: linear in the slabs that the resource holds.
    ~epoch_resource() override;
    epoch_resource(epoch_resource const&) = delete;
    epoch_resource& operator=(epoch_resource const&) = delete;

    /// As std::pmr::memory_resource::allocate, inlined: at least `bytes` (0 counts as 1) at `alignment`, a power of
    /// two. Throws epoch_closed if the epoch is CLOSING, over_limit if a limit refuses it, std::bad_alloc if memory is out, `bytes` is above PTRDIFF_MAX
    /// or `alignment` above 16 and no power of two (up to 16 it is not looked at). Thread safe, unless the resource is
    /// serial. Constant time; on the thread that made the resource, no lock and no atomic read-modify-write on the fast
    /// path. A serial resource has that on every thread, but for the first use after another thread's, which takes the
    /// epoch's lock.
    [[nodiscard, gnu::always_inline]] inline void* allocate(std::size_t bytes,
                                                            std::size_t alignment = alignof(std::max_align_t))
    {
        if constexpr (finds_overlaps)
            if (serial_)
                return allocate_in_turn(bytes, alignment);
        if constexpr (with_checks)
            if (heap().state().checks().on())
                return allocate_checked(bytes, alignment);
        return allocate_plain(bytes, alignment);
    }

    /// As std::pmr::memory_resource::deallocate. A pointer that is no live allocation of this resource, of this size
    /// class, is reported to the error handler and nothing changes. Null is ignored, as by `delete`, and not counted. A
    /// count-only resource only counts the call. Thread safe, unless the resource is serial; any thread may free what
    /// another one allocated. Constant time.
    [[gnu::always_inline]] inline void deallocate(void* p, std::size_t bytes,
                                                  std::size_t alignment = alignof(std::max_align_t))
    {
        if constexpr (finds_overlaps)
            if (serial_)
                return deallocate_in_turn(p, bytes, alignment);
        if constexpr (with_checks)
            if (heap().state().checks().on())
                return deallocate_checked(p, bytes, alignment);
        deallocate_plain(p, bytes, alignment);
    }

    /// Releases everything that the resource allocated, live or not; the resource stays usable, as
    /// monotonic_buffer_resource does. A resource that shares its epoch releases what its own thread allocated; a serial
    /// one, what was allocated on any thread. Returns the number of objects that were live. Requires: no other thread is using the resource or freeing its memory.
    /// Complexity: linear in the slabs that the resource holds.
    std::uint64_t release() noexcept;

    /// The heap, the epoch and the domain of the resource.
    [[nodiscard]] inline allocator& heap() const noexcept { return domain_.heap(); }
    [[nodiscard]] inline epoch_id epoch() const noexcept { return domain_.epoch(); }
    [[nodiscard]] inline epoch_domain& domain() noexcept { return domain_; }

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override;
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override;

    [[nodiscard, gnu::always_inline]] inline void* allocate_plain(std::size_t bytes, std::size_t alignment)
    {
        thread_cache& l = *cache_.load(std::memory_order_relaxed);
        if (l.key() != this_thread.key) [[unlikely]]   // first: a visitor has not done anything else then
            return allocate_visiting(bytes, alignment);
        std::size_t const code = code_of(bytes);
        if (code != no_code && alignment <= fast_alignment) [[likely]] {
            if (void* const p = l.allocate_at(code)) [[likely]]
                return p;
            return refill(code, alignment, l);
        }
        return allocate_slow(bytes, alignment);
    }
    [[gnu::always_inline]] inline void deallocate_plain(void* p, std::size_t bytes, std::size_t alignment)
    {
        if (alignment > fast_alignment) [[unlikely]]
            return deallocate_slow(p, bytes, alignment);
        thread_cache& l = *cache_.load(std::memory_order_relaxed);
        std::size_t const code = code_of(bytes);
        if (code == no_code) [[unlikely]]
            return deallocate_slow(p, bytes, fast_alignment);   // up to that, the alignment makes no difference
        if (l.key() != this_thread.key) [[unlikely]]
            return deallocate_visiting(p, bytes, code);
        if (!l.deallocate_at(code, *map_, p)) [[unlikely]]
            deallocate_slow(p, bytes, fast_alignment);
    }
    // For checked builds: see memory_checks.
    [[nodiscard]] void* allocate_checked(std::size_t bytes, std::size_t alignment);
    void deallocate_checked(void* p, std::size_t bytes, std::size_t alignment);
    class fast_path;
    // For builds that find overlaps: mark the resource as in use.
    [[nodiscard]] void* allocate_in_turn(std::size_t bytes, std::size_t alignment);
    void deallocate_in_turn(void* p, std::size_t bytes, std::size_t alignment);
    class turn;
    void report_overlap(std::uint64_t other) const noexcept;
    [[nodiscard]] bool is_interrupted() const noexcept;

    void set_limits(options const& o);
    void end() noexcept;
    // Its parameters are in the registers in which allocate has them: so that moves neither `this` nor anything else.
    [[nodiscard]] void* refill(std::size_t code, std::size_t alignment, thread_cache& l) const;
    [[noreturn, gnu::cold]] void throw_refused() const;
    [[nodiscard]] void* allocate_visiting(std::size_t bytes, std::size_t alignment);
    void deallocate_visiting(void* p, std::size_t bytes, std::size_t code);
    struct visit;
    [[nodiscard]] visit enter_visited() const noexcept;
    [[nodiscard]] void* end_visit(std::size_t bytes, std::size_t alignment);
    void end_visit(void* p, std::size_t bytes);
    void note_visit(thread_cache& l) noexcept;
    void* allocate_slow(std::size_t bytes, std::size_t alignment);
    void deallocate_slow(void* p, std::size_t bytes, std::size_t alignment);
    void deallocate_unvisited(void* p, std::size_t bytes, std::size_t code);
    [[nodiscard]] void* allocate_rare(std::size_t bytes, std::size_t alignment);
    void deallocate_rare(void* p, std::size_t bytes, std::size_t alignment);
    /// Result of allocate_elsewhere: the object, null if there is none; whether the thread has a cache that was asked.
    struct from_elsewhere {
        void* p;
        bool asked;
    };
    [[nodiscard]] from_elsewhere allocate_elsewhere(std::size_t code) noexcept;
    [[nodiscard]] bool deallocate_elsewhere(std::size_t code, void* p) noexcept;
    [[nodiscard]] bool deallocate_remote(thread_record& me, unsigned bin, void* p) const noexcept;
    [[nodiscard]] void* allocate_class(unsigned c, refusal& why) noexcept;
    [[nodiscard]] thread_cache* usable_cache(thread_record& me) noexcept;
    [[nodiscard]] bool take_over() noexcept;
    /// Whether the calling thread uses the resource's own cache, and not one of the thread's.
    [[nodiscard]] inline bool is_at_home() const noexcept { return domain_.on_known_own_thread() || serial_; }
    [[gnu::cold]] void report_leak(live_count const& leaked, std::uint32_t place) const noexcept;

    atomic<thread_cache*> cache_{&no_cache};
    address_map const* map_;   // the heap's; of a count-only resource the empty map: no fast frees
    epoch_domain domain_;
    bool on_fast_path_ = false;   // in a checked build: the resource's thread is on its fast path
    bool const serial_;           // see threading::serial
    /// Names the resource for ever, for threads that did not make it; 0 until one has a cache in its epoch.
    atomic<std::uint64_t> visit_number_{0};
    atomic<std::uint64_t> used_by_{0};   // where overlaps are found: the number of the thread whose use is under way
};

}
