// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Prints snapshots for schema.py and reference.py, one a line: a name, a tab, the JSON. With the argument `kinds` it prints
// the lists of fields instead: object, field and kind of each.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "filled_snapshot.hpp"

namespace {

void print(char const* name, tslab::snapshot const& s) { std::printf("%s\t%s\n", name, tslab::to_json(s).c_str()); }

/// Memory of every class and above, freed here and elsewhere; scopes that are left and scopes that are open, with good
/// labels and bad ones, more than are distinguished; a close, and an epoch that cannot drain.
void print_busy()
{
    tslab::allocator heap{{.name = "busy \"heap\"", .epoch_count = 32, .slab_cache = 4}};
    std::vector<void*> mine;
    for (std::size_t i = 0; i < 2000; ++i)
        mine.push_back(heap.malloc(i % 1000));
    std::thread{[&] {
        for (std::size_t i = 0; i < mine.size(); i += 2)
            heap.free(mine[i]);
        for (std::size_t i = 0; i < 100; ++i)
            heap.free(heap.malloc(200));
    }}.join();
    print("open", heap.snapshot());
    for (int i = 0; i < 20; ++i) {
        tslab::epoch_scope scope{heap, "kind " + std::to_string(i)};
        for (std::size_t n = 1; n < 10'000; n *= 2)
            (void)scope.resource()->allocate(n);
        scope.resource()->release();
    }
    tslab::epoch_scope const outer{heap, "\xff\xfe\n\x1b[2J a label that is far longer than thirty-one bytes"};
    tslab::epoch_scope const inner{heap, "GET /"};
    (void)heap.close(heap.current_epoch());   // half of `mine` is live in it
    (void)heap.malloc(64, {.index = 0, .era = 1});
    print("busy", heap.snapshot());
    for (std::size_t i = 1; i < mine.size(); i += 2)
        heap.free(mine[i]);
    (void)heap.trim();
    print("trimmed", heap.snapshot());
}

char const* word(tslab::field_kind kind)
{
    switch (kind) {
    case tslab::field_kind::identity: return "identity";
    case tslab::field_kind::counter: return "counter";
    case tslab::field_kind::gauge: return "gauge";
    case tslab::field_kind::derived: return "derived";
    }
    return "";
}

template <class S> void print_kinds(char const* object, S const& s, std::string (*in_json)(std::string_view) = nullptr)
{
    auto const print_one = [&](std::string_view name, tslab::field_kind kind, auto const&) {
        std::string const text = in_json != nullptr ? in_json(name) : std::string{name};
        std::printf("%s %s %s\n", object, text.c_str(), word(kind));
    };
    for_each_field(s, print_one);
    if constexpr (requires { for_each_derived(s, 0, print_one); })
        for_each_derived(s, 0, print_one);
}

void print_all_kinds()
{
    print_kinds("snapshot", tslab::snapshot{});
    print_kinds("snapshot", tslab::global_stats{});
    print_kinds("snapshot", tslab::lock_timing_stats{}, tslab::global_timing_name);
    print_kinds("class", tslab::class_stats{});
    print_kinds("class", tslab::lock_timing_stats{});
    print_kinds("class", tslab::contention_stats{}, tslab::by_label);
    print_kinds("epoch", tslab::epoch_stats{});
    print_kinds("share", tslab::class_share{});
    print_kinds("thread", tslab::thread_stats{});
    print_kinds("sampled", tslab::sampling_stats{});
    print_kinds("label", tslab::label_stats{});
    print_kinds("close", tslab::close_stats{});
    print_kinds("waterfall", tslab::waterfall_stats{});
}

}

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view{argv[1]} == "kinds") {
        print_all_kinds();
        return 0;
    }
    if (argc != 1) {
        std::fputs("usage: print_snapshots [kinds]\n", stderr);
        return 2;
    }
    print("fresh", tslab::allocator{}.snapshot());
    print_busy();
    print("filled", support::filled_snapshot());
    return 0;
}
