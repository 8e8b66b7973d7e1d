// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor's rules on events that are rare in a healthy program: refusals, misuse, escapes, lost names.
module;
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
module tslab.inspect;

import tslab.stats;
import tslab.slab;

#include "examination.hpp"

namespace tslab {

namespace {

/// "class 64 (12), class 128 (3)": the classes with the most.
std::string worst_classes(snapshot const& s, std::uint64_t class_stats::* what)
{
    constexpr std::size_t shown = 3;
    std::vector<class_stats const*> some;
    for (class_stats const& c : s.classes)
        if (c.*what != 0)
            some.push_back(&c);
    std::ranges::sort(some, [&](class_stats const* a, class_stats const* b) {
        return a->*what != b->*what ? a->*what > b->*what : a->class_index < b->class_index;
    });
    std::string text;
    for (std::size_t i = 0; i < std::min(some.size(), shown); ++i)
        text += joined(i == 0 ? "" : ", ", class_text(some[i]->object_size), " (", some[i]->*what, ")");
    return text;
}

std::string most_of_it(snapshot const& s, std::uint64_t class_stats::* what)
{
    std::string const classes = worst_classes(s, what);
    return classes.empty() ? std::string{} : joined(" Most of it: ", classes, ".");
}

void examine_refusals(examination& x)
{
    global_stats const& g = x.change.global;
    if (auto const how = examination::judge(x.limits.out_of_memory, g.out_of_memory))
        x.add("out_of_memory", *how, "heap",
              {{"total_out_of_memory", static_cast<double>(g.out_of_memory)},
               {"committed_bytes", static_cast<double>(g.committed_bytes)},
               {"empty_held_bytes", static_cast<double>(g.empty_held_bytes)}},
              joined(counted(g.out_of_memory, "allocation", "allocations"), " ", x.span(),
                     " failed for want of memory; the heap holds ", bytes_text(g.committed_bytes), ", ",
                     bytes_text(g.empty_held_bytes), " of it empty.",
                     most_of_it(x.change, &class_stats::out_of_memory)),
              "Look at the process's limits (RLIMIT_AS, the memory limit of its control group) and at "
              "allocator_options::reserve_bytes; call allocator::trim; look for a request that was absurdly large.");
    if (auto const how = examination::judge(x.limits.closed_epoch_allocations, g.slow_path_epoch_closed))
        x.add("closed_epoch_allocation", *how, "heap",
              {{"total_slow_epoch_closed", static_cast<double>(g.slow_path_epoch_closed)}},
              joined(counted(g.slow_path_epoch_closed, "allocation", "allocations"), " ", x.span(),
                     " named an epoch that is CLOSING and got nothing.",
                     most_of_it(x.change, &class_stats::slow_path_epoch_closed)),
              "The program keeps an epoch_id, a resource or a container beyond its phase. Ask allocator::current_epoch "
              "for each "
              "phase anew, keep the scope open as long as its containers grow, and close only what is no longer "
              "used.");
    if (auto const how = examination::judge(x.limits.resource_leaks, g.leaked_objects))
        x.add("resource_leak", *how, "heap", {{"total_leaked_objects", static_cast<double>(g.leaked_objects)}},
              joined(counted(g.leaked_objects, "object was", "objects were"), " still live ", x.span(),
                     " when the resource that handed them out ended."),
              "Each was reported to the error handler with the place that made the resource. Free the objects first, "
              "call "
              "epoch_resource::release, or make the resource with deallocate_policy::count_only if no object is to be "
              "freed.");
    if (g.refused_handles >= x.limits.refused_handles.warning)
        x.add(
            "refused_handles",
            g.refused_handles >= x.limits.refused_handles.critical ? severity::warning : severity::hint, "heap",
            {{"total_refused_handles", static_cast<double>(g.refused_handles)}},
            joined(counted(g.refused_handles, "handle was", "handles were"), " refused ", x.span(),
                   ": stale, free already, of another heap, or corrupt."),
            "Harmless to the heap; where the program does not mean to free twice, look at what allocator::free(handle) "
            "returns there.");
}

/// Scopes in disorder lose attribution; wrong pointers lose memory.
bool about_scopes(std::string_view kind) noexcept
{
    constexpr std::array<std::string_view, 6> kinds{"scope_order",       "wrong_thread", "not_entered",
                                                    "destroyed_entered", "heap_live",    "heap_open"};
    return std::ranges::find(kinds, kind) != kinds.end();
}

void examine_misuse(examination& x)
{
    constexpr std::string_view action = "Install a handler with set_error_handler that logs the report and a stack "
                                        "trace; the default handler prints one line and "
                                        "aborts where it happens.";
    std::uint64_t const all = x.change.global.misuses;
    std::uint64_t named = 0;
    std::vector<named_count const*> kinds;
    for (named_count const& m : x.change.misuses) {
        named += m.count;
        if (m.count != 0 && m.name != "leak")   // that is resource_leak
            kinds.push_back(&m);
    }
    std::ranges::sort(kinds, [](named_count const* a, named_count const* b) {
        return a->count != b->count ? a->count > b->count : a->name < b->name;
    });
    for (named_count const* const m : kinds)
        x.add("misuse", about_scopes(m->name) ? severity::warning : severity::critical, printable(m->name),
              {{"count", static_cast<double>(m->count)}},
              joined(printable(m->name), " was reported ", counted(m->count, "time", "times"), " ", x.span(), "."),
              std::string{action});
    if (all > named)
        x.add("misuse", severity::warning, "unknown kind", {{"count", static_cast<double>(all - named)}},
              joined("Misuse of a kind that the snapshot does not name was reported ",
                     counted(all - named, "time", "times"), " ", x.span(), "."),
              std::string{action});
}

/// Judged at the time of the snapshot: what found no room once is never to be read.
void examine_unpublished(examination& x)
{
    std::uint64_t const chunks = x.now.global.unpublished_chunks;
    if (chunks == 0)
        return;
    x.add("statistics_unpublished", severity::warning, "process",
          {{"total_unpublished_chunks", static_cast<double>(chunks)}},
          joined(bytes_text(chunks * segment_chunk::bytes),
                 " of the process's statistics found no room where other processes can read them: counts read from "
                 "outside are too low, and leaks may be missing."),
          "Look whether the file system of TSLAB_STATS_FILE is full, and at RLIMIT_FSIZE and the memory limit of the "
          "control group. What is lost stays lost until the process is started again; allocator::snapshot in the "
          "process has all.");
}

void examine_names(examination& x)
{
    global_stats const& g = x.change.global;
    for (label_stats const& l : x.change.labels)
        if (auto const how = examination::judge(x.limits.escapes, l.escapes))
            x.add(
                "escapes", *how, joined("label \"", printable(l.name), "\""),
                {{"escapes", static_cast<double>(l.escapes)}, {"escaped_bytes", static_cast<double>(l.escaped_bytes)}},
                joined(counted(l.escapes, "allocation", "allocations"), " of ", bytes_text(l.escaped_bytes), " ",
                       x.span(), " came from the default resource inside of a scope with this label."),
                "Pass scope.resource() to the containers made there, and to their elements: a std::string in a "
                "std::pmr::vector "
                "does not take part, a std::pmr::string does.");
    if (g.limit_refusals >= x.limits.limit_refusals.warning)
        x.add("limit_refusals",
              g.limit_refusals >= x.limits.limit_refusals.critical ? severity::warning : severity::hint, "heap",
              {{"total_limit_refusals", static_cast<double>(g.limit_refusals)}},
              joined(counted(g.limit_refusals, "allocation was", "allocations were"), " refused ", x.span(),
                     " by a limit of a phase, a label or the heap."),
              "See whose: limit_refusals of the labels and epochs. If the work has grown, the program must raise the "
              "limit; nobody else can.");
    if (g.labels_in_overflow >= x.limits.labels_in_overflow.warning)
        x.add("labels_in_overflow",
              g.labels_in_overflow >= x.limits.labels_in_overflow.critical ? severity::warning : severity::hint, "heap",
              {{"total_labels_in_overflow", static_cast<double>(g.labels_in_overflow)}},
              joined(counted(g.labels_in_overflow, "time", "times"), " ", x.span(), " a label beyond the first ",
                     label_buckets - 2, " was counted as \"other\"."),
              "Name kinds of phases, not single ones: \"GET /orders\" rather than \"GET /orders/4711\". The epochs "
              "keep their own "
              "texts.");
    if (g.labels_cut != 0)
        x.add("labels_cut", severity::hint, "heap", {{"total_labels_cut", static_cast<double>(g.labels_cut)}},
              joined(counted(g.labels_cut, "time", "times"), " ", x.span(),
                     " a label was longer than 31 bytes and was cut."),
              "Labels that differ only behind their 31st byte are one label: shorten them.");
}

}

void examine_events(examination& x)
{
    examine_refusals(x);
    examine_misuse(x);
    examine_names(x);
    examine_unpublished(x);
}

}
