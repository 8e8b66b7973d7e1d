// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstddef>
#include <memory_resource>
#include <mutex>
module tslab.pmr;

import tslab.stats;
import tslab.tls_cache;
import tslab.epoch;

namespace tslab {

namespace {

/// When off, no detector counts, even if the program has put its own default resource in front of one.
constinit atomic<bool> switched_on{false};

/// Forwards to a previous default resource. Never destroyed: memory from it may be freed at any time.
class escape_detector final : public std::pmr::memory_resource {
public:
    escape_detector(std::pmr::memory_resource* upstream, escape_detector* next) noexcept
        : upstream_{upstream}, next_{next}
    {
    }

    [[nodiscard]] std::pmr::memory_resource* upstream() const noexcept { return upstream_; }
    [[nodiscard]] escape_detector* next() const noexcept { return next_; }

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        // If the program has put its own default between two detectors, only the outermost counts.
        static constinit thread_local unsigned depth = 0;
        ++depth;
        struct leaving {
            leaving() = default;
            leaving(leaving const&) = delete;
            leaving& operator=(leaving const&) = delete;
            ~leaving() { --depth; }
        } const at_the_end;
        void* const p = upstream_->allocate(bytes, alignment);
        if (depth == 1 && switched_on.load(std::memory_order_relaxed))
            count_escape(bytes);
        return p;
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        upstream_->deallocate(p, bytes, alignment);
    }
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override
    {
        return this == &other;
    }

    std::pmr::memory_resource* upstream_;
    escape_detector* next_;
};

std::mutex switching;
escape_detector* detectors = nullptr;   // guarded by switching; one for each previous default

/// The detector that is the default resource now; null if none is. The caller holds `switching`.
escape_detector* installed() noexcept
{
    std::pmr::memory_resource const* const now = std::pmr::get_default_resource();
    escape_detector* d = detectors;
    while (d != nullptr && d != now)
        d = d->next();
    return d;
}

}

void set_escape_detection(bool on)
{
    std::lock_guard const guard{switching};
    escape_detector* const now = installed();
    if (on && now == nullptr) {
        std::pmr::memory_resource* const before = std::pmr::get_default_resource();
        escape_detector* d = detectors;
        while (d != nullptr && d->upstream() != before)
            d = d->next();
        if (d == nullptr)
            detectors = d = new escape_detector{before, detectors};
        std::pmr::set_default_resource(d);
    }
    switched_on.store(on, std::memory_order_relaxed);
    if (!on && now != nullptr)
        std::pmr::set_default_resource(now->upstream());
}

bool escape_detection() noexcept { return switched_on.load(std::memory_order_relaxed); }

}
