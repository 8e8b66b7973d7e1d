// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Prints snapshots for schema.py and reference.py, one a line: a name, a tab, the JSON. With the argument `table`
// it prints the table of figures instead (modules/stats/figures.def): object, name, type, unit and kind of each.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include "filled_snapshot.hpp"

namespace {

void print(char const* name, tslab::snapshot const& s) { std::printf("%s\t%s\n", name, tslab::to_json(s).c_str()); }

/// Memory of every class and above, freed here and elsewhere; scopes that are left and scopes that are open, with good
/// labels and bad ones, more than are distinguished; a close, and an epoch that cannot drain.
void print_busy()
{
    tslab::allocator heap{{.name = "busy \"heap\"", .epoch_count = 32, .slab_cache = 4, .cost_labels = 3}};
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

char const* word(tslab::field_info const& f)
{
    switch (f.kind) {
    case tslab::field_kind::identity: return "identity";
    case tslab::field_kind::counter: return "counter";
    case tslab::field_kind::gauge: return "gauge";
    case tslab::field_kind::derived: return f.estimate ? "estimate" : "derived";
    }
    return "";
}

template <class T> struct optional_of;
template <class T> struct optional_of<std::optional<T>> {
    using type = T;
};

/// The type as the reference writes it.
template <class T> std::string type_name(bool derived)
{
    if constexpr (std::is_same_v<T, bool>)
        return "bool";
    else if constexpr (std::is_same_v<T, std::uint32_t>)
        return "u32";
    else if constexpr (std::is_same_v<T, std::uint64_t>)
        return "u64";
    else if constexpr (std::is_same_v<T, std::int64_t>)
        return "i64";
    else if constexpr (std::is_same_v<T, double>)
        return "number";
    else if constexpr (std::is_same_v<T, std::string>)
        return "string";
    else if constexpr (std::is_same_v<T, tslab::log2_histogram> || std::is_same_v<T, tslab::quarter_histogram>)
        return "array";
    else
        return type_name<typename optional_of<T>::type>(derived) + (derived ? " or null" : "?");
}

/// Prints lines of the table of figures: an object, a name, a type, a unit and a kind, with tabs between them.
struct table_printer {
    char const* object;
    char const* presence = "";   ///< "?": the whole record may be absent

    template <class T> void operator()(tslab::field_info const& f, T const&) const
    {
        if (f.name.empty() || f.help.empty() || f.help.find('\n') != f.help.npos || f.help.ends_with('.'))
            throw std::logic_error{"a figure without a name, or without one line of help: " + std::string{f.name}};
        std::string const type = type_name<T>(f.kind == tslab::field_kind::derived) + presence;
        std::printf("%s\t%s\t%s\t%s\t%s\n", object, std::string{f.name}.c_str(), type.c_str(),
                    std::string{f.unit}.c_str(), word(f));
    }
    template <class S> void all(S const& s) const
    {
        describe_fields(s, *this);
        if constexpr (requires { describe_derived(s, 0, *this); })
            describe_derived(s, 0, *this);
    }
};

void print_table()
{
    table_printer{"snapshot"}.all(tslab::snapshot{});
    table_printer{"snapshot"}.all(tslab::global_stats{});
    tslab::lock_timing_stats const times;
    describe_heap_lock_times(times, table_printer{"snapshot", "?"});
    describe_derived_heap_lock_times(times, table_printer{"snapshot", "?"});
    table_printer{"class"}.all(tslab::class_stats{});
    table_printer{"class", "?"}.all(times);
    tslab::contention_stats const under_a_label;
    describe_fields(under_a_label, [](tslab::field_info f, auto const&) {
        std::string const name = tslab::by_label(f.name);
        f.name = name;
        table_printer{"class"}(f, tslab::log2_histogram{});   // an array too
    });
    table_printer{"epoch"}.all(tslab::epoch_stats{});
    table_printer{"share"}.all(tslab::class_share{});
    table_printer{"thread"}.all(tslab::thread_stats{});
    table_printer{"sampled"}.all(tslab::sampling_stats{});
    table_printer{"label"}.all(tslab::label_stats{});
    table_printer{"phase_cost"}.all(tslab::phase_cost_stats{});
    table_printer{"close"}.all(tslab::close_stats{});
    table_printer{"waterfall"}.all(tslab::waterfall_stats{});
}

}

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view{argv[1]} == "table") {
        print_table();
        return 0;
    }
    if (argc != 1) {
        std::fputs("usage: print_snapshots [table]\n", stderr);
        return 2;
    }
    print("fresh", tslab::allocator{}.snapshot());
    print_busy();
    print("filled", support::filled_snapshot());
    return 0;
}
