// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

namespace {

/// Whether every slot is in `local`.
bool has_only_free(slab const& s, unsigned bin) noexcept
{
    return fill_of(s, bin, [](slab const& block) { return block.local.load(std::memory_order_relaxed); }).all;
}

// Full slabs looked at, oldest first, before a new slab is taken. A few are enough: what producers hand to consumers comes
// back roughly in order.
constexpr std::uint32_t scan_limit = 4;
}

/// Makes an empty slab this lane's.
// Modelled: tests/models/blocks.pml, step hold
void lane::hold(slab& s, unsigned bin) noexcept
{
    lane_bin* const me = &bins_[bin].bin;
    s.where.store(residence::held, std::memory_order_relaxed);
    // release: statistics and other threads' frees go from it to the lane, which may be a new one (see holder_of).
    s.owner.store(me, std::memory_order_release);
    if (has_blocks(bin)) [[unlikely]]
        for_each_block(s, bin, [me](slab& block) { block.owner.store(me, std::memory_order_relaxed); });
    s.ready = false;
    s.partly_purged = false;   // from here on its pages come back as they are touched
    shelves_[bin].held.push(s);
}

void lane::forget_slabs(unsigned bin) noexcept
{
    bins_[bin].bin.current = &no_slab;
    lane_shelf& b = shelves_[bin];
    b.held = {};
    b.ready = nullptr;
    b.ready_count = 0;
    b.empty = 0;
    b.parked = nullptr;
    b.to_scan = 0;
    tell_held(bin);
}

void lane::forget_slabs() noexcept
{
    for (bin_set used = used_bins_; used != 0; used &= used - 1)
        forget_slabs(static_cast<unsigned>(std::countr_zero(used)));
}

bool lane::can_keep(unsigned bin) const noexcept
{
    lane_shelf const& b = shelves_[bin];
    auto const idle = [bin](slab const& s) {
        auto const free_of = [](slab const& block) {
            return block.shared.load(std::memory_order_relaxed) == 0 ? block.local.load(std::memory_order_relaxed) : 0;
        };
        return has_blocks(bin) ? fill_of(s, bin, free_of).all : free_of(s) == bins[bin].full_mask;
    };
    if (bins[bin].pages > thread_record::warm_pages / 2 || b.parked != nullptr ||
        b.held.size() > std::max(b.empty, b.ready_count) + 1)   // then some are in use
        return false;
    for (slab const* s = b.held.front(); s != nullptr; s = s->next)
        if (!idle(*s))
            return false;
    return true;
}

void lane::forget_kept() noexcept
{
    for_each_slab([this](slab& s, unsigned bin) {
        record_->heap.let_go(s, bin);
        record_->heap.slabs().put(s);
    });
    forget_slabs();
    used_bins_ = 0;
}

/// Takes the empty ones, all but the first `keep`, out of the ready slabs and calls `give` with each. The order of the
/// others stays.
template <class F> void lane::give_empty(unsigned bin, std::uint32_t keep, F give) noexcept
{
    lane_shelf& b = shelves_[bin];
    slab* rest = std::exchange(b.ready, nullptr);
    slab* last = nullptr;
    b.ready_count = 0;
    b.empty = 0;
    while (rest != nullptr) {
        slab& s = *rest;
        rest = next_of_ready(s);
        bool const empty = has_only_free(s, bin);
        if (empty && b.empty >= keep) {
            b.held.remove(s);
            give(s);
            continue;
        }
        b.empty += empty ? 1 : 0;
        ++b.ready_count;
        set_next_of_ready(s, nullptr);
        if (last != nullptr)
            set_next_of_ready(*last, &s);
        else
            b.ready = &s;
        last = &s;
    }
    tell_held(bin);
}

void lane::shed_empty() noexcept
{
    for (bin_set used = used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        auto const give = [&](slab& s) {
            if (!unused_in_era(bin))   // else it was counted when it was kept
                record_->classes[class_of_bin(bin)][class_event::recycled].add();
            record_->heap.let_go(s, bin);
            record_->heap.slabs().put(s);
        };
        give_empty(bin, 0, give);
        slab*& current = bins_[bin].bin.current;
        if (current == &no_slab)
            continue;
        if (slab& s = slab_of(*current, bin); has_only_free(s, bin)) {
            current = &no_slab;
            shelves_[bin].held.remove(s);
            tell_held(bin);
            give(s);
        }
    }
}

/// A block of a held slab with a free slot in `local`, once what other threads freed in it is taken over; null when the slab
/// has none.
// Modelled: tests/models/words.pml, step open_block
slab* lane::open_block(slab& s, unsigned bin, class_counters& counts) noexcept
{
    slab* block = first_block(s, bin);   // there is one: the lane holds the slab
    for (unsigned k = bins[bin].blocks; k-- > 0; block += block_stride(bin)) {
        if (block->shared.load(std::memory_order_relaxed) != 0) {
            counts[class_event::collect].add();
            static_cast<void>(record_->heap.claim(*block, bin));
        }
        if (block->local.load(std::memory_order_relaxed) != 0)
            return block;
    }
    return nullptr;
}

namespace {

/// Whether at least half of a slab's slots have been freed by other threads.
bool much_freed(slab const& s, unsigned bin) noexcept
{
    int n = 0;
    for_each_block(s, bin, [&](slab const& block) {
        n += std::popcount(block.shared.load(std::memory_order_seq_cst));   // seq_cst: see scan_held
    });
    return static_cast<std::uint32_t>(n) * 2 >= bins[bin].slab_slots();
}

}

/// Looks through held slabs for what other threads freed, as long as somebody said that there is some.
// Modelled: tests/models/words.pml, step scan_held
slab* lane::scan_held(unsigned bin, class_counters& counts) noexcept
{
    lane_shelf& b = shelves_[bin];
    if (auto& freed_into = bins_[bin].bin.freed_into; freed_into.load(std::memory_order_relaxed) != 0) {
        // First the flag, then the slabs: what is freed afterwards sets it again. seq_cst: a freer changes `shared` and then
        // looks at the flag, so one must see the other. With less the slabs may be looked at before others see the flag gone.
        freed_into.exchange(0, std::memory_order_seq_cst);
        b.to_scan = b.held.size();
    }
    for (std::uint32_t n = std::min(b.to_scan, scan_limit); n > 0; --n) {
        slab* const s = b.held.back();
        if (s == nullptr)
            break;
        b.held.remove(*s);
        b.held.push(*s);   // the oldest goes to the other end: the next one is looked at next
        --b.to_scan;
        // While others free into it, it is better left to them: a few slots are not worth the way of its descriptor.
        if (s == b.parked || !much_freed(*s, bin))
            continue;
        if (slab* const block = open_block(*s, bin, counts)) {   // none is ready, so it was full
            counts[class_event::full_to_partial].add();
            return block;
        }
    }
    return nullptr;
}

/// Takes the ready slab that was freed into last.
slab* lane::next_ready(unsigned bin, class_counters& counts) noexcept
{
    lane_shelf& b = shelves_[bin];
    slab& s = b.pop_ready();
    if (has_only_free(s, bin))
        --b.empty;
    return open_block(s, bin, counts);
}

/// The next block with a slot in `local`; null when out of memory.
// Modelled: tests/models/close.pml, step next_block
// Modelled: tests/models/words.pml, step next_block
slab* lane::next_block(unsigned bin, thread_record& me, class_counters& counts) noexcept
{
    slab*& current = bins_[bin].bin.current;
    if (current != &no_slab) {
        counts[class_event::current_full].add();
        if (slab* const block = open_block(slab_of(*current, bin), bin, counts))
            return block;
        current = &no_slab;
        counts[class_event::partial_to_full].add();
    } else {
        counts[class_event::current_null].add();
        used_bins_ |= only_bin(bin);
    }
    lane_shelf& b = shelves_[bin];
    if (b.ready != nullptr)
        return next_ready(bin, counts);
    if (b.to_scan != 0 || bins_[bin].bin.freed_into.load(std::memory_order_relaxed) != 0) [[unlikely]]
        if (slab* const block = scan_held(bin, counts))
            return block;
    shelf& home = *attached_.load(std::memory_order_relaxed);
    if (!exclusive_ && has_bin(home.partial_bins.load(std::memory_order_relaxed), bin)) [[unlikely]] {
        if (!b.gate.open(bins_[bin].bin.allocations.value())) {
            counts[class_event::bypassed].add();
        } else if (slab* const s = home.adopt(*this, bin)) {
            s->ready = false;
            b.held.push(*s);
            return open_block(*s, bin, counts);
        }
    }
    slab* const s = me.heap.take_slab(bin, me, counts, home.label_id.load(std::memory_order_relaxed));
    if (s == nullptr) [[unlikely]]
        return nullptr;
    hold(*s, bin);
    return first_block(*s, bin);
}

namespace {

/// Whether the thread is changing lists of the heap at this moment: then it was interrupted in that, by a signal handler.
inline bool is_interrupted(thread_record const& me) noexcept
{
    return (me.activity.load(std::memory_order_relaxed) & thread_record::restructuring) != 0;
}

[[gnu::cold, gnu::noinline]] void report_reentry(thread_record& me) noexcept
{
    me.heap.misused({.kind = misuse::reentry});
}

}

[[gnu::noinline]] void* lane::refill(unsigned bin, thread_record& me) noexcept
{
    // A resource's lane announces nothing on its common way; this is where its lists are at stake.
    if (is_interrupted(me)) [[unlikely]] {
        report_reentry(me);
        return nullptr;
    }
    if (has_bin(armed_bins_, bin)) [[unlikely]]
        return sampled(bin, me);
    // The common case: the current slab is full, and there is another with free slots. What others freed in either is found
    // by the general way.
    lane_bin& b = bins_[bin].bin;
    lane_shelf& of = shelves_[bin];
    slab& last = *b.current;
    slab* const s = of.ready;
    if (s == nullptr || has_blocks(bin) || &last == &no_slab || last.local.load(std::memory_order_relaxed) != 0 ||
        last.shared.load(std::memory_order_relaxed) != 0 || s->shared.load(std::memory_order_relaxed) != 0) [[unlikely]]
        return find_slot(bin, me);
    restructuring_section const section{&me};
    class_counters& counts = me.classes[class_of_bin(bin)];
    counts[class_event::slow_path].add();
    counts[class_event::current_full].add();
    counts[class_event::partial_to_full].add();
    me.scans[class_of_bin(bin)].note_allocation(counts);
    of.pop_ready();
    of.empty -= s->local.load(std::memory_order_relaxed) == bins[bin].full_mask ? 1 : 0;
    b.current = s;
    return allocate_from(b);
}

[[clang::preserve_most]] void lane::arm(lane_bin& b) noexcept
{
    unsigned const bin = index_of(b);
    b.allocations.carry();
    record_->heap.note_work(*record_);
    if (!record_->heap.sampling())
        return;
    restructuring_section const section{record_};
    shelves_[bin].parked = &slab_of(*b.current, bin);
    b.current = &no_slab;
    armed_bins_ |= only_bin(bin);
}

// Modelled: tests/models/words.pml, step find_slot
inline void* lane::find_slot(unsigned bin, thread_record& me) noexcept
{
    restructuring_section const section{&me};
    unsigned const c = class_of_bin(bin);
    class_counters& counts = me.classes[c];
    counts[class_event::slow_path].add();
    me.scans[c].note_allocation(counts);
    me.heap.decay_sometimes(me);
    while (slab* const block = next_block(bin, me, counts)) {
        bins_[bin].bin.current = block;
        tell_held(bin);
        told_->allocations[bin].raise(bins_[bin].bin.allocations.value());
        if (void* const p = allocate(bin)) [[likely]]
            return p;
    }
    counts[class_event::out_of_memory].add();
    return nullptr;
}

/// Takes up the slab that `arm` put aside, and is an allocation like any other, but timed.
[[gnu::cold, gnu::noinline]] void* lane::sampled(unsigned bin, thread_record& me) noexcept
{
    armed_bins_ &= ~only_bin(bin);
    stopwatch const watch;
    if (slab* const s = std::exchange(shelves_[bin].parked, nullptr); s != nullptr) {
        restructuring_section const section{&me};
        bins_[bin].bin.current = first_block(*s, bin);
    }
    void* p = allocate(bin);
    if (p == nullptr)
        p = find_slot(bin, me);
    if (p != nullptr)
        me.note_allocation(watch.read());
    return p;
}

/// A free gave a block its first free slot, or emptied it, and the lane does not hand out from it.
[[gnu::noinline]] void lane::restock(slab& block, lane_bin& of, std::uint64_t after) noexcept
{
    // The slot is free by now. Its slab stays off the stack, and goes back when it is empty or the lane is handed back.
    if (is_interrupted(*record_)) [[unlikely]]
        return report_reentry(*record_);
    unsigned const bin = index_of(of);
    lane_shelf& b = shelves_[bin];
    if (has_blocks(bin) || &block == b.parked || after == bins[bin].full_mask) [[unlikely]]
        return restock_rare(block, bin, after);
    // The common case: the first free slot of a slab of one block. It has others, so it is not the last live one too.
    restructuring_section const section{record_};
    b.push_ready(block);
    record_->classes[class_of_bin(bin)][class_event::full_to_partial].add();
}

[[gnu::noinline]] void lane::restock_rare(slab& block, unsigned bin, std::uint64_t after) noexcept
{
    slab* const current = bins_[bin].bin.current;
    lane_shelf& b = shelves_[bin];
    slab& s = slab_of(block, bin);
    if (&s == b.parked || (current != &no_slab && &s == &slab_of(*current, bin)))
        return;   // handed out from, or about to be
    restructuring_section const section{record_};
    if (!s.ready) {
        b.push_ready(s);
        record_->classes[class_of_bin(bin)][class_event::full_to_partial].add();
    }
    if (after != bins[bin].full_mask || (has_blocks(bin) && !has_only_free(s, bin)))
        return;
    // Some stay, so that they need not come back at once. To find those that go is worth a walk over all that are ready
    // when they are a good part of them.
    if (++b.empty > std::max(record_->heap.warm_limit(class_of_bin(bin)), b.ready_count / 4))
        recycle_empty(bin, *record_);
}

/// Gives back the empty ones among the ready slabs, but for half of what may stay, to the calling thread's, whose record `to` is.
/// Every slot of theirs is in `local`, so no other thread has an object in them.
void lane::recycle_empty(unsigned bin, thread_record& to) noexcept
{
    give_empty(bin, to.heap.warm_limit(class_of_bin(bin)) / 2, [&to](slab& s) { to.heap.recycle(s, &to); });
}

/// Makes a held slab empty, whatever lives in it; returns how many objects did.
inline std::uint64_t lane::rewind(slab& s, unsigned bin) noexcept
{
    heap_core& heap = record_->heap;
    bool const checked = with_checks && heap.checks().on();
    if (!checked && !has_blocks(bin) && bin < class_count && s.shared.load(std::memory_order_relaxed) == 0) [[likely]] {
        std::uint32_t const live = live_slots(s, bin);
        s.local.store(bins[bin].full_mask, std::memory_order_relaxed);
        return live;
    }
    for_each_block(s, bin, [&](slab& block) {
        if (block.shared.load(std::memory_order_relaxed) != 0) [[unlikely]]
            static_cast<void>(heap.claim(block, bin));
    });
    std::uint64_t const live = heap.retire_live(s, bin);
    for_each_block(s, bin, [bin](slab& block) { block.local.store(bins[bin].full_mask, std::memory_order_relaxed); });
    return live;
}

std::uint64_t lane::drop(thread_record& me, counter& told) noexcept
{
    restructuring_section const section{&me};
    std::uint64_t live = 0;
    armed_bins_ = 0;
    for (bin_set used = used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        lane_shelf& b = shelves_[bin];
        std::uint64_t const of_bin = settle_allocations(bin);   // from here on what it has is kept, not in use
        told.add(of_bin);
        b.parked = nullptr;
        b.to_scan = 0;
        slab* const current = bins_[bin].bin.current;
        slab const* const in_use = current != &no_slab ? &slab_of(*current, bin) : nullptr;
        for (slab* s = b.held.front(); s != nullptr; s = s->next) {
            live += rewind(*s, bin);
            if (s != in_use && !s->ready)
                b.push_ready(*s);
        }
        b.empty = b.ready_count;
        if (b.empty > me.heap.warm_limit(class_of_bin(bin)))
            recycle_empty(bin, me);
        if (of_bin != 0)
            me.classes[class_of_bin(bin)][class_event::recycled].add(b.held.size());
    }
    return live;
}

live_count lane::live() const noexcept
{
    live_count all;
    const_cast<lane*>(this)->for_each_slab([&](slab const& s, unsigned bin) { all += live_in(s, bin); });
    return all;
}

}
