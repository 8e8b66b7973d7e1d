// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Checked builds: the step between the objects that a program sees and the slots that hold them. See memory_checks.
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

namespace {

struct located {
    slab_meta* page;
    checked_slot slot;
    bool large;
    void* guarded = nullptr;   ///< the object, if it is on guarded pages
};

/// The live object that something was resolved to: its slot, or the pages of a large allocation. Empty if there is none.
[[gnu::always_inline]] inline std::optional<located> locate(heap_state& state, resolved const& at) noexcept
{
    if (at.in_large()) [[unlikely]] {
        checked_slot const whole = heap_state::whole(*at.page);
        memory_checks const& checks = state.checks();
        return located{at.page, whole, true, checks.uses_canaries() ? checks.guarded_at(whole.begin) : nullptr};
    }
    if (at.is != resolved::what::slot || !at.is_live())
        return std::nullopt;
    std::uint32_t const size = bins[at.bin].size;
    return located{at.page, {at.subslab->base + std::size_t{at.slot} * size, size}, false};
}

/// Whether an object is freed with the size and alignment it was allocated with; if not, sets the misuse and the wrong
/// figure.
[[gnu::always_inline]] inline bool is_same(request const& was, request const& given, misuse& wrong,
                                           std::size_t& said) noexcept
{
    if (was.bytes == given.bytes && was.alignment == given.alignment) [[likely]]
        return true;
    bool const by_size = was.bytes != given.bytes;
    wrong = by_size ? misuse::wrong_size : misuse::wrong_alignment;
    said = by_size ? given.bytes : given.alignment;
    return false;
}

/// Reports a wrong free of `p`, an object in `at`; otherwise poisons its slot, unless `keep`. For a heap with canaries.
[[gnu::always_inline]] inline bool may_free(allocator& heap, void* p, located const& at, request const* given,
                                            bool keep) noexcept
{
    memory_checks const& checks = heap.state().checks();
    request was{};
    std::optional<misuse> const broken = checks.verify(at.slot, at.guarded, was);
    misuse wrong = broken.value_or(misuse{});
    std::size_t said = 0;
    if (broken || (given != nullptr && !is_same(was, *given, wrong, said))) [[unlikely]] {
        heap.misused(wrong, p, at.page, said);
        return false;
    }
    if (!keep && !at.large)
        checks.poison(at.slot);
    return true;
}

/// The same for an object that malloc allocated.
bool may_free_twin(allocator& heap, void* p, located const& at, request const* given, bool keep) noexcept
{
    misuse wrong = misuse::double_free;
    std::size_t said = 0;
    if ((given == nullptr || is_same(asked_of_twin(at.slot.begin), *given, wrong, said)) &&
        (keep || free_twin(at.slot.begin)))
        return true;
    heap.misused(wrong, p, at.page, said);
    return false;
}

}

void* allocator::arm(void* slot, request r) noexcept
{
    slab_meta* const s = state_.slab_at(slot);
    unsigned const bin = s->bin();
    checked_slot const of{static_cast<std::byte*>(slot),
                          bin < bin_count ? bins[bin].size : heap_state::whole(*s).bytes};
    memory_checks const& checks = state_.checks();
    if (!checks.uses_canaries())
        return make_twin(of, r);
    if (!checks.arm(of, r, bin >= bin_count))
        misused(misuse::write_after_free, slot, s);
    return slot;
}

/// Allocates an object on guarded pages; null if that is not possible.
void* allocator::guard(request r, epoch_id e, void const* owner) noexcept
{
    refusal why = refusal::retried;   // null: the caller tries without, which counts a closed epoch
    void* const pages = allocate_large(memory_checks::guarded_pages * page_bytes, page_bytes, e, owner, why);
    if (pages == nullptr) {
        if (thread_record* const me = state_.record(); me != nullptr && why == refusal::limited)
            static_cast<void>(me->take_refusal());
        return nullptr;
    }
    if (void* const p = state_.checks().guard(heap_state::whole(*state_.slab_at(pages)), r))
        return p;
    free_rare(pages);
    return nullptr;
}

void* allocator::allocate_checked(std::size_t bytes, std::size_t alignment, epoch_id e, refusal& why) noexcept
{
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) || !std::has_single_bit(alignment))
        return allocate_plain(bytes, alignment, e, why);   // allocate_plain refuses it
    if (void* const p = allocate_guarded({bytes, alignment}, e, nullptr))
        return p;
    void* const slot = allocate_plain(state_.checks().padded(bytes), alignment, e, why);
    if (slot == nullptr)
        return nullptr;
    void* const p = arm(slot, {bytes, alignment});
    if (p == nullptr) {
        free_plain(slot);
        why = refusal::out_of_memory;
    }
    return p;
}

allocator::disarmed allocator::disarm(void* p, request const* given, epoch_id const* by, bool keep) noexcept
{
    memory_checks const& checks = state_.checks();
    if (!checks.uses_canaries())
        return disarm_twin(p, given, by, keep);
    disarmed as_it_is{.plain = p, .given = given != nullptr ? *given : request{0, 1}};
    as_it_is.given.bytes = checks.padded(as_it_is.given.bytes);
    std::optional<located> const at = locate(state_, resolve(state_, p));
    if (!at) [[unlikely]]
        return as_it_is;
    bool const elsewhere = by != nullptr && home_of(*at->page) != &state_.epoch_slabs_at(by->index);
    if (at->guarded != nullptr) [[unlikely]] {
        if (at->guarded != p)
            return as_it_is;   // interior pointer: reported by the free
        if (elsewhere) {
            misused(misuse::wrong_resource, p, at->page, 0, label_of(*by).view());
            return {};
        }
        return may_free(*this, p, *at, given, keep) ? disarmed{.pages = at->slot.begin} : disarmed{};
    }
    if (elsewhere || at->slot.begin != p) [[unlikely]]
        return as_it_is;
    return may_free(*this, p, *at, given, keep) ? as_it_is : disarmed{};
}

[[gnu::noinline]] allocator::disarmed allocator::disarm_twin(void* p, request const* given, epoch_id const* by,
                                                             bool keep) noexcept
{
    disarmed as_it_is{.plain = p, .given = given != nullptr ? *given : request{0, 1}};
    void* const slot = slot_of_twin(p);
    if (slot == nullptr) {
        // In no heap, or not any more: the sanitizer's free reports it best.
        std::string name;
        if (p != nullptr && !heap_state::owner_of(p, nullptr, name))
            std::free(p);
        return as_it_is;
    }
    as_it_is.plain = slot;
    std::optional<located> const at = locate(state_, resolve(state_, slot));
    if (!at || at->slot.begin != slot || (by != nullptr && home_of(*at->page) != &state_.epoch_slabs_at(by->index)))
        return as_it_is;
    return may_free_twin(*this, p, *at, given, keep) ? as_it_is : disarmed{};
}

/// Checks the object of a handle that is being freed. An error is reported, and the object is freed all the same, since
/// its handle is stale already.
void allocator::disarm_named(resolved const& named) noexcept
{
    std::optional<located> const at = locate(state_, named);
    if (!at)
        return;
    if (state_.checks().uses_canaries())
        static_cast<void>(may_free(*this, at->slot.begin, *at, nullptr, false));
    else
        static_cast<void>(may_free_twin(*this, at->slot.begin, *at, nullptr, false));
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
