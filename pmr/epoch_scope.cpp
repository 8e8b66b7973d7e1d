// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <optional>
#include <source_location>
#include <string_view>
#include <utility>
module tslab.pmr;

import tslab.epoch;
import tslab.tls_cache;

namespace tslab {

epoch_scope::epoch_scope(allocator& heap, std::string_view label, std::source_location at)
    : own_{std::in_place, heap, resource_options{.label = label}, at}, resource_{&*own_}
{
    resource_->domain().push();   // the resource has entered the domain; push makes it the thread's current one
}

epoch_scope::epoch_scope(allocator& heap, resource_options const& o, std::source_location at)
    : own_{std::in_place, heap, o, at}, resource_{&*own_}
{
    resource_->domain().push();
}

epoch_scope::epoch_scope(epoch_resource& resource, std::source_location at) : resource_{&resource}
{
    resource.domain().enter(at);
}

epoch_scope::~epoch_scope()
{
    epoch_domain& d = resource_->domain();
    bool const at_home = d.pop_at_end();
    if (!own_.has_value() && at_home)
        d.leave();
}

}
