// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
#include <source_location>
module tslab.pmr;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import tslab.epoch;

namespace tslab {

epoch_resource::epoch_resource(allocator& heap, options const& o, std::source_location at)
    : map_{o.deallocate == deallocate_policy::count_only ? &empty_map : &heap.core().pages().map()},
      domain_{epoch_domain::already_entered{},
              heap,
              {.label = o.label, .auto_close = o.auto_close},
              o.share_epoch,
              at,
              &lane_},
      made_at_{at}
{
    if (lane_.load(std::memory_order_relaxed) != &no_lane) [[likely]]
        return;
    if (thread_record* const me = heap.core().record())
        static_cast<void>(usable_lane(*me));
}

epoch_resource::~epoch_resource()
{
    bool const count_only = map_ == &empty_map;
    if (domain_.depth() > 1) {
        domain_.report_misuse(misuse::destroyed_entered);
        domain_.forget();
    }
    if (count_only && domain_.shares_epoch())
        heap().release_part(epoch(), lane_, this);
    allocator::leaving how = domain_.ordinary_exit();
    how.last = true;
    how.close = domain_.closes_epoch();
    how.binding = &lane_;
    how.drop = count_only && !domain_.shares_epoch();
    how.count_leaks = !count_only;
    how.owner = this;
    allocator::left const left = domain_.leave(how);
    if (left.leaked.objects == 0)
        return;
    shared_text::copy const label = heap().label_of(epoch());
    heap().core().misused({.kind = misuse::leak,
                           .fatal = heap().strict(),
                           .epoch_label = label.view(),
                           .objects = left.leaked.objects,
                           .bytes = left.leaked.bytes,
                           .file = made_at_.file_name(),
                           .line = made_at_.line()});
}

void* epoch_resource::do_allocate(std::size_t bytes, std::size_t alignment) { return allocate(bytes, alignment); }

void epoch_resource::do_deallocate(void* p, std::size_t bytes, std::size_t alignment)
{
    deallocate(p, bytes, alignment);
}

bool epoch_resource::do_is_equal(std::pmr::memory_resource const& other) const noexcept { return this == &other; }

/// The lane of this resource for the thread that made it, when a closer took it back or asked for it: attached anew, or the one it
/// has opened again; null when the epoch is closed or memory is out.
// Modelled: tests/models/exclusive.pml, step usable_lane
lane* epoch_resource::usable_lane(thread_record& me) noexcept
{
    lane* l = lane_.load(std::memory_order_relaxed);
    heap_core& core = heap().core();
    if (l != &no_lane) {
        heap().hand_back(epoch(), lane_);
        if (lane_.load(std::memory_order_relaxed) == l)   // exclusive: it keeps what is not empty
            return core.shelf_at(epoch().index).reopen(*l, this_thread.key) ? l : nullptr;
    }
    restructuring_section const section{
        &me};   // in between the lane is attached to nothing: see heap_core::flush_retained
    if (!heap().is_active(epoch()) || (l = core.take_lane(me)) == nullptr)
        return nullptr;
    l->set_exclusive(domain_.shares_epoch());
    if (core.shelf_at(epoch().index).attach(*l, epoch().era, this_thread.key, &lane_))
        return l;
    heap_core::put_lane_back(*l, me);
    return nullptr;
}

void* epoch_resource::allocate_class(unsigned c, refusal& why) noexcept
{
    thread_record* const me = heap().core().record();
    if (me != nullptr && domain_.on_own_thread()) {
        if (lane* const l = usable_lane(*me)) {
            void* p = l->allocate(c);
            if (p == nullptr)
                p = l->refill(c, *me);
            why = refusal::out_of_memory;   // told only if p is null
            return p;
        }
    }
    return heap().allocate_slot(c, epoch(), why);
}

[[gnu::noinline]] void* epoch_resource::refill(lane& l, std::size_t code)
{
    // The lane's thread has a record: the lane is part of it.
    void* const p = l.refill(static_cast<unsigned>(code / bin_code_step), *l.record());
    if (p == nullptr) [[unlikely]]
        throw std::bad_alloc{};
    return p;
}

/// On a thread that did not make the resource: from that thread's lane in the epoch, if it has one with a free slot.
inline void* epoch_resource::allocate_elsewhere(std::size_t code) noexcept
{
    thread_record* const me = heap().core().record();
    if (me == nullptr || !me->enter()) [[unlikely]]
        return nullptr;
    lane* const l = me->lanes[epoch().index].load(std::memory_order_relaxed);
    void* const p = l != nullptr && l->key() == epoch().era ? l->allocate_at(code) : nullptr;
    me->leave();
    return p;
}

/// On such a thread: into its lane in the epoch, or as another thread's. Anything else is left to the general way, which
/// says what is wrong.
inline bool epoch_resource::deallocate_elsewhere(std::size_t code, void* p) noexcept
{
    heap_core& core = heap().core();
    thread_record* const me = core.record();
    auto const bin = static_cast<unsigned>(code / bin_code_step);
    address_map::bin_entry const& e = map_->entry_at(code);
    auto const address = reinterpret_cast<std::uintptr_t>(p);
    // Not to be entered: in an operation already, a signal handler, which must take no lock.
    if (me == nullptr || !e.covers(address) || !me->enter()) [[unlikely]]
        return false;
    lane* const own = me->lanes[epoch().index].load(std::memory_order_relaxed);
    bool done = own != nullptr && own->key() == epoch().era && own->deallocate_at(code, *map_, p);
    slab& block = *e.block_of(address);
    std::uint32_t const slot = e.slot_of(address);
    if (!done && core.pages().reserves(p) && block.base + std::size_t{slot} * e.size == p && slot < bins[bin].slots) {
        slab const& s = slab_of(block, bin);
        lane const* const holder = holder_of(s);
        done = s.tag.load(std::memory_order_relaxed) == bin + 1 && home_of(s) == &core.shelf_at(epoch().index) &&
               (holder == nullptr || holder->record() != me) && free_remote(core, block, bin, slot, me);
    }
    me->leave();
    return done;
}

[[gnu::noinline]] void* epoch_resource::allocate_slow(std::size_t bytes, std::size_t alignment)
{
    if (std::size_t const code = code_of(bytes);
        code != no_code && alignment <= common_alignment && !domain_.on_known_own_thread())
        if (void* const p = allocate_elsewhere(code)) [[likely]]
            return p;
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) || !std::has_single_bit(alignment))
        throw std::bad_alloc{};
    refusal why{};
    unsigned const c = class_of(bytes, alignment);
    if (lane& l = *lane_.load(std::memory_order_relaxed); c != large_class && l.key() == this_thread.key) [[likely]] {
        if (void* const p = l.allocate(c))   // an alignment that the inlined way does not serve
            return p;
        // The lane's thread has a record: the lane is part of it.
        if (void* const p = l.refill(c, *l.record()))
            return p;
        throw std::bad_alloc{};
    }
    void* const p = c == large_class
                        ? heap().allocate_large(bytes, alignment, epoch(), domain_.shares_epoch() ? this : nullptr, why)
                        : allocate_class(c, why);
    if (p != nullptr)
        return p;
    if (why == refusal::closed)
        throw epoch_closed{};
    throw std::bad_alloc{};
}

// Modelled: tests/models/exclusive.pml, step deallocate_slow
[[gnu::noinline]] void epoch_resource::deallocate_slow(void* p, std::size_t bytes, std::size_t alignment)
{
    if (std::size_t const code = code_of(bytes); code != no_code && alignment <= common_alignment &&
                                                 !domain_.on_known_own_thread() && deallocate_elsewhere(code, p))
        [[likely]]
        return;
    lane& l = *lane_.load(std::memory_order_relaxed);
    bool const at_home = domain_.on_own_thread();
    if (map_ == &empty_map) {
        if (at_home && &l != &no_lane)
            l.counted_frees.add();
        else
            heap().count_free();
        return;
    }
    if (at_home && &l != &no_lane && l.key() == closed_key)
        heap().hand_back(epoch(), lane_);   // a closer asked for it
    bool const holds_lane = at_home && lane_.load(std::memory_order_relaxed) == &l && &l != &no_lane;
    unsigned const c = std::has_single_bit(alignment) ? class_of(bytes, alignment) : large_class;
    if (c != large_class) {
        if (holds_lane && l.deallocate_at(c * bin_code_step, *map_, p))
            return;
        if (heap().free_in(epoch(), c, p))
            return;
    }
    heap().deallocate_checked(p, bytes, alignment, epoch());
}

/// While it lives, the resource's own thread is on the common way, which announces nothing. A heap that checks has the time to
/// say so: then a call from a signal handler is found there too.
class epoch_resource::common_way {
public:
    [[gnu::always_inline]] inline explicit common_way(epoch_resource& r) noexcept
        : r_{r.domain_.on_known_own_thread() ? &r : nullptr}
    {
        if (r_ != nullptr)
            r_->on_common_way_ = true;
        std::atomic_signal_fence(std::memory_order_seq_cst);   // before anything of the way itself
    }
    [[gnu::always_inline]] inline ~common_way()
    {
        std::atomic_signal_fence(std::memory_order_seq_cst);   // and after it
        if (r_ != nullptr)
            r_->on_common_way_ = false;
    }
    common_way(common_way const&) = delete;
    common_way& operator=(common_way const&) = delete;

private:
    epoch_resource* r_;
};

/// Whether the calling thread was interrupted on the common way of this resource; reports it.
inline bool epoch_resource::is_interrupted() const noexcept
{
    if (!domain_.on_known_own_thread() || !on_common_way_)
        return false;
    heap().core().misused({.kind = misuse::reentry});
    return true;
}

void* epoch_resource::allocate_checked(std::size_t bytes, std::size_t alignment)
{
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) || !std::has_single_bit(alignment))
        throw std::bad_alloc{};
    if (is_interrupted()) [[unlikely]]
        throw std::bad_alloc{};
    if (void* const p = heap().allocate_guarded({bytes, alignment}, epoch(), domain_.shares_epoch() ? this : nullptr))
        return p;
    std::size_t const room = heap().core().checks().padded(bytes);
    void* const slot = [&] {
        common_way const here{*this};
        return allocate_plain(room, alignment);
    }();
    if (void* const p = heap().arm(slot, {bytes, alignment}))
        return p;
    deallocate_plain(slot, room, alignment);
    throw std::bad_alloc{};
}

void epoch_resource::deallocate_checked(void* p, std::size_t bytes, std::size_t alignment)
{
    if (is_interrupted()) [[unlikely]]
        return;
    bool const keep = map_ == &empty_map;
    request const given{bytes, alignment};
    epoch_id const by = epoch();
    allocator::disarmed const d = heap().disarm(p, &given, &by, keep);
    if (d.pages != nullptr && !keep)
        heap().free_rare(d.pages);
    else if (d.plain != nullptr || d.pages != nullptr || p == nullptr) {
        common_way const here{*this};
        deallocate_plain(d.plain, d.given.bytes, d.given.alignment);
    }
}

std::uint64_t epoch_resource::release() noexcept
{
    return domain_.shares_epoch() ? heap().release_part(epoch(), lane_, this) : heap().release_epoch(epoch(), lane_);
}

}
