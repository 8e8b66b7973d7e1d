// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a program that uses the hot paths compiles to; never run. symbols.py looks at the object file.
#include <cstddef>

import tslab;

void* raw_malloc(tslab::allocator& heap, std::size_t bytes) { return heap.malloc(bytes); }
void raw_free(tslab::allocator& heap, void* p) { heap.free(p); }
void* resource_allocate(tslab::epoch_resource& resource, std::size_t bytes) { return resource.allocate(bytes); }
void resource_deallocate(tslab::epoch_resource& resource, void* p, std::size_t bytes) { resource.deallocate(p, bytes); }
