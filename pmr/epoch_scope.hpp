// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// epoch_scope: the guard of a phase. It makes a resource with an epoch of its own, or re-enters the domain of an
// existing resource, and is the calling thread's current domain until it ends. An exception that leaves the scope ends
// it as usual.
#pragma once

export namespace tslab {

/// A guard; for the thread that made it only.
class epoch_scope {
public:
    /// Opens an epoch labelled `label` and enters it. If no ring slot is free, it shares the current epoch (counted as
    /// ring_exhausted). Throws std::bad_alloc if the thread's list of scopes cannot grow. Complexity: as
    /// epoch_resource's constructor.
    explicit epoch_scope(allocator& heap, std::string_view label = {},
                         std::source_location at = std::source_location::current());
    /// The same with all options of a resource.
    epoch_scope(allocator& heap, resource_options const& o, std::source_location at = std::source_location::current());
    /// Enters the domain of `resource` again. Requires: the calling thread made the resource. Throws std::bad_alloc.
    explicit epoch_scope(epoch_resource& resource, std::source_location at = std::source_location::current());
    /// Leaves, and ends a resource of its own. A wrong order or thread is reported to the error handler.
    ~epoch_scope();
    epoch_scope(epoch_scope const&) = delete;
    epoch_scope& operator=(epoch_scope const&) = delete;

    /// The resource of the phase, a std::pmr::memory_resource.
    [[nodiscard]] inline epoch_resource* resource() const noexcept { return resource_; }
    [[nodiscard]] inline epoch_id epoch() const noexcept { return resource_->epoch(); }
    [[nodiscard]] inline epoch_domain& domain() const noexcept { return resource_->domain(); }

private:
    void push_own();

    union {
        epoch_resource own_;   // lives if `resource_` points at it. No optional, whose functions would be calls.
    };
    epoch_resource* resource_ = nullptr;
};

}
