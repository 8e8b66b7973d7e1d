// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The resource and the scope of <tslab/tslab.hpp>.
#pragma once
#include <memory_resource>
#include <new>
#include <tslab/cpp/domain.hpp>

namespace tslab {
namespace v0 {

/// A std::pmr::memory_resource bound to one epoch; equal only to itself. Its virtual functions are in the library, and have the
/// library's own resource, which is in this object, inline: a call costs what it costs with the module. Contract: tslab/c/scope.h;
/// allocate throws tslab::epoch_closed if the epoch is CLOSING, std::bad_alloc if memory is out or the request absurd.
class TSLAB_API epoch_resource final : public std::pmr::memory_resource {
public:
    using options = resource_options;

    /// Opens an epoch labelled `o.label` and enters it, or enters the current epoch if `o.share_epoch`. `at` names the resource in leak
    /// reports.
    TSLAB_LOCAL explicit epoch_resource(allocator& heap, options const& o = {},
                                        source_location at = source_location::current())
        : epoch_resource{heap.c(), c_options{o}.c, sizeof(tslab_resource_options), at.c()}
    {
    }
    ~epoch_resource() override;
    epoch_resource(epoch_resource const&) = delete;
    epoch_resource& operator=(epoch_resource const&) = delete;

    /// Releases everything that the resource allocated, live or not; it stays usable. Returns the number of objects that were live.
    TSLAB_LOCAL std::uint64_t release() noexcept { return tslab_resource_release(&c_); }

    [[nodiscard]] TSLAB_LOCAL allocator& heap() const noexcept { return detail::front_of(tslab_resource_heap(&c_)); }
    [[nodiscard]] TSLAB_LOCAL epoch_id epoch() const noexcept { return detail::of(tslab_resource_epoch(&c_)); }
    [[nodiscard]] TSLAB_LOCAL epoch_domain& domain() noexcept
    {
        return *reinterpret_cast<epoch_domain*>(tslab_resource_domain(&c_));
    }
    /// The resource for the C interface.
    [[nodiscard]] TSLAB_LOCAL tslab_resource* c() noexcept { return &c_; }

private:
    struct c_options {
        detail::c_label label;
        std::uint64_t limit;
        tslab_resource_options c;
        TSLAB_LOCAL explicit c_options(resource_options const& o) noexcept
            : label{o.label},
              limit{o.limit ? *o.limit : 0},
              c{label.text(),
                o.share_epoch,
                o.deallocate == deallocate_policy::count_only,
                !o.auto_close,
                o.threading == threading::serial,
                o.limit ? &limit : nullptr}
        {
        }
    };

    epoch_resource(tslab_heap* heap, tslab_resource_options const& o, std::size_t size, tslab_place const& at) noexcept;
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override;
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override;

    tslab_resource c_;
};

/// The guard of a phase; for the thread that made it only. An exception that leaves the scope ends it as usual.
class epoch_scope {
public:
    /// Opens an epoch labelled `label` and enters it. Throws std::bad_alloc if the thread's list of scopes cannot grow.
    TSLAB_LOCAL explicit epoch_scope(allocator& heap, std::string_view label = {},
                                     source_location at = source_location::current())
        : epoch_scope{heap, labelled(label), at}
    {
    }
    /// The same with all options of a resource.
    TSLAB_LOCAL epoch_scope(allocator& heap, resource_options const& o, source_location at = source_location::current())
        : owns_{true}
    {
        // In the body: a member of a union that an initializer has made would be ended once more when the constructor throws.
        resource_ = ::new (static_cast<void*>(&own_)) epoch_resource{heap, o, at};
        if (!tslab_resource_push(resource_->c())) {
            own_.~epoch_resource();
            TSLAB_THROW(std::bad_alloc{});
        }
    }
    /// Enters the domain of `resource` again. Requires: the calling thread made the resource. Throws std::bad_alloc.
    TSLAB_LOCAL explicit epoch_scope(epoch_resource& resource, source_location at = source_location::current())
        : owns_{false}, resource_{&resource}
    {
        resource.domain().enter(at);
    }
    /// Leaves, and ends a resource of its own. A wrong order or thread is reported to the error handler.
    TSLAB_LOCAL ~epoch_scope()
    {
        tslab_resource_pop(resource_->c(), !owns_);
        if (owns_)
            own_.~epoch_resource();
    }
    epoch_scope(epoch_scope const&) = delete;
    epoch_scope& operator=(epoch_scope const&) = delete;

    /// The resource of the phase, a std::pmr::memory_resource.
    [[nodiscard]] TSLAB_LOCAL epoch_resource* resource() const noexcept { return resource_; }
    [[nodiscard]] TSLAB_LOCAL epoch_id epoch() const noexcept { return resource_->epoch(); }
    [[nodiscard]] TSLAB_LOCAL epoch_domain& domain() const noexcept { return resource_->domain(); }

private:
    [[nodiscard]] TSLAB_LOCAL static resource_options labelled(std::string_view label) noexcept
    {
        resource_options o;
        o.label = label;
        return o;
    }

    union {
        epoch_resource own_;   // not std::optional, whose functions another binary may have too, for another copy
    };
    bool owns_;
    epoch_resource* resource_;
};

}
}
