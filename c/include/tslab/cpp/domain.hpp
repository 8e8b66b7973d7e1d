// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The domain of <tslab/tslab.hpp>. Its storage is the library's object, so a domain that the library names is one of these.
#pragma once
#include <tslab/cpp/allocator.hpp>

namespace tslab {
namespace v0 {

/// A scope's hold on an epoch. For the creating thread only, unless the C function says otherwise (tslab/c/scope.h).
class epoch_domain {
public:
    using options = domain_options;

    /// Opens an epoch labelled `o.label`; the domain is not entered yet. Does not throw.
    TSLAB_LOCAL explicit epoch_domain(allocator& heap, options const& o = {},
                                      source_location at = source_location::current()) noexcept
    {
        detail::c_label const label{o.label};
        tslab_domain_options const c{label.text(), !o.auto_close};
        tslab_place const place = at.c();
        tslab_domain_begin(&c_, heap.c(), &c, sizeof c, &place);
    }
    /// A domain around the existing epoch `e`, not entered yet. Does not throw.
    TSLAB_LOCAL epoch_domain(allocator& heap, epoch_id e, options const& o = {}) noexcept
    {
        detail::c_label const label{o.label};
        tslab_domain_options const c{label.text(), !o.auto_close};
        tslab_domain_wrap(&c_, heap.c(), detail::c_of(e), &c, sizeof c);
    }
    TSLAB_LOCAL ~epoch_domain() { tslab_domain_end(&c_); }
    epoch_domain(epoch_domain const&) = delete;
    epoch_domain& operator=(epoch_domain const&) = delete;

    /// Throws std::bad_alloc if the list of scopes cannot grow.
    TSLAB_LOCAL void enter(source_location at = source_location::current())
    {
        tslab_place const place = at.c();
        if (!tslab_domain_enter(&c_, &place))
            TSLAB_THROW(std::bad_alloc{});
    }
    TSLAB_LOCAL void exit() { tslab_domain_exit(&c_); }
    TSLAB_LOCAL close_report force_close() noexcept
    {
        tslab_close_report r{};
        tslab_domain_force_close(&c_, &r, sizeof r);
        return close_report{r};
    }

    /// The domain that the calling thread entered last and has not left; null outside of all domains.
    [[nodiscard]] TSLAB_LOCAL static epoch_domain* current() noexcept
    {
        return reinterpret_cast<epoch_domain*>(tslab_domain_current());
    }

    [[nodiscard]] TSLAB_LOCAL allocator& heap() const noexcept { return detail::front_of(tslab_domain_heap(&c_)); }
    [[nodiscard]] TSLAB_LOCAL epoch_id epoch() const noexcept { return detail::of(tslab_domain_epoch(&c_)); }
    [[nodiscard]] TSLAB_LOCAL std::uint32_t depth() const noexcept { return tslab_domain_depth(&c_); }
    [[nodiscard]] TSLAB_LOCAL bool entered() const noexcept { return depth() != 0; }
    [[nodiscard]] TSLAB_LOCAL bool closes_epoch() const noexcept { return tslab_domain_closes_epoch(&c_); }
    [[nodiscard]] TSLAB_LOCAL bool shares_epoch() const noexcept { return tslab_domain_shares_epoch(&c_); }

private:
    tslab_domain c_;   // the only member
};

}
}
