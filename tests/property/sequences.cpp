// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Random sequences of commands on four threads, one command after the other, against a model (machine.hpp). RapidCheck makes
// them up, prints the seed, and makes a failing one small. RC_PARAMS, as RapidCheck reads it, says how many and which:
// RC_PARAMS="max_success=10000", RC_PARAMS="seed=123", RC_PARAMS="reproduce=...".
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "machine.hpp"

using property::act;
using property::command;
using property::error;
using property::machine;
using property::setting;

namespace rc {

template <> struct Arbitrary<command> {
    static Gen<command> arbitrary()
    {
        auto const size = gen::weightedOneOf<std::size_t>({{6, gen::inRange<std::size_t>(0, 770)},
                                                           {3, gen::element<std::size_t>(16, 64, 700, 1024, 4096)},
                                                           {1, gen::inRange<std::size_t>(700, 840)},
                                                           {1, gen::inRange<std::size_t>(0, 20'000)},
                                                           {1, gen::inRange<std::size_t>(60'000, 200'000)}});
        auto const what = gen::weightedElement<act>({{28, act::allocate},
                                                     {6, act::allocate_by_handle},
                                                     {26, act::allocate_from},
                                                     {44, act::free},
                                                     {2, act::free_twice},
                                                     {2, act::free_stale},
                                                     {4, act::advance},
                                                     {6, act::close},
                                                     {3, act::trim},
                                                     {1, act::trim_all},
                                                     {4, act::open},
                                                     {3, act::open_shared},
                                                     {4, act::end},
                                                     {3, act::release},
                                                     {4, act::enter},
                                                     {4, act::leave},
                                                     {3, act::end_thread},
                                                     {5, act::look}});
        // An allocation becomes a plain one where that fails as well: else the resource it is from has to stay in the sequence.
        auto const simpler = gen::shrink(what, [](act a) {
            return a == act::allocate_by_handle || a == act::allocate_from ? seq::just(act::allocate) : Seq<act>{};
        });
        // Numbers of places are not to depend on the size that RapidCheck asks for, only the length of the sequence is.
        return gen::build<command>(
            gen::set(&command::what, simpler), gen::set(&command::thread, gen::inRange(0U, machine::thread_count)),
            gen::set(&command::pick, gen::resize(kNominalSize, gen::inRange(0U, 64U))),
            gen::set(&command::count, gen::resize(kNominalSize, gen::inRange(1U, 24U))),
            gen::set(&command::size, gen::resize(kNominalSize, size)),
            gen::set(&command::alignment,
                     gen::weightedOneOf<unsigned>({{6, gen::inRange(0U, 5U)}, {1, gen::inRange(0U, 13U)}})));
    }
};

template <> struct Arbitrary<setting> {
    static Gen<setting> arbitrary()
    {
        return gen::build<setting>(gen::set(&setting::epochs, gen::element(2U, 3U, 4U, 16U)),
                                   gen::set(&setting::reclaim, gen::inRange(0U, 3U)));
    }
};

}

namespace {

struct figures {
    std::uint64_t sequences = 0, commands = 0, operations = 0;
    std::size_t shortest_failing = std::numeric_limits<std::size_t>::max();
};

figures check(char const* what, error wrong, bool& held)
{
    figures f;
    held = rc::check(what, [&] {
        auto const how = *rc::gen::arbitrary<setting>();
        auto const commands = *rc::gen::scale(4.0, rc::gen::arbitrary<std::vector<command>>());
        ++f.sequences;
        f.commands += commands.size();
        machine m{how, wrong};
        try {
            for (command const& c : commands)
                m.carry_out(c);
            m.finish();
        } catch (std::exception const& e) {
            f.shortest_failing = std::min(f.shortest_failing, commands.size());
            RC_FAIL(std::string{e.what()});
        }
        f.operations += m.operations();
    });
    return f;
}

}

BOOST_AUTO_TEST_CASE(a_heap_agrees_with_its_model)
{
    // More than RapidCheck's hundred, unless the environment says how many.
    ::setenv("RC_PARAMS", support::sanitized ? "max_success=100" : "max_success=300", 0);
    bool held = false;
    figures const f = check("a heap agrees with its model", error::none, held);
    std::printf("%llu sequences, %llu commands, %llu operations\n", static_cast<unsigned long long>(f.sequences),
                static_cast<unsigned long long>(f.commands), static_cast<unsigned long long>(f.operations));
    BOOST_TEST(held);
}

BOOST_AUTO_TEST_CASE(a_wrong_model_is_found_and_its_sequence_made_small)
{
    bool held = true;
    BOOST_TEST(check("a model in which frees on other threads do nothing", error::frees_elsewhere_do_nothing, held)
                   .shortest_failing <= 2u);
    BOOST_TEST(!held);
    BOOST_TEST(
        check("a model in which advance closes nothing", error::advance_keeps_epochs_open, held).shortest_failing <=
        2u);
    BOOST_TEST(!held);
}
