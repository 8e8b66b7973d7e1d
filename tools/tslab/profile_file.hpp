// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heap profiles as JSON and back: what `tslab profile --json` writes, as a target again, and for --since.
#pragma once
#include "tslab/named_profile.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace tslab::tool {

/// Whether a text claims to be a saved heap profile; where it does not, it may be a snapshot.
[[nodiscard]] bool is_saved_profile(std::string_view text) noexcept;

/// One line: a JSON object. The functions of each address are in it too, for programs; reading it back leaves them out, because
/// they are had from the files again.
[[nodiscard]] std::string json_of(named_profile const& named);

/// The profiles in a text, one a heap; at least one. `name`: of the text, for messages. Throws failure: no_target for what is no
/// profile, other_version for one of another version.
[[nodiscard]] std::vector<heap_profile> saved_profiles(std::string const& name, std::string_view text);

}
