// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstdint>
#include <new>
#include <source_location>
#include <string_view>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

void epoch_domain::grow_scopes()
{
    thread_details* const mine = granted(os_call::keep_scope) ? own_details() : nullptr;
    if (mine == nullptr || !tslab::grow_scopes(*mine))
        throw std::bad_alloc{};
}

epoch_domain::epoch_domain(allocator& heap, options const& o, std::source_location at) noexcept
    : heap_{&heap},
      opened_{heap.open_epoch(o.label, false, at)},
      thread_{this_thread_number()},
      auto_close_{o.auto_close && !opened_.shared},
      unentered_{!opened_.shared}
{
}

epoch_domain::epoch_domain(allocator& heap, epoch_id e, options const& o) noexcept
    : heap_{&heap}, opened_{.epoch = e, .shared = true}, thread_{this_thread_number()}, auto_close_{o.auto_close}
{
    if (!o.label.empty())
        heap.set_label(e, o.label);
}

/// The rest of the destructor.
void epoch_domain::end() noexcept
{
    if (depth_ != 0) {
        report_misuse(misuse::destroyed_entered);
        forget();
        depth_ = 1;   // one exit stands for all
        leave();
        return;
    }
    if (unentered_ && auto_close_)
        heap_->close(opened_.epoch);
}

/// Removes the innermost entry of this domain from the thread's list; only from the list's end, unless
/// `whatever_order`.
epoch_domain::order epoch_domain::pop(bool whatever_order) noexcept
{
    thread_details& mine = *this_thread.more;
    mine.drop_ended_scopes();
    if (is_last()) [[likely]] {   // then it is not no_details
        --mine.scope_count;
        return order::kept;
    }
    for (std::uint32_t i = mine.scope_count; i-- > 0;) {
        if (mine.scopes[i].domain.load(std::memory_order_relaxed) != this)
            continue;
        if (whatever_order)
            remove_scope(mine, i);
        return order::broken;
    }
    return order::absent;
}

void epoch_domain::enter(std::source_location at)
{
    if (!on_own_thread())
        return report_misuse(misuse::wrong_thread);
    opened_.label_id = heap_->label_id_of(opened_.epoch);
    push();
    unentered_ = false;
    bool const there = heap_->enter_epoch(opened_.epoch, depth_ == 0, at, opened_.holder);
    if (depth_++ == 0)
        held_ = there;
}

void epoch_domain::exit()
{
    if (!on_own_thread())
        return report_misuse(misuse::wrong_thread);
    if (owned_ && depth_ == 1)
        return report_misuse(misuse::not_entered);
    epoch_domain const* const innermost = current();
    switch (pop(false)) {
    case order::absent: report_misuse(misuse::not_entered); return;
    case order::broken: report_misuse(misuse::scope_order, innermost); return;
    case order::kept: break;
    }
    leave();
}

/// The rest of pop_at_end, where the domain is not the thread's current one.
[[gnu::cold, gnu::noinline]] bool epoch_domain::pop_in_disorder() noexcept
{
    if (!on_own_thread()) {
        report_misuse(misuse::wrong_thread);
        return false;
    }
    epoch_domain const* const innermost = current();
    switch (pop(true)) {
    case order::absent: report_misuse(misuse::not_entered); return false;
    case order::broken: report_misuse(misuse::scope_order, innermost); break;
    case order::kept: break;
    }
    return true;
}

void epoch_domain::forget() noexcept
{
    if (!on_own_thread())
        return forget_domain(this);
    while (pop(true) != order::absent) {
    }
}

void epoch_domain::leave() noexcept
{
    bool const last = --depth_ == 0;
    if (held_)
        heap_->exit_domain(opened_.epoch, opened_.holder, last, last && auto_close_);
}

void epoch_domain::report_misuse(misuse kind, epoch_domain const* other) noexcept
{
    shared_text::copy const label = heap_->label_of(opened_.epoch);
    shared_text::copy const others =
        other != nullptr ? other->heap_->label_of(other->opened_.epoch) : shared_text::copy{};
    heap_->state().misused({.kind = kind, .epoch_label = label.view(), .other = others.view()},
                           other != nullptr && other->heap_ == heap_ ? other->place() : source_places::unknown);
}

}
