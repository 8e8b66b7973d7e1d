// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.tls_cache: what lets a thread allocate and free without atomic read-modify-writes. Threads and their records,
// lanes (a thread's claims on the slabs of one epoch), shelves (an epoch's slabs that no lane holds), and the protocol
// by which a closer takes claims back.
export module tslab.tls_cache;

export import :slot_set;
export import :face;
export import :thread;
export import :shelf;
export import :lane;
export import :core;
import :registry;
import :purge_thread;
