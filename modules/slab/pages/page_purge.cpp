// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Purging free pages, and pages within slabs, and the counting of purges.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
module tslab.slab;

import tslab.stats;

namespace tslab {

void page_heap::note_fewest() noexcept
{
    for (std::uint32_t& fewest : fewest_)
        fewest = std::min(fewest, resident_.size());
    published_->unwanted.store(fewest_[static_cast<std::size_t>(watcher::of_time)], std::memory_order_relaxed);
}

std::uint32_t page_heap::unwanted_pages(watcher who) noexcept
{
    lock_guard const guard{lock_};
    std::uint32_t const unwanted = std::exchange(fewest_[static_cast<std::size_t>(who)], resident_.size());
    note_fewest();
    return unwanted;
}

namespace {

/// Gives pages to the kernel, and adds the result to `done`. Returns false if the kernel refuses.
bool purge_pages(void* begin, std::size_t bytes, purge_result& done) noexcept
{
    bool const dropped = os().purge(begin, bytes);
    ++done.calls;
    (dropped ? done.bytes : done.failures) += dropped ? bytes : 1;
    if (residency_known()) {
        done.asked += bytes;
        done.gone += bytes - std::min<std::uint64_t>(bytes, resident_bytes(begin, bytes));
    }
    return dropped;
}

}

void page_heap::publish_purge(purge_result const& done) noexcept
{
    published_->madvise_calls.fetch_add(done.calls, std::memory_order_relaxed);
    published_->madvise_bytes.fetch_add(done.bytes, std::memory_order_relaxed);
    published_->madvise_failures.fetch_add(done.failures, std::memory_order_relaxed);
    published_->madvise_asked.fetch_add(done.asked, std::memory_order_relaxed);
    published_->madvise_gone.fetch_add(done.gone, std::memory_order_relaxed);
    note_purge_time(done.nanoseconds);
}

bool page_heap::purge_of_slab(std::byte* begin, std::uint32_t pages, unsigned c, purge_result& done) noexcept
{
    std::size_t const bytes = std::size_t{pages} << page_shift;
    purge_result one;
    std::uint64_t const since = now_ns();
    bool const dropped = purge_pages(begin, bytes, one);
    one.nanoseconds = now_ns() - since;
    page_figures::class_purges& of = published_->purges[c];
    of.calls.add_shared();
    of.bytes.add_shared(one.bytes);
    of.failures.add_shared(one.failures);
    publish_purge(one);
    done += one;
    return dropped;
}

unsigned page_heap::class_of_page(std::uint32_t i) noexcept
{
    std::uint8_t const was = at(i).was.load(std::memory_order_relaxed);
    return was == tag_none || was == tag_large ? large_class : class_of_bin(was - 1U);
}

unsigned page_heap::class_of_free_page(std::uint32_t i) const noexcept __attribute__((no_thread_safety_analysis))
{
    return was_large_.seems_to_contain(i) ? large_class : class_of_page(i);
}

unsigned page_heap::free_resident_class(std::uint32_t i) const noexcept __attribute__((no_thread_safety_analysis))
{
    return resident_.seems_to_contain(i) ? class_of_free_page(i) : class_count + 1;
}

/// For pages that are in no set and that no other thread may use: their descriptors do not change meanwhile.
void page_heap::count_purged(page_run run, bool dropped) noexcept
{
    std::array<std::uint64_t, class_count + 1> pages{};
    for (std::uint32_t i = run.first; dropped && i < run.first + run.count; ++i)
        ++pages[class_of_free_page(i)];
    page_figures::class_purges& first = published_->purges[class_of_free_page(run.first)];
    first.calls.add_shared();
    first.failures.add_shared(dropped ? 0 : 1);
    for (unsigned c = 0; c <= class_count; ++c)
        if (pages[c] != 0)
            published_->purges[c].bytes.add_shared(pages[c] << page_shift);
}

purge_result page_heap::purged_of(unsigned c) const noexcept
{
    page_figures::class_purges const& of = published_->purges[c];
    return {.calls = of.calls.value(), .bytes = of.bytes.value(), .failures = of.failures.value()};
}

purge_result page_heap::purge(std::uint64_t most) noexcept
{
    purge_result done;
    std::array<page_run, 64> runs;
    std::uint64_t staying = ~std::uint64_t{0};   // so many of the free resident pages, the first ones, stay
    for (std::uint32_t from = 0; done.failures == 0;) {
        std::size_t n = 0;
        {
            lock_guard const guard{lock_};
            if (staying == ~std::uint64_t{0})
                staying = resident_.size() - std::min<std::uint64_t>(most, resident_.size());
            while (n < runs.size()) {
                page_run run = next_run(resident_, from, no_page);
                if (run.count == 0)
                    break;
                from = run.first + run.count;
                auto const passed_over = static_cast<std::uint32_t>(std::min<std::uint64_t>(staying, run.count));
                staying -= passed_over;
                run = {run.first + passed_over, run.count - passed_over};
                if (run.count == 0)
                    continue;
                resident_.erase(run.first, run.count);
                runs[n++] = run;
            }
            publish_sizes();
            note_fewest();
        }
        if (n == 0)
            break;
        // The pages are in no set, so no thread can take them while the kernel drops them.
        std::array<bool, 64> dropped{};
        std::uint64_t const since = now_ns();
        for (std::size_t i = 0; i < n; ++i) {
            dropped[i] = purge_pages(address_of(runs[i].first), std::size_t{runs[i].count} << page_shift, done);
            count_purged(runs[i], dropped[i]);
        }
        done.nanoseconds += now_ns() - since;
        lock_guard const guard{lock_};
        for (std::size_t i = 0; i < n; ++i)
            (dropped[i] ? purged_ : resident_).insert(runs[i].first, runs[i].count);
        publish_sizes();
    }
    publish_purge(done);
    return done;
}

}
