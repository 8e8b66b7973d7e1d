// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Every public operation while the system refuses its first call, its second, and so on until none is left to refuse: once,
// and from then on. After each failure what was live is intact and nothing else is, the figures agree with one another,
// the same operation succeeds when memory is back, and nothing stays behind: no memory, no file, no address space. What only
// looks is in inspection.cpp.
#define BOOST_TEST_MODULE faults_operations
#include <boost/test/unit_test.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

#include "world.hpp"

using failing::bag;
using failing::directory;
using failing::every_size;
using failing::from_resource;
using failing::in_use;
using failing::make_and_use;
using failing::options;
using failing::refuse_each;
using failing::runs_that_met_a_failure;
using failing::small_heap;
using failing::with_a_resource;
using failing::with_a_thread;
using failing::world;
using tslab::allocator;

BOOST_AUTO_TEST_CASE(a_heap_is_made_and_ends)
{
    auto const nothing = [](world&) {};
    static_cast<void>(make_and_use(small_heap()));   // a thread's list of its records is made once and stays
    refuse_each("construction", nothing, [](world&) { return make_and_use(small_heap()); });
    refuse_each("construction, unpublished", nothing, [](world&) {
        options o = small_heap();
        o.publish = false;
        return make_and_use(o);
    });
    refuse_each("construction, huge pages, a large ring", nothing, [](world&) {
        options o = small_heap();
        o.huge_pages = true;
        o.epoch_count = 65'536;
        return make_and_use(o);
    });
    refuse_each("construction beside another", in_use, [](world&) { return make_and_use(small_heap()); });
    // Nothing is left of what the segment has: it must become larger.
    refuse_each(
        "construction beside many",
        [](world& w) {
            w.make();
            constexpr std::size_t first_extent = std::size_t{1} << 20;
            while (tslab::published_segment().committed_bytes() < first_extent)
                w.taken.push_back(std::make_unique<tslab::segment_part>(true, tslab::layout_number()));
            for (std::size_t i = 0; i < 3; ++i)
                w.taken.push_back(std::make_unique<tslab::segment_part>(true, tslab::layout_number()));
        },
        [](world& w) {
            allocator heap{small_heap()};
            bool const good = every_size(heap) && heap.snapshot().global.live_objects == 0;
            faults::calm const calm;
            auto const seen = tslab::observer{::getpid()}.read();
            w.expect("heaps seen", seen.size(), heap.state().published().is_published() ? 2 : 1);
            return good;
        });
}

BOOST_AUTO_TEST_CASE(a_heap_published_in_a_file_is_made_and_ends)
{
    directory const d;
    std::string const file = (d.path / "a name that does not fit into a string itself").string();
    ::setenv("TSLAB_STATS_FILE", file.c_str(), 1);
    auto const left_by_another = [&](world&) {
        for (auto const& one : std::filesystem::directory_iterator{d.path})
            std::filesystem::remove(one);
        std::ofstream{file} << "from a process that died";
    };
    refuse_each("construction, in a file", left_by_another, [&](world&) {
        bool const done = make_and_use(small_heap());
        faults::calm const calm;
        // Only what was there before: under its own name if it could not be renamed, or under the other.
        return done && d.files() <= 2;
    });
    BOOST_TEST(d.files() == 1U);
    // After a heap that could not be made the next one has the name.
    refuse_each(
        "the file's name after a failure", [&](world&) { std::filesystem::remove(file); },
        [&](world&) {
            bool done = false;
            try {
                done = make_and_use(small_heap());
            } catch (std::bad_alloc const&) {
            }
            faults::calm const calm;
            allocator const heap{small_heap()};
            bool const there = std::filesystem::exists(file);
            return done && there;
        });
    refuse_each(
        "the file goes with its heap", [&](world&) { std::filesystem::remove(file); },
        [&](world&) {
            bool done = false;
            try {
                done = make_and_use(small_heap());
            } catch (std::bad_alloc const&) {
            }
            faults::calm const calm;
            if (std::filesystem::exists(file))
                throw std::runtime_error{"the file stays"};
            return done;
        });
    ::unsetenv("TSLAB_STATS_FILE");
}

BOOST_AUTO_TEST_CASE(a_heap_ends_while_memory_is_out)
{
    refuse_each("destruction", in_use, [](world& w) {
        for (stress::object const& o : w.kept)
            w.heap->free(o.p);
        w.kept.clear();
        w.heap.reset();
        faults::calm const calm;
        w.make();   // for the next time
        return true;
    });   // the system may refuse to take the addresses back, and the memory behind them
}

BOOST_AUTO_TEST_CASE(memory_by_pointer)
{
    refuse_each("malloc and free", in_use, [](world& w) { return every_size(*w.heap); });
    refuse_each("many slabs", in_use, [](world& w) {
        bag b{*w.heap};
        bool all = true;
        for (int i = 0; i < 500; ++i)
            all = b.add(w.heap->malloc(20'000), 20'000) && all;
        return all && b.intact();
    });
    refuse_each("large and aligned", in_use, [](world& w) {
        bag b{*w.heap};
        bool all = true;
        tslab::refusal why{};
        for (std::size_t alignment = 16; alignment <= (1U << 20); alignment *= 4)
            for (std::size_t const bytes : {8U, 5000U, 70'000U, 500'000U}) {
                void* const p = w.heap->allocate_bytes(bytes, alignment, w.heap->current_epoch(), why);
                all = b.add(p, bytes) && reinterpret_cast<std::uintptr_t>(p) % alignment == 0 && all;
            }
        return all && b.intact();
    });
    refuse_each(
        "free of another's", with_a_thread,
        [](world& w) {
            bag b{*w.heap};
            bool all = true;
            (*w.thread)([&] {
                for (int i = 0; i < 200; ++i)
                    all = b.add(w.heap->malloc(300), 300) && all;
            });
            while (all && b.intact()) {
                for (int i = 0; i < 200; ++i)
                    b.drop();
                break;
            }
            return all && b.intact();
        },
        false);
    refuse_each(
        "free of what is none of it",
        [](world& w) {
            w.make();
            w.other.emplace(small_heap());
        },
        [](world& w) {
            std::uint64_t const before = stress::report_watch::count(tslab::misuse::wrong_heap);
            void* p = nullptr;
            {
                faults::calm const calm;
                p = w.other->malloc(64);
            }
            w.heap->free(p);
            w.other->free(p);
            return stress::report_watch::count(tslab::misuse::wrong_heap) == before + 1;
        },
        false);
}

BOOST_AUTO_TEST_CASE(memory_by_handle)
{
    refuse_each("handles", in_use, [](world& w) {
        bool all = true;
        for (std::size_t bytes = 1; bytes < 300'000; bytes *= 2) {
            tslab::handle h;
            void* const p = w.heap->allocate(bytes, w.heap->current_epoch(), h);
            if (static_cast<bool>(h) != (p != nullptr))
                throw std::runtime_error{"a handle without memory"};
            all = all && p != nullptr;
            if (p != nullptr && w.heap->free(h) != tslab::free_result::ok)
                throw std::runtime_error{"a handle is refused"};
            if (p != nullptr && w.heap->free(h) == tslab::free_result::ok)
                throw std::runtime_error{"a handle is freed twice"};
        }
        return all;
    });
}

BOOST_AUTO_TEST_CASE(epochs)
{
    refuse_each("advance, close and trim", in_use, [](world& w) {
        allocator& heap = *w.heap;
        bag b{heap};
        bool all = true;
        for (int i = 0; i < 5; ++i) {
            tslab::epoch_id const e = heap.current_epoch();
            for (std::size_t const bytes : {30U, 500U, 10'000U, 100'000U})
                all = b.add(heap.malloc(bytes), bytes) && all;
            if (!heap.is_active(heap.current_epoch()))
                throw std::runtime_error{"the current epoch is not active"};
            all = heap.advance() != e && all;
            for (int k = 0; all && k < 4; ++k)
                b.drop();
            tslab::close_report const report = heap.close(e);
            all = report.madvise_failures == 0 && all;   // what was freed last has drained it already
            heap.trim(heap.current_epoch());
        }
        return heap.trim().madvise_failures == 0 && all && b.intact();
    });
    refuse_each(
        "close while another holds claims", with_a_thread,
        [](world& w) {
            tslab::epoch_id const e = w.heap->current_epoch();
            bool all = true;
            {
                faults::calm const calm;
                (*w.thread)([&] {
                    bag b{*w.heap};
                    for (int i = 0; i < 300; ++i)
                        all = b.add(w.heap->malloc(300), 300) && all;
                });
            }
            tslab::close_report const report = w.heap->close(e);
            return all && report.found && report.deferred_claims == 0 && report.madvise_failures == 0;
        },
        false);
    refuse_each(
        "labels", in_use,
        [](world& w) {
            bool all = true;
            for (int i = 0; i < 20; ++i)
                all = w.heap->set_label(w.heap->current_epoch(), std::array{static_cast<char>('a' + i), '\0'}.data()) &&
                      all;
            return all && w.heap->label_of(w.heap->current_epoch()).view() == "t";
        },
        true, false);   // their memory is reserved from the start
    refuse_each(
        "domains", with_a_thread,
        [](world& w) {
            bool all = false;
            (*w.thread)([&] {
                tslab::epoch_domain d{*w.heap, {.label = "domain"}};
                all = d.epoch() != w.heap->current_epoch();
                std::size_t depth = 0;
                try {
                    for (; depth < 300; ++depth)
                        d.enter();
                } catch (std::bad_alloc const&) {
                    all = false;
                }
                while (depth-- != 0)
                    d.exit();
            });
            return all;
        },
        false);
}

BOOST_AUTO_TEST_CASE(resources)
{
    refuse_each("epoch_resource", in_use, [](world& w) {
        tslab::epoch_resource r{*w.heap, {.label = "one"}};
        bool const own = r.epoch() != w.heap->current_epoch();
        return from_resource(r) && own;
    });
    refuse_each("epoch_resource, shared epoch", in_use, [](world& w) {
        tslab::epoch_resource r{*w.heap, {.label = "one", .share_epoch = true}};
        return from_resource(r);
    });
    refuse_each("epoch_resource, count only, release", in_use, [](world& w) {
        tslab::epoch_resource r{*w.heap, {.deallocate = tslab::deallocate_policy::count_only}};
        bool const first = from_resource(r);
        r.release();
        return from_resource(r) && first;
    });
    refuse_each("epoch_resource, an old one", with_a_resource, [](world& w) {
        bool const done = from_resource(*w.resource);
        w.resource->release();
        return done && from_resource(*w.resource);
    });
    refuse_each("epoch_resource, closed by others", with_a_resource, [](world& w) {
        void* p = nullptr;
        bool const all = from_resource(*w.resource);
        try {
            p = w.resource->allocate(100);
        } catch (std::bad_alloc const&) {
        }
        w.heap->close(w.resource->epoch());
        bool refused = false;
        try {
            static_cast<void>(w.resource->allocate(100));
        } catch (std::bad_alloc const&) {
            refused = true;
        }
        if (p != nullptr)
            w.resource->deallocate(p, 100);
        bool const there = p != nullptr;
        faults::calm const calm;
        w.resource.emplace(*w.heap);
        return refused && there && all;
    });
    refuse_each("epoch_scope", in_use, [](world& w) {
        tslab::epoch_scope const scope{*w.heap, "scope"};
        std::pmr::vector<std::pmr::string> v{scope.resource()};
        for (int i = 0; i < 200; ++i)
            v.emplace_back(static_cast<std::size_t>(i), 'x');
        return v.size() == 200;
    });
    refuse_each("more scopes than the ring has slots", in_use, [](world& w) {
        std::array<std::optional<tslab::epoch_scope>, 20> scopes;
        bool all = true;
        struct unwind {   // innermost first
            std::array<std::optional<tslab::epoch_scope>, 20>& scopes;
            ~unwind()
            {
                for (std::size_t i = scopes.size(); i-- > 0;)
                    scopes[i].reset();
            }
        } const at_the_end{scopes};
        for (auto& one : scopes) {
            one.emplace(*w.heap, "scope");
            all = from_resource(*one->resource()) && all;
        }
        return all;
    });
}

namespace {

/// The result of `operation` on the world's other thread; false if it does not end.
template <class F> bool on_its_thread(world& w, F operation)
{
    bool done = false;
    (*w.thread)([&] { done = operation(); });
    return done;
}

}

BOOST_AUTO_TEST_CASE(a_thread_begins_and_ends)
{
    refuse_each(
        "a new thread allocates", with_a_thread,
        [](world& w) { return on_its_thread(w, [&] { return every_size(*w.heap); }); }, false);
    refuse_each(
        "a new thread uses another's resource", with_a_thread,
        [](world& w) { return on_its_thread(w, [&] { return from_resource(*w.resource); }); }, false);
    refuse_each(
        "a new thread makes scopes", with_a_thread,
        [](world& w) {
            bool done = false;
            (*w.thread)([&] {
                try {
                    tslab::epoch_scope const scope{*w.heap, "scope"};
                    done = from_resource(*scope.resource());
                } catch (std::bad_alloc const&) {
                }
            });
            return done;
        },
        false);
    refuse_each(
        "a thread ends", with_a_thread,
        [](world& w) {
            bool done = false;
            if (!w.thread) {
                faults::calm const calm;
                w.thread = std::make_unique<support::worker>();
            }
            (*w.thread)([&] { done = every_size(*w.heap); });
            w.thread.reset();   // while memory is out
            return done;
        },
        false);
    // The record of a thread must not outlive it: no hook would run at its end.
    refuse_each(
        "many threads end", with_a_resource,
        [](world& w) {
            unsigned done = 0;
            for (int i = 0; i < 8; ++i) {
                std::optional<support::worker> thread;
                {
                    faults::calm const calm;
                    thread.emplace();
                }
                (*thread)([&] {
                    bag b{*w.heap};
                    done += b.add(w.heap->malloc(100), 100) ? 1U : 0U;
                });
            }
            return done == 8;
        },
        false);
}

BOOST_AUTO_TEST_CASE(zz_enough_failures_were_provoked)
{
    std::printf("%llu runs met a failure; %s\n", static_cast<unsigned long long>(runs_that_met_a_failure),
                faults::summary().c_str());
    BOOST_TEST(runs_that_met_a_failure > 200U);
}
