// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Which stacks allocated what lives under a label, where a process samples its allocations. The profile knows labels and not epochs:
// of several phases with one label it says what all of them hold.
#pragma once
#include "tslab/named_profile.hpp"
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

class source;

/// A stack from who allocates outward, in all size classes, with estimates of what lives of it.
struct label_stack {
    std::vector<code_frame const*> frames{};
    profile_amounts amounts{};
};

/// The profiles of a source, read when they are first asked for. `heaps`: what was read of it before. Both have to live as long.
class label_stacks {
public:
    label_stacks(source& from, std::vector<snapshot> const& heaps) noexcept : from_{&from}, heaps_{&heaps} {}

    // `heap`: one of the heaps.
    /// Whether it samples its allocations, as far as this can be read: a saved snapshot has no profile.
    [[nodiscard]] bool sampled(snapshot const& heap);
    /// The stacks of which something lives, most bytes first. The frames live as long as this.
    [[nodiscard]] std::vector<label_stack> of(snapshot const& heap, std::uint32_t label_id);
    /// What functions have no names, and why.
    [[nodiscard]] std::vector<std::string> notes() const;

private:
    void read();
    [[nodiscard]] heap_profile const* profile_of(snapshot const& heap);

    source* from_;
    std::vector<snapshot> const* heaps_;
    bool was_read_ = false;
    std::unique_ptr<symbolizer> names_{};
    std::vector<heap_profile> profiles_{};   // of all heaps
};

/// The largest three, below the figures of a leak.
void print_stacks(std::ostream& out, bool color, std::vector<label_stack> const& all);
/// All of them as an array.
void put_stacks(json_writer& to, std::vector<label_stack> const& all);

}
