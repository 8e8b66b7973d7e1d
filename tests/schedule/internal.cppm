// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.internal for the scheduler's tests: as tests/support/internal.cppm, without tslab.inspect, which these tests do not need.
export module tslab.internal;

export import tslab.pmr;
export import tslab.epoch;
export import tslab.tls_cache;
export import tslab.slab;
export import tslab.stats;
