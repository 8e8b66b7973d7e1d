// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.internal: all that the modules export to each other, for tests. Not installed.
export module tslab.internal;

export import tslab.inspect;
export import tslab.pmr;
export import tslab.epoch;
export import tslab.tls_cache;
export import tslab.slab;
export import tslab.stats;
