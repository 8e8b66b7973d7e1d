// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/function_name.hpp"
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <utility>

namespace tslab::tool {

namespace {

bool opens(char c) noexcept { return c == '(' || c == '<' || c == '[' || c == '{'; }
bool closes(char c) noexcept { return c == ')' || c == '>' || c == ']' || c == '}'; }

/// Whether the character at `at` belongs to the name of an operator, such as operator< or operator().
bool is_of_operator(std::string_view name, std::size_t at) noexcept
{
    constexpr std::string_view word = "operator";
    constexpr std::string_view signs = "<>-=!&|+*/%^~,";
    std::size_t const end = name.find_last_not_of("<>()[]-=!&|+*/%^~,", at);
    if (end == std::string_view::npos || !name.substr(0, end + 1).ends_with(word))
        return false;
    std::string_view const rest = name.substr(end + 1);
    std::size_t const size =
        rest.starts_with("()") || rest.starts_with("[]") ? 2 : std::min(rest.find_first_not_of(signs), rest.size());
    return at <= end + size;
}

/// The place of the bracket that the one at `end` closes; npos if there is none.
std::size_t opening_of(std::string_view name, std::size_t end) noexcept
{
    std::size_t depth = 0;
    for (std::size_t at = end + 1; at-- > 0;) {
        if (is_of_operator(name, at))
            continue;
        depth += closes(name[at]) ? 1 : 0;
        if (!opens(name[at]) || depth == 0)
            continue;
        if (depth == 1)
            return at;
        --depth;
    }
    return std::string_view::npos;
}

std::string_view without_clone(std::string_view name) noexcept
{
    for (auto at = name.rfind(" [clone "); at != std::string_view::npos && name.ends_with(']');
         at = name.rfind(" [clone "))
        name = name.substr(0, at);
    return name;
}

std::string_view without_parameters(std::string_view name) noexcept
{
    constexpr std::array<std::string_view, 5> qualifiers{" const", " volatile", " &&", " &", " noexcept"};
    std::string_view rest = name;
    for (bool again = true; again;) {
        again = false;
        for (std::string_view const q : qualifiers)
            if (rest.ends_with(q)) {
                rest.remove_suffix(q.size());
                again = true;
            }
    }
    if (!rest.ends_with(')') || rest.ends_with("(anonymous namespace)") || is_of_operator(rest, rest.size() - 1))
        return name;
    std::size_t const at = opening_of(rest, rest.size() - 1);
    if (at == std::string_view::npos || at == 0)
        return name;
    return rest.substr(0, at);
}

std::string_view without_result(std::string_view name) noexcept
{
    std::size_t depth = 0;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < name.size(); ++at) {
        if (depth == 0 && name.substr(at).starts_with("operator") && (at == begin || name[at - 1] == ':'))
            break;   // what follows may have spaces: operator new, operator unsigned long
        depth += opens(name[at]) ? 1 : 0;
        if (closes(name[at]) && depth > 0)
            --depth;
        if (name[at] == ' ' && depth == 0)
            begin = at + 1;
    }
    return name.substr(begin);
}

/// The scope that `symbol` begins with, if it is std or one of its types that has a letter.
std::string_view standard_scope(std::string_view symbol) noexcept
{
    return symbol.starts_with("St") ? "std" : symbol.starts_with("Sa") ? "std::allocator" : "";
}

/// See name_in_module; `symbol` begins behind "_Z".
std::string scopes_and_name(std::string_view symbol)
{
    bool const nested = symbol.starts_with('N');
    symbol.remove_prefix(nested ? 1 : 0);
    std::string text;
    std::string last;
    bool of_module = false;
    while (!symbol.empty()) {
        char const c = symbol.front();
        if (c >= '0' && c <= '9') {
            std::size_t size = 0;
            while (!symbol.empty() && symbol.front() >= '0' && symbol.front() <= '9' && size < symbol.size()) {
                size = 10 * size + static_cast<std::size_t>(symbol.front() - '0');
                symbol.remove_prefix(1);
            }
            if (size == 0 || size > symbol.size())
                return {};
            last = symbol.substr(0, size) == "_GLOBAL__N_1" ? "(anonymous namespace)" : symbol.substr(0, size);
            symbol.remove_prefix(size);
            if (!std::exchange(of_module, false))
                text += (text.empty() ? "" : "::") + last;
            if (!nested && !symbol.starts_with('W'))
                return text;
        } else if (text.empty() && !standard_scope(symbol).empty()) {
            text = standard_scope(symbol);
            symbol.remove_prefix(2);
        } else if (c == 'W') {
            of_module = true;
            symbol.remove_prefix(symbol.substr(1).starts_with('P') ? 2 : 1);
        } else if (c == 'K' || c == 'V' || c == 'L' || c == 'R' || c == 'O') {
            symbol.remove_prefix(1);   // qualifiers of a member function, internal linkage
        } else if (c == 'C' || c == 'D') {
            return text.append(c == 'C' ? "::" : "::~").append(last);
        } else {
            return c == 'I' ? text + "<...>" : text;
        }
    }
    return text;
}

/// The scopes and the name in the symbol of an entity of a C++20 module, "_ZN5tslabW5tslabW3pmr14epoch_resource6refillEm": W and a name
/// stand for a part of the module's. The demangler of the C++ library does not know it, or, from GCC 14 on, adds "@tslab.pmr". What it is made of follows
/// https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling. Arguments of templates become "<...>", and end it; so does what is local in a
/// function. Empty if it is something else.
std::string name_in_module(std::string_view symbol)
{
    symbol.remove_prefix(std::string_view{"_Z"}.size());
    bool const local = symbol.starts_with('Z');
    symbol.remove_prefix(local ? 1 : 0);
    std::string const text = scopes_and_name(symbol);
    return local && !text.empty() ? text + "::{local}" : text;
}

bool begins_with_any(std::string_view name, auto const& all) noexcept
{
    return std::ranges::any_of(all, [name](std::string_view one) { return name.starts_with(one); });
}

}

std::string demangled(std::string const& linkage)
{
    if (!linkage.starts_with("_Z"))
        return linkage;
    int status = 0;
    std::unique_ptr<char, void (*)(void*)> const text{abi::__cxa_demangle(linkage.c_str(), nullptr, nullptr, &status),
                                                      std::free};
    std::string known = status == 0 && text ? text.get() : "";
    if (!known.empty() && known.find('@') == std::string::npos)
        return known;
    std::string const name = name_in_module(linkage);
    return !name.empty() ? name : !known.empty() ? known : linkage;
}

std::string without_signature(std::string_view name)
{
    return std::string{without_result(without_parameters(without_clone(name)))};
}

std::string with_short_templates(std::string_view name, std::size_t longest)
{
    std::string text;
    for (std::size_t at = 0; at < name.size();) {
        if (name[at] != '<' || is_of_operator(name, at)) {
            text += name[at++];
            continue;
        }
        std::size_t depth = 0;
        std::size_t end = at;
        do {
            depth += name[end] == '<' ? 1 : 0;
            depth -= name[end] == '>' && name[end - 1] != '-' ? 1 : 0;
            ++end;
        } while (end < name.size() && depth > 0);
        std::string_view const arguments = name.substr(at, end - at);
        text += arguments.size() > longest ? std::string_view{"<...>"} : arguments;
        at = end;
    }
    return text;
}

code_owner owner_of(std::string_view name) noexcept
{
    // What reaches an allocator, from the inside out: no program's own function has one of these names.
    constexpr std::array<std::string_view, 20> allocators{
        "tslab::",
        "tslab_",
        "operator new",
        "operator delete",
        "std::pmr::memory_resource",
        "std::pmr::polymorphic_allocator",
        "std::pmr::monotonic_buffer_resource",
        "std::pmr::synchronized_pool_resource",
        "std::pmr::unsynchronized_pool_resource",
        "std::pmr::__pool_resource",
        "std::allocator_traits",
        "std::allocator<",
        "std::allocator::",
        "std::__new_allocator",
        "std::__allocate_guarded",
        "std::__detail::_Hashtable_alloc",
        "__gnu_cxx::new_allocator",
        "__gnu_cxx::__alloc_traits",
        "boost::container::pmr::",
        "boost::container::allocator_traits",
    };
    constexpr std::array<std::string_view, 11> c_functions{
        "malloc",         "calloc",        "realloc", "reallocarray", "aligned_alloc", "memalign",
        "posix_memalign", "__libc_malloc", "valloc",  "pvalloc",      "__libc_calloc"};
    // Also as the demangler leaves a symbol that it does not know, and what has no name in the library's file.
    constexpr std::array<std::string_view, 11> standard{
        "std::",         "__gnu_cxx::",    "boost::container::", "_ZSt",       "_ZNSt",        "_ZNKSt",
        "_ZN9__gnu_cxx", "_ZNK9__gnu_cxx", "libstdc++.so.",      "libc++.so.", "libc++abi.so."};
    constexpr std::array<std::string_view, 7> begins{
        "_start", "__libc_start_main", "__libc_start_call_main", "start_thread", "clone", "__clone", "__clone3"};
    if (begins_with_any(name, allocators) || std::ranges::find(c_functions, name) != c_functions.end())
        return code_owner::allocator;
    return begins_with_any(name, standard) || std::ranges::find(begins, name) != begins.end() ? code_owner::standard
                                                                                              : code_owner::program;
}

code_owner owner_of_plain(std::string_view name, std::string_view file) noexcept
{
    constexpr std::array<std::string_view, 6> own{"/modules/epoch/", "/modules/slab/", "/modules/tls_cache/",
                                                  "/modules/stats/", "/pmr/epoch_",    "/tslab/tslab."};
    if (name.substr(0, name.find('<')).find("::") !=
        std::string_view::npos)   // arguments of templates have their namespaces
        return owner_of(name);
    if (file.find("/c++/") != std::string_view::npos)
        return code_owner::standard;
    bool const is_own =
        std::ranges::any_of(own, [file](std::string_view part) { return file.find(part) != std::string_view::npos; });
    return is_own ? code_owner::allocator : owner_of(name);
}

}
