// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory by pointer and by handle: the checks that a pointer or handle passes before anything is changed, and the slow
// paths.
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
#include <unistd.h>
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

std::uint32_t checked_cost_labels(std::uint32_t n)
{
    if (n > most_further_labels)
        throw std::invalid_argument{"tslab: cost_labels must be at most 1,024"};
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

/// Says once that the program was compiled with checks and the library without: then nothing is checked.
void note_unchecked() noexcept
{
    static constinit atomic<bool> said{false};
    if (said.exchange(true, std::memory_order_relaxed))
        return;
    constexpr std::string_view line =
        "tslab: this program is built with AddressSanitizer or TSLAB_CHECKED, but the tslab library is not: memory of "
        "its heaps is not checked\n";
    [[maybe_unused]] auto const written = ::write(STDERR_FILENO, line.data(), line.size());
}

bool background_purge_of(allocator_options const& o) noexcept
{
    return o.background_purge ? *o.background_purge
                              : number_in_environment(variable::background_purge).value_or(0) != 0;
}

heap_profiler::options profile_of(allocator_options const& o)
{
    std::uint64_t const most = range_of(variable::profile_interval).most;
    if (o.profile_interval && *o.profile_interval > most)
        throw std::invalid_argument{"tslab: profile_interval must be at most 1 TiB"};
    stack_walk const by_environment = number_in_environment(variable::profile_frame_pointers).value_or(0) != 0
                                          ? stack_walk::frame_pointers
                                          : stack_walk::unwind_tables;
    return {.interval = o.profile_interval ? *o.profile_interval
                                           : number_in_environment(variable::profile_interval).value_or(0),
            .walk = o.profile_walk.value_or(by_environment),
            .seed = number_in_environment(variable::profile_seed).value_or(0)};
}

}

allocator::allocator(options const& o)
    : state_{{.name = o.name,
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
              .guard_sampling = o.guard_sampling,
              .profile = profile_of(o)},
             sizeof(epoch_record)},
      labels_{&state_.stats(), &state_, checked_cost_labels(o.cost_labels)},
      strict_{o.strict}
{
    if (o.program_checks && !with_checks)
        note_unchecked();
    report_misspelled_variables();
    state_.reserve_in_fork({&advance_lock_, &prepare_lock_, &labels_.lock_for_fork()});
    set_sampling(o.sampling);
    tick_clock::calibrate();
    if (o.limit) {
        if (!state_.limits().make_table(state_))
            throw std::bad_alloc{};
        state_.limits().limit_heap(limit_pages_of(o.limit));
    }
    lock_guard const guard{advance_lock_};
    advance_locked();
    if (current_epoch().era == 0)
        throw std::bad_alloc{};
}

allocator::~allocator()
{
    state_.leave_background();
    state_.leave_registry();   // from here on no ending or reaping thread flushes caches of this heap
    live_count live;
    state_.pages().for_each_run([&](unit_run r) {
        for (std::uint32_t page = r.first * unit_pages; page < (r.first + r.count) * unit_pages; ++page)
            account_for_end(page_heap::at(page), live);
    });
    report_open_scopes();
    if (live.objects != 0)
        state_.misused({.kind = misuse::heap_live, .fatal = strict_, .objects = live.objects, .bytes = live.bytes});
}

/// Reports the scopes and resources that are open as the heap ends, with the label and the place of the oldest one.
void allocator::report_open_scopes() noexcept
{
    std::uint64_t open = 0;
    std::uint64_t oldest = ~std::uint64_t{0};
    std::uint32_t place = source_places::unknown;
    shared_text::copy label;
    for (std::uint32_t i = 0; i < state_.prepared_slots(); ++i) {
        epoch_record const& r = record_of({i, 0});
        open += r.holds.load(std::memory_order_relaxed);
        r.for_each_holder([&](published_holder const& h) {
            std::uint64_t const entered = h.entered_ns.load(std::memory_order_relaxed);
            if (entered == 0 || entered >= oldest)
                return;
            oldest = entered;
            place = h.place.load(std::memory_order_relaxed);
            label = r.stats.label.read();
        });
    }
    if (open != 0)
        state_.misused({.kind = misuse::heap_open, .fatal = strict_, .epoch_label = label.view(), .objects = open},
                       place);
}

/// Adds the live objects of a page of a heap that ends to `live`, and checks them.
void allocator::account_for_end(slab_meta& s, live_count& live) noexcept
{
    residence const where = s.where.load(std::memory_order_relaxed);
    if (where == residence::unused || where == residence::cached) {
        state_.report_late_frees(s);
    } else if (where == residence::large) {
        live += {1, large_allocation{s}.bytes()};
        if (state_.checks().uses_canaries())   // malloc's objects are left to the sanitizer to report
            state_.check_live_large(s);
    } else {
        unsigned const bin = s.bin();
        static_cast<void>(state_.claim_slab(s, bin));   // reports slots that were freed twice
        live += live_in(s, bin);
        if (state_.checks().uses_canaries())
            state_.check_live(s, bin);
    }
}

}
