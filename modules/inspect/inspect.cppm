// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.inspect: reads the figures of heaps: heaps of other processes, snapshots as JSON and back, leaks, pins and the
// doctor. It is above the allocator, which does not need it, and only it links Boost.JSON.
module;
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <type_traits>
#include <utility>
#include <vector>
export module tslab.inspect;

export import tslab.stats;

// In the order of their dependencies.
// clang-format off
#include "fields.hpp"
#include "json/json_writer.hpp"
#include "json/json.hpp"
#include "text.hpp"
#include "leaks.hpp"
#include "doctor/doctor.hpp"
#include "heap_profile.hpp"
#include "observer/observer.hpp"
// clang-format on
