// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A resource's thread is interrupted by a signal handler after each instruction of an allocation and of a free. A resource of
// the handler's own may be used there; of the same resource and class, only a few instructions must not be met, and it is
// counted how many. Checked builds find those too: tests/checked/interrupted.cpp.
#define BOOST_TEST_MODULE pmr_interrupted
#include "single_step.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "recorder.hpp"

using support::recorder;

#if defined(TSLAB_CAN_STEP)
namespace {

constexpr std::size_t size = 64;
constexpr std::size_t stride = support::sanitized ? 23 : 1;   // their code is many times as long

tslab::epoch_resource* shared_with_handler = nullptr;
tslab::epoch_resource* of_handler = nullptr;
void* given = nullptr;

void use_own()
{
    void* const p = of_handler->allocate(size);
    std::memset(p, 0x5a, size);
    of_handler->deallocate(p, size);
}
void use_own_if_admitted()
{
    try {
        use_own();
    } catch (std::bad_alloc const&) {   // and reported
    }
}
[[maybe_unused]] void allocate_too() { given = shared_with_handler->allocate(size); }
[[maybe_unused]] void free_too() { shared_with_handler->deallocate(given, size); }

constexpr std::size_t other_size = 200;   // of slabs of one page too
[[maybe_unused]] std::vector<void*> of_other_class;
[[maybe_unused]] void allocate_other_class()
{
    constexpr std::size_t most = 512;
    for (std::size_t i = 0; i != most; ++i)
        try {
            of_other_class.push_back(shared_with_handler->allocate(other_size));
        } catch (std::bad_alloc const&) {   // and reported
            return;
        }
}

[[maybe_unused]] std::size_t given_size = size;
[[maybe_unused]] void free_given() { shared_with_handler->deallocate(given, given_size); }

std::uint64_t live(tslab::allocator& heap) { return heap.snapshot().global.live_objects; }

}

BOOST_AUTO_TEST_CASE(a_handler_may_use_a_resource_of_its_own_after_every_instruction)
{
    recorder const seen;
    tslab::allocator heap{{.name = "interrupted"}};
    tslab::epoch_resource r{heap, {.label = "program"}};
    tslab::epoch_resource own{heap, {.label = "handler"}};
    of_handler = &own;
    own.deallocate(own.allocate(size), size);
    std::set<void*> all;
    std::size_t n = 1;
    for (void* p = nullptr; support::interrupted_after(n, use_own, [&] { p = r.allocate(size); }); n += stride) {
        BOOST_REQUIRE(all.insert(p).second);
        std::memset(p, 0xa5, size);
    }
    BOOST_TEST(n > 10 * stride);                // it was interrupted indeed
    BOOST_TEST(live(heap) == all.size() + 1);   // and the last one, which had fewer instructions
    std::size_t done = 0;
    for (void* const p : all) {
        done += support::interrupted_after(1 + done * stride, use_own, [&] { r.deallocate(p, size); }) ? 1 : 0;
    }
    BOOST_TEST(done > 10U);
    BOOST_TEST(live(heap) == 1U);
    BOOST_TEST(r.release() == 1U);
    BOOST_TEST(seen.count() == 0U);
}

// The thread leaves an operation during which another thread has trimmed the heap: it flushes its revoked caches, under the locks
// of their epochs, the handler's among them.
BOOST_AUTO_TEST_CASE(a_handler_whose_resource_is_being_flushed_is_refused_and_does_not_wait)
{
    recorder const seen;
    tslab::allocator heap{{.name = "interrupted"}};
    tslab::epoch_resource own{heap, {.label = "handler"}};
    of_handler = &own;
    void* const kept = own.allocate(size);
    tslab::thread_record& me = *heap.state().record();
    std::size_t n = 1;
    for (bool interrupted = true; interrupted; n += 3 * stride) {
        own.deallocate(own.allocate(size), size);
        heap.free(heap.malloc(size, own.epoch()));   // a cache whose flush is asked for, in the same epoch
        BOOST_REQUIRE(me.enter());
        support::on_other_thread([&] { heap.trim(own.epoch()); });
        interrupted = support::interrupted_after(n, use_own_if_admitted, [&] { me.leave(); });
    }
    BOOST_TEST(n > 100 * stride);
    BOOST_TEST(seen.count() > 10U);
    BOOST_TEST(seen.count() == seen.count(tslab::misuse::reentry));
    own.deallocate(kept, size);
    BOOST_TEST(live(heap) == 0U);
}

#if !defined(TSLAB_CHECKED)   // there what is freed waits in quarantine
// The allocation that is interrupted finds its slab full and takes the next one of the stack; the handler frees into a third one, which
// was full. For slabs of one subslab and of two.
BOOST_AUTO_TEST_CASE(a_refill_that_a_free_interrupts_loses_no_slot)
{
    for (unsigned const bytes : {64U, 32U}) {
        unsigned const c = tslab::class_of(bytes);
        std::size_t const slots = tslab::bins[c].slab_slots();
        std::size_t done = 0;
        std::size_t listed = 0;
        for (bool interrupted = true; interrupted; ++done) {
            recorder const seen;
            tslab::allocator heap{{.name = "interrupted"}};
            tslab::epoch_resource r{heap, {.label = "program"}};
            std::vector<void*> all(3 * slots);
            for (void*& p : all)
                p = r.allocate(bytes);
            r.deallocate(all[0], bytes);       // the first slab becomes the current one
            r.deallocate(all[slots], bytes);   // the second is put on the stack
            BOOST_REQUIRE(r.allocate(bytes) == all[0]);
            shared_with_handler = &r;
            given = all[2 * slots];
            given_size = bytes;
            void* p = nullptr;
            interrupted = support::interrupted_after(1 + done * stride, free_given, [&] { p = r.allocate(bytes); });
            // A free that met the refill is reported, and its slab is listed when that is empty: docs/misuse.md.
            if (interrupted && seen.count() == 0U) {
                ++listed;
                void* const q = r.allocate(bytes);
                BOOST_TEST(std::set<void*>({p, q}) == std::set<void*>({all[slots], all[2 * slots]}));
                BOOST_TEST(heap.snapshot().classes[c].slabs_in_use() == 3U);
            }
            r.release();
        }
        BOOST_TEST(done > 3U);
        BOOST_TEST(listed >= 1U);
    }
}

// The free that is interrupted empties a slab; the handler takes objects of another class, until the resource's cache gives the thread
// empty slabs that it holds. If that one were among them, or counted twice, the cache would lose an object at its end.
BOOST_AUTO_TEST_CASE(a_free_that_a_handler_of_another_class_interrupts_empties_its_slab_once)
{
    constexpr std::size_t pages = 60;   // more than a cache holds without room
    constexpr std::size_t in_page = tslab::page_bytes / size;
    // Low on the stack of partial slabs, where it is given away, and high, where it stays.
    for (std::size_t const last : {2 * in_page, (pages - 3) * in_page}) {
        std::size_t done = 0;
        std::size_t shared = 0;
        for (bool interrupted = true; interrupted; ++done) {
            recorder const seen;
            tslab::allocator heap{{.name = "interrupted"}};
            std::optional<tslab::epoch_resource> r{std::in_place, heap, tslab::resource_options{.label = "program"}};
            std::vector<void*> all(pages * in_page);
            for (int round = 0; round < 4; ++round) {
                for (void*& p : all)
                    p = r->allocate(size);
                for (std::size_t i = 0; i != all.size(); ++i)
                    if (round != 3 || (i != 0 && i != last))   // the first one stays
                        r->deallocate(all[i], size);
            }
            shared_with_handler = &*r;
            of_other_class.clear();
            std::uint64_t const before = heap.snapshot().global.slabs_recycled;
            interrupted = support::interrupted_after(1 + done * stride, allocate_other_class,
                                                     [&] { r->deallocate(all[last], size); });
            shared += interrupted && heap.snapshot().global.slabs_recycled != before ? 1 : 0;
            BOOST_TEST(live(heap) == of_other_class.size() + 1);
            for (void* const p : of_other_class)
                r->deallocate(p, other_size);
            BOOST_TEST(seen.count() == seen.count(tslab::misuse::reentry));
            r.reset();
            BOOST_TEST(seen.count(tslab::misuse::leak) == 1U);
            BOOST_TEST(live(heap) == 1U);
            BOOST_TEST(heap.snapshot().classes[0].slabs_in_use() == 1U);   // its slab is no cache's
            heap.free(all.front());
            BOOST_TEST(live(heap) == 0U);
        }
        BOOST_TEST(done > 3U);
        BOOST_TEST(shared >= 1U);
    }
}
#endif

// What a sanitizer or a counter of lines adds is in the ways too.
#if defined(__OPTIMIZE__) && !defined(TSLAB_CHECKED) && !__has_feature(address_sanitizer) &&                           \
    !defined(__LLVM_INSTR_PROFILE_GENERATE)
// docs/misuse.md names these figures. They are of this file, which is compiled with fewer optimisations than a program, and so
// with longer ways.
BOOST_AUTO_TEST_CASE(few_instructions_must_not_be_met_by_the_same_resource_and_class)
{
    constexpr std::size_t most = 10;
    recorder const seen;
    tslab::allocator heap{{.name = "interrupted"}};
    tslab::epoch_resource r{heap, {.label = "program"}};
    shared_with_handler = &r;
    r.deallocate(r.allocate(size), size);
    std::size_t twice = 0;
    std::size_t n = 1;
    for (void* p = nullptr; support::interrupted_after(n, allocate_too, [&] { p = r.allocate(size); }); ++n) {
        twice += p == given ? 1 : 0;
        r.release();
    }
    BOOST_TEST_MESSAGE("of " << n << " instructions of an allocation " << twice << " must not be met");
    BOOST_TEST(n > 10U);
    BOOST_TEST(twice >= 1U);   // else there is nothing to be forbidden any more
    BOOST_TEST(twice <= most);
    r.release();

    std::size_t lost = 0;
    bool interrupted = true;
    for (n = 1; interrupted; ++n) {
        void* const p = r.allocate(size);
        given = r.allocate(size);
        interrupted = support::interrupted_after(n, free_too, [&] { r.deallocate(p, size); });
        lost += interrupted && live(heap) != 0 ? 1 : 0;
        r.release();
    }
    BOOST_TEST_MESSAGE("of " << n << " instructions of a free " << lost << " must not be met");
    BOOST_TEST(n > 10U);
    BOOST_TEST(lost >= 1U);
    BOOST_TEST(lost <= most);
    BOOST_TEST(seen.count() == 0U);
}
#endif
#else
BOOST_AUTO_TEST_CASE(nothing_is_interrupted_here)
{
    BOOST_TEST_MESSAGE("not on this processor, or under this sanitizer");
}
#endif
