// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Every way to look into a heap while the system refuses its first call, its second, and so on, as in operations.cpp: snapshots, maps,
// leaks, diagnoses, text, another process; and to look for escapes.
#define BOOST_TEST_MODULE faults_inspection
#include <boost/test/unit_test.hpp>

#include <deque>
#include <memory_resource>
#include <new>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "world.hpp"

using failing::every_size;
using failing::in_use;
using failing::make_and_use;
using failing::refuse_each;
using failing::small_heap;
using failing::with_a_resource;
using failing::world;

BOOST_AUTO_TEST_CASE(looking_into_it)
{
    static_cast<void>(make_and_use(small_heap()));   // a thread's list of its records is made once, and kept
    refuse_each("snapshot", with_a_resource, [](world& w) {
        tslab::snapshot const s = w.heap->snapshot();
        return s.global.live_objects == w.kept.size() && s.global.slab_pages != 0;
    });
    refuse_each("map", in_use, [](world& w) { return !w.heap->map().runs.empty(); });
    refuse_each("leaks", with_a_resource, [](world& w) {
        return !w.heap->leaks(std::chrono::seconds{-1}).empty() || w.heap->leaks(std::chrono::hours{1}).empty();
    });
    refuse_each("diagnose", in_use, [](world& w) {
        static_cast<void>(tslab::diagnose(w.heap->snapshot()));
        return true;
    });
    refuse_each("options", in_use, [](world& w) {
        w.heap->set_sampling(true);
        tslab::set_lock_timing(1);
        bool const done = every_size(*w.heap);
        w.heap->set_sampling(false);
        tslab::set_lock_timing(0);
        return done;
    });
}

BOOST_AUTO_TEST_CASE(a_snapshot_as_text_and_back)
{
    refuse_each("to_json and from_json", in_use, [](world& w) {
        tslab::snapshot s;
        {
            faults::calm const calm;
            s = w.heap->snapshot({.residency = false});
            s.classes.resize(1);
            s.threads.clear();
            s.epochs.resize(1);
        }
        std::string const text = tslab::to_json(s);
        return tslab::from_json(text).global.live_objects == w.kept.size();
    });
}

BOOST_AUTO_TEST_CASE(escapes_are_looked_for)
{
    static std::deque<std::pmr::unsynchronized_pool_resource> upstreams;
    refuse_each(
        "set_escape_detection",
        [](world& w) {
            w.make();
            std::pmr::set_default_resource(&upstreams.emplace_back(std::pmr::new_delete_resource()));
        },
        [](world& w) {
            static_cast<void>(w);
            auto const before = tslab::escape_detection();
            try {
                tslab::set_escape_detection(true);
            } catch (std::bad_alloc const&) {
                if (tslab::escape_detection() != before)
                    throw std::runtime_error{"it is on without a detector"};
                throw;
            }
            bool const on = tslab::escape_detection();
            tslab::set_escape_detection(false);
            return on;
        },
        false);
    std::pmr::set_default_resource(nullptr);
}

BOOST_AUTO_TEST_CASE(another_process_is_read)
{
    refuse_each("observer", in_use, [](world& w) {
        try {
            tslab::observer seen{::getpid()};
            auto const all = seen.read();
            return all.size() == 1 && all[0].global.live_objects == w.kept.size();
        } catch (tslab::observe_error const&) {
            return false;
        }
    });
}
