// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What [mem.res] asks of a std::pmr::memory_resource, as checks that run on any of them. Each returns a verdict instead of
// asserting, so that resources can be laid side by side. Knows nothing of tslab.
#pragma once
#include <array>
#include <memory>
#include <new>
#include <string>

#include "conformance_checks.hpp"
#include "conformance_subject.hpp"

namespace conformance {

struct check {
    char const* what;
    verdict (*run)(subject&, traits const&);
};

inline constexpr std::array checks{
    check{"alignments 1 to 64, sizes of 1 to 1,000", small_alignments},
    check{"alignments 128 to 4,096", page_alignments},
    check{"alignments 8 KiB to 2 MiB", huge_alignments},
    check{"size 0: an address of its own, aligned", size_zero},
    check{"no two allocations overlap, contents stay", nothing_overlaps},
    check{"frees in any order", any_order_of_frees},
    check{"absurd sizes: bad_alloc, and usable after", size_overflow},
    check{"is_equal: itself, no other kind", equality},
    check{"what is deallocated is used again", memory_is_used_again},
    check{"after the last deallocate nothing stays taken", nothing_is_kept},
    check{"release gives everything back, usable after", release_gives_everything_back},
    check{"an upstream that throws: passed on, nothing lost", upstream_throws},
    check{"containers, over-aligned elements", containers},
    check{"polymorphic_allocator, uses-allocator", polymorphic_allocator},
    check{"as the default resource", as_the_default},
    check{"beneath pool and monotonic resources", beneath_others},
    check{"several threads at once, freeing each other's", threads},
};

/// Runs one check on a fresh resource of the kind. What it throws, and what stands behind it complains of, counts as no.
inline verdict run(check const& c, kind const& k)
{
    std::unique_ptr<subject> const s = k.make();
    verdict v;
    try {
        v = c.run(*s, k.said);
    } catch (std::bad_alloc const&) {
        v = no("throws bad_alloc");
    }
    if (std::string const complaint = s->complaint(); !complaint.empty())
        v = no(complaint);
    return v;
}

}
