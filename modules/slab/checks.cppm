// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a checked build looks at beyond what every build does: writes past an object's end, writes into freed memory, the
// exact size and alignment an object is given back with, and, for one object in so many, every access outside it.
// Under AddressSanitizer and Valgrind objects are malloc's instead, so that the tool sees each as it sees malloc's, while the
// slots they stand for keep the books.
//
// A checked slot: the object; the slack, filled with a pattern; and in the last eight bytes a word that tells the slack and
// the alignment, or that the slot is free, and cannot be guessed. A word of zero: never handed out since the slab was cut.
// Canaries at the end of a slot are hardened_malloc's idea (D. Micay), objects on pages of their own GWP-ASan's.
module;
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
export module tslab.slab:checks;

import tslab.stats;
import :size_class;
import :os;
import :report;
import :mutex;
import :descriptor;

export namespace tslab {

/// Whether this build can check at all. Where it cannot, none of it costs anything.
#if defined(TSLAB_CHECKED)
inline constexpr bool with_checks = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool with_checks = true;
#else
inline constexpr bool with_checks = false;
#endif
#else
inline constexpr bool with_checks = false;
#endif

enum class check_mode : std::uint8_t {
    automatic,   ///< in a build with checks: forward under AddressSanitizer and Valgrind, else canaries
    off,         ///< only what every build checks
    canaries,    ///< canaries, poison, exact sizes, sampled guard pages
    forward      ///< every object is malloc's, and its slot only keeps the books
};

/// A slot, or the pages of a large allocation.
struct checked_slot {
    std::byte* begin;
    std::size_t bytes;
};

/// What an object was asked for as.
struct request {
    std::size_t bytes;
    std::size_t alignment;
};

/// The checks of one heap. What is not said to be thread safe is for whoever has the slot.
class memory_checks {
public:
    static constexpr std::size_t word_bytes = sizeof(std::uint64_t);
    static constexpr std::uint32_t default_guard_sampling = 1000;

    /// `mode` and `guard_sampling` as the program asks for them; where it leaves it to tslab, TSLAB_CHECKS (off, canaries,
    /// forward) and TSLAB_GUARD_SAMPLING (a number; 0 for none) in the environment have a say. Throws std::invalid_argument
    /// when the build cannot do what is asked for.
    memory_checks(check_mode mode, std::optional<std::uint32_t> guard_sampling);
    memory_checks(memory_checks const&) = delete;
    memory_checks& operator=(memory_checks const&) = delete;

    [[nodiscard]] inline bool on() const noexcept { return mode_ != check_mode::off; }
    [[nodiscard]] inline bool uses_canaries() const noexcept { return mode_ == check_mode::canaries; }
    [[nodiscard]] inline check_mode mode() const noexcept { return mode_; }
    /// What to ask a slot for, so that an object of `bytes` can be checked.
    [[nodiscard]] inline std::size_t padded(std::size_t bytes) const noexcept
    {
        return uses_canaries() ? bytes + word_bytes : bytes;
    }

    // Canaries.

    /// Makes a slot an object's. False when it was written to while it was free. `fresh`: there is nothing to be looked at.
    [[nodiscard]] bool arm(checked_slot s, request r, bool fresh) const noexcept;
    /// What is wrong with an object, and what it was asked for as: overflow, or double_free when it has been freed meanwhile.
    /// `guarded`: what guarded_at says of its pages, or null.
    [[nodiscard]] std::optional<misuse> verify(checked_slot s, void const* guarded, request& was) const noexcept;
    /// Fills a slot that is about to be freed.
    void poison(checked_slot s) const noexcept;
    /// Makes every slot of a slab that was just cut one that was never handed out.
    static void clear(std::byte* begin, std::size_t slot_bytes, std::uint32_t slots) noexcept;

    // Objects on pages of their own: two pages of a large allocation, the object at the end of the first, the second, and
    // the first as well once the object is freed, out of bounds.

    static constexpr std::uint32_t guarded_pages = 2;
    static constexpr std::size_t largest_guarded = page_bytes - 64;

    /// Whether the calling thread's next allocation is to be guarded. Thread safe.
    [[nodiscard]] bool choose_guarded(request r) noexcept;
    /// Puts an object on the pages of `s`; null when they cannot be protected.
    [[nodiscard]] void* guard(checked_slot s, request r) noexcept;
    /// The object on the pages at `begin`, if they are guarded.
    [[nodiscard]] void* guarded_at(std::byte const* begin) const noexcept;
    /// Puts the pages of a guarded object that is freed out of reach for a while. True: then the caller lets go of them, and
    /// gives back `out`, which may be null, in their place. False when they are not guarded. Thread safe.
    [[nodiscard]] bool quarantine(slab& pages, slab*& out) noexcept;
    /// Takes one out of there before its time; null when there is none. Thread safe.
    [[nodiscard]] slab* quarantined() noexcept;

    [[nodiscard]] inline mutex& lock_for_fork() noexcept { return lock_; }

private:
    /// What begins the first page of a guarded object.
    struct guard_header {
        std::uint64_t word;
        std::byte* object;
        request asked;
    };
    [[nodiscard]] std::uint64_t free_word(std::byte const* slot) const noexcept;
    [[nodiscard]] std::uint64_t live_word(std::byte const* slot, std::uint64_t said) const noexcept;
    [[nodiscard]] std::uint64_t guard_word(std::byte const* page) const noexcept;
    [[nodiscard]] static std::optional<misuse> verify_guarded(std::byte const* begin, request& was) noexcept;
    /// The one that was kept longest; null when its pages cannot be made usable again: then they are lost until the heap ends,
    /// since nobody may have pages that fault. Precondition: there is one.
    [[nodiscard]] slab* take_oldest() noexcept __attribute__((requires_capability(lock_)));

    static constexpr std::size_t quarantine_size = 64;
    static constexpr std::uint32_t most_guarded = 1024;

    check_mode mode_;
    std::uint32_t guard_sampling_;
    std::uint64_t secret_;
    mutex lock_;
    std::array<slab*, quarantine_size> kept_ __attribute__((guarded_by(lock_))){};
    std::size_t oldest_ __attribute__((guarded_by(lock_))) = 0;
    std::size_t kept_count_ __attribute__((guarded_by(lock_))) = 0;
    std::uint32_t guarded_ __attribute__((guarded_by(lock_))) = 0;   // live ones and those kept
};

// Objects that are malloc's. One table for the process, so that memory of another heap is known as such.

/// A malloc'd object for a slot; null when memory is out. Thread safe.
[[nodiscard]] void* make_twin(checked_slot s, request r) noexcept;
/// The slot that an object stands for; null when it is none. Thread safe.
[[nodiscard]] void* slot_of_twin(void const* object) noexcept;
/// What the object of a slot was asked for as.
[[nodiscard]] request asked_of_twin(void const* slot) noexcept;
/// Frees the object of a slot. False when it has none any more. Thread safe.
bool free_twin(void* slot) noexcept;
/// For a fork. Called by the registry.
void lock_twins() noexcept __attribute__((no_thread_safety_analysis));
void unlock_twins() noexcept __attribute__((no_thread_safety_analysis));

}
