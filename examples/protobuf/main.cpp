// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Messages in the memory of a request: an arena whose blocks come from the request's scope. So the heap's statistics say which route
// holds them, and an arena that outlives its request is a leak with a place. Exits 1 if the statistics say otherwise than the arena.
#include "order.pb.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "arena_blocks.hpp"   // imports, so it goes last

import tslab;

namespace {

namespace pb = google::protobuf;

/// What the label's epochs hold.
tslab::label_stats of_label(tslab::allocator const& heap, std::string_view label)
{
    for (tslab::label_stats const& l : heap.snapshot().labels)
        if (l.name == label)
            return l;
    return {};
}

std::string wire_format_of_an_order()
{
    shop::Order order;
    order.set_customer("a customer whose name does not fit into the string itself");
    for (unsigned i = 0; i < 1000; ++i) {
        shop::Line* const line = order.add_lines();
        line->set_article("an article whose name does not fit into the string itself");
        line->set_count(i);
    }
    return order.SerializeAsString();
}

/// Reads an order in a request of its own. Returns whether the label holds just the arena's blocks, and nothing afterwards.
bool serve(tslab::allocator& heap, std::string const& text)
{
    bool right = false;
    {
        tslab::epoch_scope const request{heap, "POST /order"};
        pb::Arena arena{shop::arena_options()};
        auto* const order = pb::Arena::CreateMessage<shop::Order>(&arena);
        right = order->ParseFromString(text) && order->lines_size() == 1000;
        tslab::label_stats const held = of_label(heap, "POST /order");
        right = right && held.live_objects > 1 && held.live_bytes >= arena.SpaceAllocated();
        std::printf("in the request: %llu blocks, %llu bytes; the arena has %llu\n",
                    static_cast<unsigned long long>(held.live_objects),
                    static_cast<unsigned long long>(held.live_bytes),
                    static_cast<unsigned long long>(arena.SpaceAllocated()));
    }
    return right && of_label(heap, "POST /order").live_objects == 0;
}

/// An arena that another thread destroys, when its request has ended: the blocks are found to be the request's until then.
bool outlives(tslab::allocator& heap, std::string const& text)
{
    std::unique_ptr<pb::Arena> arena;
    {
        tslab::epoch_domain request{heap, {.label = "parked"}};
        request.enter();
        arena = std::make_unique<pb::Arena>(shop::arena_options());   // here: it takes its first block at once
        pb::Arena::CreateMessage<shop::Order>(arena.get())->ParseFromString(text);
        request.exit();
    }
    tslab::label_stats const kept = of_label(heap, "parked");
    std::uint64_t const allocated = arena->SpaceAllocated();
    std::printf("after the request: %llu bytes; the arena has %llu\n", static_cast<unsigned long long>(kept.live_bytes),
                static_cast<unsigned long long>(allocated));
    std::thread{[&] { arena.reset(); }}.join();
    return kept.live_bytes >= allocated && of_label(heap, "parked").live_objects == 0;
}

}

int main()
{
    tslab::allocator heap{{.name = "protobuf"}};
    shop::arena_heap = &heap;
    std::string const text = wire_format_of_an_order();
    bool right = true;
    for (int i = 0; i < 3; ++i)
        right = serve(heap, text) && right;
    right = outlives(heap, text) && right;
    right = right && heap.snapshot().global.live_objects == 0 && heap.leaks(std::chrono::seconds{0}).empty();
    std::puts(right ? "and nothing is left" : "WRONG");
    pb::ShutdownProtobufLibrary();
    return right ? 0 : 1;
}
