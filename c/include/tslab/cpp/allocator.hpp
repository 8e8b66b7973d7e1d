// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocator of <tslab/tslab.hpp>: a heap of the library, owned.
#pragma once
#include <chrono>
#include <new>
#include <stdexcept>
#include <string>
#include <tslab/cpp/base.hpp>
#include <vector>

namespace tslab {
namespace v0 {

class snapshot;
struct snapshot_options;
struct leak;

/// Report of a close or a trim; tslab_close_report has what each means.
struct close_report {
    epoch_id epoch{};
    bool found = false;
    bool closed = false;
    bool drained = false;
    std::uint64_t scanned_slabs = 0;
    std::uint64_t recycled_slabs = 0;
    std::uint64_t deferred_claims = 0;
    std::uint64_t nanoseconds = 0;
    std::uint64_t purge_nanoseconds = 0;
    std::uint64_t rss_before = 0;
    std::uint64_t rss_after = 0;
    std::uint64_t madvise_calls = 0;
    std::uint64_t madvise_bytes = 0;
    std::uint64_t madvise_failures = 0;
    std::uint64_t madvise_asked_bytes = 0;
    std::uint64_t madvise_gone_bytes = 0;

    TSLAB_LOCAL close_report() = default;
    TSLAB_LOCAL explicit close_report(tslab_close_report const& r) noexcept
        : epoch{detail::of(r.epoch)},
          found{r.found},
          closed{r.closed},
          drained{r.drained},
          scanned_slabs{r.scanned_slabs},
          recycled_slabs{r.recycled_slabs},
          deferred_claims{r.deferred_claims},
          nanoseconds{r.nanoseconds},
          purge_nanoseconds{r.purge_nanoseconds},
          rss_before{r.rss_before},
          rss_after{r.rss_after},
          madvise_calls{r.madvise_calls},
          madvise_bytes{r.madvise_bytes},
          madvise_failures{r.madvise_failures},
          madvise_asked_bytes{r.madvise_asked_bytes},
          madvise_gone_bytes{r.madvise_gone_bytes}
    {
    }
};

/// One heap. Neither copyable nor movable. Functions have the contract of the C functions that they call (tslab/c/heap.h).
class allocator {
public:
    using options = allocator_options;

    static constexpr std::uint32_t least_epochs = 2;
    static constexpr std::uint32_t most_epochs = 65'536;

    TSLAB_LOCAL allocator() : allocator(options{}) {}
    /// Makes a heap. Throws std::invalid_argument for an option out of range, std::bad_alloc if memory or address space is out, and
    /// std::runtime_error if the library has another ABI than this header.
    TSLAB_LOCAL explicit allocator(options const& o)
    {
        std::string const name{o.name};
        tslab_heap_options c{};
        tslab_heap_options_init(&c);
        c.name = name.c_str();
        c.epoch_count = o.epoch_count;
        c.reclaim = static_cast<tslab_reclaim>(o.reclaim);
        set(c.slab_cache, o.slab_cache);
        c.reserve_bytes = o.reserve_bytes;
        if (o.decay)
            c.decay_ms = o.decay->count() != TSLAB_UNSET ? o.decay->count() : TSLAB_UNSET - 1;   // out of range too
        set(c.thread_cache, o.thread_cache);
        set(c.background_purge, o.background_purge);
        set(c.guard_sampling, o.guard_sampling);
        c.checks = static_cast<tslab_checks>(o.checks);
        c.purge_on_pressure = o.purge_on_pressure;
        c.strict = o.strict;
        c.sampling = o.sampling;
        c.huge_pages = o.huge_pages;
        c.publish = o.publish;
        c.cost_labels = o.cost_labels;
        set(c.limit, o.limit);
        tslab_failure why{};
        heap_ = tslab_heap_create(&c, &why);
        if (heap_ == nullptr)
            fail(why);
        tslab_heap_set_front(heap_, this);
    }
    TSLAB_LOCAL ~allocator()
    {
        if (heap_ != nullptr && tslab_heap_front(heap_) == this)
            tslab_heap_destroy(heap_);
    }
    allocator(allocator const&) = delete;
    allocator& operator=(allocator const&) = delete;

    [[nodiscard]] TSLAB_LOCAL epoch_id current_epoch() const noexcept { return detail::of(tslab_epoch_current(heap_)); }
    TSLAB_LOCAL epoch_id advance() noexcept { return detail::of(tslab_epoch_advance(heap_)); }
    TSLAB_LOCAL close_report close(epoch_id e) noexcept
    {
        tslab_close_report r{};
        tslab_epoch_close(heap_, detail::c_of(e), &r, sizeof r);
        return close_report{r};
    }
    TSLAB_LOCAL close_report trim(epoch_id e) noexcept
    {
        tslab_close_report r{};
        tslab_epoch_trim(heap_, detail::c_of(e), &r, sizeof r);
        return close_report{r};
    }
    TSLAB_LOCAL close_report trim() noexcept
    {
        tslab_close_report r{};
        tslab_heap_trim(heap_, &r, sizeof r);
        return close_report{r};
    }
    TSLAB_LOCAL bool set_label(epoch_id e, std::string_view label) noexcept
    {
        return tslab_epoch_set_label(heap_, detail::c_of(e), detail::c_label{label}.text());
    }
    /// Throw std::bad_alloc; the second one std::length_error if the label is new and no number is left. See tslab/c/heap.h.
    TSLAB_LOCAL bool set_limit(epoch_id e, std::optional<std::size_t> bytes)
    {
        tslab_status const s = tslab_epoch_set_limit(heap_, detail::c_of(e), bytes ? *bytes : TSLAB_NO_LIMIT);
        if (s == TSLAB_OUT_OF_MEMORY)
            TSLAB_THROW(std::bad_alloc{});
        return s == TSLAB_OK;
    }
    TSLAB_LOCAL void set_limit(std::string_view label, std::optional<std::size_t> bytes)
    {
        tslab_status const s = tslab_set_limit(heap_, detail::c_label{label}.text(), bytes ? *bytes : TSLAB_NO_LIMIT);
        if (s == TSLAB_OUT_OF_MEMORY)
            TSLAB_THROW(std::bad_alloc{});
        if (s != TSLAB_OK)
            TSLAB_THROW(
                std::length_error{"tslab: a limit needs a label with a number of its own, and 14 others have one"});
    }
    [[nodiscard]] TSLAB_LOCAL bool is_active(epoch_id e) const noexcept
    {
        return tslab_epoch_is_active(heap_, detail::c_of(e));
    }

    [[nodiscard]] TSLAB_LOCAL void* malloc(std::size_t bytes) noexcept { return tslab_malloc(heap_, bytes); }
    [[nodiscard]] TSLAB_LOCAL void* malloc(std::size_t bytes, epoch_id e) noexcept
    {
        return tslab_malloc_in(heap_, bytes, detail::c_of(e));
    }
    TSLAB_LOCAL void free(void* p) noexcept { tslab_free(heap_, p); }
    [[nodiscard]] TSLAB_LOCAL void* allocate(std::size_t bytes, epoch_id e, handle& h) noexcept
    {
        tslab_handle bits = 0;
        void* const p = tslab_allocate(heap_, bytes, detail::c_of(e), &bits);
        h = handle{bits};
        return p;
    }
    TSLAB_LOCAL free_result free(handle h) noexcept
    {
        return static_cast<free_result>(tslab_free_handle(heap_, h.bits()));
    }

    [[nodiscard]] TSLAB_LOCAL std::string name() const { return tslab_heap_name(heap_); }
    [[nodiscard]] TSLAB_LOCAL std::uint32_t epoch_count() const noexcept { return tslab_heap_epoch_count(heap_); }

    /// A copy of what the heap counted. Throws std::bad_alloc.
    [[nodiscard]] TSLAB_LOCAL inline v0::snapshot snapshot(snapshot_options const& o) const;
    [[nodiscard]] TSLAB_LOCAL inline v0::snapshot snapshot() const;
    /// Epochs that a domain entered so long ago and has not left, and closed ones that objects outlive. Throws std::bad_alloc.
    [[nodiscard]] TSLAB_LOCAL inline std::vector<leak> leaks(std::chrono::duration<double> older_than) const;

    TSLAB_LOCAL void set_sampling(bool on) noexcept { tslab_heap_set_sampling(heap_, on); }
    [[nodiscard]] TSLAB_LOCAL bool sampling() const noexcept { return tslab_heap_sampling(heap_); }

    /// The heap for the C interface.
    [[nodiscard]] TSLAB_LOCAL tslab_heap* c() const noexcept { return heap_; }

private:
    template <class T> TSLAB_LOCAL static void set(std::int64_t& to, std::optional<T> const& from) noexcept
    {
        if (from) {
            auto const n = static_cast<std::uint64_t>(*from);
            to = n < std::uint64_t{INT64_MAX} ? static_cast<std::int64_t>(n) : INT64_MAX;
        }
    }
    [[noreturn]] TSLAB_LOCAL static void fail(tslab_failure const& why)
    {
        if (why.status == TSLAB_INVALID)
            TSLAB_THROW(std::invalid_argument{why.text});
        if (why.status == TSLAB_OUT_OF_MEMORY)
            TSLAB_THROW(std::bad_alloc{});
        TSLAB_THROW(std::runtime_error{why.text});
    }

    // The only member: a heap that another language made has a word that looks like this object (tslab_heap_front).
    tslab_heap* heap_ = nullptr;
};

static_assert(sizeof(allocator) == sizeof(void*), "see tslab_heap_front");

namespace detail {

[[nodiscard]] TSLAB_LOCAL inline allocator& front_of(tslab_heap const* heap) noexcept
{
    return *static_cast<allocator*>(tslab_heap_front(heap));
}

}

}
}
