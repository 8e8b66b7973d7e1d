// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the checks of conformance.hpp work on: one resource of a kind with what stands behind it, an upstream that keeps a list, and
// memory whose contents are marked.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <string>
#include <utility>

namespace conformance {

/// What a resource says of itself.
struct traits {
    bool reuses = true;              ///< what is deallocated can be had again
    bool thread_safe = true;         ///< from any thread at any time
    bool releases = false;           ///< has release(), after which it is as new
    bool has_upstream = false;       ///< takes its memory from the resource given
    bool refuses_by_itself = true;   ///< an absurd size never reaches operator new
};

/// One resource of a kind, and what stands behind it.
class subject {
public:
    subject() = default;
    virtual ~subject() = default;
    subject(subject const&) = delete;
    subject& operator=(subject const&) = delete;

    [[nodiscard]] virtual std::pmr::memory_resource& get() = 0;
    virtual void release() {}
    /// Bytes taken from what stands behind it.
    [[nodiscard]] virtual std::uint64_t taken() = 0;
    /// Makes what stands behind it refuse, or not any more; false if that cannot be done.
    virtual bool refuse(bool) { return false; }
    /// What went wrong that no return value tells of; empty if nothing.
    [[nodiscard]] virtual std::string complaint() { return ""; }
};

struct kind {
    std::string name;
    traits said;
    std::function<std::unique_ptr<subject>()> make;
};

enum class answer : std::uint8_t { yes, no, not_asked };
struct verdict {
    answer is = answer::yes;
    std::string why{};
};
inline verdict no(std::string why) { return {answer::no, std::move(why)}; }
inline verdict not_asked() { return {answer::not_asked, {}}; }

/// An upstream that keeps a list of what it handed out, and checks every deallocation against it.
class strict_upstream final : public std::pmr::memory_resource {
public:
    ~strict_upstream() override
    {
        for (auto const& [p, of] : blocks_)
            std::pmr::new_delete_resource()->deallocate(p, of.first, of.second);
    }
    strict_upstream() = default;
    strict_upstream(strict_upstream const&) = delete;
    strict_upstream& operator=(strict_upstream const&) = delete;

    [[nodiscard]] std::uint64_t bytes() const
    {
        std::lock_guard const guard{lock_};
        return bytes_;
    }
    [[nodiscard]] std::string complaint() const
    {
        std::lock_guard const guard{lock_};
        return complaint_;
    }
    std::atomic<bool> refuses{false};

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        constexpr std::size_t absurd = std::size_t{1} << 40;
        if (refuses.load() || bytes > absurd)
            throw std::bad_alloc{};
        void* const p = std::pmr::new_delete_resource()->allocate(bytes, alignment);
        std::lock_guard const guard{lock_};
        blocks_[p] = {bytes, alignment};
        bytes_ += bytes;
        return p;
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        std::lock_guard const guard{lock_};
        auto const at = blocks_.find(p);
        if (at == blocks_.end() || at->second != std::pair{bytes, alignment}) {
            complaint_ = "gives back to its upstream what it did not take, or as another size or alignment";
            return;
        }
        blocks_.erase(at);
        bytes_ -= bytes;
        std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
    }
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override
    {
        return this == &other;
    }

    mutable std::mutex lock_;
    std::map<void*, std::pair<std::size_t, std::size_t>> blocks_;
    std::uint64_t bytes_ = 0;
    std::string complaint_;
};

struct block {
    unsigned char* p = nullptr;
    std::size_t bytes = 0;
    std::size_t alignment = 1;
    unsigned char mark = 0;

    [[nodiscard]] bool aligned() const { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }
    [[nodiscard]] bool intact() const
    {
        return std::all_of(p, p + bytes, [this](unsigned char c) { return c == mark; });
    }
};

/// The compiler may believe that what a resource returns is aligned, and a sanitizer demands it at once. Here it is asked.
[[gnu::noinline]] __attribute__((no_sanitize("alignment"))) inline block
take(std::pmr::memory_resource& r, std::size_t bytes, std::size_t alignment, unsigned char mark = 0xa5)
{
    block b{static_cast<unsigned char*>(r.allocate(bytes, alignment)), bytes, alignment, mark};
    std::memset(b.p, mark, bytes);
    return b;
}
inline void give(std::pmr::memory_resource& r, block const& b) { r.deallocate(b.p, b.bytes, b.alignment); }

inline std::string at(std::size_t bytes, std::size_t alignment)
{
    return std::to_string(bytes) + " bytes at " + std::to_string(alignment);
}

}
