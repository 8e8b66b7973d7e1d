// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Escapes: allocations from the default resource inside a scope, made by containers that were given no resource. When
// the detector is on, they are counted by the label of the scope.
#pragma once

export namespace tslab {

/// Switches the detector on or off for the process. On: std::pmr::get_default_resource() becomes a resource that
/// forwards every call to the previous default, and counts what a thread allocates while it is inside a scope or
/// domain; the snapshot of that scope's heap shows it as `escapes` and `escaped_bytes`. Off: the previous default is
/// restored, unless the program has set another one meanwhile; memory from the detector stays valid and is freed as
/// before.
/// Containers made before it was switched on are not counted, and their memory belongs to another resource: they and
/// later ones must not be swapped or spliced, as with any two resources. Thread safe, except against a concurrent
/// std::pmr::set_default_resource. Throws std::bad_alloc.
void set_escape_detection(bool on);
/// Whether the detector is on. Thread safe.
[[nodiscard]] bool escape_detection() noexcept;

}
