// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.stats: what is counted, and the plain types in which it is told.
// The lowest layer: it knows neither slabs nor epochs, so every other layer may count.
export module tslab.stats;

export import :atomic;
export import :counter;
export import :clock;
export import :residency;
export import :histogram;
export import :snapshot;
export import :heap_map;
export import :fields;
export import :json;
export import :text;
export import :leaks;
export import :doctor;
