// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A handler that returns turns every misuse into a counted no-op: it gets the whole story, nothing changes, and the
// heap works on. The same for handles, which never reach the handler at all: each misuse has its code.
#define BOOST_TEST_MODULE death_handler
#include "death.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>
import tslab.internal;

namespace {

using death::must;

struct seen_report {
    tslab::misuse kind;
    void const* address;
    std::string heap, label, other;
    std::size_t size_class, given;
};
std::vector<seen_report> reports;

void record(tslab::misuse_report const& r)
{
    reports.push_back({r.kind, r.address, std::string{r.heap}, std::string{r.epoch_label}, std::string{r.other},
                       r.size_class, r.given});
}

/// The one report since the last call was of this kind and address, in heap "h".
void expect(tslab::misuse kind, void const* address, std::string_view label, std::size_t size_class, char const* what)
{
    must(reports.size() == 1, what);
    seen_report const r = reports.front();
    reports.clear();
    must(r.kind == kind && r.address == address && r.heap == "h" && r.label == label && r.size_class == size_class,
         what);
}

}

BOOST_AUTO_TEST_CASE(every_misuse_of_a_pointer_is_a_counted_no_op)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        using tslab::misuse;
        tslab::set_error_handler(record);
        tslab::allocator heap{{.name = "h"}};
        tslab::allocator other{{.name = "o"}};
        tslab::epoch_resource first{heap, {.label = "first"}};
        tslab::epoch_resource second{heap, {.label = "second"}};
        auto* const p = static_cast<std::byte*>(first.allocate(128));
        auto* const gone = static_cast<std::byte*>(first.allocate(128));
        auto* const large = static_cast<std::byte*>(first.allocate(80'000));
        void* const elsewhere = other.malloc(64);
        std::memset(p, 0x5a, 128);
        std::memset(large, 0x5a, 80'000);
        first.deallocate(gone, 128);
        int local = 0;

        heap.free(gone);
        expect(misuse::double_free, gone, "first", 128, "double free");
        first.deallocate(gone, 128);
        expect(misuse::double_free, gone, "first", 128, "double deallocate");
        heap.free(&local);
        expect(misuse::foreign_pointer, &local, "", 0, "foreign");
        heap.free(p + 8);
        expect(misuse::interior_pointer, p + 8, "first", 128, "interior");
        heap.free(large + 8192);
        expect(misuse::interior_pointer, large + 8192, "first", 0, "interior, large");
        first.deallocate(p, 64);
        must(!reports.empty() && reports[0].given == 64, "wrong size is reported");
        expect(misuse::wrong_size, p, "first", 128, "wrong size");
        first.deallocate(large, 80'001);
        expect(misuse::wrong_size, large, "first", 0, "wrong size, large");
        heap.free(elsewhere);
        must(!reports.empty() && reports[0].other == "o", "the owning heap is named");
        expect(misuse::wrong_heap, elsewhere, "", 0, "wrong heap");
        second.deallocate(p, 128);
        must(!reports.empty() && reports[0].other == "second", "the wrong resource is named");
        expect(misuse::wrong_resource, p, "first", 128, "wrong resource");
        second.deallocate(large, 80'000);
        expect(misuse::wrong_resource, large, "first", 0, "wrong resource, large");

        tslab::snapshot const s = heap.snapshot();
        must(s.global.misuses == 10, "each is counted once");
        must(s.global.live_objects == 2, "nothing was freed");
        for (std::size_t i = 0; i < 128; ++i)
            must(p[i] == std::byte{0x5a}, "nothing was written");
        for (std::size_t i = 0; i < 80'000; ++i)
            must(large[i] == std::byte{0x5a}, "nothing was written, large");
        first.deallocate(p, 128);
        first.deallocate(large, 80'000);
        other.free(elsewhere);
        must(reports.empty() && heap.snapshot().global.live_objects == 0, "the heap works on");
    });
}

BOOST_AUTO_TEST_CASE(every_misuse_of_a_domain_changes_nothing)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        using tslab::misuse;
        tslab::set_error_handler(record);
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_domain a{heap, {.label = "a", .auto_close = false}};
        tslab::epoch_domain b{heap, {.label = "b", .auto_close = false}};
        a.exit();
        expect(misuse::not_entered, nullptr, "a", 0, "not entered");
        a.enter();
        b.enter();
        a.exit();
        must(!reports.empty() && reports[0].other == "b", "the open scope is named");
        expect(misuse::scope_order, nullptr, "a", 0, "scope order");
        must(a.entered() && tslab::epoch_domain::current() == &b, "an exit out of order changes nothing");
        std::thread{[&] { b.exit(); }}.join();
        expect(misuse::wrong_thread, nullptr, "b", 0, "wrong thread, exit");
        std::thread{[&] { b.enter(); }}.join();
        expect(misuse::wrong_thread, nullptr, "b", 0, "wrong thread, enter");
        must(b.depth() == 1, "another thread changes nothing");
        b.exit();
        a.exit();
        must(reports.empty() && tslab::epoch_domain::current() == nullptr, "in order it works");
        tslab::global_stats const g = heap.snapshot().global;
        must(g.misuses == 4 && g.domain_enters == 2 && g.domain_exits == 2, "counted, and only what happened");
    });
}

BOOST_AUTO_TEST_CASE(scopes_destroyed_out_of_order_all_end)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::set_error_handler(record);
        tslab::allocator heap{{.name = "h", .epoch_count = 8}};
        for (int round = 0; round < 100; ++round) {
            auto outer = std::make_unique<tslab::epoch_scope>(heap, "outer");
            auto middle = std::make_unique<tslab::epoch_scope>(heap, "middle");
            auto inner = std::make_unique<tslab::epoch_scope>(heap, "inner");
            outer->resource()->deallocate(outer->resource()->allocate(64), 64);
            outer.reset();
            expect(tslab::misuse::scope_order, nullptr, "outer", 0, "outer before inner");
            must(tslab::epoch_domain::current() == &inner->domain(), "the innermost stays current");
            inner.reset();
            must(reports.empty() && tslab::epoch_domain::current() == &middle->domain(), "then the next is current");
            middle.reset();
        }
        tslab::global_stats const g = heap.snapshot().global;
        must(tslab::epoch_domain::current() == nullptr && g.domain_enters == g.domain_exits && g.closing_epochs == 0 &&
                 g.active_epochs == 1 && g.ring_exhausted == 0,
             "every epoch came back");
    });
}

BOOST_AUTO_TEST_CASE(a_domain_destroyed_while_entered_lets_its_epoch_go)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::set_error_handler(record);
        tslab::allocator heap{{.name = "h", .epoch_count = 4}};
        for (int round = 0; round < 20; ++round) {
            {
                tslab::epoch_domain d{heap, {.label = "d"}};
                d.enter();
                d.enter();
            }
            expect(tslab::misuse::destroyed_entered, nullptr, "d", 0, "destroyed while entered");
            must(tslab::epoch_domain::current() == nullptr, "no thread has it as its current domain");
        }
        tslab::global_stats const g = heap.snapshot().global;
        must(g.active_epochs == 1 && g.closing_epochs == 0 && g.ring_exhausted == 0, "every epoch came back");
    });
}

BOOST_AUTO_TEST_CASE(every_misuse_of_a_handle_has_its_code)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        using tslab::free_result;
        tslab::allocator heap{{.name = "h"}};
        tslab::allocator other{{.name = "o"}};
        for (std::size_t const bytes : {std::size_t{64}, std::size_t{768}, std::size_t{30'000}}) {
            tslab::handle h;
            void* const p = heap.allocate(bytes, heap.current_epoch(), h);
            must(p != nullptr && h, "allocated");
            must(other.free(h) == free_result::foreign, "another heap");
            must(heap.free(tslab::handle{}) == free_result::foreign, "no handle");
            must(heap.free(tslab::handle{h.bits() + 1U}) == free_result::corrupt, "a generation never issued");
            must(heap.free(tslab::handle{h.bits() | std::uint64_t{0x3ffffff} << 31}) == free_result::corrupt,
                 "no such page");
            must(heap.free(h) == free_result::ok, "freed");
            must(heap.free(h) == free_result::already_free, "freed twice");
            tslab::handle again;
            void* const q = heap.allocate(bytes, heap.current_epoch(), again);
            must(q == p && again != h, "the slot is used again under another handle");
            must(heap.free(h) == free_result::stale, "stale");
            must(heap.free(again) == free_result::ok, "freed again");
        }
        must(heap.snapshot().global.refused_handles == 15 && other.snapshot().global.refused_handles == 3, "counted");
        must(heap.snapshot().global.misuses == 0, "and no misuse");
    });
}

BOOST_AUTO_TEST_CASE(handles_freed_by_pointer_are_known_as_freed)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        for (std::size_t const bytes : {std::size_t{64}, std::size_t{30'000}}) {
            tslab::handle h;
            heap.free(heap.allocate(bytes, heap.current_epoch(), h));
            must(heap.free(h) == tslab::free_result::already_free, "freed by pointer");
        }
    });
}

// With one object live, no handle but its own frees anything: neither one with a bit flipped nor one made up.
BOOST_AUTO_TEST_CASE(no_other_handle_frees_the_object)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        tslab::handle gone;
        for (int i = 0; i < 40; ++i) {
            static_cast<void>(heap.allocate(128, heap.current_epoch(), gone));
            must(heap.free(gone) == tslab::free_result::ok, "freed");
        }
        tslab::handle h;
        static_cast<void>(heap.allocate(128, heap.current_epoch(), h));
        for (unsigned bit = 0; bit < 64; ++bit)
            must(heap.free(tslab::handle{h.bits() ^ std::uint64_t{1} << bit}) != tslab::free_result::ok, "one bit off");
        std::mt19937_64 random{7};
        for (int i = 0; i < 200'000; ++i) {
            std::uint64_t const bits = random() >> (random() % 64);
            if (bits != h.bits())
                must(heap.free(tslab::handle{bits}) != tslab::free_result::ok, "made up");
        }
        must(heap.snapshot().global.live_objects == 1 && heap.free(h) == tslab::free_result::ok, "it is still there");
    });
}

// Refused from inside an operation means not done: the object can be freed afterwards, by handle and by pointer.
namespace {
tslab::os_calls real_calls;
void (*during_commit)() = nullptr;
tslab::allocator* the_heap = nullptr;
tslab::handle handle_of_one, handle_of_two;
void* two = nullptr;

bool commit_and_call(void* begin, std::size_t bytes) noexcept
{
    if (auto* const call = during_commit) {
        during_commit = nullptr;
        call();
    }
    return real_calls.commit(begin, bytes);
}
tslab::map_result map_and_call(void* begin, std::size_t bytes) noexcept
{
    if (auto* const call = during_commit) {
        during_commit = nullptr;
        call();
    }
    return real_calls.map_at(begin, bytes);
}
}

BOOST_AUTO_TEST_CASE(a_free_refused_from_inside_an_operation_can_be_done_later)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        real_calls = tslab::os();
        static tslab::os_calls const calls{real_calls.reserve, map_and_call, commit_and_call, real_calls.purge,
                                           real_calls.release};
        tslab::set_os_calls(&calls);
        tslab::set_error_handler(record);
        tslab::allocator heap{{.name = "h"}};
        the_heap = &heap;
        must(heap.allocate(64, heap.current_epoch(), handle_of_one) != nullptr, "one");
        two = heap.allocate(64, heap.current_epoch(), handle_of_two);
        during_commit = [] {
            must(the_heap->free(handle_of_one) != tslab::free_result::ok, "refused by handle");
            the_heap->free(two);
            the_heap->free(handle_of_two);
        };
        std::vector<void*> p;
        while (during_commit != nullptr)
            p.push_back(heap.malloc(768));
        must(heap.snapshot().global.live_objects == p.size() + 2, "nothing was freed");
        for (void* const one : p)
            heap.free(one);
        reports.clear();
        must(heap.free(handle_of_one) == tslab::free_result::ok, "later, by handle");
        heap.free(two);
        must(reports.empty() && heap.snapshot().global.live_objects == 0, "later, by pointer");
    });
}
