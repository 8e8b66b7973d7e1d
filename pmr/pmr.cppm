// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.pmr: the front end. A std::pmr::memory_resource over one domain, and the scope that makes one for a phase.
export module tslab.pmr;

export import tslab.epoch;
export import :epoch_resource;
export import :epoch_scope;
export import :escape;
