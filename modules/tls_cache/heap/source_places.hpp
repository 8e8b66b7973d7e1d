// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The source places of a heap: each location that entered a domain has a number, which the epochs' holders publish, and
// its text, copied when it was first seen: the library that contains the location may be unloaded later. The table grows;
// a place without memory is counted. A place is found by the addresses of its texts and its line. Those addresses name the
// same place as long as the object file they lie in stays loaded; except for the main program, which is never unloaded,
// the texts are compared too.
#pragma once

export namespace tslab {

class source_places {
public:
    static constexpr std::uint32_t unknown =
        ~std::uint32_t{0};   ///< the number of a place for which there was no memory

    /// Tables come from `meta`, the texts from `in`.
    source_places(arena& meta, segment_part& in, heap_stats_page& stats) noexcept : meta_{meta}, in_{in}, stats_{stats}
    {
    }
    source_places(source_places const&) = delete;
    source_places& operator=(source_places const&) = delete;
    ~source_places() = default;

    /// The number of a place; `unknown` if there is no memory for a new one. Complexity: constant; the first call with a
    /// place takes a lock and is linear in the places. Thread safe. The caller holds no lock below the epochs' ones.
    [[nodiscard]] inline std::uint32_t number_of(std::source_location const& at) noexcept
    {
        if (index const* const in = index_.load(std::memory_order_acquire)) [[likely]]   // pairs with grow
            if (key const* const found = find(*in, at)) [[likely]]
                return found->number;
        return add(at);
    }
    /// A place that was looked up before, for a caller that looks up the same one again and again.
    struct known {
        char const* file = nullptr;   ///< null: none
        char const* function = nullptr;
        std::uint32_t line = 0;
        std::uint32_t number = unknown;
    };
    /// The same, compared with `last` first; sets `last` to a place of the main program. One thread at a time for `last`.
    [[nodiscard]] inline std::uint32_t number_of(std::source_location const& at, known& last) noexcept
    {
        if (last.file == at.file_name() && last.line == at.line() && last.function == at.function_name()) [[likely]]
            return last.number;
        if (index const* const in = index_.load(std::memory_order_acquire))
            if (key const* const found = find(*in, at)) {
                if (found->stays)   // its texts' addresses mean the same place for ever
                    last = {found->file, found->function, found->line, found->number};
                return found->number;
            }
        return add(at);
    }
    /// The text of a place; null for a number that no place has. Thread safe.
    [[nodiscard]] published_place const* text_of(std::uint32_t number) const noexcept;
    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    struct key {
        char const* file;
        char const* function;
        std::uint32_t line;
        std::uint32_t number;
        bool stays;          // both texts lie in the main program
        bool is_published;   // readers outside find the text, if the heap has such readers
        std::uint64_t text_hash;
        published_place const* text;
    };
    /// An open hash table of keys, at most half full, and the texts by number. Replaced by a larger one, never changed but
    /// for new keys; threads may still read the one before.
    struct index {
        std::uint32_t slots;   // a power of two
        unsigned shift;
        std::atomic<key const*>* keys;
        std::atomic<published_place const*>* texts;   // slots / 2
    };

    [[nodiscard]] static inline std::uint32_t first_slot(index const& in, char const* file, char const* function,
                                                         std::uint32_t line) noexcept
    {
        std::uint64_t const mixed =
            reinterpret_cast<std::uintptr_t>(file) + reinterpret_cast<std::uintptr_t>(function) + line;
        return static_cast<std::uint32_t>(mixed * 0x9e3779b97f4a7c15U >> in.shift);
    }
    [[nodiscard]] static inline key const* find(index const& in, std::source_location const& at) noexcept
    {
        for (std::uint32_t i = first_slot(in, at.file_name(), at.function_name(), at.line());;
             i = (i + 1) & (in.slots - 1)) {
            key const* const k = in.keys[i].load(std::memory_order_acquire);   // pairs with insert: the key is complete
            if (k == nullptr)
                return nullptr;
            if (k->file == at.file_name() && k->function == at.function_name() && k->line == at.line() &&
                (k->stays || has_text(*k, at))) [[likely]]
                return k;
        }
    }
    [[nodiscard]] static bool has_text(key const& k, std::source_location const& at) noexcept;
    [[nodiscard, gnu::cold, gnu::noinline]] std::uint32_t add(std::source_location const& at) noexcept;
    [[nodiscard]] key const* make_key(std::source_location const& at) noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool make_text(std::source_location const& at, key& of) noexcept
        __attribute__((requires_capability(lock_)));
    [[nodiscard]] bool grow() noexcept __attribute__((requires_capability(lock_)));
    static void insert(index const& in, key const& k) noexcept;

    arena& meta_;
    segment_part& in_;
    heap_stats_page& stats_;
    std::atomic<index const*> index_{nullptr};
    mutex lock_;
    std::uint32_t keys_ __attribute__((guarded_by(lock_))) = 0;
    std::uint32_t numbers_ __attribute__((guarded_by(lock_))) = 0;
    place_page* page_ __attribute__((guarded_by(lock_))) = nullptr;   // the newest
    key* spare_ __attribute__((guarded_by(lock_))) = nullptr;         // made for a place whose text found no memory
};

}
