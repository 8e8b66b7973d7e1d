// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// How functions in profiles are named, whose they are, and which one of a stack is responsible.
#define BOOST_TEST_MODULE function_names
#include <boost/test/unit_test.hpp>

#include "tslab/function_name.hpp"
#include "tslab/named_profile.hpp"
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace tslab::tool;

BOOST_AUTO_TEST_CASE(names_of_functions_are_shortened)
{
    for (auto const& [whole, name] :
         {std::pair{"void ns::f<int>(std::vector<int> const&) const", "ns::f<int>"},
          {"(anonymous namespace)::foo(int)", "(anonymous namespace)::foo"},
          {"foo(int)::{lambda(char)#1}::operator()(char) const", "foo(int)::{lambda(char)#1}::operator()"},
          {"foo(int)::{lambda(char)#1}", "foo(int)::{lambda(char)#1}"},
          {"operator new(unsigned long)", "operator new"},
          {"A::operator unsigned long() const", "A::operator unsigned long"},
          {"bool operator< <int>(A<int> const&, B)", "operator< <int>"},
          {"std::ostream& operator<<(std::ostream&, X)", "operator<<"},
          {"A::operator->() const", "A::operator->"},
          {"foo(int) [clone .cold]", "foo"},
          {"unsigned long (anonymous namespace)::count<char>(char)", "(anonymous namespace)::count<char>"},
          {"main", "main"},
          {"", ""}})
        BOOST_TEST(without_signature(whole) == name);
    BOOST_TEST(with_short_templates("std::vector<int, std::pmr::polymorphic_allocator<int> >::push_back") ==
               "std::vector<...>::push_back");
    BOOST_TEST(with_short_templates("f<int>") == "f<int>");
    BOOST_TEST(demangled("_ZN4shop4loadEv") == "shop::load()");
    BOOST_TEST(demangled("_ZN5tslabW5tslabW3pmr14epoch_resource6refillERNS_S0_W9tls_cache12thread_cacheEm") ==
               "tslab::epoch_resource::refill");
    BOOST_TEST(demangled("_ZNK5tslabW5tslabW3pmr14epoch_resourceC2ERKS0_") == "tslab::epoch_resource::epoch_resource");
    BOOST_TEST(demangled("_ZN5tslabW5tslabW3pmr4listIiE3addEv") == "tslab::list<...>");
    BOOST_TEST(demangled("_ZNSt6thread11_State_implINS_8_InvokerISt5tupleIJZN5tslabW5tslab3runEvE3$_0EEEEE6_M_runEv") ==
               "std::thread::_State_impl<...>");
    BOOST_TEST(demangled("_ZNSt6vectorIN5tslabW5tslab4itemESaIS1_EE9push_backERKS1_") == "std::vector<...>");
    BOOST_TEST(demangled("_ZZN4shopW5store4loadEvENKUlvE_clEv") == "shop::load::{local}");
    for (char const* const damaged : {"_Z", "_ZN", "_ZN99999999999999999999a", "_ZNW", "_ZN0", "_Z5tsla"})
        BOOST_TEST(!demangled(damaged).empty());
    BOOST_TEST(demangled("_Z") == "_Z");
    BOOST_TEST(demangled("main") == "main");
}

BOOST_AUTO_TEST_CASE(who_owns_a_function_is_told_by_its_name)
{
    for (char const* const name : {"tslab::allocator::malloc", "operator new", "malloc",
                                   "std::pmr::memory_resource::allocate", "std::allocator_traits<A>::allocate"})
        BOOST_TEST((owner_of(name) == code_owner::allocator), name);
    for (char const* const name : {"std::vector<int>::push_back", "_ZNSt6threadX", "_ZNKSt6vectorX", "_ZSt4moveX"})
        BOOST_TEST((owner_of(name) == code_owner::standard), name);
    for (char const* const name : {"start_thread", "_start", "libstdc++.so.6+0xd44a3"})
        BOOST_TEST((owner_of(name) == code_owner::standard), name);
    for (char const* const name : {"main", "mallocate", "shop::std::f", "tslabs::f", "", "libshop.so+0x12", "clones"})
        BOOST_TEST((owner_of(name) == code_owner::program), name);
}

// Inlined functions of short debug information: the arguments of templates have namespaces, the function has none.
BOOST_AUTO_TEST_CASE(who_owns_a_function_without_its_namespace_is_told_by_its_file)
{
    using tslab::tool::owner_of_plain;
    std::string_view const header = "/usr/include/c++/12/bits/stl_tree.h";
    for (char const* const name :
         {"_M_create_node<int &, const char *>", "basic_string<std::allocator<char> >", "operator()"})
        BOOST_TEST((owner_of_plain(name, header) == code_owner::standard), name);
    BOOST_TEST((owner_of_plain("refill", "/src/modules/tls_cache/thread_cache.cpp") == code_owner::allocator));
    BOOST_TEST((owner_of_plain("malloc", "") == code_owner::allocator));
    BOOST_TEST((owner_of_plain("load<std::vector<int> >", "/src/shop.cpp") == code_owner::program));
    BOOST_TEST((owner_of_plain("shop::load", header) == code_owner::program));
}

BOOST_AUTO_TEST_CASE(the_responsible_frame_is_the_first_outside_of_the_libraries)
{
    using tslab::tool::code_frame;
    auto const self = [](std::vector<std::string> const& names) {
        std::vector<code_frame> frames;
        std::vector<code_frame const*> all;
        for (std::string const& name : names)
            frames.push_back({.function = name, .owner = owner_of(name)});
        for (code_frame const& f : frames)
            all.push_back(&f);
        return tslab::tool::self_of(all);
    };
    BOOST_TEST(self({"tslab::allocator::malloc", "std::vector<int>::push_back", "shop::load", "main", "_start"}) == 2U);
    // A thread whose function was inlined and has no name: the library's function is named after it.
    BOOST_TEST(self({"tslab::allocator::malloc", "std::vector<int>::push_back",
                     "std::thread::_State_impl<shop::run()::{lambda()#1}>::_M_run", "libstdc++.so.6+0xd44a3",
                     "start_thread", "__clone3"}) == 2U);
    BOOST_TEST(self({"tslab::allocator::malloc", "start_thread", "__clone3"}) == 1U);
    BOOST_TEST(self({"tslab::allocator::malloc"}) == 0U);
    BOOST_TEST(self({}) == 0U);
}
