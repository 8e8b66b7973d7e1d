// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A program that makes a tslab resource the default one at its start, in the way that its argument names. What is not as
// docs/default-resource.md says is printed to stderr, and the program ends with 1.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

import tslab;

extern "C" void* resource_of_the_library();

namespace {

using namespace std::chrono_literals;

constexpr char const* long_text = "a text that is longer than the string's own buffer";

void must(bool so, char const* what)
{
    if (so)
        return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::_Exit(1);
}

/// Begins before main, so with the default of that time; ends after main.
std::pmr::string early{long_text};

/// Begins when it is asked for, so with the default of that time; ends after main.
std::pmr::vector<std::pmr::string>& late()
{
    static std::pmr::vector<std::pmr::string> texts;
    return texts;
}

bool is_default(std::pmr::memory_resource const& r) { return std::pmr::get_default_resource() == &r; }

void what_was_there_keeps_its_resource(std::pmr::memory_resource const& ours)
{
    must(is_default(ours), "the resource is the default one");
    must(early.get_allocator().resource() == std::pmr::new_delete_resource(),
         "an object that existed keeps its resource");
    early.append(early);   // frees what it had, to where that came from
    must(resource_of_the_library() == std::pmr::new_delete_resource(), "a library keeps the resource that it captured");
    must(std::pmr::string{}.get_allocator().resource() == &ours, "a new object takes the new default");
}

/// The way that docs/default-resource.md recommends: heap and resource are made at the start of main, and never end.
struct never_ending {
    tslab::allocator heap{{.name = "default"}};
    tslab::epoch_resource memory{heap, {.label = "default resource"}};
};
never_ending& install()
{
    auto& made = *new never_ending;
    std::pmr::set_default_resource(&made.memory);
    return made;
}

void for_ever()
{
    never_ending const& d = install();
    what_was_there_keeps_its_resource(d.memory);
    std::uint64_t const before = d.heap.snapshot().global.live_objects;
    std::string const of_operator_new(1000, 'x');
    auto const also = std::make_unique<char[]>(1000);
    must(d.heap.snapshot().global.live_objects == before, "operator new and std::string have nothing to do with it");
    for (int i = 0; i < 1000; ++i)
        late().emplace_back(long_text);
    must(d.heap.snapshot().global.live_objects == before + 1001, "what is made now is of the heap");
    std::vector<tslab::leak> const leaks = d.heap.leaks(0s);
    must(leaks.size() == 1 && leaks[0].label == "default resource", "the leak report lists the epoch that never ends");
}

/// Threads that use the default resource until the process is gone. Nobody joins them.
void threads_at_exit()
{
    install();
    static std::atomic<int> begun{0};
    for (int t = 0; t < 4; ++t)
        std::thread{[] {
            ++begun;
            for (;;) {
                std::pmr::vector<std::pmr::string> texts;
                for (int i = 0; i < 100; ++i)
                    texts.emplace_back(long_text);
            }
        }}.detach();
    while (begun != 4)
        std::this_thread::yield();
    for (int i = 0; i < 100'000; ++i)   // enough to do for the destructors
        late().emplace_back(long_text);
}

/// A resource that ends with main, while an object that lives longer has memory of it. What that does to it afterwards is undefined:
/// so the process ends here.
[[noreturn]] void ends_with_main()
{
    {
        tslab::allocator heap{{.name = "default"}};
        tslab::epoch_resource memory{heap, {.label = "default resource"}};
        std::pmr::set_default_resource(&memory);
        late().emplace_back(long_text);
    }
    std::_Exit(0);
}

/// The same with nothing left that has memory of it, and the default reset before it ends.
void reset_in_time()
{
    tslab::allocator heap{{.name = "default"}};
    tslab::epoch_resource memory{heap, {.label = "default resource"}};
    std::pmr::memory_resource* const former = std::pmr::set_default_resource(&memory);
    what_was_there_keeps_its_resource(memory);
    static_cast<void>(std::pmr::string{long_text});
    std::pmr::set_default_resource(former);
    late().emplace_back(long_text);   // begins here, so with the former default
}

/// The detector of escapes forwards to the resource that was the default when it was switched on.
void with_the_detector()
{
    never_ending& d = install();
    tslab::set_escape_detection(true);
    must(!is_default(d.memory), "the detector is the default resource while it is on");
    {
        tslab::epoch_scope const scope{d.heap, "GET /orders"};
        std::pmr::string const escaped{long_text};
        must(d.heap.snapshot().global.escapes == 1, "an allocation from the default resource in a scope is an escape");
    }
    tslab::set_escape_detection(false);
    must(is_default(d.memory), "then the resource is the default one again");
}

}

int main(int, char** arguments)
{
    std::string_view const way{arguments[1]};
    if (way == "for-ever")
        for_ever();
    else if (way == "threads-at-exit")
        threads_at_exit();
    else if (way == "ends-with-main")
        ends_with_main();
    else if (way == "reset-in-time")
        reset_in_time();
    else if (way == "with-the-detector")
        with_the_detector();
    else
        return 2;
    std::fputs("main returns\n", stderr);
}
