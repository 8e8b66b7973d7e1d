// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// <tslab/asio.hpp>: the state of Asio's operations in a resource, also in a request's of tslab, and back in it before the handler is called.
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <thread>
#include <tslab/asio.hpp>
#include <vector>

import tslab;

namespace {

namespace asio = boost::asio;

/// Counts what is had from it.
class counted final : public std::pmr::memory_resource {
public:
    int allocations = 0;
    int live = 0;
    bool refuses = false;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        if (refuses)
            throw std::bad_alloc{};
        void* const p = std::pmr::new_delete_resource()->allocate(bytes, alignment);
        ++allocations;
        ++live;
        return p;
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        --live;
        std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
    }
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override
    {
        return this == &other;
    }
};

}

BOOST_AUTO_TEST_CASE(an_operation_has_its_state_in_the_resource_until_its_handler_is_called)
{
    counted memory;
    int called = 0;
    auto const handler = [&](auto&&...) {
        BOOST_TEST(memory.live == 0);
        ++called;
    };
    asio::io_context io;
    asio::post(io, tslab::bind_memory(&memory, handler));
    BOOST_TEST(memory.live == 1);
    BOOST_TEST(io.run() == 1U);
    asio::steady_timer timer{io, std::chrono::milliseconds{1}};
    timer.async_wait(tslab::bind_memory(&memory, handler));
    BOOST_TEST(memory.live == 1);
    io.restart();
    BOOST_TEST(io.run() == 1U);
    BOOST_TEST(called == 2);
    BOOST_TEST(memory.allocations == 2);
}

BOOST_AUTO_TEST_CASE(so_have_the_operations_of_which_a_composed_one_consists)
{
    counted memory;
    counted of_writer;
    asio::io_context io;
    asio::local::stream_protocol::socket from{io};
    asio::local::stream_protocol::socket to{io};
    asio::local::connect_pair(from, to);
    std::array<char, 1000> sent{};
    std::array<char, 1000> read{};
    std::size_t received = 0;
    asio::async_read(to, asio::buffer(read), tslab::bind_memory(&memory, [&](auto const& error, std::size_t n) {
                         BOOST_TEST(!error);
                         BOOST_TEST(memory.live == 0);
                         received = n;
                     }));
    for (std::size_t at = 0; at < sent.size(); at += 100) {
        asio::async_write(from, asio::buffer(sent.data() + at, 100), tslab::bind_memory(&of_writer, [](auto&&...) {}));
        io.restart();
        io.poll();
    }
    io.restart();
    io.run();
    BOOST_TEST(received == 1000U);
    BOOST_TEST(memory.allocations > 1);   // one for each time it waited
    BOOST_TEST(of_writer.allocations >= 10);
    BOOST_TEST(of_writer.live == 0);
}

BOOST_AUTO_TEST_CASE(a_handler_that_is_never_called_returns_the_memory_before_it_is_destroyed)
{
    counted memory;
    bool destroyed = false;
    struct watch {
        counted& memory;
        bool& destroyed;
        watch(counted& m, bool& d) : memory{m}, destroyed{d} {}
        watch(watch const&) = delete;
        watch& operator=(watch const&) = delete;
        ~watch()
        {
            BOOST_TEST(memory.live == 0);
            destroyed = true;
        }
    };
    {
        asio::io_context io;
        asio::post(io, tslab::bind_memory(&memory, [w = std::make_unique<watch>(memory, destroyed)] {}));
        BOOST_TEST(memory.live == 1);
    }
    BOOST_TEST(destroyed);
}

BOOST_AUTO_TEST_CASE(a_resource_without_memory_refuses_where_the_operation_is_started)
{
    counted memory;
    memory.refuses = true;
    asio::io_context io;
    BOOST_CHECK_THROW(asio::post(io, tslab::bind_memory(&memory, [] {})), std::bad_alloc);
    BOOST_TEST(io.run() == 0U);
}

BOOST_AUTO_TEST_CASE(a_serial_resource_serves_the_operations_of_a_strand_on_several_threads)
{
    tslab::allocator heap{{.name = "strand"}};
    std::optional<tslab::epoch_resource> request;
    request.emplace(heap, tslab::resource_options{.label = "request", .threading = tslab::threading::serial});
    asio::io_context pool;
    auto const strand = asio::make_strand(pool);
    int left = 2'000;
    struct step {
        asio::strand<asio::io_context::executor_type> on;
        std::pmr::memory_resource* memory;
        int* left;
        void operator()() const
        {
            if (--*left > 0)
                asio::post(on, tslab::bind_memory(memory, *this));
        }
    };
    asio::post(strand, tslab::bind_memory(&*request, step{strand, &*request, &left}));
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] { pool.run(); });
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(left == 0);
    BOOST_TEST(heap.snapshot().global.allocations >= 2'000U);
    BOOST_TEST(heap.snapshot().global.live_objects == 0U);
    request.reset();
    BOOST_TEST(heap.snapshot().global.misuses == 0U);
}
