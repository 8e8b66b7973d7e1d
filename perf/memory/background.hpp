// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Background purging, which not every version of the library can do: whether it can is seen from its options.
#pragma once

namespace probe {

template <class Options>
constexpr bool has_background_purge = requires(Options& o) { o.background_purge = true; };

/// Asks for it; false if it cannot be had.
template <class Options>
bool ask_for_background_purge(Options& o)
{
    if constexpr (has_background_purge<Options>)
        o.background_purge = true;
    return has_background_purge<Options>;
}

}
