// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Resident memory of this process that is no file's: what allocators are answerable for. Allocates nothing.
#pragma once

#include <cstdint>

namespace bench {

/// Exact, by a walk over the page tables: takes from 20 microseconds up. 0 where the kernel does not report it.
std::uint64_t resident_bytes();

/// How much of that lies in transparent huge pages.
std::uint64_t huge_bytes();

/// The most there was since `forget_peak`, to about a quarter of a megabyte a processor.
std::uint64_t resident_peak();
void forget_peak();

}
