// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/debug_file.hpp"
#include <algorithm>
#include <array>
#include <cstdlib>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <map>
#include <optional>
#include <stdexcept>
#include <unistd.h>
#include <utility>

namespace tslab::tool {

namespace {

struct code_range {
    Dwarf_Addr low = 0;
    Dwarf_Addr high = 0;
    Dwarf_Die die{};
};

/// The range with `pc` in it, of ranges sorted by `low` that do not overlap.
code_range const* range_with(std::vector<code_range> const& sorted, Dwarf_Addr pc) noexcept
{
    auto const after = std::ranges::upper_bound(sorted, pc, {}, &code_range::low);
    if (after == sorted.begin() || pc >= std::prev(after)->high)
        return nullptr;
    return &*std::prev(after);
}

void add_ranges(std::vector<code_range>& to, Dwarf_Die& die)
{
    Dwarf_Addr base = 0;
    Dwarf_Addr low = 0;
    Dwarf_Addr high = 0;
    for (std::ptrdiff_t at = 0; (at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;)
        if (high > low)
            to.push_back({low, high, die});
}

template <class F> void for_each_child(Dwarf_Die& of, F visit)
{
    Dwarf_Die child;
    if (dwarf_child(&of, &child) != 0)
        return;
    do
        visit(child);
    while (dwarf_siblingof(&child, &child) == 0);
}

/// Debug information is data: a tree deeper than this is not followed.
constexpr int deepest = 64;

void add_functions(std::vector<code_range>& to, Dwarf_Die& in, int depth = 0)
{
    for_each_child(in, [&](Dwarf_Die& die) {
        switch (dwarf_tag(&die)) {
        case DW_TAG_subprogram: add_ranges(to, die); [[fallthrough]];
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
        case DW_TAG_lexical_block:
            if (depth < deepest)
                add_functions(to, die, depth + 1);
            break;
        default: break;
        }
    });
}

/// The functions that are inlined at `pc`, the outermost first.
void add_inlined(std::vector<Dwarf_Die>& to, Dwarf_Die in, Dwarf_Addr pc, int depth = 0)
{
    bool found = false;
    for_each_child(in, [&](Dwarf_Die& die) {
        int const tag = dwarf_tag(&die);
        bool const scope = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
                           tag == DW_TAG_catch_block;
        if (found || !scope || depth >= deepest || dwarf_haspc(&die, pc) != 1)
            return;
        found = true;
        if (tag == DW_TAG_inlined_subroutine)
            to.push_back(die);
        add_inlined(to, die, pc, depth + 1);
    });
}

/// "a::b::", the namespaces and classes around the declaration of a function.
std::string scope_of(Dwarf_Die& die)
{
    Dwarf_Die declared = die;
    Dwarf_Attribute attribute;
    for (unsigned const kind : {DW_AT_abstract_origin, DW_AT_specification})
        if (Dwarf_Die other;
            dwarf_attr(&declared, kind, &attribute) != nullptr && dwarf_formref_die(&attribute, &other) != nullptr)
            declared = other;
    Dwarf_Die* around = nullptr;
    int const count = dwarf_getscopes_die(&declared, &around);
    std::unique_ptr<Dwarf_Die, void (*)(void*)> const owned{around, std::free};
    std::string text;
    for (int n = 1; n < count; ++n) {
        int const tag = dwarf_tag(&around[n]);
        char const* const name = dwarf_diename(&around[n]);
        if (tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type)
            text.insert(0, std::string{name != nullptr ? name : "(anonymous namespace)"} + "::");
    }
    return text;
}

std::string name_of(Dwarf_Die& die)
{
    Dwarf_Attribute attribute;
    for (unsigned const kind : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name})
        if (dwarf_attr_integrate(&die, kind, &attribute) != nullptr)
            if (char const* const name = dwarf_formstring(&attribute))
                return name;
    char const* const name = dwarf_diename(&die);
    return name != nullptr ? scope_of(die) + name : "";
}

std::optional<Dwarf_Word> number_of(Dwarf_Die& die, unsigned attribute_name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word n = 0;
    if (dwarf_attr(&die, attribute_name, &attribute) == nullptr || dwarf_formudata(&attribute, &n) != 0)
        return std::nullopt;
    return n;
}

/// Where the function that `inlined` stands for was called, in the code around it.
void put_place_of_call(source_frame& to, Dwarf_Die& inlined, Dwarf_Die& unit)
{
    to.line = static_cast<std::uint32_t>(number_of(inlined, DW_AT_call_line).value_or(0));
    Dwarf_Files* files = nullptr;
    std::size_t count = 0;
    auto const file = number_of(inlined, DW_AT_call_file);
    if (file && dwarf_getsrcfiles(&unit, &files, &count) == 0 && *file < count)
        if (char const* const name = dwarf_filesrc(files, *file, nullptr, nullptr))
            to.file = name;
}

void put_place_of_line(source_frame& to, Dwarf_Die& unit, Dwarf_Addr pc)
{
    Dwarf_Line* const line = dwarf_getsrc_die(&unit, pc);
    int number = 0;
    if (line == nullptr)
        return;
    if (char const* const name = dwarf_linesrc(line, nullptr, nullptr))
        to.file = name;
    if (dwarf_lineno(line, &number) == 0 && number > 0)
        to.line = static_cast<std::uint32_t>(number);
}

bool has_section(Elf* elf, GElf_Word type)
{
    for (Elf_Scn* section = nullptr; elf != nullptr && (section = elf_nextscn(elf, section)) != nullptr;) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) != nullptr && header.sh_type == type)
            return true;
    }
    return false;
}

std::string hexadecimal(unsigned char const* bytes, std::size_t size)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i)
        (text += digits[bytes[i] >> 4]) += digits[bytes[i] & 15];
    return text;
}

}

struct debug_file::state {
    // Beside the file, then where debug information is installed: in the file system of the process, then in ours.
    std::string search{};
    char* search_begin = nullptr;
    Dwfl_Callbacks callbacks{};
    std::unique_ptr<Dwfl, void (*)(Dwfl*)> dwfl{nullptr, dwfl_end};
    Dwfl_Module* module = nullptr;
    Elf* elf = nullptr;
    Dwarf* dwarf = nullptr;
    bool dwarf_looked_for = false;
    std::string build_id{};
    std::vector<code_range> units{};
    std::map<Dwarf_Off, std::vector<code_range>> functions{};   // of the units that were asked for

    Dwarf* debug_information();
    std::vector<code_range> const& functions_of(Dwarf_Die& unit);
    std::optional<Dwarf_Addr> address_of(std::uint64_t file_offset) const;
    std::optional<std::string> symbol_at(Dwarf_Addr pc) const;
};

bool debug_file::available() noexcept { return true; }

debug_file::debug_file(int fd, std::string const& path, std::string const& root) : state_{std::make_unique<state>()}
{
    state& s = *state_;
    s.search = ":.debug:" + (root.empty() ? std::string{} : root + "/usr/lib/debug:") + "/usr/lib/debug";
    s.search_begin = s.search.data();
    s.callbacks.find_elf = dwfl_build_id_find_elf;
    s.callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
    s.callbacks.section_address = dwfl_offline_section_address;
    s.callbacks.debuginfo_path = &s.search_begin;
    s.dwfl.reset(dwfl_begin(&s.callbacks));
    auto const fail = [&path] {
        throw std::runtime_error{path + " cannot be read as an ELF file: " + dwfl_errmsg(-1)};
    };
    if (!s.dwfl)
        fail();
    int const own = ::dup(fd);   // libdwfl closes what it is given
    dwfl_report_begin(s.dwfl.get());
    s.module = dwfl_report_elf(s.dwfl.get(), path.c_str(), path.c_str(), own, 0, true);
    if (s.module == nullptr) {
        ::close(own);
        fail();
    }
    dwfl_report_end(s.dwfl.get(), nullptr, nullptr);
    GElf_Addr bias = 0;
    s.elf = dwfl_module_getelf(s.module, &bias);
    if (s.elf == nullptr)
        fail();
    void const* id = nullptr;
    if (ssize_t const size = dwelf_elf_gnu_build_id(s.elf, &id); size > 0)
        s.build_id = hexadecimal(static_cast<unsigned char const*>(id), static_cast<std::size_t>(size));
}

debug_file::~debug_file() = default;

std::string const& debug_file::build_id() const noexcept { return state_->build_id; }
bool debug_file::has_debug_information() { return state_->debug_information() != nullptr; }

bool debug_file::has_symbol_table()
{
    if (has_section(state_->elf, SHT_SYMTAB))
        return true;
    Dwarf* const debug = state_->debug_information();
    return debug != nullptr && has_section(dwarf_getelf(debug), SHT_SYMTAB);
}

/// Its units are listed here: not every compiler writes a table of their addresses (.debug_aranges).
Dwarf* debug_file::state::debug_information()
{
    if (dwarf_looked_for)
        return dwarf;
    dwarf_looked_for = true;
    Dwarf_Addr bias = 0;
    dwarf = dwfl_module_getdwarf(module, &bias);
    if (dwarf == nullptr)
        return nullptr;
    for (Dwarf_Die* unit = nullptr; (unit = dwfl_module_nextcu(module, unit, &bias)) != nullptr;)
        add_ranges(units, *unit);
    std::ranges::sort(units, {}, &code_range::low);
    return dwarf;
}

std::vector<code_range> const& debug_file::state::functions_of(Dwarf_Die& unit)
{
    auto const [place, fresh] = functions.try_emplace(dwarf_dieoffset(&unit));
    if (!fresh)
        return place->second;
    Dwarf_Die whole = unit;
    Dwarf_Die split;
    std::uint8_t type = 0;
    bool const skeleton = dwarf_cu_info(unit.cu, nullptr, &type, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
                          type == DW_UT_skeleton && split.addr != nullptr;
    if (skeleton)   // -gsplit-dwarf: the functions are in a file of their own
        whole = split;
    add_functions(place->second, whole);
    std::ranges::sort(place->second, {}, &code_range::low);
    return place->second;
}

std::optional<Dwarf_Addr> debug_file::state::address_of(std::uint64_t file_offset) const
{
    std::size_t count = 0;
    if (elf_getphdrnum(elf, &count) != 0)
        return std::nullopt;
    for (std::size_t n = 0; n < count; ++n) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, static_cast<int>(n), &p) == nullptr || p.p_type != PT_LOAD || (p.p_flags & PF_X) == 0)
            continue;
        if (file_offset >= p.p_offset && file_offset - p.p_offset < p.p_filesz)
            return p.p_vaddr + (file_offset - p.p_offset);
    }
    return std::nullopt;
}

/// Of the symbol that has `pc` inside. One that only stands before it says nothing of it.
std::optional<std::string> debug_file::state::symbol_at(Dwarf_Addr pc) const
{
    GElf_Off offset = 0;
    GElf_Sym symbol;
    char const* const name = dwfl_module_addrinfo(module, pc, &offset, &symbol, nullptr, nullptr, nullptr);
    if (name == nullptr || *name == '\0' || offset >= symbol.st_size)
        return std::nullopt;
    std::string_view const whole = name;
    return std::string{whole.substr(0, whole.find('@'))};   // without the version, as in realloc@@GLIBC_2.2.5
}

std::vector<source_frame> debug_file::frames_at(std::uint64_t file_offset)
{
    state& s = *state_;
    auto const pc = s.address_of(file_offset);
    if (!pc)
        return {};
    std::optional<std::string> const symbol = s.symbol_at(*pc);
    code_range const* const unit = s.debug_information() != nullptr ? range_with(s.units, *pc) : nullptr;
    if (unit == nullptr)
        return symbol ? std::vector{source_frame{.linkage = *symbol}} : std::vector<source_frame>{};

    Dwarf_Die unit_die = unit->die;
    std::vector<Dwarf_Die> chain;   // the outermost first
    if (code_range const* const function = range_with(s.functions_of(unit_die), *pc)) {
        chain.push_back(function->die);
        add_inlined(chain, function->die, *pc);
    }
    std::vector<source_frame> frames(std::max<std::size_t>(chain.size(), 1));   // the innermost first
    put_place_of_line(frames.front(), unit_die, *pc);
    for (std::size_t n = 0; n < chain.size(); ++n) {
        source_frame& f = frames[chain.size() - 1 - n];
        f.linkage = name_of(chain[n]);
        f.inlined = n != 0;
        if (n != 0)
            put_place_of_call(frames[chain.size() - n], chain[n], unit_die);
    }
    // Of functions that are not inlined, short debug information (-gline-tables-only) has the plain name alone.
    bool const plain = !frames.back().linkage.starts_with("_Z");
    if (symbol && (plain || frames.back().linkage.empty()))
        frames.back().linkage = *symbol;
    if (frames.back().linkage.empty())
        return {};
    return frames;
}

}
