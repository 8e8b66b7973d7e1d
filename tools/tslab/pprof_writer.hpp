// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heap profiles as pprof reads them: a gzip'd message Profile of profile.proto, which is described at
// https://github.com/google/pprof/blob/main/proto/README.md.
#pragma once
#include "tslab/named_profile.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace tslab::tool {

/// All heaps of one process as one profile; a tag `heap` tells them apart, `label` and `bytes` say more. Their names come from `by`.
/// `shown_first`: the kind of sample that pprof shows if it is not asked for another, "inuse_space". Throws std::bad_alloc.
[[nodiscard]] std::string pprof_of(std::vector<named_profile> const& heaps, symbolizer const& by,
                                   std::string_view shown_first);

/// `bytes` as a file of gzip. Throws std::bad_alloc.
[[nodiscard]] std::string gzipped(std::string_view bytes);

}
