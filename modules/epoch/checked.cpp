// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Objects of a heap that checks: what lies between what the program sees and the slots it is kept in. See memory_checks.
module;
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

/// Where an address leads, if to a live object: its slot or the pages of a large allocation.
std::optional<allocator::located> allocator::locate(void const* p) noexcept
{
    slab* const s = core_.slab_at(p);
    std::uint8_t const tag = s != nullptr ? s->tag.load(std::memory_order_relaxed) : tag_none;
    if (tag == tag_none)
        return std::nullopt;
    if (tag == tag_large) {
        checked_slot const whole = heap_core::whole(*s);
        memory_checks const& checks = core_.checks();
        return located{s, whole, true, checks.uses_canaries() ? checks.guarded_at(whole.begin) : nullptr};
    }
    unsigned const bin = tag - 1U;
    if (bin >= bin_count)
        return std::nullopt;
    slot_position const at = slot_at(reinterpret_cast<std::uintptr_t>(p), bins[bin]);
    slab const& block = *core_.pages().map().find_block(p, bin);
    bool const live =
        at.exact && at.slot < bins[bin].slots && s->owner.load(std::memory_order_relaxed) != &nowhere &&
        ((block.shared.load(std::memory_order_relaxed) | block.local.load(std::memory_order_relaxed)) >> at.slot &
         1U) == 0;
    if (!live)
        return std::nullopt;
    return located{s, {block.base + std::size_t{at.slot} * bins[bin].size, bins[bin].size}, false};
}

void* allocator::arm(void* slot, request r) noexcept
{
    slab* const s = core_.slab_at(slot);
    unsigned const bin = s->bin();
    checked_slot const of{static_cast<std::byte*>(slot), bin < bin_count ? bins[bin].size : heap_core::whole(*s).bytes};
    memory_checks const& checks = core_.checks();
    if (!checks.uses_canaries())
        return make_twin(of, r);
    if (!checks.arm(of, r, bin >= bin_count))
        misused(misuse::write_after_free, slot, s);
    return slot;
}

void* allocator::allocate_guarded(request r, epoch_id e, void const* owner) noexcept
{
    memory_checks& checks = core_.checks();
    if (!checks.choose_guarded(r))
        return nullptr;
    refusal why{};
    void* const pages =
        allocate_large(memory_checks::guarded_pages * page_bytes, page_bytes, e, owner, why);   // null: as any other
    if (pages == nullptr)
        return nullptr;
    if (void* const p = checks.guard(heap_core::whole(*core_.slab_at(pages)), r))
        return p;
    free_rare(pages);
    return nullptr;
}

void* allocator::allocate_checked(std::size_t bytes, std::size_t alignment, epoch_id e, refusal& why) noexcept
{
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) || !std::has_single_bit(alignment))
        return allocate_plain(bytes, alignment, e, why);   // which refuses it
    if (void* const p = allocate_guarded({bytes, alignment}, e, nullptr))
        return p;
    void* const slot = allocate_plain(core_.checks().padded(bytes), alignment, e, why);
    if (slot == nullptr)
        return nullptr;
    void* const p = arm(slot, {bytes, alignment});
    if (p == nullptr) {
        free_plain(slot);
        why = refusal::out_of_memory;
    }
    return p;
}

/// Says what is wrong with a free of `p`, an object in `at`, and prepares it otherwise.
bool allocator::may_free(void* p, located const& at, request const* given, bool keep) noexcept
{
    memory_checks const& checks = core_.checks();
    request was{};
    std::optional<misuse> wrong;
    if (!checks.uses_canaries())
        was = asked_of_twin(at.slot.begin);
    else
        wrong = checks.verify(at.slot, at.guarded, was);
    std::size_t said = 0;
    if (!wrong && given != nullptr && given->bytes != was.bytes) {
        wrong = misuse::wrong_size;
        said = given->bytes;
    } else if (!wrong && given != nullptr && given->alignment != was.alignment) {
        wrong = misuse::wrong_alignment;
        said = given->alignment;
    }
    if (wrong) {
        misused(*wrong, p, at.page, said);
        return false;
    }
    if (keep)
        return true;
    if (!checks.uses_canaries())
        return free_twin(at.slot.begin) || (misused(misuse::double_free, p, at.page), false);
    if (!at.large)
        checks.poison(at.slot);
    return true;
}

allocator::disarmed allocator::disarm(void* p, request const* given, epoch_id const* by, bool keep) noexcept
{
    memory_checks const& checks = core_.checks();
    disarmed as_it_is{.plain = p, .given = given != nullptr ? *given : request{0, 1}};
    as_it_is.given.bytes = checks.padded(as_it_is.given.bytes);
    void* slot = p;
    if (!checks.uses_canaries()) {
        slot = slot_of_twin(p);
        if (slot == nullptr) {
            // Not of any heap, or no longer: the tool knows better what it was.
            std::string name;
            if (p != nullptr && !heap_core::owner_of(p, nullptr, name))
                std::free(p);
            return as_it_is;
        }
        as_it_is.plain = slot;
    }
    std::optional<located> const at = locate(slot);
    if (!at)
        return as_it_is;
    bool const elsewhere = by != nullptr && home_of(*at->page) != &core_.shelf_at(by->index);
    if (at->large) {
        bool const guarded = at->guarded != nullptr;
        if (guarded ? at->guarded != p : at->slot.begin != slot)
            return as_it_is;   // inside
        if (guarded && elsewhere) {
            misused(misuse::wrong_resource, p, at->page, 0, label_of(*by).view());
            return {};
        }
        if (guarded)
            return may_free(p, *at, given, keep) ? disarmed{.pages = at->slot.begin} : disarmed{};
    }
    if (elsewhere)
        return as_it_is;
    if (!may_free(p, *at, given, keep))
        return {};
    return as_it_is;
}

/// Checks the object of a handle that is being freed. What is wrong with it is reported, and it is freed all the same: its
/// handle is stale already.
void allocator::disarm_handle(std::uint32_t page, std::uint32_t slot) noexcept
{
    slab const& s = core_.pages().at(page);
    unsigned const bin = s.bin();
    void* const p = bin < bin_count ? s.base + std::size_t{slot} * bins[bin].size : s.base;
    if (std::optional<located> const at = locate(p))
        static_cast<void>(may_free(p, *at, nullptr, false));
}

void allocator::free_checked(void* p) noexcept
{
    if (p == nullptr)
        return;
    disarmed const d = disarm(p, nullptr, nullptr, false);
    if (d.pages != nullptr)
        free_rare(d.pages);
    else if (d.plain != nullptr)
        free_plain(d.plain);
}

}
