// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the stress tests share: seed, duration and number of threads from the environment, objects whose contents name
// them, what to demand of a heap once all is quiet. Include it after every other header: it imports tslab.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>
import tslab.internal;

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSLAB_UNDER_TSAN 1
#endif
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TSLAB_SANITIZED 1
#endif
#endif

namespace stress {

using random_source = std::mt19937_64;

/// TSLAB_STRESS_SEED, TSLAB_STRESS_SECONDS (per case), TSLAB_STRESS_THREADS. Printed when first asked for.
struct settings {
    std::uint64_t seed;
    double seconds;
    unsigned threads;
};

inline settings& given()
{
    static settings one = [] {
        auto const text = [](char const* name, std::string const& otherwise) {
            char const* const value = std::getenv(name);
            return value != nullptr ? std::string{value} : otherwise;
        };
#if defined(TSLAB_UNDER_TSAN)
        constexpr char const* threads = "4";
#else
        constexpr char const* threads = "8";
#endif
        settings s{};
        s.seed = std::stoull(text("TSLAB_STRESS_SEED", std::to_string(std::random_device{}())));
        s.seconds = std::stod(text("TSLAB_STRESS_SECONDS", "2"));
        s.threads = std::max(1U, static_cast<unsigned>(std::stoul(text("TSLAB_STRESS_THREADS", threads))));
        std::printf("TSLAB_STRESS_SEED=%llu TSLAB_STRESS_SECONDS=%g TSLAB_STRESS_THREADS=%u\n",
                    static_cast<unsigned long long>(s.seed), s.seconds, s.threads);
        std::fflush(stdout);
        return s;
    }();
    return one;
}

/// Reads the arguments behind `--`, or the ones Boost.Test left alone: --threads, --seconds, --seed, and --ring where one is
/// asked for. False, and why, for anything else.
inline bool read_arguments(int argc, char** argv, std::uint32_t* ring = nullptr)
{
    settings& s = given();
    for (int i = 1; i < argc; i += 2) {
        std::string_view const name = argv[i];
        std::string_view const value = i + 1 < argc ? argv[i + 1] : "";
        std::uint64_t number = 0;
        auto const [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc{} || end != value.data() + value.size()) {
            std::fprintf(stderr, "%s needs a number\n", argv[i]);
            return false;
        }
        if (name == "--threads")
            s.threads = static_cast<unsigned>(number);
        else if (name == "--seconds")
            s.seconds = static_cast<double>(number);
        else if (name == "--seed")
            s.seed = number;
        else if (name == "--ring" && ring != nullptr)
            *ring = static_cast<std::uint32_t>(number);
        else {
            std::fprintf(stderr, "unknown option %s\n", argv[i]);
            return false;
        }
    }
    return s.threads != 0;
}

/// A source of its own for each thread of a case; the same for the same seed.
inline random_source source_for(std::uint64_t stream)
{
    return random_source{given().seed * 0x9e3779b97f4a7c15U + stream};
}

inline std::size_t below(random_source& r, std::size_t n) { return static_cast<std::size_t>(r() % n); }

/// Counts reports by kind while it lives, and prints those that are not expected.
class report_watch {
public:
    explicit report_watch(bool quiet = false)
    {
        for (auto& c : counts_)
            c.store(0);
        quiet_ = quiet;
        before_ = tslab::set_error_handler(note);
    }
    ~report_watch() { tslab::set_error_handler(before_); }
    report_watch(report_watch const&) = delete;
    report_watch& operator=(report_watch const&) = delete;

    [[nodiscard]] static std::uint64_t count(tslab::misuse kind)
    {
        return counts_[static_cast<std::size_t>(kind)].load();
    }
    /// All but leaks, which scopes with late frees are meant to report.
    [[nodiscard]] static std::uint64_t unexpected()
    {
        std::uint64_t n = 0;
        for (std::size_t k = 0; k < counts_.size(); ++k)
            n += k != static_cast<std::size_t>(tslab::misuse::leak) ? counts_[k].load() : 0;
        return n;
    }
    /// Reports that the calling thread has caused.
    [[nodiscard]] static std::uint64_t& of_this_thread()
    {
        static thread_local std::uint64_t n = 0;
        return n;
    }

private:
    static void note(tslab::misuse_report const& r)
    {
        ++of_this_thread();
        counts_[static_cast<std::size_t>(r.kind)].fetch_add(1, std::memory_order_relaxed);
        if (quiet_ || r.kind == tslab::misuse::leak)
            return;
        std::array<char, 512> line{};
        std::fwrite(line.data(), 1, tslab::format(r, line.data(), line.size()), stderr);
    }

    static inline std::array<std::atomic<std::uint64_t>, tslab::misuse_count> counts_{};
    static inline bool quiet_ = false;
    tslab::error_handler before_;
};

/// An object and what must be in it: the first word says its size, the others are derived from its address and mark.
struct object {
    std::byte* p = nullptr;
    std::size_t size = 0;
    std::uint64_t mark = 0;

    // Large objects are looked at in steps, small ones whole.
    [[nodiscard]] std::size_t step() const { return size > 4096 ? 1024 : 8; }
    [[nodiscard]] std::uint64_t word_at(std::size_t i) const
    {
        return mark ^ (reinterpret_cast<std::uintptr_t>(p) + i);
    }

    void fill() const
    {
        for (std::size_t i = 0; i + 8 <= size; i += step()) {
            std::uint64_t const word = word_at(i);
            std::memcpy(p + i, &word, sizeof(word));
        }
        if (size < 8)
            std::memset(p, static_cast<int>(mark & 0xff), size);
    }
    [[nodiscard]] bool intact() const
    {
        for (std::size_t i = 0; i + 8 <= size; i += step()) {
            std::uint64_t word = 0;
            std::memcpy(&word, p + i, sizeof(word));
            if (word != word_at(i))
                return false;
        }
        for (std::size_t i = 0; size < 8 && i < size; ++i)
            if (p[i] != static_cast<std::byte>(mark & 0xff))
                return false;
        return true;
    }
};

/// What a case did, by its own count.
struct tally {
    std::atomic<std::uint64_t> allocated{0}, freed{0}, refused{0}, bad{0}, scopes{0}, closes{0}, threads{0};
};

/// Objects on their way from one thread to another.
class exchange {
public:
    explicit exchange(std::size_t most = 20'000) : most_{most} {}

    /// False when it is full: the object stays with the caller.
    bool give(object const& o)
    {
        std::lock_guard const guard{lock_};
        if (objects_.size() >= most_)
            return false;
        objects_.push_back(o);
        return true;
    }
    bool take(object& o, random_source& r)
    {
        std::lock_guard const guard{lock_};
        if (objects_.empty())
            return false;
        std::swap(objects_[below(r, objects_.size())], objects_.back());
        o = objects_.back();
        objects_.pop_back();
        return true;
    }
    std::vector<object> take_all()
    {
        std::lock_guard const guard{lock_};
        return std::exchange(objects_, {});
    }

private:
    std::mutex lock_;
    std::vector<object> objects_;
    std::size_t most_;
};

/// One heap and everything that happens to it in a case.
struct bench {
    tslab::allocator& heap;
    tally done;
    exchange late;
    std::atomic<bool> stop{false};

    explicit bench(tslab::allocator& h) : heap{h} {}

    bool allocate(object& o, std::size_t size, random_source& r)
    {
        o = {static_cast<std::byte*>(heap.malloc(size)), size, r()};
        if (o.p == nullptr) {
            done.refused.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        o.fill();
        done.allocated.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    bool allocate_from(std::pmr::memory_resource& from, object& o, std::size_t size, random_source& r)
    {
        try {
            o = {static_cast<std::byte*>(from.allocate(size, 16)), size, r()};
        } catch (tslab::epoch_closed const&) {
            done.refused.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        o.fill();
        done.allocated.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    void check(object const& o)
    {
        if (!o.intact())
            done.bad.fetch_add(1, std::memory_order_relaxed);
        done.freed.fetch_add(1, std::memory_order_relaxed);
    }
    void free(object const& o)
    {
        check(o);
        heap.free(o.p);
    }
    void free_into(std::pmr::memory_resource& into, object const& o)
    {
        check(o);
        into.deallocate(o.p, o.size, 16);
    }
    void free_all_late()
    {
        for (object const& o : late.take_all())
            free(o);
    }
    [[nodiscard]] bool going() const { return !stop.load(std::memory_order_relaxed); }

    /// Runs `roles` on a thread each for the time given.
    void run(std::vector<std::function<void(random_source&)>> const& roles)
    {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < roles.size(); ++i)
            threads.emplace_back([&roles, i] {
                random_source r = source_for(i + 1);
                roles[i](r);
            });
        std::this_thread::sleep_for(std::chrono::duration<double>(given().seconds));
        stop.store(true, std::memory_order_relaxed);
        for (std::thread& t : threads)
            t.join();
    }
};

/// Closes every epoch of a heap that is not in use any more; the current one is replaced by a new one first.
inline void close_everything(tslab::allocator& heap)
{
    heap.advance();
    tslab::epoch_id const now = heap.current_epoch();
    for (tslab::epoch_stats const& e : heap.snapshot().epochs)
        if (tslab::epoch_id{e.index, e.era} != now)
            heap.close({e.index, e.era});
    heap.trim(now);
}

/// What is wrong with a heap that is quiet, all of whose objects were freed and whose epochs were closed; empty if nothing.
/// `b`: what the case itself counted.
inline std::string wrong_with(tslab::allocator& heap, tally const* done = nullptr)
{
    tslab::snapshot const s = heap.snapshot();
    tslab::global_stats const& g = s.global;
    std::string out;
    auto const expect = [&out](char const* what, std::uint64_t is, std::uint64_t should) {
        if (is != should)
            out += std::string{what} + " is " + std::to_string(is) + ", not " + std::to_string(should) + "; ";
    };
    expect("live_objects", g.live_objects, 0);
    expect("live_bytes", g.live_bytes, 0);
    expect("slabs_in_use", g.slabs_in_use, 0);
    expect("large_pages", g.large_pages, 0);
    expect("closing_epochs", g.closing_epochs, 0);
    expect("active_epochs", g.active_epochs, 1);
    expect("frees", g.frees, g.allocations);
    expect("epoch_closes", g.epoch_closes, g.epoch_opens - 1);
    expect("epoch_drains", g.epoch_drains, g.epoch_opens - 1);
    expect("domain_exits", g.domain_exits, g.domain_enters);
    std::uint64_t cached_pages = 0;
    for (tslab::class_stats const& c : s.classes)
        cached_pages += c.cached_slabs * c.pages_per_slab;
    expect("pages accounted for",
           cached_pages + g.free_resident_pages + g.free_purged_pages + heap.state().checks().quarantined_pages(),
           heap.state().pages().used_pages());
    expect("slab_pages", g.slab_pages, 0);
    std::uint64_t refcounts = 0;
    for (tslab::epoch_stats const& e : s.epochs)
        refcounts += e.refcount;
    expect("refcounts", refcounts, 0);
    if (done != nullptr) {
        expect("objects with foreign contents", done->bad.load(), 0);
        expect("objects freed", done->freed.load(), done->allocated.load());
        expect("allocations", g.allocations, done->allocated.load());
    }
    return out;
}

}
