// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The atomic words by which threads meet. They are the standard library's; that they have one name of tslab's own lets a
// test put something else in their place.
module;
#include <atomic>
export module tslab.stats:atomic;

export namespace tslab {

template <class T> using atomic = std::atomic<T>;
template <class T> using atomic_ref = std::atomic_ref<T>;

}
