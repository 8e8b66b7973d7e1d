// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <link.h>
#include <memory>
#include <new>
#include <source_location>
#include <string_view>
#include <sys/auxv.h>
#include <type_traits>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

namespace {

/// The addresses at which the main program is loaded.
struct program_range {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;

    [[nodiscard]] bool contains(char const* p) const noexcept
    {
        auto const address = reinterpret_cast<std::uintptr_t>(p);
        return address >= begin && address < end;
    }
};

/// From the program headers that the kernel passed; empty if they do not say where they are. Takes no lock, unlike
/// dladdr: a thread that is loading a library may be waiting for this one.
program_range main_program() noexcept
{
    auto const* const headers = reinterpret_cast<ElfW(Phdr) const*>(::getauxval(AT_PHDR));
    std::size_t const n = ::getauxval(AT_PHNUM);
    if (headers == nullptr)
        return {};
    auto const* const self =
        std::find_if(headers, headers + n, [](ElfW(Phdr) const& h) { return h.p_type == PT_PHDR; });
    if (self == headers + n)
        return {};
    std::uintptr_t const base = reinterpret_cast<std::uintptr_t>(headers) - self->p_vaddr;
    program_range all{~std::uintptr_t{0}, 0};
    for (std::size_t i = 0; i < n; ++i)
        if (ElfW(Phdr) const& h = headers[i]; h.p_type == PT_LOAD) {
            all.begin = std::min<std::uintptr_t>(all.begin, base + h.p_vaddr);
            all.end = std::max<std::uintptr_t>(all.end, base + h.p_vaddr + h.p_memsz);
        }
    return all;
}

/// The part of a file's name that a published_place has room for: a long one loses its beginning.
std::string_view fitting_file(std::source_location const& at) noexcept
{
    return fitting_suffix(at.file_name(), sizeof(published_place::file) - 1);
}
/// The same for a function's name: a long one loses its end.
std::string_view fitting_function(std::source_location const& at) noexcept
{
    return fitting_prefix(at.function_name(), sizeof(published_place::function) - 1);
}

/// Whether a stored text, which ends with a NUL, is `text`.
template <std::size_t N> bool is_text(std::array<char, N> const& stored, std::string_view text) noexcept
{
    return std::memcmp(stored.data(), text.data(), text.size()) == 0 && stored[text.size()] == '\0';
}

/// FNV-1a of what is stored of a place.
std::uint64_t hash_of(std::source_location const& at) noexcept
{
    std::uint64_t h = 0xcbf29ce484222325 ^ at.line();
    for (std::string_view const text : {fitting_file(at), fitting_function(at)})
        for (char const c : text)
            h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return h;
}

}

bool source_places::has_text(key const& k, std::source_location const& at) noexcept
{
    return k.text->line == at.line() && is_text(k.text->file, fitting_file(at)) &&
           is_text(k.text->function, fitting_function(at));
}

published_place const* source_places::text_of(std::uint32_t number) const noexcept
{
    index const* const in = index_.load(std::memory_order_acquire);   // pairs with grow
    // acquire: pairs with insert, the text is complete.
    return in != nullptr && number < in->slots / 2 ? in->texts[number].load(std::memory_order_acquire) : nullptr;
}

std::uint32_t source_places::add(std::source_location const& at) noexcept
{
    lock_guard const guard{lock_};
    index const* in = index_.load(std::memory_order_relaxed);
    key const* k = in != nullptr ? find(*in, at) : nullptr;   // another thread may have added it
    if (k == nullptr) {
        bool const room = (in != nullptr && keys_ < in->slots / 2) || grow();
        k = room ? make_key(at) : nullptr;
        if (k != nullptr) {
            insert(*index_.load(std::memory_order_relaxed), *k);
            ++keys_;
        }
    }
    if (k == nullptr || !k->is_published)
        stats_.places_missing.add_shared();
    stats_.publish_memory(meta_, in_);
    return k != nullptr ? k->number : unknown;
}

/// A key for a new place, or for one that is known by other addresses: a library may have been loaded again elsewhere.
source_places::key const* source_places::make_key(std::source_location const& at) noexcept
{
    static_assert(std::is_trivially_destructible_v<key>);
    key* const made = spare_ != nullptr ? spare_ : meta_.make<key>();
    if (made == nullptr)
        return nullptr;
    spare_ = nullptr;
    program_range const program = main_program();
    *made = {.file = at.file_name(),
             .function = at.function_name(),
             .line = at.line(),
             .number = unknown,
             .stays = program.contains(at.file_name()) && program.contains(at.function_name()),
             .is_published = false,
             .text_hash = hash_of(at),
             .text = nullptr};
    index const& in = *index_.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < in.slots; ++i)
        if (key const* const other = in.keys[i].load(std::memory_order_relaxed);
            other != nullptr && other->text_hash == made->text_hash && has_text(*other, at)) {
            made->number = other->number;
            made->is_published = other->is_published;
            made->text = other->text;
            return made;
        }
    if (make_text(at, *made))
        return made;
    spare_ = made;
    return nullptr;
}

/// Copies a place's text and gives it a number.
bool source_places::make_text(std::source_location const& at, key& of) noexcept
{
    if (numbers_ % place_page::capacity == 0) {
        auto* const made = in_.make<place_page>();
        if (made == nullptr)
            return false;
        made->first = numbers_;
        page_ = made;
    }
    published_place& text = page_->places[numbers_ % place_page::capacity];
    std::string_view const file = fitting_file(at);
    std::string_view const function = fitting_function(at);
    text.line = at.line();
    std::ranges::copy(file, text.file.begin());
    std::ranges::copy(function, text.function.begin());
    of.number = numbers_++;
    of.text = &text;
    of.is_published = !in_.is_published() || in_.is_published(page_);
    if (page_->first == of.number && of.is_published) {
        page_->next.store(stats_.places.load(std::memory_order_relaxed), std::memory_order_relaxed);
        stats_.places.store(page_, std::memory_order_release);   // a reader that sees the page sees its first number
    }
    return true;
}

/// Makes the table twice as large. False if there is no memory.
bool source_places::grow() noexcept
{
    constexpr std::uint32_t least = 64;
    index const* const before = index_.load(std::memory_order_relaxed);
    std::uint32_t const slots = before != nullptr ? before->slots * 2 : least;
    std::size_t const bytes = sizeof(index) + slots * sizeof(*index::keys) + slots / 2 * sizeof(*index::texts);
    auto* const memory = static_cast<std::byte*>(slots != 0 ? meta_.allocate(bytes, alignof(index)) : nullptr);
    if (memory == nullptr)
        return false;
    auto* const keys = reinterpret_cast<std::atomic<key const*>*>(memory + sizeof(index));
    auto* const texts = reinterpret_cast<std::atomic<published_place const*>*>(keys + slots);
    std::uninitialized_value_construct_n(keys, slots);
    std::uninitialized_value_construct_n(texts, slots / 2);
    index const* const made =
        ::new (memory) index{slots, static_cast<unsigned>(64 - std::countr_zero(slots)), keys, texts};
    for (std::uint32_t i = 0; before != nullptr && i < before->slots; ++i)
        if (key const* const k = before->keys[i].load(std::memory_order_relaxed))
            insert(*made, *k);
    index_.store(made, std::memory_order_release);   // a thread that sees the table sees its keys
    return true;
}

void source_places::insert(index const& in, key const& k) noexcept
{
    in.texts[k.number].store(k.text, std::memory_order_release);   // a reader that sees the text sees it complete
    std::uint32_t i = first_slot(in, k.file, k.function, k.line);
    while (in.keys[i].load(std::memory_order_relaxed) != nullptr)
        i = (i + 1) & (in.slots - 1);
    in.keys[i].store(&k, std::memory_order_release);   // a thread that sees the key sees it complete
}

}
