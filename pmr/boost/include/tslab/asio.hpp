// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Boost.Asio's operations in a memory resource. A pending operation has a state, which Asio and Beast allocate with the allocator
// that is associated with the operation's handler; without one, by operator new. C++17 and later, any compiler; needs neither the
// modules nor libtslab: any std::pmr::memory_resource will do.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_allocator.hpp>

#include <cstddef>
#include <memory_resource>
#include <type_traits>
#include <utility>

namespace tslab {

/// The allocator that `bind_memory` associates.
using operation_allocator = std::pmr::polymorphic_allocator<std::byte>;

/// A completion token: `token`, with the allocator of a resource. Boost 1.81's own `bind_allocator` takes tokens of which the result is
/// known beforehand, so neither `deferred` nor `as_tuple(deferred)`; this one takes any.
template <class Token> struct bound_to_memory {
    operation_allocator allocator;
    Token token;
};

/// A completion token or handler like `token`, whose operation takes the memory of its state from `memory`: also that of the operations
/// of which a composed one consists. For example
///
///     co_await socket.async_read_some(buffer, tslab::bind_memory(scope.resource(), boost::asio::deferred));
///
/// Requires: `memory` lives until the handler has been called or destroyed. Asio returns the memory before either, so a coroutine may own
/// the resource that its operations use. The uses of one operation do not overlap, but may come from any thread that runs the
/// executor: a resource with `threading::serial` serves the operations of one coroutine or strand, one at a time.
/// Does not throw by itself; what allocates is the operation, which throws what `memory` throws where it is started.
/// Thread safety: as that of copying `token`.
template <class Token> [[nodiscard]] auto bind_memory(std::pmr::memory_resource* memory, Token&& token)
{
    return bound_to_memory<std::decay_t<Token>>{operation_allocator{memory}, std::forward<Token>(token)};
}

namespace detail {

/// Starts an operation with a handler that the allocator is associated with.
template <class Initiation> struct start_in_memory {
    operation_allocator allocator;
    Initiation initiation;

    template <class Handler, class... Args> void operator()(Handler&& handler, Args&&... args)
    {
        std::move(initiation)(boost::asio::bind_allocator(allocator, std::forward<Handler>(handler)),
                              std::forward<Args>(args)...);
    }
    template <class Handler, class... Args> void operator()(Handler&& handler, Args&&... args) const
    {
        initiation(boost::asio::bind_allocator(allocator, std::forward<Handler>(handler)), std::forward<Args>(args)...);
    }
};

}   // namespace detail

}   // namespace tslab

namespace boost::asio {

/// How an operation is started with such a token.
template <class Token, class... Signatures> class async_result<tslab::bound_to_memory<Token>, Signatures...> {
public:
    /// What starting it with the token alone returns.
    template <class Initiation, class... Args>
    static auto initiate(Initiation&& initiation, tslab::bound_to_memory<Token> bound, Args&&... args)
    {
        return async_initiate<Token, Signatures...>(
            tslab::detail::start_in_memory<std::decay_t<Initiation>>{bound.allocator,
                                                                     std::forward<Initiation>(initiation)},
            bound.token, std::forward<Args>(args)...);
    }
};

}   // namespace boost::asio
