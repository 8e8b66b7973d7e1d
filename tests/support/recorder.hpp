// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What most tests need: an error handler that records misuse instead of aborting, iteration counts that shrink under a
// sanitizer, and short ways to a snapshot's figures. Include it last: it imports tslab.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>
import tslab.internal;

#if !defined(__has_feature)
#define __has_feature(x) 0
#endif

namespace support {

#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// `n` iterations, a tenth of them under a sanitizer.
constexpr std::size_t scaled(std::size_t n) { return sanitized ? std::max<std::size_t>(n / 10, 1) : n; }

/// A report with its own copies of the texts.
struct seen {
    tslab::misuse kind{};
    bool fatal = false;
    void const* address = nullptr;
    std::string heap, label, other, file;
    std::size_t size_class = 0;
    std::size_t given = 0;
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
    std::uint32_t line = 0;
    std::uint64_t other_thread = 0;
};

/// While it lives, misuse is recorded and the operation goes on as a no-op. One at a time.
class recorder {
public:
    recorder()
        : before_{[] {
              std::lock_guard const guard{lock()};
              list().clear();
              return tslab::set_error_handler(&record);
          }()}
    {
    }
    ~recorder() { tslab::set_error_handler(before_); }
    recorder(recorder const&) = delete;
    recorder& operator=(recorder const&) = delete;

    [[nodiscard]] std::vector<seen> all() const
    {
        std::lock_guard const guard{lock()};
        return list();
    }
    [[nodiscard]] std::size_t count() const { return all().size(); }
    [[nodiscard]] std::size_t count(tslab::misuse kind) const
    {
        auto const v = all();
        return static_cast<std::size_t>(
            std::count_if(v.begin(), v.end(), [&](seen const& s) { return s.kind == kind; }));
    }
    /// The last report; an empty one when there was none.
    [[nodiscard]] seen last() const
    {
        auto v = all();
        return v.empty() ? seen{} : v.back();
    }
    void clear()
    {
        std::lock_guard const guard{lock()};
        list().clear();
    }

private:
    static std::mutex& lock()
    {
        static std::mutex m;
        return m;
    }
    static std::vector<seen>& list()
    {
        static std::vector<seen> v;
        return v;
    }
    static void record(tslab::misuse_report const& r)
    {
        std::lock_guard const guard{lock()};
        list().push_back({r.kind, r.fatal, r.address, std::string{r.heap}, std::string{r.epoch_label},
                          std::string{r.other}, r.file != nullptr ? r.file : "", r.size_class, r.given, r.objects,
                          r.bytes, r.line, r.other_thread});
    }

    tslab::error_handler before_;
};

/// The figures of one epoch; a default one (era 0) when the slot holds another era.
inline tslab::epoch_stats stats_of(tslab::snapshot const& s, tslab::epoch_id e)
{
    for (auto const& one : s.epochs)
        if (one.index == e.index && one.era == e.era)
            return one;
    return {};
}
inline tslab::epoch_stats stats_of(tslab::allocator const& heap, tslab::epoch_id e)
{
    return stats_of(heap.snapshot(), e);
}

/// Runs `f` on a thread of its own and waits for its end.
template <class F> void on_other_thread(F&& f) { std::thread{std::forward<F>(f)}.join(); }

/// A thread that does what it is told, step by step, and idles in between without ending.
class worker {
public:
    worker() : thread_{[this] { run(); }} {}
    ~worker()
    {
        stop_.store(true);
        turn_.store(1);
        turn_.notify_all();
        thread_.join();
    }
    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;

    /// Runs `f` on the thread and waits until it is done.
    template <class F> void operator()(F f)
    {
        job_ = std::move(f);
        turn_.store(1);
        turn_.notify_all();
        while (turn_.load() != 0)
            turn_.wait(1);
    }

private:
    void run()
    {
        for (;;) {
            while (turn_.load() == 0)
                turn_.wait(0);
            if (stop_.load())
                return;
            job_();
            turn_.store(0);
            turn_.notify_all();
        }
    }

    std::function<void()> job_;
    std::atomic<int> turn_{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;   // last: it uses the others
};

}
