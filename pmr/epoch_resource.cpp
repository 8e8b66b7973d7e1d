// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string_view>
#include <utility>
module tslab.pmr;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import tslab.epoch;

namespace tslab {

/// A use of a serial resource, in builds that find overlaps. Only marks the resource: relaxed, since the mark must not
/// order uses that the program leaves unordered; a race detector would not see those then.
class epoch_resource::turn {
public:
    explicit turn(epoch_resource& r) noexcept : r_{r}
    {
        std::uint64_t other = 0;
        begun_ = r.used_by_.compare_exchange_strong(other, this_thread_number(), std::memory_order_relaxed,
                                                    std::memory_order_relaxed);
        if (!begun_) [[unlikely]]
            r.report_overlap(other);
    }
    ~turn()
    {
        if (begun_)
            r_.used_by_.store(0, std::memory_order_relaxed);
    }
    turn(turn const&) = delete;
    turn& operator=(turn const&) = delete;
    /// False if another use is under way, which has been reported.
    [[nodiscard]] bool begun() const noexcept { return begun_; }

private:
    epoch_resource& r_;
    bool begun_;
};

namespace {

inline bool has_limits(resource_options const& o) noexcept { return o.limit.has_value() || o.soft_limit.has_value(); }

/// The map for fast frees. Throws what options with a limit may throw, before anything is begun.
[[gnu::always_inline]] inline address_map const& map_for(allocator& heap, resource_options const& o)
{
    if (has_limits(o) && o.share_epoch) [[unlikely]]
        throw std::invalid_argument{"tslab: a resource that shares its epoch has no limit of its own"};
    if (has_limits(o) && !heap.state().limits().make_table(heap.state())) [[unlikely]]
        throw std::bad_alloc{};
    return o.deallocate == deallocate_policy::count_only ? empty_map : page_heap::map();
}

}

// always_inline, and the destructor: into those of epoch_scope below.
[[gnu::always_inline]] epoch_resource::epoch_resource(allocator& heap, options const& o, std::source_location at)
    : map_{&map_for(heap, o)},
      domain_{epoch_domain::already_entered{},
              heap,
              {.label = o.label, .auto_close = o.auto_close},
              o.share_epoch,
              at,
              &cache_},
      serial_{o.threading == threading::serial}
{
    if (thread_cache* const l = cache_.load(std::memory_order_relaxed); l != &no_cache) [[likely]] {
        if (serial_)
            l->set_serial();
    } else if (thread_record* const me = heap.state().record()) {
        static_cast<void>(usable_cache(*me));
    }
    if (has_limits(o)) [[unlikely]]
        set_limits(o);
}

[[gnu::cold, gnu::noinline]] void epoch_resource::set_limits(options const& o)
{
    if (domain_.shares_epoch())
        return heap().state().count(heap().state().record(), heap_event::limit_left_out);
    heap().set_limit(epoch(), o.limit);
    heap().set_soft_limit(epoch(), o.soft_limit);
}

[[gnu::always_inline]] epoch_resource::~epoch_resource()
{
    std::optional<turn> last_use;   // if it overlaps another one, that is reported, and it goes on
    if constexpr (finds_overlaps)
        if (serial_)
            last_use.emplace(*this);
    if (map_ == &empty_map || !domain_.end_alone(cache_)) [[unlikely]]
        end();
}

/// The end of a resource that leaves something, or is used otherwise than most scopes' ones.
[[gnu::noinline]] void epoch_resource::end() noexcept
{
    bool const count_only = map_ == &empty_map;
    if (domain_.depth() > 1) {
        domain_.report_misuse(misuse::destroyed_entered);
        domain_.forget();
    }
    if (count_only && domain_.shares_epoch())
        heap().release_part(epoch(), cache_, this);
    std::uint32_t const place = domain_.place();
    live_count const leaked =
        domain_.end_resource(cache_, this, count_only ? allocator::leftovers::dropped : allocator::leftovers::leaked);
    if (leaked.objects != 0) [[unlikely]]
        report_leak(leaked, place);
}

void epoch_resource::report_leak(live_count const& leaked, std::uint32_t place) const noexcept
{
    shared_text::copy const label = heap().label_of(epoch());
    heap().state().misused({.kind = misuse::leak,
                            .fatal = heap().strict(),
                            .epoch_label = label.view(),
                            .objects = leaked.objects,
                            .bytes = leaked.bytes},
                           place);
}

void epoch_resource::report_overlap(std::uint64_t other) const noexcept
{
    if (other == this_thread_number())   // a signal handler has interrupted a use
        return heap().state().misused({.kind = misuse::reentry});
    shared_text::copy const label = heap().label_of(epoch());
    heap().state().misused({.kind = misuse::overlapping_use, .epoch_label = label.view(), .other_thread = other});
}

bool epoch_resource::do_is_equal(std::pmr::memory_resource const& other) const noexcept { return this == &other; }

/// Makes the calling thread the owner of a serial resource's cache. Returns false if it has no record, or has been
/// interrupted by a signal handler in an operation: then the shared path serves or refuses the caller.
bool epoch_resource::take_over() noexcept
{
    heap_state& state = heap().state();
    thread_record* const me = state.record();
    if (me == nullptr || me->activity.load(std::memory_order_relaxed) != 0)
        return false;
    static_cast<void>(state.epoch_slabs_at(epoch().index).take_over(cache_, *me, this_thread.key));
    return true;
}

/// The cache of this resource for its owner, after a closer has revoked or flushed it: attached anew, or reopened. Null if
/// the epoch is closed or memory is out.
// Modelled: tests/models/exclusive.pml, step usable_cache; tests/models/serial.pml, step usable_cache
thread_cache* epoch_resource::usable_cache(thread_record& me) noexcept
{
    thread_cache* l = cache_.load(std::memory_order_relaxed);
    heap_state& state = heap().state();
    if (l != &no_cache) {
        heap().flush_cache(epoch(), cache_);
        if (cache_.load(std::memory_order_relaxed) == l)   // an exclusive cache stays attached
            return state.epoch_slabs_at(epoch().index).reopen(*l, this_thread.key) ? l : nullptr;
    }
    fork_exclusion const section{&me};   // the cache is detached in between: see heap_state::flush_retained
    l = heap().is_active(epoch()) ? state.take_cache(me) : nullptr;
    if (l == nullptr)
        return nullptr;
    l->set_exclusive(domain_.shares_epoch());
    if (state.epoch_slabs_at(epoch().index).attach(*l, epoch().era, this_thread.key, &cache_)) {
        if (serial_)
            l->set_serial();
        return l;
    }
    heap_state::put_cache_back(*l, me);
    return nullptr;
}

void* epoch_resource::allocate_class(unsigned c, refusal& why) noexcept
{
    thread_record* const me = heap().state().record();
    if (me != nullptr && (serial_ ? take_over() : domain_.on_own_thread())) {
        thread_cache* l = cache_.load(std::memory_order_relaxed);
        if (l->key() != this_thread.key)   // a signal handler is refused by the shared path
            l = me->activity.load(std::memory_order_relaxed) == 0 ? usable_cache(*me) : nullptr;
        if (l != nullptr) {
            void* p = l->allocate(c);
            if (p == nullptr)
                p = l->refill(c, *me);
            why = refusal::out_of_memory;   // used only if p is null
            return p;
        }
    }
    return heap().allocate_slot(c, epoch(), why);
}

[[gnu::noinline]] void* epoch_resource::refill(std::size_t code, std::size_t /*alignment*/, thread_cache& l) const
{
    // Not null: the cache is part of its thread's record.
    thread_record& me = *l.record();
    void* const p = l.refill(static_cast<unsigned>(code / bin_code_step), me);
    if (p == nullptr) [[unlikely]]
        throw_refused();
    allocator::after_operation(me);
    return p;
}

void epoch_resource::throw_refused() const
{
    allocator::throw_refused(heap().state().record(), heap().record_of(epoch()));
}

/// On a thread that did not make the resource: allocates from that thread's own cache in the epoch, if one is attached.
[[gnu::always_inline]] inline epoch_resource::from_elsewhere
epoch_resource::allocate_elsewhere(std::size_t code) noexcept
{
    thread_record* const me = heap().state().record();
    if (me == nullptr || !me->enter()) [[unlikely]]
        return {nullptr, false};
    thread_cache* const l = me->caches[epoch().index].load(std::memory_order_relaxed);
    bool const open = l != nullptr && l->key() == epoch().era;
    void* p = nullptr;
    if (open) [[likely]] {
        p = l->allocate_at(code);
        if (p == nullptr) [[unlikely]]
            p = l->refill(static_cast<unsigned>(code / bin_code_step), *me);
        note_visit(*l);
    }
    me->leave();
    return {p, open};
}

/// Frees a slot that no cache of the calling thread owns. Requires: the thread, whose record is `me`, is in an operation.
/// Returns false for anything else.
[[gnu::noinline]] bool epoch_resource::deallocate_remote(thread_record& me, unsigned bin, void* p) const noexcept
{
    heap_state& state = heap().state();
    resolved const at = resolve(state, p);
    if (!at.is_slot_in(bin, state.epoch_slabs_at(epoch().index)))
        return false;
    thread_cache const* const holder = cache_owning(*at.page);
    return (holder == nullptr || !holder->admits_frees_of(&me)) && free_remote(state, *at.subslab, bin, at.slot, &me);
}

/// On such a thread: frees into its own cache in the epoch, or as a remote free. Returns false for anything else; the
/// shared path handles it and reports errors.
[[gnu::always_inline]] inline bool epoch_resource::deallocate_elsewhere(std::size_t code, void* p) noexcept
{
    if (!map_->covers(p)) [[unlikely]]
        return false;
    thread_record* const me = heap().state().record();
    // enter() fails in a signal handler that interrupted an operation; it must take no lock.
    if (me == nullptr || !me->enter()) [[unlikely]]
        return false;
    thread_cache* const own = me->caches[epoch().index].load(std::memory_order_relaxed);
    bool done = own != nullptr && own->key() == epoch().era && own->deallocate_at(code, *map_, p);
    if (!done)
        done = deallocate_remote(*me, static_cast<unsigned>(code / bin_code_step), p);
    me->leave();
    return done;
}

[[gnu::noinline]] void* epoch_resource::allocate_slow(std::size_t bytes, std::size_t alignment)
{
    if (std::size_t const code = code_of(bytes); code != no_code && alignment <= fast_alignment && !is_at_home()) {
        from_elsewhere const got = allocate_elsewhere(code);
        if (got.p != nullptr) [[likely]]
            return got.p;
        if (got.asked)   // memory is out, or a limit refused it, which the refill has counted
            throw_refused();
    }
    return allocate_rare(bytes, alignment);
}

[[gnu::noinline]] void* epoch_resource::allocate_rare(std::size_t bytes, std::size_t alignment)
{
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) || !std::has_single_bit(alignment))
        throw std::bad_alloc{};
    refusal why{};
    unsigned const c = class_of(bytes, alignment);
    if (thread_cache& l = *cache_.load(std::memory_order_relaxed); c != large_class && l.key() == this_thread.key)
        [[likely]] {
        if (void* const p = l.allocate(c))   // an alignment that the fast path does not serve
            return p;
        // Not null: the cache is part of its thread's record.
        void* const p = l.refill(c, *l.record());
        if (p == nullptr)
            throw_refused();
        allocator::after_operation(*l.record());
        return p;
    }
    void* const p = c == large_class
                        ? heap().allocate_large(bytes, alignment, epoch(), domain_.shares_epoch() ? this : nullptr, why)
                        : allocate_class(c, why);
    if (p != nullptr) {
        if (thread_record* const me = heap().state().record())
            allocator::after_operation(*me);
        return p;
    }
    if (why == refusal::closed)
        heap().throw_closed(epoch());
    throw_refused();
}

/// The rest of a free on a thread that did not make the resource, or whose cache was revoked.
// Modelled: tests/models/exclusive.pml, step deallocate_unvisited; tests/models/serial.pml, step deallocate_unvisited
[[gnu::noinline]] void epoch_resource::deallocate_unvisited(void* p, std::size_t bytes, std::size_t code)
{
    if (!is_at_home() && deallocate_elsewhere(code, p)) [[likely]]
        return;
    if (p != nullptr) [[likely]]
        deallocate_rare(p, bytes, fast_alignment);   // up to that, the alignment makes no difference
}

[[gnu::noinline]] void epoch_resource::deallocate_slow(void* p, std::size_t bytes, std::size_t alignment)
{
    if (std::size_t const code = code_of(bytes); code != no_code && alignment <= fast_alignment) [[likely]]
        return deallocate_unvisited(p, bytes, code);
    if (p != nullptr) [[likely]]
        deallocate_rare(p, bytes, alignment);
}

[[gnu::noinline]] void epoch_resource::deallocate_rare(void* p, std::size_t bytes, std::size_t alignment)
{
    bool at_home = serial_ ? take_over() : domain_.on_own_thread();
    thread_cache& l = *cache_.load(std::memory_order_relaxed);
    if (map_ == &empty_map) {
        if (at_home && &l != &no_cache)
            l.count_free();
        else
            heap().count_free();
        return;
    }
    if (at_home && &l != &no_cache && l.key() == closed_key) {   // a closer revoked it
        // In a signal handler the thread may be about to flush it itself, with the lock.
        at_home = l.record()->activity.load(std::memory_order_relaxed) == 0;
        if (at_home)
            heap().flush_cache(epoch(), cache_);
    }
    bool const holds_cache = at_home && cache_.load(std::memory_order_relaxed) == &l && &l != &no_cache;
    unsigned const c = std::has_single_bit(alignment) ? class_of(bytes, alignment) : large_class;
    if (c != large_class) {
        if (holds_cache && l.deallocate_at(std::size_t{c} * bin_code_step, *map_, p))
            return;
        if (heap().free_in(epoch(), c, p))
            return;
    }
    heap().deallocate_checked(p, bytes, alignment, epoch());
}

void* epoch_resource::allocate_in_turn(std::size_t bytes, std::size_t alignment)
{
    turn const mine{*this};
    if (!mine.begun()) [[unlikely]]
        throw std::bad_alloc{};
    if constexpr (with_checks)
        if (heap().state().checks().on())
            return allocate_checked(bytes, alignment);
    return allocate_plain(bytes, alignment);
}

void epoch_resource::deallocate_in_turn(void* p, std::size_t bytes, std::size_t alignment)
{
    turn const mine{*this};
    if (!mine.begun()) [[unlikely]]
        return;
    if constexpr (with_checks)
        if (heap().state().checks().on())
            return deallocate_checked(p, bytes, alignment);
    deallocate_plain(p, bytes, alignment);
}

std::uint64_t epoch_resource::release() noexcept
{
    std::optional<turn> mine;
    if constexpr (finds_overlaps)
        if (serial_)
            mine.emplace(*this);
    if (mine.has_value() && !mine->begun())
        return 0;
    if (serial_)
        static_cast<void>(take_over());
    return domain_.shares_epoch() ? heap().release_part(epoch(), cache_, this) : heap().release_epoch(epoch(), cache_);
}

// Scopes. They are here so that the begin and the end of a resource are part of theirs.

// The own resource is made in the constructors' bodies: compilers differ in whether a member of a union that an initializer has
// made is ended when the constructor throws.

/// Guards the own resource: makes its domain, which it has entered, the thread's current one. Ends it if that throws.
[[gnu::always_inline]] void epoch_scope::push_own()
{
    resource_ = &own_;
    try {
        own_.domain().push();
    } catch (...) {
        own_.~epoch_resource();
        throw;
    }
}

epoch_scope::epoch_scope(allocator& heap, std::string_view label, std::source_location at)
{
    ::new (&own_) epoch_resource{heap, resource_options{.label = label}, at};
    push_own();
}

epoch_scope::epoch_scope(allocator& heap, resource_options const& o, std::source_location at)
{
    ::new (&own_) epoch_resource{heap, o, at};
    push_own();
}

epoch_scope::epoch_scope(epoch_resource& resource, std::source_location at) : resource_{&resource}
{
    resource.domain().enter(at);
}

epoch_scope::~epoch_scope()
{
    epoch_domain& d = resource_->domain();
    bool const at_home = d.pop_at_end();
    if (resource_ != &own_) {
        if (at_home)
            d.leave();
        return;
    }
    if (!at_home) [[unlikely]]
        d.forget();   // its thread must not find it
    own_.~epoch_resource();
}

}
