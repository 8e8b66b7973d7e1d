// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Where the objects of the modules lie in the storage that a caller of the C interface gives. A domain begins it. A resource follows
// a mark, which is the storage's own address changed by a constant: storage that was copied, or that was never begun, lacks it. The
// includer has what internal.hpp needs, and imports tslab.pmr.
#pragma once

namespace tslab::c {

inline constexpr std::uintptr_t begun = 0x7461'6c73'6265'6775U;

[[nodiscard, gnu::always_inline]] inline bool is_begun(void const* mark) noexcept
{
    return *static_cast<std::uintptr_t const*>(mark) == (reinterpret_cast<std::uintptr_t>(mark) ^ begun);
}
inline void set_begun(void* mark) noexcept
{
    *static_cast<std::uintptr_t*>(mark) = reinterpret_cast<std::uintptr_t>(mark) ^ begun;
}
inline void clear_begun(void* mark) noexcept { *static_cast<std::uintptr_t*>(mark) = 0; }

static_assert(sizeof(epoch_domain) <= sizeof(tslab_domain) - sizeof(void*), "the last word is the mark");
static_assert(alignof(epoch_domain) <= alignof(tslab_domain));
static_assert(sizeof(epoch_resource) <= sizeof(tslab_resource) - sizeof(void*));
static_assert(alignof(epoch_resource) <= alignof(tslab_resource));

[[nodiscard, gnu::always_inline]] inline epoch_resource& inner(tslab_resource* r) noexcept
{
    return *std::launder(reinterpret_cast<epoch_resource*>(&r->opaque[1]));
}
[[nodiscard]] inline epoch_resource const& inner(tslab_resource const* r) noexcept
{
    return *std::launder(reinterpret_cast<epoch_resource const*>(&r->opaque[1]));
}

[[nodiscard]] inline epoch_domain& of(tslab_domain* d) noexcept { return *reinterpret_cast<epoch_domain*>(d); }
[[nodiscard]] inline epoch_domain const& of(tslab_domain const* d) noexcept
{
    return *reinterpret_cast<epoch_domain const*>(d);
}
[[nodiscard]] inline tslab_domain* storage_of(epoch_domain* d) noexcept { return reinterpret_cast<tslab_domain*>(d); }

}
