// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab: everything, top layer first. Import a single component to get it and what lies below.
export module tslab;

export import tslab.pmr;
export import tslab.epoch;
export import tslab.tls_cache;
export import tslab.slab;
export import tslab.stats;
