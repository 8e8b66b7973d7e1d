// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A user's program that gives a Boost container and an operation of Boost.Asio memory of tslab. Exits 1 if what it stored is not there.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/container/pmr/polymorphic_allocator.hpp>
#include <boost/container/vector.hpp>
#include <tslab/asio.hpp>

import tslab;
import tslab.boost;

int main()
{
    tslab::allocator heap{{.name = "consumer"}};
    tslab::epoch_resource session{heap, {.label = "session"}};
    tslab::boost_resource adapter{&session};
    boost::container::vector<int, boost::container::pmr::polymorphic_allocator<int>> numbers{&adapter};
    for (int i = 0; i < 1000; ++i)
        numbers.push_back(i);
    boost::asio::io_context io;
    boost::asio::post(io, tslab::bind_memory(&session, [&] { numbers.push_back(1000); }));
    io.run();
    return numbers.back() == 1000 ? 0 : 1;
}
