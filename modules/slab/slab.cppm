// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.slab: pages and what is cut from them. Size classes, the slab word, the address range, handles,
// the caches of empty slabs, the operating system seam and the reports of misuse.
export module tslab.slab;

export import :size_class;
export import :os;
export import :environment;
export import :memory_group;
export import :report;
export import :mutex;
export import :descriptor;
export import :checks;
export import :handle;
export import :page_set;
export import :unused_pages;
export import :window;
export import :page_heap;
export import :slab_cache;
export import :arena;
export import :segment;
