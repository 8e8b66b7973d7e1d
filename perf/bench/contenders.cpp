// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The contenders of the standard library. `malloc` is whatever malloc the process runs on.
#include "place.hpp"

#include <array>
#include <optional>

namespace bench {
namespace {

/// One resource for everything: phases mean nothing to it.
class plain_place final : public place {
public:
    explicit plain_place(std::pmr::memory_resource* resource) : resource_{resource} {}

    std::pmr::memory_resource* lasting() override { return resource_; }
    std::pmr::memory_resource* shared() override { return resource_; }
    std::pmr::memory_resource* common() override { return resource_; }
    std::pmr::memory_resource* enter(bool) override { return resource_; }
    void leave() override {}
    [[nodiscard]] bool drops_at_once() const override { return false; }
    std::pmr::memory_resource* open(unsigned) override { return resource_; }
    void close(unsigned) override {}

private:
    std::pmr::memory_resource* resource_;
};

class malloc_contender final : public contender {
    std::unique_ptr<place> make_place(std::span<std::byte>) override
    {
        return std::make_unique<plain_place>(std::pmr::new_delete_resource());
    }
};

class synchronized_contender final : public contender {
    std::unique_ptr<place> make_place(std::span<std::byte>) override { return std::make_unique<plain_place>(&pool_); }

    std::pmr::synchronized_pool_resource pool_{std::pmr::new_delete_resource()};
};

/// A pool a thread; a request that winds out is `release` of it.
class pool_place final : public place {
public:
    std::pmr::memory_resource* lasting() override { return &pool_; }
    std::pmr::memory_resource* shared() override { return &pool_; }
    std::pmr::memory_resource* common() override { return &pool_; }
    std::pmr::memory_resource* enter(bool winds_out) override
    {
        winds_out_ = winds_out;
        return &pool_;
    }
    void leave() override
    {
        if (winds_out_)
            pool_.release();
    }
    [[nodiscard]] bool drops_at_once() const override { return true; }
    std::pmr::memory_resource* open(unsigned) override { return &pool_; }
    void close(unsigned) override {}

private:
    std::pmr::unsynchronized_pool_resource pool_{std::pmr::new_delete_resource()};
    bool winds_out_ = false;
};

class unsynchronized_contender final : public contender {
    std::unique_ptr<place> make_place(std::span<std::byte>) override { return std::make_unique<pool_place>(); }
};

/// A new buffer each phase. Without phases it only grows: the driver leaves it out there.
class monotonic_place final : public place {
public:
    using buffer = std::pmr::monotonic_buffer_resource;

    explicit monotonic_place(std::span<std::byte> first) : first_{first} {}

    std::pmr::memory_resource* lasting() override { return &lasting_; }
    std::pmr::memory_resource* shared() override { return &lasting_; }
    std::pmr::memory_resource* common() override { return &lasting_; }
    std::pmr::memory_resource* enter(bool) override { return emplace(request_, first_); }
    void leave() override { request_.reset(); }
    [[nodiscard]] bool drops_at_once() const override { return true; }
    std::pmr::memory_resource* open(unsigned slot) override
    {
        std::size_t const share = first_.size() / most_phases;
        return emplace(phases_[slot], first_.subspan(slot * share, share));
    }
    void close(unsigned slot) override { phases_[slot].reset(); }

private:
    static buffer* emplace(std::optional<buffer>& to, std::span<std::byte> first)
    {
        if (first.empty())
            return &to.emplace(std::pmr::new_delete_resource());
        return &to.emplace(first.data(), first.size(), std::pmr::new_delete_resource());
    }

    std::span<std::byte> first_;
    buffer lasting_{std::pmr::new_delete_resource()};
    std::optional<buffer> request_;
    std::array<std::optional<buffer>, most_phases> phases_;
};

class monotonic_contender final : public contender {
public:
    explicit monotonic_contender(bool on_stack) : on_stack_{on_stack} {}

    std::unique_ptr<place> make_place(std::span<std::byte> stack) override
    {
        return std::make_unique<monotonic_place>(on_stack_ ? stack : std::span<std::byte>{});
    }

private:
    bool on_stack_;
};

constexpr std::string_view names[] = {"tslab",          "tslab-huge",   "tslab-background", "malloc",
                                      "unsynchronized", "synchronized", "monotonic-stack",  "monotonic-heap"};

}

std::span<std::string_view const> contender_names() { return names; }

std::unique_ptr<contender> make_contender(std::string_view name)
{
    if (name == "tslab")
        return make_tslab(tslab_variant::plain);
    if (name == "tslab-huge")
        return make_tslab(tslab_variant::huge_pages);
    if (name == "tslab-background")
        return make_tslab(tslab_variant::background);
    if (name == "malloc")
        return std::make_unique<malloc_contender>();
    if (name == "unsynchronized")
        return std::make_unique<unsynchronized_contender>();
    if (name == "synchronized")
        return std::make_unique<synchronized_contender>();
    if (name == "monotonic-stack")
        return std::make_unique<monotonic_contender>(true);
    if (name == "monotonic-heap")
        return std::make_unique<monotonic_contender>(false);
    return nullptr;
}

}
