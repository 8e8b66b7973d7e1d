// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// epoch_scope: the guard of a phase. It makes a resource with an epoch of its own, or enters one that exists again,
// and is the calling thread's current domain until it ends; leaving by an exception is leaving.
module;
#include <memory_resource>
#include <optional>
#include <source_location>
#include <string_view>
export module tslab.pmr:epoch_scope;

import tslab.epoch;
import :epoch_resource;

export namespace tslab {

class epoch_scope {
public:
    /// Opens an epoch named `label` and enters it. Throws std::bad_alloc when the thread's list of scopes cannot grow.
    explicit epoch_scope(allocator& heap, std::string_view label = {},
                         std::source_location at = std::source_location::current());
    /// The same with every option of a resource.
    epoch_scope(allocator& heap, resource_options const& o, std::source_location at = std::source_location::current());
    /// Enters the domain of `resource` again. Precondition: the thread that made the resource.
    explicit epoch_scope(epoch_resource& resource, std::source_location at = std::source_location::current());
    /// Leaves. Out of order or on another thread is reported.
    ~epoch_scope();
    epoch_scope(epoch_scope const&) = delete;
    epoch_scope& operator=(epoch_scope const&) = delete;

    /// The memory of the phase; a std::pmr::memory_resource*.
    [[nodiscard]] inline epoch_resource* resource() const noexcept { return resource_; }
    [[nodiscard]] inline epoch_id epoch() const noexcept { return resource_->epoch(); }
    [[nodiscard]] inline epoch_domain& domain() const noexcept { return resource_->domain(); }

private:
    std::optional<epoch_resource> own_;
    epoch_resource* resource_;
};

}
