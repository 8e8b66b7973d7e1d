// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One examination by the doctor: its input, the judgement of figures, and the findings so far. Not exported.
#pragma once

namespace tslab {

struct examination {
    examination(snapshot const& s, snapshot const* earlier, doctor_thresholds const& given);

    snapshot const& now;
    snapshot const* before;   ///< null if there is none that can be compared
    doctor_thresholds const& limits;
    double seconds = 0;   ///< between the two
    snapshot change;      ///< `now`, with counters only of what happened since `before`
    std::vector<finding> findings{};

    /// "since the start", "in 10 s".
    [[nodiscard]] std::string span() const;

    [[nodiscard]] static std::optional<severity> judge(count_limits const& limit, std::uint64_t n) noexcept;
    /// Judges whether `part` / `whole` reaches the limits. `whole` must reach the floor.
    [[nodiscard]] std::optional<severity> judge(ratio_limits const& limit, double part, double whole) const noexcept;
    /// The same for a ratio that is bad if low: whether it is at most the limits.
    [[nodiscard]] std::optional<severity> judge_low(ratio_limits const& limit, double part,
                                                    double whole) const noexcept;
    [[nodiscard]] bool enough(ratio_limits const& limit, double whole) const noexcept;

    void add(std::string_view code, severity how, std::string subject, std::initializer_list<figure> figures,
             std::string evidence, std::string action);

    /// The name of a label by its number, for a sentence.
    [[nodiscard]] std::string label_name(std::uint32_t label_id) const;
};

void examine_epochs(examination& x);
void examine_events(examination& x);
void examine_memory(examination& x);
void examine_speed(examination& x);

}
