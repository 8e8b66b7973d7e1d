// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Raw memory: the checks a pointer or handle passes before anything is touched, and the ways that are not common.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

namespace {

std::uint32_t checked_epoch_count(std::uint32_t n)
{
    if (n < allocator::least_epochs || n > allocator::most_epochs)
        throw std::invalid_argument{"tslab: epoch_count must be from 2 to 65,536"};
    return n;
}

constexpr std::uint64_t default_thread_cache_kib = 32 << 10;
constexpr std::uint32_t default_slab_cache = 32;
constexpr std::uint64_t default_decay_ms = 1000;

std::uint64_t decay_ns_of(allocator_options const& o)
{
    using namespace std::chrono_literals;
    if (!o.decay)
        return number_in_environment(variable::decay_ms).value_or(default_decay_ms) * 1'000'000;
    if (*o.decay < 0ms || *o.decay > std::chrono::hours{24})
        throw std::invalid_argument{"tslab: decay must be from 0 to 24 hours"};
    return static_cast<std::uint64_t>(std::chrono::nanoseconds{*o.decay}.count());
}

std::size_t thread_cache_of(allocator_options const& o) noexcept
{
    return o.thread_cache ? *o.thread_cache
                          : number_in_environment(variable::thread_cache_kib).value_or(default_thread_cache_kib) << 10U;
}

std::uint32_t slab_cache_of(allocator_options const& o) noexcept
{
    return o.slab_cache
               ? *o.slab_cache
               : static_cast<std::uint32_t>(number_in_environment(variable::slab_cache).value_or(default_slab_cache));
}

bool background_purge_of(allocator_options const& o) noexcept
{
    return o.background_purge ? *o.background_purge
                              : number_in_environment(variable::background_purge).value_or(0) != 0;
}

/// The slot of a block of `bin` that begins at `p`; max_slots when none does.
unsigned slot_of(void const* p, unsigned bin) noexcept
{
    slot_position const at = slot_at(reinterpret_cast<std::uintptr_t>(p), bins[bin]);
    return at.exact && at.slot < bins[bin].slots ? at.slot : max_slots;
}

/// What is added to a slot's generation in its handles: another number for each slot and heap, so that a handle whose page
/// or slot bits were changed does not fit the slot it then names. Even, since parity says whether the slot is allocated.
/// The finalizer of MurmurHash3 (A. Appleby, public domain), which spreads neighbouring slots over all bits.
std::uint32_t generation_salt(std::uint32_t heap_salt, std::uint32_t page, std::uint32_t slot) noexcept
{
    std::uint32_t h = heap_salt ^ (page * max_slots + slot);
    h = (h ^ h >> 16) * 0x85ebca6bU;
    h = (h ^ h >> 13) * 0xc2b2ae35U;
    return (h ^ h >> 16) & ~1U;
}

std::size_t slot_bytes(slab const& s) noexcept
{
    unsigned const bin = s.bin();
    return bin < bin_count ? bins[bin].size : 0;
}

}

allocator::allocator(options const& o)
    : core_{{.name = o.name,
             .slots = checked_epoch_count(o.epoch_count),
             .policy = o.reclaim,
             .slab_cache = slab_cache_of(o),
             .reserve_bytes = o.reserve_bytes,
             .huge_pages = o.huge_pages,
             .publish = o.publish,
             .decay_ns = decay_ns_of(o),
             .thread_cache_bytes = thread_cache_of(o),
             .background_purge = background_purge_of(o),
             .purge_on_pressure = o.purge_on_pressure,
             .checks = o.checks,
             .guard_sampling = o.guard_sampling},
            sizeof(epoch_record)},
      labels_{&core_.face()},
      strict_{o.strict},
      // Different heaps' handles differ in more than the eight bits of the heap's number.
      handle_salt_{static_cast<std::uint32_t>(core_.number() * 0x9e3779b97f4a7c15U >> 32)}
{
    core_.set_sampling(o.sampling);
    lock_guard const guard{advance_lock_};
    advance_locked();
    if (current_epoch().era == 0)
        throw std::bad_alloc{};
}

allocator::~allocator()
{
    core_.leave_background();
    core_.leave_registry();   // from here on no thread that ends, or looks after one that did, hands anything back
    live_count live;
    core_.pages().for_each_run([&](unit_run r) {
        for (std::uint32_t page = r.first * unit_pages; page < (r.first + r.count) * unit_pages; ++page)
            account_for_end(page_heap::at(page), live);
    });
    std::uint64_t open = 0;
    for (std::uint32_t i = 0; i < core_.prepared_slots(); ++i)
        open += core_.shelf_at(i).holds.load(std::memory_order_relaxed);
    if (open != 0)
        core_.misused({.kind = misuse::heap_open, .fatal = strict_, .objects = open});
    if (live.objects != 0)
        core_.misused({.kind = misuse::heap_live, .fatal = strict_, .objects = live.objects, .bytes = live.bytes});
}

/// What is left in a page of a heap that ends.
void allocator::account_for_end(slab& s, live_count& live) noexcept
{
    residence const where = s.where.load(std::memory_order_relaxed);
    if (where == residence::unused || where == residence::cached) {
        core_.report_late_frees(s);
    } else if (where == residence::large) {
        live += {1, s.local.load(std::memory_order_relaxed)};
        if (core_.checks().uses_canaries())   // what is malloc's is left to the tool to find
            core_.check_live_large(s);
    } else {
        unsigned const bin = s.bin();
        static_cast<void>(core_.claim_slab(s, bin));   // reports what was freed twice
        live += live_in(s, bin);
        if (core_.checks().uses_canaries())
            core_.check_live(s, bin);
    }
}

unsigned allocator::class_of_rare(std::size_t bytes, std::size_t alignment) noexcept
{
    return class_of(bytes, alignment);
}

void* allocator::refuse_early(unsigned bin, epoch_id e, refusal& why) noexcept
{
    thread_record* const me = core_.record();
    if (e.index >= core_.slots() || e.era == closed_key) {   // no such epoch ever was
        why = refusal::closed;
        core_.counts_of(me, class_of_bin(bin))[class_event::epoch_closed].add();
    } else {
        why = refusal::out_of_memory;
        core_.counts_of(me, class_of_bin(bin))[class_event::out_of_memory].add();
        // A record that could not be had a moment ago may be there now: that is no call from inside an operation.
        if (me != nullptr && me->activity.load(std::memory_order_relaxed) != 0)
            core_.misused({.kind = misuse::reentry});
    }
    return nullptr;
}

refusal allocator::refused(thread_record& me, unsigned bin, bool closed, bool had_lane) noexcept
{
    class_counters& counts = me.classes[class_of_bin(bin)];
    if (closed)
        counts[class_event::epoch_closed].add();
    else if (!had_lane)
        counts[class_event::out_of_memory].add();   // a refill that finds no memory has counted that itself
    return closed ? refusal::closed : refusal::out_of_memory;
}

void* allocator::allocate_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner,
                                refusal& why) noexcept
{
    thread_record* const me = core_.record();
    std::uint64_t const before = me != nullptr ? me->counts[heap_event::large_allocation].value() : 0;
    if (before == 0 || before % stepping_counter::period != 0 || !core_.sampling())
        return take_large(bytes, alignment, e, owner, me, why);
    stopwatch const watch;
    void* const p = take_large(bytes, alignment, e, owner, me, why);
    if (p != nullptr)
        me->note_allocation(watch.read());
    return p;
}

void* allocator::take_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner, thread_record* me,
                            refusal& why) noexcept
{
    class_counters& counts = core_.counts_of(me, large_class);
    why = refusal::out_of_memory;
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) ||
        !std::has_single_bit(alignment)) {
        counts[class_event::out_of_memory].add();
        return nullptr;
    }
    if (inside_operation()) {
        core_.misused({.kind = misuse::reentry});
        return nullptr;
    }
    if (!is_active(e)) {
        why = refusal::closed;
        counts[class_event::epoch_closed].add();
        return nullptr;
    }
    std::size_t const pages = std::max<std::size_t>((bytes + page_bytes - 1) >> page_shift, 1);
    restructuring_section const section{me};
    if (me != nullptr)
        core_.decay_sometimes(*me);
    auto const take = [&] {
        return core_.pages().take(static_cast<std::uint32_t>(pages), std::max(alignment, page_bytes),
                                  core_.shelf_at(e.index).site(me, large_class));
    };
    slab* s = pages <= core_.pages().max_pages() ? take() : nullptr;
    if (s == nullptr && pages <= core_.pages().max_pages()) {
        core_.empty_caches(me);
        s = take();
        if (s == nullptr && core_.make_room(me))
            s = take();
    }
    if (s == nullptr) {
        counts[class_event::out_of_memory].add();
        return nullptr;
    }
    core_.report_late_frees(*s);
    s->was.store(tag_large, std::memory_order_relaxed);
    s->local.store(bytes, std::memory_order_release);   // as in cut
    s->owner.store(owner != nullptr ? large_owner(owner) : &nowhere, std::memory_order_relaxed);
    s->pages.store(static_cast<std::uint32_t>(pages), std::memory_order_relaxed);
    if (!core_.shelf_at(e.index).add_large(*s, e.era, me)) {
        core_.pages().give(*s, static_cast<std::uint32_t>(pages), true);
        why = refusal::closed;
        counts[class_event::epoch_closed].add();
        return nullptr;
    }
    core_.count(me, heap_event::large_allocation);
    why = refusal::none;
    return s->base;
}

void allocator::free_located(slab& s, unsigned bin, unsigned slot, void* p) noexcept
{
    slab& block = *page_heap::map().entry(bin).block_of(reinterpret_cast<std::uintptr_t>(p));
    thread_record* const me = core_.record();
    std::optional<heap_core::pinned_units> pins;   // of a thread that can announce nothing
    if (me == nullptr)
        pins.emplace(core_);
    else if (!me->enter())   // before anything is changed: the free can be done later
        return core_.misused({.kind = misuse::reentry, .address = p});
    // It may have gone since it was found: then all that was in it had been freed.
    bool const still = core_.slab_at(p) == &s && s.bin() == bin;
    bool const live = still && (bin < class_count || retire_generation(s, slot));
    bool const freed = live && core_.free_slot(block, bin, slot, me);
    if (me != nullptr)
        me->leave();
    if (!freed)
        misused(misuse::double_free, p, &s);
}

/// Whether the calling thread is in an operation of this heap already: a signal handler, or a hook of a test.
bool allocator::inside_operation() noexcept
{
    thread_record const* const me = core_.record();
    return me != nullptr && me->activity.load(std::memory_order_relaxed) != 0;
}

/// Makes the handle of a slot that is freed by pointer stale. False when the slot is not allocated.
bool allocator::retire_generation(slab const& s, unsigned slot) noexcept
{
    auto& generation = core_.pages().generation(core_.pages().index_of(s), slot);
    std::uint32_t now = generation.load(std::memory_order_relaxed);
    // relaxed: the number only elects who frees; the slot itself is published by the free that follows.
    return (now & 1U) != 0 && generation.compare_exchange_strong(now, now + 1, std::memory_order_relaxed);
}

void allocator::free_rare(void* p) noexcept
{
    if (p == nullptr)
        return;
    slab* const s = core_.slab_at(p);
    std::uint8_t const tag = s != nullptr ? s->tag.load(std::memory_order_relaxed) : tag_none;
    if (tag == tag_none)
        return report_unknown(p, s);
    if (tag == tag_large) {
        if (p != s->base)
            return misused(misuse::interior_pointer, p, s);
        if (inside_operation())
            return core_.misused({.kind = misuse::reentry, .address = p});
        thread_record* const me = core_.record();
        bool freed = false;
        {
            heap_core::pinned_units const pins{core_};
            if (core_.slab_at(p) == s) {   // else it has gone since it was found
                std::uint32_t const page = core_.pages().index_of(*s);
                if (core_.pages().has_generations(page))
                    static_cast<void>(retire_generation(*s, 0));   // it may have a handle
                freed = free_large(*s, me);
            }
        }
        if (!freed)
            misused(misuse::double_free, p, nullptr);
        else if (me != nullptr)
            core_.decay_sometimes(*me);   // without the pins, by which no unit could go
        return;
    }
    if (tag > bin_count)   // cut anew since it was found: all that was in it had been freed
        return report_unknown(p, s);
    unsigned const slot = slot_of(p, tag - 1U);
    if (slot == max_slots)
        return misused(misuse::interior_pointer, p, s);
    free_located(*s, tag - 1U, slot, p);
}

bool allocator::free_in(epoch_id e, unsigned c, void* p) noexcept
{
    slot_position const at = slot_at(reinterpret_cast<std::uintptr_t>(p), bins[c]);
    thread_record* const me = core_.record();
    if (!at.exact || at.slot >= bins[c].slots || me == nullptr || !me->enter()) [[unlikely]]
        return false;
    slab* const s = core_.slab_at(p);
    bool const here = s != nullptr && s->bin() == c && home_of(*s) == &core_.shelf_at(e.index);
    bool const freed = here && core_.free_slot(*page_heap::map().entry(c).block_of(reinterpret_cast<std::uintptr_t>(p)),
                                               c, at.slot, me);
    me->leave();
    if (!here)
        return false;
    if (!freed) [[unlikely]]
        misused(misuse::double_free, p, s);
    return true;
}

void allocator::deallocate_checked(void* p, std::size_t bytes, std::size_t alignment, epoch_id e) noexcept
{
    slab* const s = core_.slab_at(p);
    std::uint8_t const tag = s != nullptr ? s->tag.load(std::memory_order_relaxed) : tag_none;
    if (tag == tag_none)
        return p != nullptr ? report_unknown(p, s) : void();
    unsigned const c = class_of(bytes, alignment);
    bool const is_large = tag == tag_large;
    if (!is_large && tag > bin_count)   // as in free_rare
        return report_unknown(p, s);
    unsigned const slot = is_large ? (p == s->base ? 0 : max_slots) : slot_of(p, tag - 1U);
    if (slot == max_slots)
        return misused(misuse::interior_pointer, p, s);
    if (is_large ? c != large_class || s->local.load(std::memory_order_relaxed) != bytes : c != class_of_bin(tag - 1U))
        return misused(misuse::wrong_size, p, s, bytes);
    shelf const* const home = home_of(*s);
    if (home != nullptr && home != &core_.shelf_at(e.index))
        return misused(misuse::wrong_resource, p, s, 0, label_of(e).view());
    if (is_large)
        free_rare(p);
    else
        free_located(*s, tag - 1U, slot, p);
}

void* allocator::allocate(std::size_t bytes, epoch_id e, handle& h) noexcept
{
    refusal why{};
    h = {};
    bool const checked = with_checks && core_.checks().on() &&
                         bytes <= static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    std::size_t const room = checked ? core_.checks().padded(bytes) : bytes;
    bool const large = room > max_handle_size;
    unsigned const bin = large ? bin_count : handle_bin_of(room);
    unsigned const c = large ? large_class : class_of_bin(bin);
    void* const p = large ? allocate_large(room, page_bytes, e, nullptr, why) : allocate_slot(bin, e, why);
    if (p == nullptr)
        return nullptr;
    slab const& s = *core_.slab_at(p);
    std::uint32_t const page = core_.pages().index_of(s);
    unsigned const slot = large ? 0 : slot_of(p, bin);
    if (!core_.pages().commit_generations(page)) {   // for slabs this was done when the slab was taken
        free_plain(p);
        core_.counts_of(core_.record(), c)[class_event::out_of_memory].add();
        return nullptr;
    }
    auto& generation = core_.pages().generation(page, slot);
    std::uint32_t const now = generation.load(std::memory_order_relaxed);
    std::uint32_t const next = (now & 1U) != 0 ? now + 2 : now + 1;   // odd while allocated
    generation.store(next, std::memory_order_relaxed);
    void* object = p;
    if (checked && (object = arm(p, {bytes, common_alignment})) == nullptr) {
        free_plain(p);   // which makes it even again
        core_.counts_of(core_.record(), c)[class_event::out_of_memory].add();
        return nullptr;
    }
    h = handle_fields{next + generation_salt(handle_salt_, page, slot), slot, page, heap_tag(core_.number())}.pack();
    return object;
}

free_result allocator::free(handle h) noexcept
{
    handle_fields const f = handle_fields::unpack(h);
    auto const refuse = [&](free_result r) {
        core_.count(core_.record(), heap_event::stale_handle);
        return r;
    };
    if (f.heap != heap_tag(core_.number()))
        return refuse(free_result::foreign);
    std::uint32_t const issued =
        (f.generation - generation_salt(handle_salt_, f.page, f.slot)) & handle_fields::generation_mask;
    if (!core_.pages().has_generations(f.page) || (issued & 1U) == 0)
        return refuse(free_result::corrupt);
    auto& generation = core_.pages().generation(f.page, f.slot);
    std::uint32_t now = generation.load(std::memory_order_relaxed);
    std::uint32_t const age = (now - issued) & handle_fields::generation_mask;
    if (age == 0 && !core_.pages().owns(f.page))   // a page in which a handle is live stays whose it is
        return refuse(free_result::corrupt);
    if (age == 0 && inside_operation())   // before anything is changed: the free can be done later
        return refuse(free_result::corrupt);
    // relaxed: as in retire_generation.
    if (age == 0 && generation.compare_exchange_strong(now, now + 1, std::memory_order_relaxed)) {
        slab& s = core_.pages().at(f.page);
        if constexpr (with_checks)
            if (core_.checks().on())
                disarm_handle(f.page, f.slot);
        std::uint8_t const tag = s.tag.load(std::memory_order_relaxed);
        thread_record* const me = core_.record();
        std::optional<heap_core::pinned_units> pins;   // of a thread that can announce nothing
        if (me == nullptr)
            pins.emplace(core_);
        if (tag == tag_large)
            return free_large(s, me) ? free_result::ok : refuse(free_result::already_free);
        if (tag <= class_count || tag > bin_count || (me != nullptr && !me->enter()))   // no slab of handles
            return refuse(free_result::corrupt);
        bool const freed = core_.free_slot(s, tag - 1U, f.slot, me);
        if (me != nullptr)
            me->leave();
        return freed ? free_result::ok : refuse(free_result::already_free);
    }
    if (age <= 1)   // another thread's free of the same handle won
        return refuse(free_result::already_free);
    return refuse(age <= handle_fields::generation_mask / 2 ? free_result::stale : free_result::corrupt);
}

slab* allocator::large_head(slab* s) noexcept
{
    std::uint32_t const index = core_.pages().index_of(*s);
    for (std::uint32_t i = index; i-- > 0;) {
        if (i % unit_pages == unit_pages - 1 && !core_.pages().owns(i))
            return nullptr;
        slab& candidate = core_.pages().at(i);
        std::uint8_t const tag = candidate.tag.load(std::memory_order_relaxed);
        if (tag == tag_none)
            continue;
        bool const covers = tag == tag_large && index - i < candidate.pages.load(std::memory_order_relaxed);
        return covers ? &candidate : nullptr;
    }
    return nullptr;
}

/// What to say of a pointer that is in no slab and begins no large allocation.
void allocator::report_unknown(void const* p, slab const* s) noexcept
{
    if (s == nullptr) {
        std::string other;
        if (heap_core::owner_of(p, &core_, other))
            return misused(misuse::wrong_heap, p, nullptr, 0, other);
        // The unit was this heap's and has been given back: all that was in it had been freed.
        bool const was_ours = core_.pages().reserved_once(p);
        return misused(was_ours ? misuse::double_free : misuse::foreign_pointer, p, nullptr);
    }
    if (slab const* const head = large_head(const_cast<slab*>(s)))
        return misused(misuse::interior_pointer, p, head);
    // The page was handed out once and has been taken back since: everything in it has been freed.
    bool const used = core_.pages().was_used(core_.pages().index_of(*s));
    misused(used ? misuse::double_free : misuse::foreign_pointer, p, nullptr);
}

void allocator::misused(misuse kind, void const* p, slab const* s, std::size_t given, std::string_view other) noexcept
{
    misuse_report r{.kind = kind, .address = p, .other = other, .given = given};
    shared_text::copy label;
    if (s != nullptr) {
        r.size_class = slot_bytes(*s);
        if (shelf const* const home = home_of(*s)) {
            label = home->face.label.read();
            r.epoch_label = label.view();
        }
    }
    core_.misused(r);
}

}
