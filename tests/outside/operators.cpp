// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The operators and functions of the shim, in a unit of their own: a program may replace some of them, so no call of one may
// be inlined into another, or into what the shim itself is made of.
#include "shim.hpp"

#include <atomic>
#include <cstddef>
#include <memory_resource>
#include <new>

#include <dlfcn.h>

namespace {

constexpr std::size_t usual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

template <class F> void* or_null(F allocate) noexcept
{
    try {
        return allocate();
    } catch (std::bad_alloc const&) {
        return nullptr;
    }
}

constinit std::atomic<std::pmr::memory_resource*> default_resource{nullptr};   // null: the shim's

/// Whether a call of an operator of this file comes here: a program may replace some of them, and its tests count on it that
/// the others call those.
constinit bool deletes_here = false;
constinit bool deletes_aligned_here = false;

bool is_here(void const* function) noexcept
{
    static constinit char const here = 0;
    Dl_info of{};
    Dl_info of_here{};
    return dladdr(function, &of) != 0 && dladdr(&here, &of_here) != 0 && of.dli_fbase == of_here.dli_fbase;
}

[[gnu::constructor(101)]] void make_early() noexcept
{
    deletes_here = is_here(dlsym(RTLD_DEFAULT, "_ZdlPv"));
    deletes_aligned_here = is_here(dlsym(RTLD_DEFAULT, "_ZdlPvSt11align_val_t"));
    static_cast<void>(shim::resource());
}

}

void* operator new(std::size_t n) { return shim::allocate(n, usual); }
void* operator new(std::size_t n, std::align_val_t a) { return shim::allocate(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { shim::deallocate(p); }
void operator delete(void* p, std::align_val_t) noexcept { shim::deallocate(p); }

// All others call those, as the standard says, which may be the program's own.
void* operator new[](std::size_t n) { return ::operator new(n); }
void* operator new[](std::size_t n, std::align_val_t a) { return ::operator new(n, a); }
void* operator new(std::size_t n, std::nothrow_t const&) noexcept
{
    return or_null([=] { return ::operator new(n); });
}
void* operator new[](std::size_t n, std::nothrow_t const&) noexcept
{
    return or_null([=] { return ::operator new[](n); });
}
void* operator new(std::size_t n, std::align_val_t a, std::nothrow_t const&) noexcept
{
    return or_null([=] { return ::operator new(n, a); });
}
void* operator new[](std::size_t n, std::align_val_t a, std::nothrow_t const&) noexcept
{
    return or_null([=] { return ::operator new[](n, a); });
}

void operator delete[](void* p) noexcept { ::operator delete(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { ::operator delete(p); }
void operator delete[](void* p, std::nothrow_t const&) noexcept { ::operator delete[](p); }
void operator delete[](void* p, std::align_val_t a) noexcept { ::operator delete(p, a); }
void operator delete(void* p, std::align_val_t a, std::nothrow_t const&) noexcept { ::operator delete(p, a); }
void operator delete[](void* p, std::align_val_t a, std::nothrow_t const&) noexcept { ::operator delete[](p, a); }
void operator delete(void* p, std::size_t n) noexcept
{
    if (deletes_here)
        shim::deallocate(p, n, usual);
    else
        ::operator delete(p);
}
void operator delete[](void* p, std::size_t n) noexcept
{
    if (deletes_here)
        shim::deallocate(p, n, usual);
    else
        ::operator delete[](p);
}
void operator delete(void* p, std::size_t n, std::align_val_t a) noexcept
{
    if (deletes_aligned_here)
        shim::deallocate(p, n, static_cast<std::size_t>(a));
    else
        ::operator delete(p, a);
}
void operator delete[](void* p, std::size_t n, std::align_val_t a) noexcept
{
    if (deletes_aligned_here)
        shim::deallocate(p, n, static_cast<std::size_t>(a));
    else
        ::operator delete[](p, a);
}

// libstdc++'s own set_default_resource(nullptr) goes back to its own resource, so all three are replaced.
namespace std::pmr {

[[gnu::visibility("default")]] memory_resource* new_delete_resource() noexcept { return &shim::resource(); }
[[gnu::visibility("default")]] memory_resource* get_default_resource() noexcept
{
    memory_resource* const r = default_resource.load(std::memory_order_acquire);
    return r != nullptr ? r : new_delete_resource();
}
[[gnu::visibility("default")]] memory_resource* set_default_resource(memory_resource* r) noexcept
{
    memory_resource* const before =
        default_resource.exchange(r == new_delete_resource() ? nullptr : r, std::memory_order_acq_rel);
    return before != nullptr ? before : new_delete_resource();
}

}
