// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Containers of the standard library, built and destroyed in a scope: a map of strings, a hash table, growing vectors.
#include "pattern.hpp"

#include <map>
#include <unordered_map>

namespace bench {
namespace {

class containers_worker final : public worker {
public:
    containers_worker(setting const& s, std::string_view, place& memory, unsigned thread)
        : memory_{memory}, elements_(s.tiny ? 50 : 2000)
    {
        random_source random = random_for(s, thread);
        keys_.reserve(elements_);
        values_.reserve(elements_);
        numbers_.reserve(elements_);
        for (std::size_t i = 0; i < elements_; ++i) {
            keys_.push_back("key " + std::to_string(random()));
            values_.emplace_back(8 + random() % 120, 'v');
            numbers_.push_back(random());
        }
    }

    /// An operation is an element of a container.
    std::uint64_t turn() override
    {
        {
            std::pmr::memory_resource* const resource = opaque(memory_.enter(false));
            std::pmr::map<std::pmr::string, std::pmr::string> names{resource};
            for (std::size_t i = 0; i < elements_; ++i)
                names.emplace(keys_[i], values_[i]);
            std::pmr::unordered_map<std::uint64_t, std::pmr::string> table{resource};
            for (std::size_t i = 0; i < elements_; ++i)
                table.emplace(numbers_[i], values_[i]);
            std::pmr::vector<std::pmr::vector<std::uint64_t>> rows{resource};
            for (std::size_t i = 0; i < elements_; ++i) {
                if (i % row == 0)
                    rows.emplace_back();
                rows.back().push_back(numbers_[i]);
            }
            sum_ += names.size() + table.size() + rows.size();
            asm volatile("" : : "r"(&sum_) : "memory");
        }
        memory_.leave();
        return 3 * elements_;
    }

private:
    static constexpr std::size_t row = 40;

    place& memory_;
    std::size_t elements_;
    std::vector<std::string> keys_;
    std::vector<std::string> values_;
    std::vector<std::uint64_t> numbers_;
    std::uint64_t sum_ = 0;
};

constexpr pattern patterns[] = {
    {.name = "containers",
     .about = "a map of strings, a hash table and growing vectors, built and destroyed in a scope",
     .make = make_alike<containers_worker>,
     .phases = true,
     .memory = true},
};

}

std::span<pattern const> container_patterns() { return patterns; }

}
