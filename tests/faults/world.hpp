// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap in use that an operation works on while the system refuses one call, or all from one on; and what must hold after each
// failure. Include it last and in one file of a program: it includes faults.hpp, which replaces operator new.
#pragma once
#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "faults.hpp"
#include "recorder.hpp"
#include "stress.hpp"

namespace failing {

using tslab::allocator;
using options = tslab::allocator_options;

inline constexpr std::size_t reservation = std::size_t{64} << 20;

inline options small_heap()
{
    return {.name = "a heap whose name does not fit into a string itself",
            .epoch_count = 8,
            .reclaim = tslab::reclaim_policy::eager,
            .reserve_bytes = reservation};
}

/// Objects that go back whatever happens.
class bag {
public:
    explicit bag(allocator& heap) : heap_{heap} {}
    ~bag()
    {
        while (count_ != 0)
            drop();
    }
    bag(bag const&) = delete;
    bag& operator=(bag const&) = delete;

    /// False for null. What is kept is written to: that it is memory is part of the test.
    bool add(void* p, std::size_t bytes)
    {
        if (p == nullptr)
            return false;
        all_.at(count_) = {static_cast<std::byte*>(p), bytes, 77 + count_};
        all_.at(count_).fill();
        ++count_;
        return true;
    }
    void drop()
    {
        stress::object const& o = all_.at(--count_);
        intact_ = intact_ && o.intact();
        heap_.free(o.p);
    }
    [[nodiscard]] bool intact() const { return intact_; }

private:
    allocator& heap_;
    std::array<stress::object, 512> all_{};
    std::size_t count_ = 0;
    bool intact_ = true;
};

/// A heap in use, and what is wrong with it.
struct world {
    std::optional<allocator> heap;
    std::vector<stress::object> kept;
    std::string wrong;
    std::optional<tslab::epoch_resource> resource;
    std::unique_ptr<support::worker> thread;   ///< one that has not used the heap
    std::optional<allocator> other;
    std::vector<std::unique_ptr<tslab::segment_part>> taken;   ///< of what can be told

    void make(options const& o = small_heap())
    {
        heap.emplace(o);
        for (std::size_t const bytes : {1U, 16U, 40U, 64U, 200U, 700U, 3000U, 40'000U, 100'000U}) {
            kept.push_back({static_cast<std::byte*>(heap->malloc(bytes)), bytes, bytes * 3});
            kept.back().fill();
        }
    }
    void expect(std::string_view what, std::uint64_t is, std::uint64_t should)
    {
        if (is != should)
            wrong += std::string{what} + " is " + std::to_string(is) + ", not " + std::to_string(should) + "; ";
    }
    void expect(std::string_view what, bool is)
    {
        if (!is)
            wrong += std::string{what} + "; ";
    }
    void check()
    {
        if (!heap)
            return;
        tslab::snapshot const s = heap->snapshot();
        expect("live objects", s.global.live_objects, kept.size());
        expect("allocations without frees", s.global.allocations - s.global.frees, s.global.live_objects);
        std::uint64_t of_epochs = 0;
        for (tslab::epoch_stats const& e : s.epochs)
            of_epochs += e.live_objects;
        expect("live objects of the epochs", of_epochs, s.global.live_objects);
        for (stress::object const& o : kept)
            expect("an object has foreign contents", o.intact());
    }
    void end()
    {
        resource.reset();
        thread.reset();
        other.reset();
        taken.clear();
        if (!heap)
            return;
        for (stress::object const& o : kept)
            heap->free(o.p);
        kept.clear();
        stress::close_everything(*heap);
        heap->trim();
        wrong += stress::wrong_with(*heap);
        heap.reset();
    }
};

inline std::uint64_t runs_that_met_a_failure = 0;

/// Runs `op` on a world that `prepare` made, with call n refused, for every n until a run meets no refusal. `op` says whether
/// it got all it wanted; it may also throw std::bad_alloc.
inline void refuse_each(char const* name, std::function<void(world&)> const& prepare,
                        std::function<bool(world&)> const& op, bool count_memory = true, bool some = true)
{
    faults::seam const seam;
    std::uint64_t runs = 0;
    for (bool const from_then_on : {false, true})
        for (std::uint64_t n = 0;; ++n) {
            std::string wrong;
            std::uint64_t failed = 0;
            std::int64_t const memory = faults::outstanding.load();
            std::size_t const files = faults::open_files();
            {
                stress::report_watch const watch{true};
                world w;
                prepare(w);
                faults::arm(n, from_then_on);
                bool done = false;
                try {
                    done = op(w);
                } catch (std::bad_alloc const&) {
                } catch (std::exception const& e) {
                    faults::armed.store(false);
                    w.wrong += std::string{"thrown: "} + e.what() + "; ";
                }
                failed = faults::disarm();
                w.expect("it fails although nothing did", done || failed != 0);
                w.check();
                try {
                    w.expect("it fails although memory is back", op(w));
                } catch (std::exception const& e) {
                    w.wrong += std::string{"thrown when memory is back: "} + e.what() + "; ";
                }
                w.check();
                w.end();
                if (stress::report_watch::unexpected() != stress::report_watch::count(tslab::misuse::wrong_heap))
                    w.wrong += "misuse was reported; ";
                if (!w.wrong.empty())
                    wrong = name + (' ' + std::to_string(n)) + (from_then_on ? " from then on: " : ": ") + w.wrong;
            }
            if (faults::seam::mapped_without_heaps() != 0)
                wrong += " address space is lost";
            if (wrong.empty() && count_memory && faults::outstanding.load() != memory)
                wrong += name + (" loses memory: " + std::to_string(faults::outstanding.load() - memory));
            if (faults::open_files() != files)
                wrong += " a file stays open";
            BOOST_TEST(wrong == "");
            if (failed == 0 || !wrong.empty())
                break;
            ++runs;
        }
    BOOST_TEST((runs != 0) == some);
    runs_that_met_a_failure += runs;
    std::printf("%-44s %5llu runs met a failure\n", name, static_cast<unsigned long long>(runs));
}

inline void in_use(world& w) { w.make(); }
inline void with_a_resource(world& w)
{
    w.make();
    w.resource.emplace(*w.heap, tslab::resource_options{.label = "resource"});
}
inline void with_a_thread(world& w)
{
    with_a_resource(w);
    w.thread = std::make_unique<support::worker>();
}

inline bool every_size(allocator& heap)
{
    bag b{heap};
    bool all = true;
    for (std::size_t bytes = 0; bytes < 70'000; bytes = bytes * 5 / 4 + 8)
        all = b.add(heap.malloc(bytes), bytes) && all;
    return all && b.intact();
}

inline bool from_resource(std::pmr::memory_resource& r, bool refused_by_exception = true)
{
    bool all = true;
    for (std::size_t bytes = 0; bytes < 200'000; bytes = bytes * 2 + 8)
        for (std::size_t const alignment : {1U, 16U, 256U, 8192U})
            try {
                void* const p = r.allocate(bytes, alignment);
                std::memset(p, 5, bytes);
                r.deallocate(p, bytes, alignment);
            } catch (std::bad_alloc const&) {
                all = false;
            }
    static_cast<void>(refused_by_exception);
    return all;
}

struct directory {
    directory()
    {
        std::string name = (std::filesystem::temp_directory_path() / "tslab-faults-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error{"no directory"};
        path = name;
    }
    ~directory() { std::filesystem::remove_all(path); }
    directory(directory const&) = delete;
    directory& operator=(directory const&) = delete;

    [[nodiscard]] std::size_t files() const
    {
        std::size_t n = 0;
        for ([[maybe_unused]] auto const& one : std::filesystem::directory_iterator{path})
            ++n;
        return n;
    }

    std::filesystem::path path;
};

inline bool make_and_use(options const& o)
{
    allocator heap{o};
    return every_size(heap) && heap.snapshot().global.live_objects == 0;
}

}
