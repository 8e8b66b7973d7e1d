// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Escapes: a container inside a scope that was given no resource takes its memory from the default one, and nothing says
// so. Switched on, such allocations are counted, by the label of the scope they were made in.
module;
export module tslab.pmr:escape;

export namespace tslab {

/// Switches the detector on or off for the process. On, std::pmr::get_default_resource() is a resource that hands every call
/// on to the one that was the default before, and counts what a thread allocates while it is inside a scope or domain: in
/// the snapshot of that scope's heap, as `escapes` and `escaped_bytes`. Off, the default resource is what it was, unless
/// the program has set another meanwhile; memory taken from the detector stays valid and is freed as before.
/// Containers made before it was switched on are not seen, and their memory counts as another resource's: no swap or splice
/// between them and later ones, as between any two resources. Thread safe, but not against a concurrent
/// std::pmr::set_default_resource. Throws std::bad_alloc.
void set_escape_detection(bool on);
[[nodiscard]] bool escape_detection() noexcept;

}
