// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a checked build verifies beyond what every build does: writes past an object's end, writes into freed memory,
// the exact size and alignment that an object is freed with, and, for sampled objects, every access outside them. Under
// AddressSanitizer and Valgrind objects are malloc's instead, so that the tool checks them like any other; the slot of
// each object remains allocated for the accounting.
//
// A checked slot: the object; the slack, filled with a pattern; and in the last eight bytes a word that cannot be
// guessed: it encodes the slack and the alignment, or that the slot is free. Zero: not allocated since the slab was
// cut. Canaries at the end of a slot are hardened_malloc's idea (D. Micay), objects on pages of their own GWP-ASan's.
#pragma once

namespace tslab {

/// The finalizer of MurmurHash3 (A. Appleby, public domain).
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t h) noexcept
{
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdU;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53U;
    return h ^ h >> 33;
}

/// Whether all of [begin, begin + bytes) is `pattern`.
[[nodiscard]] inline bool is_filled(std::byte const* begin, std::size_t bytes, std::byte pattern) noexcept
{
    // The first byte is the pattern, and each byte equals the next: one memcmp, the fastest way.
    return bytes == 0 || (begin[0] == pattern && std::memcmp(begin, begin + 1, bytes - 1) == 0);
}

}

export namespace tslab {

#if __has_feature(address_sanitizer)
inline constexpr bool with_address_sanitizer = true;
#else
inline constexpr bool with_address_sanitizer = false;
#endif
/// Whether this build can check. If not, the checks cost nothing.
#if defined(TSLAB_CHECKED)
inline constexpr bool with_checks = true;
#else
inline constexpr bool with_checks = with_address_sanitizer;
#endif

/// Which checks of a checked build a heap makes.
enum class check_mode : std::uint8_t {
    automatic,   ///< in a build with checks: forward under AddressSanitizer and Valgrind, else canaries
    off,         ///< only what every build checks
    canaries,    ///< canaries, poison, exact sizes, sampled guard pages
    forward      ///< every object is malloc's; its slot is allocated for the accounting only
};

/// A slot, or the pages of a large allocation.
struct checked_slot {
    std::byte* begin;
    std::size_t bytes;
};

/// Size and alignment that an object was requested with.
struct request {
    std::size_t bytes;
    std::size_t alignment;
};

/// The checks of one heap. A function that is not marked thread safe is for the thread that has the slot.
class memory_checks {
public:
    static constexpr std::size_t word_bytes = sizeof(std::uint64_t);
    static constexpr std::uint32_t default_guard_sampling = 1000;

    /// `mode` and `guard_sampling` as the program sets them; where it leaves them open, the environment's TSLAB_CHECKS
    /// (off, canaries, forward) and TSLAB_GUARD_SAMPLING (a number; 0 for none) apply. Throws std::invalid_argument if
    /// the build does not support the mode.
    memory_checks(check_mode mode, std::optional<std::uint32_t> guard_sampling);
    memory_checks(memory_checks const&) = delete;
    memory_checks& operator=(memory_checks const&) = delete;
    ~memory_checks() = default;

    [[nodiscard]] inline bool on() const noexcept { return mode_ != check_mode::off; }
    [[nodiscard]] inline bool uses_canaries() const noexcept { return mode_ == check_mode::canaries; }
    [[nodiscard]] inline check_mode mode() const noexcept { return mode_; }
    /// Bytes to request of a slot, so that an object of `bytes` can be checked.
    [[nodiscard]] inline std::size_t padded(std::size_t bytes) const noexcept
    {
        return uses_canaries() ? bytes + word_bytes : bytes;
    }

    // Canaries.

    /// Prepares a slot for an object. False if the slot was written to while it was free. `fresh`: the slot has no
    /// pattern to verify.
    [[nodiscard]] inline bool arm(checked_slot s, request r, bool fresh) const noexcept
    {
        std::uint64_t const secret = secret_of(s.begin);
        std::size_t const usable = s.bytes - word_bytes;
        bool const clean = fresh || was_left_alone(s, secret);
        std::size_t const slack = usable - r.bytes;
        std::memset(s.begin + r.bytes, static_cast<int>(slack_pattern), std::min(slack, most_slack));
        word_of(s).store(live_word(secret, said_of(slack, r.alignment)), std::memory_order_relaxed);
        return clean;
    }
    /// Verifies an object: overflow, double_free if it has been freed meanwhile, or nothing; `was` is what it was
    /// requested with. `guarded`: the result of guarded_at for its pages, or null.
    [[nodiscard]] inline std::optional<misuse> verify(checked_slot s, void const* guarded, request& was) const noexcept
    {
        if (guarded != nullptr) [[unlikely]]
            return verify_guarded(s.begin, was);
        std::uint64_t const secret = secret_of(s.begin);
        std::uint64_t const word = word_of(s).load(std::memory_order_relaxed);
        std::uint64_t const said = word & said_mask;
        std::size_t const slack = said & slack_mask;
        std::size_t const usable = s.bytes - word_bytes;
        if (word != live_word(secret, said) || slack > usable) [[unlikely]]
            return word == free_word(secret) ? misuse::double_free : misuse::overflow;
        was = {usable - slack, std::size_t{1} << (said >> slack_bits)};
        if (!is_filled(s.begin + was.bytes, std::min(slack, most_slack), slack_pattern)) [[unlikely]] {
            std::atomic_thread_fence(std::memory_order_acquire);   // pairs with poison: is it freed at this moment?
            return word_of(s).load(std::memory_order_relaxed) == free_word(secret) ? misuse::double_free
                                                                                   : misuse::overflow;
        }
        return std::nullopt;
    }
    /// Fills a slot that is about to be freed.
    inline void poison(checked_slot s) const noexcept
    {
        word_of(s).store(free_word(secret_of(s.begin)), std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);   // the word is visible before the pattern: see verify
        std::memset(s.begin, static_cast<int>(poison_pattern), std::min(s.bytes - word_bytes, most_poison));
    }
    /// Marks every slot of a slab that was just cut as not yet allocated.
    static void clear(std::byte* begin, std::size_t slot_bytes, std::uint32_t slots) noexcept;

    // Guarded objects: each has two pages of a large allocation and lies at the end of the first. The second page
    // cannot be accessed, and once the object is freed the first cannot either.

    static constexpr std::uint32_t guarded_pages = 2;
    static constexpr std::size_t largest_guarded = page_bytes - 64;

    /// Whether the calling thread's next allocation is to be guarded. Thread safe.
    [[nodiscard]] inline bool choose_guarded(request r) noexcept { return guard_sampling_ != 0 && is_chosen(r); }
    /// Puts an object on the pages of `s`; null when they cannot be protected.
    [[nodiscard]] void* guard(checked_slot s, request r) noexcept;
    /// The object on the pages at `begin`, if they are guarded.
    [[nodiscard]] void* guarded_at(std::byte const* begin) const noexcept;
    /// Quarantines the pages of a guarded object that is freed: they fault when accessed. True: the pages are the
    /// quarantine's, and the caller frees `out`, which may be null, in their place. False if they are not guarded.
    /// Thread safe.
    [[nodiscard]] bool quarantine(slab_meta& pages, slab_meta*& out) noexcept;
    /// Takes pages out of the quarantine early; null if there are none. Thread safe.
    [[nodiscard]] slab_meta* quarantined() noexcept;
    /// The pages that it holds now. Thread safe.
    [[nodiscard]] std::uint32_t quarantined_pages() noexcept;

    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    /// The beginning of a guarded object's first page.
    struct guard_header {
        std::uint64_t word;
        std::byte* object;
        request asked;
    };

    static constexpr std::byte slack_pattern{0xca};
    static constexpr std::byte poison_pattern{0xdf};
    /// The most bytes that are filled and verified; beyond them only the word at the end is.
    static constexpr std::size_t most_slack = 256;
    static constexpr std::size_t most_poison = 4096;

    // A live slot's word: the slack in 17 bits, the binary logarithm of the alignment in 6.
    static constexpr unsigned slack_bits = 17;
    static constexpr std::uint64_t slack_mask = (std::uint64_t{1} << slack_bits) - 1;
    static constexpr std::uint64_t said_mask = (std::uint64_t{1} << (slack_bits + 6)) - 1;
    [[nodiscard]] static inline std::uint64_t said_of(std::size_t slack, std::size_t alignment) noexcept
    {
        return slack | static_cast<std::uint64_t>(std::countr_zero(alignment)) << slack_bits;
    }

    /// The last word of a slot. Atomic, since two threads may free one object at the same moment.
    [[nodiscard]] static inline std::atomic_ref<std::uint64_t> word_of(checked_slot s) noexcept
    {
        return std::atomic_ref{*reinterpret_cast<std::uint64_t*>(s.begin + s.bytes - word_bytes)};
    }
    /// Of a slot, or of the first page of a guarded object.
    [[nodiscard]] inline std::uint64_t secret_of(std::byte const* at) const noexcept
    {
        return mixed(reinterpret_cast<std::uintptr_t>(at) ^ secret_);
    }
    [[nodiscard]] static inline std::uint64_t free_word(std::uint64_t secret) noexcept { return secret | 1U; }
    [[nodiscard]] static inline std::uint64_t live_word(std::uint64_t secret, std::uint64_t said) noexcept
    {
        return said | ((secret ^ said) * 0x9e3779b97f4a7c15U & ~said_mask);   // 2^64 by the golden ratio
    }
    [[nodiscard]] inline bool was_left_alone(checked_slot s, std::uint64_t secret) const noexcept
    {
        std::uint64_t const word = word_of(s).load(std::memory_order_relaxed);
        if (word == free_word(secret)) [[likely]]
            return is_filled(s.begin, std::min(s.bytes - word_bytes, most_poison), poison_pattern);
        return word == 0 || word == live_word(secret, word & said_mask);   // or it was released live with its epoch
    }
    [[nodiscard]] bool is_chosen(request r) noexcept;
    [[nodiscard]] std::uint64_t guard_word(std::byte const* page) const noexcept;
    [[nodiscard]] static std::optional<misuse> verify_guarded(std::byte const* begin, request& was) noexcept;
    /// Takes the oldest pages; null if they cannot be made usable again: then they are lost until the heap ends, since
    /// pages that fault cannot be used. Precondition: the quarantine is not empty.
    [[nodiscard]] slab_meta* take_oldest() noexcept __attribute__((requires_capability(lock_)));

    static constexpr std::size_t quarantine_size = 64;
    static constexpr std::uint32_t most_guarded = 1024;

    check_mode mode_;
    std::uint32_t guard_sampling_;
    std::uint64_t secret_;
    mutex lock_;
    std::array<slab_meta*, quarantine_size> kept_ __attribute__((guarded_by(lock_))){};
    std::size_t oldest_ __attribute__((guarded_by(lock_))) = 0;
    std::size_t kept_count_ __attribute__((guarded_by(lock_))) = 0;
    std::uint32_t guarded_ __attribute__((guarded_by(lock_))) = 0;   // live ones and those in quarantine
};

// Objects that are malloc's. One table for the process, so that memory of another heap is recognised.

/// A malloc'd object for a slot; null if memory is exhausted. Thread safe.
[[nodiscard]] void* make_twin(checked_slot s, request r) noexcept;
/// The slot of an object; null if it has none. Thread safe.
[[nodiscard]] void* slot_of_twin(void const* object) noexcept;
/// Size and alignment that the object of a slot was requested with.
[[nodiscard]] request asked_of_twin(void const* slot) noexcept;
/// Frees the object of a slot. False if the slot has none any more. Thread safe.
bool free_twin(void* slot) noexcept;
/// The lock of the table, for a fork.
[[nodiscard]] mutex& lock_of_twins() noexcept;

}
